package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What stands in a page of a bbolt file, behind its header of 16 bytes: its number (8), flags (2), count of elements
// (2) and how many further pages it takes (4). An element of a branch is position (4), length of the key (4) and page
// (8); one of a leaf is flags (4), position, length of the key and of the value (4 each). A position counts from the
// element's own start.
const (
	branchPage = 1
	leafPage   = 2
	freePage   = 16

	elementSize = 16
	bucketFlag  = 1
	bucketHead  = 16 // of a bucket that is a leaf's value: root page (8), sequence (8); a root of 0 means that the page follows
	maxDepth    = 64
)

// pageWalk goes through every page of a file without the engine, which reads by mapping it: a damaged number there
// would kill the process, or lose records without a word. What it passes, the engine can read.
type pageWalk struct {
	r    io.ReaderAt
	size int64
	page int64
	high uint64 // the first page that the file does not speak of
	seen []byte // of each page below high: 1 in use, 2 free
}

// walkPages proves the tree that the newest head of a file speaks of; lostHead says that only one of its two heads
// holds, so that the last transaction may be missing. A file that is no database at all passes: the engine says it.
func walkPages(r io.ReaderAt, size int64) (lostHead bool, err error) {
	head := make([]byte, 128<<10)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	all := metas(head[:n])
	if len(all) == 0 {
		return false, nil
	}
	m := all[0]
	for _, o := range all[1:] {
		if binary.NativeEndian.Uint64(o[48:]) > binary.NativeEndian.Uint64(m[48:]) {
			m = o
		}
	}
	w := &pageWalk{r: r, size: size, page: int64(binary.NativeEndian.Uint32(m[8:])), high: binary.NativeEndian.Uint64(m[40:])}
	if w.page < 1024 || w.page > 1<<16 || w.high > uint64(size/w.page) {
		return false, fmt.Errorf("%w: the file has %d bytes, and speaks of %d pages of %d", ErrDamaged, size, w.high, w.page)
	}
	w.seen = make([]byte, w.high)
	for id := range min(w.high, 2) {
		w.seen[id] = 1
	}
	if err := w.free(binary.NativeEndian.Uint64(m[32:])); err != nil {
		return false, err
	}
	if err := w.tree(binary.NativeEndian.Uint64(m[16:]), nil, nil, 0); err != nil {
		return false, err
	}
	for id, s := range w.seen {
		if s == 0 {
			return false, damagedPage(uint64(id), "nothing leads to it")
		}
	}
	return len(all) < 2, nil
}

func damagedPage(id uint64, format string, args ...any) error {
	return fmt.Errorf("%w: page %d: %s", ErrDamaged, id, fmt.Sprintf(format, args...))
}

// load reads a page with those that it goes on in, and notes them.
func (w *pageWalk) load(id uint64) (b []byte, flags, count int, err error) {
	if id < 2 || id >= w.high {
		return nil, 0, 0, damagedPage(id, "there is no such page")
	}
	b = make([]byte, w.page)
	if _, err := w.r.ReadAt(b, int64(id)*w.page); err != nil {
		return nil, 0, 0, fmt.Errorf("read page %d: %w", id, err)
	}
	own, more := binary.NativeEndian.Uint64(b), uint64(binary.NativeEndian.Uint32(b[12:]))
	if own != id || more >= w.high-id {
		return nil, 0, 0, damagedPage(id, "it says that it is page %d and %d more", own, more)
	}
	for n := id; n <= id+more; n++ {
		if w.seen[n] != 0 {
			return nil, 0, 0, damagedPage(n, "it is used twice, or free and used")
		}
		w.seen[n] = 1
	}
	if more > 0 {
		b = make([]byte, int64(more+1)*w.page)
		if _, err := w.r.ReadAt(b, int64(id)*w.page); err != nil {
			return nil, 0, 0, fmt.Errorf("read page %d: %w", id, err)
		}
	}
	return b, int(binary.NativeEndian.Uint16(b[8:])), int(binary.NativeEndian.Uint16(b[10:])), nil
}

