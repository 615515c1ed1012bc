package web

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"

	"ingot/store"
)

// Pushing is the operator's side of telling asset registers and webhooks; push.Pusher is one.
type Pushing interface {
	Status(ctx context.Context) (store.PushStatus, error)
	Trouble(ctx context.Context) ([]string, error) // one short line for each target that needs a person
	Put(ctx context.Context, operator string, n store.PushNew) (store.PushMade, error)
	Rotate(ctx context.Context, operator, name string) (store.PushMade, error)
	Remove(ctx context.Context, operator, name string) error
	Retry(ctx context.Context, operator string, r store.PushRetry) (store.PushRetried, error)
	Test(ctx context.Context, operator, name string) (store.PushTested, error)
	WriteCSV(ctx context.Context, w io.Writer) error
}

// pushRoutes are those of other systems that are told what happens here. To send something again is no decision, and the
// technician's who has put the device right there; what is told to whom is the administrator's, and no program's: it would
// have everything told to itself.
func (a *API) pushRoutes(rs *routes) {
	p := a.Push
	rs.handle("GET /api/v1/push", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.pushStatus(r.Context())
		a.reply(w, out, err)
	})
	rs.handle("POST /api/v1/push/retry", store.Technician, act(a, p.Retry))
	rs.personal("POST /api/v1/push/targets", store.Administrator, act(a, p.Put))
	rs.handle("POST /api/v1/push/targets/{name}/test", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		out, err := p.Test(r.Context(), operatorOf(r), r.PathValue("name"))
		a.reply(w, out, err)
	})
	rs.personal("POST /api/v1/push/targets/{name}/secret", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		out, err := p.Rotate(r.Context(), operatorOf(r), r.PathValue("name"))
		a.reply(w, out, err)
	})
	rs.personal("DELETE /api/v1/push/targets/{name}", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		a.reply(w, struct{}{}, p.Remove(r.Context(), operatorOf(r), r.PathValue("name")))
	})
	rs.handle("GET /api/v1/push/devices.csv", store.Viewer, a.devicesCSV)
	a.pushPages(rs)
}

// pushStatus is how everything stands, for who asks: of an address, whose path may be a secret, only an administrator sees
// more than the host.
func (a *API) pushStatus(ctx context.Context) (store.PushStatus, error) {
	s, err := a.Push.Status(ctx)
	if err != nil || ActorOf(ctx).Right.Covers(store.Administrator) {
		return s, err
	}
	s.Targets = slices.Clone(s.Targets)
	for i := range s.Targets {
		s.Targets[i].URL = store.HostOf(s.Targets[i].URL)
	}
	return s, nil
}

// devicesCSV sends the file of all devices. It is made whole before the first byte leaves: half a list would pass for one,
// and a slow reader must not hold the database.
func (a *API) devicesCSV(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if err := a.Push.WriteCSV(r.Context(), &b); err != nil {
		a.reply(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="devices.csv"`)
	w.Header().Set("Cache-Control", "no-store")
	w.Write(b.Bytes()) // fails only when the asker has gone
}
