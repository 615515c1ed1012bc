package deploy_test

import (
	"context"
	"fmt"
	"testing"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/store"
)

// TestAnAgentThatChangesItsWordFillsNothing: each report that differs is kept, but the audit trail, which is never cut, takes
// so many of a drive only; and the drive's real end stands in it still.
func TestAnAgentThatChangesItsWordFillsNothing(t *testing.T) {
	b := wipeBench(t)
	hdd := disk("WD-ONE00001")
	l, j := b.wipeTaken(hdd)
	device := b.device("SALES-017").ID
	before := len(b.events(device))
	for i := range 200 {
		_, err := l.c.KeepJournal(context.Background(), j.ID, job.DriveJournal{Journal: []byte(fmt.Sprintf(`{"version":%d}`, i))})
		must(t, err)
	}
	for i := range 200 {
		_, err := l.report(j, 0, wipe.Report{Version: wipe.ReportVersion, Drive: wipe.Identity{Serial: hdd.Told.Serial}, Outcome: wipe.Indeterminate, Cause: wipe.CauseNoAnswer, Fact: fmt.Sprint("word ", i)})
		must(t, err)
	}
	if n := len(b.events(device)) - before; n < 2 || n > 40 {
		t.Errorf("400 words left %d events; want 2 to 40", n)
	}
}

// events are what the audit trail tells of a device.
func (b *bench) events(device string) (out []store.Event) {
	b.t.Helper()
	must(b.t, b.db.View(func(tx *store.Tx) (err error) {
		out, err = tx.EventsSince(device, 0, 10_000)
		return err
	}))
	return out
}
