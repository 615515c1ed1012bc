package deploy_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/store"
)

const noUUID = "00000000-0000-0000-0000-000000000000"

// card gives the laptop one network adapter, on which it starts.
func (l *laptop) card(bus, mac string) *laptop {
	l.mac = mac
	l.hello.Links = []job.Link{{Name: "eth0", MAC: mac, Bus: bus, Boot: true, Carrier: true}}
	return l
}

// drive gives the laptop one internal drive.
func (l *laptop) drive(n int) *laptop {
	l.hello.Drives = []job.Drive{{Path: "/dev/nvme0n1", Serial: fmt.Sprintf("S4EV%04d", n), WWN: fmt.Sprintf("eui.0025385c21b0%04x", n), Model: "PM9A1", Transport: "nvme", SizeBytes: 16 << 30, SectorSize: 512}}
	return l
}

// nameless is a laptop whose maker filled nothing in.
func (b *bench) nameless(drive int) *laptop {
	l := b.laptop("Default string").drive(drive)
	l.hello.Facts.Manufacturer, l.hello.Facts.UUID = "To Be Filled By O.E.M.", noUUID
	return l.card("usb", "8c:16:45:dd:dd:01")
}

// full is a laptop that tells all: serial, UUID, adapter and drive number n.
func (b *bench) full(n int) *laptop {
	return b.laptop(fmt.Sprintf("ABC12%02d", n)).card("pci", fmt.Sprintf("8c:16:45:00:00:%02x", n)).drive(n)
}

func (l *laptop) adopt(a store.Adoption) (store.DeviceView, error) {
	l.b.t.Helper()
	l.boot()
	a.Code = l.sayHello().Code
	return l.b.s.Adopt(context.Background(), "anna", a)
}

func (l *laptop) adoptAs(name string) store.DeviceView {
	l.b.t.Helper()
	d, err := l.adopt(store.Adoption{Name: name})
	must(l.b.t, err)
	return d
}

