package store_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/store"
)

// TestAVersionThatPeopleTurnedAwayFromDoesNotReturnByItself plays acts such as "release 2" and looks which version is
// current after each.
func TestAVersionThatPeopleTurnedAwayFromDoesNotReturnByItself(t *testing.T) {
	for name, steps := range map[string][]string{
		"two people go back at once":             {"release 1=1", "release 2=2", "release 3=3", "rollback=2", "!rollback=2", "rollback 1=1"},
		"the one gone back to is withdrawn":      {"release 1=1", "release 2=2", "release 3=3", "rollback=2", "withdraw 2=1"},
		"there is nothing below it":              {"release 1=1", "release 2=2", "rollback=1", "withdraw 1=0", "rollback 2=2"},
		"one is withdrawn while another goes":    {"release 1=1", "release 2=2", "release 3=3", "withdraw 3=2", "!rollback=2"},
		"a release after a rollback lies on top": {"release 1=1", "release 2=2", "rollback=1", "release 3=3", "rollback=1"},
		"a retired one is stepped over":          {"release 1=1", "release 2=2", "release 3=3", "retire 2=3", "rollback=1"},
		"a draft goes and nothing changes":       {"withdraw 1=0", "release 2=2", "withdraw 3=2"},
	} {
		t.Run(name, func(t *testing.T) {
			db := mustOpen(t)
			for i := range 3 {
				shelve(t, db, store.Version{State: store.Draft, Label: fmt.Sprint("v", i), Note: "n"})
			}
			for _, s := range steps {
				words, want, _ := strings.Cut(s, "=")
				refused := strings.HasPrefix(words, "!")
				act, n, _ := strings.Cut(strings.TrimPrefix(words, "!"), " ")
				o := store.VersionOrder{Version: "sales@" + n, Reason: "r"}
				do := map[string]func(*store.Tx, string, store.VersionOrder) (store.Version, error){"release": (*store.Tx).Release, "retire": (*store.Tx).Retire, "withdraw": (*store.Tx).Withdraw, "rollback": (*store.Tx).Rollback}[act]
				if act == "rollback" {
					o.Version = "sales"
					fmt.Sscan(n, &o.To)
				}
				err := db.Update(func(tx *store.Tx) error { _, err := do(tx, "anna", o); return err })
				if (err != nil) != refused || refused && code(err) != job.CodeVersionState {
					t.Errorf("%s: %v", s, err)
				}
				db.View(func(tx *store.Tx) error {
					if img, _ := tx.Image("sales"); fmt.Sprint(img.Current) != want {
						t.Errorf("%s: current is %d", s, img.Current)
					}
					return nil
				})
			}
		})
	}
}

func TestAnImageOfSchemaTwoGoesBackToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingot.db")
	unzip(t, "testdata/schema2.db.gz", path)
	db, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mustUpdate(t, db, func(tx *store.Tx) error {
		v, err := tx.Rollback("anna", store.VersionOrder{Version: "sales", Reason: "printing"})
		if err == nil && v.Number != 1 {
			t.Errorf("went back to %s", v.Ref())
		}
		return err
	})
}

func TestWithdrawnContentDoesNotComeBackUnderAnotherNumber(t *testing.T) {
	db := mustOpen(t)
	same := imaging.Sum([]byte("holds a password"))
	shelve(t, db, store.Version{State: store.Released, Label: "one", Note: "n", Manifest: same})
	mustUpdate(t, db, func(tx *store.Tx) error {
		_, err := tx.Withdraw("anna", store.VersionOrder{Version: "sales@1", Reason: "a password in it"})
		return err
	})
	for _, image := range []string{"sales", "other"} {
		again := shelve(t, db, store.Version{Image: image, State: store.Draft, Label: "again", Note: "n", Manifest: same})
		o := store.VersionOrder{Version: again.Ref().String()}
		release := func() error {
			return db.Update(func(tx *store.Tx) error { _, err := tx.Release("bert", o); return err })
		}
		if err := release(); code(err) != job.CodeRed || !strings.Contains(err.Error(), "sales@1 holds exactly this and was withdrawn: a password in it") {
			t.Errorf("%s: %v", again.Ref(), err)
		}
		o.Override = "it was the wrong one that was withdrawn"
		if err := release(); err != nil {
			t.Errorf("%s overridden: %v", again.Ref(), err)
		}
	}
}

func TestTwoLaptopsThatAreAlikeHaveABackupEach(t *testing.T) {
	db := mustOpen(t)
	same := imaging.Sum([]byte("fresh from the same image"))
	for i, device := range []string{"a", "b", "a"} {
		v := shelve(t, db, store.Version{Image: "backups", State: store.Draft, Kind: store.Backup, Device: device, Manifest: same, Expires: time.Now()})
		if v.Device != device || v.Number != i%2+1 {
			t.Errorf("the backup of %s is %s, of device %s", device, v.Ref(), v.Device)
		}
	}
}

func TestABackupIsNoRolesImage(t *testing.T) {
	db := mustOpen(t)
	b := shelve(t, db, store.Version{Image: "backups", State: store.Draft, Kind: store.Backup, Device: "a"})
	err := db.Update(func(tx *store.Tx) error {
		_, err := tx.PutRole(store.Role{Name: "desk", Image: b.Ref().String()})
		return err
	})
	if code(err) != job.CodeBackup {
		t.Errorf("a role for a backup: %v", err)
	}
}

func TestAnActCountsWhomItConcerns(t *testing.T) {
	db := mustOpen(t)
	v := shelve(t, db, store.Version{State: store.Released, Label: "one", Note: "n"})
	carries(t, db, "a", v, time.Now())
	carries(t, db, "b", v, time.Now())
	mustUpdate(t, db, func(tx *store.Tx) error {
		return tx.PutJob(store.Job{ID: "j1", Kind: job.Deploy, Device: "b", Image: v.Ref(), State: job.Approved})
	})
	mustUpdate(t, db, func(tx *store.Tx) error {
		got, err := tx.ViewVersion(v)
		if got.Held != 2 || got.Jobs != 1 || !got.Current {
			t.Errorf("%d devices carry it, %d jobs, current %v", got.Held, got.Jobs, got.Current)
		}
		return err
	})
}
