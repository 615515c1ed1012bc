package imaging_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"ingot/imaging"
)

// manifestOf writes the extents into a manifest file and returns its bytes and digest.
func manifestOf(t testing.TB, h imaging.Header, extents []imaging.Extent) ([]byte, imaging.Digest) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "manifest")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := imaging.NewManifestWriter(f, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range extents {
		if err := w.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	d, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b, d
}

// plainDisk is a header for a disk without partitions.
func plainDisk(size uint64) imaging.Header {
	return imaging.Header{DiskSize: size, SectorSize: 512, Table: "none", Params: imaging.DefaultParams()}
}

// someExtents makes n extents that go through the kinds, with lengths of 1 to 32 blocks.
func someExtents(n int) ([]imaging.Extent, uint64) {
	out := make([]imaging.Extent, n)
	var at uint64
	for i := range out {
		e := imaging.Extent{Offset: at, Length: uint64(1+i*7%32) * imaging.BlockSize, Kind: imaging.Kind(1 + i%3)}
		if e.Kind == imaging.Data {
			e.Digest = imaging.Sum([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		}
		out[i], at = e, e.End()
	}
	return out, at
}

func openBytes(t testing.TB, b []byte) *imaging.Manifest {
	t.Helper()
	m, err := imaging.OpenManifest(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestManifestGivesBackWhatWasWritten(t *testing.T) {
	for _, n := range []int{1, 2, imaging.WindowSize - 1, imaging.WindowSize, imaging.WindowSize + 1, 3*imaging.WindowSize + 5} {
		want, size := someExtents(n)
		b, d := manifestOf(t, plainDisk(size), want)
		m := openBytes(t, b)
		if m.Digest() != d || m.Count() != uint64(n) || m.Header().Extents != uint64(n) {
			t.Fatalf("OpenManifest of %d extents = digest %s, %d extents", n, m.Digest(), m.Count())
		}
		if err := m.Verify(); err != nil {
			t.Fatal(err)
		}
		got := make([]imaging.Extent, n+10)
		k, err := m.Extents(0, got)
		if err != nil || k != n {
			t.Fatalf("Extents(0) = %d, %v; want %d", k, err, n)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("extent %d = %+v; want %+v", i, got[i], want[i])
			}
		}
		for _, i := range []int{0, n / 2, n - 1} {
			if f, err := m.Find(want[i].End() - 1); err != nil || f != uint64(i) {
				t.Errorf("Find(end of %d) = %d, %v", i, f, err)
			}
		}
		if k, err := m.Extents(uint64(n), got); k != 0 || err != nil {
			t.Errorf("Extents(Count) = %d, %v; want 0", k, err)
		}
	}
}

func TestEveryFlippedBitOfAManifestIsFound(t *testing.T) {
	extents, size := someExtents(40)
	good, d := manifestOf(t, plainDisk(size), extents)
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			m, err := imaging.OpenManifest(bytes.NewReader(b), int64(len(b)))
			if err == nil && m.Digest() == d {
				err = m.Verify()
			}
			if err == nil && m.Digest() == d {
				t.Fatalf("bit %d of byte %d flipped, and nobody saw it", bit, i)
			}
			if err != nil && !errors.Is(err, imaging.ErrManifest) {
				t.Fatalf("byte %d: %v does not wrap ErrManifest", i, err)
			}
		}
	}
}
