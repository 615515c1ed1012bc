package deploy

import (
	"errors"
	"fmt"
	"time"

	"ingot/store"
)

// ClockSet tells that the server's clock was set: from is what it would show by the time that passed, to what it
// shows. Everything that is counted in minutes and hours goes on as if it had not been: an open bench stays open for
// the rest of its hours, and a running job is as young as before. The audit trail says so; the times in it, and the
// end of a call-home secret, are the wall clock's. set moves the clock that Config.Now and the database read, and is
// called within the transaction, so that nothing is decided with the one time against records of the other; it is
// called again with the opposite when the transaction failed, and nothing has changed then.
func (s *Service) ClockSet(from, to time.Time, set func(time.Duration)) error {
	by := to.Sub(from)
	moved := false
	err := s.update(func(tx *store.Tx) error {
		text := fmt.Sprintf("The clock jumped from %s to %s. Open windows and running jobs go on as if it had not.", stamp(from), stamp(to))
		if err := errors.Join(tx.ShiftClock(by), tx.Audit("ingot", "clock", "server", text)); err != nil {
			return err
		}
		s.shift(by, set)
		moved = true
		return nil
	})
	if err != nil && moved {
		s.shift(-by, set)
	}
	return err
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// shift moves the clock with what is remembered in memory.
func (s *Service) shift(by time.Duration, set func(time.Duration)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set(by)
	s.started = s.started.Add(by)
	for k, t := range s.heard {
		s.heard[k] = t.Add(by)
	}
	for k, t := range s.kept {
		s.kept[k] = t.Add(by)
	}
	for _, guesses := range s.guesses {
		for i := range guesses {
			guesses[i] = guesses[i].Add(by)
		}
	}
}

// AdvertiseAt says where deployed systems call home from now on: https://HOST:PORT.
func (s *Service) AdvertiseAt(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agentURL = url
}

func (s *Service) advertised() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.agentURL
}

// Unfinished counts the jobs that a laptop has begun and the orders that wait for theirs.
func (s *Service) Unfinished() (running, waiting int, err error) {
	err = s.db.View(func(tx *store.Tx) error {
		jobs, err := tx.ActiveJobs()
		for _, j := range jobs {
			if j.AgentKey != "" {
				running++
			} else {
				waiting++
			}
		}
		return err
	})
	return running, waiting, err
}

// Note records what the daemon itself has to tell: how it started, that its disk was full.
func (s *Service) Note(act, text string) error {
	return s.update(func(tx *store.Tx) error { return tx.Audit("ingot", act, "server", text) })
}
