package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
)

// Open opens the one drive that want names, among those under sys ("/sys"): exclusively (a mounted drive is
// CodeDriveBusy), past the page cache, and only if the opened device itself tells want's serial, WWN, size
// and sector size. Every difference is a *job.Fault, and nothing has been written.
func Open(sys string, want job.Target) (*Disk, error) {
	drives, err := List(sys)
	if err != nil {
		return nil, err
	}
	drive, err := Choose(drives, want)
	if err != nil {
		return nil, err
	}
	b := &block{sys: sys, path: drive.Path, want: want}
	if err := b.claim(); err != nil {
		return nil, err
	}
	d := New(drive, b, true)
	d.block = b
	return d, nil
}

// block is a Medium over a block device.
type block struct {
	sys  string
	path string
	want job.Target
	f    *os.File
}

// claim opens the device exclusively and checks that what was opened is what was approved.
func (b *block) claim() error {
	f, err := os.OpenFile(b.path, os.O_RDWR|os.O_EXCL|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("open %s: %w: %w", b.path, err, job.Faultf(job.CodeDriveBusy, "%s is mounted or opened.", b.path))
	}
	if err != nil {
		return fmt.Errorf("open %s: %w: %w", b.path, err, job.Faultf(job.CodeDriveRead, "%s cannot be opened.", b.path))
	}
	if err := b.check(f); err != nil {
		return errors.Join(err, f.Close())
	}
	b.f = f
	return nil
}

// Of says which drive an open block device is, found by its number and not by its name. A partition has no queue of
// its own and is none.
func Of(sys string, f *os.File) (job.Drive, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return job.Drive{}, fmt.Errorf("stat %s: %w", f.Name(), err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return job.Drive{}, fmt.Errorf("%s is not a block device: %w", f.Name(), job.Faultf(job.CodeWrongDrive, "%s is not a drive.", f.Name()))
	}
	link := filepath.Join(sys, "dev/block", fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)))
	dir, err := filepath.EvalSymlinks(link)
	if err != nil {
		return job.Drive{}, fmt.Errorf("find %s in sysfs: %w: %w", f.Name(), err, job.Faultf(job.CodeWrongDrive, "%s has gone.", f.Name()))
	}
	return readDrive(dir, filepath.Base(dir)), nil
}

// check compares the opened device with what was approved.
func (b *block) check(f *os.File) error {
	d, err := Of(b.sys, f)
	if err != nil {
		return err
	}
	if err := Match(d, b.want); err != nil {
		return err
	}
	var size uint64
	if err := ioctlPtr(f, unix.BLKGETSIZE64, unsafe.Pointer(&size)); err != nil {
		return fmt.Errorf("size of %s: %w", b.path, err)
	}
	sector, err := unix.IoctlGetInt(int(f.Fd()), unix.BLKSSZGET)
	if err != nil {
		return fmt.Errorf("sector size of %s: %w", b.path, err)
	}
	return matchSize(size, sector, b.want)
}

// Recheck asks the open drive again who it is; a job calls it right before its first write.
func (d *Disk) Recheck() error {
	if d.block == nil {
		return nil
	}
	return d.block.check(d.block.f)
}

func (b *block) ReadAt(p []byte, off int64) (int, error) { return readAll(b.f, p, off) }

func (b *block) WriteAt(p []byte, off int64) (int, error) { return writeAll(b.f, p, off) }

// Discard issues BLKDISCARD.
func (b *block) Discard(off, n uint64) error { return b.rangeIoctl(unix.BLKDISCARD, off, n) }

// Zero issues BLKZEROOUT: the kernel uses the drive's own command or writes zeros; a range that does not read
// as zeros is found by the read-back.
func (b *block) Zero(off, n uint64) error { return b.rangeIoctl(unix.BLKZEROOUT, off, n) }

// ioctlPiece bounds one range command, so that a cancel and a progress bar need not wait for a whole drive.
const ioctlPiece = 1 << 30

func (b *block) rangeIoctl(req uint, off, n uint64) error {
	for n > 0 {
		k := min(n, ioctlPiece)
		r := [2]uint64{off, k}
		if err := ioctlPtr(b.f, req, unsafe.Pointer(&r)); err != nil {
			return err
		}
		off, n = off+k, n-k
	}
	return nil
}

func (b *block) Flush() error { return b.f.Sync() }

func (b *block) Close() error { return b.f.Close() }

// share gives up exclusiveness, so that partitions of the drive can be mounted; the drive stays open.
func (b *block) share() error {
	f, err := os.OpenFile(b.path, os.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		return fmt.Errorf("share %s: %w", b.path, err)
	}
	old := b.f
	b.f = f
	return old.Close()
}

// reclaim takes the drive exclusively again. A partition that was just unmounted may be held for a moment by
// whoever looks at new devices, so a busy drive is asked again for 10 seconds.
func (b *block) reclaim() error {
	old := b.f
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := b.claim()
		if err == nil {
			return old.Close()
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func ioctlPtr(f *os.File, req uint, p unsafe.Pointer) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), uintptr(req), uintptr(p))
	if e != 0 {
		return e
	}
	return nil
}
