package web

import (
	"bytes"
	"crypto/rand"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"sync"

	"ingot/imaging/job"
	"ingot/store"
)

//go:embed template
var templateFiles embed.FS

// page is what every template gets.
type page struct {
	Title string
	Area  string // the part of the navigation that is lit: bench, scan, devices, images, roles, jobs, reports, settings
	Actor Actor
	Fault *job.Fault // what went wrong, in words; nil when nothing did
	Said  string     // what was done a moment ago, one sentence
	Data  any        // what the template of its own shows

	Nav []navItem // the areas that there are
	Sub []navItem // the pages of this area, where it has several
}

// Can reports whether who looks has a right; what he may not do is not shown to him.
func (p page) Can(right store.Right) bool { return p.Actor.Right.Covers(right) }

// Words are the fault in the words of a page.
func (p page) Words() *faultWords { return wordsOf(p.Fault) }

// navItem is one link of the navigation.
type navItem struct {
	Path, Title, Area string
	Here              bool
}

// areas are the parts of the navigation, and pagesOf those that have several pages. A page that no route answers is left
// out, and so is one that the person may not open.
var areas = []navItem{{Path: "/", Title: "Bench", Area: "bench"}, {Path: "/scan", Title: "Scan", Area: "scan"}, {Path: "/devices", Title: "Devices", Area: "devices"},
	{Path: "/images", Title: "Images", Area: "images"}, {Path: "/roles", Title: "Roles", Area: "roles"}, {Path: "/jobs", Title: "Jobs", Area: "jobs"},
	{Path: "/reports", Title: "Reports", Area: "reports"}, {Path: "/settings", Title: "Settings", Area: "settings"}}

var pagesOf = map[string][]navItem{"settings": {{Path: "/settings", Title: "Bench"}, {Path: "/operators", Title: "Operators"}, {Path: "/tokens", Title: "API tokens"},
	{Path: "/rights", Title: "Rights"}, {Path: "/settings/wiping", Title: "Wiping"}, {Path: "/settings/push", Title: "Asset register"}, {Path: "/labels", Title: "Labels"}},
	"reports": {{Path: "/reports", Title: "Reports"}, {Path: "/licences", Title: "Entitlements and rules"}, {Path: "/certificates", Title: "Drive records"}, {Path: "/audit", Title: "Audit trail"}}}

// pageRoutes are the pages, and what belongs to them.
func (a *API) pageRoutes(rs *routes) {
	a.staticRoutes(rs)
	a.boardRoutes(rs)
	a.liveRoutes(rs)
	a.scanRoutes(rs)
	a.devicesRoutes(rs)
	a.jobPages(rs)
	a.settingPages(rs)
	if a.Shelf != nil {
		a.imagePages(rs)
	}
}

// links gives those of some links that are answered here and that a right covers.
func (a *API) links(all []navItem, right store.Right, here func(navItem) bool) (out []navItem) {
	var routes []Route
	if known := a.known.Load(); known != nil {
		routes = *known
	}
	for _, n := range all {
		i := slices.IndexFunc(routes, func(r Route) bool { return r.Method == http.MethodGet && r.Path == n.Path })
		if i >= 0 && right.Covers(routes[i].Right) {
			n.Here = here(n)
			out = append(out, n)
		}
	}
	return out
}

// partFiles are no pages: the layout, and what several pages, or a long one, are made of.
var partFiles = []string{"template/layout.html", "template/parts.html", "template/wiping.html"}

// templates parses each page together with the layout, once. A page is a file of template/ that defines "main".
var templates = sync.OnceValues(func() (map[string]*template.Template, error) {
	names, err := fs.Glob(templateFiles, "template/*.html")
	if err != nil {
		return nil, err
	}
	all := map[string]*template.Template{}
	for _, n := range names {
		if slices.Contains(partFiles, n) {
			continue
		}
		t, err := template.New("").Funcs(pageFuncs).ParseFS(templateFiles, append(slices.Clone(partFiles), n)...)
		if err != nil {
			return nil, err
		}
		all[n[len("template/"):len(n)-len(".html")]] = t
	}
	return all, nil
})

// show answers with a page. It is made whole before the first byte leaves, so that a fault in it is no half page.
func (a *API) show(w http.ResponseWriter, r *http.Request, name string, p page) {
	p.Actor = ActorOf(r.Context())
	p.Nav = a.links(areas, p.Actor.Right, func(n navItem) bool { return n.Area == p.Area })
	if p.Sub = a.links(pagesOf[p.Area], p.Actor.Right, func(n navItem) bool { return n.Path == r.URL.Path }); len(p.Sub) < 2 {
		p.Sub = nil
	}
	if p.Said == "" {
		p.Said = said[r.URL.Query().Get("said")]
	}
	all, err := templates()
	if err == nil && all[name] == nil {
		err = fmt.Errorf("no page is called %q", name)
	}
	if err == nil {
		var b bytes.Buffer
		if err = all[name].ExecuteTemplate(&b, "layout", p); err == nil {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			if p.Fault != nil {
				w.WriteHeader(status(p.Fault.Code))
			}
			w.Write(neutral(b.Bytes())) // fails only when the asker has gone
			return
		}
	}
	f := a.fault(err)
	http.Error(w, f.Error(), http.StatusInternalServerError)
}

// showFault answers with a page that says what went wrong and what to do.
func (a *API) showFault(w http.ResponseWriter, r *http.Request, err error) {
	a.show(w, r, "fault", page{Title: "This did not work", Fault: a.fault(err)})
}

// said are the sentences about what was done a moment ago, by the word that a redirect carries.
var said = map[string]string{
	"adopted": "The laptop is adopted.", "ordered": "The order is given. The laptop begins as soon as it is here.", "saved": "It is written down.",
	"lost": "It is reported lost. It gets no job, and its next start alarms.", "returned": "It is taken back.", "wipe-policy": "The policy holds, under its next version. Wipes that were ordered before follow the one before.", "settled": "It is settled.",
	"destroyed": "The end of the drive is on record.", "agreed": "You have agreed to the wipe.", "ready": "Every drive of it has its record: it is back in the pool.", "disposed": "It has left: it counts no more.",
	"stopped": "The job is being stopped.", "opened": "The bench is open: unknown laptops are answered.", "closed": "The bench is closed.",
	"auto": "The policy is on.", "auto-off": "The policy is off.", "released": "It is released: laptops receive it from now on.", "retired": "It is retired: no new laptop gets it.",
	"withdrawn": "It is withdrawn: nobody may deploy it any more.", "rolledback": "An earlier version is current again.", "deleted": "Its content was given up; the record stays.",
	"noted": "The note is kept.", "cadence": "The cadence is kept.", "role": "The role is kept.", "looked": "It was looked into once more.",
}

// formKey makes the id of one form: sent twice, it has one effect.
func formKey() string { return rand.Text() }
