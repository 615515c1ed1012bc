package firmware

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// tempPrefix marks folders and links of a build that has not ended.
const tempPrefix = "tmp-"

// out is the path of a file of the bundle to be.
func (b *builder) out(name string) string { return filepath.Join(b.work, "bundle", name) }

// put writes one file of the bundle, durable, and records it.
func (b *builder) put(e Entry, data []byte) error {
	if err := writeDurable(b.out(e.Name), data); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	e.Size, e.SHA256 = int64(len(data)), hex.EncodeToString(sum[:])
	b.record.Files = append(b.record.Files, e)
	return nil
}

// finish writes the record, gives the folder the name of its digest and switches to it.
func (b *builder) finish(ctx context.Context) (*Bundle, error) {
	raw, err := json.MarshalIndent(b.record, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", recordName, err)
	}
	raw = append(raw, '\n')
	if err := writeDurable(b.out(recordName), raw); err != nil {
		return nil, err
	}
	if err := syncDir(b.out("")); err != nil {
		return nil, err
	}
	name := dirName(sha256.Sum256(raw))
	if err := moveInto(b.out(""), filepath.Join(b.Dir, name)); err != nil {
		return nil, err
	}
	before, err := os.Readlink(filepath.Join(b.Dir, currentLink))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := switchTo(b.Dir, name, filepath.Join(b.work, "link")); err != nil {
		return nil, err
	}
	bundle, err := Open(b.Dir)
	if err != nil {
		return nil, err
	}
	b.Log.Info().Str("bundle", name).Msg("boot bundle ready")
	if b.InUse == nil {
		return bundle, prune(b.Dir, name, []string{cmp.Or(other(before, name), newestOther(b.Dir, name))})
	}
	b.pruneUnused(ctx, name)
	return bundle, nil
}

// moveInto moves the new folder to its name. One of that name is there when nothing changed since an earlier
// build; the two change places in one step, in case it was damaged meanwhile, so that the name never is empty.
func moveInto(from, to string) error {
	err := os.Rename(from, to)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		err = unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
	}
	if err != nil {
		return fmt.Errorf("move the bundle to %s: %w", to, err)
	}
	return nil
}

// switchTo points the current link at a bundle in one step.
func switchTo(dir, name, temp string) error {
	if err := os.Symlink(name, temp); err != nil {
		return err
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(dir, currentLink)); err != nil {
		return err
	}
	return syncDir(dir)
}

// removeLeftovers clears what a killed build left. The caller holds the lock.
func removeLeftovers(dir string) error {
	return eachEntry(dir, func(name string) error {
		if strings.HasPrefix(name, tempPrefix) {
			return os.RemoveAll(filepath.Join(dir, name))
		}
		return nil
	})
}

// dropOthers removes packages that this build did not use from the download folder.
func dropOthers(dir string, used []deb) error {
	return eachEntry(dir, func(name string) error {
		file := filepath.Join(dir, name)
		if debName.MatchString(name) && !slices.ContainsFunc(used, func(d deb) bool { return d.file == file }) {
			return os.Remove(file)
		}
		return nil
	})
}

func eachEntry(dir string, fn func(name string) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := fn(e.Name()); err != nil {
			return err
		}
	}
	return nil
}

func writeDurable(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.Close()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// digestOf reads a whole file from its start.
func digestOf(f *os.File) (int64, string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, "", err
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return 0, "", fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return n, hex.EncodeToString(h.Sum(nil)), nil
}
