package web

import (
	"encoding/json"
	"net/http"
	"sync"

	"ingot/imaging/job"
	"ingot/store"
)

// Line is one line of an NDJSON answer: a step on the way, or the end, which is either Done or Fault.
type Line[Step, Done any] struct {
	Step  *Step      `json:"step,omitempty"`
	Done  *Done      `json:"done,omitempty"`
	Fault *job.Fault `json:"fault,omitempty"`
}

func (a *API) imageRoutes(rs *routes) {
	rs.handle("GET /api/v1/images", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Shelf.Images(r.Context())
		a.reply(w, list(out), err)
	})
	rs.handle("GET /api/v1/images/{image}/history", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Shelf.History(r.Context(), r.PathValue("image"))
		a.reply(w, out, err)
	})
	rs.handle("GET /api/v1/images/{ref}/devices", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Shelf.Recipients(r.Context(), r.PathValue("ref"))
		a.reply(w, list(out), err)
	})
	rs.handle("POST /api/v1/images/release", store.ImageManager, act(a, a.Shelf.Release))
	rs.handle("POST /api/v1/images/retire", store.ImageManager, act(a, a.Shelf.Retire))
	rs.handle("POST /api/v1/images/withdraw", store.ImageManager, act(a, a.Shelf.Withdraw))
	rs.handle("POST /api/v1/images/rollback", store.ImageManager, act(a, a.Shelf.Rollback))
	rs.handle("POST /api/v1/images/delete", store.ImageManager, act(a, a.Shelf.Delete))
	rs.handle("POST /api/v1/images/cadence", store.ImageManager, act(a, a.Shelf.SetCadence))
	rs.handle("POST /api/v1/images/import", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		var in store.Import
		if err := readBody(r, &in); err != nil {
			a.reply(w, nil, err)
			return
		}
		in.Opened = fileOf(r)
		out := newLines[store.Work, store.Imported](a, w)
		done, err := a.Shelf.Import(r.Context(), operatorOf(r), in, out.work)
		out.end(done, err)
	})
	rs.handle("POST /api/v1/images/export", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		var in store.Export
		if err := readBody(r, &in); err != nil {
			a.reply(w, nil, err)
			return
		}
		in.Opened = fileOf(r)
		out := newLines[store.Work, store.Exported](a, w)
		done, err := a.Shelf.Export(r.Context(), operatorOf(r), in, out.work)
		out.end(done, err)
	})
}

// lines writes an NDJSON answer, each line at once.
type lines[Step, Done any] struct {
	api *API
	mu  sync.Mutex // one line at a time
	w   http.ResponseWriter
	c   *http.ResponseController
}

func newLines[Step, Done any](a *API, w http.ResponseWriter) *lines[Step, Done] {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return &lines[Step, Done]{api: a, w: w, c: http.NewResponseController(w)}
}

func (l *lines[Step, Done]) tell(s Step) error { return l.write(Line[Step, Done]{Step: &s}) }

// work is tell for callers that go on although nobody listens any more; their context ends then.
func (l *lines[Step, Done]) work(s Step) { _ = l.tell(s) }

func (l *lines[Step, Done]) end(d Done, err error) {
	if err != nil {
		_ = l.write(Line[Step, Done]{Fault: l.api.fault(err)}) // whoever has gone misses the end, and knows it
		return
	}
	_ = l.write(Line[Step, Done]{Done: &d})
}

func (l *lines[Step, Done]) write(line Line[Step, Done]) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := json.NewEncoder(l.w).Encode(line); err != nil {
		return err
	}
	return l.c.Flush()
}
