package chunkstore

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"golang.org/x/time/rate"

	"ingot/imaging"
)

// Packs lists the packs of the store in the order of their names, which says nothing about their age.
func (s *Store) Packs() []imaging.Digest {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []imaging.Digest
	for d, p := range s.packs {
		if p.have >= 0 {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b imaging.Digest) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// Scrub reads one pack, every byte, no faster than bytesPerSecond, and puts into quarantine what is damaged. A pack
// that a sweep has removed meanwhile is no problem.
func (s *Store) Scrub(ctx context.Context, d imaging.Digest, bytesPerSecond int) (Report, error) {
	c := &checker{s: s, o: CheckOptions{ReadData: true}, places: map[place]*Problem{}, packs: map[*packFile]*Problem{}}
	if bytesPerSecond > 0 {
		c.limit = rate.NewLimiter(rate.Limit(bytesPerSecond), max(bytesPerSecond, readStep))
	}
	for _, p := range s.refreshPacks() {
		if p.name != d {
			continue
		}
		c.report.Packs++
		if err := c.pack(ctx, p); err != nil {
			return Report{}, fmt.Errorf("scrub pack %s: %w", d.Short(), err)
		}
	}
	return c.finish(), nil
}
