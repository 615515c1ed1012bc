package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ingot/imaging/job"
)

// The gate of DESIGN section 1: a device that came back stays away from people until every drive of it has a Certificate
// or a Destruction record. It stands in PutDevice, below everything that could forget it.

// comesBack are the states in which a device came back and was not cleared.
func comesBack(s DeviceState) bool { return s == Returned || s == Wiping }

// mayWhileOwing is the table of states that a device which came back may be in before every drive of it is closed.
// Ready and Disposed are behind the gate; the others would give it to somebody.
var mayWhileOwing = map[DeviceState]bool{Returned: true, Wiping: true, Lost: true, Quarantined: true}

// gate decides whether a device may be written as it is, and whether it still owes. was is the record before.
func (tx *Tx) gate(was Device, d *Device) error {
	owing := was.Owing || comesBack(was.State) || comesBack(d.State)
	d.Owing = owing
	if err := tx.keepDrives(*d, owing); err != nil {
		return err
	}
	if comesBack(d.State) && !comesBack(was.State) {
		if err := tx.oweAll(d.ID); err != nil {
			return err
		}
	}
	switch {
	case owing && d.State == Ready, d.State == Disposed && was.State != Disposed:
		if err := tx.cleared(*d); err != nil {
			return err
		}
		d.Owing = false
	case owing && !mayWhileOwing[d.State]:
		return job.Faultf(job.CodeOwed, "%s came back and cannot become %s before that.", d.Label(), d.State)
	}
	return nil
}

// cleared refuses a device of which a drive is not accounted for, or of which no drive is known: that is no sign that
// there is none.
func (tx *Tx) cleared(d Device) error {
	open, known, err := tx.owed(d)
	switch {
	case err != nil:
		return err
	case known == 0:
		return job.Faultf(job.CodeOwed, "No drive of %s is known.", d.Label())
	case len(open) == 0:
		return nil
	}
	present := map[string]bool{}
	keys, _, _ := driveKeys(d.ID, d.Drives)
	for _, k := range keys {
		present[k] = true
	}
	var words []string
	for _, o := range open {
		w := o.Word()
		if !present[o.Key] {
			w += " (not in it when it was last seen)"
		} else if o.Device != d.ID {
			w += fmt.Sprintf(" (%s tells of it now; start %s again to show that it is not in it)", o.Homes[len(o.Homes)-1].Label, d.Label())
		}
		words = append(words, w)
	}
	return job.Faultf(job.CodeOwed, "%s: %s.", d.Label(), strings.Join(words, ", "))
}

// Owed lists the drives of a device that owe a record, and counts those that are known of it at all.
func (tx *Tx) Owed(device string) (open []Drive, known int, err error) {
	d, err := tx.Device(device)
	if err != nil {
		return nil, 0, err
	}
	return tx.owed(d)
}

// owed is Owed of a device as it is to be. A drive that owes and that it told of itself when it was last seen is one of
// them, although another laptop tells of it since: makers use serials twice, and only the device can show that it is gone.
func (tx *Tx) owed(d Device) (open []Drive, known int, err error) {
	all, err := tx.DrivesOf(d.ID)
	keys, _, _ := driveKeys(d.ID, d.Drives)
	for _, r := range all {
		if r.Owes() && (r.Device == d.ID || slices.Contains(keys, r.Key)) {
			open = append(open, r)
		}
	}
	return open, len(all), err
}

// OwedSince is the time since which a device owes, for people; the zero time when it owes nothing.
func OwedSince(open []Drive) (since time.Time) {
	for _, d := range open {
		if since.IsZero() || d.Owed.Before(since) {
			since = d.Owed
		}
	}
	return since
}
