package web

import (
	"net/http"
	"strconv"

	"ingot/imaging/job"
	"ingot/store"
)

// licenceRoutes keep entitlements and the rules that map software to them.
func (a *API) licenceRoutes(rs *routes) {
	d := a.Reports
	rs.handle("GET /api/v1/licences/entitlements", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := d.Entitlements(r.Context())
		a.reply(w, list(out), err)
	})
	rs.handle("POST /api/v1/licences/entitlements", store.ImageManager, act(a, d.PutEntitlement))
	rs.handle("DELETE /api/v1/licences/entitlements/{product}", store.ImageManager, func(w http.ResponseWriter, r *http.Request) {
		a.reply(w, struct{}{}, d.RemoveEntitlement(r.Context(), operatorOf(r), r.PathValue("product")))
	})
	rs.handle("POST /api/v1/licences/import", store.ImageManager, act(a, d.ImportEntitlements))
	rs.handle("GET /api/v1/licences/rules", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := d.Rules(r.Context())
		a.reply(w, list(out), err)
	})
	rs.handle("POST /api/v1/licences/rules", store.ImageManager, act(a, d.AddRule))
	rs.handle("DELETE /api/v1/licences/rules/{id}", store.ImageManager, func(w http.ResponseWriter, r *http.Request) {
		id, err := ruleID(r.PathValue("id"))
		if err == nil {
			err = d.RemoveRule(r.Context(), operatorOf(r), id)
		}
		a.reply(w, struct{}{}, err)
	})
	a.licencePages(rs)
}

func ruleID(s string) (int, error) {
	id, err := strconv.Atoi(s)
	if err != nil {
		return 0, job.Faultf(job.CodeNotFound, "No rule %.20q.", s)
	}
	return id, nil
}
