package fs

import (
	"encoding/binary"
	"io"
)

// group is one block group's descriptor.
type group struct {
	blockBitmap, inodeBitmap, inodeTable uint64
	free                                 uint64 // blocks
	flags                                uint16
	bitmapCsum                           uint32
}

func (g group) uninit() bool { return g.flags&bgBlockUninit != 0 }

// readGroups reads and checks all descriptors, at most maxGDT bytes.
func readGroups(r io.ReaderAt, s *super) ([]group, error) {
	raw := make([]byte, s.groups*uint64(s.descSize))
	for n := uint64(0); n < s.gdtBlocks(); n++ {
		at := int64(n) * s.block
		if err := readFull(r, raw[at:min(at+s.block, int64(len(raw)))], int64(s.descBlock(n))*s.block); err != nil {
			return nil, err
		}
	}
	out := make([]group, s.groups)
	for i := range out {
		d := raw[i*s.descSize : (i+1)*s.descSize]
		if !s.descSumOK(uint32(i), d) {
			return nil, unmappedf("ext4 group descriptor %d has a wrong checksum", i)
		}
		out[i] = decodeGroup(d)
		if err := s.boundGroup(i, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func decodeGroup(d []byte) group {
	le := binary.LittleEndian
	g := group{
		blockBitmap: uint64(le.Uint32(d[0x00:])), inodeBitmap: uint64(le.Uint32(d[0x04:])), inodeTable: uint64(le.Uint32(d[0x08:])),
		free: uint64(le.Uint16(d[0x0C:])), flags: le.Uint16(d[0x12:]), bitmapCsum: uint32(le.Uint16(d[0x18:])),
	}
	if len(d) >= desc64 {
		g.blockBitmap |= uint64(le.Uint32(d[0x20:])) << 32
		g.inodeBitmap |= uint64(le.Uint32(d[0x24:])) << 32
		g.inodeTable |= uint64(le.Uint32(d[0x28:])) << 32
		g.free |= uint64(le.Uint16(d[0x2C:])) << 16
		g.bitmapCsum |= uint32(le.Uint16(d[0x38:])) << 16
	}
	return g
}

func (s *super) boundGroup(i int, g *group) error {
	if s.ro&(roGDTCsum|roMetadataCsum) == 0 {
		g.flags = 0 // without checksums the flags mean nothing
	}
	for _, b := range []uint64{g.blockBitmap, g.inodeBitmap} {
		if b <= s.firstBlock || b >= s.blocks {
			return unmappedf("ext4 group %d has a bitmap at block %d", i, b)
		}
	}
	if g.inodeTable <= s.firstBlock || g.inodeTable >= s.blocks || s.itableBlocks() > s.blocks-g.inodeTable {
		return unmappedf("ext4 group %d has its inodes at block %d", i, g.inodeTable)
	}
	if g.free > s.groupBits(uint64(i)) {
		return unmappedf("ext4 group %d counts %d free blocks of %d", i, g.free, s.groupBits(uint64(i)))
	}
	return nil
}

// groupBlocks is the length of a group; the last one may be shorter.
func (s *super) groupBlocks(i uint64) uint64 {
	return min(s.perGroup, s.blocks-s.firstBlock-i*s.perGroup)
}

// groupBits is how many bits of a group's bitmap stand for something.
func (s *super) groupBits(i uint64) uint64 { return (s.groupBlocks(i) + s.ratio - 1) / s.ratio }

// descSumOK checks a descriptor against the checksum in it: CRC-32C with metadata_csum, CRC-16 with uninit_bg.
func (s *super) descSumOK(i uint32, d []byte) bool {
	want := binary.LittleEndian.Uint16(d[0x1E:])
	number := binary.LittleEndian.AppendUint32(nil, i)
	switch {
	case s.ro&roMetadataCsum != 0:
		c := crc32c(crc32c(crc32c(s.seed, number), d[:0x1E]), []byte{0, 0})
		if len(d) > descMin {
			c = crc32c(c, d[descMin:])
		}
		return uint16(c) == want
	case s.ro&roGDTCsum != 0:
		c := crc16(crc16(crc16(0xFFFF, s.uuid[:]), number), d[:0x1E])
		if s.incompat&incompat64bit != 0 {
			c = crc16(c, d[descMin:])
		}
		return c == want
	}
	return true
}

// crc16 is CRC-16/ARC, bit by bit: descriptors are few and small.
func crc16(c uint16, b []byte) uint16 {
	for _, x := range b {
		c ^= uint16(x)
		for range 8 {
			if c&1 != 0 {
				c = c>>1 ^ 0xA001
			} else {
				c >>= 1
			}
		}
	}
	return c
}
