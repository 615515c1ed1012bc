package deploy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// TestALaptopThatNobodyApprovesIsLeftAloneUntilItWasOff drives the rule with the daemon's clock, over a restart of
// the daemon too.
func TestALaptopThatNobodyApprovesIsLeftAloneUntilItWasOff(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.laptop("ABC1234")
	l.boot()
	l.sayHello()
	b.clk.pass(9*time.Minute + 59*time.Second)
	if n := l.next(); n.Order != job.Wait || n.Code == "" {
		t.Fatalf("before 10 minutes Next = %+v; want wait with a code", n)
	}
	b.clk.pass(2 * time.Second)
	n := l.next()
	if n.Order != job.Leave || n.Fault != nil || !strings.Contains(n.Say, sentenceOf(job.CodeNotApproved)) {
		t.Fatalf("after 10 minutes Next = %+v; want leave, which resets the laptop", n)
	}
	refused := func(when string, want bool) {
		t.Helper()
		a, err := b.s.Decide(ctx, l.machine())
		must(t, err)
		if a.Boot == want {
			t.Errorf("%s: Decide = %+v; want refused = %v", when, a, want)
		}
	}
	for range 5 { // it restarts again and again: each question counts anew
		b.clk.pass(4 * time.Minute)
		refused("within a restart", true)
	}
	b.stop()
	b.start()
	b.clk.pass(4 * time.Minute)
	refused("after a restart of the daemon", true)
	if a, _ := b.s.Decide(ctx, b.laptop("OTHER").machine()); !a.Boot {
		t.Error("another machine is refused, too")
	}
	b.clk.pass(5 * time.Minute)
	refused("after 5 minutes of silence", false)
	l.boot()
	if r := l.sayHello(); r.Code == "" {
		t.Error("the laptop that was off shows no code")
	}
	if n := l.next(); n.Order != job.Wait {
		t.Errorf("the laptop that was off gets %s; want wait", n.Order)
	}
}

// TestWhatElseEndsLeavingAlone: a person who opens the bench, a day, a clock that was set back; never an order for
// another laptop.
func TestWhatElseEndsLeavingAlone(t *testing.T) {
	ctx := context.Background()
	away := func(t *testing.T) (*bench, *laptop) {
		b := newBench(t)
		l := b.laptop("ABC1234")
		l.boot()
		l.sayHello()
		b.clk.pass(10 * time.Minute)
		if n := l.next(); n.Order != job.Leave {
			t.Fatalf("Next = %s; want leave", n.Order)
		}
		return b, l
	}
	open := func(b *bench, d time.Duration) {
		_, err := b.s.OpenBench(ctx, "anna", store.Bench{OpenUntil: b.clk.now().Add(d)})
		must(b.t, err)
	}
	boots := func(b *bench, l *laptop) bool {
		a, err := b.s.Decide(ctx, l.machine())
		must(b.t, err)
		return a.Boot
	}
	t.Run("closing does not", func(t *testing.T) {
		b, l := away(t)
		open(b, 0)
		if boots(b, l) {
			t.Error("it boots on a closed bench")
		}
	})
	t.Run("opening the bench", func(t *testing.T) {
		b, l := away(t)
		open(b, time.Hour)
		if !boots(b, l) {
			t.Error("it is refused though somebody opened the bench")
		}
	})
	t.Run("a day", func(t *testing.T) {
		b, l := away(t)
		must(t, b.db.Update(func(tx *store.Tx) error { return tx.PutBench(store.Bench{OpenUntil: b.clk.now().Add(48 * time.Hour)}) }))
		for range 24*15 - 1 {
			b.clk.pass(4 * time.Minute)
			if boots(b, l) {
				t.Fatal("it boots before a day is over")
			}
		}
		b.clk.pass(4 * time.Minute)
		if !boots(b, l) {
			t.Error("it is refused after a day")
		}
	})
	t.Run("a clock that was set back", func(t *testing.T) {
		b, l := away(t)
		b.clk.pass(-365 * 24 * time.Hour)
		if !boots(b, l) {
			t.Error("it would be refused for a year")
		}
	})
}
