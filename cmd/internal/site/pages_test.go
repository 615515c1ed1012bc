package site_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/cmd/internal/browser"
	"ingot/cmd/internal/simlaptop"
	"ingot/cmd/internal/site"
	"ingot/imaging/agent"
	"ingot/imaging/job"
	"ingot/store"
)

// chromium is one browser for all tests; each person has a tab with cookies of its own.
var chromium = sync.OnceValues(func() (*browser.Browser, error) { return browser.Start(context.Background()) })

// pages starts a site with an image and somebody who sits at its pages.
func pages(t *testing.T, g simlaptop.Golden, right store.Right) (context.Context, *site.Site, store.Version, *browser.Tab) {
	t.Helper()
	if err := browser.Missing(); err != nil {
		t.Skip(err)
	}
	ctx, s, v := begin(t, g)
	return ctx, s, v, person(t, s, "anna", right)
}

func person(t *testing.T, s *site.Site, name string, right store.Right) *browser.Tab {
	t.Helper()
	b, err := chromium()
	must(t, err)
	tab, err := s.Person(t.Context(), b, name, right)
	must(t, err)
	t.Cleanup(func() {
		if odd := tab.Odd(); len(odd) > 0 {
			t.Errorf("%s did not see: %q", name, odd)
		}
		tab.Close()
	})
	return tab
}

// waiting starts laptops number 1 to n, which show their codes.
func waiting(t *testing.T, s *site.Site, n int, v store.Version, tune func(*site.Laptop)) []*site.Laptop {
	t.Helper()
	all, err := s.Fleet(1, n, v)
	must(t, err)
	for _, l := range all {
		if tune != nil {
			tune(l)
		}
	}
	stop, err := s.Waiting(t.Context(), all)
	t.Cleanup(stop)
	must(t, err)
	return all
}

// TestALaptopIsAdoptedByScanAndDeployedFromThePage is the helpdesk's day: scan, press, watch, done.
func TestALaptopIsAdoptedByScanAndDeployedFromThePage(t *testing.T) {
	ctx, s, v, tab := pages(t, simlaptop.Golden{Payload: 12 << 20}, store.Technician)
	must(t, s.Do(ctx, []string{"role", "add", "sales", "--image", "sales", "--names", "LT-{serial:-4}"}))
	l := waiting(t, s, 1, v, func(l *site.Laptop) { l.Link = 1500 << 10 })[0]
	must(t, tab.Open("/scan?role=sales"))
	must(t, tab.Scan(l.Serial()))
	must(t, tab.Sees("adopted"))
	must(t, tab.Open("/"))
	must(t, tab.Sees("LT-0001"))
	must(t, tab.Sees("Start LT-0001"))
	must(t, tab.Go(".needs form button"))
	must(t, tab.Open("/"))
	must(t, tab.Sees("writing"))
	must(t, tab.Wait("a bar that moves by itself", `(() => { const v = document.querySelector(".tile progress")?.value ?? 0; globalThis.first ||= v; return globalThis.first > 0 && v > globalThis.first })()`))
	must(t, tab.Sees("MB/s"))
	must(t, tab.Sees(job.KeepPlugged))
	if how, err := l.Run.Await(ctx); err != nil || how != "reset" {
		t.Fatalf("the laptop ended with %q, %v", how, err)
	}
	must(t, tab.Wait("done on the board", `document.querySelector(".tile")?.innerText.includes("done")`))
	d, err := s.Device(ctx, l.Serial())
	must(t, err)
	if d.Holds == nil || d.Holds.Operator != "anna" || d.Holds.Name != "LT-0001" || d.Holds.Proof.Commit == nil {
		t.Errorf("the record: %+v", d.Holds)
	}
	if tab.Scans != 1 || tab.Clicks != 1 || tab.Keys != 0 {
		t.Errorf("%d scans, %d clicks, %d keys; want one of each, and no key", tab.Scans, tab.Clicks, tab.Keys)
	}
}

