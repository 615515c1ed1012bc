package library

import (
	"context"
	"errors"
	"fmt"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
	"ingot/store"
)

// Sweep removes from the image store what no Version and no unfinished job needs; see chunkstore.Store.Sweep. It runs
// beside imports, captures and deployments.
func (l *Library) Sweep(ctx context.Context, operator string, o store.Sweep, tell func(store.Work)) (store.Swept, error) {
	p := teller(tell)
	got, err := l.Store.Sweep(ctx, chunkstore.SweepOptions{Wanted: l.wanted, DryRun: o.DryRun, Progress: func(phase string, done, total uint64) { p(phase, done, total) }})
	out := store.Swept{DryRun: o.DryRun, Manifests: got.Manifests, Packs: got.Packs, NewPacks: got.NewPacks, Chunks: got.Chunks, DeadChunks: got.DeadChunks,
		FreedBytes: got.FreedBytes, LeftBytes: got.LeftBytes, Missing: got.Missing, Postponed: got.Postponed}
	if o.DryRun || out.Packs+out.Manifests+out.NewPacks == 0 {
		return out, err
	}
	return out, errors.Join(err, l.DB.Update(func(tx *store.Tx) error {
		return tx.Audit(operator, "gc", "images", fmt.Sprintf("%d bytes freed: %d manifests and %d packs removed, %d packs written.", out.FreedBytes, out.Manifests, out.Packs, out.NewPacks))
	}))
}

// wanted reads what must stay. When a record cannot be read nothing may go.
func (l *Library) wanted(context.Context) (out map[imaging.Digest]string, err error) {
	err = l.DB.View(func(tx *store.Tx) error { out, err = tx.WantedManifests(); return err })
	if errors.Is(err, store.ErrDamaged) {
		err = fmt.Errorf("%w: %w", job.Faultf(job.CodeSweep, "A record is damaged: %s.", job.Reason(err)), err)
	}
	return out, err
}
