package web_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/imaging/sign"
	"ingot/imaging/wipe/cert"
	"ingot/store"
	"ingot/web"
	"ingot/web/report"
)

// floor is the pages over real HTTP, on the real service, shelf and database. Who asks stands in a header that only this
// test's listener reads.
type floor struct {
	t    testing.TB
	dir  string
	db   *store.DB
	s    *deploy.Service
	api  *web.API
	base string
	stop func()
}

// releases are the images of a floor: two versions of one, a draft of another.
func newFloor(t testing.TB) *floor {
	t.Helper()
	f := &floor{t: t, dir: t.TempDir()}
	f.start()
	t.Cleanup(func() { f.stop() })
	f.update(func(tx *store.Tx) error {
		for i, label := range []string{"2026-10", "2026-11"} {
			if _, _, err := tx.AddVersion(version("sales", label, store.Released, fmt.Sprint(i))); err != nil {
				return err
			}
		}
		if _, _, err := tx.AddVersion(version("dev", "first", store.Draft, "dev")); err != nil {
			return err
		}
		_, err := tx.PutRole(store.Role{Name: "sales", Image: "sales", Pattern: "LT-{serial:-7}", By: "anna"})
		return err
	})
	_, err := f.s.OpenBench(context.Background(), "anna", store.Bench{OpenUntil: time.Now().Add(4 * time.Hour)})
	must(t, err)
	return f
}

func version(image, label string, state store.VersionState, content string) store.Version {
	return store.Version{Image: image, Label: label, Note: "updates of " + label, State: state, Manifest: imaging.Sum([]byte(image + content)), By: "ida", Source: image + ".qcow2", DiskSize: 8 << 30, NeedBytes: 4 << 30,
		SectorSize: 512, Table: "gpt", DataExtents: 7, ZeroExtents: 2, DataBytes: 5 << 20, ZeroBytes: 2 << 20, OS: "Debian GNU/Linux 12 (bookworm)", Personalise: "linux", RootPart: 2, GrowPart: 2,
		Checklist: []store.Finding{{Check: "linux-machine-id", Severity: store.Green, Fact: "Each laptop makes its own machine id."}}}
}

// start opens everything, as the daemon does; after stop it is a restart on the same folder and address.
func (f *floor) start() {
	f.t.Helper()
	signer, err := sign.LoadOrCreate(filepath.Join(f.dir, "jobs.key"))
	must(f.t, err)
	db, err := store.Open(filepath.Join(f.dir, "ingot.db"), store.Options{Signer: signer})
	must(f.t, err)
	chunks, err := chunkstore.Open(f.dir)
	must(f.t, err)
	certs, err := cert.Load(filepath.Join(f.dir, "certificates.key"))
	must(f.t, err)
	f.s, err = deploy.New(deploy.Config{DB: db, Certs: certs, Organisation: "Beispiel GmbH", Tool: "ingot test", Signer: signer, Log: zerolog.Nop(), Manifests: chunks.ManifestHandler(), Chunks: chunks.StreamHandler(), Poll: 20 * time.Millisecond})
	must(f.t, err)
	f.db = db
	f.api = &web.API{Reports: &report.Desk{DB: db}, Bench: f.s, Wiper: f.s, Shelf: &library.Library{DB: db, Store: chunks}, Version: "test", Hidden: func(err error) { f.t.Errorf("a raw error came up: %v", err) }}
	h := f.api.Handler()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := web.Actor{Name: r.Header.Get("X-Test-Operator"), Right: store.Right(r.Header.Get("X-Test-Right"))}
		h.ServeHTTP(w, r.WithContext(web.WithActor(r.Context(), who)))
	}))
	server.Start()
	f.base = server.URL
	f.stop = func() { server.CloseClientConnections(); server.Close(); f.s.Close(); chunks.Close(); db.Close() }
}

func (f *floor) update(do func(*store.Tx) error) { f.t.Helper(); must(f.t, f.db.Update(do)) }

func (f *floor) device(ref string) store.DeviceView {
	f.t.Helper()
	d, err := f.s.Device(context.Background(), ref)
	must(f.t, err)
	return d
}

