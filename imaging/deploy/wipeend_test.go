package deploy_test

import (
	"context"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/store"
)

// keepsJournal begins the first drive of a wipe: from here on it may have been erased.
func (l *laptop) keepsJournal(j job.Job) {
	l.b.t.Helper()
	_, err := l.c.KeepJournal(context.Background(), j.ID, job.DriveJournal{Journal: []byte(`{"version":1}`)})
	must(l.b.t, err)
}

// again starts the laptop of a wipe that was begun anew, up to the job.
func (l *laptop) again() job.Job {
	l.b.t.Helper()
	l.b.clk.pass(2 * time.Minute)
	l.boot()
	l.sayHello()
	return l.work()
}

// TestAWipeEndsAsItsDrivesStand: however the end of a wipe is told, by whom and after which starts, the job says what
// stands on record of its drives: a begun drive is not settled, and with a certificate for each it is done.
func TestAWipeEndsAsItsDrivesStand(t *testing.T) {
	ctx := context.Background()
	tell := func(s job.State) func(*testing.T, *laptop, job.Job) {
		return func(_ *testing.T, l *laptop, j job.Job) {
			l.seq++
			_, _ = l.c.State(ctx, j.ID, job.StateEvent{Seq: l.seq, State: s})
		}
	}
	silent := func(t *testing.T, l *laptop, _ job.Job) { l.b.clk.pass(2 * time.Hour); must(t, l.b.s.Sweep()) }
	stop := func(t *testing.T, l *laptop, j job.Job) {
		l.again() // claimed by a new start, and not begun by it
		l.seq++
		_, err := l.c.State(ctx, j.ID, job.StateEvent{Seq: l.seq, State: job.Claimed})
		must(t, err)
		l.b.clk.pass(time.Minute)
		_, err = l.b.s.Cancel(ctx, "anna", j.ID)
		must(t, err)
	}
	for name, c := range map[string]struct {
		journal, wiped bool
		end            func(*testing.T, *laptop, job.Job)
		want           job.State
		code           job.Code
	}{
		"begun, and the agent says failed":               {true, false, tell(job.Failed), job.Indeterminate, job.CodeUnsettled},
		"begun, and the agent says indeterminate":        {true, false, tell(job.Indeterminate), job.Indeterminate, job.CodeUnsettled},
		"begun, and nothing more is heard":               {true, false, silent, job.Indeterminate, job.CodeLost},
		"begun, started anew, and stopped by a person":   {true, false, stop, job.Indeterminate, job.CodeUnsettled},
		"not begun, started anew, stopped by a person":   {false, false, stop, job.Failed, job.CodeNotWiped},
		"not begun, and the agent says failed":           {false, false, tell(job.Failed), job.Failed, job.CodeNotWiped},
		"all certificates, and the agent says failed":    {false, true, tell(job.Failed), job.Done, ""},
		"all certificates, and nothing more is heard":    {false, true, silent, job.Done, ""},
		"all certificates, started anew, and then ended": {false, true, stop, job.Done, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := wipeBench(t)
			hdd := disk("WD-ONE00001")
			l, j := b.wipeTaken(hdd)
			if c.wiped {
				wipeAll(t, l, j, hdd)
			}
			if c.journal {
				l.keepsJournal(j)
			}
			c.end(t, l, j)
			v, err := b.s.Job(ctx, j.ID)
			must(t, err)
			code := job.Code("")
			if v.Fault != nil {
				code = v.Fault.Code
			}
			if v.State != c.want || code != c.code {
				t.Errorf("job %s, %v; want %s, %q", v.State, v.Fault, c.want, c.code)
			}
			want := store.Returned
			if c.want == job.Done {
				want = store.Ready
			}
			if d := b.device("SALES-017"); d.State != want {
				t.Errorf("device %s; want %s", d.State, want)
			}
		})
	}
}

