package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/access"
	"ingot/web/report"
)

// Bench is the operator's side of deploying; deploy.Service is one.
type Bench interface {
	Devices(ctx context.Context) ([]store.DeviceView, error)
	Device(ctx context.Context, ref string) (store.DeviceView, error)
	Adopt(ctx context.Context, operator string, a store.Adoption) (store.DeviceView, error)
	Settle(ctx context.Context, operator, ref string, s store.Settlement) (store.DeviceView, error)
	SetDevice(ctx context.Context, operator, ref string, c store.Correction) (store.DeviceView, error)
	ImportDevices(ctx context.Context, operator string, l store.List) (store.Listed, error)
	Lose(ctx context.Context, operator, ref string, l store.Loss) (store.DeviceView, error)
	Return(ctx context.Context, operator, ref string, r store.Return) (store.DeviceView, error)
	Roles(ctx context.Context) ([]store.Role, error)
	PutRole(ctx context.Context, operator string, r store.Role) (store.Role, error)
	Deploy(ctx context.Context, operator string, o store.Order) (store.JobView, error)
	Rename(ctx context.Context, operator string, o store.Rename) (store.JobView, error)
	Capture(ctx context.Context, operator string, o store.Capture) (store.JobView, error)
	Jobs(ctx context.Context, all bool) ([]store.JobView, error)
	Job(ctx context.Context, id job.ID) (store.JobView, error)
	Watch(ctx context.Context, id job.ID, f func(store.JobView) error) error
	Cancel(ctx context.Context, operator string, id job.ID) (store.JobView, error)
	BootLogs(ctx context.Context, mac string) ([]store.BootLog, error)
	Bench(ctx context.Context) (store.Bench, error)
	OpenBench(ctx context.Context, operator string, b store.Bench) (store.Bench, error)
	AutoDeploy(ctx context.Context) (store.AutoDeploy, error)
	SetAutoDeploy(ctx context.Context, operator string, a store.AutoDeploy) (store.AutoDeploy, error)
	Board(ctx context.Context) (store.Board, error)
	History(ctx context.Context, ref string) (store.DeviceHistory, error)
	Changes() <-chan struct{} // closed at the next change of what Board shows
	Audit(ctx context.Context, subject string, limit int) ([]store.Event, error)
	AuditChain(ctx context.Context) (store.Chain, error)
	BundleUses(ctx context.Context) ([]store.BundleUse, error)
}

// Shelf is the operator's side of images; library.Library is one. tell is called from one goroutine at a time.
type Shelf interface {
	Images(ctx context.Context) ([]store.VersionView, error)
	History(ctx context.Context, image string) (store.ImageView, error)
	Recipients(ctx context.Context, ref string) ([]store.Recipient, error)
	Release(ctx context.Context, operator string, o store.VersionOrder) (store.VersionView, error)
	Retire(ctx context.Context, operator string, o store.VersionOrder) (store.VersionView, error)
	Withdraw(ctx context.Context, operator string, o store.VersionOrder) (store.VersionView, error)
	Rollback(ctx context.Context, operator string, o store.VersionOrder) (store.VersionView, error)
	Delete(ctx context.Context, operator string, o store.VersionOrder) (store.VersionView, error)
	SetCadence(ctx context.Context, operator string, o store.VersionOrder) (store.Image, error)
	Import(ctx context.Context, operator string, i store.Import, tell func(store.Work)) (store.Imported, error)
	Export(ctx context.Context, operator string, e store.Export, tell func(store.Work)) (store.Exported, error)
	Check(ctx context.Context, c store.Check, tell func(store.Work)) (store.Checked, error)
	Sweep(ctx context.Context, operator string, s store.Sweep, tell func(store.Work)) (store.Swept, error)
	Keeping(ctx context.Context) (store.Keeping, error)
	Contents
}

// API is the JSON API over its two sides.
type API struct {
	Bench   Bench
	Shelf   Shelf
	Version string

	Exchange Exchange        // versions that travel; nil leaves its paths out
	Access   *access.Service // who may come in over the network; nil leaves its paths out
	Backups  Backups         // copies of the whole server; nil leaves its path out
	Metrics  Metrics         // what a monitoring system reads; nil leaves its path out
	Health   http.Handler    // tells anybody whether the server is well; nil leaves its path out
	Push     Pushing         // other systems that are told; nil leaves its paths out

	Reports *report.Desk  // reports, licences, receipts, labels; nil leaves its paths out
	Base    func() string // the address of the pages, for what is printed; nil: as the asker names this server

	Wiper Wiper // wipes and what proves them; nil leaves its paths out

	Status  Status               // what the daemon tells about itself
	Load    func() Load          // how busy the server is; nil: nobody measures it
	Explain func(*store.BootLog) // adds where a start stopped and why; may be nil
	Hidden  func(error)          // is told every error that no person may see raw; may be nil

	live  live
	push  untold
	known atomic.Pointer[[]Route] // what is answered: the navigation leaves out what is not
}

// maxRequest is the largest body in bytes.
const maxRequest = 1 << 20

type fileKey struct{}

