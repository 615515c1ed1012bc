package web

import (
	"io"
	"net/http"
	"net/url"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/report"
)

// receiptRoutes give receipts of deployments, and check them.
func (a *API) receiptRoutes(rs *routes) {
	rs.handle("GET /api/v1/deployments/{id}/receipt", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		_, signed, err := a.Reports.Receipt(r.Context(), operatorOf(r), r.PathValue("id"))
		a.reply(w, signed, err)
	})
	rs.handle("GET /api/v1/deployments/{id}/receipt.json", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		got, signed, err := a.Reports.Receipt(r.Context(), operatorOf(r), r.PathValue("id"))
		a.receiptFile(w, "application/json", got, err, "json", signed.File)
	})
	rs.handle("GET /api/v1/deployments/{id}/receipt.pdf", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		got, signed, err := a.Reports.Receipt(r.Context(), operatorOf(r), r.PathValue("id"))
		a.receiptFile(w, "application/pdf", got, err, "pdf", func() ([]byte, error) { return got.PDF(signed, a.receiptLink(r, got), time.Local) })
	})
	rs.handle("POST /api/v1/receipts/pdf", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			a.reply(w, nil, job.Faultf(job.CodeBadRequest, "The receipt is larger than any receipt."))
			return
		}
		got, signed, err := a.Reports.Own(r.Context(), b)
		a.receiptFile(w, "application/pdf", got, err, "pdf", func() ([]byte, error) { return got.PDF(signed, a.receiptLink(r, got), time.Local) })
	})
	rs.handle("POST /api/v1/receipts/verify", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			a.reply(w, nil, job.Faultf(job.CodeBadRequest, "The receipt is larger than any receipt."))
			return
		}
		out, err := a.Reports.Verify(r.Context(), b, r.URL.Query().Get("key"))
		a.reply(w, out, err)
	})
	rs.handle("GET /receipts/{id}", store.Viewer, a.receiptPage)
}

// receiptFile answers with a receipt in one of its forms.
func (a *API) receiptFile(w http.ResponseWriter, kind string, got report.Receipt, err error, ending string, make func() ([]byte, error)) {
	var b []byte
	if err == nil {
		b, err = make()
	}
	if err != nil {
		a.reply(w, nil, err)
		return
	}
	a.file(w, kind, "ingot-receipt-"+got.Deployment.ID+"."+ending, b)
}

// receiptLink is where the QR code of a receipt leads.
func (a *API) receiptLink(r *http.Request, got report.Receipt) string {
	return a.base(r) + "/receipts/" + url.PathEscape(got.Deployment.ID)
}

// base is the address of the pages, for what leaves this server on paper.
func (a *API) base(r *http.Request) string {
	if a.Base != nil {
		return a.Base()
	}
	return "https://" + r.Host
}
