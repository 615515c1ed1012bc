package disk

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"ingot/imaging/job"
)

// Medium is what lies under a Disk: a block device, or a file on a developer's machine. Offsets and lengths
// are in bytes and multiples of the sector size; buffers come from AlignedBuffer.
type Medium interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Discard tells the drive that the range is free. It is a hint: it proves nothing, and an error is no harm.
	Discard(off, n uint64) error
	// Zero makes the range read as zeros without sending them; an error means that zeros must be written.
	Zero(off, n uint64) error
	// Flush returns when everything written is on stable storage.
	Flush() error
}

// Disk is one drive, opened for a job. It is safe for concurrent use in ranges that do not overlap.
type Disk struct {
	drive  job.Drive
	medium Medium
	direct bool
	block  *block // nil on a developer's file

	touched atomic.Bool // something was written, or was about to be

	flushMu  sync.Mutex
	flushErr error // a failed flush is final: a second one may succeed with the pages lost
}

// New makes a Disk of any medium; direct says whether its reads pass by every cache. Open and OpenFile are
// made of it, and tests wrap media that lie.
func New(drive job.Drive, m Medium, direct bool) *Disk {
	return &Disk{drive: drive, medium: m, direct: direct}
}

// Drive is what the drive told about itself when it was opened.
func (d *Disk) Drive() job.Drive { return d.drive }

// Size is in bytes.
func (d *Disk) Size() uint64 { return d.drive.SizeBytes }

// SectorSize is the logical sector in bytes.
func (d *Disk) SectorSize() int { return d.drive.SectorSize }

// Direct reports whether reads come from the drive and not from the page cache.
func (d *Disk) Direct() bool { return d.direct }

// ReadAt reads exactly len(p) bytes; a short read is an error (CodeDriveRead).
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.medium.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, d.fault(job.CodeDriveRead, off, len(p), "read", err)
}

// WriteAt writes exactly len(p) bytes; a short write is an error (CodeDriveWrite).
func (d *Disk) WriteAt(p []byte, off int64) (int, error) {
	d.touched.Store(true)
	n, err := d.medium.WriteAt(p, off)
	if err == nil && n == len(p) {
		return n, nil
	}
	if err == nil {
		err = io.ErrShortWrite
	}
	return n, d.fault(job.CodeDriveWrite, off, len(p), "write", err)
}

// fault joins the people's words with the cause for the log.
func (d *Disk) fault(c job.Code, off int64, n int, verb string, cause error) error {
	return fmt.Errorf("%s %s, %d bytes at %d: %w: %w", verb, d.drive.Path, n, off, cause,
		job.Faultf(c, "At byte %d of %s (serial %s).", off, d.drive.Path, d.drive.Serial))
}

// Touched reports whether anything was written, zeroed or discarded since the drive was opened, or was tried:
// while it is false the disk is bit-equal to what it was.
func (d *Disk) Touched() bool { return d.touched.Load() }

// Discard hints that the range is free.
func (d *Disk) Discard(off, n uint64) error {
	d.touched.Store(true)
	return d.medium.Discard(off, n)
}

// zeroPiece is how many bytes of zeros go down in one write when the drive has no command for it.
const zeroPiece = 4 << 20

// Zero makes the range read as zeros, by the drive's own command or by writing them.
func (d *Disk) Zero(off, n uint64) error {
	if n == 0 {
		return nil
	}
	d.touched.Store(true)
	if d.medium.Zero(off, n) == nil {
		return nil
	}
	buf := AlignedBuffer(int(min(n, zeroPiece)))
	for n > 0 {
		k := min(n, uint64(len(buf)))
		if _, err := d.WriteAt(buf[:k], int64(off)); err != nil {
			return err
		}
		off, n = off+k, n-k
	}
	return nil
}

// Flush returns when all that was written is on stable storage (CodeFlush otherwise). Once it has failed it
// fails for ever: the kernel may have dropped the pages that it could not write.
func (d *Disk) Flush() error {
	d.flushMu.Lock()
	defer d.flushMu.Unlock()
	if d.flushErr != nil {
		return d.flushErr
	}
	if err := d.medium.Flush(); err != nil {
		d.flushErr = fmt.Errorf("flush %s: %w: %w", d.drive.Path, err,
			job.Faultf(job.CodeFlush, "Drive %s, serial %s.", d.drive.Path, d.drive.Serial))
	}
	return d.flushErr
}

// Close gives the drive back.
func (d *Disk) Close() error { return d.medium.Close() }
