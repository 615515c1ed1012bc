package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// maxWords bounds what a person may say about a device, in bytes.
const maxWords = 200

// alarmAgain is how often the start of a lost laptop is put into the audit chain.
const alarmAgain = time.Minute

// Lose reports a device as lost. From then on it gets no job, and its next start alarms. An order that waits for it is
// stopped; a laptop that is at work at this moment is not lost.
func (s *Service) Lose(ctx context.Context, operator, ref string, l store.Loss) (store.DeviceView, error) {
	if err := checkWords(&l.Tell, &l.Note); err != nil {
		return store.DeviceView{}, err
	}
	return s.actOn(ctx, operator, "lost", ref, l, func(tx *store.Tx, d store.Device) error {
		if err := s.endForLoss(tx, operator, d); err != nil {
			return err
		}
		d, err := tx.Device(d.ID) // the job's end may have changed it
		if err != nil {
			return err
		}
		l.By, l.Time, l.Was = operator, tx.Now(), d.State
		if err := d.Become(store.Lost, tx.Now()); err != nil {
			return err
		}
		d.Lost, d.Alarm = &l, time.Time{}
		return errors.Join(tx.PutDevice(d), tx.Audit(operator, "lost", d.ID, fmt.Sprintf("%s was %s and is lost. %s", d.Label(), l.Was, l.Note)))
	})
}

// endForLoss ends the device's job, unless its laptop is heard.
func (s *Service) endForLoss(tx *store.Tx, operator string, d store.Device) error {
	j, busy, err := tx.ActiveJob(d.ID)
	switch {
	case err != nil || !busy:
		return err
	case j.AgentKey == "":
		return s.end(tx, j, job.Cancelled, job.Faultf(job.CodeCancelled, "%s was reported lost by %s.", d.Label(), operator), nil)
	case s.now().Sub(s.lastHeard(j.AgentKey)) < silence:
		return job.Faultf(job.CodeBusy, "%s is at work on job %s at this moment, so it is here.", d.Label(), j.ID)
	}
	return s.end(tx, j, silentEnd(j), job.Faultf(job.CodeLost, "%s was reported lost by %s.", d.Label(), operator), nil)
}

// Return takes a device back: its owner is cleared, and nobody gets it before its drives are.
func (s *Service) Return(ctx context.Context, operator, ref string, r store.Return) (store.DeviceView, error) {
	if err := checkWords(&r.From, &r.Note); err != nil {
		return store.DeviceView{}, err
	}
	if r.From == "" {
		return store.DeviceView{}, job.Faultf(job.CodeBadRequest, "Say from whom it comes.")
	}
	return s.actOn(ctx, operator, "return", ref, r, func(tx *store.Tx, d store.Device) error {
		if j, busy, err := tx.ActiveJob(d.ID); err != nil || busy {
			return errors.Join(err, takenBy(tx, d, j))
		}
		if err := mayReturn(d, r.Found); err != nil {
			return err
		}
		r.By, r.Time, r.Was, r.Owner = operator, tx.Now(), d.State, d.Owner
		r.Empty = d.Empty()
		if err := d.Become(store.Returned, tx.Now()); err != nil {
			return err
		}
		d.Returned, d.Lost, d.Alarm, d.Owner = &r, nil, time.Time{}, ""
		return errors.Join(tx.PutDevice(d), tx.Audit(operator, "return", d.ID, fmt.Sprintf("%s was %s%s and came back from %s. %s", d.Label(), r.Was, ofOwner(r.Owner), r.From, r.Note)))
	})
}

// mayReturn holds which states end by an operator's scan: a quarantine is settled first, a wipe ends by itself.
func mayReturn(d store.Device, found bool) error {
	switch d.State {
	case store.Lost, store.Disposed:
		return nil
	case store.Deployed, store.Failed:
		if !found {
			return nil
		}
		return job.Faultf(job.CodeState, "%s is %s, not lost.", d.Label(), d.State)
	case store.Quarantined:
		return job.Faultf(job.CodeQuarantined, "%s", d.Conflict)
	}
	return job.Faultf(job.CodeState, "%s is %s: nobody has it who could bring it back.", d.Label(), d.State)
}

func ofOwner(name string) string {
	if name == "" {
		return ""
	}
	return " with " + name
}

// actOn is an act on one device that gives the device back.
func (s *Service) actOn(ctx context.Context, operator, act, ref string, body any, do func(*store.Tx, store.Device) error) (store.DeviceView, error) {
	id, err := s.once(ctx, operator, act, []any{ref, body}, func(tx *store.Tx) (string, error) {
		d, err := tx.FindDevice(ref)
		if err == nil {
			err = fresh(ctx, tx, d)
		}
		if err != nil {
			return "", err
		}
		return d.ID, do(tx, d)
	})
	if err != nil {
		return store.DeviceView{}, err
	}
	return s.Device(ctx, id)
}

// checkWords trims and bounds what a person says.
func checkWords(words ...*string) error {
	for _, w := range words {
		if *w = strings.TrimSpace(*w); len(*w) > maxWords {
			return job.Faultf(job.CodeBadRequest, "That has %d characters; at most %d are kept.", len(*w), maxWords)
		}
	}
	return nil
}

// alarm notes that a lost device has started here.
func alarm(tx *store.Tx, d *store.Device) error {
	was := d.Alarm
	d.Alarm = tx.Now()
	if gone := tx.Now().Sub(was); gone >= 0 && gone < alarmAgain {
		return nil
	}
	return tx.Audit("ingot", "alarm", d.ID, d.Label()+" was reported lost and has started here.")
}

// lostWords is what the screen of a lost laptop says.
func lostWords(d store.Device) string {
	if d.Lost == nil {
		return "This laptop was reported lost. Tell your helpdesk."
	}
	return fmt.Sprintf("This laptop was reported lost on %s. Please tell %s.", d.Lost.Time.Format("2 January 2006"), d.Lost.Whom())
}
