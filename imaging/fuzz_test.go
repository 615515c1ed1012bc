package imaging_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ingot/imaging"
)

func tempFile(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// FuzzManifest: whatever the bytes are, a manifest that passes covers its disk exactly once.
func FuzzManifest(f *testing.F) {
	h, extents := goldenManifest()
	good, _ := manifestOf(f, h, extents)
	f.Add(good)
	many, size := someExtents(imaging.WindowSize + 2)
	b, _ := manifestOf(f, plainDisk(size), many)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := imaging.OpenManifest(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			if !errors.Is(err, imaging.ErrManifest) {
				t.Fatalf("%v does not wrap ErrManifest", err)
			}
			return
		}
		_, _ = m.Find(m.Header().DiskSize - 1)
		if m.Verify() != nil {
			return
		}
		at := uint64(0)
		for e, err := range m.All() {
			if err != nil || e.Offset != at {
				t.Fatalf("extent %d at %d, %v; want it at %d", e.N, e.Offset, err, at)
			}
			at = e.End()
		}
		if at != m.Header().DiskSize {
			t.Fatalf("the extents end at %d; want %d", at, m.Header().DiskSize)
		}
	})
}

// FuzzPack: scanning and walking end, stay within the file, and agree on a whole pack.
func FuzzPack(f *testing.F) {
	good, err := os.ReadFile(filepath.Join("testdata", "v1.pack"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		scanned, walked, damaged := 0, 0, 0
		inside := func(at int64, h imaging.ChunkHead) error {
			if at < 0 || at+imaging.ChunkHeadSize+int64(h.Stored) > int64(len(b)) {
				t.Fatalf("chunk at %d of %d bytes lies outside of %d", at, h.Stored, len(b))
			}
			return nil
		}
		err := imaging.ScanPack(bytes.NewReader(b), int64(len(b)), func(at int64, h imaging.ChunkHead) error {
			scanned++
			return inside(at, h)
		})
		if werr := imaging.WalkPack(bytes.NewReader(b), int64(len(b)), func(at int64, h imaging.ChunkHead, damage error) error {
			if damage != nil {
				damaged++
				return nil
			}
			walked++
			return inside(at, h)
		}); werr != nil {
			t.Fatalf("WalkPack = %v", werr)
		}
		if (err == nil) != (damaged == 0) || (err == nil && scanned != walked) {
			t.Fatalf("ScanPack = %v with %d chunks, WalkPack found %d and %d damages", err, scanned, walked, damaged)
		}
	})
}

// FuzzDecodeChunk: only the right bytes come out.
func FuzzDecodeChunk(f *testing.F) {
	plain := bytes.Repeat([]byte("plain bytes "), 700)
	frame, err := imaging.EncodeChunk(nil, plain)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame, len(plain))
	f.Add(frame, 1)
	want := imaging.Sum(plain)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		got, err := imaging.DecodeChunk(b, nil, want, n)
		if err == nil && !bytes.Equal(got, plain) {
			t.Fatal("other bytes with the same digest")
		}
		if err != nil && !errors.Is(err, imaging.ErrChunk) {
			t.Fatalf("%v does not wrap ErrChunk", err)
		}
	})
}
