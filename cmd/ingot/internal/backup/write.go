package backup

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
	"ingot/store"
)

// Source is an open data folder on which a daemon may be at work.
type Source struct {
	Dir     string
	DB      *store.DB
	Chunks  *chunkstore.Store
	Config  string // path of the configuration file; it need not be there
	Version string // of this Ingot

	WorkFactor int // log2 of scrypt's N; 0 is the default
}

// Backup is a server as it was at one moment, ready to be written. The image store is held until Close.
type Backup struct {
	src     Source
	head    Head
	db      *os.File // a copy without a name
	files   []file
	damaged uint64
	release func()
}

// file is one thing that goes into the archive.
type file struct {
	name string
	size int64
	open func() (io.ReadCloser, error)
}

// Take takes a server's state. It needs room for a second copy of the database in the data folder.
func Take(ctx context.Context, s Source, packs bool) (_ *Backup, err error) {
	b := &Backup{src: s}
	if b.release, err = s.Chunks.Hold(ctx); err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("back up: %w", err), b.Close())
		}
	}()
	if err := b.takeRecords(packs); err != nil {
		return nil, err
	}
	if err := b.takeSmall(); err != nil {
		return nil, err
	}
	contents, err := s.Chunks.Files(packs)
	if err != nil {
		return nil, err
	}
	for _, f := range contents {
		b.files = append(b.files, file{name: f.Name, size: f.Size, open: func() (io.ReadCloser, error) { return f.Open() }})
	}
	return b, nil
}

// takeRecords copies the database, and says what of it was damaged before.
func (b *Backup) takeRecords(packs bool) error {
	checked, err := b.src.DB.CheckRecords()
	if err != nil {
		return err
	}
	b.damaged = uint64(len(checked.Damage)) + checked.More
	if b.db, err = os.CreateTemp(b.src.Dir, ".backup-*"); err != nil {
		return err
	}
	if err := os.Remove(b.db.Name()); err != nil {
		return err
	}
	newest, err := b.src.DB.Snapshot(b.db)
	if err != nil {
		return err
	}
	st, err := b.db.Stat()
	if err != nil {
		return err
	}
	b.head = Head{Format: Format, Schema: store.Schema, Version: b.src.Version, Made: time.Now().UTC().Truncate(time.Second), Packs: packs,
		Events: newest.Number, Head: newest.Hash}
	b.files = append(b.files, file{name: dbName, size: st.Size(), open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(b.db, 0, st.Size())), nil
	}})
	return nil
}

// takeSmall adds keys and configuration.
func (b *Backup) takeSmall() error {
	keys, err := os.ReadDir(filepath.Join(b.src.Dir, "keys"))
	if err != nil {
		return err
	}
	for _, k := range keys {
		if name := "keys/" + k.Name(); k.Type().IsRegular() && keyFile.MatchString(name) {
			if err := b.addSmall(name, filepath.Join(b.src.Dir, name)); err != nil {
				return err
			}
		}
	}
	if err := b.addSmall(configName, b.src.Config); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (b *Backup) addSmall(name, path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() || st.Size() > maxSmall {
		return job.Faultf(job.CodeFile, "%s is no file of at most %d bytes.", path, maxSmall)
	}
	b.files = append(b.files, file{name: name, size: st.Size(), open: func() (io.ReadCloser, error) { return os.Open(path) }})
	return nil
}

// Size is about how many bytes WriteTo will write.
func (b *Backup) Size() int64 {
	var n int64 = 4096
	for _, f := range b.files {
		n += f.size + 1024
	}
	return n + n>>12 // 16 bytes for each 64 KiB
}

// Write writes the whole file. When it fails, what was written is no backup.
func (b *Backup) Write(ctx context.Context, w io.Writer, passphrase string) (store.ServerBackedUp, error) {
	out := store.ServerBackedUp{Made: b.head.Made, Version: b.head.Version, Packs: b.head.Packs, Events: b.head.Events, Head: b.head.Head, Damaged: b.damaged}
	lock, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return out, fmt.Errorf("back up: %w", err)
	}
	lock.SetWorkFactor(workFactor)
	if b.src.WorkFactor != 0 {
		lock.SetWorkFactor(b.src.WorkFactor)
	}
	sealed, err := age.Encrypt(w, lock)
	if err != nil {
		return out, fmt.Errorf("back up: %w", err)
	}
	archive := tar.NewWriter(sealed)
	if err := b.putJSON(archive, headName, b.head); err != nil {
		return out, err
	}
	for _, f := range b.files {
		if err := b.put(ctx, archive, f); err != nil {
			return out, fmt.Errorf("back up %s: %w", f.name, err)
		}
		out.Files, out.Bytes = out.Files+1, out.Bytes+f.size
	}
	if err := b.putJSON(archive, endName, End{Files: out.Files, Bytes: out.Bytes}); err != nil {
		return out, err
	}
	if err := archive.Close(); err != nil {
		return out, fmt.Errorf("back up: %w", err)
	}
	if err := sealed.Close(); err != nil { // writes the last piece: without it the file is cut off
		return out, fmt.Errorf("back up: %w", err)
	}
	return out, nil
}

func (b *Backup) header(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: b.head.Made}
}

func (b *Backup) putJSON(archive *tar.Writer, name string, v any) error {
	body, err := json.Marshal(v)
	if err == nil {
		err = archive.WriteHeader(b.header(name, int64(len(body))))
	}
	if err == nil {
		_, err = archive.Write(body)
	}
	if err != nil {
		return fmt.Errorf("back up %s: %w", name, err)
	}
	return nil
}

// put copies one file; one that is not as long as it was is an error of the archive.
func (b *Backup) put(ctx context.Context, archive *tar.Writer, f file) (err error) {
	r, err := f.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := archive.WriteHeader(b.header(f.name, f.size)); err != nil {
		return err
	}
	if _, err := io.Copy(archive, &reader{ctx: ctx, r: io.LimitReader(r, f.size)}); err != nil {
		return err
	}
	return archive.Flush() // says when the file was shorter
}

// Close gives the copy and the hold on the image store up.
func (b *Backup) Close() error {
	if b.release != nil {
		b.release()
	}
	if b.db != nil {
		return b.db.Close()
	}
	return nil
}

// reader stops when its context ends, and remembers whether the failure was the source's own.
type reader struct {
	ctx context.Context
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.err = r.ctx.Err(); r.err != nil {
		return 0, r.err
	}
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}
