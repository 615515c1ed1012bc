package deploy_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/cert"
	"ingot/imaging/wipe/wipetest"
	"ingot/store"
)

const mib = 1 << 20

// wipeBench is a bench whose daemon signs certificates. Its clock stands where the simulated drives' clocks begin.
func wipeBench(t testing.TB) *bench {
	b := &bench{t: t, dir: t.TempDir(), clk: &clock{t: wipetest.NewClock().Now()}}
	b.tune = func(c *deploy.Config) {
		c.Certs, c.Organisation, c.Tool = certKey(t, b.dir), "Beispiel GmbH", "ingot test"
	}
	b.start()
	t.Cleanup(func() { b.stop() })
	b.update(func(tx *store.Tx) error {
		_, _, err := tx.AddVersion(store.Version{Image: "sales", Label: "2026-11", State: store.Released, Manifest: manifest, DiskSize: 2 * mib,
			NeedBytes: 2 * mib, SectorSize: 512, Table: "gpt", DataExtents: 7, ZeroExtents: 2, DataBytes: 5 << 20, ZeroBytes: 2 << 20, OS: "Debian GNU/Linux 12", Personalise: "linux",
			RootPart: 2, GrowPart: 2})
		return err
	})
	_, err := b.s.OpenBench(context.Background(), "anna", store.Bench{OpenUntil: b.clk.now().Add(400 * time.Hour)})
	must(t, err)
	return b
}

func certKey(t testing.TB, dir string) *cert.Signer {
	t.Helper()
	s, err := cert.Load(filepath.Join(dir, "certificates.key"))
	must(t, err)
	return s
}

// simDrive is how a simulated drive shows itself to the daemon.
func simDrive(p wipe.Port) job.Drive {
	f, err := p.Facts()
	if err != nil {
		panic(err)
	}
	return job.Drive{Path: f.Path, Serial: f.Serial, WWN: f.WWN, Model: f.Model, Transport: f.Transport, SizeBytes: f.SizeBytes, SectorSize: f.SectorSize, Rotational: f.Rotational}
}

// returned is a laptop with these drives that was deployed and came back; it is switched off.
func (b *bench) returned(serial, name string, ports ...wipe.Port) *laptop {
	b.t.Helper()
	l := b.laptop(serial)
	l.hello.Drives = nil
	for _, p := range ports {
		l.hello.Drives = append(l.hello.Drives, simDrive(p))
	}
	l.boot()
	_, err := b.s.Adopt(context.Background(), "anna", store.Adoption{Code: l.sayHello().Code, Name: name})
	must(b.t, err)
	_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: name, Image: "sales", Drive: l.hello.Drives[0].Serial})
	must(b.t, err)
	j := l.work()
	l.reach(j, job.Committed)
	_, err = l.c.Result(context.Background(), j.ID, result(j))
	must(b.t, err)
	_, err = b.s.Return(context.Background(), "anna", name, store.Return{From: "J. Meier"})
	must(b.t, err)
	return l
}

// wipeOrder orders the wipe of a returned device as anna.
func (b *bench) wipeOrder(o store.WipeOrder) (store.JobView, error) {
	return b.s.Wipe(context.Background(), "anna", store.Technician, o)
}

// begin takes the laptop through the states up to the one in which drives are wiped.
func (l *laptop) begin(j job.Job) {
	l.b.t.Helper()
	for _, s := range []job.State{job.Claimed, job.WipeBegun} {
		l.seq++
		_, err := l.c.State(context.Background(), j.ID, job.StateEvent{Seq: l.seq, State: s})
		must(l.b.t, err)
	}
}

// engine is what the agent puts over one drive of a job.
func (l *laptop) engine(j job.Job, n int, p wipe.Port, c *wipetest.Clock, seed byte) (*wipe.Engine, wipe.Order) {
	t := j.Wipe.Drives[n]
	var policy wipe.Policy
	must(l.b.t, json.Unmarshal(j.Wipe.Policy, &policy))
	e := &wipe.Engine{Port: p, Clock: c, Random: rand.NewChaCha8([32]byte{seed, 31: byte(n)}), Journal: func(s wipe.Started) error {
		b, err := json.Marshal(s)
		if err == nil {
			_, err = l.c.KeepJournal(context.Background(), j.ID, job.DriveJournal{Drive: n, Journal: b})
		}
		return err
	}}
	return e, wipe.Order{Drive: wipe.Expect{Serial: t.Serial, WWN: t.WWN, SizeBytes: t.SizeBytes, SectorSize: t.SectorSize}, Policy: policy, PSID: t.PSID, Override: t.Allow}
}

