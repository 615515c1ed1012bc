package library

import (
	"os"
	"path/filepath"
	"testing"

	"ingot/imaging"
)

// TestFirstUsesAreTheSameInShares compares one pass with many.
func TestFirstUsesAreTheSameInShares(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "m"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const blocks = 9000
	w, err := imaging.NewManifestWriter(f, imaging.Header{DiskSize: blocks * 4096, SectorSize: 512, Table: "none", Params: imaging.DefaultParams()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(blocks) {
		e := imaging.Extent{Offset: i * 4096, Length: 4096, Kind: imaging.Data, Digest: imaging.Sum([]byte{byte(i * i % 251), byte(i % 7)})}
		if i%11 == 0 {
			e.Kind, e.Digest = imaging.Zero, imaging.Digest{}
		}
		if err := w.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := imaging.OpenManifest(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	seen, want := map[imaging.Digest]bool{}, map[uint64]bool{}
	for n, err := range m.All() {
		if err != nil {
			t.Fatal(err)
		}
		if n.Kind == imaging.Data && !seen[n.Digest] {
			seen[n.Digest], want[n.N] = true, true
		}
	}
	for _, held := range []uint64{1 << 18, 2000, 100} {
		first, err := firstUsesIn(m, held)
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(blocks) {
			if first.has(i) != want[i] {
				t.Fatalf("with %d held, extent %d: %v; want %v", held, i, first.has(i), want[i])
			}
		}
	}
}
