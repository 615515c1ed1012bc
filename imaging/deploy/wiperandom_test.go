package deploy_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/cert"
	"ingot/imaging/wipe/wipetest"
	"ingot/store"
)

var wipeRuns = flag.Int("wipe-runs", 2000, "how many wipes with faults at random steps")

// cell is what a simulated drive is asked besides what its interface shows.
type cell interface {
	wipe.Port
	Readable() int
	Left() int
}

// wipeRun is one laptop with one drive on its way through starts that go wrong.
type wipeRun struct {
	b      *bench
	rnd    *rand.Rand
	device string
	drive  cell
	clock  *wipetest.Clock
	fault  *wipetest.Faulty
	key    job.KeyID
	seq    uint64
	boots  int
	lost   int // requests and answers
	disk   *smallDisk
}

// TestNoPathEndsWithACertificateForAWipeThatWasNotProven: real Service, real records, the real engine over a drive that
// may misbehave; at every step a request or an answer may be lost, the agent killed, the daemon started anew, the laptop
// without power, the order repeated. Whenever there is a certificate, nothing of the former owner is left that its claim
// speaks of; whenever the device is ready, there is one.
func TestNoPathEndsWithACertificateForAWipeThatWasNotProven(t *testing.T) {
	if dir := "/dev/shm"; isDir(dir) {
		t.Setenv("TMPDIR", dir) // the records' syncs are not what is tested
	}
	var b *bench
	ends, kills, cuts, certified, total := map[store.DeviceState]int{}, 0, 0, 0, 0
	for i := range *wipeRuns {
		if i%100 == 0 {
			chainHolds(t, b, certified)
			b, certified = randomBench(t), 0
		}
		w := newWipeRun(b, i)
		w.run(t)
		kills, cuts = kills+w.boots-1, cuts+w.lost
		d := b.device(w.device)
		ends[d.State]++
		n := w.check(t, i)
		total += n
		if certified += n; d.State == store.Ready && n == 0 || d.State != store.Ready && d.State != store.Returned && d.State != store.Wiping {
			t.Errorf("run %d: device is %s with %d certificates", i, d.State, n)
		}
		if t.Failed() {
			return
		}
	}
	chainHolds(t, b, certified)
	t.Logf("%d runs: %v; %d starts were cut off, %d requests or answers lost, %d certificates", *wipeRuns, ends, kills, cuts, total)
	if *wipeRuns >= 1000 && (total < *wipeRuns/5 || ends[store.Returned] < *wipeRuns/10 || kills < *wipeRuns/10) {
		t.Error("the faults are not what they should be")
	}
}

// randomBench is a bench whose answers do not wait.
func randomBench(t *testing.T) *bench {
	b := wipeBench(t)
	tune := b.tune
	b.stop()
	b.tune = func(c *deploy.Config) { tune(c); c.Poll = time.Millisecond }
	b.start()
	return b
}

