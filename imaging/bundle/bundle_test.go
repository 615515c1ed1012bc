package bundle_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/bundle"
	"ingot/imaging/sign"
)

func signer(t testing.TB) *sign.Signer {
	t.Helper()
	s, err := sign.LoadOrCreate(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func statement(t testing.TB, s *sign.Signer) (bundle.Statement, []byte) {
	t.Helper()
	said := bundle.Statement{Format: bundle.StatementFormat, Image: "sales", Number: 3, Label: "2026-11", Note: "first", Manifest: imaging.Sum([]byte("m")),
		Created: time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC), By: "anna", DiskSize: 1 << 20, SectorSize: 512}
	env, err := said.Seal(s)
	if err != nil {
		t.Fatal(err)
	}
	return said, env
}

// chunks are some that shrink and some that do not.
func chunks() [][]byte {
	r := rand.New(rand.NewSource(4))
	noise := make([]byte, 8192)
	r.Read(noise)
	return [][]byte{bytes.Repeat([]byte("a line of text\n"), 2000), noise, []byte("short")}
}

func write(t testing.TB, s *sign.Signer, manifest []byte, plain [][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	_, env := statement(t, s)
	w, err := bundle.NewWriter(&out, s.Public(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Manifest(bytes.NewReader(manifest)); err != nil {
		t.Fatal(err)
	}
	for _, p := range plain {
		frame, err := imaging.EncodeChunk(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Chunk(imaging.Sum(p), len(p), frame); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// read goes through a whole bundle and gives what stands in it.
func read(b []byte) (manifest []byte, plain [][]byte, err error) {
	r, err := bundle.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, nil, err
	}
	pub, env := r.Signed()
	if _, err := bundle.OpenStatement(pub, env); err != nil {
		return nil, nil, err
	}
	var m bytes.Buffer
	if err := r.Manifest(&m); err != nil {
		return nil, nil, err
	}
	for {
		h, frame, err := r.Next()
		if errors.Is(err, io.EOF) {
			return m.Bytes(), plain, nil
		}
		if err != nil {
			return m.Bytes(), plain, err
		}
		p, err := imaging.DecodeChunk(frame, nil, h.Digest, int(h.Plain))
		if err != nil {
			return m.Bytes(), plain, err
		}
		plain = append(plain, p)
	}
}

func TestABundleComesBackWhole(t *testing.T) {
	manifest := bytes.Repeat([]byte("manifest"), 300_000) // three parts
	b := write(t, signer(t), manifest, chunks())
	m, plain, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m, manifest) || len(plain) != len(chunks()) {
		t.Fatalf("%d bytes of the manifest and %d chunks came back", len(m), len(plain))
	}
	for i, p := range chunks() {
		if !bytes.Equal(plain[i], p) {
			t.Errorf("chunk %d differs", i)
		}
	}
}

// TestZstdAloneGivesThePlainChunksInOrder is the promise of the package comment.
func TestZstdAloneGivesThePlainChunksInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.bundle")
	if err := os.WriteFile(path, write(t, signer(t), []byte("m"), chunks()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("zstd", "-q", "-t", path).CombinedOutput(); err != nil {
		t.Fatalf("zstd -t: %v: %s", err, out)
	}
	got, err := exec.Command("zstd", "-q", "-dc", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := bytes.Join(chunks(), nil); !bytes.Equal(got, want) {
		t.Errorf("zstd -dc gives %d bytes; want the %d of the chunks", len(got), len(want))
	}
}

// TestEveryFlippedBitIsFound flips each bit of a small bundle.
func TestEveryFlippedBitIsFound(t *testing.T) {
	b := write(t, signer(t), []byte("a manifest"), [][]byte{[]byte("a chunk"), []byte("another chunk")})
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if _, _, err := read(b); err == nil {
				t.Errorf("bit %d of byte %d flipped: no error", bit, i)
			}
			b[i] ^= 1 << bit
		}
	}
}

// TestEveryCutIsFound ends the file at each of its bytes, and lets something follow.
func TestEveryCutIsFound(t *testing.T) {
	b := write(t, signer(t), []byte("a manifest"), [][]byte{[]byte("a chunk"), []byte("another chunk")})
	for n := range b {
		if _, _, err := read(b[:n]); !errors.Is(err, bundle.ErrShort) {
			t.Errorf("cut to %d of %d bytes: %v; want ErrShort", n, len(b), err)
		}
	}
	if _, _, err := read(append(b, 0)); !errors.Is(err, bundle.ErrBundle) {
		t.Errorf("a byte behind the end: %v; want ErrBundle", err)
	}
}

func TestAChunkThatIsLeftOutOrTwiceIsFound(t *testing.T) {
	s, c := signer(t), chunks()
	whole, two := write(t, s, []byte("m"), c), write(t, s, []byte("m"), c[:2])
	third := whole[len(two)-32 : len(whole)-32] // between the second chunk and the end record
	if _, _, err := read(append(append([]byte(nil), two[:len(two)-32]...), whole[len(whole)-32:]...)); !errors.Is(err, bundle.ErrBundle) {
		t.Errorf("two chunks and the end of three: %v; want ErrBundle", err)
	}
	if _, _, err := read(append(append([]byte(nil), whole[:len(whole)-32]...), append(third, whole[len(whole)-32:]...)...)); !errors.Is(err, bundle.ErrBundle) {
		t.Errorf("four chunks and the end of three: %v; want ErrBundle", err)
	}
}

func TestAStatementIsBoundToItsKeyAndItsWords(t *testing.T) {
	a, b := signer(t), signer(t)
	said, env := statement(t, a)
	got, err := bundle.OpenStatement(a.Public(), env)
	if err != nil || len(got.Differs(said)) > 0 {
		t.Fatalf("OpenStatement = %+v, %v", got, err)
	}
	if _, err := bundle.OpenStatement(b.Public(), env); !errors.Is(err, sign.ErrSignature) {
		t.Errorf("another key: %v; want ErrSignature", err)
	}
	for _, payload := range []string{`{"format":2}`, `{"format":1,"new":1}`, `[]`} {
		env, err := a.Seal(bundle.Purpose, []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.OpenStatement(a.Public(), env); !errors.Is(err, sign.ErrSignature) {
			t.Errorf("%s: %v; want ErrSignature", payload, err)
		}
	}
	asJob, err := a.Seal("job", []byte(`{"format":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.OpenStatement(a.Public(), asJob); !errors.Is(err, sign.ErrSignature) {
		t.Errorf("signed for another purpose: %v; want ErrSignature", err)
	}
	other := said
	other.Number, other.Note, other.Created = 4, "second", said.Created.Add(1)
	if d := said.Differs(other); len(d) != 3 {
		t.Errorf("Differs = %v; want number, note and time", d)
	}
}

func TestAFingerprintHasOneForm(t *testing.T) {
	fp := bundle.Fingerprint(signer(t).Public())
	for s, want := range map[string]bool{fp: true, fp[1:]: false, fp + "0": false, "sha256:" + string(bytes.Repeat([]byte("G"), 64)): false, "": false} {
		if got := bundle.CheckFingerprint(s); got != want {
			t.Errorf("CheckFingerprint(%q) = %v; want %v", s, got, want)
		}
	}
}

// FuzzRead holds that no file makes the reader fall over or take more memory than one part, and that what it takes as
// whole, written again, is the same.
func FuzzRead(f *testing.F) {
	s := signer(f)
	whole := write(f, s, []byte("a manifest"), chunks())
	f.Add(whole)
	f.Add(whole[:len(whole)-32])
	f.Add(write(f, s, bytes.Repeat([]byte("m"), 1<<20+5), nil))
	f.Add([]byte("\x5e\x2a\x4d\x18\xff\xff\xff\xffIBD1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := bundle.NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		var m, out bytes.Buffer
		if err := r.Manifest(&m); err != nil {
			return
		}
		pub, env := r.Signed()
		w, err := bundle.NewWriter(&out, pub, env)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Manifest(&m); err != nil {
			t.Fatal(err)
		}
		for {
			h, frame, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return
			}
			if err := w.Chunk(h.Digest, int(h.Plain), frame); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		// The parts of a manifest may be cut elsewhere; everything else has one form.
		if m.Len() == 0 && out.Len() > len(b) {
			t.Errorf("%d bytes were taken as whole, and are %d when written again", len(b), out.Len())
		}
	})
}
