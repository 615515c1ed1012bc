package chunkstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/capture"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
)

func wantFault(t *testing.T, what string, err error, code job.Code) {
	t.Helper()
	var f *job.Fault
	if !errors.As(err, &f) || f.Code != code {
		t.Errorf("%s: %v; want %s", what, err, code)
	}
}

// record is one chunk of an upload; the bytes need not be what they are called.
func record(d imaging.Digest, plain int, frame []byte) []byte {
	b := append([]byte{}, d[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(plain))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	return append(b, frame...)
}

// uploadOf is a stream of chunks as a laptop sends it.
func uploadOf(t testing.TB, chunks ...[]byte) []byte {
	t.Helper()
	b := []byte("INGOTUP1")
	for _, c := range chunks {
		frame, err := imaging.EncodeChunk(nil, c)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, record(imaging.Sum(c), len(c), frame)...)
	}
	return append(b, record(imaging.Digest{}, len(chunks), nil)...)
}

// TestAnUploadIsTakenOnlyAsWhatItIs: each way in which a stream can lie or break is refused in words, and nothing of
// what was wrong is in the store.
func TestAnUploadIsTakenOnlyAsWhatItIs(t *testing.T) {
	good, other := diskBytes(1, 3), diskBytes(2, 3)
	frame, err := imaging.EncodeChunk(nil, good)
	if err != nil {
		t.Fatal(err)
	}
	whole := uploadOf(t, good)
	large := make([]byte, imaging.DefaultParams().Max+imaging.BlockSize)
	many := []byte("INGOTUP1")
	tiny, err := imaging.EncodeChunk(nil, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for range chunkstore.MaxUpload + 1 {
		many = append(many, record(imaging.Sum([]byte("x")), 1, tiny)...)
	}
	magic := []byte("INGOTUP1")
	for name, body := range map[string][]byte{
		"nothing":                     {},
		"another magic":               []byte("INGOTUP2"),
		"a digest of other bytes":     append(append(magic, record(imaging.Sum(other), len(good), frame)...), record(imaging.Digest{}, 1, nil)...),
		"no zstd":                     append(append(magic, record(imaging.Sum(good), len(good), []byte("garbage"))...), record(imaging.Digest{}, 1, nil)...),
		"a length that is too short":  append(append(magic, record(imaging.Sum(good), len(good)-1, frame)...), record(imaging.Digest{}, 1, nil)...),
		"a length that is too long":   append(append(magic, record(imaging.Sum(good), len(good)+1, frame)...), record(imaging.Digest{}, 1, nil)...),
		"an oversized chunk":          uploadOf(t, large),
		"a frame of 4 GiB":            append(append(magic, imaging.Sum(good).String()[:32]...), 1, 0, 0, 0, 255, 255, 255, 255),
		"an empty frame":              append(magic, record(imaging.Sum(good), len(good), nil)...),
		"cut within a head":           whole[:20],
		"cut within a frame":          whole[:60],
		"cut before its end":          whole[:len(whole)-40],
		"an end with another number":  append(append([]byte{}, whole[:len(whole)-40]...), record(imaging.Digest{}, 2, nil)...),
		"something behind its end":    append(append([]byte{}, whole...), 0),
		"more chunks than one stream": many,
		"more bytes than one stream":  append(magic, bytes.Repeat(record(imaging.Sum(good), len(good), frame), chunkstore.MaxUploadBytes/len(frame))...),
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir())
			in := s.NewIntake(1 << 30)
			wantFault(t, "Take", in.Take(bytes.NewReader(body)), job.CodeUpload)
			if err := in.Close(); err != nil {
				t.Error(err)
			}
			if held, err := s.Has(imaging.Sum(other)); held || err != nil {
				t.Errorf("the store holds what never arrived: %v, %v", held, err)
			}
		})
	}
	s := openStore(t, t.TempDir())
	in := s.NewIntake(1 << 30)
	if err := in.Take(bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if plain, err := s.ReadChunk(imaging.Sum(good)); err != nil || !bytes.Equal(plain, good) {
		t.Errorf("the chunk of a whole stream came back as %d bytes, %v", len(plain), err)
	}
	wantFault(t, "Take of an ended intake", in.Take(bytes.NewReader(whole)), job.CodeBusy)
}

