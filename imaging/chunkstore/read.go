package chunkstore

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"ingot/imaging"
	"ingot/imaging/job"
)

// location is one copy of a chunk in a pack.
type location struct {
	pack *packFile
	entry
}

// bucketBufs hold one bucket during a lookup.
var bucketBufs = sync.Pool{New: func() any { b := make([]byte, 2*perBucket*entrySize); return &b }}

// locate calls fn for each copy of a chunk that is not known to be damaged, until fn says that it suffices.
func (s *Store) locate(d imaging.Digest, fn func(location) (enough bool)) (found bool, err error) {
	err = s.copies(d, func(l location, usable bool) bool {
		found = found || usable
		return usable && fn(l)
	})
	return found, err
}

// copies calls fn for each copy of a chunk that the index knows, until fn says that it suffices. fn runs under
// the read lock.
func (s *Store) copies(d imaging.Digest, fn func(l location, usable bool) (enough bool)) error {
	buf := bucketBufs.Get().(*[]byte)
	defer bucketBufs.Put(buf)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, r := range s.runs {
		enough, err := r.find(d, *buf, func(e entry) bool {
			l := location{r.packs[e.pack], e}
			return fn(l, s.usable(l))
		})
		if errors.Is(err, errIndex) {
			err = fmt.Errorf("%w: %w", err, job.Faultf(job.CodeStoreDamaged, "Its index is damaged."))
		}
		if err != nil || enough {
			return err
		}
	}
	return nil
}

// usable reports whether nothing speaks against a copy. The caller holds mu.
func (s *Store) usable(l location) bool {
	_, bad := s.bad[place{l.pack, l.off}]
	return !bad && !l.pack.distrusted && l.pack.holds(l.entry)
}

// Has reports whether the store holds a chunk. One that was found damaged is not held, so that importing its image
// again mends the store; nor is one whose pack a sweep is removing.
func (s *Store) Has(d imaging.Digest) (lasting bool, err error) {
	_, err = s.locate(d, func(l location) bool { lasting = !l.pack.condemned; return lasting })
	return lasting, err
}

// Frame reads the stored frame of a chunk and checks its CRC. Where a copy is damaged it takes another; when
// none is left the error carries a job.Fault of CodeChunk. A chunk that was never stored is ErrMissing too.
func (s *Store) Frame(d imaging.Digest) ([]byte, error) {
	frame, _, err := s.frame(d)
	return frame, err
}

// frame looks again when a sweep removed a pack between its finding a copy and its reading it: the chunk has moved.
func (s *Store) frame(d imaging.Digest) (frame []byte, plain int, err error) {
	for {
		var copies []location
		if _, err := s.locate(d, func(l location) bool { copies = append(copies, l); return false }); err != nil {
			return nil, 0, err
		}
		if frame, plain, err = s.frameOf(d, copies); err == nil || !s.anyGone(copies) {
			return frame, plain, err
		}
	}
}

// anyGone reports whether a sweep has removed one of these copies.
func (s *Store) anyGone(copies []location) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.ContainsFunc(copies, func(l location) bool { return l.pack.gone })
}

func (s *Store) frameOf(d imaging.Digest, copies []location) (frame []byte, plain int, err error) {
	errs := []error{job.Faultf(job.CodeChunk, "Chunk %s.", d.Short())}
	if len(copies) == 0 {
		errs = []error{s.locked(d), errs[0], fmt.Errorf("chunk %s: %w", d, ErrMissing)}
	}
	for _, l := range copies {
		b := make([]byte, imaging.ChunkHeadSize+int(l.stored))
		err := s.readAt(l.pack, b, int64(l.off))
		if err == nil {
			err = l.check(b)
		}
		if err == nil {
			if len(errs) > 1 {
				s.flushBad()
			}
			return b[imaging.ChunkHeadSize:], int(l.plain), nil
		}
		s.markBad(place{l.pack, l.off}, d, err)
		errs = append(errs, l.wrap(err))
	}
	s.flushBad()
	return nil, 0, errors.Join(errs...)
}

func (l location) wrap(err error) error {
	return fmt.Errorf("chunk %s in pack %s at %d: %w", l.digest.Short(), l.pack.name.Short(), l.off, err)
}

// check compares what was read at a location, head and frame, with the index and with itself.
func (l location) check(b []byte) error {
	h, err := imaging.ParseChunkHead(b)
	if err != nil {
		return err
	}
	if h.Digest != l.digest || h.Stored != l.stored || h.Plain != l.plain {
		return fmt.Errorf("%w: another chunk lies there", imaging.ErrPack)
	}
	return h.CheckFrame(b[imaging.ChunkHeadSize : imaging.ChunkHeadSize+int(h.Stored)])
}

// ReadChunk reads a chunk's plain bytes and proves them by its digest.
func (s *Store) ReadChunk(d imaging.Digest) ([]byte, error) {
	frame, plain, err := s.frame(d)
	if err != nil {
		return nil, fmt.Errorf("read chunk: %w", err)
	}
	b, err := imaging.DecodeChunk(frame, nil, d, plain)
	if err != nil {
		return nil, fmt.Errorf("read chunk: %w: %w", job.Faultf(job.CodeChunk, "Chunk %s.", d.Short()), err)
	}
	return b, nil
}
