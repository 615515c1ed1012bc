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
	wantCode(t, "an order without the name typed", err, job.CodeState)
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
			wantCode(t, "an order after "+string(last), err, job.CodeState)
			_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "sales", DataSaved: true, Confirm: "pc-1"})
		}
		must(t, err)
	}
}
