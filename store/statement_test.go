package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"ingot/imaging"
	"ingot/imaging/bundle"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/store"
)

func mustSigner(t *testing.T) *sign.Signer {
	t.Helper()
	s, err := sign.LoadOrCreate(filepath.Join(t.TempDir(), "jobs.key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openWith(t *testing.T, path string, s *sign.Signer) *store.DB {
	t.Helper()
	db, err := store.Open(path, store.Options{Signer: s})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func version(image string, content byte) store.Version {
	return store.Version{Image: image, Label: "l", Note: "n", By: "anna", State: store.Draft, Manifest: imaging.Sum([]byte{content}), DiskSize: 1 << 20,
		SectorSize: 512, OS: "Debian", Loaders: []job.Loader{{Arch: "x86_64"}}}
}

func add(t *testing.T, db *store.DB, v store.Version) (out store.Version) {
	t.Helper()
	if err := db.Update(func(tx *store.Tx) (err error) { out, _, err = tx.AddVersion(v); return err }); err != nil {
		t.Fatal(err)
	}
	return out
}

// faults are what a check names.
func faults(t *testing.T, db *store.DB) map[string]string {
	t.Helper()
	out := map[string]string{}
	if err := db.View(func(tx *store.Tx) error { return tx.CheckVersions(func(ref, what string) { out[ref] = what }) }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEachVersionIsSignedWhenItIsRecorded(t *testing.T) {
	s := mustSigner(t)
	db := openWith(t, filepath.Join(t.TempDir(), "db"), s)
	defer db.Close()
	v := add(t, db, version("sales", 1))
	var signed store.Signed
	if err := db.View(func(tx *store.Tx) (err error) { signed, err = tx.Signed("sales", 1); return err }); err != nil {
		t.Fatal(err)
	}
	said, err := bundle.OpenStatement(s.Public(), signed.Envelope)
	if err != nil || said.Number != 1 || said.Manifest != v.Manifest || !said.Created.Equal(v.Created) || said.Late {
		t.Errorf("signed %+v, %v", said, err)
	}
	if f := faults(t, db); len(f) != 0 {
		t.Errorf("faults of a fresh version: %v", f)
	}
}

// TestACheckNamesWhatIsNotWhatWasSigned changes records as no part of Ingot does: straight in the file, with checksums
// that hold, as somebody who can write to the disk could.
func TestACheckNamesWhatIsNotWhatWasSigned(t *testing.T) {
	s, other := mustSigner(t), mustSigner(t)
	for name, c := range map[string]struct {
		act  func(t *testing.T, path string)
		want string
	}{
		"another note": {func(t *testing.T, path string) {
			forged := version("sales", 1)
			forged.Note = "another note"
			move(t, path, forged, "versions")
		}, "note"},
		"other content": {func(t *testing.T, path string) { move(t, path, version("sales", 2), "versions") }, "content"},
		"signed by another key": {func(t *testing.T, path string) {
			db := openWith(t, path, other)
			defer db.Close()
			if err := db.Update(func(tx *store.Tx) error {
				v, err := tx.Version("sales", 1)
				if err != nil {
					return err
				}
				return tx.ForgeStatement(v)
			}); err != nil {
				t.Fatal(err)
			}
		}, "signature"},
		"the statement is gone": {func(t *testing.T, path string) { remove(t, path, "statements") }, "nothing signed"},
		"the record is gone":    {func(t *testing.T, path string) { remove(t, path, "versions") }, "is gone"},
		"a flip in the record":  {func(t *testing.T, path string) { flip(t, path, "versions") }, "damaged"},
		"a flip in the signed":  {func(t *testing.T, path string) { flip(t, path, "statements") }, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			db := openWith(t, path, s)
			if err := db.Update(func(tx *store.Tx) error { _, err := tx.SignOld(); return err }); err != nil {
				t.Fatal(err)
			}
			add(t, db, version("sales", 1))
			add(t, db, version("whole", 1))
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			c.act(t, path)
			db = openWith(t, path, s)
			defer db.Close()
			// The next start signs nothing in silence.
			if err := db.Update(func(tx *store.Tx) error {
				signed, err := tx.SignOld()
				if len(signed) > 0 {
					t.Errorf("signed %v afterwards", signed)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if f := faults(t, db); len(f) != 1 || !strings.Contains(f["sales@1"], c.want) {
				t.Errorf("faults %v; want one of sales@1 about %q", f, c.want)
			}
		})
	}
}

// move puts the record that another database makes of v into this one.
func move(t *testing.T, path string, v store.Version, bucket string) {
	t.Helper()
	from := filepath.Join(t.TempDir(), "from")
	db := openWith(t, from, nil)
	add(t, db, v)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var b []byte
	raw(t, from, func(tx *bbolt.Tx) error { b = append(b, tx.Bucket([]byte(bucket)).Get(salesKey)...); return nil })
	raw(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put(salesKey, b) })
}

var salesKey = []byte("sales\x00\x00\x00\x00\x01")

func remove(t *testing.T, path, bucket string) {
	t.Helper()
	raw(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Delete(salesKey) })
}

func flip(t *testing.T, path, bucket string) {
	t.Helper()
	raw(t, path, func(tx *bbolt.Tx) error {
		b := append([]byte(nil), tx.Bucket([]byte(bucket)).Get(salesKey)...)
		b[len(b)/2] ^= 1
		return tx.Bucket([]byte(bucket)).Put(salesKey, b)
	})
}

func TestVersionsOfBeforeAreSignedOnceAndSaidSo(t *testing.T) {
	path, s := filepath.Join(t.TempDir(), "db"), mustSigner(t)
	db := openWith(t, path, nil) // an Ingot that did not sign
	add(t, db, version("old", 1))
	db.Close()
	db = openWith(t, path, s)
	defer db.Close()
	if f := faults(t, db); !strings.Contains(f["old@1"], "nothing signed") {
		t.Errorf("faults %v; want that nothing was signed", f)
	}
	for round, want := range []int{1, 0} {
		if err := db.Update(func(tx *store.Tx) error {
			signed, err := tx.SignOld()
			if len(signed) != want {
				t.Errorf("round %d signed %d; want %d", round, len(signed), want)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.View(func(tx *store.Tx) error {
		v, err := tx.Version("old", 1)
		if err != nil {
			return err
		}
		what, late, err := tx.CheckSigned(v)
		if what != "" || !late || err != nil {
			t.Errorf("CheckSigned = %q, late %v, %v; want a late statement that holds", what, late, err)
		}
		trail, err := tx.AuditTrail("old@1", 10)
		if len(trail) != 1 || trail[0].Act != "sign" {
			t.Errorf("audit %+v", trail)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheWordsOfADraftAreSignedAgain(t *testing.T) {
	db := openWith(t, filepath.Join(t.TempDir(), "db"), mustSigner(t))
	defer db.Close()
	v := add(t, db, version("sales", 1))
	restate := func(change func(*store.Version)) error {
		w := v
		change(&w)
		var err error
		_ = db.Update(func(tx *store.Tx) error { err = tx.Restate(w); return errors.New("not kept") }) // the record itself stays as it is
		return err
	}
	if err := restate(func(v *store.Version) { v.Note = "what changed" }); err != nil {
		t.Errorf("the note of a draft: %v", err)
	}
	if err := db.Update(func(tx *store.Tx) error { _, err := tx.SetNote("sales", 1, "said later"); return err }); err != nil {
		t.Errorf("SetNote: %v", err)
	}
	if f := faults(t, db); len(f) != 0 {
		t.Errorf("a note that was written on purpose is named: %v", f)
	}
	if err := restate(func(v *store.Version) { v.Manifest[0] ^= 1 }); err == nil {
		t.Error("the content was signed again")
	}
	if err := restate(func(v *store.Version) { v.Note, v.State = "later", store.Released }); err == nil {
		t.Error("the note of a released version was signed again")
	}
}

func TestAPeerIsBoundToItsFirstKey(t *testing.T) {
	db := openWith(t, filepath.Join(t.TempDir(), "db"), mustSigner(t))
	defer db.Close()
	first, second := mustSigner(t).Public(), mustSigner(t).Public()
	update := func(f func(*store.Tx) error) error { return db.Update(f) }
	if err := update(func(tx *store.Tx) error {
		return tx.PutPeer(store.Peer{Name: "branch", Hash: store.HashSecret("secret")}, "anna")
	}); err != nil {
		t.Fatal(err)
	}
	if err := update(func(tx *store.Tx) error { return tx.BindPeer("branch", first) }); err != nil {
		t.Fatal(err)
	}
	if err := update(func(tx *store.Tx) error { return tx.BindPeer("branch", first) }); err != nil {
		t.Errorf("the same key again: %v", err)
	}
	if err := update(func(tx *store.Tx) error { return tx.BindPeer("branch", second) }); job.FaultOf(err).Code != job.CodePeerRefused {
		t.Errorf("another key: %v; want %s", err, job.CodePeerRefused)
	}
	if err := db.View(func(tx *store.Tx) error {
		for secret, want := range map[string]bool{"secret": true, "Secret": false, "": false} {
			if _, ok, err := tx.PeerOf(secret); ok != want || err != nil {
				t.Errorf("PeerOf(%q) = %v, %v; want %v", secret, ok, err, want)
			}
		}
		if ok, err := tx.Trusts(first); !ok || err != nil {
			t.Errorf("the key of a peer is not trusted: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := update(func(tx *store.Tx) error { return tx.RemovePeer("branch", "anna") }); err != nil {
		t.Fatal(err)
	}
	if err := db.View(func(tx *store.Tx) error {
		if ok, _ := tx.Trusts(first); ok {
			t.Error("the key of a removed peer is trusted")
		}
		if _, ok, _ := tx.PeerOf("secret"); ok {
			t.Error("a removed peer is let in")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
