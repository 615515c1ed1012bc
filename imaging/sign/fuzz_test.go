package sign_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"ingot/imaging/sign"
)

// FuzzOpen holds that nothing but what was sealed is opened: neither another payload nor another purpose.
func FuzzOpen(f *testing.F) {
	s, err := sign.LoadOrCreate(filepath.Join(f.TempDir(), "key"))
	if err != nil {
		f.Fatal(err)
	}
	payload := []byte(`{"job":"deploy"}`)
	good, err := s.Seal("job", payload)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("job", good)
	f.Add("manifest", good)
	f.Add("job", bytes.Replace(good, []byte(`"job"`), []byte(`"jo"`), 1))
	f.Add("", []byte(`{}`))
	f.Add("job", []byte(`{"purpose":"job","payload":null,"signature":""}`))
	f.Fuzz(func(t *testing.T, purpose string, envelope []byte) {
		got, err := sign.Open(s.Public(), purpose, envelope)
		if err == nil && (purpose != "job" || !bytes.Equal(got, payload)) {
			t.Fatalf("Open(%q, %q) = %q", purpose, envelope, got)
		}
	})
}
