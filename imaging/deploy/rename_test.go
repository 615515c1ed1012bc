package deploy_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/store"
)

// deployed is a laptop that runs what it was given, and has called home.
func (b *bench) deployed(serial, name string) *laptop {
	b.t.Helper()
	l := b.adopted(serial, name)
	b.order(name)
	j := l.work()
	l.reach(j, job.Verified)
	p, err := l.c.Personal(context.Background(), j.ID)
	must(b.t, err)
	for _, s := range []job.State{job.Personalised, job.Committing, job.Committed} {
		l.seq++
		_, err := l.c.State(context.Background(), j.ID, job.StateEvent{Seq: l.seq, State: s})
		must(b.t, err)
	}
	_, err = l.c.Result(context.Background(), j.ID, result(j))
	must(b.t, err)
	must(b.t, b.s.CallHome(context.Background(), "10.0.0.9", job.CallHome{Deployment: p.Deployment, Secret: p.CallHomeSecret, Hostname: name, MachineID: "m-" + serial}))
	b.clk.pass(time.Hour)
	return l
}

func (b *bench) rename(device, name string) store.JobView {
	b.t.Helper()
	j, err := b.s.Rename(context.Background(), "anna", store.Rename{Device: device, Name: name})
	must(b.t, err)
	return j
}

// startsRename boots the laptop and takes its order up to a state; with verified comes what only that state gives.
func (l *laptop) startsRename(last job.State) (job.Job, job.Personal) {
	l.b.t.Helper()
	l.boot()
	l.sayHello()
	return l.goesOn(last)
}

func (l *laptop) goesOn(last job.State) (j job.Job, p job.Personal) {
	l.b.t.Helper()
	j = l.work()
	for _, s := range []job.State{job.Claimed, job.Verified, job.Personalised, job.Committed} {
		l.seq++
		_, err := l.c.State(context.Background(), j.ID, job.StateEvent{Seq: l.seq, State: s})
		must(l.b.t, err)
		if s == job.Verified {
			p, err = l.c.Personal(context.Background(), j.ID)
			must(l.b.t, err)
		}
		if s == last {
			break
		}
	}
	return j, p
}

// renamedResult is the whole proof of a rename.
func renamedResult(j job.Job) job.Result {
	return job.Result{Job: j.ID, State: job.Done, DiskTouched: true, Proof: job.Proof{
		Personalised: &job.PersonalisedProof{Files: []job.WrittenFile{{Path: "/etc/hostname", Digest: imaging.Sum([]byte(j.DeviceName + "\n"))}}},
		Commit:       &job.CommitProof{Head: imaging.Sum([]byte("head")), BootEntry: "Boot0003"}}}
}

// holder says which device a Name is reserved for: its present Name, or none.
func (b *bench) holder(name string) (holder string) {
	b.t.Helper()
	must(b.t, b.db.View(func(tx *store.Tx) error {
		if d, err := tx.DeviceByName(name); err == nil {
			holder = d.Name
		}
		return nil
	}))
	return holder
}

func TestADeployedLaptopIsRenamedRecordedAndObserved(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.deployed("ABC1234", "LT-7")
	before := b.device("LT-7")
	v := b.rename("LT-7", "LT-8")
	if v.Kind != job.Rename || v.DeviceName != "LT-8" || v.Former != "LT-7" || v.State != job.Approved {
		t.Errorf("ordered: %+v", v.Job)
	}
	if b.holder("lt-7") != "LT-7" || b.holder("lt-8") != "LT-7" {
		t.Error("both names are not reserved from the order on")
	}
	if a, _ := b.s.Decide(ctx, l.machine()); !a.Boot {
		t.Fatal("a deployed laptop with a rename does not boot the agent")
	}
	j, p := l.startsRename(job.Committed)
	if k := j.Known; k == nil || k.MachineID != "m-ABC1234" || k.Deployment != before.Deployment || k.Name != "LT-7" || j.Target.Serial != "DRV-ABC1234" || j.Image.Manifest != manifest ||
		j.Grow.Partition != 2 || j.RootPart != 2 || !j.Personalise {
		t.Errorf("the job %+v knows %+v", j, k)
	}
	if p.DeviceName != "LT-8" || p.Deployment != before.Deployment || p.InstanceID != "ingot-"+before.Deployment {
		t.Errorf("personal %+v", p)
	}
	if d := b.device("LT-7"); d.State != store.Deployed || d.Name != "LT-7" || d.NextName != "LT-8" {
		t.Errorf("meanwhile the device is %s as %s, next %q", d.State, d.Name, d.NextName)
	}
	_, err := l.c.Result(ctx, j.ID, renamedResult(j))
	must(t, err)
	d := b.device("LT-8")
	if d.ID != before.ID || d.State != store.Deployed || d.Name != "LT-8" || d.NextName != "" || d.Holds.Name != "LT-7" || len(d.Holds.Renamings) != 1 || b.holder("LT-7") != "" {
		t.Fatalf("renamed: %+v, record %+v, LT-7 belongs to %q", d.Device, d.Holds, b.holder("LT-7"))
	}
	must(t, b.s.CallHome(ctx, "10.0.0.9", job.CallHome{Deployment: p.Deployment, Secret: p.CallHomeSecret, Hostname: "LT-8", MachineID: "m-ABC1234"}))
	r := b.device("LT-8").Holds.Renamings[0]
	if r.Unproven || r.From != "LT-7" || r.Name != "LT-8" || r.Operator != "anna" || r.Observed == nil || r.Observed.Hostname != "LT-8" || r.SecretHash != "" || r.Proof.Personalised == nil {
		t.Errorf("on record: %+v", r)
	}
	wantCode(t, "the same call home again", b.s.CallHome(ctx, "x", job.CallHome{Deployment: p.Deployment, Secret: p.CallHomeSecret, Hostname: "LT-8"}), job.CodePolicy)
}