func FuzzUpload(f *testing.F) {
	f.Add(uploadOf(f, diskBytes(1, 1), diskBytes(2, 5)))
	f.Add([]byte("INGOTUP1"))
	s := openStore(f, f.TempDir())
	in := s.NewIntake(1 << 20)
	f.Cleanup(func() { in.Close() })
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := in.Take(bytes.NewReader(body)); err != nil {
			var f *job.Fault
			if !errors.As(err, &f) {
				t.Errorf("refused without words: %v", err)
			}
		}
		if answer, err := in.Want(body); err == nil && len(answer) != (len(body)/32+7)/8 {
			t.Errorf("%d bytes were asked, %d answered", len(body), len(answer))
		}
	})
}

// TestALaptopCannotFillTheStore: new bytes are counted against the drive that it said it has.
func TestALaptopCannotFillTheStore(t *testing.T) {
	s := openStore(t, t.TempDir())
	in := s.NewIntake(1 << 20)
	defer in.Close()
	var err error
	for seed := uint64(0); seed < 64 && err == nil; seed++ {
		err = in.Take(bytes.NewReader(uploadOf(t, diskBytes(100+seed, 32))))
	}
	wantFault(t, "64 chunks of 128 KiB for a drive of 1 MiB", err, job.CodeUpload)
}

// TestQuestionsAreBounded: what is no list of digests is refused.
func TestQuestionsAreBounded(t *testing.T) {
	s := openStore(t, t.TempDir())
	in := s.NewIntake(1 << 20)
	defer in.Close()
	for _, n := range []int{0, 1, 31, 33, 32 * (chunkstore.MaxWant + 1)} {
		_, err := in.Want(make([]byte, n))
		wantFault(t, "a question", err, job.CodeUpload)
	}
	answer, err := in.Want(make([]byte, 32*9))
	if err != nil || !bytes.Equal(answer, []byte{0xff, 1}) {
		t.Errorf("Want of nine = %v, %v; want nine bits", answer, err)
	}
}

// taker is the daemon's side of a capture over TLS: before may answer a request in its place.
type taker struct {
	*chunkstore.Client
	in      atomic.Pointer[chunkstore.Intake]
	before  atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]
	uploads atomic.Int64 // chunk streams that were taken
}

func take(t testing.TB, s *chunkstore.Store, disk uint64) *taker {
	k := &taker{}
	k.in.Store(s.NewIntake(disk))
	mux := http.NewServeMux()
	handle := func(path string, do func(r *http.Request) ([]byte, error)) {
		mux.HandleFunc("POST /v1/jobs/job1/"+path, func(w http.ResponseWriter, r *http.Request) {
			if b := k.before.Load(); b != nil && (*b)(w, r) {
				return
			}
			out, err := do(r)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				if err := json.NewEncoder(w).Encode(job.Refusal{Fault: *job.FaultOf(err)}); err != nil {
					t.Error(err)
				}
				return
			}
			w.Write(out)
		})
	}
	handle("want", func(r *http.Request) ([]byte, error) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		return k.in.Load().Want(b)
	})
	handle("chunks", func(r *http.Request) ([]byte, error) {
		k.uploads.Add(1)
		return nil, k.in.Load().Take(r.Body)
	})
	handle("manifest", func(r *http.Request) ([]byte, error) {
		var out job.Recorded
		d, _, err := k.in.Load().Manifest(r.Body, r.ContentLength, func(imaging.Header) error { return nil })
		if job.FaultOf(err).Code == job.CodeLacking {
			out.Lacking = true
		} else if err != nil {
			return nil, err
		} else {
			out.Image = &job.ImageRef{Name: "sales", Number: 1, Manifest: d}
		}
		return json.Marshal(out)
	})
	server := httptest.NewTLSServer(mux)
	t.Cleanup(func() {
		server.Close()
		k.in.Load().Close()
	})
	k.Client = &chunkstore.Client{HTTP: server.Client(), Base: server.URL}
	return k
}

// plainSource is a disk in memory as capture reads it.
type plainSource struct{ *bytes.Reader }

func (p plainSource) SectorSize() int                          { return 512 }
func (p plainSource) NextData(off int64) (int64, int64, error) { return off, p.Size(), nil }
func (p plainSource) Unchanged() error                         { return nil }
func source(disk []byte) plainSource                           { return plainSource{bytes.NewReader(disk)} }

