package deploy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/store"
)

// captureBench is a bench with a real library.
type captureBench struct {
	*bench
	packs *chunkstore.Store
}

func newCaptureBench(t *testing.T) captureBench {
	b := captureBench{bench: newBench(t)}
	b.stop()
	packs, err := chunkstore.Open(filepath.Join(b.dir, "chunks"))
	must(t, err)
	b.packs = packs
	b.tune = func(cfg *deploy.Config) {
		lib := &library.Library{DB: cfg.DB, Store: packs}
		cfg.Intake = func(n uint64) deploy.Intake { return lib.Begin(n) }
	}
	b.start()
	t.Cleanup(func() { b.stop(); packs.Close() })
	return b
}

// drive is what a laptop would find on its drive: some chunks, and the list of it.
type drive struct {
	chunks   [][]byte
	list     []byte
	manifest imaging.Digest
}

const driveSize = 16 << 30 // of the laptops of this package

// driveOf makes the list of a drive that holds the chunks and nothing else.
func driveOf(t *testing.T, tune func(*imaging.Header), chunks ...[]byte) drive {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "list"))
	must(t, err)
	defer f.Close()
	h := imaging.Header{DiskSize: driveSize, SectorSize: 512, Table: "none", Params: imaging.DefaultParams(), OS: imaging.OSInfo{ID: "debian", Name: "Debian"}}
	if tune != nil {
		tune(&h)
	}
	w, err := imaging.NewManifestWriter(f, h)
	must(t, err)
	at := uint64(0)
	for _, c := range chunks {
		must(t, w.Append(imaging.Extent{Offset: at, Length: uint64(len(c)), Kind: imaging.Data, Digest: imaging.Sum(c)}))
		at += uint64(len(c))
	}
	must(t, w.Append(imaging.Extent{Offset: at, Length: h.DiskSize - at, Kind: imaging.Free}))
	d := drive{chunks: chunks}
	d.manifest, err = w.Finish()
	must(t, err)
	d.list, err = os.ReadFile(f.Name())
	must(t, err)
	return d
}

func someChunks(n int) (out [][]byte) {
	for i := range n {
		c := bytes.Repeat([]byte{byte(i), byte(i >> 8), 7, 9}, 2048)
		out = append(out, c)
	}
	return out
}

// streamOf is the chunks as a laptop sends them.
func streamOf(t *testing.T, chunks ...[]byte) []byte {
	t.Helper()
	b := []byte("INGOTUP1")
	add := func(d imaging.Digest, plain int, frame []byte) {
		b = append(b, d[:]...)
		b = binary.LittleEndian.AppendUint32(b, uint32(plain))
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(frame))), frame...)
	}
	for _, c := range chunks {
		frame, err := imaging.EncodeChunk(nil, c)
		must(t, err)
		add(imaging.Sum(c), len(c), frame)
	}
	add(imaging.Digest{}, len(chunks), nil)
	return b
}

func (b captureBench) capture(device string, change func(*store.Capture)) (store.JobView, error) {
	o := store.Capture{Device: device, Image: "ref", Label: "1", Note: "first"}
	if change != nil {
		change(&o)
	}
	return b.s.Capture(context.Background(), "anna", o)
}

// brings reports states up to and with the last.
func (l *laptop) brings(j job.Job, states ...job.State) {
	l.b.t.Helper()
	for _, s := range states {
		l.seq++
		_, err := l.c.State(context.Background(), j.ID, job.StateEvent{Seq: l.seq, State: s})
		must(l.b.t, err)
	}
}

// post sends bytes to a path of the job and gives status and body.
func (l *laptop) post(t *testing.T, c *http.Client, id job.ID, what string, body []byte) (int, []byte) {
	t.Helper()
	res, err := c.Post(l.b.base+"/v1/jobs/"+string(id)+"/"+what, "application/octet-stream", bytes.NewReader(body))
	must(t, err)
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, out
}

func recordedOf(t *testing.T, body []byte) (r job.Recorded) {
	t.Helper()
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return r
}