// report sends how a drive ended.
func (l *laptop) report(j job.Job, n int, r wipe.Report) (job.DriveAck, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return job.DriveAck{}, err
	}
	return l.c.Wiped(context.Background(), j.ID, job.DriveReport{Drive: n, Report: b})
}

// ended sends the end of the job.
func (l *laptop) ended(j job.Job, s job.State) error {
	_, err := l.c.Result(context.Background(), j.ID, job.Result{Job: j.ID, State: s, DiskTouched: true})
	return err
}

func (b *bench) certificates() []store.EvidenceView {
	b.t.Helper()
	list, err := b.s.Certificates(context.Background(), "")
	must(b.t, err)
	return list
}

func (b *bench) noCertificates(why string) {
	b.t.Helper()
	if n := len(b.certificates()); n != 0 {
		b.t.Fatalf("%s: %d certificates", why, n)
	}
}

// disk is a magnetic drive, flash an NVMe one, each full of the former owner's data.
func disk(serial string) *wipetest.ATA {
	d := wipetest.NewATA(wipetest.NewMedium(4*mib, false, 7), 7200)
	d.Told.Serial, d.Told.WWN = serial, "naa.50014ee2b1c2d3e4" // as its IDENTIFY says
	return d
}

func flash(serial string) *wipetest.NVMe {
	d := wipetest.NewNVMe(wipetest.NewMedium(4*mib, true, 8))
	d.Told.Serial = serial
	return d
}

// TestAReturnedLaptopIsWipedAndReady: both drives get their certificates, which verify with the public key alone, and
// only then is the laptop ready, its system forgotten and its Name kept.
func TestAReturnedLaptopIsWipedAndReady(t *testing.T) {
	b := wipeBench(t)
	hdd, ssd := disk("WD-ONE00001"), flash("S4TWO00001")
	l := b.returned("PF3ABC12", "SALES-017", hdd, ssd)
	if _, err := b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC13"}); err == nil {
		t.Fatal("a wrong serial was taken")
	} else {
		wantCode(t, "a wrong serial", err, job.CodeWrongSerial)
	}
	v, err := b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: " pf3abc12 ", Place: "Bench 1"})
	must(t, err)
	if b.device("SALES-017").State != store.Returned {
		t.Error("it is wiping before its laptop came")
	}
	l.boot()
	l.sayHello()
	j := l.work()
	if j.Kind != job.Wipe || j.Wipe == nil || len(j.Wipe.Drives) != 2 || j.Wipe.Settle || v.Wipe == nil {
		t.Fatalf("job %+v", j)
	}
	l.begin(j)
	if d := b.device("SALES-017"); d.State != store.Wiping {
		t.Errorf("device is %s; want wiping", d.State)
	}
	wipeAll(t, l, j, hdd, ssd)
	must(t, l.ended(j, job.Done))
	d := b.device("SALES-017")
	if d.State != store.Ready || d.Deployment != "" || d.Owing || d.Name != "SALES-017" {
		t.Errorf("device %s, deployment %q, owing %v, name %s", d.State, d.Deployment, d.Owing, d.Name)
	}
	if n := hdd.Readable() + ssd.Left(); n != 0 {
		t.Errorf("%d blocks of the former owner are left", n)
	}
	list := b.certificates()
	if len(list) != 2 {
		t.Fatalf("%d certificates; want 2", len(list))
	}
	key, err := cert.KeyOf(b.s.CertificateKey())
	must(t, err)
	for _, e := range list {
		full, err := b.s.Certificate(context.Background(), e.ID)
		must(t, err)
		r, err := cert.Verify(full.Signed, key)
		must(t, err)
		if r.Sanitised.Job != string(j.ID) || r.Device.Serial != "PF3ABC12" || r.Device.Source != "J. Meier" || r.Sanitised.People[0].Name != "anna" || r.Sanitised.Place != "Bench 1" {
			t.Errorf("certificate %+v %+v", r.Device, r.Sanitised)
		}
	}
	if c, err := b.s.CheckCertificates(context.Background()); err != nil || c.Records != 2 || c.Broken != 0 {
		t.Errorf("chain %+v, %v", c, err)
	}
	if _, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: "SALES-017", Image: "sales", Drive: "WD-ONE00001"}); err != nil {
		t.Errorf("a clean device gets an image: %v", err)
	}
}

