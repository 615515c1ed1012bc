package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"ingot/store"
)

// TestStrangersByTheThousandAreForgottenInOnePass: of more machines than are remembered the newest stay.
func TestStrangersByTheThousandAreForgottenInOnePass(t *testing.T) {
	db, err := store.Open(filepath.Join(t.TempDir(), "ingot.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	at := time.Date(2026, 11, 25, 19, 0, 0, 0, time.UTC)
	mac := func(n int) string { return fmt.Sprintf("02:00:00:00:%02x:%02x", n>>8, n&0xff) }
	for _, batch := range [][2]int{{0, 900}, {900, 4000}} {
		var events []store.BootEvent
		for n := batch[0]; n < batch[1]; n++ {
			events = append(events, store.BootEvent{MAC: mac(n), Time: at.Add(time.Duration(n) * time.Second), Leg: "discover"})
		}
		if err := db.Update(func(tx *store.Tx) error { return tx.AddBootEvents(events) }); err != nil {
			t.Fatal(err)
		}
	}
	err = db.View(func(tx *store.Tx) error {
		logs, err := tx.BootLogs("")
		if len(logs) != 1000 || logs[0].MAC != mac(3000) || logs[999].MAC != mac(3999) {
			t.Errorf("%d machines are remembered, from %s to %s; want the 1000 newest", len(logs), logs[0].MAC, logs[len(logs)-1].MAC)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
