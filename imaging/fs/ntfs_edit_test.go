package fs_test

import (
	"encoding/binary"
	"os"
	"testing"
)

// ntfsImage edits an NTFS with clusters of 4096 bytes, records of 1024, and a $MFT in one piece.
type ntfsImage struct {
	t    testing.TB
	path string
	b    []byte
}

const (
	editCluster = 4096
	editRecord  = 1024
)

func editNTFS(t testing.TB, path string) *ntfsImage {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return &ntfsImage{t, path, b}
}

func (n *ntfsImage) save() {
	n.t.Helper()
	if err := os.WriteFile(n.path, n.b, 0o600); err != nil {
		n.t.Fatal(err)
	}
}

func (n *ntfsImage) place(num int) int {
	return int(binary.LittleEndian.Uint64(n.b[0x30:]))*editCluster + num*editRecord
}

// record gives a copy of a record without its update sequence.
func (n *ntfsImage) record(num int) []byte {
	rec := append([]byte(nil), n.b[n.place(num):][:editRecord]...)
	usa := int(binary.LittleEndian.Uint16(rec[4:]))
	copy(rec[510:512], rec[usa+2:])
	copy(rec[1022:1024], rec[usa+4:])
	return rec
}

// put writes a record with an update sequence, the first four also into the mirror.
func (n *ntfsImage) put(num int, rec []byte) {
	rec = append([]byte(nil), rec...)
	usa := int(binary.LittleEndian.Uint16(rec[4:]))
	binary.LittleEndian.PutUint16(rec[usa:], 7)
	copy(rec[usa+2:usa+4], rec[510:512])
	copy(rec[usa+4:usa+6], rec[1022:1024])
	copy(rec[510:512], rec[usa:usa+2])
	copy(rec[1022:1024], rec[usa:usa+2])
	copy(n.b[n.place(num):], rec)
	if num < 4 {
		copy(n.b[int(binary.LittleEndian.Uint64(n.b[0x38:]))*editCluster+num*editRecord:], rec)
	}
}

// attrs splits the attributes of a record.
func (n *ntfsImage) attrs(rec []byte) (out [][]byte) {
	for at := int(binary.LittleEndian.Uint16(rec[0x14:])); binary.LittleEndian.Uint32(rec[at:]) != 0xFFFFFFFF; {
		length := int(binary.LittleEndian.Uint32(rec[at+4:]))
		out = append(out, rec[at:at+length])
		at += length
	}
	return out
}

// attr gives the attribute of a type, as it lies in the record.
func (n *ntfsImage) attr(rec []byte, typ uint32) []byte {
	n.t.Helper()
	for _, a := range n.attrs(rec) {
		if binary.LittleEndian.Uint32(a) == typ {
			return a
		}
	}
	n.t.Fatalf("no attribute %#x", typ)
	return nil
}

// run gives the place and the length of the first run of an attribute, in clusters.
func (n *ntfsImage) run(a []byte) (lcn, count int) {
	p := a[binary.LittleEndian.Uint16(a[32:]):]
	l, o := int(p[0]&15), int(p[0]>>4)
	for i := l; i > 0; i-- {
		count = count<<8 | int(p[i])
	}
	for i := l + o; i > l; i-- {
		lcn = lcn<<8 | int(p[i])
	}
	return lcn, count
}

// data gives the content of the first run of a record's attribute.
func (n *ntfsImage) data(num int, typ uint32) []byte {
	lcn, count := n.run(n.attr(n.record(num), typ))
	return n.b[lcn*editCluster : (lcn+count)*editCluster]
}

// rebuild makes a record of attributes; the head stays.
func rebuild(head []byte, all ...[]byte) []byte {
	rec := make([]byte, editRecord)
	at := int(binary.LittleEndian.Uint16(head[0x14:]))
	copy(rec, head[:at])
	for _, a := range all {
		at += copy(rec[at:], a)
	}
	binary.LittleEndian.PutUint32(rec[at:], 0xFFFFFFFF)
	binary.LittleEndian.PutUint32(rec[0x18:], uint32(at+8))
	return rec
}

// part makes a piece of the attribute whole, from cluster lowest of it, with runs of one cluster each.
func part(whole []byte, lowest int, places []int) []byte {
	le := binary.LittleEndian
	a := append([]byte(nil), whole[:64]...)
	le.PutUint64(a[16:], uint64(lowest))
	le.PutUint64(a[24:], uint64(lowest+len(places)-1))
	le.PutUint16(a[32:], 64)
	if lowest > 0 {
		clear(a[40:64])
	}
	for last, i := 0, 0; i < len(places); i++ {
		d := int32(places[i] - last)
		last = places[i]
		a = append(a, 0x41, 1, byte(d), byte(d>>8), byte(d>>16), byte(d>>24))
	}
	a = append(a, 0)
	for len(a)%8 != 0 {
		a = append(a, 0)
	}
	le.PutUint32(a[4:], uint32(len(a)))
	return a
}

