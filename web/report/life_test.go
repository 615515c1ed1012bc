package report_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/store"
	"ingot/web/report"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// event is a raw event: one thing that a laptop, an operator or the daemon did, noted where it was done. The recount
// rests on these alone.
type event struct {
	at             time.Time
	what           string // deploy, rename, end (of a job, not well), lost, return, wipe, destroy, or an act on a version
	laptop         *laptop
	ref            report.Ref
	name, former   string
	by             string
	kind           job.Kind
	state          job.State
	code           job.Code
	touched, whole bool
	written, kept  uint64
	fetched        uint64
	seconds        float64
	files          int
	unproven       bool
	days           int // cadence
}

type laptop struct {
	serial, maker, model string
	id                   string // of its record
	name                 string
	key                  job.KeyID
	seq                  uint64
}

// life is some laptops, some images, and all that happens to them.
type life struct {
	t        *testing.T
	r        *rand.Rand
	clock    time.Time
	db       *store.DB
	s        *deploy.Service
	signer   *sign.Signer
	laptops  []*laptop
	versions []report.Ref
	contents map[report.Ref][]store.Package // as somebody found it when he looked
	systems  map[report.Ref]store.System
	created  map[report.Ref]time.Time
	patched  map[report.Ref]time.Time
	events   []event
	count    int
	trace    []string
}

func (l *life) now() time.Time { return l.clock }

func (l *life) chance(percent int) bool { return l.r.IntN(100) < percent }

func (l *life) next() int { l.count++; return l.count }

func (l *life) note(e event) {
	e.at = l.clock
	l.events = append(l.events, e)
	who := ""
	if e.laptop != nil {
		who = e.laptop.serial
	}
	l.trace = append(l.trace, fmt.Sprintf("%s %s %s %s %s %s %s touched=%v whole=%v", e.at.Format(time.DateTime), e.what, who, e.ref, e.kind, e.state, e.code, e.touched, e.whole))
}

// memory is a folder in memory where the system has one.
func memory() string {
	if s, err := os.Stat("/dev/shm"); err == nil && s.IsDir() {
		return "/dev/shm"
	}
	return ""
}

func newLife(t *testing.T, dir string, signer *sign.Signer, seed uint64) *life {
	must(t, os.Mkdir(dir, 0o700))
	l := &life{t: t, r: rand.New(rand.NewPCG(seed, 11)), clock: time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC), signer: signer,
		contents: map[report.Ref][]store.Package{}, systems: map[report.Ref]store.System{}, created: map[report.Ref]time.Time{}, patched: map[report.Ref]time.Time{}}
	var err error
	l.db, err = store.Open(filepath.Join(dir, "ingot.db"), store.Options{Now: l.now})
	must(t, err)
	l.s, err = deploy.New(deploy.Config{DB: l.db, Signer: signer, Log: zerolog.Nop(), Now: l.now, Poll: time.Nanosecond})
	must(t, err)
	must(t, l.db.Update(func(tx *store.Tx) error { return tx.PutBench(store.Bench{OpenUntil: l.clock.AddDate(10, 0, 0)}) }))
	for i := range 2 + l.r.IntN(4) {
		m := pick(l.r, [2]string{"Dell Inc.", "Latitude 5440"}, [2]string{"LENOVO", "21HM"}, [2]string{"HP", "EliteBook 840"})
		l.laptops = append(l.laptops, &laptop{serial: fmt.Sprintf("SER%04d", i), maker: m[0], model: m[1]})
	}
	return l
}

func (l *life) close() { l.s.Close(); l.db.Close() }

// live lets things happen.
func (l *life) live() {
	l.entitle()
	l.build("sales")
	for range 36 {
		p := l.laptops[l.r.IntN(len(l.laptops))]
		switch l.r.IntN(13) {
		case 0:
			l.build(pick(l.r, "sales", "sales", "dev"))
		case 1:
			l.onVersion()
		case 2:
			l.rename(p)
		case 3:
			l.returned(p)
		case 4:
			if l.chance(50) {
				l.lost(p)
			}
		case 5, 6:
			l.wiped(p)
		default:
			l.deploy(p)
		}
		l.clock = l.clock.Add(pick(l.r, 20*time.Minute, 3*time.Hour, 26*time.Hour, 90*time.Hour))
	}
}

