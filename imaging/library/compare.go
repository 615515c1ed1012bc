package library

import (
	"context"
	"errors"
	"time"

	"ingot/imaging"
	"ingot/imaging/inspect"
	"ingot/imaging/job"
	"ingot/store"
)

// Compare tells what changed from version a to version b: packages by the lists that were made when they were looked
// into, files by their bytes.
func (l *Library) Compare(ctx context.Context, a, b string, tell func(store.Work)) (d store.Difference, err error) {
	if d.A, err = l.Inside(ctx, a); err != nil {
		return d, err
	}
	if d.B, err = l.Inside(ctx, b); err != nil {
		return d, err
	}
	d.Packages = comparePackages(d.A.Content.Packages, d.B.Content.Packages)
	d.A.Content.Packages, d.B.Content.Packages = nil, nil // told as a difference
	files, err := l.compareFiles(ctx, d.A.Version, d.B.Version, false, tell)
	if errors.Is(err, imaging.ErrManifest) {
		err = errors.Join(err, job.Faultf(job.CodeManifest, "Of %s or %s.", d.A.Version.Ref(), d.B.Version.Ref()))
	}
	if err != nil {
		return d, err
	}
	d.Areas, d.Unread, d.Why = []store.AreaDiff{}, files.Unread, files.Why
	for _, x := range files.Areas {
		d.Areas = append(d.Areas, store.AreaDiff(x))
	}
	return d, nil
}

func (l *Library) compareFiles(ctx context.Context, a, b store.Version, quick bool, tell func(store.Work)) (c inspect.Comparison, err error) {
	one, err := l.Store.OpenDisk(a.Manifest)
	if err != nil {
		return c, err
	}
	defer one.Close()
	two, err := l.Store.OpenDisk(b.Manifest)
	if err != nil {
		return c, err
	}
	defer two.Close()
	started, told := time.Now(), time.Time{}
	pair := inspect.Pair{A: one, B: two, Quick: quick, Equal: func(x, y, limit int64) (int64, error) { return one.Equal(x, two, y, limit) }}
	return inspect.Diff(ctx, pair, func(done uint64) {
		if now := time.Now(); now.Sub(told) >= toldEvery {
			told = now
			rate := uint64(float64(done) / max(now.Sub(started).Seconds(), 0.001))
			tell(store.Work{Phase: "comparing files", DoneBytes: done, BytesPerSec: rate, SecondsLeft: -1})
		}
	})
}
