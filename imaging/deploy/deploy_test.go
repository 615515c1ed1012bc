package deploy_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/job/client"
	"ingot/imaging/sign"
	"ingot/store"
)

// clock is the daemon's time, moved by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// bench is a real Service over a real database, behind its real TLS listener.
type bench struct {
	t    testing.TB
	dir  string
	clk  *clock
	db   *store.DB
	s    *deploy.Service
	base string
	pin  job.KeyID
	stop func()
	wait time.Duration // for an approval; 0 is the daemon's own
	tune func(*deploy.Config)
}

var manifest = imaging.Sum([]byte("a manifest"))

func newBench(t testing.TB) *bench {
	b := &bench{t: t, dir: t.TempDir(), clk: &clock{t: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}}
	b.start()
	t.Cleanup(func() { b.stop() })
	b.update(func(tx *store.Tx) error {
		_, _, err := tx.AddVersion(store.Version{Image: "sales", Label: "2026-11", State: store.Released, Manifest: manifest, DiskSize: 8 << 30,
			NeedBytes: 4 << 30, SectorSize: 512, Table: "gpt", DataExtents: 7, ZeroExtents: 2, DataBytes: 5 << 20, ZeroBytes: 2 << 20, OS: "Debian GNU/Linux 12", Personalise: "linux",
			RootPart: 2, GrowPart: 2})
		return err
	})
	if _, err := b.s.OpenBench(context.Background(), "anna", store.Bench{OpenUntil: b.clk.now().Add(4 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	return b
}

// start opens everything, as the daemon does; after stop it is a restart on the same folder.
func (b *bench) start() {
	b.t.Helper()
	db, err := store.Open(filepath.Join(b.dir, "ingot.db"), store.Options{Now: b.clk.now})
	must(b.t, err)
	signer, err := sign.LoadOrCreate(filepath.Join(b.dir, "jobs.key"))
	must(b.t, err)
	l, err := deploy.LoadListener(filepath.Join(b.dir, "agent.key"))
	must(b.t, err)
	content := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "content") })
	cfg := deploy.Config{DB: db, Signer: signer, Manifests: content, Chunks: content, Log: zerolog.Nop(), Now: b.clk.now,
		Poll: 50 * time.Millisecond, AgentURL: "https://10.0.0.1:8443", AgentPin: l.Pin(), PagesURL: "https://pages", ApproveWithin: b.wait}
	if b.tune != nil {
		b.tune(&cfg)
	}
	b.s, err = deploy.New(cfg)
	must(b.t, err)
	ln, err := l.Listen("127.0.0.1:0")
	must(b.t, err)
	server := l.Server(b.s.Handler())
	ended := make(chan struct{})
	go func() { server.Serve(ln); close(ended) }()
	b.db, b.base, b.pin = db, "https://"+ln.Addr().String(), l.Pin()
	b.stop = func() { server.Close(); <-ended; b.s.Close(); db.Close() }
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) update(f func(*store.Tx) error) { b.t.Helper(); must(b.t, b.db.Update(f)) }

func wantCode(t *testing.T, what string, err error, want job.Code) {
	t.Helper()
	var f *job.Fault
	if !errors.As(err, &f) || f.Code != want {
		t.Errorf("%s = %v; want %s", what, err, want)
	}
}

// laptop is one virtual laptop; boot gives it a new key, as each start does.
type laptop struct {
	b     *bench
	hello job.Hello
	mac   string
	c     *client.Client
	pub   ed25519.PublicKey
	seq   uint64
}

func (b *bench) laptop(serial string) *laptop {
	return &laptop{b: b, mac: "52:54:00:00:00:" + fmt.Sprintf("%02x", len(serial)), hello: job.Hello{Version: job.Version,
		Firmware: "uefi", SecureBoot: true, MemoryBytes: 8 << 30,
		Facts: job.Facts{Manufacturer: "Dell Inc.", Model: "Latitude 5440", Serial: serial, UUID: uuidFor(serial)},
		Drives: []job.Drive{{Path: "/dev/nvme0n1", Serial: "DRV-" + serial, WWN: "eui." + serial, Transport: "nvme", SizeBytes: 16 << 30, SectorSize: 512},
			{Path: "/dev/sda", Serial: "STICK", Transport: "usb", SizeBytes: 8 << 30, SectorSize: 512, Removable: true}}}}
}

func uuidFor(serial string) string {
	d := imaging.Sum([]byte(serial))
	return fmt.Sprintf("%x-%x-%x-%x-%x", d[0:4], d[4:6], d[6:8], d[8:10], d[10:16])
}

func (l *laptop) machine() deploy.Machine {
	return deploy.Machine{MAC: l.mac, UUID: l.hello.Facts.UUID}
}

// boot starts the laptop anew: a token, a new key, a new nonce.
func (l *laptop) boot() {
	l.b.t.Helper()
	token, err := l.b.s.Token(context.Background(), l.machine())
	must(l.b.t, err)
	l.hello.Token = token
	l.fresh()
}

// fresh gives the laptop another key and nonce.
func (l *laptop) fresh() {
	l.b.t.Helper()
	c, err := client.New(l.b.base, l.b.pin)
	must(l.b.t, err)
	l.b.t.Cleanup(c.Close)
	sum := imaging.Sum([]byte(c.KeyID()))
	l.c, l.seq, l.hello.Nonce = c, 0, sum.String()[:32]
}

func (l *laptop) sayHello() job.HelloReply {
	l.b.t.Helper()
	r, err := l.c.Hello(context.Background(), l.hello)
	must(l.b.t, err)
	l.pub = r.SigningKey
	return r
}

func (l *laptop) next() job.Next {
	l.b.t.Helper()
	n, err := l.c.Next(context.Background())
	must(l.b.t, err)
	return n
}

// work wants a job and opens it as the agent does.
func (l *laptop) work() job.Job {
	l.b.t.Helper()
	n := l.next()
	if n.Order != job.Work {
		l.b.t.Fatalf("Next = %s (%s); want work", n.Order, n.Say)
	}
	payload, err := sign.Open(l.pub, "job", n.Job)
	must(l.b.t, err)
	var j job.Job
	must(l.b.t, json.Unmarshal(payload, &j))
	if j.AgentKey != l.c.KeyID() || j.Nonce != l.hello.Nonce {
		l.b.t.Fatalf("job bound to %s, nonce %s", j.AgentKey, j.Nonce)
	}
	return j
}

