package agent_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ingot/imaging/agent"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/passthru"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/cert"
	"ingot/imaging/wipe/wipetest"
	"ingot/store"
)

// closing gives a simulated drive the Close of a real one.
type closing struct{ wipe.Port }

func (closing) Close() error { return nil }

// wipeBay is the drives of a laptop that are simulated down to their commands.
type wipeBay struct {
	ports       []wipe.Port
	swap        func(job.Target) error // may refuse one
	controllers []wipe.Controller
}

func (w *wipeBay) Controllers() ([]wipe.Controller, error) { return w.controllers, nil }

func (w *wipeBay) drives() (out []job.Drive) {
	for _, p := range w.ports {
		f, err := p.Facts()
		if err != nil {
			panic(err)
		}
		out = append(out, job.Drive{Path: f.Path, Serial: f.Serial, WWN: f.WWN, Model: f.Model, Transport: f.Transport, SizeBytes: f.SizeBytes, SectorSize: f.SectorSize,
			Rotational: f.Rotational, Health: job.Health{State: job.HealthGood}})
	}
	return out
}

func (w *wipeBay) OpenWipe(want job.Target) (agent.WipePort, error) {
	if w.swap != nil {
		if err := w.swap(want); err != nil {
			return nil, err
		}
	}
	for _, p := range w.ports {
		if f, err := p.Facts(); err == nil && f.Serial == want.Serial {
			return closing{p}, nil
		}
	}
	return nil, job.Faultf(job.CodeWrongDrive, "No drive %s.", want.Serial)
}

// wipeWorld is a laptop with simulated drives that came back and whose wipe was ordered.
func wipeWorld(t *testing.T, o store.WipeOrder, ports ...wipe.Port) (*bench, *laptop, *wipeBay) {
	t.Helper()
	b := newBench(t, newGolden(t, 1))
	certs, err := cert.Load(filepath.Join(b.dir, "certificates.key"))
	must(t, err)
	b.stop()
	b.tune = func(c *deploy.Config) { c.Certs = certs }
	b.ahead.Store(int64(time.Until(wipetest.NewClock().Now())))
	b.start(nil)
	_, err = b.service.OpenBench(context.Background(), "anna", store.Bench{OpenUntil: b.now().Add(time.Hour)})
	must(t, err)
	l := b.laptop(1)
	bay := &wipeBay{ports: ports, controllers: []wipe.Controller{{Address: "0000:00:17.0", Class: 0x010601, Driver: "ahci"}}}
	l.listed, l.wiper = bay.drives(), bay
	shared := wipetest.NewClock()
	for _, p := range ports {
		switch d := p.(type) {
		case *wipetest.ATA:
			d.Clock = shared
		case *wipetest.NVMe:
			d.Clock = shared
		}
	}
	l.wipeClock = shared
	must(t, b.db.Update(func(tx *store.Tx) error {
		d := store.Device{ID: "returned0001", Serial: l.facts.Serial, Told: l.facts.Serial, SerialKey: store.SerialKey(l.facts.Manufacturer, l.facts.Serial), UUID: l.facts.UUID,
			UUIDKey: store.UUIDKey(l.facts.UUID), Manufacturer: l.facts.Manufacturer, Model: l.facts.Model, State: store.Deployed, Drives: l.listed, Seen: tx.Now(), Firmware: "uefi", Arch: "x64", MemoryBytes: 8 << 30}
		if err := tx.Reserve(&d, "SALES-01"); err != nil {
			return err
		}
		if err := tx.PutDevice(d); err != nil {
			return err
		}
		d.State = store.Returned
		return tx.PutDevice(d)
	}))
	o.Device, o.Confirm = "SALES-01", l.facts.Serial
	_, err = b.service.Wipe(context.Background(), "anna", store.Technician, o)
	must(t, err)
	return b, l, bay
}

func platter(serial string) *wipetest.ATA {
	d := wipetest.NewATA(wipetest.NewMedium(4*mib, false, 7), 7200)
	d.Told.Serial, d.Told.Path = serial, "/dev/sda"
	return d
}

func flash(serial string) *wipetest.NVMe {
	d := wipetest.NewNVMe(wipetest.NewMedium(4*mib, true, 8))
	d.Told.Serial = serial
	return d
}

