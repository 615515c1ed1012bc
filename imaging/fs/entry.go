package fs

import (
	"errors"
	"fmt"
	"io"
)

// maxEntries bounds the entries of one folder that are listed.
const maxEntries = 1 << 18

var errEntries = errors.New("the folder has too many entries")

// Hole and NotPlaced are what File.Place gives instead of a place: nothing was ever written there, so that it reads
// as zeros; or the content lies in no place of its own (inside a record of the file system, say) and has to be read.
const (
	Hole      = -1
	NotPlaced = -2
)

// Entry is a file as its folder lists it. It is opened or listed without walking its path again.
type Entry struct {
	Stat
	v *Volume
	n node
}

// Root is the root folder.
func (v *Volume) Root() (Entry, error) {
	n, err := v.v.root()
	if err != nil {
		return Entry{}, err
	}
	return Entry{n.stat(), v, n}, nil
}

// Entries lists the folder at path without "." and "..", in the order of the disk.
func (v *Volume) Entries(path string) ([]Entry, error) {
	n, err := v.walk(path)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", path, err)
	}
	l, err := Entry{n.stat(), v, n}.List()
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", path, err)
	}
	return l, nil
}

// List lists a folder without "." and "..", in the order of the disk.
func (e Entry) List() ([]Entry, error) {
	if e.Mode != Dir {
		return nil, errors.New("not a folder")
	}
	all, err := e.v.v.list(e.n)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, len(all))
	for i, n := range all {
		out[i] = Entry{n.stat(), e.v, n}
	}
	return out, nil
}

// Link reads the target of a symbolic link.
func (e Entry) Link() (string, error) { return e.v.v.readlink(e.n) }

// Open opens a regular file.
func (e Entry) Open() (*File, error) {
	if e.Mode != Regular {
		return nil, errors.New("not a regular file")
	}
	return &File{e}, nil
}

// OpenFile opens the regular file at path, following symbolic links. ErrNotExist when there is none.
func (v *Volume) OpenFile(path string) (*File, error) {
	n, err := v.walk(path)
	if err == nil && n.stat().Mode != Regular {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &File{Entry{n.stat(), v, n}}, nil
}

// File is an open regular file.
type File struct{ e Entry }

// Stat describes the file.
func (f *File) Stat() Stat { return f.e.Stat }

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read at a negative offset")
	}
	if off >= f.e.Size {
		return 0, io.EOF
	}
	n := min(int64(len(b)), f.e.Size-off)
	if err := f.e.v.v.read(f.e.n, b[:n], off); err != nil {
		return 0, err
	}
	if n < int64(len(b)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// Place tells where in the volume the byte at off of the file lies, and how many bytes from there on lie together
// with it; the last run may reach behind the file's end. at is Hole or NotPlaced when it has no place.
func (f *File) Place(off int64) (at, run int64, err error) { return f.e.v.v.place(f.e.n, off) }
