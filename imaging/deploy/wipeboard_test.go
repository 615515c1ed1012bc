package deploy_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// TestTheBoardOfAWipe: a laptop that came back is not "done", whatever it was before; an order that waits for a second
// person says so before it says anything else; a wipe of which nobody knows how it ended stays until somebody has seen to
// it, and not a quarter of an hour.
func TestTheBoardOfAWipe(t *testing.T) {
	ctx := context.Background()
	b := wipeBench(t)
	b.update(func(tx *store.Tx) error { return tx.SetAccessPolicy(store.AccessPolicy{SecondPerson: true}, "boss") })
	hdd := disk("WD-ONE00001")
	l := b.returned("PF3ABC12", "SALES-017", hdd)
	id := b.device("SALES-017").ID
	if got := b.tile(id); got != nil {
		t.Errorf("it came back, and stands on the board as %q", got.Word)
	}
	if n := b.counts().Done; n != 1 {
		t.Errorf("%d jobs were done; want the deploy", n)
	}
	b.clk.pass(5 * time.Minute) // and was switched off
	v, err := b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12"})
	must(t, err)
	wantTile(t, "ordered by one person", b.tile(id), job.WordSecond, job.Yellow, store.ActHelp)
	if got := b.tile(id); got == nil || !strings.Contains(got.Say, "anna ordered its wipe") || !strings.Contains(got.Next, "agree") {
		t.Errorf("it says %+v", got)
	}
	_, err = b.s.AgreeWipe(ctx, "carl", store.Technician, v.ID, "PF3ABC12")
	must(t, err)
	wantTile(t, "agreed to", b.tile(id), "waiting", job.Grey, store.ActSwitch)
	l.boot()
	l.sayHello()
	j := l.work()
	l.begin(j)
	_, err = l.c.KeepJournal(ctx, j.ID, job.DriveJournal{Journal: []byte(`{}`)})
	must(t, err)
	wantTile(t, "begun", b.tile(id), "wiping", job.Blue, store.ActNone)
	b.clk.pass(3 * time.Hour)
	must(t, b.s.Sweep())
	if got := b.device("SALES-017"); got.State != store.Returned {
		t.Fatalf("it is %s", got.State)
	}
	wantTile(t, "nobody knows how it ended", b.tile(id), job.WordUnsettled, job.Red, store.ActAgain)
	b.clk.pass(time.Hour)
	wantTile(t, "an hour later", b.tile(id), job.WordUnsettled, job.Red, store.ActAgain)
	if n := b.counts().Failed; n != 1 {
		t.Errorf("%d laptops are counted as failed; want 1", n)
	}
	_, err = b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12"})
	must(t, err)
	wantTile(t, "ordered again", b.tile(id), job.WordSecond, job.Yellow, store.ActHelp)
}

// TestACleanLaptopWithoutTheImageThatWasToFollowWantsAPerson: it is not simply done.
func TestACleanLaptopWithoutTheImageThatWasToFollowWantsAPerson(t *testing.T) {
	ctx := context.Background()
	b := wipeBench(t)
	hdd := disk("WD-ONE00001")
	l := b.returned("PF3ABC12", "SALES-017", hdd)
	b.clk.pass(time.Minute)
	_, err := b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12", Then: &store.Order{Image: "sales"}})
	must(t, err)
	b.update(func(tx *store.Tx) error {
		_, err := tx.Withdraw("ida", store.VersionOrder{Version: "sales@1", Reason: "a hole"})
		return err
	})
	l.boot()
	l.sayHello()
	j := l.work()
	l.begin(j)
	wipeAll(t, l, j, hdd)
	must(t, l.ended(j, job.Done))
	got, err := b.s.Job(ctx, j.ID)
	must(t, err)
	if got.State != job.Done || got.Wipe.ThenFault == nil {
		t.Fatalf("the wipe is %s, %v followed", got.State, got.Wipe.ThenFault)
	}
	tile := b.tile(got.Device)
	wantTile(t, "clean, and nothing followed", tile, job.WordDone, job.Yellow, store.ActHelp)
	if tile == nil || !strings.Contains(tile.Say, "no image followed") {
		t.Errorf("it says %+v", tile)
	}
}