// reach reports the states up to and with the last.
func (l *laptop) reach(j job.Job, last job.State) {
	l.b.t.Helper()
	for _, s := range []job.State{job.Claimed, job.Invalidated, job.Writing, job.Flushed, job.Verified, job.Personalised, job.Committing, job.Committed} {
		l.seq++
		_, err := l.c.State(context.Background(), j.ID, job.StateEvent{Seq: l.seq, State: s})
		must(l.b.t, err)
		if s == last {
			return
		}
	}
}

// adopted is a laptop that was booted and adopted.
func (b *bench) adopted(serial, name string) *laptop {
	b.t.Helper()
	l := b.laptop(serial)
	l.boot()
	_, err := b.s.Adopt(context.Background(), "anna", store.Adoption{Code: l.sayHello().Code, Name: name})
	must(b.t, err)
	return l
}

func (b *bench) order(device string) store.JobView {
	b.t.Helper()
	j, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: device, Image: "sales"})
	must(b.t, err)
	return j
}

func (b *bench) device(ref string) store.DeviceView {
	b.t.Helper()
	d, err := b.s.Device(context.Background(), ref)
	must(b.t, err)
	return d
}

func result(j job.Job) job.Result {
	return job.Result{Job: j.ID, State: job.Done, FetchedBytes: 1000, WrittenBytes: 2000, KeptBytes: 3000, Seconds: 12, DiskTouched: true, Proof: job.Proof{
		Content:      &job.ContentProof{Manifest: j.Image.Manifest, DataExtents: 7, ZeroExtents: 2, FreeExtents: 1, ReadBytes: 6 << 20, Direct: true},
		Personalised: &job.PersonalisedProof{Files: []job.WrittenFile{{Path: "/etc/hostname", Digest: imaging.Sum([]byte(j.DeviceName + "\n"))}}},
		Commit:       &job.CommitProof{Head: imaging.Sum([]byte("head")), BackupGPT: imaging.Sum([]byte("gpt")), BootEntry: "Boot0003"}}}
}

func TestALaptopIsAdoptedDeployedRecordedAndObserved(t *testing.T) {
	b := newBench(t)
	l := b.laptop("ABC1234")
	l.boot()
	code := l.sayHello().Code
	if n := l.next(); n.Order != job.Wait || n.Code != code || len(code) != 9 {
		t.Fatalf("Next = %+v; want wait with code %s", n, code)
	}
	d, err := b.s.Adopt(context.Background(), "anna", store.Adoption{Code: strings.ToLower(code), Name: "SALES-01", Asset: "00815"})
	must(t, err)
	if d.State != store.Ready || d.Name != "SALES-01" || d.Asset != "00815" {
		t.Fatalf("adopted as %+v", d.Device)
	}
	if n := l.next(); n.Order != job.Wait || n.Code != "" {
		t.Fatalf("after adopting Next = %+v; want wait without a code", n)
	}
	b.order("sales-01")
	j := l.work()
	if j.Target.Serial != "DRV-ABC1234" || j.DeviceName != "SALES-01" || j.Image.Manifest != manifest || j.RootPart != 2 || j.Resume != job.Approved {
		t.Errorf("job %+v", j)
	}
	if d := b.device("SALES-01"); d.State != store.Ready {
		t.Errorf("device is %s before the first write; want ready", d.State)
	}
	l.reach(j, job.Verified)
	if d := b.device("SALES-01"); d.State != store.Deploying {
		t.Errorf("device is %s while being written; want deploying", d.State)
	}
	p, err := l.c.Personal(context.Background(), j.ID)
	must(t, err)
	if p.DeviceName != "SALES-01" || p.CallHomePin != b.pin || len(p.CallHomeSecret) < 32 {
		t.Errorf("personal %+v", p)
	}
	for _, s := range []job.State{job.Personalised, job.Committing, job.Committed} {
		l.seq++
		_, err := l.c.State(context.Background(), j.ID, job.StateEvent{Seq: l.seq, State: s})
		must(t, err)
	}
	for range 2 { // the answer to the first may be lost
		_, err = l.c.Result(context.Background(), j.ID, result(j))
		must(t, err)
	}
	d = b.device("SALES-01")
	if d.State != store.Deployed || d.Holds == nil || d.Holds.Image.String() != "sales@1" || d.Holds.Operator != "anna" || d.Deploys != 1 || d.Holds.Observed != nil {
		t.Fatalf("device %+v holds %+v", d.Device, d.Holds)
	}
	home := job.CallHome{Deployment: p.Deployment, Secret: p.CallHomeSecret, Hostname: "SALES-01", OS: "Debian"}
	must(t, b.s.CallHome(context.Background(), "10.0.0.9", home))
	if o := b.device("SALES-01").Holds.Observed; o == nil || o.Hostname != "SALES-01" {
		t.Errorf("observed %+v", o)
	}
	wantCode(t, "a second call home", b.s.CallHome(context.Background(), "10.0.0.9", home), job.CodePolicy)
	if n := l.next(); n.Order != job.Leave {
		t.Errorf("afterwards Next = %s; want leave", n.Order)
	}
}