// spread moves the $DATA of a system file to single clusters all over the volume and divides its list of runs
// between the record, which gets an attribute list, and extra records, which must be unused. The first keep
// clusters stay where they are. Where the content was there is rubbish afterwards, and the bitmap calls it free.
func (n *ntfsImage) spread(num, keep int, extra ...int) {
	le := binary.LittleEndian
	rec := n.record(num)
	whole := n.attr(rec, 0x80)
	lcn, count := n.run(whole)
	bitmap := func(c int) (*byte, byte) { return &n.data(6, 0x80)[c/8], 1 << (c % 8) }
	free := func(from int) int {
		for c := from; ; c++ {
			if p, bit := bitmap(c); *p&bit == 0 {
				*p |= bit
				return c
			}
		}
	}
	clusters := len(n.b) / editCluster
	var places []int
	for i := range count {
		if i < keep {
			places = append(places, lcn+i)
			continue
		}
		places = append(places, free((i*7919+clusters/3)%(clusters/2)+clusters/4))
	}
	for _, e := range extra {
		n.data(0, 0xB0)[e/8] |= 1 << (e % 8)
	}
	for i := keep; i < count; i++ {
		p, bit := bitmap(lcn + i)
		*p &^= bit
	}
	head := append([]byte(nil), rec[:le.Uint16(rec[0x14:])]...)
	step := (count + len(extra)) / (len(extra) + 1)
	if keep > 0 {
		step = max(step, keep)
	}
	var entries [][]byte
	entry := func(typ uint32, lowest, holder int, instance uint16) {
		e := make([]byte, 32)
		le.PutUint32(e, typ)
		e[4], e[7] = 32, 26
		le.PutUint64(e[8:], uint64(lowest))
		seq := le.Uint16(n.record(holder)[0x10:])
		if holder != num {
			seq = 1
		}
		le.PutUint64(e[16:], uint64(holder)|uint64(seq)<<48)
		le.PutUint16(e[24:], instance)
		entries = append(entries, e)
	}
	var base, extensions [][]byte
	for _, a := range n.attrs(rec) {
		typ := le.Uint32(a)
		if typ != 0x80 {
			entry(typ, 0, num, le.Uint16(a[14:]))
			base = append(base, a)
			continue
		}
		for i, at := 0, 0; at < count; i, at = i+1, at+step {
			p := part(whole, at, places[at:min(at+step, count)])
			if at == 0 {
				entry(typ, 0, num, le.Uint16(a[14:]))
				base = append(base, p)
				continue
			}
			le.PutUint16(p[14:], 0)
			entry(typ, at, extra[i-1], 0)
			h := make([]byte, 0x38)
			copy(h, "FILE\x30\x00\x03\x00")
			h[0x10], h[0x14], h[0x16], h[0x1D], h[0x28] = 1, 0x38, 1, editRecord>>8, 1
			le.PutUint64(h[0x20:], uint64(num)|uint64(le.Uint16(rec[0x10:]))<<48)
			le.PutUint32(h[0x2C:], uint32(extra[i-1]))
			extensions = append(extensions, rebuild(h, p))
		}
	}
	list := make([]byte, 24)
	list[0], list[14], list[20] = 0x20, byte(le.Uint16(head[0x28:])), 24
	le.PutUint16(head[0x28:], le.Uint16(head[0x28:])+1)
	for _, e := range entries {
		list = append(list, e...)
	}
	le.PutUint32(list[4:], uint32(len(list)))
	le.PutUint32(list[16:], uint32(len(list)-24))
	n.put(num, rebuild(head, append([][]byte{base[0], list}, base[1:]...)...))
	for i, e := range extensions {
		n.put(extra[i], e)
	}
	old := append([]byte(nil), n.b[lcn*editCluster:(lcn+count)*editCluster]...)
	for i := keep; i < count; i++ {
		copy(n.b[places[i]*editCluster:], old[i*editCluster:(i+1)*editCluster])
		for k := range editCluster {
			n.b[(lcn+i)*editCluster+k] = 0xC3
		}
	}
}

// unused finds a record that no file has, among the first n.
func (n *ntfsImage) unused(among, count int) (out []int) {
	n.t.Helper()
	for num := 24; num < among && len(out) < count; num++ {
		if n.data(0, 0xB0)[num/8]>>(num%8)&1 == 0 {
			out = append(out, num)
		}
	}
	if len(out) < count {
		n.t.Fatalf("only %d unused records", len(out))
	}
	return out
}
