package deploy_test

import (
	"context"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// finished is a laptop that holds sales@1 under its name.
func (b *bench) finished(serial, name string) *laptop {
	b.t.Helper()
	l := b.adopted(serial, name)
	b.order(name)
	j := l.work()
	l.reach(j, job.Committed)
	_, err := l.c.Result(context.Background(), j.ID, result(j))
	must(b.t, err)
	return l
}

// clash quarantines a record as two live laptops do.
func (b *bench) clash(name string) {
	b.t.Helper()
	b.update(func(tx *store.Tx) error {
		d, err := tx.DeviceByName(name)
		if err != nil {
			return err
		}
		d.Conflict = "Two laptops."
		if err := d.Become(store.Quarantined, tx.Now()); err != nil {
			return err
		}
		return tx.PutDevice(d)
	})
}

// TestASettledLaptopKeepsItsOwnersData: what was in use before the quarantine is in use after it, and is imaged
// again only with its name typed.
func TestASettledLaptopKeepsItsOwnersData(t *testing.T) {
	b := newBench(t)
	b.finished("ABC1234", "PC-1")
	b.clash("PC-1")
	d, err := b.s.Settle(context.Background(), "anna", "PC-1", store.Settlement{As: store.AsSame})
	must(t, err)
	if d.State != store.Deployed || d.Conflict != "" || d.Holds == nil {
		t.Errorf("settled device is %s; want deployed", d.State)
	}
	_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "sales"})
	wantCode(t, "an order without the name typed", err, job.CodeUnconfirmed)
}

// TestALaptopWhoseDiskWasTouchedIsSettledAsFailed: its last job began to write and did not end well.
func TestALaptopWhoseDiskWasTouchedIsSettledAsFailed(t *testing.T) {
	b := newBench(t)
	l := b.finished("ABC1234", "PC-1")
	b.clk.pass(16 * time.Minute)
	_, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "sales", DataSaved: true, Confirm: "PC-1"})
	must(t, err)
	l.boot()
	l.sayHello()
	j := l.work()
	l.reach(j, job.Writing)
	b.clash("PC-1")
	_, err = b.s.Settle(context.Background(), "anna", "PC-1", store.Settlement{As: store.AsSame})
	wantCode(t, "settling while a job writes", err, job.CodeBusy)
	_, err = l.c.Result(context.Background(), j.ID, job.Result{Job: j.ID, State: job.Failed, DiskTouched: true, Fault: &job.Fault{Code: job.CodeDriveWrite}})
	must(t, err)
	d, err := b.s.Settle(context.Background(), "anna", "PC-1", store.Settlement{As: store.AsSame})
	must(t, err)
	if d.State != store.Failed {
		t.Errorf("settled device is %s; want failed", d.State)
	}
}

func TestOnlyAQuarantineIsSettled(t *testing.T) {
	b := newBench(t)
	l := b.finished("ABC1234", "PC-1")
	_, err := b.s.Settle(context.Background(), "anna", "PC-1", store.Settlement{As: store.AsSame})
	wantCode(t, "settling a deployed laptop", err, job.CodeState)
	b.clk.pass(16 * time.Minute)
	_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "sales", DataSaved: true, Confirm: "PC-1"})
	must(t, err)
	l.boot()
	l.sayHello()
	l.reach(l.work(), job.Writing)
	_, err = b.s.Settle(context.Background(), "anna", "PC-1", store.Settlement{As: store.AsSame})
	wantCode(t, "settling a laptop that is being deployed", err, job.CodeState)
	if d := b.device("PC-1"); d.State != store.Deploying {
		t.Errorf("device is %s; want deploying", d.State)
	}
}