func TestDoneNeedsItsWholeProof(t *testing.T) {
	for name, spoil := range map[string]func(*job.Result){
		"no content":            func(r *job.Result) { r.Proof.Content = nil },
		"another image":         func(r *job.Result) { r.Proof.Content.Manifest = imaging.Sum(nil) },
		"a data extent missing": func(r *job.Result) { r.Proof.Content.DataExtents-- },
		"a zero extent missing": func(r *job.Result) { r.Proof.Content.ZeroExtents-- },
		"read from the cache":   func(r *job.Result) { r.Proof.Content.Direct = false },
		"no commit":             func(r *job.Result) { r.Proof.Commit = nil },
		"an empty commit":       func(r *job.Result) { r.Proof.Commit.Head = imaging.Digest{} },
		"no name":               func(r *job.Result) { r.Proof.Personalised = nil },
		"no host name":          func(r *job.Result) { r.Proof.Personalised.Files[0].Path = "/etc/hosts" },
		"another name":          func(r *job.Result) { r.Proof.Personalised.Files[0].Digest = imaging.Sum([]byte("PC-2\n")) },
		"too little read":       func(r *job.Result) { r.Proof.Content.ReadBytes = 5 << 20 },
		"no second table":       func(r *job.Result) { r.Proof.Commit.BackupGPT = imaging.Digest{} },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l := b.adopted("ABC1234", "PC-1")
			b.order("PC-1")
			j := l.work()
			l.reach(j, job.Committed)
			r := result(j)
			spoil(&r)
			_, err := l.c.Result(context.Background(), j.ID, r)
			wantCode(t, "Result", err, job.CodeIndeterminate)
			d := b.device("PC-1")
			if d.State != store.Failed || d.Holds != nil {
				t.Errorf("device is %s, holds %v; want failed, nothing", d.State, d.Holds)
			}
		})
	}
	t.Run("without the state committed", func(t *testing.T) {
		b := newBench(t)
		l := b.adopted("ABC1234", "PC-1")
		b.order("PC-1")
		j := l.work()
		l.reach(j, job.Verified)
		_, err := l.c.Result(context.Background(), j.ID, result(j))
		wantCode(t, "Result", err, job.CodeIndeterminate)
	})
}

func TestStateEventsAreIdempotentAndInOrder(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	b.order("PC-1")
	j := l.work()
	ctx := context.Background()
	l.reach(j, job.Writing) // seq 3
	_, err := l.c.State(ctx, j.ID, job.StateEvent{Seq: 3, State: job.Writing})
	must(t, err)
	if v, _ := b.s.Job(ctx, j.ID); len(v.Steps) != 4 {
		t.Errorf("steps %v; a repeated event must have no second effect", v.Steps)
	}
	for name, e := range map[string]job.StateEvent{
		"an old number":        {Seq: 2, State: job.Invalidated},
		"another state":        {Seq: 3, State: job.Flushed},
		"a gap":                {Seq: 5, State: job.Flushed},
		"a jump":               {Seq: 4, State: job.Committed},
		"done without a proof": {Seq: 4, State: job.Done},
		"nonsense":             {Seq: 4, State: "nonsense"},
	} {
		_, err := l.c.State(ctx, j.ID, e)
		wantCode(t, name, err, job.CodeState)
	}
	other := b.adopted("OTHER99", "PC-2")
	_, err = other.c.State(ctx, j.ID, job.StateEvent{Seq: 4, State: job.Flushed})
	wantCode(t, "another laptop's key", err, job.CodeJobKey)
	_, err = other.c.Result(ctx, j.ID, result(j))
	wantCode(t, "another laptop's result", err, job.CodeJobKey)
}

func TestBootTokens(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.laptop("ABC1234")
	l.boot()
	again, err := b.s.Token(ctx, l.machine())
	must(t, err)
	if again != l.hello.Token {
		t.Error("a repeated request within two minutes got another token")
	}
	first := l.sayHello()
	if again := l.sayHello(); again.Code != first.Code || again.Device != first.Device {
		t.Errorf("a resent Hello got %+v; want %+v", again, first)
	}
	thief := b.laptop("THIEF00")
	thief.hello.Token = l.hello.Token
	thief.fresh()
	_, err = thief.c.Hello(ctx, thief.hello)
	wantCode(t, "a second key", err, job.CodeTokenBound)
	l.sayHello()
	if trail, _ := b.s.Audit(ctx, "", 100); !strings.Contains(fmt.Sprint(trail), string(job.CodeTokenBound)) {
		t.Error("the refusal of the second key is not in the audit trail")
	}
	late := b.laptop("LATE123")
	late.boot()
	b.clk.pass(11 * time.Minute)
	_, err = late.c.Hello(ctx, late.hello)
	wantCode(t, "a token of 11 minutes", err, job.CodeToken)
	stranger := b.laptop("NOTOKEN")
	stranger.hello.Token = "made-up"
	stranger.fresh()
	_, err = stranger.c.Hello(ctx, stranger.hello)
	wantCode(t, "a token made up", err, job.CodeToken)
}

func TestTokensAndJobsOutliveTheDaemon(t *testing.T) {
	b := newBench(t)
	early := b.laptop("EARLY12")
	early.boot() // booting while the daemon dies
	l := b.adopted("ABC1234", "PC-1")
	b.order("PC-1")
	j := l.work()
	l.reach(j, job.Writing)
	b.stop()
	b.start()
	early.fresh()
	early.sayHello()
	// The running agent goes on with its key at the new address; its connection is the only thing that is new.
	if _, err := b.s.State(context.Background(), l.c.KeyID(), j.ID, job.StateEvent{Seq: 4, State: job.Flushed}); err != nil {
		t.Errorf("the running agent after a restart: %v", err)
	}
}

func TestAfterARestartTheJobIsBoundAnewToTheSameLaptopOnly(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*laptop)
		wait   time.Duration
		want   job.Order
	}{
		"the same laptop":         {func(*laptop) {}, 31 * time.Second, job.Work},
		"the old key still heard": {func(*laptop) {}, time.Second, job.Wait},
		"another drive":           {func(l *laptop) { l.hello.Drives[0].Serial = "ELSE" }, 31 * time.Second, job.Leave},
		"a drive of another size": {func(l *laptop) { l.hello.Drives[0].SizeBytes++ }, 31 * time.Second, job.Leave},
		"another WWN":             {func(l *laptop) { l.hello.Drives[0].WWN = "eui.0" }, 31 * time.Second, job.Leave},
		"another UUID":            {func(l *laptop) { l.hello.Facts.UUID = uuidFor("x") }, 31 * time.Second, job.Wait}, // quarantined
		"after the window":        {func(*laptop) {}, 61 * time.Minute, job.Leave},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l := b.adopted("ABC1234", "PC-1")
			b.order("PC-1")
			j := l.work()
			l.reach(j, job.Writing)
			old := *l
			c.change(l)
			b.clk.pass(c.wait)
			l.boot()
			l.sayHello()
			n := l.next()
			if n.Order != c.want {
				t.Fatalf("Next = %s (%s); want %s", n.Order, n.Say, c.want)
			}
			v, err := b.s.Job(context.Background(), j.ID)
			must(t, err)
			if c.want != job.Work {
				if v.AgentKey != old.c.KeyID() || v.State != job.Writing {
					t.Errorf("the job is %s, bound to %s; want untouched", v.State, v.AgentKey)
				}
				return
			}
			again := l.work()
			if again.Resume != job.Writing || again.ID != j.ID {
				t.Errorf("bound anew with resume %s; want writing", again.Resume)
			}
			_, err = old.c.State(context.Background(), j.ID, job.StateEvent{Seq: 4, State: job.Flushed})
			wantCode(t, "the old key", err, job.CodeJobKey)
			l.reach(again, job.Invalidated)
		})
	}
}

