package chunkstore

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
)

// writePatience is how long one write to a client may take before its stream is given up.
const writePatience = 2 * time.Minute

const (
	manifestType = "application/vnd.ingot.manifest"
	streamType   = "application/vnd.ingot.chunks"
)

// ManifestHandler answers GET and HEAD of a path that ends in a manifest's digest with its bytes. Range is
// answered, so that the agent reads windows.
func (s *Store) ManifestHandler() http.Handler { return http.HandlerFunc(s.serveManifest) }

func (s *Store) serveManifest(w http.ResponseWriter, r *http.Request) {
	d, ok := digestOf(w, r)
	if !ok {
		return
	}
	f, err := os.Open(s.manifestPath(d))
	if errors.Is(err, os.ErrNotExist) {
		err = job.Faultf(job.CodeNotFound, "Manifest %s.", d.Short())
	}
	if err != nil {
		refuse(w, http.StatusNotFound, err)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", manifestType)
	w.Header().Set("ETag", `"`+d.String()+`"`)
	http.ServeContent(w, r, "", time.Time{}, f)
}

// StreamHandler answers GET of a path that ends in a manifest's digest, with a query extents=a-b,c-d, with the
// chunk stream that the package comment draws.
func (s *Store) StreamHandler() http.Handler { return http.HandlerFunc(s.serveStream) }

func (s *Store) serveStream(w http.ResponseWriter, r *http.Request) {
	d, ok := digestOf(w, r)
	if !ok {
		return
	}
	m, err := s.OpenManifest(d)
	if err != nil {
		refuse(w, http.StatusNotFound, err)
		return
	}
	defer m.Close()
	spans, err := requested(r, m.Count())
	if err != nil {
		refuse(w, http.StatusBadRequest, job.Faultf(job.CodeBadRequest, "%v.", job.Reason(err)))
		return
	}
	w.Header().Set("Content-Type", streamType)
	if r.Method == http.MethodHead {
		return
	}
	p := patientWriter{w, http.NewResponseController(w)}
	defer p.rc.SetWriteDeadline(time.Time{}) // the connection goes on to serve other requests
	newSender(s, m, p).run(r.Context(), spans)
}

func requested(r *http.Request, count uint64) ([]Span, error) {
	text, ok := strings.CutPrefix(r.URL.RawQuery, "extents=")
	if !ok || len(r.URL.RawQuery) > MaxQuery {
		return nil, errors.New("the query is not extents=first-last,... of at most 8192 bytes")
	}
	return ParseSpans(strings.ReplaceAll(strings.ReplaceAll(text, "%2C", ","), "%2c", ","), count)
}

func digestOf(w http.ResponseWriter, r *http.Request) (imaging.Digest, bool) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(w, http.StatusMethodNotAllowed, job.Faultf(job.CodeBadRequest, "Only GET is answered here."))
		return imaging.Digest{}, false
	}
	d, err := imaging.ParseDigest(path.Base(r.URL.Path))
	if err != nil {
		refuse(w, http.StatusNotFound, job.Faultf(job.CodeNotFound, "That is not a digest."))
		return imaging.Digest{}, false
	}
	return d, true
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(job.Refusal{Fault: *job.FaultOf(err)}) // a client that left needs no answer
}

// patientWriter gives each write its own deadline, so that a dead laptop does not hold a stream for ever.
type patientWriter struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func (p patientWriter) Write(b []byte) (int, error) {
	if err := p.rc.SetWriteDeadline(time.Now().Add(writePatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.w.Write(b)
}