func TestRenamesThatAreRefused(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	b.deployed("ABC1234", "LT-7")
	b.adopted("OTHER99", "PC-9")
	_, err := b.s.PutRole(ctx, "anna", store.Role{Name: "sales", Image: "sales", Pattern: "S-{serial:-4}"})
	must(t, err)
	_, err = b.s.PutRole(ctx, "anna", store.Role{Name: "plain", Image: "sales"})
	must(t, err)
	for name, c := range map[string]struct {
		o    store.Rename
		want job.Code
	}{
		"no such device":         {store.Rename{Device: "LT-99", Name: "LT-8"}, job.CodeNotFound},
		"nothing given":          {store.Rename{Device: "LT-7"}, job.CodeBadRequest},
		"both given":             {store.Rename{Device: "LT-7", Name: "LT-8", Role: "sales"}, job.CodeBadRequest},
		"a name that is none":    {store.Rename{Device: "LT-7", Name: "LT 8"}, job.CodeNameInvalid},
		"another's name":         {store.Rename{Device: "LT-7", Name: "pc-9"}, job.CodeNameTaken},
		"its own name":           {store.Rename{Device: "LT-7", Name: "LT-7"}, job.CodeState},
		"not deployed":           {store.Rename{Device: "PC-9", Name: "PC-10"}, job.CodeState},
		"a role that is none":    {store.Rename{Device: "LT-7", Role: "nobody"}, job.CodeNotFound},
		"a role with no names":   {store.Rename{Device: "LT-7", Role: "plain"}, job.CodeNameInvalid},
		"a long name, never cut": {store.Rename{Device: "LT-7", Name: "LT-7-IN-ROOM-12B"}, job.CodeNameInvalid},
	} {
		_, err := b.s.Rename(ctx, "anna", c.o)
		wantCode(t, name, err, c.want)
	}
	if d := b.device("LT-7"); d.NextName != "" || d.Job != nil || b.holder("LT-8") != "" {
		t.Errorf("a refused rename left %+v", d.Device)
	}
	v, err := b.s.Rename(ctx, "anna", store.Rename{Device: "LT-7", Role: "sales"})
	must(t, err)
	if v.DeviceName != "S-1234" {
		t.Errorf("by its role's pattern it becomes %s; want S-1234", v.DeviceName)
	}
	_, err = b.s.Deploy(ctx, "bert", store.Order{Device: "LT-7", Image: "sales", DataSaved: true, Confirm: "LT-7"})
	wantCode(t, "an image meanwhile", err, job.CodeBusy)
	if err == nil || !strings.Contains(err.Error(), "rename LT-7 to S-1234") {
		t.Errorf("the other reads %q", err)
	}
}

// TestARenameWithoutItsNameWritten: what was never written into is not written into now.
func TestARenameWithoutItsNameWritten(t *testing.T) {
	b := newBench(t)
	b.deployed("ABC1234", "LT-7")
	b.update(func(tx *store.Tx) error {
		d, err := tx.DeviceByName("LT-7")
		must(t, err)
		dep, err := tx.Deployment(d.Deployment)
		must(t, err)
		dep.NameWritten = false
		return tx.PutDeployment(dep)
	})
	_, err := b.s.Rename(context.Background(), "anna", store.Rename{Device: "LT-7", Name: "LT-8"})
	wantCode(t, "a name that was reserved only", err, job.CodeState)
}

