// Package cpio unpacks the stage 2 archive over the running root file system.
//
// The idea: stage 2 is a cpio archive in the kernel's own "newc" form, so that the same writer makes both
// stages. Although its SHA-256 was checked before, nothing in it is trusted with the way it is unpacked: every
// length is bounded before it is used, names stay below the root (os.Root, which follows no link out of it),
// and only folders, plain files and symbolic links exist.
//
// One entry is a header of 110 bytes (the magic 070701 and 13 fields of 8 hex digits), the name with its zero
// byte, the data; header+name and data are each padded to 4 bytes. An entry named TRAILER!!! ends the archive;
// without it the archive is short and Unpack fails (Documentation/driver-api/early-userspace/buffer-format.rst
// of the kernel describes the form).
package cpio

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// The bounds of an archive, in bytes and entries: far above any stage 2, far below a laptop's memory.
const (
	MaxEntries = 20000
	MaxName    = 1024
	MaxTotal   = 1 << 30
)

const (
	headerSize = 110
	magic      = "070701"
	trailer    = "TRAILER!!!"

	modeType    = 0o170000
	modeDir     = 0o040000
	modeFile    = 0o100000
	modeSymlink = 0o120000
)

// header holds the fields of an entry that matter here.
type header struct {
	mode     uint32
	links    uint32
	size     uint32
	nameSize uint32
}

// Unpack writes every entry of the archive below root and returns how many there were. Existing files are
// replaced, existing folders kept. It stops at the first thing that is not as it should be; what was unpacked
// until then stays, and the caller must not go on with it.
func Unpack(r io.Reader, root *os.Root) (entries int, err error) {
	br := bufio.NewReaderSize(r, 1<<16)
	left := int64(MaxTotal)
	for {
		h, name, err := readHead(br)
		if err != nil {
			return entries, fmt.Errorf("read entry %d: %w", entries+1, err)
		}
		if name == trailer {
			return entries, nil
		}
		if entries++; entries > MaxEntries {
			return entries, fmt.Errorf("more than %d entries", MaxEntries)
		}
		if left -= int64(h.size); left < 0 {
			return entries, fmt.Errorf("more than %d bytes", MaxTotal)
		}
		if err := place(br, root, h, name); err != nil {
			return entries, fmt.Errorf("unpack %q: %w", name, err)
		}
	}
}

// readHead reads one header and its name, with the padding behind them.
func readHead(r io.Reader) (header, string, error) {
	var b [headerSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return header{}, "", short(err)
	}
	if string(b[:6]) != magic {
		return header{}, "", errors.New("not a newc header")
	}
	var field [13]uint32
	for i := range field {
		v, err := strconv.ParseUint(string(b[6+8*i:14+8*i]), 16, 32)
		if err != nil {
			return header{}, "", fmt.Errorf("header field %d is not a number", i)
		}
		field[i] = uint32(v)
	}
	h := header{mode: field[1], links: field[4], size: field[6], nameSize: field[11]}
	if h.nameSize < 2 || h.nameSize > MaxName {
		return header{}, "", fmt.Errorf("a name of %d bytes, want 2 to %d", h.nameSize, MaxName)
	}
	name := make([]byte, h.nameSize+pad(headerSize+h.nameSize))
	if _, err := io.ReadFull(r, name); err != nil {
		return header{}, "", short(err)
	}
	text := string(name[:h.nameSize-1])
	if name[h.nameSize-1] != 0 || strings.ContainsRune(text, 0) {
		return header{}, "", errors.New("a name that does not end in one zero byte")
	}
	return h, text, nil
}

// place puts one entry where its name says.
func place(r io.Reader, root *os.Root, h header, name string) error {
	clean := path.Clean(strings.TrimPrefix(name, "/"))
	if clean == "." && h.mode&modeType == modeDir {
		return nil
	}
	if !fs.ValidPath(clean) || clean == "." {
		return errors.New("a name that leaves the root")
	}
	data := io.LimitReader(r, int64(h.size))
	var err error
	switch h.mode & modeType {
	case modeDir:
		if h.size != 0 {
			return errors.New("a folder with data")
		}
		err = root.MkdirAll(clean, fs.FileMode(h.mode&0o777)|0o700)
	case modeFile:
		if h.links > 1 {
			return errors.New("a hard link")
		}
		err = placeFile(data, root, clean, h)
	case modeSymlink:
		err = placeLink(data, root, clean, h)
	default:
		err = fmt.Errorf("type %o is not a folder, file or link", h.mode&modeType)
	}
	if err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, r, int64(pad(h.size))); err != nil {
		return short(err)
	}
	return nil
}

func placeFile(data io.Reader, root *os.Root, name string, h header) error {
	if err := clear(root, name); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fs.FileMode(h.mode&0o777))
	if err != nil {
		return err
	}
	n, err := io.Copy(f, data)
	if err == nil && n != int64(h.size) {
		err = io.ErrUnexpectedEOF
	}
	return errors.Join(err, f.Close())
}

func placeLink(data io.Reader, root *os.Root, name string, h header) error {
	if h.size == 0 || h.size > MaxName {
		return fmt.Errorf("a link of %d bytes", h.size)
	}
	to := make([]byte, h.size)
	if _, err := io.ReadFull(data, to); err != nil {
		return short(err)
	}
	if err := clear(root, name); err != nil {
		return err
	}
	return root.Symlink(string(to), name)
}

// clear makes room for a file or link: the folder above exists and nothing but a folder was in the way.
func clear(root *os.Root, name string) error {
	if dir := path.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// pad is how many bytes bring n to the next multiple of 4.
func pad(n uint32) uint32 { return -n & 3 }

// short makes the end of input within an entry what it is: a truncated archive.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