// WithFile puts what the asker may have opened for this request into its context: take gives the file once, nil when
// there is none. Whoever takes it closes it.
func WithFile(ctx context.Context, take func() *os.File) context.Context {
	return context.WithValue(ctx, fileKey{}, take)
}

func fileOf(r *http.Request) *os.File {
	if take, ok := r.Context().Value(fileKey{}).(func() *os.File); ok {
		return take()
	}
	return nil
}

// Handler answers the API. A request without an operator is refused.
func (a *API) Handler() http.Handler {
	rs := a.table()
	a.known.Store(&rs.all)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if operatorOf(r) == "" && !rs.isOpen(r) {
			a.reply(w, nil, job.Faultf(job.CodePolicy, "It is not known who asks."))
			return
		}
		if p := r.URL.EscapedPath(); path.Clean(p) != p { // the mux would send the asker elsewhere
			a.notHere(w, r)
			return
		}
		stamp, err := stampOf(r.Header)
		if err != nil {
			a.reply(w, nil, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		a.watched(rs.mux, w, r.WithContext(store.WithStamp(r.Context(), stamp)))
	})
}

// stampOf reads what a request says about itself: Idempotency-Key and If-Match.
func stampOf(h http.Header) (s store.Stamp, err error) {
	if s.Request = h.Get("Idempotency-Key"); s.Request != "" {
		if err := store.CheckRequest(s.Request); err != nil {
			return s, err
		}
	}
	if m := h.Get("If-Match"); m != "" {
		if s.Revision, err = strconv.ParseUint(strings.Trim(m, `"`), 10, 64); err != nil {
			return s, job.Faultf(job.CodeBadRequest, "If-Match carries a device's revision, not %.30q.", m)
		}
	}
	return s, nil
}

// notHere answers what no path of the API is, in words as everything else.
func (a *API) notHere(w http.ResponseWriter, r *http.Request) {
	a.fail(w, r, job.Faultf(job.CodeNotFound, "%.10s %.100q.", r.Method, r.URL.Path))
}

func (a *API) deviceRoutes(rs *routes) {
	rs.handle("GET /api/v1/devices", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Bench.Devices(r.Context())
		a.reply(w, list(out), err)
	})
	rs.handle("GET /api/v1/devices/{ref}", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Bench.Device(r.Context(), r.PathValue("ref"))
		if err == nil {
			out.Start, err = a.lastStart(r.Context(), out.ID)
		}
		a.reply(w, out, err)
	})
	rs.handle("POST /api/v1/devices/{ref}/settle", store.Technician, actOn(a, a.Bench.Settle))
	rs.handle("POST /api/v1/devices/{ref}/set", store.Technician, actOn(a, a.Bench.SetDevice))
	rs.handle("POST /api/v1/devices/{ref}/lost", store.Technician, actOn(a, a.Bench.Lose))
	rs.handle("POST /api/v1/devices/{ref}/return", store.Technician, actOn(a, a.Bench.Return))
	rs.handle("POST /api/v1/devices/adopt", store.Technician, act(a, a.Bench.Adopt))
	rs.handle("POST /api/v1/devices/import", store.Technician, act(a, a.Bench.ImportDevices))
	rs.handle("GET /api/v1/boots", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Bench.BootLogs(r.Context(), r.URL.Query().Get("mac"))
		for i := range out {
			a.explain(&out[i])
		}
		a.reply(w, list(out), err)
	})
}

func (a *API) explain(l *store.BootLog) {
	if a.Explain != nil {
		a.Explain(l)
	}
}

// lastStart gives a device's newest timeline with its cause.
func (a *API) lastStart(ctx context.Context, id string) (*store.BootLog, error) {
	logs, err := a.Bench.BootLogs(ctx, id)
	if err != nil || len(logs) == 0 {
		return nil, err
	}
	a.explain(&logs[0])
	return &logs[0], nil
}

func (a *API) jobRoutes(rs *routes) {
	rs.handle("POST /api/v1/deploys", store.Technician, act(a, a.Bench.Deploy))
	rs.handle("POST /api/v1/renames", store.Technician, act(a, a.Bench.Rename))
	rs.handle("POST /api/v1/captures", store.Technician, act(a, a.Bench.Capture))
	rs.handle("GET /api/v1/jobs", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Bench.Jobs(r.Context(), r.URL.Query().Get("all") != "")
		a.reply(w, list(out), err)
	})
	rs.handle("GET /api/v1/jobs/{id}", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Bench.Job(r.Context(), job.ID(r.PathValue("id")))
		a.reply(w, out, err)
	})
	rs.handle("POST /api/v1/jobs/{id}/cancel", store.Technician, func(w http.ResponseWriter, r *http.Request) {
		stamp := store.StampOf(r.Context())
		stamp.Untouched = r.URL.Query().Has("untouched")
		out, err := a.Bench.Cancel(store.WithStamp(r.Context(), stamp), operatorOf(r), job.ID(r.PathValue("id")))
		a.reply(w, out, err)
	})
	rs.handle("GET /api/v1/jobs/{id}/watch", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out := newLines[store.JobView, store.JobView](a, w)
		var last store.JobView
		err := a.Bench.Watch(r.Context(), job.ID(r.PathValue("id")), func(v store.JobView) error {
			last = v
			return out.tell(v)
		})
		out.end(last, err)
	})
}

