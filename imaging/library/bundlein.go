package library

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"ingot/imaging"
	"ingot/imaging/bundle"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/store"
)

// ImportBundle makes a Version of a bundle file. Its signature must be by this server's own key, by a trusted one, or
// by the one whose fingerprint the operator gives; every byte is proven before the Version is recorded, as a draft.
// What is refused leaves no manifest and no Version; chunks that were whole may stay until the next cleaning.
func (l *Library) ImportBundle(ctx context.Context, operator string, in store.BundleImport, tell func(store.Work)) (store.Imported, error) {
	f, err := openBundle(in)
	if err != nil {
		return store.Imported{}, err
	}
	out, err := l.importBundle(ctx, operator, in, f, tell)
	if err := errors.Join(err, f.Close()); err != nil {
		return store.Imported{}, fmt.Errorf("import bundle: %w", err)
	}
	return out, nil
}

func openBundle(in store.BundleImport) (*os.File, error) {
	if in.Image != "" {
		if err := store.CheckLabel("an image", in.Image); err != nil {
			return nil, errors.Join(err, closeOpened(in.Opened))
		}
	}
	if in.Trust != "" && !bundle.CheckFingerprint(in.Trust) {
		return nil, errors.Join(job.Faultf(job.CodeBadRequest, "A fingerprint is sha256: and 64 hexadecimal digits."), closeOpened(in.Opened))
	}
	if in.Opened != nil {
		return in.Opened, nil
	}
	if !filepath.IsAbs(in.File) {
		return nil, job.Faultf(job.CodeBadRequest, "The file must be named by its whole path.")
	}
	f, err := os.Open(in.File)
	if errors.Is(err, os.ErrNotExist) {
		err = job.Faultf(job.CodeNotFound, "No file %s.", in.File)
	}
	return f, err
}

func (l *Library) importBundle(ctx context.Context, operator string, in store.BundleImport, f *os.File, tell func(store.Work)) (store.Imported, error) {
	st, err := f.Stat()
	if err != nil {
		return store.Imported{}, err
	}
	if !st.Mode().IsRegular() {
		return store.Imported{}, job.Faultf(job.CodeImageBundle, "%s is no plain file.", filepath.Base(in.File))
	}
	r, err := bundle.NewReader(f)
	if err != nil {
		return store.Imported{}, bundleWords(err)
	}
	c := copied{operator: operator, image: in.Image, source: filepath.Base(in.File), release: in.Release}
	c.signed.Key, c.signed.Envelope = r.Signed()
	if err := l.admit(&c, in.Trust); err != nil {
		return store.Imported{}, err
	}
	batch := l.Store.NewBatch()
	defer batch.Abort()
	if err := l.takeBundle(ctx, r, c.said, batch, uint64(st.Size()), tell); err != nil {
		return store.Imported{}, bundleWords(err)
	}
	return l.record(ctx, c, batch.Stats(), tell)
}

// copied is a version of another server on its way into this library.
type copied struct {
	operator string
	image    string // to put it under; empty keeps its name
	source   string // where it came from, for people
	release  bool
	trust    string // name under which its key is taken into the list; empty when it is trusted already
	signed   store.Signed
	said     bundle.Statement
}

// admit opens the statement of a copy and decides whether its key is taken. confirmed is the fingerprint that an
// operator compared, or "".
func (l *Library) admit(c *copied, confirmed string) error {
	said, err := c.signed.Open()
	if err != nil {
		return errors.Join(err, job.Faultf(job.CodeStatement, ""))
	}
	c.said = said
	if said.Kind == string(store.Backup) {
		return job.Faultf(job.CodePolicy, "It is a backup: it goes back onto its own laptop and nowhere else.")
	}
	if err := checkStatement(said); err != nil {
		return err
	}
	trusted := false
	if err := l.DB.View(func(tx *store.Tx) (err error) { trusted, err = tx.Trusts(c.signed.Key); return err }); err != nil || trusted {
		return err
	}
	own := bundle.Fingerprint(c.signed.Key)
	if confirmed == "" {
		return job.Faultf(job.CodeUntrustedKey, "Its key has the fingerprint %s.", own)
	}
	if confirmed != own {
		return job.Faultf(job.CodeUntrustedKey, "Its key has the fingerprint %s, not %s.", own, confirmed)
	}
	c.trust = c.source
	return nil
}

// checkStatement bounds what another server says, as if a person had said it here.
func checkStatement(s bundle.Statement) error {
	err := checkImport(store.Import{Image: s.Image, Label: s.Label, Note: s.Note, File: "/" + s.Source, MemoryBytes: s.MemoryBytes})
	if err != nil || s.Number < 1 || len(s.Source) > 1000 || len(s.By) > 200 {
		return errors.Join(err, job.Faultf(job.CodeStatement, "Its words are out of bounds."))
	}
	return nil
}