func TestACaptureIsTakenInAndBecomesADraft(t *testing.T) {
	b := newCaptureBench(t)
	l := b.adopted("ABC1234", "REF-1")
	before := b.device("REF-1")
	if _, err := b.capture("REF-1", nil); err != nil {
		t.Fatal(err)
	}
	j := l.work()
	if j.Kind != job.Capture || j.Target.Serial != "DRV-ABC1234" || j.Target.SizeBytes != driveSize || !j.Image.Manifest.IsZero() || j.Capture == nil || j.After != job.PowerOff {
		t.Fatalf("the job is %+v", j)
	}
	d := driveOf(t, nil, someChunks(20)...)
	c := l.c.HTTP()
	l.brings(j, job.Claimed, job.Reading)
	var ask []byte
	for _, c := range d.chunks {
		sum := imaging.Sum(c)
		ask = append(ask, sum[:]...)
	}
	if status, lacks := l.post(t, c, j.ID, "want", ask); status != 200 || !bytes.Equal(lacks, []byte{0xff, 0xff, 0x0f}) {
		t.Fatalf("want: %d %v; want all twenty", status, lacks)
	}
	if status, body := l.post(t, c, j.ID, "chunks", streamOf(t, d.chunks[:15]...)); status != 204 {
		t.Fatalf("chunks: %d %s", status, body)
	}
	if status, lacks := l.post(t, c, j.ID, "want", ask); status != 200 || !bytes.Equal(lacks, []byte{0, 0x80, 0x0f}) {
		t.Errorf("want: %d %v; want the last five", status, lacks)
	}
	l.brings(j, job.Uploaded)
	if status, body := l.post(t, c, j.ID, "manifest", d.list); status != 200 || !recordedOf(t, body).Lacking {
		t.Fatalf("manifest: %d %s; want lacking", status, body)
	}
	if status, body := l.post(t, c, j.ID, "chunks", streamOf(t, d.chunks[15:]...)); status != 204 {
		t.Fatalf("chunks: %d %s", status, body)
	}
	for range 2 { // the answer to the first may be lost
		status, body := l.post(t, c, j.ID, "manifest", d.list)
		if r := recordedOf(t, body); status != 200 || r.Image == nil || r.Image.String() != "ref@1" || r.Image.Manifest != d.manifest || r.Known {
			t.Fatalf("manifest: %d %s; want ref@1", status, body)
		}
	}
	res := job.Result{Job: j.ID, State: job.Done, Captured: &job.Captured{Manifest: d.manifest, ReadBytes: 5, Notes: []string{"x\n\x1b"}}}
	for range 2 {
		_, err := l.c.Result(t.Context(), j.ID, res)
		must(t, err)
	}
	v, err := b.s.Job(t.Context(), j.ID)
	must(t, err)
	if v.State != job.Done || v.Result == nil || v.Result.Captured.ReadBytes != 5 || strings.Contains(v.Result.Captured.Notes[0], "\x1b") {
		t.Errorf("the job became %+v", v.Job)
	}
	must(t, b.db.View(func(tx *store.Tx) error {
		v, err := tx.Version("ref", 1)
		must(t, err)
		if v.State != store.Draft || v.Manifest != d.manifest || v.Note != "first" || v.By != "anna" || v.Device != before.ID || v.Kind != store.Golden || !v.Expires.IsZero() {
			t.Errorf("the version is %+v", v)
		}
		return nil
	}))
	after := b.device("REF-1")
	if after.State != before.State || after.Deployment != before.Deployment || after.Name != before.Name {
		t.Errorf("the device became %+v; it was %+v", after.Device, before.Device)
	}
	m, err := b.packs.OpenManifest(d.manifest)
	must(t, err)
	must(t, m.Close())
}

// gcAtOnce is an intake behind whose end a gc begins at once.
type gcAtOnce struct {
	deploy.Intake
	gc   func()
	once *sync.Once
}

func (g gcAtOnce) Close() error {
	err := g.Intake.Close()
	g.once.Do(g.gc)
	return err
}