func TestTwoLiveLaptopsUnderOneIdentityAreQuarantined(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	b.order("PC-1")
	j := l.work()
	l.reach(j, job.Writing)
	twin := b.laptop("ABC1234")
	b.clk.pass(3 * time.Minute)
	twin.boot()
	_, err := l.c.Progress(context.Background(), j.ID, job.Progress{Phase: "writing"})
	must(t, err)
	twin.sayHello()
	for range 4 {
		b.clk.pass(25 * time.Second)
		_, err := l.c.Progress(context.Background(), j.ID, job.Progress{Phase: "writing"})
		must(t, err)
		if n := twin.next(); n.Order == job.Work {
			t.Fatal("the twin got the job")
		}
	}
	if d := b.device("PC-1"); d.State != store.Quarantined {
		t.Errorf("device is %s; want quarantined", d.State)
	}
	for _, s := range []job.State{job.Flushed, job.Verified, job.Personalised, job.Committing, job.Committed} {
		l.seq++
		_, err := l.c.State(context.Background(), j.ID, job.StateEvent{Seq: l.seq, State: s})
		must(t, err)
	}
	_, err = l.c.Result(context.Background(), j.ID, result(j))
	must(t, err)
	if d := b.device("PC-1"); d.State != store.Quarantined || d.Holds == nil {
		t.Errorf("after its job device is %s; want quarantined until a person settles it, with its record", d.State)
	}
}

func TestIdentity(t *testing.T) {
	b := newBench(t)
	known := b.adopted("ABC1234", "PC-1")
	id := b.device("PC-1").ID
	swapped := func(s string) string {
		return s[6:8] + s[4:6] + s[2:4] + s[0:2] + "-" + s[11:13] + s[9:11] + "-" + s[16:18] + s[14:16] + s[18:]
	}
	for _, c := range []struct {
		name   string
		change func(*laptop)
		same   bool
		state  store.DeviceState
	}{
		{"the same laptop", func(*laptop) {}, true, store.Ready},
		{"its UUID in the other byte order", func(l *laptop) { l.hello.Facts.UUID = swapped(l.hello.Facts.UUID) }, true, store.Ready},
		{"its serial in another case", func(l *laptop) { l.hello.Facts.Serial = " abc1234 " }, true, store.Ready},
		{"a junk UUID", func(l *laptop) { l.hello.Facts.UUID = "03000200-0400-0500-0006-000700080009" }, true, store.Ready},
		{"a junk serial", func(l *laptop) { l.hello.Facts.Serial = "To Be Filled By O.E.M." }, true, store.Ready},
		{"another MAC", func(l *laptop) { l.mac = "52:54:00:ff:ff:01" }, true, store.Ready},
		{"only the MAC is the same", func(l *laptop) { l.hello.Facts.Serial, l.hello.Facts.UUID = "ZZZ9999", uuidFor("z") }, false, store.New},
		{"the serial of another maker", func(l *laptop) { l.hello.Facts.Manufacturer, l.hello.Facts.UUID = "HP", uuidFor("hp") }, false, store.New},
		{"its serial with another UUID", func(l *laptop) { l.hello.Facts.UUID = uuidFor("other") }, false, store.Quarantined},
		{"its UUID with another serial", func(l *laptop) { l.hello.Facts.Serial = "OTHER77" }, false, store.Quarantined},
	} {
		l := b.laptop("ABC1234")
		l.mac = known.mac
		c.change(l)
		b.clk.pass(16 * time.Minute)
		l.boot()
		r := l.sayHello()
		d := b.device(r.Device)
		if (r.Device == id) != c.same || d.State != c.state {
			t.Errorf("%s: device %s is %s; want same %v, %s", c.name, r.Device, d.State, c.same, c.state)
		}
		if d.State == store.Quarantined {
			l.boot()
			if again := l.sayHello(); again.Device != r.Device {
				t.Errorf("%s: its restart made another record", c.name)
			}
			if n := l.next(); n.Order != job.Wait || n.Code != "" {
				t.Errorf("%s: Next = %+v; want wait without a code", c.name, n)
			}
		}
	}
}

