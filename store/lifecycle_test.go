package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/store"
)

// shelve adds a version whose content is its label.
func shelve(t *testing.T, db *store.DB, v store.Version) store.Version {
	t.Helper()
	if v.Image == "" {
		v.Image = "sales"
	}
	if v.Manifest.IsZero() {
		v.Manifest = imaging.Sum([]byte(v.Image + v.Label))
	}
	var out store.Version
	mustUpdate(t, db, func(tx *store.Tx) (err error) { out, _, err = tx.AddVersion(v); return err })
	return out
}

type versionMove struct {
	name string
	to   store.VersionState
	do   func(*store.Tx, string, store.VersionOrder) (store.Version, error)
}

var versionMoves = []versionMove{
	{"release", store.Released, (*store.Tx).Release},
	{"retire", store.Retired, (*store.Tx).Retire},
	{"withdraw", store.Withdrawn, (*store.Tx).Withdraw},
}

func code(err error) job.Code {
	if err == nil {
		return ""
	}
	return job.FaultOf(err).Code
}

func TestEveryMoveOfAVersionIsAllowedOrRefusedByOneTable(t *testing.T) {
	allowed := map[string]bool{"draft release": true, "draft withdraw": true, "released retire": true, "released withdraw": true, "retired release": true, "retired withdraw": true}
	for _, from := range []store.VersionState{store.Draft, store.Released, store.Retired, store.Withdrawn} {
		for _, m := range versionMoves {
			t.Run(fmt.Sprintf("%s %s", from, m.name), func(t *testing.T) {
				db := mustOpen(t)
				v := shelve(t, db, store.Version{State: from, Note: "first", Label: "one"})
				var got store.Version
				err := db.Update(func(tx *store.Tx) (err error) {
					got, err = m.do(tx, "anna", store.VersionOrder{Version: v.Ref().String(), Reason: "it is time"})
					return err
				})
				if want := allowed[string(from)+" "+m.name]; (err == nil) != want {
					t.Fatalf("%v; want allowed %v", err, want)
				}
				if err != nil {
					if code(err) != job.CodeVersionState {
						t.Errorf("refused with %v", err)
					}
					return
				}
				if got.State != m.to || len(got.Acts) != 1 || got.Acts[0].By != "anna" || got.Acts[0].Act != m.name {
					t.Errorf("became %+v", got)
				}
				db.View(func(tx *store.Tx) error {
					kept, err := tx.Version("sales", 1)
					events, err2 := tx.EventsSince(v.Ref().String(), 0, 10)
					if kept.State != m.to || len(events) != 1 || events[0].Act != m.name || err != nil || err2 != nil {
						t.Errorf("kept %v, events %v, %v %v", kept.State, events, err, err2)
					}
					return nil
				})
			})
		}
	}
}

func TestARedFindingBlocksTheReleaseUntilAPersonOverridesIt(t *testing.T) {
	db := mustOpen(t)
	v := shelve(t, db, store.Version{State: store.Draft, Note: "n", Label: "one", Checklist: []store.Finding{
		{Check: "linux-machine-id", Severity: store.Red, Fact: "The machine-id is kept.", Next: "Empty it."}, {Check: "x", Severity: store.Yellow, Fact: "A log."}}})
	release := func(o store.VersionOrder) (got store.Version, err error) {
		o.Version = v.Ref().String()
		err = db.Update(func(tx *store.Tx) (err error) { got, err = tx.Release("anna", o); return err })
		return got, err
	}
	if _, err := release(store.VersionOrder{}); code(err) != job.CodeRed || !strings.Contains(err.Error(), "machine-id") {
		t.Errorf("released with a red finding: %v", err)
	}
	if _, err := release(store.VersionOrder{Override: "  "}); code(err) != job.CodeRed {
		t.Errorf("released with an empty reason: %v", err)
	}
	if _, err := release(store.VersionOrder{Override: "a\nb"}); code(err) != job.CodeBadRequest {
		t.Errorf("a reason of two lines: %v", err)
	}
	got, err := release(store.VersionOrder{Override: "lab only"})
	if err != nil || got.Override != "lab only" || got.State != store.Released {
		t.Errorf("overridden: %+v, %v", got, err)
	}
	db.View(func(tx *store.Tx) error {
		events, err := tx.EventsSince(v.Ref().String(), 0, 10)
		if len(events) != 1 || !strings.Contains(events[0].Text, "lab only") {
			t.Errorf("the audit trail says %v, %v", events, err)
		}
		return nil
	})
}