// TestASettledLaptopIsKnownAgain: a laptop that shares one key with another is, once a person has settled that they are
// two, known by what only it tells, and can be adopted and deployed. The other one is still itself. What both tell leads
// to neither any more.
func TestASettledLaptopIsKnownAgain(t *testing.T) {
	for name, change := range map[string]func(*laptop){
		"its serial is another's": func(l *laptop) { l.hello.Facts.UUID = uuidFor("other") },
		"its UUID is another's":   func(l *laptop) { l.hello.Facts.Serial = "OTHER77" },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			first := b.adopted("ABC1234", "PC-1")
			l := b.laptop("ABC1234")
			change(l)
			l.hello.Drives[0].Serial, l.hello.Drives[0].WWN = "DRV-2", "eui.2"
			l.boot()
			id := l.sayHello().Device
			d, err := b.s.Settle(context.Background(), "anna", id, store.Settlement{As: store.AsTwo})
			must(t, err)
			if d.State != store.New {
				t.Fatalf("settled device is %s; want new", d.State)
			}
			b.clk.pass(16 * time.Minute)
			l.boot()
			r := l.sayHello()
			if r.Device != id {
				t.Fatalf("its restart made the record %s; want %s", r.Device, id)
			}
			_, err = b.s.Adopt(context.Background(), "anna", store.Adoption{Code: r.Code, Name: "PC-2"})
			if l.hello.Facts.Serial == "ABC1234" { // two laptops tell it: only a sticker says which this is
				wantCode(t, "adopting by a serial that two laptops tell", err, job.CodeNoSerial)
				_, err = b.s.Adopt(context.Background(), "anna", store.Adoption{Code: r.Code, Name: "PC-2", Sticker: "ABC1234"})
				wantCode(t, "the sticker of the other laptop", err, job.CodeSticker)
				_, err = b.s.Adopt(context.Background(), "anna", store.Adoption{Code: r.Code, Name: "PC-2", Sticker: "ABC1234-B"})
			}
			must(t, err)
			_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-2", Image: "sales"})
			must(t, err)
			l.reach(l.work(), job.Invalidated)
			first.boot()
			if r := first.sayHello(); r.Name != "PC-1" {
				t.Errorf("the other laptop is now %q; want PC-1", r.Name)
			}
			vague := b.laptop("ABC1234") // tells only the key that both have
			if change(vague); vague.hello.Facts.Serial == "ABC1234" {
				vague.hello.Facts.UUID = ""
			} else {
				vague.hello.Facts.Serial = ""
			}
			vague.boot()
			if d := b.device(vague.sayHello().Device); d.Name != "" || d.State != store.New {
				t.Errorf("a laptop that tells the shared key alone is %s (%s); want a new one that waits for a person", d.State, d.Name)
			}
		})
	}
}

// TestALaptopThatMayBeInUseIsImagedAgainOnlyWithItsNameTyped: its job was committed and its result never came, so
// the laptop may have been started and handed out.
func TestALaptopThatMayBeInUseIsImagedAgainOnlyWithItsNameTyped(t *testing.T) {
	for last, inUse := range map[job.State]bool{job.Personalised: false, job.Committing: true, job.Committed: true} {
		b := newBench(t)
		l := b.adopted("ABC1234", "PC-1")
		b.order("PC-1")
		l.reach(l.work(), last)
		b.clk.pass(2 * time.Hour)
		must(t, b.s.Sweep())
		if d := b.device("PC-1"); d.State != store.Failed {
			t.Fatalf("after %s and two hours of silence the device is %s; want failed", last, d.State)
		}
		_, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "sales"})
		if inUse {
			wantCode(t, "an order after "+string(last), err, job.CodeUnconfirmed)
			_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "sales", DataSaved: true, Confirm: "pc-1"})
		}
		must(t, err)
	}
}

// pending is a laptop that tells the serial of PC-1 and another UUID: a record in quarantine.
func (b *bench) pending() (*laptop, string) {
	b.t.Helper()
	l := b.full(1)
	l.hello.Facts.UUID = uuidFor("other")
	l.boot()
	return l, l.sayHello().Device
}

// TestOneLaptopIsSettledAsSame: its record takes what it tells now, keeps all that it held, and the old stays to be read.
func TestOneLaptopIsSettledAsSame(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	first := b.full(1)
	first.adoptAs("PC-1")
	b.order("PC-1")
	j := first.work()
	first.reach(j, job.Committed)
	_, err := first.c.Result(ctx, j.ID, result(j))
	must(t, err)
	held := b.device("PC-1")
	b.clk.pass(16 * time.Minute)
	l, id := b.pending()
	_, err = b.s.Settle(ctx, "anna", id, store.Settlement{As: store.AsTwo, With: "PC-1"})
	wantCode(t, "two with another record", err, job.CodeSettle)
	_, err = b.s.Settle(ctx, "anna", id, store.Settlement{As: "somehow"})
	wantCode(t, "an unknown way", err, job.CodeSettle)
	d, err := b.s.Settle(ctx, "anna", id, store.Settlement{As: store.AsSame})
	must(t, err)
	if d.ID != held.ID || d.State != store.Deployed || d.Holds == nil || d.Holds.ID != held.Holds.ID || d.Name != "PC-1" || d.UUIDKey != store.UUIDKey(uuidFor("other")) {
		t.Fatalf("settled as %+v", d.Device)
	}
	if len(d.History) == 0 || d.History[0].What != "uuid" || d.History[0].By != "anna" {
		t.Errorf("history %+v; want the old UUID", d.History)
	}
	if _, err := b.s.Device(ctx, id); err == nil {
		t.Error("the record of the conflict is still there")
	}
	if n := l.next(); n.Order != job.Leave {
		t.Errorf("the waiting laptop's Next = %s (%s); want leave: it is deployed and has no job", n.Order, n.Say)
	}
	b.clk.pass(16 * time.Minute)
	l.boot()
	if r := l.sayHello(); r.Device != held.ID {
		t.Errorf("its next start is record %s; want %s", r.Device, held.ID)
	}
	_, err = b.s.Deploy(ctx, "anna", store.Order{Device: "PC-1", Image: "sales"})
	wantCode(t, "an order without the name typed", err, job.CodeUnconfirmed)
}