// sent is capture's Manifests that only keeps the file.
type sent struct {
	t testing.TB
	f *os.File
}

func (s *sent) CreateManifest() (*os.File, error) {
	return os.Create(filepath.Join(s.t.TempDir(), "manifest"))
}

func (s *sent) PutManifest(f *os.File) (imaging.Digest, error) {
	s.f = f
	info, err := f.Stat()
	if err != nil {
		return imaging.Digest{}, err
	}
	m, err := imaging.OpenManifest(f, info.Size())
	if err != nil {
		return imaging.Digest{}, err
	}
	return m.Digest(), nil
}

func (s *sent) DropManifest(f *os.File) error { return f.Close() }

// captured sends a disk and its manifest.
func captured(ctx context.Context, t testing.TB, k *taker, disk []byte) (u *chunkstore.Upload, out job.Recorded, err error) {
	t.Helper()
	u = k.NewUpload(ctx, "job1", nil)
	m := &sent{t: t}
	if _, err := capture.Run(ctx, source(disk), capture.Sink{Chunks: u, Manifests: m}, capture.Options{}); err != nil {
		return u, out, err
	}
	defer m.f.Close()
	info, err := m.f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	out, err = k.SendManifest(ctx, "job1", m.f, info.Size(), nil)
	return u, out, err
}

func TestACapturedDiskComesBackAsItWas(t *testing.T) {
	s := openStore(t, t.TempDir())
	disk := diskBytes(7, 2500)
	k := take(t, s, uint64(len(disk)))
	u, out, err := captured(t.Context(), t, k, disk)
	if err != nil || out.Image == nil {
		t.Fatalf("the capture ended as %+v, %v", out, err)
	}
	if got := rebuild(t, s, out.Image.Manifest); !bytes.Equal(got, disk) {
		t.Error("the disk differs")
	}
	if u.Sent.Load() == 0 || k.uploads.Load() == 0 {
		t.Error("nothing was sent")
	}
	k.uploads.Store(0)
	again, out2, err := captured(t.Context(), t, k, disk)
	if err != nil || out2.Image == nil || out2.Image.Manifest != out.Image.Manifest {
		t.Fatalf("the second capture ended as %+v, %v", out2, err)
	}
	if n := again.Sent.Load(); n != 0 || k.uploads.Load() != 0 {
		t.Errorf("the second capture sent %d bytes in %d streams; the library holds them all", n, k.uploads.Load())
	}
	if again.Held.Load() == 0 {
		t.Error("the second capture counted nothing as held")
	}
}

// TestWhatArrivedIsNotSentTwice ends the first capture in the middle, the daemon's side too.
func TestWhatArrivedIsNotSentTwice(t *testing.T) {
	s := openStore(t, t.TempDir())
	disk := diskBytes(8, 6000)
	k := take(t, s, uint64(len(disk)))
	ctx, cancel := context.WithCancel(t.Context())
	stop := func(w http.ResponseWriter, r *http.Request) bool {
		if k.uploads.Load() >= 2 {
			cancel()
			return true
		}
		return false
	}
	k.before.Store(&stop)
	first, _, err := captured(ctx, t, k, disk)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the first capture ended as %v", err)
	}
	k.before.Store(nil)
	if err := k.in.Load().Close(); err != nil {
		t.Fatal(err)
	}
	k.in.Store(s.NewIntake(uint64(len(disk))))
	second, out, err := captured(t.Context(), t, k, disk)
	if err != nil || out.Image == nil {
		t.Fatalf("the second capture ended as %+v, %v", out, err)
	}
	if !bytes.Equal(rebuild(t, s, out.Image.Manifest), disk) {
		t.Error("the disk differs")
	}
	third := openStore(t, t.TempDir())
	all, _, err := captured(t.Context(), t, take(t, third, uint64(len(disk))), disk)
	if err != nil {
		t.Fatal(err)
	}
	if f, n, a := first.Sent.Load(), second.Sent.Load(), all.Sent.Load(); f == 0 || n >= a || f+n > a+a/4 {
		t.Errorf("%d bytes were sent first, %d then; one capture alone sends %d", f, n, a)
	}
}

