package library

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ingot/imaging"
	"ingot/imaging/bundle"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
	"ingot/imaging/job/client"
	"ingot/store"
)

// asking speaks to one peer.
type asking struct {
	l      *Library
	peer   store.Peer
	pinned *client.Client
	http   *http.Client
	chunks *chunkstore.Client
}

// dial makes a client of a peer; it does not connect yet.
func (l *Library) dial(p store.Peer) (*asking, error) {
	c, err := client.New(p.URL, job.KeyID(p.Pin))
	if err != nil {
		return nil, job.Faultf(job.CodeBadRequest, "%s.", job.Reason(err))
	}
	h := &http.Client{Transport: bearer{c.HTTP().Transport, p.Secret}, CheckRedirect: c.HTTP().CheckRedirect}
	base := c.Base() + strings.TrimSuffix(PeerPath, "/")
	return &asking{l: l, peer: p, pinned: c, http: h, chunks: &chunkstore.Client{HTTP: h, Base: base}}, nil
}

func (a *asking) close() { a.pinned.Close() }

// bearer shows the secret with every request.
type bearer struct {
	http.RoundTripper
	secret string
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.secret)
	return b.RoundTripper.RoundTrip(r)
}

// do sends a request and reads the JSON that answers it. body may be nil.
func (a *asking) do(ctx context.Context, method, path string, body io.Reader, size int64, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, a.chunks.Base+path, body)
	if err != nil {
		return err
	}
	if size > 0 {
		req.ContentLength = size
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return peerWords(fmt.Errorf("ask %s: %w", a.peer.Name, errors.Join(err, job.Faultf(job.CodeUnreachable, ""))))
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		if err := readJSON(resp.Body, out); err != nil {
			return errors.Join(err, job.Faultf(job.CodePeerSilent, "It stopped in the middle of an answer."))
		}
		return nil
	}
	if resp.StatusCode == http.StatusNotFound && path == "/hello" {
		return job.Faultf(job.CodePeerRefused, "It takes no other server at all.")
	}
	var r job.Refusal
	if err := readJSON(resp.Body, &r); err != nil || r.Fault.Code == "" {
		return job.Faultf(job.CodePeerAnswer, "It answered with status %d.", resp.StatusCode)
	}
	return job.Faultf(r.Fault.Code, "%s: %s", a.peer.Name, r.Fault.Fact)
}

func (a *asking) send(ctx context.Context, method, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return a.do(ctx, method, path, bytes.NewReader(b), int64(len(b)), out)
}

// hello proves this server's key there, and learns the other's.
func (a *asking) hello(ctx context.Context) (ed25519.PublicKey, error) {
	var own ed25519.PublicKey
	var env []byte
	err := a.l.DB.View(func(tx *store.Tx) (err error) {
		own = tx.OwnKey()
		env, err = tx.Seal(peerPurpose, []byte(a.peer.Pin))
		return err
	})
	if err != nil {
		return nil, err
	}
	var got helloReply
	if err := a.send(ctx, http.MethodPost, "/hello", helloRequest{Protocol: peerProtocol, Key: own, Envelope: env}, &got); err != nil {
		return nil, err
	}
	if got.Protocol != peerProtocol || len(got.Key) != ed25519.PublicKeySize {
		return nil, job.Faultf(job.CodePeerAnswer, "It speaks protocol %d, this server %d.", got.Protocol, peerProtocol)
	}
	if len(a.peer.Key) > 0 && !a.peer.Key.Equal(got.Key) {
		return nil, job.Faultf(job.CodePeerAnswer, "It signs with the key %s now, and did with %s.", bundle.Fingerprint(got.Key), bundle.Fingerprint(a.peer.Key))
	}
	return got.Key, nil
}

// peerWords turns what the chunk store says of a daemon and a laptop into what it means between servers.
func peerWords(err error) error {
	var f *job.Fault
	switch {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrPin):
		return fmt.Errorf("%w: %w", job.Faultf(job.CodePeerPin, ""), err)
	case errors.Is(err, imaging.ErrChunk), errors.Is(err, imaging.ErrManifest), errors.Is(err, chunkstore.ErrMissing):
		return fmt.Errorf("%w: %w", job.Faultf(job.CodePeerAnswer, "%s.", job.Reason(err)), err)
	case !errors.As(err, &f):
		return err
	}
	switch f.Code {
	case job.CodeUnreachable:
		return fmt.Errorf("%w: %w", job.Faultf(job.CodePeerSilent, "%s", f.Fact), err)
	case job.CodeStream:
		return fmt.Errorf("%w: %w", job.Faultf(job.CodePeerSilent, "It stopped in the middle. %s", f.Fact), err)
	case job.CodeChunk, job.CodeManifest:
		return fmt.Errorf("%w: %w", job.Faultf(job.CodePeerAnswer, "%s", f.Fact), err)
	}
	return err
}

