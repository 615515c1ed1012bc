package authenticode_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"os"
	"testing"
	"time"

	"ingot/firmware/authenticode"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// pair is a certificate and its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate; a zero by signs itself.
func issue(name string, serial int64, by pair) pair {
	p := pair{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	t := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotAfter: time.Unix(1<<32, 0)}
	parent, key := t, p.key
	if by.cert != nil {
		parent, key = by.cert, by.key
	}
	p.cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, parent, p.key.Public(), key))))
	return p
}

// program builds a PE32+ program with two sections, by the layout of the PE format, and appends the signatures.
func program(machine uint16, signatures ...[]byte) []byte {
	const pe, optional, headers = 0x80, 112 + 16*8, 0x400
	b := make([]byte, headers)
	copy(b, "MZ")
	le := binary.LittleEndian
	le.PutUint32(b[60:], pe)
	copy(b[pe:], "PE\x00\x00")
	le.PutUint16(b[pe+4:], machine)
	le.PutUint16(b[pe+6:], 2)
	le.PutUint16(b[pe+20:], optional)
	opt := b[pe+24:]
	le.PutUint16(opt, 0x20b)
	le.PutUint32(opt[60:], headers)
	le.PutUint32(opt[64:], 0xdeadbeef) // the checksum, which no hash covers
	le.PutUint32(opt[108:], 16)
	for i, s := range [][2]uint32{{0x400, 0x200}, {0x600, 0x180}} {
		row := opt[optional+i*40:]
		le.PutUint32(row[16:], s[1])
		le.PutUint32(row[20:], s[0])
	}
	b = append(b, bytes.Repeat([]byte("one "), 0x80)...)
	b = append(b, bytes.Repeat([]byte("two "), 0x60)...)
	var table []byte
	for _, s := range signatures {
		entry := le.AppendUint32(nil, uint32(8+len(s)))
		entry = le.AppendUint16(entry, 0x200)
		entry = le.AppendUint16(entry, 2)
		entry = append(entry, s...)
		table = append(table, entry...)
		table = append(table, make([]byte, (8-len(table)%8)%8)...)
	}
	if len(table) > 0 {
		dir := b[pe+24+112+4*8:]
		le.PutUint32(dir, uint32(len(b)))
		le.PutUint32(dir[4:], uint32(len(table)))
	}
	return append(b, table...)
}

// hashOf is the Authenticode hash of what program makes, counted by hand.
func hashOf(b []byte) []byte {
	const opt = 0x80 + 24
	h := sha256.New()
	h.Write(b[:opt+64])
	h.Write(b[opt+68 : opt+112+4*8])
	h.Write(b[opt+112+5*8 : 0x780])
	return h.Sum(nil)
}

type raw = asn1.RawValue

func context(tag int, body ...[]byte) raw {
	return raw{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: bytes.Join(body, nil)}
}

var sha256ID = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}}

// sign makes the PKCS#7 message of a signature about a hash. Its arithmetic is not made, since nobody here checks it.
func sign(hash []byte, signer pair, along ...pair) []byte {
	type digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	indirect := must(asn1.Marshal(struct {
		Data   struct{ Type asn1.ObjectIdentifier }
		Digest digest
	}{struct{ Type asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15}}, digest{sha256ID, hash}}))
	var certs [][]byte
	for _, c := range along {
		certs = append(certs, c.cert.Raw)
	}
	type content struct {
		Type    asn1.ObjectIdentifier
		Content raw
	}
	signed := must(asn1.Marshal(struct {
		Version    int
		Algorithms []pkix.AlgorithmIdentifier `asn1:"set"`
		Content    content
		Certs      raw
		Signers    []any `asn1:"set"`
	}{1, []pkix.AlgorithmIdentifier{sha256ID}, content{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}, context(0, indirect)}, context(0, certs...),
		[]any{struct {
			Version int
			Signer  struct {
				Issuer raw
				Serial *big.Int
			}
			Algorithm, Key pkix.AlgorithmIdentifier
			Signature      []byte
		}{1, struct {
			Issuer raw
			Serial *big.Int
		}{raw{FullBytes: signer.cert.RawIssuer}, signer.cert.SerialNumber}, sha256ID, sha256ID, []byte("signature")}}}))
	return must(asn1.Marshal(content{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}, context(0, signed)}))
}

func TestAProgramTellsItsHashAndWhoSignedIt(t *testing.T) {
	root := issue("Root", 1, pair{})
	ca := issue("Maker CA 2011", 2, root)
	signer := issue("Maker", 3, ca)
	other := issue("Maker CA 2023", 4, pair{})
	second := issue("Maker 2023", 5, other)
	plain := program(0x8664)
	b := program(0x8664, sign(hashOf(plain), signer, ca, signer), sign(hashOf(plain), second, second))
	got, err := authenticode.Parse(b)
	if err != nil || got.Arch != authenticode.X64 || !bytes.Equal(got.Digest[:], hashOf(plain)) {
		t.Fatalf("Parse = %s, %x, %v; want x64 and %x", got.Arch, got.Digest, err, hashOf(plain))
	}
	var names []string
	for _, s := range got.Signatures {
		for _, c := range s.Chain {
			names = append(names, c.Subject.CommonName)
		}
		names = append(names, "|")
	}
	if want := "[Maker Maker CA 2011 | Maker 2023 |]"; fmt.Sprint(names) != want {
		t.Errorf("signed by %v; want %s", names, want)
	}
}

