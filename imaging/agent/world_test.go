package agent_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"ingot/firmware/efivar"
	"ingot/imaging"
	"ingot/imaging/agent"
	"ingot/imaging/chunkstore"
	"ingot/imaging/deploy"
	"ingot/imaging/disk"
	"ingot/imaging/job"
	"ingot/imaging/job/client"
	"ingot/imaging/library"
	"ingot/imaging/sign"
	"ingot/imaging/wipe"
	"ingot/store"
)

const mib = 1 << 20

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// golden is an image without a table and its chunks; before sees each chunk that is sent.
type golden struct {
	bytes    []byte
	manifest *imaging.Manifest
	extents  []imaging.Extent
	frames   map[imaging.Digest][]byte

	mu     sync.Mutex
	before func(n uint64, frame []byte) ([]byte, error)
	sent   map[uint64]int
}

func newGolden(t *testing.T, mibs int) *golden {
	b := make([]byte, mibs*mib)
	_, err := rand.Read(b)
	must(t, err)
	for off := 9 * 64 << 10; off < len(b); off += 10 * 64 << 10 {
		clear(b[off : off+64<<10])
	}
	return goldenOf(t, b)
}

// goldenOf makes an image of a disk's bytes.
func goldenOf(t *testing.T, b []byte) *golden {
	g := &golden{bytes: b, frames: map[imaging.Digest][]byte{}, sent: map[uint64]int{}}
	f, err := os.Create(filepath.Join(t.TempDir(), "manifest"))
	must(t, err)
	t.Cleanup(func() { f.Close() })
	w, err := imaging.NewManifestWriter(f, imaging.Header{DiskSize: uint64(len(g.bytes)), SectorSize: 512, Table: "none", Params: imaging.DefaultParams(),
		OS: imaging.OSInfo{ID: "debian", Name: "Debian GNU/Linux 12", Personalise: "linux"}})
	must(t, err)
	for off := 0; off < len(g.bytes); off += 64 << 10 {
		e := imaging.Extent{Offset: uint64(off), Length: 64 << 10, Kind: imaging.Data}
		if bytes.Equal(b[off:off+64<<10], make([]byte, 64<<10)) {
			e.Kind = imaging.Zero
		} else {
			plain := g.bytes[off : off+64<<10]
			e.Digest = imaging.Sum(plain)
			g.frames[e.Digest], err = imaging.EncodeChunk(nil, plain)
			must(t, err)
		}
		must(t, w.Append(e))
		g.extents = append(g.extents, e)
	}
	_, err = w.Finish()
	must(t, err)
	info, err := f.Stat()
	must(t, err)
	g.manifest, err = imaging.OpenManifest(f, info.Size())
	must(t, err)
	return g
}

// keep puts the image into a store in dir.
func (g *golden) keep(t *testing.T, dir string) *chunkstore.Store {
	s, err := chunkstore.Open(dir)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	batch := s.NewBatch()
	f, err := s.CreateManifest()
	must(t, err)
	w, err := imaging.NewManifestWriter(f, g.manifest.Header())
	must(t, err)
	for _, e := range g.extents {
		if e.Kind == imaging.Data {
			_, err := batch.Put(g.bytes[e.Offset:e.End()])
			must(t, err)
		}
		must(t, w.Append(e))
	}
	must(t, batch.Commit())
	_, err = w.Finish()
	must(t, err)
	d, err := s.PutManifest(f)
	must(t, err)
	if d != g.manifest.Digest() {
		t.Fatalf("the store holds %s; want %s", d, g.manifest.Digest())
	}
	return s
}

func (g *golden) OpenManifest(_ context.Context, d imaging.Digest) (*imaging.Manifest, error) {
	if d != g.manifest.Digest() {
		return nil, job.Faultf(job.CodeNotFound, "no such manifest")
	}
	return g.manifest, nil
}

