package deploy

import (
	"errors"
	"net"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// errClock marks a refusal whose reason is the server's own clock.
var errClock = errors.New("the server's clock was changed")

// clockSlack is how far the clock may be moved, by a time service for instance, before anybody is told.
const clockSlack = time.Minute

// clockMoved is by how much the wall clock was set since this Service was made, as far as the monotonic clock tells.
func (s *Service) clockMoved() time.Duration {
	now := s.now()
	return now.Round(0).Sub(s.started.Round(0)) - now.Sub(s.started)
}

// denied records a Hello that was refused: in the audit trail, and in the boot log of the machine that the token was
// made for, or else in those of the laptop's own MACs that were heard before. Beyond refusalRate there is only the log.
func (s *Service) denied(h job.Hello, f *job.Fault, cause error) error {
	if !s.refusal.AllowN(s.now(), 1) {
		return nil
	}
	e := store.BootEvent{Time: s.now().Round(0), UUID: clip(h.Facts.UUID), Leg: "denied", Text: f.Error()}
	if errors.Is(cause, errClock) || f.Code == job.CodeToken && s.clockMoved().Abs() > clockSlack {
		e.Leg = "clock"
	}
	return s.db.Update(func(tx *store.Tx) error {
		if err := tx.Audit("ingot", "refused", clip(h.Facts.Serial), "Hello refused: "+f.Error()); err != nil {
			return err
		}
		var events []store.BootEvent
		for _, mac := range deniedMACs(tx, h) {
			e.MAC = mac
			events = append(events, e)
		}
		return tx.AddBootEvents(events)
	})
}

// deniedMACs gives the MACs in whose boot logs a refused Hello belongs.
func deniedMACs(tx *store.Tx, h job.Hello) (out []string) {
	if t, err := tx.Token(h.Token); err == nil && t.MAC != "" {
		return []string{fold(t.MAC)}
	}
	for _, l := range h.Links {
		mac, err := net.ParseMAC(l.MAC)
		if err != nil || len(mac) != 6 || len(out) == 4 {
			continue
		}
		if _, err := tx.BootLogs(mac.String()); err == nil {
			out = append(out, mac.String())
		}
	}
	return out
}
