package chunkstore

import (
	"errors"
	"os"
	"sync"

	"ingot/imaging"
)

// packFile is one pack that the index or the folder knows.
type packFile struct {
	name imaging.Digest
	path string
	size int64 // as the index tells it
	have int64 // as the folder tells it; -1 when the file is missing. Guarded by Store.mu, as what follows

	bad        int  // damaged places known
	distrusted bool // too many of them
	condemned  bool // a sweep is removing it: read still, and no longer relied on
	gone       bool // a sweep has removed it
}

// holds reports whether the file reaches as far as a chunk.
func (p *packFile) holds(e entry) bool {
	return int64(e.off)+imaging.ChunkHeadSize+int64(e.stored) <= p.have
}

// maxHandles bounds the open pack files: a store of 10 million chunks has about a thousand packs.
const maxHandles = 64

// handles keeps the most recently used packs open. Its zero value is ready.
type handles struct {
	mu    sync.Mutex
	open  map[*packFile]*handle
	clock uint64
}

type handle struct {
	f    *os.File
	refs int
	used uint64
	dead bool // dropped while in use: closed by the last release
}

func (h *handles) acquire(p *packFile) (*handle, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	o := h.open[p]
	if o == nil {
		f, err := os.Open(p.path)
		if err != nil {
			return nil, err
		}
		if h.open == nil {
			h.open = map[*packFile]*handle{}
		}
		h.evict()
		o = &handle{f: f}
		h.open[p] = o
	}
	o.refs, o.used = o.refs+1, h.clock
	return o, nil
}

// evict closes the file unused for longest, when there are too many.
func (h *handles) evict() {
	if len(h.open) < maxHandles {
		return
	}
	var oldest *packFile
	for p, o := range h.open {
		if o.refs == 0 && (oldest == nil || o.used < h.open[oldest].used) {
			oldest = p
		}
	}
	if oldest != nil {
		h.open[oldest].f.Close() // opened for reading: nothing to lose
		delete(h.open, oldest)
	}
}

func (h *handles) release(o *handle) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o.refs--
	if o.dead && o.refs == 0 {
		o.f.Close()
	}
}

// drop forgets a pack whose file was replaced.
func (h *handles) drop(p *packFile) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o := h.open[p]; o != nil {
		delete(h.open, p)
		if o.dead = true; o.refs == 0 {
			o.f.Close()
		}
	}
}

func (h *handles) closeAll() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for p, o := range h.open {
		errs = append(errs, o.f.Close())
		delete(h.open, p)
	}
	return errors.Join(errs...)
}

// readAt fills b from a pack.
func (s *Store) readAt(p *packFile, b []byte, off int64) error {
	h, err := s.handles.acquire(p)
	if err != nil {
		return err
	}
	defer s.handles.release(h)
	_, err = h.f.ReadAt(b, off)
	return err
}
