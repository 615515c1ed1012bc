package site_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ingot/cmd/internal/browser"
	"ingot/cmd/internal/simlaptop"
	"ingot/cmd/internal/site"
	"ingot/imaging/agent"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/store"
	"ingot/web"
	"ingot/web/access"
	"ingot/web/push"
	"ingot/web/report"
)

// notPages are routes that answer with something else than a page, or that only the way in has.
var notPages = []string{"/live", "/static/{file}", "/healthz", "/metrics", "/sign-in", "/setup/{secret}", "/sign-in/oidc", "/sign-in/oidc/callback"}

// noBench is a bench of which only the routes are wanted.
type noBench struct{ all }

type all = web.Bench

// allPages lists the patterns of every page that the server has.
func allPages() (out []string) {
	a := &web.API{Bench: noBench{}, Wiper: (*deploy.Service)(nil), Shelf: &library.Library{}, Exchange: &library.Library{}, Access: &access.Service{}, Push: push.New(push.Config{}), Reports: &report.Desk{}}
	for _, r := range a.Routes() {
		if r.Method == "GET" && !r.JSON() && !slices.Contains(notPages, r.Path) {
			out = append(out, r.Path)
		}
	}
	return out
}

// town is a site on which something of everything is.
type town struct {
	*site.Site
	device map[store.DeviceState]store.DeviceView
	job    string // one that runs
	ended  string // one that has ended
	wipe   string // one that waits for a second person
	draft  store.Version
}

// settle makes it: devices in many states, a job that runs, one that failed, versions with a draft among them.
func settle(t *testing.T) (*town, *browser.Tab) {
	t.Helper()
	ctx, s, v, tab := pages(t, simlaptop.Golden{Payload: 3 << 20, Software: map[string]string{"firefox-esr": "128.1", "openssh-server": "9.2", "libreoffice-core": "7.4"}}, store.Administrator)
	draft, err := s.Import(ctx, simlaptop.Golden{Payload: 3 << 20, Seed: 7, Software: map[string]string{"firefox-esr": "140.0", "openssh-server": "9.2"}}, "sales", true)
	must(t, err)
	must(t, s.Do(ctx, []string{"role", "add", "sales", "--image", "sales", "--names", "LT-{serial:-4}"}, []string{"role", "add", "lab", "--image", "sales@1", "--names", "LAB-{seq:3}"}))
	list := filepath.Join(s.Dir, "list.csv")
	must(t, os.WriteFile(list, []byte("serial,manufacturer,model,asset,owner,role\nPF3PROMISE,LENOVO,ThinkPad T14,A-9001,Anna Berg,sales\n"), 0o600))
	must(t, s.Do(ctx, []string{"device", "import", list}))
	all := waiting(t, s, 7, v, func(l *site.Laptop) {
		if l.Serial() == "SIM0005" {
			l.Link = 12 << 10 // it is at work all the time
		}
	})
	byState := map[store.DeviceState]*site.Laptop{store.Deployed: all[0], store.Lost: all[1], store.Returned: all[2], store.Ready: all[3], store.Deploying: all[4], store.New: all[5]}
	for _, l := range slices.Concat(all[:5], all[6:]) {
		must(t, s.Do(ctx, []string{"device", "adopt", l.Code, "--role", "sales"}))
	}
	for _, l := range slices.Concat(all[:3], all[6:]) {
		must(t, s.Do(ctx, []string{"deploy", l.Serial(), "--role", "sales"}))
	}
	for _, l := range slices.Concat(all[:3], all[6:]) {
		_, err := s.Deployed(ctx, l.Serial())
		must(t, err)
		_, err = l.FirstBoot(ctx, s.Agents)
		must(t, err)
	}
	must(t, s.Do(ctx, []string{"device", "set", all[0].Serial(), "--owner", "B. Meyer", "--reason", "handed over"},
		[]string{"device", "lost", all[1].Serial(), "--tell", "the helpdesk, room 12"}, []string{"device", "return", all[2].Serial(), "--from", "Bo Berg"}, []string{"deploy", all[4].Serial(), "--role", "sales"}))
	must(t, all[4].Run.Until(ctx, "writing", func(v agent.View) bool { return v.Word == "writing" }))
	must(t, s.Do(ctx, []string{"operator", "add", "berta", "--right", "viewer"}))
	w := &town{Site: s, draft: draft, device: map[store.DeviceState]store.DeviceView{}}
	for state, l := range byState {
		d, err := s.Device(ctx, l.Serial())
		must(t, err)
		if d.State != state {
			t.Fatalf("%s is %s; want %s", l.Serial(), d.State, state)
		}
		w.device[state] = d
	}
	drive := w.device[store.Lost].Drives[0].Serial
	must(t, s.Do(ctx, []string{"device", "destroyed", all[1].Serial(), "--drive", drive, "--method", "shredded", "--why", "it does not start", "--place", "the vendor's", "--by", "Karl Ott", "--witness", "Eva Lang",
		"--reference", "R-77", "--yes"}))
	back := all[6].Serial()
	must(t, s.Do(ctx, []string{"operator", "policy", "--second-person", "on"}, []string{"device", "return", back, "--from", "Cy Ott"}, []string{"wipe", back, "--place", "the bench", "--dispose", "--yes"}))
	jobs, err := site.Ask[[]store.JobView](ctx, s, "jobs?all=1")
	must(t, err)
	for _, j := range jobs {
		switch j.Device {
		case w.device[store.Deploying].ID:
			w.job = string(j.ID)
		case w.device[store.Deployed].ID:
			w.ended = string(j.ID)
		}
		if j.Kind == job.Wipe {
			w.wipe = string(j.ID)
		}
	}
	return w, tab
}

