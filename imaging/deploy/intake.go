package deploy

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/store"
)

// Bounds of what captures bring.
const (
	maxIntakes = 32               // captures at once
	maxStream  = 16 << 20         // bytes of one stream of chunks; the intake counts too
	blankEvery = 10 * time.Second // while the daemon works on a manifest
)

// Intake takes in the drive of one capture. It believes nothing that a laptop sends but what a digest proves.
type Intake interface {
	Want(body []byte) ([]byte, error) // digests -> a bitmap of those that are lacking
	Take(body io.Reader) error        // a stream of chunks
	// Describe takes the manifest, fills v in with what the disk holds, and gives what records it in a transaction.
	// CodeLacking says that chunks are missing.
	Describe(ctx context.Context, v store.Version, body io.Reader, size int64, check func(imaging.Header) error) (enter func(tx *store.Tx, release bool) (store.Imported, error), err error)
	Close() error
}

// intake is the Intake of one running capture, made when its laptop first sends something.
type intake struct {
	Intake
	one sync.Mutex // one manifest at a time
}

// captureRoutes are the paths by which a drive comes in. Each is for the key that a capture is bound to, and for that
// job alone.
func (s *Service) captureRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/jobs/{id}/want", keyed(func(w http.ResponseWriter, r *http.Request, key job.KeyID) {
		in, err := s.intakeOf(key, job.ID(r.PathValue("id")), job.Reading, job.Uploaded)
		var answer []byte
		if err == nil {
			var body []byte
			if body, err = io.ReadAll(unhurried(w, r)); err == nil {
				answer, err = in.Want(body)
			} else {
				err = job.Faultf(job.CodeUpload, "The question did not come whole.")
			}
		}
		if err != nil {
			s.refuseUpload(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(answer) // an asker that has gone asks again
	}))
	mux.HandleFunc("POST /v1/jobs/{id}/chunks", keyed(func(w http.ResponseWriter, r *http.Request, key job.KeyID) {
		in, err := s.intakeOf(key, job.ID(r.PathValue("id")), job.Reading, job.Uploaded)
		if err == nil {
			r.Body = http.MaxBytesReader(w, r.Body, maxStream)
			err = in.Take(unhurried(w, r))
		}
		if err != nil {
			s.refuseUpload(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	mux.HandleFunc("POST /v1/jobs/{id}/manifest", keyed(func(w http.ResponseWriter, r *http.Request, key job.KeyID) {
		s.serveManifestOf(w, r, key, job.ID(r.PathValue("id")))
	}))
}

// carriesDrive reports whether a request brings more than a word: its handler bounds it, once it knows whose it is.
func carriesDrive(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1/jobs/") &&
		(strings.HasSuffix(r.URL.Path, "/chunks") || strings.HasSuffix(r.URL.Path, "/manifest"))
}

func (s *Service) refuseUpload(w http.ResponseWriter, r *http.Request, err error) {
	s.log.Warn().Err(err).Str("job", r.PathValue("id")).Str("from", hostOf(r)).Msg("what a capture sent was refused")
	reply(w, nil, err)
}

// unhurriedBody reads a body whose sender may take its time, but may not stand still.
type unhurriedBody struct {
	io.Reader
	control *http.ResponseController
}

func unhurried(w http.ResponseWriter, r *http.Request) io.Reader {
	return unhurriedBody{r.Body, http.NewResponseController(w)}
}

func (b unhurriedBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(stallTime)) // a recorder in a test has none
	n, err := b.Reader.Read(p)
	if err != nil {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// mayCapture gives the job of a key that is bound to a capture in one of these states.
func (s *Service) mayCapture(tx *store.Tx, key job.KeyID, id job.ID, in ...job.State) (store.Job, error) {
	j, err := s.bound(tx, key, id)
	if err != nil {
		return j, err
	}
	if j.Kind != job.Capture || s.cfg.Intake == nil {
		return j, job.Faultf(job.CodeJobKind, "Job %s is no capture.", id)
	}
	for _, state := range in {
		if j.State == state {
			return j, nil
		}
	}
	return j, job.Faultf(job.CodeState, "Job %s is %s.", id, j.State)
}

// intakeOf finds or begins the intake of a running capture.
func (s *Service) intakeOf(key job.KeyID, id job.ID, in ...job.State) (*intake, error) {
	var j store.Job
	if err := s.db.View(func(tx *store.Tx) (err error) { j, err = s.mayCapture(tx, key, id, in...); return err }); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.intakes[id]; ok {
		return i, nil
	}
	if s.closed {
		return nil, job.Faultf(job.CodeDaemon, "It is stopping.")
	}
	if len(s.intakes) >= maxIntakes {
		return nil, job.Faultf(job.CodeBusy, "%d captures run already.", len(s.intakes))
	}
	i := &intake{Intake: s.cfg.Intake(j.Target.SizeBytes)}
	s.intakes[id] = i
	return i, nil
}

// closeIntake ends the intake of a capture, behind the caller's back: sealing a pack takes a while.
func (s *Service) closeIntake(id job.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.intakes[id]
	if !ok {
		return
	}
	delete(s.intakes, id)
	s.closing.Go(func() {
		if err := i.Close(); err != nil {
			s.log.Error().Err(err).Str("job", string(id)).Msg("what a capture brought could not be kept whole")
		}
	})
}

// dropIntakes ends those whose job has ended in the moment in which they began.
func (s *Service) dropIntakes(active []store.Job) {
	s.mu.Lock()
	var over []job.ID
	for id := range s.intakes {
		if !slices.ContainsFunc(active, func(j store.Job) bool { return j.ID == id }) {
			over = append(over, id)
		}
	}
	s.mu.Unlock()
	for _, id := range over {
		s.closeIntake(id)
	}
}

// Close keeps what running captures brought, and begins none any more: a request that is still being served is refused.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	var ids []job.ID
	for id := range s.intakes {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	for _, id := range ids {
		s.closeIntake(id)
	}
	s.closing.Wait()
}

// serveManifestOf takes a manifest and answers what became of it. A large one takes longer than anybody waits for a
// header: once it has arrived, the answer begins, and blanks follow while the daemon works.
func (s *Service) serveManifestOf(w http.ResponseWriter, r *http.Request, key job.KeyID, id job.ID) {
	var j store.Job
	err := s.db.View(func(tx *store.Tx) (err error) { j, err = s.mayCapture(tx, key, id, job.Uploaded, job.Done); return err })
	if err == nil && j.State == job.Done { // the answer got lost
		reply(w, job.Recorded{Image: &j.Image, Known: j.Known}, nil)
		return
	}
	var in *intake
	if err == nil {
		in, err = s.intakeOf(key, id, job.Uploaded)
	}
	if err != nil {
		s.refuseUpload(w, r, err)
		return
	}
	body := &arriving{Reader: unhurried(w, r)}
	done := make(chan job.Recorded, 1)
	go func() { done <- s.take(r.Context(), in, key, id, body, r.ContentLength) }()
	s.awaited(w, body, done)
}

// arriving is a body that tells when it has arrived whole.
type arriving struct {
	io.Reader
	whole atomic.Bool
}

func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if err == io.EOF {
		a.whole.Store(true)
	}
	return n, err
}

// awaited answers with the outcome, and until then, once the body is here, with blanks.
func (s *Service) awaited(w http.ResponseWriter, body *arriving, done <-chan job.Recorded) {
	control := http.NewResponseController(w)
	blank := time.NewTicker(blankEvery)
	defer blank.Stop()
	for begun := false; ; {
		select {
		case out := <-done:
			if out.Fault != nil && !begun {
				reply(w, nil, out.Fault)
				return
			}
			json.NewEncoder(w).Encode(out) // an asker that has gone asks again
			return
		case <-blank.C:
			if !body.whole.Load() {
				continue
			}
			begun = true
			_ = control.SetWriteDeadline(time.Now().Add(stallTime)) // a recorder in a test has none
			if _, err := io.WriteString(w, " "); err == nil {
				_ = control.Flush()
			}
		}
	}
}

// take is one try to make the Version, one at a time.
func (s *Service) take(ctx context.Context, in *intake, key job.KeyID, id job.ID, body io.Reader, size int64) job.Recorded {
	in.one.Lock()
	defer in.one.Unlock()
	out, err := s.makeVersion(ctx, in, key, id, body, size)
	if err == nil {
		return out
	}
	f := job.FaultOf(err)
	if f.Code == job.CodeLacking {
		return job.Recorded{Lacking: true}
	}
	s.log.Warn().Err(err).Str("job", string(id)).Msg("the manifest of a capture was refused")
	return job.Recorded{Fault: f, Later: status(f.Code) >= 500}
}

func (s *Service) makeVersion(ctx context.Context, in *intake, key job.KeyID, id job.ID, body io.Reader, size int64) (job.Recorded, error) {
	var j store.Job
	if err := s.db.View(func(tx *store.Tx) (err error) { j, err = s.mayCapture(tx, key, id, job.Uploaded, job.Done); return err }); err != nil {
		return job.Recorded{}, err
	}
	if j.State == job.Done { // by the same manifest, which came twice
		return job.Recorded{Image: &j.Image, Known: j.Known}, nil
	}
	enter, err := in.Describe(ctx, s.versionOf(j), body, size, func(h imaging.Header) error { return ofDrive(h, j.Target) })
	if err != nil {
		return job.Recorded{}, err
	}
	err = s.update(func(tx *store.Tx) (err error) {
		if j, err = s.mayCapture(tx, key, id, job.Uploaded); err != nil {
			return err
		}
		if mayCancel(j) {
			return job.Faultf(job.CodeCancelled, "By %s.", j.CancelBy)
		}
		j, err = s.recorded(tx, j, enter)
		return err
	})
	return job.Recorded{Image: &j.Image, Known: j.Known}, err
}

// ofDrive refuses a manifest of another drive, or one that is cut otherwise than this library's images.
func ofDrive(h imaging.Header, t job.Target) error {
	switch {
	case h.DiskSize != t.SizeBytes, h.SectorSize != t.SectorSize:
		return job.Faultf(job.CodeUpload, "It lists a drive of %d bytes in sectors of %d, the order names one of %d in %d.", h.DiskSize, h.SectorSize, t.SizeBytes, t.SectorSize)
	case h.Params != imaging.DefaultParams():
		return job.Faultf(job.CodeUpload, "It is cut in another way than the library's images.")
	}
	return nil
}
