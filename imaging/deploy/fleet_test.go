package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/store"
)

// fleets is how many generated fleets the property is tried on.
const fleets = 1000

// TestInAThousandFleetsNoTwoLaptopsAreOne generates fleets with junk and duplicate serials and UUIDs, adapters that
// several laptops tell, shared dongles, moved and replaced drives and swapped boards. Laptops start in any order; a
// person who looks at the laptops adopts, settles and orders, or leaves it. It holds, against the real store and the
// real Service, that
//
//   - no Hello is answered with the record of another laptop, except one in quarantine,
//   - no job goes to a laptop other than the one that a person ordered it for,
//   - a laptop whose facts are its own, and as they were, is found as its record,
//   - no record that was adopted is ever lost.
//
// What no machine can tell is not generated: two laptops that agree in all facts of the board, and differ in a drive
// only, are one whose drive was replaced (while both are live that is an alarm, which another test holds); and one that
// was never seen, tells a fact of another and has that one's drive, is that one.
func TestInAThousandFleetsNoTwoLaptopsAreOne(t *testing.T) {
	t.Parallel()
	n := fleets
	if testing.Short() {
		n = 100
	}
	signer, err := sign.LoadOrCreate(filepath.Join(t.TempDir(), "jobs.key"))
	must(t, err)
	dir, err := os.MkdirTemp(memory(), "ingot-fleets-*") // thousands of transactions, whose disk is of no interest
	must(t, err)
	defer os.RemoveAll(dir)
	var seen tally
	for seed := range n {
		f := newFleet(t, filepath.Join(dir, fmt.Sprint(seed)), signer, uint64(seed))
		f.live()
		seen.add(f.tally)
		f.close()
		if t.Failed() {
			t.Fatalf("fleet %d:\n%s", seed, strings.Join(f.trace, "\n"))
		}
	}
	t.Logf("%d fleets: %+v", n, seen)
	if n == fleets && (seen.Strong < n || seen.UUIDs < n/10 || seen.Quarantined < n || seen.Jobs < n/2 || seen.Settled < n/2 || seen.Stickers < n/4) {
		t.Errorf("the fleets prove little: %+v", seen)
	}
}

