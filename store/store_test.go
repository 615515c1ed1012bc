package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/store"
)

func mustOpen(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "ingot.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func mustUpdate(t *testing.T, db *store.DB, f func(*store.Tx) error) {
	t.Helper()
	if err := db.Update(f); err != nil {
		t.Fatal(err)
	}
}

func codeOf(err error) job.Code {
	var f *job.Fault
	if errors.As(err, &f) {
		return f.Code
	}
	return ""
}

// TestEveryPairOfDeviceStates holds the table of the design: one row a state.
func TestEveryPairOfDeviceStates(t *testing.T) {
	follows := map[store.DeviceState]string{
		store.New:         "ready lost quarantined",
		store.Ready:       "deploying lost quarantined",
		store.Deploying:   "deployed failed lost quarantined",
		store.Deployed:    "deploying returned lost quarantined",
		store.Failed:      "deploying returned lost quarantined",
		store.Returned:    "wiping deploying lost quarantined",
		store.Wiping:      "ready disposed returned lost quarantined",
		store.Disposed:    "returned lost quarantined",
		store.Lost:        "returned quarantined",
		store.Quarantined: "new ready deployed failed returned lost",
	}
	if len(follows) != len(store.DeviceStates) {
		t.Fatalf("%d rows, %d states", len(follows), len(store.DeviceStates))
	}
	for _, from := range store.DeviceStates {
		for _, to := range append([]store.DeviceState{"nonsense"}, store.DeviceStates...) {
			want := false
			for _, f := range strings.Fields(follows[from]) {
				want = want || f == string(to)
			}
			if got := store.MayBecome(from, to); got != want {
				t.Errorf("MayBecome(%s, %s) = %v; want %v", from, to, got, want)
			}
		}
	}
}

func TestASecondProcessIsToldThatTheDatabaseIsInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingot.db")
	db, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := store.Open(path, store.Options{Timeout: 10 * time.Millisecond}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second Open = %v; want ErrLocked", err)
	}
}

func TestANewerSchemaIsRefusedAndLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingot.db")
	setSchema(t, path, "99")
	before, _ := os.ReadFile(path)
	if _, err := store.Open(path, store.Options{}); !errors.Is(err, store.ErrNewer) {
		t.Errorf("Open = %v; want ErrNewer", err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("the newer database was changed")
	}
}

func TestAnOlderSchemaIsMigratedAndACopyKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingot.db")
	db, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, db, func(tx *store.Tx) error { return tx.PutBench(store.Bench{By: "anna"}) })
	db.Close()
	migrated := 0
	db, err = store.OpenAs(path, store.Schema+1, map[int]func(*bbolt.Tx) error{store.Schema: func(tx *bbolt.Tx) error {
		migrated++
		return tx.Bucket([]byte("sequences")).Put([]byte("marker"), []byte("x"))
	}})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	if migrated != 1 {
		t.Errorf("the migration ran %d times", migrated)
	}
	old, err := store.Open(fmt.Sprintf("%s.schema%d", path, store.Schema), store.Options{})
	if err != nil {
		t.Fatalf("open the copy: %v", err)
	}
	defer old.Close()
	old.View(func(tx *store.Tx) error {
		if b, err := tx.Bench(); err != nil || b.By != "anna" {
			t.Errorf("the copy holds %v, %v", b, err)
		}
		return nil
	})
	if _, err := store.Open(path, store.Options{}); !errors.Is(err, store.ErrNewer) {
		t.Errorf("the migrated file opens as schema %d: %v", store.Schema, err)
	}
}

func TestAFailedMigrationChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingot.db")
	db, _ := store.Open(path, store.Options{})
	db.Close()
	_, err := store.OpenAs(path, store.Schema+1, map[int]func(*bbolt.Tx) error{store.Schema: func(tx *bbolt.Tx) error { return errors.New("no") }})
	if err == nil {
		t.Fatal("a failed migration passed")
	}
	db, err = store.Open(path, store.Options{})
	if err != nil {
		t.Fatalf("Open after a failed migration = %v", err)
	}
	db.Close()
}

func setSchema(t *testing.T, path, schema string) {
	t.Helper()
	raw(t, path, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("meta"))
		if err != nil {
			return err
		}
		return b.Put([]byte("schema"), []byte(schema))
	})
}

