package push_test

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/imaging/wipe/cert"
	"ingot/store"
	"ingot/web/push"
)

// site is a real database with the real keeper of device records, and a Pusher that may be stopped and started again.
type site struct {
	t    *testing.T
	path string
	skew atomic.Int64 // nanoseconds by which the clock of records is ahead

	db    *store.DB
	bench *deploy.Service
	p     *push.Pusher
	halt  func()
	tune  func(*push.Config)
}

func newSite(t *testing.T) *site {
	s := &site{t: t, path: filepath.Join(t.TempDir(), "ingot.db")}
	t.Cleanup(func() { s.stop() })
	s.open()
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) now() time.Time { return time.Now().Add(time.Duration(s.skew.Load())) }

// open opens the database as a daemon that starts does; nothing is sent yet.
func (s *site) open() {
	s.t.Helper()
	signer, err := sign.LoadOrCreate(filepath.Join(filepath.Dir(s.path), "jobs.key"))
	must(s.t, err)
	certs, err := cert.Load(filepath.Join(filepath.Dir(s.path), "wipe-certificates.key"))
	must(s.t, err)
	s.db, err = store.Open(s.path, store.Options{Now: s.now})
	must(s.t, err)
	s.bench, err = deploy.New(deploy.Config{DB: s.db, Signer: signer, Certs: certs, Log: zerolog.Nop(), Now: s.now})
	must(s.t, err)
	c := push.Config{DB: s.db, Devices: s.bench, Log: zerolog.Nop(), Version: "test", Tick: 5 * time.Millisecond, First: 10 * time.Millisecond,
		Pace: time.Microsecond, Guard: push.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	if s.tune != nil {
		s.tune(&c)
	}
	s.p = push.New(c)
}

// run starts to send.
func (s *site) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.p.Run(ctx) }()
	s.halt = func() { cancel(); <-ended; s.halt = nil }
}

// stop ends everything, as the end of the daemon does.
func (s *site) stop() {
	if s.halt != nil {
		s.halt()
	}
	if s.db != nil {
		s.bench.Close()
		must(s.t, s.db.Close())
		s.db = nil
	}
}

func (s *site) update(f func(*store.Tx) error) { s.t.Helper(); must(s.t, s.db.Update(f)) }

// laptop puts an adopted laptop on record.
func (s *site) laptop(serial string, change ...func(*store.Device)) store.Device {
	s.t.Helper()
	d := store.Device{ID: fmt.Sprintf("dev%09d", time.Now().UnixNano()%1e9), State: store.Ready, Manufacturer: "LENOVO", Model: "ThinkPad T14", Serial: serial, Told: serial,
		SerialKey: store.SerialKey("LENOVO", serial), UUID: "4c4c4544-0044-3510-8052-b9c04f4a4d32", Seen: s.now(), Created: s.now()}
	for _, c := range change {
		c(&d)
	}
	s.update(func(tx *store.Tx) error {
		if err := tx.PutDevice(d); err != nil {
			return err
		}
		return tx.Audit("anna", "adopt", d.ID, d.Label()+" adopted.")
	})
	return s.device(d.ID)
}

func (s *site) device(id string) (d store.Device) {
	s.t.Helper()
	must(s.t, s.db.View(func(tx *store.Tx) (err error) { d, err = tx.Device(id); return err }))
	return d
}

// become changes a record as an act of the bench does, with its event.
func (s *site) become(id, act string, change func(*store.Device)) {
	s.t.Helper()
	s.update(func(tx *store.Tx) error {
		d, err := tx.Device(id)
		if err != nil {
			return err
		}
		change(&d)
		if err := tx.PutDevice(d); err != nil {
			return err
		}
		return tx.Audit("anna", act, id, d.Label()+".")
	})
}

// clears closes the one drive of a laptop that came back by a record of its end, as a person does, and sends it on.
func (s *site) clears(d store.Device, to store.DeviceState) {
	s.t.Helper()
	ctx, drive := context.Background(), "S4"+d.Serial
	_, err := s.bench.DestroyDrive(ctx, "anna", store.Destruction{Device: d.ID, Drive: drive, Confirm: drive, Model: "SSD", Method: "shredded",
		Why: "it does not start", Place: "Hamburg", By: "Anna", Witness: "Bo", Reference: "V-1"})
	must(s.t, err)
	_, err = s.bench.Clear(ctx, "anna", d.ID, to, store.Disposal{Confirm: d.Serial})
	must(s.t, err)
}

// deployed lets a laptop hold a version.
func (s *site) deployed(id, image string, number int) {
	s.t.Helper()
	s.update(func(tx *store.Tx) error {
		dep := store.Deployment{ID: "dep" + id, Device: id, Image: job.ImageRef{Name: image, Number: number, Manifest: imaging.Sum([]byte(image))}, Operator: "anna",
			Finished: time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)}
		return tx.PutDeployment(dep)
	})
	s.become(id, "done", func(d *store.Device) { d.Deployment, d.State = "dep"+id, store.Deployed })
}

func (s *site) target(name string) (v store.PushView) {
	s.t.Helper()
	v, err := s.p.Target(context.Background(), name)
	must(s.t, err)
	return v
}

// until waits for something that happens by itself.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come to pass: %s", what)
		}
	}
}

// idle waits until nothing is left to do for a target.
func (s *site) idle(name string) store.PushView {
	s.t.Helper()
	until(s.t, name+" has nothing to do", func() bool { v := s.target(name); return v.Unread == 0 && v.Waiting == 0 })
	return s.target(name)
}

// dead waits until so many items were given up.
func (s *site) dead(name string, n int) store.PushView {
	s.t.Helper()
	until(s.t, fmt.Sprintf("%s gave up %d", name, n), func() bool { v := s.target(name); return v.Dead == n && v.Waiting == 0 })
	return s.target(name)
}

func wantCode(t *testing.T, what string, f *job.Fault, want job.Code) {
	t.Helper()
	if f == nil || f.Code != want {
		t.Errorf("%s: %v; want %s", what, f, want)
	}
}