// TestTwoAgreeingFactsOrOneStrong holds the table of who a laptop is, against a laptop that is known by everything.
func TestTwoAgreeingFactsOrOneStrong(t *testing.T) {
	noSerial := func(l *laptop) { l.hello.Facts.Serial = "System Serial Number" }
	noID := func(l *laptop) { l.hello.Facts.UUID = noUUID }
	usb := func(l *laptop) { l.card("usb", "8c:16:45:dd:dd:01") }
	noDrive := func(l *laptop) { l.hello.Drives = nil }
	otherSerial := func(l *laptop) { l.hello.Facts.Serial = "OTHER77" }
	otherUUID := func(l *laptop) { l.hello.Facts.UUID = uuidFor("other") }
	otherCard := func(l *laptop) { l.card("pci", "8c:16:45:00:00:99") }
	otherDrive := func(l *laptop) { l.drive(99) }
	all := func(f ...func(*laptop)) []func(*laptop) { return f }
	for _, c := range []struct {
		name   string
		change []func(*laptop)
		want   string // same, new or quarantined
	}{
		{"nothing", nil, "same"},
		{"serial alone", all(noID, usb, noDrive), "same"},
		{"UUID alone", all(noSerial, usb, noDrive), "same"},
		{"adapter and drive", all(noSerial, noID), "same"},
		{"adapter alone", all(noSerial, noID, noDrive), "new"},
		{"drive alone", all(noSerial, noID, usb), "new"},
		{"adapter alone, another drive", all(noSerial, noID, otherDrive), "new"},
		{"adapter alone, the rest others", all(otherSerial, otherUUID, otherDrive), "new"},
		{"drive alone, the rest others", all(otherSerial, otherUUID, otherCard), "new"},
		{"adapter and drive, another serial", all(otherSerial, noID), "quarantined"},
		{"adapter and drive, another UUID", all(noSerial, otherUUID), "quarantined"},
		{"a new drive", all(otherDrive), "same"},
		{"a new drive, no adapter", all(otherDrive, usb), "same"},
		{"a new drive, no UUID", all(otherDrive, noID), "same"},
		{"a new drive, no UUID and no adapter", all(otherDrive, noID, usb), "quarantined"},
		{"a new drive, no serial and no adapter", all(otherDrive, noSerial, usb), "quarantined"},
		{"another UUID", all(otherUUID), "quarantined"},
		{"another serial", all(otherSerial), "quarantined"},
		{"another adapter", all(otherCard), "quarantined"},
		{"another adapter and drive, no UUID", all(otherCard, otherDrive, noID), "quarantined"},
		{"the adapter on USB", all(noSerial, noID, func(l *laptop) { l.card("usb", l.mac) }), "new"},
		{"the adapter outside of the case", all(noSerial, noID, func(l *laptop) { l.card("external", l.mac) }), "new"},
		{"a lent address on another adapter", all(noSerial, noID, func(l *laptop) { l.hello.Links[0].Permanent = "8c:16:45:00:00:77" }), "new"},
		{"a drive of the same name with another serial", all(noSerial, noID, func(l *laptop) { l.hello.Drives[0].Serial = "S4EV9999" }), "new"},
		{"a drive without a world-wide name", all(noSerial, noID, func(l *laptop) { l.hello.Drives[0].WWN = "" }), "same"}, // its serial and model corroborate
		{"a second drive", all(func(l *laptop) { l.hello.Drives = append(l.hello.Drives, b2(l)) }), "same"},
		{"nothing at all", all(noSerial, noID, usb, noDrive), "new"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			known := b.full(1).adoptAs("PC-1")
			l := b.full(1)
			for _, f := range c.change {
				f(l)
			}
			b.clk.pass(16 * time.Minute)
			l.boot()
			d := b.device(l.sayHello().Device)
			got := "new"
			switch {
			case d.ID == known.ID:
				got = "same"
			case d.State == store.Quarantined:
				got = "quarantined"
			}
			if got != c.want {
				t.Errorf("it is %s (%s, %s); want %s", got, d.State, d.Conflict, c.want)
			}
			if got == "quarantined" && (len(d.Rivals) != 1 || d.Rivals[0].ID != known.ID || len(d.Claims) == 0 || d.Conflict == "") {
				t.Errorf("its record shows the claims %v on %d records, %q; want both sides", d.Claims, len(d.Rivals), d.Conflict)
			}
			if got != "same" {
				if n := l.next(); n.Order != job.Wait {
					t.Errorf("Next = %s; want wait for a person", n.Order)
				}
			}
		})
	}
}

func b2(l *laptop) job.Drive {
	return job.Drive{Path: "/dev/sda", Serial: "SECOND", Transport: "sata", SizeBytes: 1 << 40, SectorSize: 512}
}

// TestALaptopWithAnothersDriveWaitsForAPerson: whose data lies on it, no fact can tell.
func TestALaptopWithAnothersDriveWaitsForAPerson(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	b.full(1).adoptAs("PC-1")
	b.full(2).adoptAs("PC-2")
	b.clk.pass(16 * time.Minute)
	l := b.full(1).drive(2)
	l.boot()
	id := l.sayHello().Device
	d := b.device(id)
	if d.State != store.Quarantined || len(d.Rivals) != 2 {
		t.Fatalf("it is %s, rivals %v; want quarantined between two records", d.State, d.Rivals)
	}
	settled, err := b.s.Settle(ctx, "anna", id, store.Settlement{As: store.AsMoved})
	must(t, err)
	if settled.Name != "PC-1" || settled.State != store.Ready || settled.Drives[0].Serial != "S4EV0002" {
		t.Errorf("it is %s, %s, drive %v; want PC-1 with the drive", settled.Name, settled.State, settled.Drives)
	}
	if two := b.device("PC-2"); len(two.Drives) != 0 || len(two.History) == 0 || two.State != store.Ready {
		t.Errorf("PC-2 has the drives %v, history %v; want none, and the old entry", two.Drives, two.History)
	}
	if n := l.next(); n.Order != job.Wait || n.Code != "" {
		t.Errorf("Next = %+v; want the laptop to go on as PC-1", n)
	}
	again := b.full(2).drive(1)
	b.clk.pass(16 * time.Minute)
	again.boot()
	if r := again.sayHello(); r.Name != "PC-2" {
		t.Errorf("the other laptop, with a drive that nobody claims now, is %q; want PC-2", r.Name)
	}
}