// TestAGcAtTheEndOfACaptureSparesItsManifest: an intake keeps its manifest from gc until the record does; the record is
// not there before its transaction is. An accepted version had lost its content to a gc that came in between.
func TestAGcAtTheEndOfACaptureSparesItsManifest(t *testing.T) {
	b := newCaptureBench(t)
	b.stop()
	ended := make(chan chunkstore.Swept, 1)
	gc := func() {
		wanted := func(context.Context) (map[imaging.Digest]string, error) {
			out := map[imaging.Digest]string{}
			return out, b.db.View(func(tx *store.Tx) error {
				all, err := tx.Versions("ref")
				for _, v := range all {
					out[v.Manifest] = v.Ref().String()
				}
				return err
			})
		}
		got, err := b.packs.Sweep(context.Background(), chunkstore.SweepOptions{Wanted: wanted})
		if err != nil {
			t.Error(err)
		}
		ended <- got
	}
	b.tune = func(cfg *deploy.Config) {
		lib := &library.Library{DB: cfg.DB, Store: b.packs}
		cfg.Intake = func(n uint64) deploy.Intake { return gcAtOnce{lib.Begin(n), gc, new(sync.Once)} }
		cfg.Log = zerolog.New(io.Discard).Hook(zerolog.HookFunc(func(_ *zerolog.Event, _ zerolog.Level, text string) {
			if text == "job ended" { // its transaction is still open
				time.Sleep(200 * time.Millisecond)
			}
		}))
	}
	b.start()
	l := b.adopted("ABC1234", "REF-1")
	if _, err := b.capture("REF-1", nil); err != nil {
		t.Fatal(err)
	}
	j := l.work()
	d := driveOf(t, nil, someChunks(3)...)
	l.brings(j, job.Claimed, job.Reading)
	if status, body := l.post(t, l.c.HTTP(), j.ID, "chunks", streamOf(t, d.chunks...)); status != 204 {
		t.Fatalf("chunks: %d %s", status, body)
	}
	l.brings(j, job.Uploaded)
	status, body := l.post(t, l.c.HTTP(), j.ID, "manifest", d.list)
	if r := recordedOf(t, body); status != 200 || r.Image == nil {
		t.Fatalf("manifest: %d %s", status, body)
	}
	if got := <-ended; got.Manifests != 0 || got.Chunks == 0 {
		t.Errorf("gc removed %d manifests; %d chunks are needed", got.Manifests, got.Chunks)
	}
	must(t, b.packs.Whole(t.Context(), d.manifest))
}

