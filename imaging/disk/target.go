package disk

import (
	"bytes"
	"context"

	"ingot/imaging/job"
)

// target is the disk as Restore sees it: its first bytes are the image's head, held in memory until commit,
// and everything behind is the drive. So an extent that lies across the border needs no special care.
type target struct {
	disk *Disk
	head []byte // the image's own first bytes, proven by digest when they were fetched; never changed
}

// split gives how many bytes of n at off lie in the head.
func (t *target) split(off uint64, n int) int {
	if off >= uint64(len(t.head)) {
		return 0
	}
	return int(min(uint64(n), uint64(len(t.head))-off))
}

func (t *target) read(p []byte, off uint64) error {
	k := t.split(off, len(p))
	if k > 0 {
		copy(p[:k], t.head[off:])
	}
	if k == len(p) {
		return nil
	}
	_, err := t.disk.ReadAt(p[k:], int64(off)+int64(k))
	return err
}

// write puts p on the drive. What falls into the head must be what the head holds already: both come from the
// same manifest.
func (t *target) write(p []byte, off uint64) error {
	k := t.split(off, len(p))
	if k > 0 && !bytes.Equal(p[:k], t.head[off:][:k]) {
		return job.Faultf(job.CodeManifest, "Two extents differ at byte %d.", off)
	}
	if k == len(p) {
		return nil
	}
	_, err := t.disk.WriteAt(p[k:], int64(off)+int64(k))
	return err
}

// commandStep bounds one command, so that a cancel is heard in between.
const commandStep = 256 << 20

// zero makes a range of the drive read as zeros; the head is left alone, since it holds its zeros already.
func (t *target) zero(ctx context.Context, off, n uint64) error {
	return t.inSteps(ctx, off, n, t.disk.Zero)
}

// discard hints that a range is free. What the drive makes of it is its own affair, and what it gives back for a
// discarded sector its own choice: so the last MiB, which Invalidate made zeros, is left as it is, or an old second
// GPT could come back there.
func (t *target) discard(ctx context.Context, off, n uint64) error {
	end := t.disk.Size() - min(maxHead, t.disk.Size())
	if off >= end {
		return nil
	}
	n = min(n, end-off)
	return t.inSteps(ctx, off, n, func(off, n uint64) error {
		_ = t.disk.Discard(off, n) // a hint: a drive without it keeps its old bytes, which nobody counts as proven
		return nil
	})
}

func (t *target) inSteps(ctx context.Context, off, n uint64, do func(off, n uint64) error) error {
	if h := uint64(len(t.head)); off < h {
		k := min(n, h-off)
		off, n = off+k, n-k
	}
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		k := min(n, commandStep)
		if err := do(off, k); err != nil {
			return err
		}
		off, n = off+k, n-k
	}
	return nil
}