// memory is a folder in memory where the system has one.
func memory() string {
	if s, err := os.Stat("/dev/shm"); err == nil && s.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// tally counts what happened, so that a generator that proves nothing is seen.
type tally struct {
	Hellos, Strong, UUIDs, New, Quarantined, Adopted, Stickers, Settled, Refused, Jobs, Swaps int
}

func (t *tally) add(o tally) {
	t.Hellos += o.Hellos
	t.Strong += o.Strong
	t.UUIDs += o.UUIDs
	t.New += o.New
	t.Quarantined += o.Quarantined
	t.Adopted += o.Adopted
	t.Stickers += o.Stickers
	t.Settled += o.Settled
	t.Refused += o.Refused
	t.Jobs += o.Jobs
	t.Swaps += o.Swaps
}

// board is what SMBIOS and the built-in adapter tell.
type board struct {
	maker, serial, uuid, mac string
	docked                   bool // another one tells the same adapter
	copied                   bool // another one tells the same serial and UUID: only the adapter is left
	own                      bool // serial, UUID and adapter are believable or absent, and no other board tells one of them
}

// physical is one laptop as a person sees it: a case with a sticker, and what is in it.
type physical struct {
	n       int
	sticker string
	board   *board
	drive   job.Drive
	changed bool // a part of it is another than at its last start
	mixed   bool // that part is the board: the drive, which alone tells, stays until then
	record  string
	adopted bool
	key     job.KeyID // of its last start
}

// fleet is some laptops on a bench of their own.
type fleet struct {
	t      *testing.T
	r      *rand.Rand
	clk    *clock
	db     *store.DB
	s      *deploy.Service
	signer *sign.Signer
	all    []*physical
	whose  map[string]*physical // record -> the laptop that it is
	orders map[string]*physical // record with an order -> for whom
	count  int
	trace  []string
	tally
}

func newFleet(t *testing.T, dir string, signer *sign.Signer, seed uint64) *fleet {
	must(t, os.Mkdir(dir, 0o700))
	f := &fleet{t: t, r: rand.New(rand.NewPCG(seed, 7)), clk: &clock{t: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}, signer: signer,
		whose: map[string]*physical{}, orders: map[string]*physical{}}
	var err error
	f.db, err = store.Open(filepath.Join(dir, "ingot.db"), store.Options{Now: f.clk.now})
	must(t, err)
	f.s, err = deploy.New(deploy.Config{DB: f.db, Signer: signer, Log: zerolog.Nop(), Now: f.clk.now, Poll: time.Nanosecond})
	must(t, err)
	must(t, f.db.Update(func(tx *store.Tx) error {
		_, _, err := tx.AddVersion(store.Version{Image: "sales", Label: "1", State: store.Released, Manifest: manifest, DiskSize: 8 << 30, NeedBytes: 4 << 30, SectorSize: 512, Table: "gpt", Personalise: "linux"})
		return errors.Join(err, tx.PutBench(store.Bench{OpenUntil: f.clk.now().Add(1000 * time.Hour)}))
	}))
	for i := range 3 + f.r.IntN(4) {
		f.all = append(f.all, f.build(i))
	}
	for _, l := range f.all {
		f.trace = append(f.trace, fmt.Sprintf("laptop %d: %+v drive %s %s", l.n, *l.board, l.drive.Serial, l.drive.WWN))
	}
	return f
}

func (f *fleet) close() { f.db.Close() }

func (f *fleet) chance(percent int) bool { return f.r.IntN(100) < percent }

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// build makes laptop number i, now and then with the facts of an earlier one.
func (f *fleet) build(i int) *physical {
	l := &physical{n: i, sticker: fmt.Sprintf("STICKER-%d", i), board: &board{maker: pick(f.r, "Dell Inc.", "LENOVO", "HP"), own: true}, drive: f.newDrive()}
	b := l.board
	b.serial, b.uuid = fmt.Sprintf("SER%04dX", i), uuidFor(fmt.Sprint("laptop", i))
	if f.chance(50) {
		b.mac = fmt.Sprintf("8c:16:45:00:00:%02x", i+1)
	}
	if f.chance(25) {
		b.serial = pick(f.r, "Default string", "To Be Filled By O.E.M.", "", "0000000", "System Serial Number", "N/A")
	}
	if f.chance(30) {
		b.uuid = pick(f.r, noUUID, "03000200-0400-0500-0006-000700080009", "ffffffff-ffff-ffff-ffff-ffffffffffff", "00020003-0004-0005-0006-000700080009", "")
	}
	if i > 0 && f.chance(40) {
		f.duplicate(b, f.all[f.r.IntN(i)].board)
	}
	return l
}

// duplicate gives a board a fact of another one, but never all that a board can tell.
func (f *fleet) duplicate(b, of *board) {
	strong := store.SerialKey(b.maker, b.serial) != "" && store.SerialKey(of.maker, of.serial) != ""
	switch {
	case b.mac != "" && of.mac != "" && of.mac != b.mac && !of.docked && f.chance(30):
		b.maker, b.serial, b.uuid = of.maker, of.serial, of.uuid // a copied board: its adapter is its own
		b.copied, of.copied = true, true
	case f.chance(40):
		b.maker, b.serial = of.maker, of.serial
		if b.mac == of.mac && b.uuid == of.uuid {
			return
		}
	case f.chance(60):
		b.uuid = of.uuid
	case strong && of.mac != "" && !of.copied:
		b.docked, of.docked = true, true
		b.mac = of.mac // a dock on PCI that looks built in
	default:
		return
	}
	b.own, of.own = false, false
}

func (f *fleet) newDrive() job.Drive {
	f.count++
	d := job.Drive{Path: "/dev/nvme0n1", Serial: fmt.Sprintf("DRV%05d", f.count), WWN: fmt.Sprintf("eui.0025385c21b0%04x", f.count), Model: "PM9A1", Transport: "nvme", SizeBytes: 16 << 30, SectorSize: 512}
	if f.chance(15) {
		d.WWN = pick(f.r, "", "eui.0000000000000001", fmt.Sprintf("nvme.1b36-%x", d.Serial))
	}
	return d
}

// live lets things happen to the fleet.
func (f *fleet) live() {
	for range 24 {
		l := f.all[f.r.IntN(len(f.all))]
		switch f.r.IntN(10) {
		case 0:
			f.swap(l, f.all[f.r.IntN(len(f.all))])
		case 1:
			if f.chance(50) && !(l.mixed && l.changed) {
				l.drive, l.changed = f.newDrive(), true
				f.note("laptop %d gets the new drive %s", l.n, l.drive.Serial)
			}
		case 2:
			f.order(l)
		default:
			f.start(l)
		}
		f.clk.pass(pick(f.r, 5*time.Second, 40*time.Second, 5*time.Minute, 20*time.Minute))
		if f.t.Failed() {
			return
		}
	}
	for _, l := range f.all {
		if !l.adopted {
			continue
		}
		if !f.exists(l.record) {
			f.t.Errorf("the record %s of laptop %d is lost", l.record, l.n)
		}
	}
}

func (f *fleet) note(format string, args ...any) {
	f.trace = append(f.trace, fmt.Sprintf(format, args...))
}

// swap changes the drives or the boards of two laptops. Boards only where both records know their drives: a case
// without anything that can be told apart is its board.
func (f *fleet) swap(a, b *physical) {
	told := func(l *physical) bool {
		return l.adopted && !l.changed && strings.HasPrefix(l.drive.WWN, "eui.00253") && f.unshared(l)
	}
	unseen := !a.board.own && !a.adopted || !b.board.own && !b.adopted
	if a == b || unseen || a.mixed && a.changed || b.mixed && b.changed || f.chance(50) && !(told(a) && told(b)) {
		return
	}
	f.Swaps++
	a.mixed, b.mixed = false, false
	if told(a) && told(b) && f.chance(50) {
		a.board, b.board, a.mixed, b.mixed = b.board, a.board, true, true
		f.note("laptops %d and %d swap boards", a.n, b.n)
	} else {
		a.drive, b.drive = b.drive, a.drive
		f.note("laptops %d and %d swap drives", a.n, b.n)
	}
	a.changed, b.changed = true, true
}

// hello is what the laptop tells, in one of the ways in which firmware tells it.
func (f *fleet) hello(l *physical) job.Hello {
	h := job.Hello{Version: job.Version, Firmware: "uefi", MemoryBytes: 8 << 30, Nonce: fmt.Sprintf("%032x", f.r.Uint64()), Drives: []job.Drive{l.drive},
		Facts: job.Facts{Manufacturer: l.board.maker, Model: "Model", Serial: l.board.serial, UUID: l.board.uuid},
		Links: []job.Link{{Name: "eth9", MAC: "8c:16:45:dd:dd:01", Bus: "usb", Boot: true}}}
	if l.board.mac != "" {
		h.Links = append(h.Links, job.Link{Name: "eth0", MAC: l.board.mac, Bus: "pci"})
	}
	if f.chance(30) {
		h.Facts.Serial = " " + strings.ToLower(h.Facts.Serial)
	}
	if u := h.Facts.UUID; len(u) == 36 && f.chance(30) {
		h.Facts.UUID = u[6:8] + u[4:6] + u[2:4] + u[0:2] + "-" + u[11:13] + u[9:11] + "-" + u[16:18] + u[14:16] + u[18:]
	}
	return h
}

// start boots a laptop on a dongle, and lets the person look at it.
func (f *fleet) start(l *physical) {
	ctx := context.Background()
	h := f.hello(l)
	token, err := f.s.Token(ctx, deploy.Machine{MAC: pick(f.r, "8c:16:45:dd:dd:01", "8c:16:45:dd:dd:02"), UUID: h.Facts.UUID})
	must(f.t, err)
	h.Token = token
	f.count++
	l.key = job.KeyID(fmt.Sprintf("sha256:%d", f.count))
	r, err := f.s.Hello(ctx, l.key, h)
	must(f.t, err)
	d := f.device(r.Device)
	f.Hellos++
	f.note("laptop %d starts: record %s, %s, %s", l.n, d.ID, d.State, d.Conflict)
	f.isItself(l, d)
	f.person(l, d, r.Code)
	f.work(l)
}

// isItself holds an answer against the truth.
func (f *fleet) isItself(l *physical, d store.Device) {
	serial := store.SerialKey(l.board.maker, l.board.serial) != ""
	strong := l.board.own && !l.changed && (serial || store.UUIDKey(l.board.uuid) != "")
	if other := f.whose[d.ID]; d.State != store.Quarantined && other != nil && other != l {
		f.t.Errorf("laptop %d was taken for laptop %d (record %s, %s)", l.n, other.n, d.ID, d.State)
	}
	if l.record != "" && strong && f.unshared(l) {
		f.Strong++
		if !serial {
			f.UUIDs++
		}
		if d.ID != l.record {
			f.t.Errorf("laptop %d, known as %s by its own serial or UUID, became %s (%s, %s)", l.n, l.record, d.ID, d.State, d.Conflict)
		}
	}
	switch {
	case d.State == store.Quarantined:
		f.Quarantined++
	case l.record == "" || !l.adopted:
		f.New++
		delete(f.whose, l.record)
		l.record, f.whose[d.ID], l.changed = d.ID, l, false
	case d.ID == l.record:
		l.changed = false
	}
}

// unshared reports whether no fact of the board was ever settled as told by two. A drive of it may be elsewhere now.
func (f *fleet) unshared(l *physical) bool {
	ok := true
	must(f.t, f.db.View(func(tx *store.Tx) error {
		for _, x := range []store.Fact{{Kind: store.FactSerial, Value: store.SerialKey(l.board.maker, l.board.serial)}, {Kind: store.FactUUID, Value: store.UUIDKey(l.board.uuid)},
			{Kind: store.FactMAC, Value: l.board.mac}} {
			shared, err := tx.IsShared(x)
			if ok = ok && !shared; err != nil {
				return err
			}
		}
		return nil
	}))
	return ok
}

// person looks at the laptop, knows which it is, and mostly says so.
func (f *fleet) person(l *physical, d store.Device, code string) {
	ctx := context.Background()
	var err error
	switch {
	case f.chance(25):
		return
	case d.State == store.Quarantined:
		in := store.Settlement{As: store.AsTwo}
		if l.record != "" && d.ID != l.record && f.exists(l.record) {
			in = store.Settlement{As: store.AsSame, With: l.record}
			if l.changed {
				in.As = store.AsMoved
			}
		}
		f.settle(l, d.ID, in)
		return
	case d.State != store.New || code == "":
		return
	case l.adopted && d.ID != l.record: // its record is another: a person knows that
		_, err = f.s.Adopt(ctx, "anna", store.Adoption{Code: code, Sticker: f.sticker(l)})
		if err != nil {
			f.settle(l, code, store.Settlement{As: store.AsMoved, With: l.record})
			return
		}
		f.Stickers++
	default:
		f.count++
		a := store.Adoption{Code: code, Name: fmt.Sprintf("PC-%d", f.count)}
		var is store.DeviceView
		is, err = f.s.Adopt(ctx, "anna", a)
		if job.FaultOf(err).Code == job.CodeNoSerial {
			a.Sticker = l.sticker
			is, err = f.s.Adopt(ctx, "anna", a)
			f.Stickers++
		}
		if err != nil {
			f.t.Errorf("adopting laptop %d: %v", l.n, err)
			return
		}
		f.Adopted++
		delete(f.whose, l.record)
		l.record, l.adopted, f.whose[is.ID], l.changed = is.ID, true, l, false
	}
	f.note("adopted laptop %d: record %s, %v", l.n, l.record, err)
}

func (f *fleet) exists(record string) bool {
	return f.db.View(func(tx *store.Tx) error { _, err := tx.Device(record); return err }) == nil
}

func (f *fleet) device(record string) (d store.Device) {
	must(f.t, f.db.View(func(tx *store.Tx) (err error) { d, err = tx.Device(record); return err }))
	return d
}

// sticker is what a person scans on a laptop that has a record: the serial of that record.
func (f *fleet) sticker(l *physical) string {
	return f.device(l.record).Serial
}

func (f *fleet) settle(l *physical, ref string, in store.Settlement) {
	d, err := f.s.Settle(context.Background(), "anna", ref, in)
	f.note("settled laptop %d %+v: %s %v", l.n, in, d.ID, err)
	if err != nil {
		if job.FaultOf(err).Code == job.CodeInternal {
			f.t.Errorf("settling laptop %d: %v", l.n, err)
		}
		f.Refused++
		return
	}
	f.Settled++
	if in.With != "" && d.ID != in.With {
		f.t.Errorf("laptop %d was settled with %s and became %s", l.n, in.With, d.ID)
	}
	if other := f.whose[d.ID]; other != nil && other != l {
		f.t.Errorf("laptop %d was settled into the record of laptop %d", l.n, other.n)
	}
	l.record, f.whose[d.ID], l.changed = d.ID, l, false
}

// order gives an order for a laptop's record. Some cannot be given now.
func (f *fleet) order(l *physical) {
	if !l.adopted {
		return
	}
	j, err := f.s.Deploy(context.Background(), "anna", store.Order{Device: l.record, Image: "sales"})
	if err == nil {
		f.orders[l.record] = l
		f.note("order %s for laptop %d", j.ID, l.n)
	}
}

// work lets a running laptop ask what to do. A job that it gets is its own; it fails before the first write.
func (f *fleet) work(l *physical) {
	ctx := context.Background()
	n, err := f.s.Next(ctx, l.key)
	if err != nil || n.Order != job.Work {
		return
	}
	payload, err := sign.Open(f.signer.Public(), "job", n.Job)
	must(f.t, err)
	var j job.Job
	must(f.t, json.Unmarshal(payload, &j))
	f.Jobs++
	f.note("laptop %d gets job %s for %s", l.n, j.ID, j.Device)
	if f.orders[j.Device] != l || j.Device != l.record || j.Target.Serial != l.drive.Serial {
		f.t.Errorf("laptop %d got the job of record %s, drive %s", l.n, j.Device, j.Target.Serial)
	}
	_, err = f.s.Result(ctx, l.key, j.ID, job.Result{Job: j.ID, State: job.Failed, Fault: &job.Fault{Code: job.CodeLowMemory}})
	must(f.t, err)
	delete(f.orders, j.Device)
}
