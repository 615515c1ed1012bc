package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/store/sheet"
	"ingot/web/report"
)

// reportRoutes answer questions about the record.
func (a *API) reportRoutes(rs *routes) {
	rs.handle("GET /api/v1/reports", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		a.reply(w, report.Kinds, nil)
	})
	rs.handle("GET /api/v1/reports/{name}", store.Viewer, a.serveReport)
	rs.handle("POST /api/v1/audit/verify", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		var in report.Against
		if err := readBody(r, &in); err != nil {
			a.reply(w, nil, err)
			return
		}
		out, err := a.Reports.VerifyAudit(r.Context(), in)
		a.reply(w, out, err)
	})
	rs.handle("GET /reports", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		a.show(w, r, "reports", page{Title: "Reports", Area: "reports", Data: report.Kinds})
	})
	rs.handle("GET /reports/{name}", store.Viewer, a.reportPage)
	a.auditPages(rs)
}

// serveReport gives a report as JSON, or with format=csv as CSV, to which bom=1 adds the mark that spreadsheets want.
func (a *API) serveReport(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	out, err := a.Reports.Report(r.Context(), r.PathValue("name"), q)
	switch {
	case err != nil || q.Get("format") == "" || q.Get("format") == "json":
		a.reply(w, out, err)
		return
	case q.Get("format") != "csv":
		a.reply(w, nil, job.Faultf(job.CodeBadRequest, "The format is json or csv, not %.20q.", q.Get("format")))
		return
	}
	var b bytes.Buffer
	if q.Get("bom") != "" {
		b.WriteString(sheet.BOM)
	}
	if err := out.Table.CSV(&b); err != nil {
		a.reply(w, nil, err)
		return
	}
	a.file(w, "text/csv; charset=utf-8", fmt.Sprintf("ingot-%s-%s.csv", out.Name, out.Time.Format("2006-01-02")), b.Bytes())
}

// file answers with something to keep. name is made here, never by a stranger.
func (a *API) file(w http.ResponseWriter, kind, name string, b []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b) // fails only when the asker has gone
}
