package chunkstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
)

// want makes the records' side of a sweep.
func want(all ...imaging.Digest) func(context.Context) (map[imaging.Digest]string, error) {
	return func(context.Context) (map[imaging.Digest]string, error) {
		out := map[imaging.Digest]string{}
		for _, d := range all {
			out[d] = "version " + d.Short()
		}
		return out, nil
	}
}

func sweep(t testing.TB, s *chunkstore.Store, o chunkstore.SweepOptions) chunkstore.Swept {
	t.Helper()
	got, err := s.Sweep(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// named imports disks and tells the store that records name them.
func named(t testing.TB, s *chunkstore.Store, disks ...[]byte) (out []imaging.Digest) {
	t.Helper()
	for _, disk := range disks {
		d, _ := importDisk(t, s, disk)
		s.Named(d)
		out = append(out, d)
	}
	return out
}

// TestTwoWhoPutOneManifest holds that what one of them has ended with is spared for the other: two captures of laptops
// that are alike put the same manifest, and the one that is cancelled gives nothing of the other's away.
func TestTwoWhoPutOneManifest(t *testing.T) {
	s := openStore(t, t.TempDir())
	disk := noise(1, 40)
	first, _ := importDisk(t, s, disk)
	second, _ := importDisk(t, s, disk)
	if first != second {
		t.Fatal("one disk gives two manifests")
	}
	s.Named(first) // cancelled: no record names it
	for range 2 {
		if got := sweep(t, s, chunkstore.SweepOptions{Wanted: want()}); got.Manifests+got.Packs != 0 {
			t.Fatalf("a sweep removed %d manifests and %d packs that the other one is about to record", got.Manifests, got.Packs)
		}
	}
	if !bytes.Equal(rebuild(t, s, second), disk) {
		t.Fatal("the disk differs")
	}
	s.Named(second)
	if got := sweep(t, s, chunkstore.SweepOptions{Wanted: want()}); got.Manifests != 1 {
		t.Errorf("after both have ended without a record, %d manifests went; want 1", got.Manifests)
	}
}

// whole proves a store, now and after it was opened anew, and gives it open.
func whole(t testing.TB, s *chunkstore.Store, dir string, disks map[imaging.Digest][]byte) *chunkstore.Store {
	t.Helper()
	for _, reopened := range []bool{false, true} {
		if r := check(t, s, chunkstore.CheckOptions{ReadData: true}); !r.OK() {
			t.Fatalf("reopened %v: Check = %v", reopened, r.Problems)
		}
		for d, disk := range disks {
			if !bytes.Equal(rebuild(t, s, d), disk) {
				t.Fatalf("reopened %v: the disk of %s differs", reopened, d.Short())
			}
		}
		s.Close()
		s = openStore(t, dir)
	}
	return s
}

// mixed makes two disks that share half of their data, block by block, so that a pack is half needed.
func mixed(seed uint64) (a, b []byte) {
	shared, own, other := noise(seed, 200), noise(seed+1, 200), noise(seed+2, 200)
	return append(bytes.Clone(shared), own...), append(bytes.Clone(shared), other...)
}

// noise is n blocks that do not shrink and repeat nothing.
func noise(seed uint64, n int) []byte {
	b := make([]byte, 0, n*imaging.BlockSize)
	for i := uint64(0); len(b) < n*imaging.BlockSize; i++ {
		d := imaging.Sum(fmt.Appendf(nil, "%d %d", seed, i))
		b = append(b, d[:]...)
	}
	return b
}

func TestASweepRemovesWhatNoVersionNeeds(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	one, two, three := noise(1, 300), noise(4, 300), noise(7, 300)
	d := named(t, s, one, two, three)
	before := folder(t, dir)
	o := chunkstore.SweepOptions{Wanted: want(d[0], d[2]), DryRun: true}
	dry := sweep(t, s, o)
	if after := folder(t, dir); after != before {
		t.Fatalf("a dry run changed the folder from %d to %d bytes", before, after)
	}
	o.DryRun = false
	got := sweep(t, s, o)
	if got != dry || got.Packs != 1 || got.Manifests != 1 || got.NewPacks != 0 || got.FreedBytes < 1<<20 {
		t.Errorf("Sweep = %+v, dry %+v; want one pack and one manifest of over 1 MiB removed, and the same told before", got, dry)
	}
	if freed := before - folder(t, dir); freed < got.FreedBytes {
		t.Errorf("the folder shrank by %d bytes, told %d", freed, got.FreedBytes)
	}
	if _, err := s.OpenManifest(d[1]); !errors.Is(err, chunkstore.ErrMissing) {
		t.Errorf("the manifest that nothing names: %v; want ErrMissing", err)
	}
	s = whole(t, s, dir, map[imaging.Digest][]byte{d[0]: one, d[2]: three})
	if again := sweep(t, s, o); again.Packs != 0 || again.FreedBytes != 0 {
		t.Errorf("the second Sweep = %+v; want nothing left to remove", again)
	}
	if back := named(t, s, two); back[0] != d[1] {
		t.Errorf("imported again it is %s", back[0].Short())
	}
	whole(t, s, dir, map[imaging.Digest][]byte{d[0]: one, d[1]: two, d[2]: three})
}

// folder is what the store takes on disk, without its index.
func folder(t testing.TB, dir string) (n int64) {
	t.Helper()
	for _, f := range append(files(t, dir, "packs", ""), files(t, dir, "manifests", "")...) {
		st, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		n += st.Size()
	}
	return n
}

func TestASweepMovesNeededChunksOutOfABadlyUsedPack(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	a, b := mixed(10)
	d := named(t, s, a, b)
	got := sweep(t, s, chunkstore.SweepOptions{Wanted: want(d[1])})
	if got.Packs != 1 || got.NewPacks != 1 || got.FreedBytes < 200*imaging.BlockSize {
		t.Errorf("Sweep = %+v; want the pack of both disks replaced by one with the shared half", got)
	}
	s = whole(t, s, dir, map[imaging.Digest][]byte{d[1]: b})
	if n := len(files(t, dir, "packs", "")); n != 2 {
		t.Errorf("%d packs; want 2", n)
	}
	named(t, s, a)
	if got := sweep(t, s, chunkstore.SweepOptions{Wanted: want(d[0]), Waste: 100}); got.NewPacks != 0 || got.LeftBytes != 0 && got.Packs != 1 {
		t.Errorf("Sweep with waste 100 = %+v; want no pack rewritten", got)
	}
	whole(t, s, dir, map[imaging.Digest][]byte{d[0]: a})
}

// TestWhatABatchFoundIsSafeFromASweep is the race of a capture with gc: the library tells that it has a chunk, gc
// removes the chunk, and the capture's manifest names it.
func TestWhatABatchFoundIsSafeFromASweep(t *testing.T) {
	for name, find := range map[string]func(*chunkstore.Batch, []byte) error{
		"put": func(b *chunkstore.Batch, plain []byte) error { _, err := b.Put(plain); return err },
		"has": func(b *chunkstore.Batch, plain []byte) error {
			if held, err := b.Has(imaging.Sum(plain)); err != nil || !held {
				return fmt.Errorf("held %v, %v", held, err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			disk := noise(20, 64)
			d := named(t, s, disk)
			m := chunksOf(t, s, d[0])
			b := s.NewBatch()
			for _, plain := range m {
				if err := find(b, plain); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if got := sweep(t, s, chunkstore.SweepOptions{Wanted: want()}); got.DeadChunks != 0 {
					t.Fatalf("Sweep beside the batch = %+v; want every chunk spared", got)
				}
			}
			if err := b.Commit(); err != nil {
				t.Fatal(err)
			}
			sweep(t, s, chunkstore.SweepOptions{Wanted: want()})
			for _, plain := range m {
				if got, err := s.ReadChunk(imaging.Sum(plain)); err != nil || !bytes.Equal(got, plain) {
					t.Fatalf("a chunk that the batch found: %v", err)
				}
			}
			b.Abort()
			if got := sweep(t, s, chunkstore.SweepOptions{Wanted: want()}); got.Packs != 1 {
				t.Errorf("Sweep behind the batch = %+v; want the pack removed", got)
			}
			whole(t, s, dir, nil)
		})
	}
}

// chunksOf reads the data chunks of a manifest.
func chunksOf(t testing.TB, s *chunkstore.Store, d imaging.Digest) (out [][]byte) {
	t.Helper()
	m, err := s.OpenManifest(d)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
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
		out = append(out, plain)
	}
	return out
}

// TestAManifestThatNoRecordNamesYetIsSpared: gc comes between the putting of the manifest and its record.
func TestAManifestThatNoRecordNamesYetIsSpared(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	disk := noise(30, 64)
	d, _ := importDisk(t, s, disk)
	sweep(t, s, chunkstore.SweepOptions{Wanted: want()})
	whole(t, s, dir, map[imaging.Digest][]byte{d: disk}).Close()
	s = openStore(t, dir) // who put it is dead
	if got := sweep(t, s, chunkstore.SweepOptions{Wanted: want()}); got.Manifests != 1 || got.Packs != 1 {
		t.Errorf("Sweep after the end of who put it = %+v; want it removed", got)
	}
}

// TestAManifestGoesBeforeItsChunks: whoever ends a sweep in its middle, by a kill or otherwise, leaves no manifest
// whose chunks are gone.
func TestAManifestGoesBeforeItsChunks(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	named(t, s, noise(40, 100), noise(43, 100))
	ctx, stop := context.WithCancel(t.Context())
	o := chunkstore.SweepOptions{Wanted: want(), Progress: func(phase string, _, _ uint64) {
		if phase == "removing" {
			stop()
		}
	}}
	if _, err := s.Sweep(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("Sweep = %v; want it stopped in its middle", err)
	}
	s.Close()
	s = openStore(t, dir)
	if r := check(t, s, chunkstore.CheckOptions{ReadData: true}); !r.OK() {
		t.Errorf("Check = %v", r.Problems)
	}
}

func TestASweepThatCannotKnowWhatIsNeededRemovesNothing(t *testing.T) {
	for name, damage := range map[string]func(*testing.T, string){
		"a damaged manifest": flipEnd,
		"a missing manifest": func(t *testing.T, path string) { os.Remove(path) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			d := named(t, s, noise(50, 64), noise(53, 64))
			damage(t, dir+"/manifests/"+d[0].String()+".manifest")
			before := folder(t, dir)
			if _, err := s.Sweep(t.Context(), chunkstore.SweepOptions{Wanted: want(d[0])}); job.FaultOf(err).Code != job.CodeSweep {
				t.Errorf("Sweep = %v; want %s", err, job.CodeSweep)
			}
			if after := folder(t, dir); after != before {
				t.Errorf("the folder changed from %d to %d bytes", before, after)
			}
		})
	}
}

// TestAStreamGoesOnBesideSweeps moves the chunks that clients are reading, part by part, from pack to pack.
func TestAStreamGoesOnBesideSweeps(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	const parts = 30
	var disk []byte
	var others []imaging.Digest
	for i := range uint64(parts) { // each pack holds a part of the disk, and something of another version
		part := noise(600+i, 20)
		disk = append(disk, part...)
		others = append(others, named(t, s, append(bytes.Clone(part), noise(700+i, 20)...))...)
	}
	d := named(t, s, disk)[0]
	c := serve(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			m := openManifest(t, s, d)
			for n := 0; ctx.Err() == nil || n < 2; n++ {
				got := make([]byte, len(disk))
				_, err := c.Fetch(t.Context(), d, all(m), func(n uint64, frame []byte) error {
					e := make([]imaging.Extent, 1)
					if _, err := m.Extents(n, e); err != nil {
						return err
					}
					plain, err := imaging.DecodeChunk(frame, nil, e[0].Digest, int(e[0].Length))
					copy(got[e[0].Offset:], plain)
					return err
				})
				if err != nil || !bytes.Equal(got, disk) {
					t.Errorf("stream beside a sweep: %v", err)
					return
				}
			}
		})
	}
	moved := 0
	for i := range others {
		moved += sweep(t, s, chunkstore.SweepOptions{Wanted: want(append(others[i+1:], d)...)}).NewPacks
	}
	stop()
	wg.Wait()
	if moved < parts/2 {
		t.Errorf("a sweep moved chunks %d times; want most of %d", moved, parts)
	}
	whole(t, s, dir, map[imaging.Digest][]byte{d: disk})
}

