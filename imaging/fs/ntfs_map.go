package fs

import (
	"encoding/binary"
	"io"
)

// mftWindow is how much of the $MFT is read at once: a multiple of any record.
const mftWindow = 1 << 20

// ntfsMap walks $Bitmap, one bit for each cluster.
type ntfsMap struct {
	g    *ntfsGeometry
	size int64
	bits *bitStream
}

// usedNTFS gives the map of a volume that Windows closed, whose $Bitmap covers what every file says it owns.
func usedNTFS(r io.ReaderAt, size int64) (*Map, error) {
	n, err := openNTFS(r, size)
	if err != nil {
		return nil, err
	}
	if err := n.checkState(); err != nil {
		return nil, err
	}
	bitmap, err := n.stream(bitmapRecord, ntfsData, "")
	if err != nil {
		return nil, err
	}
	if bitmap.size < (n.g.clusters+7)/8 {
		return nil, uncleanf("NTFS has %d clusters, its $Bitmap covers only %d", n.g.clusters, bitmap.size*8)
	}
	m := &ntfsMap{g: n.g, size: size, bits: newBitStream(bitmap, n.g.clusters)}
	if err := n.crossCheck(m.bits); err != nil {
		return nil, err
	}
	return &Map{size: size, runs: m}, nil
}

// next implements runs. The boot file and everything behind the last cluster are used: the second boot sector
// lies there, which the bitmap does not know.
func (m *ntfsMap) next(off int64) (start, end int64, err error) {
	if off < ntfsBootSize {
		return off, ntfsBootSize, nil
	}
	first, err := m.bits.find(min(off/m.g.cluster, m.g.clusters), m.g.clusters, true)
	if err != nil {
		return 0, 0, err
	}
	if first == m.g.clusters {
		return max(off, m.g.clusters*m.g.cluster), m.size, nil
	}
	last, err := m.bits.find(first, m.g.clusters, false)
	if err != nil {
		return 0, 0, err
	}
	return max(off, first*m.g.cluster), last * m.g.cluster, nil
}

// crossCheck reads every record of the $MFT and holds the runs of its attributes against the bitmap: a cluster
// that a file owns and the bitmap calls free would be lost.
func (n *ntfs) crossCheck(used *bitStream) error {
	taken, err := n.stream(mftRecord, ntfsBitmapAttr, "")
	if err != nil {
		return err
	}
	count := n.mft.size / n.g.record
	if taken.size*8 < count {
		return uncleanf("NTFS has %d file records, its list of them covers only %d", count, taken.size*8)
	}
	inUse := newBitStream(taken, count)
	b := make([]byte, mftWindow)
	for num := int64(0); num < count; {
		k := min(mftWindow/n.g.record, count-num)
		if err := n.mft.readAt(b[:k*n.g.record], num*n.g.record); err != nil {
			return err
		}
		for i := range k {
			if err := n.checkRecord(num+i, b[i*n.g.record:(i+1)*n.g.record], inUse, used); err != nil {
				return err
			}
		}
		num += k
	}
	return nil
}

// checkRecord checks one record, unless both its own mark and the list of records call it unused.
func (n *ntfs) checkRecord(num int64, rec []byte, inUse, used *bitStream) error {
	at, err := inUse.find(num, num+1, true)
	if err != nil {
		return err
	}
	whole := fixup(rec, "FILE")
	marked := whole && binary.LittleEndian.Uint16(rec[0x16:])&ntfsInUse != 0
	switch {
	case at != num && !marked:
		return nil
	case !whole:
		return damagedf("NTFS is damaged: file record %d is not whole", num)
	case !marked: // kept back, as the records 16 to 23 are
		return nil
	}
	all, ok := attrs(rec)
	if !ok {
		return damagedf("NTFS is damaged: file record %d is malformed", num)
	}
	for _, a := range all {
		if a.resident {
			continue
		}
		if err := n.checkRuns(num, a, used); err != nil {
			return err
		}
	}
	return nil
}

func (n *ntfs) checkRuns(num int64, a ntfsAttr, used *bitStream) error {
	runs, ok := n.g.decodeRuns(a, nil)
	if !ok {
		return damagedf("NTFS is damaged: the runs of file record %d are malformed", num)
	}
	for _, run := range runs {
		if run.lcn < 0 {
			continue
		}
		free, err := used.find(run.lcn, run.lcn+run.count, false)
		if err != nil {
			return err
		}
		if free < run.lcn+run.count {
			return uncleanf("NTFS file record %d owns cluster %d, which its $Bitmap calls free", num, free)
		}
	}
	return nil
}
