package deploy_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/wipetest"
	"ingot/store"
)

// TestAPowerLossIsSettledByTheNextStart: nothing new is begun without a new order; the drive's own log says how it ended.
func TestAPowerLossIsSettledByTheNextStart(t *testing.T) {
	b := wipeBench(t)
	ssd, hdd := flash("S4TWO00001"), disk("WD-ONE00001")
	l, j := b.wipeTaken(ssd, hdd)
	for n, p := range []wipe.Port{ssd, hdd} {
		func() {
			defer func() { _ = recover() }() // the power goes
			faulty := &wipetest.Faulty{Port: p}
			e, o := l.engine(j, n, faulty, clockOf(p), 1)
			keep := e.Journal
			e.Journal = func(s wipe.Started) error {
				err := keep(s)
				faulty.Fault, faulty.At = wipetest.KillLate, faulty.Calls()+1 // behind the next command
				return err
			}
			e.Wipe(context.Background(), o)
		}()
	}
	b.stop()
	b.clk.pass(2 * time.Minute)
	b.start()
	b.clk.pass(time.Minute) // a daemon that was not there gives the earlier start time to be heard
	ssd.Clock.Sleep(3 * time.Minute)
	l.boot()
	l.sayHello()
	j = l.work()
	if !j.Wipe.Settle || !j.Wipe.Drives[0].Begun || !j.Wipe.Drives[1].Begun || j.Resume != job.WipeBegun {
		t.Fatalf("bound anew: %+v", j.Wipe)
	}
	l.begin(j)
	_, err := l.c.KeepJournal(context.Background(), j.ID, job.DriveJournal{Drive: 0, Journal: []byte(`{"version":1}`)})
	wantCode(t, "begun again without an order", err, job.CodeUnsettled)
	for n, p := range []wipe.Port{ssd, hdd} {
		kept, err := l.c.Journal(context.Background(), j.ID, n)
		must(t, err)
		var s wipe.Started
		must(t, json.Unmarshal(kept.Journal, &s))
		e, _ := l.engine(j, n, p, clockOf(p), 1)
		ack, err := l.report(j, n, e.Settle(context.Background(), s, ""))
		must(t, err)
		if n == 0 && ack.Certificate == "" {
			t.Errorf("the drive's log says done: %+v", ack)
		}
		if n == 1 && (ack.Certificate != "" || ack.Fault == nil) {
			t.Errorf("half an overwrite: %+v", ack)
		}
	}
	_ = l.ended(j, job.Failed)
	if d := b.device("SALES-017"); d.State != store.Returned || len(b.certificates()) != 1 || ssd.Left() != 0 {
		t.Fatalf("device %s, %d certificates", d.State, len(b.certificates()))
	}
	_, err = b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12"}) // the press
	must(t, err)
	l.boot()
	l.sayHello()
	j = l.work()
	if len(j.Wipe.Drives) != 1 || j.Wipe.Drives[0].Serial != "WD-ONE00001" || j.Wipe.Settle {
		t.Fatalf("the second order: %+v", j.Wipe)
	}
	l.begin(j)
	wipeAll(t, l, j, hdd)
	must(t, l.ended(j, job.Done))
	if d := b.device("SALES-017"); d.State != store.Ready || hdd.Readable() != 0 {
		t.Errorf("device %s", d.State)
	}
}

// TestAWipeWaitsForASecondPerson where the site wants one.
func TestAWipeWaitsForASecondPerson(t *testing.T) {
	b := wipeBench(t)
	b.update(func(tx *store.Tx) error { return tx.SetAccessPolicy(store.AccessPolicy{SecondPerson: true}, "boss") })
	hdd := disk("WD-ONE00001")
	l := b.returned("PF3ABC12", "SALES-017", hdd)
	v, err := b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12"})
	must(t, err)
	l.boot()
	l.sayHello()
	if n := l.next(); n.Order != job.Wait || !strings.Contains(n.Say, "second person") {
		t.Fatalf("Next = %+v; want wait for a second person", n)
	}
	ctx := context.Background()
	_, err = b.s.AgreeWipe(ctx, "anna", store.Technician, v.ID, "PF3ABC12")
	wantCode(t, "the same person", err, job.CodeSecondPerson)
	_, err = b.s.AgreeWipe(ctx, "otto", store.Viewer, v.ID, "PF3ABC12")
	wantCode(t, "a viewer", err, job.CodeSecondPerson)
	_, err = b.s.AgreeWipe(ctx, "otto/script", store.Technician, v.ID, "PF3ABC12")
	wantCode(t, "a program", err, job.CodeSecondPerson)
	b.update(func(tx *store.Tx) error { return tx.SetAccessPolicy(store.AccessPolicy{}, "boss") })
	_, err = b.s.AgreeWipe(ctx, "anna", store.Technician, v.ID, "PF3ABC12")
	wantCode(t, "the same person, after the policy was changed", err, job.CodeSecondPerson)
	_, err = b.s.AgreeWipe(ctx, "otto", store.Technician, v.ID, "PF3ABC13")
	wantCode(t, "a wrong serial", err, job.CodeWrongSerial)
	_, err = b.s.AgreeWipe(ctx, "otto", store.Technician, v.ID, "PF3ABC12")
	must(t, err)
	j := l.work()
	l.begin(j)
	wipeAll(t, l, j, hdd)
	must(t, l.ended(j, job.Done))
	full, err := b.s.Certificate(ctx, b.certificates()[0].ID)
	must(t, err)
	if !strings.Contains(string(full.Signed), `"name":"otto","role":"agreed"`) {
		t.Error("the certificate does not name who agreed")
	}
}

