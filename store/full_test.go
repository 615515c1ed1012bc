package store_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"ingot/imaging/job"
	"ingot/imaging/nstest"
	"ingot/store"
)

// onSmallDisk runs the test again where it may mount a file system of 2 MB, and calls f there with its folder, once
// for each kind of file system that this host can make.
func onSmallDisk(t *testing.T, f func(t *testing.T, dir string)) {
	t.Helper()
	if !nstest.Inside(t, syscall.CLONE_NEWNS) {
		return
	}
	nstest.Private(t)
	t.Run("tmpfs", func(t *testing.T) { f(t, nstest.SmallDisk(t, "2m")) })
	t.Run("ext4", func(t *testing.T) {
		image, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
		if err := os.WriteFile(image, make([]byte, 4<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, argv := range [][]string{{"mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", image}, {"mount", "-o", "loop", image, dir}} {
			if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
				t.Skipf("SKIPPED: no ext4 in a file can be mounted here: %v: %s", err, out)
			}
		}
		defer syscall.Unmount(dir, syscall.MNT_DETACH)
		f(t, dir)
	})
}

// fill takes all the room that is left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

// TestAFullDiskLosesNoRecord: a write that finds no room says so and keeps nothing, all that was there stays
// readable, and the same open database goes on when room returns.
func TestAFullDiskLosesNoRecord(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string) {
		path := filepath.Join(dir, "ingot.db")
		db, err := store.Open(path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		kept := 0
		add := func(n int) error {
			err := db.Update(func(tx *store.Tx) error {
				for i := range n {
					if err := tx.Audit("anna", "test", "server", fmt.Sprintf("Event %d, %s.", kept+i, strings.Repeat("x", 200))); err != nil {
						return err
					}
				}
				return nil
			})
			if err == nil {
				kept += n
			}
			return err
		}
		holds := func(when string) {
			t.Helper()
			err := db.View(func(tx *store.Tx) error {
				n, err := tx.CheckAudit()
				if n != uint64(kept) {
					t.Errorf("%s: %d events hold; want %d", when, n, kept)
				}
				return err
			})
			if err != nil {
				t.Errorf("%s: %v", when, err)
			}
		}
		if err := add(10); err != nil || db.Full() {
			t.Fatalf("with room: %v, full %v", err, db.Full())
		}
		filler := filepath.Join(dir, "filler")
		for round := range 3 {
			fill(t, filler)
			failed := 0
			for n := 0; failed < 20 && n < 2000; n++ {
				if err := add(20); err != nil {
					failed++
					var f *job.Fault
					if !errors.As(err, &f) || f.Code != job.CodeFull || !db.Full() {
						t.Fatalf("round %d: a write without room = %v, full %v; want %s", round, err, db.Full(), job.CodeFull)
					}
					holds("while full")
				}
			}
			if failed == 0 {
				t.Fatal("the disk never was full")
			}
			if err := db.Probe(); err != nil {
				t.Errorf("Probe while full = %v", err)
			}
			// A daemon that starts now finds its records too.
			if round == 1 {
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				if db, err = store.Open(path, store.Options{}); err != nil {
					t.Fatalf("open with a full disk: %v", err)
				}
				holds("opened while full")
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			if err := add(20); err != nil || db.Full() {
				t.Fatalf("round %d: when room returned: %v, full %v", round, err, db.Full())
			}
			holds("after room returned")
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if err := b.View(func(tx *bbolt.Tx) error { return errors.Join(gather(tx.Check())...) }); err != nil {
			t.Errorf("the file is not sound: %v", err)
		}
		// A new database on a full disk says why it cannot be made.
		fill(t, filler)
		if _, err := store.Open(filepath.Join(dir, "new.db"), store.Options{}); err == nil || job.FaultOf(err).Code != job.CodeFull {
			t.Errorf("a new database on a full disk: %v; want %s", err, job.CodeFull)
		}
	})
}

func gather(c <-chan error) (all []error) {
	for err := range c {
		all = append(all, err)
	}
	return all
}
