package firmware

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"
)

// The names of a bundle's files.
const (
	Shim     = "shimx64.efi"
	Grub     = "grubx64.efi" // the netboot GRUB, under the name that shim asks for
	Undionly = "undionly.kpxe"
	Kernel   = "vmlinuz"
	Stage1   = "initrd.img"
	Stage2   = "stage2.cpio.zst"
	HTTPBoot = "httpboot.img"
	DiskGrub = "grubdisk.efi"   // the GRUB that starts from a disk: of the HTTP Boot image and of sticks
	StickRAM = "initrd-usb.img" // stage 1 of a stick: every wired driver, and all of stage 2

	recordName    = "bundle.json"
	currentLink   = "current"
	recordVersion = 2
	maxRecord     = 8 << 20 // bytes of bundle.json
)

// bundleNames lists the files that every bundle of a record's version has. Version 1 knew no sticks.
var bundleNames = map[int][]string{
	1: {Shim, Grub, Undionly, Kernel, Stage1, Stage2, HTTPBoot},
	2: {Shim, Grub, Undionly, Kernel, Stage1, Stage2, StickRAM, DiskGrub, HTTPBoot},
}

// ErrNoBundle says that no bundle was built yet.
var ErrNoBundle = errors.New("no boot bundle: run \"ingot firmware build\"")

// Package is one distribution package that a bundle was made from.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch"`
	Size    int64  `json:"size"` // bytes of the .deb
	SHA256  string `json:"sha256"`
}

// Source says where bytes came from. Package "ingot" is the agent or a file made here.
type Source struct {
	Package string `json:"package"`
	Version string `json:"version,omitempty"`
	Path    string `json:"path,omitempty"` // inside the package

	slot int // the place of the unpacked file, while a bundle is built
}

// Member is one file inside stage 1, stage 2, a stick's stage 1 or the HTTP Boot image.
type Member struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Source
}

// Entry is one file of the bundle.
type Entry struct {
	Name    string   `json:"name"`
	Size    int64    `json:"size"`
	SHA256  string   `json:"sha256"`
	Source           // of a file taken over whole
	Members []Member `json:"members,omitempty"` // of a file made here
}

// Template is where the padded grub.cfg lies inside the HTTP Boot image, in bytes.
type Template struct {
	Offset int64 `json:"offset"`
	Size   int   `json:"size"`
}

// Record is bundle.json.
type Record struct {
	Version         int       `json:"version"`
	KernelVersion   string    `json:"kernel_version"` // as in /lib/modules/VERSION
	Packages        []Package `json:"packages"`
	Files           []Entry   `json:"files"`
	Template        Template  `json:"grub_cfg"`
	MissingFirmware []string  `json:"missing_firmware,omitempty"` // "module: file" that no package given had
}

// Bundle is one finished bundle. It is safe for concurrent use.
type Bundle struct {
	dir    string // resolved: a later switch of "current" does not change what this Bundle serves
	record Record

	mu      sync.Mutex
	checked map[string]stamp // files whose digest was found right, and in which condition
}

// stamp tells a file that was changed or replaced from the one that was checked.
type stamp struct {
	size  int64
	mtime time.Time
	inode uint64
}

var bundleDir = regexp.MustCompile(`^bundle-[0-9a-f]{16}$`)

// Open opens the current bundle of a boot folder (DATA/boot). ErrNoBundle when there is none.
func Open(dir string) (*Bundle, error) {
	target, err := os.Readlink(filepath.Join(dir, currentLink))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoBundle
	}
	if err != nil {
		return nil, fmt.Errorf("open boot bundle: %w", err)
	}
	if !bundleDir.MatchString(target) {
		return nil, fmt.Errorf("open boot bundle: %s points to %q, which is no bundle", currentLink, target)
	}
	return openBundle(filepath.Join(dir, target))
}

