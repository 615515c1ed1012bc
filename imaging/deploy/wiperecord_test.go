package deploy_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/store"
)

// TestAnotherKeyGoesNotOnWithTheChain: where the key of certificates was lost, and a start made another one, nothing is
// wiped or recorded until it is back: the chain would hold under neither.
func TestAnotherKeyGoesNotOnWithTheChain(t *testing.T) {
	ctx := context.Background()
	b := wipeBench(t)
	hdd, ssd := disk("WD-ONE00001"), flash("S4TWO00001")
	l, j := b.wipeTaken(hdd, ssd)
	wipeAll(t, l, j, hdd)
	path := filepath.Join(b.dir, "certificates.key")
	b.stop()
	must(t, os.Rename(path, path+".lost"))
	b.start()
	gone := func() (string, error) {
		v, err := b.s.DestroyDrive(ctx, "anna", store.Destruction{Device: "SALES-017", Drive: "S4TWO00001", Confirm: "S4TWO00001", Method: "shredded",
			Why: "it is dead", Place: "Vendor", By: "Karl Ott", Witness: "Eva Lang", Reference: "R-1"})
		return v.ID, err
	}
	l = b.relog(l)
	j = l.again()
	l.begin(j)
	l.ended(j, job.Failed)
	_, err := gone()
	wantCode(t, "a record under another key", err, job.CodeTampered)
	_, err = b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12"})
	wantCode(t, "a wipe under another key", err, job.CodeTampered)
	if n := len(b.certificates()); n != 1 {
		t.Errorf("%d records; want the one of before", n)
	}
	b.stop()
	must(t, os.Rename(path+".lost", path))
	b.start()
	if id, err := gone(); err != nil || id != "D-000002" {
		t.Errorf("when the key is back: %q, %v", id, err)
	}
	chainHolds(t, b, 2)
}

// relog lets a laptop speak to the daemon that was started anew.
func (b *bench) relog(l *laptop) *laptop { return &laptop{b: b, hello: l.hello, mac: l.mac} }

// TestARecordThatJoinsAnotherBringsItsDebt: what a laptop owed under a record that turned out to be another one's is owed
// by that one, an absent drive too.
func TestARecordThatJoinsAnotherBringsItsDebt(t *testing.T) {
	b := wipeBench(t)
	here, absent := simDrive(disk("WD-HERE0001")), simDrive(flash("S4ABSENT01"))
	own := func(id string) store.Device {
		return store.Device{ID: id, Serial: id, Told: id, SerialKey: store.SerialKey("Dell Inc.", id), UUID: uuidFor(id), UUIDKey: store.UUIDKey(uuidFor(id)), Manufacturer: "Dell Inc."}
	}
	b.update(func(tx *store.Tx) error {
		into := own("into00000001")
		into.State, into.Seen = store.Ready, tx.Now()
		from := own("from00000001")
		from.State, from.Seen, from.Drives = store.Returned, tx.Now(), []job.Drive{here, absent}
		err := errors.Join(tx.PutDevice(into), tx.PutDevice(from))
		from.State, from.Drives, from.Conflict = store.Quarantined, []job.Drive{here}, "A test."
		return errors.Join(err, tx.PutDevice(from))
	})
	_, err := b.s.Settle(context.Background(), "anna", "from00000001", store.Settlement{As: store.AsSame, With: "into00000001"})
	must(t, err)
	must(t, b.db.View(func(tx *store.Tx) error {
		open, _, err := tx.Owed("into00000001")
		if len(open) != 2 {
			t.Errorf("%d drives are owed; want both: %+v", len(open), open)
		}
		return err
	}))
}

// TestAPasswordThatADriveMayHaveGoesOnToTheNextOrder: a Security Erase that failed may leave its password on the drive,
// and the drive takes nothing without it.
func TestAPasswordThatADriveMayHaveGoesOnToTheNextOrder(t *testing.T) {
	ctx := context.Background()
	b := wipeBench(t)
	hdd := disk("WD-ONE00001")
	l, j := b.wipeTaken(hdd)
	password := []byte(`{"password":"ABCDEFGH"}`)
	for _, in := range []job.DriveJournal{{Password: password}, {Journal: []byte(`{"version":1}`)}} {
		_, err := l.c.KeepJournal(ctx, j.ID, in)
		must(t, err)
	}
	f, err := hdd.Facts()
	must(t, err)
	ack, err := l.report(j, 0, wipe.Report{Version: wipe.ReportVersion, Drive: wipe.Identity{Serial: f.Serial}, Outcome: wipe.Failed, Cause: wipe.CauseLocked, Fact: "its password is still set"})
	must(t, err)
	wantCode(t, "it is locked", ack.Fault, job.CodeWipeLocked)
	_ = l.ended(j, job.Failed)
	for range 2 { // an order that comes to nothing keeps it too
		v, err := b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12"})
		must(t, err)
		l.boot()
		l.sayHello()
		j = l.work()
		if !j.Wipe.Drives[0].Begun {
			t.Fatal("the next order does not tell that it was begun")
		}
		l.begin(j)
		kept, err := l.c.Journal(ctx, j.ID, 0)
		must(t, err)
		if string(kept.Password) != string(password) {
			t.Errorf("job %s has the password %s", v.ID, kept.Password)
		}
		_ = l.ended(j, job.Failed)
	}
	_, err = b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12"})
	must(t, err)
	l.boot()
	l.sayHello()
	j = l.work()
	l.begin(j)
	wipeAll(t, l, j, hdd)
	must(t, b.db.View(func(tx *store.Tx) error {
		j, err := tx.Job(j.ID)
		if d := j.Wipe.Drives[0]; len(d.Password) != 0 || d.Certificate == "" {
			t.Errorf("with its certificate it keeps the password %s", d.Password)
		}
		return err
	}))
}
