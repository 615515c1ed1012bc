package site_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ingot/cmd/internal/site"
	"ingot/store"
)

// entry is a version that somebody was told of, or that was found.
type entry struct {
	ref      string
	sum      string // SHA-256 of the disk that was sent
	manifest string // as it was first seen
	is       state  // what was acknowledged
	perhaps  *state // what a cut off act would have made of it
}

type state struct {
	state   store.VersionState
	deleted bool
}

// accept notes that somebody was told that a disk is a version now.
func (w *world) accept(ref, label string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tallies[accepted]++
	if e := w.ledger[ref]; e == nil {
		w.ledger[ref] = &entry{ref: ref, sum: w.tried[label], is: state{state: store.Draft}}
	} else if e.sum != w.tried[label] { // a proof saw it before its sender did
		w.t.Errorf("%s was made of another disk than %s", ref, label)
	}
}

// entries lists the ledger, oldest first, with or without versions whose content was given up.
func (w *world) entries(all bool) []*entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []*entry
	for _, e := range w.ledger {
		if all || !e.is.deleted {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *entry) int { return strings.Compare(padded(a.ref), padded(b.ref)) })
	return out
}

// padded makes sales@9 sort before sales@10.
func padded(ref string) string {
	name, number, _ := strings.Cut(ref, "@")
	return fmt.Sprintf("%09s %s", number, name)
}

// prove asks the daemon that was started again for everything. It holds the gate; only laptops go on meanwhile.
func (w *world) prove(when string, rng *rand.Rand) {
	w.t.Helper()
	if out, err := w.site.CLI(w.ctx, "check", "--read-data"); err != nil { // an exit code other than 0
		w.t.Errorf("%s: %v\n%s", when, err, out)
	}
	told := w.entries(true) // a laptop that goes on is told of another one at any moment
	all, err := site.Ask[[]store.VersionView](w.ctx, w.site, "images")
	must(w.t, err)
	w.whole(when, told, all)
	w.leftovers(when)
	if here := w.entries(false); len(here) > 0 {
		w.reads(when, here[rng.IntN(len(here))])
	}
}

// whole holds the records against the ledger: every accepted version is there, in a state that somebody asked for, and
// none that nobody sent.
func (w *world) whole(when string, told []*entry, all []store.VersionView) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen, numbers := map[string]bool{}, map[string][]int{}
	for _, v := range all {
		ref := v.Ref().String()
		seen[ref], numbers[v.Image] = true, append(numbers[v.Image], v.Number)
		sum := w.tried[v.Label]
		e := w.ledger[ref]
		if e == nil {
			e = &entry{ref: ref, sum: sum, is: state{state: store.Draft}}
			w.ledger[ref] = e
			w.tallies["versions whose sender was cut off before it heard of them"]++
		}
		if e.manifest == "" {
			e.manifest = v.Manifest.String()
		}
		is := state{v.State, v.Deleted}
		if e.perhaps != nil && is == *e.perhaps {
			w.tallies["cut off acts that were done"]++
		} else if e.perhaps != nil {
			w.tallies["cut off acts that were not done"]++
		}
		switch {
		case sum == "" || sum != e.sum:
			w.t.Errorf("%s: %s, called %q, was never sent as that", when, ref, v.Label)
		case e.manifest != v.Manifest.String():
			w.t.Errorf("%s: the content of %s was %s and is %s", when, ref, e.manifest, v.Manifest)
		case is != e.is && (e.perhaps == nil || is != *e.perhaps):
			w.t.Errorf("%s: %s is %v; it was acknowledged as %v and asked to be %v", when, ref, is, e.is, e.perhaps)
		case v.DataBytes < payload || v.DataExtents == 0 || v.Note == "" || v.Created.IsZero():
			w.t.Errorf("%s: the record of %s is not whole: %+v", when, ref, v.Version)
		}
		e.is, e.perhaps = is, nil
	}
	for _, e := range told {
		if !seen[e.ref] {
			w.t.Errorf("%s: %s was accepted and is gone", when, e.ref)
		}
	}
	for image, n := range numbers {
		if slices.Sort(n); n[0] != 1 || n[len(n)-1] != len(n) {
			w.t.Errorf("%s: the versions of %s are %d: one is missing, or half there", when, image, n)
		}
	}
}

// reads takes a version out of the library and compares it with the disk that was sent, byte by byte of all of it.
func (w *world) reads(when string, e *entry) {
	w.t.Helper()
	out := filepath.Join(w.site.Dir, "out.raw")
	defer os.Remove(out)
	if _, err := w.site.CLI(w.ctx, "image", "export", e.ref, out); err != nil {
		w.t.Errorf("%s: %v", when, err)
		return
	}
	f, err := os.Open(out)
	must(w.t, err)
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	must(w.t, err)
	if got := hex.EncodeToString(h.Sum(nil)); got != e.sum {
		w.t.Errorf("%s: %s reads as another disk than the one that was sent", when, e.ref)
	}
}

// leftovers finds what the killed daemon had open and the next one should have removed.
func (w *world) leftovers(when string) {
	must(w.t, filepath.WalkDir(w.site.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(d.Name(), "tmp") {
			return nil // a laptop goes on, and its files come and go
		}
		if info, err := d.Info(); err == nil && info.ModTime().Before(w.started) {
			w.t.Errorf("%s: %s is left", when, path)
		}
		return nil
	}))
}

// proveAll proves the end, and reads every version.
func (w *world) proveAll() {
	w.prove("at the end", rand.New(rand.NewPCG(1, 1)))
	here := w.entries(false)
	for _, e := range here {
		w.reads("at the end", e)
	}
	w.t.Logf("%d versions are there with their content, and read as they were sent", len(here))
	jobs, err := site.Ask[[]store.JobView](w.ctx, w.site, "jobs")
	must(w.t, err)
	for _, j := range jobs {
		w.t.Errorf("at the end: job %s of %s is still %s", j.ID, j.Serial, j.State)
	}
}
