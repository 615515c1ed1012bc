package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ingot/imaging/job"
)

// Content is what is installed in a Version, as far as it could be read. See package inspect.
type Content struct {
	Looked   time.Time `json:"looked"` // when it was looked into
	System   System    `json:"system"`
	Patched  time.Time `json:"patched,omitzero"` // as Version.Patched
	Packages []Package `json:"packages"`         // by name
	More     int       `json:"more,omitempty"`   // packages that are not listed
}

// System is the installed system as a whole. What is unknown is empty.
type System struct {
	Family     string `json:"family,omitempty"` // linux or windows
	ID         string `json:"id,omitempty"`
	Name       string `json:"name,omitempty"`
	Edition    string `json:"edition,omitempty"`
	Version    string `json:"version,omitempty"`
	Build      string `json:"build,omitempty"` // the patch level
	Arch       string `json:"arch,omitempty"`
	Kernel     string `json:"kernel,omitempty"`
	SupportEnd string `json:"support_end,omitempty"`
}

// Package is one piece of installed software.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Arch    string `json:"arch,omitempty"`
	Kind    string `json:"kind"` // deb, rpm, windows or appx
	Vendor  string `json:"vendor,omitempty"`
}

// Inside is a version with what is in it.
type Inside struct {
	Version Version `json:"version"`
	Content Content `json:"content"`
}

// Note is a change note that a person wrote.
type Note struct {
	Note string `json:"note"`
}

// PackageChange is a package that differs between two versions. From or To is empty when it is in one of them only.
type PackageChange struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Arch string `json:"arch,omitempty"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// PackageDiff is the difference of two lists of packages.
type PackageDiff struct {
	Added      []PackageChange `json:"added"`
	Removed    []PackageChange `json:"removed"`
	Upgraded   []PackageChange `json:"upgraded"`
	Downgraded []PackageChange `json:"downgraded"`
}

// Difference is what changed between two versions.
type Difference struct {
	A        Inside      `json:"a"`
	B        Inside      `json:"b"`
	Packages PackageDiff `json:"packages"`
	Areas    []AreaDiff  `json:"areas"`            // those with a change, by name
	Unread   int         `json:"unread,omitempty"` // files and folders that could not be compared
	Why      []string    `json:"why,omitempty"`    // the first of them, in words
}

// AreaDiff counts the files that changed in one part of a disk. Files are compared by their bytes.
type AreaDiff struct {
	Area         string `json:"area"` // such as /usr, Windows, EFI
	Added        int    `json:"added"`
	Removed      int    `json:"removed"`
	Changed      int    `json:"changed"`
	AddedBytes   uint64 `json:"added_bytes"`
	RemovedBytes uint64 `json:"removed_bytes"`
	ChangedBytes uint64 `json:"changed_bytes"` // as they are in the second version
}

// maxContent bounds the record of one Version's content in bytes of JSON.
const maxContent = 4 << 20

// PutContent keeps what is installed in a version. Packages that would make the record too large are counted only.
func (tx *Tx) PutContent(image string, number int, c Content) error {
	for {
		b, err := json.Marshal(c.Packages)
		if err != nil {
			return fmt.Errorf("write content of %s@%d: %w", image, number, err)
		}
		if len(b) <= maxContent {
			return put(tx, bContents, versionKey(image, number), c)
		}
		keep := len(c.Packages) * maxContent / len(b) * 9 / 10
		c.More += len(c.Packages) - keep
		c.Packages = c.Packages[:keep]
	}
}

// Content reads what is installed in a version; CodeNotLooked when that was never looked at.
func (tx *Tx) Content(image string, number int) (Content, error) {
	c, err := get[Content](tx, bContents, versionKey(image, number))
	if errors.Is(err, ErrNotFound) {
		return c, job.Faultf(job.CodeNotLooked, "%s@%d.", image, number)
	}
	return c, err
}

// SetLooked replaces what a look into a version found: its checklist, its patch level and its content.
func (tx *Tx) SetLooked(image string, number int, checklist []Finding, c Content) (Version, error) {
	v, err := tx.Version(image, number)
	if err != nil {
		return v, err
	}
	v.Checklist, v.Patched = checklist, c.Patched
	if err := put(tx, bVersions, versionKey(image, number), v); err != nil {
		return v, err
	}
	return v, tx.PutContent(image, number, c)
}

// maxNote bounds a change note in bytes.
const maxNote = 1000

// CheckNote reports whether s can be a change note.
func CheckNote(s string) error {
	if s == "" || len(s) > maxNote || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return job.Faultf(job.CodeBadRequest, "A note is one line of text with at most %d characters.", maxNote)
	}
	return nil
}

// SetNote writes a draft's change note. What was released keeps the note under which it was released.
func (tx *Tx) SetNote(image string, number int, note string) (Version, error) {
	v, err := tx.Version(image, number)
	if err != nil {
		return v, err
	}
	if v.State != Draft {
		return v, job.Faultf(job.CodeNoteFixed, "%s is %s.", v.Ref(), v.State)
	}
	v.Note = note
	return v, errors.Join(put(tx, bVersions, versionKey(image, number), v), tx.Restate(v))
}
