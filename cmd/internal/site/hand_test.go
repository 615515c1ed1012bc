package site_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"ingot/cmd/internal/browser"
	"ingot/cmd/internal/simlaptop"
	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/report"
)

// TestByKeyboardAlone: a technician without a mouse finds, ticks, orders and reads the help.
func TestByKeyboardAlone(t *testing.T) {
	ctx, s, v, tab := pages(t, simlaptop.Golden{}, store.Technician)
	all := waiting(t, s, 3, v, nil)
	for _, l := range all {
		l.Run.PullPlug() // their orders wait for them
	}
	for i, l := range all {
		must(t, s.Do(ctx, []string{"device", "adopt", l.Code, "--name", fmt.Sprintf("LT-%d", i+1)}))
	}
	must(t, s.Do(ctx, []string{"role", "add", "sales", "--image", "sales", "--names", "LT-{serial:-4}"}))
	must(t, tab.Open("/jobs"))
	must(t, tab.Type("/"))
	must(t, tab.Type("state:ready"))
	must(t, tab.Enter())
	if path, err := tab.Path(); err != nil || path != "/devices?q=state%3Aready" {
		t.Fatalf("she is at %s, %v", path, err)
	}
	must(t, tab.Type("?"))
	must(t, tab.Wait("the help", `document.querySelector("#keys").open`))
	must(t, tab.Type(kb.Escape))
	must(t, tab.Wait("the help is closed", `!document.querySelector("#keys").open`))
	must(t, tab.Type("jjkjx")) // to the second row
	must(t, tab.Sees("1 ticked"))
	must(t, tab.Type("a"))
	must(t, tab.Wait("the act has the focus", `document.activeElement?.value === "deploy"`))
	must(t, tab.Enter())
	must(t, tab.Sees("Deploy: 1 laptop"))
	must(t, tab.Choose(`select[name="image"]`, "role:sales"))
	must(t, tab.Type("a"))
	must(t, tab.Wait("the confirmation has the focus", `document.activeElement?.closest("#acts") !== null`))
	must(t, tab.Enter())
	must(t, tab.Sees("1 done, 0 refused"))
	jobs, err := s.Jobs(ctx)
	must(t, err)
	if len(jobs) != 1 || jobs[0].DeviceLabel != "LT-2" || jobs[0].Operator != "anna" {
		t.Errorf("the orders are %+v; want one for LT-2", jobs)
	}
	if tab.Clicks != 0 {
		t.Errorf("%d clicks", tab.Clicks)
	}
}

// TestWithoutScripts: every act is a form.
func TestWithoutScripts(t *testing.T) {
	ctx, s, v, tab := pages(t, simlaptop.Golden{}, store.Technician)
	must(t, s.Do(ctx, []string{"role", "add", "sales", "--image", "sales", "--names", "LT-{serial:-4}"}))
	all := waiting(t, s, 2, v, nil)
	all[1].Run.PullPlug()
	must(t, tab.NoScript())
	must(t, tab.Open("/scan?role=sales&start=1"))
	if live, err := browser.Eval[bool](tab, `document.querySelector("#scans").childElementCount > 0`); err != nil || live {
		t.Fatalf("the page ran a script: %v, %v", live, err)
	}
	scan := func(code, says string) {
		t.Helper()
		must(t, tab.Fill("#scan", code))
		must(t, tab.Enter())
		must(t, tab.Sees(says))
	}
	scan("NOBODY1", string(job.CodeScanned))
	scan(all[0].Serial(), "ordered")
	if _, err := s.Deployed(ctx, all[0].Serial()); err != nil {
		t.Fatal(err)
	}
	must(t, tab.Open("/"))
	must(t, tab.Sees("LT-0001"))
	must(t, tab.Sees("done"))
	must(t, s.Do(ctx, []string{"device", "adopt", all[1].Code, "--role", "sales"}))
	must(t, tab.Open("/devices?q=state:ready"))
	must(t, tab.Click(`input[name="device"]`))
	must(t, tab.Go(`#acts button[value="deploy"]`))
	must(t, tab.Go("#acts button"))
	must(t, tab.Sees("1 done, 0 refused"))
	jobs, err := s.Jobs(ctx)
	must(t, err)
	must(t, tab.Open("/jobs/"+string(jobs[0].ID)))
	must(t, tab.Go("#acts button"))
	must(t, tab.Sees("stopped"))
	d, err := s.Device(ctx, all[1].Serial())
	must(t, err)
	if d.State != store.Ready {
		t.Errorf("LT-0002 is %s; want ready again", d.State)
	}
}

// TestEachReportIsRunFromThePage, by somebody who only looks: found under Reports, shown, and taken along as a file.
func TestEachReportIsRunFromThePage(t *testing.T) {
	w, _ := settle(t)
	tab := person(t, w.Site, "rita", store.Viewer)
	for _, k := range report.Kinds {
		must(t, tab.Open("/reports"))
		must(t, tab.Go(`a[href="/reports/`+k.Name+`"]`))
		if k.Name == "received" {
			must(t, tab.Fill(`input[name="device"]`, w.device[store.Deployed].Name))
			must(t, tab.Enter())
		}
		must(t, tab.Has("table.report tbody tr"))
		rows, err := tab.Count("table.report tbody tr:not(:has(td[colspan]))")
		must(t, err)
		if wants := k.Name != "stale" && k.Name != "failures"; wants != (rows > 0) { // nothing here is old, and nothing failed
			t.Errorf("the report %s has %d rows", k.Name, rows)
		}
		csv, err := browser.Eval[string](tab, `(async () => { const r = await fetch(document.querySelector("a[href*='format=csv']").href); return r.status + " " + r.headers.get("content-type") + " " + (await r.text()).trim().split("\n").length })()`)
		must(t, err)
		if want := fmt.Sprintf(" %d", rows+1); !strings.HasPrefix(csv, "200 text/csv") || !strings.HasSuffix(csv, want) {
			t.Errorf("the file of %s is %q; want %d lines", k.Name, csv, rows+1)
		}
	}
}
