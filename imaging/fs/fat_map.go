package fs

import (
	"bytes"
	"io"
)

// fatMap walks the allocation table: an entry of zero is a free cluster. Everything before the first cluster
// and behind the last is used.
type fatMap struct {
	t    *fatTable
	size int64
}

// usedFAT gives the map of a FAT volume that was closed cleanly and whose tables agree.
func usedFAT(r io.ReaderAt, size int64) (*Map, error) {
	boot := make([]byte, 512)
	if err := readFull(r, boot, 0); err != nil {
		return nil, err
	}
	g, err := parseFAT(boot, size)
	if err != nil {
		return nil, err
	}
	t := newFATTable(r, g)
	if err := checkFAT(t, g); err != nil {
		return nil, err
	}
	if err := equalFATs(r, g); err != nil {
		return nil, err
	}
	return &Map{size: size, runs: &fatMap{t: t, size: size}}, nil
}

// checkFAT looks at the two entries before the first cluster: the media byte again, and the marks of a clean
// volume.
func checkFAT(t *fatTable, g *fatGeometry) error {
	first, err := t.entry(0)
	if err != nil {
		return err
	}
	second, err := t.entry(1)
	if err != nil {
		return err
	}
	clean := map[int]uint32{12: 0, 16: 0xC000, 32: 0x0C000000}[g.bits]
	switch {
	case byte(first) != g.media:
		return unmappedf("FAT is damaged: its table begins with %#x", first)
	case second&clean != clean || g.dirtyBPB:
		return unmappedf("FAT was not closed cleanly")
	case !g.mirrored:
		return unmappedf("FAT32 does not mirror its tables")
	}
	return nil
}

// equalFATs compares both copies of the table: a difference means that one is stale.
func equalFATs(r io.ReaderAt, g *fatGeometry) error {
	if g.fats < 2 {
		return nil
	}
	a, b := make([]byte, fatWindow), make([]byte, fatWindow)
	for at := int64(0); at < g.fatBytes; at += fatWindow {
		n := min(fatWindow, g.fatBytes-at)
		if err := readFull(r, a[:n], g.fatAt+at); err != nil {
			return err
		}
		if err := readFull(r, b[:n], g.fatAt+g.fatBytes+at); err != nil {
			return err
		}
		if !bytes.Equal(a[:n], b[:n]) {
			return unmappedf("the two tables of FAT differ")
		}
	}
	return nil
}

// next implements runs.
func (m *fatMap) next(off int64) (start, end int64, err error) {
	g := m.t.g
	if off < g.dataAt {
		return off, g.dataAt, nil
	}
	n, err := m.find(g.clusterOf(off), true)
	if err != nil {
		return 0, 0, err
	}
	if !g.valid(n) {
		return max(off, g.clusterAt(n)), m.size, nil
	}
	last, err := m.find(n, false)
	if err != nil {
		return 0, 0, err
	}
	return max(off, g.clusterAt(n)), g.clusterAt(last), nil
}

// clusterOf is the cluster in which the byte off lies, at most one behind the last.
func (g *fatGeometry) clusterOf(off int64) uint32 {
	return uint32(min((off-g.dataAt)/g.cluster, int64(g.clusters))) + 2
}

// find gives the first cluster at or behind n that is used, or free, or one behind the last.
func (m *fatMap) find(n uint32, used bool) (uint32, error) {
	for m.t.g.valid(n) {
		e, err := m.t.entry(n)
		if err != nil {
			return 0, err
		}
		if (e != 0) == used {
			return n, nil
		}
		n++
	}
	return n, nil
}