func TestOrdersThatAreRefused(t *testing.T) {
	b := newBench(t)
	b.update(func(tx *store.Tx) error {
		for _, v := range []store.Version{
			{Image: "windows", State: store.Released, Manifest: imaging.Sum([]byte("w")), SectorSize: 512, NeedBytes: 1},
			{Image: "big", State: store.Released, Manifest: imaging.Sum([]byte("b")), SectorSize: 512, NeedBytes: 1 << 40, Personalise: "linux"},
			{Image: "4kn", State: store.Released, Manifest: imaging.Sum([]byte("4")), SectorSize: 4096, NeedBytes: 1, Personalise: "linux"},
			{Image: "bios", State: store.Released, Manifest: imaging.Sum([]byte("i")), SectorSize: 512, NeedBytes: 1, Personalise: "linux", Firmware: []string{"bios"}},
			{Image: "xfs", State: store.Released, Manifest: imaging.Sum([]byte("x")), SectorSize: 512, DiskSize: 8 << 30, NeedBytes: 8 << 30, Personalise: "linux", GrowPart: 2, GrowWhy: "Partition 2 holds xfs."},
			{Image: "xfsfits", State: store.Released, Manifest: imaging.Sum([]byte("f")), SectorSize: 512, DiskSize: 16 << 30, NeedBytes: 16 << 30, Personalise: "linux", GrowPart: 2, GrowWhy: "Partition 2 holds xfs."},
			{Image: "old", State: store.Withdrawn, Manifest: imaging.Sum([]byte("o")), SectorSize: 512, NeedBytes: 1, Personalise: "linux"},
		} {
			if _, _, err := tx.AddVersion(v); err != nil {
				return err
			}
		}
		return nil
	})
	b.adopted("ABC1234", "PC-1")
	waiting := b.laptop("WAITING")
	waiting.boot()
	waiting.sayHello()
	two := b.laptop("TWODRVS")
	two.hello.Drives = append(two.hello.Drives, job.Drive{Path: "/dev/sdb", Serial: "SECOND", Transport: "sata", SizeBytes: 16 << 30, SectorSize: 512})
	two.boot()
	_, err := b.s.Adopt(context.Background(), "anna", store.Adoption{Code: two.sayHello().Code, Name: "PC-2"})
	must(t, err)
	none := b.laptop("NODRIVE")
	none.hello.Drives = none.hello.Drives[1:]
	none.boot()
	_, err = b.s.Adopt(context.Background(), "anna", store.Adoption{Code: none.sayHello().Code, Name: "PC-3"})
	must(t, err)
	for _, c := range []struct {
		name string
		o    store.Order
		want job.Code
	}{
		{"an unknown device", store.Order{Device: "nobody", Image: "sales"}, job.CodeNotFound},
		{"an unknown image", store.Order{Device: "PC-1", Image: "nothing"}, job.CodeNotFound},
		{"neither image nor role", store.Order{Device: "PC-1"}, job.CodeBadRequest},
		{"an unknown role", store.Order{Device: "PC-1", Role: "x"}, job.CodeNotFound},
		{"a laptop not adopted", store.Order{Device: "WAITING", Image: "sales"}, job.CodeState},
		{"several drives without a rule", store.Order{Device: "PC-2", Image: "sales"}, job.CodeManyDrives},
		{"a removable drive by serial", store.Order{Device: "PC-2", Image: "sales", Drive: "STICK"}, job.CodeWrongDrive},
		{"no internal drive", store.Order{Device: "PC-3", Image: "sales"}, job.CodeNoDrive},
		{"a system that cannot be named", store.Order{Device: "PC-1", Image: "windows"}, job.CodeUnknownOS},
		{"a drive too small", store.Order{Device: "PC-1", Image: "big"}, job.CodeSmallDrive},
		{"other sectors", store.Order{Device: "PC-1", Image: "4kn"}, job.CodeSectorSize},
		{"another firmware", store.Order{Device: "PC-1", Image: "bios"}, job.CodeFirmwareMode},
		{"a larger drive for what cannot grow", store.Order{Device: "PC-1", Image: "xfs"}, job.CodeLayout},
		{"a withdrawn version", store.Order{Device: "PC-1", Image: "old@1"}, job.CodeWithdrawn},
		{"a name that is taken", store.Order{Device: "PC-1", Image: "sales", Name: "pc-2"}, job.CodeNameTaken},
		{"a name too long", store.Order{Device: "PC-1", Image: "sales", Name: "ABCDEFGHIJKLMNOP"}, job.CodeNameInvalid},
		{"another end", store.Order{Device: "PC-1", Image: "sales", After: "explode"}, job.CodeBadRequest},
	} {
		_, err := b.s.Deploy(context.Background(), "anna", c.o)
		wantCode(t, c.name, err, c.want)
	}
	if jobs, _ := b.s.Jobs(context.Background(), true); len(jobs) != 0 {
		t.Errorf("refused orders left %d jobs", len(jobs))
	}
	b.order("PC-1")
	_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "sales"})
	wantCode(t, "a second order", err, job.CodeBusy)
	j, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-2", Image: "windows", Drive: "SECOND", NoPersonalise: true})
	must(t, err)
	_, err = b.s.Cancel(context.Background(), "anna", j.ID)
	must(t, err)
	_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-2", Image: "xfsfits", Drive: "SECOND"})
	must(t, err) // what cannot grow fits a drive of its disk's size
	if j.Personalise || j.Target.Serial != "SECOND" {
		t.Errorf("job %+v", j.Job)
	}
}

func TestADeviceInUseIsImagedAgainOnlyWithItsNameTyped(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	b.order("PC-1")
	j := l.work()
	l.reach(j, job.Committed)
	_, err := l.c.Result(context.Background(), j.ID, result(j))
	must(t, err)
	for name, o := range map[string]store.Order{
		"nothing said":   {},
		"no name":        {DataSaved: true},
		"another name":   {DataSaved: true, Confirm: "PC-2"},
		"another serial": {DataSaved: true, Confirm: "ABC1235"},
		"a blank":        {DataSaved: true, Confirm: " "},
		"data not saved": {Confirm: "PC-1"},
	} {
		o.Device, o.Image = "PC-1", "sales"
		_, err := b.s.Deploy(context.Background(), "anna", o)
		wantCode(t, name, err, job.CodeUnconfirmed)
	}
	v, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "sales", DataSaved: true, Confirm: "pc-1"})
	must(t, err)
	if v.DeviceName != "PC-1" {
		t.Errorf("the name became %q", v.DeviceName)
	}
	_, err = b.s.Cancel(context.Background(), "anna", v.ID)
	must(t, err)
	_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "sales", DataSaved: true, Confirm: " abc1234 "})
	must(t, err)
}

