package library

import (
	"context"
	"errors"
	"slices"

	"ingot/imaging"
	"ingot/store"
)

// cut is how an import for an image is cut: as its newest version that lacks chunks now, so that the same disk fills them
// in, however that version was cut; else as everything is today.
func (l *Library) cut(ctx context.Context, image string) (imaging.Params, error) {
	usual := imaging.DefaultParams()
	var all []store.Version
	if err := l.DB.View(func(tx *store.Tx) (err error) { all, err = tx.Versions(image); return err }); err != nil {
		return usual, err
	}
	for _, v := range slices.Backward(all) {
		if v.Deleted {
			continue
		}
		m, err := l.Store.OpenManifest(v.Manifest)
		if err != nil {
			continue // a manifest that is lost does not tell how it was cut; check names it
		}
		lacks, params := false, m.Header().Params
		if params != usual {
			lacks, err = l.lacks(ctx, m)
		}
		if err := errors.Join(err, m.Close()); err != nil || lacks {
			return params, err
		}
	}
	return usual, nil
}

// lacks reports whether the store is without one of a manifest's chunks. What stands behind a damaged place of the
// manifest is not looked for.
func (l *Library) lacks(ctx context.Context, m *imaging.Manifest) (bool, error) {
	for e, err := range m.All() {
		if err != nil {
			return false, ctx.Err()
		}
		if e.Kind != imaging.Data {
			continue
		}
		if held, err := l.Store.Has(e.Digest); err != nil || !held {
			return err == nil, err
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
	}
	return false, nil
}