// TestWipeThenDeploy: the image that was ordered with the wipe follows it, and an impossible one is refused before.
func TestWipeThenDeploy(t *testing.T) {
	b := wipeBench(t)
	hdd := disk("WD-ONE00001")
	l := b.returned("PF3ABC12", "SALES-017", hdd)
	_, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: "SALES-017", Image: "sales"})
	wantCode(t, "an image onto what came back", err, job.CodeReturned)
	_, err = b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12", Then: &store.Order{Image: "nothing"}})
	wantCode(t, "an image that is not there", err, job.CodeNotFound)
	v, err := b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12", Then: &store.Order{Image: "sales"}})
	must(t, err)
	l.boot()
	l.sayHello()
	j := l.work()
	if !j.Wipe.Then {
		t.Error("the laptop is not told that an order follows")
	}
	l.begin(j)
	wipeAll(t, l, j, hdd)
	must(t, l.ended(j, job.Done))
	l.seq = 0
	next := l.work()
	if next.Kind != job.Deploy || next.Target.Serial != "WD-ONE00001" {
		t.Fatalf("what follows: %+v", next)
	}
	l.reach(next, job.Committed)
	_, err = l.c.Result(context.Background(), next.ID, result(next))
	must(t, err)
	v, err = b.s.Job(context.Background(), v.ID)
	must(t, err)
	if d := b.device("SALES-017"); d.State != store.Deployed || v.Wipe.ThenJob != next.ID || d.Holds == nil {
		t.Errorf("device %s, then %s", d.State, v.Wipe.ThenJob)
	}
}

// TestADeadLaptopLeavesByDestructionRecordsAlone: it never told of a drive; its drive's label is scanned.
func TestADeadLaptopLeavesByDestructionRecordsAlone(t *testing.T) {
	b := wipeBench(t)
	b.update(func(tx *store.Tx) error {
		return tx.PutDevice(store.Device{ID: "deadlaptop01", Serial: "DEAD1", Sticker: "DEAD1", SerialKey: "dell\x00dead1", State: store.Deployed})
	})
	ctx := context.Background()
	_, err := b.s.Return(ctx, "anna", "DEAD1", store.Return{From: "K. Berg"})
	must(t, err)
	_, err = b.wipeOrder(store.WipeOrder{Device: "DEAD1", Confirm: "DEAD1"})
	wantCode(t, "no drive found", err, job.CodeNoDrive)
	_, err = b.s.Clear(ctx, "anna", "DEAD1", store.Disposed, store.Disposal{Confirm: "DEAD1"})
	wantCode(t, "disposed without a word about its drive", err, job.CodeOwed)
	in := store.Destruction{Device: "DEAD1", Drive: "Z9-LABEL", Confirm: "Z9-LABEL", Method: "shredded", Why: "it does not start", Place: "Vendor", By: "Karl Ott", Witness: "Karl Ott", Reference: "R-2"}
	_, err = b.s.DestroyDrive(ctx, "anna", in)
	wantCode(t, "one person", err, job.CodeDestruction)
	in.Witness = "Eva Lang"
	_, err = b.s.DestroyDrive(ctx, "anna", in)
	must(t, err)
	_, err = b.s.DestroyDrive(ctx, "anna", in)
	wantCode(t, "twice", err, job.CodeState)
	d, err := b.s.Clear(ctx, "anna", "DEAD1", store.Disposed, store.Disposal{Confirm: "DEAD1"})
	must(t, err)
	if d.State != store.Disposed {
		t.Errorf("device is %s", d.State)
	}
}

// TestADriveThatOwesIsNotGivenToAnybody: put into another laptop, it still holds what was on it.
func TestADriveThatOwesIsNotGivenToAnybody(t *testing.T) {
	b := wipeBench(t)
	hdd := disk("WD-ONE00001")
	b.returned("PF3ABC12", "SALES-017", hdd)
	l := b.laptop("XYZ98765")
	b.clk.pass(time.Minute)
	l.hello.Drives = []job.Drive{simDrive(flash("S4OWN00001")), simDrive(hdd)}
	l.boot()
	_, err := b.s.Adopt(context.Background(), "anna", store.Adoption{Code: l.sayHello().Code, Name: "SALES-018"})
	must(t, err)
	_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "SALES-018", Image: "sales", Drive: "S4OWN00001", DataSaved: true, Confirm: "SALES-017"})
	wantCode(t, "an image beside a drive that owes", err, job.CodeDriveOwes)
}
