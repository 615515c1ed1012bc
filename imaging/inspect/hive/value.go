package hive

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Type says what a value holds.
type Type uint32

// The types that are read (winnt.h); others are bytes.
const (
	None   Type = 0
	SZ     Type = 1
	Expand Type = 2
	Binary Type = 3
	DWord  Type = 4
	Multi  Type = 7
	QWord  Type = 11
)

// Value is one value with its data.
type Value struct {
	Name string // empty for the default value
	Type Type
	Data []byte
}

// Value reads a value by its name, whatever the case of letters. ErrNotExist when it is not there.
func (k *Key) Value(want string) (Value, error) {
	if k.values == 0 || k.valList == none {
		return Value{}, fmt.Errorf("value %s of %s: %w", want, k.Name, ErrNotExist)
	}
	n := min(int(k.values), maxValues)
	list, err := k.h.cell(k.valList, 4*n, 4*n)
	if err != nil {
		return Value{}, fmt.Errorf("values of %s: %w", k.Name, err)
	}
	for i := range n {
		v, found, err := k.h.value(binary.LittleEndian.Uint32(list[4*i:]), want)
		if err != nil {
			return v, fmt.Errorf("value %s of %s: %w", want, k.Name, err)
		}
		if found {
			return v, nil
		}
	}
	return Value{}, fmt.Errorf("value %s of %s: %w", want, k.Name, ErrNotExist)
}

// value reads a value when it has the name that is wanted.
func (h *Hive) value(at uint32, want string) (v Value, found bool, err error) {
	b, err := h.cell(at, 20, 20+64<<10)
	if err != nil {
		return v, false, err
	}
	le := binary.LittleEndian
	length := int(le.Uint16(b[2:]))
	if string(b[:2]) != "vk" || 20+length > len(b) {
		return v, false, damagedf("no value at %#x", at)
	}
	v = Value{Name: name(b[20:20+length], le.Uint16(b[16:])&latinVK != 0), Type: Type(le.Uint32(b[12:]))}
	if !strings.EqualFold(v.Name, want) {
		return v, false, nil
	}
	v.Data, err = h.data(le.Uint32(b[4:]), b[8:12])
	return v, true, err
}

func (h *Hive) data(size uint32, place []byte) ([]byte, error) {
	if size&inCell != 0 {
		if size &^= inCell; size > 4 {
			return nil, damagedf("%d bytes of data in a cell of 4", size)
		}
		return place[:size], nil
	}
	if size > maxData {
		return nil, damagedf("%d bytes of data", size)
	}
	if size == 0 {
		return nil, nil
	}
	at := binary.LittleEndian.Uint32(place)
	b, err := h.cell(at, 2, max(int(size), 12))
	if err != nil {
		return nil, err
	}
	if size > piece && string(b[:2]) == "db" && len(b) >= 8 {
		return h.pieces(b, int(size))
	}
	if len(b) < int(size) {
		return nil, damagedf("%d bytes of data in a cell of %d", size, len(b))
	}
	return b[:size], nil
}

// pieces joins data that is kept in several cells.
func (h *Hive) pieces(db []byte, size int) ([]byte, error) {
	count := int(binary.LittleEndian.Uint16(db[2:]))
	if count != (size+piece-1)/piece {
		return nil, damagedf("%d bytes of data in %d pieces", size, count)
	}
	list, err := h.cell(binary.LittleEndian.Uint32(db[4:]), 4*count, 4*count)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, size)
	for i := range count {
		n := min(piece, size-len(out))
		b, err := h.cell(binary.LittleEndian.Uint32(list[4*i:]), n, n)
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

// String is the text of a value; empty when it holds none.
func (v Value) String() string {
	if v.Type != SZ && v.Type != Expand && v.Type != Multi {
		return ""
	}
	s, _, _ := strings.Cut(text(v.Data), "\x00")
	return s
}

// Uint is the number of a value; false when it holds none.
func (v Value) Uint() (uint64, bool) {
	switch {
	case v.Type == DWord && len(v.Data) >= 4:
		return uint64(binary.LittleEndian.Uint32(v.Data)), true
	case v.Type == QWord && len(v.Data) >= 8:
		return binary.LittleEndian.Uint64(v.Data), true
	}
	return 0, false
}

// Text reads a text below a key, empty when it is not there.
func (k *Key) Text(name string) (string, error) {
	v, err := k.Value(name)
	return v.String(), ignore(err)
}

// Number reads a number below a key, 0 when it is not there.
func (k *Key) Number(name string) (uint64, error) {
	v, err := k.Value(name)
	n, _ := v.Uint()
	return n, ignore(err)
}

func ignore(err error) error {
	if IsNotExist(err) {
		return nil
	}
	return err
}