// TestTheSameReportAgainIsAnsweredAndNotRecorded: an answer that was lost, or an agent that says the same for ever, adds
// nothing to the records.
func TestTheSameReportAgainIsAnsweredAndNotRecorded(t *testing.T) {
	b := wipeBench(t)
	bad := flash("S4KEEPS001")
	bad.Keeps = 500
	l, j := b.wipeTaken(bad)
	e, o := l.engine(j, 0, bad, bad.Clock, 3)
	r := e.Wipe(context.Background(), o)
	first, err := l.report(j, 0, r)
	must(t, err)
	events := func() (n int) {
		must(t, b.db.View(func(tx *store.Tx) error {
			all, err := tx.AuditTrail("", 1000)
			n = len(all)
			return err
		}))
		return n
	}
	before := events()
	for range 5 {
		again, err := l.report(j, 0, r)
		must(t, err)
		if again.Certificate != "" || again.Fault == nil || first.Fault == nil || *again.Fault != *first.Fault {
			t.Errorf("again it is %+v; was %+v", again, first)
		}
	}
	if n := events(); n != before {
		t.Errorf("%d more events for what was on record", n-before)
	}
}

// TestALateReportIsNoReportOfAnEndedWipe: an order that ended is over, whatever its laptop proves later. The next one
// asks the drive itself.
func TestALateReportIsNoReportOfAnEndedWipe(t *testing.T) {
	b := wipeBench(t)
	ssd := flash("S4LATE0001")
	l, j := b.wipeTaken(ssd)
	e, o := l.engine(j, 0, ssd, ssd.Clock, 1)
	r := e.Wipe(context.Background(), o)
	if r.Outcome != wipe.Done {
		t.Fatalf("the wipe is %s %s", r.Outcome, r.Fact)
	}
	b.clk.pass(2 * time.Hour)
	must(t, b.s.Sweep())
	_, err := l.report(j, 0, r)
	wantCode(t, "a report behind the end", err, job.CodeState)
	b.noCertificates("behind the end")
	_, err = b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12"})
	must(t, err)
	_, err = l.report(j, 0, r)
	wantCode(t, "the old report under a new order", err, job.CodeState)
	l.boot()
	l.sayHello()
	again := l.work()
	l.seq++
	_, err = l.c.State(context.Background(), again.ID, job.StateEvent{Seq: l.seq, State: job.Claimed})
	must(t, err)
	_, err = l.report(again, 0, r)
	wantCode(t, "a report before the new one began", err, job.CodeState)
	b.noCertificates("before it began")
}

// TestASanitizeOfAnEarlierOrderIsNoProofUnderANewOne: weeks may lie between the two, and the laptop may have been used. Not
// even a start that only settles, because the new order was cut off before it began the drive, gets a certificate of it.
func TestASanitizeOfAnEarlierOrderIsNoProofUnderANewOne(t *testing.T) {
	for name, cutOff := range map[string]bool{"under the new order": false, "when the new order was cut off": true} {
		t.Run(name, func(t *testing.T) {
			b := wipeBench(t)
			ssd := disk("S4EARLIER1")
			ssd.Rotation, ssd.Told.Rotational = 1, false
			l, j := b.wipeTaken(ssd)
			e, o := l.engine(j, 0, ssd, ssd.Clock, 3)
			var began wipe.Started
			keep := e.Journal
			e.Journal = func(s wipe.Started) error { began = s; return keep(s) }
			if r := e.Wipe(context.Background(), o); r.Outcome != wipe.Done || r.Technique != wipe.ATACrypto {
				t.Fatalf("the first wipe is %s by %s: %s", r.Outcome, r.Technique, r.Fact)
			}
			b.clk.pass(2 * time.Hour) // its report never came
			ssd.Clock.Sleep(2 * time.Hour)
			must(t, b.s.Sweep())
			_, err := ssd.WriteAt(make([]byte, 4096), 40960) // it was used since
			must(t, err)
			_, err = b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12"})
			must(t, err)
			l.boot()
			l.sayHello()
			j = l.work()
			l.begin(j)
			if cutOff {
				j = l.again()
				l.begin(j)
			}
			if !j.Wipe.Drives[0].Begun || j.Wipe.Settle != cutOff {
				t.Fatalf("the new order: %+v", j.Wipe)
			}
			e, _ = l.engine(j, 0, ssd, ssd.Clock, 4)
			r := e.Settle(context.Background(), began, "")
			ack, err := l.report(j, 0, r)
			must(t, err)
			if ack.Certificate != "" || ack.Fault == nil {
				t.Errorf("settled as %s, answered %+v", r.Outcome, ack)
			}
			b.noCertificates("of what was begun under the order before")
		})
	}
}
