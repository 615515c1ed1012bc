package store

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ingot/imaging/job"
)

// MaxName is the longest Name in characters: NetBIOS leaves 15.
const MaxName = 15

// CheckName reports whether name is valid as a NetBIOS and a DNS host name (RFC 1123, 2.1) in one: 1 to 15
// letters, digits and hyphens, no hyphen at an end, not digits only.
func CheckName(name string) error {
	if name == "" || len(name) > MaxName {
		return job.Faultf(job.CodeNameInvalid, "%.40q has %d characters.", name, len(name))
	}
	if name[0] == '-' || name[len(name)-1] == '-' {
		return job.Faultf(job.CodeNameInvalid, "%q has a hyphen at an end.", name)
	}
	digits := true
	for i := 0; i < len(name); i++ {
		if !alnum(name[i]) && name[i] != '-' {
			return job.Faultf(job.CodeNameInvalid, "%q holds the character %q.", name, name[i])
		}
		digits = digits && name[i] >= '0' && name[i] <= '9'
	}
	if digits {
		return job.Faultf(job.CodeNameInvalid, "%q is a number.", name)
	}
	return nil
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// piece is one part of a pattern: text, or a field with an optional number behind the colon.
type piece struct {
	text  string // literal text when field is empty
	field string // serial, asset, model or seq
	n     int    // serial: last n when negative, first n when positive; seq: digits
}

// Pattern makes Names: text with {serial} {serial:-7} {asset} {model} {seq:4}.
type Pattern struct {
	text   string
	pieces []piece
}

// ParsePattern reads a pattern of at most 100 characters.
func ParsePattern(s string) (Pattern, error) {
	if s == "" || len(s) > 100 {
		return Pattern{}, job.Faultf(job.CodeNameInvalid, "A pattern has 1 to 100 characters.")
	}
	p := Pattern{text: s}
	for rest := s; rest != ""; {
		open := strings.IndexByte(rest, '{')
		if open != 0 {
			text := rest
			if open > 0 {
				text = rest[:open]
			}
			p.pieces, rest = append(p.pieces, piece{text: text}), rest[len(text):]
			continue
		}
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return Pattern{}, job.Faultf(job.CodeNameInvalid, "The pattern %q lacks a closing brace.", s)
		}
		f, err := parseField(rest[1:end])
		if err != nil {
			return Pattern{}, err
		}
		p.pieces, rest = append(p.pieces, f), rest[end+1:]
	}
	return p, nil
}

func parseField(s string) (piece, error) {
	name, arg, has := strings.Cut(s, ":")
	p := piece{field: name}
	if has {
		n, err := strconv.Atoi(arg)
		if err != nil || n == 0 || n < -MaxName || n > MaxName {
			return p, job.Faultf(job.CodeNameInvalid, "The pattern holds {%s}: the number is 1 to %d.", s, MaxName)
		}
		p.n = n
	}
	switch {
	case name == "serial", name == "asset" && !has, name == "model" && !has:
		return p, nil
	case name == "seq" && (p.n > 0 || !has):
		if !has {
			p.n = 1
		}
		return p, nil
	}
	return p, job.Faultf(job.CodeNameInvalid, "The pattern holds {%s}; known are {serial} {serial:-7} {asset} {model} {seq:4}.", s)
}

// HasSequence reports whether the pattern counts.
func (p Pattern) HasSequence() bool {
	for _, x := range p.pieces {
		if x.field == "seq" {
			return true
		}
	}
	return false
}

// expand makes the Name for a device and a sequence number. A fact that the device lacks, or a number that
// outgrew its digits, is refused: a Name is never cut to fit.
func (p Pattern) expand(d Device, seq uint64) (string, error) {
	var b strings.Builder
	for _, x := range p.pieces {
		s := x.text
		switch x.field {
		case "serial":
			s = part(hostChars(d.Serial), x.n)
		case "asset":
			s = hostChars(d.Asset)
		case "model":
			s = hostChars(d.Model)
		case "seq":
			if s = fmt.Sprintf("%0*d", x.n, seq); x.n > 1 && len(s) > x.n {
				return "", job.Faultf(job.CodeNameInvalid, "The numbers of the pattern %q are used up.", p.text)
			}
		}
		if x.field != "" && s == "" {
			return "", job.Faultf(job.CodeNameInvalid, "The pattern %q wants the device's %s, which it lacks.", p.text, x.field)
		}
		b.WriteString(s)
	}
	return b.String(), CheckName(b.String())
}