// view is one page to look at.
type view struct{ pattern, name, path string }

// views names pages of each pattern, with something on each.
func (w *town) views() []view {
	ready, deployed := w.device[store.Ready].ID, w.device[store.Deployed].ID
	out := []view{
		{"/", "board", "/"},
		{"/scan", "scan", "/scan?role=sales&start=1"},
		{"/devices", "devices", "/devices"}, {"/devices", "devices-none", "/devices?q=owner:nobody"}, {"/devices", "devices-wrong", "/devices?q=colour:red"},
		{"/devices/act", "confirm-deploy", "/devices/act?do=deploy&device=" + ready}, {"/devices/act", "confirm-overwrite", "/devices/act?do=deploy&device=" + ready + "&device=" + deployed},
		{"/images", "images", "/images"}, {"/images/{image}", "image", "/images/sales"}, {"/images/{image}/diff", "diff", "/images/sales/diff?a=1&b=2"},
		{"/images/{image}/{number}", "version", "/images/sales/1"}, {"/images/{image}/{number}", "version-draft", fmt.Sprintf("/images/sales/%d", w.draft.Number)},
		{"/jobs", "jobs", "/jobs?all=1"}, {"/jobs/{id}", "job-running", "/jobs/" + w.job}, {"/jobs/{id}", "job-ended", "/jobs/" + w.ended}, {"/jobs/{id}", "job-wipe", "/jobs/" + w.wipe}, {"/settings/wiping", "wipe-policy", "/settings/wiping"},
		{"/roles", "roles", "/roles"}, {"/settings", "settings", "/settings"},
		{"/account", "account", "/account"}, {"/operators", "operators", "/operators"}, {"/tokens", "tokens", "/tokens"}, {"/rights", "rights", "/rights"},
		{"/settings/push", "push", "/settings/push"}, {"/labels", "labels", "/labels"}, {"/labels/sheet", "label-sheet", "/labels/sheet?device=" + ready + "&device=" + deployed},
		{"/devices/act", "confirm-wipe", "/devices/act?do=wipe&device=" + w.device[store.Returned].ID}, {"/certificates", "certificates", "/certificates"},
		{"/certificates/{id}", "certificate", "/certificates/D-000001"}, {"/certificates/verify", "verify", "/certificates/verify"},
		{"/reports", "reports", "/reports"}, {"/licences", "licences", "/licences"}, {"/audit", "audit", "/audit"}, {"/receipts/{id}", "receipt", "/receipts/" + w.device[store.Deployed].Holds.ID},
		{"/reports/{name}", "report-unasked", "/reports/received"}, {"", "not-here", "/nothing/here"},
	}
	for _, k := range report.Kinds {
		path := "/reports/" + k.Name
		if k.Name == "received" {
			path += "?device=" + deployed
		}
		out = append(out, view{"/reports/{name}", "report-" + k.Name, path})
	}
	for state, d := range w.device {
		out = append(out, view{"/devices/{ref}", "device-" + string(state), "/devices/" + d.ID})
	}
	return out
}