func openBundle(dir string) (*Bundle, error) {
	raw, err := readAtMost(filepath.Join(dir, recordName), maxRecord)
	if err != nil {
		return nil, fmt.Errorf("open boot bundle: %w", err)
	}
	b := &Bundle{dir: dir, checked: map[string]stamp{}}
	if err := json.Unmarshal(raw, &b.record); err != nil {
		return nil, fmt.Errorf("open boot bundle: read %s: %w", recordName, err)
	}
	names, ok := bundleNames[b.record.Version]
	if !ok {
		return nil, fmt.Errorf("open boot bundle: made for version %d of %s, this program reads 1 to %d: build it again", b.record.Version, recordName, recordVersion)
	}
	if sum := sha256.Sum256(raw); filepath.Base(dir) != dirName(sum) {
		return nil, fmt.Errorf("open boot bundle: %s is not the one that its folder %s was named by", recordName, filepath.Base(dir))
	}
	for _, name := range names {
		if _, ok := b.entry(name); !ok {
			return nil, fmt.Errorf("open boot bundle: %s lists no %s", recordName, name)
		}
	}
	if len(b.record.Files) != len(names) {
		return nil, fmt.Errorf("open boot bundle: %s lists %d files, want %d", recordName, len(b.record.Files), len(names))
	}
	return b, nil
}

func dirName(sum [32]byte) string { return "bundle-" + hex.EncodeToString(sum[:8]) }

// Record tells what the bundle is made of.
func (b *Bundle) Record() Record { return b.record }

// Name is "bundle-" and the first 16 hex characters of the record's SHA-256.
func (b *Bundle) Name() string { return filepath.Base(b.dir) }

// Dir is the folder of this bundle.
func (b *Bundle) Dir() string { return b.dir }

// Stage2 gives the digest and size that the agent checks stage 2 by.
func (b *Bundle) Stage2() (sha256 string, size int64) {
	e, _ := b.entry(Stage2)
	return e.SHA256, e.Size
}

// HTTPBootTemplate gives the place of grub.cfg inside the HTTP Boot image.
func (b *Bundle) HTTPBootTemplate() (offset int64, size int) {
	return b.record.Template.Offset, b.record.Template.Size
}

func (b *Bundle) entry(name string) (Entry, bool) {
	for _, e := range b.record.Files {
		if e.Name == name {
			return e, true
		}
	}
	return Entry{}, false
}

// File is one file of a bundle, open for serving. Size and SHA256 are the record's; the digest was checked.
type File struct {
	io.ReadSeeker
	Name   string
	Size   int64
	SHA256 string
	f      *os.File
}

// Close ends the use of the file.
func (f *File) Close() error { return f.f.Close() }

// Open opens one of the bundle's files by its plain name and checks its digest, fully at the first time and
// whenever its size, time or inode has changed since. An unknown name is fs.ErrNotExist.
func (b *Bundle) Open(name string) (*File, error) {
	e, ok := b.entry(name)
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := os.Open(filepath.Join(b.dir, e.Name))
	if err != nil {
		return nil, fmt.Errorf("boot file: %w", err)
	}
	if err := b.check(f, e); err != nil {
		f.Close()
		return nil, fmt.Errorf("boot file %s: %w", name, err)
	}
	return &File{ReadSeeker: f, Name: name, Size: e.Size, SHA256: e.SHA256, f: f}, nil
}

// check compares an open file with its record; a file found right is not read again while its stamp stays.
func (b *Bundle) check(f *os.File, e Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	now := stampOf(st)
	if seen, ok := b.checked[e.Name]; ok && seen == now {
		return nil
	}
	if err := compare(f, st, e); err != nil {
		return err
	}
	b.checked[e.Name] = now
	return nil
}

func stampOf(st fs.FileInfo) stamp {
	s := stamp{size: st.Size(), mtime: st.ModTime()}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}

// compare reads the whole file, leaving it at its start.
func compare(f *os.File, st fs.FileInfo, e Entry) error {
	if !st.Mode().IsRegular() || st.Size() != e.Size {
		return fmt.Errorf("%d bytes, the record says %d", st.Size(), e.Size)
	}
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, e.Size+1))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if sum := hex.EncodeToString(h.Sum(nil)); n != e.Size || sum != e.SHA256 {
		return fmt.Errorf("its bytes differ from the record (SHA-256 %.12s, want %.12s)", sum, e.SHA256)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("rewind: %w", err)
	}
	return nil
}

// readAtMost reads a whole file of at most limit bytes.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("read %s: more than %d bytes", path, limit)
	}
	return raw, nil
}