// raw changes the file behind the package's back, as a bad disk would.
func raw(t *testing.T, path string, f func(*bbolt.Tx) error) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Update(f), b.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedOrMisplacedRecordIsNeverARecord(t *testing.T) {
	for name, spoil := range map[string]func(b *bbolt.Bucket) error{
		"a flipped letter": func(b *bbolt.Bucket) error {
			v := b.Get([]byte("d1"))
			return b.Put([]byte("d1"), []byte(strings.Replace(string(v), "ThinkPad", "ThunkPad", 1)))
		},
		"under another key": func(b *bbolt.Bucket) error { return b.Put([]byte("d1"), append([]byte(nil), b.Get([]byte("d2"))...)) },
		"cut off": func(b *bbolt.Bucket) error {
			return b.Put([]byte("d1"), append([]byte(nil), b.Get([]byte("d1"))[:20]...))
		},
		"empty": func(b *bbolt.Bucket) error { return b.Put([]byte("d1"), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ingot.db")
			db, _ := store.Open(path, store.Options{})
			mustUpdate(t, db, func(tx *store.Tx) error {
				return errors.Join(tx.PutDevice(store.Device{ID: "d1", State: store.Ready, Model: "ThinkPad"}), tx.PutDevice(store.Device{ID: "d2", State: store.Ready}))
			})
			db.Close()
			raw(t, path, func(tx *bbolt.Tx) error { return spoil(tx.Bucket([]byte("devices"))) })
			db, _ = store.Open(path, store.Options{})
			defer db.Close()
			db.View(func(tx *store.Tx) error {
				if d, err := tx.Device("d1"); !errors.Is(err, store.ErrDamaged) {
					t.Errorf("Device = %+v, %v; want ErrDamaged", d, err)
				}
				return nil
			})
		})
	}
}

func TestTheAuditChainNamesTheFirstEventThatWasTouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingot.db")
	db, _ := store.Open(path, store.Options{})
	for i := range 5 {
		mustUpdate(t, db, func(tx *store.Tx) error { return tx.Audit("anna", "adopt", fmt.Sprint("d", i), "x") })
	}
	db.View(func(tx *store.Tx) error {
		if n, err := tx.CheckAudit(); n != 5 || err != nil {
			t.Errorf("CheckAudit = %d, %v; want 5", n, err)
		}
		return nil
	})
	db.Close()
	raw(t, path, func(tx *bbolt.Tx) error { // remove the third event
		b := tx.Bucket([]byte("audit"))
		return b.Delete([]byte{0, 0, 0, 0, 0, 0, 0, 3})
	})
	db, _ = store.Open(path, store.Options{})
	defer db.Close()
	db.View(func(tx *store.Tx) error {
		if _, err := tx.CheckAudit(); err == nil || !strings.Contains(err.Error(), "event 3") {
			t.Errorf("CheckAudit = %v; want event 3 named", err)
		}
		if c, err := tx.AuditChain(); err != nil || c.Events != 2 || c.Broken != 3 || c.Head.IsZero() {
			t.Errorf("AuditChain = %+v, %v; want two that hold and the third broken", c, err)
		}
		return nil
	})
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name string
		ok   bool
	}{{"LT-1234", true}, {"a", true}, {"ABCDEFGHIJKLMNO", true}, {"ABCDEFGHIJKLMNOP", false}, {"", false}, {"12345", false},
		{"-a", false}, {"a-", false}, {"a_b", false}, {"a.b", false}, {"a b", false}, {"ü", false}, {"1a", true}, {"a\x00", false}} {
		if err := store.CheckName(c.name); (err == nil) != c.ok {
			t.Errorf("CheckName(%q) = %v; want ok %v", c.name, err, c.ok)
		} else if err != nil && codeOf(err) != job.CodeNameInvalid {
			t.Errorf("CheckName(%q) = %v; want %s", c.name, err, job.CodeNameInvalid)
		}
	}
}