// TestAJobShowsNoSecretOfItsDrives: whoever may look at jobs is told neither the password that a drive was given, nor where
// its proof will look, nor the PSID of its label; the agent gets them still.
func TestAJobShowsNoSecretOfItsDrives(t *testing.T) {
	ctx := context.Background()
	b := wipeBench(t)
	hdd := disk("WD-ONE00001")
	l := b.returned("PF3ABC12", "SALES-017", hdd)
	const psid = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
	for serial, bad := range map[string]string{"WD-ONE00001": psid[1:], "WD-TWO00002": psid, " WD-ONE00001 ": psid[1:] + "-"} {
		_, err := b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12", PSIDs: map[string]string{serial: bad}})
		wantCode(t, "PSID "+bad+" for "+serial, err, job.CodeBadRequest)
	}
	v, err := b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12", PSIDs: map[string]string{"WD-ONE00001": psid}})
	must(t, err)
	l.boot()
	l.sayHello()
	j := l.work()
	if j.Wipe.Drives[0].PSID != psid {
		t.Errorf("the agent is given the PSID %q", j.Wipe.Drives[0].PSID)
	}
	l.begin(j)
	for _, in := range []job.DriveJournal{{Password: []byte(`{"password":"hunter2secret"}`)}, {Journal: []byte(`{"seed":"c0ffee5eed"}`)}} {
		_, err = l.c.KeepJournal(ctx, j.ID, in)
		must(t, err)
	}
	one, err := b.s.Job(ctx, v.ID)
	must(t, err)
	all, err := b.s.Jobs(ctx, true)
	must(t, err)
	history, err := b.s.History(ctx, "SALES-017")
	must(t, err)
	for what, shown := range map[string]any{"its order": v, "the job": one, "the list of jobs": all, "the device": b.device("SALES-017"), "its history": history} {
		text, err := json.Marshal(shown)
		must(t, err)
		for _, secret := range []string{psid, "hunter2secret", "c0ffee5eed"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s shows %q", what, secret)
			}
		}
	}
	if got, err := l.c.Journal(ctx, j.ID, 0); err != nil || !strings.Contains(string(got.Password), "hunter2secret") {
		t.Errorf("the agent gets %+v back, %v", got, err)
	}
}

// TestNoAgentSaysDoneForTheServer: what an agent tells of its way is for the eye. It is bounded, and "done" stands with no
// drive that has no certificate here.
func TestNoAgentSaysDoneForTheServer(t *testing.T) {
	ctx := context.Background()
	b := wipeBench(t)
	hdd := disk("WD-ONE00001")
	l, j := b.wipeTaken(hdd)
	tell := func() []job.DriveProgress {
		told := job.Progress{Phase: "wiping", TotalBytes: 1000, Drives: []job.DriveProgress{{Serial: "WD-ONE00001", Phase: "done", Say: strings.Repeat("x", 1000)}}}
		for range 500 {
			told.Drives = append(told.Drives, job.DriveProgress{Serial: "WD-ONE00001", Phase: " Done", SecondsLeft: 1 << 62})
		}
		_, err := l.c.Progress(ctx, j.ID, told)
		must(t, err)
		v, err := b.s.Job(ctx, j.ID)
		must(t, err)
		return v.Progress.Drives
	}
	got := tell()
	if len(got) != 1 || strings.EqualFold(strings.TrimSpace(got[0].Phase), "done") || len(got[0].Say) > 100 {
		t.Errorf("%d drives are shown, the first is %+v", len(got), got[0])
	}
	ssd := flash("S4DONE0001")
	l, j = wipeBench(t).wipeTaken(ssd, disk("WD-TWO00002"))
	b = l.b
	e, o := l.engine(j, 0, ssd, ssd.Clock, 1)
	_, err := l.report(j, 0, e.Wipe(ctx, o))
	must(t, err)
	_, err = l.c.Progress(ctx, j.ID, job.Progress{Phase: "wiping", Drives: []job.DriveProgress{{Serial: "S4DONE0001", Phase: "done"}, {Serial: "WD-TWO00002", Phase: "done"}}})
	must(t, err)
	v, err := b.s.Job(ctx, j.ID)
	must(t, err)
	if d := v.Progress.Drives; d[0].Phase != "done" || d[1].Phase == "done" {
		t.Errorf("with one certificate: %+v", d)
	}
}