// ends waits until Run has ended, or the screen shows a failure that stays.
func (l *laptop) ends(ctx context.Context, cancel func(), wait func() error) agent.View {
	l.b.t.Helper()
	done := make(chan error, 1)
	go func() { done <- wait() }()
	deadline := time.After(60 * time.Second)
	for {
		select {
		case err := <-done:
			must(l.b.t, err)
			return l.lastView()
		case <-deadline:
			l.b.t.Fatalf("it did not end; the screen shows %+v", l.lastView())
		case <-time.After(20 * time.Millisecond):
			if v := l.lastView(); v.Colour == agent.Red || v.Colour == agent.Green && v.SafeTo == agent.UnplugAllowed { // it stands there for a person
				cancel()
				<-done
				return l.lastView()
			}
		}
	}
}

func (b *bench) records(t *testing.T) []store.EvidenceView {
	t.Helper()
	list, err := b.service.Certificates(context.Background(), "")
	must(t, err)
	return list
}

// TestALaptopWipesAllItsDrivesAtOnce: each gets its certificate, none of the former owner's blocks is left, and "done" is on
// no screen before the certificate is stored.
func TestALaptopWipesAllItsDrivesAtOnce(t *testing.T) {
	hdd, ssd := platter("WD-ONE00001"), flash("S4TWO00001")
	b, l, _ := wipeWorld(t, store.WipeOrder{}, hdd, ssd)
	l.second, l.listed[0].Holds = 20*time.Millisecond, []string{"Windows, 120 GB used"}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	v := l.ends(ctx, cancel, l.boot(ctx))
	if v.Colour != agent.Green || v.Word != "done" || len(v.Lines) != 2 || !strings.Contains(strings.Join(v.Lines, " "), "certificate W-00000") {
		t.Errorf("at the end: %+v", v)
	}
	if d := b.device(); d.State != store.Ready || len(b.records(t)) != 2 || hdd.Readable()+ssd.Left() != 0 {
		t.Errorf("device %s, %d certificates, %d blocks left", d.State, len(b.records(t)), hdd.Readable()+ssd.Left())
	}
	counted := 0
	for _, v := range l.views {
		if strings.HasPrefix(v.Word, "wiping in ") && strings.Contains(v.Sentence, "destroyed for good") && v.Next == "Press Esc to stop." && strings.Contains(strings.Join(v.Lines, "\n"), "lost for good: Windows, 120 GB used") {
			counted++
		}
	}
	if counted < 10 {
		t.Errorf("the screen counted down %d times; want 10", counted)
	}
}

// TestEscStopsAWipeBeforeItBegins: nothing on any drive has changed.
func TestEscStopsAWipeBeforeItBegins(t *testing.T) {
	hdd := platter("WD-ONE00001")
	b, l, _ := wipeWorld(t, store.WipeOrder{}, hdd)
	l.second = 100 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	wait := l.boot(ctx)
	l.hears("wiping starts in 10 s, drive serial WD-ONE00001")
	time.Sleep(50 * time.Millisecond)
	l.stop <- struct{}{}
	l.ends(ctx, cancel, wait)
	if d := b.device(); d.State != store.Returned || hdd.Readable() != 4*mib/4096 || len(b.records(t)) != 0 {
		t.Errorf("device %s, %d blocks left, %d certificates", d.State, hdd.Readable(), len(b.records(t)))
	}
}