// build makes a version, mostly looks inside and mostly releases it.
func (l *life) build(image string) {
	n := l.next()
	v := store.Version{Image: image, Label: fmt.Sprint("build ", n), Note: "a note", State: store.Draft, Manifest: imaging.Sum(fmt.Append(nil, n)), DiskSize: 8 << 30, NeedBytes: 4 << 30, SectorSize: 512, Table: "gpt",
		DataExtents: 7, ZeroExtents: 2, DataBytes: 5 << 20, ZeroBytes: 2 << 20, Personalise: "linux", By: "ida"}
	if l.chance(50) {
		v.Patched = l.clock.AddDate(0, 0, -l.r.IntN(40))
	}
	must(l.t, l.db.Update(func(tx *store.Tx) error {
		var err error
		v, _, err = tx.AddVersion(v)
		return err
	}))
	ref := report.Ref{Image: v.Image, Number: v.Number}
	l.versions, l.created[ref], l.patched[ref] = append(l.versions, ref), l.clock, v.Patched
	l.note(event{what: "draft", ref: ref, by: "ida"})
	if l.chance(85) {
		l.look(ref)
	}
	if l.chance(80) {
		l.act("release", ref)
	}
}

// pool is what there is to install. Some of it belongs to one product.
var pool = []store.Package{
	{Name: "Office Standard 2024", Kind: "windows", Vendor: "Microsoft", Version: "16.0"}, {Name: "Office Proofing Tools", Kind: "windows", Vendor: "Microsoft", Version: "16.0"},
	{Name: "Acrobat Pro", Kind: "windows", Vendor: "Adobe", Version: "24.1"}, {Name: "7-Zip", Kind: "windows", Vendor: "Igor Pavlov", Version: "24.08"}, {Name: "Notepad", Kind: "appx", Vendor: "Microsoft"},
	{Name: "libc6", Kind: "deb", Version: "2.36", Arch: "amd64"}, {Name: "libc6", Kind: "deb", Version: "2.36", Arch: "i386"}, {Name: "bash", Kind: "deb", Version: "5.2"}, {Name: "oracle-client", Kind: "deb", Version: "23"},
	{Name: "oracle-client", Kind: "rpm", Version: "23"}, {Name: "AutoCAD 2026", Kind: "windows", Vendor: "Autodesk"}, {Name: "AutoCAD 2026", Kind: "windows", Vendor: "Reseller"},
}

func (l *life) look(ref report.Ref) {
	c := store.Content{Looked: l.clock, Packages: []store.Package{}}
	if l.chance(90) {
		c.System = pick(l.r, store.System{Name: "Windows 11", Edition: "Pro", Build: "26100.1"}, store.System{Name: "Debian GNU/Linux 12", Version: "12"}, store.System{Name: "Windows 11 Pro", Edition: "Pro"})
	}
	for _, p := range pool {
		if l.chance(40) {
			p.Version += pick(l.r, "", ".1")
			c.Packages = append(c.Packages, p)
		}
	}
	must(l.t, l.db.Update(func(tx *store.Tx) error { return tx.PutContent(ref.Image, ref.Number, c) }))
	l.contents[ref], l.systems[ref] = c.Packages, c.System
}

// entitle enters entitlements and rules, now and then in an order that matters.
func (l *life) entitle() {
	must(l.t, l.db.Update(func(tx *store.Tx) error {
		for _, e := range []store.Entitlement{{Product: "Office", Seats: l.r.IntN(4)}, {Product: "Windows", Seats: l.r.IntN(6)}, {Product: "Oracle", Seats: 1, Expires: l.clock.Truncate(24*time.Hour).AddDate(0, 0, l.r.IntN(90))}, {Product: "Unused", Seats: 3}} {
			if _, err := tx.PutEntitlement("lin", e); err != nil {
				return err
			}
		}
		for _, r := range []store.LicenceRule{{Software: "*", Kind: "deb"}, {Software: "oracle*", Product: "Oracle"}, {Software: "office *", Vendor: "micro*", Product: "OFFICE"}, {Software: "Windows 11*", Kind: "system", Product: "Windows"},
			{Software: "7-?ip"}, {Software: "AutoCAD*", Vendor: "Autodesk", Product: "Unused"}} {
			if l.chance(20) {
				continue
			}
			if _, err := tx.AddLicenceRule("lin", r, pick(l.r, 0, 0, -1)); err != nil {
				return err
			}
		}
		return nil
	}))
}

