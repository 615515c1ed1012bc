package gpt

import (
	"fmt"
	"slices"
)

// alignment is where partitions begin and end on today's disks, in bytes.
const alignment = 1 << 20

// Clone gives a table that can be changed without changing t.
func (t *Table) Clone() *Table {
	c := *t
	c.Entries = slices.Clone(t.Entries)
	c.mbr = slices.Clone(t.mbr)
	return &c
}

// Relocate fits the table to a disk of size bytes: its second copy goes to the new end, and the usable sectors
// reach up to it. Partitions stay where they are; a disk too short for them is an error and changes nothing.
func (t *Table) Relocate(size int64) error {
	ss := int64(t.SectorSize)
	if size <= 0 || ss == 0 || size%ss != 0 {
		return fmt.Errorf("relocate GPT: disk of %d bytes is not a whole number of %d byte sectors", size, ss)
	}
	c := t.Clone()
	c.DiskSectors = uint64(size / ss)
	if c.DiskSectors < c.FirstUsable+c.entrySectors()+2 {
		return fmt.Errorf("relocate GPT: disk of %d sectors is too short for a table", c.DiskSectors)
	}
	c.backupLBA = c.DiskSectors - 1
	c.LastUsable = c.backupLBA - c.entrySectors() - 1
	return t.take(c, "relocate GPT")
}

// GrowPartition sets the last sector, inclusive, of partition n; it never shrinks one.
func (t *Table) GrowPartition(n int, last uint64) error {
	e, err := t.movable(n)
	if err != nil {
		return fmt.Errorf("grow partition %d: %w", n, err)
	}
	if last < e.Last {
		return fmt.Errorf("grow partition %d: sector %d lies before its end %d", n, last, e.Last)
	}
	c := t.Clone()
	c.Entries[n-1].Last = last
	return t.take(c, fmt.Sprintf("grow partition %d", n))
}

// MovePartition lets partition n begin at sector first with its length kept. Its content is the caller's
// business.
func (t *Table) MovePartition(n int, first uint64) error {
	e, err := t.movable(n)
	if err != nil {
		return fmt.Errorf("move partition %d: %w", n, err)
	}
	if first > t.LastUsable || e.Sectors() > t.LastUsable-first+1 {
		return fmt.Errorf("move partition %d: %d sectors from %d pass the last usable sector %d", n, e.Sectors(), first, t.LastUsable)
	}
	c := t.Clone()
	c.Entries[n-1].First, c.Entries[n-1].Last = first, first+e.Sectors()-1
	return t.take(c, fmt.Sprintf("move partition %d", n))
}

// RoomBehind is the last sector to which partition n can grow: up to the next partition or the usable end, cut
// back to a whole MiB, and never before its present end.
func (t *Table) RoomBehind(n int) (uint64, error) {
	e, ok := t.Partition(n)
	if !ok {
		return 0, fmt.Errorf("room behind partition %d: there is no such partition", n)
	}
	end := t.LastUsable + 1
	for _, o := range t.Entries {
		if o.Used() && o.First > e.Last {
			end = min(end, o.First)
		}
	}
	unit := alignment / uint64(t.SectorSize)
	return max(end/unit*unit, e.Last+1) - 1, nil
}

// EndPlace is the sector at which a partition of the length of n begins when it lies, on a whole MiB, as far
// at the usable end as it can.
func (t *Table) EndPlace(n int) (uint64, error) {
	e, ok := t.Partition(n)
	if !ok {
		return 0, fmt.Errorf("place partition %d at the end: there is no such partition", n)
	}
	unit := alignment / uint64(t.SectorSize)
	return (t.LastUsable + 1 - e.Sectors()) / unit * unit, nil
}

// Behind lists the partitions that begin behind the end of n, in disk order.
func (t *Table) Behind(n int) []int {
	e, ok := t.Partition(n)
	if !ok {
		return nil
	}
	return slices.DeleteFunc(t.Used(), func(o int) bool { return t.Entries[o-1].First <= e.Last })
}

// movable is the one rule about which partitions may change their place.
func (t *Table) movable(n int) (Entry, error) {
	e, ok := t.Partition(n)
	if !ok {
		return e, fmt.Errorf("there is no such partition")
	}
	if t.Hybrid() {
		return e, fmt.Errorf("the MBR lists partitions of its own (hybrid MBR)")
	}
	return e, nil
}

// take makes c the table if it is a sound one.
func (t *Table) take(c *Table, doing string) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	*t = *c
	return nil
}
