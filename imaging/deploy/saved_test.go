package deploy_test

import (
	"context"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// onDriveOf is a laptop that was adopted as PC-2 and has the drive of PC-1 in it, which is of that state.
func (b *bench) onDriveOf(state store.DeviceState, change func(*job.Drive)) *laptop {
	b.t.Helper()
	l := b.full(1)
	if change != nil {
		change(&l.hello.Drives[0])
	}
	l.adoptAs("PC-1")
	b.update(func(tx *store.Tx) error {
		d, err := tx.DeviceByName("PC-1")
		must(b.t, err)
		d.State = state
		return tx.PutDevice(d)
	})
	b.clk.pass(16 * time.Minute)
	other := b.full(2)
	other.hello.Drives = l.hello.Drives
	other.adoptAs("PC-2")
	return other
}

// TestSomebodysDriveIsOverwrittenOnlyWithTheNameTyped in every state in which a record stands for data that nobody
// has given up.
func TestSomebodysDriveIsOverwrittenOnlyWithTheNameTyped(t *testing.T) {
	for state, asks := range map[store.DeviceState]bool{store.Ready: false, store.Deploying: true, store.Deployed: true,
		store.Returned: true, store.Wiping: true, store.Lost: true, store.Disposed: false} {
		t.Run(string(state), func(t *testing.T) {
			b := newBench(t)
			b.onDriveOf(state, nil)
			order := store.Order{Device: "PC-2", Image: "sales"}
			_, err := b.s.Deploy(context.Background(), "anna", order)
			if !asks {
				must(t, err)
				return
			}
			wantCode(t, "an order onto PC-1's drive", err, job.CodeUnconfirmed)
			order.DataSaved, order.Confirm = true, "PC-1"
			_, err = b.s.Deploy(context.Background(), "anna", order)
			if state == store.Returned || state == store.Wiping { // a person's word does not clear it
				wantCode(t, "an order onto the drive of a laptop that came back", err, job.CodeDriveOwes)
				return
			}
			must(t, err)
		})
	}
}

// TestADriveWithoutAWorldWideNameIsKnownBySerialAndModel, where it is about what would be lost; and so is one whose
// name was settled as told by two.
func TestADriveWithoutAWorldWideNameIsKnownBySerialAndModel(t *testing.T) {
	t.Run("no name", func(t *testing.T) {
		b := newBench(t)
		b.onDriveOf(store.Deployed, func(d *job.Drive) { d.WWN = "" })
		_, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-2", Image: "sales"})
		wantCode(t, "an order onto PC-1's drive", err, job.CodeUnconfirmed)
	})
	t.Run("shared name", func(t *testing.T) {
		b := newBench(t)
		l := b.onDriveOf(store.Deployed, nil)
		b.update(func(tx *store.Tx) error {
			return tx.Share(store.Fact{Kind: store.FactDrive, Value: l.hello.Drives[0].WWN}, "Settled by anna.")
		})
		_, err := b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-2", Image: "sales"})
		wantCode(t, "an order onto PC-1's drive", err, job.CodeUnconfirmed)
	})
}

// TestAutoDeployAsksAPersonForADriveWithoutAWorldWideName that lay in a laptop in use; the laptop's Hello is answered.
func TestAutoDeployAsksAPersonForADriveWithoutAWorldWideName(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	first := b.full(1)
	first.hello.Drives[0].WWN = ""
	first.adoptAs("PC-1")
	b.update(func(tx *store.Tx) error {
		d, err := tx.DeviceByName("PC-1")
		must(t, err)
		d.State = store.Deployed
		return tx.PutDevice(d)
	})
	_, err := b.s.PutRole(ctx, "anna", store.Role{Name: "sales", Image: "sales", Pattern: "LT-{seq:3}"})
	must(t, err)
	_, err = b.s.SetAutoDeploy(ctx, "anna", store.AutoDeploy{Role: "sales", Until: b.clk.now().Add(time.Hour), Left: 5})
	must(t, err)
	l := b.full(2)
	l.hello.Drives = first.hello.Drives
	l.boot()
	if r := l.sayHello(); r.Code == "" {
		t.Error("a laptop with PC-1's drive was deployed without a person")
	}
	if n := l.next(); n.Order != job.Wait {
		t.Errorf("Next = %s; want wait", n.Order)
	}
}

// TestAutoDeployAsksAPersonForAnAdapterThatIsKnown: the board, or a part of it, may be another laptop's.
func TestAutoDeployAsksAPersonForAnAdapterThatIsKnown(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	b.full(1).adoptAs("PC-1")
	_, err := b.s.PutRole(ctx, "anna", store.Role{Name: "sales", Image: "sales", Pattern: "LT-{seq:3}"})
	must(t, err)
	_, err = b.s.SetAutoDeploy(ctx, "anna", store.AutoDeploy{Role: "sales", Until: b.clk.now().Add(time.Hour), Left: 5})
	must(t, err)
	l := b.full(2).card("pci", "8c:16:45:00:00:01")
	l.boot()
	if r := l.sayHello(); r.Code == "" {
		t.Error("a laptop with PC-1's adapter was deployed without a person")
	}
}
