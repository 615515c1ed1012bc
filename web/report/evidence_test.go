package report_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// TestALicenceLastsToTheEndOfItsLastDay in the server's zone: at half past seven in the evening of New York it is the next
// day in UTC already.
func TestALicenceLastsToTheEndOfItsLastDay(t *testing.T) {
	b := newBench(t)
	zone := time.FixedZone("New York", -5*3600)
	b.Zone = zone
	_, err := b.PutEntitlement(context.Background(), "lin", store.Entitlement{Product: "Office", Seats: 1, Expires: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)})
	must(t, err)
	for _, c := range []struct {
		at   time.Time
		over bool
	}{
		{time.Date(2026, 12, 1, 0, 0, 0, 0, zone), false},
		{time.Date(2026, 12, 1, 23, 59, 0, 0, zone), false},
		{time.Date(2026, 12, 2, 0, 0, 0, 0, zone), true},
	} {
		b.clock = c.at
		if text := b.csv(t, "licences", url.Values{}); strings.Contains(text, "expired") != c.over {
			t.Errorf("at %s expired is %v; want %v\n%s", c.at, !c.over, c.over, text)
		}
	}
}

func (b *bench) csv(t *testing.T, name string, asked url.Values) string {
	t.Helper()
	r, err := b.Report(context.Background(), name, asked)
	must(t, err)
	var out strings.Builder
	must(t, r.Table.CSV(&out))
	return out.String()
}

// TestOnlyAWipeThatWasDoneIsTold: what was begun and did not end well says so, and never that the drive was wiped.
func TestOnlyAWipeThatWasDoneIsTold(t *testing.T) {
	for state, want := range map[job.State]string{job.Done: "wiped 2026-", job.Failed: "a wipe of it ended as failed", job.Indeterminate: "a wipe of it ended as indeterminate"} {
		b := newBench(t)
		must(t, b.DB.Update(func(tx *store.Tx) error {
			j := store.Job{ID: "wipe000000000001", Kind: job.Wipe, Device: "dev000000001", Operator: "cleo", Created: tx.Now(), Result: &job.Result{DiskTouched: true}}
			j.Enter(state, tx.Now())
			return tx.PutJob(j)
		}))
		text := b.csv(t, "holders", url.Values{"version": {"sales@1"}, "ever": {"1"}})
		if !strings.Contains(text, want) || state != job.Done && strings.Contains(text, "wiped ") {
			t.Errorf("a wipe that is %s: want %q in\n%s", state, want, text)
		}
	}
}

// TestAReceiptWithoutItsEventDoesNotHold: a Deployment of which the audit trail knows nothing is not borne out by it.
func TestAReceiptWithoutItsEventDoesNotHold(t *testing.T) {
	b := newBench(t)
	must(t, b.DB.Update(func(tx *store.Tx) error {
		dep, err := tx.Deployment("dep0000000000001")
		if err != nil {
			return err
		}
		dep.Finished = dep.Finished.Add(time.Second) // no event is of that moment
		return tx.PutDeployment(dep)
	}))
	_, file := b.receipt(t)
	f, err := b.Verify(context.Background(), file, "")
	if err != nil || f.Holds || !strings.Contains(strings.Join(f.What, " "), "by which this deployment was recorded") {
		t.Errorf("it is said to hold: %+v, %v", f, err)
	}
}