// wipeAll wipes and reports every drive, and wants its certificate.
func wipeAll(t *testing.T, l *laptop, j job.Job, ports ...wipe.Port) {
	t.Helper()
	for n, p := range ports {
		e, o := l.engine(j, n, p, clockOf(p), 1)
		r := e.Wipe(context.Background(), o)
		ack, err := l.report(j, n, r)
		must(t, err)
		if ack.Certificate == "" || ack.Fault != nil {
			t.Fatalf("drive %d: %+v; report %s %s %s", n, ack, r.Outcome, r.Cause, r.Fact)
		}
		again, err := l.report(j, n, r) // the answer got lost
		if err != nil || again.Certificate != ack.Certificate {
			t.Errorf("the same report again: %+v, %v", again, err)
		}
	}
}

func clockOf(p wipe.Port) *wipetest.Clock {
	switch d := p.(type) {
	case *wipetest.ATA:
		return d.Clock
	case *wipetest.NVMe:
		return d.Clock
	case *wipetest.Faulty:
		return clockOf(d.Port)
	}
	panic("no clock")
}

// ordered is a returned laptop whose wipe was ordered and which has taken it.
func (b *bench) wipeTaken(ports ...wipe.Port) (*laptop, job.Job) {
	b.t.Helper()
	l := b.returned("PF3ABC12", "SALES-017", ports...)
	_, err := b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12"})
	must(b.t, err)
	l.boot()
	l.sayHello()
	j := l.work()
	l.begin(j)
	return l, j
}

// TestNoCertificateForAWipeThatWasNotProven is every way by which a drive or an agent could come to one wrongly.
func TestNoCertificateForAWipeThatWasNotProven(t *testing.T) {
	run := func(name string, p wipe.Port, change func(*wipe.Report), end job.State, code job.Code) {
		t.Run(name, func(t *testing.T) {
			b := wipeBench(t)
			l, j := b.wipeTaken(p)
			e, o := l.engine(j, 0, p, clockOf(p), 3)
			r := e.Wipe(context.Background(), o)
			if change != nil {
				change(&r)
			}
			ack, err := l.report(j, 0, r)
			must(t, err)
			if ack.Certificate != "" || ack.Fault == nil {
				t.Fatalf("the answer is %+v", ack)
			}
			wantCode(t, "the answer", ack.Fault, code)
			if err := l.ended(j, job.Done); err == nil {
				t.Error("it was acknowledged as done")
			}
			v, err := b.s.Job(context.Background(), j.ID)
			must(t, err)
			if v.State != end || b.device("SALES-017").State != store.Returned {
				t.Errorf("job %s, device %s; want %s and returned", v.State, b.device("SALES-017").State, end)
			}
			b.noCertificates(name)
			_, err = b.s.Clear(context.Background(), "anna", "SALES-017", store.Ready, store.Disposal{Confirm: "PF3ABC12"})
			wantCode(t, "ready without it", err, job.CodeOwed)
		})
	}
	liar := flash("S4LIAR0001")
	liar.Ignores, liar.SSTAT, liar.SCDW10 = true, 1, 4
	run("the drive reports success and keeps its data", liar, nil, job.Indeterminate, job.CodeUnsettled)
	keeps := flash("S4KEEPS001")
	keeps.Keeps, keeps.Leaves = 500, wipetest.Zeros
	run("half of the data is still there", keeps, nil, job.Failed, job.CodeStillThere)
	run("an agent that says done of a failure", func() wipe.Port { d := flash("S4KEEPS002"); d.Keeps = 1000; return d }(), func(r *wipe.Report) { r.Outcome, r.Cause = wipe.Done, "" },
		job.Indeterminate, job.CodeNoCertificate)
	run("a report about another drive", disk("WD-ONE00001"), func(r *wipe.Report) { r.Drive.Serial = "WD-TWO00002" }, job.Indeterminate, job.CodeNoCertificate)
	run("a refused wipe", func() wipe.Port { d := flash("S4OLD00001"); d.SANICAP, d.OACS, d.Told.ReadOnly = 0, 0, true; return d }(), nil, job.Failed, job.CodeWipeNoEvidence)
}

