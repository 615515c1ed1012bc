package library

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/store"
)

// scrubEvery is how long the scrub rests between two passes over everything.
const scrubEvery = 7 * 24 * time.Hour

// Keeping tells how the image store is kept.
func (l *Library) Keeping(context.Context) (k store.Keeping, err error) {
	k.Locked = l.Store.Locked()
	err = l.DB.View(func(tx *store.Tx) error { k.Scrub, err = tx.Scrub(); return err })
	return k, err
}

// Listen records in the audit chain what the image store finds out by itself. It must be called before the store is
// used; failed is told what could not be recorded.
func (l *Library) Listen(failed func(error)) {
	l.Store.Observe(func(e chunkstore.Event) {
		err := l.DB.Update(func(tx *store.Tx) error { return tx.Audit("ingot", e.Kind, "images", eventText(e)) })
		if err != nil {
			failed(err)
		}
	})
}

func eventText(e chunkstore.Event) string {
	what := fmt.Sprintf("%d chunks", len(e.Chunks))
	if len(e.Chunks) == 1 {
		what = "Chunk " + e.Chunks[0].Short()
	}
	if e.Kind == "heal" {
		return fmt.Sprintf("%s that had been locked away came back whole, in pack %s.", what, e.Pack.Short())
	}
	return fmt.Sprintf("%s of pack %s locked away: %s.", what, e.Pack.Short(), e.Why)
}

// Scrub reads every pack, one after the other, no faster than bytesPerSecond, then rests for a week; until ctx ends.
// How far it is outlives the daemon.
func (l *Library) Scrub(ctx context.Context, bytesPerSecond int) error {
	for {
		wait, err := l.ScrubNext(ctx, bytesPerSecond)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			wait = time.Minute // a full disk, or a pack that cannot be opened now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// ScrubNext reads the next pack, and says how long to wait for the one behind it.
func (l *Library) ScrubNext(ctx context.Context, bytesPerSecond int) (wait time.Duration, err error) {
	var s store.Scrub
	var now time.Time
	if err := l.DB.View(func(tx *store.Tx) (err error) { now = tx.Now(); s, err = tx.Scrub(); return err }); err != nil {
		return 0, err
	}
	if rest := scrubEvery - now.Sub(s.Last); s.Started.IsZero() && !s.Last.IsZero() && rest > 0 {
		return min(rest, time.Hour), nil
	}
	packs := l.Store.Packs()
	next, ok := behind(packs, s.After)
	s.Total = len(packs)
	if s.Started.IsZero() {
		s.Started, s.Done, s.Found, s.Read = now, 0, 0, 0
	}
	if !ok {
		s = store.Scrub{Last: now, LastHad: s.Found, Total: s.Total, Done: s.Done, Read: s.Read}
	} else if err := l.scrubPack(ctx, &s, next, bytesPerSecond); err != nil {
		return 0, err
	}
	return 0, l.DB.Update(func(tx *store.Tx) error {
		err := tx.PutScrub(s)
		if !ok && s.LastHad > 0 {
			err = errors.Join(err, tx.Audit("ingot", "scrub", "images", fmt.Sprintf("All %d packs were read; %d damaged things found.", s.Done, s.LastHad)))
		}
		return err
	})
}

func (l *Library) scrubPack(ctx context.Context, s *store.Scrub, d imaging.Digest, bytesPerSecond int) error {
	r, err := l.Store.Scrub(ctx, d, bytesPerSecond)
	if err != nil {
		return err
	}
	s.After = d.String()
	s.Done++
	s.Found += len(r.Problems) + int(r.More)
	s.Read += r.Bytes
	return nil
}

// behind is the first pack whose name follows; names tell nothing about age, so packs that are new may wait for the
// next pass.
func behind(packs []imaging.Digest, after string) (imaging.Digest, bool) {
	i := slices.IndexFunc(packs, func(d imaging.Digest) bool { return d.String() > after })
	if i < 0 {
		return imaging.Digest{}, false
	}
	return packs[i], true
}