// TestHowARenameEnds: one row an end, with the names that are reserved afterwards.
func TestHowARenameEnds(t *testing.T) {
	ctx := context.Background()
	failed := func(touched bool, code job.Code) func(b *bench, l *laptop, j job.Job) {
		return func(b *bench, l *laptop, j job.Job) {
			_, err := l.c.Result(ctx, j.ID, job.Result{Job: j.ID, State: job.Failed, Fault: &job.Fault{Code: code}, DiskTouched: touched})
			must(b.t, err)
		}
	}
	silent := func(b *bench, _ *laptop, _ job.Job) {
		b.clk.pass(2 * time.Hour)
		must(b.t, b.s.Sweep())
	}
	for _, c := range []struct {
		name       string
		at         job.State
		end        func(b *bench, l *laptop, j job.Job)
		state      job.State
		next, free string // the second name that stays reserved; a name that belongs to nobody
	}{
		{"another disk was found", job.Claimed, failed(false, job.CodeNotOurs), job.Failed, "", "LT-8"},
		{"silent before it wrote", job.Claimed, silent, job.Failed, "", "LT-8"},
		{"cancelled before it wrote", job.Claimed, func(b *bench, l *laptop, j job.Job) {
			b.clk.pass(time.Minute)
			_, err := b.s.Cancel(ctx, "bert", j.ID)
			must(b.t, err)
		}, job.Cancelled, "", "LT-8"},
		{"failed while it wrote", job.Verified, failed(true, job.CodePersonalise), job.Failed, "LT-8", ""},
		{"silent while it wrote", job.Verified, silent, job.Indeterminate, "LT-8", ""},
		{"silent after it wrote", job.Committed, silent, job.Indeterminate, "LT-8", ""},
		{"done without its proof", job.Committed, func(b *bench, l *laptop, j job.Job) {
			r := renamedResult(j)
			r.Proof.Personalised.Files[0].Digest = imaging.Sum([]byte("LT-7\n"))
			_, err := l.c.Result(ctx, j.ID, r)
			wantCode(b.t.(*testing.T), "a proof of the old name", err, job.CodeIndeterminate)
		}, job.Indeterminate, "LT-8", ""},
		{"done before it committed", job.Verified, func(b *bench, l *laptop, j job.Job) {
			_, err := l.c.Result(ctx, j.ID, renamedResult(j))
			wantCode(b.t.(*testing.T), "a result that comes early", err, job.CodeIndeterminate)
		}, job.Indeterminate, "LT-8", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			l := b.deployed("ABC1234", "LT-7")
			v := b.rename("LT-7", "LT-8")
			j, _ := l.startsRename(c.at)
			c.end(b, l, j)
			if got, err := b.s.Job(ctx, v.ID); err != nil || got.State != c.state {
				t.Errorf("the job is %s, %v; want %s", got.State, err, c.state)
			}
			d := b.device("LT-7")
			if d.State != store.Deployed || d.Name != "LT-7" || d.NextName != c.next {
				t.Errorf("the device is %s as %s, next %q; want deployed, the old name, next %q", d.State, d.Name, d.NextName, c.next)
			}
			if c.free != "" && b.holder(c.free) != "" {
				t.Errorf("%s is still reserved", c.free)
			}
			if c.next == "" {
				return
			}
			_, err := b.s.Adopt(ctx, "anna", store.Adoption{Code: b.waiting("OTHER99"), Name: c.next})
			wantCode(t, "giving away a name under which a laptop may run", err, job.CodeNameTaken)
			_, err = b.s.Rename(ctx, "anna", store.Rename{Device: "LT-7", Name: "LT-9"})
			wantCode(t, "a third name", err, job.CodeState)
			for _, name := range []string{"LT-8", "LT-7"} { // either of the two may be ordered again, and ends it
				v := b.rename("LT-7", name)
				_, err := b.s.Cancel(ctx, "anna", v.ID)
				must(t, err)
				if b.device("LT-7").NextName != "LT-8" {
					t.Error("a rename that was taken back freed the name that the laptop may carry")
				}
			}
			b.rename("LT-7", "LT-7")
			j, _ = l.startsRename(job.Committed)
			_, err = l.c.Result(ctx, j.ID, renamedResult(j))
			must(t, err)
			if d := b.device("LT-7"); d.Name != "LT-7" || d.NextName != "" || b.holder("LT-8") != "" {
				t.Errorf("renamed back: %s, next %q, LT-8 belongs to %q", d.Name, d.NextName, b.holder("LT-8"))
			}
		})
	}
}

