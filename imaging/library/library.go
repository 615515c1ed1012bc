package library

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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
	res, stats, err := l.capture(ctx, file, in, tell)
	if err := errors.Join(err, file.Close()); err != nil {
		return store.Imported{}, err
	}
	v, err := l.describe(res, stats)
	if err != nil {
		return store.Imported{}, err
	}
	v.Loaders, v.MemoryBytes = res.Loaders, in.MemoryBytes
	v.Image, v.Label, v.Note, v.By, v.Source, v.State = in.Image, in.Label, in.Note, operator, filepath.Base(in.File), store.Draft
	seen, err := l.Look(ctx, v, tell)
	if err != nil {
		return store.Imported{}, err
	}
	seen.Describe(&v)
	defer l.Store.Named(res.Manifest)
	return l.shelve(operator, "import", v, seen.Content, in.Release)
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
	if strings.Contains(in.Label, "@") || len(in.Label) > 60 || len(in.Note) > 1000 {
		return job.Faultf(job.CodeBadRequest, "A label has at most 60 characters and no @, a note at most 1000.")
	}
	if strings.ContainsFunc(in.Label+in.Note, unicode.IsControl) || !utf8.ValidString(in.Label+in.Note) {
		return job.Faultf(job.CodeBadRequest, "A label and a note are one line of text each.")
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

func (l *Library) capture(ctx context.Context, file *diskfile.File, in store.Import, tell func(store.Work)) (capture.Result, chunkstore.Stats, error) {
	batch := l.Store.NewBatch()
	res, err := capture.Run(ctx, file, capture.Sink{Chunks: batch, Manifests: l.Store}, capture.Options{RootPartition: in.Root, GrowPartition: in.Grow, Progress: func(p capture.Progress) {
		tell(store.Work{Phase: "importing", DoneBytes: p.Done, TotalBytes: p.Total, BytesPerSec: uint64(p.BytesPerSec), SecondsLeft: p.SecondsLeft})
	}})
	return res, batch.Stats(), err
}

// describe reads from the stored manifest what a Version tells: what cannot be read back is not recorded.
func (l *Library) describe(res capture.Result, stats chunkstore.Stats) (store.Version, error) {
	m, err := l.Store.OpenManifest(res.Manifest)
	if err != nil {
		return store.Version{}, fmt.Errorf("read back manifest: %w", err)
	}
	h := m.Header()
	v := store.Version{
		Manifest: res.Manifest, DiskSize: h.DiskSize, SectorSize: h.SectorSize, Table: h.Table, DataExtents: h.DataExtents,
		DataBytes: h.DataBytes, ZeroBytes: h.ZeroBytes, FreeBytes: h.FreeBytes, StoredBytes: stats.StoredBytes, OS: h.OS.Name,
		Personalise: h.OS.Personalise, Firmware: h.Firmware, RootPart: h.RootPartition, GrowPart: h.GrowPartition, SwapPart: h.SwapPartition,
		GrowWhy: h.GrowRefusal(h.GrowPartition, h.SwapPartition),
	}
	for n, err := range m.All() {
		if err != nil {
			return v, errors.Join(err, m.Close())
		}
		switch n.Kind {
		case imaging.Zero:
			v.ZeroExtents++
		case imaging.Free:
			v.FreeExtents++
		}
	}
	v.NeedBytes = h.DiskSize // the agent moves no partition towards the front, so a smaller drive is refused
	return v, m.Close()
}
