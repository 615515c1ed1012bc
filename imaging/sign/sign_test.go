package sign_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ingot/imaging/sign"
)

func TestKeyIsMadeOnceAndReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.key")
	a, err := sign.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sign.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	if !a.Public().Equal(b.Public()) {
		t.Error("the second start made another key")
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("key file mode = %v; want 0600", st.Mode().Perm())
	}
}

func TestDamagedKeyIsRefusedAndLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.key")
	os.WriteFile(path, []byte("not a key"), 0o600)
	if _, err := sign.LoadOrCreate(path); err == nil {
		t.Error("LoadOrCreate took a damaged key")
	}
	if b, _ := os.ReadFile(path); string(b) != "not a key" {
		t.Error("the damaged key file was replaced")
	}
}

func TestEnvelopeOpensOnlyForItsKeyAndPurpose(t *testing.T) {
	dir := t.TempDir()
	a, _ := sign.LoadOrCreate(filepath.Join(dir, "a"))
	b, _ := sign.LoadOrCreate(filepath.Join(dir, "b"))
	env, err := a.Seal("job", []byte(`{"x":1}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := sign.Open(a.Public(), "job", env)
	if err != nil || !bytes.Equal(got, []byte(`{"x":1}`)) {
		t.Fatalf("Open = %s, %v", got, err)
	}
	var bent sign.Envelope
	json.Unmarshal(env, &bent)
	bent.Payload[3] ^= 1
	changed, _ := json.Marshal(bent)
	for name, c := range map[string]func() error{
		"another key":     func() error { _, err := sign.Open(b.Public(), "job", env); return err },
		"another purpose": func() error { _, err := sign.Open(a.Public(), "manifest", env); return err },
		"changed payload": func() error { _, err := sign.Open(a.Public(), "job", changed); return err },
		"not JSON":        func() error { _, err := sign.Open(a.Public(), "job", []byte("x")); return err },
		"no key":          func() error { _, err := sign.Open(nil, "job", env); return err },
	} {
		if err := c(); !errors.Is(err, sign.ErrSignature) {
			t.Errorf("%s: Open = %v; want ErrSignature", name, err)
		}
	}
}
