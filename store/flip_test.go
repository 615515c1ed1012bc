package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"ingot/imaging"

	"ingot/store"
)

const flips = 350 // of each of three kinds

// filled makes a database with pages of every kind: branches, small and large buckets, values over several pages,
// free pages.
func filled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ingot.db")
	db, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i := range 10 {
		err := db.Update(func(tx *store.Tx) error {
			_, _, err := tx.AddVersion(store.Version{Image: "sales", Note: strings.Repeat("what changed ", 100*i), State: store.Released, Manifest: imaging.Sum([]byte{byte(i)})})
			for n := 30 * i; n < 30*i+30 && err == nil; n++ {
				id := fmt.Sprintf("device-%03d", n)
				err = errors.Join(tx.PutDevice(store.Device{ID: id, Serial: "SN" + id, Model: "Latitude 5440"}), tx.Audit("anna", "adopt", id, "A laptop."))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// dump reads every key and value past package store.
func dump(t *testing.T, path string) map[string]string {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	out := map[string]string{}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error { out[string(name)+"\x00"+string(k)] = string(b.Get(k)); return nil })
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// backup is the file of a database, as a backup has it: without the room that it was given beforehand.
func backup(t *testing.T, path string) []byte {
	t.Helper()
	db, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var b bytes.Buffer
	if err := db.Backup(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// flipped opens a copy of the database with one bit inverted, and says what a check names.
func flipped(t *testing.T, raw []byte, at int64, bit int) (path string, named []string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "ingot.db")
	b := bytes.Clone(raw)
	b[at] ^= 1 << bit
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(path, store.Options{})
	if err != nil {
		return path, []string{err.Error()}
	}
	defer db.Close()
	got, err := db.CheckRecords()
	if err != nil {
		return path, []string{err.Error()}
	}
	for _, d := range got.Damage {
		named = append(named, d.What)
	}
	return path, named
}

// TestAFlipInTheRawFileIsNamedOrChangesNoRecord flips random bits of the file, wherever they lie.
func TestAFlipInTheRawFileIsNamedOrChangesNoRecord(t *testing.T) {
	path := filled(t)
	raw := backup(t, path)
	want, told := dump(t, path), 0
	rng := rand.New(rand.NewPCG(4, 2))
	for range flips {
		at, bit := rng.Int64N(int64(len(raw))), rng.IntN(8)
		copied, named := flipped(t, raw, at, bit)
		if len(named) > 0 {
			told++
			continue
		}
		if !maps.Equal(dump(t, copied), want) {
			t.Errorf("bit %d of byte %d: nothing is named, and the records differ", bit, at)
		}
		os.Remove(copied)
	}
	t.Logf("%d flips in %d bytes: %d named, %d changed no record", flips, len(raw), told, flips-told)
}

// TestAFlipInAPagesHeadOrElementsIsNamed aims at what leads to records: there a flip could lose one without a word.
func TestAFlipInAPagesHeadOrElementsIsNamed(t *testing.T) {
	path := filled(t)
	raw := backup(t, path)
	want, told := dump(t, path), 0
	rng := rand.New(rand.NewPCG(4, 3))
	for range flips {
		at, bit := rng.Int64N(int64(len(raw))/4096)*4096+rng.Int64N(96), rng.IntN(8)
		copied, named := flipped(t, raw, at, bit)
		if len(named) > 0 {
			told++
			continue
		}
		if !maps.Equal(dump(t, copied), want) {
			t.Errorf("bit %d of byte %d, page %d: nothing is named, and the records differ", bit, at%4096, at/4096)
		}
		os.Remove(copied)
	}
	t.Logf("%d flips: %d named, %d changed no record", flips, told, flips-told)
}

// TestAFlipInARecordIsNamed flips random bits of values: each is named, with the bucket that holds it.
func TestAFlipInARecordIsNamed(t *testing.T) {
	path := filled(t)
	raw := backup(t, path)
	var keys []string
	records := dump(t, path)
	for k := range records {
		if !strings.HasPrefix(k, "meta\x00") {
			keys = append(keys, k)
		}
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for n := 0; n < flips; {
		k := keys[rng.IntN(len(keys))]
		value := records[k]
		at := bytes.Index(raw, []byte(value))
		if at < 0 || bytes.LastIndex(raw, []byte(value)) != at {
			continue // an old copy of it lies in a free page
		}
		n++
		off, bit := rng.IntN(len(value)), rng.IntN(8)
		copied, named := flipped(t, raw, int64(at+off), bit)
		bucket, _, _ := strings.Cut(k, "\x00")
		if len(named) == 0 || !strings.Contains(named[0], bucket) {
			t.Errorf("%q: bit %d of byte %d (%q): a check names %q", k, bit, off, value[off], named)
		}
		os.Remove(copied)
	}
}

// TestALostHeadIsNamed: the engine goes back to the record before the last without a word.
func TestALostHeadIsNamed(t *testing.T) {
	raw := backup(t, filled(t))
	for page := range int64(2) {
		if _, named := flipped(t, raw, page*4096+16+48, 0); len(named) != 1 || !strings.Contains(named[0], "heads") {
			t.Errorf("head %d damaged: a check names %q; want the head", page, named)
		}
	}
}

// TestARecordThatVanishedIsNamed takes records out past package store, as a bug below it would.
func TestARecordThatVanishedIsNamed(t *testing.T) {
	for _, bucket := range []string{"devices", "versions", "images", "audit"} {
		path := filled(t)
		b, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = b.Update(func(tx *bbolt.Tx) error {
			k, _ := tx.Bucket([]byte(bucket)).Cursor().First()
			return tx.Bucket([]byte(bucket)).Delete(k)
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Close()
		db, err := store.Open(path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := db.CheckRecords()
		db.Close()
		if err != nil || len(got.Damage) == 0 {
			t.Errorf("a record of %s is gone: a check finds %+v, %v", bucket, got, err)
		}
	}
}

func TestWholeRecordsHaveNoDamage(t *testing.T) {
	db, err := store.Open(filled(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got, err := db.CheckRecords()
	if err != nil || len(got.Damage) != 0 || got.Records < 600 {
		t.Errorf("CheckRecords = %d records, %v, %v; want at least 600 and no damage", got.Records, got.Damage, err)
	}
}
