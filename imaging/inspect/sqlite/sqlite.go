// Package sqlite reads the rows of one table out of an SQLite 3 file, in pure Go over an io.ReaderAt. It never writes,
// knows no SQL and no index, and reads no log beside the file.
//
// A file is pages of one size. Page 1 begins with a header of 100 bytes and holds the table sqlite_schema, whose rows
// name each table's root page. A table is a tree: interior pages (type 5) name pages below them, leaves (13) hold rows.
// A row that is too long for its page goes on in a chain of overflow pages.
//
// The file may be hostile: depth, pages visited and bytes of a row have limits, and no number is used before it is held
// against the file.
package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	headerSize = 100
	maxDepth   = 24
	maxPages   = 1 << 22
	maxRow     = 32 << 20 // bytes
	maxColumns = 64
	interior   = 5
	leaf       = 13
)

// ErrDamaged says that the file is no SQLite 3 database or is damaged.
var ErrDamaged = errors.New("the SQLite file is damaged")

func damagedf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// Row is the values of one row: nil, int64, string or []byte. Floating-point numbers are nil.
type Row []any

// file is an open database.
type file struct {
	r      io.ReaderAt
	page   int64
	usable int64 // of a page
	pages  int64
	seen   int // pages visited
}

// Rows calls fn with each row of a table until it says that it suffices. A row's bytes hold only during the call.
func Rows(r io.ReaderAt, size int64, table string, fn func(Row) (more bool)) error {
	f, err := open(r, size)
	if err != nil {
		return err
	}
	root := int64(0)
	_, err = f.walk(1, 0, func(row Row) bool {
		if len(row) >= 4 && row[0] == "table" {
			if s, ok := row[1].(string); ok && strings.EqualFold(s, table) {
				root, _ = row[3].(int64)
			}
		}
		return root == 0
	})
	if err != nil {
		return err
	}
	if root == 0 {
		return damagedf("there is no table %s", table)
	}
	_, err = f.walk(root, 0, fn)
	return err
}

func open(r io.ReaderAt, size int64) (*file, error) {
	b := make([]byte, headerSize)
	if n, err := r.ReadAt(b, 0); n < len(b) {
		return nil, shortly(err)
	}
	f := &file{r: r, page: int64(binary.BigEndian.Uint16(b[16:]))}
	if f.page == 1 {
		f.page = 65536
	}
	if string(b[:16]) != "SQLite format 3\x00" || f.page < 512 || f.page&(f.page-1) != 0 {
		return nil, damagedf("it does not begin as one")
	}
	if f.usable = f.page - int64(b[20]); f.usable < 480 {
		return nil, damagedf("pages of %d usable bytes", f.usable)
	}
	f.pages = size / f.page
	return f, nil
}

// shortly tells a file that ends from one that cannot be read.
func shortly(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return damagedf("it ends too early")
	}
	return err
}

// read reads a page; the number counts from 1.
func (f *file) read(n int64) ([]byte, error) {
	if f.seen++; n < 1 || n > f.pages || f.seen > maxPages || int64(f.seen) > 4*f.pages+64 {
		return nil, damagedf("page %d of %d", n, f.pages)
	}
	b := make([]byte, f.page)
	if k, err := f.r.ReadAt(b, (n-1)*f.page); k < len(b) {
		return nil, shortly(err)
	}
	return b, nil
}

// walk goes through the rows of the tree below a page.
func (f *file) walk(n int64, depth int, fn func(Row) bool) (more bool, err error) {
	if depth > maxDepth {
		return false, damagedf("a tree of more than %d levels", maxDepth)
	}
	b, err := f.read(n)
	if err != nil {
		return false, err
	}
	at := int64(0)
	if n == 1 {
		at = headerSize
	}
	kind, cells, list := b[at], int64(binary.BigEndian.Uint16(b[at+3:])), at+8
	if kind == interior {
		list = at + 12
	}
	if kind != interior && kind != leaf || list+2*cells > f.usable {
		return false, damagedf("page %d is no part of a table", n)
	}
	for i := range cells {
		cell := int64(binary.BigEndian.Uint16(b[list+2*i:]))
		if cell+4 > f.usable {
			return false, damagedf("a cell at %d of page %d", cell, n)
		}
		if kind == interior {
			more, err = f.walk(int64(binary.BigEndian.Uint32(b[cell:])), depth+1, fn)
		} else {
			more, err = f.row(b[cell:f.usable], fn)
		}
		if err != nil || !more {
			return false, err
		}
	}
	if kind == interior {
		return f.walk(int64(binary.BigEndian.Uint32(b[at+8:])), depth+1, fn)
	}
	return true, nil
}

