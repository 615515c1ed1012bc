package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// verdictOfWipe says how a wipe ends. What counts is which drives have their Certificate here, not what the agent says of
// itself: all of them is done, and anything less never is.
func verdictOfWipe(j store.Job, r job.Result) (job.State, *job.Fault) {
	begun := j.Kind.Started(j.Reached)
	switch {
	case begun && j.Wipe.AllClosed():
		return job.Done, nil
	case !begun && r.State == job.Cancelled:
		return job.Cancelled, orFault(r.Fault, job.CodeCancelled)
	case !begun:
		return job.Failed, orFault(r.Fault, job.CodeNotWiped)
	case slices.ContainsFunc(j.Wipe.Drives, isOpen):
		return job.Indeterminate, job.Faultf(job.CodeUnsettled, "%s", ends(*j.Wipe))
	}
	if f := j.Wipe.Drives[0].Fault; len(j.Wipe.Drives) == 1 && f != nil {
		return job.Failed, f
	}
	return job.Failed, job.Faultf(job.CodeNotWiped, "%s", ends(*j.Wipe))
}

// asDrivesStand is how a job ends that an event, a person or time ends. A wipe ends as its drives stand, whoever speaks.
func asDrivesStand(j store.Job, to job.State, f *job.Fault) (job.State, *job.Fault) {
	if j.Kind != job.Wipe || j.Wipe == nil {
		return to, f
	}
	stands, why := verdictOfWipe(j, job.Result{State: to, Fault: f})
	if stands == to && f != nil {
		return to, f // it knows more of it
	}
	return stands, why
}

// isOpen reports whether nobody knows how a drive that was begun has ended.
func isOpen(d store.WipeDrive) bool {
	return d.End == store.DriveBegun || d.End == store.DriveUnsettled || d.End == store.DriveWaits && len(d.Journal) > 0
}

// mayBeLocked reports whether a drive may hold the password that it was given, however its wipe ended: the next order needs it.
func mayBeLocked(d store.WipeDrive) bool { return d.End != store.DriveClosed && len(d.Password) > 0 }

func orFault(f *job.Fault, c job.Code) *job.Fault {
	if f == nil || f.Code == job.CodeInternal && f.Fact == "" {
		return &job.Fault{Code: c}
	}
	return f
}

// ends tells how each drive stands.
func ends(w store.WipeWork) string {
	var words []string
	for _, d := range w.Drives {
		s := fmt.Sprintf("drive %s is %s", d.Target.Serial, d.End)
		if d.Fault != nil && d.Fault.Fact != "" {
			s += " (" + strings.TrimSuffix(d.Fault.Fact, ".") + ")"
		}
		words = append(words, s)
	}
	return capital(strings.Join(words, "; ")) + "."
}

// endWipe does to drives and device what the end of a wipe means. A drive of which no report came is unsettled. The device
// goes where the order wants it only through the gate; else it has come back, as before.
func endWipe(tx *store.Tx, j *store.Job, d *store.Device, to job.State) error {
	w := *j.Wipe
	w.Drives = slices.Clone(w.Drives)
	for i := range w.Drives {
		open := isOpen(w.Drives[i])
		if open {
			w.Drives[i].End, w.Drives[i].Ended = store.DriveUnsettled, tx.Now()
		}
		if open && len(w.Drives[i].Journal) > 0 || mayBeLocked(w.Drives[i]) {
			if err := tx.LeaveBegun(w.Drives[i].Key, j.ID); err != nil {
				return err
			}
		}
	}
	j.Wipe = &w
	if d.State != store.Wiping { // not begun; or lost or quarantined meanwhile, until a person says otherwise
		return nil
	}
	goal := store.Returned
	if to == job.Done {
		open, _, err := tx.Owed(d.ID)
		if err != nil {
			return err
		}
		if len(open) == 0 {
			goal = store.Ready
		}
		if goal == store.Ready && w.Order.Dispose {
			goal = store.Disposed
		}
	}
	return leaveWiping(tx, d, goal)
}

// leaveWiping moves a device on; whoever writes it passes the gate of package store.
func leaveWiping(tx *store.Tx, d *store.Device, goal store.DeviceState) error {
	if err := d.Become(goal, tx.Now()); err != nil {
		return err
	}
	if goal != store.Disposed {
		return nil
	}
	d.Role = ""
	return tx.FreeNames(d)
}

// follow gives a clean device the image that was ordered with its wipe, under the same person's name.
func (s *Service) follow(tx *store.Tx, j store.Job) error {
	if j.Wipe == nil || j.Wipe.Order.Then == nil || j.State != job.Done {
		return nil
	}
	d, err := tx.Device(j.Device)
	if err != nil {
		return err
	}
	o := *j.Wipe.Order.Then
	o.Device = d.ID
	w := *j.Wipe
	next, err := s.approve(tx, j.Operator, d, o)
	if err != nil {
		var f *job.Fault
		if !errors.As(err, &f) {
			return err
		}
		w.ThenFault = f
		err = tx.Audit("ingot", "refused", d.ID, "The image that was to follow the wipe: "+f.Error())
	} else {
		w.ThenJob = next.ID
	}
	j.Wipe = &w
	return errors.Join(err, tx.PutJob(j))
}

// Clear sends a device on whose drives all have their records: into the pool, or out of the house.
func (s *Service) Clear(ctx context.Context, operator, ref string, to store.DeviceState, c store.Disposal) (store.DeviceView, error) {
	if err := checkWords(&c.Note); err != nil {
		return store.DeviceView{}, err
	}
	return s.actOn(ctx, operator, string(to), ref, c, func(tx *store.Tx, d store.Device) error {
		if j, busy, err := tx.ActiveJob(d.ID); err != nil || busy {
			return errors.Join(err, takenBy(tx, d, j))
		}
		if err := typedSerial(d, c.Confirm); err != nil {
			return err
		}
		return clearDevice(tx, operator, d, to, c.Note)
	})
}

// clearDevice is the way of a device whose drives were closed otherwise than by its last wipe.
func clearDevice(tx *store.Tx, operator string, d store.Device, to store.DeviceState, note string) error {
	if to != store.Ready && to != store.Disposed {
		return job.Faultf(job.CodeBadRequest, "A device becomes ready or disposed so, not %.20q.", string(to))
	}
	if d.State == store.Returned {
		if err := d.Become(store.Wiping, tx.Now()); err != nil {
			return err
		}
		if err := tx.PutDevice(d); err != nil {
			return err
		}
	}
	if err := leaveWiping(tx, &d, to); err != nil {
		return err
	}
	return errors.Join(tx.PutDevice(d), tx.Audit(operator, string(to), d.ID, strings.TrimSpace(fmt.Sprintf("%s: every drive of it has its record. %s", d.Label(), note))))
}
