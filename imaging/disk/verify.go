package disk

import (
	"context"

	"golang.org/x/sync/errgroup"

	"ingot/imaging"
	"ingot/imaging/job"
)

// verify reads back what the writers have finished, behind them: it takes every window that is ready, flushes,
// and only then reads those windows from the drive. Windows that become ready meanwhile wait for the next
// flush. When the writers have ended, the last flush covers everything, and flushed is called.
func (r *run) verify(ctx context.Context, ready <-chan *window) error {
	for {
		batch, more, err := gather(ctx, ready)
		if err != nil {
			return err
		}
		if err := r.target.disk.Flush(); err != nil {
			return err
		}
		if !more && r.flushed != nil {
			if err := r.flushed(ctx); err != nil {
				return err
			}
		}
		if err := r.readBack(ctx, batch); err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// gather waits for one window and takes all others that are there.
func gather(ctx context.Context, ready <-chan *window) (batch []*window, more bool, err error) {
	select {
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	case w, ok := <-ready:
		if !ok {
			return nil, false, nil
		}
		batch = append(batch, w)
	}
	for {
		select {
		case w, ok := <-ready:
			if !ok {
				return batch, false, nil
			}
			batch = append(batch, w)
		default:
			return batch, true, nil
		}
	}
}

// readBack proves what was written in these windows, several reads at a time.
func (r *run) readBack(ctx context.Context, batch []*window) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.workers)
	for _, w := range batch {
		for _, p := range w.reads(w.unproven()) {
			g.Go(func() error { return r.readPiece(ctx, w, p) })
		}
	}
	return g.Wait()
}

func (r *run) readPiece(ctx context.Context, w *window, p piece) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	buf, err := r.reads.get(ctx)
	if err != nil {
		return err
	}
	defer r.reads.put(buf)
	if p.n == 0 {
		return r.readLong(ctx, w.extents[p.idx[0]], buf)
	}
	b := buf[:p.n]
	if err := r.target.read(b, p.off); err != nil {
		return err
	}
	for _, i := range p.idx {
		e := w.extents[i]
		if e.Kind == imaging.Data && imaging.Sum(p.at(b, e)) != e.Digest {
			return r.differs(e.Offset)
		}
		if at := firstNonZero(p.at(b, e)); e.Kind == imaging.Zero && at >= 0 {
			return r.differs(e.Offset + uint64(at))
		}
		r.prove(e)
	}
	return nil
}

// readLong reads back a zero extent that is longer than a buffer.
func (r *run) readLong(ctx context.Context, e imaging.Extent, buf []byte) error {
	at, err := r.findNonZero(ctx, e, buf)
	if err != nil {
		return err
	}
	if at >= 0 {
		return r.differs(uint64(at))
	}
	r.prove(e)
	return nil
}

func (r *run) differs(off uint64) error {
	d := r.target.disk.drive
	return job.Faultf(job.CodeReadBack, "At byte %d of %s (serial %s).", off, d.Path, d.Serial)
}
