package capture

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/imaging"
)

// readSize is how much of the disk is read at once.
const readSize = 1 << 20

// pipeline is one reader that splits, several workers that put chunks, and one writer that puts the manifest in
// order. Memory is bounded by the slots: a chunk holds one from the splitter to the manifest.
type pipeline struct {
	chunks Chunks
	w      *imaging.ManifestWriter
	params imaging.Params
	meter  meter

	slots   chan []byte
	jobs    chan *pending
	ordered chan *pending
	workers int
}

// pending is an extent on its way; done is closed when its digest is known, nil for zero and free.
type pending struct {
	extent imaging.Extent
	plain  []byte
	done   chan struct{}
}

func newPipeline(chunks Chunks, w *imaging.ManifestWriter, o Options) *pipeline {
	n := o.Workers
	if n <= 0 {
		n = min(runtime.GOMAXPROCS(0), 16)
	}
	p := &pipeline{
		chunks: chunks, w: w, params: o.params(), workers: n, meter: meter{report: o.Progress, now: o.Now},
		slots: make(chan []byte, 8*n), jobs: make(chan *pending, 8*n), ordered: make(chan *pending, 1024),
	}
	if p.meter.now == nil {
		p.meter.now = time.Now
	}
	for range cap(p.slots) {
		p.slots <- make([]byte, 0, p.params.Max)
	}
	return p
}

// run takes the disk through the pipeline and returns when everything is in the manifest, or on the first
// error.
func (p *pipeline) run(ctx context.Context, src Source, l *layout) error {
	var c counter
	if err := l.walk(ctx, src, &c); err != nil {
		return err
	}
	p.meter.total = c.bytes
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.read(ctx, src, l) })
	for range p.workers {
		g.Go(func() error { return p.put(ctx) })
	}
	g.Go(func() error { return p.write(ctx) })
	return g.Wait()
}

// read splits the disk and closes both channels at its end.
func (p *pipeline) read(ctx context.Context, src Source, l *layout) error {
	s, err := imaging.NewSplitter(p.params, func(r imaging.Run) error { return p.emit(ctx, r) })
	if err != nil {
		return err
	}
	err = l.walk(ctx, src, &splitSteps{ctx: ctx, l: l, src: src, s: s, meter: &p.meter, buf: make([]byte, readSize)})
	if err != nil {
		return err
	}
	if err := s.Finish(); err != nil {
		return err
	}
	p.meter.add(0)
	close(p.jobs)
	close(p.ordered)
	return nil
}

// splitSteps reads what a walk names and pushes all of it into the splitter.
type splitSteps struct {
	ctx   context.Context
	l     *layout
	src   Source
	s     *imaging.Splitter
	meter *meter
	buf   []byte
}

func (s *splitSteps) free(n int64) error { return s.s.Free(uint64(n)) }
func (s *splitSteps) zero(n int64) error { return s.s.Zero(uint64(n)) }

func (s *splitSteps) data(start, end int64) error {
	for start < end {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		b := s.buf[:min(int64(len(s.buf)), end-start)]
		if err := s.l.read(s.src, b, start); err != nil {
			return err
		}
		if err := s.s.Write(b); err != nil {
			return err
		}
		start += int64(len(b))
		s.meter.add(int64(len(b)))
	}
	return nil
}

// emit hands one run on; a data run is copied, since its bytes are valid only now.
func (p *pipeline) emit(ctx context.Context, r imaging.Run) error {
	e := &pending{extent: imaging.Extent{Offset: r.Offset, Length: r.Length, Kind: r.Kind}}
	if r.Kind == imaging.Data {
		select {
		case b := <-p.slots:
			e.plain, e.done = append(b[:0], r.Plain...), make(chan struct{})
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case p.jobs <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case p.ordered <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// put turns data runs into chunks until there are no more.
func (p *pipeline) put(ctx context.Context) error {
	for {
		select {
		case e, ok := <-p.jobs:
			if !ok {
				return nil
			}
			var err error
			if e.extent.Digest, err = p.chunks.Put(e.plain); err != nil {
				return fmt.Errorf("store chunk at %d of the disk: %w", e.extent.Offset, err)
			}
			close(e.done)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// write appends the extents in the order of the disk.
func (p *pipeline) write(ctx context.Context) error {
	for {
		select {
		case e, ok := <-p.ordered:
			if !ok {
				return nil
			}
			if err := p.settle(ctx, e); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *pipeline) settle(ctx context.Context, e *pending) error {
	if e.done != nil {
		select {
		case <-e.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		p.slots <- e.plain // never blocks: it came from there
	}
	return p.w.Append(e.extent)
}