// TestAMovedBoardTakesItsFactsFromItsOldRecord, which keeps what it holds.
func TestAMovedBoardTakesItsFactsFromItsOldRecord(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	donor := b.full(1)
	donor.adoptAs("PC-1")
	b.order("PC-1")
	j := donor.work()
	donor.reach(j, job.Committed)
	_, err := donor.c.Result(ctx, j.ID, result(j))
	must(t, err)
	b.full(2).adoptAs("PC-2")
	b.clk.pass(16 * time.Minute)
	l := b.full(1).drive(2) // the board of PC-1 in the case, and with the drive, of PC-2
	l.boot()
	id := l.sayHello().Device
	_, err = b.s.Settle(ctx, "anna", id, store.Settlement{As: store.AsSame})
	wantCode(t, "same, with two records to choose from", err, job.CodeSettle)
	_, err = b.s.Settle(ctx, "anna", id, store.Settlement{As: store.AsSame, With: "PC-2"})
	wantCode(t, "same, though the other record holds a deployment", err, job.CodeSettle)
	d, err := b.s.Settle(ctx, "anna", id, store.Settlement{As: store.AsMoved, With: "PC-2"})
	must(t, err)
	if d.Name != "PC-2" || d.Serial != "ABC1202" || d.Told != "ABC1201" || d.UUIDKey != store.UUIDKey(uuidFor("ABC1201")) {
		t.Errorf("settled as %+v; want PC-2 by its old serial, with the board's facts", d.Device)
	}
	one := b.device("PC-1")
	if one.State != store.Deployed || one.Holds == nil || one.Serial != "ABC1201" || one.SerialKey != "" || one.UUIDKey != "" || len(one.History) < 3 {
		t.Errorf("the old record of the board: %+v; want all that it holds, and none of the board's facts", one.Device)
	}
	b.clk.pass(16 * time.Minute)
	l.boot()
	if r := l.sayHello(); r.Name != "PC-2" {
		t.Errorf("its next start is %q; want PC-2", r.Name)
	}
}

// TestTwoLiveLaptopsOfOneRecordAreSettledAsTwo: what both tell leads to neither, so each is told by its sticker.
func TestTwoLiveLaptopsOfOneRecordAreSettledAsTwo(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	b.full(1).adoptAs("PC-1")
	b.clash("PC-1")
	_, err := b.s.Settle(ctx, "anna", "PC-1", store.Settlement{As: store.AsMoved})
	wantCode(t, "moved, where nothing belongs to another record", err, job.CodeSettle)
	d, err := b.s.Settle(ctx, "anna", "PC-1", store.Settlement{As: store.AsTwo})
	must(t, err)
	if d.State != store.Ready || d.Serial != "ABC1201" || d.SerialKey != "" || d.Sticker != "ABC1201" {
		t.Errorf("settled as %+v", d.Device)
	}
	b.clk.pass(16 * time.Minute)
	other := b.full(1).card("usb", "8c:16:45:dd:dd:01").drive(7)
	other.boot()
	r := other.sayHello()
	if d := b.device(r.Device); d.State != store.New || d.Name != "" {
		t.Errorf("the second laptop is %s (%s); want new", d.Name, d.State)
	}
	_, err = b.s.Adopt(ctx, "anna", store.Adoption{Code: r.Code, Sticker: "ABC1201"})
	wantCode(t, "the sticker of the first", err, job.CodeSticker)
	_, err = b.s.Adopt(ctx, "anna", store.Adoption{Code: r.Code, Sticker: "ABC1201-B", Name: "PC-2"})
	must(t, err)
}

