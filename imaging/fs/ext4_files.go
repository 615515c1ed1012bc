package fs

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The inode flags and modes that matter here.
const (
	inodeRoot    = 2
	flagEncrypt  = 0x800
	flagExtents  = 0x80000
	flagInline   = 0x10000000
	inlineBytes  = 60 // what fits into the inode's block field
	modeMask     = 0xF000
	modeDir      = 0x4000
	modeRegular  = 0x8000
	modeSymlink  = 0xA000
	extentMagic  = 0xF30A
	maxDepth     = 5
	maxInitBlock = 32768 // longer extents are unwritten ones
	inodeOld     = 128   // the size of an inode of ext2; what lies behind it is younger
	inodeMtime   = 0x10
	inodeMtimeHi = 0x88 // two bits of the seconds since 1970, and the nanoseconds
)

// ext4Volume reads files of ext2/3/4.
type ext4Volume struct {
	r      io.ReaderAt
	s      *super
	groups []group
}

// inode is one file.
type inode struct {
	Stat
	flags uint32
	block [inlineBytes]byte
}

func (n *inode) stat() Stat { return n.Stat }

// fileIncompat are the features under which files can be read: the same as for maps, and a journal that waits.
const fileIncompat = incompatAllowed | incompatRecover

func openExt4(r io.ReaderAt, size int64) (*ext4Volume, error) {
	s, err := readSuper(r, size)
	if err != nil {
		return nil, err
	}
	if bad := s.incompat &^ uint32(fileIncompat); bad != 0 {
		return nil, unmappedf("ext4 has features (%#x) with which files are not read", bad)
	}
	groups, err := readGroups(r, s)
	if err != nil {
		return nil, err
	}
	return &ext4Volume{r: r, s: s, groups: groups}, nil
}

func (v *ext4Volume) root() (node, error) { return v.inode(inodeRoot, "/") }

func (v *ext4Volume) inode(number uint32, name string) (*inode, error) {
	if number == 0 || uint64(number) > v.s.inodes {
		return nil, fmt.Errorf("ext4 is damaged: inode %d", number)
	}
	i := uint64(number-1) / v.s.inodesPerGroup
	at := int64(v.groups[i].inodeTable)*v.s.block + int64(uint64(number-1)%v.s.inodesPerGroup)*v.s.inodeSize
	b := make([]byte, min(v.s.inodeSize, inodeMtimeHi+4))
	if err := readFull(v.r, b, at); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	n := &inode{flags: le.Uint32(b[0x20:]), block: [inlineBytes]byte(b[0x28:])}
	n.Name, n.Size, n.Changed = name, int64(le.Uint32(b[0x04:])), int64(int32(le.Uint32(b[inodeMtime:])))
	if len(b) > inodeMtimeHi && int(le.Uint16(b[inodeOld:])) >= inodeMtimeHi+4-inodeOld {
		n.Changed += int64(le.Uint32(b[inodeMtimeHi:])&3) << 32
	}
	switch le.Uint16(b[0:]) & modeMask {
	case modeDir:
		n.Mode = Dir
	case modeRegular:
		n.Mode, n.Size = Regular, n.Size|int64(le.Uint32(b[0x6C:]))<<32
	case modeSymlink:
		n.Mode = Symlink
	}
	if n.Size < 0 {
		return nil, fmt.Errorf("ext4 is damaged: inode %d has %d bytes", number, n.Size)
	}
	return n, nil
}

func (v *ext4Volume) lookup(dir node, name string) (node, error) {
	var found uint32
	err := v.eachEntry(dir.(*inode), func(entry string, number uint32) bool {
		if entry == name {
			found = number
		}
		return found == 0
	})
	if err != nil {
		return nil, err
	}
	if found == 0 {
		return nil, ErrNotExist
	}
	return v.inode(found, name)
}

func (v *ext4Volume) list(dir node) ([]node, error) {
	var out []node
	var failed error
	err := v.eachEntry(dir.(*inode), func(name string, number uint32) bool {
		if name == "." || name == ".." {
			return true
		}
		n, err := v.inode(number, name)
		if err == nil && len(out) == maxEntries {
			err = errEntries
		}
		if err != nil {
			failed = err
			return false
		}
		out = append(out, n)
		return true
	})
	if err == nil {
		err = failed
	}
	return out, err
}

// eachEntry goes through a folder block by block. The blocks of an index look like unused entries, so that a
// plain scan passes over them.
func (v *ext4Volume) eachEntry(dir *inode, fn func(name string, number uint32) bool) error {
	if dir.flags&(flagInline|flagEncrypt) != 0 {
		return fmt.Errorf("ext4 folder is inline or encrypted, which is not read")
	}
	if dir.Size%v.s.block != 0 || dir.Size > maxDirBytes {
		return fmt.Errorf("ext4 is damaged: a folder of %d bytes", dir.Size)
	}
	b := make([]byte, v.s.block)
	for off := int64(0); off < dir.Size; off += v.s.block {
		if err := v.read(dir, b, off); err != nil {
			return err
		}
		if more, err := scanEntries(b, fn); err != nil || !more {
			return err
		}
	}
	return nil
}

