package deploy_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
	"ingot/imaging/nstest"
	"ingot/store"
)

// smallDisk is the file system that the records of some random runs lie on, and the file by which it is full.
type smallDisk struct {
	filler string
	met    int // requests that found it full
}

// fill takes what room there is.
func (d *smallDisk) fill(t *testing.T) {
	f, err := os.Create(d.filler)
	must(t, err)
	defer f.Close()
	var at int64
	for size := int64(16 << 20); size >= 1<<12; {
		switch err := unix.Fallocate(int(f.Fd()), 0, at, size); {
		case err == nil:
			at += size
		case errors.Is(err, unix.ENOSPC):
			size /= 2
		default:
			t.Fatal(err)
		}
	}
}

func (d *smallDisk) drain(t *testing.T) { must(t, os.Remove(d.filler)) }

// whileFull carries a request out while there is no room, and again when there is: whoever asked sends it again.
func whileFull[Out any](w *wipeRun, t *testing.T, do func() (Out, error)) (Out, error) {
	w.disk.fill(t)
	out, err := do()
	w.saysOnlyWhatIsStored(t)
	w.disk.drain(t)
	if err == nil || job.FaultOf(err).Code != job.CodeFull {
		return out, err
	}
	w.disk.met++
	return do()
}

// saysOnlyWhatIsStored: whatever was refused, nobody reads done, ready or closed without a record that can be read.
func (w *wipeRun) saysOnlyWhatIsStored(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	list, err := w.b.s.Certificates(ctx, w.device)
	must(t, err)
	if len(list) > 0 {
		return
	}
	board, err := w.b.s.Board(ctx)
	must(t, err)
	for _, tile := range board.Tiles {
		if tile.Device == w.device && tile.Word == job.Wipe.Look(job.Done).Word {
			t.Errorf("%s: the board says %q without a certificate", w.device, tile.Word)
		}
	}
	d := w.b.device(w.device)
	if d.State == store.Ready {
		t.Errorf("%s is ready without a certificate", w.device)
	}
	if j := d.Job; j != nil && j.Wipe != nil && (j.State == job.Done || j.Wipe.Drives[0].End == store.DriveClosed) {
		t.Errorf("%s: job %s, drive %s without a certificate", w.device, j.State, j.Wipe.Drives[0].End)
	}
}

// TestAFullDiskIsNoWayToACertificate: at any request of a wipe the server's disk is full. What could not be kept is
// refused in words and nothing of it is there; once there is room the wipe goes on, and nobody is ready without a record.
func TestAFullDiskIsNoWayToACertificate(t *testing.T) {
	if !nstest.Inside(t, syscall.CLONE_NEWNS) {
		return
	}
	dir := nstest.SmallDisk(t, "48m")
	t.Setenv("TMPDIR", dir)
	t.Run("runs", func(t *testing.T) { fullRuns(t, &smallDisk{filler: filepath.Join(dir, "filler")}) })
}

// fullRuns lets laptops be wiped by a server whose folders lie on a small disk.
func fullRuns(t *testing.T, disk *smallDisk) {
	b, certified, ready := randomBench(t), 0, 0
	const runs = 120
	for i := range runs {
		w := newWipeRun(b, 100_000+i)
		w.disk = disk
		w.run(t)
		n := w.check(t, i)
		certified += n
		switch d := b.device(w.device); {
		case d.State == store.Ready && n == 0, d.State != store.Ready && d.State != store.Returned && d.State != store.Wiping:
			t.Errorf("run %d: device is %s with %d certificates", i, d.State, n)
		case d.State == store.Ready:
			ready++
		}
		if t.Failed() {
			return
		}
	}
	chainHolds(t, b, certified)
	t.Logf("%d runs: %d ready, %d certificates; the disk was full at %d requests", runs, ready, certified, disk.met)
	if disk.met < runs/4 || ready < runs/10 {
		t.Errorf("the disk was full at %d requests only, or %d laptops became ready: the test shows nothing", disk.met, ready)
	}
}