func TestPatternsMakeNamesAndNeverCutThem(t *testing.T) {
	d := store.Device{ID: "d", State: store.Ready, Serial: "PF-3ABC12D", Asset: "00815", Model: "Latitude 5440"}
	for _, c := range []struct{ pattern, want string }{
		{"LT-{serial:-7}", "LT-3ABC12D"},
		{"{serial:2}x", "PFx"},
		{"N{asset}", "N00815"},
		{"{model}", "Latitude-5440"},
		{"PC{seq:4}", "PC0001"},
		{"BERLIN-{serial}", ""}, // 17 characters
		{"{asset}", ""},         // digits only
		{"{owner}", ""}, {"{serial", ""}, {"{serial:0}", ""}, {"{serial:x}", ""}, {"{seq:-1}", ""}, {"{asset:2}", ""}, {"", ""}, {"a b", ""},
		{strings.Repeat("x", 101), ""},
	} {
		db := mustOpen(t)
		got := d
		err := db.Update(func(tx *store.Tx) error {
			p, err := store.ParsePattern(c.pattern)
			if err != nil {
				return err
			}
			return tx.ReservePattern(&got, p)
		})
		if got.Name != c.want && err == nil || (err == nil) != (c.want != "") {
			t.Errorf("pattern %q gives %q, %v; want %q", c.pattern, got.Name, err, c.want)
		}
		if err != nil && codeOf(err) != job.CodeNameInvalid {
			t.Errorf("pattern %q = %v; want %s", c.pattern, err, job.CodeNameInvalid)
		}
	}
}

func TestANameIsTakenWhateverItsCaseAndFreeAgainWhenGivenUp(t *testing.T) {
	db := mustOpen(t)
	a, b := store.Device{ID: "a", State: store.Ready}, store.Device{ID: "b", State: store.Ready}
	mustUpdate(t, db, func(tx *store.Tx) error { return errors.Join(tx.Reserve(&a, "Lab-1"), tx.PutDevice(a)) })
	if err := db.Update(func(tx *store.Tx) error { return tx.Reserve(&b, "LAB-1") }); codeOf(err) != job.CodeNameTaken {
		t.Errorf("Reserve(LAB-1) = %v; want %s", err, job.CodeNameTaken)
	}
	mustUpdate(t, db, func(tx *store.Tx) error { return errors.Join(tx.Reserve(&a, "lab-2"), tx.PutDevice(a)) })
	mustUpdate(t, db, func(tx *store.Tx) error { return errors.Join(tx.Reserve(&b, "LAB-1"), tx.PutDevice(b)) })
	db.View(func(tx *store.Tx) error {
		if d, err := tx.DeviceByName("lab-1"); err != nil || d.ID != "b" {
			t.Errorf("DeviceByName(lab-1) = %v, %v; want b", d.ID, err)
		}
		return nil
	})
}

func TestASequenceStepsOverTakenNamesAndEndsWhenItsDigitsAreUsedUp(t *testing.T) {
	db := mustOpen(t)
	p, _ := store.ParsePattern("X-{seq:2}")
	one := store.Device{ID: "one", State: store.Ready}
	mustUpdate(t, db, func(tx *store.Tx) error { return errors.Join(tx.Reserve(&one, "x-02"), tx.PutDevice(one)) })
	var last error
	names := map[string]bool{}
	for i := range 100 {
		d := store.Device{ID: fmt.Sprint("d", i), State: store.Ready}
		last = db.Update(func(tx *store.Tx) error { return errors.Join(tx.ReservePattern(&d, p), tx.PutDevice(d)) })
		if last != nil {
			break
		}
		names[strings.ToLower(d.Name)] = true
	}
	if len(names) != 98 || names["x-02"] || codeOf(last) != job.CodeNameInvalid {
		t.Errorf("%d names, x-02 given %v, end %v; want 98, false, %s", len(names), names["x-02"], last, job.CodeNameInvalid)
	}
}

