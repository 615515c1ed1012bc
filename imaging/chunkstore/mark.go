package chunkstore

import (
	"context"
	"errors"
	"fmt"

	"ingot/imaging"
	"ingot/imaging/job"
)

// marks say which entries of the index are needed: one bit for each entry of the runs as they were when the sweep
// began. Ten million chunks take 1.3 MB. The runs are opened anew, so that a merge beside the sweep disturbs nothing.
type marks struct {
	s       *Store
	runs    []*run
	bits    [][]uint64
	lost    map[*packFile]bool // packs that hold the only copy of a needed chunk, and it cannot be used
	missing uint64             // needed chunks of which there is no copy that can be used
	live    uint64             // needed chunks
	buf     []byte
}

// newMarks takes the index as it is.
func (s *Store) newMarks() (*marks, error) {
	s.mergeMu.Lock()
	defer s.mergeMu.Unlock()
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := &marks{s: s, lost: map[*packFile]bool{}, buf: make([]byte, 2*perBucket*entrySize)}
	for _, r := range s.runs {
		own, _, err := openRun(r.path)
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		own.packs = r.packs
		m.runs = append(m.runs, own)
		m.bits = append(m.bits, make([]uint64, (own.count+63)/64))
	}
	return m, nil
}

func (m *marks) close() error {
	var errs []error
	for _, r := range m.runs {
		errs = append(errs, r.f.Close())
	}
	return errors.Join(errs...)
}

func (m *marks) has(run int, at uint64) bool { return m.bits[run][at/64]&(1<<(at%64)) != 0 }

func (m *marks) set(run int, at uint64) {
	if !m.has(run, at) {
		m.bits[run][at/64] |= 1 << (at % 64)
		m.live++
	}
}

// manifest marks what one manifest needs. One that cannot be read whole ends the sweep: nobody knows what it needs.
func (m *marks) manifest(ctx context.Context, d imaging.Digest, name string) error {
	f, err := m.s.openManifest(d)
	if err == nil {
		defer f.Close()
		err = f.Verify()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", job.Faultf(job.CodeSweep, "The list of contents of %s is missing or damaged.", name), err)
	}
	for e, err := range f.All() {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && e.Kind == imaging.Data {
			err = m.extent(e.Extent)
		}
		if err != nil {
			return fmt.Errorf("mark manifest %s: %w", d.Short(), err)
		}
	}
	return nil
}

// spot is one entry of the index.
type spot struct {
	run  int
	at   uint64
	pack *packFile
}

// extent marks the first copy of a chunk that can be used. Where there is none, every copy stays: it may be healed.
func (m *marks) extent(e imaging.Extent) error {
	m.s.mu.RLock()
	defer m.s.mu.RUnlock()
	var spare []spot
	for i, r := range m.runs {
		good, err := r.findAt(e.Digest, m.buf, func(at uint64, en entry) bool {
			l := location{r.packs[en.pack], en}
			switch {
			case uint64(l.plain) != e.Length:
				return false
			case m.s.usable(l):
				m.set(i, at)
				return true
			}
			spare = append(spare, spot{i, at, l.pack})
			return false
		})
		if err != nil || good {
			return err
		}
	}
	m.missing++
	for _, sp := range spare {
		m.set(sp.run, sp.at)
		m.lost[sp.pack] = true
	}
	return nil
}

// elsewhere gives the marked copy of a chunk, if there is one.
func (m *marks) elsewhere(d imaging.Digest) (l location, marked bool, err error) {
	for i, r := range m.runs {
		marked, err := r.findAt(d, m.buf, func(at uint64, en entry) bool {
			l = location{r.packs[en.pack], en}
			return m.has(i, at)
		})
		if err != nil || marked {
			return l, marked, err
		}
	}
	return l, false, nil
}

// each calls fn for every entry of the runs, in the order of each run.
func (m *marks) each(ctx context.Context, fn func(l location, marked bool)) error {
	for i, r := range m.runs {
		c := &cursor{r: r}
		err := c.next()
		for at := uint64(0); err == nil && !c.ended; at++ {
			if int(c.entry.pack) >= len(r.packs) {
				return fmt.Errorf("%w: %s: pack %d", errIndex, r.path, c.entry.pack)
			}
			fn(location{r.packs[c.entry.pack], c.entry}, m.has(i, at))
			if at%4096 == 0 {
				err = ctx.Err()
			}
			if err == nil {
				err = c.next()
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// usage is how well one pack is used.
type usage struct {
	pack       *packFile
	have       int64 // -1 when it is missing
	bad        bool  // it holds damaged places
	chunks     int
	live       int
	total      int64 // bytes of its chunks
	liveBytes  int64
	deadChunks int
}

// usage counts what is needed of each pack. What somebody has pinned is needed.
func (m *marks) usage(ctx context.Context) ([]*usage, error) {
	of := map[*packFile]*usage{}
	var order []*usage
	m.s.mu.RLock()
	for _, r := range m.runs {
		for _, p := range r.packs {
			if of[p] == nil {
				of[p] = &usage{pack: p, have: p.have, bad: p.bad > 0 || p.distrusted || p.have >= 0 && p.have != p.size}
				order = append(order, of[p])
			}
		}
	}
	m.s.mu.RUnlock()
	sets := m.s.keep.pins()
	err := m.each(ctx, func(l location, marked bool) {
		u, n := of[l.pack], imaging.ChunkHeadSize+int64(l.stored)
		u.chunks++
		u.total += n
		if marked || pinned(sets, l.digest) {
			u.live++
			u.liveBytes += n
		} else {
			u.deadChunks++
		}
	})
	return order, err
}