// bundleWords puts the reader's reasons into words.
func bundleWords(err error) error {
	var f *job.Fault
	switch {
	case err == nil || errors.As(err, &f):
		return err
	case errors.Is(err, bundle.ErrShort):
		return errors.Join(err, job.Faultf(job.CodeBundleShort, "%s.", job.Reason(err)))
	case errors.Is(err, bundle.ErrBundle), errors.Is(err, imaging.ErrChunk), errors.Is(err, imaging.ErrManifest), errors.Is(err, chunkstore.ErrMissing):
		return errors.Join(err, job.Faultf(job.CodeImageBundle, "%s.", job.Reason(err)))
	case errors.Is(err, sign.ErrSignature):
		return errors.Join(err, job.Faultf(job.CodeStatement, ""))
	}
	return err
}

// takeBundle stores manifest and chunks, and returns when all of it is proven and durable.
func (l *Library) takeBundle(ctx context.Context, r *bundle.Reader, said bundle.Statement, batch *chunkstore.Batch, size uint64, tell func(store.Work)) error {
	f, err := l.Store.CreateManifest()
	if err != nil {
		return err
	}
	if err := l.fillFrom(ctx, r, said.Manifest, f, batch, size, tell); err != nil {
		return errors.Join(err, l.Store.DropManifest(f))
	}
	if err := batch.Commit(); err != nil {
		return errors.Join(err, l.Store.DropManifest(f))
	}
	_, err = l.Store.PutManifest(f)
	return err
}

func (l *Library) fillFrom(ctx context.Context, r *bundle.Reader, want imaging.Digest, f *os.File, batch *chunkstore.Batch, size uint64, tell func(store.Work)) error {
	if err := r.Manifest(f); err != nil {
		return err
	}
	m, err := openIncoming(f, want)
	if err != nil {
		return err
	}
	next := newExpected(m)
	told, done := phaseTeller("importing", tell), uint64(0)
	var plain []byte
	for {
		h, frame, err := r.Next()
		if errors.Is(err, io.EOF) {
			told(size, size)
			return nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := next.accept(h); err != nil {
			return err
		}
		if plain, err = imaging.DecodeChunk(frame, plain, h.Digest, int(h.Plain)); err != nil {
			return err
		}
		if _, err := batch.Put(plain); err != nil {
			return err
		}
		done += imaging.ChunkHeadSize + uint64(h.Stored)
		told(done, size)
	}
}

// manifestFile is a file that a manifest is being written to.
type manifestFile interface {
	io.Writer
	io.ReaderAt
	Stat() (os.FileInfo, error)
}

// openIncoming opens a manifest that came from elsewhere, when it is the signed one.
func openIncoming(f manifestFile, want imaging.Digest) (*imaging.Manifest, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m, err := imaging.OpenManifest(f, st.Size())
	if err != nil {
		return nil, err
	}
	if m.Digest() != want {
		return nil, fmt.Errorf("%w: its digest is %s, signed was %s", imaging.ErrManifest, m.Digest().Short(), want.Short())
	}
	if err := m.Verify(); err != nil {
		return nil, err
	}
	return m, nil
}

// expected knows which chunks a manifest names, in order, so that nothing else is stored.
type expected struct {
	m    *imaging.Manifest
	at   uint64
	some []imaging.Extent
}

func newExpected(m *imaging.Manifest) *expected { return &expected{m: m} }

// accept takes a chunk that the manifest names behind the last one.
func (x *expected) accept(h imaging.ChunkHead) error {
	for {
		for i, e := range x.some {
			if e.Kind == imaging.Data && e.Digest == h.Digest && e.Length == uint64(h.Plain) {
				x.some = x.some[i+1:]
				return nil
			}
		}
		buf := make([]imaging.Extent, imaging.WindowSize)
		n, err := x.m.Extents(x.at, buf)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: chunk %s is not named by its manifest, or stands in the wrong place", bundle.ErrBundle, h.Digest.Short())
		}
		x.at, x.some = x.at+uint64(n), buf[:n]
	}
}

// record makes the copy a Version of this library, in one transaction: a draft with its origin.
func (l *Library) record(ctx context.Context, c copied, stats chunkstore.Stats, tell func(store.Work)) (store.Imported, error) {
	defer l.Store.Named(c.said.Manifest)
	v := store.Version{Image: cmp.Or(c.image, c.said.Image), Label: c.said.Label, Note: c.said.Note, By: c.operator, Source: c.source}
	v, seen, err := l.examine(ctx, v, c.said.Manifest, stats, tell)
	if err != nil {
		return store.Imported{}, err
	}
	v.MemoryBytes, v.OS = c.said.MemoryBytes, cmp.Or(c.said.OS, v.OS)
	if len(c.said.Loaders) > 0 {
		if err := json.Unmarshal(c.said.Loaders, &v.Loaders); err != nil {
			return store.Imported{}, errors.Join(err, job.Faultf(job.CodeStatement, "Its list of boot loaders cannot be read."))
		}
	}
	v.Origin = fmt.Sprintf("%s@%d of %s", c.said.Image, c.said.Number, bundle.Fingerprint(c.signed.Key))
	var out store.Imported
	err = l.DB.Update(func(tx *store.Tx) error {
		if c.trust != "" {
			if err := tx.Trust(c.signed.Key, c.trust, c.operator); err != nil {
				return err
			}
		}
		out, err = record(tx, "import", v, seen.Content, c.release)
		if err != nil || out.Known {
			return err
		}
		return tx.AddOrigin(out.Version, c.signed)
	})
	return out, err
}
