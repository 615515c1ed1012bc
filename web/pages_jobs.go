package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"

	"ingot/imaging/job"
	"ingot/store"
)

func (a *API) jobPages(rs *routes) {
	rs.handle("GET /jobs", store.Viewer, a.jobsPage)
	rs.handle("GET /jobs/{id}", store.Viewer, func(w http.ResponseWriter, r *http.Request) { a.jobPage(w, r, nil) })
	rs.handle("POST /jobs/{id}/stop", store.Technician, a.pageAct(a.doStop, a.jobPage))
}

func jobPath(id job.ID) string { return "/jobs/" + url.PathEscape(string(id)) }

// jobsData is the list of jobs.
type jobsData struct {
	Rows          []store.JobView
	All           bool
	Page, Total   int
	Before, After string
}

func (a *API) jobsPage(w http.ResponseWriter, r *http.Request) {
	all := r.URL.Query().Has("all")
	jobs, err := a.Bench.Jobs(r.Context(), all)
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	d := jobsData{All: all, Total: len(jobs)}
	d.Page, d.Rows = pageOf(jobs, r.URL.Query().Get("page"))
	at := func(n int) string {
		v := url.Values{"page": {strconv.Itoa(n)}}
		if all {
			v.Set("all", "1")
		}
		return "/jobs?" + v.Encode()
	}
	if d.Page > 1 {
		d.Before = at(d.Page - 1)
	}
	if d.Page*maxRows < d.Total {
		d.After = at(d.Page + 1)
	}
	a.show(w, r, "jobs", page{Title: "Jobs", Area: "jobs", Data: d})
}

// jobData is one job.
type jobData struct {
	store.JobView
	Look    stateWord
	Safe    string
	MayStop bool
	Started bool   // its drive is half written: to stop it now means that the laptop does not start
	Type    string // what is typed then
	Form    url.Values
	Agree   bool // it waits for a second person

	WipeWord string // what that person types
}

func (a *API) jobPage(w http.ResponseWriter, r *http.Request, f *job.Fault) {
	v, err := a.Bench.Job(r.Context(), job.ID(r.PathValue("id")))
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	d := jobData{JobView: v, Look: wordOfJob(v), Safe: v.Kind.Look(v.State).SafeTo, Started: v.Kind.Started(v.Reached), Form: r.PostForm,
		MayStop: v.Kind.MayFollow(v.State, job.Cancelled) && v.CancelBy == "", Type: serialOfJob(v)}
	if d.Agree = v.Wipe != nil && !v.State.Final() && v.Wipe.NeedsSecond && v.Wipe.Second == ""; d.Agree {
		dev, err := a.Bench.Device(r.Context(), v.Device)
		if err != nil {
			a.showFault(w, r, err)
			return
		}
		d.WipeWord = dev.WipeWord()
	}
	a.show(w, r, "job", page{Title: v.DeviceLabel + ": " + v.What(), Area: "jobs", Fault: f, Data: d})
}

// doStop stops a job. A drive that is half written leaves a laptop that does not start: then its serial is typed.
func (a *API) doStop(ctx context.Context, r *http.Request, f url.Values) (string, error) {
	id := job.ID(r.PathValue("id"))
	j, err := a.Bench.Job(ctx, id)
	if err != nil {
		return "", err
	}
	s := store.StampOf(ctx)
	if s.Untouched = !f.Has("asked"); !s.Untouched && !sameTyped(f.Get("typed"), serialOfJob(j)) {
		return "", job.Faultf(job.CodeTyped, "It is not the serial of %s.", j.DeviceLabel)
	}
	_, err = a.Bench.Cancel(store.WithStamp(ctx, s), operatorOf(r), id)
	return saidAt(jobPath(id), "stopped"), err
}

// serialOfJob is what is typed for the laptop of a job.
func serialOfJob(j store.JobView) string { return cmp.Or(j.Serial, j.DeviceName, j.DeviceLabel) }
