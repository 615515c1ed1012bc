package web

import (
	"net/http"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/report"
)

// labelRoutes make labels: as a sheet to print, as a file, and on a label printer.
func (a *API) labelRoutes(rs *routes) {
	d := a.Reports
	rs.handle("GET /api/v1/labels", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := d.LabelSettings(r.Context())
		a.reply(w, out, err)
	})
	rs.handle("POST /api/v1/labels", store.Administrator, act(a, d.SetLabels))
	rs.handle("POST /api/v1/labels/print", store.Technician, func(w http.ResponseWriter, r *http.Request) {
		var in report.LabelOrder
		if err := readBody(r, &in); err != nil {
			a.reply(w, nil, err)
			return
		}
		out, err := a.printLabels(r.Context(), r, in)
		a.reply(w, out, err)
	})
	rs.handle("GET /api/v1/labels.zpl", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		o, err := labelOrderOf(r)
		var b []byte
		if err == nil {
			b, _, err = d.ZPL(r.Context(), o, a.base(r))
		}
		if err != nil {
			a.reply(w, nil, err)
			return
		}
		a.file(w, "application/octet-stream", "ingot-labels.zpl", b)
	})
	a.labelPages(rs)
}

// labelOrderOf reads device=REF, repeated or with commas, and copies=N from a URL or a form.
func labelOrderOf(r *http.Request) (o report.LabelOrder, err error) {
	if err := r.ParseForm(); err != nil {
		return o, job.Faultf(job.CodeBadRequest, "The form cannot be read: %s.", job.Reason(err))
	}
	for _, v := range r.Form["device"] {
		for _, ref := range strings.FieldsFunc(v, func(c rune) bool { return c == ',' || c == '\n' || c == '\r' }) {
			if ref = strings.TrimSpace(ref); ref != "" {
				o.Devices = append(o.Devices, ref)
			}
		}
	}
	o.Copies, err = number(r.Form, "copies", "The number of copies")
	return o, err
}