// TestHostileWordsOnACapture: whoever is not the bound laptop, in the right state of its own capture, brings nothing
// in; and neither does the bound one that does not keep to the protocol.
func TestHostileWordsOnACapture(t *testing.T) {
	b := newCaptureBench(t)
	l := b.adopted("ABC1234", "REF-1")
	other := b.adopted("OTHER99", "REF-2")
	deploying := b.adopted("DEPLOY77", "PC-3")
	if _, err := b.capture("REF-1", nil); err != nil {
		t.Fatal(err)
	}
	b.order("PC-3")
	j, dj := l.work(), deploying.work()
	deploying.reach(dj, job.Writing)
	d := driveOf(t, nil, someChunks(3)...)
	evil := streamOf(t, []byte("evil bytes"))
	lie := bytes.Clone(evil)
	lie[10] ^= 1 // of the digest
	digest := make([]byte, 32)
	l.brings(j, job.Claimed)
	refused := func(name string, c *laptop, id job.ID, what string, body []byte, status int, want job.Code) {
		t.Helper()
		got, answer := c.post(t, c.c.HTTP(), id, what, body)
		var r job.Refusal
		if err := json.Unmarshal(answer, &r); err != nil || got != status || r.Fault.Code != want {
			t.Errorf("%s: %d %s; want %d %s", name, got, answer, status, want)
		}
	}
	for _, what := range []string{"want", "chunks", "manifest"} {
		refused(what+" before it reads", l, j.ID, what, evil, 409, job.CodeState)
		refused(what+" of another laptop's capture", other, j.ID, what, evil, 403, job.CodeJobKey)
		refused(what+" by a laptop that is deployed to", deploying, j.ID, what, evil, 403, job.CodeJobKey)
		refused(what+" into a deploy", deploying, dj.ID, what, evil, 400, job.CodeJobKind)
		refused(what+" of no job", l, "aaaaaaaaaaaaaaaa", what, evil, 404, job.CodeNotFound)
		if status, answer := l.post(t, unknown(), j.ID, what, evil); status != 403 {
			t.Errorf("%s without a key: %d %s; want 403", what, status, answer)
		}
	}
	l.brings(j, job.Reading)
	refused("a manifest before all is sent", l, j.ID, "manifest", d.list, 409, job.CodeState)
	refused("chunks of another laptop's capture", other, j.ID, "chunks", streamOf(t, d.chunks...), 403, job.CodeJobKey)
	refused("a digest of other bytes", l, j.ID, "chunks", lie, 400, job.CodeUpload)
	refused("a stream that breaks off", l, j.ID, "chunks", evil[:len(evil)-3], 400, job.CodeUpload)
	refused("an empty stream", l, j.ID, "chunks", nil, 400, job.CodeUpload)
	refused("a stream beyond every bound", l, j.ID, "chunks", append(evil[:len(evil)-40:len(evil)-40], make([]byte, 17<<20)...), 400, job.CodeUpload)
	refused("half a digest", l, j.ID, "want", digest[:16], 400, job.CodeUpload)
	refused("too many digests", l, j.ID, "want", make([]byte, 32*(chunkstore.MaxWant+1)), 400, job.CodeUpload)
	refused("a question beyond every bound", l, j.ID, "want", make([]byte, 1<<20), 400, job.CodeUpload)
	l.brings(j, job.Uploaded)
	other16 := driveOf(t, func(h *imaging.Header) { h.DiskSize = 15 << 30 }, someChunks(3)...)
	coarse := driveOf(t, func(h *imaging.Header) { h.Params.Max *= 2 }, someChunks(3)...)
	sectors := driveOf(t, func(h *imaging.Header) { h.SectorSize = 4096 }, someChunks(3)...)
	refused("a manifest of a smaller drive", l, j.ID, "manifest", other16.list, 400, job.CodeUpload)
	refused("a manifest of other sectors", l, j.ID, "manifest", sectors.list, 400, job.CodeUpload)
	refused("a manifest that is cut otherwise", l, j.ID, "manifest", coarse.list, 400, job.CodeUpload)
	refused("half a manifest", l, j.ID, "manifest", d.list[:len(d.list)/2], 400, job.CodeUpload)
	refused("no manifest", l, j.ID, "manifest", []byte("no manifest"), 400, job.CodeUpload)
	refused("an empty manifest", l, j.ID, "manifest", nil, 400, job.CodeUpload)
	if status, body := l.post(t, l.c.HTTP(), j.ID, "manifest", d.list); status != 200 || !recordedOf(t, body).Lacking {
		t.Errorf("a manifest of chunks that never came: %d %s; want lacking", status, body)
	}
	_, err := l.c.State(t.Context(), j.ID, job.StateEvent{Seq: l.seq + 1, State: job.Done})
	wantCode(t, "done without a version", err, job.CodeState)
	_, err = l.c.Personal(t.Context(), j.ID)
	wantCode(t, "the secret of a deploy", err, job.CodeState)
	if v, err := b.s.Job(t.Context(), j.ID); err != nil || v.State != job.Uploaded {
		t.Errorf("the job became %s, %v", v.State, err)
	}
	lied := imaging.Sum([]byte("evil bytes"))
	lied[2] ^= 1
	if held, err := b.packs.Has(lied); held || err != nil {
		t.Errorf("the library holds what was refused: %v, %v", held, err)
	}
	// A result that only claims to be done makes no version.
	_, err = l.c.Result(t.Context(), j.ID, job.Result{Job: j.ID, State: job.Done, Captured: &job.Captured{Manifest: d.manifest}})
	wantCode(t, "a result without a version", err, job.CodeIndeterminate)
	must(t, b.db.View(func(tx *store.Tx) error {
		if list, err := tx.Versions("ref"); err != nil || len(list) != 0 {
			t.Errorf("versions %v, %v; want none", list, err)
		}
		return nil
	}))
	if b.device("REF-1").State != store.Ready {
		t.Errorf("the device became %s", b.device("REF-1").State)
	}
	refused("chunks after the end", l, j.ID, "chunks", streamOf(t, d.chunks...), 409, job.CodeState)
}