// asked finds a peer that is asked from here, and greets it.
func (l *Library) asked(ctx context.Context, name string) (*asking, error) {
	var p store.Peer
	if err := l.DB.View(func(tx *store.Tx) (err error) { p, err = tx.Peer(name); return err }); err != nil {
		return nil, err
	}
	if p.URL == "" {
		return nil, job.Faultf(job.CodeNotFound, "%s may ask here, but is not asked: run \"ingot peer allow\" there and \"ingot peer add\" here.", p.Name)
	}
	a, err := l.dial(p)
	if err != nil {
		return nil, err
	}
	if _, err := a.hello(ctx); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// patiently repeats a step that was cut off, while it gets further. progress gives a number that grows.
func (l *Library) patiently(ctx context.Context, progress func() uint64, step func() error) error {
	for tries := 0; ; tries++ {
		was := progress()
		err := step()
		if progress() > was {
			tries = 0
		}
		if err == nil || job.FaultOf(err).Code != job.CodePeerSilent || errors.Is(err, client.ErrPin) || tries == 3 || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(cmp.Or(l.pause, time.Second) << tries):
		}
	}
}

// Pull takes a version from a peer: only chunks that are lacking travel, and everything is proven. One that is cut off
// keeps what arrived and goes on there when it is ordered again.
func (l *Library) Pull(ctx context.Context, operator string, t store.Transfer, tell func(store.Work)) (store.Imported, error) {
	a, err := l.asked(ctx, t.Peer)
	if err != nil {
		return store.Imported{}, err
	}
	defer a.close()
	var o offer
	if err := a.do(ctx, http.MethodGet, "/versions?ref="+url.QueryEscape(t.Image), nil, 0, &o); err != nil {
		return store.Imported{}, err
	}
	c := copied{operator: operator, source: "server " + a.peer.Name, signed: o.Signed, release: t.Release}
	c.signed.Origin = nil
	if err := l.admit(&c, ""); err != nil {
		return store.Imported{}, err
	}
	batch := l.Store.NewBatch()
	defer batch.Abort() // behind the record: until then what it holds is safe from cleaning
	if err := a.pull(ctx, c.said.Manifest, batch, tell); err != nil {
		return store.Imported{}, peerWords(fmt.Errorf("pull %s from %s: %w", t.Image, a.peer.Name, err))
	}
	return l.record(ctx, c, batch.Stats(), tell)
}

// pull brings a manifest and its chunks into the store. An error lets whole chunks stay.
func (a *asking) pull(ctx context.Context, d imaging.Digest, batch *chunkstore.Batch, tell func(store.Work)) error {
	f, err := a.l.Store.CreateManifest()
	if err != nil {
		return err
	}
	if err := a.fill(ctx, d, batch, f, tell); err != nil {
		return errors.Join(err, batch.Commit(), a.l.Store.DropManifest(f))
	}
	if err := batch.Commit(); err != nil {
		return errors.Join(err, a.l.Store.DropManifest(f))
	}
	_, err = a.l.Store.PutManifest(f)
	return err
}

func (a *asking) fill(ctx context.Context, d imaging.Digest, batch *chunkstore.Batch, f manifestFile, tell func(store.Work)) error {
	there, err := a.chunks.OpenManifest(ctx, d)
	if err != nil {
		return err
	}
	if _, err := bufio.NewReaderSize(there.Bytes(), 1<<20).WriteTo(f); err != nil {
		return err
	}
	m, err := openIncoming(f, d)
	if err != nil {
		return err
	}
	told, came, at := phaseTeller("fetching", tell), uint64(0), uint64(0)
	put := putter(m, batch, func(n uint64) { came += n })
	for at < m.Count() {
		var next missing
		err := a.l.patiently(ctx, func() uint64 { return came }, func() (err error) {
			if next, err = lacking(ctx, m, batch, at); err != nil || len(next.Extents) == 0 {
				return err
			}
			_, err = a.chunks.Fetch(ctx, d, spansOf(next.Extents), put)
			return peerWords(err)
		})
		if err != nil {
			return err
		}
		at = next.Next
		told(m.Header().DataBytes*at/m.Count(), m.Header().DataBytes)
	}
	return nil
}

// spansOf makes spans of ascending numbers.
func spansOf(numbers []uint64) []chunkstore.Span {
	var out []chunkstore.Span
	for _, n := range numbers {
		if k := len(out); k > 0 && out[k-1].Last+1 == n {
			out[k-1].Last = n
			continue
		}
		out = append(out, chunkstore.Span{First: n, Last: n})
	}
	return out
}

// PeerChunks asks each peer in turn for chunks by digest, and gives fn the plain bytes of each that came, proven. What
// is left is held by none. It is how a damaged store is mended. An error of a peer is told and the next one is asked.
func (l *Library) PeerChunks(ctx context.Context, want []imaging.Digest, fn func(d imaging.Digest, plain []byte) error) (left []imaging.Digest, err error) {
	var peers []store.Peer
	if err := l.DB.View(func(tx *store.Tx) (err error) { peers, err = tx.Peers(); return err }); err != nil {
		return want, err
	}
	left = want
	var errs []error
	for _, p := range peers {
		if p.URL == "" || len(left) == 0 {
			continue
		}
		a, err := l.asked(ctx, p.Name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		rest := map[int]bool{}
		for i := range left {
			rest[i] = true
		}
		var own error
		err = a.chunks.FetchDigests(ctx, left, func(i int, plain []byte) error {
			if own = fn(left[i], plain); own == nil {
				delete(rest, i)
			}
			return own
		})
		a.close()
		if own != nil {
			return left, own
		}
		if err != nil {
			errs = append(errs, peerWords(err))
		}
		var still []imaging.Digest
		for i, d := range left {
			if rest[i] {
				still = append(still, d)
			}
		}
		left = still
	}
	if len(left) == 0 {
		return nil, nil
	}
	return left, errors.Join(errs...)
}