func TestCancel(t *testing.T) {
	ctx := context.Background()
	t.Run("before a laptop took it", func(t *testing.T) {
		b := newBench(t)
		l := b.adopted("ABC1234", "PC-1")
		v, err := b.s.Cancel(ctx, "ben", b.order("PC-1").ID)
		must(t, err)
		if v.State != job.Cancelled || b.device("PC-1").State != store.Ready {
			t.Errorf("job %s, device %s", v.State, b.device("PC-1").State)
		}
		if n := l.next(); n.Order != job.Wait {
			t.Errorf("Next = %s; want wait", n.Order)
		}
	})
	t.Run("before the first write the step to it is not taken", func(t *testing.T) {
		b := newBench(t)
		l := b.adopted("ABC1234", "PC-1")
		b.order("PC-1")
		j := l.work()
		l.reach(j, job.Claimed)
		_, err := b.s.Cancel(ctx, "ben", j.ID)
		must(t, err)
		for range 2 {
			ack, err := l.c.State(ctx, j.ID, job.StateEvent{Seq: 2, State: job.Invalidated})
			must(t, err)
			if !ack.Cancel {
				t.Fatal("the step to the first write was acknowledged without the wish to stop")
			}
		}
		_, err = l.c.Result(ctx, j.ID, job.Result{Job: j.ID, State: job.Cancelled})
		must(t, err)
		if d := b.device("PC-1"); d.State != store.Ready {
			t.Errorf("device is %s; want ready: nothing was written", d.State)
		}
	})
	t.Run("after the first write the laptop is not usable", func(t *testing.T) {
		b := newBench(t)
		l := b.adopted("ABC1234", "PC-1")
		b.order("PC-1")
		j := l.work()
		l.reach(j, job.Writing)
		_, err := b.s.Cancel(ctx, "ben", j.ID)
		must(t, err)
		ack, err := l.c.Progress(ctx, j.ID, job.Progress{Phase: "writing"})
		must(t, err)
		if !ack.Cancel {
			t.Error("Progress did not carry the wish to stop")
		}
		_, err = l.c.Result(ctx, j.ID, job.Result{Job: j.ID, State: job.Cancelled, DiskTouched: true})
		must(t, err)
		if d := b.device("PC-1"); d.State != store.Failed || d.Name != "PC-1" {
			t.Errorf("device is %s, name %q; want failed with its name", d.State, d.Name)
		}
	})
	t.Run("not when it has written meanwhile and nobody agreed to that", func(t *testing.T) {
		b := newBench(t)
		l := b.adopted("ABC1234", "PC-1")
		b.order("PC-1")
		j := l.work()
		untouched := store.WithStamp(ctx, store.Stamp{Untouched: true})
		l.reach(j, job.Invalidated)
		_, err := b.s.Cancel(untouched, "ben", j.ID)
		wantCode(t, "Cancel", err, job.CodeStale)
		ack, err := l.c.Progress(ctx, j.ID, job.Progress{Phase: "writing"})
		if err != nil || ack.Cancel {
			t.Errorf("the refused wish to stop reached the laptop: %+v, %v", ack, err)
		}
	})
	t.Run("not while the disk is being committed", func(t *testing.T) {
		b := newBench(t)
		l := b.adopted("ABC1234", "PC-1")
		b.order("PC-1")
		j := l.work()
		l.reach(j, job.Committing)
		_, err := b.s.Cancel(ctx, "ben", j.ID)
		wantCode(t, "Cancel", err, job.CodeState)
	})
}

func TestTheSecretIsHandedOutOnlyWhenVerifiedAndTheNewestHolds(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.adopted("ABC1234", "PC-1")
	b.order("PC-1")
	j := l.work()
	l.reach(j, job.Flushed)
	_, err := l.c.Personal(ctx, j.ID)
	wantCode(t, "before verified", err, job.CodeState)
	l.seq++
	_, err = l.c.State(ctx, j.ID, job.StateEvent{Seq: l.seq, State: job.Verified})
	must(t, err)
	other := b.adopted("OTHER99", "PC-2")
	_, err = other.c.Personal(ctx, j.ID)
	wantCode(t, "another key", err, job.CodeJobKey)
	lost, err := l.c.Personal(ctx, j.ID) // its answer did not reach the laptop
	must(t, err)
	p, err := l.c.Personal(ctx, j.ID)
	must(t, err)
	if p.CallHomeSecret == lost.CallHomeSecret {
		t.Error("the lost secret was handed out again; want a new one")
	}
	wantCode(t, "a lost secret", b.s.CallHome(ctx, "x", job.CallHome{Deployment: p.Deployment, Secret: lost.CallHomeSecret}), job.CodePolicy)
	wantCode(t, "a wrong secret", b.s.CallHome(ctx, "x", job.CallHome{Deployment: p.Deployment, Secret: "wrong"}), job.CodePolicy)
	v, err := b.s.Job(ctx, j.ID)
	must(t, err)
	if strings.Contains(fmt.Sprintf("%+v", v), p.CallHomeSecret) {
		t.Error("the secret stands in the record")
	}
}

func TestACallHomeAfterSevenDaysIsRefused(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.adopted("ABC1234", "PC-1")
	b.order("PC-1")
	j := l.work()
	l.reach(j, job.Verified)
	p, err := l.c.Personal(ctx, j.ID)
	must(t, err)
	for _, s := range []job.State{job.Personalised, job.Committing, job.Committed} {
		l.seq++
		_, err := l.c.State(ctx, j.ID, job.StateEvent{Seq: l.seq, State: s})
		must(t, err)
	}
	_, err = l.c.Result(ctx, j.ID, result(j))
	must(t, err)
	b.clk.pass(7*24*time.Hour + time.Second)
	wantCode(t, "after 7 days", b.s.CallHome(ctx, "x", job.CallHome{Deployment: p.Deployment, Secret: p.CallHomeSecret}), job.CodePolicy)
}

func TestOnlyTheRunningJobsImageMayBeRead(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	read := func(l *laptop, path string) int {
		t.Helper()
		res, err := l.c.HTTP().Get(l.b.base + path)
		must(t, err)
		res.Body.Close()
		return res.StatusCode
	}
	paths := []string{"/v1/manifests/" + manifest.String(), "/v1/chunks/" + manifest.String() + "?extents=0-1"}
	check := func(when string, want int) {
		t.Helper()
		for _, p := range paths {
			if got := read(l, p); got != want {
				t.Errorf("%s: GET %s = %d; want %d", when, p, got, want)
			}
		}
	}
	check("without a job", http.StatusForbidden)
	b.order("PC-1")
	check("before taking the job", http.StatusForbidden)
	j := l.work()
	check("with the job", http.StatusOK)
	if got := read(l, "/v1/manifests/"+imaging.Sum(nil).String()); got != http.StatusForbidden {
		t.Errorf("another image = %d; want 403", got)
	}
	other := b.adopted("OTHER99", "PC-2")
	if got := read(other, paths[1]); got != http.StatusForbidden {
		t.Errorf("another laptop = %d; want 403", got)
	}
	l.reach(j, job.Writing)
	_, err := l.c.Result(context.Background(), j.ID, job.Result{Job: j.ID, State: job.Failed, Fault: &job.Fault{Code: job.CodeReadBack, Fact: "At byte 4096."}})
	must(t, err)
	check("after the job", http.StatusForbidden)
	if v, _ := b.s.Job(context.Background(), j.ID); v.Fault == nil || v.Fault.Code != job.CodeReadBack {
		t.Errorf("fault %v; want %s", v.Fault, job.CodeReadBack)
	}
}