// onVersion does something to a version, if its state allows it.
func (l *life) onVersion() {
	ref := l.versions[l.r.IntN(len(l.versions))]
	switch l.r.IntN(6) {
	case 0:
		l.act("release", ref)
	case 1, 2:
		l.act("retire", ref)
	case 3:
		l.act("withdraw", ref)
	case 4:
		l.act("delete", ref)
	case 5:
		days := l.r.IntN(30)
		must(l.t, l.db.Update(func(tx *store.Tx) error {
			_, err := tx.SetCadence("ida", store.VersionOrder{Version: ref.Image, Days: days})
			return err
		}))
		l.note(event{what: "cadence", ref: report.Ref{Image: ref.Image}, days: days})
	}
}

func (l *life) act(what string, ref report.Ref) {
	err := l.db.Update(func(tx *store.Tx) error {
		o := store.VersionOrder{Version: ref.String(), Reason: "because", Override: "so be it", Force: true}
		f := map[string]func(string, store.VersionOrder) (store.Version, error){"release": tx.Release, "retire": tx.Retire, "withdraw": tx.Withdraw, "delete": tx.Delete}[what]
		_, err := f("ida", o)
		return err
	})
	if l.done(err) {
		l.note(event{what: what, ref: ref, by: "ida"})
	}
}

// done reports whether an act was done; a refusal in words is none, and no event.
func (l *life) done(err error) bool {
	l.t.Helper()
	var f *job.Fault
	if err != nil && (!errors.As(err, &f) || f.Code == job.CodeInternal) {
		l.t.Fatalf("an act: %v", err)
	}
	return err == nil
}

// start boots the laptop.
func (l *life) start(p *laptop) job.HelloReply {
	ctx := context.Background()
	sum := imaging.Sum([]byte(p.serial))
	h := job.Hello{Version: job.Version, Firmware: "uefi", MemoryBytes: 8 << 30, Nonce: fmt.Sprintf("%032x", l.next()),
		Facts:  job.Facts{Manufacturer: p.maker, Model: p.model, Serial: p.serial, UUID: fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])},
		Drives: []job.Drive{{Path: "/dev/nvme0n1", Serial: "DRV" + p.serial, Transport: "nvme", SizeBytes: 16 << 30, SectorSize: 512}}}
	var err error
	h.Token, err = l.s.Token(ctx, deploy.Machine{MAC: "52:54:00:00:00:01", UUID: h.Facts.UUID})
	must(l.t, err)
	p.key, p.seq = job.KeyID(fmt.Sprintf("sha256:%d", l.next())), 0
	r, err := l.s.Hello(ctx, p.key, h)
	must(l.t, err)
	return r
}

// adopt makes the laptop known.
func (l *life) adopt(p *laptop) {
	p.name = fmt.Sprintf("PC-%d", l.next())
	d, err := l.s.Adopt(context.Background(), "anna", store.Adoption{Code: l.start(p).Code, Name: p.name})
	must(l.t, err)
	p.id = d.ID
}

// takes lets the laptop fetch its order, if the daemon gives it one.
func (l *life) takes(p *laptop) (j job.Job, ok bool) {
	l.start(p)
	n, err := l.s.Next(context.Background(), p.key)
	must(l.t, err)
	if n.Order != job.Work {
		return j, false
	}
	payload, err := sign.Open(l.signer.Public(), "job", n.Job)
	must(l.t, err)
	must(l.t, json.Unmarshal(payload, &j))
	return j, true
}

func (l *life) reach(p *laptop, j job.Job, states ...job.State) {
	for _, s := range states {
		p.seq++
		_, err := l.s.State(context.Background(), p.key, j.ID, job.StateEvent{Seq: p.seq, State: s})
		must(l.t, err)
	}
}

var deploying = []job.State{job.Claimed, job.Invalidated, job.Writing, job.Flushed, job.Verified, job.Personalised, job.Committing, job.Committed}

