package inspect

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"

	"ingot/imaging"
	"ingot/imaging/fs"
	"ingot/imaging/job"
)

// Limits of what one look reads.
const (
	maxSmall   = 256 << 10 // bytes of a file that is read whole
	maxMatches = 200       // files that one pattern names
	maxWhy     = 5         // failures that are told by name
	maxMounts  = 16
	maxRead    = 4 << 30 // bytes of the disk that one look reads; a large desktop needs some 100 MB
)

// budget lets a look read only so much, whatever loops of folders an image was made of.
type budget struct {
	r    io.ReaderAt
	left int64
}

var errBudget = errors.New("there is too much to read")

func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errBudget
	}
	return b.r.ReadAt(p, off)
}

// volume is one partition whose files can be read.
type volume struct {
	number     int
	start      int64  // byte of the disk
	typ        string // GUID of its type
	uuid, part string // as fstab names them, in lower case
	label      string
	kind       fs.Type
	v          *fs.Volume
}

// tree is the file tree of the installed system over its partitions.
type tree struct {
	volumes []*volume
	root    *volume
	mounts  map[string]*volume // "/var": what lies there

	failures int
	why      []string
	damaged  error // of the manifest
}

// open opens every partition that imaging/fs reads, finds the root, and mounts what its fstab names. All is read
// through r, which reads d.
func open(d Disk, r io.ReaderAt) *tree {
	t := &tree{mounts: map[string]*volume{}}
	h := d.Header()
	if h.Table == "none" {
		t.add(r, 0, d.Size(), imaging.Partition{})
	}
	for _, p := range h.Partitions {
		ss := int64(h.SectorSize)
		t.add(r, int64(p.FirstLBA)*ss, int64(p.LastLBA-p.FirstLBA+1)*ss, p)
	}
	t.findRoot(h.RootPartition)
	t.mount()
	return t
}

func (t *tree) add(r io.ReaderAt, at, size int64, p imaging.Partition) {
	sec := io.NewSectionReader(r, at, size)
	name := "the disk"
	if p.Number > 0 {
		name = fmt.Sprintf("partition %d", p.Number)
	}
	info, err := fs.Identify(sec, size)
	if err != nil {
		t.fail(name, err)
		return
	}
	switch info.Type {
	case fs.Unknown, fs.Swap:
		return
	}
	v, err := fs.Open(sec, size)
	if err != nil {
		t.fail(name, err)
		return
	}
	t.volumes = append(t.volumes, &volume{p.Number, at, p.TypeGUID, strings.ToLower(info.UUID), strings.ToLower(p.UniqueGUID), info.Label, info.Type, v})
}

// findRoot takes the partition that capture found, else the only one with an os-release.
func (t *tree) findRoot(number int) {
	for _, v := range t.volumes {
		if number != 0 && v.number == number {
			t.root = v
			return
		}
	}
	for _, v := range t.volumes {
		if _, err := v.v.Stat("/etc/os-release"); err == nil && t.root == nil {
			t.root = v
		}
	}
}

// mount reads fstab(5): partitions named by their UUID, label or table entry.
func (t *tree) mount() {
	if t.root == nil {
		return
	}
	b, _ := t.root.v.ReadFile("/etc/fstab", maxSmall)
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) < 2 || strings.HasPrefix(f[0], "#") || !strings.HasPrefix(f[1], "/") || f[1] == "/" || len(t.mounts) == maxMounts {
			continue
		}
		if v := t.named(f[0]); v != nil && v != t.root {
			t.mounts[path.Clean(f[1])] = v
		}
	}
}

func (t *tree) named(spec string) *volume {
	key, value, ok := strings.Cut(spec, "=")
	value = strings.Trim(value, `"`)
	for _, v := range t.volumes {
		switch {
		case ok && key == "UUID" && v.uuid == strings.ToLower(value), ok && key == "PARTUUID" && v.part == strings.ToLower(value),
			ok && key == "LABEL" && v.label != "" && v.label == value:
			return v
		}
	}
	return nil
}

// at gives the volume that holds a path, and the path in it.
func (t *tree) at(p string) (*fs.Volume, string) {
	for dir := path.Clean(p); dir != "/" && dir != "."; dir = path.Dir(dir) {
		if v, ok := t.mounts[dir]; ok {
			return v.v, "/" + strings.TrimPrefix(p, dir)
		}
	}
	if t.root == nil {
		return nil, p
	}
	return t.root.v, p
}

