package fs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// What reading files needs beside what maps need.
const (
	ntfsStandardInfo = 0x10
	ntfsReparse      = 0xC0
	firstUserRecord  = 24 // the files of NTFS itself have smaller numbers
	dosNames         = 2  // the namespace of names such as PROGRA~1, each beside a long one
	recordDir        = 0x2
	tagWOF           = 0x80000017 // compressed by Windows ("compact /exe"): the content is in a stream of its own
	wofStream        = "WofCompressedData"
	ntfsEpoch        = 11644473600 // seconds from 1601 to 1970
)

// errPacked says that a file's content is there and is not what programs see.
var errPacked = errors.New("the file is kept compressed or encrypted by Windows, which is not read")

// ntfsVolume reads files of NTFS.
type ntfsVolume struct{ n *ntfs }

// ntfsNode is one file.
type ntfsNode struct {
	Stat
	num    int64
	packed bool
	s      *ntfsStream // its content, opened at first use
}

func (n *ntfsNode) stat() Stat { return n.Stat }

func (v ntfsVolume) root() (node, error) { return v.node(rootRecord, "/") }

// node reads a record. A reparse point is Other: junctions and links of Windows are not followed. One exception is
// a file that Windows keeps compressed in another stream.
func (v ntfsVolume) node(num int64, name string) (*ntfsNode, error) {
	rec, err := v.n.record(num)
	if err != nil {
		return nil, err
	}
	base, ok := attrs(rec)
	if !ok {
		return nil, damagedf("NTFS is damaged: record %d of its $MFT is malformed", num)
	}
	n := &ntfsNode{Stat: Stat{Name: name, Mode: Regular}, num: num}
	if info := find(base, ntfsStandardInfo, ""); len(info) > 0 && len(info[0].value) >= 16 {
		n.Changed = int64(binary.LittleEndian.Uint64(info[0].value[8:])/10_000_000) - ntfsEpoch
	}
	if binary.LittleEndian.Uint16(rec[0x16:])&recordDir != 0 {
		n.Mode = Dir
	}
	if err := v.reparse(n, base); err != nil || n.Mode != Regular {
		return n, err
	}
	return n, v.measure(n)
}

func (v ntfsVolume) reparse(n *ntfsNode, base []ntfsAttr) error {
	all := find(base, ntfsReparse, "")
	if len(all) == 0 && len(find(base, ntfsAttrList, "")) > 0 {
		var err error
		if all, err = v.n.pieces(n.num, ntfsReparse, ""); err != nil {
			return err
		}
	}
	switch {
	case len(all) == 0:
	case n.Mode == Regular && len(all[0].value) >= 4 && binary.LittleEndian.Uint32(all[0].value) == tagWOF:
		n.packed = true
	default:
		n.Mode = Other
	}
	return nil
}

// measure finds the size of a file. One without unnamed content is empty.
func (v ntfsVolume) measure(n *ntfsNode) error {
	all, err := v.n.pieces(n.num, ntfsData, "")
	if err != nil || len(all) == 0 {
		return err
	}
	n.Size = all[0].size
	if all[0].resident {
		n.Size = int64(len(all[0].value))
	}
	n.packed = n.packed || all[0].flags&(ntfsCompressed|ntfsEncrypted) != 0
	if n.Size < 0 {
		return damagedf("NTFS is damaged: record %d has a size of %d", n.num, n.Size)
	}
	return nil
}

// lookup finds a name whatever its case. Names such as PROGRA~1 are found too.
func (v ntfsVolume) lookup(dir node, name string) (node, error) {
	found, at := int64(-1), name
	err := v.n.eachName(dir.(*ntfsNode).num, func(e ntfsName) bool {
		if strings.EqualFold(e.name, name) {
			found, at = e.num, e.name
		}
		return found < 0
	})
	if err != nil {
		return nil, err
	}
	if found < 0 {
		return nil, ErrNotExist
	}
	return v.node(found, at)
}

// list leaves out the files of NTFS itself and the second names.
func (v ntfsVolume) list(dir node) ([]node, error) {
	var out []node
	var failed error
	root := dir.(*ntfsNode).num == rootRecord
	err := v.n.eachName(dir.(*ntfsNode).num, func(e ntfsName) bool {
		if e.space == dosNames || root && e.num < firstUserRecord {
			return true
		}
		n, err := v.node(e.num, e.name)
		if err == nil && len(out) == maxEntries {
			err = errEntries
		}
		if err != nil {
			failed = err
			return false
		}
		out = append(out, n)
		return true
	})
	return out, errors.Join(err, failed)
}

func (v ntfsVolume) readlink(node) (string, error) {
	return "", fmt.Errorf("links of Windows are not followed")
}

func (v ntfsVolume) content(n *ntfsNode) (s *ntfsStream, err error) {
	if n.s == nil {
		n.s, err = v.n.stream(n.num, ntfsData, "")
	}
	return n.s, err
}

func (v ntfsVolume) read(n node, b []byte, off int64) error {
	f := n.(*ntfsNode)
	if f.packed {
		return errPacked
	}
	s, err := v.content(f)
	if err != nil {
		return err
	}
	return s.readAt(b, off)
}

func (v ntfsVolume) place(n node, off int64) (at, run int64, err error) {
	f := n.(*ntfsNode)
	if f.packed {
		return 0, 0, errPacked
	}
	s, err := v.content(f)
	if err != nil {
		return 0, 0, err
	}
	return s.place(off)
}

// place tells where the content at off lies; behind what was written it is a hole.
func (s *ntfsStream) place(off int64) (at, run int64, err error) {
	switch {
	case s.value != nil:
		return NotPlaced, s.size - off, nil
	case off >= s.initialized:
		return Hole, s.size - off, nil
	}
	c := s.n.g.cluster
	r, ok := s.runAt(off / c)
	if !ok {
		return 0, 0, damagedf("NTFS is damaged: content ends at %d", off)
	}
	run = min((r.vcn+r.count)*c, s.initialized) - off
	if r.lcn < 0 {
		return Hole, run, nil
	}
	return (r.lcn-r.vcn)*c + off, run, nil
}