// TestNothingIsDoneBeforeItsJournalIsKept: a report of a wipe that was never let loose is no evidence.
func TestNothingIsDoneBeforeItsJournalIsKept(t *testing.T) {
	b := wipeBench(t)
	hdd := disk("WD-ONE00001")
	l, j := b.wipeTaken(hdd)
	e, o := l.engine(j, 0, hdd, hdd.Clock, 1)
	e.Journal = func(wipe.Started) error { return nil } // kept nowhere
	ack, err := l.report(j, 0, e.Wipe(context.Background(), o))
	must(t, err)
	wantCode(t, "a report without a journal", ack.Fault, job.CodeNoCertificate)
	b.noCertificates("without a journal")
}

// TestADriveThatWasSwappedIsNotWiped: the laptop holds another drive than was approved.
func TestADriveThatWasSwappedIsNotWiped(t *testing.T) {
	b := wipeBench(t)
	hdd, ssd := disk("WD-ONE00001"), flash("S4TWO00001")
	l := b.returned("PF3ABC12", "SALES-017", hdd, ssd)
	v, err := b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12"})
	must(t, err)
	l.hello.Drives[1] = simDrive(flash("S4OTHER001"))
	l.boot()
	l.sayHello()
	if n := l.next(); n.Order == job.Work {
		t.Fatal("it was let loose on another drive")
	}
	v, err = b.s.Job(context.Background(), v.ID)
	must(t, err)
	if v.State != job.Failed || v.Fault.Code != job.CodeWrongDrive {
		t.Errorf("job %s, %v; want failed, %s", v.State, v.Fault, job.CodeWrongDrive)
	}
	_, err = b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12"}) // what is in it now
	must(t, err)
	l.boot()
	l.sayHello()
	j := l.work()
	if len(j.Wipe.Drives) != 2 || j.Wipe.Drives[1].Serial != "S4OTHER001" {
		t.Fatalf("drives %+v", j.Wipe.Drives)
	}
	l.begin(j)
	other := flash("S4OTHER001")
	wipeAll(t, l, j, hdd, other)
	must(t, l.ended(j, job.Done))
	if d := b.device("SALES-017"); d.State != store.Returned {
		t.Errorf("with a known drive absent it is %s; want returned", d.State)
	}
	_, err = b.s.Clear(context.Background(), "anna", "SALES-017", store.Disposed, store.Disposal{Confirm: "PF3ABC12"})
	wantCode(t, "disposed with a known drive absent", err, job.CodeOwed)
	if err == nil || !strings.Contains(err.Error(), "S4TWO00001") {
		t.Errorf("it does not name the absent drive: %v", err)
	}
	rec, err := b.s.DestroyDrive(context.Background(), "anna", store.Destruction{Device: "SALES-017", Drive: "S4TWO00001", Confirm: "S4TWO00001", Method: "shredded",
		Why: "removed by the user", Place: "Vendor", By: "Karl Ott", Witness: "Eva Lang", Reference: "R-1", Dispose: true})
	must(t, err)
	if d := b.device(l.hello.Facts.Serial); rec.Kind != store.Destroyed || d.State != store.Disposed || d.Name != "" {
		t.Errorf("record %s, device %s, name %q", rec.Kind, d.State, d.Name)
	}
	if _, err := b.s.DestroyDrive(context.Background(), "anna", store.Destruction{Device: l.hello.Facts.Serial, Drive: "S4TWO00001", Confirm: "S4TWO00002"}); err == nil {
		t.Error("a drive's serial that was typed wrongly was taken")
	} else {
		wantCode(t, "a wrong drive serial", err, job.CodeWrongSerial)
	}
}
