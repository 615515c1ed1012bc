package deploy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/store"
)

// shelve adds a version that fits every laptop of these tests.
func (b *bench) shelve(v store.Version) store.Version {
	b.t.Helper()
	v.SectorSize, v.NeedBytes, v.Personalise, v.Note, v.Manifest = 512, 1, "linux", "n", imaging.Sum([]byte(v.Image+v.Label))
	v.DiskSize, v.Table, v.DataExtents, v.ZeroExtents, v.DataBytes, v.ZeroBytes = 8<<30, "gpt", 7, 2, 5<<20, 2<<20 // as result proves it
	b.update(func(tx *store.Tx) (err error) { v, _, err = tx.AddVersion(v); return err })
	return v
}

func (b *bench) act(do func(*store.Tx, string, store.VersionOrder) (store.Version, error), o store.VersionOrder) {
	b.t.Helper()
	b.update(func(tx *store.Tx) error { _, err := do(tx, "anna", o); return err })
}

func TestADraftIsDeployedOnTrialOnlyAndTheRecordSaysSo(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	draft := b.shelve(store.Version{Image: "sales", Label: "next", State: store.Draft})
	_, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: draft.Ref().String()})
	wantCode(t, "a draft", err, job.CodeNotReleased)
	ordered, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: draft.Ref().String(), Trial: true})
	must(t, err)
	if !ordered.Trial || !strings.Contains(ordered.What(), "on trial") {
		t.Errorf("the job is %+v", ordered.Job)
	}
	j := l.work()
	l.reach(j, job.Committed)
	_, err = l.c.Result(context.Background(), j.ID, result(j))
	must(t, err)
	d, err := b.s.Device(context.Background(), "PC-1")
	must(t, err)
	if d.Holds == nil || !d.Holds.Trial || d.Holds.Image.Number != draft.Number {
		t.Errorf("the record is %+v", d.Holds)
	}
}

func TestWithoutANumberTheCurrentVersionIsMeant(t *testing.T) {
	b := newBench(t)
	b.adopted("ABC1234", "PC-1")
	next := b.shelve(store.Version{Image: "sales", Label: "next", State: store.Draft})
	j := b.order("PC-1")
	if j.Image.Number != 1 {
		t.Errorf("a draft was taken for the current version: %s", j.Image)
	}
	_, err := b.s.Cancel(context.Background(), "anna", j.ID)
	must(t, err)
	b.act((*store.Tx).Release, store.VersionOrder{Version: next.Ref().String()})
	if j = b.order("PC-1"); j.Image.Number != next.Number {
		t.Errorf("after the release %s is deployed", j.Image)
	}
	if j.Trial {
		t.Error("a released version is on trial")
	}
}

func TestAWithdrawnVersionReachesNoDrive(t *testing.T) {
	b := newBench(t)
	waits, begun, writes := b.adopted("ABC1234", "PC-1"), b.adopted("ABC12345", "PC-2"), b.adopted("ABC123456", "PC-3")
	bad := b.shelve(store.Version{Image: "bad", Label: "one", State: store.Released})
	order := func(name string) {
		_, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: name, Image: "bad"})
		must(t, err)
	}
	order("PC-1")
	order("PC-2")
	order("PC-3")
	claimed := begun.work()
	begun.reach(claimed, job.Claimed)
	writing := writes.work()
	writes.reach(writing, job.Invalidated)
	b.act((*store.Tx).Withdraw, store.VersionOrder{Version: bad.Ref().String(), Reason: "a password in it"})

	if n := waits.next(); n.Order != job.Leave || n.Fault == nil || n.Fault.Code != job.CodeWithdrawn || !strings.Contains(n.Fault.Error(), "a password") {
		t.Errorf("the laptop that waited is told %+v", n)
	}
	if jobs, err := b.s.Jobs(context.Background(), true); err != nil || len(jobs) != 3 {
		t.Errorf("%d jobs, %v", len(jobs), err)
	}
	if d, _ := b.s.Device(context.Background(), "PC-1"); d.State != store.Ready {
		t.Errorf("the device that waited is %s", d.State)
	}
	_, err := begun.c.State(context.Background(), claimed.ID, job.StateEvent{Seq: 2, State: job.Invalidated})
	wantCode(t, "the first write of a laptop that had begun", err, job.CodeWithdrawn)
	_, err = writes.c.State(context.Background(), writing.ID, job.StateEvent{Seq: 3, State: job.Writing})
	must(t, err) // half an image helps nobody
}

