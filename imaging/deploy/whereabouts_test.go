package deploy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// inState is a device of a state, as far as its record goes.
func (b *bench) inState(s store.DeviceState) store.Device {
	b.t.Helper()
	l := b.adopted("ABC1234", "LT-7")
	d := b.device("LT-7").Device
	b.update(func(tx *store.Tx) error {
		d.State, d.Owner = s, "Bo"
		if s == store.Quarantined {
			d.Conflict = "Its serial belongs to LT-8."
		}
		a, err := tx.Agent(l.c.KeyID())
		must(b.t, err)
		a.Code, a.CodeUntil = "AAAA-BBBB", tx.Now().Add(time.Hour)
		must(b.t, tx.PutAgent(a))
		return tx.PutDevice(d)
	})
	return d
}

// TestEveryStateUnderEveryCommand holds the table of device states through what an operator can say: one row a state,
// for each command the state that follows, or the code of the refusal. An order leaves the state to the laptop.
func TestEveryStateUnderEveryCommand(t *testing.T) {
	ctx := context.Background()
	commands := []string{"adopt", "deploy", "lost", "found", "return", "settle"}
	do := map[string]func(b *bench) error{
		"adopt": func(b *bench) error {
			_, err := b.s.Adopt(ctx, "anna", store.Adoption{Code: "AAAA-BBBB"})
			return err
		},
		"deploy": func(b *bench) error {
			_, err := b.s.Deploy(ctx, "anna", store.Order{Device: "LT-7", Image: "sales", DataSaved: true, Confirm: "LT-7"})
			return err
		},
		"lost": func(b *bench) error {
			_, err := b.s.Lose(ctx, "anna", "LT-7", store.Loss{})
			return err
		},
		"found": func(b *bench) error {
			_, err := b.s.Return(ctx, "anna", "LT-7", store.Return{From: "the porter", Found: true})
			return err
		},
		"return": func(b *bench) error {
			_, err := b.s.Return(ctx, "anna", "LT-7", store.Return{From: "Bo"})
			return err
		},
		"settle": func(b *bench) error {
			_, err := b.s.Settle(ctx, "anna", "LT-7", store.Settlement{As: store.AsSame})
			return err
		},
	}
	table := map[store.DeviceState]string{
		//                  adopt deploy lost found    return   settle
		store.New:         "ready E605 lost E605     E605     E605",
		store.Ready:       "E605  same lost E605     E605     E605",
		store.Deploying:   "E605  E605 lost E605     E605     E605",
		store.Deployed:    "E605  same lost E605     returned E605",
		store.Failed:      "E605  same lost E605     returned E605",
		store.Returned:    "E605  E661 lost E605     E605     E605",
		store.Wiping:      "E605  E605 lost E605     E605     E605",
		store.Disposed:    "E605  E605 lost returned returned E605",
		store.Lost:        "E605  E605 E605 returned returned E605",
		store.Quarantined: "E609  E609 lost E609     E609     ready",
	}
	for _, from := range store.DeviceStates {
		for i, want := range strings.Fields(table[from]) {
			b := newBench(t)
			b.inState(from)
			err := do[commands[i]](b)
			got := b.device("LT-7")
			switch {
			case strings.HasPrefix(want, "E"):
				wantCode(t, commands[i]+" of a device that is "+string(from), err, job.Code(want))
				want = string(from)
			case err != nil:
				t.Errorf("%s of a device that is %s: %v; want %s", commands[i], from, err, want)
			case want == "same":
				want = string(from)
			case !store.MayBecome(from, store.DeviceState(want)):
				t.Errorf("%s makes %s of %s, which the table of states does not allow", commands[i], want, from)
			}
			if string(got.State) != want {
				t.Errorf("%s of a device that is %s leaves it %s; want %s", commands[i], from, got.State, want)
			}
			if (got.Owner == "") != (got.State == store.Returned && from != store.Returned) {
				t.Errorf("%s of a device that is %s leaves the owner %q", commands[i], from, got.Owner)
			}
		}
	}
}

// TestALostLaptopAlarmsAndGetsNoJob: on a closed bench too, until it was taken back.
func TestALostLaptopAlarmsAndGetsNoJob(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.adopted("ABC1234", "LT-7")
	j := b.order("LT-7")
	_, err := b.s.OpenBench(ctx, "anna", store.Bench{})
	must(t, err)
	d, err := b.s.Lose(ctx, "bert", "LT-7", store.Loss{Tell: "the helpdesk, room 12"})
	must(t, err)
	if d.State != store.Lost || d.Lost.By != "bert" || d.Lost.Was != store.Ready {
		t.Errorf("lost: %+v", d.Device)
	}
	if v, err := b.s.Job(ctx, j.ID); err != nil || v.State != job.Cancelled {
		t.Errorf("the order that waited for it is %s, %v; want cancelled", v.State, err)
	}
	b.clk.pass(time.Hour)
	if a, _ := b.s.Decide(ctx, l.machine()); !a.Boot {
		t.Fatal("a lost laptop does not start the agent, so nobody hears of it")
	}
	l.boot()
	const words = "This laptop was reported lost on 22 November 2026. Please tell the helpdesk, room 12."
	if r := l.sayHello(); r.Say != words || r.Code != "" {
		t.Errorf("its screen says %q, code %q; want %q", r.Say, r.Code, words)
	}
	// Somebody puts a job into the record, by whatever way: it is not handed out.
	b.update(func(tx *store.Tx) error {
		v, err := tx.Job(j.ID)
		must(t, err)
		v.ID, v.State, v.Created = "handmadejob00001", job.Approved, tx.Now()
		return tx.PutJob(v)
	})
	if n := l.next(); n.Order != job.Wait || n.Say != words || n.Job != nil {
		t.Errorf("Next = %+v; want wait", n)
	}
	other := b.laptop("OTHER")
	other.boot()
	other.sayHello()
	all, err := b.s.Devices(ctx)
	must(t, err)
	if all[0].Name != "LT-7" || all[0].Alarm.IsZero() || all[1].Code == "" {
		t.Errorf("the list begins with %s, then %s; want the lost laptop before the waiting one", all[0].Label(), all[1].Label())
	}
	if trail, _ := b.s.Audit(ctx, d.ID, 100); !strings.Contains(trail[len(trail)-1].Text, "has started here") {
		t.Errorf("the last event is %+v; want the alarm", trail[len(trail)-1])
	}
	b.update(func(tx *store.Tx) error {
		v, err := tx.Job("handmadejob00001")
		must(t, err)
		v.Enter(job.Cancelled, tx.Now())
		return tx.PutJob(v)
	})
	d, err = b.s.Return(ctx, "anna", "LT-7", store.Return{From: "the porter", Found: true})
	must(t, err)
	if d.State != store.Returned || d.Lost != nil || !d.Alarm.IsZero() || d.Returned.From != "the porter" || d.Name != "LT-7" {
		t.Errorf("found: %+v", d.Device)
	}
}

