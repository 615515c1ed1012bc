package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ingot/store"
)

// TestHalfADatabaseIsRefused: cut at any length the file is refused in words and never kills the process; whole it opens.
func TestHalfADatabaseIsRefused(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "ingot.db")
	db, err := store.Open(whole, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // the file grows, and its newer meta record stands on either page
		if err := db.Update(func(tx *store.Tx) error { return tx.Audit("anna", "act", "x", string(make([]byte, 4000))) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 100, 4095, 8192, 9000, 16384, len(data) / 2} {
		path := filepath.Join(t.TempDir(), "ingot.db")
		if err := os.WriteFile(path, data[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := store.Open(path, store.Options{})
		if err == nil {
			db.Close()
		}
		if err == nil || n >= 8192 && !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%d of %d bytes: %v; want ErrDamaged", n, len(data), err)
		}
	}
	if db, err := store.Open(whole, store.Options{}); err != nil {
		t.Errorf("the whole file: %v", err)
	} else {
		db.Close()
	}
}
