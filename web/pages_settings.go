package web

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

func (a *API) settingPages(rs *routes) {
	rs.handle("GET /roles", store.Viewer, func(w http.ResponseWriter, r *http.Request) { a.rolesPage(w, r, nil) })
	rs.handle("POST /roles", store.ImageManager, a.pageAct(a.doRole, a.rolesPage))
	rs.handle("GET /settings", store.Viewer, func(w http.ResponseWriter, r *http.Request) { a.settingsPage(w, r, nil, nil) })
	rs.handle("POST /settings/auto-deploy", store.Administrator, a.pageAct(a.doAuto, func(w http.ResponseWriter, r *http.Request, f *job.Fault) { a.settingsPage(w, r, f, nil) }))
	rs.handle("POST /settings/list", store.Technician, a.listForm)
}

// rolesData is the page of roles.
type rolesData struct {
	Roles  []store.Role
	Images []store.VersionView
	Form   url.Values
}

func (a *API) rolesPage(w http.ResponseWriter, r *http.Request, f *job.Fault) {
	d := rolesData{Form: r.PostForm}
	var err error
	if d.Roles, err = a.Bench.Roles(r.Context()); err == nil && a.Shelf != nil {
		d.Images, err = a.Shelf.Images(r.Context())
	}
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	if d.Form == nil { // a role is changed by opening it in the form
		d.Form = url.Values{}
		for _, x := range d.Roles {
			if x.Name == r.URL.Query().Get("role") {
				d.Form = url.Values{"name": {x.Name}, "image": {x.Image}, "pattern": {x.Pattern}, "drive": {string(x.Drive)}}
			}
		}
	}
	a.show(w, r, "roles", page{Title: "Roles", Area: "roles", Fault: f, Data: d})
}

func (a *API) doRole(ctx context.Context, r *http.Request, f url.Values) (string, error) {
	_, err := a.Bench.PutRole(ctx, operatorOf(r), store.Role{Name: f.Get("name"), Image: f.Get("image"), Pattern: f.Get("pattern"), Drive: job.DriveRule(f.Get("drive"))})
	return saidAt("/roles", "role"), err
}

// settingsData is the page of the bench: who is answered, what happens without a person, and what suppliers promise.
type settingsData struct {
	Bench  string
	Open   bool
	By     string
	Auto   store.AutoDeploy
	AutoOn bool
	Roles  []store.Role
	Status Status
	Listed *store.Listed // the outcome of a list that was sent a moment ago
}

func (a *API) settingsPage(w http.ResponseWriter, r *http.Request, f *job.Fault, listed *store.Listed) {
	ctx, now := r.Context(), timeNow()
	b, err := a.Bench.Bench(ctx)
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	d := settingsData{By: b.By, Status: a.Status, Listed: listed}
	d.Status.Version = a.Version
	d.Bench, d.Open = benchWord(b, now)
	if d.Auto, err = a.Bench.AutoDeploy(ctx); err == nil {
		d.Roles, err = a.Bench.Roles(ctx)
	}
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	d.AutoOn = d.Auto.On(now)
	a.show(w, r, "settings", page{Title: "Bench", Area: "settings", Fault: f, Data: d})
}

// maxAutoHours bounds the policy's time, as deploy does.
const maxAutoHours = 7 * 24

func (a *API) doAuto(ctx context.Context, r *http.Request, f url.Values) (string, error) {
	if ticked(f, "off") {
		_, err := a.Bench.SetAutoDeploy(ctx, operatorOf(r), store.AutoDeploy{})
		return saidAt("/settings", "auto-off"), err
	}
	hours, err := number(f, "hours", "The time in hours")
	if err != nil {
		return "", err
	}
	count, err := number(f, "count", "The number of laptops")
	if err != nil {
		return "", err
	}
	if f.Get("role") == "" || hours < 1 || hours > maxAutoHours || count < 1 {
		return "", job.Faultf(job.CodeBadRequest, "Name a role, a time of 1 to %d hours and how many laptops may start.", maxAutoHours)
	}
	_, err = a.Bench.SetAutoDeploy(ctx, operatorOf(r), store.AutoDeploy{Role: f.Get("role"), Until: timeNow().Add(time.Duration(hours) * time.Hour), Left: count})
	return saidAt("/settings", "auto"), err
}

// listForm takes a supplier's list: a file, or lines that were pasted.
func (a *API) listForm(w http.ResponseWriter, r *http.Request) {
	ctx, f, err := readForm(r)
	var listed store.Listed
	if err == nil {
		var csv []byte
		if csv, err = listBytes(r, f.Get("lines")); err == nil {
			listed, err = a.Bench.ImportDevices(ctx, operatorOf(r), store.List{CSV: csv})
		}
	}
	if err != nil {
		a.settingsPage(w, r, a.fault(err), nil)
		return
	}
	if len(listed.Bad) > 0 {
		a.settingsPage(w, r, job.Faultf(job.CodeListRefused, "%s cannot be taken.", plural(len(listed.Bad)+listed.MoreBad, "line", "lines")), &listed)
		return
	}
	a.settingsPage(w, r, nil, &listed)
}
