package chunkstore

import (
	"container/list"
	"errors"
	"fmt"
	"io"
	"sync"

	"ingot/imaging"
)

const (
	diskCache   = 16 << 20 // bytes of plain chunks that a Disk keeps
	diskWindows = 24       // windows of the manifest that it keeps: 4.5 MiB
)

// Disk reads the disk of a manifest as if it lay there, for looking into an image: io.ReaderAt over manifest and
// chunks, with a bounded cache. Free extents read as zeros; so does the place of the second GPT, which no image
// holds. Every chunk is proven by its digest as it is read. It serves many goroutines.
type Disk struct {
	s *Store
	m *imaging.Manifest

	mu    sync.Mutex
	plain map[imaging.Digest]*list.Element
	order *list.List // of held; most recently used first
	bytes int
}

type held struct {
	d imaging.Digest
	b []byte
}

// OpenDisk opens the disk of a manifest of the store. The caller closes it.
func (s *Store) OpenDisk(d imaging.Digest) (*Disk, error) {
	m, err := s.OpenManifest(d)
	if err != nil {
		return nil, fmt.Errorf("open disk: %w", err)
	}
	m.Keep(diskWindows)
	return &Disk{s: s, m: m, plain: map[imaging.Digest]*list.Element{}, order: list.New()}, nil
}

// Close closes the manifest.
func (d *Disk) Close() error { return d.m.Close() }

// Size is the disk's size in bytes.
func (d *Disk) Size() int64 { return int64(d.m.Header().DiskSize) }

// Header is the manifest's.
func (d *Disk) Header() imaging.Header { return d.m.Header() }

// ReadAt implements io.ReaderAt.
func (d *Disk) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read disk at a negative offset")
	}
	done := 0
	for done < len(b) {
		e, err := d.extent(off + int64(done))
		if err != nil {
			return done, err
		}
		in := uint64(off) + uint64(done) - e.Offset
		n := int(min(uint64(len(b)-done), e.Length-in))
		if e.Kind != imaging.Data {
			clear(b[done : done+n])
		} else if err := d.copyChunk(b[done:done+n], e, in); err != nil {
			return done, fmt.Errorf("read disk at %d: %w", off+int64(done), err)
		}
		done += n
	}
	return done, nil
}

// extent finds the extent that holds a byte of the disk, io.EOF behind its end.
func (d *Disk) extent(off int64) (imaging.Extent, error) {
	if off >= d.Size() {
		return imaging.Extent{}, io.EOF
	}
	n, err := d.m.Find(uint64(off))
	if err != nil {
		return imaging.Extent{}, err
	}
	var one [1]imaging.Extent
	_, err = d.m.Extents(n, one[:])
	return one[0], err
}

// copyChunk copies from the plain bytes of an extent's chunk.
func (d *Disk) copyChunk(to []byte, e imaging.Extent, in uint64) error {
	b, err := d.chunk(e.Digest)
	if err != nil {
		return err
	}
	if uint64(len(b)) != e.Length {
		return fmt.Errorf("chunk %s has %d bytes, its extent %d", e.Digest.Short(), len(b), e.Length)
	}
	copy(to, b[in:])
	return nil
}

// chunk gives the plain bytes of a chunk, from memory where they are held. They must not be changed.
func (d *Disk) chunk(sum imaging.Digest) ([]byte, error) {
	d.mu.Lock()
	if x, ok := d.plain[sum]; ok {
		d.order.MoveToFront(x)
		d.mu.Unlock()
		return x.Value.(held).b, nil
	}
	d.mu.Unlock()
	b, err := d.s.ReadChunk(sum)
	if err != nil {
		return nil, err
	}
	d.hold(sum, b)
	return b, nil
}

func (d *Disk) hold(sum imaging.Digest, b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.plain[sum]; ok {
		return // another goroutine read it meanwhile
	}
	d.plain[sum] = d.order.PushFront(held{sum, b})
	for d.bytes += len(b); d.bytes > diskCache && d.order.Len() > 1; {
		last := d.order.Back()
		old := d.order.Remove(last).(held)
		delete(d.plain, old.d)
		d.bytes -= len(old.b)
	}
}

// Equal compares without reading: it reports for how many bytes, from off on and from otherOff on in the other disk,
// the two manifests call for the same bytes, at most limit. 0 says nothing: the bytes may be equal all the same.
func (d *Disk) Equal(off int64, other *Disk, otherOff, limit int64) (int64, error) {
	a, err := d.extent(off)
	if err != nil {
		return 0, err
	}
	b, err := other.extent(otherOff)
	if err != nil {
		return 0, err
	}
	inA, inB := uint64(off)-a.Offset, uint64(otherOff)-b.Offset
	same := a.Kind != imaging.Data && b.Kind != imaging.Data || a.Kind == b.Kind && a.Digest == b.Digest && inA == inB
	if !same {
		return 0, nil
	}
	return min(limit, int64(a.Length-inA), int64(b.Length-inB)), nil
}