// TestAnAdapterSeenOnTwoLaptopsTellsNoneOfThem, for ever.
func TestAnAdapterSeenOnTwoLaptopsTellsNoneOfThem(t *testing.T) {
	b := newBench(t)
	one, two := b.full(1), b.full(2).card("pci", "8c:16:45:00:00:01")
	one.adoptAs("PC-1")
	if d := two.adoptAs("PC-2"); d.Name != "PC-2" {
		t.Fatalf("the second laptop on the adapter is %s", d.Name)
	}
	b.clk.pass(16 * time.Minute)
	one.boot() // tells the address again
	one.sayHello()
	b.clk.pass(16 * time.Minute)
	vague := b.nameless(1).card("pci", "8c:16:45:00:00:01") // the shared adapter, and the drive of the first
	vague.boot()
	if d := b.device(vague.sayHello().Device); d.Name != "" || d.State != store.New {
		t.Errorf("by a shared adapter and a drive it is %s (%s); want a new one", d.Name, d.State)
	}
	trail, err := b.s.Audit(context.Background(), "", 100)
	must(t, err)
	if !strings.Contains(fmt.Sprint(trail), "shared") {
		t.Error("the audit trail does not tell of the shared adapter")
	}
	b.db.View(func(tx *store.Tx) error {
		if shared, err := tx.IsShared(store.Fact{Kind: store.FactMAC, Value: "8c:16:45:00:00:01"}); err != nil || !shared {
			t.Errorf("shared = %v, %v", shared, err)
		}
		return nil
	})
}

// TestAnAdapterIsSharedForEverOnlyBetweenAdoptedLaptops: a stranger who tells a laptop's address marks nothing.
func TestAnAdapterIsSharedForEverOnlyBetweenAdoptedLaptops(t *testing.T) {
	b := newBench(t)
	known := b.nameless(1).card("pci", "8c:16:45:00:00:01")
	_, err := known.adopt(store.Adoption{Name: "PC-1", Sticker: "STK-1"})
	must(t, err)
	liar := b.full(2).card("pci", "8c:16:45:00:00:01")
	liar.boot()
	liar.sayHello()
	b.db.View(func(tx *store.Tx) error {
		if shared, err := tx.IsShared(store.Fact{Kind: store.FactMAC, Value: "8c:16:45:00:00:01"}); err != nil || shared {
			t.Errorf("shared = %v, %v", shared, err)
		}
		return nil
	})
}

// TestASecondLiveLaptopWithTheSameSerialIsAnAlarm at its Hello, without any job.
func TestASecondLiveLaptopWithTheSameSerialIsAnAlarm(t *testing.T) {
	b := newBench(t)
	first := b.full(1).card("usb", "8c:16:45:dd:dd:01")
	d := first.adoptAs("PC-1")
	first.next()
	twin := b.full(1).card("usb", "8c:16:45:dd:dd:02").drive(9) // serial and UUID of the first
	twin.boot()
	r := twin.sayHello()
	q := b.device(r.Device)
	if q.ID == d.ID || q.State != store.Quarantined || !strings.Contains(q.Conflict, "running now") {
		t.Errorf("the second is %s, %s, %q; want quarantined", q.ID, q.State, q.Conflict)
	}
	trail, err := b.s.Audit(context.Background(), d.ID, 100)
	must(t, err)
	if !strings.Contains(fmt.Sprint(trail), "alarm") {
		t.Error("there was no alarm")
	}
	if got := b.device("PC-1"); got.State != store.Ready || got.Drives[0].Serial != "S4EV0001" {
		t.Errorf("the first is %s with drive %v; want as it was", got.State, got.Drives)
	}
	b.clk.pass(31 * time.Second) // the first is silent now: one laptop whose drive was replaced tells the same
	late := b.full(1).card("usb", "8c:16:45:dd:dd:03").drive(8)
	late.boot()
	if r := late.sayHello(); r.Device != d.ID {
		t.Errorf("serial, UUID and a new drive are record %s; want %s", r.Device, d.ID)
	}
}

