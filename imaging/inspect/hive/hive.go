package hive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"
)

const (
	baseSize  = 4096
	maxFile   = 4 << 30
	maxCell   = 4 << 20 // bytes of a cell that are read
	maxKeys   = 1 << 16 // subkeys of one key that are looked at
	maxValues = 1 << 14
	maxData   = 4 << 20 // bytes of one value
	maxCells  = 1 << 21 // cells read of one hive; a look needs some 100,000
	piece     = 16344   // bytes of data in one cell of a "db" list
	none      = 0xFFFFFFFF
	inCell    = 0x80000000
	latinName = 0x20 // nk: the name has one byte a letter
	latinVK   = 0x1  // vk: the same
	winEpoch  = 11644473600
)

// Errors that callers tell apart.
var (
	ErrNotExist = errors.New("no such key or value")
	ErrDamaged  = errors.New("the registry hive is damaged")
)

func damagedf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// Hive is an open hive.
type Hive struct {
	r     io.ReaderAt
	end   int64 // of the bins, counted from byte 4096
	root  uint32
	dirty bool
	cells int // read so far
}

// Open reads the base block of a hive of size bytes.
func Open(r io.ReaderAt, size int64) (*Hive, error) {
	b := make([]byte, baseSize)
	if size < baseSize || size > maxFile {
		return nil, damagedf("%d bytes", size)
	}
	if err := readFull(r, b, 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if string(b[:4]) != "regf" || le.Uint32(b[20:]) != 1 {
		return nil, damagedf("it is no hive")
	}
	h := &Hive{r: r, end: min(int64(le.Uint32(b[40:])), size-baseSize), root: le.Uint32(b[36:])}
	sum := uint32(0)
	for i := 0; i < 508; i += 4 {
		sum ^= le.Uint32(b[i:])
	}
	h.dirty = le.Uint32(b[4:]) != le.Uint32(b[8:]) || sum != le.Uint32(b[508:])
	return h, nil
}

// Dirty reports whether Windows had changes for this hive that may lie in its logs only.
func (h *Hive) Dirty() bool { return h.dirty }

func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return damagedf("it ends at %d", off+int64(n))
	}
	return err
}

// cell reads up to most bytes of a cell that is in use, at least need.
func (h *Hive) cell(at uint32, need, most int) ([]byte, error) {
	var head [4]byte
	if h.cells++; h.cells > maxCells {
		return nil, damagedf("more than %d cells are asked for", maxCells)
	}
	if at%8 != 0 || int64(at)+8 > h.end {
		return nil, damagedf("no cell at %#x", at)
	}
	if err := readFull(h.r, head[:], baseSize+int64(at)); err != nil {
		return nil, err
	}
	size := -int64(int32(binary.LittleEndian.Uint32(head[:])))
	if size < 8 || size > h.end-int64(at) || size-4 < int64(need) {
		return nil, damagedf("a cell of %d bytes at %#x", size, at)
	}
	b := make([]byte, min(size-4, int64(most), maxCell))
	return b, readFull(h.r, b, baseSize+int64(at)+4)
}

// Key is one key.
type Key struct {
	h       *Hive
	Name    string
	Written time.Time // when it was last changed
	subkeys uint32
	subList uint32
	values  uint32
	valList uint32
}

// Root is the key at the top.
func (h *Hive) Root() (*Key, error) { return h.key(h.root) }

func (h *Hive) key(at uint32) (*Key, error) {
	b, err := h.cell(at, 76, 76+1024)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	length := int(le.Uint16(b[72:]))
	if string(b[:2]) != "nk" || 76+length > len(b) {
		return nil, damagedf("no key at %#x", at)
	}
	return &Key{h: h, Name: name(b[76:76+length], le.Uint16(b[2:])&latinName != 0), Written: fileTime(le.Uint64(b[4:])),
		subkeys: le.Uint32(b[20:]), subList: le.Uint32(b[28:]), values: le.Uint32(b[36:]), valList: le.Uint32(b[40:])}, nil
}

// fileTime reads a time of Windows: steps of 100 ns since 1601.
func fileTime(t uint64) time.Time {
	if t == 0 || t>>63 != 0 {
		return time.Time{}
	}
	return time.Unix(int64(t/10_000_000)-winEpoch, int64(t%10_000_000)*100).UTC()
}

func name(b []byte, latin bool) string {
	if !latin {
		return text(b)
	}
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}

// text reads UTF-16.
func text(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// Key finds a key by its path below the root, whatever the case of letters. ErrNotExist when it is not there.
func (h *Hive) Key(path string) (*Key, error) {
	k, err := h.Root()
	if err != nil {
		return nil, err
	}
	return k.Key(path)
}

// Key finds a key below this one.
func (k *Key) Key(path string) (*Key, error) {
	for _, part := range strings.Split(path, `\`) {
		var found *Key
		err := k.Each(func(s *Key) bool {
			if strings.EqualFold(s.Name, part) {
				found = s
			}
			return found == nil
		})
		if err != nil {
			return nil, fmt.Errorf("read key %s: %w", path, err)
		}
		if found == nil {
			return nil, fmt.Errorf("key %s: %w", path, ErrNotExist)
		}
		k = found
	}
	return k, nil
}

// Each calls fn with every subkey, at most 65536, until it says that it suffices. A subkey that is damaged ends it.
func (k *Key) Each(fn func(*Key) (more bool)) error {
	if k.subkeys == 0 || k.subList == none {
		return nil
	}
	left := min(int(k.subkeys), maxKeys)
	_, err := k.h.list(k.subList, &left, true, fn)
	return err
}

// list goes through one list of subkeys; a list of lists may hold no more lists of lists.
func (h *Hive) list(at uint32, left *int, nested bool, fn func(*Key) bool) (more bool, err error) {
	b, err := h.cell(at, 4, 4+8*maxKeys)
	if err != nil {
		return false, err
	}
	le := binary.LittleEndian
	count, width := int(le.Uint16(b[2:])), 4
	kind := string(b[:2])
	switch {
	case kind == "lf" || kind == "lh":
		width = 8
	case kind == "li":
	case kind == "ri" && nested:
	default:
		return false, damagedf("no list of keys at %#x", at)
	}
	if 4+count*width > len(b) {
		return false, damagedf("a list of %d keys at %#x", count, at)
	}
	for i := 0; i < count && *left > 0; i++ {
		to := le.Uint32(b[4+i*width:])
		if kind == "ri" {
			if more, err = h.list(to, left, false, fn); err != nil || !more {
				return false, err
			}
			continue
		}
		*left--
		k, err := h.key(to)
		if err != nil {
			return false, err
		}
		if !fn(k) {
			return false, nil
		}
	}
	return true, nil
}

// IsNotExist reports whether an error only says that a key or a value is not there.
func IsNotExist(err error) bool { return errors.Is(err, ErrNotExist) }
