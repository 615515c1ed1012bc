package fs

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

const (
	superOffset = 1024
	superSize   = 1024
	extMagic    = 0xEF53
)

// Feature bits (Linux, fs/ext4/ext4.h). A bit that is named in no list below is unknown.
const (
	compatJournal     = 0x4
	compatSparse2     = 0x200
	incompatFiletype  = 0x2
	incompatRecover   = 0x4
	incompatMetaBG    = 0x10
	incompatExtents   = 0x40
	incompat64bit     = 0x80
	incompatFlexBG    = 0x200
	incompatEAInode   = 0x400
	incompatCsumSeed  = 0x2000
	incompatLargedir  = 0x4000
	incompatInline    = 0x8000
	incompatEncrypt   = 0x10000
	incompatCasefold  = 0x20000
	roSparseSuper     = 0x1
	roLargeFile       = 0x2
	roHugeFile        = 0x8
	roGDTCsum         = 0x10
	roDirNlink        = 0x20
	roExtraIsize      = 0x40
	roQuota           = 0x100
	roBigalloc        = 0x200
	roMetadataCsum    = 0x400
	roReadonly        = 0x1000
	roProject         = 0x2000
	roVerity          = 0x8000
	roOrphanPresent   = 0x10000
	compatAllowed     = 0x1 | compatJournal | 0x8 | 0x10 | 0x20 | 0x400 | 0x800 | 0x1000 // dir_prealloc, ext_attr, resize_inode, dir_index, fast_commit, stable_inodes, orphan_file
	incompatAllowed   = incompatFiletype | incompatMetaBG | incompatExtents | incompat64bit | incompatFlexBG | incompatEAInode | incompatCsumSeed | incompatLargedir | incompatInline | incompatEncrypt | incompatCasefold
	roAllowed         = roSparseSuper | roLargeFile | roHugeFile | roGDTCsum | roDirNlink | roExtraIsize | roQuota | roBigalloc | roMetadataCsum | roReadonly | roProject | roVerity
	maxGDT            = 64 << 20 // bytes of group descriptors: 128 TiB of 4 KiB blocks
	descMin           = 32
	desc64            = 64
	bgInodeUninit     = 0x1
	bgBlockUninit     = 0x2
	csumTypeCRC32C    = 1
	superChecksumAt   = 0x3FC
	stateClean        = 0x1
	maxLogBlockSize   = 6  // 64 KiB
	maxLogCluster     = 20 // 1 GiB
	maxBlocks         = 1 << 48
	reservedGDTBlocks = 0xCE
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc32c is the checksum of ext4: CRC-32C with no inversion at its end.
func crc32c(seed uint32, b []byte) uint32 { return ^crc32.Update(^seed, castagnoli, b) }

// super is what is needed of an ext2/3/4 superblock, bounded.
type super struct {
	compat, incompat, ro uint32
	state                uint16
	block                int64 // bytes
	blocks, free         uint64
	firstBlock           uint64
	superBlock           uint64 // the block that the superblock lies in
	perGroup             uint64 // blocks
	ratio                uint64 // blocks that one bit of a bitmap stands for: more than one with bigalloc
	firstMeta            uint64 // with meta_bg: the block of descriptors from which on they lie in their own groups
	groups               uint64
	inodesPerGroup       uint64
	inodes               uint64
	inodeSize            int64
	descSize             int
	reservedGDT          uint64
	seed                 uint32 // of metadata checksums
	uuid                 [16]byte
}

// readSuper reads and bounds the superblock; *Unmapped when it cannot be right.
func readSuper(r io.ReaderAt, size int64) (*super, error) {
	b := make([]byte, superSize)
	if err := readFull(r, b, superOffset); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if le.Uint16(b[0x38:]) != extMagic {
		return nil, unmappedf("no ext4 superblock")
	}
	s := &super{
		compat: le.Uint32(b[0x5C:]), incompat: le.Uint32(b[0x60:]), ro: le.Uint32(b[0x64:]), state: le.Uint16(b[0x3A:]),
		blocks: uint64(le.Uint32(b[0x04:])), free: uint64(le.Uint32(b[0x0C:])), firstBlock: uint64(le.Uint32(b[0x14:])),
		perGroup: uint64(le.Uint32(b[0x20:])), inodesPerGroup: uint64(le.Uint32(b[0x28:])), inodes: uint64(le.Uint32(b[0x00:])),
		inodeSize: int64(le.Uint16(b[0x58:])), descSize: descMin, reservedGDT: uint64(le.Uint16(b[reservedGDTBlocks:])),
		uuid: [16]byte(b[0x68:0x78]),
	}
	if le.Uint32(b[0x4C:]) == 0 { // revision 0 has no features and fixed inodes
		s.compat, s.incompat, s.ro, s.inodeSize, s.reservedGDT = 0, 0, 0, 128, 0
	}
	if s.incompat&incompat64bit != 0 {
		s.blocks |= uint64(le.Uint32(b[0x150:])) << 32
		s.free |= uint64(le.Uint32(b[0x158:])) << 32
		s.descSize = int(le.Uint16(b[0xFE:]))
	}
	log := le.Uint32(b[0x18:])
	if log > maxLogBlockSize {
		return nil, unmappedf("ext4 superblock is damaged: blocks of 2^%d KiB", log)
	}
	s.block = 1024 << log
	if s.block == 1024 {
		s.superBlock = 1
	}
	s.ratio = 1
	if s.ro&roBigalloc != 0 {
		cluster := le.Uint32(b[0x1C:])
		if cluster < log || cluster > maxLogCluster || uint64(le.Uint32(b[0x24:]))<<(cluster-log) != s.perGroup {
			return nil, unmappedf("ext4 superblock is damaged: clusters of 2^%d KiB, %d in a group", cluster, le.Uint32(b[0x24:]))
		}
		s.ratio = 1 << (cluster - log)
	}
	if s.incompat&incompatMetaBG != 0 {
		s.firstMeta = uint64(le.Uint32(b[0x104:]))
	}
	if err := s.checkSum(b); err != nil {
		return nil, err
	}
	return s, s.bound(size)
}

func (s *super) checkSum(b []byte) error {
	s.seed = crc32c(^uint32(0), s.uuid[:])
	if s.ro&roMetadataCsum == 0 {
		return nil
	}
	if b[0x175] != csumTypeCRC32C {
		return unmappedf("ext4 has an unknown checksum type (%d)", b[0x175])
	}
	if crc32c(^uint32(0), b[:superChecksumAt]) != binary.LittleEndian.Uint32(b[superChecksumAt:]) {
		return unmappedf("ext4 superblock's checksum is wrong")
	}
	if s.incompat&incompatCsumSeed != 0 {
		s.seed = binary.LittleEndian.Uint32(b[0x270:])
	}
	return nil
}

// bound holds every number that is used later against the volume.
func (s *super) bound(size int64) error {
	wantFirst := s.superBlock
	if s.ratio > 1 {
		wantFirst = 0
	}
	switch {
	case s.firstBlock != wantFirst:
		return unmappedf("ext4 superblock is damaged: first block %d", s.firstBlock)
	case s.blocks <= s.firstBlock || s.blocks > maxBlocks:
		return unmappedf("ext4 superblock is damaged: %d blocks", s.blocks)
	case s.blocks > uint64(size)/uint64(s.block):
		return truncatedf("ext4 is longer (%d blocks of %d bytes) than its partition (%d bytes)", s.blocks, s.block, size)
	case s.perGroup == 0 || s.perGroup%(8*s.ratio) != 0 || s.perGroup/s.ratio > uint64(8*s.block):
		return unmappedf("ext4 superblock is damaged: %d blocks in a group", s.perGroup)
	case s.inodeSize < 128 || s.inodeSize > s.block || s.inodeSize&(s.inodeSize-1) != 0:
		return unmappedf("ext4 superblock is damaged: inodes of %d bytes", s.inodeSize)
	case s.inodesPerGroup == 0 || s.inodesPerGroup > uint64(8*s.block):
		return unmappedf("ext4 superblock is damaged: %d inodes in a group", s.inodesPerGroup)
	case s.descSize < descMin || s.descSize > 1024 || s.descSize&(s.descSize-1) != 0 || (s.incompat&incompat64bit != 0 && s.descSize < desc64):
		return unmappedf("ext4 superblock is damaged: group descriptors of %d bytes", s.descSize)
	}
	s.groups = (s.blocks - s.firstBlock + s.perGroup - 1) / s.perGroup
	if s.groups*uint64(s.descSize) > maxGDT || s.superBlock+1+s.gdtBlocks() > s.blocks || s.firstMeta > s.gdtBlocks() {
		return unmappedf("ext4 has too many groups (%d)", s.groups)
	}
	if s.inodes != s.groups*s.inodesPerGroup {
		return unmappedf("ext4 superblock is damaged: %d inodes in %d groups of %d", s.inodes, s.groups, s.inodesPerGroup)
	}
	return nil
}

func (s *super) gdtBlocks() uint64 {
	return (s.groups*uint64(s.descSize) + uint64(s.block) - 1) / uint64(s.block)
}

func (s *super) itableBlocks() uint64 {
	return (s.inodesPerGroup*uint64(s.inodeSize) + uint64(s.block) - 1) / uint64(s.block)
}

// mappable decides whether the block bitmaps of this file system can be believed.
func (s *super) mappable() error {
	switch {
	case s.incompat&incompatRecover != 0:
		return unmappedf("ext4 was not closed cleanly (its journal must be replayed)")
	case s.ro&roOrphanPresent != 0, s.state != stateClean:
		return unmappedf("ext4 was not closed cleanly (state %d)", s.state)
	case s.compat&compatSparse2 != 0:
		return unmappedf("ext4 has the feature sparse_super2")
	case s.compat&^uint32(compatAllowed) != 0, s.incompat&^uint32(incompatAllowed) != 0, s.ro&^uint32(roAllowed) != 0:
		return unmappedf("ext4 has unknown features (%#x %#x %#x)", s.compat&^uint32(compatAllowed), s.incompat&^uint32(incompatAllowed), s.ro&^uint32(roAllowed))
	}
	return nil
}

// descPerBlock is how many groups one block of descriptors describes; with meta_bg they form a meta group.
func (s *super) descPerBlock() uint64 { return uint64(s.block) / uint64(s.descSize) }

// inMeta reports whether a group keeps its descriptors in its own meta group.
func (s *super) inMeta(group uint64) bool {
	return s.incompat&incompatMetaBG != 0 && group/s.descPerBlock() >= s.firstMeta
}

// descBlock is where block n of the descriptors lies: behind the superblock, or, with meta_bg, in the first
// group of those that it describes, behind that one's copy of the superblock if it has one.
func (s *super) descBlock(n uint64) uint64 {
	first := n * s.descPerBlock()
	if !s.inMeta(first) {
		return s.superBlock + 1 + n
	}
	at := s.firstBlock + first*s.perGroup
	if s.hasSuper(first) {
		at++
	}
	if n == 0 && s.superBlock > s.firstBlock {
		at++
	}
	return at
}

// groupHead is how many blocks at a group's start hold copies of the superblock and of descriptors, and the
// room kept for more of those.
func (s *super) groupHead(group uint64) uint64 {
	n := uint64(0)
	if s.hasSuper(group) {
		n = 1
		if group == 0 {
			n += s.superBlock - s.firstBlock
		}
	}
	if s.inMeta(group) { // the first, second and last group of a meta group
		if k := group % s.descPerBlock(); k <= 1 || k == s.descPerBlock()-1 {
			n++
		}
		return n
	}
	if !s.hasSuper(group) {
		return n
	}
	if s.incompat&incompatMetaBG != 0 {
		return n + s.firstMeta + s.reservedGDT
	}
	return n + s.gdtBlocks() + s.reservedGDT
}

// hasSuper reports whether a group begins with a copy of the superblock and the descriptors.
func (s *super) hasSuper(group uint64) bool {
	if group <= 1 || s.ro&roSparseSuper == 0 {
		return true
	}
	for _, base := range []uint64{3, 5, 7} {
		n := base
		for n < group {
			n *= base
		}
		if n == group {
			return true
		}
	}
	return false
}