func (g *golden) Fetch(ctx context.Context, _ imaging.Digest, want []disk.Span, fn func(uint64, []byte) error) (fetched uint64, err error) {
	for _, sp := range want {
		for n := sp.First; n <= sp.Last; n++ {
			frame, ok := g.frames[g.extents[n].Digest]
			if !ok { // a zero extent
				continue
			}
			g.mu.Lock()
			before := g.before
			g.sent[n]++
			g.mu.Unlock()
			if before != nil {
				if frame, err = before(n, frame); err != nil {
					return fetched, err
				}
			}
			if ctx.Err() != nil {
				return fetched, ctx.Err()
			}
			fetched += uint64(len(frame))
			if err := fn(n, frame); err != nil {
				return fetched, err
			}
		}
	}
	return fetched, nil
}

// bench is a real daemon's agent side over a real database and TLS.
type bench struct {
	t       *testing.T
	dir     string
	img     *golden
	db      *store.DB
	service *deploy.Service
	base    string
	pin     job.KeyID
	stop    func()
	addr    string
	ahead   atomic.Int64      // the daemon's clock before the real one
	packs   *chunkstore.Store // nil: the chunks come from img, past the wire
	intake  func(deploy.Intake) deploy.Intake
	tune    func(*deploy.Config)
}

func (b *bench) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

func newBench(t *testing.T, img *golden) *bench { return newBenchOver(t, img, nil) }

func newBenchOver(t *testing.T, img *golden, packs *chunkstore.Store) *bench {
	return newBenchWith(t, img, packs, func(*store.Version) {})
}

// newBenchWith lets tune change the version before it is recorded.
func newBenchWith(t *testing.T, img *golden, packs *chunkstore.Store, tune func(*store.Version)) *bench {
	b := &bench{t: t, dir: t.TempDir(), img: img, addr: "127.0.0.1:0", packs: packs, intake: func(i deploy.Intake) deploy.Intake { return i }}
	b.start(func(tx *store.Tx) error {
		h := img.manifest.Header()
		v := store.Version{Image: "sales", Label: "1", State: store.Released, Manifest: img.manifest.Digest(), DiskSize: h.DiskSize,
			NeedBytes: h.DiskSize, SectorSize: h.SectorSize, Table: h.Table, DataExtents: h.DataExtents, ZeroExtents: h.Extents - h.DataExtents,
			OS: h.OS.Name, Personalise: "linux", RootPart: 1}
		tune(&v)
		_, _, err := tx.AddVersion(v)
		return err
	})
	t.Cleanup(func() { b.stop() })
	_, err := b.service.OpenBench(context.Background(), "anna", store.Bench{OpenUntil: time.Now().Add(time.Hour)})
	must(t, err)
	return b
}

// start is also a daemon's restart, on the same folder and port.
func (b *bench) start(seed func(tx *store.Tx) error) {
	b.t.Helper()
	db, err := store.Open(filepath.Join(b.dir, "ingot.db"), store.Options{Now: b.now})
	must(b.t, err)
	if seed != nil {
		must(b.t, db.Update(seed))
	}
	signer, err := sign.LoadOrCreate(filepath.Join(b.dir, "jobs.key"))
	must(b.t, err)
	l, err := deploy.LoadListener(filepath.Join(b.dir, "agent.key"))
	must(b.t, err)
	cfg := deploy.Config{DB: db, Signer: signer, Boot: stage2{}, Log: zerolog.Nop(), Poll: 100 * time.Millisecond, Now: b.now,
		AgentURL: "https://192.0.2.1:8443", AgentPin: l.Pin(), PagesURL: "https://pages", AcceptFileDisks: true}
	if b.packs != nil {
		cfg.Manifests, cfg.Chunks = b.packs.ManifestHandler(), b.packs.StreamHandler()
		lib := &library.Library{DB: db, Store: b.packs}
		cfg.Intake = func(n uint64) deploy.Intake { return b.intake(lib.Begin(n)) }
	}
	if b.tune != nil {
		b.tune(&cfg)
	}
	b.db = db
	b.service, err = deploy.New(cfg)
	must(b.t, err)
	ln, err := l.Listen(b.addr)
	must(b.t, err)
	server := l.Server(b.service.Handler())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			b.t.Error(err)
		}
	}()
	b.addr, b.base, b.pin = ln.Addr().String(), "https://"+ln.Addr().String(), l.Pin()
	b.stop = func() {
		server.Close()
		<-ended
		b.service.Close()
		db.Close()
	}
}

type stage2 struct{ deploy.Boot }

