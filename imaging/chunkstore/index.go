package chunkstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"sort"

	"ingot/imaging"
)

const (
	indexMagic   = "INGOTIDX"
	indexVersion = 1
	indexFixed   = 32
	packEntry    = 40
	bucketEntry  = 8
	entrySize    = 48
	perBucket    = 128 // entries that a bucket holds on average, at most twice as many
	maxFanout    = 24
	maxRunPacks  = 1 << 22
)

// errIndex says that an index file is damaged; it is remade from the packs.
var errIndex = errors.New("index is damaged")

// entry says where one chunk lies.
type entry struct {
	digest imaging.Digest
	pack   uint32 // number in the run's list of packs
	off    uint32 // of the chunk's head
	stored uint32
	plain  uint32
}

func (e entry) append(b []byte) []byte {
	b = append(b, e.digest[:]...)
	for _, v := range []uint32{e.pack, e.off, e.stored, e.plain} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func parseEntry(b []byte) entry {
	e := entry{
		pack:   binary.LittleEndian.Uint32(b[32:]),
		off:    binary.LittleEndian.Uint32(b[36:]),
		stored: binary.LittleEndian.Uint32(b[40:]),
		plain:  binary.LittleEndian.Uint32(b[44:]),
	}
	copy(e.digest[:], b)
	return e
}

// before orders entries: by digest, then by pack and place.
func (e entry) before(o entry) bool {
	if c := bytes.Compare(e.digest[:], o.digest[:]); c != 0 {
		return c < 0
	}
	return e.pack < o.pack || (e.pack == o.pack && e.off < o.off)
}

// fanoutBits chooses how many digest bits lead to a bucket.
func fanoutBits(entries uint64) int { return min(bits.Len64(entries/perBucket), maxFanout) }

func bucketOf(d imaging.Digest, fanout int) int {
	return int(binary.BigEndian.Uint32(d[:]) >> (32 - fanout))
}

// bucket is one row of the fanout.
type bucket struct{ end, crc uint32 }

// run is one open index file.
type run struct {
	f       *os.File
	path    string
	packs   []*packFile
	fanout  int
	buckets []bucket
	count   uint64
	body    int64 // offset of the entries
}

// packSize is a row of an index file's list of packs.
type packSize struct {
	name imaging.Digest
	size int64
}

// openRun reads the head of an index file. The list gives the packs that it covers; the caller resolves them.
func openRun(path string) (_ *run, list []packSize, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	fixed := make([]byte, indexFixed)
	if _, err := f.ReadAt(fixed, 0); err != nil {
		return nil, nil, fmt.Errorf("%w: %v", errIndex, err)
	}
	r := &run{f: f, path: path, fanout: int(binary.LittleEndian.Uint32(fixed[12:])), count: binary.LittleEndian.Uint64(fixed[16:])}
	packs := int64(binary.LittleEndian.Uint32(fixed[24:]))
	if string(fixed[:8]) != indexMagic || binary.LittleEndian.Uint32(fixed[8:]) != indexVersion ||
		packs > maxRunPacks || r.count > 1<<32-1 || r.fanout != fanoutBits(r.count) {
		return nil, nil, fmt.Errorf("%w: its head is not one", errIndex)
	}
	r.body = indexFixed + packs*packEntry + bucketEntry<<r.fanout + 4
	if st.Size() != r.body+int64(r.count)*entrySize {
		return nil, nil, fmt.Errorf("%w: %d bytes", errIndex, st.Size())
	}
	head := make([]byte, r.body)
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, nil, fmt.Errorf("%w: %v", errIndex, err)
	}
	if imaging.CRC(head[:r.body-4]) != binary.LittleEndian.Uint32(head[r.body-4:]) {
		return nil, nil, fmt.Errorf("%w: the CRC of its head does not hold", errIndex)
	}
	list = r.parseHead(head[indexFixed:], int(packs))
	return r, list, nil
}

func (r *run) parseHead(b []byte, packs int) []packSize {
	list := make([]packSize, packs)
	for i := range list {
		copy(list[i].name[:], b)
		list[i].size = int64(binary.LittleEndian.Uint64(b[32:]))
		b = b[packEntry:]
	}
	r.buckets = make([]bucket, 1<<r.fanout)
	for i := range r.buckets {
		r.buckets[i] = bucket{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])}
		b = b[bucketEntry:]
	}
	return list
}

// bounds gives the entries of a bucket, from first up to end.
func (r *run) bounds(n int) (first, end int64) {
	if n > 0 {
		first = int64(r.buckets[n-1].end)
	}
	return first, int64(r.buckets[n].end)
}

// readBucket reads and proves one bucket; the result uses buf where it has room.
func (r *run) readBucket(n int, buf []byte) ([]byte, error) {
	first, end := r.bounds(n)
	if end < first || uint64(end) > r.count {
		return nil, fmt.Errorf("%w: %s: bucket %d from %d to %d", errIndex, r.path, n, first, end)
	}
	size := int(end-first) * entrySize
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if _, err := r.f.ReadAt(buf, r.body+first*entrySize); err != nil && (size > 0 || !errors.Is(err, io.EOF)) {
		return nil, fmt.Errorf("read index %s: %w", r.path, err)
	}
	if imaging.CRC(buf) != r.buckets[n].crc {
		return nil, fmt.Errorf("%w: %s: bucket %d", errIndex, r.path, n)
	}
	return buf, nil
}

// find calls fn for each place of a chunk until fn says that it suffices.
func (r *run) find(d imaging.Digest, buf []byte, fn func(entry) (enough bool)) (bool, error) {
	return r.findAt(d, buf, func(_ uint64, e entry) bool { return fn(e) })
}

// findAt is find with the number of each entry in the run.
func (r *run) findAt(d imaging.Digest, buf []byte, fn func(at uint64, e entry) (enough bool)) (bool, error) {
	bucket := bucketOf(d, r.fanout)
	b, err := r.readBucket(bucket, buf)
	if err != nil {
		return false, err
	}
	start, _ := r.bounds(bucket)
	n := len(b) / entrySize
	i := sort.Search(n, func(i int) bool { return bytes.Compare(b[i*entrySize:][:32], d[:]) >= 0 })
	for ; i < n; i++ {
		e := parseEntry(b[i*entrySize:])
		if e.digest != d {
			return false, nil
		}
		if int(e.pack) >= len(r.packs) {
			return false, fmt.Errorf("%w: %s: pack %d", errIndex, r.path, e.pack)
		}
		if fn(uint64(start)+uint64(i), e) {
			return true, nil
		}
	}
	return false, nil
}

// verify proves every bucket.
func (r *run) verify() error {
	var buf []byte
	for n := range r.buckets {
		b, err := r.readBucket(n, buf)
		if err != nil {
			return err
		}
		buf = b
	}
	return nil
}
