package chunkstore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
)

// check runs a Check that must be possible.
func check(t testing.TB, s *chunkstore.Store, o chunkstore.CheckOptions) chunkstore.Report {
	t.Helper()
	r, err := s.Check(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAWholeStoreHasNoProblems(t *testing.T) {
	s := openStore(t, t.TempDir())
	d, st := importDisk(t, s, diskBytes(10, 1500))
	for _, read := range []bool{false, true} {
		var done, total uint64
		r := check(t, s, chunkstore.CheckOptions{ReadData: read, Versions: map[imaging.Digest][]string{d: {"sales@1"}},
			Progress: func(d, t uint64) { done, total = d, t }})
		if !r.OK() || r.Packs != 1 || r.Manifests != 1 {
			t.Errorf("Check(read %v) = %+v; want one pack, one manifest, no problem", read, r)
		}
		if read && (r.Chunks != st.NewChunks || done == 0 || done > total) {
			t.Errorf("Check read %d of %d chunks, told %d of %d bytes", r.Chunks, st.NewChunks, done, total)
		}
	}
}

func TestCheckNamesEveryFlippedBitOfAPack(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	d, _ := importDisk(t, s, diskBytes(11, 60))
	pack := files(t, dir, "packs", ".pack")[0]
	names := map[imaging.Digest][]string{d: {"sales@1"}}
	heads := packHeads(t, pack)
	size := heads[len(heads)-1].end + imaging.PackEndSize
	for at, i := int64(0), 0; at < size; at, i = at+1+at%5*37, i+1 {
		flip(t, pack, at, i%8)
		r := check(t, s, chunkstore.CheckOptions{ReadData: true, Versions: names})
		if len(r.Problems) == 0 || filepath.Base(r.Problems[0].File) != filepath.Base(pack) {
			t.Fatalf("bit %d of byte %d: Check = %+v; want the pack named", i%8, at, r.Problems)
		}
		if h := headOf(heads, at); h != nil {
			p := r.Problems[0]
			if len(r.Problems) != 1 || p.Offset != h.at || p.Chunk != h.digest || !slices.Equal(p.Versions, names[d]) {
				t.Fatalf("bit %d of byte %d: Check = %+v; want chunk %s at %d and sales@1", i%8, at, r.Problems, h.digest.Short(), h.at)
			}
		}
		flip(t, pack, at, i%8)
		s.Close() // forgets what was found damaged
		s = openStore(t, dir)
	}
	if r := check(t, s, chunkstore.CheckOptions{ReadData: true}); !r.OK() {
		t.Fatalf("Check of the mended pack = %+v", r)
	}
}

type packHead struct {
	at, end int64
	digest  imaging.Digest
}

// packHeads lists where the chunks of a whole pack lie.
func packHeads(t testing.TB, path string) (out []packHead) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	err = imaging.ScanPack(f, st.Size(), func(at int64, h imaging.ChunkHead) error {
		out = append(out, packHead{at, at + imaging.ChunkHeadSize + int64(h.Stored), h.Digest})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// headOf finds the chunk that a byte of a pack belongs to.
func headOf(heads []packHead, at int64) *packHead {
	for i, h := range heads {
		if at >= h.at && at < h.end {
			return &heads[i]
		}
	}
	return nil
}

func TestCheckNamesWhatIsDamagedAndWhomItHits(t *testing.T) {
	cases := []struct {
		name   string
		read   bool
		damage func(t *testing.T, dir string)
		file   string // folder that the problem names
		what   string // in its words
		hit    bool   // sales@1 cannot be deployed
	}{
		{"a missing pack", false, func(t *testing.T, dir string) { os.Remove(oldest(t, dir)) }, "packs", "missing", true},
		{"a pack cut short", false, func(t *testing.T, dir string) { os.Truncate(oldest(t, dir), 5000) }, "packs", "cut short", true},
		{"a pack cut short, read", true, func(t *testing.T, dir string) { os.Truncate(oldest(t, dir), 5000) }, "packs", "cut short", true},
		{"a pack that has grown", false, func(t *testing.T, dir string) { grow(t, oldest(t, dir)) }, "packs", "grown", false},
		{"a flipped bit at a pack's end", false, func(t *testing.T, dir string) { flipEnd(t, oldest(t, dir)) }, "packs", "CRC", false},
		{"a flipped bit in a frame", true, func(t *testing.T, dir string) { flip(t, oldest(t, dir), 200, 1) }, "packs", "CRC", true},
		{"a missing manifest", false, func(t *testing.T, dir string) { os.Remove(first(t, dir)) }, "manifests", "missing", true},
		{"a manifest cut short", false, func(t *testing.T, dir string) { os.Truncate(first(t, dir), 900) }, "manifests", "bytes, want", true},
		{"a flipped bit in a manifest's records", false, func(t *testing.T, dir string) { flipEnd(t, first(t, dir)) }, "manifests", "digest", true},
		{"a flipped bit in a manifest's head", false, func(t *testing.T, dir string) { flip(t, first(t, dir), 60, 0) }, "manifests", "", true},
		{"a flipped bit in the index", false, func(t *testing.T, dir string) { flipEnd(t, files(t, dir, "index", ".idx")[0]) }, "index", "remade", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			d, _ := importDisk(t, s, diskBytes(12, 300))
			other, _ := importDisk(t, s, bytes.Repeat([]byte("another disk, without any common block; "), 4096))
			markOldest(t, dir, d)
			c.damage(t, dir)
			names := map[imaging.Digest][]string{d: {"sales@1"}, other: {"lab@1"}}
			for _, reopened := range []bool{false, true} {
				if reopened && c.file == "index" {
					break // it has been remade
				}
				r := check(t, s, chunkstore.CheckOptions{ReadData: c.read, Versions: names})
				if len(r.Problems) != 1 {
					t.Fatalf("Check = %v; want one problem", r.Problems)
				}
				p := r.Problems[0]
				if hit := slices.Equal(p.Versions, []string{"sales@1"}); filepath.Dir(p.File) != c.file || !strings.Contains(p.What, c.what) || hit != c.hit {
					t.Errorf("Check = %v, hits %v; want %s, %q, hit %v", p, p.Versions, c.file, c.what, c.hit)
				}
				s.Close()
				s = openStore(t, dir)
			}
		})
	}
}

// oldest is the pack of sales@1, first its manifest: both are found by a link that markOldest leaves.
func oldest(t *testing.T, dir string) string { return readMark(t, dir, "pack") }
func first(t *testing.T, dir string) string  { return readMark(t, dir, "manifest") }

func readMark(t *testing.T, dir, kind string) string {
	t.Helper()
	p, err := os.Readlink(filepath.Join(dir, kind))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func markOldest(t *testing.T, dir string, d imaging.Digest) {
	t.Helper()
	packs := files(t, dir, "packs", ".pack")
	slices.SortFunc(packs, func(a, b string) int { return int(fileSize(t, b) - fileSize(t, a)) }) // sales@1 is the larger
	os.Symlink(packs[0], filepath.Join(dir, "pack"))
	os.Symlink(filepath.Join(dir, "manifests", d.String()+".manifest"), filepath.Join(dir, "manifest"))
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}

func flipEnd(t *testing.T, path string) { flip(t, path, fileSize(t, path)-1, 5) }

func grow(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("more"); err != nil {
		t.Fatal(err)
	}
}

func TestImportingAgainMendsTheStore(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	disk := diskBytes(13, 300)
	d, _ := importDisk(t, s, disk)
	flip(t, files(t, dir, "packs", ".pack")[0], 300, 2)
	if r := check(t, s, chunkstore.CheckOptions{ReadData: true}); r.OK() || len(r.Problems[0].Versions) == 0 {
		t.Fatalf("Check = %v; want a problem that hits the manifest", r.Problems)
	}
	if _, st := importDisk(t, s, disk); st.NewChunks != 1 {
		t.Errorf("the second import stored %d chunks; want the damaged one", st.NewChunks)
	}
	if !bytes.Equal(rebuild(t, s, d), disk) {
		t.Error("the disk differs")
	}
	if r := check(t, s, chunkstore.CheckOptions{ReadData: true}); len(r.Problems) != 1 || len(r.Problems[0].Versions) != 0 {
		t.Errorf("Check = %+v; want the damage named and nothing hit", r.Problems)
	}
}

func TestImportingAgainMendsALostPack(t *testing.T) {
	disk := bytes.Repeat([]byte("one chunk!"), 4096)[:8*imaging.BlockSize]
	for name, lose := range map[string]func(t *testing.T, dir string){
		"the pack is gone":            func(t *testing.T, dir string) { os.Remove(files(t, dir, "packs", ".pack")[0]) },
		"the pack is cut to its head": func(t *testing.T, dir string) { os.Truncate(files(t, dir, "packs", ".pack")[0], 70) },
		"pack cut, and index gone": func(t *testing.T, dir string) {
			os.Truncate(files(t, dir, "packs", ".pack")[0], 70)
			os.Remove(files(t, dir, "index", ".idx")[0])
		},
		"pack gone, and index damaged": func(t *testing.T, dir string) {
			os.Remove(files(t, dir, "packs", ".pack")[0])
			flipEnd(t, files(t, dir, "index", ".idx")[0])
		},
		"pack gone, and index gone as well": func(t *testing.T, dir string) {
			os.Remove(files(t, dir, "packs", ".pack")[0])
			os.Remove(files(t, dir, "index", ".idx")[0])
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			d, _ := importDisk(t, s, disk)
			s.Close()
			lose(t, dir)
			s = openStore(t, dir)
			if r := check(t, s, chunkstore.CheckOptions{}); r.OK() {
				t.Fatal("Check saw nothing")
			}
			importDisk(t, s, disk)
			for _, reopened := range []bool{false, true} {
				if !bytes.Equal(rebuild(t, s, d), disk) {
					t.Errorf("the disk differs, reopened %v", reopened)
				}
				if r := check(t, s, chunkstore.CheckOptions{ReadData: true}); !r.OK() {
					t.Errorf("Check, reopened %v: %v", reopened, r.Problems)
				}
				s.Close()
				s = openStore(t, dir)
			}
		})
	}
}