func TestWhatMayBeCaptured(t *testing.T) {
	b := newCaptureBench(t)
	b.adopted("ABC1234", "REF-1")
	waiting := b.laptop("WAIT5678")
	waiting.boot()
	waiting.sayHello()
	for name, c := range map[string]struct {
		device string
		change func(*store.Capture)
		want   job.Code
	}{
		"with a date":             {"REF-1", func(o *store.Capture) { o.Days = 3 }, job.CodeNotCapturable},
		"a backup with a name":    {"REF-1", func(o *store.Capture) { o.Backup = true }, job.CodeNotCapturable},
		"a backup for ever":       {"REF-1", func(o *store.Capture) { o.Backup, o.Image, o.Days = true, "", 99999 }, job.CodeNotCapturable},
		"a released backup":       {"REF-1", func(o *store.Capture) { o.Backup, o.Image, o.Release = true, "", true }, job.CodeNotCapturable},
		"partition -7":            {"REF-1", func(o *store.Capture) { o.Grow = -7 }, job.CodeNotCapturable},
		"an end that is none":     {"REF-1", func(o *store.Capture) { o.After = "explode" }, job.CodeNotCapturable},
		"a name that is none":     {"REF-1", func(o *store.Capture) { o.Image = "a/b" }, job.CodeBadRequest},
		"a note of two lines":     {"REF-1", func(o *store.Capture) { o.Note = "a\nb" }, job.CodeBadRequest},
		"another drive":           {"REF-1", func(o *store.Capture) { o.Drive = "NOPE" }, job.CodeWrongDrive},
		"a stick":                 {"REF-1", func(o *store.Capture) { o.Drive = "STICK" }, job.CodeWrongDrive},
		"nothing that is known":   {"NOBODY", nil, job.CodeNotFound},
		"what nobody has adopted": {"WAIT5678", nil, job.CodeState},
	} {
		_, err := b.capture(c.device, c.change)
		wantCode(t, name, err, c.want)
	}
	if _, err := b.capture("REF-1", nil); err != nil {
		t.Fatal(err)
	}
	_, err := b.capture("REF-1", nil)
	wantCode(t, "a second order", err, job.CodeBusy)
}

// TestABackupIsOfItsDevice: its version is of kind backup, names the device and goes on a date; the same again is kept
// longer.
func TestABackupIsOfItsDevice(t *testing.T) {
	b := newCaptureBench(t)
	l := b.adopted("ABC1234", "REF-1")
	d := driveOf(t, nil, someChunks(3)...)
	backup := func(days int) store.Version {
		t.Helper()
		o := func(o *store.Capture) { o.Backup, o.Image, o.Note, o.Days, o.After = true, "", "", days, job.Reset }
		if _, err := b.capture("REF-1", o); err != nil {
			t.Fatal(err)
		}
		l.boot()
		l.sayHello()
		j := l.work()
		l.brings(j, job.Claimed, job.Reading)
		if status, body := l.post(t, l.c.HTTP(), j.ID, "chunks", streamOf(t, d.chunks...)); status != 204 {
			t.Fatalf("chunks: %d %s", status, body)
		}
		l.brings(j, job.Uploaded)
		status, body := l.post(t, l.c.HTTP(), j.ID, "manifest", d.list)
		r := recordedOf(t, body)
		if status != 200 || r.Image == nil {
			t.Fatalf("manifest: %d %s", status, body)
		}
		var v store.Version
		must(t, b.db.View(func(tx *store.Tx) (err error) { v, err = tx.Version(r.Image.Name, r.Image.Number); return err }))
		// It goes back to its own system: it is not caught again at once.
		if a, err := b.s.Decide(t.Context(), l.machine()); err != nil || a.Boot {
			t.Errorf("right after its capture it is answered: %+v, %v", a, err)
		}
		b.clk.pass(11 * time.Minute)
		return v
	}
	id := b.device("REF-1").ID
	v := backup(0)
	if want := b.clk.now().Add(-11 * time.Minute).Add(store.BackupDays * 24 * time.Hour); v.Kind != store.Backup || v.Device != id || v.State != store.Draft || !v.Expires.Equal(want) {
		t.Errorf("the backup is %+v; want one of %s until %s", v, id, want)
	}
	longer := backup(200)
	if longer.Number != v.Number || !longer.Expires.After(v.Expires) {
		t.Errorf("the same again is %s until %s; want %s, longer than %s", longer.Ref(), longer.Expires, v.Ref(), v.Expires)
	}
	if shorter := backup(1); !shorter.Expires.Equal(longer.Expires) {
		t.Errorf("a shorter wish made it end at %s; want %s", shorter.Expires, longer.Expires)
	}
}