// deploy orders a version for a laptop and lets it end in one of the ways in which it can.
func (l *life) deploy(p *laptop) {
	ctx := context.Background()
	if p.id == "" {
		l.adopt(p)
	}
	ref := l.versions[l.r.IntN(len(l.versions))]
	o := store.Order{Device: p.id, Image: ref.String(), Trial: l.chance(60), DataSaved: true, Confirm: p.name, StaleReason: "no newer one"}
	by := pick(l.r, "anna", "bert")
	v, err := l.s.Deploy(ctx, by, o)
	if !l.done(err) {
		return
	}
	end := event{what: "end", laptop: p, ref: ref, by: by, kind: job.Deploy}
	if l.chance(8) {
		_, err := l.s.Cancel(ctx, by, v.ID)
		must(l.t, err)
		end.state, end.code = job.Cancelled, job.CodeCancelled
		l.note(end)
		return
	}
	l.clock = l.clock.Add(time.Minute)
	j, ok := l.takes(p)
	if !ok {
		l.t.Fatalf("no order for %s", p.serial)
	}
	l.clock = l.clock.Add(time.Duration(1+l.r.IntN(30)) * time.Minute)
	r := job.Result{Job: j.ID, State: job.Done, FetchedBytes: uint64(l.r.IntN(1e6)), WrittenBytes: uint64(l.r.IntN(1e6)), KeptBytes: uint64(l.r.IntN(1e6)), Seconds: float64(l.r.IntN(900)), DiskTouched: true, Proof: job.Proof{
		Content:      &job.ContentProof{Manifest: j.Image.Manifest, DataExtents: 7, ZeroExtents: 2, FreeExtents: 1, ReadBytes: 7 << 20, Direct: true},
		Personalised: &job.PersonalisedProof{Files: []job.WrittenFile{{Path: "/etc/hostname", Digest: imaging.Sum([]byte(j.DeviceName + "\n"))}}},
		Commit:       &job.CommitProof{Head: imaging.Sum([]byte("head")), BackupGPT: imaging.Sum([]byte("gpt"))}}}
	switch l.r.IntN(10) {
	case 0: // refused by the laptop before it wrote
		r = job.Result{Job: j.ID, State: job.Failed, Fault: &job.Fault{Code: pick(l.r, job.CodeLowMemory, job.CodeSmallDrive)}}
	case 1: // it broke on the way
		n := 2 + l.r.IntN(5)
		l.reach(p, j, deploying[:n]...)
		r = job.Result{Job: j.ID, State: job.Failed, DiskTouched: true, Fault: &job.Fault{Code: pick(l.r, job.CodeDriveWrite, job.CodeStream, job.CodeReadBack)}}
	case 2: // committed, and the proof is not whole
		l.reach(p, j, deploying...)
		r.Proof.Content = nil
	case 3: // stopped while it was written
		l.reach(p, j, deploying[:3]...)
		_, err := l.s.Cancel(ctx, "bert", j.ID)
		must(l.t, err)
		r = job.Result{Job: j.ID, State: job.Cancelled, DiskTouched: true, Fault: &job.Fault{Code: job.CodeCancelled}}
	case 4: // it fell silent in the middle of its commit, and the daemon gave it up
		l.reach(p, j, deploying[:7]...)
		l.clock = l.clock.Add(3 * time.Hour)
		must(l.t, l.s.Sweep())
		end.state, end.code, end.touched, end.whole = job.Indeterminate, job.CodeLost, true, true
		l.note(end)
		return
	default:
		l.reach(p, j, deploying...)
	}
	_, err = l.s.Result(ctx, p.key, j.ID, r)
	if r.State == job.Done && r.Proof.Content != nil {
		must(l.t, err)
		l.note(event{what: "deploy", laptop: p, ref: ref, name: p.name, by: by, kind: job.Deploy, state: job.Done, touched: true, written: r.WrittenBytes, fetched: r.FetchedBytes, kept: r.KeptBytes, seconds: r.Seconds, files: 1})
		return
	}
	end.state, end.touched = r.State, r.DiskTouched
	if r.State == job.Done {
		end.state, end.code, end.whole = job.Indeterminate, job.CodeIndeterminate, true
	} else {
		must(l.t, err)
		end.code = r.Fault.Code
	}
	l.note(end)
}

