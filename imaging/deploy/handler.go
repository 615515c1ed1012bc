package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/store"
)

// Limits of the agent listener.
const (
	maxBody     = 256 << 10        // bytes of a request's body: a Result that lists a thousand files
	maxParts    = 8192             // commas in it: a list of empty things is short on the wire and long in memory
	maxRequests = 1024             // at once, all agents
	bodyTime    = 20 * time.Second // to send a request's body
	stallTime   = 60 * time.Second // a stream's reader may stand still
)

// runningTarget is what a key may read while its job runs.
type runningTarget struct {
	job      job.ID
	manifest imaging.Digest
}

// Handler answers the agent listener (package job lists the paths). It wants a TLS connection whose client
// certificate carries the agent's key, except for boot, stage 2 and the call home.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/boot", s.serveBoot)
	mux.HandleFunc("POST /v1/boot", func(w http.ResponseWriter, r *http.Request) {
		serveBody(w, r, func(ctx context.Context, b job.BootRequest) (job.BootReply, error) { return s.Start(ctx, hostOf(r), b) })
	})
	mux.HandleFunc("GET /v1/stage2/{sha256}", s.serveStage2)
	mux.HandleFunc("POST /v1/callhome", s.serveCallHome)
	mux.HandleFunc("POST /v1/hello", keyed(func(w http.ResponseWriter, r *http.Request, key job.KeyID) {
		serveBody(w, r, func(ctx context.Context, h job.Hello) (job.HelloReply, error) { return s.Hello(ctx, key, h) })
	}))
	mux.HandleFunc("GET /v1/next", keyed(func(w http.ResponseWriter, r *http.Request, key job.KeyID) {
		n, err := s.Next(r.Context(), key)
		reply(w, n, err)
	}))
	mux.HandleFunc("POST /v1/jobs/{id}/state", keyed(func(w http.ResponseWriter, r *http.Request, key job.KeyID) {
		serveBody(w, r, func(ctx context.Context, e job.StateEvent) (job.Ack, error) {
			return s.State(ctx, key, job.ID(r.PathValue("id")), e)
		})
	}))
	mux.HandleFunc("POST /v1/jobs/{id}/progress", keyed(func(w http.ResponseWriter, r *http.Request, key job.KeyID) {
		serveBody(w, r, func(ctx context.Context, p job.Progress) (job.Ack, error) {
			return s.Progress(ctx, key, job.ID(r.PathValue("id")), p)
		})
	}))
	mux.HandleFunc("GET /v1/jobs/{id}/personal", keyed(func(w http.ResponseWriter, r *http.Request, key job.KeyID) {
		p, err := s.Personal(r.Context(), key, job.ID(r.PathValue("id")))
		reply(w, p, err)
	}))
	mux.HandleFunc("POST /v1/jobs/{id}/result", keyed(func(w http.ResponseWriter, r *http.Request, key job.KeyID) {
		serveBody(w, r, func(ctx context.Context, res job.Result) (job.Ack, error) {
			return s.Result(ctx, key, job.ID(r.PathValue("id")), res)
		})
	}))
	s.captureRoutes(mux)
	s.wipeRoutes(mux)
	mux.HandleFunc("GET /v1/manifests/{digest}", s.stream(s.cfg.Manifests))
	mux.HandleFunc("GET /v1/chunks/{digest}", s.stream(s.cfg.Chunks))
	mux.HandleFunc("/", notHere)
	return s.limited(mux)
}

// notHere answers what no path of the protocol is, in words as everything else.
func notHere(w http.ResponseWriter, r *http.Request) {
	reply(w, nil, job.Faultf(job.CodeNotFound, "%s %.60q.", clip(r.Method), r.URL.Path))
}

// limited bounds the requests at once and the body of each.
func (s *Service) limited(next http.Handler) http.Handler {
	slots := make(chan struct{}, maxRequests)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			reply(w, nil, job.Faultf(job.CodeBusy, "Too many laptops ask at once."))
			return
		}
		if p := r.URL.EscapedPath(); path.Clean(p) != p { // the mux would send the agent elsewhere
			notHere(w, r)
			return
		}
		if !carriesDrive(r) { // those have bounds of their own
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		next.ServeHTTP(w, r)
	})
}

// keyed gives a handler the id of the key that the TLS handshake proved.
func keyed(next func(http.ResponseWriter, *http.Request, job.KeyID)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
			reply(w, nil, job.Faultf(job.CodeJobKey, "The agent showed no key."))
			return
		}
		next(w, r, job.KeyID(sign.KeyID(r.TLS.PeerCertificates[0].RawSubjectPublicKeyInfo)))
	}
}

// stream lets a key read only what its running job names.
func (s *Service) stream(next http.Handler) http.HandlerFunc {
	return keyed(func(w http.ResponseWriter, r *http.Request, key job.KeyID) {
		if err := s.mayRead(key, r.PathValue("digest")); err != nil {
			reply(w, nil, err)
			return
		}
		s.hear(key)
		next.ServeHTTP(&stalling{ResponseWriter: w, control: http.NewResponseController(w)}, r)
	})
}

