package diskfile

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The parts of a table entry.
const (
	entryOffset     = 0x00fffffffffffe00
	entryCopied     = 1 << 63
	entryCompressed = 1 << 62
	entryZero       = 1 << 0
)

// mapping is where one cluster of the disk is.
type mapping struct {
	zero       bool
	compressed bool
	at, length int64 // in the file; length only of compressed ones
}

// ReadAt implements layout; b lies inside the disk.
func (q *qcow2) ReadAt(b []byte, off int64) (int, error) {
	done := 0
	for done < len(b) {
		in := (off + int64(done)) % q.cluster
		n := min(int64(len(b)-done), q.cluster-in)
		if err := q.readCluster(b[done:done+int(n)], off+int64(done)-in, in); err != nil {
			return done, err
		}
		done += int(n)
	}
	return done, nil
}

// readCluster reads a part of the cluster that begins at base on the disk.
func (q *qcow2) readCluster(b []byte, base, in int64) error {
	m, err := q.lookup(base)
	switch {
	case err != nil:
		return err
	case m.zero:
		clear(b)
		return nil
	case m.compressed:
		return q.readCompressed(b, m, in)
	}
	if n, err := q.r.ReadAt(b, m.at+in); n < len(b) {
		return fmt.Errorf("read cluster at %d of the file: %w", m.at, orShort(err))
	}
	return nil
}

// lookup finds the cluster that begins at base on the disk, and checks that the file holds it.
func (q *qcow2) lookup(base int64) (mapping, error) {
	l1 := q.l1[base/(q.cluster/8*q.cluster)]
	table, err := q.table(l1)
	if err != nil || table == nil {
		return mapping{zero: true}, err
	}
	return q.decodeEntry(table[base/q.cluster%(q.cluster/8)], base)
}

func (q *qcow2) decodeEntry(e uint64, base int64) (mapping, error) {
	if e&entryCompressed != 0 {
		return q.decodeCompressed(e)
	}
	known := uint64(entryOffset | entryCopied)
	if q.version >= 3 {
		known |= entryZero
	}
	at := int64(e & entryOffset)
	switch {
	case e&^known != 0:
		return mapping{}, refusef("the qcow2 file is damaged: table entry %#x for the cluster at %d", e, base)
	case e&entryZero != 0, at == 0:
		return mapping{zero: true}, nil
	case at%q.cluster != 0:
		return mapping{}, refusef("the qcow2 file is damaged: the cluster at %d lies at %d", base, at)
	case at > q.length-min(q.cluster, q.size-base):
		return mapping{}, refusef("the qcow2 file is cut off: the cluster at %d lies at %d, behind its end at %d", base, at, q.length)
	}
	return mapping{at: at}, nil
}

// decodeCompressed splits an entry into a place and a length that counts sectors of 512 bytes, the first of
// which the place lies in. The last sector may be missing at the file's end.
func (q *qcow2) decodeCompressed(e uint64) (mapping, error) {
	x := 62 - (q.clusterBits - 8)
	at := int64(e & (1<<x - 1))
	sectors := int64(e&(entryCompressed-1)>>x) + 1
	if at <= 0 || at >= q.length {
		return mapping{}, refusef("the qcow2 file is cut off: a compressed cluster lies at %d, behind its end at %d", at, q.length)
	}
	return mapping{compressed: true, at: at, length: min(sectors*512-at%512, q.length-at)}, nil
}

// table gives the L2 table of an L1 entry, nil when there is none.
func (q *qcow2) table(l1 uint64) ([]uint64, error) {
	at := int64(l1 & entryOffset)
	if l1&^(entryOffset|entryCopied) != 0 || at%q.cluster != 0 {
		return nil, refusef("the qcow2 file is damaged: L1 entry %#x", l1)
	}
	if at == 0 {
		return nil, nil
	}
	if at > q.length-q.cluster {
		return nil, refusef("the qcow2 file is cut off: an L2 table lies at %d, behind its end at %d", at, q.length)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.clock++
	if t, ok := q.l2[at]; ok {
		t.used = q.clock
		return t.entries, nil
	}
	entries, err := readTable(q.r, at, int(q.cluster/8))
	if err != nil {
		return nil, err
	}
	q.makeRoom()
	q.l2[at] = &l2Table{entries: entries, used: q.clock}
	return entries, nil
}

// makeRoom drops the table that was not used for longest when the cache is full.
func (q *qcow2) makeRoom() {
	if len(q.l2) < q.l2Max {
		return
	}
	oldest, used := int64(0), uint64(1<<63)
	for at, t := range q.l2 {
		if t.used < used {
			oldest, used = at, t.used
		}
	}
	delete(q.l2, oldest)
}

func readTable(r io.ReaderAt, at int64, entries int) ([]uint64, error) {
	b := make([]byte, entries*8)
	if n, err := r.ReadAt(b, at); n < len(b) {
		return nil, fmt.Errorf("read table at %d of the file: %w", at, orShort(err))
	}
	out := make([]uint64, entries)
	for i := range out {
		out[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return out, nil
}

// nextData implements layout: it walks the tables, never the data.
func (q *qcow2) nextData(off int64) (start, end int64, err error) {
	base := off - off%q.cluster
	perTable := q.cluster / 8 * q.cluster
	for base < q.size {
		if q.l1[base/perTable]&entryOffset == 0 && q.l1[base/perTable]&^entryCopied == 0 {
			base = (base/perTable + 1) * perTable
			continue
		}
		m, err := q.lookup(base)
		if err != nil {
			return 0, 0, err
		}
		if !m.zero {
			return max(base, off), q.runEnd(base + q.cluster), nil
		}
		base += q.cluster
	}
	return q.size, q.size, nil
}

// runEnd goes on to the first cluster that is zero, unmapped or unreadable, or to the end of the L2 table: the
// next call looks at it again.
func (q *qcow2) runEnd(base int64) int64 {
	for base < q.size && base%(q.cluster/8*q.cluster) != 0 {
		if m, err := q.lookup(base); err != nil || m.zero {
			break
		}
		base += q.cluster
	}
	return min(base, q.size)
}

func orShort(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
