package push

import (
	"errors"
	"time"

	"ingot/store"
)

// readOn makes items of the events that targets have not read, and gives the targets that are not stopped.
func (p *Pusher) readOn() (live []store.PushTarget, err error) {
	behind, err := p.behind(&live)
	for err == nil && len(behind) > 0 {
		var again []store.PushTarget
		err = p.DB.Update(func(tx *store.Tx) error {
			again = nil
			for _, t := range behind {
				more, err := p.readOnFor(tx, t)
				if err != nil {
					return err
				}
				if more {
					again = append(again, t)
				}
			}
			return nil
		})
		p.mu.Lock()
		for _, t := range behind {
			p.lineOf(t.Name).next = time.Time{}
		}
		p.mu.Unlock()
		behind = again
	}
	return live, err
}

// behind lists the targets for which there is something to read, and all that are not stopped.
func (p *Pusher) behind(live *[]store.PushTarget) (out []store.PushTarget, err error) {
	err = p.DB.View(func(tx *store.Tx) error {
		head, _, err := tx.AuditHead()
		if err != nil {
			return err
		}
		all, err := tx.PushTargets()
		if err != nil {
			return err
		}
		for _, t := range all {
			s, err := tx.PushStand(t.Name)
			if err != nil {
				return err
			}
			if s.Stopped != nil {
				continue
			}
			*live = append(*live, t)
			room := t.Kind != store.PushHook || tx.Waiting(t.Name) <= store.MaxOutbox*3/4 // else a transaction would be made for a few
			if s.Read < head.Number && room || roundDue(t, s, tx.Now()) {
				out = append(out, t)
			}
		}
		return nil
	})
	return out, err
}

// roundDue reports whether it is time to compare every device with a register.
func roundDue(t store.PushTarget, s store.PushStand, now time.Time) bool {
	if t.Kind != store.PushSnipe || t.Snipe == nil {
		return false
	}
	hours := t.Snipe.Hours
	if hours == 0 {
		hours = 24
	}
	return now.Sub(s.Round) >= time.Duration(hours)*time.Hour
}

func (p *Pusher) readOnFor(tx *store.Tx, t store.PushTarget) (more bool, err error) {
	if _, err := tx.PushTarget(t.Name); errors.Is(err, store.ErrNotFound) {
		return false, nil // removed since
	}
	if t.Kind == store.PushHook {
		return tx.ReadOn(t.Name, func(e store.Event) (store.OutItem, bool, error) { return messageOf(tx, t, e) })
	}
	s, err := tx.PushStand(t.Name)
	if err == nil && roundDue(t, s, tx.Now()) {
		err = tx.PushAll(t.Name)
	}
	if err != nil {
		return false, err
	}
	return tx.ReadOn(t.Name, func(e store.Event) (store.OutItem, bool, error) { return deviceOf(tx, t, e) })
}

// deviceOf is the item that an event becomes for a register: the device that it is about. What was taken over from that
// register is no news to it.
func deviceOf(tx *store.Tx, t store.PushTarget, e store.Event) (store.OutItem, bool, error) {
	d, err := tx.Device(e.Subject)
	if errors.Is(err, store.ErrNotFound) {
		return store.OutItem{}, false, nil
	}
	return store.OutItem{Key: d.ID, Label: d.Label()}, err == nil && d.Pushed() && e.Operator != registerName(t.Name), err
}

// registerName is the operator in the audit chain of what was taken over from a register.
func registerName(target string) string { return "register " + target }
