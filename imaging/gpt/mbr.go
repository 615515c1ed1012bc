package gpt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	mbrProtective = 0xEE
	mbrTable      = 446 // offset of the four entries
	bootCodeSize  = 440
	maxLogical    = 128 // partitions in extended ones that are followed
)

// The MBR types that imaging must tell apart.
const (
	MBRLinuxSwap = 0x82
	MBRLinux     = 0x83
	MBRLVM       = 0x8E
	MBREFI       = 0xEF
)

// ErrNoMBR says that sector 0 has no boot signature or no partition.
var ErrNoMBR = errors.New("no MBR partition table")

// MBRPartition is one partition of an MBR disk. Logical ones are numbered from 5.
type MBRPartition struct {
	Number int
	Type   byte
	Active bool
	First  uint64 // LBA, inclusive
	Last   uint64 // LBA, inclusive
}

// MBR is the partition table of a disk without GPT.
type MBR struct {
	Signature  uint32 // of the disk; fstab's PARTUUID begins with it
	BootCode   bool   // the first sector holds a program
	Partitions []MBRPartition
}

// ReadMBR reads the MBR of a disk of size bytes, with its logical partitions. Errors: ErrNoMBR when there is
// none, ErrTruncated when a partition ends behind the disk, words for a chain that loops or overlaps.
func ReadMBR(r io.ReaderAt, size int64, sectorSize int) (*MBR, error) {
	if err := checkSectorSize(sectorSize); err != nil {
		return nil, err
	}
	b := make([]byte, mbrSize)
	if err := readFull(r, b, 0); err != nil {
		return nil, fmt.Errorf("read MBR: %w", err)
	}
	if !bootSignature(b) || looksLikeVolume(b) {
		return nil, ErrNoMBR
	}
	m := &MBR{Signature: binary.LittleEndian.Uint32(b[440:]), BootCode: hasBootCode(b)}
	sectors := uint64(size) / uint64(sectorSize)
	for i, p := range mbrEntries(b) {
		if p.Type == 0 || p.count == 0 {
			continue
		}
		if p.Type == mbrProtective {
			return nil, ErrNoMBR
		}
		if uint64(p.first)+uint64(p.count) > sectors {
			return nil, fmt.Errorf("read MBR: %w: partition %d ends at sector %d, disk of %d sectors", ErrTruncated, i+1, uint64(p.first)+uint64(p.count)-1, sectors)
		}
		if extended(p.Type) {
			if err := m.readLogical(r, sectorSize, uint64(p.first), uint64(p.count)); err != nil {
				return nil, fmt.Errorf("read MBR: %w", err)
			}
			continue
		}
		m.add(i+1, p, 0)
	}
	if len(m.Partitions) == 0 {
		return nil, ErrNoMBR
	}
	return m, m.checkOverlap()
}

func (m *MBR) add(n int, p mbrEntry, base uint64) {
	first := base + uint64(p.first)
	m.Partitions = append(m.Partitions, MBRPartition{Number: n, Type: p.Type, Active: p.active, First: first, Last: first + uint64(p.count) - 1})
}

// readLogical follows the chain of one extended partition. Every link must lie inside it and behind the last
// one, so a chain always ends.
func (m *MBR) readLogical(r io.ReaderAt, sectorSize int, start, count uint64) error {
	b := make([]byte, mbrSize)
	at, number := start, 5
	for _, p := range m.Partitions {
		number = max(number, p.Number+1)
	}
	for range maxLogical {
		if err := readFull(r, b, int64(at)*int64(sectorSize)); err != nil {
			return fmt.Errorf("read extended partition at sector %d: %w", at, err)
		}
		if !bootSignature(b) {
			return fmt.Errorf("extended partition at sector %d has no signature", at)
		}
		e := mbrEntries(b)
		if e[0].Type != 0 && e[0].count != 0 {
			if at+uint64(e[0].first)+uint64(e[0].count) > start+count {
				return fmt.Errorf("logical partition %d passes the extended one's end", number)
			}
			m.add(number, e[0], at)
			number++
		}
		if !extended(e[1].Type) || e[1].count == 0 {
			return nil
		}
		next := start + uint64(e[1].first)
		if next <= at || next >= start+count {
			return fmt.Errorf("extended partition's chain jumps from sector %d to %d", at, next)
		}
		at = next
	}
	return fmt.Errorf("more than %d logical partitions", maxLogical)
}

func (m *MBR) checkOverlap() error {
	for i, a := range m.Partitions {
		if a.First == 0 {
			return fmt.Errorf("read MBR: partition %d begins at the table itself", a.Number)
		}
		for _, b := range m.Partitions[:i] {
			if a.First <= b.Last && b.First <= a.Last {
				return fmt.Errorf("read MBR: partitions %d and %d overlap", b.Number, a.Number)
			}
		}
	}
	return nil
}

// mbrEntry is one of the four rows of sector 0 or of an extended partition's first sector.
type mbrEntry struct {
	Type         byte
	active       bool
	first, count uint32
}

func mbrEntries(b []byte) [4]mbrEntry {
	var out [4]mbrEntry
	for i := range out {
		e := b[mbrTable+16*i:]
		out[i] = mbrEntry{Type: e[4], active: e[0] == 0x80, first: binary.LittleEndian.Uint32(e[8:]), count: binary.LittleEndian.Uint32(e[12:])}
	}
	return out
}

func extended(t byte) bool { return t == 0x05 || t == 0x0F || t == 0x85 }

func bootSignature(b []byte) bool { return b[510] == 0x55 && b[511] == 0xAA }

// looksLikeVolume tells a FAT or NTFS boot sector, which ends in the same signature, from a table: all four
// rows of a table begin with 0x00 or 0x80.
func looksLikeVolume(b []byte) bool {
	for i := range 4 {
		if s := b[mbrTable+16*i]; s != 0 && s != 0x80 {
			return true
		}
	}
	return false
}

func hasProtective(b []byte) bool {
	if !bootSignature(b) {
		return false
	}
	for _, e := range mbrEntries(b) {
		if e.Type == mbrProtective {
			return true
		}
	}
	return false
}

func hasBootCode(b []byte) bool {
	if len(b) < mbrSize {
		return false
	}
	for _, c := range b[:bootCodeSize] {
		if c != 0 {
			return bootSignature(b)
		}
	}
	return false
}

// fitProtective sets the protective entry's length for a disk of so many sectors; one that hides only the
// table's head, as in a hybrid MBR, stays.
func fitProtective(mbr []byte, sectors uint64) {
	others := false
	for _, e := range mbrEntries(mbr) {
		others = others || (e.Type != 0 && e.Type != mbrProtective)
	}
	if others {
		return
	}
	for i, e := range mbrEntries(mbr) {
		if e.Type == mbrProtective {
			if count := uint32(min(sectors-1, 0xFFFFFFFF)); count != e.count {
				row := mbr[mbrTable+16*i:]
				row[5], row[6], row[7] = 0xFF, 0xFF, 0xFF // the end in CHS terms: not expressible
				binary.LittleEndian.PutUint32(row[12:], count)
			}
			return
		}
	}
}
