package disk_test

import (
	"sync/atomic"
	"testing"

	"ingot/imaging"
	"ingot/imaging/disk"
	"ingot/imaging/job"
)

// repeating is a disk of n MiB of which the last half holds the first half's chunks once more, but for one block
// in each MiB.
func repeating(t testing.TB, n int) *image {
	t.Helper()
	b := make([]byte, n*mib)
	fill(b[:n/2*mib])
	copy(b[n/2*mib:], b)
	for at := n / 2 * mib; at < len(b); at += mib {
		b[at]++
	}
	return cutBy(t, b, imaging.Header{DiskSize: uint64(len(b)), SectorSize: 512, Table: "none"},
		func(int) imaging.Kind { return imaging.Data }, func() uint64 { return 64 << 10 })
}

// travelled counts the chunks that were sent, the head's aside.
func travelled(src *source) (all int) {
	for n, times := range src.sent {
		if src.im.extents[n].Offset >= mib {
			all += times
		}
	}
	return all
}

func TestAChunkThatTheDiskHoldsTwiceTravelsOnce(t *testing.T) {
	im := repeating(t, 400) // several windows
	path := fileDrive(t, 400*mib, nil)
	src, p := &source{im: im}, &disk.Progress{}
	proof, err := deploy(t.Context(), open(t, path), im, src, p)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, path, im)
	// Of each MiB of the second half one chunk of 16 is new. A few more fall out of a table of fixed size.
	once := 199*16 + 200
	if n := travelled(src); n < once || n > once+once/50 {
		t.Errorf("%d chunks travelled; want %d, or hardly more", n, once)
	}
	if h := im.manifest.Header(); proof.DataExtents != h.DataExtents || p.Done.Load() != h.DataBytes || p.Proven.Load() != h.DataBytes {
		t.Errorf("proof %+v, done %d, proven %d; want all %d bytes", proof, p.Done.Load(), p.Proven.Load(), h.DataBytes)
	}
}

func TestADriveThatSeeksIsNotReadToSaveBytes(t *testing.T) {
	im := repeating(t, 16)
	path := fileDrive(t, 16*mib, nil)
	d, err := disk.OpenFile(path, job.Drive{Serial: "HDD1", SectorSize: 512, Rotational: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	src := &source{im: im}
	if _, err := deploy(t.Context(), d, im, src, nil); err != nil {
		t.Fatal(err)
	}
	holds(t, path, im)
	for n, e := range im.extents {
		if e.Offset >= mib && src.sent[uint64(n)] != 1 {
			t.Fatalf("extent %d travelled %d times; want once", n, src.sent[uint64(n)])
		}
	}
}

// garbling gives wrong bytes the first time that a place is read after it was written.
type garbling struct {
	medium
	at    int64
	wrote atomic.Bool
	lied  atomic.Bool
}

func (g *garbling) WriteAt(p []byte, off int64) (int, error) {
	n, err := g.medium.WriteAt(p, off)
	if off <= g.at && g.at < off+int64(len(p)) {
		g.wrote.Store(true)
	}
	return n, err
}

func (g *garbling) ReadAt(p []byte, off int64) (int, error) {
	n, err := g.medium.ReadAt(p, off)
	if off <= g.at && g.at < off+int64(len(p)) && g.wrote.Load() && g.lied.CompareAndSwap(false, true) {
		p[g.at-off] ^= 1
	}
	return n, err
}

// TestWhatIsCopiedIsProvenFirst: the read of the first place, for its copy, is wrong. The copy is fetched instead.
func TestWhatIsCopiedIsProvenFirst(t *testing.T) {
	im := repeating(t, 16)
	path := fileDrive(t, 16*mib, nil)
	g := &garbling{medium: medium{open(t, path)}, at: 3*mib + 200<<10}
	d := disk.New(job.Drive{Path: path, Serial: "ODD", SizeBytes: 16 * mib, SectorSize: 512}, g, true)
	src := &source{im: im}
	if _, err := deploy(t.Context(), d, im, src, nil); err != nil {
		t.Fatal(err)
	}
	holds(t, path, im)
	if !g.lied.Load() {
		t.Fatal("no read was wrong")
	}
	for n, e := range im.extents {
		if e.Offset == 11*mib+192<<10 && src.sent[uint64(n)] != 1 {
			t.Errorf("the copy's extent travelled %d times; want once", src.sent[uint64(n)])
		}
	}
}