// TestTwelveTickedRowsAreDeployedAtOnce by one act and one confirmation that names them all.
func TestTwelveTickedRowsAreDeployedAtOnce(t *testing.T) {
	ctx, s, v, tab := pages(t, simlaptop.Golden{Payload: 1 << 20}, store.Technician)
	must(t, s.Do(ctx, []string{"role", "add", "sales", "--image", "sales", "--names", "LT-{serial:-4}"}))
	all := waiting(t, s, 12, v, nil)
	for _, l := range all {
		must(t, s.Do(ctx, []string{"device", "adopt", l.Code, "--role", "sales"}))
	}
	must(t, tab.Open("/devices?q=state:ready"))
	must(t, tab.Click("#tick-all"))
	must(t, tab.Sees("12 ticked"))
	must(t, tab.Go(`#acts button[value="deploy"]`))
	must(t, tab.Sees("Deploy: 12 laptops"))
	text, err := tab.Text("main")
	must(t, err)
	for _, l := range all {
		if !strings.Contains(text, l.Serial()) {
			t.Errorf("the confirmation does not name %s", l.Serial())
		}
	}
	must(t, tab.Go("#acts button"))
	must(t, tab.Sees("12 done, 0 refused"))
	for _, l := range all {
		_, err := s.Deployed(ctx, l.Serial())
		must(t, err)
	}
	if tab.Clicks != 3 {
		t.Errorf("%d clicks; want to tick, to deploy, to confirm", tab.Clicks)
	}
}

// TestAJobIsStoppedOnThePage: before the first write by a press, half written only by typing the serial.
func TestAJobIsStoppedOnThePage(t *testing.T) {
	ctx, s, v, tab := pages(t, simlaptop.Golden{Payload: 12 << 20}, store.Technician)
	all := waiting(t, s, 2, v, func(l *site.Laptop) { l.Link = 1 << 20 })
	all[0].Run.PullPlug() // its order waits for it
	for i, l := range all {
		must(t, s.Do(ctx, []string{"device", "adopt", l.Code, "--name", fmt.Sprintf("LT-%d", i+1)}))
	}
	order := func(n int) string {
		var jobs []store.JobView
		must(t, s.Read(ctx, &jobs, "deploy", fmt.Sprintf("LT-%d", n), "--image", "sales"))
		return string(jobs[0].ID)
	}
	waits, runs := order(1), order(2)
	must(t, tab.Open("/jobs/"+waits))
	must(t, tab.Go("#acts button"))
	must(t, tab.Sees("stopped"))
	must(t, all[1].Run.Until(ctx, "writing", func(v agent.View) bool { return v.Word == "writing" && v.Bar > 0 }))
	must(t, tab.Open("/jobs/"+runs))
	must(t, tab.Fill(`input[name="typed"]`, all[0].Serial()))
	must(t, tab.Enter())
	must(t, tab.Sees(string(job.CodeTyped)))
	if j, err := site.Ask[store.JobView](ctx, s, "jobs/"+runs); err != nil || j.CancelBy != "" {
		t.Fatalf("a wrong serial stopped the job: %q, %v", j.CancelBy, err)
	}
	must(t, tab.Fill(`input[name="typed"]`, all[1].Serial()))
	must(t, tab.Enter())
	must(t, tab.Wait("the job's end", `document.querySelector(".state")?.innerText.includes("stopped")`))
	for _, id := range []string{waits, runs} {
		if j, err := site.Ask[store.JobView](ctx, s, "jobs/"+id); err != nil || j.State != job.Cancelled || j.CancelBy != "anna" {
			t.Errorf("job %s is %s, stopped by %q, %v", id, j.State, j.CancelBy, err)
		}
	}
}

// TestADeviceInUseIsOverwrittenOnlyByItsSerial typed: another serial is refused, and nothing is ordered.
func TestADeviceInUseIsOverwrittenOnlyByItsSerial(t *testing.T) {
	ctx, s, v, tab := pages(t, simlaptop.Golden{Payload: 1 << 20}, store.Technician)
	l := waiting(t, s, 1, v, nil)[0]
	must(t, s.Do(ctx, []string{"device", "adopt", l.Code, "--name", "LT-1"}, []string{"deploy", "LT-1", "--image", "sales"}))
	d, err := s.Deployed(ctx, l.Serial())
	must(t, err)
	must(t, tab.Open("/devices/"+d.ID))
	must(t, tab.Click("#acts summary"))
	must(t, tab.Click(`input[name="saved"]`))
	must(t, tab.Fill(`input[name="typed"]`, "SIM0002"))
	must(t, tab.Enter())
	must(t, tab.Sees(string(job.CodeTyped)))
	if is, err := s.Device(ctx, l.Serial()); err != nil || is.Job != nil && !is.Job.State.Final() {
		t.Fatalf("a wrong serial made the order %+v, %v", is.Job, err)
	}
	must(t, tab.Click(`input[name="saved"]`))
	must(t, tab.Fill(`input[name="typed"]`, l.Serial()))
	must(t, tab.Enter())
	must(t, tab.Sees("The order is given"))
	if is, err := s.Device(ctx, l.Serial()); err != nil || is.Job == nil || is.Job.State != job.Approved || is.Job.Operator != "anna" {
		t.Errorf("the order: %+v, %v", is.Job, err)
	}
}

