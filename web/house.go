package web

import (
	"net/http"
	"strconv"

	"ingot/imaging/job"
	"ingot/store"
)

// houseRoutes are those of keeping records and image store whole and small.
func (a *API) houseRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/v1/images/check", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		c := store.Check{ReadData: q.Get("read-data") != "", Heal: q.Get("heal") != ""}
		if p := q.Get("percent"); p != "" {
			var err error
			if c.Percent, err = strconv.Atoi(p); err != nil || c.Percent < 1 || c.Percent > 100 {
				a.reply(w, nil, job.Faultf(job.CodeBadRequest, "percent is 1 to 100, not %.10q.", p))
				return
			}
		}
		out := newLines[store.Work, store.Checked](a, w)
		done, err := a.Shelf.Check(r.Context(), c, out.work)
		out.end(done, err)
	})
	mux.HandleFunc("POST /api/v1/images/gc", func(w http.ResponseWriter, r *http.Request) {
		var in store.Sweep
		if err := readBody(r, &in); err != nil {
			a.reply(w, nil, err)
			return
		}
		out := newLines[store.Work, store.Swept](a, w)
		done, err := a.Shelf.Sweep(r.Context(), operatorOf(r), in, out.work)
		out.end(done, err)
	})
	mux.HandleFunc("GET /api/v1/images/keeping", func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Shelf.Keeping(r.Context())
		a.reply(w, out, err)
	})
}
