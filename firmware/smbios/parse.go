package smbios

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Dir is where Linux shows the tables.
const Dir = "/sys/firmware/dmi/tables"

// Bounds of what is read from one machine.
const (
	maxEntry      = 64      // bytes; the longest entry point has 31
	maxTable      = 1 << 20 // bytes; real ones have 1 to 16 KiB
	maxStructures = 4096
	maxString     = 256 // bytes kept of one string
	maxList       = 256 // processors, memory devices, OEM strings kept
)

// ErrNoTables says that the machine shows no SMBIOS.
var ErrNoTables = errors.New("no SMBIOS tables")

// Info is what the tables tell. An absent or empty string is "".
type Info struct {
	Major, Minor int // of the SMBIOS version
	BIOS         BIOS
	System       System
	Board        Board
	Chassis      Chassis
	Processors   []Processor
	Memory       []MemoryDevice
	OEM          []string
}

// BIOS is structure type 0.
type BIOS struct{ Vendor, Version, Date string }

// System is structure type 1. Lenovo puts the name that people use into Version.
type System struct {
	Manufacturer, Product, Version, Serial, SKU, Family string
	UUID                                                UUID
}

// Board is structure type 2, the first one.
type Board struct{ Manufacturer, Product, Version, Serial, AssetTag string }

// Chassis is structure type 3, the first one. Type is the number of DSP0134 table 17 without the lock bit:
// 9 laptop, 10 notebook, 14 sub-notebook, 31 convertible, 32 detachable.
type Chassis struct {
	Type                                    int
	Manufacturer, Version, Serial, AssetTag string
}

// Processor is one structure of type 4 whose socket is filled.
type Processor struct {
	Manufacturer, Version string
	Cores, Threads        int
}

// MemoryDevice is one structure of type 17; an empty slot has 0 bytes.
type MemoryDevice struct {
	Bytes                               uint64
	Locator, Manufacturer, Serial, Part string
	MTs                                 int // configured speed in MT/s, 0 when unknown
}

// MemoryBytes is the memory fitted, in bytes, slots added up.
func (i *Info) MemoryBytes() uint64 {
	var n uint64
	for _, m := range i.Memory {
		n += m.Bytes
	}
	return n
}

// Read parses the tables under dir, usually Dir. ErrNoTables when there are none.
func Read(dir string) (*Info, error) {
	entry, err := readBounded(filepath.Join(dir, "smbios_entry_point"), maxEntry)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNoTables
	}
	if err != nil {
		return nil, err
	}
	table, err := readBounded(filepath.Join(dir, "DMI"), maxTable)
	if err != nil {
		return nil, err
	}
	return Parse(entry, table)
}

// Parse reads an entry point and the list of structures. A structure that ends early gives what it has; a
// damaged entry point, or a list without one whole structure, is an error.
func Parse(entry, table []byte) (*Info, error) {
	major, minor, err := parseEntry(entry)
	if err != nil {
		return nil, err
	}
	if len(table) > maxTable {
		return nil, fmt.Errorf("parse SMBIOS: table of %d bytes, at most %d", len(table), maxTable)
	}
	info := &Info{Major: major, Minor: minor}
	n := 0
	for len(table) >= 4 && n < maxStructures {
		s, rest, ok := cut(table)
		if !ok {
			break
		}
		table, n = rest, n+1
		if s.kind == 127 {
			break
		}
		info.take(s)
	}
	if n == 0 {
		return nil, fmt.Errorf("parse SMBIOS: %w: not one whole structure", ErrNoTables)
	}
	return info, nil
}

// parseEntry reads the version from the 32-bit ("_SM_") or 64-bit ("_SM3_") entry point and checks its sum.
func parseEntry(b []byte) (major, minor int, err error) {
	var length, at int
	switch {
	case len(b) >= 24 && string(b[:5]) == "_SM3_":
		length, at = int(b[6]), 7
	case len(b) >= 31 && string(b[:4]) == "_SM_":
		length, at = int(b[5]), 6
		if length == 0x1e { // the SMBIOS 2.1 specification's own misprint
			length = 0x1f
		}
	default:
		return 0, 0, fmt.Errorf("parse SMBIOS: no entry point in %d bytes", len(b))
	}
	if length < 24 || length > len(b) {
		return 0, 0, fmt.Errorf("parse SMBIOS: entry point states %d bytes, has %d", length, len(b))
	}
	var sum byte
	for _, c := range b[:length] {
		sum += c
	}
	if sum != 0 {
		return 0, 0, errors.New("parse SMBIOS: entry point has a wrong checksum")
	}
	return int(b[at]), int(b[at+1]), nil
}

// structure is one entry of the list; data includes the four bytes of its header.
type structure struct {
	kind    byte
	data    []byte
	strings []string
}

// cut splits the first structure off. The string set ends with two zero bytes; a set without an end is taken
// as far as it goes, and nothing follows it.
func cut(b []byte) (s structure, rest []byte, ok bool) {
	length := int(b[1])
	if length < 4 || length > len(b) {
		return structure{}, nil, false
	}
	s = structure{kind: b[0], data: b[:length]}
	b = b[length:]
	if len(b) >= 2 && b[0] == 0 && b[1] == 0 {
		return s, b[2:], true
	}
	for len(b) > 0 && b[0] != 0 {
		end := 0
		for end < len(b) && b[end] != 0 {
			end++
		}
		if len(s.strings) < 255 {
			s.strings = append(s.strings, clean(b[:end]))
		}
		b = b[min(end+1, len(b)):]
	}
	return s, b[min(1, len(b)):], true
}

// str gives the string whose number stands at offset off.
func (s structure) str(off int) string {
	n := int(s.u8(off))
	if n == 0 || n > len(s.strings) {
		return ""
	}
	return s.strings[n-1]
}

func (s structure) u8(off int) byte {
	if off >= len(s.data) {
		return 0
	}
	return s.data[off]
}

func (s structure) u16(off int) uint16 {
	if off+2 > len(s.data) {
		return 0
	}
	return binary.LittleEndian.Uint16(s.data[off:])
}

func (s structure) u32(off int) uint32 {
	if off+4 > len(s.data) {
		return 0
	}
	return binary.LittleEndian.Uint32(s.data[off:])
}

// clean makes a firmware's string fit for a screen and a log: bytes outside printable ASCII become spaces, runs
// of spaces one, the ends trimmed, and the length bounded.
func clean(b []byte) string {
	out := make([]byte, 0, min(len(b), maxString))
	for _, c := range b {
		if c <= ' ' || c > '~' {
			if len(out) > 0 && out[len(out)-1] != ' ' {
				out = append(out, ' ')
			}
		} else {
			out = append(out, c)
		}
		if len(out) == maxString {
			break
		}
	}
	for len(out) > 0 && out[len(out)-1] == ' ' {
		out = out[:len(out)-1]
	}
	return string(out)
}

// readBounded reads a whole file of at most limit bytes.
func readBounded(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(b) > limit {
		return nil, fmt.Errorf("read %s: more than %d bytes", path, limit)
	}
	return b, nil
}
