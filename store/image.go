package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ingot/imaging"
	"ingot/imaging/job"
)

// Image is a line of golden images.
type Image struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	By      string    `json:"by"`
	Last    int       `json:"last"` // number of the newest Version

	Current     int          `json:"current,omitempty"`      // number of the Version that laptops receive; 0: none was released
	CadenceDays int          `json:"cadence_days,omitempty"` // renew it every so many days; 0: nobody said
	Acts        []VersionAct `json:"acts,omitempty"`         // which Version became current when; oldest first
}

// VersionState is how far a Version may be used.
type VersionState string

// A released Version may be deployed, a draft on trial; a retired one no more, a withdrawn one never again.
const (
	Draft     VersionState = "draft"
	Released  VersionState = "released"
	Retired   VersionState = "retired"
	Withdrawn VersionState = "withdrawn"
)

// Version is one immutable build of an Image.
type Version struct {
	Image       string         `json:"image"`
	Number      int            `json:"number"` // from 1
	Label       string         `json:"label"`
	Note        string         `json:"note"`
	State       VersionState   `json:"state"`
	Manifest    imaging.Digest `json:"manifest"`
	Created     time.Time      `json:"created"`
	By          string         `json:"by"`
	Source      string         `json:"source"`      // the file's name, for people
	DiskSize    uint64         `json:"disk_size"`   // bytes of the imaged disk
	NeedBytes   uint64         `json:"need_bytes"`  // the smallest drive that holds it
	SectorSize  int            `json:"sector_size"` // logical
	Table       string         `json:"table"`       // gpt, mbr or none
	DataExtents uint64         `json:"data_extents"`
	ZeroExtents uint64         `json:"zero_extents"`
	FreeExtents uint64         `json:"free_extents"`
	DataBytes   uint64         `json:"data_bytes"`
	ZeroBytes   uint64         `json:"zero_bytes"`
	FreeBytes   uint64         `json:"free_bytes"`
	StoredBytes uint64         `json:"stored_bytes"` // new compressed bytes that this import added
	OS          string         `json:"os"`           // PRETTY_NAME, or what was found
	Firmware    []string       `json:"firmware"`     // modes that it can start in: uefi, bios; empty when unknown
	Personalise string         `json:"personalise"`  // "linux", or "" when a Name cannot be written
	RootPart    int            `json:"root_part"`
	GrowPart    int            `json:"grow_part"`
	SwapPart    int            `json:"swap_part"`
	Loaders     []job.Loader   `json:"loaders,omitempty"`      // by which UEFI firmware starts it, and who signed them
	MemoryBytes uint64         `json:"memory_bytes,omitempty"` // installed memory that it needs; 0 when nobody said
	GrowWhy     string         `json:"grow_why,omitempty"`     // one sentence: why no larger drive than the imaged disk is taken; empty when one is
	Kind        VersionKind    `json:"kind,omitempty"`
	Device      string         `json:"device,omitempty"`     // id of the device that it was captured from; empty for an imported disk file
	Expires     time.Time      `json:"expires,omitzero"`     // when a backup may go; zero for a golden version
	Patched     time.Time      `json:"patched,omitzero"`     // the date of the newest update in it; zero when unknown
	Checklist   []Finding      `json:"checklist,omitempty"`  // what the look inside found; see package inspect
	DraftNote   string         `json:"draft_note,omitempty"` // what Ingot would write as the change note
	Override    string         `json:"override,omitempty"`   // why it was released in spite of red findings
	Acts        []VersionAct   `json:"acts,omitempty"`       // its life, oldest first
	Deleted     bool           `json:"deleted,omitempty"`    // its content was given up; the record stays
	Origin      string         `json:"origin,omitempty"`     // "NAME@NUMBER of KEY": the version of another server that this one is a copy of
}

// VersionKind is what a Version is for.
type VersionKind string

// A golden Version goes onto any laptop of its role; a backup only back onto the Device that it came from.
const (
	Golden VersionKind = ""
	Backup VersionKind = "backup"
)

// Severity is how much a Finding weighs.
type Severity string

// A red Finding blocks the release until a person overrides it with a reason; yellow is to be read; green was
// looked at and is in order.
const (
	Green  Severity = "green"
	Yellow Severity = "yellow"
	Red    Severity = "red"
)

// Finding is one line of a Version's checklist: what was looked at, and what to do.
type Finding struct {
	Check    string   `json:"check"` // stable name of the check, such as "linux-machine-id"
	Severity Severity `json:"severity"`
	Fact     string   `json:"fact"`           // one sentence for people
	Next     string   `json:"next,omitempty"` // what to run on the reference machine; empty when green
}

// Ref is the version as a job names it.
func (v Version) Ref() job.ImageRef {
	return job.ImageRef{Name: v.Image, Number: v.Number, Manifest: v.Manifest}
}

// Needs is what the version asks of a laptop.
func (v Version) Needs() job.Needs {
	return job.Needs{Firmware: v.Firmware, Loaders: v.Loaders, MemoryBytes: v.MemoryBytes}
}

