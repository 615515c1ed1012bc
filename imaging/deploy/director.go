package deploy

import (
	"context"
	"errors"
	"fmt"

	"ingot/imaging/job"
	"ingot/store"
)

// Machine is a client on the wire before we know it.
type Machine struct {
	MAC  string
	UUID string // canonical text of option 97, or empty
}

// Answer says whether a machine may boot our agent.
type Answer struct {
	Boot bool
	Why  string // one sentence for the boot log
}

// machineKey is under what a machine on the wire is remembered before it says Hello.
func machineKey(mac, uuid string) string {
	if k := store.UUIDKey(uuid); k != "" {
		return "uuid " + k
	}
	return "mac " + fold(mac)
}

// ownMachine reports whether a machine on the wire is this one laptop and no other: by a believable UUID, or by the
// address of an adapter that is built into it. Behind a dongle is another laptop a minute later.
func ownMachine(tx *store.Tx, t store.BootToken, device string) (bool, error) {
	if store.UUIDKey(t.UUID) != "" {
		return true, nil
	}
	d, err := optional(tx.DeviceBy(store.Fact{Kind: store.FactMAC, Value: fold(t.MAC)}))
	return d != nil && d.ID == device, err
}

// onWire is what the records say about a machine on the wire.
type onWire struct {
	device  *store.Device // the one that it must be; nil when that cannot be told
	job     string        // label of a device with a job that it is, or may be
	lost    string        // label of a lost device likewise
	refused bool          // it had nothing to do a moment ago
}

// benchClosed is the reason that an operator can end at once.
const benchClosed = "The bench is closed."

// Decide says whether a machine may boot our agent. It is recognised by a believable UUID, else by the address of a
// built-in adapter. Behind a dongle, a machine without a believable UUID may be any laptop that was seen on it: it
// boots when one of those has a job, and its Hello tells which it is.
func (s *Service) Decide(_ context.Context, m Machine) (Answer, error) {
	var a Answer
	key, renew := machineKey(m.MAC, m.UUID), false
	err := s.db.View(func(tx *store.Tx) error {
		bench, err := tx.Bench()
		if err != nil {
			return err
		}
		guard, err := tx.Guard(key)
		if err != nil {
			return err
		}
		w, err := lookUp(tx, m)
		if err != nil {
			return err
		}
		w.refused = tx.Now().Before(guard.RefusedUntil)
		a = admitBoot(w, bench.Open(tx.Now()))
		if a.Boot && w.job == "" && s.leftAlone(guard, tx.Now()) {
			a = Answer{false, fmt.Sprintf("Nobody approved it in time. It is left alone until it has been off for %s.", s.cfg.RestartWithin)}
			renew = tx.Now().Sub(guard.Asked) > askedAgain
		}
		return nil
	})
	if err == nil && renew {
		err = s.stillThere(key)
	}
	return a, err
}

// lookUp gathers what is known of a machine.
func lookUp(tx *store.Tx, m Machine) (w onWire, err error) {
	uuid := store.UUIDKey(m.UUID)
	if w.device, err = optional(tx.DeviceBy(store.Fact{Kind: store.FactUUID, Value: uuid})); err != nil {
		return w, err
	}
	if w.device == nil {
		d, err := optional(tx.DeviceBy(store.Fact{Kind: store.FactMAC, Value: fold(m.MAC)}))
		if err != nil {
			return w, err
		}
		if d != nil && (uuid == "" || d.UUIDKey == "") {
			w.device = d
		}
	}
	maybe := []store.Device{}
	switch {
	case w.device != nil:
		maybe = append(maybe, *w.device)
	case uuid == "":
		if maybe, err = seenOn(tx, m.MAC); err != nil {
			return w, err
		}
	}
	for _, d := range maybe {
		_, busy, err := tx.ActiveJob(d.ID)
		if err != nil {
			return w, err
		}
		if busy && w.job == "" {
			w.job = d.Label()
		}
		if d.State == store.Lost {
			w.lost = d.Label()
		}
	}
	return w, nil
}

