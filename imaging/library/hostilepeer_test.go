package library_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging"
	"ingot/imaging/bundle"
	"ingot/imaging/capture"
	"ingot/imaging/deploy"
	"ingot/imaging/diskfile"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/imaging/sign"
	"ingot/store"
)

// TestAPeerThatChangesBytesIsFound puts a liar between two servers that changes a byte of what one of them answers.
func TestAPeerThatChangesBytesIsFound(t *testing.T) {
	for name, at := range map[string]struct {
		path string
		byte int
	}{
		"head of the manifest": {"/v1/manifests/", 40}, "records of the manifest": {"/v1/manifests/", -20},
		"a chunk": {"/v1/chunks/", 5000},
	} {
		a, b := mustServer(t), mustServer(t)
		importOn(t, a, noisy(t, 2, 1), "sales")
		listener, err := deploy.LoadListener(filepath.Join(a.dir, "agent.key"))
		if err != nil {
			t.Fatal(err)
		}
		l, err := listener.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		a.Pin, a.Address = string(listener.Pin()), func() string { return "https://" + l.Addr().String() }
		honest := a.BesidePeers(http.NotFoundHandler())
		h := listener.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.Path, at.path) {
				honest.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			honest.ServeHTTP(rec, r)
			body := rec.Body.Bytes()
			body[(at.byte+len(body))%len(body)] ^= 1
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			w.WriteHeader(rec.Code)
			w.Write(body)
		}))
		go h.Serve(l) // ends by the Close below
		token, err := a.AllowPeer(context.Background(), "anna", store.PeerAllow{Name: "branch"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.AddPeer(context.Background(), "bo", store.PeerAdd{Name: "main", URL: token.URL, Token: token.Token}); err != nil {
			t.Fatal(err)
		}
		_, err = b.Pull(context.Background(), "bo", store.Transfer{Image: "sales", Peer: "main"}, quiet)
		wantFault(t, name, err, job.CodePeerAnswer)
		untouched(t, name, b)
		h.Close()
	}
}

// sender speaks to a server's peer paths as another server does, without being one.
type sender struct {
	t      testing.TB
	h      http.Handler
	secret string
}

func (s sender) do(method, path string, body []byte, out any) job.Code {
	s.t.Helper()
	r := httptest.NewRequest(method, library.PeerPath+path, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+s.secret)
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		var refused job.Refusal
		if err := json.Unmarshal(w.Body.Bytes(), &refused); err != nil || refused.Fault.Code == "" {
			s.t.Errorf("%s %s: status %d, %q", method, path, w.Code, w.Body)
		}
		return refused.Fault.Code
	}
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			s.t.Errorf("%s %s: %v: %q", method, path, err, w.Body)
		}
	}
	return ""
}

