package library

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"ingot/imaging"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
	"ingot/store"
)

// Export writes a Version as a raw disk file and proves it: after the file is synced every data extent is read
// back and compared by digest, every zero extent read back as zeros. Free extents are no part of the image;
// they are left as zeros and counted. A GPT's second copy is made anew out of the first. The file appears under its name only when it is proven.
func (l *Library) Export(ctx context.Context, operator string, e store.Export, tell func(store.Work)) (store.Exported, error) {
	if e.Opened != nil {
		defer e.Opened.Close() // closed below when all went well
	}
	var v store.Version
	if err := l.DB.View(func(tx *store.Tx) (err error) { v, err = named(tx, e.Image); return err }); err != nil {
		return store.Exported{}, err
	}
	if v.Deleted {
		return store.Exported{}, job.Faultf(job.CodeWithdrawn, "The content of %s was given up.", v.Ref())
	}
	if !filepath.IsAbs(e.File) {
		return store.Exported{}, job.Faultf(job.CodeBadRequest, "The file must be named by its whole path.")
	}
	f, err := target(e)
	if err != nil {
		return store.Exported{}, err
	}
	if e.Opened == nil {
		defer os.Remove(f.Name()) // after the rename there is nothing left to remove
	}
	x := &export{lib: l, f: f, tell: tell, out: store.Exported{Version: v}}
	if err := errors.Join(x.run(ctx, v.Manifest), f.Close()); err != nil {
		if errors.Is(err, unix.ENOSPC) {
			err = errors.Join(err, job.Faultf(job.CodeFull, "%s needs %d bytes.", v.Ref(), v.DiskSize))
		}
		return store.Exported{}, fmt.Errorf("export %s: %w", v.Ref(), err)
	}
	if e.Opened == nil {
		if err := NameNew(f.Name(), e.File); err != nil {
			return store.Exported{}, err
		}
	}
	return x.out, l.DB.Update(func(tx *store.Tx) error {
		return tx.Audit(operator, "export", v.Ref().String(), "To "+filepath.Base(e.File)+".")
	})
}

// target is the file to write: the asker's own, or a new one beside the final name.
func target(e store.Export) (*os.File, error) {
	if e.Opened != nil {
		if fi, err := e.Opened.Stat(); err != nil || !fi.Mode().IsRegular() || fi.Size() != 0 {
			return nil, errors.Join(err, job.Faultf(job.CodeBadRequest, "What was opened to be exported to is no empty file."))
		}
		return e.Opened, nil
	}
	return NewFile(e.File)
}

// NewFile makes a file beside the one that it will become by NameNew; a name that is taken is refused.
func NewFile(path string) (*os.File, error) {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return nil, job.Faultf(job.CodeFile, "%s exists already: name a file that is not there yet.", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".ingot-export-*")
	if err != nil {
		return nil, errors.Join(err, job.Faultf(job.CodeDaemon, "No file can be made in %s.", filepath.Dir(path)))
	}
	return f, nil
}

