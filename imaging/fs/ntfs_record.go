package fs

import (
	"encoding/binary"
	"unicode/utf16"
)

// The records of the $MFT that have a fixed number.
const (
	mftRecord    = 0
	mirrorRecord = 1
	logRecord    = 2
	volumeRecord = 3
	rootRecord   = 5
	bitmapRecord = 6
)

// The types of attributes.
const (
	ntfsAttrList   = 0x20
	ntfsVolumeInfo = 0x70
	ntfsData       = 0x80
	ntfsIndexRoot  = 0x90
	ntfsIndexAlloc = 0xA0
	ntfsBitmapAttr = 0xB0
	ntfsAttrEnd    = 0xFFFFFFFF
)

const (
	ntfsStride     = 512 // the last two bytes of every so many carry the update sequence, whatever the sector size
	ntfsRefMask    = 1<<48 - 1
	ntfsInUse      = 0x1
	maxNTFSList    = 256 << 10 // bytes of an attribute list, the format's own bound
	maxNTFSVCN     = 1 << 40   // clusters of one attribute, holes counted
	maxNTFSPieces  = 4096      // of one attribute, over several records
	ntfsCompressed = 0x00FF
	ntfsEncrypted  = 0x4000
)

// ntfsAttr is one attribute as it lies in a record, or one piece of it.
type ntfsAttr struct {
	typ      uint32
	name     string
	resident bool
	flags    uint16
	value    []byte // of a resident one
	lowest   int64  // of the others: first and last cluster of the piece, in clusters of the attribute
	highest  int64
	pairs    []byte
	size     int64 // of the whole attribute; only the first piece tells
	init     int64
}

// fixup checks and removes the update sequence: a record that was written in part only has blocks of two ages.
func fixup(b []byte, magic string) bool {
	le := binary.LittleEndian
	if string(b[:4]) != magic {
		return false
	}
	at, count := int(le.Uint16(b[4:])), int(le.Uint16(b[6:]))
	if count != len(b)/ntfsStride+1 || at < 8 || at%2 != 0 || at+2*count > ntfsStride-2 {
		return false
	}
	for i := 1; i < count; i++ {
		end := b[i*ntfsStride-2 : i*ntfsStride]
		if end[0] != b[at] || end[1] != b[at+1] {
			return false
		}
		copy(end, b[at+2*i:at+2*i+2])
	}
	return true
}

// record reads a record that must be in use.
func (n *ntfs) record(num int64) ([]byte, error) {
	b := make([]byte, n.g.record)
	if num < 0 || num >= n.mft.size/n.g.record {
		return nil, damagedf("NTFS is damaged: there is no record %d", num)
	}
	if err := n.mft.readAt(b, num*n.g.record); err != nil {
		return nil, err
	}
	if !fixup(b, "FILE") || binary.LittleEndian.Uint16(b[0x16:])&ntfsInUse == 0 {
		return nil, damagedf("NTFS is damaged: record %d of its $MFT is not whole", num)
	}
	return b, nil
}

// attrs decodes the attributes of a record whose update sequence is removed; false when it is not well-formed.
func attrs(rec []byte) ([]ntfsAttr, bool) {
	le := binary.LittleEndian
	at, used := int64(le.Uint16(rec[0x14:])), int64(le.Uint32(rec[0x18:]))
	if used > int64(len(rec)) || at < 0x28 || at%8 != 0 {
		return nil, false
	}
	var out []ntfsAttr
	for at+4 <= used {
		if le.Uint32(rec[at:]) == ntfsAttrEnd {
			return out, true
		}
		if at+24 > used {
			return nil, false
		}
		length := int64(le.Uint32(rec[at+4:]))
		if length < 24 || length%8 != 0 || length > used-at {
			return nil, false
		}
		a, ok := decodeAttr(rec[at : at+length])
		if !ok {
			return nil, false
		}
		out = append(out, a)
		at += length
	}
	return nil, false
}

func decodeAttr(b []byte) (ntfsAttr, bool) {
	le := binary.LittleEndian
	a := ntfsAttr{typ: le.Uint32(b), resident: b[8] == 0, flags: le.Uint16(b[12:])}
	name, ok := utf16Text(b, int(le.Uint16(b[10:])), int(b[9]))
	if !ok {
		return a, false
	}
	a.name = name
	if a.resident {
		at, length := int64(le.Uint16(b[20:])), int64(le.Uint32(b[16:]))
		if at > int64(len(b)) || length > int64(len(b))-at {
			return a, false
		}
		a.value = b[at : at+length]
		return a, true
	}
	if len(b) < 64 {
		return a, false
	}
	a.lowest, a.highest = int64(le.Uint64(b[16:])), int64(le.Uint64(b[24:]))
	pairs := int(le.Uint16(b[32:]))
	if pairs < 64 || pairs > len(b) || a.lowest < 0 || a.highest < a.lowest-1 || a.highest > maxNTFSVCN {
		return a, false
	}
	a.pairs, a.size, a.init = b[pairs:], int64(le.Uint64(b[48:])), int64(le.Uint64(b[56:]))
	return a, true
}

