package web

import (
	"net/http"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// timeNow is the clock of what pages say; what decides about laptops has its own, in deploy.
func timeNow() time.Time { return time.Now() }

func (a *API) scanRoutes(rs *routes) {
	rs.handle("GET /scan", store.Technician, func(w http.ResponseWriter, r *http.Request) { a.scanPage(w, r, nil, nil) })
	rs.handle("POST /scan", store.Technician, a.scanForm)
	rs.handle("POST /api/v1/scan", store.Technician, act(a, a.scan))
}

// scanData is the scan page.
type scanData struct {
	Roles []store.Role
	Role  string
	Start bool
	Bench string
	Open  bool
	Last  *Scanned
}

// scanPage shows the box. What a scan does is chosen once, and stands in the address: so that it lasts, and can be kept.
func (a *API) scanPage(w http.ResponseWriter, r *http.Request, last *Scanned, f *job.Fault) {
	roles, err := a.Bench.Roles(r.Context())
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	b, err := a.Bench.Bench(r.Context())
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	d := scanData{Roles: roles, Role: r.FormValue("role"), Start: r.FormValue("start") != "", Last: last}
	d.Bench, d.Open = benchWord(b, timeNow())
	a.show(w, r, "scan", page{Title: "Scan", Area: "scan", Fault: f, Data: d})
}

// scanForm takes one scan: from the script, which reads JSON, or from the form itself.
func (a *API) scanForm(w http.ResponseWriter, r *http.Request) {
	var out Scanned
	ctx, f, err := readForm(r)
	if err == nil {
		out, err = a.scan(ctx, operatorOf(r), Scan{What: f.Get("what"), Role: f.Get("role"), Start: ticked(f, "start")})
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		if err != nil {
			fault := a.fault(err)
			out.Word, out.Colour, out.Sentence = "refused", job.Red, wordsOf(fault).String()
		}
		neutralText(&out)
		a.reply(w, out, nil)
		return
	}
	switch {
	case err != nil:
		a.scanPage(w, r, nil, a.fault(err))
	case out.Open:
		http.Redirect(w, r, devicePath(out.Device), http.StatusSeeOther)
	default:
		a.scanPage(w, r, &out, nil)
	}
}
