package fs

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Errors of file access that callers tell apart.
var (
	ErrNotExist = errors.New("no such file")
	ErrTooBig   = errors.New("file is larger than asked for")
)

// Bounds of path walking.
const (
	maxLinks    = 40
	maxPath     = 4096
	maxDirBytes = 32 << 20
)

// Mode is the kind of a file.
type Mode uint8

// The kinds of files; Other is a device, a socket or a pipe.
const (
	Other Mode = iota
	Regular
	Dir
	Symlink
)

// Stat describes one file.
type Stat struct {
	Name    string
	Mode    Mode
	Size    int64 // bytes
	Changed int64 // when its content was last written, in seconds of unix time; 0 when that is not told
}

// Volume reads files of an ext2/3/4, FAT or NTFS file system. Symbolic links stay inside the volume; those of
// Windows (reparse points) are not followed.
type Volume struct{ v volume }

// node is a file in the terms of its file system: an inode, or a folder entry.
type node interface{ stat() Stat }

// volume is what a file system does for Volume.
type volume interface {
	root() (node, error)
	lookup(dir node, name string) (node, error) // ErrNotExist
	list(dir node) ([]node, error)
	read(n node, b []byte, off int64) error // all of b, which lies inside the file
	place(n node, off int64) (at, run int64, err error)
	readlink(n node) (string, error)
}

// Open opens a volume of size bytes for reading files. *Unmapped says why it cannot be read; a file system that
// was not closed cleanly can, as it is.
func Open(r io.ReaderAt, size int64) (*Volume, error) {
	info, err := Identify(r, size)
	if err != nil {
		return nil, err
	}
	switch info.Type {
	case Ext2, Ext3, Ext4:
		v, err := openExt4(r, size)
		if err != nil {
			return nil, err
		}
		return &Volume{v}, nil
	case VFAT:
		boot := make([]byte, 512)
		if err := readFull(r, boot, 0); err != nil {
			return nil, err
		}
		g, err := parseFAT(boot, size)
		if err != nil {
			return nil, err
		}
		v, err := openFAT(r, g)
		if err != nil {
			return nil, err
		}
		return &Volume{v}, nil
	case NTFS:
		n, err := openNTFS(r, size)
		if err != nil {
			return nil, err
		}
		return &Volume{ntfsVolume{n}}, nil
	}
	return nil, unmappedf("files of %q volumes are not read", string(info.Type))
}

// Stat describes the file at path, following symbolic links. ErrNotExist when there is none.
func (v *Volume) Stat(path string) (Stat, error) {
	n, err := v.walk(path)
	if err != nil {
		return Stat{}, fmt.Errorf("stat %s: %w", path, err)
	}
	return n.stat(), nil
}

// ReadFile reads the regular file at path. ErrNotExist when there is none, ErrTooBig when it has more than max
// bytes.
func (v *Volume) ReadFile(path string, max int64) ([]byte, error) {
	n, err := v.walk(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	s := n.stat()
	switch {
	case s.Mode != Regular:
		return nil, fmt.Errorf("read %s: not a regular file", path)
	case s.Size > max:
		return nil, fmt.Errorf("read %s: %w (%d bytes)", path, ErrTooBig, s.Size)
	}
	b := make([]byte, s.Size)
	if err := v.v.read(n, b, 0); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}

// ReadDir lists the folder at path without "." and "..", in the order of the disk.
func (v *Volume) ReadDir(path string) ([]Stat, error) {
	l, err := v.Entries(path)
	if err != nil {
		return nil, err
	}
	var out []Stat
	for _, e := range l {
		out = append(out, e.Stat)
	}
	return out, nil
}

// walk follows path from the root. The folders passed stay on a stack, so that ".." needs no help of the disk
// and never leaves the volume.
func (v *Volume) walk(path string) (node, error) {
	root, err := v.v.root()
	if err != nil {
		return nil, err
	}
	stack := []node{root}
	todo, links := parts(path), 0
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if name == ".." {
			stack = stack[:max(1, len(stack)-1)]
			continue
		}
		dir := stack[len(stack)-1]
		if dir.stat().Mode != Dir {
			return nil, ErrNotExist
		}
		n, err := v.v.lookup(dir, name)
		if err != nil {
			return nil, err
		}
		if n.stat().Mode != Symlink {
			stack = append(stack, n)
			continue
		}
		target, err := v.v.readlink(n)
		if err != nil {
			return nil, err
		}
		if links++; links > maxLinks || len(target) > maxPath || len(todo) > maxPath {
			return nil, fmt.Errorf("too many symbolic links")
		}
		if strings.HasPrefix(target, "/") {
			stack = stack[:1]
		}
		todo = append(parts(target), todo...)
	}
	return stack[len(stack)-1], nil
}

func parts(path string) []string {
	var out []string
	for _, p := range strings.Split(path, "/") {
		if p != "" && p != "." {
			out = append(out, p)
		}
	}
	return out
}