// TestASwappedDriveStopsTheWholeWipeBeforeItBegins: the daemon let it go, the laptop itself refuses.
func TestASwappedDriveStopsTheWholeWipeBeforeItBegins(t *testing.T) {
	hdd, ssd := platter("WD-ONE00001"), flash("S4TWO00001")
	b, l, bay := wipeWorld(t, store.WipeOrder{}, hdd, ssd)
	bay.swap = func(want job.Target) error {
		if want.Serial == "S4TWO00001" {
			return job.Faultf(job.CodeWrongDrive, "Another drive is in its place.")
		}
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	v := l.ends(ctx, cancel, l.boot(ctx))
	if v.Fault != job.CodeWrongDrive || hdd.Readable() != 4*mib/4096 || b.device().State != store.Returned || len(b.records(t)) != 0 {
		t.Errorf("screen %+v, %d blocks left, device %s", v, hdd.Readable(), b.device().State)
	}
}

// TestDrivesThatTheFirmwareHidesStopAWipe: what stands behind RAID or VMD was not seen, and would leave the house unwiped.
func TestDrivesThatTheFirmwareHidesStopAWipe(t *testing.T) {
	ssd := flash("S4TWO00001")
	b, l, bay := wipeWorld(t, store.WipeOrder{}, ssd)
	bay.controllers = append(bay.controllers, wipe.Controller{Address: "0000:00:0e.0", Class: 0x010400})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	v := l.ends(ctx, cancel, l.boot(ctx))
	if v.Fault != job.CodeHidesDrives || !strings.Contains(v.Next, "AHCI") || ssd.Left() == 0 || b.device().State != store.Returned || len(b.records(t)) != 0 {
		t.Errorf("screen %+v, %d blocks left, device %s", v, ssd.Left(), b.device().State)
	}
}

// TestALaptopSleepsOnceForItsFrozenDriveBeforeAnyIsBegun: a sleep in mid-wipe would take the power of the other.
func TestALaptopSleepsOnceForItsFrozenDriveBeforeAnyIsBegun(t *testing.T) {
	hdd, ssd := platter("WD-ONE00001"), wipetest.NewATA(wipetest.NewMedium(4*mib, true, 9), 1)
	ssd.Told.Serial, ssd.Told.Path, ssd.Frozen, ssd.SanFrozen = "S4FROZEN01", "/dev/sdb", true, true
	b, l, _ := wipeWorld(t, store.WipeOrder{}, hdd, ssd)
	slept := 0
	l.thaw = func() error {
		if slept++; hdd.Readable() != 4*mib/4096 {
			t.Error("the other drive is begun already")
		}
		ssd.PowerCycle()
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	v := l.ends(ctx, cancel, l.boot(ctx))
	if v.Colour != agent.Green || slept != 1 || ssd.Left() != 0 || len(b.records(t)) != 2 {
		t.Errorf("screen %+v, slept %d times, %d blocks left, %d certificates", v, slept, ssd.Left(), len(b.records(t)))
	}
}

// TestADriveThatLiesIsNotDone: one of two drives keeps its data and says success; the other is certified, the laptop is not.
func TestADriveThatLiesIsNotDone(t *testing.T) {
	hdd, ssd := platter("WD-ONE00001"), flash("S4LIAR0001")
	ssd.Keeps = 1000
	b, l, _ := wipeWorld(t, store.WipeOrder{}, hdd, ssd)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	v := l.ends(ctx, cancel, l.boot(ctx))
	if v.Colour != agent.Red || v.Fault != job.CodeNotWiped && v.Fault != job.CodeUnsettled {
		t.Errorf("screen %+v", v)
	}
	if list := b.records(t); b.device().State != store.Returned || len(list) != 1 || !strings.Contains(list[0].DriveWord, "WD-ONE00001") {
		t.Errorf("device %s, records %+v", b.device().State, list)
	}
	for _, v := range l.views {
		if v.Word == "done" || strings.Contains(strings.Join(v.Lines, " "), "S4LIAR0001: done") {
			t.Errorf("the screen said done: %+v", v)
		}
	}
}

// TestNoScreenSaysDoneWhileTheServerIsAway: the drive is wiped, and the answer with its certificate has not come.
func TestNoScreenSaysDoneWhileTheServerIsAway(t *testing.T) {
	ssd := flash("S4TWO00001")
	b, l, bay := wipeWorld(t, store.WipeOrder{}, ssd)
	away := make(chan struct{})
	gone := false
	bay.ports[0] = whenErased{ssd, ssd.Left, func() {
		if !gone {
			gone = true
			b.stop()
			close(away)
		}
	}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	wait := l.boot(ctx)
	<-away
	time.Sleep(1500 * time.Millisecond)
	for _, v := range l.viewsNow() {
		if v.Word == "done" || v.Colour == agent.Green || strings.Contains(strings.Join(v.Lines, " "), ": done") {
			t.Fatalf("without the server the screen said %+v", v)
		}
	}
	b.start(nil)
	v := l.ends(ctx, cancel, wait)
	if v.Colour != agent.Green || len(b.records(t)) != 1 || b.device().State != store.Ready {
		t.Errorf("after the server came back: %+v, %d records, %s", v, len(b.records(t)), b.device().State)
	}
}

// whenErased tells when the drive has been read after its wipe.
type whenErased struct {
	wipe.Port
	left func() int
	do   func()
}

func (w whenErased) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.Port.ReadAt(p, off)
	if w.left() == 0 {
		w.do()
	}
	return n, err
}

// TestTheNextStartSettlesWhatWasBegun: power is lost while the drive sanitises itself; it goes on by itself, and the next
// start reads its log. No new order is needed for the certificate of one that ended well, and none is given otherwise.
func TestTheNextStartSettlesWhatWasBegun(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*wipetest.NVMe)
		want   job.State
		certs  int
	}{
		"it ended by itself":    {func(*wipetest.NVMe) {}, job.Done, 1},
		"it failed by itself":   {func(d *wipetest.NVMe) { d.Fails = true }, job.Failed, 0},
		"it had erased nothing": {func(d *wipetest.NVMe) { d.Keeps = 1000 }, job.Failed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ssd := flash("S4TWO00001")
			c.change(ssd)
			b, l, bay := wipeWorld(t, store.WipeOrder{}, ssd)
			cut := &powerCut{Port: ssd, gone: make(chan struct{}), free: make(chan struct{})}
			bay.ports[0] = cut
			ctx, cancel := context.WithCancel(context.Background())
			wait := l.boot(ctx)
			<-cut.gone
			cancel() // the laptop is off
			close(cut.free)
			_ = wait() // of a start that was cut off
			if n := len(b.records(t)); n != 0 {
				t.Fatalf("%d certificates of a wipe that nobody saw the end of", n)
			}
			ssd.Clock.Sleep(2 * time.Minute) // it goes on by itself
			bay.ports[0] = ssd
			b.ahead.Add(int64(3 * time.Minute)) // the first start's key is silent
			ctx, cancel = context.WithCancel(context.Background())
			defer cancel()
			l.ends(ctx, cancel, l.boot(ctx))
			jobs, err := b.service.Jobs(context.Background(), true)
			must(t, err)
			if len(jobs) != 1 || jobs[0].State != c.want || len(b.records(t)) != c.certs || c.certs == 1 && ssd.Left() != 0 {
				t.Errorf("jobs %+v, %d certificates, %d blocks left", jobs, len(b.records(t)), ssd.Left())
			}
		})
	}
}

