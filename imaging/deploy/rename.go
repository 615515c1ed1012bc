package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// Rename orders another Name for a deployed device. The Name is reserved with the order; the one before stays the
// device's until the laptop has proven that it carries the new one.
func (s *Service) Rename(ctx context.Context, operator string, o store.Rename) (store.JobView, error) {
	return s.ordered(ctx, operator, "rename", o.Device, o, func(tx *store.Tx, d store.Device) (store.Job, error) {
		return approveRename(tx, operator, d, o)
	})
}

// approveRename checks an order and makes its Job. The job says what must be found on the drive.
func approveRename(tx *store.Tx, operator string, d store.Device, o store.Rename) (store.Job, error) {
	dep, err := renamable(tx, d)
	if err != nil {
		return store.Job{}, err
	}
	put, err := tx.Job(dep.Job) // how the image was laid onto the drive
	if err != nil {
		return store.Job{}, err
	}
	if err := nextName(tx, &d, o); err != nil {
		return store.Job{}, err
	}
	name := d.NextName
	if o.Name == d.Name {
		name = d.Name // back to where an unproven rename began
	}
	j := store.Job{
		ID: job.ID(newID(16)), Kind: job.Rename, Device: d.ID, Operator: operator, Order: store.Order{Device: o.Device, Role: o.Role, Name: o.Name},
		Created: tx.Now(), Serial: d.Serial, Told: d.Told, UUIDKey: store.UUIDKey(d.UUID), BuiltIn: d.BuiltIn, Target: dep.Target, Rule: job.DriveNamed, Image: dep.Image, DiskSize: put.DiskSize, Table: put.Table,
		DeviceName: name, Former: d.Name, Personalise: true, RootPart: put.RootPart, Grow: put.Grow, After: job.Reset, Deployment: dep.ID,
	}
	if seen := dep.Seen(); seen != nil {
		j.MachineID = seen.MachineID
	}
	j.Enter(job.Approved, tx.Now())
	return j, errors.Join(tx.PutDevice(d), tx.PutJob(j), clearGuard(tx, d),
		tx.Audit(operator, "rename", d.ID, fmt.Sprintf("%s becomes %s, job %s.", d.Name, name, j.ID)))
}

// renamable says whether Ingot knows a system on the device whose name it can change.
func renamable(tx *store.Tx, d store.Device) (store.Deployment, error) {
	switch {
	case d.State == store.Quarantined:
		return store.Deployment{}, job.Faultf(job.CodeQuarantined, "%s", d.Conflict)
	case d.State != store.Deployed:
		return store.Deployment{}, job.Faultf(job.CodeState, "%s is %s: only a deployed device is renamed.", d.Label(), d.State)
	}
	dep, err := tx.Deployment(d.Deployment)
	if err == nil && !dep.NameWritten {
		err = job.Faultf(job.CodeState, "The name of %s was reserved and not written: Ingot does not write into its system.", d.Label())
	}
	return dep, err
}

// nextName reserves the Name that the order gives. While it is not known under which of two names a device runs, no
// third one is given.
func nextName(tx *store.Tx, d *store.Device, o store.Rename) error {
	switch {
	case (o.Name == "") == (o.Role == ""):
		return job.Faultf(job.CodeBadRequest, "Give either a name or a role with a pattern.")
	case d.NextName != "" && o.Name != d.NextName && o.Name != d.Name:
		return job.Faultf(job.CodeState, "%s may run as %s, since a rename was not proven. Rename it to one of the two first.", d.Name, d.NextName)
	case o.Name == d.Name && d.NextName == "":
		return job.Faultf(job.CodeState, "%s is its name already.", d.Name)
	case o.Name == d.Name:
		return nil
	case o.Name != "":
		return tx.ReserveNext(d, o.Name)
	}
	r, err := tx.Role(o.Role)
	if err != nil {
		return err
	}
	if r.Pattern == "" {
		return job.Faultf(job.CodeNameInvalid, "The role %s has no pattern of names.", r.Name)
	}
	p, err := store.ParsePattern(r.Pattern)
	if err != nil {
		return err
	}
	if err := tx.ReserveNextPattern(d, p); err != nil {
		return err
	}
	if d.NextName == d.Name {
		return job.Faultf(job.CodeState, "%s is its name already.", d.Name)
	}
	return nil
}

// endRename does to names and record what the end of a rename means: done, and the old Name is free; not begun, and
// the new one is; or begun and not proven, and both stay reserved until a call home, another rename or another image
// says which one it is. The device is deployed all the while.
func endRename(tx *store.Tx, j store.Job, d *store.Device, to job.State, touched bool) error {
	proven := to == job.Done || j.Observed != nil && j.Observed.Hostname == j.DeviceName
	switch {
	case !proven && !touched:
		return dropNext(tx, j, d)
	case proven:
		if err := settleName(tx, j.DeviceName, d); err != nil {
			return err
		}
	}
	dep, err := tx.Deployment(j.Deployment)
	if err != nil {
		return err
	}
	r := store.Renaming{Job: j.ID, From: j.Former, Name: j.DeviceName, Operator: j.Operator, Finished: tx.Now(), Unproven: !proven,
		Observed: j.Observed, SecretHash: j.SecretHash, SecretUntil: tx.Now().Add(secretLife)}
	if j.Result != nil {
		r.Proof = j.Result.Proof
	}
	if r.Observed != nil {
		r.SecretHash = ""
	}
	if dep.Renamings = append(dep.Renamings, r); len(dep.Renamings) > store.MaxRenamings {
		dep.Renamings = dep.Renamings[1:]
	}
	return tx.PutDeployment(dep)
}

// dropNext frees the Name of a rename that wrote nothing, unless an earlier one may have written it.
func dropNext(tx *store.Tx, j store.Job, d *store.Device) error {
	dep, err := tx.Deployment(j.Deployment)
	if err != nil {
		return err
	}
	if n := len(dep.Renamings); n > 0 && dep.Renamings[n-1].Unproven {
		return nil
	}
	return tx.DropNext(d)
}

// settleName makes the proven Name the device's only one.
func settleName(tx *store.Tx, name string, d *store.Device) error {
	if name == d.NextName {
		return tx.TakeNext(d)
	}
	return tx.DropNext(d)
}

// renamingOf finds the renaming that a call home's secret belongs to, or -1.
func renamingOf(dep store.Deployment, secret string, now time.Time) int {
	for i, r := range dep.Renamings {
		if secretHolds(r.SecretHash, secret) && !now.After(r.SecretUntil) {
			return i
		}
	}
	return -1
}

// renamed records that the system has called home after a rename. The call settles a rename that nobody could prove:
// its secret was written after the name, by the same hand.
func renamed(tx *store.Tx, dep store.Deployment, i int, seen *store.Observed) error {
	r := &dep.Renamings[i]
	r.Observed, r.SecretHash = seen, ""
	text := observedText(r.Name, seen.Hostname)
	if r.Unproven && i == len(dep.Renamings)-1 && seen.Hostname == r.Name {
		d, err := tx.Device(dep.Device)
		if err != nil {
			return err
		}
		if err := errors.Join(settleName(tx, r.Name, &d), tx.PutDevice(d)); err != nil {
			return err
		}
		r.Unproven = false
		text += " So the rename was done."
	}
	return errors.Join(tx.PutDeployment(dep), tx.Audit("agent", "observed", dep.Device, text))
}
