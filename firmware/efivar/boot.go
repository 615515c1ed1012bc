package efivar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// BootState is the boot menu as the firmware holds it.
type BootState struct {
	Entries    map[uint16]LoadOption
	Unreadable map[uint16]bool // Boot#### variables that are there and not understood: left alone, their numbers taken
	Order      []uint16
	Next       int // BootNext, -1 when not set
	Current    int // BootCurrent, -1 when not told
}

// BootName is the variable of one entry: Boot0003.
func BootName(n uint16) string { return fmt.Sprintf("Boot%04X", n) }

// bootNumber reads BootXXXX, four hex digits in upper case.
func bootNumber(name string) (uint16, bool) {
	if len(name) != 8 || name[:4] != "Boot" {
		return 0, false
	}
	n, err := strconv.ParseUint(name[4:], 16, 16)
	return uint16(n), err == nil && BootName(uint16(n)) == name
}

// Boot reads the boot menu. An entry that cannot be read is noted and does not spoil the others.
func (v *Vars) Boot() (BootState, error) {
	s := BootState{Entries: map[uint16]LoadOption{}, Unreadable: map[uint16]bool{}}
	names, err := v.List()
	if err != nil {
		return s, err
	}
	for _, n := range names {
		num, ok := bootNumber(n.Name)
		if !ok || n.Vendor != Global {
			continue
		}
		_, b, err := v.Get(n)
		if err != nil {
			s.Unreadable[num] = true
			continue
		}
		if o, err := ParseLoadOption(b); err == nil {
			s.Entries[num] = o
		} else {
			s.Unreadable[num] = true
		}
	}
	if s.Order, err = v.numbers("BootOrder"); err != nil {
		return s, err
	}
	if s.Next, err = v.number("BootNext"); err != nil {
		return s, err
	}
	s.Current, err = v.number("BootCurrent")
	return s, err
}

func (v *Vars) numbers(name string) ([]uint16, error) {
	_, b, err := v.Get(Name{name, Global})
	if errors.Is(err, ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(b)%2 != 0 {
		return nil, fmt.Errorf("UEFI variable %s: %d bytes, want an even number", name, len(b))
	}
	out := make([]uint16, len(b)/2)
	for i := range out {
		out[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return out, nil
}

func (v *Vars) number(name string) (int, error) {
	n, err := v.numbers(name)
	if err != nil || len(n) == 0 {
		return -1, err
	}
	if len(n) != 1 {
		return -1, fmt.Errorf("UEFI variable %s: %d numbers, want one", name, len(n))
	}
	return int(n[0]), nil
}

// Step is one change of the boot menu: a write, or with a nil Value a deletion.
type Step struct {
	Name  string // Boot0003, BootOrder, BootNext
	Value []byte
}

// Plan is what PlanBoot decided: the number of the drive's entry, and the steps in their order. Entries are
// written before the order names them, and deleted after it no longer does, so that a machine switched off
// between two steps still starts.
type Plan struct {
	Entry uint16
	Steps []Step
}

// Apply carries a plan out; each value is read back.
func (v *Vars) Apply(p Plan) error {
	for _, s := range p.Steps {
		var err error
		if s.Value == nil {
			err = v.Delete(Name{s.Name, Global})
		} else {
			err = v.Set(Name{s.Name, Global}, bootVariable, s.Value)
		}
		if err != nil {
			return fmt.Errorf("set boot entry: %w", err)
		}
	}
	return nil
}

// SetBootNext makes the firmware start entry n at the next start only. An entry that is not there is refused,
// since firmware silently ignores such a number.
func (v *Vars) SetBootNext(n uint16) error {
	if _, _, err := v.Get(Name{BootName(n), Global}); err != nil {
		return fmt.Errorf("set BootNext: %w", err)
	}
	return v.Set(Name{"BootNext", Global}, bootVariable, binary.LittleEndian.AppendUint16(nil, n))
}

// freeNumber is the lowest number that no entry and no place in the order uses.
func (s BootState) freeNumber() (uint16, error) {
	for n := 0; n <= 0xffff; n++ {
		_, used := s.Entries[uint16(n)]
		if !used && !s.Unreadable[uint16(n)] && !slices.Contains(s.Order, uint16(n)) {
			return uint16(n), nil
		}
	}
	return 0, errors.New("plan boot entry: every number is taken")
}

// numbersOf gives the entries' numbers in order.
func (s BootState) numbersOf() []uint16 { return slices.Sorted(maps.Keys(s.Entries)) }
