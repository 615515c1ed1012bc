package fs

import (
	"encoding/binary"
	"strings"
)

const (
	maxNTFSIndex = 64 << 20 // bytes of the root folder that are looked at
	indexEntry   = 16       // head of an entry
	fileName     = 66       // head of a $FILE_NAME
)

// lookupRoot finds a file of the root folder by its name, whatever its case; -1 when there is none. It reads
// all blocks that the folder uses, so it needs no order of names.
func (n *ntfs) lookupRoot(name string) (int64, error) {
	root, err := n.stream(rootRecord, ntfsIndexRoot, "$I30")
	if err != nil {
		return 0, err
	}
	if root.value == nil || len(root.value) < 32 {
		return 0, damagedf("NTFS is damaged: its root folder has no index")
	}
	num, err := searchIndex(root.value[16:], name)
	if err != nil || num >= 0 {
		return num, err
	}
	all, err := n.pieces(rootRecord, ntfsIndexAlloc, "$I30")
	if err != nil || len(all) == 0 {
		return -1, err
	}
	blocks, err := n.assemble(rootRecord, all)
	if err != nil {
		return 0, err
	}
	used, err := n.stream(rootRecord, ntfsBitmapAttr, "$I30")
	if err != nil {
		return 0, err
	}
	return n.searchBlocks(blocks, used, name)
}

func (n *ntfs) searchBlocks(blocks, used *ntfsStream, name string) (int64, error) {
	count := blocks.size / n.g.index
	if blocks.size > maxNTFSIndex || used.size*8 < count {
		return 0, damagedf("NTFS is damaged: its root folder has %d bytes", blocks.size)
	}
	bits := newBitStream(used, count)
	b := make([]byte, n.g.index)
	for i := int64(0); ; i++ {
		i, err := bits.find(i, count, true)
		if err != nil || i == count {
			return -1, err
		}
		if err := blocks.readAt(b, i*n.g.index); err != nil {
			return 0, err
		}
		if !fixup(b, "INDX") {
			return 0, damagedf("NTFS is damaged: a block of its root folder is not whole")
		}
		if num, err := searchIndex(b[24:], name); err != nil || num >= 0 {
			return num, err
		}
	}
}

// searchIndex looks through the entries behind an index header; -1 when the name is not among them.
func searchIndex(b []byte, name string) (int64, error) {
	le := binary.LittleEndian
	malformed := damagedf("NTFS is damaged: its root folder is malformed")
	at, end := int64(le.Uint32(b)), int64(le.Uint32(b[4:]))
	if at < 16 || end > int64(len(b)) {
		return 0, malformed
	}
	for at+indexEntry <= end {
		e := b[at:end]
		length, key := int64(le.Uint16(e[8:])), int64(le.Uint16(e[10:]))
		if le.Uint16(e[12:])&2 != 0 { // the last entry has no name
			return -1, nil
		}
		if length < indexEntry+fileName || length%8 != 0 || length > int64(len(e)) || key < fileName || indexEntry+key > length {
			return 0, malformed
		}
		if s, ok := utf16Text(e[indexEntry:indexEntry+key], fileName, int(e[indexEntry+64])); ok && strings.EqualFold(s, name) {
			return int64(le.Uint64(e) & ntfsRefMask), nil
		}
		at += length
	}
	return 0, malformed
}
