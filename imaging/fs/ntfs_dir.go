package fs

import (
	"encoding/binary"
	"strings"
)

const (
	maxNTFSIndex = 64 << 20 // bytes of a folder that are looked at
	indexEntry   = 16       // head of an entry
	fileName     = 66       // head of a $FILE_NAME
)

// ntfsName is one entry of a folder.
type ntfsName struct {
	num   int64
	name  string
	space byte // namespace
}

// lookupRoot finds a file of the root folder by its name, whatever its case; -1 when there is none. It reads
// all blocks that the folder uses, so it needs no order of names.
func (n *ntfs) lookupRoot(name string) (int64, error) {
	found := int64(-1)
	err := n.eachName(rootRecord, func(e ntfsName) bool {
		if strings.EqualFold(e.name, name) {
			found = e.num
		}
		return found < 0
	})
	return found, err
}

// eachName calls fn with every name of a folder, until fn says that it suffices.
func (n *ntfs) eachName(dir int64, fn func(ntfsName) (more bool)) error {
	root, err := n.stream(dir, ntfsIndexRoot, "$I30")
	if err != nil {
		return err
	}
	if len(root.value) < 32 {
		return damagedf("NTFS is damaged: a folder (record %d) has no index", dir)
	}
	more, err := scanIndex(root.value[16:], fn)
	if err != nil || !more {
		return err
	}
	all, err := n.pieces(dir, ntfsIndexAlloc, "$I30")
	if err != nil || len(all) == 0 {
		return err
	}
	blocks, err := n.assemble(dir, all)
	if err != nil {
		return err
	}
	used, err := n.stream(dir, ntfsBitmapAttr, "$I30")
	if err != nil {
		return err
	}
	return n.eachBlock(dir, blocks, used, fn)
}

func (n *ntfs) eachBlock(dir int64, blocks, used *ntfsStream, fn func(ntfsName) bool) error {
	count := blocks.size / n.g.index
	if blocks.size > maxNTFSIndex || used.size*8 < count {
		return damagedf("NTFS is damaged: a folder (record %d) has %d bytes", dir, blocks.size)
	}
	bits := newBitStream(used, count)
	b := make([]byte, n.g.index)
	for i := int64(0); ; i++ {
		var err error
		if i, err = bits.find(i, count, true); err != nil || i == count {
			return err
		}
		if err := blocks.readAt(b, i*n.g.index); err != nil {
			return err
		}
		if !fixup(b, "INDX") {
			return damagedf("NTFS is damaged: a block of a folder (record %d) is not whole", dir)
		}
		if more, err := scanIndex(b[24:], fn); err != nil || !more {
			return err
		}
	}
}

// scanIndex goes through the entries behind an index header.
func scanIndex(b []byte, fn func(ntfsName) bool) (more bool, err error) {
	le := binary.LittleEndian
	malformed := damagedf("NTFS is damaged: a folder is malformed")
	at, end := int64(le.Uint32(b)), int64(le.Uint32(b[4:]))
	if at < 16 || end > int64(len(b)) {
		return false, malformed
	}
	for at+indexEntry <= end {
		e := b[at:end]
		length, key := int64(le.Uint16(e[8:])), int64(le.Uint16(e[10:]))
		if le.Uint16(e[12:])&2 != 0 { // the last entry has no name
			return true, nil
		}
		if length < indexEntry+fileName || length%8 != 0 || length > int64(len(e)) || key < fileName || indexEntry+key > length {
			return false, malformed
		}
		if s, ok := utf16Text(e[indexEntry:indexEntry+key], fileName, int(e[indexEntry+64])); ok {
			if !fn(ntfsName{int64(le.Uint64(e) & ntfsRefMask), s, e[indexEntry+65]}) {
				return false, nil
			}
		}
		at += length
	}
	return false, malformed
}