// offered is a message of the protocol.
func offered(t testing.TB, s store.Signed) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"signed": s})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// besieged is a server a, and what another one with a key that it trusts would send: statement, manifest, one chunk.
func besieged(t testing.TB) (a *server, s sender, signed store.Signed, manifest []byte, chunk []byte, key *sign.Signer) {
	t.Helper()
	a = mustServerTB(t)
	a.Pin = "sha256:" + strings.Repeat("a", 64)
	token, err := a.AllowPeer(context.Background(), "anna", store.PeerAllow{Name: "branch"})
	if err != nil {
		t.Fatal(err)
	}
	secret, _, _ := strings.Cut(token.Token, ".")
	s = sender{t: t, h: a.BesidePeers(http.NotFoundHandler()), secret: secret}
	if key, err = sign.LoadOrCreate(filepath.Join(t.TempDir(), "key")); err != nil {
		t.Fatal(err)
	}
	env, err := key.Seal("peer", []byte(a.Pin))
	if err != nil {
		t.Fatal(err)
	}
	hello, err := json.Marshal(map[string]any{"protocol": 1, "key": key.Public(), "envelope": env})
	if err != nil {
		t.Fatal(err)
	}
	if c := s.do("POST", "hello", hello, nil); c != "" {
		t.Fatalf("hello: %s", c)
	}
	chunk = bytes.Repeat([]byte("a line of text.\n"), 512)
	f, err := os.Create(filepath.Join(t.TempDir(), "m"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := imaging.NewManifestWriter(f, imaging.Header{DiskSize: 16384, SectorSize: 512, Table: "none", Params: imaging.DefaultParams()})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []imaging.Extent{{Offset: 0, Length: 8192, Kind: imaging.Data, Digest: imaging.Sum(chunk)}, {Offset: 8192, Length: 8192, Kind: imaging.Zero}} {
		if err := w.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	d, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if manifest, err = os.ReadFile(f.Name()); err != nil {
		t.Fatal(err)
	}
	said := bundle.Statement{Format: 1, Image: "sales", Number: 1, Manifest: d, Source: "x", DiskSize: 16384, SectorSize: 512, DataBytes: 8192}
	if signed.Envelope, err = said.Seal(key); err != nil {
		t.Fatal(err)
	}
	signed.Key = key.Public()
	return a, s, signed, manifest, chunk, key
}

// chunkStream is one of a frame for an extent, and its end.
func chunkStream(t testing.TB, n uint64, plain []byte) []byte {
	t.Helper()
	frame, err := imaging.EncodeChunk(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	b := []byte("INGOTCS1")
	b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(b, n), uint32(len(frame)))
	b = append(b, frame...)
	b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(b, 1<<64-1), 8)
	return binary.LittleEndian.AppendUint64(b, 1)
}

func TestWhatASendingServerGetsWrongIsRefused(t *testing.T) {
	a, s, signed, manifest, chunk, key := besieged(t)
	defer a.EndPushes()
	elsewhere, err := key.Seal("peer", []byte("sha256:"+strings.Repeat("b", 64)))
	if err != nil {
		t.Fatal(err)
	}
	hello, err := json.Marshal(map[string]any{"protocol": 1, "key": key.Public(), "envelope": elsewhere})
	if err != nil {
		t.Fatal(err)
	}
	if c := s.do("POST", "hello", hello, nil); c != job.CodePeerRefused {
		t.Errorf("a hello for another server: %q; want %s", c, job.CodePeerRefused)
	}
	begin := func(s2 store.Signed) (string, job.Code) {
		var got struct{ ID string }
		c := s.do("POST", "pushes", offered(t, s2), &got)
		return got.ID, c
	}
	stranger, err := sign.LoadOrCreate(filepath.Join(t.TempDir(), "k"))
	if err != nil {
		t.Fatal(err)
	}
	forged := store.Signed{Key: stranger.Public()}
	if forged.Envelope, err = (bundle.Statement{Format: 1, Image: "sales", Number: 1}).Seal(stranger); err != nil {
		t.Fatal(err)
	}
	backup := store.Signed{Key: key.Public()}
	if backup.Envelope, err = (bundle.Statement{Format: 1, Image: "sales", Number: 1, Kind: "backup"}).Seal(key); err != nil {
		t.Fatal(err)
	}
	named := store.Signed{Key: key.Public()}
	if named.Envelope, err = (bundle.Statement{Format: 1, Image: "../x", Number: 1}).Seal(key); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		signed store.Signed
		want   job.Code
	}{
		"a statement by a stranger":      {forged, job.CodeUntrustedKey},
		"one of a key that did not sign": {store.Signed{Key: key.Public(), Envelope: forged.Envelope}, job.CodeStatement},
		"a backup":                       {backup, job.CodePolicy},
		"a name that is none":            {named, job.CodeStatement},
		"nothing":                        {store.Signed{}, job.CodeStatement},
	} {
		if _, got := begin(c.signed); got != c.want && !(c.want == job.CodeStatement && got == job.CodeBadRequest) {
			t.Errorf("%s: %s; want %s", name, got, c.want)
		}
	}
	id, c := begin(signed)
	if c != "" {
		t.Fatalf("a statement that holds: %s", c)
	}
	p := "pushes/" + id + "/"
	flipped := bytes.Clone(manifest)
	flipped[len(flipped)-3] ^= 1
	for _, step := range []struct {
		name, method, path string
		body               []byte
		want               job.Code
	}{
		{"chunks before the manifest", "PUT", p + "chunks", chunkStream(t, 0, chunk), job.CodeBadRequest},
		{"the end before the manifest", "POST", p + "finish", nil, ""},
		{"another push", "PUT", "pushes/other/manifest", manifest, job.CodeNotFound},
		{"a manifest with a flip", "PUT", p + "manifest", flipped, job.CodePeerAnswer},
		{"a manifest that is cut", "PUT", p + "manifest", manifest[:len(manifest)-9], job.CodePeerAnswer},
		{"a manifest of another disk", "PUT", p + "manifest", []byte("INGOTMAN"), job.CodePeerAnswer},
		{"the manifest", "PUT", p + "manifest", manifest, ""},
		{"what is missing from nowhere", "GET", p + "missing?from=x", nil, job.CodeBadRequest},
		{"another chunk", "PUT", p + "chunks", chunkStream(t, 0, bytes.Repeat([]byte("x"), 8192)), job.CodePeerAnswer},
		{"a chunk of another length", "PUT", p + "chunks", chunkStream(t, 0, []byte("x")), job.CodePeerAnswer},
		{"a chunk for a zero extent", "PUT", p + "chunks", chunkStream(t, 1, chunk), job.CodePeerAnswer},
		{"a chunk for no extent", "PUT", p + "chunks", chunkStream(t, 2, chunk), job.CodePeerSilent},
		{"a stream that is cut", "PUT", p + "chunks", chunkStream(t, 0, chunk)[:50], job.CodePeerSilent},
		{"no stream", "PUT", p + "chunks", []byte("hello"), job.CodePeerSilent},
	} {
		if got := s.do(step.method, step.path, step.body, nil); got != step.want {
			t.Errorf("%s: %q; want %q", step.name, got, step.want)
		}
	}
	var end struct{ Fault *job.Fault }
	if c := s.do("POST", p+"finish", nil, &end); c != "" || end.Fault == nil || end.Fault.Code != job.CodePeerAnswer {
		t.Errorf("the end without its chunk: %q, %v; want %s", c, end.Fault, job.CodePeerAnswer)
	}
	untouched(t, "everything wrong", a)

	id, _ = begin(signed)
	p = "pushes/" + id + "/"
	for _, step := range []struct {
		method, path string
		body         []byte
	}{{"PUT", p + "manifest", manifest}, {"PUT", p + "chunks", chunkStream(t, 0, chunk)}} {
		if got := s.do(step.method, step.path, step.body, nil); got != "" {
			t.Errorf("%s: %q", step.path, got)
		}
	}
	var done struct{ Ref string }
	if c := s.do("POST", p+"finish", nil, &done); c != "" || done.Ref != "sales@1" {
		t.Errorf("the end of a whole one: %q, %+v", c, done)
	}
}

// TestAPeerReachesOnlyWhatIsItsOwn asks for a backup by its digest, and for what another server is sending.
func TestAPeerReachesOnlyWhatIsItsOwn(t *testing.T) {
	a, s, signed, manifest, _, key := besieged(t)
	defer a.EndPushes()
	v := importOn(t, a, noisy(t, 2, 1), "sales")
	file, err := diskfile.Open(noisy(t, 2, 2))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	private, err := capture.Run(context.Background(), file, capture.Sink{Chunks: a.Store.NewBatch(), Manifests: a.Store}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.DB.Update(func(tx *store.Tx) error {
		_, _, err := tx.AddVersion(store.Version{Image: "private", Kind: store.Backup, State: store.Draft, Manifest: private.Manifest})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for digest, want := range map[imaging.Digest]job.Code{private.Manifest: job.CodeNotFound, imaging.Sum(nil): job.CodeNotFound} {
		for _, path := range []string{"v1/manifests/" + digest.String(), "v1/chunks/" + digest.String() + "?extents=0-0"} {
			if got := s.do("GET", path, nil, nil); got != want {
				t.Errorf("%s: %q; want %q", path, got, want)
			}
		}
	}
	r := httptest.NewRequest("GET", library.PeerPath+"v1/chunks/"+v.Manifest.String()+"?extents=0-0", nil)
	r.Header.Set("Authorization", "Bearer "+s.secret)
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("chunks of a version that may travel: status %d", w.Code)
	}

	var begun struct{ ID string }
	if c := s.do("POST", "pushes", offered(t, signed), &begun); c != "" {
		t.Fatal(c)
	}
	token, err := a.AllowPeer(context.Background(), "anna", store.PeerAllow{Name: "second"})
	if err != nil {
		t.Fatal(err)
	}
	second := s
	second.secret, _, _ = strings.Cut(token.Token, ".")
	env, err := key.Seal("peer", []byte(a.Pin))
	if err != nil {
		t.Fatal(err)
	}
	hello, err := json.Marshal(map[string]any{"protocol": 1, "key": key.Public(), "envelope": env})
	if err != nil {
		t.Fatal(err)
	}
	if c := second.do("POST", "hello", hello, nil); c != "" {
		t.Fatal(c)
	}
	if got := second.do("PUT", "pushes/"+begun.ID+"/manifest", manifest, nil); got != job.CodeNotFound {
		t.Errorf("another server's push: %q; want %q", got, job.CodeNotFound)
	}
}

// TestSoManyPushesAtOnce bounds what one server may begin.
func TestSoManyPushesAtOnce(t *testing.T) {
	a, s, _, _, _, key := besieged(t)
	defer a.EndPushes()
	for i := range 5 {
		signed := store.Signed{Key: key.Public()}
		var err error
		if signed.Envelope, err = (bundle.Statement{Format: 1, Image: fmt.Sprintf("sales%d", i), Number: 1, Source: "x"}).Seal(key); err != nil {
			t.Fatal(err)
		}
		want := job.Code("")
		if i == 4 {
			want = job.CodeBusy
		}
		if got := s.do("POST", "pushes", offered(t, signed), nil); got != want {
			t.Errorf("push %d: %q; want %q", i, got, want)
		}
	}
	a.EndPushes()
	untouched(t, "pushes that were put aside", a)
}

// FuzzPeer lets a server that is let in send anything to any path: nothing falls over, and nothing is recorded that
// was not signed.
func FuzzPeer(f *testing.F) {
	a, s, signed, manifest, chunk, _ := besieged(f)
	defer a.EndPushes()
	var begun struct{ ID string }
	if c := s.do("POST", "pushes", offered(f, signed), &begun); c != "" {
		f.Fatal(c)
	}
	if c := s.do("PUT", "pushes/"+begun.ID+"/manifest", manifest, nil); c != "" {
		f.Fatal(c)
	}
	paths := []string{"PUT pushes/" + begun.ID + "/chunks", "POST pushes", "POST hello", "POST v1/digests", "GET pushes/" + begun.ID + "/missing?from=", "PUT pushes/" + begun.ID + "/manifest"}
	f.Add(0, chunkStream(f, 0, chunk))
	f.Add(0, chunkStream(f, 1, chunk))
	f.Add(1, offered(f, store.Signed{}))
	f.Add(2, []byte(`{"protocol":1,"key":"","envelope":""}`))
	f.Add(3, make([]byte, 64))
	f.Add(4, []byte("0"))
	f.Add(5, manifest)
	f.Fuzz(func(t *testing.T, n int, body []byte) {
		method, path, _ := strings.Cut(paths[uint(n)%uint(len(paths))], " ")
		if strings.HasSuffix(path, "from=") {
			path += strings.Trim(fmt.Sprintf("%x", body[:min(len(body), 12)]), "/?#%")
			body = nil
		}
		r := httptest.NewRequest(method, library.PeerPath+path, bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+s.secret)
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		if all, err := a.Images(context.Background()); err != nil || len(all) != 0 {
			t.Fatalf("%d versions, %v", len(all), err)
		}
	})
}

// FuzzBundleImport holds that no file but a signed one becomes a version.
func FuzzBundleImport(f *testing.F) {
	a, _, signed, manifest, chunk, key := besieged(f)
	defer a.EndPushes()
	var whole bytes.Buffer
	w, err := bundle.NewWriter(&whole, signed.Key, signed.Envelope)
	if err != nil {
		f.Fatal(err)
	}
	if err := w.Manifest(bytes.NewReader(manifest)); err != nil {
		f.Fatal(err)
	}
	frame, err := imaging.EncodeChunk(nil, chunk)
	if err != nil {
		f.Fatal(err)
	}
	if err := w.Chunk(imaging.Sum(chunk), len(chunk), frame); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes()[:whole.Len()-32])
	f.Add(whole.Bytes()[:100])
	f.Add([]byte("INGOT"))
	file := filepath.Join(f.TempDir(), "b")
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Equal(b, whole.Bytes()) {
			return
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := a.ImportBundle(context.Background(), "bo", store.BundleImport{File: file, Trust: bundle.Fingerprint(key.Public())}, quiet)
		if err == nil {
			t.Fatalf("%d bytes became a version", len(b))
		}
		if c := job.FaultOf(err).Code; c == job.CodeInternal {
			t.Fatalf("no words for %v", err)
		}
	})
}
