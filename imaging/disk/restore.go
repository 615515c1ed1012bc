package disk

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/imaging"
	"ingot/imaging/job"
)

// Restore puts a manifest's extents on a disk that was invalidated, and proves each.
type Restore struct {
	Disk     *Disk
	Source   Source
	Manifest *imaging.Manifest
	Head     []byte // the image's own first bytes, from FetchHead
	Progress *Progress
	Workers  int           // decoders, and readers of the read-back; 0: as many as there are processors
	Patience time.Duration // without anything arriving; 0: 10 minutes

	// Flushed is called once everything is written and flushed, before the last read-back; nil for no call.
	Flushed func(context.Context) error
}

// connections is how many windows are compared and fetched at once: while one is compared, the others keep the
// link full.
const connections = 3

// run is one Restore at work.
type run struct {
	target  *target
	fetcher *fetcher
	workers int
	tasks   chan decodeTask
	writes  *pool // of segments
	reads   *pool // of compare and read-back
	frames  sync.Pool
	known   *known // nil: nothing is copied from one place of the disk to another

	progress *Progress
	tally    tally
	flushed  func(context.Context) error
}

// Run returns the proof that every data and zero extent is on the disk: compared or read back from the drive
// in this run. Errors carry a *job.Fault; when ctx ends, its cause is returned. Nothing of it outlives the
// call. Its memory is bounded: about 100 MiB with 8 processors, whatever the image.
func (o Restore) Run(ctx context.Context) (job.ContentProof, error) {
	h := o.Manifest.Header()
	if uint64(len(o.Head)) != HeadSize(h) || o.Disk.Size() < h.DiskSize {
		return job.ContentProof{}, job.Faultf(job.CodeInternal, "The head or the drive does not fit the image.")
	}
	r := o.start(h)
	g, gctx := errgroup.WithContext(ctx)
	var writers, decoders sync.WaitGroup
	todo, ready := make(chan *window), make(chan *window, 64)
	g.Go(func() error { defer close(todo); return r.plan(gctx, o.Manifest, todo) })
	for range connections {
		writers.Add(1)
		g.Go(func() error { defer writers.Done(); return r.bring(gctx, todo, ready) })
	}
	for range r.workers + 1 {
		decoders.Add(1)
		g.Go(func() error { defer decoders.Done(); return r.decode(gctx) })
	}
	g.Go(func() error { writers.Wait(); close(r.tasks); close(ready); return nil })
	g.Go(func() error { return r.verify(gctx, ready) })
	g.Go(func() error { return r.discardRest(gctx, h.DiskSize) })
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			return job.ContentProof{}, context.Cause(ctx)
		}
		return job.ContentProof{}, err
	}
	return r.proof(o, h)
}

func (o Restore) start(h imaging.Header) *run {
	workers := o.Workers
	if workers <= 0 {
		workers = min(runtime.GOMAXPROCS(0), 8)
	}
	limit := o.Patience
	if limit <= 0 {
		limit = patience
	}
	progress := o.Progress
	if progress == nil {
		progress = &Progress{}
	}
	size := max(pieceSize, int(h.Params.Max))
	r := &run{
		target:   &target{disk: o.Disk, head: o.Head},
		fetcher:  &fetcher{source: o.Source, manifest: o.Manifest.Digest(), count: func(n uint64) { progress.Fetched.Add(n) }, quiet: newQuiet(limit)},
		workers:  workers,
		tasks:    make(chan decodeTask, 2*workers),
		writes:   newPool(workers+2*connections+2, size),
		reads:    newPool(workers+connections, size),
		frames:   sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }},
		progress: progress,
		flushed:  o.Flushed,
	}
	if !o.Disk.Drive().Rotational {
		r.known = newKnown(h.DataExtents)
	}
	return r
}