func TestAReleaseNeedsAChangeNoteAndANamedVersion(t *testing.T) {
	db := mustOpen(t)
	v := shelve(t, db, store.Version{State: store.Draft, Label: "one", Note: "  "})
	b := shelve(t, db, store.Version{State: store.Draft, Label: "b", Note: "n", Kind: store.Backup, Device: "d1"})
	for ref, want := range map[string]job.Code{v.Ref().String(): job.CodeNoNote, "sales": job.CodeBadRequest, "sales@9": job.CodeNotFound, b.Ref().String(): job.CodeBackup} {
		err := db.Update(func(tx *store.Tx) error { _, err := tx.Release("anna", store.VersionOrder{Version: ref}); return err })
		if code(err) != want {
			t.Errorf("release %s: %v; want %s", ref, err, want)
		}
	}
}

// current reads which version an image's laptops receive.
func current(t *testing.T, db *store.DB) string {
	t.Helper()
	out := ""
	db.View(func(tx *store.Tx) error {
		v, err := tx.FindVersion("sales")
		if out = v.Ref().String(); err != nil {
			out = string(code(err))
		}
		return nil
	})
	return out
}

func TestAnImageHasACurrentVersionAndGoesBack(t *testing.T) {
	db := mustOpen(t)
	act := func(do func(*store.Tx, string, store.VersionOrder) (store.Version, error), o store.VersionOrder) error {
		return db.Update(func(tx *store.Tx) error { _, err := do(tx, "anna", o); return err })
	}
	for _, label := range []string{"one", "two", "three"} {
		shelve(t, db, store.Version{State: store.Draft, Label: label, Note: "n"})
	}
	steps := []struct {
		what string
		do   func(*store.Tx, string, store.VersionOrder) (store.Version, error)
		o    store.VersionOrder
		code job.Code
		now  string
	}{
		{"no release yet", (*store.Tx).Rollback, store.VersionOrder{Version: "sales", Reason: "r"}, job.CodeVersionState, "E690"},
		{"first", (*store.Tx).Release, store.VersionOrder{Version: "sales@1"}, "", "sales@1"},
		{"twice", (*store.Tx).Release, store.VersionOrder{Version: "sales@1"}, job.CodeVersionState, "sales@1"},
		{"second", (*store.Tx).Release, store.VersionOrder{Version: "sales@two"}, "", "sales@2"},
		{"back without a reason", (*store.Tx).Rollback, store.VersionOrder{Version: "sales"}, job.CodeBadRequest, "sales@2"},
		{"back", (*store.Tx).Rollback, store.VersionOrder{Version: "sales", Reason: "printing"}, "", "sales@1"},
		{"back to what is current", (*store.Tx).Rollback, store.VersionOrder{Version: "sales", To: 1, Reason: "r"}, job.CodeVersionState, "sales@1"},
		{"back to a draft", (*store.Tx).Rollback, store.VersionOrder{Version: "sales", To: 3, Reason: "r"}, job.CodeVersionState, "sales@1"},
		{"back to nothing", (*store.Tx).Rollback, store.VersionOrder{Version: "sales", To: 9, Reason: "r"}, job.CodeNotFound, "sales@1"},
		{"forth", (*store.Tx).Rollback, store.VersionOrder{Version: "sales", To: 2, Reason: "mended"}, "", "sales@2"},
		{"retire one that is not current", (*store.Tx).Retire, store.VersionOrder{Version: "sales@1"}, "", "sales@2"},
		{"release it again without a reason", (*store.Tx).Release, store.VersionOrder{Version: "sales@1"}, job.CodeBadRequest, "sales@2"},
		{"release it again", (*store.Tx).Release, store.VersionOrder{Version: "sales@1", Reason: "wrong click"}, "", "sales@1"},
		{"withdraw the current", (*store.Tx).Withdraw, store.VersionOrder{Version: "sales@1", Reason: "a password in it"}, "", "sales@2"},
		{"back to a withdrawn", (*store.Tx).Rollback, store.VersionOrder{Version: "sales", To: 1, Reason: "r"}, job.CodeVersionState, "sales@2"},
		{"retire the last", (*store.Tx).Retire, store.VersionOrder{Version: "sales@2"}, "", "E690"},
	}
	for _, s := range steps {
		if err := act(s.do, s.o); code(err) != s.code {
			t.Errorf("%s: %v; want %q", s.what, err, s.code)
		}
		if got := current(t, db); got != s.now {
			t.Errorf("%s: current is %s; want %s", s.what, got, s.now)
		}
	}
}