func TestALaptopWithoutASerialIsAdoptedByItsSticker(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.nameless(1)
	_, err := l.adopt(store.Adoption{})
	wantCode(t, "without a sticker", err, job.CodeNoSerial)
	for name, sticker := range map[string]string{"junk": "To be filled by O.E.M.", "too short": "A", "too long": strings.Repeat("S", 65), "a control character": "STK\x1b1"} {
		_, err := l.adopt(store.Adoption{Sticker: sticker})
		wantCode(t, "a sticker that is "+name, err, job.CodeBadRequest)
	}
	_, err = b.s.PutRole(ctx, "anna", store.Role{Name: "sales", Image: "sales", Pattern: "LT-{serial:-4}"})
	must(t, err)
	b.clk.pass(16 * time.Minute)
	d, err := l.adopt(store.Adoption{Sticker: " STK-0001\n", Role: "sales"})
	must(t, err)
	if d.Serial != "STK-0001" || d.Told != "Default string" || d.Name != "LT-0001" {
		t.Fatalf("adopted with serial %q, told %q, name %q", d.Serial, d.Told, d.Name)
	}
	second := b.nameless(2)
	two, err := second.adopt(store.Adoption{Sticker: "STK-0002", Name: "PC-2"})
	must(t, err)
	if two.ID == d.ID {
		t.Fatal("two laptops with nothing have one record")
	}
	_, err = b.nameless(3).adopt(store.Adoption{Sticker: "stk-0001"})
	wantCode(t, "a sticker of a laptop with another drive", err, job.CodeSticker)
	_, err = b.full(4).adopt(store.Adoption{Sticker: "STK-0009"})
	wantCode(t, "a sticker that the laptop contradicts", err, job.CodeSticker)
	b.order("STK-0001")
	j := l.work()
	if j.Serial != "Default string" {
		t.Errorf("the order is for the serial %q; want what the laptop compares it with", j.Serial)
	}
	if n := second.next(); n.Order != job.Wait {
		t.Errorf("the other laptop's Next = %s; want wait", n.Order)
	}
	l.reach(j, job.Writing)
	// It restarts: nothing that it tells is its own, so it waits until its sticker is scanned again.
	b.clk.pass(31 * time.Second)
	back := b.nameless(1)
	back.boot()
	r := back.sayHello()
	if n := back.next(); n.Order != job.Wait || n.Code == "" {
		t.Fatalf("after a restart Next = %+v; want wait with a code", n)
	}
	_, err = b.s.Adopt(ctx, "anna", store.Adoption{Code: r.Code, Sticker: "STK-0001", Name: "OTHER"})
	wantCode(t, "another name for a laptop that is known", err, job.CodeState)
	_, err = b.s.Adopt(ctx, "anna", store.Adoption{Code: r.Code, Sticker: "STK-0001"})
	wantCode(t, "while its job is being written", err, job.CodeBusy)
}

// TestAJobOfALaptopWithoutSerialIsNotGivenToAnother: the record is right, and the drive or the adapter is not.
func TestAJobOfALaptopWithoutSerialIsNotGivenToAnother(t *testing.T) {
	b := newBench(t)
	l := b.nameless(1).card("pci", "8c:16:45:00:00:01")
	_, err := l.adopt(store.Adoption{Sticker: "STK-0001", Name: "PC-1"})
	must(t, err)
	b.order("PC-1")
	other := b.nameless(1).card("pci", "8c:16:45:00:00:02") // the drive of the first in another laptop
	b.clk.pass(31 * time.Second)
	other.boot()
	if d := b.device(other.sayHello().Device); d.Name == "PC-1" {
		t.Fatal("a laptop is known by its drive alone")
	}
	if n := other.next(); n.Order != job.Wait || n.Code == "" {
		t.Errorf("Next = %s; want wait with a code", n.Order)
	}
	b.clk.pass(31 * time.Second)
	l.boot() // adapter and drive: known without a person
	l.sayHello()
	if j := l.work(); j.DeviceName != "PC-1" {
		t.Errorf("the job is for %s", j.DeviceName)
	}
}

