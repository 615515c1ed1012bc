package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	signature = "EFI PART"
	revision1 = 0x00010000
)

// header is one copy's header, decoded and checked for itself only.
type header struct {
	my, alternate           uint64
	firstUsable, lastUsable uint64
	disk                    GUID
	entriesLBA              uint64
	count                   int
	entriesCRC              uint32
}

// ReadTable reads the GPT of a disk of size bytes and checks both copies. A damaged copy is told in PrimaryErr
// or BackupErr as long as the other is whole. Errors are ErrNoTable when the disk has no protective MBR,
// ErrTruncated when the disk ends before its table's end, and otherwise words about the damage. It reads at
// most 300 KiB.
func ReadTable(r io.ReaderAt, size int64, sectorSize int) (*Table, error) {
	mbr, sectors, err := readProtective(r, size, sectorSize)
	if err != nil {
		return nil, err
	}
	t, primaryErr := readCopy(r, sectorSize, sectors, 1)
	if primaryErr != nil {
		return recoverFromBackup(r, mbr, sectorSize, sectors, primaryErr)
	}
	t.mbr = mbr
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("read GPT: %w", err)
	}
	t.BackupErr = t.checkBackup(r)
	return t, nil
}

// ReadPrimary reads the GPT of a disk of size bytes from its first bytes only, as an image holds them: the
// second copy is not looked at.
func ReadPrimary(head io.ReaderAt, size int64, sectorSize int) (*Table, error) {
	mbr, sectors, err := readProtective(head, size, sectorSize)
	if err != nil {
		return nil, err
	}
	t, err := readCopy(head, sectorSize, sectors, 1)
	if err != nil {
		return nil, fmt.Errorf("read first GPT: %w", err)
	}
	t.mbr = mbr
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("read first GPT: %w", err)
	}
	return t, nil
}

func readProtective(r io.ReaderAt, size int64, sectorSize int) (mbr []byte, sectors uint64, err error) {
	if err := checkSectorSize(sectorSize); err != nil {
		return nil, 0, err
	}
	if size < 0 || size/int64(sectorSize) < 6 {
		return nil, 0, fmt.Errorf("disk of %d bytes: %w", size, ErrNoTable)
	}
	mbr = make([]byte, sectorSize)
	if err := readFull(r, mbr, 0); err != nil {
		return nil, 0, fmt.Errorf("read protective MBR: %w", err)
	}
	if !hasProtective(mbr) {
		return nil, 0, ErrNoTable
	}
	return mbr, uint64(size / int64(sectorSize)), nil
}

// recoverFromBackup is for a disk whose first copy cannot be used: only the last sector can hold the other.
func recoverFromBackup(r io.ReaderAt, mbr []byte, sectorSize int, sectors uint64, primaryErr error) (*Table, error) {
	t, err := readCopy(r, sectorSize, sectors, sectors-1)
	if err != nil {
		return nil, fmt.Errorf("read GPT: first copy: %w; second copy: %v", primaryErr, err)
	}
	t.mbr, t.PrimaryErr = mbr, primaryErr
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("read second GPT: %w", err)
	}
	return t, nil
}

// readCopy reads the header at lba and its entries.
func readCopy(r io.ReaderAt, sectorSize int, sectors, lba uint64) (*Table, error) {
	h, err := readHeader(r, sectorSize, sectors, lba)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, h.count*entrySize)
	if err := readFull(r, raw, int64(h.entriesLBA)*int64(sectorSize)); err != nil {
		return nil, fmt.Errorf("read entries at sector %d: %w", h.entriesLBA, err)
	}
	if got := crc32.ChecksumIEEE(raw); got != h.entriesCRC {
		return nil, fmt.Errorf("entries' checksum is %08x, header says %08x", got, h.entriesCRC)
	}
	t := &Table{
		SectorSize: sectorSize, DiskSectors: sectors, DiskGUID: h.disk,
		FirstUsable: h.firstUsable, LastUsable: h.lastUsable, Entries: decodeEntries(raw),
		entriesLBA: h.entriesLBA, backupLBA: h.alternate,
	}
	if lba != 1 { // seen from the end: the first copy's entries are where they always are
		t.entriesLBA, t.backupLBA = 2, lba
	}
	return t, nil
}

