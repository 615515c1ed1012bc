package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// outbox is a database with one webhook target.
func outbox(t *testing.T, now func() time.Time) *store.DB {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "ingot.db"), store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	act(t, db, func(tx *store.Tx) error {
		return tx.PutPushTarget(store.PushTarget{Name: "itsm", Kind: store.PushHook, URL: "https://itsm.example"}, "anna")
	})
	return db
}

func act(t *testing.T, db *store.DB, f func(*store.Tx) error) {
	t.Helper()
	if err := db.Update(f); err != nil {
		t.Fatal(err)
	}
}

// read turns everything new into items.
func read(tx *store.Tx) error {
	for {
		more, err := tx.ReadOn("itsm", func(e store.Event) (store.OutItem, bool, error) {
			return store.OutItem{Key: fmt.Sprintf("%020d", e.Number), Body: json.RawMessage(`{}`)}, true, nil
		})
		if err != nil || !more {
			return err
		}
	}
}

// TestTheOutboxAndItsPlaceInTheChainAreOneFact: when the transaction is not kept, neither is, and the events are read again.
func TestTheOutboxAndItsPlaceInTheChainAreOneFact(t *testing.T) {
	db := outbox(t, nil)
	act(t, db, read) // the event of its own making
	act(t, db, func(tx *store.Tx) error { return tx.Audit("anna", "deploy", "d", "") })
	broken := errors.New("the power went")
	if err := db.Update(func(tx *store.Tx) error { return errors.Join(read(tx), broken) }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	count := func() (waiting int, unread uint64) {
		act(t, db, func(tx *store.Tx) error {
			v := tx.PushViews()
			waiting, unread = v[0].Waiting, v[0].Unread
			return nil
		})
		return waiting, unread
	}
	if waiting, unread := count(); waiting != 1 || unread != 1 {
		t.Errorf("after the end of the power: %d waiting, %d unread; want 1 and 1", waiting, unread)
	}
	act(t, db, read)
	if waiting, unread := count(); waiting != 2 || unread != 0 {
		t.Errorf("read again: %d waiting, %d unread; want 2 and 0", waiting, unread)
	}
}

// TestAThousandDeadLettersStopATarget: what is beyond stays in the audit chain, and a person starts it again.
func TestAThousandDeadLettersStopATarget(t *testing.T) {
	db := outbox(t, nil)
	fault := job.Faultf(job.CodePushRefused, "It answered 400.")
	for range 2 {
		act(t, db, func(tx *store.Tx) error {
			for range store.MaxDead / 2 {
				if err := tx.Audit("anna", "set", "d", ""); err != nil {
					return err
				}
			}
			return read(tx)
		})
		act(t, db, func(tx *store.Tx) error {
			due, _, err := tx.DueItems("itsm", store.MaxOutbox)
			for _, i := range due {
				err = errors.Join(err, tx.ItemFailed(i, fault, time.Time{}))
			}
			return err
		})
	}
	act(t, db, func(tx *store.Tx) error {
		s, err := tx.PushStand("itsm")
		if err == nil && s.Stopped == nil {
			t.Error("it was not stopped")
		}
		n, err2 := tx.RetryPush("itsm", "", "anna")
		s, err3 := tx.PushStand("itsm")
		if n <= store.MaxDead || s.Stopped != nil {
			t.Errorf("%d items sent again, stopped %v", n, s.Stopped)
		}
		return errors.Join(err, err2, err3)
	})
}

// TestWhatWaitsMovesWithTheClock: a clock that was set back by years does not hold a message for years.
func TestWhatWaitsMovesWithTheClock(t *testing.T) {
	now := time.Date(2036, 1, 1, 12, 0, 0, 0, time.UTC)
	db := outbox(t, func() time.Time { return now })
	act(t, db, read)
	act(t, db, func(tx *store.Tx) error {
		due, _, err := tx.DueItems("itsm", 1)
		return errors.Join(err, tx.ItemFailed(due[0], job.Faultf(job.CodePushSilent, "x"), now.Add(time.Minute)))
	})
	back := -10 * 365 * 24 * time.Hour
	now = now.Add(back)
	act(t, db, func(tx *store.Tx) error { return tx.ShiftClock(back) })
	act(t, db, func(tx *store.Tx) error {
		due, next, err := tx.DueItems("itsm", 1)
		if len(due) != 0 || next.Sub(now) != time.Minute {
			t.Errorf("%d due, the next in %s; want a minute", len(due), next.Sub(now))
		}
		return err
	})
}

// TestAReplacedSecretSignsForADayByAnyClock: one that was set by years neither ends the day nor makes years of it.
func TestAReplacedSecretSignsForADayByAnyClock(t *testing.T) {
	for _, by := range []time.Duration{10 * 365 * 24 * time.Hour, -10 * 365 * 24 * time.Hour} {
		now := time.Date(2036, 1, 1, 12, 0, 0, 0, time.UTC)
		db := outbox(t, func() time.Time { return now })
		for _, secret := range []string{"old", "new"} {
			act(t, db, func(tx *store.Tx) error { return tx.RotatePushSecret("itsm", secret, 24*time.Hour, "anna") })
		}
		now = now.Add(by)
		act(t, db, func(tx *store.Tx) error { return tx.ShiftClock(by) })
		for after, want := range map[time.Duration]string{23 * time.Hour: "[new old]", 25 * time.Hour: "[new]"} {
			act(t, db, func(tx *store.Tx) error {
				target, err := tx.PushTarget("itsm")
				if got := fmt.Sprint(target.Live(now.Add(after))); got != want {
					t.Errorf("the clock was set by %s, %s later %s sign; want %s", by, after, got, want)
				}
				return err
			})
		}
	}
}

// TestARemovedTargetLeavesNothing, and what is in flight for it at that moment makes nothing of it again.
func TestARemovedTargetLeavesNothing(t *testing.T) {
	db := outbox(t, nil)
	act(t, db, func(tx *store.Tx) error {
		return errors.Join(tx.PutPushTarget(store.PushTarget{Name: "itsm2", Kind: store.PushHook, URL: "https://itsm.example"}, "anna"), read(tx))
	})
	act(t, db, func(tx *store.Tx) error {
		due, _, err := tx.DueItems("itsm", 2)
		if err != nil || len(due) != 2 {
			return fmt.Errorf("%d due, %w", len(due), err)
		}
		err = errors.Join(tx.ItemFailed(due[0], job.Faultf(job.CodePushSaid, "x"), time.Time{}), tx.RemovePushTarget("itsm", "anna"))
		return errors.Join(err, tx.ItemSent(due[1]), tx.ItemFailed(due[1], job.Faultf(job.CodePushSaid, "x"), time.Time{}))
	})
	act(t, db, func(tx *store.Tx) error {
		v := tx.PushViews()
		if len(v) != 1 || v[0].Name != "itsm2" {
			t.Errorf("left: %+v", v)
		}
		return tx.PutPushTarget(store.PushTarget{Name: "itsm", Kind: store.PushHook, URL: "https://itsm.example"}, "anna")
	})
	act(t, db, func(tx *store.Tx) error {
		v := tx.PushViews()
		if v[0].Dead+v[0].Waiting != 0 || v[0].Fault != nil {
			t.Errorf("a new target of the same name has %+v", v[0])
		}
		return nil
	})
	c, err := db.CheckRecords()
	if err != nil || len(c.Damage) > 0 {
		t.Errorf("check: %+v, %v", c.Damage, err)
	}
}

// TestWhatIsTroubleAndWhatIsWork: a long list that goes out one by one needs nobody; what is old and does not get through does.
func TestWhatIsTroubleAndWhatIsWork(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct {
		v    store.PushView
		want bool
	}{
		"nothing waits":                            {store.PushView{}, false},
		"a fresh list":                             {store.PushView{Waiting: 9, Oldest: ago(time.Minute)}, false},
		"a long list, one arrived a minute ago":    {store.PushView{Waiting: 900, Oldest: ago(3 * time.Hour), Success: ago(time.Minute)}, false},
		"an old list, and nothing arrived":         {store.PushView{Waiting: 9, Oldest: ago(3 * time.Hour)}, true},
		"an old one that fails, others arrive":     {store.PushView{Waiting: 2, Oldest: ago(3 * time.Hour), Failing: ago(3 * time.Hour), Success: ago(time.Minute)}, true},
		"one that failed a moment ago":             {store.PushView{Waiting: 1, Oldest: ago(time.Minute), Failing: ago(time.Minute)}, false},
		"one was given up":                         {store.PushView{Dead: 1, Success: ago(time.Minute)}, true},
		"a record cannot be read":                  {store.PushView{Broken: job.Faultf(job.CodeInternal, "x")}, true},
		"it was stopped, and nothing waits as yet": {store.PushView{Stopped: job.Faultf(job.CodePushGone, "410")}, true},
	} {
		c.v.Name, c.v.Kind = "snipe", store.PushSnipe
		if got := c.v.Trouble(now); (got != "") != c.want {
			t.Errorf("%s: %q; want trouble %v", name, got, c.want)
		}
	}
}
