package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// TestASecondPersonIsAnotherPerson, with the right to order it, and not a program.
func TestASecondPersonIsAnotherPerson(t *testing.T) {
	db := mustOpen(t)
	anna, bo := store.Person{Name: "anna", Right: store.Technician}, store.Person{Name: "bo", Right: store.Technician}
	p := func() (p store.AccessPolicy) {
		mustUpdate(t, db, func(tx *store.Tx) (err error) { p, err = tx.AccessPolicy(); return err })
		return p
	}
	if err := p().CheckSecondPerson(anna, store.Person{}); err != nil {
		t.Errorf("where nobody asks for two: %v", err)
	}
	mustUpdate(t, db, func(tx *store.Tx) error { return tx.SetAccessPolicy(store.AccessPolicy{SecondPerson: true}, "boss") })
	for name, c := range map[string]struct {
		first, second store.Person
		ok            bool
	}{
		"another technician":           {anna, bo, true},
		"an administrator":             {anna, store.Person{Name: "boss", Right: store.Administrator}, true},
		"behind a program of anna's":   {store.Person{Name: "anna/ci", Right: store.Technician}, bo, true},
		"nobody":                       {anna, store.Person{}, false},
		"herself":                      {anna, anna, false},
		"herself in capitals":          {anna, store.Person{Name: "ANNA", Right: store.Technician}, false},
		"herself behind her program":   {store.Person{Name: "anna/ci", Right: store.Technician}, anna, false},
		"a program":                    {anna, store.Person{Name: "bo/ci", Right: store.Technician}, false},
		"somebody who may only look":   {anna, store.Person{Name: "bo", Right: store.Viewer}, false},
		"somebody with no right known": {anna, store.Person{Name: "bo", Right: "root"}, false},
	} {
		err := p().CheckSecondPerson(c.first, c.second)
		if c.ok != (err == nil) || err != nil && codeOf(err) != job.CodeSecondPerson {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestALaterClockKeepsWhatWasMeant: sessions, links and locks last as long as they would have, whatever the clock is set to.
func TestALaterClockKeepsWhatWasMeant(t *testing.T) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	db, err := store.Open(filepath.Join(t.TempDir(), "ingot.db"), store.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	id, secret := store.HashSecret("x"), store.NewSecret()
	mustUpdate(t, db, func(tx *store.Tx) error {
		_, err := tx.AddOperator(store.Operator{Name: "anna", Right: store.Administrator}, "root")
		err = errors.Join(err, tx.OpenSession(store.Session{ID: id, Operator: "anna"}, ""))
		_, err2 := tx.AddLink("anna", secret, "root")
		for range store.MaxWrong {
			_, err3 := tx.TryOperator("anna")
			err = errors.Join(err, err3)
		}
		return errors.Join(err, err2)
	})
	const jump = 400 * 24 * time.Hour
	now = now.Add(jump)
	mustUpdate(t, db, func(tx *store.Tx) error { return tx.ShiftClock(jump) })
	now = now.Add(10 * time.Minute)
	mustUpdate(t, db, func(tx *store.Tx) error {
		if _, err := tx.Session(id); err != nil {
			t.Errorf("the session: %v", err)
		}
		if _, err := tx.Link(secret); err != nil {
			t.Errorf("the link: %v", err)
		}
		if _, err := tx.TryOperator("anna"); codeOf(err) != job.CodeLockedOut {
			t.Errorf("the lock after ten minutes: %v", err)
		}
		return nil
	})
	now = now.Add(6 * time.Minute)
	mustUpdate(t, db, func(tx *store.Tx) error {
		if _, err := tx.TryOperator("anna"); err != nil {
			t.Errorf("after 16 minutes: %v", err)
		}
		return nil
	})
}

// TestOperatorsAreBounded: sessions of one operator, notices, and names.
func TestWhatOperatorsLeaveIsBounded(t *testing.T) {
	db := mustOpen(t)
	mustUpdate(t, db, func(tx *store.Tx) error {
		_, err := tx.AddOperator(store.Operator{Name: "anna", Right: store.Viewer}, "root")
		return err
	})
	for range 3 {
		mustUpdate(t, db, func(tx *store.Tx) error {
			var errs []error
			for range 30 {
				errs = append(errs, tx.OpenSession(store.Session{ID: store.HashSecret(store.NewSecret()), Operator: "anna"}, ""), tx.AddNotice("root", "A link was made."))
			}
			return errors.Join(errs...)
		})
	}
	mustUpdate(t, db, func(tx *store.Tx) error {
		sessions, err := tx.Sessions("anna")
		notices, err2 := tx.Notices()
		if len(sessions) > 30 || len(notices) > 50 || len(sessions) < 20 {
			t.Errorf("%d sessions, %d notices", len(sessions), len(notices))
		}
		return errors.Join(err, err2)
	})
	for _, bad := range []string{"", " ", "a b", "a/b", "a\x00b", ".anna", "-anna", "root", "INGOT", "agent", strings.Repeat("a", 65), "änna", "anna\n\nx", "a:b"} {
		if name, err := store.OperatorName(bad); codeOf(err) != job.CodeBadRequest {
			t.Errorf("%q names an operator: %q, %v", bad, name, err)
		}
	}
	for in, want := range map[string]string{" Anna ": "anna", "a.b@example.org": "a.b@example.org", "7": "7"} {
		if name, err := store.OperatorName(in); err != nil || name != want {
			t.Errorf("%q: %q, %v", in, name, err)
		}
	}
}