func TestTheDirector(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	decide := func(l *laptop) bool {
		t.Helper()
		a, err := b.s.Decide(ctx, l.machine())
		must(t, err)
		return a.Boot
	}
	unknown := b.laptop("UNKNOWN")
	l := b.adopted("ABC1234", "PC-1")
	if !decide(unknown) || !decide(l) {
		t.Error("an open bench refuses an unknown or a ready laptop")
	}
	_, err := b.s.OpenBench(ctx, "anna", store.Bench{})
	must(t, err)
	if decide(unknown) || decide(l) {
		t.Error("a closed bench boots a laptop without a job")
	}
	b.order("PC-1")
	if !decide(l) {
		t.Error("a laptop with a job is refused")
	}
	dongle := b.laptop("UNKNOWN")
	dongle.mac = l.mac
	if decide(dongle) {
		t.Error("a laptop was recognised by its MAC alone")
	}
	j := l.work()
	l.reach(j, job.Committed)
	_, err = l.c.Result(ctx, j.ID, result(j))
	must(t, err)
	_, err = b.s.OpenBench(ctx, "anna", store.Bench{OpenUntil: b.clk.now().Add(time.Hour)})
	must(t, err)
	if decide(l) {
		t.Error("a deployed laptop without a job boots")
	}
}

func TestTheLoopGuard(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.adopted("ABC1234", "PC-1")
	_, err := b.s.OpenBench(ctx, "anna", store.Bench{})
	must(t, err)
	b.clk.pass(2 * time.Hour)
	l.boot()
	l.sayHello()
	b.clk.pass(61 * time.Minute) // nobody gave it an order
	if n := l.next(); n.Order != job.Leave {
		t.Fatalf("Next = %s; want leave", n.Order)
	}
	_, err = b.s.OpenBench(ctx, "anna", store.Bench{OpenUntil: b.clk.now().Add(time.Hour)})
	must(t, err)
	if a, _ := b.s.Decide(ctx, l.machine()); a.Boot {
		t.Error("a machine that had nothing to do boots again at once")
	}
	b.clk.pass(11 * time.Minute)
	if a, _ := b.s.Decide(ctx, l.machine()); !a.Boot {
		t.Error("a machine is refused for more than 10 minutes")
	}
	for i, want := range []job.Order{job.Wait, job.Wait, job.Off} {
		b.clk.pass(3 * time.Minute)
		l.boot()
		l.sayHello()
		if n := l.next(); n.Order != want {
			t.Errorf("start %d: Next = %s; want %s", i+1, n.Order, want)
		} else if want == job.Off && n.Say != sentenceOf(job.CodeLoop) {
			t.Errorf("the laptop that is switched off says %q", n.Say)
		}
	}
	if trail, _ := b.s.Audit(ctx, "", 100); !strings.Contains(fmt.Sprint(trail), "loop") {
		t.Error("the loop is not in the audit trail")
	}
}

func TestAutoDeploy(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	_, err := b.s.PutRole(ctx, "anna", store.Role{Name: "sales", Image: "sales", Pattern: "LT-{seq:3}"})
	must(t, err)
	start := func(serial string) job.HelloReply {
		l := b.laptop(serial)
		l.boot()
		return l.sayHello()
	}
	if r := start("OFF1234"); r.Code == "" {
		t.Error("off: a laptop was adopted without a person")
	}
	for name, p := range map[string]store.AutoDeploy{
		"no count":       {Role: "sales", Until: b.clk.now().Add(time.Hour)},
		"no window":      {Role: "sales", Left: 1},
		"too long":       {Role: "sales", Until: b.clk.now().Add(30 * 24 * time.Hour), Left: 1},
		"a past window":  {Role: "sales", Until: b.clk.now().Add(-time.Hour), Left: 1},
		"an absurd crew": {Role: "sales", Until: b.clk.now().Add(time.Hour), Left: 1 << 20},
	} {
		_, err := b.s.SetAutoDeploy(ctx, "anna", p)
		wantCode(t, name, err, job.CodeBadRequest)
	}
	_, err = b.s.SetAutoDeploy(ctx, "anna", store.AutoDeploy{Role: "sales", Until: b.clk.now().Add(time.Hour), Left: 2})
	must(t, err)
	junk := b.laptop("JUNK")
	junk.hello.Facts.Serial = "Default string"
	junk.boot()
	if r := junk.sayHello(); r.Code == "" {
		t.Error("a laptop without a believable serial was deployed without a person")
	}
	tiny := b.laptop("TINY123")
	tiny.hello.Drives[0].SizeBytes = 1 << 20
	tiny.boot()
	if r := tiny.sayHello(); r.Code == "" {
		t.Error("a laptop whose drive is too small did not wait for a person")
	}
	ill := b.laptop("ILL1234")
	ill.hello.Drives[0].Health.State = job.HealthFailing
	ill.boot()
	if r := ill.sayHello(); r.Code == "" {
		t.Error("a laptop whose drive reports failing did not wait for a person")
	}
	if r := start("ONE1234"); r.Code != "" || r.Name != "LT-001" {
		t.Errorf("the first got code %q, name %q; want none, LT-001", r.Code, r.Name)
	}
	if r := start("TWO1234"); r.Code != "" {
		t.Error("the second was not deployed")
	}
	if r := start("THREE12"); r.Code == "" {
		t.Error("over the count: a third was deployed")
	}
	_, err = b.s.SetAutoDeploy(ctx, "anna", store.AutoDeploy{Role: "sales", Until: b.clk.now().Add(time.Hour), Left: 9})
	must(t, err)
	b.clk.pass(2 * time.Hour)
	if r := start("FOUR123"); r.Code == "" {
		t.Error("outside the window: a laptop was deployed")
	}
}

