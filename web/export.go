package web

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/wipe/cert"
	"ingot/store"
)

// How many records one export holds: the answer is made whole, so that a record that does not hold is handed to nobody,
// and a paper takes much longer than a line. More are fetched by device or by day.
var maxRecords, maxPapers = 5000, 300

// records lists the records that a request asks for, newest first: of one device or drive, or all; from and to a day.
func (a *API) records(r *http.Request) ([]store.EvidenceView, error) {
	q := r.URL.Query()
	since, err := day(q.Get("since"))
	if err != nil {
		return nil, err
	}
	until, err := day(q.Get("until"))
	if err != nil {
		return nil, err
	}
	all, err := a.Wiper.Certificates(r.Context(), strings.TrimSpace(q.Get("of")))
	return slices.DeleteFunc(all, func(e store.EvidenceView) bool {
		return !since.IsZero() && e.Time.Before(since) || !until.IsZero() && !e.Time.Before(until.AddDate(0, 0, 1))
	}), err
}

// day reads a day of the server's calendar; nothing is the zero time.
func day(s string) (time.Time, error) {
	if s = strings.TrimSpace(s); s == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, s, time.Local)
	if err != nil {
		return t, job.Faultf(job.CodeBadRequest, "%.20q is no day: 2006-01-02.", s)
	}
	return t, nil
}

// exportCertificates hands a list out: as CSV with one row a drive, as the signed files, or as these with papers.
func (a *API) exportCertificates(rw http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	name, kind, err := "", "", error(nil)
	switch format := r.URL.Query().Get("format"); format {
	case "csv":
		name, kind = "certificates.csv", "text/csv; charset=utf-8"
		err = a.exported(r, maxRecords, func(list []cert.Entry) error { return cert.WriteCSV(&b, list) })
	case "zip":
		name, kind = "certificates.zip", "application/zip"
		err = a.exported(r, maxPapers, func(list []cert.Entry) error {
			key, err := cert.KeyOf(a.Wiper.CertificateKey())
			if err != nil {
				return err
			}
			return cert.WriteBundle(&b, list, key)
		})
	case "", "json":
		name, kind = "certificates.json", "application/json"
		err = a.exported(r, maxRecords, func(list []cert.Entry) error { return cert.WriteJSON(&b, list) })
	default:
		err = job.Faultf(job.CodeBadRequest, "%.20q is no format: json, csv or zip.", format)
	}
	a.download(rw, name, kind, b.Bytes(), err)
}

// exported gives the records that are asked for, oldest first, as the chain is. One that does not hold ends it.
func (a *API) exported(r *http.Request, most int, write func([]cert.Entry) error) error {
	key, err := cert.KeyOf(a.Wiper.CertificateKey())
	if err != nil {
		return err
	}
	all, err := a.records(r)
	if err != nil {
		return err
	}
	if len(all) > most {
		return job.Faultf(job.CodeBadRequest, "These are %d records; at most %d are handed out so at once. Ask for those of one device, or from and to a day.", len(all), most)
	}
	var out []cert.Entry
	for _, v := range slices.Backward(all) {
		e, err := a.Wiper.Certificate(r.Context(), v.ID)
		if err != nil {
			return err
		}
		rec, err := cert.Verify(e.Signed, key)
		if err != nil {
			return err
		}
		out = append(out, cert.Entry{Record: rec, File: e.Signed})
	}
	return write(out)
}
