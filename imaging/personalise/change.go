package personalise

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"ingot/imaging"
	"ingot/imaging/job"
)

// Change is one path of the image as it should be afterwards. Exactly one of Data, Link and Remove is meant:
// Remove wins over Link, Link over Data.
type Change struct {
	Path   string // below the image's root, without a leading slash
	Data   []byte
	Mode   fs.FileMode // permission bits of a file
	Link   string      // the path is a symbolic link to this
	Remove bool        // the path is absent
}

// digest is what ReadBack must find: of the file's bytes or the link's target; zero for a removed path.
func (c Change) digest() imaging.Digest {
	switch {
	case c.Remove:
		return imaging.Digest{}
	case c.Link != "":
		return imaging.Sum([]byte(c.Link))
	}
	return imaging.Sum(c.Data)
}

// Apply makes the changes in order and leaves them durable. It stops at the first error; the image is then not
// to be used.
func Apply(root *os.Root, changes []Change) error {
	for _, c := range changes {
		if err := apply(root, c); err != nil {
			return fault(c.Path, fmt.Errorf("change %s: %w", c.Path, err))
		}
	}
	return nil
}

// fault gives an error its words: which file it was. The raw cause stays in the chain for the log.
func fault(name string, err error) error {
	return fmt.Errorf("%w: %w", job.Faultf(job.CodePersonalise, "The file is /%s.", name), err)
}

func apply(root *os.Root, c Change) error {
	if c.Remove {
		if err := root.Remove(c.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return syncDir(root, path.Dir(c.Path))
	}
	if err := root.MkdirAll(path.Dir(c.Path), 0o755); err != nil {
		return err
	}
	temp := path.Join(path.Dir(c.Path), ".ingot-new")
	if err := root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var err error
	if c.Link != "" {
		err = root.Symlink(c.Link, temp)
	} else {
		err = writeSynced(root, temp, c.Data, c.Mode)
	}
	if err != nil {
		return err
	}
	if err := root.Rename(temp, c.Path); err != nil {
		return err
	}
	return syncDir(root, path.Dir(c.Path))
}

func writeSynced(root *os.Root, name string, b []byte, mode fs.FileMode) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode.Perm())
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Chmod(mode.Perm()), f.Sync(), f.Close()) // Chmod: the umask may have taken bits
}

// syncDir makes the names in a folder durable. A folder that is not there holds no names.
func syncDir(root *os.Root, name string) error {
	d, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReadBack proves the changes on an image that was unmounted and mounted again: each file has the bytes, kind and
// mode that were meant, each removed path is absent.
func ReadBack(root *os.Root, changes []Change) (job.PersonalisedProof, error) {
	var p job.PersonalisedProof
	for _, c := range changes {
		if err := readBack(root, c); err != nil {
			return job.PersonalisedProof{}, fault(c.Path, fmt.Errorf("read back %s: %w", c.Path, err))
		}
		p.Files = append(p.Files, job.WrittenFile{Path: "/" + c.Path, Digest: c.digest()})
	}
	return p, nil
}

func readBack(root *os.Root, c Change) error {
	fi, err := root.Lstat(c.Path)
	if c.Remove {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(errors.New("it is still there"), err)
	}
	if err != nil {
		return err
	}
	if c.Link != "" {
		to, err := root.Readlink(c.Path)
		if err == nil && to != c.Link {
			err = fmt.Errorf("it leads to %q, want %q", to, c.Link)
		}
		return err
	}
	if fi.Mode() != c.Mode.Perm() {
		return fmt.Errorf("its mode is %v, want %v", fi.Mode(), c.Mode.Perm())
	}
	b, err := readFile(root, c.Path, int64(len(c.Data)))
	if err != nil {
		return err
	}
	if imaging.Sum(b) != c.digest() {
		return errors.New("it holds other bytes than were written")
	}
	return nil
}

// errNotFile says that something else stands where a plain file should be.
var errNotFile = errors.New("not a plain file")

// readFile reads a plain file of at most limit bytes. Links are followed within the image only; devices and pipes,
// which would block or do harm, are not opened.
func readFile(root *os.Root, name string, limit int64) ([]byte, error) {
	fi, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, errNotFile
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("more than %d bytes", limit)
	}
	return b, nil
}
