package library_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ingot/imaging"
	"ingot/imaging/bundle"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/store"
)

// serving lets a server answer others on loopback, behind a door that a test can shut.
func serving(t *testing.T, s *server) *door {
	t.Helper()
	l, err := deploy.LoadListener(filepath.Join(s.dir, "agent.key"))
	if err != nil {
		t.Fatal(err)
	}
	d := &door{}
	inner, err := l.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Pin, s.Address = string(l.Pin()), func() string { return "https://" + inner.Addr().String() }
	h := l.Server(d.through(s.BesidePeers(http.NotFoundHandler())))
	go h.Serve(inner) // ends by the Close below
	t.Cleanup(func() { h.Close(); s.EndPushes() })
	return d
}

// door counts what passes in both directions, and cuts the connection when a limit is reached.
type door struct {
	in, out atomic.Int64
	limit   atomic.Int64 // 0 for none
}

func (d *door) through(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = &counted{ReadCloser: r.Body, d: d}
		next.ServeHTTP(&counting{ResponseWriter: w, d: d}, r)
	})
}

// pass ends a connection at the limit, before anything more goes through.
func (d *door) pass() {
	if l := d.limit.Load(); l > 0 && d.in.Load()+d.out.Load() >= l {
		panic(http.ErrAbortHandler)
	}
}

type counted struct {
	io.ReadCloser
	d *door
}

func (c *counted) Read(b []byte) (int, error) {
	c.d.pass()
	n, err := c.ReadCloser.Read(b)
	c.d.in.Add(int64(n))
	return n, err
}

type counting struct {
	http.ResponseWriter
	d *door
}

func (c *counting) Write(b []byte) (int, error) {
	c.d.pass()
	n, err := c.ResponseWriter.Write(b)
	c.d.out.Add(int64(n))
	return n, err
}

