package gpt

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf16"
)

// The sizes of the format, in bytes.
const (
	headerSize = 92
	entrySize  = 128 // the only size that Linux and Windows take
	maxEntries = 1024
	mbrSize    = 512
)

// Errors that callers tell apart; everything else is damage, said in words.
var (
	ErrNoTable   = errors.New("no GPT") // no protective MBR
	ErrTruncated = errors.New("the disk is shorter than its partition table says")
)

// Entry is one partition. The zero Entry is an unused slot.
type Entry struct {
	Type       GUID
	Unique     GUID
	First      uint64 // LBA, inclusive
	Last       uint64 // LBA, inclusive
	Attributes uint64
	Name       [36]uint16 // UTF-16, as on the disk
}

// Used reports whether the slot holds a partition.
func (e Entry) Used() bool { return !e.Type.IsZero() }

// Sectors is the partition's length in sectors.
func (e Entry) Sectors() uint64 { return e.Last - e.First + 1 }

// Label is the partition's name up to its first zero; halves of a pair become U+FFFD.
func (e Entry) Label() string {
	n := slices.Index(e.Name[:], 0)
	if n < 0 {
		n = len(e.Name)
	}
	return string(utf16.Decode(e.Name[:n]))
}

// Table is one disk's GPT. Slot i of Entries is partition number i+1.
type Table struct {
	SectorSize  int    // 512 or 4096
	DiskSectors uint64 // of the disk that the table is for
	DiskGUID    GUID
	FirstUsable uint64
	LastUsable  uint64
	Entries     []Entry

	// PrimaryErr and BackupErr say what is wrong with either copy as read, nil when it is whole. ReadTable
	// fails only when neither can be used.
	PrimaryErr error
	BackupErr  error

	entriesLBA uint64 // of the first copy
	backupLBA  uint64 // of the second header
	mbr        []byte // sector 0 as read
}

// Partition gives partition n, counted from 1, and whether there is one.
func (t *Table) Partition(n int) (Entry, bool) {
	if n < 1 || n > len(t.Entries) {
		return Entry{}, false
	}
	e := t.Entries[n-1]
	return e, e.Used()
}

// Used lists the numbers of all partitions in the order in which they lie on the disk.
func (t *Table) Used() []int {
	var out []int
	for i, e := range t.Entries {
		if e.Used() {
			out = append(out, i+1)
		}
	}
	slices.SortFunc(out, func(a, b int) int {
		if t.Entries[a-1].First < t.Entries[b-1].First {
			return -1
		}
		return 1
	})
	return out
}

// BackupLBAs is the run of sectors, inclusive, that the second copy fills: its entries and its header.
func (t *Table) BackupLBAs() (first, last uint64) {
	return t.backupLBA - t.entrySectors(), t.backupLBA
}

// BackupAtEnd reports whether the second copy lies where it belongs; a disk file that was enlarged has it
// further in front.
func (t *Table) BackupAtEnd() bool { return t.backupLBA == t.DiskSectors-1 }

// HeadSectors is the number of sectors from LBA 0 that the MBR and the first copy fill.
func (t *Table) HeadSectors() uint64 { return t.entriesLBA + t.entrySectors() }

// Hybrid reports whether the MBR lists partitions beside the protective entry. Their places stand in both
// tables, so such a disk's partitions are never moved or grown.
func (t *Table) Hybrid() bool {
	for _, p := range mbrEntries(t.mbr) {
		if p.Type != 0 && p.Type != mbrProtective {
			return true
		}
	}
	return false
}

// BootCode reports whether the MBR holds a program that a BIOS would start.
func (t *Table) BootCode() bool { return hasBootCode(t.mbr) }

// entrySectors is the room that the entries take.
func (t *Table) entrySectors() uint64 { return entryRoom(len(t.Entries), t.SectorSize) }

func entryRoom(count, sector int) uint64 {
	return uint64((count*entrySize + sector - 1) / sector)
}

// Validate checks the table against its disk: both copies and all partitions lie apart and on the disk.
func (t *Table) Validate() error {
	if err := checkSectorSize(t.SectorSize); err != nil {
		return err
	}
	if len(t.Entries) < 1 || len(t.Entries) > maxEntries {
		return fmt.Errorf("%d partition entries, want 1 to %d", len(t.Entries), maxEntries)
	}
	if len(t.mbr) != t.SectorSize {
		return fmt.Errorf("protective MBR of %d bytes, want %d", len(t.mbr), t.SectorSize)
	}
	if t.backupLBA >= t.DiskSectors {
		return fmt.Errorf("%w: second GPT at sector %d, disk of %d sectors", ErrTruncated, t.backupLBA, t.DiskSectors)
	}
	if t.entriesLBA < 2 || t.entriesLBA > t.DiskSectors || t.HeadSectors() > t.FirstUsable {
		return fmt.Errorf("entries at sector %d reach into the partitions, which begin at %d", t.entriesLBA, t.FirstUsable)
	}
	if t.LastUsable < t.FirstUsable || t.backupLBA < t.entrySectors() || t.LastUsable >= t.backupLBA-t.entrySectors() {
		return fmt.Errorf("usable sectors %d to %d reach into the second GPT, which ends at %d", t.FirstUsable, t.LastUsable, t.backupLBA)
	}
	return t.validateEntries()
}

func (t *Table) validateEntries() error {
	prev, end := 0, uint64(0)
	for _, n := range t.Used() {
		e := t.Entries[n-1]
		if e.First > e.Last || e.First < t.FirstUsable || e.Last > t.LastUsable {
			return fmt.Errorf("partition %d (sectors %d to %d) lies outside the usable sectors %d to %d", n, e.First, e.Last, t.FirstUsable, t.LastUsable)
		}
		if prev != 0 && e.First <= end {
			return fmt.Errorf("partitions %d and %d overlap at sector %d", prev, n, e.First)
		}
		prev, end = n, e.Last
	}
	return nil
}

func checkSectorSize(n int) error {
	if n != 512 && n != 4096 {
		return fmt.Errorf("sector size %d, want 512 or 4096", n)
	}
	return nil
}