// free notes the pages of the list of free ones.
func (w *pageWalk) free(id uint64) error {
	b, flags, count, err := w.load(id)
	if err != nil {
		return err
	}
	if flags != freePage {
		return damagedPage(id, "it is no list of free pages")
	}
	list, n := b[pageHeader:], uint64(count)
	if count == 0xFFFF && len(list) >= 8 {
		n, list = binary.NativeEndian.Uint64(list), list[8:]
	}
	if n > uint64(len(list)/8) {
		return damagedPage(id, "it counts %d free pages", n)
	}
	last := uint64(1)
	for i := range n {
		f := binary.NativeEndian.Uint64(list[8*i:])
		if f <= last || f >= w.high || w.seen[f] != 0 {
			return damagedPage(id, "it calls page %d free", f)
		}
		w.seen[f], last = 2, f
	}
	return nil
}

// tree walks a page and all below it; its keys lie from low on and below high, nil for no bound.
func (w *pageWalk) tree(id uint64, low, high []byte, depth int) error {
	b, flags, count, err := w.load(id)
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return damagedPage(id, "it lies too deep")
	}
	switch flags {
	case branchPage:
		return w.branch(id, b, count, low, high, depth)
	case leafPage:
		return w.leaf(id, b, count, low, high, depth)
	}
	return damagedPage(id, "it is no page of records")
}

// stretch gives length bytes at a position that counts from element at, when they lie behind all elements.
func stretch(b []byte, at, count int, pos, length uint32) ([]byte, bool) {
	from := uint64(at) + uint64(pos)
	if from < uint64(pageHeader+count*elementSize) || from+uint64(length) > uint64(len(b)) {
		return nil, false
	}
	return b[from : from+uint64(length)], true
}

// ordered reports whether key may follow last within the bounds.
func ordered(last, key, low, high []byte) bool {
	return len(key) > 0 && (last == nil || bytes.Compare(last, key) < 0) && (low == nil || bytes.Compare(low, key) <= 0) && (high == nil || bytes.Compare(key, high) < 0)
}

func (w *pageWalk) branch(id uint64, b []byte, count int, low, high []byte, depth int) error {
	if count == 0 || pageHeader+count*elementSize > len(b) {
		return damagedPage(id, "it counts %d pages below it", count)
	}
	keys, pages := make([][]byte, count), make([]uint64, count)
	for i := range count {
		at := pageHeader + i*elementSize
		key, ok := stretch(b, at, count, binary.NativeEndian.Uint32(b[at:]), binary.NativeEndian.Uint32(b[at+4:]))
		if !ok || !ordered(last(keys, i), key, low, high) {
			return damagedPage(id, "key %d is out of place", i)
		}
		keys[i], pages[i] = key, binary.NativeEndian.Uint64(b[at+8:])
	}
	for i, below := range pages {
		next := high
		if i+1 < count {
			next = keys[i+1]
		}
		if err := w.tree(below, keys[i], next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func last(keys [][]byte, i int) []byte {
	if i == 0 {
		return nil
	}
	return keys[i-1]
}

func (w *pageWalk) leaf(id uint64, b []byte, count int, low, high []byte, depth int) error {
	if pageHeader+count*elementSize > len(b) {
		return damagedPage(id, "it counts %d records", count)
	}
	var before []byte
	for i := range count {
		at := pageHeader + i*elementSize
		flags, pos, nk, nv := binary.NativeEndian.Uint32(b[at:]), binary.NativeEndian.Uint32(b[at+4:]), binary.NativeEndian.Uint32(b[at+8:]), binary.NativeEndian.Uint32(b[at+12:])
		key, ok := stretch(b, at, count, pos, nk)
		value, fits := stretch(b, at, count, pos+nk, nv)
		if !ok || !fits || flags > bucketFlag || !ordered(before, key, low, high) {
			return damagedPage(id, "record %d is out of place", i)
		}
		before = key
		if flags == bucketFlag {
			if err := w.bucket(id, value, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// bucket walks a bucket that is the value of a leaf.
func (w *pageWalk) bucket(id uint64, value []byte, depth int) error {
	if len(value) < bucketHead {
		return damagedPage(id, "a bucket in it has %d bytes", len(value))
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.tree(root, nil, nil, depth+1)
	}
	in := value[bucketHead:]
	if len(in) < pageHeader || binary.NativeEndian.Uint16(in[8:]) != leafPage {
		return damagedPage(id, "a small bucket in it is no page of records")
	}
	return w.leaf(id, in, int(binary.NativeEndian.Uint16(in[10:])), nil, nil, depth+1)
}
