package web

import (
	"io"
	"net/http"
	"slices"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/report"
)

// auditShown is how many of the newest events the page shows.
const auditShown = 200

// maxReceipts bounds the receipts of one check from the page.
const maxReceipts = 50

// auditView is the audit trail with what a proof of it came to.
type auditView struct {
	Subject  string
	Events   []store.Event // newest first
	Verified *report.AuditVerified
}

func (a *API) auditPages(rs *routes) {
	rs.handle("GET /audit", store.Viewer, func(w http.ResponseWriter, r *http.Request) { a.showAudit(w, r, nil, nil) })
	rs.handle("POST /audit/verify", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		in, err := receiptsOf(r)
		if err != nil {
			a.showAudit(w, r, nil, err)
			return
		}
		out, err := a.Reports.VerifyAudit(r.Context(), in)
		a.showAudit(w, r, &out, err)
	})
}

// receiptsOf reads the files of a form. A check without any is one of the chain alone.
func receiptsOf(r *http.Request) (in report.Against, err error) {
	_, f, err := readForm(r)
	if err != nil {
		return in, err
	}
	in.Key = f.Get("signer")
	if r.MultipartForm == nil {
		return in, nil
	}
	for _, h := range r.MultipartForm.File["receipt"] {
		if h.Size == 0 {
			continue // no file was chosen
		}
		if len(in.Receipts) == maxReceipts {
			return in, job.Faultf(job.CodeBadRequest, "At most %d receipts at once.", maxReceipts)
		}
		file, err := h.Open()
		if err != nil {
			return in, job.Faultf(job.CodeBadRequest, "A file did not arrive.")
		}
		b, err := io.ReadAll(io.LimitReader(file, report.MaxReceipt+1))
		file.Close()
		if err != nil {
			return in, job.Faultf(job.CodeBadRequest, "A file did not arrive.")
		}
		in.Receipts = append(in.Receipts, b)
	}
	return in, nil
}

func (a *API) showAudit(w http.ResponseWriter, r *http.Request, v *report.AuditVerified, err error) {
	p := page{Title: "Audit trail", Area: "reports"}
	view := auditView{Subject: r.URL.Query().Get("subject")}
	if err == nil {
		view.Verified = v
		view.Events, err = a.Bench.Audit(r.Context(), view.Subject, auditShown)
		slices.Reverse(view.Events)
	}
	if err != nil {
		p.Fault = a.fault(err)
	}
	p.Data = view
	a.show(w, r, "audit", p)
}