func TestOtherProcessorsAndUnsignedProgramsAreTold(t *testing.T) {
	for machine, want := range map[uint16]string{0x8664: "x64", 0x14c: "ia32", 0xaa64: "aa64", 0x5064: ""} {
		got, err := authenticode.Parse(program(machine))
		if err != nil || got.Arch != want || len(got.Signatures) != 0 {
			t.Errorf("Parse of machine %#x = %q, %d signatures, %v; want %q, none", machine, got.Arch, len(got.Signatures), err, want)
		}
	}
}

func TestASignatureAboutOtherBytesOrWithoutItsSignerIsRefused(t *testing.T) {
	signer, stranger := issue("Maker", 1, pair{}), issue("Stranger", 2, pair{})
	hash := hashOf(program(0x8664))
	for name, s := range map[string][]byte{
		"other bytes":       sign(bytes.Repeat([]byte{7}, 32), signer, signer),
		"no certificate":    sign(hash, signer),
		"another's":         sign(hash, signer, stranger),
		"no PKCS#7":         []byte("signature"),
		"cut off":           sign(hash, signer, signer)[:200],
		"too many entries":  nil,
		"a certificate cut": sign(hash, signer, pair{cert: &x509.Certificate{Raw: signer.cert.Raw[:50]}}),
	} {
		t.Run(name, func(t *testing.T) {
			all := [][]byte{s}
			if s == nil {
				for range 9 {
					all = append(all, sign(hash, signer, signer))
				}
				all = all[1:]
			}
			got, err := authenticode.Parse(program(0x8664, all...))
			if err == nil || errors.Is(err, authenticode.ErrNotProgram) || !bytes.Equal(got.Digest[:], hash) {
				t.Errorf("Parse = %x, %v; want the hash and a reason about the signature", got.Digest, err)
			}
		})
	}
}

func TestWhatIsNoProgramIsRefused(t *testing.T) {
	good := program(0x8664, sign(hashOf(program(0x8664)), issue("Maker", 1, pair{})))
	with := func(at int, v uint32) []byte {
		b := bytes.Clone(good)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	const opt = 0x80 + 24
	for name, b := range map[string][]byte{
		"nothing":                     nil,
		"a text":                      bytes.Repeat([]byte("text"), 100),
		"a header behind the end":     with(60, 1<<31),
		"headers behind the end":      with(opt+60, 1<<30),
		"headers over the sections":   with(opt+60, 0x500),
		"a section behind the end":    with(opt+240+16, 1<<31),
		"sections that overlap":       with(opt+240+40+20, 0x500),
		"certificates behind the end": with(opt+112+36, 1<<31),
		"certificates in the code":    with(opt+112+32, 0x400),
		"few directories":             with(opt+108, 4),
		"cut off":                     good[:0x300],
	} {
		if _, err := authenticode.Parse(b); !errors.Is(err, authenticode.ErrNotProgram) {
			t.Errorf("Parse of %s = %v; want ErrNotProgram", name, err)
		}
	}
}

// TestDebiansShimIsUnderstood reads the real thing where it is installed.
func TestDebiansShimIsUnderstood(t *testing.T) {
	b, err := os.ReadFile("/usr/lib/shim/shimx64.efi.signed")
	if err != nil {
		t.Skip("Debian's package shim-signed is not installed")
	}
	p, err := authenticode.Parse(b)
	if err != nil || p.Arch != authenticode.X64 || len(p.Signatures) == 0 {
		t.Fatalf("Parse = %q, %d signatures, %v; want a signed x64 program", p.Arch, len(p.Signatures), err)
	}
	if got := p.Signatures[0].Chain[0].Issuer.CommonName; got != "Microsoft Corporation UEFI CA 2011" {
		t.Errorf("signed under %q", got)
	}
}

func FuzzParse(f *testing.F) {
	signer := issue("Maker", 1, pair{})
	hash := hashOf(program(0x8664))
	f.Add(program(0x8664))
	f.Add(program(0x8664, sign(hash, signer, signer)))
	f.Add(program(0x14c, sign(hash, signer), []byte{0x30, 0x80}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := authenticode.Parse(b)
		if err != nil && errors.Is(err, authenticode.ErrNotProgram) && p.Digest != [32]byte{} {
			t.Error("what is no program has a hash")
		}
		for _, s := range p.Signatures {
			if len(s.Chain) == 0 || len(s.Chain) > 6 {
				t.Errorf("a chain of %d", len(s.Chain))
			}
		}
	})
}
