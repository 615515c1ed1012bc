package cert

import (
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"ingot/imaging/job"
)

// Roles of people in a record.
const (
	RoleOrdered   = "ordered"
	RoleAgreed    = "agreed"
	RoleDid       = "carried out"
	RoleWitnessed = "witnessed"
	RoleRecorded  = "recorded"
)

// maxText bounds what a person writes into a record, in bytes.
const maxText = 300

// Destroy signs that a drive is no more. Two people stand for it with different names, and something outside of this
// server says the same: a vendor's reference, or a photo whose digest is here.
func (s *Signer) Destroy(f Frame, drive Drive, d Destroyed) (Record, []byte, error) {
	r, err := f.record(Destruction)
	if err != nil {
		return r, nil, err
	}
	if err := d.check(drive, f); err != nil {
		return r, nil, err
	}
	d.Time = d.Time.UTC().Truncate(1e9)
	r.Drive, r.Destroyed = drive, &d
	file, err := s.seal(r)
	return r, file, err
}

func (d Destroyed) check(drive Drive, f Frame) error {
	refuse := func(format string, args ...any) error { return job.Faultf(job.CodeDestruction, format, args...) }
	for _, t := range []struct{ what, text string }{{"serial", drive.Serial}, {"method", d.Method}, {"place", d.Place}, {"reason", d.Why}} {
		if strings.TrimSpace(t.text) == "" {
			return refuse("The %s is missing.", t.what)
		}
	}
	for _, t := range []string{drive.Serial, drive.Model, d.Method, d.Place, d.Why, d.Reference, d.PhotoSHA256} {
		if len(t) > maxText || !utf8.ValidString(t) || strings.ContainsFunc(t, unicode.IsControl) {
			return refuse("%.40q is not one line of at most %d characters.", t, maxText)
		}
	}
	names := map[string]bool{}
	for _, p := range d.People {
		if p.Role == RoleDid || p.Role == RoleWitnessed {
			n := heard(p.Name)
			if n == "" || len(p.Name) > maxText || strings.ContainsFunc(p.Name, unicode.IsControl) {
				return refuse("Who carried it out, and who saw it, have names.")
			}
			names[n] = true
		}
	}
	switch {
	case len(names) != 2:
		return refuse("Two different people stand for it: who carried it out, and who saw it.")
	case d.Reference == "" && d.PhotoSHA256 == "":
		return refuse("The vendor's reference, or the SHA-256 of a photo, is missing.")
	case d.PhotoSHA256 != "" && !isSHA256(d.PhotoSHA256):
		return refuse("The digest of a photo is its SHA-256: 64 hexadecimal digits.")
	case d.Time.IsZero() || d.Time.After(f.Issued.Add(clockSlack)):
		return refuse("The time at which it happened lies in the future, or is missing.")
	}
	return nil
}

// heard is what of a name is spoken: blanks, signs, what nobody sees, and how its accents are put together (Unicode
// Annex 15) make no other person of it.
func heard(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.L, unicode.N, unicode.M) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && !unicode.Is(unicode.Variation_Selector, r) {
			return unicode.ToLower(r)
		}
		return -1
	}, norm.NFKC.String(name))
}

func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