func (stage2) Current() string { return "bundle-00000000000000aa" }

func (stage2) Stage2(string) (job.File, error) {
	return job.File{SHA256: strings.Repeat("a", 64), Size: 1}, nil
}

// laptop is a machine that is made of a file and of what its parts were told.
type laptop struct {
	whileNaming func() // what else happens to the drive then
	b           *bench
	path        string
	drive       job.Drive
	facts       job.Facts
	medium      func(d *disk.Disk) *disk.Disk

	mu       sync.Mutex
	views    []agent.View
	named    []string
	former   []string // of renames
	personal job.Personal
	ended    string
	listed   []job.Drive
	said     chan string
	nameErr  error
	entryErr error // of the firmware that is told of the new system
	hello    job.Hello
	power    job.Power
	keys     *efivar.Keys
	keysErr  error
	stop     chan struct{}
	second   time.Duration // of the countdown

	wiper     agent.Wiper
	wipeClock wipe.Clock
	thaw      func() error
	noSystem  error // why no drive of the laptop can be started
}

func (b *bench) laptop(mibs int) *laptop {
	l := &laptop{b: b, path: filepath.Join(b.t.TempDir(), "drive.img"), said: make(chan string, 1000),
		facts: job.Facts{Manufacturer: "LabCo", Model: "Lap9", Serial: "SER123", UUID: "12345678-9abc-def0-1122-334455667788"}}
	l.hello = job.Hello{Facts: l.facts, Firmware: "uefi", Arch: "x64", MemoryBytes: 8 << 30}
	l.second, l.stop = time.Millisecond, make(chan struct{}, 1)
	must(b.t, os.WriteFile(l.path, nil, 0o600))
	must(b.t, os.Truncate(l.path, int64(mibs)*mib))
	l.drive = job.Drive{Path: l.path, Serial: "NV1", Transport: "nvme", SizeBytes: uint64(mibs) * mib, SectorSize: 512,
		Health: job.Health{State: job.HealthGood}}
	return l
}

// boot starts the laptop: a new key, a new token. The returned wait gives how Run ended.
func (l *laptop) boot(ctx context.Context) (wait func() error) {
	t := l.b.t
	t.Helper()
	token, err := l.b.service.Token(context.Background(), deploy.Machine{MAC: "52:54:00:00:00:01", UUID: l.facts.UUID})
	must(t, err)
	c, err := client.New(l.b.base, l.b.pin)
	must(t, err)
	var images agent.Images = l.b.img
	if l.b.packs != nil {
		images = &chunkstore.Client{HTTP: c.HTTP(), Base: c.Base()}
	}
	a := &agent.Agent{Daemon: c, Images: images, Library: &chunkstore.Client{HTTP: c.HTTP(), Base: c.Base()}, Machine: l, Drives: l, Personaliser: l, Firmware: l, Power: l, Screen: l, Token: token,
		Say: func(s string) { l.said <- s }, Log: zerolog.Nop(), Linger: time.Millisecond,
		Second: l.second, Stop: l.stop, Wiper: l.wiper, WipeClock: l.wipeClock, Thaw: l.thaw}
	done := make(chan error, 1)
	go func() {
		done <- a.Run(ctx)
		c.Close()
	}()
	return func() error { return <-done }
}

// hears waits for a line of the serial console with this beginning.
func (l *laptop) hears(prefix string) string {
	l.b.t.Helper()
	timeout := time.After(20 * time.Second)
	var heard []string
	for {
		select {
		case s := <-l.said:
			heard = append(heard, s)
			if strings.HasPrefix(s, prefix) {
				return s
			}
			if strings.HasPrefix(s, "failed") {
				l.b.t.Fatalf("waiting for %q: %s", prefix, s)
			}
		case <-timeout:
			l.b.t.Fatalf("the console never said %q; it said %q, and the screen shows %+v", prefix, heard, l.lastView())
		}
	}
}

// adoptFirst adopts the waiting laptop, then lets something change before there is an order.
func (l *laptop) adoptFirst(then func()) {
	l.b.t.Helper()
	l.adopt()
	then()
}

