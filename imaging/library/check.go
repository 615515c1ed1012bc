package library

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ingot/imaging"
	"ingot/store"
)

// maxDamage bounds the list of damage; a lost disk is clear from fewer.
const maxDamage = 1000

// Check proves that every Version can be deployed: its manifest is whole and every chunk of it is held; with
// readData every chunk is also read and compared by digest. Each damaged thing is named with the versions that
// it hits.
func (l *Library) Check(ctx context.Context, readData bool, tell func(store.Work)) (store.Checked, error) {
	versions, err := l.Images(ctx)
	if err != nil {
		return store.Checked{}, err
	}
	c := &check{lib: l, readData: readData, tell: tell, bad: map[imaging.Digest]int{}, started: time.Now(), out: store.Checked{Versions: len(versions)}}
	for _, v := range versions {
		c.total += v.DataBytes
	}
	for _, v := range versions {
		if err := c.version(ctx, v); err != nil {
			return c.out, err
		}
	}
	return c.out, nil
}

// check is one run of Check.
type check struct {
	lib      *Library
	readData bool
	tell     func(store.Work)
	out      store.Checked
	bad      map[imaging.Digest]int // damaged chunk or manifest -> its place in out.Damage
	total    uint64                 // plain bytes of all versions
	done     uint64
	started  time.Time
	told     time.Time
}

func (c *check) version(ctx context.Context, v store.Version) error {
	m, err := c.lib.Store.OpenManifest(v.Manifest)
	if err != nil {
		c.damage(v, v.Manifest, fmt.Sprintf("manifest %s: %s", v.Manifest.Short(), reason(err)))
		return nil
	}
	defer m.Close()
	for n, err := range m.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err != nil {
			c.damage(v, v.Manifest, fmt.Sprintf("manifest %s: %s", v.Manifest.Short(), reason(err)))
			return nil
		}
		if n.Kind == imaging.Data {
			c.chunk(v, n)
		}
	}
	return nil
}

// chunk proves one data extent's chunk.
func (c *check) chunk(v store.Version, n imaging.Numbered) {
	c.out.Chunks++
	c.progress(n.Length)
	if _, known := c.bad[n.Digest]; known {
		c.damage(v, n.Digest, "")
		return
	}
	if !c.readData {
		if held, err := c.lib.Store.Has(n.Digest); err != nil || !held {
			c.damage(v, n.Digest, fmt.Sprintf("chunk %s at %d is missing", n.Digest.Short(), n.Offset))
		}
		return
	}
	frame, err := c.lib.Store.Frame(n.Digest)
	if err == nil {
		c.out.Bytes += uint64(len(frame))
		_, err = imaging.DecodeChunk(frame, nil, n.Digest, int(n.Length))
	}
	if err != nil {
		c.damage(v, n.Digest, fmt.Sprintf("chunk %s at %d: %s", n.Digest.Short(), n.Offset, reason(err)))
	}
}

// reason is the innermost fact of an error whose lines are words for a person first and the cause last.
func reason(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return lines[len(lines)-1]
}

// damage notes one damaged thing, once, with every version that it hits.
func (c *check) damage(v store.Version, d imaging.Digest, what string) {
	ref := v.Ref().String()
	i, known := c.bad[d]
	if !known {
		if len(c.out.Damage) >= maxDamage {
			return
		}
		i = len(c.out.Damage)
		c.bad[d] = i
		c.out.Damage = append(c.out.Damage, store.Damage{What: what})
	}
	hit := &c.out.Damage[i].Versions
	if len(*hit) == 0 || (*hit)[len(*hit)-1] != ref {
		*hit = append(*hit, ref)
	}
}

func (c *check) progress(n uint64) {
	c.done += n
	now := time.Now()
	if now.Sub(c.told) < 500*time.Millisecond && c.done < c.total {
		return
	}
	c.told = now
	w := store.Work{Phase: "checking", DoneBytes: c.done, TotalBytes: c.total, SecondsLeft: -1}
	if s := now.Sub(c.started).Seconds(); s > 0 && c.done > 0 {
		w.BytesPerSec = uint64(float64(c.done) / s)
		w.SecondsLeft = int(float64(c.total-c.done) * s / float64(c.done))
	}
	c.tell(w)
}
