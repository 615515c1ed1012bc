package chunkstore

import (
	"context"
	"errors"
	"fmt"

	"ingot/imaging"
	"ingot/imaging/job"
)

// Peer is another store that may hold what this one has lost.
type Peer interface {
	// Fetch gives the plain bytes of a chunk, or an error that wraps ErrMissing. They are proven here by the digest.
	Fetch(ctx context.Context, d imaging.Digest) (plain []byte, err error)
}

// Healed is what a Heal did.
type Healed struct {
	Chunks uint64 // fetched, proven and stored
	Left   uint64 // that the peer could not give either
}

// Heal fetches from a peer each chunk of which no copy can be used, and that a manifest of the store names. What the
// peer gives under a wrong digest counts as not given.
func (s *Store) Heal(ctx context.Context, from Peer) (h Healed, err error) {
	list, err := s.Manifests()
	if err != nil {
		return h, err
	}
	b := s.NewBatch()
	defer b.Abort()
	asked := map[imaging.Digest]bool{}
	for _, d := range list {
		if err := s.healManifest(ctx, from, d, b, asked, &h); err != nil {
			return h, fmt.Errorf("heal image store: %w", err)
		}
	}
	return h, b.Commit()
}

func (s *Store) healManifest(ctx context.Context, from Peer, d imaging.Digest, b *Batch, asked map[imaging.Digest]bool, h *Healed) error {
	m, err := s.openManifest(d)
	if errors.Is(err, imaging.ErrManifest) {
		return nil // Check names it
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
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if e.Kind != imaging.Data || asked[e.Digest] {
			continue
		}
		if _, err := s.copyOf(e.Extent); err == nil {
			continue
		} else if !errors.Is(err, ErrMissing) {
			return err
		}
		asked[e.Digest] = true
		if err := heal(ctx, from, e.Extent, b, h); err != nil {
			return err
		}
	}
	return nil
}

func heal(ctx context.Context, from Peer, e imaging.Extent, b *Batch, h *Healed) error {
	plain, err := from.Fetch(ctx, e.Digest)
	if err != nil && ctx.Err() != nil {
		return err
	}
	if err != nil || uint64(len(plain)) != e.Length || imaging.Sum(plain) != e.Digest {
		h.Left++
		return nil
	}
	h.Chunks++
	_, err = b.Put(plain)
	return err
}

// Whole reports in words why a manifest cannot be deployed as the store is now, as far as is known without reading
// every chunk: nil where nothing speaks against it.
func (s *Store) Whole(ctx context.Context, d imaging.Digest) error {
	m, err := s.OpenManifest(d)
	if err != nil {
		return err
	}
	defer m.Close()
	if !s.suspect() {
		return nil
	}
	for e, err := range m.All() {
		if err != nil {
			return fmt.Errorf("%w: %w", job.Faultf(job.CodeManifest, "Manifest %s.", d.Short()), err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.Kind != imaging.Data {
			continue
		}
		if _, err := s.copyOf(e.Extent); err != nil {
			return fmt.Errorf("%w: %w", err, job.Faultf(job.CodeChunk, "Extent %d, chunk %s.", e.N, e.Digest.Short()))
		}
	}
	return nil
}

// suspect reports whether anything of the store is known to be damaged or missing.
func (s *Store) suspect() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.bad) > 0 {
		return true
	}
	for _, p := range s.packs {
		if p.have != p.size {
			return true
		}
	}
	return false
}
