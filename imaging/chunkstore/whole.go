package chunkstore

import (
	"context"
	"errors"
	"fmt"

	"ingot/imaging"
	"ingot/imaging/job"
)

// verdicts remembers what Whole found, as long as nothing changes: forty laptops that are given one version at once ask
// forty times, and a walk through a large manifest takes seconds. Its zero value is ready.
type verdicts struct {
	at    uint64 // Store.changes when they were found
	found map[imaging.Digest]error
}

// maxVerdicts bounds them.
const maxVerdicts = 64

// Whole reports in words why a manifest cannot be deployed as the store is now, as far as is known without reading
// every chunk: nil where nothing speaks against it.
func (s *Store) Whole(ctx context.Context, d imaging.Digest) error {
	m, err := s.OpenManifest(d)
	if err != nil {
		return err
	}
	defer m.Close()
	suspect, at := s.suspect()
	if !suspect {
		return nil
	}
	s.wholeMu.Lock()
	defer s.wholeMu.Unlock()
	if v, known := s.verdicts.found[d]; known && s.verdicts.at == at {
		return v
	}
	verdict, err := s.walkWhole(ctx, m)
	if err != nil {
		return err
	}
	if s.verdicts.found == nil || s.verdicts.at != at || len(s.verdicts.found) >= maxVerdicts {
		s.verdicts = verdicts{at: at, found: map[imaging.Digest]error{}}
	}
	s.verdicts.found[d] = verdict
	return verdict
}

// walkWhole looks for the first chunk that the store cannot give; err is what kept it from finding out.
func (s *Store) walkWhole(ctx context.Context, m *imaging.Manifest) (verdict, err error) {
	for e, err := range m.All() {
		if err != nil {
			return fmt.Errorf("%w: %w", job.Faultf(job.CodeManifest, "Manifest %s.", m.Digest().Short()), err), nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if e.Kind != imaging.Data {
			continue
		}
		if _, err := s.copyOf(e.Extent); err != nil {
			err = fmt.Errorf("%w: %w", err, job.Faultf(job.CodeChunk, "Extent %d, chunk %s.", e.N, e.Digest.Short()))
			if errors.Is(err, ErrMissing) {
				return err, nil
			}
			return nil, err // the index could not be read this time
		}
	}
	return nil, nil
}

// suspect reports whether anything of the store is known to be damaged or missing, and the count of changes by then.
func (s *Store) suspect() (bool, uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.bad) > 0 {
		return true, s.changes
	}
	for _, p := range s.packs {
		if p.have != p.size {
			return true, s.changes
		}
	}
	return false, s.changes
}