func scanEntries(b []byte, fn func(name string, number uint32) bool) (more bool, err error) {
	le := binary.LittleEndian
	whole := len(b)
	for len(b) > 0 {
		if len(b) < 8 {
			return false, fmt.Errorf("ext4 is damaged: a folder's entries do not end with their block")
		}
		number, length, name := le.Uint32(b), int(le.Uint16(b[4:])), int(b[6])
		if whole == 64<<10 && (length == 0 || length == 0xFFFF) {
			length = whole // 64 KiB do not fit into the field
		}
		if length < 8 || length%4 != 0 || length > len(b) || name+8 > length {
			return false, fmt.Errorf("ext4 is damaged: a folder entry of %d bytes", length)
		}
		if number != 0 && !fn(string(b[8:8+name]), number) {
			return false, nil
		}
		b = b[length:]
	}
	return true, nil
}

func (v *ext4Volume) readlink(n node) (string, error) {
	i := n.(*inode)
	if i.flags&flagEncrypt != 0 || i.Size > maxPath {
		return "", fmt.Errorf("ext4 symbolic link of %d bytes is not read", i.Size)
	}
	b := make([]byte, i.Size)
	if i.Size < inlineBytes && i.flags&flagExtents == 0 {
		copy(b, i.block[:])
		return string(b), nil
	}
	if err := v.read(i, b, 0); err != nil {
		return "", err
	}
	return string(b), nil
}

// read implements volume. Holes and unwritten extents are zeros.
func (v *ext4Volume) read(n node, b []byte, off int64) error {
	i := n.(*inode)
	switch {
	case i.flags&flagEncrypt != 0:
		return fmt.Errorf("the file is encrypted")
	case i.flags&flagInline != 0:
		if off+int64(len(b)) > inlineBytes {
			return fmt.Errorf("the file is kept in its inode's attributes, which are not read")
		}
		copy(b, i.block[off:])
		return nil
	}
	for len(b) > 0 {
		in := off % v.s.block
		k := min(int64(len(b)), v.s.block-in)
		at, err := v.blockOf(i, uint64(off/v.s.block))
		if err != nil {
			return err
		}
		if at == 0 {
			clear(b[:k])
		} else if err := readFull(v.r, b[:k], int64(at)*v.s.block+in); err != nil {
			return err
		}
		b, off = b[k:], off+k
	}
	return nil
}

// place implements volume, a block at a time.
func (v *ext4Volume) place(n node, off int64) (at, run int64, err error) {
	i := n.(*inode)
	if i.flags&(flagEncrypt|flagInline) != 0 {
		return NotPlaced, i.Size - off, nil
	}
	in := off % v.s.block
	k, err := v.blockOf(i, uint64(off/v.s.block))
	if err != nil || k == 0 {
		return Hole, v.s.block - in, err
	}
	return int64(k)*v.s.block + in, v.s.block - in, nil
}

// blockOf finds the block of the volume that holds block k of a file, 0 for none.
func (v *ext4Volume) blockOf(i *inode, k uint64) (uint64, error) {
	at, err := uint64(0), error(nil)
	if i.flags&flagExtents != 0 {
		at, err = v.extent(i.block[:], k, maxDepth)
	} else {
		at, err = v.indirect(i, k)
	}
	if err == nil && at >= v.s.blocks {
		err = fmt.Errorf("ext4 is damaged: a file's block at %d", at)
	}
	return at, err
}

// extent walks the tree of extents down from one node; depth falls with every step, so a loop ends.
func (v *ext4Volume) extent(b []byte, k uint64, depth uint16) (uint64, error) {
	le := binary.LittleEndian
	entries, level := int(le.Uint16(b[2:])), le.Uint16(b[6:])
	if le.Uint16(b) != extentMagic || 12+12*entries > len(b) || level > depth {
		return 0, fmt.Errorf("ext4 is damaged: extent tree")
	}
	var best []byte
	for e := b[12 : 12+12*entries]; len(e) > 0 && uint64(le.Uint32(e)) <= k; e = e[12:] {
		best = e
	}
	if best == nil {
		return 0, nil
	}
	if level == 0 {
		count := uint64(le.Uint16(best[4:]))
		in := k - uint64(le.Uint32(best))
		if count > maxInitBlock || in >= count {
			return 0, nil
		}
		return uint64(le.Uint16(best[6:]))<<32 | uint64(le.Uint32(best[8:])) + in, nil
	}
	child := uint64(le.Uint16(best[8:]))<<32 | uint64(le.Uint32(best[4:]))
	if child == 0 || child >= v.s.blocks {
		return 0, fmt.Errorf("ext4 is damaged: extent tree at block %d", child)
	}
	next := make([]byte, v.s.block)
	if err := readFull(v.r, next, int64(child)*v.s.block); err != nil {
		return 0, err
	}
	return v.extent(next, k, level-1)
}

// indirect follows the block map of ext2 and ext3: twelve direct blocks, then one, two and three steps.
func (v *ext4Volume) indirect(i *inode, k uint64) (uint64, error) {
	le := binary.LittleEndian
	if k < 12 {
		return uint64(le.Uint32(i.block[4*k:])), nil
	}
	k -= 12
	per := uint64(v.s.block / 4)
	for level, reach := 1, per; level <= 3; level, reach = level+1, reach*per {
		if k >= reach {
			k -= reach
			continue
		}
		at := uint64(le.Uint32(i.block[4*(11+level):]))
		for ; level > 0 && at != 0; level-- {
			reach /= per
			if at >= v.s.blocks {
				return 0, fmt.Errorf("ext4 is damaged: block map at %d", at)
			}
			var b [4]byte
			if err := readFull(v.r, b[:], int64(at)*v.s.block+int64(k/reach)*4); err != nil {
				return 0, err
			}
			at, k = uint64(le.Uint32(b[:])), k%reach
		}
		return at, nil
	}
	return 0, fmt.Errorf("ext4 is damaged: a file of more than %d blocks", k)
}
