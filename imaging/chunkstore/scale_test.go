package chunkstore_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
)

// scaleSwitch turns on the tests at full scale: 1.5 GB of disk and about a minute.
const scaleSwitch = "INGOT_SCALE"

const (
	scaleChunks  = 10_000_000
	scaleExtents = 8_000_000
	scalePlain   = 8192  // bytes that each synthetic chunk claims to have
	scalePack    = 65536 // chunks of one pack, as many as a batch puts into one
	scaleStreams = 50
	scaleLimit   = 150 << 20 // bytes of anonymous memory that the daemon may have
)

// syntheticChunk names the n-th chunk of a synthetic store. Nothing has that digest; only its place is real.
func syntheticChunk(n uint64) imaging.Digest {
	return imaging.Sum(binary.LittleEndian.AppendUint64(nil, n))
}

// syntheticStore fills dir with whole packs of n chunks, whose frames no decoder accepts.
func syntheticStore(t testing.TB, dir string, n uint64) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "packs"), 0o700); err != nil {
		t.Fatal(err)
	}
	frame := []byte("16 bytes of data")
	for at := uint64(0); at < n; {
		f, err := os.CreateTemp(filepath.Join(dir, "packs"), "new-*")
		if err != nil {
			t.Fatal(err)
		}
		w, err := imaging.NewPackWriter(f)
		for end := min(n, at+scalePack); err == nil && at < end; at++ {
			_, err = w.Append(syntheticChunk(at), scalePlain, frame)
		}
		if err != nil {
			t.Fatal(err)
		}
		name, _, err := w.Finish()
		if err == nil {
			err = f.Close()
		}
		if err == nil {
			err = os.Rename(f.Name(), filepath.Join(dir, "packs", name.String()+".pack"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// syntheticManifest writes a manifest of n data extents over the chunks of a synthetic store.
func syntheticManifest(t testing.TB, f *os.File, n uint64) {
	t.Helper()
	w, err := imaging.NewManifestWriter(f, imaging.Header{DiskSize: n * scalePlain, SectorSize: 512, Table: "none", Params: imaging.DefaultParams()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := w.Append(imaging.Extent{Offset: i * scalePlain, Length: scalePlain, Kind: imaging.Data, Digest: syntheticChunk(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
}

// anonymous is the process's RssAnon in bytes.
func anonymous(t testing.TB) uint64 {
	t.Helper()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if v, ok := strings.CutPrefix(sc.Text(), "RssAnon:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(v, " kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("no RssAnon in /proc/self/status")
	return 0
}

// TestMemoryStaysBoundedAtFullScale measures this process, the clients within it included.
func TestMemoryStaysBoundedAtFullScale(t *testing.T) {
	if os.Getenv(scaleSwitch) == "" {
		t.Skipf("SKIPPED: set %s=1 to run with 10 million chunks and 8 million extents", scaleSwitch)
	}
	dir := t.TempDir()
	step := func(name string, fn func()) {
		start := time.Now()
		fn()
		t.Logf("%-40s %6.1f s, RssAnon %d MB", name, time.Since(start).Seconds(), anonymous(t)>>20)
	}
	var s *chunkstore.Store
	var d imaging.Digest
	step("make 10 million chunks", func() { syntheticStore(t, dir, scaleChunks) })
	step("open without an index", func() { s = openStore(t, dir) })
	s.Close()
	step("open with an index", func() { s = openStore(t, dir) })
	f, err := s.CreateManifest()
	if err != nil {
		t.Fatal(err)
	}
	step("write 8 million extents", func() { syntheticManifest(t, f, scaleExtents) })
	step("accept 8 million extents", func() {
		if d, err = s.PutManifest(f); err != nil {
			t.Fatal(err)
		}
	})
	c := serve(t, s)
	runtime.GC()
	peak := watchMemory(t)
	step(fmt.Sprintf("send 8 million extents over %d streams", scaleStreams), func() { streamAll(t, c, d) })
	if n := peak(); n > scaleLimit {
		t.Errorf("RssAnon rose to %d MB; want at most %d", n>>20, scaleLimit>>20)
	} else {
		t.Logf("RssAnon at most %d MB", n>>20)
	}
}

// watchMemory samples RssAnon until the function that it returns is called, which tells the peak.
func watchMemory(t *testing.T) func() uint64 {
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for peak := uint64(0); ; {
			select {
			case <-stop:
				done <- peak
				return
			case <-tick.C:
				peak = max(peak, anonymous(t))
			}
		}
	}()
	return func() uint64 { close(stop); return <-done }
}

// streamAll reads the whole manifest's chunks as many laptops do at once, each another part.
func streamAll(t *testing.T, c *chunkstore.Client, d imaging.Digest) {
	var wg sync.WaitGroup
	part := uint64(scaleExtents / scaleStreams)
	for i := range uint64(scaleStreams) {
		wg.Go(func() {
			resp, err := c.HTTP.Get(fmt.Sprintf("%s/v1/chunks/%s?extents=%d-%d", c.Base, d, i*part, (i+1)*part-1))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			n, err := io.Copy(io.Discard, resp.Body)
			if want := int64(8 + part*(12+16) + 20); resp.StatusCode != http.StatusOK || err != nil || n != want {
				t.Errorf("stream %d: status %d, %d bytes, %v; want %d", i, resp.StatusCode, n, err, want)
			}
		})
	}
	wg.Wait()
}