func openManifest(t testing.TB, s *chunkstore.Store, d imaging.Digest) *imaging.Manifest {
	t.Helper()
	m, err := s.OpenManifest(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestSweepsBesideImportsLoseNothing lets imports of overlapping disks, their ends and sweeps run into each other.
func TestSweepsBesideImportsLoseNothing(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	var mu sync.Mutex
	kept := map[imaging.Digest][]byte{}
	wanted := func(context.Context) (map[imaging.Digest]string, error) {
		mu.Lock()
		defer mu.Unlock()
		out := map[imaging.Digest]string{}
		for d := range kept {
			out[d] = d.Short()
		}
		return out, nil
	}
	var wg sync.WaitGroup
	for w := range uint64(3) {
		wg.Go(func() {
			for i := range uint64(12) {
				disk := append(noise(200+i%3, 60), noise(1000+w*100+i, 20)...)
				d, _ := importDisk(t, s, disk)
				mu.Lock()
				if i%2 == 0 {
					kept[d] = disk
				}
				mu.Unlock()
				s.Named(d)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		sweep(t, s, chunkstore.SweepOptions{Wanted: wanted, Waste: 1})
	}
	whole(t, s, dir, kept)
}

// TestASlowLaptopGetsChunksThatMovedMeanwhile: its stream has chosen where to read next, and waits for it to take what
// was sent; then a sweep moves every chunk.
func TestASlowLaptopGetsChunksThatMovedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	disk := noise(800, 6000)
	d := named(t, s, append(bytes.Clone(disk), noise(801, 3000)...), disk)
	c := serve(t, s)
	m := openManifest(t, s, d[1])
	got, moved := make([]byte, len(disk)), 0
	_, err := c.Fetch(t.Context(), d[1], all(m), func(n uint64, frame []byte) error {
		if moved == 0 {
			time.Sleep(300 * time.Millisecond) // the server fills the connection and waits
			moved = sweep(t, s, chunkstore.SweepOptions{Wanted: want(d[1])}).NewPacks
		}
		e := make([]imaging.Extent, 1)
		if _, err := m.Extents(n, e); err != nil {
			return err
		}
		plain, err := imaging.DecodeChunk(frame, nil, e[0].Digest, int(e[0].Length))
		copy(got[e[0].Offset:], plain)
		return err
	})
	if err != nil || moved == 0 || !bytes.Equal(got, disk) {
		t.Errorf("%d packs were written by the sweep; the stream ended with %v", moved, err)
	}
}