// plan cuts the manifest into windows. Reading it goes over the network too, and is as patient as fetching.
func (r *run) plan(ctx context.Context, m *imaging.Manifest, todo chan<- *window) error {
	var b builder
	send := func(w *window) error {
		select {
		case todo <- w:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	backoff := firstBackoff
	for next := uint64(0); next < m.Count(); {
		for e, err := range m.From(next) {
			if err != nil {
				if err := r.bearManifest(ctx, err, backoff); err != nil {
					return err
				}
				backoff = min(2*backoff, maxBackoff)
				break
			}
			next, backoff = e.N+1, firstBackoff
			if w := b.add(e.N, e.Extent); w != nil {
				if err := send(w); err != nil {
					return err
				}
			}
		}
	}
	if w := b.take(); w != nil {
		return send(w)
	}
	return nil
}

// bearManifest waits after an error that a network can have, and returns every other one.
func (r *run) bearManifest(ctx context.Context, err error, backoff time.Duration) error {
	if errors.Is(err, imaging.ErrManifest) || !mayRetry(err) {
		return manifestFault(err)
	}
	if r.fetcher.quiet.failed() {
		return fmt.Errorf("read manifest: %w: %w", err, job.Faultf(job.CodeStream, "Nothing arrived for %s.", r.fetcher.quiet.limit))
	}
	return pause(ctx, backoff)
}

// bring is one worker: each window is compared, freed, zeroed, fetched and written, and then handed to verify.
func (r *run) bring(ctx context.Context, todo <-chan *window, ready chan<- *window) error {
	for w := range todo {
		if err := r.bringOne(ctx, w); err != nil {
			return err
		}
		select {
		case ready <- w:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (r *run) bringOne(ctx context.Context, w *window) error {
	buf, err := r.reads.get(ctx)
	if err != nil {
		return err
	}
	err = r.compare(ctx, w, buf)
	r.reads.put(buf)
	if err != nil {
		return err
	}
	filled := make(chan struct{})
	fetch, repeats := r.divide(w, filled)
	plan := w.writes(fetch, w.zero)
	if err := r.clear(ctx, w, plan.command); err != nil {
		return err
	}
	if err := r.bringExtents(ctx, w, fetch, plan.pieces); err != nil {
		return err
	}
	close(filled)
	left, err := r.copyRepeats(ctx, w, repeats)
	if err != nil || len(left) == 0 {
		return err
	}
	return r.bringExtents(ctx, w, left, w.writes(left, nil).pieces)
}

// bringExtents fetches and writes data extents, which the pieces hold.
func (r *run) bringExtents(ctx context.Context, w *window, idx []int, pieces []piece) error {
	fill := r.newFiller(w, pieces)
	if err := r.fetcher.fetch(ctx, wishes(w.first, w.extents, idx), fill.add); err != nil {
		return err
	}
	return fill.wait(ctx)
}

// discardFrom is the smallest free extent, in bytes, that is worth a command of its own.
const discardFrom = 64 << 10

// clear discards a window's free extents and makes these of its zero extents read as zeros.
func (r *run) clear(ctx context.Context, w *window, zero []int) error {
	for _, e := range w.extents {
		if e.Kind != imaging.Free {
			continue
		}
		r.tally.free.Add(1)
		if e.Length < discardFrom {
			continue
		}
		if err := r.target.discard(ctx, e.Offset, e.Length); err != nil {
			return err
		}
	}
	for _, i := range zero {
		e := w.extents[i]
		if err := r.target.zero(ctx, e.Offset, e.Length); err != nil {
			return err
		}
		r.progress.Done.Add(e.Length)
		r.progress.Written.Add(e.Length)
	}
	return nil
}

// discardRest frees what lies behind the image on a larger drive, up to the last MiB: Invalidate wrote zeros
// there, and what a drive gives back for a discarded sector is its own choice.
func (r *run) discardRest(ctx context.Context, from uint64) error {
	end := r.target.disk.Size() - min(maxHead, r.target.disk.Size())
	if from >= end {
		return nil
	}
	return r.target.discard(ctx, from, end-from)
}

// proof is given only when the evidence adds up to the manifest's own sums.
func (r *run) proof(o Restore, h imaging.Header) (job.ContentProof, error) {
	p := job.ContentProof{Manifest: o.Manifest.Digest(), DataExtents: r.tally.data.Load(), ZeroExtents: r.tally.zero.Load(),
		FreeExtents: r.tally.free.Load(), ReadBytes: r.tally.bytes.Load(), Direct: o.Disk.Direct()}
	if p.DataExtents+p.ZeroExtents+p.FreeExtents != o.Manifest.Count() || p.DataExtents != h.DataExtents ||
		r.progress.Proven.Load() != h.DataBytes+h.ZeroBytes {
		return job.ContentProof{}, job.Faultf(job.CodeManifest, "Proven: %d data, %d zero, %d free of %d extents.", p.DataExtents, p.ZeroExtents, p.FreeExtents, o.Manifest.Count())
	}
	return p, nil
}
