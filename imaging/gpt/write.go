package gpt

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Head encodes LBA 0 up to the end of the first copy: the MBR as read with its protective entry fitted to the
// disk, the header, the entries. Sectors between them that belong to nobody are zero.
func (t *Table) Head() ([]byte, error) {
	head := make([]byte, t.HeadSectors()*uint64(t.SectorSize))
	if err := t.PatchHead(head); err != nil {
		return nil, err
	}
	return head, nil
}

// PatchHead lays MBR, header and entries over head, the first bytes of a disk. Other bytes stay: boot loaders
// live between the table and the first partition. A head shorter than HeadSectors is an error.
func (t *Table) PatchHead(head []byte) error {
	if err := t.Validate(); err != nil {
		return fmt.Errorf("encode GPT: %w", err)
	}
	ss := uint64(t.SectorSize)
	if uint64(len(head)) < t.HeadSectors()*ss {
		return fmt.Errorf("encode GPT: head of %d bytes, want %d", len(head), t.HeadSectors()*ss)
	}
	copy(head, t.mbr)
	fitProtective(head[:t.SectorSize], t.DiskSectors)
	entries := t.encodeEntries()
	copy(head[ss:2*ss], t.encodeHeader(1, t.backupLBA, t.entriesLBA, entries))
	copy(head[t.entriesLBA*ss:], entries)
	return nil
}

// Backup encodes the second copy, entries then header, and says at which byte of the disk it begins. It ends
// the disk when BackupAtEnd.
func (t *Table) Backup() (offset int64, b []byte, err error) {
	if err := t.Validate(); err != nil {
		return 0, nil, fmt.Errorf("encode GPT: %w", err)
	}
	first, _ := t.BackupLBAs()
	entries := t.encodeEntries()
	b = append(b, entries...)
	b = append(b, t.encodeHeader(t.backupLBA, 1, first, entries)...)
	return int64(first) * int64(t.SectorSize), b, nil
}

// encodeEntries fills whole sectors; the checksum covers the entries only.
func (t *Table) encodeEntries() []byte {
	le := binary.LittleEndian
	out := make([]byte, t.entrySectors()*uint64(t.SectorSize))
	for i, e := range t.Entries {
		b := out[i*entrySize:]
		copy(b[0:], e.Type[:])
		copy(b[16:], e.Unique[:])
		le.PutUint64(b[32:], e.First)
		le.PutUint64(b[40:], e.Last)
		le.PutUint64(b[48:], e.Attributes)
		for j, u := range e.Name {
			le.PutUint16(b[56+2*j:], u)
		}
	}
	return out
}

func (t *Table) encodeHeader(my, alternate, entriesLBA uint64, entries []byte) []byte {
	le := binary.LittleEndian
	b := make([]byte, t.SectorSize)
	copy(b, signature)
	le.PutUint32(b[8:], revision1)
	le.PutUint32(b[12:], headerSize)
	le.PutUint64(b[24:], my)
	le.PutUint64(b[32:], alternate)
	le.PutUint64(b[40:], t.FirstUsable)
	le.PutUint64(b[48:], t.LastUsable)
	copy(b[56:], t.DiskGUID[:])
	le.PutUint64(b[72:], entriesLBA)
	le.PutUint32(b[80:], uint32(len(t.Entries)))
	le.PutUint32(b[84:], entrySize)
	le.PutUint32(b[88:], crc32.ChecksumIEEE(entries[:len(t.Entries)*entrySize]))
	le.PutUint32(b[16:], headerCRC(b[:headerSize]))
	return b
}
