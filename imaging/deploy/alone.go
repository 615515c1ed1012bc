package deploy

import (
	"errors"
	"fmt"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// A new laptop that nobody approves goes back to its own disk and is left alone until it is switched off. All that
// the network shows of that is silence: a machine that restarts asks again within minutes, and each such question
// is refused and counts from then on; one that was silent for longer than any restart takes has been off. Opening
// the bench ends it at once, and so does time.
const (
	aloneFor   = 24 * time.Hour   // at most, whatever the machine does
	askedAgain = 10 * time.Second // how often a refused question is made durable
)

// leftAlone reports whether a machine is still the one that was sent away, and not switched off since. A clock that
// was set back does not prolong it.
func (s *Service) leftAlone(g store.Guard, now time.Time) bool {
	quiet, since := now.Sub(g.Asked), now.Sub(g.Unapproved)
	return !g.Unapproved.IsZero() && quiet < s.cfg.RestartWithin && quiet > -s.cfg.RestartWithin && since < aloneFor
}

// stillThere counts a refused question.
func (s *Service) stillThere(machine string) error {
	return s.db.Update(func(tx *store.Tx) error {
		g, err := tx.Guard(machine)
		if err != nil || !s.leftAlone(g, tx.Now()) {
			return err
		}
		g.Asked = tx.Now()
		return tx.PutGuard(g)
	})
}

// leaveAlone sends a laptop away that nobody approved.
func (s *Service) leaveAlone(tx *store.Tx, a *store.Agent) error {
	own, err := letGo(tx, a, func(g *store.Guard) { g.Unapproved, g.Asked = tx.Now(), tx.Now() })
	if err != nil || !own {
		return err
	}
	text := fmt.Sprintf("%s It goes to its own disk and is left alone until it has been off for %s.", job.CodeNotApproved.Words().Sentence, s.cfg.RestartWithin)
	return tx.AddBootEvents([]store.BootEvent{{Time: tx.Now(), MAC: fold(a.MAC), UUID: a.Hello.Facts.UUID, Leg: "refuse", Text: text}})
}

// letGo sends an agent away and changes the guard of its machine: one that the wire can tell from others. A dongle is in
// another laptop a minute later, so nothing is held against it, and own is false.
func letGo(tx *store.Tx, a *store.Agent, change func(*store.Guard)) (own bool, err error) {
	if a.Released {
		return false, nil
	}
	a.Released, a.Code = true, ""
	t, err := tx.Token(a.Token)
	if errors.Is(err, store.ErrNotFound) {
		return false, tx.PutAgent(*a)
	}
	if err != nil {
		return false, err
	}
	if own, err = ownMachine(tx, t, a.Device); err != nil || !own {
		return false, errors.Join(err, tx.PutAgent(*a))
	}
	g, err := tx.Guard(t.Machine)
	if err != nil {
		return false, err
	}
	change(&g)
	return true, errors.Join(tx.PutGuard(g), tx.PutAgent(*a))
}