// CheckLabel reports whether s can name an image or a role: 1 to 40 letters, digits, dots, hyphens and
// underscores, the first a letter or digit.
func CheckLabel(what, s string) error {
	ok := s != "" && len(s) <= 40 && alnum(s[0])
	for i := 0; ok && i < len(s); i++ {
		ok = alnum(s[i]) || strings.IndexByte(".-_", s[i]) >= 0
	}
	if !ok {
		return job.Faultf(job.CodeBadRequest, "%.60q cannot name %s: use 1 to 40 letters, digits, dots, hyphens, underscores.", s, what)
	}
	return nil
}

// CheckWords reports whether a version may have this label and this change note.
func CheckWords(label, note string) error {
	if strings.Contains(label, "@") || len(label) > 60 || len(note) > 1000 {
		return job.Faultf(job.CodeBadRequest, "A label has at most 60 characters and no @, a note at most 1000.")
	}
	if strings.ContainsFunc(label+note, unicode.IsControl) || !utf8.ValidString(label+note) {
		return job.Faultf(job.CodeBadRequest, "A label and a note are one line of text each.")
	}
	return nil
}

func versionKey(image string, number int) []byte {
	return binary.BigEndian.AppendUint32(append([]byte(image), 0), uint32(number))
}

// AddVersion gives v the next number of its Image, making the Image when it is new. Content that the Image
// holds already is not added again: that Version is returned with false.
func (tx *Tx) AddVersion(v Version) (Version, bool, error) {
	if err := CheckLabel("an image", v.Image); err != nil {
		return v, false, err
	}
	img, err := get[Image](tx, bImages, []byte(v.Image))
	if errors.Is(err, ErrNotFound) {
		img = Image{Name: v.Image, Created: tx.now, By: v.By}
	} else if err != nil {
		return v, false, err
	}
	old, err := tx.Versions(v.Image)
	if err != nil {
		return v, false, err
	}
	for _, o := range old {
		if o.Manifest == v.Manifest && o.Kind == v.Kind && (v.Kind == Golden || o.Device == v.Device) && o.State != Withdrawn && !o.Deleted {
			return o, false, nil
		}
	}
	img.Last++
	v.Number, v.Created = img.Last, tx.now
	if v.Deployable() {
		img.Current = v.Number
		img.Acts = remember(img.Acts, VersionAct{tx.now, v.By, "current", v.Number, ""})
	}
	if err := put(tx, bImages, []byte(img.Name), img); err != nil {
		return v, false, err
	}
	return v, true, errors.Join(put(tx, bVersions, versionKey(v.Image, v.Number), v), tx.state(v))
}

// Images lists every image.
func (tx *Tx) Images() ([]Image, error) { return all[Image](tx, bImages) }

// Versions lists the versions of one image, or of every image when image is empty, oldest first.
func (tx *Tx) Versions(image string) ([]Version, error) {
	var prefix []byte
	if image != "" {
		prefix = append([]byte(image), 0)
	}
	var out []Version
	err := each(tx, bVersions, prefix, func(_ []byte, v Version) error { out = append(out, v); return nil })
	return out, err
}

// Version reads one version.
func (tx *Tx) Version(image string, number int) (Version, error) {
	if number < 1 || number > 1<<31 {
		return Version{}, fmt.Errorf("version %d: %w", number, ErrNotFound)
	}
	return get[Version](tx, bVersions, versionKey(image, number))
}

// Image reads one image.
func (tx *Tx) Image(name string) (Image, error) {
	img, err := get[Image](tx, bImages, []byte(name))
	if errors.Is(err, ErrNotFound) {
		return img, job.Faultf(job.CodeNotFound, "No image %.60q.", name)
	}
	return img, err
}

// FindVersion finds what a person means by NAME or NAME@NUMBER or NAME@LABEL; without a version it is the current
// one. Whether the version may be deployed is for the caller to ask.
func (tx *Tx) FindVersion(ref string) (Version, error) {
	name, want, pinned := strings.Cut(ref, "@")
	if CheckLabel("an image", name) != nil { // a name with a NUL would reach into the middle of a key
		return Version{}, job.Faultf(job.CodeNotFound, "No image %.60q.", name)
	}
	img, err := tx.Image(name)
	if err != nil {
		return Version{}, err
	}
	all, err := tx.Versions(name)
	if err != nil {
		return Version{}, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		v := all[i]
		if pinned && want != "" && (strconv.Itoa(v.Number) == want || v.Label == want) || !pinned && v.Number == img.Current && v.Deployable() {
			return v, nil
		}
	}
	if !pinned {
		return Version{}, job.Faultf(job.CodeNotReleased, "%s has no current version.", name)
	}
	return Version{}, job.Faultf(job.CodeNotFound, "No version %.60q.", ref)
}

// Deployable reports whether the version may be put on any laptop without a further word.
func (v Version) Deployable() bool { return v.State == Released && v.Kind == Golden && !v.Deleted }

// Word is the version's state for people.
func (v Version) Word() string {
	switch {
	case v.Deleted:
		return "deleted"
	case v.Kind == Backup && v.State == Draft:
		return "a backup"
	}
	return string(v.State)
}
