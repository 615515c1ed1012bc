package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// headsOf are the codes of the starts as a transaction lists them.
func headsOf(t *testing.T, tx *store.Tx) (codes []string) {
	t.Helper()
	all, err := tx.AgentHeads()
	must(t, err)
	for _, a := range all {
		codes = append(codes, string(a.Key)+" "+a.Code)
	}
	return codes
}

// TestWhatIsRememberedOfAStartIsWhatTheFileSays, in each transaction: before a change, after it, in one that is given up,
// and when the file was damaged meanwhile.
func TestWhatIsRememberedOfAStartIsWhatTheFileSays(t *testing.T) {
	db := mustOpen(t)
	put := func(tx *store.Tx, key, code string) {
		t.Helper()
		must(t, tx.PutAgent(store.Agent{Key: job.KeyID(key), Device: "d", Code: code, Hello: job.Hello{Arch: "x64"}}))
	}
	want := func(tx *store.Tx, want ...string) {
		t.Helper()
		if got := headsOf(t, tx); !slices.Equal(got, want) {
			t.Errorf("the starts are %q; want %q", got, want)
		}
	}
	must(t, db.Update(func(tx *store.Tx) error { put(tx, "a", "A1"); put(tx, "b", "B1"); want(tx, "a A1", "b B1"); return nil }))
	must(t, db.View(func(old *store.Tx) error {
		want(old, "a A1", "b B1")
		givenUp := errors.New("given up")
		if err := db.Update(func(tx *store.Tx) error { put(tx, "b", "B2"); want(tx, "a A1", "b B2"); return givenUp }); !errors.Is(err, givenUp) {
			t.Error(err)
		}
		want(old, "a A1", "b B1")
		return nil
	}))
	must(t, db.View(func(tx *store.Tx) error { want(tx, "a A1", "b B1"); return nil }))
	must(t, db.Update(func(tx *store.Tx) error { put(tx, "a", ""); return nil }))
	must(t, db.View(func(tx *store.Tx) error { want(tx, "a ", "b B1"); return nil }))
	must(t, db.Update(func(tx *store.Tx) error { return tx.SpoilAgent("b") }))
	must(t, db.View(func(tx *store.Tx) error {
		if all, err := tx.AgentHeads(); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("a damaged start is listed as %+v, %v", all, err)
		}
		return nil
	}))
}

// TestTheOldestStartIsForgotten when there are too many: the one that began first, wherever it lies.
func TestTheOldestStartIsForgotten(t *testing.T) {
	db := mustOpen(t)
	must(t, db.Update(func(tx *store.Tx) error {
		for i := range 2000 {
			began := time.Unix(int64(2000+i), 0)
			if i == 1234 {
				began = time.Unix(1, 0)
			}
			must(t, tx.PutAgent(store.Agent{Key: job.KeyID(fmt.Sprintf("%04d", i)), Started: began}))
		}
		must(t, tx.PutAgent(store.Agent{Key: "0007", Started: time.Unix(5000, 0)})) // one that is known takes no room
		if n := len(headsOf(t, tx)); n != 2000 {
			t.Errorf("%d starts; want 2000", n)
		}
		must(t, tx.PutAgent(store.Agent{Key: "new", Started: time.Unix(9000, 0)}))
		if n := len(headsOf(t, tx)); n != 2000 {
			t.Errorf("%d starts; want 2000", n)
		}
		if _, err := tx.Agent("1234"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the oldest is still there: %v", err)
		}
		return nil
	}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestWhatIsAboutOneThingIsFoundWhateverItIsCalled: the events and jobs of one are those that a look at each would find.
func TestWhatIsAboutOneThingIsFoundWhateverItIsCalled(t *testing.T) {
	db := mustOpen(t)
	names := []string{"dev000000001", "dev00000000", "sales@3", `a"b`, `a\`, "<x>&", "\u2028", "operator:anna", "Ärger", `x","subject":"dev000000001`}
	must(t, db.Update(func(tx *store.Tx) error {
		for i, name := range slices.Concat(names, names) {
			must(t, tx.Audit("dev000000001", name, name, `"subject":"dev000000001"`))
			must(t, tx.PutJob(store.Job{ID: job.ID(fmt.Sprint("job", i)), Kind: job.Deploy, Device: name, Operator: "dev000000001", State: job.Done}))
		}
		return nil
	}))
	must(t, db.View(func(tx *store.Tx) error {
		for _, name := range names {
			events, err := tx.AuditTrail(name, 100)
			must(t, err)
			jobs, err := tx.JobsOf(name)
			must(t, err)
			if len(events) != 2 || events[0].Subject != name || events[1].Subject != name || events[0].Number > events[1].Number {
				t.Errorf("about %q: %+v", name, events)
			}
			if len(jobs) != 2 || jobs[0].Device != name || jobs[1].Device != name {
				t.Errorf("jobs of %q: %+v", name, jobs)
			}
		}
		all, err := tx.AuditTrail("", 100)
		must(t, err)
		if len(all) != 2*len(names) {
			t.Errorf("%d events about everything; want %d", len(all), 2*len(names))
		}
		return nil
	}))
}
