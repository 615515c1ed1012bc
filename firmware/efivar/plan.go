package efivar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
)

// Wish is the one boot entry that a freshly written drive should have.
type Wish struct {
	Label  string    // the entry's name in the firmware's menu
	Ours   string    // what the name of each entry that we made begins with; empty: the Label alone is ours
	Loader string    // path on the ESP, \EFI\BOOT\BOOTX64.EFI
	ESP    Partition // the drive's EFI system partition, as the new table has it
	Former []GUID    // partitions that the drive's table held before it was written
	Others []GUID    // partitions of the machine's other drives: their entries are never touched
}

// PlanBoot decides the writes that leave exactly one entry for the drive.
//
// An entry is the drive's when it leads through the drive's ESP or through a partition that the drive held
// before, or when it carries one of our labels and leads through a partition that no other drive holds; an entry that says
// exactly what is wanted is always taken, also where two drives hold copies of one image. One such entry is
// rewritten in place, preferably one that already says what is wanted; the others are deleted. An entry that
// stood in BootOrder keeps its place there. A new one goes behind the network entries that lead the order, and
// before everything else, so that a machine set to network first stays so and one set to its drive first finds
// this drive first. BootNext points at the entry: the restart after the deploy goes to the new system.
func PlanBoot(s BootState, w Wish) (Plan, error) {
	if w.Label == "" || w.Loader == "" || w.ESP.Number == 0 || w.ESP.Size == 0 || w.ESP.GUID == (GUID{}) {
		return Plan{}, errors.New("plan boot entry: label, loader and EFI partition must be known")
	}
	want := LoadOption{Attributes: Active, Description: w.Label, Path: PartitionPath(w.ESP, w.Loader)}
	value, err := want.Marshal()
	if err != nil {
		return Plan{}, err
	}
	mine := s.entriesOf(w, value)
	p := Plan{}
	if len(mine) == 0 {
		if p.Entry, err = s.freeNumber(); err != nil {
			return Plan{}, err
		}
	} else {
		p.Entry = s.best(mine, value)
	}
	if have, ok := s.Entries[p.Entry]; !ok || !sameOption(have, value) {
		p.Steps = append(p.Steps, Step{BootName(p.Entry), value})
	}
	order := s.orderWith(p.Entry, mine)
	if !slices.Equal(order, s.Order) {
		p.Steps = append(p.Steps, Step{"BootOrder", orderBytes(order)})
	}
	if s.Next != int(p.Entry) {
		p.Steps = append(p.Steps, Step{"BootNext", orderBytes([]uint16{p.Entry})})
	}
	for _, n := range mine {
		if n != p.Entry {
			p.Steps = append(p.Steps, Step{Name: BootName(n)})
		}
	}
	return p, nil
}

// entriesOf gives the numbers of the drive's entries, lowest first.
func (s BootState) entriesOf(w Wish, value []byte) []uint16 {
	var mine []uint16
	for _, n := range s.numbersOf() {
		o := s.Entries[n]
		part, ok := o.Path.Partition()
		if sameOption(o, value) {
			mine = append(mine, n)
			continue
		}
		if !ok || o.Network() || slices.Contains(w.Others, part.GUID) {
			continue
		}
		if part.GUID == w.ESP.GUID || slices.Contains(w.Former, part.GUID) || w.ours(o.Description) {
			mine = append(mine, n)
		}
	}
	return mine
}

// ours reports whether we gave an entry this name.
func (w Wish) ours(name string) bool {
	return name == w.Label || w.Ours != "" && (name == w.Ours || strings.HasPrefix(name, w.Ours+" "))
}

// best picks the entry to keep: one that already says what is wanted, else the first that the order names, else
// the lowest.
func (s BootState) best(mine []uint16, value []byte) uint16 {
	for _, n := range mine {
		if sameOption(s.Entries[n], value) {
			return n
		}
	}
	for _, n := range s.Order {
		if slices.Contains(mine, n) {
			return n
		}
	}
	return mine[0]
}

// orderWith is BootOrder with entry in it once and none of the drive's others.
func (s BootState) orderWith(entry uint16, mine []uint16) []uint16 {
	order := []uint16{}
	at := -1
	for _, n := range s.Order {
		if n == entry || slices.Contains(mine, n) {
			if at < 0 {
				at = len(order)
			}
			continue
		}
		order = append(order, n)
	}
	if at < 0 {
		at = s.leading(order)
	}
	return slices.Insert(order, at, entry)
}

// leading counts the entries at the head of the order up to the last network entry among them. The firmware's
// own programs and numbers without an entry do not end the head.
func (s BootState) leading(order []uint16) int {
	head := 0
	for i, n := range order {
		o, ok := s.Entries[n]
		switch {
		case ok && o.Network():
			head = i + 1
		case ok && !o.app():
			return head
		}
	}
	return head
}

func sameOption(o LoadOption, value []byte) bool {
	b, err := o.Marshal()
	return err == nil && bytes.Equal(b, value)
}

func orderBytes(order []uint16) []byte {
	var b []byte
	for _, n := range order {
		b = binary.LittleEndian.AppendUint16(b, n)
	}
	return b
}
