package chunkstore_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
	"ingot/imaging/nstest"
)

// fill takes all the room but some pages.
func fill(t *testing.T, dir string, pages int) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	if n := int64(st.Bavail)*st.Bsize - int64(pages)*4096; n > 0 {
		if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// tryImport is importDisk with its error.
func tryImport(s *chunkstore.Store, disk []byte) (d imaging.Digest, err error) {
	b := s.NewBatch()
	defer b.Abort()
	f, err := s.CreateManifest()
	if err != nil {
		return d, err
	}
	w, err := imaging.NewManifestWriter(f, imaging.Header{DiskSize: uint64(len(disk)), SectorSize: 512, Table: "none", Params: imaging.DefaultParams()})
	for at := 0; err == nil && at < len(disk); at += 2 * imaging.BlockSize {
		e := imaging.Extent{Offset: uint64(at), Length: 2 * imaging.BlockSize, Kind: imaging.Data}
		if e.Digest, err = b.Put(disk[at:][:e.Length]); err == nil {
			err = w.Append(e)
		}
	}
	if err == nil {
		_, err = w.Finish()
	}
	if err == nil {
		err = b.Commit()
	}
	if err != nil {
		s.DropManifest(f)
		return d, err
	}
	return s.PutManifest(f)
}

// TestADiskThatIsFullAtAnyPointLeavesTheStoreWhole lets the disk end at every page of an import, of a sweep that
// moves chunks and of the list of the quarantine. What was there is whole, what failed says why, and with room it works.
func TestADiskThatIsFullAtAnyPointLeavesTheStoreWhole(t *testing.T) {
	if !nstest.Inside(t, syscall.CLONE_NEWNS) {
		return
	}
	dir := nstest.SmallDisk(t, "6m")
	a, b, c := noise(1, 20), append(noise(1, 20), noise(2, 24)...), noise(3, 24)
	refused, postponed, done := 0, 0, 0
	for pages := 0; done < 3; pages++ {
		if pages > 500 {
			t.Fatal("it never had room enough")
		}
		folder := filepath.Join(dir, fmt.Sprint("store", pages))
		s := openStore(t, folder)
		kept, err := tryImport(s, b) // its pack holds a too, and something that will not be needed
		if err != nil {
			t.Fatal(err)
		}
		needed, err := tryImport(s, a)
		if err != nil {
			t.Fatal(err)
		}
		s.Named(kept)
		s.Named(needed)
		fill(t, dir, pages)
		full := false
		if _, err := tryImport(s, c); err != nil {
			full, refused = true, refused+1
			if job.FaultOf(err).Code != job.CodeFull {
				t.Errorf("%d pages: import: %v; want %s", pages, err, job.CodeFull)
			}
		}
		prove := func(when string) {
			t.Helper()
			for _, reopened := range []bool{false, true} {
				if r := check(t, s, chunkstore.CheckOptions{ReadData: true}); !r.OK() {
					t.Fatalf("%d pages, %s, reopened %v: Check = %v", pages, when, reopened, r.Problems)
				}
				if !bytes.Equal(rebuild(t, s, needed), a) {
					t.Fatalf("%d pages, %s: the disk differs", pages, when)
				}
				s.Close()
				s = openStore(t, folder)
			}
		}
		prove("behind the import")
		got, err := s.Sweep(t.Context(), chunkstore.SweepOptions{Wanted: want(needed)})
		if err != nil && job.FaultOf(err).Code != job.CodeFull {
			t.Errorf("%d pages: sweep: %v; want %s", pages, err, job.CodeFull)
		}
		if got.Postponed > 0 || err != nil {
			full, postponed = true, postponed+1
		}
		prove("behind the sweep")
		os.Remove(filepath.Join(dir, "filler"))
		if _, err := tryImport(s, c); err != nil {
			t.Errorf("%d pages: import with room again: %v", pages, err)
		}
		if got, err := s.Sweep(t.Context(), chunkstore.SweepOptions{Wanted: want(needed)}); err != nil || got.Postponed > 0 {
			t.Errorf("%d pages: sweep with room again: %+v, %v", pages, got, err)
		}
		prove("with room again")
		if !full {
			done++
		}
		s.Close()
		os.RemoveAll(folder)
	}
	if refused < 20 || postponed < 5 {
		t.Errorf("%d imports refused and %d sweeps postponed; want every page tried", refused, postponed)
	}
	t.Logf("%d imports refused, %d sweeps postponed; whole after each", refused, postponed)
}
