package disk

import (
	"context"
	"slices"

	"ingot/imaging"
)

// How a window is sampled before it is read whole.
const (
	sampleFrom = 256 // windows with fewer data extents are compared at once
	samples    = 48
)

// compare fills w.write and w.zero: what the disk does not hold. An extent is left out of them only after its
// bytes were read from the drive and had the manifest's digest, or were all zero. When no sample of a large
// window is on the disk, the whole window is taken as missing: a fresh disk is not read first, and the few
// extents that chance hid are fetched once more, which costs bytes and never truth.
func (r *run) compare(ctx context.Context, w *window, buf []byte) error {
	data, zero := w.all(imaging.Data), w.all(imaging.Zero)
	if len(data) >= sampleFrom {
		some, err := r.sampled(w, data, buf)
		if err != nil {
			return err
		}
		if !some {
			w.write, w.zero = data, zero
			return nil
		}
	}
	both := slices.Concat(data, zero)
	slices.Sort(both)
	for _, p := range w.reads(both) {
		if err := r.comparePiece(ctx, w, p, buf); err != nil {
			return err
		}
	}
	return nil
}

// sampled reports whether any of some evenly spread data extents is on the disk.
func (r *run) sampled(w *window, data []int, buf []byte) (bool, error) {
	for s := range samples {
		e := w.extents[data[s*(len(data)-1)/(samples-1)]]
		b := buf[:e.Length]
		if err := r.target.read(b, e.Offset); err != nil {
			return false, err
		}
		if imaging.Sum(b) == e.Digest {
			return true, nil
		}
	}
	return false, nil
}

func (r *run) comparePiece(ctx context.Context, w *window, p piece, buf []byte) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if p.n == 0 {
		return r.compareLong(ctx, w, p.idx[0], buf)
	}
	b := buf[:p.n]
	if err := r.target.read(b, p.off); err != nil {
		return err
	}
	for _, i := range p.idx {
		e := w.extents[i]
		empty := firstNonZero(p.at(b, e)) < 0
		switch {
		case e.Kind == imaging.Zero && empty:
			r.keep(e)
		case e.Kind == imaging.Zero:
			w.zero = append(w.zero, i)
		case !empty && imaging.Sum(p.at(b, e)) == e.Digest: // a fresh or discarded disk has nothing to digest
			r.keep(e)
		default:
			w.write = append(w.write, i)
		}
	}
	return nil
}

// compareLong looks at a zero extent that is longer than a buffer; data extents never are.
func (r *run) compareLong(ctx context.Context, w *window, i int, buf []byte) error {
	at, err := r.findNonZero(ctx, w.extents[i], buf)
	if err != nil {
		return err
	}
	if at < 0 {
		r.keep(w.extents[i])
	} else {
		w.zero = append(w.zero, i)
	}
	return nil
}

// findNonZero reads an extent of any length and gives the disk offset of its first byte that is not zero,
// or -1.
func (r *run) findNonZero(ctx context.Context, e imaging.Extent, buf []byte) (int64, error) {
	for off := e.Offset; off < e.End(); {
		if err := ctx.Err(); err != nil {
			return 0, context.Cause(ctx)
		}
		b := buf[:min(uint64(len(buf)), e.End()-off)]
		if err := r.target.read(b, off); err != nil {
			return 0, err
		}
		if i := firstNonZero(b); i >= 0 {
			return int64(off) + int64(i), nil
		}
		off += uint64(len(b))
	}
	return -1, nil
}

// keep counts an extent that the disk held already: read and proven in this boot.
func (r *run) keep(e imaging.Extent) {
	r.prove(e)
	r.progress.Kept.Add(e.Length)
	r.progress.Done.Add(e.Length)
}
