package deploy

import (
	"sync"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// recent remembers which jobs ended within store.BoardSpan, so that the board need not read every job there ever was. It
// is a cache: what stands in it is looked up again in the records.
type recent struct {
	once  sync.Once
	mu    sync.Mutex
	ended []endedJob
}

type endedJob struct {
	id job.ID
	at time.Time
}

// add notes a job that ends. Whether its end was kept, the records tell.
func (r *recent) add(id job.ID, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, endedJob{id, at})
}

// since gives the jobs that ended after a time and forgets the others.
func (r *recent) since(t time.Time) []job.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.ended[:0]
	var ids []job.ID
	seen := map[job.ID]bool{}
	for _, e := range r.ended {
		if e.at.Before(t) || seen[e.id] {
			continue
		}
		seen[e.id] = true
		kept, ids = append(kept, e), append(ids, e.id)
	}
	r.ended = kept
	return ids
}

// recentEnds gives the jobs of the last hours. The records are read through once, when it is first asked.
func (s *Service) recentEnds() []job.ID {
	from := s.now().Add(-store.BoardSpan)
	s.recent.once.Do(func() {
		err := s.db.View(func(tx *store.Tx) error {
			all, err := tx.Jobs()
			for _, j := range all {
				if j.State.Final() && j.Ended.After(from) {
					s.recent.add(j.ID, j.Ended)
				}
			}
			return err
		})
		if err != nil {
			s.log.Error().Err(err).Msg("the jobs of the last hours could not be read")
		}
	})
	return s.recent.since(from)
}
