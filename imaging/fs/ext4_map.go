package fs

import (
	"io"
	"math/bits"
)

// span is a run of blocks.
type span struct{ first, count uint64 }

// ext4Map walks the block bitmaps, one group in memory at a time.
type ext4Map struct {
	r      io.ReaderAt
	s      *super
	size   int64
	groups []group
	meta   map[uint64][]span // metadata that lies in groups without a bitmap
	whole  map[uint64]bool   // groups without a bitmap whose counter disagrees: taken as used

	loaded uint64 // group in bitmap, groups when none
	bitmap []byte // 1 = used; a bit is a block, or with bigalloc a cluster of them
}

// usedExt4 checks everything that can be checked before it gives a map.
func usedExt4(r io.ReaderAt, size int64) (*Map, error) {
	s, err := readSuper(r, size)
	if err != nil {
		return nil, err
	}
	if err := s.mappable(); err != nil {
		return nil, err
	}
	groups, err := readGroups(r, s)
	if err != nil {
		return nil, err
	}
	m := &ext4Map{r: r, s: s, size: size, groups: groups, meta: map[uint64][]span{}, whole: map[uint64]bool{}, loaded: s.groups}
	m.placeMetadata()
	if err := m.crossCheck(); err != nil {
		return nil, err
	}
	return &Map{size: size, runs: m}, nil
}

// placeMetadata notes bitmaps and inode tables, of whatever group, that lie in a group without a bitmap.
func (m *ext4Map) placeMetadata() {
	for _, g := range m.groups {
		for _, sp := range []span{{g.blockBitmap, 1}, {g.inodeBitmap, 1}, {g.inodeTable, m.s.itableBlocks()}} {
			m.place(sp)
		}
	}
}

func (m *ext4Map) place(sp span) {
	for sp.count > 0 {
		i := (sp.first - m.s.firstBlock) / m.s.perGroup
		start := m.s.firstBlock + i*m.s.perGroup
		n := min(sp.count, start+m.s.perGroup-sp.first)
		if m.groups[i].uninit() {
			m.meta[i] = append(m.meta[i], span{sp.first - start, n})
		}
		sp = span{sp.first + n, sp.count - n}
	}
}

// crossCheck counts every bitmap against its descriptor, and the descriptors against the superblock.
func (m *ext4Map) crossCheck() error {
	total := uint64(0)
	for i := range m.s.groups {
		if err := m.load(i); err != nil {
			return err
		}
		free, want := m.countFree(i), m.groups[i].free
		total += want
		switch {
		case free == want:
		case m.groups[i].uninit():
			m.whole[i] = true
		default:
			return unmappedf("ext4 group %d counts %d free blocks, its bitmap has %d", i, want, free)
		}
	}
	m.loaded = m.s.groups
	if total*m.s.ratio != m.s.free { // the superblock counts blocks, the groups count bits
		return unmappedf("ext4 counts %d free blocks, its groups have %d", m.s.free, total*m.s.ratio)
	}
	return nil
}

func (m *ext4Map) countFree(i uint64) uint64 {
	n := m.s.groupBits(i)
	used := uint64(0)
	for _, b := range m.bitmap[:n/8] {
		used += uint64(bits.OnesCount8(b))
	}
	for k := n &^ 7; k < n; k++ {
		if m.bitmap[k/8]>>(k%8)&1 != 0 {
			used++
		}
	}
	return n - used
}

// load brings the bitmap of group i into memory, read or computed.
func (m *ext4Map) load(i uint64) error {
	if m.loaded == i {
		return nil
	}
	m.loaded = m.s.groups
	if m.bitmap == nil {
		m.bitmap = make([]byte, m.s.perGroup/m.s.ratio/8)
	}
	var err error
	switch {
	case m.whole[i]:
		m.fill(0, m.s.perGroup)
	case m.groups[i].uninit():
		m.compute(i)
	default:
		err = m.read(i)
	}
	if err == nil {
		m.loaded = i
	}
	return err
}

func (m *ext4Map) read(i uint64) error {
	if err := readFull(m.r, m.bitmap, int64(m.groups[i].blockBitmap)*m.s.block); err != nil {
		return err
	}
	if m.s.ro&roMetadataCsum == 0 {
		return nil
	}
	got, want := crc32c(m.s.seed, m.bitmap), m.groups[i].bitmapCsum
	if m.s.descSize < desc64 {
		got &= 0xFFFF
	}
	if got != want {
		return unmappedf("ext4 block bitmap of group %d has a wrong checksum", i)
	}
	return nil
}

// compute makes the bitmap that a group without one stands for: its head, and metadata of any group.
func (m *ext4Map) compute(i uint64) {
	clear(m.bitmap)
	m.fill(0, min(m.s.groupHead(i), m.s.perGroup))
	for _, sp := range m.meta[i] {
		m.fill(sp.first, sp.count)
	}
}

// fill marks blocks of the group as used.
func (m *ext4Map) fill(first, count uint64) {
	if count == 0 {
		return
	}
	for k := first / m.s.ratio; k <= (first+count-1)/m.s.ratio; k++ {
		m.bitmap[k/8] |= 1 << (k % 8)
	}
}

// next implements runs. The blocks before the first group and behind the last are used.
func (m *ext4Map) next(off int64) (start, end int64, err error) {
	block := uint64(off / m.s.block)
	if block < m.s.firstBlock {
		return off, int64(m.s.firstBlock) * m.s.block, nil
	}
	for block < m.s.blocks {
		i := (block - m.s.firstBlock) / m.s.perGroup
		if err := m.load(i); err != nil {
			return 0, 0, err
		}
		base := m.s.firstBlock + i*m.s.perGroup
		n := m.s.groupBits(i)
		first := m.find((block-base)/m.s.ratio, n, true)
		if block == m.s.firstBlock {
			first = 0 // the boot area or the superblock, whatever the bitmap says
		}
		if first < n {
			last := max(m.find(first, n, false), first+1)
			end := min(base+last*m.s.ratio, m.s.blocks)
			return max(off, int64(base+first*m.s.ratio)*m.s.block), int64(end) * m.s.block, nil
		}
		block = base + m.s.groupBlocks(i)
	}
	return max(off, int64(m.s.blocks)*m.s.block), m.size, nil
}

// find gives the first bit at or behind k that is used, or free, and n when there is none.
func (m *ext4Map) find(k, n uint64, used bool) uint64 {
	skip := byte(0xFF)
	if used {
		skip = 0
	}
	for k < n {
		if k%8 == 0 && m.bitmap[k/8] == skip {
			k += 8
			continue
		}
		if m.bitmap[k/8]>>(k%8)&1 != 0 == used {
			return k
		}
		k++
	}
	return n
}
