package chunkstore_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand"
	"sync"
	"testing"

	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
)

func TestADiskIsReadWhereverOneAsks(t *testing.T) {
	want := diskBytes(3, 800)
	s := openStore(t, t.TempDir())
	d, _ := importDisk(t, s, want)
	disk, err := s.OpenDisk(d)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if disk.Size() != int64(len(want)) || disk.Header().DiskSize != uint64(len(want)) {
		t.Fatalf("%d bytes; want %d", disk.Size(), len(want))
	}
	var wg sync.WaitGroup
	for seed := range int64(4) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rnd := rand.New(rand.NewSource(seed))
			for range 200 {
				b := make([]byte, rnd.Intn(300_000))
				off := rnd.Int63n(int64(len(want)))
				n, err := disk.ReadAt(b, off)
				if full := min(int64(len(b)), int64(len(want))-off); int64(n) != full || (err != nil) != (full < int64(len(b))) || err != nil && err != io.EOF {
					t.Errorf("ReadAt(%d bytes, %d) = %d, %v", len(b), off, n, err)
					return
				}
				if !bytes.Equal(b[:n], want[off:off+int64(n)]) {
					t.Errorf("%d bytes at %d differ", n, off)
					return
				}
			}
		}()
	}
	wg.Wait()
	if _, err := disk.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset was read")
	}
}

func TestAChunkThatIsDamagedIsNotRead(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	d, _ := importDisk(t, s, diskBytes(5, 256))
	for _, path := range files(t, dir, "packs", ".pack") {
		for at := int64(200); at < fileSize(t, path); at += 900 {
			flip(t, path, at, 3)
		}
	}
	disk, err := s.OpenDisk(d)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	_, err = disk.ReadAt(make([]byte, 1<<20), 0)
	var f *job.Fault
	if !errors.As(err, &f) || f.Code != job.CodeChunk {
		t.Errorf("ReadAt = %v; want the fault of a damaged chunk", err)
	}
}

func TestEqualPartsOfTwoDisksAreKnownWithoutReading(t *testing.T) {
	one := diskBytes(7, 512)
	two := bytes.Clone(one)
	copy(two[1<<20:], bytes.Repeat([]byte("changed"), 1000))
	dir := t.TempDir()
	s := openStore(t, dir)
	a, _ := importDisk(t, s, one)
	b, _ := importDisk(t, s, two)
	var disks [2]*chunkstore.Disk
	for i, d := range []*chunkstore.Disk{nil, nil} {
		sum := a
		if i == 1 {
			sum = b
		}
		var err error
		if d, err = s.OpenDisk(sum); err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		disks[i] = d
	}
	known := int64(0)
	for off := int64(0); off < int64(len(one)); {
		n, err := disks[0].Equal(off, disks[1], off, int64(len(one))-off)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && !bytes.Equal(one[off:off+n], two[off:off+n]) {
			t.Fatalf("%d bytes at %d are called equal", n, off)
		}
		known += n
		off += max(n, 4096)
	}
	if known < int64(len(one))*8/10 {
		t.Errorf("only %d bytes of %d are known as equal", known, len(one))
	}
	// What is zero on one side and data on the other is not called equal.
	if n, err := disks[0].Equal(1<<20, disks[1], 1<<20, 4096); err != nil || n != 0 {
		t.Errorf("Equal at what was changed = %d, %v", n, err)
	}
}