// carries puts a version on a device, as a done job does.
func carries(t *testing.T, db *store.DB, device string, v store.Version, at time.Time) {
	t.Helper()
	mustUpdate(t, db, func(tx *store.Tx) error {
		d, err := tx.Device(device)
		if err != nil {
			d = store.Device{ID: device, Serial: "S-" + device, State: store.Deployed}
		}
		d.Deployment = device + v.Label
		return errors.Join(tx.PutDevice(d), tx.PutDeployment(store.Deployment{ID: d.Deployment, Device: device, Serial: d.Serial, Image: v.Ref(), Name: "PC-" + device, Finished: at}))
	})
}

func TestAVersionIsNotDeletedWhileADeviceCarriesIt(t *testing.T) {
	db := mustOpen(t)
	one := shelve(t, db, store.Version{State: store.Retired, Label: "one", Note: "n"})
	two := shelve(t, db, store.Version{State: store.Released, Label: "two", Note: "n"})
	start := time.Now()
	carries(t, db, "a", one, start)
	carries(t, db, "b", one, start.Add(time.Second))
	carries(t, db, "b", two, start.Add(time.Minute))
	del := func(o store.VersionOrder) error {
		return db.Update(func(tx *store.Tx) error { _, err := tx.Delete("anna", o); return err })
	}
	if err := del(store.VersionOrder{Version: "sales@2"}); code(err) != job.CodeVersionState {
		t.Errorf("a released version was deleted: %v", err)
	}
	if err := del(store.VersionOrder{Version: "sales@1"}); code(err) != job.CodeHeld || !strings.Contains(err.Error(), "carry sales@1: 1.") {
		t.Errorf("a version that one device carries: %v", err)
	}
	if err := del(store.VersionOrder{Version: "sales@1", Force: true}); code(err) != job.CodeBadRequest {
		t.Errorf("by force without a reason: %v", err)
	}
	mustUpdate(t, db, func(tx *store.Tx) error {
		return tx.PutJob(store.Job{ID: "j1", Kind: job.Deploy, Device: "b", Image: one.Ref(), State: job.Writing})
	})
	if err := del(store.VersionOrder{Version: "sales@1", Force: true, Reason: "room"}); code(err) != job.CodeHeld {
		t.Errorf("a version that a job needs: %v", err)
	}
	mustUpdate(t, db, func(tx *store.Tx) error {
		j, err := tx.Job("j1")
		j.State = job.Failed
		return errors.Join(err, tx.PutJob(j))
	})
	if err := del(store.VersionOrder{Version: "sales@1", Force: true, Reason: "room"}); err != nil {
		t.Errorf("by force: %v", err)
	}
	if err := del(store.VersionOrder{Version: "sales@1", Force: true, Reason: "room"}); code(err) != job.CodeVersionState {
		t.Errorf("twice: %v", err)
	}
	db.View(func(tx *store.Tx) error {
		got, err := tx.Recipients("sales", 1)
		if err != nil || len(got) != 2 || !got[0].Holds || got[1].Holds || got[0].Serial != "S-a" {
			t.Errorf("who received it: %+v, %v", got, err)
		}
		all, err := tx.VersionViews()
		if err != nil || len(all) != 2 || all[0].Held != 1 || all[1].Held != 1 || all[0].Word() != "deleted" || !all[1].Current {
			t.Errorf("the shelf: %+v, %v", all, err)
		}
		return nil
	})
	again := shelve(t, db, store.Version{State: store.Draft, Label: "one", Note: "n", Manifest: one.Manifest})
	if again.Number != 3 {
		t.Errorf("content that was given up came back as %s", again.Ref())
	}
}

