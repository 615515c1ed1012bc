package library

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging"
	"ingot/imaging/capture"
	"ingot/imaging/chunkstore"
	"ingot/imaging/diskfile"
	"ingot/imaging/inspect"
	"ingot/imaging/job"
	"ingot/store"
)

// Library joins the records and the chunks. Its methods may be called from any goroutine.
type Library struct {
	DB       *store.DB
	Store    *chunkstore.Store
	MustHave []inspect.Need // what this site wants in its images

	// For other servers; see peers.go.
	Pin     string         // of the agent listener, under which they ask
	Address func() string  // of that listener at this moment, as told to their operators; nil tells none
	Log     zerolog.Logger // is told who was refused

	pushes pushes
	pause  time.Duration // before a transfer that was cut off is tried again, doubled each time; 0 means a second
}

// Images lists the versions of all images.
func (l *Library) Images(context.Context) (out []store.VersionView, err error) {
	err = l.DB.View(func(tx *store.Tx) error { out, err = tx.VersionViews(); return err })
	return out, err
}

// Import makes a Version of a disk file. A file whose content the image holds already adds nothing.
func (l *Library) Import(ctx context.Context, operator string, in store.Import, tell func(store.Work)) (store.Imported, error) {
	if err := checkImport(in); err != nil {
		return store.Imported{}, errors.Join(err, closeOpened(in.Opened))
	}
	file, err := openDisk(in)
	if err != nil {
		return store.Imported{}, err
	}
	cut, err := l.cut(ctx, in.Image)
	if err != nil {
		return store.Imported{}, errors.Join(err, file.Close())
	}
	res, stats, err := l.capture(ctx, file, in, cut, tell)
	if err := errors.Join(err, file.Close()); err != nil {
		return store.Imported{}, err
	}
	defer l.Store.Named(res.Manifest)
	v := store.Version{Image: in.Image, Label: in.Label, Note: in.Note, By: operator, Source: filepath.Base(in.File), MemoryBytes: in.MemoryBytes}
	v, seen, err := l.examine(ctx, v, res.Manifest, stats, tell)
	if err != nil {
		return store.Imported{}, err
	}
	var out store.Imported
	err = l.DB.Update(func(tx *store.Tx) (err error) {
		out, err = record(tx, "import", v, seen.Content, in.Release)
		return err
	})
	return out, err
}

// examine is how every disk comes into the library, of a file or of a laptop: what its stored manifest tells goes into v,
// a draft, and what a look inside finds.
func (l *Library) examine(ctx context.Context, v store.Version, manifest imaging.Digest, stats chunkstore.Stats, tell func(store.Work)) (store.Version, Looked, error) {
	v.State = store.Draft
	if err := l.describe(&v, manifest, stats); err != nil {
		return v, Looked{}, err
	}
	seen, err := l.Look(ctx, v, tell)
	if err != nil {
		return v, seen, err
	}
	seen.Describe(&v)
	return v, seen, nil
}

// closeOpened closes what an asker opened and nobody needs.
func closeOpened(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// maxMemory bounds what an image may ask for, in bytes.
const maxMemory = 1 << 42

func checkImport(in store.Import) error {
	if err := store.CheckLabel("an image", in.Image); err != nil {
		return err
	}
	if err := store.CheckWords(in.Label, in.Note); err != nil {
		return err
	}
	if !filepath.IsAbs(in.File) || in.Grow < capture.NoGrow || in.Grow > 256 || in.Root < 0 || in.Root > 256 || in.MemoryBytes > maxMemory {
		return job.Faultf(job.CodeBadRequest, "The file must be named by its whole path, the partition by its number.")
	}
	return nil
}

// openDisk opens the file and puts the reasons against it into words.
func openDisk(in store.Import) (f *diskfile.File, err error) {
	path := in.File
	if in.Opened != nil {
		f, err = diskfile.From(in.Opened, path)
	} else {
		f, err = diskfile.Open(path)
	}
	var r *diskfile.Refusal
	switch {
	case err == nil:
		return f, nil
	case errors.As(err, &r):
		return nil, errors.Join(err, job.Faultf(job.CodeImageInvalid, "%s: %s.", filepath.Base(path), r.Why))
	case errors.Is(err, os.ErrNotExist):
		return nil, errors.Join(err, job.Faultf(job.CodeNotFound, "No file %s.", path))
	case errors.Is(err, os.ErrPermission):
		return nil, errors.Join(err, job.Faultf(job.CodePolicy, "The file %s may not be read.", path))
	}
	return nil, errors.Join(err, job.Faultf(job.CodeImageInvalid, "%s cannot be read.", filepath.Base(path)))
}

func (l *Library) capture(ctx context.Context, file *diskfile.File, in store.Import, cut imaging.Params, tell func(store.Work)) (capture.Result, chunkstore.Stats, error) {
	batch := l.Store.NewBatch()
	res, err := capture.Run(ctx, file, capture.Sink{Chunks: batch, Manifests: l.Store}, capture.Options{Params: cut, RootPartition: in.Root, GrowPartition: in.Grow, Progress: func(p capture.Progress) {
		tell(store.Work{Phase: "importing", DoneBytes: p.Done, TotalBytes: p.Total, BytesPerSec: uint64(p.BytesPerSec), SecondsLeft: p.SecondsLeft})
	}})
	return res, batch.Stats(), err
}

// describe reads from the stored manifest what a Version tells: what cannot be read back is not recorded.
func (l *Library) describe(v *store.Version, manifest imaging.Digest, stats chunkstore.Stats) error {
	m, err := l.Store.OpenManifest(manifest)
	if err != nil {
		return fmt.Errorf("read back manifest: %w", err)
	}
	h := m.Header()
	v.Manifest, v.DiskSize, v.SectorSize, v.Table, v.DataExtents = manifest, h.DiskSize, h.SectorSize, h.Table, h.DataExtents
	v.DataBytes, v.ZeroBytes, v.FreeBytes, v.StoredBytes, v.OS = h.DataBytes, h.ZeroBytes, h.FreeBytes, stats.StoredBytes, h.OS.Name
	v.Personalise, v.Firmware, v.RootPart, v.GrowPart, v.SwapPart = h.OS.Personalise, h.Firmware, h.RootPartition, h.GrowPartition, h.SwapPartition
	v.GrowWhy = h.GrowRefusal(h.GrowPartition, h.SwapPartition)
	v.ZeroExtents, v.FreeExtents = 0, 0
	for n, err := range m.All() {
		if err != nil {
			return errors.Join(err, m.Close())
		}
		switch n.Kind {
		case imaging.Zero:
			v.ZeroExtents++
		case imaging.Free:
			v.FreeExtents++
		}
	}
	v.NeedBytes = h.DiskSize // the agent moves no partition towards the front, so a smaller drive is refused
	return errors.Join(l.loaders(v), m.Close())
}

// loaders tells by which programs firmware starts the stored disk.
func (l *Library) loaders(v *store.Version) error {
	disk, err := l.Store.OpenDisk(v.Manifest)
	if err != nil {
		return err
	}
	v.Loaders, err = capture.Loaders(stored{disk})
	return errors.Join(err, disk.Close())
}
