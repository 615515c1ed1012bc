package agent_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"ingot/firmware/efivar"
	"ingot/imaging/agent"
	"ingot/imaging/job"
	"ingot/store"
)

// authority makes a certificate that signs others; by nil it signs itself.
func authority(t *testing.T, name string, by *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	if by == nil {
		by, key = c, own
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, own.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert, own
}

// since is one thing that is other when the laptop takes the order than it was when the order was given.
type since struct {
	version func(*store.Version)
	change  func(*laptop)
	want    job.Code
	fact    string
}

// takesOrder meets the laptop, switches it off, orders, changes it, and starts it again: it takes the order.
func takesOrder(t *testing.T, b *bench, l *laptop, change func(*laptop), o store.Order) (id job.ID, off func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	wait := l.boot(ctx)
	l.adopt()
	cancel()
	if err := wait(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	o.Device, o.Image = "SALES-01", "sales"
	j, err := b.service.Deploy(context.Background(), "anna", o)
	must(t, err)
	b.ahead.Add(int64(5 * time.Minute)) // should the old start have heard of the order yet, it is silent by now
	if change != nil {
		change(l)
	}
	ctx, cancel = context.WithCancel(t.Context())
	wait = l.boot(ctx)
	l.hears("hello accepted code ")
	b.ahead.Add(int64(time.Minute)) // its last request may have ended only after the first step of the clock
	return j.ID, func() {
		t.Helper()
		cancel()
		if err := wait(); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// TestALaptopThatIsOtherThanAtTheOrderRefusesBeforeTheFirstWrite asks each rule of preflight on the laptop itself:
// the order was in order when it was given.
func TestALaptopThatIsOtherThanAtTheOrderRefusesBeforeTheFirstWrite(t *testing.T) {
	img := newGolden(t, 4)
	ca, caKey := authority(t, "Microsoft UEFI CA 2023", nil, nil)
	signer, _ := authority(t, "signer", ca, caKey)
	old, _ := authority(t, "Microsoft Corporation UEFI CA 2011", nil, nil)
	hash := sha256.Sum256([]byte("loader"))
	signed := func(v *store.Version) {
		v.Loaders = []job.Loader{{Arch: "x64", SHA256: hex.EncodeToString(hash[:]), Chains: []job.Chain{{signer.Raw}}}}
	}
	db := func(certs ...*x509.Certificate) efivar.Database { return efivar.Database{Certs: certs} }
	for name, c := range map[string]since{
		"started in another firmware mode": {func(v *store.Version) { v.Firmware = []string{"uefi"} },
			func(l *laptop) { l.hello.Firmware = "bios" }, job.CodeFirmwareMode, "Image: uefi. Laptop: bios."},
		"firmware of another architecture": {func(v *store.Version) { v.Loaders = []job.Loader{{Arch: "x64"}} },
			func(l *laptop) { l.hello.Arch = "ia32" }, job.CodeArch, "Image: x64. Laptop: ia32."},
		"too little memory for the agent": {nil, func(l *laptop) { l.hello.MemoryBytes = 512 << 20 }, job.CodeLowMemory, "Imaging: 700 MB. Laptop: 512 MB."},
		"too little memory for the image": {func(v *store.Version) { v.MemoryBytes = 8 << 30 },
			func(l *laptop) { l.hello.MemoryBytes = 4 << 30 }, job.CodeLowMemory, "Image: 8192 MB. Laptop: 4096 MB."},
		"a drive that fails": {nil, func(l *laptop) {
			l.drive.Health = job.Health{State: job.HealthFailing, Text: "7 errors of its medium"}
		}, job.CodeDriveHealth, "It says: 7 errors of its medium."},
		"one more internal drive": {nil, func(l *laptop) {
			l.listed = []job.Drive{l.drive, {Path: "/dev/sda", Serial: "SA2", Transport: "sata", SizeBytes: 4 * mib, SectorSize: 512}}
		}, job.CodeManyDrives, "Internal drives: NV1, SA2."},
		"keys without the loader's": {signed, func(l *laptop) { l.keys = &efivar.Keys{DB: db(old)} }, job.CodeUntrusted, "Missing on the laptop: Microsoft UEFI CA 2023."},
		"a loader that is revoked": {signed, func(l *laptop) {
			l.keys = &efivar.Keys{DB: db(ca), DBX: efivar.Database{Programs: map[[32]byte]bool{hash: true}}}
		}, job.CodeRevoked, "Its hash is in dbx."},
		"a signer that is revoked": {signed, func(l *laptop) {
			l.keys = &efivar.Keys{DB: db(ca), DBX: efivar.Database{Signed: map[[32]byte]bool{sha256.Sum256(signer.RawTBSCertificate): true}}}
		}, job.CodeRevoked, "Its signer signer is in dbx."},
	} {
		t.Run(name, func(t *testing.T) { refusesSince(t, img, c) })
	}
}

func refusesSince(t *testing.T, img *golden, c since) {
	b := newBenchWith(t, img, nil, func(v *store.Version) {
		if c.version != nil {
			c.version(v)
		}
	})
	l := b.laptop(4)
	data := bytes.Repeat([]byte("somebody's data "), 4*mib/16)
	must(t, os.WriteFile(l.path, data, 0o600))
	id, off := takesOrder(t, b, l, c.change, store.Order{})
	awaitFailure(t, l, c.want)
	off()
	got := view(t, b, id)
	if got.State != job.Failed || got.Fault == nil || got.Fault.Code != c.want || got.Fault.Fact != c.fact || got.Result == nil || got.Result.DiskTouched {
		t.Errorf("job %s, fault %+v, result %+v; want failed with %s, %q, untouched", got.State, got.Fault, got.Result, c.want, c.fact)
	}
	if got.Found == nil || len(got.Found.Holds) != 1 || got.Found.Holds[0] != "data of an unknown kind" {
		t.Errorf("found %+v; want what lies on the drive", got.Found)
	}
	if !bytes.Equal(l.bytes(), data) {
		t.Error("the disk was changed")
	}
	if v := l.lastView(); v.Next == "" || !strings.Contains(strings.Join(v.Lines, " "), c.fact) {
		t.Errorf("the screen shows %+v; want the fact and a next step", v)
	}
	if d := b.device(); d.State != store.Ready {
		t.Errorf("the device is %s; want it ready for another order", d.State)
	}
}

// TestWhatIsNotKnownIsSaidAndRefusesNothing deploys with keys that cannot be read, a loader that was never looked at
// and a drive that cannot be asked.
func TestWhatIsNotKnownIsSaidAndRefusesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*laptop)
		note   string
	}{
		"health":         {func(l *laptop) { l.drive.Health = job.Health{Text: "the drive did not answer"} }, "The drive's health is unknown."},
		"keys":           {func(l *laptop) { l.keysErr = errors.New("input/output error") }, "The keys of Secure Boot cannot be read."},
		"loader":         {func(l *laptop) { l.keys = &efivar.Keys{} }, "Who signed the image's boot loader is not known"},
		"memory":         {func(l *laptop) { l.hello.MemoryBytes = 0 }, "does not tell how much memory"},
		"failing wanted": {func(l *laptop) { l.drive.Health.State = job.HealthFailing }, "the operator ordered despite that"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newGolden(t, 4))
			l := b.laptop(4)
			id, off := takesOrder(t, b, l, c.change, store.Order{DespiteHealth: true})
			l.hears("done")
			off()
			got := view(t, b, id)
			if got.State != job.Done || got.Found == nil || !strings.Contains(strings.Join(got.Found.Notes, " "), c.note) {
				t.Errorf("job %s, %v, found %+v; want done with the note %q", got.State, got.Fault, got.Found, c.note)
			}
			l.holds()
		})
	}
}

