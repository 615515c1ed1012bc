package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"ingot/imaging"
)

// Disk is an image as if it lay there; chunkstore.Disk is one.
type Disk interface {
	io.ReaderAt
	Size() int64
	Header() imaging.Header
}

// Severity is how much a Finding weighs; the words are those of store.Severity.
type Severity string

// Red blocks a release, yellow is to be read, green was looked at and is in order.
const (
	Green  Severity = "green"
	Yellow Severity = "yellow"
	Red    Severity = "red"
)

// Finding is one line of the checklist.
type Finding struct {
	Check    string // stable name
	Severity Severity
	Fact     string // one sentence
	Next     string // what to do; empty when green
}

// System is what is installed as a whole. What is unknown is empty.
type System struct {
	Family     string `json:"family,omitempty"` // linux or windows
	ID         string `json:"id,omitempty"`     // os-release ID, or windows
	Name       string `json:"name,omitempty"`   // for people
	Edition    string `json:"edition,omitempty"`
	Version    string `json:"version,omitempty"` // 12, 24H2
	Build      string `json:"build,omitempty"`   // the patch level: 26100.4061, 12.9
	Arch       string `json:"arch,omitempty"`
	Kernel     string `json:"kernel,omitempty"`
	SupportEnd string `json:"support_end,omitempty"` // a day, where the system tells it
}

// Package is one piece of installed software.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Arch    string `json:"arch,omitempty"`
	Kind    string `json:"kind"` // deb, rpm, windows or appx
	Vendor  string `json:"vendor,omitempty"`
}

// Need is a piece of software that a site wants in its images.
type Need struct {
	Name    string // of a package, whatever its case; * stands for any letters
	Version string // the oldest that will do; empty: any
	Image   string // only in versions of this image; empty: in all
}

// Options say what a site asks for.
type Options struct {
	Now      time.Time // the end of believable dates
	MustHave []Need

	limit int64 // of bytes read, for tests; 0 is maxRead
}

// Report is what was found.
type Report struct {
	System   System
	Patched  time.Time // zero when unknown
	Packages []Package // by name
	More     int       // packages beyond MaxPackages
	Findings []Finding
}

// Limits of a Report.
const (
	MaxPackages = 20_000
	maxText     = 200 // bytes of any text that comes out of the image
)

// Look reads a disk. It gives an error only when ctx ends or the manifest is damaged: whatever else cannot be read is
// a Finding.
func Look(ctx context.Context, d Disk, o Options) (Report, error) {
	l := &look{ctx: ctx, now: o.Now, renewed: d.Header().OS.Personalise == "linux"}
	l.tree = open(d, &budget{d, cmp.Or(o.limit, maxRead)})
	switch {
	case l.tree.isFile("/etc/os-release") || l.tree.isFile("/usr/lib/os-release"):
		l.linux()
	case l.tree.windows() != nil:
		l.windows(l.tree.windows())
	default:
		l.find("system", Yellow, "No system that can be looked into was found.", "Look at the reference machine yourself: nothing of the checklist was checked.")
	}
	l.sortPackages()
	for _, n := range o.MustHave {
		l.mustHave(n)
	}
	l.unread()
	return l.Report, errors.Join(ctx.Err(), l.tree.damaged)
}

// look is one run of Look.
type look struct {
	Report
	ctx     context.Context
	now     time.Time
	tree    *tree
	renewed bool // Ingot gives each laptop its own machine-id and host keys
}

func (l *look) find(check string, s Severity, fact, next string) {
	if s == Green {
		next = ""
	}
	l.Findings = append(l.Findings, Finding{Check: check, Severity: s, Fact: fact, Next: next})
}

// add keeps a package within the limits.
func (l *look) add(p Package) {
	p.Name, p.Version, p.Arch, p.Vendor = clean(p.Name), clean(p.Version), clean(p.Arch), clean(p.Vendor)
	if p.Name == "" {
		return
	}
	if len(l.Packages) == MaxPackages {
		l.More++
		return
	}
	l.Packages = append(l.Packages, p)
}

// patchedAt takes a date of the patch level when it is newer than what is known, and believable.
func (l *look) patchedAt(seconds int64) {
	t := time.Unix(seconds, 0).UTC()
	if seconds > 0 && t.After(l.Patched) && !t.After(l.now.Add(24*time.Hour)) {
		l.Patched = t
	}
}

// unread tells what could not be looked at.
func (l *look) unread() {
	if n := l.tree.failures + l.More; n == 0 {
		l.find("look-inside", Green, "Everything that is looked at could be read.", "")
		return
	}
	what := l.tree.why
	if l.More > 0 {
		what = append(what, fmt.Sprintf("%d packages beyond the first %d are not listed", l.More, MaxPackages))
	}
	l.find("look-inside", Yellow, "Some of it could not be looked at: "+join(what, l.tree.failures+min(l.More, 1))+".", "Look at these places on the reference machine yourself.")
}
