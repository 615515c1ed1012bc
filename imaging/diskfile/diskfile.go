package diskfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Refusal says in words why a file is not taken as a disk.
type Refusal struct{ Why string }

// Error implements error.
func (r *Refusal) Error() string { return r.Why }

// Refused is Why, for whoever cannot name this type.
func (r *Refusal) Refused() string { return r.Why }

func refusef(format string, args ...any) error { return &Refusal{Why: fmt.Sprintf(format, args...)} }

// File is an open disk image. ReadAt and NextData may be called from several goroutines.
type File struct {
	f      *os.File
	beside *part // the file with the content, when that is another
	path   string
	alone  bool // no other file may be opened for it
	format string
	sector int
	size   int64
	length int64 // of the file itself, when it was opened
	mtime  time.Time
	layout layout
}

// part is a file as it was when it was opened.
type part struct {
	f      *os.File
	length int64
	mtime  time.Time
}

// layout is how a format places the disk in the file.
type layout interface {
	io.ReaderAt
	// nextData finds the first stored run at or behind off: start == end == size when there is none.
	nextData(off int64) (start, end int64, err error)
}

// Open opens a disk file of any format that Package diskfile reads, or a block device, for reading. Errors: a *Refusal for a file that is no disk
// or of a kind that cannot be read for certain, and those of the operating system.
func Open(path string) (*File, error) {
	// A pipe would hold an ordinary open until somebody writes to it.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open disk file: %w", err)
	}
	return open(&File{f: f, path: path})
}

// From is Open of a file that somebody else has opened; it is closed with the File, or when it is refused. Only this
// one file is read: a format whose content lies in a second file is refused, for who may read the first need not be
// allowed to read what it names.
func From(f *os.File, path string) (*File, error) {
	return open(&File{f: f, path: path, alone: true})
}

func open(d *File) (*File, error) {
	if err := d.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open disk file %s: %w", d.path, err), d.Close())
	}
	return d, nil
}

func (d *File) open() error {
	fi, err := d.f.Stat()
	if err != nil {
		return err
	}
	if fi.IsDir() {
		return refusef("it is a folder, not a disk file")
	}
	if m := fi.Mode(); !m.IsRegular() && (m&fs.ModeDevice == 0 || m&fs.ModeCharDevice != 0) {
		return refusef("it is neither a file nor a drive")
	}
	if inUse(d.f) {
		return refusef("a virtual machine is using the file; shut it down first")
	}
	if d.length, err = d.f.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	d.mtime = fi.ModTime()
	if err := d.choose(); err != nil {
		return err
	}
	own := d.sector
	if d.sector, err = sectorSize(d, d.size); err == nil && d.sector == 0 {
		d.sector = max(own, 512)
	}
	return err
}

// choose finds the format by the file's first bytes.
func (d *File) choose() error {
	head := make([]byte, 512)
	n, err := d.f.ReadAt(head[:min(512, d.length)], 0)
	switch {
	case n < int(min(512, d.length)):
		return fmt.Errorf("read its first sector: %w", orShort(err))
	case bytes.HasPrefix(head, []byte(vmdkText)):
		return d.openBeside()
	case d.length < int64(len(head)):
		return refusef("the file has only %d bytes", d.length)
	case isQcow2(head):
		q, err := openQcow2(d.f, d.length)
		if err != nil {
			return err
		}
		d.format, d.layout, d.size = "qcow2", q, q.size
	case isVHDX(head):
		v, err := openVHDX(d.f, d.length)
		if err != nil {
			return err
		}
		d.format, d.layout, d.size, d.sector = "VHDX", v, v.size, int(v.sector)
	case isVMDK(head):
		v, err := openVMDKSparse(d.f, d.length)
		if err != nil {
			return err
		}
		d.format, d.layout, d.size = "VMDK", v, v.size
	default:
		return d.openRaw(head)
	}
	return nil
}