var errNoSignature = errors.New("no GPT signature")

func readHeader(r io.ReaderAt, sectorSize int, sectors, lba uint64) (header, error) {
	b := make([]byte, sectorSize)
	if err := readFull(r, b, int64(lba)*int64(sectorSize)); err != nil {
		return header{}, fmt.Errorf("read header at sector %d: %w", lba, err)
	}
	h, err := decodeHeader(b)
	if err != nil {
		return h, err
	}
	if h.my != lba {
		return h, fmt.Errorf("header at sector %d says it is at %d", lba, h.my)
	}
	if h.alternate >= sectors || h.lastUsable >= sectors {
		return h, fmt.Errorf("%w: table for at least %d sectors, disk of %d", ErrTruncated, max(h.alternate, h.lastUsable)+1, sectors)
	}
	if h.entriesLBA < 2 || h.entriesLBA > sectors-entryRoom(h.count, sectorSize) {
		return h, fmt.Errorf("entries at sector %d lie outside the disk", h.entriesLBA)
	}
	return h, nil
}

// decodeHeader checks one header sector for itself: signature, sizes, checksum.
func decodeHeader(b []byte) (header, error) {
	le := binary.LittleEndian
	if string(b[0:8]) != signature {
		return header{}, errNoSignature
	}
	if rev := le.Uint32(b[8:]); rev != revision1 {
		return header{}, fmt.Errorf("GPT revision %#x, want %#x", rev, revision1)
	}
	size := le.Uint32(b[12:])
	if size < headerSize || int(size) > len(b) {
		return header{}, fmt.Errorf("GPT header of %d bytes, want %d to %d", size, headerSize, len(b))
	}
	if got := headerCRC(b[:size]); got != le.Uint32(b[16:]) {
		return header{}, fmt.Errorf("header's checksum is %08x, header says %08x", got, le.Uint32(b[16:]))
	}
	count, each := le.Uint32(b[80:]), le.Uint32(b[84:])
	if each != entrySize || count < 1 || count > maxEntries {
		return header{}, fmt.Errorf("%d entries of %d bytes, want 1 to %d of %d", count, each, maxEntries, entrySize)
	}
	return header{
		my: le.Uint64(b[24:]), alternate: le.Uint64(b[32:]),
		firstUsable: le.Uint64(b[40:]), lastUsable: le.Uint64(b[48:]),
		disk: GUID(b[56:72]), entriesLBA: le.Uint64(b[72:]), count: int(count), entriesCRC: le.Uint32(b[88:]),
	}, nil
}

// headerCRC is the CRC-32 of the header with its own field taken as zero.
func headerCRC(b []byte) uint32 {
	c := bytes.Clone(b)
	clear(c[16:20])
	return crc32.ChecksumIEEE(c)
}

func decodeEntries(raw []byte) []Entry {
	le := binary.LittleEndian
	out := make([]Entry, len(raw)/entrySize)
	for i := range out {
		b := raw[i*entrySize:]
		e := &out[i]
		e.Type, e.Unique = GUID(b[0:16]), GUID(b[16:32])
		e.First, e.Last, e.Attributes = le.Uint64(b[32:]), le.Uint64(b[40:]), le.Uint64(b[48:])
		for j := range e.Name {
			e.Name[j] = le.Uint16(b[56+2*j:])
		}
	}
	return out
}

// checkBackup reads the second copy where the first says it is and compares the two.
func (t *Table) checkBackup(r io.ReaderAt) error {
	b, err := readCopy(r, t.SectorSize, t.DiskSectors, t.backupLBA)
	if err != nil {
		return fmt.Errorf("second GPT: %w", err)
	}
	if b.DiskGUID != t.DiskGUID || b.FirstUsable != t.FirstUsable || b.LastUsable != t.LastUsable || len(b.Entries) != len(t.Entries) {
		return errors.New("second GPT: its header differs from the first")
	}
	for i := range t.Entries {
		if t.Entries[i] != b.Entries[i] {
			return fmt.Errorf("second GPT: partition %d differs from the first", i+1)
		}
	}
	return nil
}

// readFull reads all of b; a reader's end before that is an error.
func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
