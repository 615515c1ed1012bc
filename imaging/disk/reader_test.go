package disk

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
)

// readerOf opens the loop drive as a Reader; what it counts is the real device's.
func readerOf(t *testing.T, b *block, want job.Target) (*Reader, error) {
	t.Helper()
	stat := filepath.Join(b.sys, "devices/ata1/block/sda/stat")
	if err := os.Symlink(filepath.Join("/sys/block", filepath.Base(b.path), "stat"), stat); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	return openReader(b.sys, job.Drive{Path: b.path, Serial: "LOOP1", SizeBytes: 64 << 20, SectorSize: 512}, want)
}

func alignedBytes(n int, fill byte) []byte {
	b := AlignedBuffer(n)
	for i := range b {
		b[i] = fill
	}
	return b
}

// TestAReaderCannotWrite: neither the type nor its handle has a way to write, and the kernel refuses everybody else
// while it is open; then the drive is as before.
func TestAReaderCannotWrite(t *testing.T) {
	b := loopDrive(t)
	before, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := readerOf(t, b, b.want)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := any(r).(io.WriterAt); ok {
		t.Error("it has WriteAt")
	}
	if _, ok := any(r).(io.Writer); ok {
		t.Error("it has Write")
	}
	flags, err := unix.FcntlInt(r.f.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE != unix.O_RDONLY {
		t.Errorf("its handle has the flags %#x, %v; want reading alone", flags, err)
	}
	if _, err := r.f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("its handle wrote")
	}
	if err := r.Unchanged(); err != nil {
		t.Error(err)
	}
	if f, err := os.OpenFile(b.path, os.O_RDWR, 0); err == nil {
		_, err = f.WriteAt(bytes.Repeat([]byte("x"), 4096), 0)
		if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
			t.Error("another handle wrote while it was open")
		}
	}
	if ro, err := unix.IoctlGetInt(int(r.f.Fd()), unix.BLKROGET); err != nil || ro != 1 {
		t.Errorf("the kernel's read-only flag is %d, %v; want 1", ro, err)
	}
	got := make([]byte, 12345)
	if n, err := r.ReadAt(got, 777); n != len(got) || err != nil || !bytes.Equal(got, before[777:777+12345]) {
		t.Errorf("ReadAt = %d, %v", n, err)
	}
	if n, err := r.ReadAt(got, r.Size()-5); n != 5 || !errors.Is(err, io.EOF) {
		t.Errorf("ReadAt over the end = %d, %v; want 5, EOF", n, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(b.path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the drive changed, %v", err)
	}
	if err := b.claim(); err != nil {
		t.Fatalf("afterwards it cannot be written: %v", err)
	}
	if _, err := b.f.WriteAt(alignedBytes(4096, 7), 0); err != nil {
		t.Errorf("afterwards it cannot be written: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestAReaderIsOfTheApprovedDriveOnly: as for a writer, every fact must agree; and a drive that is in use is refused.
func TestAReaderIsOfTheApprovedDriveOnly(t *testing.T) {
	b := loopDrive(t)
	for name, c := range map[string]struct {
		change func(*job.Target)
		want   job.Code
	}{
		"another serial":  {func(w *job.Target) { w.Serial = "OTHER" }, job.CodeWrongDrive},
		"no serial":       {func(w *job.Target) { w.Serial = "" }, job.CodeWrongDrive},
		"another size":    {func(w *job.Target) { w.SizeBytes += 512 }, job.CodeWrongDrive},
		"another WWN":     {func(w *job.Target) { w.WWN = "eui.1" }, job.CodeWrongDrive},
		"another sectors": {func(w *job.Target) { w.SectorSize = 4096 }, job.CodeSectorSize},
	} {
		want := b.want
		c.change(&want)
		r, err := readerOf(t, b, want)
		var f *job.Fault
		if !errors.As(err, &f) || f.Code != c.want {
			t.Errorf("%s: %v; want %s", name, err, c.want)
		}
		if r != nil {
			r.Close()
		}
	}
	f, err := os.OpenFile(b.path, os.O_RDONLY|os.O_EXCL, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = readerOf(t, b, b.want)
	var fault *job.Fault
	if !errors.As(err, &fault) || fault.Code != job.CodeDriveBusy {
		t.Errorf("a drive in use: %v; want %s", err, job.CodeDriveBusy)
	}
}

// TestWritesToTheSourceAreNoticed: the kernel counts them.
func TestWritesToTheSourceAreNoticed(t *testing.T) {
	b := loopDrive(t)
	w, err := os.OpenFile(b.path, os.O_RDWR, 0) // before the kernel is told to refuse writes
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r, err := readerOf(t, b, b.want)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	off := 0
	if err := unix.IoctlSetPointerInt(int(w.Fd()), unix.BLKROSET, off); err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteAt([]byte("x"), 4096); err != nil {
		t.Fatal(err)
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	var f *job.Fault
	if err := r.Unchanged(); !errors.As(err, &f) || f.Code != job.CodeSourceChanged {
		t.Errorf("Unchanged = %v; want %s", err, job.CodeSourceChanged)
	}
}

// TestAReadOnlyDriveIsASourceAndNoTarget holds both sides.
func TestAReadOnlyDriveIsASourceAndNoTarget(t *testing.T) {
	d := job.Drive{Path: filepath.Join("/dev", "sda"), Serial: "S", SizeBytes: 512, SectorSize: 512, ReadOnly: true}
	want := job.Target{Serial: "S", SizeBytes: 512, SectorSize: 512}
	if _, err := ChooseSource([]job.Drive{d}, want); err != nil {
		t.Errorf("as a source: %v", err)
	}
	var f *job.Fault
	if _, err := Choose([]job.Drive{d}, want); !errors.As(err, &f) || f.Code != job.CodeDriveWrite {
		t.Errorf("as a target: %v; want %s", err, job.CodeDriveWrite)
	}
	d.Transport = "usb"
	if _, err := ChooseSource([]job.Drive{d}, want); !errors.As(err, &f) || f.Code != job.CodeRemovable {
		t.Errorf("a stick as a source: %v; want %s", err, job.CodeRemovable)
	}
}
