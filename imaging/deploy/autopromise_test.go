package deploy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/store"
)

// TestAutoDeployTakesWhatAListPromised: its first start needs no press while the policy is on. What the list says of it
// stays, and a role of its own is not overruled.
func TestAutoDeployTakesWhatAListPromised(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	for _, name := range []string{"sales", "dev"} {
		_, err := b.s.PutRole(ctx, "anna", store.Role{Name: name, Image: "sales", Pattern: strings.ToUpper(name) + "-{seq:3}"})
		must(t, err)
	}
	listed, err := b.s.ImportDevices(ctx, "anna", store.List{CSV: []byte("serial,maker,asset tag,owner,role\nEARLY12,Dell Inc.,A0,,sales\nONE1234,Dell Inc.,A1,Karl Ott,sales\n" +
		"TWO1234,Dell Inc.,A2,,\nDEV1234,Dell Inc.,A3,,dev\nTINY123,Dell Inc.,A4,,sales\nLATE123,Dell Inc.,A5,,sales\n")})
	if must(t, err); listed.Added != 6 {
		t.Fatalf("the list: %+v", listed)
	}
	start := func(serial string, change func(*job.Hello)) (*laptop, job.Next) {
		l := b.laptop(serial)
		if change != nil {
			change(&l.hello)
		}
		l.boot()
		if r := l.sayHello(); r.Code != "" {
			t.Errorf("%s shows the code %s", serial, r.Code)
		}
		return l, l.next()
	}
	early, n := start("EARLY12", nil)
	if n.Order != job.Wait {
		t.Errorf("off: Next = %s; want wait", n.Order)
	}
	_, err = b.s.SetAutoDeploy(ctx, "anna", store.AutoDeploy{Role: "sales", Until: b.clk.now().Add(time.Hour), Left: 2})
	must(t, err)
	if early.boot(); early.sayHello().Code != "" || early.next().Order != job.Wait {
		t.Error("one that was here before, and got no order, went by itself at its second start")
	}
	if _, n := start("DEV1234", nil); n.Order != job.Wait {
		t.Errorf("of another role: Next = %s; want wait", n.Order)
	}
	if _, n := start("TINY123", func(h *job.Hello) { h.Drives[0].SizeBytes = 1 << 20 }); n.Order != job.Wait {
		t.Errorf("with a drive that is too small: Next = %s; want wait", n.Order)
	}
	for i, serial := range []string{"ONE1234", "TWO1234"} {
		if _, n := start(serial, nil); n.Order != job.Work {
			t.Errorf("%s: Next = %s; want its job", serial, n.Order)
		}
		d := b.device(serial)
		if want := []string{"SALES-001", "SALES-002"}[i]; d.Name != want || d.Role != "sales" || d.Asset != []string{"A1", "A2"}[i] || d.Owner != []string{"Karl Ott", ""}[i] {
			t.Errorf("%s: name %s, role %s, asset %s, owner %q", serial, d.Name, d.Role, d.Asset, d.Owner)
		}
	}
	if _, n := start("LATE123", nil); n.Order != job.Wait {
		t.Errorf("over the count: Next = %s; want wait", n.Order)
	}
	if d := b.device("DEV1234"); d.Role != "dev" || d.Name != "" {
		t.Errorf("DEV1234 has the role %s and the name %s", d.Role, d.Name)
	}
}

// TestAutoDeployOfAnImageThatIsNotWhole leaves a laptop waiting for a person; it can still say who it is.
func TestAutoDeployOfAnImageThatIsNotWhole(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	_, err := b.s.PutRole(ctx, "anna", store.Role{Name: "sales", Image: "sales", Pattern: "LT-{seq:3}"})
	must(t, err)
	_, err = b.s.SetAutoDeploy(ctx, "anna", store.AutoDeploy{Role: "sales", Until: b.clk.now().Add(time.Hour), Left: 2})
	must(t, err)
	b.stop()
	b.tune = func(c *deploy.Config) {
		c.Whole = func(context.Context, imaging.Digest) error { return job.Faultf(job.CodeLocked, "Chunk 0123456789ab.") }
	}
	b.start()
	b.clk.pass(time.Second)
	l := b.laptop("ONE1234")
	l.boot()
	r, err := l.c.Hello(ctx, l.hello)
	if err != nil || r.Code == "" {
		t.Errorf("its Hello is answered by %v, code %q; want a code", err, r.Code)
	}
	if d := b.device("ONE1234"); d.State != store.New || d.Name != "" {
		t.Errorf("it is %s and called %q", d.State, d.Name)
	}
}
