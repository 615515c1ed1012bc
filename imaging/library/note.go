package library

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingot/imaging/inspect"
	"ingot/imaging/job"
	"ingot/store"
)

// draftNote writes what changed since the image's newest other version, for a person to correct.
func (l *Library) draftNote(ctx context.Context, v store.Version, c store.Content) (string, error) {
	var before store.Version
	var old store.Content
	err := l.DB.View(func(tx *store.Tx) error {
		all, err := tx.Versions(v.Image)
		if err != nil {
			return err
		}
		for _, o := range all {
			if o.Manifest != v.Manifest && o.Kind == store.Golden && (v.Number == 0 || o.Number < v.Number) {
				before = o
			}
		}
		if before.Number == 0 {
			return nil
		}
		old, err = tx.Content(before.Image, before.Number)
		if f := (*job.Fault)(nil); errors.As(err, &f) && f.Code == job.CodeNotLooked {
			return nil
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if before.Number == 0 {
		return firstNote(c), nil
	}
	// A person reads it before it counts: files of one size and date are taken as equal, and a version whose data is
	// gone is described by its packages alone.
	files, err := l.compareFiles(ctx, before, v, true, func(store.Work) {})
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		files = inspect.Comparison{}
	}
	return clipNote(changeNote(before, old, c, files.Areas)), nil
}

// firstNote describes an image's first version.
func firstNote(c store.Content) string {
	parts := []string{"First build"}
	if s := systemLine(c); s != "" {
		parts = append(parts, s)
	}
	if n := len(c.Packages) + c.More; n > 0 {
		parts = append(parts, fmt.Sprintf("%d packages", n))
	}
	return clipNote(strings.Join(parts, ": ") + ".")
}

// systemLine is the system with its patch level.
func systemLine(c store.Content) string {
	s := c.System.Name
	if c.System.Build != "" && !strings.Contains(s, c.System.Build) {
		s += " " + c.System.Build
	}
	if s = strings.TrimSpace(s); s != "" && !c.Patched.IsZero() {
		s += ", patched " + c.Patched.Format("2006-01-02")
	}
	return s
}

// changeNote puts the difference of two contents into one line.
func changeNote(before store.Version, old, now store.Content, areas []inspect.Area) string {
	parts := []string{}
	if a, b := systemLine(old), systemLine(now); b != "" && a != b {
		parts = append(parts, b+" (was "+orNothing(a)+")")
	}
	d := comparePackages(old.Packages, now.Packages)
	for _, p := range []struct {
		word string
		all  []store.PackageChange
	}{{"upgraded", d.Upgraded}, {"downgraded", d.Downgraded}, {"added", d.Added}, {"removed", d.Removed}} {
		if len(p.all) > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (%s)", len(p.all), p.word, names(p.all)))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "the same packages")
	}
	if s := busiest(areas); s != "" {
		parts = append(parts, s)
	}
	return "Since @" + fmt.Sprint(before.Number) + ": " + strings.Join(parts, "; ") + "."
}

// busiest names the areas with most files that were added, removed or changed.
func busiest(areas []inspect.Area) string {
	const most = 4
	files := func(a inspect.Area) int { return a.Added + a.Removed + a.Changed }
	all := slices.SortedStableFunc(slices.Values(areas), func(a, b inspect.Area) int { return files(b) - files(a) })
	var out []string
	for _, a := range all[:min(len(all), most)] {
		out = append(out, fmt.Sprintf("%s %d", a.Area, files(a)))
	}
	if len(out) == 0 {
		return ""
	}
	return "files: " + strings.Join(out, ", ")
}

func orNothing(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}

// names tells the first few changes with their versions.
func names(all []store.PackageChange) string {
	const most = 4
	var out []string
	for _, c := range all[:min(len(all), most)] {
		s := c.Name
		switch {
		case c.From != "" && c.To != "":
			s += " " + c.From + " -> " + c.To
		case c.To != "":
			s += " " + c.To
		}
		out = append(out, s)
	}
	if len(all) > most {
		out = append(out, "...")
	}
	return strings.Join(out, ", ")
}

// clipNote keeps a note within the bound of one.
func clipNote(s string) string {
	const most = 1000
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-4], "") + "..."
}

// comparePackages compares two lists that are sorted by name. A package may be there in several versions at once, such
// as a kernel: those that both have are no change, and the rest is paired from the oldest on.
func comparePackages(old, now []store.Package) (d store.PackageDiff) {
	type key struct{ kind, name, arch string }
	group := func(all []store.Package) (map[key][]string, []key) {
		m, order := map[key][]string{}, []key{}
		for _, p := range all {
			k := key{p.Kind, p.Name, p.Arch}
			if _, ok := m[k]; !ok {
				order = append(order, k)
			}
			m[k] = append(m[k], p.Version)
		}
		return m, order
	}
	was, wasOrder := group(old)
	is, isOrder := group(now)
	for _, k := range wasOrder {
		if _, ok := is[k]; !ok {
			for _, v := range was[k] {
				d.Removed = append(d.Removed, store.PackageChange{Kind: k.kind, Name: k.name, Arch: k.arch, From: v})
			}
		}
	}
	for _, k := range isOrder {
		pair(&d, store.PackageChange{Kind: k.kind, Name: k.name, Arch: k.arch}, without(was[k], is[k]), without(is[k], was[k]))
	}
	return d
}

// without gives the versions of a that b lacks.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(v string) bool { return slices.Contains(b, v) })
}

func pair(d *store.PackageDiff, c store.PackageChange, from, to []string) {
	for i := range max(len(from), len(to)) {
		c.From, c.To = "", ""
		if i < len(from) {
			c.From = from[i]
		}
		if i < len(to) {
			c.To = to[i]
		}
		switch {
		case i >= len(from):
			d.Added = append(d.Added, c)
		case i >= len(to):
			d.Removed = append(d.Removed, c)
		case inspect.Compare(c.From, c.To) > 0:
			d.Downgraded = append(d.Downgraded, c)
		default:
			d.Upgraded = append(d.Upgraded, c)
		}
	}
}
