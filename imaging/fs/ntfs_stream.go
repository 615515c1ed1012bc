package fs

import (
	"math/bits"
	"sort"
)

// maxNTFSRuns bounds the runs of one attribute that are held: 24 bytes each.
const maxNTFSRuns = 1 << 18

// ntfsRun is a piece of content that lies together; lcn is -1 for a hole.
type ntfsRun struct{ vcn, lcn, count int64 }

// ntfsStream is the content of an attribute.
type ntfsStream struct {
	n           *ntfs
	size        int64
	initialized int64  // what lies behind reads as zeros
	value       []byte // of a resident attribute
	runs        []ntfsRun
}

// stream opens the content of an attribute that must be there and be stored plainly.
func (n *ntfs) stream(num int64, typ uint32, name string) (*ntfsStream, error) {
	all, err := n.pieces(num, typ, name)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, damagedf("NTFS is damaged: record %d of its $MFT lacks an attribute of type %#x", num, typ)
	}
	return n.assemble(num, all)
}

// assemble joins all pieces of an attribute.
func (n *ntfs) assemble(num int64, all []ntfsAttr) (*ntfsStream, error) {
	s, err := n.join(num, all)
	if err != nil || s.value != nil {
		return s, err
	}
	if held := (all[len(all)-1].highest + 1) * n.g.cluster; s.size > held {
		return nil, damagedf("NTFS is damaged: record %d is longer (%d bytes) than its runs (%d bytes)", num, s.size, held)
	}
	return s, nil
}

// join joins the pieces of an attribute that are known so far: the first begins at its beginning, and each of
// the others where the one before it ends.
func (n *ntfs) join(num int64, all []ntfsAttr) (*ntfsStream, error) {
	first := all[0]
	if first.flags&(ntfsCompressed|ntfsEncrypted) != 0 {
		return nil, damagedf("NTFS is damaged: record %d keeps its content compressed or encrypted", num)
	}
	if first.resident {
		return &ntfsStream{n: n, size: int64(len(first.value)), initialized: int64(len(first.value)), value: first.value}, nil
	}
	s := &ntfsStream{n: n, size: first.size, initialized: first.init}
	if s.size < 0 || s.initialized < 0 || s.initialized > s.size {
		return nil, damagedf("NTFS is damaged: record %d has a size of %d, %d of them written", num, s.size, s.initialized)
	}
	next := int64(0)
	for _, a := range all {
		if a.resident || a.lowest != next {
			return nil, damagedf("NTFS is damaged: the parts of record %d do not follow each other", num)
		}
		runs, ok := n.g.decodeRuns(a, s.runs)
		if !ok || len(runs) > maxNTFSRuns {
			return nil, damagedf("NTFS is damaged: the runs of record %d are malformed", num)
		}
		s.runs, next = runs, a.highest+1
	}
	return s, nil
}

// decodeRuns appends the runs of one piece: pairs of a length and a distance from the run before, of as many
// bytes as the two halves of the byte before them say. False when they leave the volume or do not fill the piece.
func (g *ntfsGeometry) decodeRuns(a ntfsAttr, to []ntfsRun) ([]ntfsRun, bool) {
	vcn, lcn, b := a.lowest, int64(0), a.pairs
	for len(b) > 0 && b[0] != 0 {
		lengthBytes, placeBytes := int(b[0]&0xF), int(b[0]>>4)
		if lengthBytes == 0 || lengthBytes > 8 || placeBytes > 8 || 1+lengthBytes+placeBytes > len(b) {
			return nil, false
		}
		count := signed(b[1 : 1+lengthBytes])
		if count <= 0 || count > a.highest+1-vcn {
			return nil, false
		}
		run := ntfsRun{vcn, -1, count}
		if placeBytes > 0 {
			lcn += signed(b[1+lengthBytes : 1+lengthBytes+placeBytes])
			if lcn < 0 || lcn >= g.clusters || count > g.clusters-lcn {
				return nil, false
			}
			run.lcn = lcn
		}
		to = append(to, run)
		vcn += count
		b = b[1+lengthBytes+placeBytes:]
	}
	return to, vcn == a.highest+1
}

