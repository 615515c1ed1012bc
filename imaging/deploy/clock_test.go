package deploy_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

const year = 365 * 24 * time.Hour

// set sets the server's clock, as the daemon tells it.
func (b *bench) set(by time.Duration) {
	b.t.Helper()
	from := b.clk.now()
	must(b.t, b.s.ClockSet(from, from.Add(by), b.clk.pass))
}

// TestAClockSetByAYearChangesNoWindow, forwards and backwards: what a person opened stays open for the rest of its
// time and no longer, a running job goes on, and the audit trail says what happened.
func TestAClockSetByAYearChangesNoWindow(t *testing.T) {
	for name, by := range map[string]time.Duration{"a year on": year, "a year back": -year} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			b := newBench(t) // open for 4 hours
			running := b.adopted("RUNNING", "PC-1")
			b.adopted("WAITING", "PC-2")
			j := b.order("PC-1")
			running.reach(running.work(), job.Writing)
			order := b.order("PC-2")
			booting := b.laptop("BOOTING")
			booting.boot()
			left := b.laptop("LEFTALONE")
			_, err := b.s.PutRole(ctx, "anna", store.Role{Name: "sales", Image: "sales", Pattern: "LT-{seq:3}"})
			must(t, err)
			_, err = b.s.SetAutoDeploy(ctx, "anna", store.AutoDeploy{Role: "sales", Until: b.clk.now().Add(2 * time.Hour), Left: 3})
			must(t, err)
			must(t, b.db.Update(func(tx *store.Tx) error {
				lease := store.Lease{IP: netip.MustParseAddr("10.0.0.9"), MAC: left.mac, Expires: tx.Now().Add(time.Hour)}
				request := store.Request{ID: "request-1", Time: tx.Now()}
				if err := errors.Join(tx.PutLease(lease), tx.PutRequest(request)); err != nil {
					return err
				}
				return tx.PutGuard(store.Guard{Machine: "mac " + left.mac, RefusedUntil: tx.Now().Add(10 * time.Minute)})
			}))

			before := b.clk.now()
			b.set(by)
			must(t, b.s.Sweep())
			must(t, b.db.View(func(tx *store.Tx) error {
				leases, err := tx.Leases()
				if err != nil || len(leases) != 1 || leases[0].Expires.Sub(tx.Now()) != time.Hour {
					t.Errorf("leases %v, %v; want one for another hour", leases, err)
				}
				if _, ok, err := tx.Request("request-1"); !ok || err != nil {
					t.Errorf("a command of a moment ago is forgotten: %v", err)
				}
				return err
			}))
			// The laptop that was starting goes on, and so does the one that is being written.
			booting.sayHello()
			_, err = running.c.State(ctx, j.ID, job.StateEvent{Seq: running.seq + 1, State: job.Flushed})
			must(t, err)
			if v, err := b.s.Job(ctx, j.ID); err != nil || v.State != job.Flushed {
				t.Errorf("the running job is %s, %v; want it to go on", v.State, err)
			}
			if v, err := b.s.Job(ctx, order.ID); err != nil || v.State != job.Approved {
				t.Errorf("the waiting order is %s, %v; want it to wait", v.State, err)
			}
			for _, w := range []struct {
				after       time.Duration
				bench, auto bool
			}{{30 * time.Minute, true, true}, {2 * time.Hour, true, false}, {2 * time.Hour, false, false}} {
				b.clk.pass(w.after)
				now := b.clk.now()
				bench, err := b.s.Bench(ctx)
				must(t, err)
				auto, err := b.s.AutoDeploy(ctx)
				must(t, err)
				if bench.Open(now) != w.bench || auto.On(now) != w.auto {
					t.Errorf("bench open %v, auto-deploy %v; want %v, %v", bench.Open(now), auto.On(now), w.bench, w.auto)
				}
			}
			must(t, b.db.View(func(tx *store.Tx) error {
				g, err := tx.Guard("mac " + left.mac)
				if tx.Now().Before(g.RefusedUntil) {
					t.Error("a laptop that was left alone for 10 minutes still is, hours later")
				}
				return err
			}))
			b.clk.pass(20 * time.Hour)
			must(t, b.s.Sweep())
			if v, err := b.s.Job(ctx, order.ID); err != nil || v.State != job.Failed {
				t.Errorf("a day after it was given the order is %s, %v; want it closed", v.State, err)
			}
			events, err := b.s.Audit(ctx, "server", 10)
			must(t, err)
			words := "The clock jumped from 2026-11-22 09:00:00 UTC to " + before.Add(by).Format("2006-01-02")
			if len(events) != 1 || events[0].Act != "clock" || !strings.HasPrefix(events[0].Text, words) {
				t.Errorf("audit %v; want %q", events, words)
			}
		})
	}
}

// TestAClockIsNotSetWithoutRecord: when the database takes nothing, the daemon goes on by its old time.
func TestAClockIsNotSetWithoutRecord(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	b.order("PC-1")
	l.reach(l.work(), job.Writing)
	at := b.clk.now()
	must(t, b.db.Close())
	if err := b.s.ClockSet(at, at.Add(year), b.clk.pass); err == nil {
		t.Error("the clock was set although nothing could be recorded")
	}
	if now := b.clk.now(); !now.Equal(at) {
		t.Errorf("it is %s; want %s", now, at)
	}
}

// TestTheNewAddressIsWhereSystemsCallHome.
func TestTheNewAddressIsWhereSystemsCallHome(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	b.order("PC-1")
	j := l.work()
	l.reach(j, job.Verified)
	b.s.AdvertiseAt("https://10.0.0.7:8443")
	p, err := l.c.Personal(context.Background(), j.ID)
	if err != nil || p.CallHomeURL != "https://10.0.0.7:8443" {
		t.Errorf("call home at %q, %v", p.CallHomeURL, err)
	}
}

// TestAServerThatWasOffIsNoSilentLaptop: a weekend without the server closes no job, and what it found can be told.
func TestAServerThatWasOffIsNoSilentLaptop(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.adopted("ABC1234", "PC-1")
	b.adopted("DEF56789", "PC-2")
	running := b.order("PC-1")
	b.order("PC-2")
	l.reach(l.work(), job.Writing)
	b.stop()
	b.clk.pass(10 * time.Hour)
	b.start()
	if r, w, err := b.s.Unfinished(); r != 1 || w != 1 || err != nil {
		t.Errorf("Unfinished = %d, %d, %v; want 1 running, 1 waiting", r, w, err)
	}
	must(t, b.s.Sweep())
	if v, err := b.s.Job(ctx, running.ID); err != nil || v.State != job.Writing {
		t.Errorf("the job is %s, %v; want it to go on", v.State, err)
	}
	b.clk.pass(61 * time.Minute)
	must(t, b.s.Sweep())
	if v, err := b.s.Job(ctx, running.ID); err != nil || v.State != job.Failed {
		t.Errorf("after an hour's silence the job is %s, %v; want failed", v.State, err)
	}
}