// TestAFailingDriveIsUsedOnlyByAnOrderThatSaysSo also looks for the trace that such an order leaves.
func TestAFailingDriveIsUsedOnlyByAnOrderThatSaysSo(t *testing.T) {
	b := newBench(t, newGolden(t, 4))
	l := b.laptop(4)
	l.drive.Health = job.Health{State: job.HealthFailing, Text: "it became read-only"}
	wait := l.boot(t.Context())
	l.adopt()
	order := store.Order{Device: "SALES-01", Image: "sales"}
	_, err := b.service.Deploy(context.Background(), "anna", order)
	if f := job.FaultOf(err); f.Code != job.CodeDriveHealth || f.Fact != "It says: it became read-only." {
		t.Fatalf("Deploy = %v; want %s", err, job.CodeDriveHealth)
	}
	order.DespiteHealth = true
	_, err = b.service.Deploy(context.Background(), "anna", order)
	must(t, err)
	l.hears("done")
	must(t, wait())
	events, err := b.service.Audit(context.Background(), "", 100)
	must(t, err)
	for _, e := range events {
		if e.Act == "deploy" && strings.Contains(e.Text, "despite its health, failing (it became read-only)") {
			return
		}
	}
	t.Errorf("the audit trail does not tell that the order was despite the drive's health: %+v", events)
}

