package fs

import (
	"encoding/binary"
	"io"
)

// Bounds of NTFS. Windows itself makes clusters of at most 2 MiB and records of 1 or 4 KiB.
const (
	ntfsBootSize   = 8192 // the file $Boot: boot sector and loader
	maxNTFSCluster = 2 << 20
	maxNTFSRecord  = 64 << 10
)

// ntfsGeometry is what an NTFS boot sector says, bounded.
type ntfsGeometry struct {
	sector   int64 // bytes
	cluster  int64 // bytes
	clusters int64
	record   int64 // bytes of a record of the $MFT
	index    int64 // bytes of a block of a folder
	mft      int64 // cluster
	mirror   int64 // cluster
}

// parseNTFS reads the boot sector b of a volume of size bytes; *Unmapped when it cannot be right.
func parseNTFS(b []byte, size int64) (*ntfsGeometry, error) {
	le := binary.LittleEndian
	g := &ntfsGeometry{sector: int64(le.Uint16(b[0x0B:])), mft: int64(le.Uint64(b[0x30:])), mirror: int64(le.Uint64(b[0x38:]))}
	total := int64(le.Uint64(b[0x28:]))
	if g.sector < 512 || g.sector > 4096 || g.sector&(g.sector-1) != 0 {
		return nil, unmappedf("NTFS boot sector is damaged: sectors of %d bytes", g.sector)
	}
	g.cluster = ntfsSectorsPerCluster(b[0x0D]) * g.sector
	if g.cluster < g.sector || g.cluster > maxNTFSCluster || g.cluster&(g.cluster-1) != 0 {
		return nil, unmappedf("NTFS boot sector is damaged: clusters of %d bytes", g.cluster)
	}
	g.record, g.index = g.recordSize(b[0x40]), g.recordSize(b[0x44])
	if !believableRecord(g.record) || !believableRecord(g.index) {
		return nil, unmappedf("NTFS boot sector is damaged: records of %d and index blocks of %d bytes", g.record, g.index)
	}
	if total > size/g.sector {
		return nil, truncatedf("NTFS is longer (%d sectors of %d bytes) than its partition (%d bytes)", total, g.sector, size)
	}
	g.clusters = total / (g.cluster / g.sector)
	if g.clusters < 1 || g.mft < 0 || g.mft >= g.clusters || g.mirror < 0 || g.mirror >= g.clusters {
		return nil, unmappedf("NTFS boot sector is damaged: %d clusters, $MFT at %d, $MFTMirr at %d", g.clusters, g.mft, g.mirror)
	}
	return g, nil
}

// ntfsSectorsPerCluster decodes a count, which above 0x80 stands for a power of two.
func ntfsSectorsPerCluster(v byte) int64 {
	if v <= 0x80 {
		return int64(v)
	}
	if shift := 256 - int(v); shift <= 12 {
		return 1 << shift
	}
	return 0
}

// recordSize decodes a count of clusters, which below zero stands for a power of two in bytes.
func (g *ntfsGeometry) recordSize(v byte) int64 {
	if v < 0x80 {
		return int64(v) * g.cluster
	}
	if shift := 256 - int(v); shift <= 16 {
		return 1 << shift
	}
	return 0
}

func believableRecord(n int64) bool { return n >= 512 && n <= maxNTFSRecord && n&(n-1) == 0 }

// ntfs is an open NTFS volume.
type ntfs struct {
	r   io.ReaderAt
	g   *ntfsGeometry
	mft *ntfsStream // the content of $MFT
}

// openNTFS reads the boot sector and finds the whole $MFT, however many pieces it has.
func openNTFS(r io.ReaderAt, size int64) (*ntfs, error) {
	boot := make([]byte, 512)
	if err := readFull(r, boot, 0); err != nil {
		return nil, err
	}
	g, err := parseNTFS(boot, size)
	if err != nil {
		return nil, err
	}
	n := &ntfs{r: r, g: g}
	// The first record lies in one piece at the place that the boot sector names; it says where the others are.
	n.mft = &ntfsStream{n: n, size: g.record, initialized: g.record, runs: []ntfsRun{{0, g.mft, (g.record + g.cluster - 1) / g.cluster}}}
	if g.mft+n.mft.runs[0].count > g.clusters {
		return nil, damagedf("NTFS is damaged: its $MFT begins behind the last cluster")
	}
	mft, err := n.stream(mftRecord, ntfsData, "")
	if err != nil {
		return nil, err
	}
	n.mft = mft
	if mft.value != nil || mft.size > g.clusters*g.cluster {
		return nil, damagedf("NTFS is damaged: its $MFT has %d bytes", mft.size)
	}
	for _, run := range mft.runs {
		if run.lcn < 0 {
			return nil, damagedf("NTFS is damaged: its $MFT has holes")
		}
	}
	return n, nil
}
