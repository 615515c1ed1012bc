package store_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ingot/store"
)

// TestHowManyCarryAVersionIsWhatItsRecipientsSay, over devices that went from version to version, and one that was given up:
// the count reads what each device holds now; who received it, everything that ever was.
func TestHowManyCarryAVersionIsWhatItsRecipientsSay(t *testing.T) {
	db := mustOpen(t)
	r := rand.New(rand.NewPCG(1, 2))
	var versions []store.Version
	for n := range 5 {
		versions = append(versions, shelve(t, db, store.Version{State: store.Released, Label: fmt.Sprint(n), Note: "n"}))
	}
	at := time.Now()
	for range 200 {
		at = at.Add(time.Second)
		carries(t, db, fmt.Sprintf("device%02d", r.IntN(30)), versions[r.IntN(len(versions))], at)
	}
	mustUpdate(t, db, func(tx *store.Tx) error {
		d, err := tx.Device("device07")
		must(t, err)
		d.Deployment = "" // something else was put on it
		return tx.PutDevice(d)
	})
	must(t, db.View(func(tx *store.Tx) error {
		all, err := tx.VersionViews()
		must(t, err)
		total := 0
		for _, v := range all {
			who, err := tx.Recipients(v.Image, v.Number)
			must(t, err)
			hold := 0
			for _, w := range who {
				if w.Holds {
					hold++
				}
			}
			one, err := tx.ViewVersion(v.Version)
			must(t, err)
			if v.Held != hold || one.Held != hold {
				t.Errorf("%s: %d in the list, %d by itself; %d of its %d recipients hold it", v.Ref(), v.Held, one.Held, hold, len(who))
			}
			total += v.Held
		}
		if total != 29 || len(all) != 5 {
			t.Errorf("%d devices carry one of %d versions; want 29 of 5", total, len(all))
		}
		n, err := tx.DeploymentsOf("device03")
		if must(t, err); tx.CountDeployments("device03") != len(n) || len(n) < 2 || tx.CountDeployments("device0") != 0 {
			t.Errorf("device03 received %d, counted %d", len(n), tx.CountDeployments("device03"))
		}
		return nil
	}))
}
