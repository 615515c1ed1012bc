package store_test

import (
	"testing"

	"ingot/imaging/job"
	"ingot/store"
)

// TestANameThatIsAnothersSerialMeansNeither: an act by it would hit one of two laptops. What only a laptop that nobody
// adopted tells counts for nothing, or a stranger could take a name away by telling it.
func TestANameThatIsAnothersSerialMeansNeither(t *testing.T) {
	for state, want := range map[store.DeviceState]job.Code{store.Ready: job.CodeBadRequest, store.Lost: job.CodeBadRequest,
		store.New: "", store.Quarantined: ""} {
		db := mustOpen(t)
		mustUpdate(t, db, func(tx *store.Tx) error {
			named := store.Device{ID: "aaaaaaaaaaaa", State: store.Ready, Serial: "SER0001"}
			if err := tx.Reserve(&named, "PF3ABC12"); err != nil {
				return err
			}
			if err := tx.PutDevice(named); err != nil {
				return err
			}
			return tx.PutDevice(store.Device{ID: "bbbbbbbbbbbb", State: state, Serial: " pf3abc12"})
		})
		err := db.View(func(tx *store.Tx) error {
			d, err := tx.FindDevice("PF3ABC12")
			if err == nil && d.ID != "aaaaaaaaaaaa" {
				t.Errorf("the other is %s: PF3ABC12 means %s", state, d.ID)
			}
			return err
		})
		if codeOf(err) != want {
			t.Errorf("the other is %s: FindDevice = %v; want code %q", state, err, want)
		}
	}
}