// utf16Text reads a name of count letters.
func utf16Text(b []byte, at, count int) (string, bool) {
	if count == 0 {
		return "", true
	}
	if at+2*count > len(b) {
		return "", false
	}
	u := make([]uint16, count)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[at+2*i:])
	}
	return string(utf16.Decode(u)), true
}

// pieces finds an attribute of a file: one piece as a rule, several when an attribute list spreads them over
// records. Nil when the file has no such attribute.
func (n *ntfs) pieces(num int64, typ uint32, name string) ([]ntfsAttr, error) {
	base, err := n.recordAttrs(num)
	if err != nil {
		return nil, err
	}
	list := find(base, ntfsAttrList, "")
	if len(list) == 0 {
		return find(base, typ, name), nil
	}
	raw, err := n.listBytes(num, list[0])
	if err != nil {
		return nil, err
	}
	return n.listed(num, base, raw, typ, name)
}

func (n *ntfs) recordAttrs(num int64) ([]ntfsAttr, error) {
	rec, err := n.record(num)
	if err != nil {
		return nil, err
	}
	all, ok := attrs(rec)
	if !ok {
		return nil, damagedf("NTFS is damaged: record %d of its $MFT is malformed", num)
	}
	return all, nil
}

func find(all []ntfsAttr, typ uint32, name string) (out []ntfsAttr) {
	for _, a := range all {
		if a.typ == typ && a.name == name {
			out = append(out, a)
		}
	}
	return out
}

func (n *ntfs) listBytes(num int64, a ntfsAttr) ([]byte, error) {
	if a.resident {
		return a.value, nil
	}
	s, err := n.assemble(num, []ntfsAttr{a})
	if err != nil {
		return nil, err
	}
	if s.size > maxNTFSList {
		return nil, damagedf("NTFS is damaged: record %d lists its attributes in %d bytes", num, s.size)
	}
	b := make([]byte, s.size)
	return b, s.readAt(b, 0)
}

// listed gathers the pieces that an attribute list names, in its order, which is that of the content. The
// pieces of the $MFT itself are found by those before them.
func (n *ntfs) listed(num int64, base []ntfsAttr, raw []byte, typ uint32, name string) ([]ntfsAttr, error) {
	le := binary.LittleEndian
	var out []ntfsAttr
	for len(raw) >= 26 {
		length := int(le.Uint16(raw[4:]))
		if length < 26 || length > len(raw) {
			return nil, damagedf("NTFS is damaged: the attribute list of record %d is malformed", num)
		}
		e := raw[:length]
		raw = raw[length:]
		entry, ok := utf16Text(e, int(e[7]), int(e[6]))
		if le.Uint32(e) != typ || !ok || entry != name {
			continue
		}
		if len(out) == maxNTFSPieces {
			return nil, damagedf("NTFS is damaged: record %d spreads an attribute over more than %d records", num, maxNTFSPieces)
		}
		p, err := n.piece(num, base, e, typ, name)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
		if num == mftRecord && typ == ntfsData {
			if n.mft, err = n.join(num, out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// piece fetches the part of an attribute that the list entry e names.
func (n *ntfs) piece(num int64, base []ntfsAttr, e []byte, typ uint32, name string) (ntfsAttr, error) {
	le := binary.LittleEndian
	lowest, holder := int64(le.Uint64(e[8:])), int64(le.Uint64(e[16:])&ntfsRefMask)
	all := base
	if holder != num {
		rec, err := n.record(holder)
		if err != nil {
			return ntfsAttr{}, err
		}
		var ok bool
		if all, ok = attrs(rec); !ok || int64(le.Uint64(rec[0x20:])&ntfsRefMask) != num {
			return ntfsAttr{}, damagedf("NTFS is damaged: record %d does not hold a part of record %d", holder, num)
		}
	}
	for _, a := range find(all, typ, name) {
		if a.resident || a.lowest == lowest {
			return a, nil
		}
	}
	return ntfsAttr{}, damagedf("NTFS is damaged: record %d lacks a part of record %d", holder, num)
}
