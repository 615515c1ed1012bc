package web

import (
	"cmp"
	"net/http"
	"time"

	"ingot/web/report"
)

// receiptView is a receipt as its page shows it.
type receiptView struct {
	ID       string
	Device   string
	Sections []report.Section
	Code     string // path of the QR code
	Units    int
	Check    report.Finding
}

// receiptPage shows what the record says now, and whether the audit trail has the event by which it was recorded. A receipt
// that was kept elsewhere is for Verify.
func (a *API) receiptPage(w http.ResponseWriter, r *http.Request) {
	got, signed, err := a.Reports.Receipt(r.Context(), operatorOf(r), r.PathValue("id"))
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	v := receiptView{ID: got.Deployment.ID, Device: got.Device.ID, Sections: got.Sections(signed, time.Local)}
	file, err := signed.File()
	if err == nil {
		v.Check, err = a.Reports.Verify(r.Context(), file, "")
	}
	if err == nil {
		v.Code, v.Units, err = report.CodePath(a.receiptLink(r, got), true)
	}
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	a.show(w, r, "receipt", page{Title: "Receipt: " + cmp.Or(got.Device.Name, got.Device.Serial), Area: "reports", Data: v})
}