// signed reads a little-endian number of up to eight bytes.
func signed(b []byte) int64 {
	v := int64(int8(b[len(b)-1]))
	for i := len(b) - 2; i >= 0; i-- {
		v = v<<8 | int64(b[i])
	}
	return v
}

// readAt fills b from off; all of it must lie inside the content.
func (s *ntfsStream) readAt(b []byte, off int64) error {
	if off < 0 || off > s.size || int64(len(b)) > s.size-off {
		return damagedf("NTFS is damaged: %d bytes at %d of %d are wanted", len(b), off, s.size)
	}
	if s.value != nil {
		copy(b, s.value[off:])
		return nil
	}
	if real := s.initialized - off; real < int64(len(b)) {
		clear(b[max(real, 0):])
		b = b[:max(real, 0)]
	}
	c := s.n.g.cluster
	i := s.search(off / c)
	for ; len(b) > 0; i++ {
		if i == len(s.runs) {
			return damagedf("NTFS is damaged: content ends at %d", off)
		}
		run := s.runs[i]
		k := min(int64(len(b)), (run.vcn+run.count)*c-off)
		if run.lcn < 0 {
			clear(b[:k])
		} else if err := readFull(s.n.r, b[:k], run.lcn*c+off-run.vcn*c); err != nil {
			return err
		}
		b, off = b[k:], off+k
	}
	return nil
}

// search finds the first run that reaches behind a cluster of the content.
func (s *ntfsStream) search(vcn int64) int {
	return sort.Search(len(s.runs), func(i int) bool { return s.runs[i].vcn+s.runs[i].count > vcn })
}

// runAt finds the run that holds a cluster of the content.
func (s *ntfsStream) runAt(vcn int64) (ntfsRun, bool) {
	if i := s.search(vcn); i < len(s.runs) {
		return s.runs[i], true
	}
	return ntfsRun{}, false
}

const (
	bitPage  = 64 << 10 // bytes of a bitmap in one page
	bitPages = 64       // pages held: 4 MiB
)

// bitStream reads bits of a bitmap that need not fit into memory.
type bitStream struct {
	s     *ntfsStream
	count int64 // bits
	held  [bitPages]struct {
		page int64
		b    []byte
	}
}

func newBitStream(s *ntfsStream, count int64) *bitStream { return &bitStream{s: s, count: count} }

// page gives the page in which bit k lies.
func (m *bitStream) page(k int64) ([]byte, error) {
	p := k / 8 / bitPage
	h := &m.held[p%bitPages]
	if h.b != nil && h.page == p {
		return h.b, nil
	}
	b := h.b[:cap(h.b)]
	if b == nil {
		b = make([]byte, bitPage)
	}
	h.b = nil
	b = b[:min(bitPage, m.s.size-p*bitPage)]
	if err := m.s.readAt(b, p*bitPage); err != nil {
		return nil, err
	}
	h.page, h.b = p, b
	return b, nil
}

// find gives the first bit at or behind k and before end that is set, or clear, and end when there is none.
func (m *bitStream) find(k, end int64, set bool) (int64, error) {
	skip := byte(0xFF)
	if set {
		skip = 0
	}
	for k < end {
		b, err := m.page(k)
		if err != nil {
			return 0, err
		}
		base := k / 8 / bitPage * bitPage
		for stop := min(end, (base+int64(len(b)))*8); k < stop; {
			v := b[k/8-base] ^ skip // a one is what is looked for
			if v >>= k % 8; v != 0 {
				return min(k+int64(bits.TrailingZeros8(v)), end), nil
			}
			k = (k/8 + 1) * 8
		}
	}
	return end, nil
}
