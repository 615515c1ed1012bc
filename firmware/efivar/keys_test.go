package efivar_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"ingot/firmware/efivar"
)

// list is one EFI_SIGNATURE_LIST with a header of no bytes.
func list(kind string, entries ...[]byte) []byte {
	g, err := efivar.ParseGUID(kind)
	if err != nil {
		panic(err)
	}
	each := 16 + len(entries[0])
	b := append([]byte{}, g[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(28+each*len(entries)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(each))
	for _, e := range entries {
		b = append(append(b, make([]byte, 16)...), e...)
	}
	return b
}

const (
	kindSHA256     = "c1c41626-504c-4092-aca9-41f936934328"
	kindX509       = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072"
	kindX509SHA256 = "3bd2a492-96c0-4079-b420-fcf98ef103ed"
	kindSHA1       = "826ca512-cf10-4ac9-b187-be01496631bd"
)

func certificate(t testing.TB, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestKeysAreReadFromTheirVariables(t *testing.T) {
	dir := t.TempDir()
	one, two := sha256.Sum256([]byte("one")), sha256.Sum256([]byte("two"))
	write := func(name string, value []byte) {
		t.Helper()
		path := filepath.Join(dir, name+"-d719b2cb-3d3a-4596-a3bc-dad00e67656f")
		if err := os.WriteFile(path, append([]byte{0x27, 0, 0, 0}, value...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("db", append(list(kindX509, certificate(t, "CA 2011")), list(kindX509, certificate(t, "CA 2023"))...))
	v, err := efivar.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	k, err := v.Keys()
	if err != nil || len(k.DB.Certs) != 2 || k.DB.Certs[1].Subject.CommonName != "CA 2023" || k.DBX.Len() != 0 {
		t.Fatalf("Keys = %+v, %v; want two certificates and nothing revoked", k, err)
	}
	write("dbx", bytes.Join([][]byte{list(kindSHA256, one[:], two[:]), list(kindX509SHA256, append(two[:], make([]byte, 16)...)),
		list(kindSHA1, make([]byte, 20)), list(kindX509, []byte("no certificate"))}, nil))
	k, err = v.Keys()
	if err != nil || !k.DBX.Programs[one] || !k.DBX.Programs[two] || !k.DBX.Signed[two] || k.DBX.Signed[one] || k.DBX.Others != 2 {
		t.Errorf("Keys = %+v, %v; want two programs, one certificate by hash and two others revoked", k.DBX, err)
	}
	write("dbx", list(kindSHA256, one[:])[:40])
	if _, err := v.Keys(); err == nil {
		t.Error("Keys of a damaged dbx gave no error")
	}
}

func TestListsWhoseSizesDoNotFitAreRefused(t *testing.T) {
	good := list(kindSHA256, make([]byte, 32))
	with := func(at int, v uint32) []byte {
		b := bytes.Clone(good)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	for name, b := range map[string][]byte{
		"cut in the header":         good[:20],
		"cut in the entry":          good[:len(good)-1],
		"a list of no size":         with(16, 0),
		"an endless list":           with(16, 1<<32-1),
		"an endless header":         with(20, 1<<32-1),
		"entries of no size":        with(24, 0),
		"entries below an owner":    with(24, 15),
		"entries that do not fit":   with(24, 33),
		"something behind the list": append(bytes.Clone(good), 1),
	} {
		if d, err := efivar.ParseDatabase(b); err == nil {
			t.Errorf("ParseDatabase of %s = %+v; want an error", name, d)
		}
	}
	if d, err := efivar.ParseDatabase(nil); err != nil || d.Len() != 0 {
		t.Errorf("ParseDatabase of nothing = %+v, %v", d, err)
	}
	if _, err := efivar.Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, efivar.ErrNotExist) {
		t.Errorf("Open of no folder = %v", err)
	}
}

func FuzzParseDatabase(f *testing.F) {
	f.Add(list(kindSHA256, make([]byte, 32), make([]byte, 32)))
	f.Add(append(list(kindX509, certificate(f, "CA")), list(kindX509SHA256, make([]byte, 48))...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := efivar.ParseDatabase(b)
		if err == nil && d.Len() > len(b)/16 {
			t.Errorf("%d entries in %d bytes", d.Len(), len(b))
		}
	})
}
