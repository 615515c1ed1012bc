package chunkstore_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
)

// rebuild reads a disk back from the store.
func rebuild(t testing.TB, s *chunkstore.Store, d imaging.Digest) []byte {
	t.Helper()
	m, err := s.OpenManifest(d)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	disk := make([]byte, m.Header().DiskSize)
	for e, err := range m.All() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != imaging.Data {
			continue
		}
		plain, err := s.ReadChunk(e.Digest)
		if err != nil {
			t.Fatal(err)
		}
		copy(disk[e.Offset:], plain)
	}
	return disk
}

func TestADiskComesBackAsItWas(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	disk := diskBytes(1, 3000)
	d, st := importDisk(t, s, disk)
	if st.NewChunks == 0 || st.NewChunks == st.Chunks {
		t.Errorf("stats = %+v; want some new chunks and some known", st)
	}
	if !bytes.Equal(rebuild(t, s, d), disk) {
		t.Fatal("the disk differs")
	}
	again, st := importDisk(t, s, disk)
	if again != d || st.NewChunks != 0 || st.StoredBytes != 0 {
		t.Errorf("second import = %s, %+v; want %s and nothing stored", again, st, d)
	}
	s.Close()
	if !bytes.Equal(rebuild(t, openStore(t, dir), d), disk) {
		t.Error("the disk differs after reopening")
	}
}

func TestIndexIsRemadeFromPacks(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	disk := diskBytes(2, 2000)
	d, _ := importDisk(t, s, disk)
	importDisk(t, s, diskBytes(3, 500))
	s.Close()
	cases := map[string]func(path string){
		"index removed":        func(p string) { os.Remove(p) },
		"index cut short":      func(p string) { os.Truncate(p, 50) },
		"index head flipped":   func(p string) { flip(t, p, 40, 3) },
		"index of other bytes": func(p string) { os.WriteFile(p, []byte("INGOTIDX but not really"), 0o600) },
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			for _, p := range files(t, dir, "index", ".idx") {
				damage(p)
			}
			s := openStore(t, dir)
			defer s.Close()
			if !bytes.Equal(rebuild(t, s, d), disk) {
				t.Error("the disk differs")
			}
		})
	}
}

func TestPacksAreZstdFiles(t *testing.T) {
	zstd, err := exec.LookPath("zstd")
	if err != nil {
		t.Skip("SKIPPED: the zstd tool is not installed")
	}
	dir := t.TempDir()
	s := openStore(t, dir)
	d, _ := importDisk(t, s, diskBytes(4, 1000))
	for _, p := range files(t, dir, "packs", ".pack") {
		plain, err := exec.Command(zstd, "-dc", p).Output()
		if err != nil {
			t.Fatalf("zstd -dc %s: %v", filepath.Base(p), err)
		}
		want := rebuild(t, s, d)
		if len(plain) == 0 || !bytes.Contains(want, plain[:imaging.BlockSize]) {
			t.Error("zstd gives other bytes than the chunks")
		}
	}
}

func TestASecondOpenIsRefusedInWords(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	_, err := chunkstore.Open(dir)
	if job.FaultOf(err).Code != job.CodeDaemon {
		t.Fatalf("second Open = %v; want the words of %s", err, job.CodeDaemon)
	}
	s.Close()
	openStore(t, dir)
}

func TestAManifestWithoutItsChunksIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	f, err := s.CreateManifest()
	if err != nil {
		t.Fatal(err)
	}
	w, err := imaging.NewManifestWriter(f, imaging.Header{DiskSize: 8192, SectorSize: 512, Table: "none", Params: imaging.DefaultParams()})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Append(imaging.Extent{Length: 8192, Kind: imaging.Data, Digest: imaging.Sum([]byte("nowhere"))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutManifest(f); !errors.Is(err, chunkstore.ErrMissing) {
		t.Errorf("PutManifest = %v; want ErrMissing", err)
	}
	if left := files(t, dir, "manifests", ""); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestABatchHasWhatItHoldsAndWhatItStores(t *testing.T) {
	s := openStore(t, t.TempDir())
	b := s.NewBatch()
	defer b.Abort()
	plain := []byte("a chunk under way")
	for _, c := range []struct {
		when string
		want bool
	}{{"before", false}, {"under way", true}, {"committed", true}} {
		switch c.when {
		case "under way":
			if _, err := b.Put(plain); err != nil {
				t.Fatal(err)
			}
		case "committed":
			if err := b.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := b.Has(imaging.Sum(plain)); err != nil || got != c.want {
			t.Errorf("%s: Has = %v, %v; want %v", c.when, got, err, c.want)
		}
	}
}