// hostChars joins the runs of letters and digits with single hyphens: "OptiPlex 7090 " becomes "OptiPlex-7090".
func hostChars(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r > 127 || !alnum(byte(r)) }), "-")
}

// part is the first n characters, the last -n, or all when n is 0 or s is shorter.
func part(s string, n int) string {
	switch {
	case n > 0 && n < len(s):
		return s[:n]
	case n < 0 && -n < len(s):
		return s[len(s)+n:]
	}
	return s
}

// Reserve gives the device this Name, unique among all devices whatever its case, and lets go of the Name that
// it held before. The caller writes the device in the same transaction.
func (tx *Tx) Reserve(d *Device, name string) error {
	if err := tx.claimName(d.ID, name); err != nil {
		return err
	}
	old := d.Name
	d.Name = name
	if strings.EqualFold(d.NextName, name) {
		d.NextName = ""
	}
	return tx.freeName(*d, old)
}

// ReserveNext reserves a second Name for the device: the one that a rename gives it. It holds both until TakeNext or
// DropNext. The caller writes the device in the same transaction.
func (tx *Tx) ReserveNext(d *Device, name string) error {
	if err := tx.claimName(d.ID, name); err != nil {
		return err
	}
	old := d.NextName
	d.NextName = name
	return tx.freeName(*d, old)
}

// TakeNext makes the second Name the device's own and frees the first.
func (tx *Tx) TakeNext(d *Device) error {
	if d.NextName == "" {
		return nil
	}
	old := d.Name
	d.Name, d.NextName = d.NextName, ""
	return tx.freeName(*d, old)
}

// DropNext frees the second Name.
func (tx *Tx) DropNext(d *Device) error {
	old := d.NextName
	d.NextName = ""
	return tx.freeName(*d, old)
}

// claimName reserves a valid Name that is free or the device's already.
func (tx *Tx) claimName(id, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	key := []byte(strings.ToLower(name))
	owner, err := get[string](tx, bByName, key)
	switch {
	case err == nil && owner != id:
		return job.Faultf(job.CodeNameTaken, "%q belongs to device %s.", name, owner)
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	}
	return put(tx, bByName, key, id)
}

// freeName lets go of a Name that the device does not hold any more, neither as its own nor as its next.
func (tx *Tx) freeName(d Device, name string) error {
	if name == "" || strings.EqualFold(name, d.Name) || strings.EqualFold(name, d.NextName) {
		return nil
	}
	return tx.remove(bByName, []byte(strings.ToLower(name)))
}

// ReservePattern gives the device the pattern's Name. A pattern that counts takes the next free number; any
// other Name that is taken is refused.
func (tx *Tx) ReservePattern(d *Device, p Pattern) error {
	return tx.byPattern(d, p, tx.Reserve)
}

// ReserveNextPattern is ReserveNext with the pattern's Name.
func (tx *Tx) ReserveNextPattern(d *Device, p Pattern) error {
	return tx.byPattern(d, p, tx.ReserveNext)
}

func (tx *Tx) byPattern(d *Device, p Pattern, reserve func(*Device, string) error) error {
	if !p.HasSequence() {
		name, err := p.expand(*d, 0)
		if err != nil {
			return err
		}
		return reserve(d, name)
	}
	last, err := get[uint64](tx, bSequences, []byte(p.text))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	for {
		last++
		name, err := p.expand(*d, last)
		if err != nil {
			return err
		}
		err = reserve(d, name)
		var taken *job.Fault
		if errors.As(err, &taken) && taken.Code == job.CodeNameTaken {
			continue // ends: the digits run out, or the name grows beyond MaxName
		}
		if err != nil {
			return err
		}
		return put(tx, bSequences, []byte(p.text), last)
	}
}

// WouldName reports why the pattern cannot name the device, without reserving anything.
func (tx *Tx) WouldName(d Device, p Pattern) error {
	if d.Name != "" {
		return nil
	}
	last, err := get[uint64](tx, bSequences, []byte(p.text))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	name, err := p.expand(d, last+1)
	if err != nil || p.HasSequence() {
		return err
	}
	if owner := tx.owner(bByName, strings.ToLower(name)); owner != "" && owner != d.ID {
		return job.Faultf(job.CodeNameTaken, "%q belongs to device %s.", name, owner)
	}
	return nil
}

// FreeNames lets go of every Name of a device that leaves the house. The caller writes the device.
func (tx *Tx) FreeNames(d *Device) error {
	name, next := d.Name, d.NextName
	d.Name, d.NextName = "", ""
	return errors.Join(tx.freeName(*d, name), tx.freeName(*d, next))
}
