package deploy_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// stamped is an operator's context with a request's id and the revision that he saw.
func stamped(id string, revision uint64) context.Context {
	return store.WithStamp(context.Background(), store.Stamp{Request: id, Revision: revision})
}

// TestFiftyPeopleOrderOneDeviceAtOnce: one of them gets a job, and every other one reads who that was and what for.
func TestFiftyPeopleOrderOneDeviceAtOnce(t *testing.T) {
	b := newBench(t)
	b.adopted("ABC1234", "LT-7")
	seen := b.device("LT-7").Revision
	type outcome struct {
		who string
		job store.JobView
		err error
	}
	out := make(chan outcome, 50)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			who := fmt.Sprintf("op%d", i)
			revision := seen
			if i%2 == 0 {
				revision = 0 // half of them did not look first
			}
			j, err := b.s.Deploy(stamped(fmt.Sprintf("request-%d", i), revision), who, store.Order{Device: "LT-7", Image: "sales"})
			out <- outcome{who, j, err}
		})
	}
	wg.Wait()
	close(out)
	var won []outcome
	var lost []error
	for o := range out {
		if o.err == nil {
			won = append(won, o)
		} else {
			lost = append(lost, o.err)
		}
	}
	if len(won) != 1 || len(lost) != 49 {
		t.Fatalf("%d jobs and %d refusals; want 1 and 49", len(won), len(lost))
	}
	want := fmt.Sprintf("LT-7 was given to job %s by %s 0 s ago: sales@1 as LT-7.", won[0].job.ID, won[0].who)
	for _, err := range lost {
		wantCode(t, "the other's order", err, job.CodeBusy)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the other reads %q; want %q", err, want)
		}
	}
	if all, err := b.s.Jobs(context.Background(), true); err != nil || len(all) != 1 {
		t.Errorf("%d jobs, %v; want 1", len(all), err)
	}
}

// TestTheSameRequestTwiceHasOneEffect: each act, its answer lost and sent again, at once and after a restart.
func TestTheSameRequestTwiceHasOneEffect(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.laptop("ABC1234")
	l.boot()
	adopt := store.Adoption{Code: l.sayHello().Code, Name: "LT-7"}
	first, err := b.s.Adopt(stamped("adopt-0001", 0), "anna", adopt)
	must(t, err)
	b.stop()
	b.start()
	again, err := b.s.Adopt(stamped("adopt-0001", first.Revision-1), "anna", adopt)
	if err != nil || again.ID != first.ID || again.Revision != first.Revision {
		t.Errorf("the same adoption again: %+v, %v; want the same device, unchanged", again.Device, err)
	}
	order := store.Order{Device: "LT-7", Image: "sales"}
	j, err := b.s.Deploy(stamped("order-0001", 0), "anna", order)
	must(t, err)
	b.stop()
	b.start()
	for range 3 {
		k, err := b.s.Deploy(stamped("order-0001", 0), "anna", order)
		if err != nil || k.ID != j.ID {
			t.Errorf("the same order again: job %s, %v; want %s", k.ID, err, j.ID)
		}
	}
	_, err = b.s.Cancel(ctx, "anna", j.ID)
	must(t, err)
	if k, err := b.s.Deploy(stamped("order-0001", 0), "anna", order); err != nil || k.ID != j.ID || k.State != job.Cancelled {
		t.Errorf("the same order after its job was stopped: %s %s, %v; want the stopped job", k.ID, k.State, err)
	}
	for who, o := range map[string]store.Order{"anna": {Device: "LT-7", Image: "sales", NoPersonalise: true}, "bert": order} {
		_, err := b.s.Deploy(stamped("order-0001", 0), who, o)
		wantCode(t, "that id for something else", err, job.CodeBadRequest)
	}
	_, err = b.s.Adopt(stamped("order-0001", 0), "anna", adopt)
	wantCode(t, "that id for another act", err, job.CodeBadRequest)
	if all, _ := b.s.Jobs(ctx, true); len(all) != 1 {
		t.Errorf("%d jobs; want 1", len(all))
	}
	b.clk.pass(25 * time.Hour)
	must(t, b.s.Sweep())
	k, err := b.s.Deploy(stamped("order-0001", 0), "anna", order)
	if err != nil || k.ID == j.ID {
		t.Errorf("a day later: job %s, %v; want a new one", k.ID, err)
	}
}

// TestARefusedRequestMayComeAgain: it did nothing, so its id stands for nothing.
func TestARefusedRequestMayComeAgain(t *testing.T) {
	b := newBench(t)
	l := b.laptop("ABC1234")
	l.boot()
	code := l.sayHello().Code
	_, err := b.s.Deploy(stamped("order-0001", 0), "anna", store.Order{Device: "ABC1234", Image: "sales", Name: "LT-7"})
	wantCode(t, "an order before the adoption", err, job.CodeState)
	_, err = b.s.Adopt(context.Background(), "anna", store.Adoption{Code: code})
	must(t, err)
	_, err = b.s.Deploy(stamped("order-0001", 0), "anna", store.Order{Device: "ABC1234", Image: "sales", Name: "LT-7"})
	must(t, err)
}

// TestAStaleViewIsRefusedWithWhatChanged: what was decided on an old view is not done.
func TestAStaleViewIsRefusedWithWhatChanged(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	b.adopted("ABC1234", "LT-7")
	seen := b.device("LT-7").Revision
	j := b.order("LT-7")
	_, err := b.s.Cancel(ctx, "bert", j.ID)
	must(t, err)
	b.clk.pass(12 * time.Second)
	_, err = b.s.Deploy(stamped("order-0002", seen), "carla", store.Order{Device: "LT-7", Image: "sales"})
	wantCode(t, "an order on an old view", err, job.CodeStale)
	for _, want := range []string{"LT-7 is ready now.", "cancel by bert 12 s ago", string(j.ID)} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the refusal says %q; want %q in it", err, want)
		}
	}
	_, err = b.s.Deploy(stamped("order-0003", b.device("LT-7").Revision), "carla", store.Order{Device: "LT-7", Image: "sales"})
	must(t, err)
}

// TestALaptopsOwnReportsDoNotMakeAViewStale: it says Hello and asks all the time, which changes nothing for a person.
func TestALaptopsOwnReportsDoNotMakeAViewStale(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "LT-7")
	seen := b.device("LT-7").Revision
	b.clk.pass(time.Minute)
	l.boot()
	l.sayHello()
	l.next()
	if now := b.device("LT-7").Revision; now != seen {
		t.Errorf("revision %d became %d by a Hello", seen, now)
	}
}

// TestTheSecondAdoptionReadsWhoWasFirst: the code is spent, and that is not a wrong guess.
func TestTheSecondAdoptionReadsWhoWasFirst(t *testing.T) {
	b := newBench(t)
	l := b.laptop("ABC1234")
	l.boot()
	code := l.sayHello().Code
	_, err := b.s.Adopt(context.Background(), "anna", store.Adoption{Code: code, Name: "LT-7"})
	must(t, err)
	b.clk.pass(5 * time.Second)
	for range 15 {
		_, err = b.s.Adopt(context.Background(), "bert", store.Adoption{Code: code, Name: "LT-8"})
		wantCode(t, "the second adoption", err, job.CodeBusy)
		if err == nil || !strings.Contains(err.Error(), "LT-7 was adopted by this code 5 s ago by anna.") {
			t.Fatalf("the other reads %q", err)
		}
	}
}
