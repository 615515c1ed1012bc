package inspect

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"ingot/imaging"
	"ingot/imaging/fs"
	"ingot/imaging/gpt"
)

// Area counts the files that changed in one part of a disk.
type Area struct {
	Area         string
	Added        int
	Removed      int
	Changed      int
	AddedBytes   uint64
	RemovedBytes uint64
	ChangedBytes uint64 // as they are in the second disk
}

// Comparison is the outcome of Diff.
type Comparison struct {
	Areas  []Area // those with a change, by name
	Unread int    // files and folders that could not be compared
	Why    []string
}

// Pair is two disks to compare. Equal says for how many bytes, at most limit, the two hold the same from the given
// places on, as far as that is known without reading; nil knows nothing.
type Pair struct {
	A, B  Disk
	Equal func(offA, offB, limit int64) (int64, error)
	Quick bool // files of one size and one date count as equal and are not read
}

// Limits of a comparison.
const (
	maxDepth   = 128
	maxVisited = 20_000_000
	maxHeld    = 1 << 20 // entries of the folders on the way down to the present one
	maxAreas   = 300
	otherAreas = "others"
	readPiece  = 128 << 10
)

// Diff walks the file trees of two disks side by side, folder by folder, and compares files by their bytes. tell is
// called with the bytes of files that were compared so far. An error means that ctx ended or that a manifest is damaged.
func Diff(ctx context.Context, p Pair, tell func(bytes uint64)) (Comparison, error) {
	c := &comparer{ctx: ctx, pair: p, tell: tell, areas: map[string]*Area{}, one: make([]byte, readPiece), two: make([]byte, readPiece)}
	a, b := open(p.A, p.A), open(p.B, p.B)
	was, is := a.places(), b.places()
	for _, t := range []*tree{a, b} {
		c.unread, c.why = c.unread+t.failures, append(c.why, t.why...)
	}
	for _, place := range sortedKeys(was, is) {
		c.volumes(place, was[place], is[place])
	}
	return c.result(), errors.Join(ctx.Err(), c.damaged)
}

// places names each volume by what it is for, so that two disks' volumes find each other.
func (t *tree) places() map[string]*volume {
	out := map[string]*volume{}
	win := t.windows()
	for _, v := range t.volumes {
		name := fmt.Sprintf("partition %d", v.number)
		switch {
		case v == win:
			name = ""
		case v == t.root:
			name = "/"
		case v.typ == gpt.TypeESP.String():
			name = "EFI"
		}
		for at, m := range t.mounts {
			if m == v && v != t.root {
				name = at
			}
		}
		out[name] = v
	}
	return out
}