// waiting is the code of a new laptop.
func (b *bench) waiting(serial string) string {
	b.t.Helper()
	l := b.laptop(serial)
	l.boot()
	return l.sayHello().Code
}

// TestACallHomeProvesARenameThatNobodyCould: before its result came, and after the daemon had given up.
func TestACallHomeProvesARenameThatNobodyCould(t *testing.T) {
	ctx := context.Background()
	for _, late := range []bool{false, true} {
		b := newBench(t)
		l := b.deployed("ABC1234", "LT-7")
		v := b.rename("LT-7", "LT-8")
		_, p := l.startsRename(job.Verified)
		home := func() {
			must(t, b.s.CallHome(ctx, "10.0.0.9", job.CallHome{Deployment: p.Deployment, Secret: p.CallHomeSecret, Hostname: "LT-8"}))
		}
		if !late {
			home()
		}
		b.clk.pass(2 * time.Hour)
		must(t, b.s.Sweep())
		if got, _ := b.s.Job(ctx, v.ID); got.State != job.Indeterminate {
			t.Fatalf("the job is %s; want indeterminate", got.State)
		}
		if late {
			home()
		}
		d := b.device("LT-8")
		if d.Name != "LT-8" || d.NextName != "" || b.holder("LT-7") != "" || d.Holds.Renamings[0].Unproven {
			t.Errorf("late %v: the device is %s, next %q, record %+v", late, d.Name, d.NextName, d.Holds.Renamings)
		}
	}
}

// TestARenameGoesOnAfterAPowerCut: bound anew without a press, for the secret is made for each binding.
func TestARenameGoesOnAfterAPowerCut(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.deployed("ABC1234", "LT-7")
	b.rename("LT-7", "LT-8")
	j, first := l.startsRename(job.Verified)
	_, err := b.s.Cancel(ctx, "bert", j.ID)
	wantCode(t, "stopping a rename that writes", err, job.CodeState)
	b.clk.pass(31 * time.Second)
	l.boot()
	l.sayHello()
	k, second := l.goesOn(job.Committed)
	if k.ID != j.ID || k.Resume != job.Verified || second.CallHomeSecret == first.CallHomeSecret {
		t.Errorf("bound anew: job %s from %s, resume %s", k.ID, j.ID, k.Resume)
	}
	_, err = l.c.Result(ctx, k.ID, renamedResult(k))
	must(t, err)
	wantCode(t, "the secret of the start that was cut off", b.s.CallHome(ctx, "x", job.CallHome{Deployment: first.Deployment, Secret: first.CallHomeSecret, Hostname: "LT-8"}), job.CodePolicy)
	must(t, b.s.CallHome(ctx, "x", job.CallHome{Deployment: second.Deployment, Secret: second.CallHomeSecret, Hostname: "LT-8"}))
}

// TestAnImageEndsAnUnprovenRename: what it wrote is written over.
func TestAnImageEndsAnUnprovenRename(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.deployed("ABC1234", "LT-7")
	b.rename("LT-7", "LT-8")
	l.startsRename(job.Verified)
	b.clk.pass(2 * time.Hour)
	must(t, b.s.Sweep())
	_, err := b.s.Deploy(ctx, "anna", store.Order{Device: "LT-7", Image: "sales", DataSaved: true, Confirm: "LT-7"})
	must(t, err)
	l.boot()
	l.sayHello()
	j := l.work()
	l.reach(j, job.Committed)
	_, err = l.c.Result(ctx, j.ID, result(j))
	must(t, err)
	if d := b.device("LT-7"); d.Name != "LT-7" || d.NextName != "" || b.holder("LT-8") != "" || d.State != store.Deployed {
		t.Errorf("imaged again: %s as %s, next %q", d.State, d.Name, d.NextName)
	}
}

// TestFiftyRenamesAtOnce: two laptops never get one name, and one laptop never two.
func TestFiftyRenamesAtOnce(t *testing.T) {
	b := newBench(t)
	b.deployed("ABC1234", "LT-7")
	b.deployed("DEF56789", "LT-70")
	var mu sync.Mutex
	won := map[string]string{}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			device := []string{"LT-7", "LT-70"}[i%2]
			v, err := b.s.Rename(stamped(fmt.Sprintf("rename-%d", i), 0), fmt.Sprintf("op%d", i), store.Rename{Device: device, Name: "LT-8"})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won[device] = string(v.ID)
			} else if c := job.FaultOf(err).Code; c != job.CodeBusy && c != job.CodeNameTaken {
				t.Errorf("a refusal with %s: %v", c, err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Errorf("%d devices were given LT-8; want 1", len(won))
	}
}
