package firmware

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Change is what an update brought: a package, or the agent's program, that is another than before. From is empty for
// what is new, To for what is gone.
type Change struct {
	Name string `json:"name"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// String is "NAME: OLD -> NEW".
func (c Change) String() string {
	switch {
	case c.From == "":
		return fmt.Sprintf("%s: new, %s", c.Name, c.To)
	case c.To == "":
		return fmt.Sprintf("%s: %s, not there any more", c.Name, c.From)
	}
	return fmt.Sprintf("%s: %s -> %s", c.Name, c.From, c.To)
}

// ErrOlder says that a package is older than the one in the present bundle. It may be matched.
var ErrOlder = errors.New("a package is older than the one in use")

// agentName is the agent's program in a list of changes.
const agentName = "ingot-agent"

// Update builds a bundle when a package or the agent's program is another than the present bundle's, and says what
// changed; with no change it gives the present bundle and only removes old ones. Packages that are older are refused
// (ErrOlder): nobody goes back without meaning it. Without a bundle it is a Build.
func Update(ctx context.Context, o Options) (*Bundle, []Change, error) {
	var bundle *Bundle
	var changed []Change
	err := withBuilder(o, func(b *builder) error {
		debs, err := b.packages(ctx)
		if err != nil {
			return err
		}
		present, err := Open(o.Dir)
		if err != nil && !errors.Is(err, ErrNoBundle) {
			b.Log.Warn().Err(err).Msg("the present boot bundle cannot be read; building anew")
		}
		if err == nil {
			if changed, err = b.changes(ctx, present.record, debs); err != nil {
				return err
			}
			if len(changed) == 0 && present.record.Version == recordVersion {
				bundle = present
				if b.InUse != nil {
					b.pruneUnused(ctx, present.Name())
				}
				return nil
			}
		}
		bundle, err = b.build(ctx, debs)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("update boot bundle: %w", err)
	}
	return bundle, changed, nil
}

// changes compares what lies there with what the present bundle was made of.
func (b *builder) changes(ctx context.Context, present Record, debs []deb) ([]Change, error) {
	var out []Change
	if before, now := agentOf(present), sha256.Sum256(b.agent.data); before != hex.EncodeToString(now[:]) {
		out = append(out, Change{agentName, short(before), short(hex.EncodeToString(now[:]))})
	}
	// A kernel and the NTFS library are named by their version: the one that stands in the place of another is its
	// successor.
	slots := wantedPackages()
	slot := func(name string) int {
		for i, w := range slots {
			if w.matches(name) {
				return i
			}
		}
		return -1
	}
	before := map[int]Package{}
	for _, p := range present.Packages {
		before[slot(p.Name)] = p
	}
	for _, d := range debs {
		i := slot(d.pkg.Name)
		old, had := before[i]
		delete(before, i)
		if old.SHA256 == d.pkg.SHA256 {
			continue
		}
		if had && newer(ctx, old, d.pkg) {
			return nil, fmt.Errorf("%w: %s %s, in use %s", ErrOlder, d.pkg.Name, d.pkg.Version, old.Version)
		}
		out = append(out, change(old, d.pkg))
	}
	for _, i := range slices.Sorted(maps.Keys(before)) {
		out = append(out, change(before[i], Package{}))
	}
	return out, nil
}

// change names what differs: versions; names too when they carry the version; bytes when nothing else does.
func change(old, now Package) Change {
	c := Change{Name: now.Name, From: old.Version, To: now.Version}
	switch {
	case now.Name == "":
		c.Name = old.Name
	case old.Name != "" && old.Name != now.Name:
		c.From = old.Name + " " + old.Version
	case c.From == c.To:
		c.From, c.To = c.From+" "+short(old.SHA256), c.To+" "+short(now.SHA256)
	}
	return c
}

func agentOf(r Record) string {
	for _, e := range r.Files {
		if e.Name != Stage1 {
			continue
		}
		for _, m := range e.Members {
			if m.Path == "init" {
				return m.SHA256
			}
		}
	}
	return ""
}

// short is enough of a digest to tell two apart.
func short(sum string) string { return sum[:min(12, len(sum))] }
