package chunkstore

import (
	"context"
	"errors"
	"fmt"

	"ingot/imaging"
)

// Peers are other stores that may hold what this one has lost.
type Peers interface {
	// PeerChunks asks for chunks and gives fn the plain bytes of each that came; left are those that nobody holds. The
	// bytes are proven here by their digest.
	PeerChunks(ctx context.Context, want []imaging.Digest, fn func(d imaging.Digest, plain []byte) error) (left []imaging.Digest, err error)
}

// Healed is what a Heal did.
type Healed struct {
	Chunks uint64 // fetched, proven and stored
	Left   uint64 // that no peer could give
}

// healAtOnce is how many chunks are asked for at once.
const healAtOnce = 4096

// Heal fetches each chunk of which no copy can be used, and that a manifest of the store names. What a peer gives under
// a wrong digest counts as not given.
func (s *Store) Heal(ctx context.Context, from Peers) (h Healed, err error) {
	list, err := s.Manifests()
	if err != nil {
		return h, err
	}
	w := &healing{s: s, ctx: ctx, from: from, b: s.NewBatch(), asked: map[imaging.Digest]bool{}}
	defer w.b.Abort()
	for _, d := range list {
		if err := w.manifest(d); err != nil {
			return w.out, fmt.Errorf("heal image store: %w", err)
		}
	}
	if err := w.ask(); err != nil {
		return w.out, fmt.Errorf("heal image store: %w", err)
	}
	return w.out, w.b.Commit()
}

// healing is one run of Heal.
type healing struct {
	s     *Store
	ctx   context.Context
	from  Peers
	b     *Batch
	asked map[imaging.Digest]bool // lost chunks, of all manifests
	want  []imaging.Digest        // those that were not asked for yet
	out   Healed
}

// manifest asks for what one manifest lacks. A damaged one is left to Check.
func (w *healing) manifest(d imaging.Digest) error {
	m, err := w.s.openManifest(d)
	if errors.Is(err, imaging.ErrManifest) {
		return nil
	}
	if err != nil {
		return err
	}
	defer m.Close()
	for e, err := range m.All() {
		if errors.Is(err, imaging.ErrManifest) {
			return nil
		}
		if err == nil {
			err = w.ctx.Err()
		}
		if err == nil && e.Kind == imaging.Data && !w.asked[e.Digest] {
			err = w.extent(e.Extent)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *healing) extent(e imaging.Extent) error {
	_, err := w.s.copyOf(e)
	if err == nil || !errors.Is(err, ErrMissing) {
		return err
	}
	w.asked[e.Digest] = true
	if w.want = append(w.want, e.Digest); len(w.want) < healAtOnce {
		return nil
	}
	return w.ask()
}

// ask fetches what is wanted, proves it and stores it.
func (w *healing) ask() error {
	if len(w.want) == 0 {
		return nil
	}
	got := uint64(0)
	_, err := w.from.PeerChunks(w.ctx, w.want, func(d imaging.Digest, plain []byte) error {
		if imaging.Sum(plain) != d {
			return nil
		}
		got++
		_, err := w.b.Put(plain)
		return err
	})
	w.out.Chunks += got
	w.out.Left += uint64(len(w.want)) - got
	w.want = nil
	return err
}
