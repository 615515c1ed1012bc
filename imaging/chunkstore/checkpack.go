package chunkstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/zeebo/blake3"

	"ingot/imaging"
)

const (
	packGone = "the pack is missing"
	readStep = 4 << 20 // largest read that is paid for at once
)

// pack looks at one pack: its size, its ends, and with ReadData every byte.
func (c *checker) pack(ctx context.Context, p packState) error {
	name := filepath.Join("packs", filepath.Base(p.path))
	switch {
	case p.have < 0:
		c.whole(p.packFile, Problem{File: name, Offset: -1, What: packGone})
		return nil
	case p.have < p.size:
		c.whole(p.packFile, Problem{File: name, Offset: p.have, What: fmt.Sprintf("the pack is cut short: %d bytes of %d", p.have, p.size)})
	case p.have > p.size:
		c.whole(p.packFile, Problem{File: name, Offset: p.size, What: fmt.Sprintf("the pack has grown: %d bytes instead of %d", p.have, p.size)})
	}
	f, err := os.Open(p.path)
	if errors.Is(err, os.ErrNotExist) && c.s.isGone(p.packFile) {
		return nil // a sweep has removed it meanwhile
	}
	if err != nil {
		return err
	}
	defer f.Close()
	k := &packCheck{c: c, ctx: ctx, p: p, name: name, f: f}
	if c.o.ReadData && c.chosen(p) {
		defer c.s.flushBad()
		return k.readAll()
	}
	if _, err := imaging.CheckPackEnds(f, p.have); err != nil && p.have == p.size {
		k.problem(0, imaging.Digest{}, err)
	}
	return nil
}

func (s *Store) isGone(p *packFile) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return p.gone
}

// whole notes a problem of a pack as a whole.
func (c *checker) whole(p *packFile, pr Problem) {
	added := c.add(pr)
	c.mu.Lock()
	defer c.mu.Unlock()
	if pr.What == packGone {
		c.packs[p] = added
	} else if c.packs[p] == nil {
		c.packs[p] = added
	}
}

// packCheck reads one pack.
type packCheck struct {
	c     *checker
	ctx   context.Context
	p     packState
	name  string
	f     *os.File
	buf   []byte
	plain []byte
	found int // problems
}

// readAll reads every chunk by its head, then compares the file with its name, which covers every byte.
func (k *packCheck) readAll() error {
	err := imaging.WalkPack(k.f, k.p.have, func(at int64, h imaging.ChunkHead, damage error) error {
		if err := k.ctx.Err(); err != nil {
			return err
		}
		if damage == nil {
			return k.chunk(at, h)
		}
		if cut := at+imaging.ChunkHeadSize > k.p.have || !h.Digest.IsZero(); cut && k.p.have != k.p.size {
			return nil // the pack's end has been named as a whole
		}
		k.problem(at, h.Digest, damage)
		return nil
	})
	if err != nil && k.ctx.Err() == nil {
		k.problem(-1, imaging.Digest{}, err) // a read error of the disk below
		err = nil
	}
	if err != nil || k.found > 0 || k.p.have != k.p.size {
		return err
	}
	return k.compareName()
}

func (k *packCheck) chunk(at int64, h imaging.ChunkHead) error {
	if err := k.pay(int(h.Stored) + imaging.ChunkHeadSize); err != nil {
		return err
	}
	if cap(k.buf) < int(h.Stored) {
		k.buf = make([]byte, max(int(h.Stored), 256<<10))
	}
	frame := k.buf[:h.Stored]
	if _, err := k.f.ReadAt(frame, at+imaging.ChunkHeadSize); err != nil {
		k.problem(at, h.Digest, fmt.Errorf("it cannot be read: %w", err))
		return nil
	}
	err := h.CheckFrame(frame)
	if err == nil {
		if cap(k.plain) < int(h.Plain) {
			k.plain = make([]byte, max(int(h.Plain), 256<<10))
		}
		_, err = imaging.DecodeChunk(frame, k.plain[:0], h.Digest, int(h.Plain))
	}
	if err != nil {
		k.problem(at, h.Digest, err)
	} else {
		k.c.s.lift(place{k.p.packFile, uint32(at)})
	}
	k.c.mu.Lock()
	k.c.report.Chunks++
	k.c.report.Bytes += uint64(h.Stored)
	k.c.mu.Unlock()
	k.c.progress(uint64(h.Stored) + imaging.ChunkHeadSize)
	return nil
}

// pay waits until n more bytes may be read.
func (k *packCheck) pay(n int) error {
	if k.c.limit == nil {
		return nil
	}
	return k.c.limit.WaitN(k.ctx, min(n, readStep))
}

func (k *packCheck) compareName() error {
	h := blake3.New()
	if _, err := io.CopyBuffer(h, io.NewSectionReader(k.f, 0, k.p.have), make([]byte, 256<<10)); err != nil {
		k.problem(-1, imaging.Digest{}, fmt.Errorf("it cannot be read: %w", err))
		return nil
	}
	var got imaging.Digest
	h.Sum(got[:0])
	if got != k.p.name {
		k.c.whole(k.p.packFile, Problem{File: k.name, Offset: -1, What: fmt.Sprintf("the pack holds other bytes than its name says: digest %s", got.Short())})
	}
	return nil
}

// problem notes damage at a place, and no longer counts on what lies there.
func (k *packCheck) problem(at int64, chunk imaging.Digest, err error) {
	k.found++
	what := err.Error()
	if errors.Is(err, imaging.ErrChunk) {
		what = "its bytes do not decode to its digest"
	}
	pr := k.c.add(Problem{File: k.name, Offset: at, Chunk: chunk, What: what})
	if at < imaging.PackHeadSize {
		return // no chunk lies there
	}
	pl := place{k.p.packFile, uint32(at)}
	k.c.s.markBad(pl, chunk, errors.New(what))
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	k.c.places[pl] = pr
}