// rename orders another name and lets that end well, badly or unproven.
func (l *life) rename(p *laptop) {
	ctx := context.Background()
	to := fmt.Sprintf("RN-%d", l.next())
	by := pick(l.r, "anna", "bert")
	if p.id == "" {
		return
	}
	if _, err := l.s.Rename(ctx, by, store.Rename{Device: p.id, Name: to}); !l.done(err) {
		return
	}
	l.clock = l.clock.Add(time.Minute)
	j, ok := l.takes(p)
	if !ok {
		l.t.Fatalf("no order to rename %s", p.serial)
	}
	e := event{what: "rename", laptop: p, by: by, name: to, former: p.name, kind: job.Rename, state: job.Done, files: 1}
	switch l.r.IntN(4) {
	case 0:
		_, err := l.s.Result(ctx, p.key, j.ID, job.Result{Job: j.ID, State: job.Failed, Fault: &job.Fault{Code: job.CodeNotOurs}})
		must(l.t, err)
		e.what, e.state, e.code = "end", job.Failed, job.CodeNotOurs
	case 1:
		l.reach(p, j, job.Claimed, job.Verified)
		_, err := l.s.Result(ctx, p.key, j.ID, job.Result{Job: j.ID, State: job.Failed, DiskTouched: true, Fault: &job.Fault{Code: job.CodePersonalise}})
		must(l.t, err)
		e.state, e.code, e.unproven, e.files = job.Failed, job.CodePersonalise, true, 0
	default:
		l.reach(p, j, job.Claimed, job.Verified, job.Personalised, job.Committed)
		_, err := l.s.Result(ctx, p.key, j.ID, job.Result{Job: j.ID, State: job.Done, Proof: job.Proof{
			Personalised: &job.PersonalisedProof{Files: []job.WrittenFile{{Path: "/etc/hostname", Digest: imaging.Sum([]byte(to + "\n"))}}},
			Commit:       &job.CommitProof{Head: imaging.Sum([]byte("head"))}}})
		must(l.t, err)
		p.name = to
	}
	l.note(e)
}

func (l *life) returned(p *laptop) {
	if p.id == "" {
		return
	}
	_, err := l.s.Return(context.Background(), "cleo", p.id, store.Return{From: "Eva"})
	if l.done(err) {
		l.note(event{what: "return", laptop: p, by: "cleo"})
	}
}

func (l *life) lost(p *laptop) {
	if p.id == "" {
		return
	}
	_, err := l.s.Lose(context.Background(), "cleo", p.id, store.Loss{})
	if l.done(err) {
		l.note(event{what: "lost", laptop: p, by: "cleo"})
	}
}

// wiped clears a returned laptop and makes it ready, or disposes of it, or leaves it returned: the records that a wipe
// leaves. One that is destroyed is disposed of without a wipe.
func (l *life) wiped(p *laptop) {
	if p.id == "" {
		return
	}
	to, byJob := pick(l.r, store.Ready, store.Ready, store.Disposed, store.Returned), true
	if to == store.Disposed {
		byJob = l.chance(50)
	}
	err := l.db.Update(func(tx *store.Tx) error {
		d, err := tx.Device(p.id)
		if err != nil {
			return err
		}
		if d.State != store.Returned {
			return job.Faultf(job.CodeState, "not returned")
		}
		if byJob {
			j := store.Job{ID: job.ID(fmt.Sprint("wipe", l.next())), Kind: job.Wipe, Device: d.ID, Operator: "cleo", Created: tx.Now()}
			j.Enter(job.Done, tx.Now())
			err = tx.PutJob(j)
		}
		open, _, owed := tx.Owed(d.ID)
		if len(open) == 0 {
			return errors.Join(owed, job.Faultf(job.CodeState, "nothing is owed"))
		}
		if err = errors.Join(err, owed, d.Become(store.Wiping, tx.Now()), tx.PutDevice(d)); err != nil {
			return err
		}
		for _, o := range open {
			n, _, headErr := tx.EvidenceHead()
			e := store.Evidence{Number: n + 1, ID: fmt.Sprintf("R-%06d", n+1), Kind: store.Wiped, Device: d.ID, Label: d.Label(), Serial: d.Serial, Drive: o.Key, DriveWord: o.Word(), Time: tx.Now(),
				Operator: "cleo", Hash: "of the record", Signed: []byte("the record")}
			if !byJob {
				e.Kind = store.Destroyed
			}
			err = errors.Join(err, headErr, tx.PutEvidence(e))
		}
		return errors.Join(err, d.Become(to, tx.Now()), tx.PutDevice(d))
	})
	if !l.done(err) {
		return
	}
	e := event{what: "wipe", laptop: p, by: "cleo", kind: job.Wipe, state: job.Done}
	if !byJob {
		e.what, e.state = "destroy", ""
	}
	l.note(e)
}

// tempDir is a folder for thousands of transactions, whose disk is of no interest.
func tempDir(t *testing.T) string {
	dir, err := os.MkdirTemp(memory(), "ingot-report-*")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