func TestCodesAreShortLivedAndGuessesAreLimited(t *testing.T) {
	b := newBench(t)
	b.stop()
	b.wait = time.Hour
	b.start()
	ctx := context.Background()
	l := b.laptop("ABC1234")
	l.boot()
	code := l.sayHello().Code
	for range 10 {
		_, err := b.s.Adopt(ctx, "mallory", store.Adoption{Code: "AAAA-AAAA"})
		wantCode(t, "a wrong code", err, job.CodeNotFound)
	}
	_, err := b.s.Adopt(ctx, "mallory", store.Adoption{Code: code})
	wantCode(t, "the eleventh try", err, job.CodePolicy)
	b.clk.pass(16 * time.Minute)
	_, err = b.s.Adopt(ctx, "anna", store.Adoption{Code: code})
	wantCode(t, "a code of 16 minutes", err, job.CodeNotFound)
	n := l.next()
	if n.Code == "" || n.Code == code {
		t.Errorf("the waiting laptop shows %q; want a new code", n.Code)
	}
	_, err = b.s.Adopt(ctx, "anna", store.Adoption{Code: n.Code})
	must(t, err)
	_, err = b.s.Adopt(ctx, "anna", store.Adoption{Code: n.Code})
	wantCode(t, "a used code", err, job.CodeBusy)
}

func TestTwoHundredParallelAdoptionsGiveUniqueNames(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	_, err := b.s.PutRole(ctx, "anna", store.Role{Name: "sales", Image: "sales", Pattern: "LT-{seq:4}"})
	must(t, err)
	codes := make([]string, 200)
	for i := range codes {
		l := b.laptop(fmt.Sprintf("SER%05d", i))
		token, err := b.s.Token(ctx, l.machine())
		must(t, err)
		l.hello.Token, l.hello.Nonce = token, strings.Repeat("0", 32)
		r, err := b.s.Hello(ctx, job.KeyID(fmt.Sprint("key", i)), l.hello)
		must(t, err)
		codes[i] = r.Code
	}
	var wg sync.WaitGroup
	names := make([]string, len(codes))
	for i, code := range codes {
		wg.Add(1)
		go func() {
			defer wg.Done()
			d, err := b.s.Adopt(ctx, "anna", store.Adoption{Code: code, Role: "sales"})
			if err != nil {
				t.Error(err)
			}
			names[i] = d.Name
		}()
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, n := range names {
		if n == "" || seen[n] {
			t.Errorf("name %q given twice", n)
		}
		seen[n] = true
	}
}

func TestSilentJobsAreClosed(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	writing, committing := b.adopted("WRITING", "PC-1"), b.adopted("COMMITS", "PC-2")
	b.adopted("NEVERCAME", "PC-3")
	ids := map[string]job.ID{}
	for _, n := range []string{"PC-1", "PC-2", "PC-3"} {
		ids[n] = b.order(n).ID
	}
	writing.reach(writing.work(), job.Writing)
	committing.reach(committing.work(), job.Committing)
	b.clk.pass(61 * time.Minute)
	must(t, b.s.Sweep())
	b.clk.pass(24 * time.Hour)
	must(t, b.s.Sweep())
	for name, want := range map[string]struct {
		job    job.State
		device store.DeviceState
	}{"PC-1": {job.Failed, store.Failed}, "PC-2": {job.Indeterminate, store.Failed}, "PC-3": {job.Failed, store.Ready}} {
		v, err := b.s.Job(ctx, ids[name])
		must(t, err)
		if v.State != want.job || b.device(name).State != want.device {
			t.Errorf("%s: job %s, device %s; want %s, %s", name, v.State, b.device(name).State, want.job, want.device)
		}
		if name != "PC-3" && (v.Fault == nil || v.Fault.Code != job.CodeLost) || name == "PC-3" && (v.Fault == nil || v.Fault.Code != job.CodeJobExpired) {
			t.Errorf("%s: ended by %v", name, v.Fault)
		}
	}
}

func TestHostileRequestsGetAPlainRefusal(t *testing.T) {
	b := newBench(t)
	l := b.laptop("ABC1234")
	l.boot()
	for _, c := range []struct{ name, method, path, body string }{
		{"no JSON", "POST", "/v1/hello", "hello"},
		{"two values", "POST", "/v1/hello", "{}{}"},
		{"another version", "POST", "/v1/hello", `{"version":99}`},
		{"no nonce", "POST", "/v1/hello", `{"version":2}`},
		{"too large", "POST", "/v1/hello", `{"token":"` + strings.Repeat("x", job.MaxBody) + `"}`},
		{"an endless serial", "POST", "/v1/hello", `{"version":2,"nonce":"` + strings.Repeat("0", 32) + `","facts":{"serial":"` + strings.Repeat("s", 1000) + `"}}`},
		{"many drives", "POST", "/v1/hello", `{"version":2,"nonce":"` + strings.Repeat("0", 32) + `","drives":[` + strings.Repeat("{},", 100) + `{}]}`},
		{"next before hello", "GET", "/v1/next", ""},
		{"no such job", "POST", "/v1/jobs/nothing/state", `{"seq":1,"state":"claimed"}`},
		{"a job's name with dots", "POST", "/v1/jobs/..%2f..%2f/state", `{"seq":1}`},
		{"no digest", "GET", "/v1/manifests/xyz", ""},
		{"a digest never seen", "GET", "/v1/chunks/" + imaging.Sum(nil).String() + "?extents=0-9", ""},
		{"a call home made up", "POST", "/v1/callhome", `{"deployment":"x","secret":"y"}`},
		{"a call home too long", "POST", "/v1/callhome", `{"hostname":"` + strings.Repeat("h", 5000) + `"}`},
	} {
		req, err := http.NewRequest(c.method, b.base+c.path, strings.NewReader(c.body))
		must(t, err)
		res, err := l.c.HTTP().Do(req)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var r job.Refusal
		err = json.NewDecoder(res.Body).Decode(&r)
		res.Body.Close()
		if err != nil || res.StatusCode < 400 || res.StatusCode >= 500 || r.Fault.Code == "" {
			t.Errorf("%s: status %d, refusal %+v, %v; want a plain refusal", c.name, res.StatusCode, r, err)
		}
	}
	if all, _ := b.s.Devices(context.Background()); len(all) != 0 {
		t.Errorf("hostile requests left %d devices", len(all))
	}
}

func TestAnAgentWithoutAKeyIsRefusedAndPlainHTTPIsNotSpoken(t *testing.T) {
	b := newBench(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.base, "https://"))
	must(t, err)
	defer conn.Close()
	fmt.Fprintf(conn, "GET /v1/boot HTTP/1.1\r\nHost: x\r\n\r\n")
	buf := make([]byte, 12)
	n, _ := conn.Read(buf)
	if strings.Contains(string(buf[:n]), "200") {
		t.Error("the agent listener speaks plain HTTP")
	}
}