// TestAVersionIsReleasedOnThePage by somebody who may; to a technician the page offers nothing of it.
func TestAVersionIsReleasedOnThePage(t *testing.T) {
	ctx, s, _, tab := pages(t, simlaptop.Golden{Payload: 1 << 20}, store.Technician)
	v, err := s.Import(ctx, simlaptop.Golden{Payload: 1 << 20, Seed: 2}, "sales", true)
	must(t, err)
	path := fmt.Sprintf("/images/sales/%d", v.Number)
	must(t, tab.Open(path))
	if n, err := tab.Count("form[action$=release]"); err != nil || n != 0 {
		t.Errorf("a technician sees %d forms of a release, %v", n, err)
	}
	berta := person(t, s, "berta", store.ImageManager)
	must(t, berta.Open(path))
	must(t, berta.Go("form[action$=release] button"))
	must(t, berta.Sees("released"))
	all, err := site.Ask[[]store.VersionView](ctx, s, "images")
	must(t, err)
	for _, is := range all {
		if is.Number == v.Number && (is.State != store.Released || !is.Current) {
			t.Errorf("version %d is %s, current %v", is.Number, is.State, is.Current)
		}
	}
}

// TestTwentyLaptopsAreTwentyScans: twenty scans, at most two clicks in all, no key on a laptop (they have none), and
// twenty records that are proven. The scans come as fast as a scanner sends them.
func TestTwentyLaptopsAreTwentyScans(t *testing.T) {
	const n = 20
	ctx, s, v, tab := pages(t, simlaptop.Golden{Payload: 1 << 20}, store.Technician)
	must(t, s.Do(ctx, []string{"role", "add", "sales", "--image", "sales", "--names", "LT-{serial:-4}"}))
	all := waiting(t, s, n, v, nil)
	must(t, tab.Open("/scan"))
	must(t, tab.Go(`a[href^="/scan?role=sales"]`))
	begun := time.Now()
	for _, l := range all {
		must(t, tab.Scan(l.Serial()))
	}
	must(t, tab.Scan(all[3].Serial())) // the same laptop once more is no second order
	tab.Scans--
	must(t, tab.Wait("20 scans done", `document.querySelectorAll("#scans li.blue").length === 20`))
	t.Logf("%d scans were ordered %.1f s after the first", n, time.Since(begun).Seconds())
	for i, l := range all {
		d, err := s.Deployed(ctx, l.Serial())
		must(t, err)
		if d.Name != fmt.Sprintf("LT-%04d", i+1) || d.Holds.Operator != "anna" || d.Holds.Proof.Content == nil || !d.Holds.Proof.Content.Direct || d.Deploys != 1 {
			t.Errorf("%s: %s, %+v", l.Serial(), d.Name, d.Holds)
		}
	}
	t.Logf("all were done %.1f s after the first scan", time.Since(begun).Seconds())
	if tab.Scans != n || tab.Clicks > 2 || tab.Keys != 0 {
		t.Errorf("%d scans, %d clicks, %d keys; want %d, at most 2, none", tab.Scans, tab.Clicks, tab.Keys, n)
	}
	jobs, err := site.Ask[[]store.JobView](ctx, s, "jobs?all=1")
	must(t, err)
	if len(jobs) != n {
		t.Errorf("%d orders; want %d", len(jobs), n)
	}
	t.Logf("%d scans, %d clicks, %d keys on the page, no laptop has a key", tab.Scans, tab.Clicks, tab.Keys)
}
