package web

import (
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
	Since, Until  string // days
	Rows          []store.EvidenceView
	Page, Total   int
	Before, After string
	Key           string
	Chain         cert.Chain
	Checked       bool // the chain was walked
}

func (a *API) certificatesPage(w http.ResponseWriter, r *http.Request) {
	d := certificatesData{Of: strings.TrimSpace(r.URL.Query().Get("of")), Since: r.URL.Query().Get("since"), Until: r.URL.Query().Get("until")}
	p := page{Title: "Wiped and destroyed drives", Area: "reports"}
	all, err := a.records(r)
	if err == nil && len(d.query()) == 0 && r.URL.Query().Get("page") == "" { // it reads every record that there is
		d.Checked = true
		d.Chain, err = a.Wiper.CheckCertificates(r.Context())
	}
	if err != nil {
		p.Fault = a.fault(err)
	}
	if key, err := cert.KeyOf(a.Wiper.CertificateKey()); err == nil {
		d.Key = cert.Fingerprint(key)
	}
	d.Total = len(all)
	d.Page, d.Rows = pageOf(all, r.URL.Query().Get("page"))
	at := func(n int) string {
		v := d.query()
		v.Set("page", strconv.Itoa(n))
		return "/certificates?" + v.Encode()
	}
	if d.Page > 1 {
		d.Before = at(d.Page - 1)
	}
	if d.Page*maxRows < d.Total {
		d.After = at(d.Page + 1)
	}
	p.Data = d
	a.show(w, r, "certificates", p)
}

// Holds says that the chain was walked, and held.
func (d certificatesData) Holds() string {
	if !d.Checked || d.Chain.Broken != 0 || d.Chain.Records == 0 {
		return ""
	}
	return "The chain of " + plural(int(d.Chain.Records), "record", "records") + " holds: none was changed, taken out or put between."
}

// query is what was asked for.
func (d certificatesData) query() url.Values {
	v := url.Values{}
	for name, text := range map[string]string{"of": d.Of, "since": d.Since, "until": d.Until} {
		if text != "" {
			v.Set(name, text)
		}
	}
	return v
}

// Export is where the records that are listed are handed out.
func (d certificatesData) Export(format string) string {
	v := d.query()
	v.Set("format", format)
	return "/api/v1/certificates/export?" + v.Encode()
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
	Key      string // by which it is signed
	Own      bool   // that is this server's
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
	file, err := listBytes(r, strings.TrimSpace(f.Get("record")))
	if err != nil {
		return d, err
	}
	if len(file) == 0 {
		return d, job.Faultf(job.CodeBadRequest, "The file is empty.")
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
	d = verifyData{Sections: rec.Sections(file, key), Title: rec.Title() + " " + rec.ID, Key: cert.Fingerprint(key)}
	if own, err := cert.KeyOf(a.Wiper.CertificateKey()); err == nil {
		d.Own = own.Equal(key)
	}
	e, err := a.Wiper.Certificate(r.Context(), rec.ID)
	if err != nil && job.FaultOf(err).Code != job.CodeNotFound {
		return d, err
	}
	if err == nil && e.Hash == cert.Hash(file) {
		d.ID, d.Known = e.ID, true
	}
	return d, nil
}