// seenOn lists the devices without a believable UUID that used an address on the wire.
func seenOn(tx *store.Tx, mac string) ([]store.Device, error) {
	holders, err := tx.Holders(store.Fact{Kind: store.FactWire, Value: fold(mac)})
	var out []store.Device
	for _, id := range holders {
		d, err := tx.Device(id)
		if err != nil {
			return nil, err
		}
		if d.UUIDKey == "" {
			out = append(out, d)
		}
	}
	return out, err
}

// admitBoot is the table behind Decide.
func admitBoot(w onWire, bench bool) Answer {
	d := w.device
	switch {
	case w.lost != "" && d != nil:
		return Answer{true, w.lost + " was reported lost."}
	case w.job != "" && d != nil:
		return Answer{true, w.job + " has a job."}
	case w.job != "":
		return Answer{true, "It may be " + w.job + ", which has a job."}
	case w.lost != "":
		return Answer{true, "It may be " + w.lost + ", which was reported lost."}
	case w.refused:
		return Answer{false, "It had nothing to do a moment ago and is left to its own disk."}
	case d != nil && d.State != store.New && d.State != store.Ready && d.State != store.Failed && d.State != store.Quarantined:
		return Answer{false, d.Label() + " is " + string(d.State) + " and has no job."}
	case d != nil && d.Promised():
		return Answer{true, d.Label() + " is expected: a list named its UUID or its adapter."}
	case !bench:
		return Answer{false, benchClosed}
	case d == nil:
		return Answer{true, "An unknown machine on an open bench."}
	}
	return Answer{true, fmt.Sprintf("%s is %s, on an open bench.", d.Label(), d.State)}
}

// Token names a boot of the bundle that is served now. A repeated request of the same machine within 2 minutes gets
// the same token while no agent has used it.
func (s *Service) Token(_ context.Context, m Machine) (token string, err error) {
	err = s.db.Update(func(tx *store.Tx) error {
		bundle := "" // asked inside the transaction, so that whoever looks for uses of a bundle misses none
		if s.cfg.Boot != nil {
			bundle = s.cfg.Boot.Current()
		}
		token, err = nameBoot(tx, m, bundle)
		return err
	})
	return token, err
}

// nameBoot finds or makes the token of a machine's boot.
func nameBoot(tx *store.Tx, m Machine, bundle string) (string, error) {
	key := machineKey(m.MAC, m.UUID)
	t, err := tx.TokenOf(key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	if err == nil && t.Key == "" && t.Bundle == bundle && tx.Now().Sub(t.Issued) < tokenRepeat {
		return t.Token, nil
	}
	t = store.BootToken{Token: newID(24), Machine: key, MAC: fold(m.MAC), UUID: m.UUID, Issued: tx.Now(), Bundle: bundle}
	return t.Token, tx.PutToken(t)
}

// OpenBench lets unknown machines boot until a time; a time that is past closes the bench.
func (s *Service) OpenBench(_ context.Context, operator string, b store.Bench) (store.Bench, error) {
	b.By, b.OpenUntil = operator, b.OpenUntil.UTC()
	if b.OpenUntil.After(s.now().Add(7 * secretLife)) {
		return b, job.Faultf(job.CodeBadRequest, "A bench is open for at most 7 weeks.")
	}
	err := s.update(func(tx *store.Tx) error {
		act, text := "bench close", "Unknown machines are refused."
		var forget error
		if b.Open(tx.Now()) {
			act, text = "bench open", "Until "+b.OpenUntil.Format("2006-01-02 15:04 MST")+"."
			forget = tx.ForgetUnapproved() // somebody stands there now
		}
		return errors.Join(forget, tx.PutBench(b), tx.Audit(operator, act, "bench", text))
	})
	return b, err
}

// Bench gives the window.
func (s *Service) Bench(context.Context) (b store.Bench, err error) {
	err = s.db.View(func(tx *store.Tx) error { b, err = tx.Bench(); return err })
	return b, err
}
