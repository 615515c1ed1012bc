package disk

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"ingot/imaging"
	"ingot/imaging/job"
)

// segment is one piece being filled: its extents are decoded straight into their places in buf, by several
// workers, and the last of them writes it.
type segment struct {
	piece
	buf  []byte
	left atomic.Int32
	done chan<- struct{} // has room for one word of every segment
}

// decodeTask is one frame on its way into a segment. frame belongs to the task.
type decodeTask struct {
	n     uint64
	e     imaging.Extent
	frame []byte
	seg   *segment
}

// filler takes a window's frames in the order of the extents and hands them to the decoders.
type filler struct {
	r     *run
	w     *window
	todo  []piece
	seg   *segment
	at    int // of seg.idx
	total int
	done  chan struct{}
}

func (r *run) newFiller(w *window, todo []piece) *filler {
	return &filler{r: r, w: w, todo: todo, total: len(todo), done: make(chan struct{}, len(todo))}
}

// add takes the frame of the next missing extent; it waits while all buffers are in use.
func (f *filler) add(ctx context.Context, frame []byte) error {
	if f.seg == nil {
		if err := f.open(ctx); err != nil {
			return err
		}
	}
	i := f.seg.idx[f.at]
	own := append((*f.r.frames.Get().(*[]byte))[:0], frame...)
	task := decodeTask{n: f.w.number(i), e: f.w.extents[i], frame: own, seg: f.seg}
	if f.at++; f.at == len(f.seg.idx) {
		f.seg = nil
	}
	select {
	case f.r.tasks <- task:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (f *filler) open(ctx context.Context) error {
	buf, err := f.r.writes.get(ctx)
	if err != nil {
		return err
	}
	f.seg = &segment{piece: f.todo[0], buf: buf, done: f.done}
	f.clearGaps()
	f.seg.left.Store(int32(len(f.seg.idx)))
	f.todo, f.at = f.todo[1:], 0
	return nil
}

// clearGaps makes the bytes between the data extents zeros: the buffer has served before.
func (f *filler) clearGaps() {
	at := f.seg.off
	for _, i := range f.seg.idx {
		e := f.w.extents[i]
		clear(f.seg.buf[at-f.seg.off : e.Offset-f.seg.off])
		at = e.End()
	}
}

// wait returns when every segment is written, or ctx ends.
func (f *filler) wait(ctx context.Context) error {
	for range f.total {
		select {
		case <-f.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// decode is one worker: frame to plain bytes, digest, place; the last extent of a segment writes it.
func (r *run) decode(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case t, ok := <-r.tasks:
			if !ok {
				return nil
			}
			if err := r.place(t); err != nil {
				return err
			}
		}
	}
}

func (r *run) place(t decodeTask) error {
	dst := t.seg.at(t.seg.buf, t.e)
	plain, err := imaging.DecodeChunk(t.frame, dst, t.e.Digest, int(t.e.Length))
	r.frames.Put(&t.frame)
	if err != nil {
		f := job.Faultf(job.CodeChunk, "Chunk %s, extent %d, at byte %d.", t.e.Digest.Short(), t.n, t.e.Offset)
		if !errors.Is(err, imaging.ErrChunk) {
			f = job.Faultf(job.CodeInternal, "Chunk %s cannot be decoded.", t.e.Digest.Short())
		}
		return fmt.Errorf("decode extent %d: %w: %w", t.n, err, f)
	}
	if &plain[0] != &dst[0] {
		copy(dst, plain)
	}
	if t.seg.left.Add(-1) > 0 {
		return nil
	}
	if err := r.target.write(t.seg.buf[:t.seg.n], t.seg.off); err != nil {
		return err
	}
	r.progress.Done.Add(t.seg.image)
	r.progress.Written.Add(uint64(t.seg.n))
	r.writes.put(t.seg.buf)
	t.seg.done <- struct{}{}
	return nil
}