// sizes are the screens of a bench laptop, a wall, and a phone.
var sizes = []struct{ w, h int64 }{{1366, 768}, {1920, 1080}, {390, 844}}

// TestEveryPageIsForEverybody looks at every page of the server at three sizes: axe-core finds nothing, nothing sticks
// out of the window, no script fails, and what it looked like is kept ("go test -artifacts").
func TestEveryPageIsForEverybody(t *testing.T) {
	w, tab := settle(t)
	views := w.views()
	for _, p := range allPages() {
		if !slices.ContainsFunc(views, func(v view) bool { return v.pattern == p }) {
			t.Errorf("nobody looks at the page %s", p)
		}
	}
	for _, v := range views {
		lookAt(t, tab, v)
	}
	other := stranger(t, w.Site)
	lookAt(t, other, view{"", "sign-in", "/sign-in"})
	link, err := w.Link(t.Context(), "carl", store.Technician)
	must(t, err)
	lookAt(t, other, view{"", "setup", link})
}

func lookAt(t *testing.T, tab *browser.Tab, v view) {
	t.Helper()
	for _, s := range sizes {
		must(t, tab.Size(s.w, s.h))
		must(t, tab.Open(v.path))
		if v.pattern == "/" {
			must(t, tab.Wait("the live board", `document.body.dataset.live > 0`))
		}
		must(t, tab.Shot(filepath.Join(t.ArtifactDir(), fmt.Sprintf("%s-%dx%d.png", v.name, s.w, s.h))))
		if wide, err := tab.Overflow(); err != nil || len(wide) > 0 {
			t.Errorf("%s at %dx%d is too wide: %q, %v", v.name, s.w, s.h, wide, err)
		}
		faults, err := tab.Axe()
		must(t, err)
		for _, f := range faults {
			t.Errorf("%s at %dx%d: axe: %v", v.name, s.w, s.h, f)
		}
		for _, odd := range tab.Odd() {
			t.Errorf("%s at %dx%d: %s", v.name, s.w, s.h, odd)
		}
	}
}

// TestTheBoardHoldsSixtyLaptops: all of them on a bench laptop's screen at once, on a wall, and on a phone by scrolling.
func TestTheBoardHoldsSixtyLaptops(t *testing.T) {
	ctx, s, v, tab := pages(t, simlaptop.Golden{Payload: 2 << 20}, store.Technician)
	must(t, s.Do(ctx, []string{"role", "add", "sales", "--image", "sales", "--names", "LT-{serial:-4}"}))
	all := waiting(t, s, 60, v, func(l *site.Laptop) { l.Link = 16 << 10 })
	order := []string{"deploy", "--role", "sales"}
	for _, l := range all {
		must(t, s.Do(ctx, []string{"device", "adopt", l.Code, "--role", "sales"}))
		order = append(order, l.Serial())
	}
	must(t, s.Do(ctx, order))
	lookAt(t, tab, view{"/", "board-60", "/"})
	for _, size := range sizes[:2] {
		must(t, tab.Size(size.w, size.h))
		must(t, tab.Open("/"))
		must(t, tab.Wait("60 tiles", `document.querySelectorAll(".tile").length === 60`))
		seen, err := browser.Eval[int](tab, `[...document.querySelectorAll(".tile")].filter(e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight && r.left >= 0 && r.right <= innerWidth }).length`)
		must(t, err)
		if seen != 60 {
			t.Errorf("at %dx%d %d of 60 tiles are seen without scrolling", size.w, size.h, seen)
		}
		small, err := browser.Eval[float64](tab, `Math.min(...[...document.querySelectorAll(".tile .name")].map(e => parseFloat(getComputedStyle(e).fontSize)))`)
		must(t, err)
		t.Logf("at %dx%d: %d tiles, names of %.0f pixels", size.w, size.h, seen, small)
	}
}

// TestEveryPatternIsOne holds the list of what is no page against the table: a name that is none would hide a page.
func TestEveryPatternIsOne(t *testing.T) {
	pattern := regexp.MustCompile(`^/[a-z/{}-]*$`)
	if got := allPages(); len(got) < 15 || slices.ContainsFunc(got, func(p string) bool { return !pattern.MatchString(p) }) {
		t.Errorf("the pages are %s", strings.Join(got, " "))
	}
}
