package web

import (
	"net/http"
	"strconv"

	"ingot/imaging/job"
	"ingot/store"
)

// houseRoutes are those of keeping records and image store whole and small.
func (a *API) houseRoutes(rs *routes) {
	rs.handle("POST /api/v1/images/check", store.ImageManager, func(w http.ResponseWriter, r *http.Request) {
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
	rs.handle("POST /api/v1/images/gc", store.ImageManager, func(w http.ResponseWriter, r *http.Request) {
		var in store.Sweep
		if err := readBody(r, &in); err != nil {
			a.reply(w, nil, err)
			return
		}
		out := newLines[store.Work, store.Swept](a, w)
		done, err := a.Shelf.Sweep(r.Context(), operatorOf(r), in, out.work)
		out.end(done, err)
	})
	rs.handle("GET /api/v1/images/keeping", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Shelf.Keeping(r.Context())
		a.reply(w, out, err)
	})
}
