package deploy

import (
	"context"
	"errors"

	"ingot/imaging/job"
	"ingot/store"
)

// Settle ends a quarantine by a person's word: this record is a laptop of its own. A record that two live
// laptops shared becomes what it was last known to hold; one that clashed with another device's identity
// becomes new, and is known from now on by its serial and UUID together, for one of them belongs to the other.
func (s *Service) Settle(ctx context.Context, operator, ref string) (store.DeviceView, error) {
	id, err := s.once(ctx, operator, "settle", ref, func(tx *store.Tx) (string, error) {
		d, err := tx.FindDevice(ref)
		if err == nil {
			err = fresh(ctx, tx, d)
		}
		if err != nil {
			return "", err
		}
		if d.State != store.Quarantined {
			return "", job.Faultf(job.CodeState, "%s is %s, not quarantined.", d.Label(), d.State)
		}
		to, err := settledState(tx, d)
		if err != nil {
			return "", err
		}
		if err := settleKeys(tx, &d); err != nil {
			return "", err
		}
		if err := d.Become(to, tx.Now()); err != nil {
			return "", err
		}
		d.Conflict = ""
		return d.ID, errors.Join(tx.PutDevice(d), tx.Audit(operator, "settle", d.ID, d.Label()+" is a laptop of its own and is "+string(to)+"."))
	})
	if err != nil {
		return store.DeviceView{}, err
	}
	return s.Device(ctx, id)
}

// settledState is what a quarantined device was last known to be. One that holds somebody's data is in use, so that
// it is imaged again only with its name typed; only a job that began to write and did not end well makes it failed.
func settledState(tx *store.Tx, d store.Device) (store.DeviceState, error) {
	if j, busy, err := tx.ActiveJob(d.ID); err != nil {
		return "", err
	} else if busy && j.Kind.Started(j.Reached) {
		return "", job.Faultf(job.CodeBusy, "Job %s of %s is %s: stop it, or let it end.", j.ID, d.Label(), j.State)
	}
	last, err := lastWriter(tx, d)
	switch {
	case err != nil:
		return "", err
	case last.ID != "" && last.State != job.Done:
		return store.Failed, nil
	case d.Deployment != "":
		return store.Deployed, nil
	case d.Name != "":
		return store.Ready, nil
	}
	return store.New, nil
}

// lastWriter is the newest job of a device that began to write; the zero Job when none did.
func lastWriter(tx *store.Tx, d store.Device) (last store.Job, err error) {
	jobs, err := tx.Jobs()
	for _, j := range jobs {
		wrote := j.Kind.Started(j.Reached) || j.Result != nil && j.Result.DiskTouched
		if j.Kind == job.Deploy && j.Device == d.ID && wrote && j.Created.After(last.Created) {
			last = j
		}
	}
	return last, err
}

// settleKeys takes away the keys that belong to another device. What is left does not find this laptop, which tells
// both, so the pair is kept.
func settleKeys(tx *store.Tx, d *store.Device) error {
	pair := store.Pair{SerialKey: d.SerialKey, UUIDKey: d.UUIDKey}
	bySerial, err := optional(tx.DeviceBySerial(d.SerialKey))
	if err != nil {
		return err
	}
	byUUID, err := optional(tx.DeviceByUUID(d.UUIDKey))
	if err != nil {
		return err
	}
	if bySerial != nil && bySerial.ID != d.ID {
		d.SerialKey, d.Settled = "", &pair
	}
	if byUUID != nil && byUUID.ID != d.ID {
		d.UUIDKey, d.Settled = "", &pair
	}
	return nil
}
