package web

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ingot/imaging/job"
	"ingot/imaging/wipe/cert"
	"ingot/store"
)

// certificatePages are the records of wiped and destroyed drives, and the page that verifies one from anywhere.
func (a *API) certificatePages(rs *routes) {
	rs.handle("GET /certificates", store.Viewer, a.certificatesPage)
	rs.handle("GET /certificates/{id}", store.Viewer, a.certificatePage)
	rs.handle("GET /certificates/verify", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		a.show(w, r, "verify", page{Title: "Verify a record", Area: "reports", Data: verifyData{}})
	})
	rs.handle("POST /certificates/verify", store.Viewer, a.verifyCertificate)
	rs.handle("POST /jobs/{id}/agree", store.Technician, a.pageAct(a.doAgree, a.jobPage))
}

// certificatesData is the list of records.
type certificatesData struct {
	Of            string
	Rows          []store.EvidenceView
	Page, Total   int
	Before, After string
	Key           string
	Chain         cert.Chain
}

func (a *API) certificatesPage(w http.ResponseWriter, r *http.Request) {
	d := certificatesData{Of: strings.TrimSpace(r.URL.Query().Get("of"))}
	all, err := a.Wiper.Certificates(r.Context(), d.Of)
	if err == nil {
		d.Chain, err = a.Wiper.CheckCertificates(r.Context())
	}
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	if key, err := cert.KeyOf(a.Wiper.CertificateKey()); err == nil {
		d.Key = cert.Fingerprint(key)
	}
	d.Total = len(all)
	d.Page, d.Rows = pageOf(all, r.URL.Query().Get("page"))
	at := func(n int) string {
		v := url.Values{"page": {strconv.Itoa(n)}}
		if d.Of != "" {
			v.Set("of", d.Of)
		}
		return "/certificates?" + v.Encode()
	}
	if d.Page > 1 {
		d.Before = at(d.Page - 1)
	}
	if d.Page*maxRows < d.Total {
		d.After = at(d.Page + 1)
	}
	a.show(w, r, "certificates", page{Title: "Wiped and destroyed drives", Area: "reports", Data: d})
}

// certificateData is one record, as the signed file says it.
type certificateData struct {
	store.EvidenceView
	Sections []cert.Section
	Warnings []string
}

// certificatePage shows one record. One that does not hold is shown to nobody as one: the page says so.
func (a *API) certificatePage(w http.ResponseWriter, r *http.Request) {
	e, err := a.Wiper.Certificate(r.Context(), r.PathValue("id"))
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	key, err := cert.KeyOf(a.Wiper.CertificateKey())
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	rec, err := cert.Verify(e.Signed, key)
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	d := certificateData{EvidenceView: e, Sections: rec.Sections(e.Signed, key)}
	if rec.Sanitised != nil {
		d.Warnings = rec.Sanitised.Warnings
	}
	a.show(w, r, "certificate", page{Title: rec.Title() + " " + rec.ID, Area: "reports", Data: d})
}

// verifyData is what came of a file that somebody brought.
type verifyData struct {
	Sections []cert.Section
	Title    string
	ID       string // when this server keeps the same record
	Known    bool
}

// verifyCertificate holds a file against this server's key, or against another that was given.
func (a *API) verifyCertificate(w http.ResponseWriter, r *http.Request) {
	d, err := a.verified(r)
	p := page{Title: "Verify a record", Area: "reports", Data: d}
	if err != nil {
		p.Fault = a.fault(err)
	}
	a.show(w, r, "verify", p)
}

func (a *API) verified(r *http.Request) (d verifyData, err error) {
	_, f, err := readForm(r)
	if err != nil {
		return d, err
	}
	file := []byte(strings.TrimSpace(f.Get("record")))
	if up, _, err := r.FormFile("file"); err == nil {
		b, err := io.ReadAll(up)
		up.Close()
		if err == nil && len(b) > 0 {
			file = b
		}
	}
	if len(file) == 0 {
		return d, job.Faultf(job.CodeBadRequest, "No file was given.")
	}
	hex := strings.TrimSpace(f.Get("key"))
	if hex == "" {
		hex = a.Wiper.CertificateKey()
	}
	key, err := cert.KeyOf(hex)
	if err != nil {
		return d, err
	}
	rec, err := cert.Verify(file, key)
	if err != nil {
		return d, err
	}
	d = verifyData{Sections: rec.Sections(file, key), Title: rec.Title() + " " + rec.ID}
	if e, err := a.Wiper.Certificate(r.Context(), rec.ID); err == nil && e.Hash == cert.Hash(file) {
		d.ID, d.Known = e.ID, true
	}
	return d, nil
}
