package disk

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
)

// OpenFile opens a plain file as a Disk, for a developer's machine and for tests. drive says what it pretends
// to be; its size is the file's own. O_DIRECT is used where the file system has it, and Direct tells.
func OpenFile(path string, drive job.Drive) (*Disk, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_DIRECT, 0)
	direct := err == nil
	if errors.Is(err, unix.EINVAL) {
		f, err = os.OpenFile(path, os.O_RDWR, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("open file as drive: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open file as drive: %w", err), f.Close())
	}
	if !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("open file as drive: %s is not a plain file", path), f.Close())
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w: %w", path, err, job.Faultf(job.CodeDriveBusy, "%s is locked.", path)), f.Close())
	}
	drive.Path, drive.SizeBytes = path, uint64(info.Size())
	if drive.SectorSize == 0 {
		drive.SectorSize = 512
	}
	return New(drive, &file{File: f}, direct), nil
}

// file is a Medium over a plain file: discarding punches holes, which read as zeros.
type file struct{ *os.File }

// ReadAt reads through; the end of the file is an error of its own.
func (f *file) ReadAt(p []byte, off int64) (int, error) { return readAll(f.File, p, off) }

// WriteAt writes through; O_DIRECT wants an aligned buffer.
func (f *file) WriteAt(p []byte, off int64) (int, error) { return writeAll(f.File, p, off) }

func (f *file) Discard(off, n uint64) error { return f.Zero(off, n) }

func (f *file) Zero(off, n uint64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off), int64(n))
}

func (f *file) Flush() error { return f.Sync() }

// readAll reads len(p) bytes, through an aligned buffer when p is not: O_DIRECT wants one.
func readAll(f *os.File, p []byte, off int64) (int, error) {
	if aligned(p) {
		return io.ReadFull(io.NewSectionReader(f, off, int64(len(p))), p)
	}
	b := AlignedBuffer(len(p))
	n, err := io.ReadFull(io.NewSectionReader(f, off, int64(len(b))), b)
	copy(p, b[:n])
	return n, err
}

// writeAll writes p, through an aligned buffer when p is not.
func writeAll(f *os.File, p []byte, off int64) (int, error) {
	if aligned(p) {
		return f.WriteAt(p, off)
	}
	b := AlignedBuffer(len(p))
	copy(b, p)
	return f.WriteAt(b, off)
}