// person is one browser: an operator with a right.
type person struct {
	f     *floor
	name  string
	right store.Right
	http  *http.Client
}

func (f *floor) person(name string, right store.Right) *person {
	jar, err := cookiejar.New(nil)
	must(f.t, err)
	return &person{f, name, right, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// page is an answer: its status, where it leads, its text.
type page struct {
	status int
	to     string
	body   string
}

func (p *person) do(r *http.Request) page {
	p.f.t.Helper()
	r.Header.Set("X-Test-Operator", p.name)
	r.Header.Set("X-Test-Right", string(p.right))
	res, err := p.http.Do(r)
	must(p.f.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(p.f.t, err)
	return page{res.StatusCode, res.Header.Get("Location"), string(b)}
}

func (p *person) get(path string) page {
	p.f.t.Helper()
	r, err := http.NewRequest("GET", p.f.base+path, nil)
	must(p.f.t, err)
	return p.do(r)
}

func (p *person) post(path string, form url.Values) page {
	p.f.t.Helper()
	r, err := http.NewRequest("POST", p.f.base+path, strings.NewReader(form.Encode()))
	must(p.f.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return p.do(r)
}

// form reads the form that goes to an address out of a page, with what stands hidden in it: as a browser without a script
// sends it. more is what the person fills in.
func (p *person) form(in page, action string, more ...string) url.Values {
	p.f.t.Helper()
	_, rest, ok := strings.Cut(in.body, `action="`+action+`"`)
	if !ok {
		p.f.t.Fatalf("no form goes to %s in\n%s", action, in.body)
	}
	rest, _, _ = strings.Cut(rest, "</form>")
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(rest, -1) {
		v.Add(m[1], m[2])
	}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// laptop is a laptop that speaks to the service.
type laptop struct {
	f     *floor
	key   job.KeyID
	hello job.Hello
	seq   uint64
	job   job.Job
}

// laptop starts a laptop from the network: it says hello and shows its code.
func (f *floor) laptop(serial string) *laptop {
	f.t.Helper()
	l := &laptop{f: f, hello: job.Hello{Version: job.Version, Firmware: "uefi", SecureBoot: true, Arch: "x64", MemoryBytes: 16 << 30, Power: job.Power{Battery: true, Percent: 80, Mains: true},
		Facts:  job.Facts{Manufacturer: "LENOVO", Model: "ThinkPad T14 Gen 4", Serial: serial, UUID: uuidFor(serial)},
		Links:  []job.Link{{Name: "eth0", MAC: macFor(serial), Permanent: macFor(serial), Bus: "pci", Carrier: true, Boot: true, SpeedMbps: 1000}},
		Drives: []job.Drive{{Path: "/dev/nvme0n1", Serial: "NV" + serial, WWN: "eui." + serial, Model: "SAMSUNG MZVL2512", Transport: "nvme", SizeBytes: 16 << 30, SectorSize: 512, Health: job.Health{State: job.HealthGood}}}}}
	l.boot()
	return l
}

func uuidFor(serial string) string {
	d := imaging.Sum([]byte(serial))
	return fmt.Sprintf("%x-%x-%x-%x-%x", d[0:4], d[4:6], d[6:8], d[8:10], d[10:16])
}

func macFor(serial string) string {
	d := imaging.Sum([]byte(serial))
	return fmt.Sprintf("52:54:%02x:%02x:%02x:%02x", d[0], d[1], d[2], d[3])
}

func (l *laptop) boot() {
	l.f.t.Helper()
	ctx := context.Background()
	token, err := l.f.s.Token(ctx, deploy.Machine{MAC: macFor(l.hello.Facts.Serial), UUID: l.hello.Facts.UUID})
	must(l.f.t, err)
	l.key = job.KeyID("sha256:" + imaging.Sum([]byte(token)).String())
	l.hello.Token, l.hello.Nonce, l.seq = token, imaging.Sum([]byte("n" + token)).String()[:32], 0
	_, err = l.f.s.Hello(ctx, l.key, l.hello)
	must(l.f.t, err)
}

func (l *laptop) code() string { return l.f.device(l.hello.Facts.Serial).Code }

// take gets the job that was ordered.
func (l *laptop) take() {
	l.f.t.Helper()
	n, err := l.f.s.Next(context.Background(), l.key)
	must(l.f.t, err)
	if n.Order != job.Work {
		l.f.t.Fatalf("%s is told to %s (%s); want work", l.hello.Facts.Serial, n.Order, n.Say)
	}
	d := l.f.device(l.hello.Facts.Serial)
	l.job = job.Job{ID: d.Job.ID, DeviceName: d.Job.DeviceName, Image: d.Job.Image, Kind: d.Job.Kind}
}

var way = []job.State{job.Claimed, job.Invalidated, job.Writing, job.Flushed, job.Verified, job.Personalised, job.Committing, job.Committed}

// reach reports the states up to and with the last.
func (l *laptop) reach(last job.State) {
	l.f.t.Helper()
	for _, s := range way[l.seq:] {
		l.seq++
		_, err := l.f.s.State(context.Background(), l.key, l.job.ID, job.StateEvent{Seq: l.seq, State: s})
		must(l.f.t, err)
		if s == last {
			return
		}
	}
}

func (l *laptop) tell(p job.Progress) {
	l.f.t.Helper()
	_, err := l.f.s.Progress(context.Background(), l.key, l.job.ID, p)
	must(l.f.t, err)
}

// finish ends the job well, with its proof.
func (l *laptop) finish() {
	l.f.t.Helper()
	l.reach(job.Committed)
	_, err := l.f.s.Result(context.Background(), l.key, l.job.ID, job.Result{Job: l.job.ID, State: job.Done, FetchedBytes: 3 << 20, WrittenBytes: 5 << 20, KeptBytes: 2 << 20, Seconds: 83, DiskTouched: true, Proof: job.Proof{
		Content:      &job.ContentProof{Manifest: l.job.Image.Manifest, DataExtents: 7, ZeroExtents: 2, FreeExtents: 1, ReadBytes: 7 << 20, Direct: true},
		Personalised: &job.PersonalisedProof{Files: []job.WrittenFile{{Path: "/etc/hostname", Digest: imaging.Sum([]byte(l.job.DeviceName + "\n"))}}},
		Commit:       &job.CommitProof{Head: imaging.Sum([]byte("head")), BackupGPT: imaging.Sum([]byte("gpt")), BootEntry: "Boot0003"}}})
	must(l.f.t, err)
}

func (l *laptop) fail(c job.Code, fact string) {
	l.f.t.Helper()
	_, err := l.f.s.Result(context.Background(), l.key, l.job.ID, job.Result{Job: l.job.ID, State: job.Failed, Fault: job.Faultf(c, "%s", fact), DiskTouched: true})
	must(l.f.t, err)
}

// adopted is a laptop that a person has adopted for a role.
func (f *floor) adopted(serial string) *laptop {
	f.t.Helper()
	l := f.laptop(serial)
	_, err := f.s.Adopt(context.Background(), "anna", store.Adoption{Code: l.code(), Role: "sales"})
	must(f.t, err)
	return l
}

// deployed is a laptop that holds an image.
func (f *floor) deployed(serial string) *laptop {
	f.t.Helper()
	l := f.adopted(serial)
	_, err := f.s.Deploy(context.Background(), "anna", store.Order{Device: serial, Role: "sales"})
	must(f.t, err)
	l.take()
	l.finish()
	return l
}

// rightOf gives the right that a form's address needs.
func rightOf(routes []web.Route, path string) (store.Right, bool) {
	mux := http.NewServeMux()
	found := map[string]store.Right{}
	for _, r := range routes {
		if r.Method == http.MethodPost {
			mux.HandleFunc(r.Path, func(http.ResponseWriter, *http.Request) {})
			found[r.Path] = r.Right
		}
	}
	_, pattern := mux.Handler(httptest.NewRequest("POST", path, nil))
	right, ok := found[pattern]
	return right, ok
}
