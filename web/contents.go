package web

import (
	"context"
	"net/http"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"ingot/store"
)

// Contents is the part of the Shelf that knows what is inside versions.
type Contents interface {
	Inside(ctx context.Context, ref string) (store.Inside, error)
	Bill(ctx context.Context, ref string) (*cdx.BOM, error)
	LookAgain(ctx context.Context, operator, ref string, tell func(store.Work)) (store.Inside, error)
	SetNote(ctx context.Context, operator, ref string, n store.Note) (store.Version, error)
	Compare(ctx context.Context, a, b string, tell func(store.Work)) (store.Difference, error)
}

func (a *API) contentRoutes(rs *routes) {
	rs.handle("GET /api/v1/images/{ref}/content", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Shelf.Inside(r.Context(), r.PathValue("ref"))
		a.reply(w, out, err)
	})
	rs.handle("GET /api/v1/images/{ref}/software", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Shelf.Bill(r.Context(), r.PathValue("ref"))
		a.reply(w, out, err)
	})
	rs.handle("POST /api/v1/images/{ref}/look", store.ImageManager, func(w http.ResponseWriter, r *http.Request) {
		out := newLines[store.Work, store.Inside](a, w)
		done, err := a.Shelf.LookAgain(r.Context(), operatorOf(r), r.PathValue("ref"), out.work)
		out.end(done, err)
	})
	rs.handle("POST /api/v1/images/{ref}/note", store.ImageManager, actOn(a, a.Shelf.SetNote))
	rs.handle("GET /api/v1/images/diff", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out := newLines[store.Work, store.Difference](a, w)
		done, err := a.Shelf.Compare(r.Context(), r.URL.Query().Get("a"), r.URL.Query().Get("b"), out.work)
		out.end(done, err)
	})
}
