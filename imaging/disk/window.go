package disk

import (
	"ingot/imaging"
)

// The bounds of one window, the unit of comparing, fetching and reading back. A window of nothing but zero or
// free extents may span any length: those cost no memory.
const (
	windowExtents = 2048
	windowData    = 64 << 20 // bytes of data
	pieceSize     = 2 << 20  // bytes of one write, and at least of one read
)

// window is a run of extents on its way through Restore.
type window struct {
	first   uint64 // number of extents[0]
	extents []imaging.Extent
	write   []int // indices of data extents that the disk does not hold
	zero    []int // indices of zero extents that do not read as zeros, or were not looked at
}

// number gives the extent's number in the manifest.
func (w *window) number(i int) uint64 { return w.first + uint64(i) }

// all lists the indices of one kind.
func (w *window) all(k imaging.Kind) []int {
	var out []int
	for i, e := range w.extents {
		if e.Kind == k {
			out = append(out, i)
		}
	}
	return out
}

// spans turns ascending indices into runs of extent numbers. Only data extents are counted by a chunk stream,
// but a run must not cover data that is not wanted, so indices that do not follow each other end it.
func (w *window) spans(idx []int) []Span {
	var out []Span
	for _, i := range idx {
		n := w.number(i)
		if k := len(out); k > 0 && out[k-1].Last+1 == n {
			out[k-1].Last = n
			continue
		}
		out = append(out, Span{n, n})
	}
	return out
}

// piece is a run of extents that touch on the disk and travel together, in one write or one read.
type piece struct {
	off uint64
	n   int // bytes
	idx []int
}

// pieces groups ascending indices into runs of at most max bytes; an extent longer than max is a piece alone.
func (w *window) pieces(idx []int, max int) []piece {
	var out []piece
	for _, i := range idx {
		e := w.extents[i]
		if k := len(out) - 1; k >= 0 && out[k].off+uint64(out[k].n) == e.Offset && out[k].n+int(e.Length) <= max {
			out[k].n += int(e.Length)
			out[k].idx = append(out[k].idx, i)
			continue
		}
		out = append(out, piece{off: e.Offset, n: int(e.Length), idx: []int{i}})
	}
	return out
}

// builder cuts the manifest's extents into windows.
type builder struct {
	w    *window
	data uint64
}

// add takes the next extent and returns a window when one is full.
func (b *builder) add(n uint64, e imaging.Extent) *window {
	var full *window
	if b.w != nil && (len(b.w.extents) == windowExtents || (e.Kind == imaging.Data && b.data+e.Length > windowData)) {
		full = b.take()
	}
	if b.w == nil {
		b.w = &window{first: n}
	}
	b.w.extents = append(b.w.extents, e)
	if e.Kind == imaging.Data {
		b.data += e.Length
	}
	return full
}

// take returns what has been gathered, nil when there is nothing.
func (b *builder) take() *window {
	w := b.w
	b.w, b.data = nil, 0
	return w
}