// mayRead reports whether the key's running job names this manifest.
func (s *Service) mayRead(key job.KeyID, digest string) error {
	want, err := imaging.ParseDigest(digest)
	if err != nil {
		return job.Faultf(job.CodeBadRequest, "That is not a digest.")
	}
	s.mu.Lock()
	t, ok := s.running[key]
	s.mu.Unlock()
	if ok && t.manifest == want {
		return nil
	}
	var allowed bool
	err = s.db.View(func(tx *store.Tx) error {
		a, err := tx.Agent(key)
		if err != nil {
			return err
		}
		j, ok, err := tx.ActiveJob(a.Device)
		if allowed = ok && j.AgentKey == key && j.Image.Manifest == want; allowed {
			t = runningTarget{j.ID, want}
		}
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if !allowed {
		return job.Faultf(job.CodeJobKey, "No running job of this laptop names that image.")
	}
	s.mu.Lock()
	s.running[key] = t
	s.mu.Unlock()
	return nil
}

// forget takes a key's right to read, when its job has ended or was bound to another key.
func (s *Service) forget(key job.KeyID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.running[key]; ok {
		delete(s.progress, t.job)
		delete(s.kept, t.job)
	}
	delete(s.running, key)
}

// stalling ends a stream whose reader stands still.
type stalling struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (w *stalling) Write(b []byte) (int, error) {
	// A connection without deadlines (a test's recorder) is bounded by its context alone.
	_ = w.control.SetWriteDeadline(time.Now().Add(stallTime))
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *stalling) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (s *Service) serveBoot(w http.ResponseWriter, r *http.Request) {
	info := job.BootInfo{Version: job.Version, Now: s.now().UTC()}
	var err error
	if s.cfg.Boot == nil {
		err = job.Faultf(job.CodeDaemon, "The boot bundle is missing: run \"ingot firmware build\".")
	} else {
		info.Stage2, err = s.cfg.Boot.Stage2(clip(r.URL.Query().Get("kernel")))
	}
	reply(w, info, err)
}

func (s *Service) serveStage2(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Boot == nil {
		reply(w, nil, job.Faultf(job.CodeDaemon, "The boot bundle is missing: run \"ingot firmware build\"."))
		return
	}
	file, err := s.cfg.Boot.OpenStage2(r.PathValue("sha256"))
	if errors.Is(err, fs.ErrNotExist) {
		err = job.Faultf(job.CodeNotFound, "That stage 2 is not here any more.")
	}
	if err != nil {
		reply(w, nil, err)
		return
	}
	defer file.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(&stalling{ResponseWriter: w, control: http.NewResponseController(w)}, r, "", time.Time{}, file)
}

func (s *Service) serveCallHome(w http.ResponseWriter, r *http.Request) {
	var c job.CallHome
	if err := readBody(w, r, &c); err != nil {
		reply(w, nil, err)
		return
	}
	if err := s.CallHome(r.Context(), hostOf(r), c); err != nil {
		reply(w, nil, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// hostOf is the address that a request came from, without the port.
func hostOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return clip(r.RemoteAddr)
	}
	return host
}

// serveBody reads a JSON body, calls f and answers with what it gives.
func serveBody[In, Out any](w http.ResponseWriter, r *http.Request, f func(context.Context, In) (Out, error)) {
	var in In
	if err := readBody(w, r, &in); err != nil {
		reply(w, nil, err)
		return
	}
	out, err := f(r.Context(), in)
	reply(w, out, err)
}

// readBody reads exactly one JSON value within bodyTime.
func readBody(w http.ResponseWriter, r *http.Request, into any) error {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // a recorder in a test has none
	b, err := io.ReadAll(r.Body)
	if err != nil || bytes.Count(b, []byte(",")) > maxParts {
		return job.Faultf(job.CodeBadRequest, "The body did not come whole, or it is too large.")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(into); err != nil {
		return job.Faultf(job.CodeBadRequest, "The body is not the JSON that belongs here.")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return job.Faultf(job.CodeBadRequest, "Something follows the body.")
	}
	_ = control.SetReadDeadline(time.Time{})
	return nil
}

// reply writes a success or a Refusal.
func reply(w http.ResponseWriter, out any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err == nil {
		json.NewEncoder(w).Encode(out) // the reader is gone if this fails; it asks again
		return
	}
	f := job.FaultOf(err)
	w.WriteHeader(status(f.Code))
	json.NewEncoder(w).Encode(job.Refusal{Fault: *f})
}

// status maps a code to HTTP: 5xx may be tried again, 4xx may not.
func status(c job.Code) int {
	switch c {
	case job.CodeInternal, job.CodeDaemon, job.CodeFull, job.CodeStoreDamaged, job.CodeFile, job.CodeNetwork, job.CodeStopped:
		return http.StatusInternalServerError
	case job.CodeBusy:
		return http.StatusServiceUnavailable
	case job.CodeNotFound:
		return http.StatusNotFound
	case job.CodeState, job.CodeIndeterminate, job.CodeNameTaken:
		return http.StatusConflict
	case job.CodeToken, job.CodeTokenBound, job.CodeJobKey, job.CodePolicy:
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}
