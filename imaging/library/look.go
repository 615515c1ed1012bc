package library

import (
	"context"
	"errors"
	"time"

	"ingot/imaging"
	"ingot/imaging/inspect"
	"ingot/imaging/job"
	"ingot/store"
)

// Looked is what a look into an image found.
type Looked struct {
	Checklist []store.Finding
	Content   store.Content
	DraftNote string // against the image's newest version
}

// Describe writes into a version, before it is recorded, what was found in it. The caller keeps the Content in the
// transaction that adds the version.
func (s Looked) Describe(v *store.Version) {
	v.Checklist, v.Patched, v.DraftNote = s.Checklist, s.Content.Patched, s.DraftNote
	if v.OS == "" {
		v.OS = s.Content.System.Name
	}
}

// Look looks into the disk of a version whose manifest is accepted, whether the version is recorded yet or not. What
// cannot be looked at is a yellow finding; an error means that the manifest is damaged or that ctx ended.
func (l *Library) Look(ctx context.Context, v store.Version, tell func(store.Work)) (Looked, error) {
	tell(store.Work{Phase: "looking inside", TotalBytes: v.DataBytes, SecondsLeft: -1})
	report, err := l.inspect(ctx, v)
	if err != nil {
		return Looked{}, err
	}
	s := Looked{Content: contentOf(report)}
	for _, f := range report.Findings {
		s.Checklist = append(s.Checklist, store.Finding{Check: f.Check, Severity: store.Severity(f.Severity), Fact: f.Fact, Next: f.Next})
	}
	s.DraftNote, err = l.draftNote(v, s.Content)
	return s, err
}

// inspect opens the disk and looks; only a damaged manifest and the end of ctx are errors.
func (l *Library) inspect(ctx context.Context, v store.Version) (inspect.Report, error) {
	disk, err := l.Store.OpenDisk(v.Manifest)
	if err != nil {
		return inspect.Report{}, err
	}
	defer disk.Close()
	o := inspect.Options{Now: time.Now()}
	for _, n := range l.MustHave {
		if n.Image == "" || n.Image == v.Image {
			o.MustHave = append(o.MustHave, n)
		}
	}
	report, err := inspect.Look(ctx, disk, o)
	if errors.Is(err, imaging.ErrManifest) {
		err = errors.Join(err, job.Faultf(job.CodeManifest, "Manifest %s.", v.Manifest.Short()))
	}
	return report, err
}

func contentOf(r inspect.Report) store.Content {
	c := store.Content{Looked: time.Now().UTC(), System: store.System(r.System), Patched: r.Patched, More: r.More, Packages: []store.Package{}}
	for _, p := range r.Packages {
		c.Packages = append(c.Packages, store.Package(p))
	}
	return c
}

// LookAgain looks into a recorded version once more: one that an older Ingot imported, or after the site's list of what
// it wants has changed.
func (l *Library) LookAgain(ctx context.Context, operator, ref string, tell func(store.Work)) (store.Inside, error) {
	v, err := l.find(ref)
	if err != nil {
		return store.Inside{}, err
	}
	seen, err := l.Look(ctx, v, tell)
	if err != nil {
		return store.Inside{}, err
	}
	out := store.Inside{Content: seen.Content}
	return out, l.DB.Update(func(tx *store.Tx) (err error) {
		if out.Version, err = tx.SetLooked(v.Image, v.Number, seen.Checklist, seen.Content); err != nil {
			return err
		}
		return tx.Audit(operator, "look", v.Ref().String(), "Looked inside again.")
	})
}

// find finds one version, also one that may not be deployed any more.
func (l *Library) find(ref string) (v store.Version, err error) {
	err = l.DB.View(func(tx *store.Tx) error { v, err = named(tx, ref); return err })
	return v, err
}

// Inside tells what is in a version.
func (l *Library) Inside(_ context.Context, ref string) (out store.Inside, err error) {
	err = l.DB.View(func(tx *store.Tx) error {
		if out.Version, err = named(tx, ref); err != nil {
			return err
		}
		out.Content, err = tx.Content(out.Version.Image, out.Version.Number)
		return err
	})
	return out, err
}

// SetNote writes the change note of a draft.
func (l *Library) SetNote(_ context.Context, operator, ref string, n store.Note) (v store.Version, err error) {
	if err := store.CheckNote(n.Note); err != nil {
		return v, err
	}
	err = l.DB.Update(func(tx *store.Tx) error {
		if v, err = named(tx, ref); err != nil {
			return err
		}
		if v, err = tx.SetNote(v.Image, v.Number, n.Note); err != nil {
			return err
		}
		return tx.Audit(operator, "note", v.Ref().String(), n.Note)
	})
	return v, err
}
