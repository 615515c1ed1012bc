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

// benchClosed is the reason that an operator can end at once.
const benchClosed = "The bench is closed."

// Decide says whether a machine may boot our agent. A known device is recognised by a believable UUID only: a
// MAC may be a shared dongle.
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
		d, err := optional(tx.DeviceByUUID(uuidKey(m.UUID)))
		if err != nil {
			return err
		}
		var busy bool
		if d != nil {
			if _, busy, err = tx.ActiveJob(d.ID); err != nil {
				return err
			}
		}
		a = admitBoot(d, busy, bench.Open(tx.Now()), tx.Now().Before(guard.RefusedUntil))
		if a.Boot && !busy && s.leftAlone(guard, tx.Now()) {
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

// admitBoot is the table behind Decide.
func admitBoot(d *store.Device, hasJob, bench, refused bool) Answer {
	switch {
	case d != nil && d.State == store.Lost:
		return Answer{true, d.Label() + " was reported lost."}
	case hasJob:
		return Answer{true, d.Label() + " has a job."}
	case refused:
		return Answer{false, "It had nothing to do a moment ago and is left to its own disk."}
	case d != nil && d.State != store.New && d.State != store.Ready && d.State != store.Failed && d.State != store.Quarantined:
		return Answer{false, d.Label() + " is " + string(d.State) + " and has no job."}
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
