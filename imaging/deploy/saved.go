package deploy

import (
	"cmp"
	"slices"

	"ingot/imaging/job"
	"ingot/store"
)

// saved refuses a drive that is known from another device and may hold what nobody has given up: what lies on it is
// that one's. It is overwritten when the operator says that it was saved and types whose it was.
func saved(tx *store.Tx, d store.Device, t job.Target, o store.Order) error {
	others, err := holdersOf(tx, d.ID, t)
	if err != nil {
		return err
	}
	for _, other := range others {
		data, err := holdsData(tx, other)
		if err != nil {
			return err
		}
		if data && !confirmed(other, o) {
			return job.Faultf(job.CodeUnconfirmed, "Drive %s was last seen in %s, which is %s: its data is lost. To go on, say that it was saved and confirm with %s.",
				t.Serial, other.Label(), other.State, cmp.Or(other.Name, other.Serial))
		}
	}
	return nil
}

// holdersOf gives the other devices, adopted by somebody, in which a drive was last seen. Here a serial and a model
// tell a drive, too, and a name that several tell: it is about what would be lost, not about who a laptop is.
func holdersOf(tx *store.Tx, but string, t job.Target) ([]store.Device, error) {
	ids := store.DriveIDs([]job.Drive{{Serial: t.Serial, WWN: t.WWN, Model: t.Model}})
	all, err := tx.Devices()
	return slices.DeleteFunc(all, func(o store.Device) bool {
		return o.ID == but || o.State == store.New || compareSets(ids, store.DriveIDs(o.Drives), sameDrive) != agrees
	}), err
}

// holdsData reports whether the drives of a device may hold what somebody wants, or what nobody else may read: all but
// one that was never imaged, one that failed before its laptop could start, and one whose drives are accounted for.
func holdsData(tx *store.Tx, d store.Device) (bool, error) {
	switch d.State {
	case store.Deploying, store.Returned, store.Wiping, store.Lost:
		return true, nil
	case store.Quarantined:
		return d.Deployment != "", nil
	}
	return inUse(tx, d)
}

// noForeignDebt refuses to give anybody a laptop in which a drive is that came back in another one and was never cleared.
func noForeignDebt(tx *store.Tx, d store.Device) error {
	open, _, err := tx.Owed(d.ID)
	open = slices.DeleteFunc(open, func(r store.Drive) bool { return r.Device != d.ID }) // what left it is another's debt
	if err != nil || len(open) == 0 {
		return err
	}
	from := "another laptop"
	if n := len(open[0].Homes); n > 1 {
		from = open[0].Homes[n-2].Label
	}
	return job.Faultf(job.CodeDriveOwes, "The %s came with %s, which had come back.", open[0].Word(), from)
}