func (a *API) settingRoutes(rs *routes) {
	rs.handle("GET /api/v1/roles", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Bench.Roles(r.Context())
		a.reply(w, list(out), err)
	})
	rs.handle("POST /api/v1/roles", store.ImageManager, act(a, a.Bench.PutRole))
	rs.handle("GET /api/v1/bench", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Bench.Bench(r.Context())
		a.reply(w, out, err)
	})
	rs.handle("POST /api/v1/bench", store.Technician, act(a, a.Bench.OpenBench))
	rs.handle("GET /api/v1/auto-deploy", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Bench.AutoDeploy(r.Context())
		a.reply(w, out, err)
	})
	rs.handle("POST /api/v1/auto-deploy", store.Administrator, act(a, a.Bench.SetAutoDeploy))
	rs.handle("GET /api/v1/bundles", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Bench.BundleUses(r.Context())
		a.reply(w, list(out), err)
	})
	rs.handle("GET /api/v1/audit/chain", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Bench.AuditChain(r.Context())
		a.reply(w, out, err)
	})
	rs.handle("GET /api/v1/audit", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil || limit < 1 || limit > 10000 {
			limit = 100
		}
		out, err := a.Bench.Audit(r.Context(), r.URL.Query().Get("subject"), limit)
		a.reply(w, list(out), err)
	})
}

// actOn is act on the device that the path names.
func actOn[In, Out any](a *API, f func(context.Context, string, string, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		act(a, func(ctx context.Context, operator string, in In) (Out, error) {
			return f(ctx, operator, r.PathValue("ref"), in)
		})(w, r)
	}
}

// act makes a handler of an act that takes one JSON body and gives one answer.
func act[In, Out any](a *API, f func(context.Context, string, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := readBody(r, &in); err != nil {
			a.reply(w, nil, err)
			return
		}
		out, err := f(r.Context(), operatorOf(r), in)
		a.reply(w, out, err)
	}
}

// readBody reads exactly one JSON value; a field that we do not know is a mistake, not something to ignore.
func readBody(r *http.Request, into any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return job.Faultf(job.CodeBadRequest, "The body is not the JSON that belongs here: %s.", job.Reason(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return job.Faultf(job.CodeBadRequest, "Something follows the body.")
	}
	return nil
}

// list makes an empty list [] instead of null.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// reply writes a success or a job.Refusal.
func (a *API) reply(w http.ResponseWriter, out any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err == nil {
		json.NewEncoder(w).Encode(out) // fails only when the asker has gone
		return
	}
	f := a.fault(err)
	w.WriteHeader(status(f.Code))
	json.NewEncoder(w).Encode(job.Refusal{Fault: *f})
}

// fault turns any error into words, and reports the raw one.
func (a *API) fault(err error) *job.Fault {
	f := job.FaultOf(err)
	var told *job.Fault
	if a.Hidden != nil && !errors.As(err, &told) && !errors.Is(err, context.Canceled) { // the asker has gone
		a.Hidden(err)
	}
	return f
}

func status(c job.Code) int {
	switch c {
	case job.CodeInternal, job.CodeDaemon, job.CodeFull, job.CodeStoreDamaged, job.CodeFile, job.CodeNetwork, job.CodeStopped:
		return http.StatusInternalServerError
	case job.CodeNotFound, job.CodeScanned:
		return http.StatusNotFound
	case job.CodePushSilent, job.CodePushRefused, job.CodePushSaid, job.CodePushUnkept, job.CodePushAbsent, job.CodePushBusy, job.CodePushGone, job.CodePushAnswer:
		return http.StatusBadGateway
	case job.CodePolicy, job.CodeQuarantined, job.CodeIdentity, job.CodeCrossSite, job.CodeSecondPerson:
		return http.StatusForbidden
	case job.CodeSignIn, job.CodeSignedOut:
		return http.StatusUnauthorized
	case job.CodeLockedOut, job.CodeManySignIns:
		return http.StatusTooManyRequests
	case job.CodeLink:
		return http.StatusGone
	case job.CodeProvider:
		return http.StatusBadGateway
	case job.CodeNotReleased, job.CodeRed, job.CodeNoNote, job.CodeOutdated, job.CodeBackup, job.CodeWithdrawn, job.CodeHeld, job.CodeVersionState:
		return http.StatusConflict
	case job.CodeCrowd:
		return http.StatusServiceUnavailable
	case job.CodeState, job.CodeBusy, job.CodeNameTaken, job.CodeStale, job.CodeUnconfirmed, job.CodeTyped, job.CodeTaken, job.CodeSticker, job.CodeNoSerial,
		job.CodeOwed, job.CodeWrongSerial, job.CodeReturned, job.CodeDriveOwes:
		return http.StatusConflict
	}
	return http.StatusBadRequest
}