func (l *laptop) feed(p job.Power) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.power = p
}

// awaitView waits until the screen shows something that fits.
func awaitView(t *testing.T, l *laptop, fits func(agent.View) bool) agent.View {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		l.mu.Lock()
		views := l.views
		l.mu.Unlock()
		for _, v := range views {
			if fits(v) {
				return v
			}
		}
	}
	t.Fatalf("the screen shows %+v", l.lastView())
	return agent.View{}
}

func TestALaptopWithALowBatteryWaitsAndGoesOnByItself(t *testing.T) {
	b := newBench(t, newGolden(t, 4))
	l := b.laptop(4)
	old := l.bytes()
	l.feed(job.Power{Battery: true, Percent: 29})
	wait := l.boot(t.Context())
	j := l.order()
	l.hears("waiting E222")
	v := awaitView(t, l, func(v agent.View) bool { return v.Fault == job.CodeLowBattery })
	if v.Word != "plug in" || v.Colour != agent.Yellow || v.SafeTo != agent.UnplugAllowed || !strings.Contains(v.Next, "charger") {
		t.Errorf("the screen shows %+v; want a yellow \"plug in\"", v)
	}
	for view(t, b, j.ID).Progress == nil { // the server is told, too
		time.Sleep(10 * time.Millisecond)
	}
	got := view(t, b, j.ID)
	if got.State != job.Claimed || !strings.Contains(got.Progress.Say, "plug in") || !bytes.Equal(l.bytes(), old) {
		t.Errorf("job %s, progress %+v; want it to wait and the disk untouched", got.State, got.Progress)
	}
	l.feed(job.Power{Battery: true, Percent: 29, Mains: true})
	l.hears("going on, battery 29 %, plugged in")
	l.hears("done")
	must(t, wait())
	if got := view(t, b, j.ID); got.State != job.Done || got.Found == nil || !got.Found.Power.Mains {
		t.Errorf("job %s, found %+v; want done on mains", got.State, got.Found)
	}
}

func TestEnoughChargeOrNoBatteryDoesNotWait(t *testing.T) {
	for _, p := range []job.Power{{}, {Battery: true, Percent: 30}, {Battery: true, Percent: -1, Mains: true}} {
		b := newBench(t, newGolden(t, 4))
		l := b.laptop(4)
		l.feed(p)
		wait := l.boot(t.Context())
		l.order()
		l.hears("done")
		must(t, wait())
		for _, v := range l.views {
			if v.Fault == job.CodeLowBattery {
				t.Errorf("%s waited", p)
			}
		}
	}
}

// counting boots a laptop with data, and stops its clock in the countdown.
func counting(t *testing.T, b *bench) (l *laptop, id job.ID, wait func() error, data []byte) {
	t.Helper()
	l = b.laptop(4)
	l.second = time.Hour
	data = bytes.Repeat([]byte("somebody's data "), 4*mib/16)
	copy(data, "LUKS\xba\xbe\x00\x02")
	must(t, os.WriteFile(l.path, data, 0o600))
	l.stop <- struct{}{} // pressed before there was anything to stop: it does not count
	wait = l.boot(t.Context())
	j := l.order()
	if said := l.hears("writing starts in "); !strings.Contains(said, "10 s") || !strings.Contains(said, "serial NV1") {
		t.Errorf("the console says %q; want the seconds and the drive", said)
	}
	return l, j.ID, wait, data
}