func TestAStaleVersionNeedsAReason(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	b.update(func(tx *store.Tx) error {
		_, err := tx.SetCadence("anna", store.VersionOrder{Version: "sales", Days: 1})
		return err
	})
	b.clk.pass(25 * time.Hour)
	l.boot()
	l.sayHello()
	_, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "sales"})
	wantCode(t, "a stale version", err, job.CodeOutdated)
	_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "sales", StaleReason: "a\nb"})
	wantCode(t, "a reason of two lines", err, job.CodeBadRequest)
	j, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "sales", StaleReason: "the new one is in test"})
	must(t, err)
	if !strings.Contains(j.Stale, "is in test") || !strings.Contains(j.Stale, "1 days") {
		t.Errorf("the job keeps %q", j.Stale)
	}
}

func TestABackupGoesBackOnlyOntoItsOwnLaptop(t *testing.T) {
	b := newBench(t)
	b.adopted("ABC1234", "PC-1")
	b.adopted("ABC12345", "PC-2")
	one, err := b.s.Device(context.Background(), "PC-1")
	must(t, err)
	v := b.shelve(store.Version{Image: "backups", Label: "b", State: store.Draft, Kind: store.Backup, Device: one.ID, Expires: b.clk.now().Add(time.Hour)})
	for _, o := range []store.Order{{Device: "PC-2", Image: v.Ref().String()}, {Device: "PC-2", Image: v.Ref().String(), Trial: true}} {
		_, err = b.s.Deploy(context.Background(), "anna", o)
		wantCode(t, "another laptop's backup", err, job.CodeBackup)
	}
	_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "backups"})
	wantCode(t, "a backup without its number", err, job.CodeNotReleased)
	j, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: v.Ref().String()})
	must(t, err)
	if j.Trial {
		t.Error("a backup is no trial")
	}
}

func TestARoleBringsNoDraftAndNoBackup(t *testing.T) {
	b := newBench(t)
	b.adopted("ABC1234", "PC-1")
	one, err := b.s.Device(context.Background(), "PC-1")
	must(t, err)
	draft := b.shelve(store.Version{Image: "next", Label: "one", State: store.Draft})
	_, err = b.s.PutRole(context.Background(), "anna", store.Role{Name: "desk", Image: draft.Ref().String()})
	must(t, err)
	_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Role: "desk", Trial: true})
	wantCode(t, "a role's draft", err, job.CodeNotReleased)

	back := store.Version{Image: "backups", Label: "b", State: store.Draft, Kind: store.Backup, Device: one.ID}
	_, err = b.s.PutRole(context.Background(), "anna", store.Role{Name: "mine", Image: b.shelve(back).Ref().String()})
	wantCode(t, "a role for a backup", err, job.CodeBackup)
	b.shelve(store.Version{Image: "later", Label: "one", State: store.Draft})
	_, err = b.s.PutRole(context.Background(), "anna", store.Role{Name: "label", Image: "later@one"})
	must(t, err)
	back.Image, back.Label = "later", "one" // the newest version of a label is the one that is found
	b.update(func(tx *store.Tx) error {
		back.SectorSize, back.NeedBytes, back.Personalise, back.Manifest = 512, 1, "linux", imaging.Sum([]byte("mine"))
		_, _, err := tx.AddVersion(back)
		return err
	})
	_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Role: "label"})
	wantCode(t, "a backup by its role", err, job.CodeBackup)
}

func TestAutoDeployTakesNoDraft(t *testing.T) {
	b := newBench(t)
	draft := b.shelve(store.Version{Image: "new", Label: "one", State: store.Draft})
	_, err := b.s.PutRole(context.Background(), "anna", store.Role{Name: "desk", Image: draft.Ref().String(), Pattern: "PC-{seq:4}"})
	must(t, err)
	_, err = b.s.SetAutoDeploy(context.Background(), "anna", store.AutoDeploy{Role: "desk", Left: 3, Until: b.clk.now().Add(time.Hour)})
	must(t, err)
	l := b.laptop("ABC1234")
	l.boot()
	l.sayHello()
	if n := l.next(); n.Order != job.Wait {
		t.Errorf("a draft was ordered without a person: %+v", n)
	}
	if jobs, _ := b.s.Jobs(context.Background(), true); len(jobs) != 0 {
		t.Errorf("%d jobs", len(jobs))
	}
}