func sortedKeys(a, b map[string]*volume) []string {
	var out []string
	for _, m := range []map[string]*volume{a, b} {
		for k := range m {
			if !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	slices.Sort(out)
	return out
}

// comparer is one run of Diff.
type comparer struct {
	ctx      context.Context
	pair     Pair
	tell     func(uint64)
	areas    map[string]*Area
	a, b     int64 // where the present volumes begin on their disks
	visited  int
	held     int
	done     uint64
	unread   int
	why      []string
	damaged  error
	one, two []byte
}

// volumes compares two volumes, one of which may be missing.
func (c *comparer) volumes(place string, was, is *volume) {
	var a, b *fs.Entry
	for _, v := range []struct {
		v     *volume
		start *int64
		e     **fs.Entry
	}{{was, &c.a, &a}, {is, &c.b, &b}} {
		if v.v == nil {
			continue
		}
		root, err := v.v.v.Root()
		if err != nil {
			c.fail(place, err)
			return
		}
		*v.start, *v.e = v.v.start, &root
	}
	c.folder(place, "", a, b, 0)
}

// folder compares what two folders list, one of which may be missing. Each is held only while it is walked.
func (c *comparer) folder(place, at string, a, b *fs.Entry, depth int) {
	if depth > maxDepth || c.visited > maxVisited {
		c.fail(place+at, errors.New("there is too much to compare"))
		return
	}
	was, err := listed(a)
	if err == nil {
		var more []fs.Entry
		if more, err = listed(b); err == nil {
			c.held += len(was) + len(more)
			defer func(n int) { c.held -= n }(len(was) + len(more))
			if c.held > maxHeld {
				err = errors.New("its folders have too many entries")
			} else {
				c.merge(place, at, was, more, depth)
			}
		}
	}
	c.fail(place+at, err)
}

func listed(e *fs.Entry) ([]fs.Entry, error) {
	if e == nil {
		return nil, nil
	}
	all, err := e.List()
	slices.SortFunc(all, func(x, y fs.Entry) int { return strings.Compare(x.Name, y.Name) })
	return all, err
}

// merge goes through two sorted lists at once.
func (c *comparer) merge(place, at string, was, is []fs.Entry, depth int) {
	for len(was)+len(is) > 0 && c.ctx.Err() == nil {
		c.visited++
		switch {
		case len(is) == 0 || len(was) > 0 && was[0].Name < is[0].Name:
			c.only(place, at, &was[0], nil, depth)
			was = was[1:]
		case len(was) == 0 || is[0].Name < was[0].Name:
			c.only(place, at, nil, &is[0], depth)
			is = is[1:]
		default:
			c.both(place, at, &was[0], &is[0], depth)
			was, is = was[1:], is[1:]
		}
	}
}

// only counts what is on one side.
func (c *comparer) only(place, at string, a, b *fs.Entry, depth int) {
	e := cmp.Or(a, b)
	path := at + "/" + e.Name
	if e.Mode == fs.Dir {
		c.folder(place, path, a, b, depth+1)
		return
	}
	area := c.area(place, path)
	if a != nil {
		area.Removed, area.RemovedBytes = area.Removed+1, area.RemovedBytes+uint64(e.Size)
		return
	}
	area.Added, area.AddedBytes = area.Added+1, area.AddedBytes+uint64(e.Size)
}

// both compares what has one name on both sides.
func (c *comparer) both(place, at string, a, b *fs.Entry, depth int) {
	path := at + "/" + a.Name
	if a.Mode == fs.Dir && b.Mode == fs.Dir {
		c.folder(place, path, a, b, depth+1)
		return
	}
	if a.Mode == fs.Dir || b.Mode == fs.Dir {
		c.only(place, at, a, nil, depth)
		c.only(place, at, nil, b, depth)
		return
	}
	same, err := c.same(a, b)
	if err != nil {
		c.fail(place+path, err)
		return
	}
	if !same {
		area := c.area(place, path)
		area.Changed, area.ChangedBytes = area.Changed+1, area.ChangedBytes+uint64(b.Size)
	}
}

// same compares two files.
func (c *comparer) same(a, b *fs.Entry) (bool, error) {
	if a.Mode != b.Mode || a.Mode == fs.Regular && a.Size != b.Size {
		return false, nil
	}
	switch a.Mode {
	case fs.Symlink:
		x, err := a.Link()
		y, err2 := b.Link()
		return x == y, errors.Join(err, err2)
	case fs.Regular:
		if c.pair.Quick {
			return a.Changed == b.Changed && a.Changed != 0, nil
		}
		defer func() { c.done += uint64(b.Size); c.tell(c.done) }()
		return c.sameBytes(a, b)
	}
	return true, nil
}

func (c *comparer) sameBytes(a, b *fs.Entry) (bool, error) {
	f, err := a.Open()
	if err != nil {
		return false, err
	}
	g, err := b.Open()
	if err != nil {
		return false, err
	}
	for off := int64(0); off < a.Size; {
		if err := c.ctx.Err(); err != nil {
			return false, err
		}
		known, err := c.known(f, g, off)
		if err != nil {
			return false, err
		}
		if known > 0 {
			off += known
			continue
		}
		n := min(readPiece, a.Size-off)
		if _, err := f.ReadAt(c.one[:n], off); err != nil && err != io.EOF {
			return false, err
		}
		if _, err := g.ReadAt(c.two[:n], off); err != nil && err != io.EOF {
			return false, err
		}
		if !bytes.Equal(c.one[:n], c.two[:n]) {
			return false, nil
		}
		off += n
	}
	return true, nil
}

// known tells how many bytes from off on need not be read, because both sides hold the same chunks there.
func (c *comparer) known(f, g *fs.File, off int64) (int64, error) {
	if c.pair.Equal == nil {
		return 0, nil
	}
	x, n, err := f.Place(off)
	if err != nil {
		return 0, err
	}
	y, m, err := g.Place(off)
	if err != nil {
		return 0, err
	}
	n = min(n, m, f.Stat().Size-off)
	switch {
	case x == fs.Hole && y == fs.Hole:
		return n, nil
	case x < 0 || y < 0:
		return 0, nil
	}
	return c.pair.Equal(c.a+x, c.b+y, n)
}

// area finds the counter of a path: its first folder, behind the place where its volume is mounted.
func (c *comparer) area(place, path string) *Area {
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	name := place
	switch {
	case place == "/" && rest != "":
		name = "/" + first
	case place == "" && rest != "":
		name = first
	case place == "":
		name = "top folder"
	case strings.HasPrefix(place, "/") && place != "/": // /boot/efi belongs to /boot
		first, _, _ := strings.Cut(place[1:], "/")
		name = "/" + first
	}
	name = clean(name)
	if _, ok := c.areas[name]; !ok && len(c.areas) >= maxAreas {
		name = otherAreas
	}
	if c.areas[name] == nil {
		c.areas[name] = &Area{Area: name}
	}
	return c.areas[name]
}

func (c *comparer) fail(path string, err error) {
	if err == nil || c.ctx.Err() != nil {
		return
	}
	if errors.Is(err, imaging.ErrManifest) {
		c.damaged = errors.Join(c.damaged, err)
	}
	if c.unread++; len(c.why) < maxWhy {
		c.why = append(c.why, clean(path)+": "+reason(err))
	}
}

func (c *comparer) result() Comparison {
	out := Comparison{Unread: c.unread, Why: c.why}
	for _, a := range c.areas {
		out.Areas = append(out.Areas, *a)
	}
	slices.SortFunc(out.Areas, func(a, b Area) int { return strings.Compare(a.Area, b.Area) })
	return out
}