// TestAServerThatIsAwayIsWaitedFor: its answers fail for a while, in every way.
func TestAServerThatIsAwayIsWaitedFor(t *testing.T) {
	s := openStore(t, t.TempDir())
	disk := diskBytes(9, 2000)
	k := take(t, s, uint64(len(disk)))
	var n atomic.Int64
	away := func(w http.ResponseWriter, r *http.Request) bool {
		at := n.Add(1)
		if at > 9 {
			return false
		}
		switch at % 3 {
		case 0:
			w.WriteHeader(http.StatusServiceUnavailable)
			json.NewEncoder(w).Encode(job.Refusal{Fault: *job.Faultf(job.CodeBusy, "")})
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			w.WriteHeader(http.StatusInternalServerError)
			json.NewEncoder(w).Encode(job.Refusal{Fault: *job.Faultf(job.CodeFull, "")})
		}
		return true
	}
	k.before.Store(&away)
	_, out, err := captured(t.Context(), t, k, disk)
	if err != nil || out.Image == nil {
		t.Fatalf("the capture ended as %+v, %v", out, err)
	}
	if !bytes.Equal(rebuild(t, s, out.Image.Manifest), disk) {
		t.Error("the disk differs")
	}
}

// TestARefusalEndsTheCapture: what repeating cannot mend is not repeated.
func TestARefusalEndsTheCapture(t *testing.T) {
	s := openStore(t, t.TempDir())
	disk := diskBytes(10, 4000)
	k := take(t, s, uint64(len(disk)))
	refuse := func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "chunks") {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		json.NewEncoder(w).Encode(job.Refusal{Fault: *job.Faultf(job.CodeJobKey, "")})
		return true
	}
	k.before.Store(&refuse)
	started := time.Now()
	_, _, err := captured(t.Context(), t, k, disk)
	wantFault(t, "a capture that is refused", err, job.CodeJobKey)
	if d := time.Since(started); d > time.Minute {
		t.Errorf("it took %s to see it", d)
	}
}

// TestAManifestIsTakenOnlyWhole: each manifest that is not right is refused, and none is in the store.
func TestAManifestIsTakenOnlyWhole(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	disk := diskBytes(11, 500)
	m := &sent{t: t}
	other := openStore(t, t.TempDir())
	u := take(t, other, uint64(len(disk))).NewUpload(t.Context(), "job1", nil)
	if _, err := capture.Run(t.Context(), source(disk), capture.Sink{Chunks: u, Manifests: m}, capture.Options{}); err != nil {
		t.Fatal(err)
	}
	defer m.f.Close()
	body, err := os.ReadFile(m.f.Name())
	if err != nil {
		t.Fatal(err)
	}
	agree := func(imaging.Header) error { return nil }
	flipped := bytes.Clone(body)
	flipped[len(flipped)-20] ^= 1
	in := s.NewIntake(uint64(len(disk)))
	defer in.Close()
	for _, c := range []struct {
		name  string
		body  []byte
		size  int64
		check func(imaging.Header) error
		want  job.Code
	}{
		{"chunks that are absent", body, int64(len(body)), agree, job.CodeLacking},
		{"a flipped bit in a record", flipped, int64(len(body)), agree, job.CodeUpload},
		{"no manifest", []byte("no manifest at all, but some bytes of text"), 42, agree, job.CodeUpload},
		{"cut off", body[:len(body)-1], int64(len(body)), agree, job.CodeUpload},
		{"longer than announced", append(bytes.Clone(body), 0), int64(len(body)), agree, job.CodeUpload},
		{"of no size", nil, 0, agree, job.CodeUpload},
		{"of unknown size", body, -1, agree, job.CodeUpload},
		{"larger than the drive allows", body, 1 << 40, agree, job.CodeUpload},
		{"of another drive", body, int64(len(body)), func(imaging.Header) error { return job.Faultf(job.CodeWrongDrive, "") }, job.CodeWrongDrive},
	} {
		_, _, err := in.Manifest(bytes.NewReader(c.body), c.size, c.check)
		wantFault(t, c.name, err, c.want)
	}
	if n := files(t, dir, "manifests", ""); len(n) != 0 {
		t.Errorf("the store holds %v", n)
	}
}
