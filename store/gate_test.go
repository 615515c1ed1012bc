package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"ingot/imaging/job"
	"ingot/store"
)

func openAt(t *testing.T, now *time.Time) *store.DB {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "ingot.db"), store.Options{Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func update(t *testing.T, db *store.DB, f func(*store.Tx) error) {
	t.Helper()
	if err := db.Update(f); err != nil {
		t.Fatal(err)
	}
}

func sata(serial string) job.Drive {
	return job.Drive{Path: "/dev/sda", Serial: serial, Model: "Crucial MX500", Transport: "sata", SizeBytes: 500e9, SectorSize: 512}
}

// closeDrive stores a record about a drive as its number in the chain wants it.
func closeDrive(tx *store.Tx, device string, d job.Drive, kind store.EvidenceKind) error {
	n, _, err := tx.EvidenceHead()
	if err != nil {
		return err
	}
	return tx.PutEvidence(store.Evidence{Number: n + 1, ID: fmt.Sprintf("X-%06d", n+1), Kind: kind, Device: device, Drive: store.DriveKey(d.Serial, d.Model),
		Operator: "anna", Hash: "sha256:00", Signed: []byte("{}")})
}

// TestEveryPairOfStatesGoesThroughTheGate: a device that came back may only be returned, wiping, lost or quarantined until
// each drive of it has a record; with it, the table of states is all that counts.
func TestEveryPairOfStatesGoesThroughTheGate(t *testing.T) {
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	db := openAt(t, &now)
	allowed := 0
	for _, from := range store.DeviceStates {
		for _, to := range store.DeviceStates {
			for _, kind := range []store.EvidenceKind{"", store.Wiped, store.Destroyed} {
				if !store.MayBecome(from, to) {
					continue
				}
				id := fmt.Sprintf("%s-%s-%s", from, to, kind)
				drive := sata("SN-" + id)
				update(t, db, func(tx *store.Tx) error { // it was deployed, came back, and is now where it is
					d := store.Device{ID: id, Serial: id, State: store.Deployed, Drives: []job.Drive{drive}}
					if err := tx.PutDevice(d); err != nil {
						return err
					}
					if d.State = store.Returned; from == store.Disposed {
						d.State = store.Wiping
					}
					return tx.PutDevice(d)
				})
				into := func(state store.DeviceState) error {
					return db.Update(func(tx *store.Tx) error {
						d, err := tx.Device(id)
						if err != nil {
							return err
						}
						d.State = state
						return tx.PutDevice(d)
					})
				}
				if kind != "" {
					update(t, db, func(tx *store.Tx) error { return closeDrive(tx, id, drive, kind) })
				}
				if kind != "" && (from == store.Ready || from == store.Disposed || from == store.New || from == store.Deploying || from == store.Deployed || from == store.Failed) {
					if err := into(store.Ready); err != nil { // through the gate
						t.Fatalf("%s: %v", id, err)
					}
				}
				if err := into(from); err != nil {
					if kind != "" {
						t.Errorf("%s: it has its record and cannot become %s: %v", id, from, err)
					} else if job.FaultOf(err).Code != job.CodeOwed {
						t.Errorf("%s: became %s: %v; want %s", id, from, err, job.CodeOwed)
					}
					continue
				}
				err := into(to)
				held := to == store.Returned || to == store.Wiping || to == store.Lost || to == store.Quarantined
				behind := to == store.Ready || to == store.Disposed
				cleared := kind != "" && from != store.Lost && from != store.Disposed
				want := held || behind && kind != "" || cleared && !(from == store.Returned || from == store.Wiping || from == store.Quarantined)
				if (err == nil) != want {
					t.Errorf("%s -> %s with record %q: %v; want allowed %v", from, to, kind, err, want)
				}
				if err == nil {
					allowed++
				}
			}
		}
	}
	if allowed < 30 {
		t.Errorf("only %d moves were allowed: the test looks at nothing", allowed)
	}
}

// TestADriveIsOwedFromTheReturnOn: a certificate from before counts for nothing, an absent drive blocks, and so does a
// device of which no drive is known.
func TestADriveIsOwedFromTheReturnOn(t *testing.T) {
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	db := openAt(t, &now)
	a, b := sata("DRIVE-A1"), sata("DRIVE-B2")
	put := func(id string, s store.DeviceState, drives ...job.Drive) error {
		now = now.Add(time.Hour)
		return db.Update(func(tx *store.Tx) error {
			return tx.PutDevice(store.Device{ID: id, Serial: id, State: s, Drives: drives, Seen: now})
		})
	}
	refused := func(what string, err error, words ...string) {
		t.Helper()
		f := job.FaultOf(err)
		if err == nil || f.Code != job.CodeOwed {
			t.Fatalf("%s: %v; want %s", what, err, job.CodeOwed)
		}
		for _, w := range words {
			if !strings.Contains(f.Fact, w) {
				t.Errorf("%s: %q does not say %q", what, f.Fact, w)
			}
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(put("dev", store.Deployed, a, b))
	update(t, db, func(tx *store.Tx) error { return closeDrive(tx, "dev", a, store.Wiped) }) // of an earlier life
	must(put("dev", store.Returned, a, b))
	refused("a certificate from before it came back", put("dev", store.Ready, a, b), "DRIVE-A1", "DRIVE-B2")
	update(t, db, func(tx *store.Tx) error { return closeDrive(tx, "dev", a, store.Wiped) })
	refused("the second drive is open and was taken out", put("dev", store.Ready, a), "DRIVE-B2 (not in it when it was last seen)")
	refused("likewise, out of the house", put("dev", store.Disposed, a), "DRIVE-B2")
	must(put("dev", store.Wiping, a))
	update(t, db, func(tx *store.Tx) error { return closeDrive(tx, "dev", b, store.Destroyed) })
	must(put("dev", store.Ready, a))

	must(put("hollow", store.Deployed))
	must(put("hollow", store.Returned))
	refused("no drive is known", put("hollow", store.Disposed), "No drive of hollow is known")
	refused("it is quarantined and settled as new", errors.Join(put("hollow", store.Quarantined), put("hollow", store.New)))
}

// TestALaptopThatCameBackToAnOlderIngotOwesItsDrives: its records are of a time without wiping, so nothing is known of its
// drives but what the device itself tells.
func TestALaptopThatCameBackToAnOlderIngotOwesItsDrives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingot.db")
	open := func() *store.DB {
		db, err := store.Open(path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	d := store.Device{ID: "dev", Serial: "dev", State: store.Returned, Drives: []job.Drive{sata("DRIVE-A1"), sata("DRIVE-B2")}, Seen: time.Now()}
	db := open()
	update(t, db, func(tx *store.Tx) error { return tx.PutDevice(d) })
	db.Close()
	raw, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Update(func(tx *bbolt.Tx) error {
		return errors.Join(tx.DeleteBucket([]byte("drives")), tx.DeleteBucket([]byte("drive-by-device")))
	})
	if err := errors.Join(err, raw.Close()); err != nil {
		t.Fatal(err)
	}
	db = open()
	defer db.Close()
	for _, to := range []store.DeviceState{store.Ready, store.Disposed, store.Deploying, store.Deployed} {
		err := db.Update(func(tx *store.Tx) error {
			d, err := tx.Device("dev")
			if err != nil {
				return err
			}
			d.State = to
			return tx.PutDevice(d)
		})
		if job.FaultOf(err).Code != job.CodeOwed {
			t.Errorf("returned to the older one, then %s: %v; want %s", to, err, job.CodeOwed)
		}
	}
}

// TestADriveBringsItsHistoryAlong: it is looked for where it is now, and a drive that was recorded as destroyed alarms.
func TestADriveBringsItsHistoryAlong(t *testing.T) {
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	db := openAt(t, &now)
	x := sata("DRIVE-X9")
	put := func(id string, s store.DeviceState, drives ...job.Drive) {
		t.Helper()
		now = now.Add(time.Hour)
		update(t, db, func(tx *store.Tx) error {
			return tx.PutDevice(store.Device{ID: id, Serial: id, State: s, Drives: drives, Seen: now})
		})
	}
	drive := func() (d store.Drive) {
		t.Helper()
		if err := db.View(func(tx *store.Tx) (err error) { d, err = tx.Drive(store.DriveKey(x.Serial, x.Model)); return err }); err != nil {
			t.Fatal(err)
		}
		return d
	}
	put("first", store.Deployed, x)
	put("first", store.Returned, x)
	put("stranger", store.New, x)
	put("thief", store.Quarantined, x)
	if d := drive(); d.Device != "first" || !d.Owes() {
		t.Fatalf("whoever nobody adopted took the drive: it is in %s", d.Device)
	}
	put("second", store.Ready, x)
	if d := drive(); d.Device != "second" || !d.Owes() || len(d.Homes) != 2 || d.Homes[0].Device != "first" {
		t.Fatalf("after it was seen in another laptop: %+v", d)
	}
	update(t, db, func(tx *store.Tx) error { return closeDrive(tx, "second", x, store.Destroyed) })
	if d := drive(); !d.Destroyed || d.Owes() {
		t.Fatalf("after its end: %+v", d)
	}
	update(t, db, func(tx *store.Tx) error { // the laptop that it was taken out of changes, and was not started since
		d, err := tx.Device("first")
		d.Note = "spare"
		return errors.Join(err, tx.PutDevice(d))
	})
	if d := drive(); !d.Destroyed || d.Device != "second" {
		t.Fatalf("an old word brought it back: %+v", d)
	}
	put("third", store.Ready, x)
	if d := drive(); d.Destroyed || !d.Owes() || d.Closed != 1 {
		t.Errorf("a destroyed drive that is seen again: %+v", d)
	}
	alarm := false
	if err := db.View(func(tx *store.Tx) error {
		events, err := tx.AuditTrail("third", 10)
		for _, e := range events {
			alarm = alarm || e.Act == "alarm" && strings.Contains(e.Text, "destroyed")
		}
		return err
	}); err != nil || !alarm {
		t.Errorf("no alarm about it: %v", err)
	}
}

// TestWhatTellsNothingCannotBeCertified: a junk serial, and two drives that tell the same, are vague.
func TestWhatTellsNothingCannotBeCertified(t *testing.T) {
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	db := openAt(t, &now)
	junk, twin, other := sata("0000000000"), sata("SAME-1"), sata("SAME-1")
	named := sata("SAME-2")
	named2 := named
	named.WWN, named2.WWN = "naa.5000000000000001", "naa.5000000000000002"
	update(t, db, func(tx *store.Tx) error {
		return tx.PutDevice(store.Device{ID: "dev", Serial: "dev", State: store.Returned, Drives: []job.Drive{junk, twin, other, named, named2}})
	})
	var all []store.Drive
	if err := db.View(func(tx *store.Tx) (err error) { all, err = tx.DrivesOf("dev"); return err }); err != nil {
		t.Fatal(err)
	}
	vague := 0
	for _, d := range all {
		if d.Vague {
			vague++
			err := db.Update(func(tx *store.Tx) error {
				return tx.PutEvidence(store.Evidence{Number: 1, ID: "X-1", Kind: store.Wiped, Device: "dev", Drive: d.Key, Operator: "anna", Hash: "sha256:00", Signed: []byte("{}")})
			})
			if job.FaultOf(err).Code != job.CodeNoCertificate {
				t.Errorf("a certificate about %+v: %v; want %s", d, err, job.CodeNoCertificate)
			}
		}
	}
	if len(all) != 5 || vague != 3 {
		t.Errorf("%d drives, %d of them vague; want 5 and 3: %+v", len(all), vague, all)
	}
}

// TestADriveThatAnotherLaptopTellsOfIsNotAccountedFor: two cheap drives may tell one serial. A laptop that came back is
// not cleared because another one tells of its drive; once that drive has its record there, or the laptop has shown
// that it is not in it any more, it is.
func TestADriveThatAnotherLaptopTellsOfIsNotAccountedFor(t *testing.T) {
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	db := openAt(t, &now)
	drive := sata("CHEAP-0001")
	tell := func(id string, s store.DeviceState, drives ...job.Drive) error {
		now = now.Add(time.Minute)
		return db.Update(func(tx *store.Tx) error {
			return tx.PutDevice(store.Device{ID: id, Serial: id, State: s, Drives: drives, Seen: now})
		})
	}
	become := func(id string, s store.DeviceState) error {
		return db.Update(func(tx *store.Tx) error {
			d, err := tx.Device(id)
			if err != nil {
				return err
			}
			d.State = s
			return tx.PutDevice(d)
		})
	}
	for _, end := range []string{"recorded", "shown"} {
		one, two := "one-"+end, "two-"+end
		drive.Serial = "CHEAP-" + end
		for _, err := range []error{tell(one, store.Returned, drive), tell(two, store.Deployed, drive), become(one, store.Wiping)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range []store.DeviceState{store.Ready, store.Disposed} {
			if err := become(one, s); job.FaultOf(err).Code != job.CodeOwed || !strings.Contains(err.Error(), two) {
				t.Errorf("%s: it became %s while another laptop tells of its drive: %v; want %s", end, s, err, job.CodeOwed)
			}
		}
		if end == "recorded" {
			update(t, db, func(tx *store.Tx) error { return closeDrive(tx, two, drive, store.Wiped) })
		} else if err := tell(one, store.Wiping, sata("OTHER-1")); err != nil {
			t.Fatal(err)
		} else {
			update(t, db, func(tx *store.Tx) error { return closeDrive(tx, one, sata("OTHER-1"), store.Wiped) })
		}
		if err := become(one, store.Ready); err != nil {
			t.Errorf("%s: %v", end, err)
		}
	}
}

// TestADeviceThatCameBackBeforeDrivesWereKeptOwesThem: in a database of an Ingot that kept no drives, a returned device
// has none on record.
func TestADeviceThatCameBackBeforeDrivesWereKeptOwesThem(t *testing.T) {
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "ingot.db")
	open := func() *store.DB {
		db, err := store.Open(path, store.Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open()
	update(t, db, func(tx *store.Tx) error {
		return tx.PutDeviceOfBefore(store.Device{ID: "dev", Serial: "dev", State: store.Returned, Drives: []job.Drive{sata("OLD-1"), sata("OLD-2")}})
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Update(func(tx *bbolt.Tx) error {
		return errors.Join(tx.DeleteBucket([]byte("drives")), tx.DeleteBucket([]byte("drive-by-device")))
	}), b.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // opened again, nothing is added
		db = open()
		if err := db.View(func(tx *store.Tx) error {
			owed, known, err := tx.Owed("dev")
			d, err2 := tx.Device("dev")
			if len(owed) != 2 || known != 2 || !d.Owing {
				t.Errorf("%d of %d drives are owed, owing %v; want 2 of 2", len(owed), known, d.Owing)
			}
			return errors.Join(err, err2)
		}); err != nil {
			t.Error(err)
		}
		if c, err := db.CheckRecords(); err != nil || len(c.Damage) != 0 {
			t.Errorf("CheckRecords = %+v, %v", c, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
