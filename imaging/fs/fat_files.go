package fs

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"
)

// The attributes of a FAT folder entry.
const (
	attrVolume = 0x08
	attrDir    = 0x10
	attrLong   = 0x0F
)

// fatVolume reads files of FAT.
type fatVolume struct {
	r io.ReaderAt
	g *fatGeometry
	t *fatTable
}

// fatNode is a folder entry. The root of FAT12/16 has no cluster.
type fatNode struct {
	Stat
	short string
	first uint32
	attr  byte
	fixed bool // the root folder of FAT12/16
}

func (n *fatNode) stat() Stat { return n.Stat }

func openFAT(r io.ReaderAt, g *fatGeometry) (*fatVolume, error) {
	return &fatVolume{r: r, g: g, t: newFATTable(r, g)}, nil
}

func (v *fatVolume) root() (node, error) {
	return &fatNode{Stat: Stat{Name: "/", Mode: Dir}, first: v.g.rootFirst, fixed: v.g.bits != 32}, nil
}

func (v *fatVolume) lookup(dir node, name string) (node, error) {
	all, err := v.entries(dir.(*fatNode))
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		if n.attr&attrVolume == 0 && (strings.EqualFold(n.Name, name) || strings.EqualFold(n.short, name)) {
			return n, nil
		}
	}
	return nil, ErrNotExist
}

func (v *fatVolume) list(dir node) ([]node, error) {
	all, err := v.entries(dir.(*fatNode))
	if err != nil {
		return nil, err
	}
	var out []node
	for _, n := range all {
		if n.attr&attrVolume == 0 {
			out = append(out, n)
		}
	}
	return out, nil
}

// place implements volume. Finding a place in a chain costs as much as reading up to it, so that none is told.
func (v *fatVolume) place(n node, off int64) (at, run int64, err error) {
	return NotPlaced, n.stat().Size - off, nil
}

func (v *fatVolume) readlink(node) (string, error) {
	return "", fmt.Errorf("FAT has no symbolic links")
}

// volumeLabel is the entry of the root folder that names the volume.
func (v *fatVolume) volumeLabel() (string, bool) {
	root, err := v.root()
	if err != nil {
		return "", false
	}
	all, err := v.entries(root.(*fatNode))
	if err != nil {
		return "", false
	}
	for _, n := range all {
		if n.attr&(attrVolume|attrDir) == attrVolume {
			return text([]byte(n.label())), true
		}
	}
	return "", false
}

// label undoes the dot that shortName put into a volume's name.
func (n *fatNode) label() string { return strings.Replace(n.short, ".", "", 1) }

// read implements volume by following the chain of clusters.
func (v *fatVolume) read(n node, b []byte, off int64) error {
	cluster, at := n.(*fatNode).first, int64(0)
	for len(b) > 0 {
		if !v.g.valid(cluster) {
			return fmt.Errorf("FAT is damaged: the file's chain ends at %d", at)
		}
		if off < at+v.g.cluster {
			in := off - at
			k := min(int64(len(b)), v.g.cluster-in)
			if err := readFull(v.r, b[:k], v.g.clusterAt(cluster)+in); err != nil {
				return err
			}
			b, off = b[k:], off+k
		}
		next, err := v.t.entry(cluster)
		if err != nil {
			return err
		}
		cluster, at = next, at+v.g.cluster
	}
	return nil
}

// dirBytes reads a whole folder, bounded: a folder of FAT has at most 65536 entries.
func (v *fatVolume) dirBytes(n *fatNode) ([]byte, error) {
	if n.fixed {
		b := make([]byte, v.g.rootBytes)
		return b, readFull(v.r, b, v.g.rootAt)
	}
	const most = 65536 * 32
	var out []byte
	for c := n.first; v.g.valid(c); {
		if int64(len(out))+v.g.cluster > most+v.g.cluster {
			return nil, fmt.Errorf("FAT is damaged: a folder of more than %d bytes", most)
		}
		b := make([]byte, v.g.cluster)
		if err := readFull(v.r, b, v.g.clusterAt(c)); err != nil {
			return nil, err
		}
		out = append(out, b...)
		next, err := v.t.entry(c)
		if err != nil {
			return nil, err
		}
		c = next
	}
	return out, nil
}

// entries decodes a folder: entries of long names come before the short one that they belong to, last part
// first, tied to it by a checksum.
func (v *fatVolume) entries(dir *fatNode) ([]*fatNode, error) {
	raw, err := v.dirBytes(dir)
	if err != nil {
		return nil, err
	}
	var out []*fatNode
	var long longName
	for ; len(raw) >= 32 && raw[0] != 0; raw = raw[32:] {
		e := raw[:32]
		switch {
		case e[0] == 0xE5:
			long = longName{}
		case e[11]&0x3F == attrLong:
			long.add(e)
		default:
			n := decodeFATEntry(e)
			if s, ok := long.take(e); ok {
				n.Name = s
			}
			long = longName{}
			if n.short != "." && n.short != ".." {
				out = append(out, n)
			}
		}
	}
	return out, nil
}

func decodeFATEntry(e []byte) *fatNode {
	le := binary.LittleEndian
	n := &fatNode{short: shortName(e), attr: e[11], first: uint32(le.Uint16(e[20:]))<<16 | uint32(le.Uint16(e[26:]))}
	n.Stat = Stat{Name: n.short, Mode: Regular, Size: int64(le.Uint32(e[28:])), Changed: fatTime(le.Uint16(e[24:]), le.Uint16(e[22:]))}
	if n.attr&attrDir != 0 {
		n.Mode, n.Size = Dir, 0
	}
	return n
}

// fatTime reads a date and a time of day. FAT keeps no zone; UTC is taken.
func fatTime(date, clock uint16) int64 {
	if date == 0 {
		return 0
	}
	return time.Date(1980+int(date>>9), time.Month(date>>5&0xF), int(date&0x1F), int(clock>>11), int(clock>>5&0x3F), int(clock&0x1F)*2, 0, time.UTC).Unix()
}

// shortName joins the 8 and 3 characters; the first may stand for 0xE5.
func shortName(e []byte) string {
	b := append([]byte(nil), e[:11]...)
	if b[0] == 0x05 {
		b[0] = 0xE5
	}
	base, ext := strings.TrimRight(string(b[:8]), " "), strings.TrimRight(string(b[8:]), " ")
	if ext == "" {
		return base
	}
	return base + "." + ext
}

// longName gathers the parts of one long name.
type longName struct {
	units []uint16
	next  byte // number of the part that must follow, 0 when all are there
	sum   byte
	ok    bool
}

func (l *longName) add(e []byte) {
	number := e[0] & 0x1F
	if e[0]&0x40 != 0 {
		*l = longName{next: number, sum: e[13], ok: number >= 1 && number <= 20}
	}
	if !l.ok || number != l.next || e[13] != l.sum {
		*l = longName{}
		return
	}
	part := make([]uint16, 0, 13)
	for _, at := range []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
		part = append(part, binary.LittleEndian.Uint16(e[at:]))
	}
	l.units = append(part, l.units...)
	l.next--
}

// take gives the name if it is whole and belongs to the short entry e.
func (l *longName) take(e []byte) (string, bool) {
	if !l.ok || l.next != 0 {
		return "", false
	}
	var sum byte
	for _, c := range e[:11] {
		sum = sum>>1 | sum<<7
		sum += c
	}
	if sum != l.sum {
		return "", false
	}
	for i, u := range l.units {
		if u == 0 {
			l.units = l.units[:i]
			break
		}
	}
	return string(utf16.Decode(l.units)), true
}
