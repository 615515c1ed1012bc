package library

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"ingot/imaging"
	"ingot/imaging/bundle"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
	"ingot/store"
)

// push is a version that another server is sending. It outlives a connection: whoever is cut off begins again and is
// asked only for what did not arrive.
type push struct {
	id   string
	peer string
	c    copied

	mu    sync.Mutex // one request at a time
	file  *os.File   // the manifest, nil before it came
	m     *imaging.Manifest
	batch *chunkstore.Batch
	over  bool
	timer *time.Timer
}

// pushes are those under way. The zero value is fit for use.
type pushes struct {
	mu  sync.Mutex
	all map[string]*push
}

func (l *Library) pushRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /pushes", greeted(func(w http.ResponseWriter, r *http.Request, p store.Peer) {
		var o offer
		if err := readJSON(r.Body, &o); err != nil {
			answer(w, nil, job.Faultf(job.CodeBadRequest, "%s.", job.Reason(err)))
			return
		}
		out, err := l.beginPush(p, o)
		answer(w, out, err)
	}))
	mux.HandleFunc("PUT /pushes/{id}/manifest", l.pushed(func(_ context.Context, p *push, w http.ResponseWriter, r *http.Request) (any, error) {
		return struct{}{}, l.takeManifest(p, http.MaxBytesReader(w, r.Body, manifestBound(p.c.said)))
	}))
	mux.HandleFunc("GET /pushes/{id}/missing", l.pushed(func(ctx context.Context, p *push, _ http.ResponseWriter, r *http.Request) (any, error) {
		from, err := strconv.ParseUint(r.URL.Query().Get("from"), 10, 32)
		if err != nil || p.m == nil {
			return nil, job.Faultf(job.CodeBadRequest, "The manifest comes first, then a number.")
		}
		return lacking(ctx, p.m, p.batch, from)
	}))
	mux.HandleFunc("PUT /pushes/{id}/chunks", l.pushed(func(_ context.Context, p *push, _ http.ResponseWriter, r *http.Request) (any, error) {
		return struct{}{}, p.takeChunks(r.Body)
	}))
	mux.HandleFunc("POST /pushes/{id}/finish", l.pushed(func(ctx context.Context, p *push, w http.ResponseWriter, _ *http.Request) (any, error) {
		// The proof of a large manifest takes a while: the asker hears at once that it is under way.
		w.WriteHeader(http.StatusOK)
		if err := http.NewResponseController(w).Flush(); err != nil {
			return nil, err
		}
		out, err := l.finishPush(ctx, p)
		if err != nil {
			l.Log.Error().Err(err).Str("peer", p.peer).Msg("a pushed version was not taken")
			return finished{Fault: job.FaultOf(err)}, nil
		}
		return out, nil
	}))
}