func (d *File) openRaw(head []byte) error {
	if name := foreign(d.f, head, d.length); name != "" {
		return refusef("it is a %s file; raw, qcow2, VHDX and VMDK can be read (qemu-img convert makes one of the other)", name)
	}
	if d.length%512 != 0 {
		return refusef("its length of %d bytes is not a whole number of sectors, so it was probably cut off", d.length)
	}
	d.format, d.layout, d.size = "raw", raw{d.f, d.length}, d.length
	return nil
}

// openBeside follows the text of a VMDK to the file with the content.
func (d *File) openBeside() error {
	e, err := readVMDKText(d.f, d.length)
	if err != nil {
		return err
	}
	if d.alone && e.offset == 0 {
		return refusef("its content lies in a second file, and only this one was handed over; import %.80q beside it, which is the disk as it is", e.file)
	}
	if d.alone {
		return refusef("its content lies in a second file, and only this one was handed over (qemu-img convert makes one file of both)")
	}
	f, l, err := openBeside(d.path, e)
	if err != nil {
		return err
	}
	d.beside = &part{f: f}
	d.format, d.layout, d.size = "VMDK", l, l.size
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	d.beside.length, d.beside.mtime = fi.Size(), fi.ModTime()
	return nil
}

// Size is the disk's size in bytes, a multiple of 512.
func (d *File) Size() int64 { return d.size }

// Format is "raw", "qcow2", "VHDX" or "VMDK".
func (d *File) Format() string { return d.format }

// SectorSize is 4096 when the disk's GPT was made for such sectors, or when it has none and the file says so;
// otherwise 512.
func (d *File) SectorSize() int { return d.sector }

// ReadAt implements io.ReaderAt over the disk; it gives io.EOF only at the disk's end.
func (d *File) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read disk file %s: negative offset %d", d.path, off)
	}
	if off >= d.size {
		return 0, io.EOF
	}
	short := int64(len(b)) > d.size-off
	if short {
		b = b[:d.size-off]
	}
	n, err := d.layout.ReadAt(b, off)
	if n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return n, fmt.Errorf("read disk file %s at %d: %w", d.path, off, err)
	}
	if short {
		return n, io.EOF
	}
	return n, nil
}

// NextData finds the first run at or behind off that the file stores; all bytes before start read as zeros, and
// what follows end is told by the next call. start == end == Size means that nothing is stored any more.
func (d *File) NextData(off int64) (start, end int64, err error) {
	if off >= d.size {
		return d.size, d.size, nil
	}
	start, end, err = d.layout.nextData(max(off, 0))
	if err != nil {
		return 0, 0, fmt.Errorf("map disk file %s at %d: %w", d.path, off, err)
	}
	return min(start, d.size), min(end, d.size), nil
}

// Unchanged reports an error when the file was written or cut since it was opened: what was read is then a
// mixture.
func (d *File) Unchanged() error {
	for _, p := range []*part{{d.f, d.length, d.mtime}, d.beside} {
		if p == nil {
			continue
		}
		fi, err := p.f.Stat()
		if err != nil {
			return fmt.Errorf("check disk file: %w", err)
		}
		if fi.Mode().IsRegular() && (fi.Size() != p.length || !fi.ModTime().Equal(p.mtime)) {
			return refusef("the file was changed while it was read; is the virtual machine still running?")
		}
	}
	return nil
}

// Close closes the file.
func (d *File) Close() error {
	if d.beside != nil {
		return errors.Join(d.f.Close(), d.beside.f.Close())
	}
	return d.f.Close()
}

// sectorSize looks where the GPT's header lies, which is at LBA 1; 0 when there is none.
func sectorSize(r io.ReaderAt, size int64) (int, error) {
	for _, n := range []int{512, 4096} {
		if size < int64(2*n) {
			break
		}
		sig := make([]byte, 8)
		if _, err := r.ReadAt(sig, int64(n)); err != nil {
			return 0, fmt.Errorf("look for a GPT: %w", err)
		}
		if string(sig) == "EFI PART" {
			return n, nil
		}
	}
	return 0, nil
}