// TestAnOrderIsForTheBoardThatWasThere when it was given: a person says that the board was replaced since, and orders anew.
func TestAnOrderIsForTheBoardThatWasThere(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.nameless(1).card("pci", "8c:16:45:00:00:01")
	_, err := l.adopt(store.Adoption{Sticker: "STK-0001", Name: "PC-1"})
	must(t, err)
	b.order("PC-1")
	b.clk.pass(31 * time.Second)
	repaired := b.nameless(1).card("pci", "8c:16:45:00:00:02")
	repaired.boot()
	code := repaired.sayHello().Code
	_, err = b.s.Settle(ctx, "anna", code, store.Settlement{As: store.AsMoved, With: "PC-1"})
	must(t, err)
	if n := repaired.next(); n.Order != job.Leave || n.Fault == nil || n.Fault.Code != job.CodeWrongDevice {
		t.Errorf("Next = %+v; want leave with %s", n, job.CodeWrongDevice)
	}
}

// TestBehindADongleNoLaptopIsTakenForAnother, before any of them has said Hello.
func TestBehindADongleNoLaptopIsTakenForAnother(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	decide := func(l *laptop) deploy.Answer {
		a, err := b.s.Decide(ctx, l.machine())
		must(t, err)
		return a
	}
	one, two := b.nameless(1), b.nameless(2)
	for i, l := range []*laptop{one, two} {
		_, err := l.adopt(store.Adoption{Sticker: fmt.Sprintf("STK-000%d", i+1), Name: fmt.Sprintf("PC-%d", i+1)})
		must(t, err)
	}
	_, err := b.s.OpenBench(ctx, "anna", store.Bench{})
	must(t, err)
	b.clk.pass(2 * time.Hour)
	if a := decide(one); a.Boot {
		t.Errorf("no job, bench closed: %+v; want refused", a)
	}
	b.order("PC-2")
	if a := decide(two); !a.Boot || !strings.Contains(a.Why, "may be PC-2") {
		t.Errorf("a job waits for a laptop seen on the dongle: %+v; want a boot", a)
	}
	if a := decide(b.full(9).card("usb", one.mac)); a.Boot {
		t.Errorf("a laptop with a UUID of its own on that dongle: %+v; want refused", a)
	}
	// What had nothing to do does not have the next laptop on the dongle refused.
	_, err = b.s.OpenBench(ctx, "anna", store.Bench{OpenUntil: b.clk.now().Add(time.Hour)})
	must(t, err)
	_, err = b.s.Cancel(ctx, "anna", b.device("PC-2").Job.ID)
	must(t, err)
	known := b.full(7)
	known.adoptAs("PC-7")
	_, err = b.s.OpenBench(ctx, "anna", store.Bench{})
	must(t, err)
	b.clk.pass(61 * time.Minute)
	for _, l := range []*laptop{one, known} {
		l.next() // leave
	}
	_, err = b.s.OpenBench(ctx, "anna", store.Bench{OpenUntil: b.clk.now().Add(time.Hour)})
	must(t, err)
	if a := decide(two); !a.Boot {
		t.Errorf("the next laptop on the dongle: %+v; want a boot", a)
	}
	if a := decide(known); a.Boot || !strings.Contains(a.Why, "nothing to do") {
		t.Errorf("a laptop that is known by its UUID: %+v; want refused for a while", a)
	}
}

// TestTheNextLaptopOnADongleIsNotLeftAlone because nobody approved the one before.
func TestTheNextLaptopOnADongleIsNotLeftAlone(t *testing.T) {
	b := newBench(t)
	l := b.nameless(1)
	l.boot()
	l.sayHello()
	b.clk.pass(11 * time.Minute)
	if n := l.next(); n.Order != job.Leave {
		t.Fatalf("after 11 minutes Next = %s; want leave", n.Order)
	}
	if a, err := b.s.Decide(context.Background(), b.nameless(2).machine()); err != nil || !a.Boot {
		t.Errorf("the next laptop on the dongle: %+v, %v; want a boot", a, err)
	}
}

// TestALaptopWithoutUUIDIsDecidedByItsOwnAdapter at DHCP.
func TestALaptopWithoutUUIDIsDecidedByItsOwnAdapter(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.full(1)
	l.hello.Facts.UUID = noUUID
	l.adoptAs("PC-1")
	b.order("PC-1")
	j := l.work()
	l.reach(j, job.Committed)
	_, err := l.c.Result(ctx, j.ID, result(j))
	must(t, err)
	if a, err := b.s.Decide(ctx, l.machine()); err != nil || a.Boot || !strings.Contains(a.Why, "PC-1 is deployed") {
		t.Errorf("deployed and without a job: %+v, %v; want refused on an open bench", a, err)
	}
	stranger := b.full(2)
	stranger.hello.Facts.UUID = noUUID
	if a, err := b.s.Decide(ctx, stranger.machine()); err != nil || !a.Boot {
		t.Errorf("another adapter: %+v, %v; want a boot on an open bench", a, err)
	}
}

