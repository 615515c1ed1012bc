package disk_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"ingot/imaging"
)

// TestMemoryDoesNotGrowWithTheManifest restores a disk of very many small extents. INGOT_EXTENTS sets how many
// (8000000 is the acceptance figure); half a million keeps the ordinary run short.
func TestMemoryDoesNotGrowWithTheManifest(t *testing.T) {
	count := 500_000
	if s := os.Getenv("INGOT_EXTENTS"); s != "" {
		var err error
		if count, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	plain := make([]byte, 4096)
	fill(plain)
	im := manyExtents(t, count, plain)
	d := open(t, fileDrive(t, int64(count)*4096, nil))
	peak, stop := watchHeap()
	_, err := deploy(t.Context(), d, im, &source{im: im}, nil)
	stop()
	if err != nil {
		t.Fatal(err)
	}
	got := <-peak
	t.Logf("%d extents, memory grew by at most %d MiB", count, got>>20)
	if got > 160<<20 {
		t.Errorf("memory grew by %d MiB; want at most 160", got>>20)
	}
}

// manyExtents alternates free, zero and, now and then, data of 4 KiB.
func manyExtents(t *testing.T, count int, plain []byte) *image {
	f, err := os.Create(filepath.Join(t.TempDir(), "manifest"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	sum := imaging.Sum(plain)
	im := &image{frames: map[imaging.Digest][]byte{}, one: sum}
	if im.frames[sum], err = imaging.EncodeChunk(nil, plain); err != nil {
		t.Fatal(err)
	}
	w, err := imaging.NewManifestWriter(f, imaging.Header{DiskSize: uint64(count) * 4096, SectorSize: 512, Table: "none", Params: imaging.DefaultParams()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		e := imaging.Extent{Offset: uint64(i) * 4096, Length: 4096, Kind: imaging.Free}
		switch {
		case i%50 == 0:
			e.Kind, e.Digest = imaging.Data, sum
		case i%50 == 7:
			e.Kind = imaging.Zero
		}
		if err := w.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if im.manifest, err = imaging.OpenManifest(f, info.Size()); err != nil {
		t.Fatal(err)
	}
	return im
}

// watchHeap measures the largest growth of memory in use until stop is called.
func watchHeap() (peak <-chan uint64, stop func()) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	base, top := m.HeapInuse+m.StackInuse, uint64(0)
	end, out := make(chan struct{}), make(chan uint64, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			runtime.ReadMemStats(&m)
			if now := m.HeapInuse + m.StackInuse; now > base {
				top = max(top, now-base)
			}
			select {
			case <-end:
				out <- top
				return
			case <-tick.C:
			}
		}
	}()
	return out, func() { close(end) }
}
