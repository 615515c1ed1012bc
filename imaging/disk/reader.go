package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
)

// Reader is a drive that is read and cannot be written: its one handle is opened for reading alone, exclusively, and
// while it is open the kernel refuses writes to the drive by anybody. It is a capture's Source.
type Reader struct {
	drive job.Drive
	f     *os.File
	sys   string // empty for a developer's file
	flag  bool   // we made the kernel refuse writes
	began string // the kernel's count of writes when it was opened

	mu    sync.Mutex
	wrong error // the first failed check
}

// OpenReader opens the one drive that want names, among those under sys ("/sys"), for reading, and only if the opened
// device itself tells want's serial, WWN, size and sector size. Every difference is a *job.Fault.
func OpenReader(sys string, want job.Target) (*Reader, error) {
	drives, err := List(sys)
	if err != nil {
		return nil, err
	}
	drive, err := ChooseSource(drives, want)
	if err != nil {
		return nil, err
	}
	return openReader(sys, drive, want)
}

func openReader(sys string, drive job.Drive, want job.Target) (*Reader, error) {
	f, err := os.OpenFile(drive.Path, os.O_RDONLY|os.O_EXCL, 0)
	if errors.Is(err, unix.EBUSY) {
		return nil, fmt.Errorf("open %s: %w: %w", drive.Path, err, job.Faultf(job.CodeDriveBusy, "%s is mounted or opened.", drive.Path))
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w: %w", drive.Path, err, job.Faultf(job.CodeDriveRead, "%s cannot be opened.", drive.Path))
	}
	r := &Reader{drive: drive, f: f, sys: sys}
	if err := r.check(want); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r.refuseWrites()
	if r.began, err = r.writes(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// OpenFileReader opens a plain file as a Reader, for a developer's machine and for tests.
func OpenFileReader(path string, drive job.Drive) (*Reader, error) {
	f, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("open file as drive: %w", err)
	}
	r := &Reader{drive: drive, f: f}
	if r.began, err = r.writes(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

// check compares the opened device with what was approved.
func (r *Reader) check(want job.Target) error {
	d, err := Of(r.sys, r.f)
	if err != nil {
		return err
	}
	if err := matchSource(d, want); err != nil {
		return err
	}
	var size uint64
	if err := ioctlPtr(r.f, unix.BLKGETSIZE64, unsafe.Pointer(&size)); err != nil {
		return fmt.Errorf("size of %s: %w", d.Path, err)
	}
	sector, err := unix.IoctlGetInt(int(r.f.Fd()), unix.BLKSSZGET)
	if err != nil {
		return fmt.Errorf("sector size of %s: %w", d.Path, err)
	}
	return matchSize(size, sector, want)
}

// refuseWrites sets the kernel's read-only flag of the drive, until Close. A kernel that does not take it leaves the
// count of writes to tell.
func (r *Reader) refuseWrites() {
	if r.drive.ReadOnly {
		return
	}
	on := int32(1)
	r.flag = ioctlPtr(r.f, unix.BLKROSET, unsafe.Pointer(&on)) == nil
}

// writes is what the kernel has counted of writes and discards on the drive, as a text to compare
// (Documentation/admin-guide/iostats: fields 5 and 7, 12 and 14). Of a file it is the time of its last change.
func (r *Reader) writes() (string, error) {
	if r.sys == "" {
		info, err := r.f.Stat()
		if err != nil {
			return "", fmt.Errorf("stat %s: %w", r.drive.Path, err)
		}
		return info.ModTime().String(), nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(r.f.Fd()), &st); err != nil {
		return "", fmt.Errorf("stat %s: %w", r.drive.Path, err)
	}
	b, err := os.ReadFile(filepath.Join(r.sys, "dev/block", fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)), "stat"))
	if err != nil {
		return "", fmt.Errorf("count of writes of %s: %w", r.drive.Path, err)
	}
	f := strings.Fields(string(b))
	if len(f) < 11 {
		return "", fmt.Errorf("count of writes of %s: %q", r.drive.Path, b)
	}
	out := f[4] + " " + f[6]
	if len(f) >= 15 {
		out += " " + f[11] + " " + f[13]
	}
	return out, nil
}

// Drive is what the drive told about itself when it was opened.
func (r *Reader) Drive() job.Drive { return r.drive }

// Size is in bytes.
func (r *Reader) Size() int64 { return int64(r.drive.SizeBytes) }

// SectorSize is the logical sector in bytes.
func (r *Reader) SectorSize() int { return r.drive.SectorSize }

// NextData implements capture's Source: a drive does not tell what was never written.
func (r *Reader) NextData(off int64) (start, end int64, err error) { return off, r.Size(), nil }

// ReadAt implements io.ReaderAt.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.f.ReadAt(p, off)
	if n == len(p) || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, fmt.Errorf("read %s, %d bytes at %d: %w: %w", r.drive.Path, len(p), off, err,
		job.Faultf(job.CodeDriveRead, "At byte %d of %s (serial %s).", off, r.drive.Path, r.drive.Serial))
}

// Unchanged holds that nobody has written to the drive since it was opened: the kernel counts every write.
func (r *Reader) Unchanged() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wrong != nil {
		return r.wrong
	}
	now, err := r.writes()
	switch {
	case err != nil:
		r.wrong = fmt.Errorf("%w: %w", job.Faultf(job.CodeSourceChanged, "Its count of writes cannot be read."), err)
	case now != r.began:
		r.wrong = job.Faultf(job.CodeSourceChanged, "Writes to drive %s were counted.", r.drive.Serial)
	}
	return r.wrong
}

// Survey tells what lies on the drive.
func (r *Reader) Survey() []string { return Survey(r, r.Size(), r.SectorSize()) }

// Health asks the drive how it is; a file is what it was said to be.
func (r *Reader) Health() job.Health {
	if r.sys == "" {
		return r.drive.Health
	}
	return health(r.drive)
}

// Close gives the drive back as it was.
func (r *Reader) Close() error {
	var err error
	if r.flag {
		off := int32(0)
		err = ioctlPtr(r.f, unix.BLKROSET, unsafe.Pointer(&off))
	}
	return errors.Join(err, r.f.Close())
}
