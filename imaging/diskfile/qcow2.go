package diskfile

import (
	"encoding/binary"
	"io"
	"sync"
)

// The bounds of the format (docs/interop/qcow2.txt; QEMU's own limits).
const (
	minClusterBits = 9
	maxClusterBits = 21
	maxL1Bytes     = 32 << 20
	l2CacheBytes   = 16 << 20
)

// The incompatible feature bits.
const (
	featDirty       = 1 << 0
	featCorrupt     = 1 << 1
	featExternal    = 1 << 2
	featCompression = 1 << 3
	featExtendedL2  = 1 << 4
)

// The compression types.
const (
	compressDeflate = 0
	compressZstd    = 1
)

// qcow2 is an open file of that format.
type qcow2 struct {
	r           io.ReaderAt
	length      int64 // of the file
	size        int64 // of the disk
	clusterBits uint
	cluster     int64
	version     uint32
	compression byte
	l1          []uint64

	mu     sync.Mutex
	l2     map[int64]*l2Table // by place in the file
	clock  uint64
	l2Max  int
	last   int64  // place of the compressed entry that plain holds
	plain  []byte // one decompressed cluster
	decode decoder
}

type l2Table struct {
	entries []uint64
	used    uint64
}

func isQcow2(head []byte) bool { return string(head[:4]) == "QFI\xfb" }

// openQcow2 checks the header and loads the L1 table.
func openQcow2(r io.ReaderAt, length int64) (*qcow2, error) {
	head := make([]byte, 112)
	if n, err := r.ReadAt(head, 0); n < 104 {
		return nil, refusef("the qcow2 header is cut off: %v", err)
	}
	q := &qcow2{r: r, length: length, l2: map[int64]*l2Table{}, last: -1}
	if err := q.parseHeader(head); err != nil {
		return nil, err
	}
	return q, q.loadL1(int64(binary.BigEndian.Uint64(head[40:])), binary.BigEndian.Uint32(head[36:]))
}

func (q *qcow2) parseHeader(h []byte) error {
	be := binary.BigEndian
	q.version = be.Uint32(h[4:])
	bits := be.Uint32(h[20:])
	size := be.Uint64(h[24:])
	switch {
	case q.version != 2 && q.version != 3:
		return refusef("qcow2 version %d is not known (2 and 3 are)", q.version)
	case be.Uint64(h[8:]) != 0:
		return refusef("the qcow2 file rests on a backing file; make one file of them with qemu-img convert")
	case be.Uint32(h[32:]) != 0:
		return refusef("the qcow2 file is encrypted; make a plain one with qemu-img convert")
	case bits < minClusterBits || bits > maxClusterBits:
		return refusef("the qcow2 header is damaged: clusters of 2^%d bytes", bits)
	case size == 0 || size%512 != 0 || size > 1<<62:
		return refusef("the qcow2 header is damaged: a disk of %d bytes", size)
	}
	q.clusterBits, q.cluster, q.size = uint(bits), 1<<bits, int64(size)
	q.l2Max = max(2, int(l2CacheBytes/q.cluster))
	if q.version == 2 {
		return nil
	}
	return q.parseFeatures(h)
}

func (q *qcow2) parseFeatures(h []byte) error {
	be := binary.BigEndian
	feat, headerLength := be.Uint64(h[72:]), be.Uint32(h[100:])
	switch {
	case feat&featCorrupt != 0:
		return refusef("the qcow2 file is marked corrupt; see qemu-img check")
	case feat&featDirty != 0:
		return refusef("the qcow2 file was not closed cleanly; shut the virtual machine down, or repair it with qemu-img check -r all")
	case feat&featExternal != 0:
		return refusef("the qcow2 file keeps its data in a second file; make one file with qemu-img convert")
	case feat&featExtendedL2 != 0:
		return refusef("the qcow2 file has extended L2 entries; make one without with qemu-img convert")
	case feat&^featCompression != 0:
		return refusef("the qcow2 file has unknown features (%#x)", feat)
	case headerLength < 104:
		return refusef("the qcow2 header is damaged: %d bytes long", headerLength)
	}
	if headerLength > 104 {
		q.compression = h[104]
	}
	if (q.compression != compressDeflate) != (feat&featCompression != 0) || q.compression > compressZstd {
		return refusef("the qcow2 file has an unknown compression type (%d)", q.compression)
	}
	return nil
}

// loadL1 reads the L1 table. Its length is bound by the file's and by what the disk's size needs.
func (q *qcow2) loadL1(at int64, entries uint32) error {
	perTable := q.cluster / 8 * q.cluster
	need := (q.size-1)/perTable + 1
	if need*8 > maxL1Bytes || int64(entries) < need {
		return refusef("the qcow2 header is damaged: %d L1 entries for a disk of %d bytes", entries, q.size)
	}
	if at <= 0 || at%q.cluster != 0 || at > q.length-need*8 {
		return refusef("the qcow2 file is cut off: its L1 table at %d passes the end of the file at %d", at, q.length)
	}
	l1, err := readTable(q.r, at, int(need))
	q.l1 = l1
	return err
}