func TestTwoHundredParallelReservationsGiveUniqueNames(t *testing.T) {
	db := mustOpen(t)
	p, _ := store.ParsePattern("LT-{seq:4}")
	var wg sync.WaitGroup
	names := make([]string, 200)
	for i := range names {
		wg.Add(1)
		go func() {
			defer wg.Done()
			d := store.Device{ID: fmt.Sprint("d", i), State: store.Ready}
			if err := db.Update(func(tx *store.Tx) error {
				if err := tx.ReservePattern(&d, p); err != nil {
					return err
				}
				return tx.PutDevice(d)
			}); err != nil {
				t.Error(err)
			}
			names[i] = d.Name
		}()
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, n := range names {
		if n == "" || seen[n] {
			t.Errorf("name %q given twice", n)
		}
		seen[n] = true
	}
}

func TestADeviceHasAtMostOneUnfinishedJob(t *testing.T) {
	db := mustOpen(t)
	a := store.Job{ID: "a", Device: "d"}
	a.Enter(job.Approved, time.Now())
	b := store.Job{ID: "b", Device: "d"}
	b.Enter(job.Approved, time.Now())
	mustUpdate(t, db, func(tx *store.Tx) error { return tx.PutJob(a) })
	if err := db.Update(func(tx *store.Tx) error { return tx.PutJob(b) }); codeOf(err) != job.CodeBusy {
		t.Errorf("PutJob(b) = %v; want %s", err, job.CodeBusy)
	}
	a.Enter(job.Cancelled, time.Now())
	mustUpdate(t, db, func(tx *store.Tx) error { return tx.PutJob(a) })
	mustUpdate(t, db, func(tx *store.Tx) error { return tx.PutJob(b) })
	mustUpdate(t, db, func(tx *store.Tx) error { return tx.PutJob(a) }) // the finished one again takes nothing away
	db.View(func(tx *store.Tx) error {
		if j, ok, err := tx.ActiveJob("d"); !ok || j.ID != "b" || err != nil {
			t.Errorf("ActiveJob = %v, %v, %v; want b", j.ID, ok, err)
		}
		return nil
	})
}

func TestTheSameContentIsNotAddedTwice(t *testing.T) {
	db := mustOpen(t)
	v := store.Version{Image: "sales", State: store.Released, Manifest: imaging.Sum([]byte("one"))}
	mustUpdate(t, db, func(tx *store.Tx) error {
		first, added, err := tx.AddVersion(v)
		again, twice, err2 := tx.AddVersion(v)
		v.Manifest = imaging.Sum([]byte("two"))
		second, more, err3 := tx.AddVersion(v)
		if first.Number != 1 || !added || again.Number != 1 || twice || second.Number != 2 || !more {
			t.Errorf("versions %d %v, %d %v, %d %v", first.Number, added, again.Number, twice, second.Number, more)
		}
		return errors.Join(err, err2, err3)
	})
	for ref, want := range map[string]int{"sales": 2, "sales@1": 1, "sales@2": 2, "sales@3": 0, "other": 0, "": 0, "sales@": 0, "sale": 0} {
		db.View(func(tx *store.Tx) error {
			if got, err := tx.FindVersion(ref); got.Number != want || (err != nil) != (want == 0) {
				t.Errorf("FindVersion(%q) = %d, %v; want %d", ref, got.Number, err, want)
			}
			return nil
		})
	}
}

func TestTheBootLogIsBoundedPerMachineAndOverall(t *testing.T) {
	db := mustOpen(t)
	start := time.Now()
	mustUpdate(t, db, func(tx *store.Tx) error {
		var flood []store.BootEvent
		for i := range 1000 {
			flood = append(flood, store.BootEvent{Time: start.Add(time.Duration(i)), MAC: "aa", Leg: "discover", Text: strings.Repeat("x", 1000)})
		}
		return tx.AddBootEvents(flood)
	})
	mustUpdate(t, db, func(tx *store.Tx) error {
		for i := range 1100 {
			if err := tx.AddBootEvents([]store.BootEvent{{Time: start.Add(time.Hour + time.Duration(i)), MAC: fmt.Sprintf("m%04d", i), Leg: "discover"}}); err != nil {
				return err
			}
		}
		return nil
	})
	db.View(func(tx *store.Tx) error {
		logs, err := tx.BootLogs("")
		if err != nil || len(logs) > 1000 {
			t.Errorf("%d machines kept, %v; want at most 1000", len(logs), err)
		}
		for _, l := range logs {
			if len(l.Events) > 200 || len(l.Events[0].Text) > 300 {
				t.Errorf("%s keeps %d events", l.MAC, len(l.Events))
			}
		}
		return nil
	})
}

func TestStrangersCannotFillTheDevices(t *testing.T) {
	db := mustOpen(t)
	kept := store.Device{ID: "kept", State: store.New, SerialKey: "k", Seen: time.Now().Add(-time.Hour)}
	mustUpdate(t, db, func(tx *store.Tx) error {
		if err := errors.Join(tx.Reserve(&kept, "KEPT"), kept.Become(store.Ready, tx.Now()), tx.PutDevice(kept)); err != nil {
			return err
		}
		for i := range 600 {
			if err := tx.PutDevice(store.Device{ID: fmt.Sprint("s", i), State: store.New, SerialKey: fmt.Sprint("s", i), Seen: time.Now()}); err != nil {
				return err
			}
		}
		all, err := tx.Devices()
		if len(all) > 520 {
			t.Errorf("%d devices kept", len(all))
		}
		if _, err := tx.DeviceBy(store.Fact{Kind: store.FactSerial, Value: "s0"}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the forgotten device's serial still points somewhere: %v", err)
		}
		_, missing := tx.Device("kept")
		return errors.Join(err, missing)
	})
}