func TestABackupIsKeptUntilItExpires(t *testing.T) {
	now := time.Now()
	db, err := store.Open(filepath.Join(t.TempDir(), "ingot.db"), store.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	b := shelve(t, db, store.Version{Image: "backups", State: store.Draft, Kind: store.Backup, Device: "a", Expires: now.Add(time.Hour)})
	del := func() error {
		return db.Update(func(tx *store.Tx) error {
			_, err := tx.Delete("anna", store.VersionOrder{Version: b.Ref().String()})
			return err
		})
	}
	if err := del(); code(err) != job.CodeHeld {
		t.Errorf("before it expires: %v", err)
	}
	now = now.Add(2 * time.Hour)
	if err := del(); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestAVersionGrowsStaleByItsOwnAgeAndByThatOfItsUpdates(t *testing.T) {
	now := time.Now()
	day := 24 * time.Hour
	for _, c := range []struct {
		created, patched time.Duration
		days             int
		want             string
	}{
		{1000 * day, 1000 * day, 0, ""},
		{89 * day, 89 * day, 90, ""},
		{91 * day, 1 * day, 90, "captured 91 days ago"},
		{1 * day, 91 * day, 90, "updates 91 days ago"},
	} {
		v := store.Version{Image: "sales", Number: 1, Created: now.Add(-c.created), Patched: now.Add(-c.patched)}
		if got := v.Stale(store.Image{Name: "sales", CadenceDays: c.days}, now); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%+v: %q", c, got)
		}
	}
	if got := (store.Version{Created: now}).Stale(store.Image{CadenceDays: 1}, now); got != "" {
		t.Errorf("a version of which nobody knows its updates: %q", got)
	}
}

func TestACadenceIsBounded(t *testing.T) {
	db := mustOpen(t)
	shelve(t, db, store.Version{State: store.Released, Label: "one"})
	for days, want := range map[int]job.Code{-1: job.CodeBadRequest, 0: "", 90: "", 3651: job.CodeBadRequest} {
		err := db.Update(func(tx *store.Tx) error {
			_, err := tx.SetCadence("anna", store.VersionOrder{Version: "sales", Days: days})
			return err
		})
		if code(err) != want {
			t.Errorf("%d days: %v; want %q", days, err, want)
		}
	}
}

// TestADatabaseOfSchemaTwoIsReadAndItsCopyKept opens testdata/schema2.db.gz, which an Ingot of schema 2 wrote: an image
// with two released versions and a draft, one with a retired version only, and one with a released one.
func TestADatabaseOfSchemaTwoIsReadAndItsCopyKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingot.db")
	unzip(t, "testdata/schema2.db.gz", path)
	db, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := os.Stat(path + ".schema2"); err != nil {
		t.Errorf("the copy: %v", err)
	}
	for name, want := range map[string]int{"sales": 2, "old": 0, "lab": 1} {
		db.View(func(tx *store.Tx) error {
			img, err := tx.Image(name)
			v, _ := tx.FindVersion(name)
			if img.Current != want || v.Number != want || err != nil {
				t.Errorf("%s: current is %d, found %d, %v; want %d", name, img.Current, v.Number, err, want)
			}
			return nil
		})
	}
}

// TestADatabaseOfSchemaThreeIsReadAndItsCopyKept opens testdata/schema3.db.gz, which the last Ingot of schema 3 wrote: one
// released version, a role, a device of a list. What schema 4 adds can be written to it at once.
func TestADatabaseOfSchemaThreeIsReadAndItsCopyKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingot.db")
	unzip(t, "testdata/schema3.db.gz", path)
	db, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := os.Stat(path + ".schema3"); err != nil {
		t.Errorf("the copy: %v", err)
	}
	err = db.Update(func(tx *store.Tx) error {
		img, err := tx.Image("sales")
		d, err2 := tx.FindDevice("ABC1234")
		role, err3 := tx.Role("desk")
		if err := errors.Join(err, err2, err3); err != nil || img.Current != 1 || d.State != store.Ready || role.Image != "sales" {
			t.Errorf("image %+v, device %+v, role %+v, %v", img, d, role, err)
		}
		_, err = tx.PutEntitlement("anna", store.Entitlement{Product: "Office", Seats: 3})
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if c, err := db.CheckRecords(); err != nil || len(c.Damage) != 0 {
		t.Errorf("check %+v, %v", c, err)
	}
}
