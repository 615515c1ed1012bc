package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// TestManyStartsCostNoAdoptionAnything: a server remembers thousands of starts. To adopt one laptop, and to look at one,
// reads what concerns that one: its cost is counted in allocations, which a busy machine does not change.
func TestManyStartsCostNoAdoptionAnything(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.laptop("PF3AAAA1")
	l.boot()
	l.sayHello()
	h := l.hello
	b.update(func(tx *store.Tx) error {
		for i := range 1900 {
			a := store.Agent{Key: job.KeyID(fmt.Sprintf("%064x", i)), Device: fmt.Sprintf("old%d", i%300), Hello: h, Code: "OLDX-OLDX", Started: tx.Now().Add(-time.Duration(i+1) * time.Hour)}
			if err := tx.PutAgent(a); err != nil {
				return err
			}
		}
		return nil
	})
	d, err := b.s.Device(ctx, "PF3AAAA1")
	must(t, err)
	begun := time.Now()
	look := testing.AllocsPerRun(3, func() { _, err := b.s.Device(ctx, d.ID); must(t, err) })
	t.Logf("a look: %.0f allocations, %s", look, time.Since(begun)/4)
	begun = time.Now()
	adopt := testing.AllocsPerRun(1, func() { _, _ = b.s.Adopt(ctx, "anna", store.Adoption{Code: d.Code}) }) // the second time it is refused
	t.Logf("an adoption: %.0f allocations, %s", adopt, time.Since(begun)/2)
	if look > 10_000 || adopt > 20_000 {
		t.Errorf("beside 1900 starts of others a look takes %.0f allocations and an adoption %.0f", look, adopt)
	}
}

// TestTheHistoryOfOneReadsWhatConcernsIt, however much is on record about others.
func TestTheHistoryOfOneReadsWhatConcernsIt(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.laptop("PF3AAAA1")
	l.boot()
	l.sayHello()
	d, err := b.s.Device(ctx, "PF3AAAA1")
	must(t, err)
	b.update(func(tx *store.Tx) error {
		for i := range 1000 {
			other := fmt.Sprintf("other%d", i%50)
			j := store.Job{ID: job.ID(fmt.Sprintf("job%d", i)), Kind: job.Deploy, Device: other, State: job.Done, Operator: d.ID}
			if err := errors.Join(tx.PutJob(j), tx.Audit(d.ID, "deploy", other, "About "+d.ID+".")); err != nil {
				return err
			}
		}
		return errors.Join(tx.PutJob(store.Job{ID: "own", Kind: job.Deploy, Device: d.ID, State: job.Done}), tx.Audit("anna", "note", d.ID, "Its own."))
	})
	h, err := b.s.History(ctx, d.ID)
	must(t, err)
	if len(h.Jobs) != 1 || h.Jobs[0].ID != "own" || len(h.Events) < 1 || h.Events[0].Text != "Its own." {
		t.Errorf("its history is %+v", h)
	}
	for _, e := range h.Events {
		if e.Subject != d.ID {
			t.Errorf("an event of another: %+v", e)
		}
	}
	if n := testing.AllocsPerRun(2, func() { _, err := b.s.History(ctx, d.ID); must(t, err) }); n > 3000 {
		t.Errorf("beside 1000 jobs and events of others its history takes %.0f allocations", n)
	}
}

// TestAFewFailedLaptopsDoNotMakeEachListReadAllJobs: whether somebody may work with one, its own jobs say.
func TestAFewFailedLaptopsDoNotMakeEachListReadAllJobs(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	b.update(func(tx *store.Tx) error {
		var errs []error
		for i := range 1000 {
			errs = append(errs, tx.PutJob(store.Job{ID: job.ID(fmt.Sprintf("job%d", i)), Kind: job.Deploy, Device: fmt.Sprintf("other%d", i%50), State: job.Done, Reached: job.Committed, Created: tx.Now()}))
		}
		for i, reached := range []job.State{job.Committing, job.Writing} {
			id := fmt.Sprint("failed", i)
			errs = append(errs, tx.PutDevice(store.Device{ID: id, State: store.Failed, Serial: "F" + id}),
				tx.PutJob(store.Job{ID: job.ID("old" + id), Kind: job.Deploy, Device: id, State: job.Done, Reached: job.Committed, Created: tx.Now().Add(-time.Hour)}),
				tx.PutJob(store.Job{ID: job.ID("last" + id), Kind: job.Deploy, Device: id, State: job.Failed, Reached: reached, Created: tx.Now()}))
		}
		return errors.Join(errs...)
	})
	list := func() (used []string) {
		all, err := b.s.Devices(ctx)
		must(t, err)
		for _, d := range all {
			one, err := b.s.Device(ctx, d.ID)
			must(t, err)
			if one.InUse != d.InUse {
				t.Errorf("%s is in use: %v in the list, %v by itself", d.ID, d.InUse, one.InUse)
			}
			if d.InUse {
				used = append(used, d.ID)
			}
		}
		return used
	}
	if used := list(); len(used) != 1 || used[0] != "failed0" {
		t.Errorf("in use may be %v; want failed0, which failed behind its commit", used)
	}
	if n := testing.AllocsPerRun(2, func() { list() }); n > 5000 {
		t.Errorf("beside 1000 jobs of others a list and two looks take %.0f allocations", n)
	}
}