// TestAWaitingLaptopThatAPersonKnowsIsSettled, though no fact points to its record: board and drive are new.
func TestAWaitingLaptopThatAPersonKnowsIsSettled(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	known, err := b.nameless(1).adopt(store.Adoption{Sticker: "STK-0001", Name: "PC-1"})
	must(t, err)
	b.clk.pass(time.Minute) // it is switched off
	l := b.nameless(2)
	l.boot()
	code := l.sayHello().Code
	_, err = b.s.Adopt(ctx, "anna", store.Adoption{Code: code, Sticker: "STK-0001"})
	wantCode(t, "its sticker, with another drive", err, job.CodeSticker)
	_, err = b.s.Settle(ctx, "anna", code, store.Settlement{As: store.AsTwo})
	wantCode(t, "two, without a conflict", err, job.CodeState)
	d, err := b.s.Settle(ctx, "anna", code, store.Settlement{As: store.AsMoved, With: "STK-0001"})
	must(t, err)
	if d.ID != known.ID || d.Serial != "STK-0001" || d.Drives[0].Serial != "S4EV0002" {
		t.Errorf("settled as %+v", d.Device)
	}
	_, err = b.s.Settle(ctx, "anna", "PC-1", store.Settlement{As: store.AsSame, With: "PC-1"})
	wantCode(t, "a laptop that waits for nothing", err, job.CodeState)
}

// TestTwoLaptopsThatRunAtOnceAreNotSettledAsOne, whatever a person says: each tells what the other does not.
func TestTwoLaptopsThatRunAtOnceAreNotSettledAsOne(t *testing.T) {
	for _, as := range []string{store.AsSame, store.AsMoved} {
		b := newBench(t)
		ctx := context.Background()
		first := b.full(1).card("usb", "8c:16:45:dd:dd:01")
		d := first.adoptAs("PC-1")
		first.next()
		twin := b.full(1).card("usb", "8c:16:45:dd:dd:02").drive(9)
		twin.boot()
		id := twin.sayHello().Device
		_, err := b.s.Settle(ctx, "anna", id, store.Settlement{As: as, With: "PC-1"})
		wantCode(t, "settled as "+as+" while both run", err, job.CodeSettle)
		if got := b.device("PC-1"); got.Drives[0].Serial != "S4EV0001" {
			t.Errorf("PC-1 has drive %s; want its own", got.Drives[0].Serial)
		}
		b.clk.pass(31 * time.Second) // the first was switched off: its drive may have been replaced
		is, err := b.s.Settle(ctx, "anna", id, store.Settlement{As: as, With: "PC-1"})
		if err != nil || is.ID != d.ID {
			t.Errorf("settled as %s when one is off: %s, %v", as, is.ID, err)
		}
	}
}

// TestNothingIsSettledOverARecordWhoseJobWrites: neither is a part taken from it, nor does another laptop become it.
func TestNothingIsSettledOverARecordWhoseJobWrites(t *testing.T) {
	ctx := context.Background()
	writing := func(b *bench) {
		l := b.full(1)
		l.adoptAs("PC-1")
		b.order("PC-1")
		l.reach(l.work(), job.Writing)
		b.clk.pass(40 * time.Second) // it is not heard for a moment
	}
	t.Run("a part is taken", func(t *testing.T) {
		b := newBench(t)
		b.full(2).adoptAs("PC-2")
		b.clk.pass(16 * time.Minute)
		writing(b)
		l := b.full(2).drive(1)
		l.boot()
		_, err := b.s.Settle(ctx, "anna", l.sayHello().Device, store.Settlement{As: store.AsMoved, With: "PC-2"})
		wantCode(t, "moved", err, job.CodeBusy)
		if d := b.device("PC-1"); len(d.Drives) != 1 {
			t.Errorf("PC-1 has %d drives", len(d.Drives))
		}
	})
	t.Run("another becomes it", func(t *testing.T) {
		b := newBench(t)
		writing(b)
		_, id := b.pending()
		_, err := b.s.Settle(ctx, "anna", id, store.Settlement{As: store.AsSame, With: "PC-1"})
		wantCode(t, "same", err, job.CodeBusy)
	})
}

// TestARecordThatHoldsSomethingIsNotGivenUp, whatever it is settled as.
func TestARecordThatHoldsSomethingIsNotGivenUp(t *testing.T) {
	for _, as := range []string{store.AsSame, store.AsMoved} {
		b := newBench(t)
		b.finished("ABC1234", "PC-1")
		b.clk.pass(16 * time.Minute)
		b.adopted("ABC12345", "PC-2")
		b.clk.pass(time.Minute) // both are off
		b.clash("PC-1")
		_, err := b.s.Settle(context.Background(), "anna", "PC-1", store.Settlement{As: as, With: "PC-2"})
		wantCode(t, "settled as "+as, err, job.CodeSettle)
		if d := b.device("PC-1"); d.State != store.Quarantined || d.Holds == nil {
			t.Errorf("PC-1 is %s and holds %v", d.State, d.Holds)
		}
	}
}
