package web

import (
	"context"
	"net/http"

	"ingot/store"
)

// Exchange is the operator's side of versions that travel: as bundle files, and to and from other servers.
// library.Library is one. tell is called from one goroutine at a time.
type Exchange interface {
	ExportBundle(ctx context.Context, operator string, e store.BundleExport, tell func(store.Work)) (store.Bundled, error)
	ImportBundle(ctx context.Context, operator string, i store.BundleImport, tell func(store.Work)) (store.Imported, error)
	Keys(ctx context.Context) (store.ImageKeys, error)
	ForgetKey(ctx context.Context, operator, fingerprint string) error
	Peers(ctx context.Context) ([]store.PeerView, error)
	AllowPeer(ctx context.Context, operator string, a store.PeerAllow) (store.PeerToken, error)
	AddPeer(ctx context.Context, operator string, a store.PeerAdd) (store.PeerView, error)
	RemovePeer(ctx context.Context, operator, name string) error
	Push(ctx context.Context, operator string, t store.Transfer, tell func(store.Work)) (store.Transferred, error)
	Pull(ctx context.Context, operator string, t store.Transfer, tell func(store.Work)) (store.Imported, error)
}

// exchangeRoutes are those of versions that travel. Which servers are let in is a person's decision: a program could make
// itself a peer, whose token has no end.
func (a *API) exchangeRoutes(rs *routes) {
	x := a.Exchange
	rs.handle("POST /api/v1/images/bundle/export", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		long(a, w, r, func(ctx context.Context, operator string, e store.BundleExport, tell func(store.Work)) (store.Bundled, error) {
			e.Opened = fileOf(r)
			return x.ExportBundle(ctx, operator, e, tell)
		})
	})
	rs.handle("POST /api/v1/images/bundle/import", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		long(a, w, r, func(ctx context.Context, operator string, i store.BundleImport, tell func(store.Work)) (store.Imported, error) {
			i.Opened = fileOf(r)
			return x.ImportBundle(ctx, operator, i, tell)
		})
	})
	rs.handle("POST /api/v1/images/push", store.ImageManager, func(w http.ResponseWriter, r *http.Request) { long(a, w, r, x.Push) })
	rs.handle("POST /api/v1/images/pull", store.ImageManager, func(w http.ResponseWriter, r *http.Request) { long(a, w, r, x.Pull) })
	rs.handle("GET /api/v1/image-keys", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := x.Keys(r.Context())
		a.reply(w, out, err)
	})
	rs.personal("DELETE /api/v1/image-keys/{key}", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		a.reply(w, struct{}{}, x.ForgetKey(r.Context(), operatorOf(r), r.PathValue("key")))
	})
	rs.handle("GET /api/v1/peers", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := x.Peers(r.Context())
		a.reply(w, list(out), err)
	})
	rs.personal("POST /api/v1/peers/allow", store.Administrator, act(a, x.AllowPeer))
	rs.personal("POST /api/v1/peers", store.Administrator, act(a, x.AddPeer))
	rs.personal("DELETE /api/v1/peers/{name}", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		a.reply(w, struct{}{}, x.RemovePeer(r.Context(), operatorOf(r), r.PathValue("name")))
	})
}

// long answers an act that takes a while with NDJSON.
func long[In, Out any](a *API, w http.ResponseWriter, r *http.Request, f func(context.Context, string, In, func(store.Work)) (Out, error)) {
	var in In
	if err := readBody(r, &in); err != nil {
		a.reply(w, nil, err)
		return
	}
	out := newLines[store.Work, Out](a, w)
	done, err := f(r.Context(), operatorOf(r), in, out.work)
	out.end(done, err)
}
