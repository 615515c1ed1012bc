package disk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
)

// loopDrive makes a real block device of 64 MiB over a file, and a sysfs in which it has a serial.
func loopDrive(t *testing.T) *block {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("block devices want root: run this package's tests as root, too")
	}
	img := filepath.Join(t.TempDir(), "loop.img")
	if err := os.WriteFile(img, bytes.Repeat([]byte{0xAA}, 64<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "-P", "-f", "--show", img).Output()
	if err != nil {
		t.Skipf("no loop device can be had here: %v", err)
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if err := exec.Command("losetup", "-d", dev).Run(); err != nil {
			t.Errorf("losetup -d %s: %v", dev, err)
		}
	})
	b := &block{sys: t.TempDir(), path: dev, want: job.Target{Serial: "LOOP1", SizeBytes: 64 << 20, SectorSize: 512}}
	var st unix.Stat_t
	if err := unix.Stat(dev, &st); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(b.sys, "devices/ata1/block/sda")
	tell(t, dir, map[string]string{"size": "131072", "queue/logical_block_size": "512", "device/serial": "LOOP1"})
	link := filepath.Join(b.sys, "dev/block", fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)))
	if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(dir, link)); err != nil {
		t.Fatal(err)
	}
	return b
}

func tell(t *testing.T, dir string, attrs map[string]string) {
	t.Helper()
	for name, v := range attrs {
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(v), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

func wrap(b *block) *Disk {
	d := New(job.Drive{Path: b.path, Serial: "LOOP1", SizeBytes: 64 << 20, SectorSize: 512}, b, true)
	d.block = b
	return d
}

func wantFault(t *testing.T, err error, code job.Code) {
	t.Helper()
	var f *job.Fault
	if !errors.As(err, &f) || f.Code != code {
		t.Fatalf("error %v; want the code %s", err, code)
	}
}

func TestABlockDeviceIsInvalidatedDiscardedAndWritten(t *testing.T) {
	b := loopDrive(t)
	if err := b.claim(); err != nil {
		t.Fatal(err)
	}
	d := wrap(b)
	defer d.Close()
	if err := d.Invalidate(); err != nil {
		t.Fatal(err)
	}
	if err := d.Discard(8<<20, 4<<20); err != nil {
		t.Errorf("discard: %v", err)
	}
	p := AlignedBuffer(3 << 20)
	for i := range p {
		p[i] = byte(i * 7)
	}
	if _, err := d.WriteAt(p, 20<<20); err != nil {
		t.Fatal(err)
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := d.expect(p, 20<<20, job.CodeReadBack); err != nil {
		t.Error(err)
	}
}

func TestADriveInUseIsBusy(t *testing.T) {
	b := loopDrive(t)
	if err := b.claim(); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	other := &block{sys: b.sys, path: b.path, want: b.want}
	wantFault(t, other.claim(), job.CodeDriveBusy)
}

// TestADriveThatIsAnotherOneByNowIsNotWritten changes what the drive tells between opening and writing.
func TestADriveThatIsAnotherOneByNowIsNotWritten(t *testing.T) {
	b := loopDrive(t)
	if err := b.claim(); err != nil {
		t.Fatal(err)
	}
	d := wrap(b)
	defer d.Close()
	tell(t, filepath.Join(b.sys, "devices/ata1/block/sda"), map[string]string{"device/serial": "OTHER"})
	wantFault(t, d.Invalidate(), job.CodeWrongDrive)
	if d.Touched() {
		t.Error("the drive was touched")
	}
}

// TestTheDriveItselfIsAskedForItsSize: sysfs and order agree, the device does not.
func TestTheDriveItselfIsAskedForItsSize(t *testing.T) {
	b := loopDrive(t)
	tell(t, filepath.Join(b.sys, "devices/ata1/block/sda"), map[string]string{"size": "131080"})
	b.want.SizeBytes = 131080 * 512
	wantFault(t, b.claim(), job.CodeWrongDrive)
}

// TestPartitionsComeAndGoWithoutATable mounts nothing: it writes through a partition's node and finds the
// bytes at its place on the drive.
func TestPartitionsComeAndGoWithoutATable(t *testing.T) {
	b := loopDrive(t)
	if err := b.claim(); err != nil {
		t.Fatal(err)
	}
	d := wrap(b)
	defer d.Close()
	if err := d.Invalidate(); err != nil {
		t.Fatal(err)
	}
	// What an older table left in the kernel lies across the new partitions.
	if err := b.blkpg(unix.BLKPG_ADD_PARTITION, Part{Number: 5, Offset: 2 << 20, Size: 20 << 20}); err != nil {
		t.Fatal(err)
	}
	parts, err := d.AddParts([]Part{{Number: 1, Offset: 1 << 20, Size: 8 << 20}, {Number: 3, Offset: 16 << 20, Size: 8 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(parts[1].Path, os.O_RDWR|os.O_EXCL, 0) // as a mount would
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("here lies partition 3")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := d.DropParts(parts); err != nil {
		t.Fatal(err)
	}
	got := AlignedBuffer(512)
	if _, err := d.ReadAt(got, 16<<20); err != nil || !bytes.HasPrefix(got, []byte("here lies partition 3")) {
		t.Errorf("the drive holds %q, %v", got[:24], err)
	}
	if _, err := os.Stat(parts[1].Path); err == nil {
		t.Errorf("%s is still there", parts[1].Path)
	}
	other := &block{sys: b.sys, path: b.path, want: b.want}
	wantFault(t, other.claim(), job.CodeDriveBusy) // the drive is held exclusively again
}
