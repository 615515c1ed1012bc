package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/store"
)

// Restored is what came back.
type Restored struct {
	Head
	Files   int      `json:"files"`
	Bytes   int64    `json:"bytes"`
	Config  string   `json:"config,omitempty"`  // where the configuration lies now; empty when there was none
	Damaged []string `json:"damaged,omitempty"` // what was damaged already when the backup was made
}

// staging is how the folder begins in which a backup is unpacked.
const staging = ".restore-"

// harmless may lie in a data folder into which a backup is restored: it says nothing about laptops or images.
var harmless = []string{"boot", "lost+found", "ingot.lock", "chunks.lock"}

// Empty refuses a data folder that holds anything of a server.
func Empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	for _, e := range entries {
		if !slices.Contains(harmless, e.Name()) && !strings.HasPrefix(e.Name(), staging) {
			return job.Faultf(job.CodeNotEmpty, "%s holds %q.", dir, e.Name())
		}
	}
	return nil
}

// Restore puts a backup into an empty data folder, which the caller has locked. The restored record says by whom. When
// it fails the folder is as it was.
func Restore(ctx context.Context, from io.Reader, passphrase, dir, operator string) (_ Restored, err error) {
	if err := Empty(dir); err != nil {
		return Restored{}, err
	}
	if err := clearStaging(dir); err != nil { // of a restore that was killed
		return Restored{}, err
	}
	u := &unpack{}
	if u.dir, err = os.MkdirTemp(dir, staging+"*"); err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(u.dir)) }()
	if u.out.Head, err = Read(ctx, from, passphrase, u.take); err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	if err := u.prove(operator); err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	if err := u.place(dir); err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	return u.out, nil
}

func clearStaging(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, staging+"*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// unpack is one Restore.
type unpack struct {
	dir string
	out Restored
}

func (u *unpack) path(name string) string { return filepath.Join(u.dir, filepath.FromSlash(name)) }

// take writes one file, makes it durable, and proves contents by their names.
func (u *unpack) take(_ Head, name string, size int64, r io.Reader) (err error) {
	if err := os.MkdirAll(filepath.Dir(u.path(name)), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(u.path(name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	n, err := io.Copy(f, r)
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("%s: %w", name, io.ErrUnexpectedEOF)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	u.out.Files, u.out.Bytes = u.out.Files+1, u.out.Bytes+size
	if !chunkstore.FileName(name) {
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	whole, err := chunkstore.ProveFile(name, f)
	if err == nil && !whole {
		u.out.Damaged = append(u.out.Damaged, name)
	}
	return err
}

// prove opens the records under the server's own key, proves them, and writes down that they were restored.
func (u *unpack) prove(operator string) (err error) {
	for _, name := range []string{dbName, jobsKey, agentKey} {
		if _, err := os.Stat(u.path(name)); err != nil {
			return errors.Join(err, job.Faultf(job.CodeBackupFile, "It holds no %s.", name))
		}
	}
	key, err := sign.LoadOrCreate(u.path(jobsKey))
	if err != nil {
		return errors.Join(err, job.Faultf(job.CodeBackupFile, "Its key %s cannot be used.", jobsKey))
	}
	db, err := store.Open(u.path(dbName), store.Options{Signer: key})
	if err != nil {
		return errors.Join(err, job.Faultf(job.CodeBackupFile, "Its records cannot be opened: %s.", job.Reason(err)))
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	checked, err := db.CheckRecords()
	if err != nil {
		return err
	}
	for _, d := range checked.Damage {
		u.out.Damaged = append(u.out.Damaged, d.What)
	}
	return db.Update(func(tx *store.Tx) error {
		return tx.Audit(operator, "restore", "server", fmt.Sprintf("From the backup of %s, which ends with event %d.", u.out.Made.Format("2006-01-02 15:04:05"), u.out.Events))
	})
}

// place gives everything its name in the data folder, the database last: without it the folder is no server's.
func (u *unpack) place(dir string) (err error) {
	if err := syncTree(u.dir); err != nil {
		return err
	}
	var placed []string
	defer func() {
		for _, path := range placed {
			if err != nil {
				err = errors.Join(err, os.RemoveAll(path))
			}
		}
	}()
	entries, err := os.ReadDir(u.dir)
	if err != nil {
		return err
	}
	names := []string{}
	for _, e := range entries {
		if e.Name() != dbName {
			names = append(names, e.Name())
		}
	}
	for _, name := range append(names, dbName) {
		if err := os.Rename(u.path(name), filepath.Join(dir, name)); err != nil {
			return err
		}
		placed = append(placed, filepath.Join(dir, name))
		if name == configName {
			u.out.Config = filepath.Join(dir, name)
		}
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// syncTree makes the names in a folder and in those within it durable.
func syncTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := syncTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return syncDir(dir)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
