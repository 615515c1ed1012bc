package fs

import (
	"encoding/binary"
	"io"
)

// fatGeometry is what a FAT boot sector says (Microsoft, FAT specification of 2000), bounded.
type fatGeometry struct {
	bits      int   // 12, 16 or 32
	sector    int64 // bytes
	cluster   int64 // bytes
	fatAt     int64 // byte of the first FAT
	fatBytes  int64 // of one FAT
	fats      int64
	rootAt    int64 // FAT12/16: the root folder, of rootBytes bytes
	rootBytes int64
	rootFirst uint32 // FAT32: its first cluster
	dataAt    int64  // byte of cluster 2
	clusters  uint32 // numbered 2 to clusters+1
	end       int64  // of the file system, bytes
	media     byte
	mirrored  bool
	dirtyBPB  bool // Linux's mark of a mounted volume
}

// parseFAT reads the boot sector b of a volume of size bytes; *Unmapped when it is not FAT or cannot be right.
func parseFAT(b []byte, size int64) (*fatGeometry, error) {
	le := binary.LittleEndian
	if b[510] != 0x55 || b[511] != 0xAA || (b[0] != 0xEB && b[0] != 0xE9) {
		return nil, unmappedf("no FAT boot sector")
	}
	sector, perCluster := int64(le.Uint16(b[11:])), int64(b[13])
	reserved, fats, rootEntries := int64(le.Uint16(b[14:])), int64(b[16]), int64(le.Uint16(b[17:]))
	total := int64(le.Uint16(b[19:]))
	if total == 0 {
		total = int64(le.Uint32(b[32:]))
	}
	perFAT := int64(le.Uint16(b[22:]))
	wide := perFAT == 0
	if wide {
		perFAT = int64(le.Uint32(b[36:]))
	}
	switch {
	case sector < 512 || sector > 4096 || sector&(sector-1) != 0:
		return nil, unmappedf("no FAT boot sector: sectors of %d bytes", sector)
	case perCluster == 0 || perCluster&(perCluster-1) != 0:
		return nil, unmappedf("no FAT boot sector: clusters of %d sectors", perCluster)
	case reserved == 0 || fats < 1 || fats > 2 || perFAT == 0 || total == 0:
		return nil, unmappedf("no FAT boot sector: %d reserved sectors, %d FATs of %d sectors", reserved, fats, perFAT)
	case total > size/sector:
		return nil, truncatedf("FAT is longer (%d sectors of %d bytes) than its partition (%d bytes)", total, sector, size)
	}
	rootSectors := (rootEntries*32 + sector - 1) / sector
	data := reserved + fats*perFAT + rootSectors
	if data >= total {
		return nil, unmappedf("FAT is damaged: its tables fill the volume")
	}
	g := &fatGeometry{
		sector: sector, cluster: sector * perCluster, fatAt: reserved * sector, fatBytes: perFAT * sector, fats: fats,
		rootAt: (reserved + fats*perFAT) * sector, rootBytes: rootEntries * 32, dataAt: data * sector,
		clusters: uint32((total - data) / perCluster), end: total * sector, media: b[21], mirrored: true,
	}
	return g, g.width(b, wide)
}

// width finds 12, 16 or 32 by the number of clusters, the only rule there is.
func (g *fatGeometry) width(b []byte, wide bool) error {
	le := binary.LittleEndian
	switch {
	case g.clusters < 4085:
		g.bits = 12
	case g.clusters < 65525:
		g.bits = 16
	default:
		g.bits = 32
	}
	if wide != (g.bits == 32) && !(wide && g.rootBytes == 0) {
		return unmappedf("FAT is damaged: %d clusters in a table of the other kind", g.clusters)
	}
	if wide { // small volumes made as FAT32 on purpose
		g.bits = 32
		g.rootFirst = le.Uint32(b[44:]) & 0x0FFFFFFF
		g.mirrored = le.Uint16(b[40:])&0x80 == 0
		g.dirtyBPB = b[0x41]&1 != 0
		if g.rootBytes != 0 || le.Uint16(b[42:]) != 0 {
			return unmappedf("FAT32 of an unknown version")
		}
	} else {
		g.dirtyBPB = b[0x25]&1 != 0
	}
	if (int64(g.clusters)+2)*int64(g.bits)/8 > g.fatBytes {
		return unmappedf("FAT is damaged: its table is too short for %d clusters", g.clusters)
	}
	return nil
}

// clusterAt is the first byte of cluster n.
func (g *fatGeometry) clusterAt(n uint32) int64 { return g.dataAt + int64(n-2)*g.cluster }

// valid reports whether n can be a cluster with data.
func (g *fatGeometry) valid(n uint32) bool { return n >= 2 && n-2 < g.clusters }

// fatWindow is how much of an allocation table is in memory: a whole FAT12, and a multiple of any entry.
const fatWindow = 96 << 10

// fatTable reads entries of the first FAT through a window.
type fatTable struct {
	r    io.ReaderAt
	g    *fatGeometry
	at   int64 // first byte of the window in the table, -1 when there is none
	data []byte
}

func newFATTable(r io.ReaderAt, g *fatGeometry) *fatTable { return &fatTable{r: r, g: g, at: -1} }

// entry gives the value of cluster n, its reserved high bits cut off.
func (t *fatTable) entry(n uint32) (uint32, error) {
	bit := int64(n) * int64(t.g.bits)
	at, size := bit/8, int64(4)
	if t.g.bits != 32 {
		size = 2
	}
	if at+size > t.g.fatBytes {
		return 0, unmappedf("FAT is damaged: no entry for cluster %d", n)
	}
	if err := t.window(at, size); err != nil {
		return 0, err
	}
	b := t.data[at-t.at:]
	switch t.g.bits {
	case 32:
		return binary.LittleEndian.Uint32(b) & 0x0FFFFFFF, nil
	case 16:
		return uint32(binary.LittleEndian.Uint16(b)), nil
	}
	return uint32(binary.LittleEndian.Uint16(b)) >> (bit % 8) & 0xFFF, nil
}

func (t *fatTable) window(at, size int64) error {
	if t.at >= 0 && at >= t.at && at+size <= t.at+int64(len(t.data)) {
		return nil
	}
	start := at / fatWindow * fatWindow
	if at+size > start+fatWindow {
		start = at
	}
	t.at = -1
	t.data = make([]byte, min(fatWindow, t.g.fatBytes-start))
	if err := readFull(t.r, t.data, t.g.fatAt+start); err != nil {
		return err
	}
	t.at = start
	return nil
}
