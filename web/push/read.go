package push

import (
	"errors"
	"slices"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// readOn makes items of the events that targets have not read, and gives the targets that are not stopped. Each target
// has transactions of its own: what cannot be read for one is told in its stand, and keeps no other back.
func (p *Pusher) readOn() (live []store.PushTarget) {
	live, behind, err := p.behind()
	if err != nil {
		p.complain(err)
	}
	for len(behind) > 0 {
		behind = slices.DeleteFunc(behind, func(t store.PushTarget) bool { return !p.readSome(t) })
	}
	return live
}

// behind lists the targets that are not stopped, and of these the ones for which there is something to read. One that
// cannot be read itself is left out.
func (p *Pusher) behind() (live, behind []store.PushTarget, err error) {
	err = p.DB.View(func(tx *store.Tx) error {
		head, _, err := tx.AuditHead()
		for _, name := range tx.PushNames() {
			t, e := tx.PushTarget(name)
			if e != nil {
				err = errors.Join(err, e)
				continue
			}
			s, e := tx.PushStand(name)
			if e != nil || s.Stopped != nil {
				err = errors.Join(err, e)
				continue
			}
			live = append(live, t)
			room := t.Kind != store.PushHook || tx.Waiting(t.Name) <= store.MaxOutbox*3/4 // else a transaction would be made for a few
			if s.Read < head.Number && room || roundDue(t, s, tx.Now()) {
				behind = append(behind, t)
			}
		}
		return err
	})
	return live, behind, err
}

// readSome reads the chain on for one target; more reports that there may be others behind those.
func (p *Pusher) readSome(t store.PushTarget) (more bool) {
	p.mu.Lock()
	later := time.Now().Before(p.lineOf(t.Name).reread)
	p.mu.Unlock()
	if later {
		return false
	}
	err := p.DB.Update(func(tx *store.Tx) (err error) {
		if more, err = p.readOnFor(tx, t); err != nil {
			return err
		}
		return tx.PushBroken(t.Name, nil)
	})
	p.mu.Lock()
	l := p.lineOf(t.Name)
	l.next = time.Time{}
	if err == nil {
		l.broken = ""
		p.mu.Unlock()
		return more
	}
	f := store.Unreadable(err)
	l.reread = time.Now().Add(p.First)
	told := l.broken == f.Error()
	p.mu.Unlock()
	if !told {
		p.tellBroken(t.Name, f, err)
	}
	return false
}

// tellBroken puts what cannot be read into the stand of a target, once.
func (p *Pusher) tellBroken(target string, f *job.Fault, why error) {
	p.Log.Error().Err(why).Str("target", target).Msg("what is to be told cannot be read")
	if err := p.DB.Update(func(tx *store.Tx) error { return tx.PushBroken(target, f) }); err != nil {
		p.complain(err)
		return
	}
	p.mu.Lock()
	p.lineOf(target).broken = f.Error()
	p.mu.Unlock()
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
