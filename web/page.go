package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"sync"

	"ingot/imaging/job"
)

//go:embed template
var templateFiles embed.FS

// page is what every template gets.
type page struct {
	Title string
	Area  string // the part of the navigation that is lit: bench, devices, images, jobs, reports, settings
	Actor Actor
	Fault *job.Fault // what went wrong, in words; nil when nothing did
	Data  any        // what the template of its own shows
}

// templates parses each page together with the layout, once. A page is a file of template/ that defines "main".
var templates = sync.OnceValues(func() (map[string]*template.Template, error) {
	names, err := fs.Glob(templateFiles, "template/*.html")
	if err != nil {
		return nil, err
	}
	all := map[string]*template.Template{}
	for _, n := range names {
		if n == "template/layout.html" {
			continue
		}
		t, err := template.ParseFS(templateFiles, "template/layout.html", n)
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
			w.Write(b.Bytes()) // fails only when the asker has gone
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