// NameNew gives a finished file its name for good, and never takes another's.
func NameNew(from, to string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE); err != nil {
		return fmt.Errorf("name exported file: %w", err)
	}
	d, err := os.Open(filepath.Dir(to))
	if err != nil {
		return fmt.Errorf("keep the name of the exported file: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// export is one run of Export.
type export struct {
	lib     *Library
	f       *os.File
	tell    func(store.Work)
	out     store.Exported
	started time.Time
	told    time.Time
}

func (x *export) run(ctx context.Context, d imaging.Digest) (err error) {
	m, err := x.lib.Store.OpenManifest(d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := x.f.Truncate(int64(m.Header().DiskSize)); err != nil {
		return err
	}
	if err := x.walk(ctx, m, "writing", x.write); err != nil {
		return err
	}
	if err := x.f.Sync(); err != nil {
		return err
	}
	// Read from the disk, not from the pages that were just written.
	if err := unix.Fadvise(int(x.f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return err
	}
	if err := x.walk(ctx, m, "checking", x.prove); err != nil {
		return err
	}
	if m.Header().Table == "gpt" {
		return x.secondTable(m.Header())
	}
	return nil
}

// secondTable makes the second GPT anew out of the first: no image holds it. Its first sectors may share a block
// with an extent, so it is written only when every extent is proven.
func (x *export) secondTable(h imaging.Header) error {
	t, err := gpt.ReadPrimary(x.f, int64(h.DiskSize), h.SectorSize)
	if err != nil {
		return fmt.Errorf("second partition table: %w", err)
	}
	off, want, err := t.Backup()
	if err != nil {
		return fmt.Errorf("second partition table: %w", err)
	}
	if _, err := x.f.WriteAt(want, off); err != nil {
		return err
	}
	if err := errors.Join(x.f.Sync(), unix.Fadvise(int(x.f.Fd()), off, int64(len(want)), unix.FADV_DONTNEED)); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if _, err := x.f.ReadAt(got, off); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return job.Faultf(job.CodeReadBack, "The second partition table of the exported file, at byte %d.", off)
	}
	return nil
}

// walk calls f with every extent and tells how far it is.
func (x *export) walk(ctx context.Context, m *imaging.Manifest, phase string, f func(imaging.Numbered) error) error {
	x.started = time.Now()
	h := m.Header()
	var done uint64
	for n, err := range m.All() {
		if err != nil {
			return err
		}
		if err := errors.Join(ctx.Err(), f(n)); err != nil {
			return fmt.Errorf("extent %d at %d: %w", n.N, n.Offset, err)
		}
		if n.Kind == imaging.Data {
			done += n.Length
			x.progress(phase, done, h.DataBytes)
		}
	}
	return nil
}

func (x *export) progress(phase string, done, total uint64) {
	now := time.Now()
	if now.Sub(x.told) < 500*time.Millisecond && done < total {
		return
	}
	x.told = now
	w := store.Work{Phase: phase, DoneBytes: done, TotalBytes: total, SecondsLeft: -1}
	if s := now.Sub(x.started).Seconds(); s > 0 && done > 0 {
		w.BytesPerSec = uint64(float64(done) / s)
		w.SecondsLeft = int(float64(total-done) * s / float64(done))
	}
	x.tell(w)
}

// write puts one data extent; the rest of the file is a hole, which reads as zeros.
func (x *export) write(n imaging.Numbered) error {
	if n.Kind != imaging.Data {
		return nil
	}
	frame, err := x.lib.Store.Frame(n.Digest)
	if err != nil {
		return err
	}
	plain, err := imaging.DecodeChunk(frame, nil, n.Digest, int(n.Length))
	if err != nil {
		return errors.Join(err, job.Faultf(job.CodeChunk, "Chunk %s.", n.Digest.Short()))
	}
	_, err = x.f.WriteAt(plain, int64(n.Offset))
	return err
}

// prove reads one extent back.
func (x *export) prove(n imaging.Numbered) error {
	switch n.Kind {
	case imaging.Free:
		x.out.FreeBytes += n.Length
		return nil
	case imaging.Zero:
		x.out.ZeroBytes += n.Length
		return zeros(io.NewSectionReader(x.f, int64(n.Offset), int64(n.Length)), n.Length)
	}
	b := make([]byte, n.Length)
	if _, err := x.f.ReadAt(b, int64(n.Offset)); err != nil {
		return err
	}
	if imaging.Sum(b) != n.Digest {
		return job.Faultf(job.CodeReadBack, "At byte %d of the exported file.", n.Offset)
	}
	x.out.DataBytes += n.Length
	return nil
}

// zeros reads exactly length zero bytes.
func zeros(r io.Reader, length uint64) error {
	var zero, b [64 << 10]byte
	for length > 0 {
		part := min(length, uint64(len(b)))
		if _, err := io.ReadFull(r, b[:part]); err != nil {
			return err
		}
		if !bytes.Equal(b[:part], zero[:part]) {
			return job.Faultf(job.CodeReadBack, "A zero extent holds something.")
		}
		length -= part
	}
	return nil
}
