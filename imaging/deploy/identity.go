package deploy

import (
	"strings"

	"ingot/store"
)

// agreement is how one kind of fact stands between what a laptop tells and what a record knows.
type agreement int

const (
	unknown agreement = iota // the laptop or the record does not know it
	agrees
	differs
)

// comparison holds a laptop against one record.
type comparison struct {
	serial, uuid, mac, drive agreement
}

// standing is what a record is to a laptop.
type standing int

const (
	hint     standing = iota // at most one weak fact points to it: nothing follows from that
	same                     // it is this laptop's record
	disputed                 // facts point to it, and facts speak against it: a person decides
)

// standing is the one table of who a laptop is. Serial (with its manufacturer), UUID and built-in adapter are facts
// of the board; serial and UUID are strong. Facts that several laptops tell, and junk, were dropped before.
//
//	what agrees                              what differs                  the record is
//	a serial, a UUID, or adapter and drive   serial, UUID or adapter       disputed: another board, or another laptop
//	one fact of the board                    the drive                     disputed: nothing else vouches for it
//	two facts of the board                   only the drive                the same: its drive was replaced
//	a serial, a UUID, or adapter and drive   nothing                       the same
//	one adapter or one drive, or nothing     anything                      a hint
func (c comparison) standing() standing {
	board := 0
	for _, a := range []agreement{c.serial, c.uuid, c.mac} {
		if a == agrees {
			board++
		}
	}
	switch {
	case c.serial != agrees && c.uuid != agrees && (c.mac != agrees || c.drive != agrees):
		return hint
	case c.serial == differs, c.uuid == differs, c.mac == differs:
		return disputed
	case c.drive == differs && board < 2:
		return disputed
	}
	return same
}

// anyDiffers reports whether some fact says that these are two laptops.
func (c comparison) anyDiffers() bool {
	return c.serial == differs || c.uuid == differs || c.mac == differs || c.drive == differs
}

// anyAgrees reports whether some fact says that this is one laptop.
func (c comparison) anyAgrees() bool {
	return c.serial == agrees || c.uuid == agrees || c.mac == agrees || c.drive == agrees
}

// compare holds what a laptop tells against what a record knows.
func compare(told, known store.Facts) comparison {
	return comparison{
		serial: compareText(told.Serial, known.Serial),
		uuid:   compareText(told.UUID, known.UUID),
		mac:    compareSets(told.MACs, known.MACs, func(a, b string) bool { return a == b }),
		drive:  compareSets(told.Drives, known.Drives, sameDrive),
	}
}

func compareText(a, b string) agreement {
	switch {
	case a == "" || b == "":
		return unknown
	case a == b:
		return agrees
	}
	return differs
}

// compareSets: one member in common is enough, since a laptop may have several adapters and drives.
func compareSets[T any](a, b []T, equal func(T, T) bool) agreement {
	if len(a) == 0 || len(b) == 0 {
		return unknown
	}
	for _, x := range a {
		for _, y := range b {
			if equal(x, y) {
				return agrees
			}
		}
	}
	return differs
}

// sameDrive: world-wide names decide where both have one, unless the serials say that a maker used one name twice.
func sameDrive(a, b store.DriveID) bool {
	serials := compareText(a.Serial, b.Serial)
	if a.WWN != "" && b.WWN != "" {
		return a.WWN == b.WWN && serials != differs
	}
	return serials == agrees && a.Model == b.Model
}

// candidate is a record to which at least one fact of a laptop points.
type candidate struct {
	device store.Device
	facts  store.Facts
}

// ruling is the answer to "which laptop is this?": a record; or a conflict, in words; or neither, for a laptop that
// is not known.
type ruling struct {
	device   *store.Device
	conflict string
}

// judge rules over everything that was gathered. It never picks one of several: two records to which facts point,
// a disputed one, or a drive that is known to be another laptop's, need a person.
func judge(told store.Facts, all []candidate) ruling {
	var mine *candidate
	claims := 0
	for i, c := range all {
		switch compare(told, c.facts).standing() {
		case same:
			mine = &all[i]
			claims++
		case disputed:
			claims++
		}
	}
	if claims == 0 {
		return ruling{}
	}
	if claims == 1 && mine != nil && !bringsDriveOf(told, *mine, all) {
		return ruling{device: &mine.device}
	}
	return ruling{conflict: conflictWords(told, all)}
}

// bringsDriveOf reports whether a laptop that is known holds a drive that stands with another record and not with its
// own. A record that nobody adopted and that has no strong fact may be this laptop's own earlier start.
func bringsDriveOf(told store.Facts, mine candidate, all []candidate) bool {
	for _, c := range all {
		if c.device.ID == mine.device.ID || anonymous(c.device) {
			continue
		}
		for _, d := range told.Drives {
			if contains(c.facts.Drives, d) && !contains(mine.facts.Drives, d) {
				return true
			}
		}
	}
	return false
}

func contains(drives []store.DriveID, d store.DriveID) bool {
	return compareSets(drives, []store.DriveID{d}, sameDrive) == agrees
}

// anonymous reports whether a record is only a start that was seen: nobody adopted it, and no strong fact tells it
// from others.
func anonymous(d store.Device) bool { return d.State == store.New && !d.Facts().Strong() }

// conflictWords says which fact points to which record, and what speaks against it.
func conflictWords(told store.Facts, all []candidate) string {
	var out []string
	for _, c := range all {
		x := compare(told, c.facts)
		with, against := x.words(agrees), x.words(differs)
		if len(with) == 0 || anonymous(c.device) {
			continue
		}
		s := "Its " + strings.Join(with, " and ") + map[bool]string{true: " belongs", false: " belong"}[len(with) == 1] + " to " + c.device.Label()
		if len(against) > 0 {
			s += ", which has another " + strings.Join(against, " and another ")
		}
		out = append(out, s+".")
	}
	return strings.Join(out, " ")
}

// words names the kinds of facts that stand so.
func (c comparison) words(a agreement) []string {
	var out []string
	for _, x := range []struct {
		is   agreement
		word string
	}{{c.serial, "serial"}, {c.uuid, "UUID"}, {c.mac, "adapter"}, {c.drive, "drive"}} {
		if x.is == a {
			out = append(out, x.word)
		}
	}
	return out
}