func chainHolds(t *testing.T, b *bench, records int) {
	t.Helper()
	if b == nil {
		return
	}
	if c, err := b.s.CheckCertificates(context.Background()); err != nil || c.Broken != 0 || c.Records != uint64(records) {
		t.Errorf("chain %+v, %v; want %d records", c, err, records)
	}
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

func newWipeRun(b *bench, i int) *wipeRun {
	w := &wipeRun{b: b, rnd: rand.New(rand.NewPCG(uint64(i), 0xce27)), device: fmt.Sprintf("rnd%09d", i)}
	serial := fmt.Sprintf("RANDOM%06d", i)
	w.clock = wipetest.NewClock()
	w.clock.Sleep(b.clk.now().Sub(w.clock.Now()))
	if w.rnd.IntN(2) == 0 {
		w.drive = w.ssd(serial, uint64(i))
	} else {
		w.drive = w.sata(serial, uint64(i))
	}
	drive := simDrive(w.drive)
	b.update(func(tx *store.Tx) error {
		d := store.Device{ID: w.device, Serial: w.device, Told: w.device, SerialKey: store.SerialKey("Dell Inc.", w.device), UUID: uuidFor(w.device), UUIDKey: store.UUIDKey(uuidFor(w.device)),
			Manufacturer: "Dell Inc.", State: store.Deployed, Drives: []job.Drive{drive}, Seen: tx.Now()}
		if err := tx.PutDevice(d); err != nil {
			return err
		}
		d.State = store.Returned
		return tx.PutDevice(d)
	})
	return w
}

// ssd is an NVMe drive of a random character.
func (w *wipeRun) ssd(serial string, seed uint64) cell {
	d := wipetest.NewNVMe(wipetest.NewMedium(mib, true, seed))
	d.Told.Serial, d.Told.WWN, d.Clock = serial, "", w.clock
	d.SANICAP = []uint32{7, 7, 1, 2, 0}[w.rnd.IntN(5)]
	switch w.rnd.IntN(12) {
	case 0:
		d.Keeps, d.Leaves = 300+w.rnd.IntN(700), w.rnd.IntN(3)
	case 1:
		d.Ignores, d.SSTAT, d.SCDW10 = true, 1, 4
	case 2:
		d.Fails = true
	case 3:
		d.FailsOnce = true
	case 4:
		d.LogFails = -1
	case 5:
		d.SSTAT, d.SCDW10, d.Lag = 0x0101, 4, 2*time.Second
	case 6:
		d.OACS = 0
	}
	return d
}

// sata is a SATA drive of a random character, a platter or flash.
func (w *wipeRun) sata(serial string, seed uint64) cell {
	rotation := []uint16{7200, 1}[w.rnd.IntN(2)]
	d := wipetest.NewATA(wipetest.NewMedium(mib, rotation == 1, seed), rotation)
	d.Told.Serial, d.Told.WWN, d.Clock = serial, "", w.clock
	switch w.rnd.IntN(12) {
	case 0:
		d.Keeps = 300 + w.rnd.IntN(700)
	case 1:
		d.Ignores, d.SanSucceeded = true, true
	case 2:
		d.Fails = true
	case 3:
		d.Frozen, d.SanFrozen = true, true
	case 4:
		d.BadAt[w.rnd.IntN(100)] = true
	case 5:
		d.Drops = true
	case 6:
		d.StatusFails = -1
	}
	return d
}

// run orders the wipe, starts the laptop again and again, and repeats the order now and then.
func (w *wipeRun) run(t *testing.T) {
	for range 2 {
		if _, err := w.b.wipeOrder(store.WipeOrder{Device: w.device, Confirm: w.device}); err != nil {
			return // closed already, or busy: both are right
		}
		for range 4 {
			w.boots++
			if w.start(t) {
				break
			}
			if w.rnd.IntN(4) == 0 {
				w.b.stop()
				w.b.start()
			}
			w.b.clk.pass(time.Minute)
			w.clock.Sleep(w.b.clk.now().Sub(w.clock.Now()))
			if a, ok := w.drive.(*wipetest.ATA); ok && w.rnd.IntN(2) == 0 {
				a.PowerCycle()
			}
		}
		if w.rnd.IntN(2) == 0 { // nobody comes back to it
			w.b.clk.pass(2 * time.Hour)
			must(t, w.b.s.Sweep())
		}
		if w.b.device(w.device).State == store.Ready {
			return
		}
		if v := w.b.device(w.device); v.Job != nil && !v.Job.State.Final() {
			w.b.clk.pass(2 * time.Hour)
			must(t, w.b.s.Sweep())
		}
	}
}

// lossy carries one request to the daemon out, as the wire and the agent allow: it may be lost on the way there or back,
// and is sent again until it has been answered.
func lossy[Out any](w *wipeRun, do func() (Out, error)) (Out, error) {
	if w.disk != nil && w.rnd.IntN(3) == 0 {
		once := do
		do = func() (Out, error) { return whileFull(w, w.b.t.(*testing.T), once) }
	}
	for {
		switch w.rnd.IntN(20) {
		case 0:
			w.lost++
			continue
		case 1:
			w.lost++
			if _, err := do(); err != nil {
				var none Out
				return none, err
			}
			continue
		case 2:
			if w.rnd.IntN(3) == 0 {
				panic(wipetest.Killed{})
			}
		case 3:
			if w.rnd.IntN(6) == 0 {
				w.b.stop()
				w.b.start()
			}
		}
		return do()
	}
}

// start is one start of the laptop; it gives whether the job came to an end.
func (w *wipeRun) start(t *testing.T) (ended bool) {
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(wipetest.Killed); !ok {
				panic(v)
			}
		}
	}()
	ctx := context.Background()
	w.key, w.seq = job.KeyID(sign.KeyID([]byte(fmt.Sprintf("%s %d", w.device, w.boots)))), 0
	hello := job.Hello{Version: job.Version, Nonce: fmt.Sprintf("%032x", w.rnd.Uint64()), Firmware: "uefi", Build: "random", MemoryBytes: 8 << 30,
		Facts: job.Facts{Manufacturer: "Dell Inc.", Serial: w.device, UUID: uuidFor(w.device)}, Drives: []job.Drive{simDrive(w.drive)}}
	token, err := w.b.s.Token(ctx, deploy.Machine{MAC: fmt.Sprintf("52:54:00:%02x:%02x:%02x", w.boots, w.rnd.IntN(256), w.rnd.IntN(256)), UUID: hello.Facts.UUID})
	must(t, err)
	hello.Token = token
	w.b.update(func(tx *store.Tx) error { // the loop guard is another test's
		return tx.PutGuard(store.Guard{Machine: "device " + w.device})
	})
	reply, err := lossy(w, func() (job.HelloReply, error) { return w.b.s.Hello(ctx, w.key, hello) })
	must(t, err)
	n, err := lossy(w, func() (job.Next, error) { return w.b.s.Next(ctx, w.key) })
	must(t, err)
	if n.Order != job.Work {
		return n.Order == job.Leave
	}
	payload, err := sign.Open(reply.SigningKey, "job", n.Job)
	must(t, err)
	var j job.Job
	must(t, json.Unmarshal(payload, &j))
	for _, s := range []job.State{job.Claimed, job.WipeBegun} {
		w.seq++
		if _, err := lossy(w, func() (job.Ack, error) { return w.b.s.State(ctx, w.key, j.ID, job.StateEvent{Seq: w.seq, State: s}) }); err != nil {
			t.Fatalf("state %s: %v", s, err)
		}
	}
	state := job.Failed
	if r := w.erase(t, j); r != nil {
		b, err := json.Marshal(r)
		must(t, err)
		ack, err := lossy(w, func() (job.DriveAck, error) { return w.b.s.Wiped(ctx, w.key, j.ID, job.DriveReport{Report: b}) })
		must(t, err)
		if ack.Certificate != "" {
			if _, err := w.b.s.Certificate(ctx, ack.Certificate); err != nil {
				t.Errorf("the laptop's screen says done by %s: %v", ack.Certificate, err)
			}
			state = job.Done
		}
	}
	if w.rnd.IntN(20) == 0 {
		state = job.Done // an agent that says so of whatever it did
	}
	_, _ = lossy(w, func() (job.Ack, error) {
		return w.b.s.Result(ctx, w.key, j.ID, job.Result{Job: j.ID, State: state, DiskTouched: true})
	})
	return true
}