func (f *file) row(cell []byte, fn func(Row) bool) (bool, error) {
	size, n := varint(cell)
	_, k := varint(cell[n:]) // the row's number
	if n == 0 || k == 0 || size < 0 || size > maxRow {
		return false, damagedf("a row of %d bytes", size)
	}
	b, err := f.payload(cell[n+k:], size)
	if err != nil {
		return false, err
	}
	row, err := decode(b)
	if err != nil {
		return false, err
	}
	return fn(row), nil
}

// payload gathers a row that may go on in overflow pages. Memory grows with what is read, not with what is claimed.
func (f *file) payload(b []byte, size int64) ([]byte, error) {
	local := size
	if most := f.usable - 35; size > most {
		least := (f.usable-12)*32/255 - 23
		if local = least + (size-least)%(f.usable-4); local > most {
			local = least
		}
	}
	if local == size {
		if size > int64(len(b)) {
			return nil, damagedf("a row that leaves its page")
		}
		return b[:size], nil
	}
	if local+4 > int64(len(b)) {
		return nil, damagedf("a row that leaves its page")
	}
	out := append([]byte(nil), b[:local]...)
	for next := int64(binary.BigEndian.Uint32(b[local:])); int64(len(out)) < size; {
		p, err := f.read(next)
		if err != nil {
			return nil, err
		}
		out = append(out, p[4:4+min(f.usable-4, size-int64(len(out)))]...)
		next = int64(binary.BigEndian.Uint32(p))
	}
	return out, nil
}

// decode reads a record: the types of its columns, then their values.
func decode(b []byte) (Row, error) {
	head, n := varint(b)
	if n == 0 || head < int64(n) || head > int64(len(b)) {
		return nil, damagedf("a row without columns")
	}
	types, body := b[n:head], b[head:]
	var row Row
	for len(types) > 0 && len(row) < maxColumns {
		t, k := varint(types)
		if k == 0 {
			return nil, damagedf("a column of no type")
		}
		types = types[k:]
		v, size := column(t, body)
		if size < 0 || size > int64(len(body)) {
			return nil, damagedf("a column of %d bytes", size)
		}
		row, body = append(row, v), body[size:]
	}
	return row, nil
}

// column reads one value and tells its size, -1 when it does not fit.
func column(t int64, b []byte) (any, int64) {
	switch {
	case t == 0:
		return nil, 0
	case t == 8, t == 9:
		return t - 8, 0
	case t >= 1 && t <= 6:
		size := []int64{1, 2, 3, 4, 6, 8}[t-1]
		if size > int64(len(b)) {
			return nil, -1
		}
		v := int64(int8(b[0]))
		for _, c := range b[1:size] {
			v = v<<8 | int64(c)
		}
		return v, size
	case t == 7:
		return nil, 8
	case t < 12:
		return nil, -1
	}
	size := (t - 12) / 2
	if size > int64(len(b)) {
		return nil, -1
	}
	if t%2 == 0 {
		return b[:size], size
	}
	return string(b[:size]), size
}

// varint reads a number of one to nine bytes; 0 bytes when it is cut off.
func varint(b []byte) (v int64, n int) {
	for n < 8 && n < len(b) {
		v = v<<7 | int64(b[n]&0x7F)
		if n++; b[n-1] < 0x80 {
			return v, n
		}
	}
	if n == 8 && len(b) > 8 {
		return v<<8 | int64(b[8]), 9
	}
	return 0, 0
}
