package site_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/cmd/internal/simlaptop"
	"ingot/cmd/internal/site"
	"ingot/imaging/agent"
	"ingot/imaging/job"
	"ingot/store"
)

// program builds the daemon once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ingot-site-")
	if err != nil {
		return "", err
	}
	return dir, site.Build(context.Background(), dir)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if b, err := chromium(); err == nil {
		b.Close()
	}
	if dir, err := program(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// needTools wants the programs that make golden disks.
func needTools(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"mkfs.vfat", "mkfs.ext4", "mcopy", "sgdisk", "debugfs"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing: scripts/install lab", tool)
		}
	}
}

// begin starts a site with one image on its shelf.
func begin(t *testing.T, g simlaptop.Golden) (context.Context, *site.Site, store.Version) {
	t.Helper()
	needTools(t)
	bin, err := program()
	must(t, err)
	most := 5 * time.Minute
	if *every {
		most *= 4
	}
	ctx, cancel := context.WithTimeout(t.Context(), most)
	t.Cleanup(cancel)
	s, err := site.Start(ctx, bin, t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, s.Stop()) })
	v, err := s.Import(ctx, g, "sales", false)
	must(t, err)
	return ctx, s, v
}

// TestSimulatedLaptopsAreDeployed takes laptops from power-on to the call home of their systems, at a real daemon, and
// holds the record against what lies in their drives' files.
func TestSimulatedLaptopsAreDeployed(t *testing.T) {
	ctx, s, v := begin(t, simlaptop.Golden{Payload: 4 << 20, Software: map[string]string{"firefox-esr": "128.1"}})
	laptops, err := s.Fleet(1, 4, v)
	must(t, err)
	g, ctx := errgroup.WithContext(ctx)
	for i, l := range laptops {
		g.Go(func() error { return deployOne(ctx, s, l, fmt.Sprintf("SIM-%d", i+1)) })
	}
	must(t, g.Wait())
	for i, l := range laptops {
		d, err := s.Device(t.Context(), l.Serial())
		must(t, err)
		name := fmt.Sprintf("SIM-%d", i+1)
		switch h := d.Holds; {
		case d.State != store.Deployed || h == nil:
			t.Errorf("%s is %s", name, d.State)
		case h.Name != name || h.Observed == nil || h.Observed.Hostname != name:
			t.Errorf("%s holds %+v", name, h)
		case h.Proof.Content == nil || !h.Proof.Content.Direct || h.Proof.Content.DataExtents != v.DataExtents || h.Proof.Personalised == nil || h.Proof.Commit == nil:
			t.Errorf("%s is not proven: %+v", name, h.Proof)
		}
		holdsTheSystem(t, l, name)
	}
}

func deployOne(ctx context.Context, s *site.Site, l *site.Laptop, name string) error {
	r, err := l.PowerOn(s.Agents)
	if err != nil {
		return err
	}
	defer r.PullPlug()
	code, err := r.Code(ctx)
	if err != nil {
		return err
	}
	if err := s.Do(ctx, []string{"device", "adopt", code, "--name", name}, []string{"deploy", name, "--image", "sales"}); err != nil {
		return err
	}
	if how, err := r.Await(ctx); err != nil || how != "reset" {
		return fmt.Errorf("%s ended with %q: %w", name, how, err)
	}
	got, err := l.FirstBoot(ctx, s.Agents)
	if err == nil && got != name {
		err = fmt.Errorf("the system on %s calls itself %s", name, got)
	}
	return err
}

// holdsTheSystem asks sgdisk and e2fsck, which have no part in Ingot, what they think of a drive.
func holdsTheSystem(t *testing.T, l *site.Laptop, name string) {
	t.Helper()
	if out, err := exec.Command("sgdisk", "-v", l.Drive.Path).CombinedOutput(); err != nil || !strings.Contains(string(out), "No problems found") {
		t.Errorf("%s: sgdisk -v: %v\n%s", name, err, out)
	}
	const root = 9 << 20
	if out, err := exec.Command("e2fsck", "-fn", fmt.Sprintf("%s?offset=%d", l.Drive.Path, root)).CombinedOutput(); err != nil {
		t.Errorf("%s: e2fsck: %v\n%s", name, err, out)
	}
	out, err := exec.Command("debugfs", "-R", "cat /etc/hosts", fmt.Sprintf("%s?offset=%d", l.Drive.Path, root)).Output()
	if err != nil || !strings.Contains(string(out), "127.0.1.1\t"+name) {
		t.Errorf("%s: /etc/hosts: %v\n%s", name, err, out)
	}
}

// TestASimulatedLaptopIsStopped: on a slow link there is time to look at its progress, and to stop it.
func TestASimulatedLaptopIsStopped(t *testing.T) {
	ctx, s, v := begin(t, simlaptop.Golden{Payload: 8 << 20})
	laptops, err := s.Fleet(1, 1, v)
	must(t, err)
	l := laptops[0]
	l.Link = 1 << 20
	r, err := l.PowerOn(s.Agents)
	must(t, err)
	t.Cleanup(r.PullPlug)
	code, err := r.Code(ctx)
	must(t, err)
	must(t, s.Do(ctx, []string{"device", "adopt", code, "--name", "SIM-1"}))
	var jobs []store.JobView
	must(t, s.Read(ctx, &jobs, "deploy", "SIM-1", "--image", "sales"))
	must(t, r.Until(ctx, "a bar that moves", func(v agent.View) bool { return v.Word == "writing" && v.Bar > 0 && v.Rate > 0 }))
	must(t, s.Do(ctx, []string{"job", "cancel", string(jobs[0].ID), "--yes", "--serial", l.Serial()}))
	for {
		j, err := site.Ask[store.JobView](ctx, s, "jobs/"+string(jobs[0].ID))
		must(t, err)
		if j.State.Final() {
			if j.State != job.Cancelled {
				t.Errorf("the job is %s, %v; want cancelled", j.State, j.Fault)
			}
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if table, err := os.ReadFile(l.Drive.Path); err != nil || string(table[512:520]) == "EFI PART" {
		t.Errorf("a drive that was left half written has a partition table: %v", err)
	}
}

// TestAStoppedSiteGoesOn: laptops that wait when the daemon is killed are there again when it comes back.
func TestAStoppedSiteGoesOn(t *testing.T) {
	ctx, s, v := begin(t, simlaptop.Golden{Payload: 8 << 20})
	laptops, err := s.Fleet(1, 1, v)
	must(t, err)
	l := laptops[0]
	l.Link = 2 << 20
	r, err := l.PowerOn(s.Agents)
	must(t, err)
	t.Cleanup(r.PullPlug)
	code, err := r.Code(ctx)
	must(t, err)
	must(t, s.Do(ctx, []string{"device", "adopt", code, "--name", "SIM-1"}, []string{"deploy", "SIM-1", "--image", "sales"}))
	must(t, r.Until(ctx, "writing", func(v agent.View) bool { return v.Word == "writing" && v.Bar > 0 }))
	must(t, s.Kill())
	must(t, s.Daemon.Start(ctx))
	if how, err := r.Await(ctx); err != nil || how != "reset" {
		t.Fatalf("it ended with %q, %v", how, err)
	}
	d, err := s.Device(ctx, "SIM-1")
	must(t, err)
	if d.State != store.Deployed {
		t.Errorf("it is %s", d.State)
	}
}