// TestThreeLaptopsOnOneDongleAreNoLoop: starts are counted by laptop. One that starts three times is one.
func TestThreeLaptopsOnOneDongleAreNoLoop(t *testing.T) {
	b := newBench(t)
	for i := range 4 {
		l := b.nameless(i + 1)
		l.boot()
		l.sayHello()
		if n := l.next(); n.Order != job.Wait {
			t.Fatalf("laptop %d on the dongle: Next = %s; want wait", i+1, n.Order)
		}
		b.clk.pass(2 * time.Minute)
	}
	var last job.Order
	for range 2 {
		l := b.nameless(4)
		l.boot()
		l.sayHello()
		last = l.next().Order
		b.clk.pass(2 * time.Minute)
	}
	if last != job.Off {
		t.Errorf("a laptop that started three times: Next = %s; want off", last)
	}
}

// TestANamelessLaptopLeavesOneRecord however often it starts, and a start that is still heard is left alone.
func TestANamelessLaptopLeavesOneRecord(t *testing.T) {
	b := newBench(t)
	for range 5 {
		l := b.nameless(1)
		l.boot()
		l.sayHello()
		b.clk.pass(10 * time.Minute)
	}
	all, err := b.s.Devices(context.Background())
	must(t, err)
	if len(all) != 1 {
		t.Errorf("five starts left %d records; want 1", len(all))
	}
	for range 2 { // two at once, with one drive name: they are two
		l := b.nameless(1)
		l.boot()
		l.sayHello()
	}
	if all, _ = b.s.Devices(context.Background()); len(all) != 2 {
		t.Errorf("two live laptops have %d records; want 2", len(all))
	}
}

// TestTheDriveOfALaptopInUseIsOverwrittenOnlyWithItsNameTyped, wherever it is found.
func TestTheDriveOfALaptopInUseIsOverwrittenOnlyWithItsNameTyped(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.full(1)
	l.adoptAs("PC-1")
	b.order("PC-1")
	j := l.work()
	l.reach(j, job.Committed)
	_, err := l.c.Result(ctx, j.ID, result(j))
	must(t, err)
	b.clk.pass(16 * time.Minute)
	other := b.full(2).drive(1)
	other.adoptAs("PC-2")
	_, err = b.s.Deploy(ctx, "anna", store.Order{Device: "PC-2", Image: "sales"})
	wantCode(t, "an order onto PC-1's drive", err, job.CodeUnconfirmed)
	_, err = b.s.Deploy(ctx, "anna", store.Order{Device: "PC-2", Image: "sales", DataSaved: true, Confirm: "PC-2"})
	wantCode(t, "with the other laptop's name", err, job.CodeUnconfirmed)
	_, err = b.s.Deploy(ctx, "anna", store.Order{Device: "PC-2", Image: "sales", DataSaved: true, Confirm: "pc-1"})
	must(t, err)
}

// TestAutoDeployLeavesADriveThatIsKnownAlone: a new laptop with the drive of one that is known waits for a person.
func TestAutoDeployLeavesADriveThatIsKnownAlone(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	b.full(1).adoptAs("PC-1")
	_, err := b.s.PutRole(ctx, "anna", store.Role{Name: "sales", Image: "sales", Pattern: "LT-{seq:3}"})
	must(t, err)
	_, err = b.s.SetAutoDeploy(ctx, "anna", store.AutoDeploy{Role: "sales", Until: b.clk.now().Add(time.Hour), Left: 5})
	must(t, err)
	l := b.full(2).drive(1)
	l.boot()
	if r := l.sayHello(); r.Code == "" {
		t.Error("a laptop with PC-1's drive was deployed without a person")
	}
	if n := l.next(); n.Order != job.Wait {
		t.Errorf("Next = %s; want wait", n.Order)
	}
}