func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// allied are two servers; b knows a under the name "main".
func allied(t *testing.T, a, b *server) *door {
	t.Helper()
	d := serving(t, a)
	token, err := a.AllowPeer(context.Background(), "anna", store.PeerAllow{Name: "branch"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.AddPeer(context.Background(), "bo", store.PeerAdd{Name: "main", URL: token.URL, Token: token.Token}); err != nil {
		t.Fatal(err)
	}
	return d
}

// noisy is a disk of a table-less volume whose chunks do not shrink, with a seed of its own.
func noisy(t *testing.T, mib int, seed int64) string {
	t.Helper()
	b := make([]byte, mib<<20)
	rand.New(rand.NewSource(seed)).Read(b)
	clear(b[:1<<20])
	path := filepath.Join(t.TempDir(), "noise.raw")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func importOn(t *testing.T, s *server, file, image string) store.Version {
	t.Helper()
	got, err := s.Import(context.Background(), "anna", store.Import{File: file, Image: image, Note: "n", Release: true}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return got.Version
}

func TestPullAndPushSendOnlyWhatIsLacking(t *testing.T) {
	a, b, ctx := mustServer(t), mustServer(t), context.Background()
	d := allied(t, a, b)
	first := noisy(t, 8, 1)
	v := importOn(t, a, first, "sales")
	got, err := b.Pull(ctx, "bo", store.Transfer{Image: "sales", Peer: "main"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if w := got.Version; w.Manifest != v.Manifest || w.State != store.Draft || w.Source != "server main" || w.Origin != "sales@1 of "+bundle.Fingerprint(a.signer.Public()) {
		t.Errorf("pulled %+v", w)
	}
	if out := d.out.Load(); out < 7<<20 || out > 8<<20 {
		t.Errorf("%d bytes left the server for 7 MiB of chunks", out)
	}
	sameDisk(t, a, b)

	// A next version that shares all but the last MiB travels as one MiB, in either direction.
	raw, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	rand.New(rand.NewSource(2)).Read(raw[7<<20:])
	second := filepath.Join(t.TempDir(), "second.raw")
	if err := os.WriteFile(second, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	importOn(t, b, second, "sales")
	d.in.Store(0)
	sent, err := b.Push(ctx, "bo", store.Transfer{Image: "sales@2", Peer: "main"}, quiet)
	if err != nil || sent.There != "sales@2" || sent.Known || sent.Sent > 2<<20 || d.in.Load() > 2<<20 {
		t.Errorf("pushed %+v, %v, %d bytes arrived", sent, err, d.in.Load())
	}
	again, err := b.Push(ctx, "bo", store.Transfer{Image: "sales@2", Peer: "main"}, quiet)
	if err != nil || !again.Known || again.Sent != 0 {
		t.Errorf("pushed again: %+v, %v", again, err)
	}
	for _, s := range []*server{a, b} {
		if c, err := s.Check(ctx, store.Check{ReadData: true}, quiet); err != nil || len(c.Damage) != 0 || c.Versions != 2 {
			t.Errorf("check %+v, %v", c, err)
		}
	}
	all, err := a.Images(ctx)
	if err != nil || all[1].State != store.Draft || all[1].By != "peer branch" || !strings.HasPrefix(all[1].Origin, "sales@2 of ") {
		t.Errorf("arrived %+v, %v", all, err)
	}
}

// TestATransferThatIsCutOffGoesOnWhereItStopped cuts the line for good in the middle, then orders the same again.
func TestATransferThatIsCutOffGoesOnWhereItStopped(t *testing.T) {
	for _, push := range []bool{false, true} {
		a, b := mustServer(t), mustServer(t)
		d := allied(t, a, b)
		b.Hurry()
		from := map[bool]*server{false: a, true: b}[push]
		importOn(t, from, noisy(t, 16, 5), "sales")
		run := func(ctx context.Context) error {
			var err error
			if push {
				_, err = b.Push(ctx, "bo", store.Transfer{Image: "sales", Peer: "main"}, quiet)
			} else {
				_, err = b.Pull(ctx, "bo", store.Transfer{Image: "sales", Peer: "main"}, quiet)
			}
			return err
		}
		d.in.Store(0)
		d.out.Store(0)
		d.limit.Store(10 << 20)
		wantFault(t, "a line that was cut", run(context.Background()), job.CodePeerSilent)
		d.limit.Store(0)
		before := d.in.Load() + d.out.Load()
		if err := run(context.Background()); err != nil {
			t.Fatalf("push %v, again: %v", push, err)
		}
		if rest := d.in.Load() + d.out.Load() - before; rest > 9<<20 {
			t.Errorf("push %v: %d bytes travelled again, of 15 MiB", push, rest)
		}
		sameDisk(t, a, b)
	}
}

func TestAStrangerIsLetInNowhere(t *testing.T) {
	a, b, ctx := mustServer(t), mustServer(t), context.Background()
	serving(t, a)
	v := importOn(t, a, noisy(t, 2, 1), "sales")
	token := strings.Repeat("a", 26) + "." + strings.TrimPrefix(a.Pin, "sha256:")
	_, err := b.AddPeer(ctx, "bo", store.PeerAdd{Name: "main", URL: a.Address(), Token: token})
	wantFault(t, "nobody is allowed", err, job.CodePeerRefused)
	allowed, err := a.AllowPeer(ctx, "anna", store.PeerAllow{Name: "branch"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.AddPeer(ctx, "bo", store.PeerAdd{Name: "main", URL: a.Address(), Token: token})
	wantFault(t, "another secret", err, job.CodePeerRefused)
	secret, _, _ := strings.Cut(allowed.Token, ".")
	_, err = b.AddPeer(ctx, "bo", store.PeerAdd{Name: "main", URL: a.Address(), Token: secret + "." + strings.Repeat("0", 64)})
	wantFault(t, "another pin", err, job.CodePeerPin)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	_, err = b.AddPeer(ctx, "bo", store.PeerAdd{Name: "main", URL: "https://" + gone.Addr().String(), Token: allowed.Token})
	wantFault(t, "nobody there", err, job.CodePeerSilent)
	for _, u := range []string{"http://" + a.Address()[8:], a.Address() + "/x", "x"} {
		_, err = b.AddPeer(ctx, "bo", store.PeerAdd{Name: "main", URL: u, Token: allowed.Token})
		wantFault(t, u, err, job.CodeBadRequest)
	}
	if all, err := b.Peers(ctx); err != nil || len(all) != 0 {
		t.Errorf("peers %+v, %v; want none", all, err)
	}

	// Every path wants the secret, and all but hello a key that was shown.
	h := a.BesidePeers(http.NotFoundHandler())
	for _, path := range []string{"GET versions?ref=sales", "GET v1/manifests/" + v.Manifest.String(), "GET v1/chunks/" + v.Manifest.String() + "?extents=0-0",
		"POST v1/digests", "POST pushes", "PUT pushes/x/manifest", "POST hello"} {
		method, path, _ := strings.Cut(path, " ")
		for _, bearer := range []string{"", "Bearer ", "Bearer wrong", "Bearer " + secret} {
			r, _ := http.NewRequest(method, library.PeerPath+path, http.NoBody)
			r.Header.Set("Authorization", bearer)
			w := &recorded{head: http.Header{}}
			h.ServeHTTP(w, r)
			if wrong := !strings.HasSuffix(bearer, secret); w.code == http.StatusOK || w.code == 0 || wrong && w.code != http.StatusForbidden {
				t.Errorf("%s %s with %q: status %d", method, path, bearer, w.code)
			}
		}
	}
}

type recorded struct {
	head http.Header
	code int
	bytes.Buffer
}

func (r *recorded) Header() http.Header { return r.head }
func (r *recorded) WriteHeader(c int) {
	if r.code == 0 {
		r.code = c
	}
}
func (r *recorded) Write(b []byte) (int, error) { r.WriteHeader(200); return r.Buffer.Write(b) }

// TestATokenServesOneServer shows it from two.
func TestATokenServesOneServer(t *testing.T) {
	a, b, c, ctx := mustServer(t), mustServer(t), mustServer(t), context.Background()
	serving(t, a)
	token, err := a.AllowPeer(ctx, "anna", store.PeerAllow{Name: "branch"})
	if err != nil {
		t.Fatal(err)
	}
	add := store.PeerAdd{Name: "main", URL: token.URL, Token: token.Token}
	if _, err := b.AddPeer(ctx, "bo", add); err != nil {
		t.Fatal(err)
	}
	_, err = c.AddPeer(ctx, "eve", add)
	wantFault(t, "a second server with one token", err, job.CodePeerRefused)
	if err := a.RemovePeer(ctx, "anna", "branch"); err != nil {
		t.Fatal(err)
	}
	_, err = b.Pull(ctx, "bo", store.Transfer{Image: "sales", Peer: "main"}, quiet)
	wantFault(t, "a removed peer", err, job.CodePeerRefused)
}

// TestAPeerGetsNothingThatMayNotTravel asks for a backup and a withdrawn version.
func TestAPeerGetsNothingThatMayNotTravel(t *testing.T) {
	a, b, ctx := mustServer(t), mustServer(t), context.Background()
	allied(t, a, b)
	v := importOn(t, a, noisy(t, 2, 1), "sales")
	other := importOn(t, a, noisy(t, 2, 2), "backup")
	for name, c := range map[string]struct {
		change func(*store.Version)
		code   job.Code
	}{
		"old":  {func(v *store.Version) { v.State, v.Image = store.Withdrawn, "old" }, job.CodeWithdrawn},
		"back": {func(v *store.Version) { v.Kind, v.Image, v.Manifest = store.Backup, "back", other.Manifest }, job.CodePolicy},
	} {
		w := v
		c.change(&w)
		if err := a.DB.Update(func(tx *store.Tx) error { _, _, err := tx.AddVersion(w); return err }); err != nil {
			t.Fatal(err)
		}
		_, err := b.Pull(ctx, "bo", store.Transfer{Image: name + "@1", Peer: "main"}, quiet)
		wantFault(t, name, err, c.code)
	}
	if _, err := b.Pull(ctx, "bo", store.Transfer{Image: "sales@1", Peer: "main"}, quiet); err != nil {
		t.Errorf("a version that may travel: %v", err)
	}
}

// TestAPeerMendsChunksByDigest is how a damaged store is healed.
func TestAPeerMendsChunksByDigest(t *testing.T) {
	a, b, ctx := mustServer(t), mustServer(t), context.Background()
	allied(t, a, b)
	v := importOn(t, a, noisy(t, 3, 1), "sales")
	m, err := a.Store.OpenManifest(v.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var want []imaging.Digest
	for e, err := range m.All() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == imaging.Data {
			want = append(want, e.Digest)
		}
	}
	lost := imaging.Digest(sha256.Sum256([]byte("held nowhere")))
	batch := b.Store.NewBatch()
	left, err := b.PeerChunks(ctx, append(want, lost), func(d imaging.Digest, plain []byte) error {
		got, err := batch.Put(plain)
		if got != d {
			t.Errorf("chunk %s came as %s", d.Short(), got.Short())
		}
		return err
	})
	if err != nil || len(left) != 1 || left[0] != lost {
		t.Errorf("left %v, %v; want the one that nobody holds", left, err)
	}
	if err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
	for _, d := range want {
		if _, err := b.Store.ReadChunk(d); err != nil {
			t.Error(err)
		}
	}
}