// erase is what the agent does with the one drive.
func (w *wipeRun) erase(t *testing.T, j job.Job) *wipe.Report {
	ctx := context.Background()
	w.fault = &wipetest.Faulty{Port: w.drive}
	if w.rnd.IntN(3) == 0 {
		w.fault.Fault, w.fault.At = wipetest.Fault(1+w.rnd.IntN(int(wipetest.Faults)-1)), []int{1 + w.rnd.IntN(30), 1 + w.rnd.IntN(900)}[w.rnd.IntN(2)]
	}
	keep := func(d job.DriveJournal) error {
		return w.fault.Tap(func() error {
			_, err := lossy(w, func() (job.Ack, error) { return w.b.s.KeepJournal(ctx, w.key, j.ID, d) })
			return err
		})
	}
	marshal := func(v any) json.RawMessage {
		b, err := json.Marshal(v)
		must(t, err)
		return b
	}
	e := &wipe.Engine{Port: w.fault, Clock: w.clock, Random: rand.NewChaCha8([32]byte{byte(w.rnd.Uint32()), byte(w.rnd.Uint32()), byte(w.boots)}),
		Journal: func(s wipe.Started) error { return keep(job.DriveJournal{Journal: marshal(s)}) },
		Keep:    func(p wipe.Password) error { return keep(job.DriveJournal{Password: marshal(p)}) }}
	target := j.Wipe.Drives[0]
	if target.Closed != "" {
		return nil
	}
	var policy wipe.Policy
	must(t, json.Unmarshal(j.Wipe.Policy, &policy))
	if target.Begun {
		kept, err := lossy(w, func() (job.DriveJournal, error) { return w.b.s.Journal(ctx, w.key, j.ID, 0) })
		must(t, err)
		var s wipe.Started
		must(t, json.Unmarshal(kept.Journal, &s))
		var p wipe.Password
		if len(kept.Password) > 0 {
			must(t, json.Unmarshal(kept.Password, &p))
		}
		if r := e.Settle(ctx, s, p.Password); r.Stands(policy) || j.Wipe.Settle {
			return &r
		}
	}
	if j.Wipe.Settle {
		return nil
	}
	r := e.Wipe(ctx, wipe.Order{Drive: wipe.Expect{Serial: target.Serial, WWN: target.WWN, SizeBytes: target.SizeBytes, SectorSize: target.SectorSize}, Policy: policy})
	if w.rnd.IntN(30) == 0 && r.Outcome != wipe.Done {
		r.Outcome, r.Cause = wipe.Done, "" // an agent that makes more of it than it was
	}
	return &r
}

// check holds every certificate of this run's drive against its cells.
func (w *wipeRun) check(t *testing.T, i int) (n int) {
	t.Helper()
	list, err := w.b.s.Certificates(context.Background(), w.device)
	must(t, err)
	key, err := cert.KeyOf(w.b.s.CertificateKey())
	must(t, err)
	for _, e := range list {
		full, err := w.b.s.Certificate(context.Background(), e.ID)
		must(t, err)
		r, err := cert.Verify(full.Signed, key)
		must(t, err)
		if left := w.drive.Readable(); left > 0 {
			t.Errorf("run %d: %s by %s, and %d blocks of the former owner can be read", i, r.ID, r.Sanitised.Does, left)
		}
		if left := w.drive.Left(); left > 0 && r.Sanitised.Claim == string(wipe.Purge) {
			t.Errorf("run %d: %s claims a purge by %s, and %d blocks are in the cells", i, r.ID, r.Sanitised.Does, left)
		}
		n++
	}
	return n
}