func stopsUntouched(t *testing.T, b *bench, l *laptop, id job.ID, wait func() error, data []byte) {
	t.Helper()
	l.hears("cancelled, nothing was written")
	must(t, wait())
	if !bytes.Equal(l.bytes(), data) {
		t.Error("the disk was changed")
	}
	if got := view(t, b, id); got.State != job.Cancelled || got.Result == nil || got.Result.DiskTouched {
		t.Errorf("job %s, result %+v; want cancelled and untouched", got.State, got.Result)
	}
}

func TestTheCountdownTellsWhatWillBeLostAndACancelLeavesTheDiskBitEqual(t *testing.T) {
	b := newBench(t, newGolden(t, 4))
	l, id, wait, data := counting(t, b)
	v := awaitView(t, l, func(v agent.View) bool { return v.Word == "writing in 10 s" })
	lines := strings.Join(v.Lines, "\n")
	if v.Colour != agent.Yellow || v.SafeTo != agent.UnplugAllowed || !strings.Contains(v.Sentence, "NV1") || !strings.Contains(v.Next, "Esc") ||
		!strings.Contains(lines, "lost: encrypted (LUKS)") || !strings.Contains(lines, "ingot job cancel "+string(id)) {
		t.Errorf("the screen shows %+v; want the drive, what is lost and how to stop", v)
	}
	if got := view(t, b, id); got.State != job.Claimed {
		t.Errorf("the job is %s during the countdown; want claimed", got.State)
	}
	_, err := b.service.Cancel(context.Background(), "anna", id)
	must(t, err)
	stopsUntouched(t, b, l, id, wait, data)
	if got := view(t, b, id); got.CancelBy != "anna" || got.Fault != nil && strings.Contains(got.Fault.Fact, "Esc") {
		t.Errorf("cancelled by %q, %v; want anna's cancel, not the key that was pressed too early", got.CancelBy, got.Fault)
	}
}

func TestEscDuringTheCountdownLeavesTheDiskBitEqual(t *testing.T) {
	b := newBench(t, newGolden(t, 4))
	l, id, wait, data := counting(t, b)
	l.stop <- struct{}{}
	stopsUntouched(t, b, l, id, wait, data)
	if got := view(t, b, id); got.Fault == nil || got.Fault.Code != job.CodeCancelled || !strings.Contains(got.Fault.Fact, "Esc") {
		t.Errorf("the fault is %+v; want it to say that Esc was pressed", got.Fault)
	}
}

func TestAChargerPulledOutDuringTheCountdownStopsIt(t *testing.T) {
	b := newBench(t, newGolden(t, 4))
	l := b.laptop(4)
	l.second = 50 * time.Millisecond
	l.feed(job.Power{Battery: true, Percent: 5, Mains: true})
	wait := l.boot(t.Context())
	j := l.order()
	l.hears("writing starts in ")
	old := l.bytes()
	l.feed(job.Power{Battery: true, Percent: 5})
	l.hears("waiting E222")
	if got := view(t, b, j.ID); got.State != job.Claimed || !bytes.Equal(l.bytes(), old) {
		t.Errorf("job %s; want it to wait, the disk untouched", got.State)
	}
	l.feed(job.Power{Battery: true, Percent: 5, Mains: true})
	l.hears("writing starts in ")
	l.hears("done")
	must(t, wait())
}

// TestWhatLiesOnTheDriveIsRecordedBeforeItIsLost looks at the record when the first write is announced.
func TestWhatLiesOnTheDriveIsRecordedBeforeItIsLost(t *testing.T) {
	img := newGolden(t, 4)
	b := newBench(t, img)
	l := b.laptop(4)
	data := make([]byte, 4*mib)
	copy(data[3:], "-FVE-FS-")
	must(t, os.WriteFile(l.path, data, 0o600))
	wait := l.boot(t.Context())
	j := l.order()
	l.hears("drive NV1 holds encrypted (BitLocker)")
	l.hears("state invalidated")
	if got := view(t, b, j.ID); got.Found == nil || len(got.Found.Holds) != 1 || got.Found.Holds[0] != "encrypted (BitLocker)" || got.Found.Health.State != job.HealthGood {
		t.Errorf("found %+v at the first write; want BitLocker on a good drive", got.Found)
	}
	l.hears("done")
	must(t, wait())
}