// fail notes what could not be read. That a file is not there is no failure.
func (t *tree) fail(p string, err error) {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return
	}
	if errors.Is(err, imaging.ErrManifest) {
		t.damaged = errors.Join(t.damaged, err)
	}
	t.failures++
	if len(t.why) < maxWhy {
		t.why = append(t.why, clean(p)+": "+reason(err))
	}
}

// reason puts an error into words for a person.
func reason(err error) string {
	var u *fs.Unmapped
	var r *fs.Refused
	var f *job.Fault
	switch {
	case errors.As(err, &u):
		return clean(u.Why)
	case errors.As(err, &r):
		return clean(r.Why)
	case errors.As(err, &f):
		return clean(f.Error())
	case errors.Is(err, fs.ErrTooBig):
		return "it is too large"
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		err = e
	}
	return clean(err.Error())
}

func (t *tree) stat(p string) (fs.Stat, bool) {
	v, in := t.at(p)
	if v == nil {
		return fs.Stat{}, false
	}
	s, err := v.Stat(in)
	t.fail(p, err)
	return s, err == nil
}

func (t *tree) isFile(p string) bool {
	s, ok := t.stat(p)
	return ok && s.Mode == fs.Regular
}

func (t *tree) isDir(p string) bool {
	s, ok := t.stat(p)
	return ok && s.Mode == fs.Dir
}

// read reads a small file; nil when it is not there or cannot be read.
func (t *tree) read(p string) []byte {
	v, in := t.at(p)
	if v == nil {
		return nil
	}
	b, err := v.ReadFile(in, maxSmall)
	t.fail(p, err)
	return b
}

// open opens a file that is read piece by piece; nil when it is not there.
func (t *tree) open(p string) *fs.File {
	v, in := t.at(p)
	if v == nil {
		return nil
	}
	f, err := v.OpenFile(in)
	t.fail(p, err)
	return f
}

// list lists a folder; nil when it is not there.
func (t *tree) list(p string) []fs.Stat {
	v, in := t.at(p)
	if v == nil {
		return nil
	}
	l, err := v.ReadDir(in)
	t.fail(p, err)
	return l
}

// match gives the files and folders that a pattern names, at most maxMatches: * in a part stands for any letters.
// Empty files count as absent.
func (t *tree) match(pattern string) []string {
	found := []string{""}
	for _, part := range strings.Split(strings.Trim(pattern, "/"), "/") {
		var next []string
		for _, dir := range found {
			next = append(next, t.step(dir, part)...)
			if len(next) >= maxMatches {
				next = next[:maxMatches]
				break
			}
		}
		found = next
	}
	return slices.DeleteFunc(found, func(p string) bool {
		s, ok := t.stat(p)
		return !ok || s.Mode == fs.Regular && s.Size == 0
	})
}

func (t *tree) step(dir, part string) (out []string) {
	if !strings.Contains(part, "*") {
		return []string{dir + "/" + part}
	}
	if !t.isDir(dir + "/") {
		return nil
	}
	for _, e := range t.list(dir + "/") {
		if ok, err := path.Match(part, e.Name); ok && err == nil {
			out = append(out, dir+"/"+e.Name)
		}
	}
	slices.Sort(out)
	return out
}

// lines calls fn with each line of a file, however large it is; lines longer than maxLine are cut.
func lines(r io.Reader, fn func(string)) error {
	const maxLine = 64 << 10
	b := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := b.ReadSlice('\n')
		if len(line) > 0 {
			fn(strings.TrimRight(string(line), "\r\n"))
		}
		for err == bufio.ErrBufferFull { // the rest of a line that is too long
			_, err = b.ReadSlice('\n')
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// clean keeps a text out of the image fit for a screen and a record.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.TrimSpace(strings.ToValidUTF8(s, "?")))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return strings.Clone(s) // what it was cut out of may be large
}

// join names the first few of n things.
func join(all []string, n int) string {
	const most = 3
	s := strings.Join(all[:min(len(all), most)], ", ")
	if n > most || n > len(all) {
		s += fmt.Sprintf(" and %d more", n-min(len(all), most))
	}
	return s
}

// cleaned makes paths fit for a sentence.
func cleaned(paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = clean(p)
	}
	return out
}
