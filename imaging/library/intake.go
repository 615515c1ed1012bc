package library

import (
	"context"
	"io"
	"sync"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/store"
)

// Intake takes in what a laptop captures. Want and Take are the store's.
type Intake struct {
	*chunkstore.Intake
	lib *Library

	mu  sync.Mutex
	put []imaging.Digest // manifests: from Close on the records decide about them
}

// Begin begins to take in a drive of so many bytes. Close must follow.
func (l *Library) Begin(disk uint64) *Intake { return &Intake{Intake: l.Store.NewIntake(disk), lib: l} }

// Describe takes the manifest, once check agrees to its header, and looks at the disk as an import does: v is filled in.
// What it gives records the Version in the caller's transaction.
func (i *Intake) Describe(ctx context.Context, v store.Version, body io.Reader, size int64, check func(imaging.Header) error) (enter func(tx *store.Tx, release bool) (store.Imported, error), err error) {
	d, stats, err := i.Manifest(body, size, check)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	i.put = append(i.put, d)
	i.mu.Unlock()
	v, seen, err := i.lib.examine(ctx, v, d, stats, func(store.Work) {})
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx, release bool) (store.Imported, error) {
		return record(tx, "capture", v, seen.Content, release)
	}, nil
}

// Close ends the intake and keeps what has arrived.
func (i *Intake) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, d := range i.put {
		i.lib.Store.Named(d)
	}
	i.put = nil
	return i.Intake.Close()
}
