package web

import (
	"context"
	"encoding/hex"
	"net/http"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/cert"
	"ingot/store"
)

// Wiper is the operator's side of wiping and of what proves it; deploy.Service is one.
type Wiper interface {
	Wipe(ctx context.Context, operator string, right store.Right, o store.WipeOrder) (store.JobView, error)
	AgreeWipe(ctx context.Context, operator string, right store.Right, id job.ID, confirm string) (store.JobView, error)
	WipePolicy(ctx context.Context) (store.KeptPolicy, error)
	SetWipePolicy(ctx context.Context, operator string, p wipe.Policy) (store.KeptPolicy, error)
	DrivesOf(ctx context.Context, ref string) ([]store.DriveView, error)
	DestroyDrive(ctx context.Context, operator string, d store.Destruction) (store.EvidenceView, error)
	Clear(ctx context.Context, operator, ref string, to store.DeviceState, c store.Disposal) (store.DeviceView, error)
	Certificates(ctx context.Context, ref string) ([]store.EvidenceView, error)
	Certificate(ctx context.Context, id string) (store.EvidenceView, error)
	CertificateKey() string
	CheckCertificates(ctx context.Context) (cert.Chain, error)
}

// CertificateKeyView is the public key by which everybody verifies.
type CertificateKeyView struct {
	Key         string `json:"key"` // hex
	Fingerprint string `json:"fingerprint"`
}

// Agreement is a second person's word.
type Agreement struct {
	Confirm string `json:"confirm"` // the device's serial, typed
}

func (a *API) wipeRoutes(rs *routes) {
	w := a.Wiper
	rs.handle("POST /api/v1/wipes", store.Technician, act(a, func(ctx context.Context, operator string, o store.WipeOrder) (store.JobView, error) {
		return w.Wipe(ctx, operator, ActorOf(ctx).Right, o)
	}))
	rs.handle("POST /api/v1/wipes/{id}/agree", store.Technician, func(rw http.ResponseWriter, r *http.Request) {
		act(a, func(ctx context.Context, operator string, in Agreement) (store.JobView, error) {
			return w.AgreeWipe(ctx, operator, ActorOf(ctx).Right, job.ID(r.PathValue("id")), in.Confirm)
		})(rw, r)
	})
	rs.handle("GET /api/v1/wipe-policy", store.Viewer, func(rw http.ResponseWriter, r *http.Request) {
		out, err := w.WipePolicy(r.Context())
		a.reply(rw, out, err)
	})
	rs.handle("POST /api/v1/wipe-policy", store.Administrator, act(a, w.SetWipePolicy))
	rs.handle("GET /api/v1/devices/{ref}/drives", store.Viewer, func(rw http.ResponseWriter, r *http.Request) {
		out, err := w.DrivesOf(r.Context(), r.PathValue("ref"))
		a.reply(rw, list(out), err)
	})
	rs.handle("POST /api/v1/drives/destroyed", store.Technician, act(a, w.DestroyDrive))
	for path, to := range map[string]store.DeviceState{"ready": store.Ready, "dispose": store.Disposed} {
		rs.handle("POST /api/v1/devices/{ref}/"+path, store.Technician, actOn(a, func(ctx context.Context, operator, ref string, c store.Disposal) (store.DeviceView, error) {
			return w.Clear(ctx, operator, ref, to, c)
		}))
	}
	a.certificateRoutes(rs)
	a.certificatePages(rs)
	a.wipePolicyPages(rs)
}

func (a *API) certificateRoutes(rs *routes) {
	w := a.Wiper
	rs.handle("GET /api/v1/certificates", store.Viewer, func(rw http.ResponseWriter, r *http.Request) {
		out, err := a.records(r)
		a.reply(rw, list(out), err)
	})
	rs.handle("GET /api/v1/certificates/key", store.Viewer, func(rw http.ResponseWriter, r *http.Request) {
		key, err := cert.KeyOf(w.CertificateKey())
		a.reply(rw, CertificateKeyView{hex.EncodeToString(key), cert.Fingerprint(key)}, err)
	})
	rs.handle("GET /api/v1/certificates/check", store.Viewer, func(rw http.ResponseWriter, r *http.Request) {
		out, err := w.CheckCertificates(r.Context())
		a.reply(rw, out, err)
	})
	rs.handle("GET /api/v1/certificates/{id}", store.Viewer, func(rw http.ResponseWriter, r *http.Request) {
		out, err := w.Certificate(r.Context(), r.PathValue("id"))
		a.reply(rw, out, err)
	})
	rs.handle("GET /api/v1/certificates/{id}/file", store.Viewer, func(rw http.ResponseWriter, r *http.Request) {
		e, err := w.Certificate(r.Context(), r.PathValue("id"))
		a.download(rw, e.ID+".json", "application/json", e.Signed, err)
	})
	rs.handle("GET /api/v1/certificates/{id}/paper", store.Viewer, func(rw http.ResponseWriter, r *http.Request) {
		e, err := w.Certificate(r.Context(), r.PathValue("id"))
		var pdf []byte
		if err == nil {
			pdf, err = a.paper(e)
		}
		a.download(rw, e.ID+".pdf", "application/pdf", pdf, err)
	})
	rs.handle("GET /api/v1/certificates/export", store.Viewer, a.exportCertificates)
}

// paper draws one record, which must hold.
func (a *API) paper(e store.EvidenceView) ([]byte, error) {
	key, err := cert.KeyOf(a.Wiper.CertificateKey())
	if err != nil {
		return nil, err
	}
	return cert.Paper(e.Signed, key)
}

// download answers with a file.
func (a *API) download(w http.ResponseWriter, name, kind string, b []byte, err error) {
	if err != nil {
		a.reply(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(b) // fails only when the asker has gone
}