// pushed finds the push of the peer that asks and holds it for one request.
func (l *Library) pushed(f func(context.Context, *push, http.ResponseWriter, *http.Request) (any, error)) http.HandlerFunc {
	return greeted(func(w http.ResponseWriter, r *http.Request, peer store.Peer) {
		l.pushes.mu.Lock()
		p := l.pushes.all[r.PathValue("id")]
		l.pushes.mu.Unlock()
		if p == nil || p.peer != peer.Name {
			answer(w, nil, job.Faultf(job.CodeNotFound, "This push is over."))
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.over {
			answer(w, nil, job.Faultf(job.CodeNotFound, "This push is over."))
			return
		}
		p.timer.Stop()
		out, err := f(r.Context(), p, w, patientBody(w, r))
		switch {
		case p.over:
		case errors.Is(err, errBatch): // nothing can be stored in it any more; whoever begins again gets another
			l.giveUp(p)
		default:
			p.timer.Reset(pushIdle)
		}
		answer(w, out, err)
	})
}

func (l *Library) beginPush(peer store.Peer, o offer) (pushed, error) {
	c := copied{operator: "peer " + peer.Name, source: "server " + peer.Name, signed: o.Signed}
	c.signed.Origin = nil
	if err := l.admit(&c, ""); err != nil {
		return pushed{}, err
	}
	held := ""
	err := l.DB.View(func(tx *store.Tx) error {
		all, err := tx.Versions(c.said.Image)
		for _, v := range all {
			if v.Manifest == c.said.Manifest && mayTravel(v) == nil {
				held = v.Ref().String()
			}
		}
		return err
	})
	if err != nil || held != "" {
		return pushed{Held: held}, err
	}
	l.pushes.mu.Lock()
	defer l.pushes.mu.Unlock()
	for _, p := range l.pushes.all {
		if p.peer == peer.Name && p.c.said.Manifest == c.said.Manifest && p.c.said.Image == c.said.Image {
			return p.resumed()
		}
	}
	if len(l.pushes.all) >= maxPushes {
		return pushed{}, job.Faultf(job.CodeBusy, "%d other versions are being received.", len(l.pushes.all))
	}
	p := &push{id: rand.Text(), peer: peer.Name, c: c, batch: l.Store.NewBatch()}
	p.timer = time.AfterFunc(pushIdle, func() { l.drop(p) })
	if l.pushes.all == nil {
		l.pushes.all = map[string]*push{}
	}
	l.pushes.all[p.id] = p
	return pushed{ID: p.id}, nil
}

// resumed is the answer to a server that was cut off. One whose last request is still being read waits for its end.
func (p *push) resumed() (pushed, error) {
	if !p.mu.TryLock() {
		return pushed{}, job.Faultf(job.CodeBusy, "A part of the same version is still arriving.")
	}
	defer p.mu.Unlock()
	return pushed{ID: p.id, Manifest: p.m != nil}, nil
}

// manifestBound is the most bytes that a manifest of the disk can have.
func manifestBound(s bundle.Statement) int64 {
	extents := int64(min(s.DiskSize/imaging.BlockSize+2, imaging.MaxExtents))
	return 1<<20 + extents*(imaging.RecordSize+1)
}

func (l *Library) takeManifest(p *push, body io.Reader) error {
	if p.m != nil {
		return nil
	}
	f, err := l.Store.CreateManifest()
	if err != nil {
		return err
	}
	if _, err = io.Copy(f, body); err == nil {
		p.m, err = openIncoming(f, p.c.said.Manifest)
	}
	if err != nil {
		p.m = nil
		return peerWords(errors.Join(err, l.Store.DropManifest(f)))
	}
	p.file = f
	return nil
}

// window is how many missing chunks are named at once, and scanned how many extents are looked at for them.
const (
	window  = 4096
	scanned = 1 << 16
)

// lacking names the next extents from one on whose chunks the batch does not know, each chunk once.
func lacking(ctx context.Context, m *imaging.Manifest, batch *chunkstore.Batch, from uint64) (missing, error) {
	out, seen := missing{Extents: []uint64{}, Next: from}, map[imaging.Digest]struct{}{}
	buf := make([]imaging.Extent, 1024)
	for out.Next < m.Count() && len(out.Extents) < window && out.Next-from < scanned {
		n, err := m.Extents(out.Next, buf)
		if err := errors.Join(err, ctx.Err()); err != nil {
			return out, err
		}
		for _, e := range buf[:n] {
			if len(out.Extents) == window {
				break
			}
			out.Next++
			if _, ok := seen[e.Digest]; ok || e.Kind != imaging.Data {
				continue
			}
			held, err := batch.Has(e.Digest)
			if err != nil {
				return out, err
			}
			if !held {
				seen[e.Digest] = struct{}{}
				out.Extents = append(out.Extents, out.Next-1)
			}
		}
	}
	return out, nil
}

// takeChunks stores a chunk stream of the manifest's extents, each proven.
func (p *push) takeChunks(body io.Reader) error {
	if p.m == nil {
		return job.Faultf(job.CodeBadRequest, "The manifest comes first.")
	}
	put := putter(p.m, p.batch, func(uint64) {})
	_, err := chunkstore.ReadStream(body, []chunkstore.Span{{First: 0, Last: p.m.Count() - 1}}, put)
	return peerWords(err)
}

// putter stores the frame of an extent when it is what the manifest says.
func putter(m *imaging.Manifest, batch *chunkstore.Batch, told func(stored uint64)) func(n uint64, frame []byte) error {
	var plain []byte
	var one [1]imaging.Extent
	return func(n uint64, frame []byte) error {
		if _, err := m.Extents(n, one[:]); err != nil {
			return err
		}
		e := one[0]
		if e.Kind != imaging.Data {
			return job.Faultf(job.CodePeerAnswer, "Extent %d holds no data.", n)
		}
		b, err := imaging.DecodeChunk(frame, plain, e.Digest, int(e.Length))
		if err != nil {
			return err
		}
		plain = b
		told(uint64(len(frame)))
		if _, err = batch.Put(plain); err != nil {
			return fmt.Errorf("%w: %w", errBatch, err)
		}
		return nil
	}
}

// errBatch says that chunks can be stored no more, whatever comes: the disk is full or broken.
var errBatch = errors.New("chunks cannot be stored")

// finishPush proves that every chunk is there and records the version.
func (l *Library) finishPush(ctx context.Context, p *push) (finished, error) {
	if p.m == nil {
		return finished{}, job.Faultf(job.CodeBadRequest, "The manifest comes first.")
	}
	defer l.forget(p)
	defer p.batch.Abort() // behind the record: until then what it holds is safe from cleaning
	f := p.file
	p.file = nil
	if err := p.batch.Commit(); err != nil {
		return finished{}, errors.Join(err, l.Store.DropManifest(f))
	}
	if _, err := l.Store.PutManifest(f); err != nil {
		return finished{}, peerWords(err)
	}
	got, err := l.record(ctx, p.c, p.batch.Stats(), func(store.Work) {})
	return finished{Ref: got.Version.Ref().String(), Known: got.Known}, err
}

// giveUp ends a push that failed on this side, with nothing of it kept but whole chunks. The caller holds it.
func (l *Library) giveUp(p *push) {
	p.batch.Abort()
	if p.file != nil {
		if err := l.Store.DropManifest(p.file); err != nil {
			l.Log.Error().Err(err).Str("peer", p.peer).Msg("the manifest of a push could not be removed")
		}
	}
	l.forget(p)
}

// forget takes a push off the list. The caller holds it.
func (l *Library) forget(p *push) {
	p.over = true
	p.timer.Stop()
	l.pushes.mu.Lock()
	delete(l.pushes.all, p.id)
	l.pushes.mu.Unlock()
}

// drop ends a push that nobody goes on with. What arrived whole stays for the next one, until a cleaning.
func (l *Library) drop(p *push) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	err := p.batch.Commit()
	p.batch.Abort()
	if p.file != nil {
		err = errors.Join(err, l.Store.DropManifest(p.file))
	}
	if err != nil {
		l.Log.Error().Err(err).Str("peer", p.peer).Msg("a push that was broken off could not be put aside")
	}
	l.forget(p)
}

// EndPushes puts aside what other servers are sending; the store may be closed behind it.
func (l *Library) EndPushes() {
	l.pushes.mu.Lock()
	var all []*push
	for _, p := range l.pushes.all {
		all = append(all, p)
	}
	l.pushes.mu.Unlock()
	for _, p := range all {
		l.drop(p)
	}
}

// patientReader is a request's body with a deadline for each read.
type patientReader struct {
	body io.ReadCloser
	rc   *http.ResponseController
}

// Read implements io.Reader.
func (p *patientReader) Read(b []byte) (int, error) {
	if err := p.rc.SetReadDeadline(time.Now().Add(peerPause)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.body.Read(b)
}

// Close implements io.Closer.
func (p *patientReader) Close() error {
	if err := p.rc.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return errors.Join(err, p.body.Close())
	}
	return p.body.Close()
}