// TestALaptopAtWorkIsNotLost, and one that fell silent in the middle of a job is.
func TestALaptopAtWorkIsNotLost(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.adopted("ABC1234", "LT-7")
	b.order("LT-7")
	l.reach(l.work(), job.Writing)
	_, err := b.s.Lose(ctx, "anna", "LT-7", store.Loss{})
	wantCode(t, "a laptop that is heard", err, job.CodeBusy)
	_, err = b.s.Return(ctx, "anna", "LT-7", store.Return{From: "Bo"})
	wantCode(t, "the return of a laptop with a job", err, job.CodeBusy)
	b.clk.pass(time.Minute)
	d, err := b.s.Lose(ctx, "anna", "LT-7", store.Loss{})
	must(t, err)
	if d.State != store.Lost || d.Lost.Was != store.Failed || d.Job != nil {
		t.Errorf("a laptop that went away while it was written: %+v, job %v; want lost, before that failed", d.Device, d.Job)
	}
}

// TestTheSameReturnTwice: one effect, and the one who was second reads what changed.
func TestTheSameReturnTwice(t *testing.T) {
	b := newBench(t)
	d := b.inState(store.Deployed)
	seen := b.device(d.ID).Revision
	first, err := b.s.Return(stamped("return-0001", seen), "anna", "LT-7", store.Return{From: "Bo"})
	must(t, err)
	again, err := b.s.Return(stamped("return-0001", seen), "anna", "LT-7", store.Return{From: "Bo"})
	if err != nil || again.Revision != first.Revision {
		t.Errorf("sent twice: revision %d, %v; want %d", again.Revision, err, first.Revision)
	}
	_, err = b.s.Return(stamped("return-0002", seen), "bert", "LT-7", store.Return{From: "Bo"})
	wantCode(t, "another's return on an old view", err, job.CodeStale)
	if err == nil || !strings.Contains(err.Error(), "return by anna") {
		t.Errorf("the other reads %q", err)
	}
}

// TestImagingAgainKeepsNameAndOwner: a laptop in use changes its name by a rename only.
func TestImagingAgainKeepsNameAndOwner(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.adopted("ABC1234", "LT-7")
	b.order("LT-7")
	j := l.work()
	l.reach(j, job.Committed)
	_, err := l.c.Result(ctx, j.ID, result(j))
	must(t, err)
	b.update(func(tx *store.Tx) error {
		d, err := tx.FindDevice("LT-7")
		must(t, err)
		d.Owner = "Bo"
		return tx.PutDevice(d)
	})
	again := store.Order{Device: "LT-7", Image: "sales", DataSaved: true, Confirm: "LT-7", Name: "LT-8"}
	_, err = b.s.Deploy(ctx, "anna", again)
	wantCode(t, "another name for a laptop in use", err, job.CodeState)
	again.Name = "lt-7"
	b.clk.pass(time.Hour)
	_, err = b.s.Deploy(ctx, "anna", again)
	must(t, err)
	l.boot()
	l.sayHello()
	j = l.work()
	l.reach(j, job.Committed)
	_, err = l.c.Result(ctx, j.ID, result(j))
	must(t, err)
	if d := b.device("LT-7"); d.State != store.Deployed || d.Name != "LT-7" || d.Holds.Name != "LT-7" || d.Owner != "Bo" || d.Deploys != 2 {
		t.Errorf("imaged again: %s, owner %q, %d deploys", d.State, d.Owner, d.Deploys)
	}
}

// TestWhatWasEmptyComesBackEmpty: what was cleared or disposed of, and was lost and found after it however often, has
// nothing of an owner on it; whoever says otherwise in an order is not believed. What was in use comes back as it was.
func TestWhatWasEmptyComesBackEmpty(t *testing.T) {
	ctx := context.Background()
	for state, want := range map[store.DeviceState]bool{store.Disposed: true, store.Ready: true, store.Deployed: false, store.Failed: false} {
		b := newBench(t)
		b.inState(state)
		for range 2 {
			_, err := b.s.Lose(ctx, "anna", "LT-7", store.Loss{})
			must(t, err)
			b.clk.pass(time.Hour)
			d, err := b.s.Return(ctx, "anna", "LT-7", store.Return{From: "the porter", Found: true, Empty: !want})
			must(t, err)
			if d.Empty() != want || d.Returned.Empty != want {
				t.Errorf("%s, lost and found: empty %v, kept %v; want %v", state, d.Empty(), d.Returned.Empty, want)
			}
		}
	}
}
