package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// SetDevice corrects what persons keep on a device: serial, asset tag, owner, note. The old entry stays on the device
// and in the audit trail; to replace one, a reason is needed.
func (s *Service) SetDevice(ctx context.Context, operator, ref string, c store.Correction) (store.DeviceView, error) {
	id, err := s.once(ctx, operator, "set", []any{ref, c}, func(tx *store.Tx) (string, error) {
		d, err := s.find(tx, ref)
		if err == nil {
			err = fresh(ctx, tx, d)
		}
		if err != nil {
			return "", err
		}
		if c.Reason = strings.TrimSpace(c.Reason); c.Reason != "" {
			if err := fitEntry("reason", c.Reason, maxNote); err != nil {
				return "", err
			}
		}
		return d.ID, correct(tx, operator, d, c)
	})
	if err != nil {
		return store.DeviceView{}, err
	}
	return s.Device(ctx, id)
}

func correct(tx *store.Tx, operator string, d store.Device, c store.Correction) error {
	if c.Serial == nil && c.Asset == nil && c.Owner == nil && c.Note == nil {
		return job.Faultf(job.CodeBadRequest, "Say what to set: serial, asset, owner or note.")
	}
	before := len(d.History)
	for _, e := range []struct {
		what  string
		field *string
		to    *string
		most  int
	}{{"asset tag", &d.Asset, c.Asset, maxEntry}, {"owner", &d.Owner, c.Owner, maxEntry}, {"note", &d.Note, c.Note, maxNote}} {
		if e.to == nil {
			continue
		}
		to := strings.TrimSpace(*e.to)
		if err := fitEntry(e.what, to, e.most); err != nil {
			return err
		}
		if err := replace(tx, operator, &d, e.what, *e.field, to, c.Reason); err != nil {
			return err
		}
		*e.field = to
	}
	if c.Serial != nil {
		if err := correctSerial(tx, operator, &d, strings.TrimSpace(*c.Serial), c.Reason); err != nil {
			return err
		}
	}
	if c.Asset != nil {
		if err := assetIsFree(tx, d); err != nil {
			return err
		}
	}
	if len(d.History) == before {
		return nil // everything is so already
	}
	return tx.PutDevice(d)
}

// replace writes a change down, on the device and in the audit trail. What is equal is no change.
func replace(tx *store.Tx, operator string, d *store.Device, what, old, to, why string) error {
	if old == to {
		return nil
	}
	if old != "" && why == "" {
		return job.Faultf(job.CodeBadRequest, "The %s is %q: say why it is replaced.", what, old)
	}
	d.Remember(store.Change{Time: tx.Now(), By: operator, What: what, Old: old, New: to, Why: why})
	text := fmt.Sprintf("The %s of %s is %q now, before %q.", what, d.Label(), to, old)
	if why != "" {
		text += " Because: " + why
	}
	return tx.Audit(operator, "set", d.ID, text)
}

// correctSerial changes the serial for people, names and records. By what the firmware tells the laptop is known all
// the same, except for one that only a list promised: its first Hello is found by this serial.
func correctSerial(tx *store.Tx, operator string, d *store.Device, to, why string) error {
	if err := fitSerial(to); err != nil {
		return err
	}
	other, err := withSerial(tx, *d, to)
	if err != nil {
		return err
	}
	if other != nil {
		return job.Faultf(job.CodeTaken, "%s has the serial %s.", other.Label(), to)
	}
	if err := replace(tx, operator, d, "serial", d.Serial, to, why); err != nil {
		return err
	}
	d.Serial = to
	switch {
	case d.Promised():
		d.SerialKey = store.SerialKey(d.Manufacturer, to)
	case d.SerialKey != "" && strings.EqualFold(to, strings.TrimSpace(d.Told)):
		d.Sticker = ""
	default:
		d.Sticker = to
	}
	return nil
}

// assetIsFree refuses an asset tag that another device has.
func assetIsFree(tx *store.Tx, d store.Device) error {
	if d.Asset == "" {
		return nil
	}
	all, err := tx.Devices()
	for _, o := range all {
		if o.ID != d.ID && strings.EqualFold(o.Asset, d.Asset) {
			return errors.Join(err, job.Faultf(job.CodeTaken, "%s has the asset tag %s.", o.Label(), d.Asset))
		}
	}
	return err
}
