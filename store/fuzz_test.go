package store_test

import (
	"strconv"
	"strings"
	"testing"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/store"
)

// FuzzPattern holds that whatever the pattern and the laptop's strings, a Name is valid or refused.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{"LT-{serial:-7}", "{asset}", "{model}-{seq:4}", "{serial", "}{", "{seq:99999999999999999999}", "{:}", "x"} {
		f.Add(p, "PF3ABC12", "0815", "ThinkPad T14 Gen 3")
	}
	f.Fuzz(func(t *testing.T, pattern, serial, asset, model string) {
		p, err := store.ParsePattern(pattern)
		if err != nil {
			return
		}
		name, err := p.Expand(store.Device{Serial: serial, Asset: asset, Model: model}, 7)
		if err == nil && store.CheckName(name) != nil {
			t.Errorf("pattern %q gives the invalid name %q", pattern, name)
		}
	})
}

// FuzzVersionRef holds that whatever a person types for an image, it finds a version of the image that is named
// in it, or says that there is none.
func FuzzVersionRef(f *testing.F) {
	db, err := store.Open(f.TempDir()+"/ingot.db", store.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { db.Close() })
	for _, image := range []string{"sales", "sales2", "s"} {
		for _, label := range []string{"one", "", "1"} {
			err := db.Update(func(tx *store.Tx) error {
				_, _, err := tx.AddVersion(store.Version{Image: image, Label: label, State: store.Released, Manifest: imaging.Sum([]byte(image + label))})
				return err
			})
			if err != nil {
				f.Fatal(err)
			}
		}
	}
	for _, ref := range []string{"sales", "sales@1", "sales@one", "sales@", "@", "", "sales\x00\x00\x00", "s@-1", "sales@4294967297", "sales@1@1"} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		var v store.Version
		err := db.View(func(tx *store.Tx) (err error) { v, err = tx.FindVersion(ref); return err })
		if err != nil {
			if codeOf(err) != job.CodeNotFound {
				t.Errorf("FindVersion(%q) = %v; want words", ref, err)
			}
			return
		}
		if name, want, pinned := strings.Cut(ref, "@"); name != v.Image || pinned && want != v.Label && want != strconv.Itoa(v.Number) {
			t.Errorf("FindVersion(%q) = %s, label %q", ref, v.Ref(), v.Label)
		}
	})
}

// FuzzDeviceRef holds that whatever a person types for a device is found or is refused in words.
func FuzzDeviceRef(f *testing.F) {
	db, err := store.Open(f.TempDir()+"/ingot.db", store.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { db.Close() })
	err = db.Update(func(tx *store.Tx) error {
		return tx.PutDevice(store.Device{ID: "abcdefgh1234", State: store.New, Serial: "PF3ABC12"})
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, ref := range []string{"abcdefgh1234", "PF3ABC12", " pf3abc12 ", "", "\x00", "abcdefgh1234\x00", "../x"} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		err := db.View(func(tx *store.Tx) error { _, err := tx.FindDevice(ref); return err })
		if err != nil && codeOf(err) != job.CodeNotFound {
			t.Errorf("FindDevice(%q) = %v; want words", ref, err)
		}
	})
}