// TestACaptureGoesOnAfterARestart: of the laptop, then of the daemon. What arrived is not lacking any more.
func TestACaptureGoesOnAfterARestart(t *testing.T) {
	b := newCaptureBench(t)
	l := b.adopted("ABC1234", "REF-1")
	if _, err := b.capture("REF-1", nil); err != nil {
		t.Fatal(err)
	}
	d := driveOf(t, nil, someChunks(3)...)
	j := l.work()
	l.brings(j, job.Claimed, job.Reading)
	send := func(l *laptop, c []byte) {
		t.Helper()
		if status, body := l.post(t, l.c.HTTP(), j.ID, "chunks", streamOf(t, c)); status != 204 {
			t.Fatalf("chunks: %d %s", status, body)
		}
	}
	lacks := func(l *laptop) byte {
		t.Helper()
		var ask []byte
		for _, c := range d.chunks {
			sum := imaging.Sum(c)
			ask = append(ask, sum[:]...)
		}
		status, body := l.post(t, l.c.HTTP(), j.ID, "want", ask)
		if status != 200 || len(body) != 1 {
			t.Fatalf("want: %d %s", status, body)
		}
		return body[0]
	}
	send(l, d.chunks[0])
	b.clk.pass(time.Minute)
	old := l.c.HTTP()
	l.boot()
	l.sayHello()
	if again := l.work(); again.ID != j.ID || again.Resume != job.Reading {
		t.Fatalf("after a restart it works on %+v", again)
	}
	l.brings(j, job.Claimed, job.Reading)
	if n := lacks(l); n != 6 {
		t.Errorf("after the laptop's restart %03b are lacking; want the last two", n)
	}
	if status, _ := l.post(t, old, j.ID, "chunks", streamOf(t, d.chunks[1])); status != 403 {
		t.Errorf("the old key may still send: %d", status)
	}
	send(l, d.chunks[1])
	b.stop()
	b.start()
	b.clk.pass(time.Minute)
	l.boot()
	l.sayHello()
	l.work()
	l.brings(j, job.Claimed, job.Reading)
	if n := lacks(l); n != 4 {
		t.Errorf("after the daemon's restart %03b are lacking; want the last one", n)
	}
	send(l, d.chunks[2])
	l.brings(j, job.Uploaded)
	if _, err := b.s.Cancel(t.Context(), "anna", j.ID); err != nil {
		t.Fatal(err)
	}
	status, body := l.post(t, l.c.HTTP(), j.ID, "manifest", d.list)
	if status == 200 || !strings.Contains(string(body), string(job.CodeCancelled)) {
		t.Errorf("a capture that was stopped is recorded: %d %s", status, body)
	}
	_, err := l.c.Result(t.Context(), j.ID, job.Result{Job: j.ID, State: job.Cancelled})
	must(t, err)
	if v, err := b.s.Job(t.Context(), j.ID); err != nil || v.State != job.Cancelled {
		t.Errorf("the job became %s, %v", v.State, err)
	}
}
