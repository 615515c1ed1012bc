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

func (a *API) contentRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/images/{ref}/content", func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Shelf.Inside(r.Context(), r.PathValue("ref"))
		a.reply(w, out, err)
	})
	mux.HandleFunc("GET /api/v1/images/{ref}/software", func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Shelf.Bill(r.Context(), r.PathValue("ref"))
		a.reply(w, out, err)
	})
	mux.HandleFunc("POST /api/v1/images/{ref}/look", func(w http.ResponseWriter, r *http.Request) {
		out := newLines[store.Work, store.Inside](a, w)
		done, err := a.Shelf.LookAgain(r.Context(), operatorOf(r), r.PathValue("ref"), out.work)
		out.end(done, err)
	})
	mux.HandleFunc("POST /api/v1/images/{ref}/note", actOn(a, a.Shelf.SetNote))
	mux.HandleFunc("GET /api/v1/images/diff", func(w http.ResponseWriter, r *http.Request) {
		out := newLines[store.Work, store.Difference](a, w)
		done, err := a.Shelf.Compare(r.Context(), r.URL.Query().Get("a"), r.URL.Query().Get("b"), out.work)
		out.end(done, err)
	})
}
