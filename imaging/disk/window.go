package disk

import (
	"slices"

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

// unproven lists the indices, ascending, of the data extents in write and the zero extents in zero: what must be
// read back.
func (w *window) unproven() []int {
	out := slices.Concat(w.write, w.zero)
	slices.Sort(out)
	return out
}

// piece is a part of the disk that is read or written at once.
type piece struct {
	off   uint64
	n     int    // bytes
	idx   []int  // the extents in it that count, ascending
	image uint64 // of a write: bytes of its data and zero extents
}

func (p piece) end() uint64 { return p.off + uint64(p.n) }

// at gives an extent's place in the bytes of the piece.
func (p piece) at(b []byte, e imaging.Extent) []byte {
	return b[e.Offset-p.off:][:e.Length:e.Length]
}

// readGap is how many bytes that nobody asked for are read rather than two reads made.
const readGap = 64 << 10

// reads groups ascending indices into pieces of at most pieceSize bytes. An extent that is longer is a piece
// alone, with n 0.
func (w *window) reads(idx []int) []piece {
	var out []piece
	for _, i := range idx {
		e := w.extents[i]
		if e.Length > pieceSize {
			out = append(out, piece{off: e.Offset, idx: []int{i}})
			continue
		}
		if k := len(out) - 1; k >= 0 && out[k].n > 0 && e.Offset-out[k].end() <= readGap && e.End()-out[k].off <= pieceSize {
			out[k].n = int(e.End() - out[k].off)
			out[k].idx = append(out[k].idx, i)
			continue
		}
		out = append(out, piece{off: e.Offset, n: int(e.Length), idx: []int{i}})
	}
	return out
}

// writeGap is how many bytes of zero and free extents are written as zeros between two data extents
// rather than two writes and a command made.
const writeGap = 32 << 10

// writePlan is how a window's missing extents go down.
type writePlan struct {
	pieces  []piece // their idx are the data extents; what lies between is written as zeros
	command []int   // zero extents that no piece covers
}

// writes groups data extents that will arrive, and zero extents, into pieces of at most pieceSize bytes. Extents
// touch, so what lies between two of them is known.
func (w *window) writes(data, zeros []int) writePlan {
	var out writePlan
	var open piece    // being built; it ends with its last data extent
	var between []int // zero extents behind its end, which it takes in when more data follows
	closePiece := func() {
		if len(open.idx) > 0 {
			out.pieces = append(out.pieces, open)
		}
		out.command = append(out.command, between...)
		open, between = piece{}, nil
	}
	missing, zero := 0, 0
	for i, e := range w.extents {
		isMissing := missing < len(data) && data[missing] == i
		isZero := zero < len(zeros) && zeros[zero] == i
		if isMissing {
			missing++
		}
		if isZero {
			zero++
		}
		small := (isZero || e.Kind == imaging.Free) && e.End()-open.end() <= writeGap
		if len(open.idx) > 0 && (!isMissing && !small || e.End()-open.off > pieceSize) {
			closePiece()
		}
		switch {
		case isMissing && len(open.idx) == 0:
			open = piece{off: e.Offset, n: int(e.Length), idx: []int{i}, image: e.Length}
		case isMissing:
			for _, z := range between {
				open.image += w.extents[z].Length
			}
			open.n, open.idx, open.image, between = int(e.End()-open.off), append(open.idx, i), open.image+e.Length, nil
		case isZero && len(open.idx) > 0 && small:
			between = append(between, i)
		case isZero:
			out.command = append(out.command, i)
		}
	}
	closePiece()
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
