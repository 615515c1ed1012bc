package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

func (a *API) boardRoutes(rs *routes) {
	rs.handle("GET /{$}", store.Viewer, a.boardPage)
	rs.handle("GET /api/v1/board", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Bench.Board(r.Context())
		out.Tiles = list(out.Tiles)
		a.reply(w, out, err)
	})
	rs.handle("POST /adopt", store.Technician, a.pageAct(a.adoptForm, a.boardFault))
	rs.handle("POST /deploy", store.Technician, a.pageAct(a.startForm, a.boardFault))
	rs.handle("POST /bench/open", store.Technician, a.pageAct(a.openForm, a.boardFault))
	rs.handle("POST /bench/close", store.Technician, a.pageAct(a.closeForm, a.boardFault))
}

func (a *API) boardPage(w http.ResponseWriter, r *http.Request) { a.boardFault(w, r, nil) }

// boardFault shows the board, with what did not work when a button of it was pressed.
func (a *API) boardFault(w http.ResponseWriter, r *http.Request, f *job.Fault) {
	v, err := a.board(r.Context())
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	a.show(w, r, "board", page{Title: "Bench", Area: "bench", Fault: f, Data: v})
}

// Density is how many tiles share the screen: a class of the style.
func (v boardView) Density() string {
	switch n := len(v.Tiles); {
	case n <= 8:
		return "n1"
	case n <= 18:
		return "n2"
	case n <= 32:
		return "n3"
	}
	return "n4"
}

// Long reports whether a name needs the smaller letters.
func (t tileView) Long() bool { return len(t.Label) > 11 }

func (a *API) adoptForm(ctx context.Context, r *http.Request, f url.Values) (string, error) {
	_, word, err := a.doAdopt(ctx, operatorOf(r), "", f)
	return saidAt("/", word), err
}

// startForm starts laptops that wait for one press, each for its own role. The first that is refused stops it: the page
// then shows why, and the others are still there to be started.
func (a *API) startForm(ctx context.Context, r *http.Request, f url.Values) (string, error) {
	ids := f["device"]
	if len(ids) == 0 {
		return "", job.Faultf(job.CodeNobody, "")
	}
	if len(ids) > maxBulk {
		return "", job.Faultf(job.CodeBadRequest, "%d laptops at once; at most %d are taken.", len(ids), maxBulk)
	}
	seen := store.StampOf(ctx).Revision
	for _, id := range ids {
		d, err := a.Bench.Device(ctx, id)
		if err != nil {
			return "", err
		}
		if _, err := a.Bench.Deploy(stampFor(ctx, id, seen), operatorOf(r), store.Order{Device: id, Role: d.Role}); err != nil {
			return "", err
		}
	}
	return saidAt("/", "ordered"), nil
}

// maxOpen is for how many hours a bench is opened from a page.
const maxOpen = 7 * 24

func (a *API) openForm(ctx context.Context, r *http.Request, f url.Values) (string, error) {
	h, err := number(f, "hours", "The time in hours")
	if err != nil {
		return "", err
	}
	if h = cmp.Or(h, 4); h > maxOpen {
		return "", job.Faultf(job.CodeBadRequest, "A bench is opened for at most %d hours.", maxOpen)
	}
	_, err = a.Bench.OpenBench(ctx, operatorOf(r), store.Bench{OpenUntil: time.Now().Add(time.Duration(h) * time.Hour)})
	return saidAt(cmp.Or(ownPath(f.Get("back")), "/"), "opened"), err
}

func (a *API) closeForm(ctx context.Context, r *http.Request, f url.Values) (string, error) {
	_, err := a.Bench.OpenBench(ctx, operatorOf(r), store.Bench{})
	return saidAt(cmp.Or(ownPath(f.Get("back")), "/"), "closed"), err
}

// ownPath is a path of these pages to which a form leads back; anything else is dropped, so that no form leads away.
func ownPath(s string) string {
	if s == "/settings" || s == "/scan" {
		return s
	}
	return ""
}
