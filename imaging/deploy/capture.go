package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// Capture orders a Version of a device's drive. Nothing on the device changes, and neither does its state.
func (s *Service) Capture(ctx context.Context, operator string, o store.Capture) (store.JobView, error) {
	return s.ordered(ctx, operator, "capture", o.Device, o, func(tx *store.Tx, d store.Device) (store.Job, error) {
		return approveCapture(tx, operator, d, o)
	})
}

// approveCapture checks an order and makes its Job.
func approveCapture(tx *store.Tx, operator string, d store.Device, o store.Capture) (store.Job, error) {
	if err := capturable(d); err != nil {
		return store.Job{}, err
	}
	o, err := completed(d, o)
	if err != nil {
		return store.Job{}, err
	}
	drive, rule, err := chooseDrive(d.Drives, o.Drive, "")
	if err != nil {
		return store.Job{}, err
	}
	j := store.Job{
		ID: job.ID(newID(16)), Kind: job.Capture, Device: d.ID, Operator: operator, Capture: &o, Created: tx.Now(), Serial: d.Serial,
		Told: d.Told, UUIDKey: store.UUIDKey(d.UUID), BuiltIn: d.BuiltIn, Target: target(drive), Rule: rule,
		Image: job.ImageRef{Name: o.Image}, DiskSize: drive.SizeBytes, DeviceName: d.Name, After: o.After,
	}
	j.Enter(job.Approved, tx.Now())
	return j, errors.Join(tx.PutDevice(d), tx.PutJob(j), clearGuard(tx, d),
		tx.Audit(operator, "capture", d.ID, fmt.Sprintf("Drive %s of %s into %s, job %s.", j.Target.Serial, d.Label(), o.Image, j.ID)))
}

// capturable holds the rules about the device's state: a person has adopted it, and it is where it is known to be.
func capturable(d store.Device) error {
	switch d.State {
	case store.Ready, store.Deployed, store.Failed, store.Returned:
		return nil
	case store.Quarantined:
		return job.Faultf(job.CodeQuarantined, "%s", d.Conflict)
	case store.New:
		return job.Faultf(job.CodeState, "%s was not adopted yet.", d.Label())
	}
	return job.Faultf(job.CodeState, "%s is %s.", d.Label(), d.State)
}

// completed checks what was ordered and fills in what was left out.
func completed(d store.Device, o store.Capture) (store.Capture, error) {
	if o.Backup {
		if o.Image != "" || o.Release || o.Days < 0 || o.Days > store.MaxBackupDays {
			return o, job.Faultf(job.CodeNotCapturable, "A backup belongs to no image and is not released; it is kept for 1 to %d days.", store.MaxBackupDays)
		}
		o.Image, o.Days = backupImage(d), cmp.Or(o.Days, store.BackupDays)
	} else if o.Days != 0 {
		return o, job.Faultf(job.CodeNotCapturable, "A golden image has no date on which it goes.")
	}
	if err := store.CheckLabel("an image", o.Image); err != nil {
		return o, err
	}
	if err := store.CheckWords(o.Label, o.Note); err != nil {
		return o, err
	}
	if o.Root < 0 || o.Root > 256 || o.Grow < -1 || o.Grow > 256 {
		return o, job.Faultf(job.CodeNotCapturable, "A partition is named by its number.")
	}
	if o.After = cmp.Or(o.After, job.PowerOff); o.After != job.Reset && o.After != job.PowerOff {
		return o, job.Faultf(job.CodeNotCapturable, "After a capture a laptop does reset or poweroff, not %.20q.", string(o.After))
	}
	return o, nil
}

// backupImage is the name of the image that holds a device's backups: made of its id, which stays whatever it is called.
func backupImage(d store.Device) string { return "backup-" + d.ID }

// capturing is what the agent is told of the order.
func capturing(j store.Job) *job.Capturing {
	if j.Capture == nil {
		return nil
	}
	return &job.Capturing{RootPart: j.Capture.Root, GrowPart: j.Capture.Grow}
}

// versionOf is what is known of a capture's Version before anything has arrived.
func (s *Service) versionOf(j store.Job) store.Version {
	o := *j.Capture
	v := store.Version{Image: o.Image, Label: o.Label, Note: o.Note, By: j.Operator, Device: j.Device, Source: fmt.Sprintf("drive %s of serial %s", j.Target.Serial, j.Serial)}
	if o.Backup {
		v.Kind, v.Expires = store.Backup, s.now().UTC().Add(time.Duration(o.Days)*24*time.Hour)
	}
	return v
}

// recorded makes the Version of a capture that is here whole, and ends its job with it.
func (s *Service) recorded(tx *store.Tx, j store.Job, enter func(*store.Tx, bool) (store.Imported, error)) (store.Job, error) {
	made, err := enter(tx, j.Capture.Release)
	if err != nil {
		return j, err
	}
	j.Image, j.Known, j.Unreleased = made.Version.Ref(), made.Known, made.Unreleased
	return j, s.end(tx, j, job.Done, nil, nil)
}

// endCapture leaves the device as it is. A laptop that goes back to its own system is left to it for a while.
func (s *Service) endCapture(tx *store.Tx, j store.Job, to job.State) error {
	tx.After(func() { s.closeIntake(j.ID) }) // until the record is there, the intake keeps the content from gc
	if to != job.Done || j.After != job.Reset {
		return nil
	}
	a, err := tx.Agent(j.AgentKey)
	if err != nil {
		return err
	}
	return release(tx, &a)
}