// adopt adopts the waiting laptop by its code.
func (l *laptop) adopt() {
	l.b.t.Helper()
	code := strings.TrimPrefix(l.hears("hello accepted code "), "hello accepted code ")
	_, err := l.b.service.Adopt(context.Background(), "anna", store.Adoption{Code: code, Name: "SALES-01"})
	must(l.b.t, err)
}

// order adopts the laptop and orders the image.
func (l *laptop) order() store.JobView {
	l.b.t.Helper()
	l.adopt()
	v, err := l.b.service.Deploy(context.Background(), "anna", store.Order{Device: "SALES-01", Image: "sales"})
	must(l.b.t, err)
	return v
}

func (l *laptop) Prepare(context.Context, job.BootInfo) error { return nil }
func (l *laptop) Unplugged() bool                             { return false }
func (l *laptop) Examine([]job.Drive)                         {}

func (l *laptop) Power() job.Power {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.power
}

func (l *laptop) Keys() (*efivar.Keys, error) { return l.keys, l.keysErr }
func (l *laptop) Describe(context.Context) (job.Hello, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hello, nil
}

func (l *laptop) List() ([]job.Drive, error) {
	if l.listed != nil {
		return l.listed, nil
	}
	return []job.Drive{l.drive}, nil
}

func (l *laptop) Open(want job.Target) (*disk.Disk, error) {
	drives, err := l.List()
	if err != nil {
		return nil, err
	}
	drive, err := disk.Choose(drives, want)
	if err != nil {
		return nil, err
	}
	d, err := disk.OpenFile(l.path, drive)
	if err == nil && l.medium != nil {
		d = l.medium(d)
	}
	return d, err
}

func (l *laptop) OpenReader(want job.Target) (*disk.Reader, error) {
	drives, err := l.List()
	if err != nil {
		return nil, err
	}
	drive, err := disk.ChooseSource(drives, want)
	if err != nil {
		return nil, err
	}
	return disk.OpenFileReader(l.path, drive)
}

func (l *laptop) Fit(context.Context, agent.Written) error { return nil }

func (l *laptop) Personalise(_ context.Context, _ agent.Written, p job.Personal) (job.PersonalisedProof, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.named, l.personal = append(l.named, p.DeviceName), p
	return job.PersonalisedProof{Files: []job.WrittenFile{{Path: "/etc/hostname", Digest: imaging.Sum([]byte(p.DeviceName + "\n"))}}}, l.nameErr
}

func (l *laptop) Rename(ctx context.Context, w agent.Written, p job.Personal, former string) (job.PersonalisedProof, error) {
	l.mu.Lock()
	l.former = append(l.former, former)
	l.mu.Unlock()
	if l.whileNaming != nil {
		l.whileNaming()
	}
	return l.Personalise(ctx, w, p)
}

func (l *laptop) Check(context.Context, agent.Written, []byte) error { return nil }
func (l *laptop) Install(context.Context, agent.Written) (string, error) {
	return "Boot0003", l.entryErr
}
func (l *laptop) Local(context.Context) error { return l.noSystem }

func (l *laptop) Reset() error { l.ended = "reset"; return nil }
func (l *laptop) Off() error   { l.ended = "off"; return nil }

func (l *laptop) Show(v agent.View) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.views = append(l.views, v)
}

func (l *laptop) viewsNow() []agent.View {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]agent.View(nil), l.views...)
}

func truncateTo(path string, size int64) error { return os.Truncate(path, size) }

func (l *laptop) lastView() agent.View {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.views[len(l.views)-1]
}

func (l *laptop) bytes() []byte {
	b, err := os.ReadFile(l.path)
	must(l.b.t, err)
	return b
}

// holds compares the whole image.
func (l *laptop) holds() {
	l.b.t.Helper()
	got := l.bytes()
	for n, e := range l.b.img.extents {
		if string(got[e.Offset:e.End()]) != string(l.b.img.bytes[e.Offset:e.End()]) {
			l.b.t.Fatalf("extent %d at %d is not what the image has", n, e.Offset)
		}
	}
}

func (b *bench) device() store.DeviceView {
	b.t.Helper()
	d, err := b.service.Device(context.Background(), "SALES-01")
	must(b.t, err)
	return d
}

func (g *golden) hook(f func(n uint64, frame []byte) ([]byte, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.before, g.sent = f, map[uint64]int{}
}
