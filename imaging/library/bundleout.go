package library

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"ingot/imaging"
	"ingot/imaging/bundle"
	"ingot/imaging/job"
	"ingot/store"
)

// ExportBundle writes a Version as one bundle file and reads it back: what it says is proven as an import would prove
// it. The file appears under its name only then.
func (l *Library) ExportBundle(ctx context.Context, operator string, e store.BundleExport, tell func(store.Work)) (store.Bundled, error) {
	f, err := target(store.Export{File: e.File, Opened: e.Opened})
	if err != nil {
		return store.Bundled{}, errors.Join(err, closeOpened(e.Opened))
	}
	if e.Opened == nil {
		defer os.Remove(f.Name()) // after the rename there is nothing left to remove
	}
	out, err := l.exportBundle(ctx, e, f, tell)
	if err := errors.Join(err, f.Close()); err != nil {
		if errors.Is(err, unix.ENOSPC) {
			err = errors.Join(err, job.Faultf(job.CodeFull, "The bundle does not fit."))
		}
		return store.Bundled{}, fmt.Errorf("export bundle of %s: %w", e.Image, err)
	}
	if e.Opened == nil {
		if err := NameNew(f.Name(), e.File); err != nil {
			return store.Bundled{}, err
		}
	}
	return out, l.DB.Update(func(tx *store.Tx) error {
		return tx.Audit(operator, "export", out.Version.Ref().String(), "As a bundle to "+filepath.Base(e.File)+".")
	})
}

func (l *Library) exportBundle(ctx context.Context, e store.BundleExport, f *os.File, tell func(store.Work)) (store.Bundled, error) {
	if !filepath.IsAbs(e.File) {
		return store.Bundled{}, job.Faultf(job.CodeBadRequest, "The file must be named by its whole path.")
	}
	v, signed, err := l.portable(e.Image)
	if err != nil {
		return store.Bundled{}, err
	}
	out := store.Bundled{Version: v, Key: bundle.Fingerprint(signed.Key)}
	if out.Chunks, err = l.writeBundle(ctx, f, v, signed, tell); err != nil {
		return out, err
	}
	if err := errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)); err != nil {
		return out, err
	}
	return out, l.proveBundle(ctx, f, &out, tell)
}

// portable finds a version that may leave this server, with what was signed about it.
func (l *Library) portable(ref string) (v store.Version, s store.Signed, err error) {
	err = l.DB.View(func(tx *store.Tx) error {
		if v, err = named(tx, ref); err != nil {
			return err
		}
		if err := mayTravel(v); err != nil {
			return err
		}
		what, _, err := tx.CheckSigned(v)
		if err != nil {
			return err
		}
		if what != "" {
			return job.Faultf(job.CodeStatement, "%s: %s.", v.Ref(), what)
		}
		s, err = tx.Signed(v.Image, v.Number)
		return err
	})
	return v, s, err
}

// writeBundle writes statement, manifest and each chunk at its first use.
func (l *Library) writeBundle(ctx context.Context, f *os.File, v store.Version, signed store.Signed, tell func(store.Work)) (chunks uint64, err error) {
	w, err := bundle.NewWriter(f, signed.Key, signed.Envelope)
	if err != nil {
		return 0, err
	}
	m, err := l.Store.OpenManifest(v.Manifest)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := w.Manifest(m.Bytes()); err != nil {
		return 0, err
	}
	first, err := firstUses(m)
	if err != nil {
		return 0, err
	}
	told, done := phaseTeller("writing", tell), uint64(0)
	for n, err := range m.All() {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return chunks, err
		}
		if n.Kind != imaging.Data {
			continue
		}
		done += n.Length
		if first.has(n.N) {
			frame, err := l.Store.Frame(n.Digest)
			if err != nil {
				return chunks, fmt.Errorf("extent %d: %w", n.N, err)
			}
			if err := w.Chunk(n.Digest, int(n.Length), frame); err != nil {
				return chunks, err
			}
			chunks++
		}
		told(done, v.DataBytes)
	}
	return chunks, w.Close()
}

// proveBundle reads the written file as an import would, and keeps nothing.
func (l *Library) proveBundle(ctx context.Context, f *os.File, out *store.Bundled, tell func(store.Work)) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	out.Bytes = uint64(st.Size())
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r, err := bundle.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return err
	}
	if err := r.Manifest(io.Discard); err != nil {
		return err
	}
	var plain []byte
	told, done := phaseTeller("checking", tell), uint64(0)
	for {
		h, frame, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if plain, err = imaging.DecodeChunk(frame, plain, h.Digest, int(h.Plain)); err != nil {
			return errors.Join(err, job.Faultf(job.CodeChunk, "Chunk %s.", h.Digest.Short()))
		}
		done += uint64(h.Stored)
		told(done, out.Bytes)
	}
}