// powerCut holds the engine behind the command that starts the sanitize; when it goes on, the drive is gone.
type powerCut struct {
	wipe.Port
	gone, free chan struct{}
	off        atomic.Bool
}

var errOff = errors.New("no such device")

func (p *powerCut) NVMe(c passthru.NVMe) (passthru.NVMeReply, error) {
	if p.off.Load() {
		return passthru.NVMeReply{}, errOff
	}
	r, err := p.Port.NVMe(c)
	if c.Opcode == 0x84 && !p.off.Swap(true) {
		close(p.gone)
		<-p.free
	}
	return r, err
}

func (p *powerCut) ReadAt(b []byte, off int64) (int, error) {
	if p.off.Load() {
		return 0, errOff
	}
	return p.Port.ReadAt(b, off)
}

// TestAWipeGoesStraightIntoTheImage that was ordered with it, without another start.
func TestAWipeGoesStraightIntoTheImage(t *testing.T) {
	hdd := platter("WD-ONE00001")
	b, l, _ := wipeWorld(t, store.WipeOrder{Then: &store.Order{Image: "sales"}}, hdd)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l.drive = l.listed[0]
	must(t, truncateTo(l.path, int64(l.drive.SizeBytes)))
	v := l.ends(ctx, cancel, l.boot(ctx))
	if v.Colour != agent.Green || b.device().State != store.Deployed || len(b.records(t)) != 1 {
		t.Errorf("screen %+v, device %s, %d records", v, b.device().State, len(b.records(t)))
	}
	l.holds()
}
