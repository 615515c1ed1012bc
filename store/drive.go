package store

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"ingot/firmware/smbios"
	"ingot/imaging/job"
)

// Drive is what is remembered of one internal drive, in whichever laptop it is. It goes with the drive: a drive that
// is seen in another laptop brings it along.
type Drive struct {
	Key        string `json:"key"`
	Serial     string `json:"serial"`
	WWN        string `json:"wwn,omitempty"`
	Model      string `json:"model,omitempty"`
	Transport  string `json:"transport,omitempty"`
	SizeBytes  uint64 `json:"size_bytes,omitempty"`
	Rotational bool   `json:"rotational,omitempty"`

	Device string `json:"device"`          // id of the device in which it was last
	Homes  []Home `json:"homes"`           // oldest first, the present one last; at most maxHomes
	Vague  bool   `json:"vague,omitempty"` // it tells nothing by which it is told from others: no Certificate can be about it

	Seen      time.Time `json:"seen"`             // when it came into that device, or was closed: what a device told before is old
	Owed      time.Time `json:"owed"`             // since then it is to be told what became of its data; zero: nothing is owed
	Begun     job.ID    `json:"begun,omitempty"`  // the wipe that began it and did not see its end
	Closed    uint64    `json:"closed,omitempty"` // number of the newest Evidence about it
	Destroyed bool      `json:"destroyed,omitempty"`
}

// Home is one device in which a drive was.
type Home struct {
	Device string    `json:"device"`
	Label  string    `json:"label"` // of the device at that time
	Since  time.Time `json:"since"`
}

const maxHomes = 50

// Owes reports whether nothing says yet what became of the data on the drive.
func (d Drive) Owes() bool { return !d.Owed.IsZero() }

// Word is the drive as people read it.
func (d Drive) Word() string {
	if d.Serial == "" {
		return "drive " + d.Model + " without a serial"
	}
	return "drive " + d.Serial
}

// driveKeys gives the key of each internal drive of a device, in order, and whether it is vague. Serial and model are
// the key, since they stand on the label too. Two drives that tell the same are told apart by their world-wide names;
// those that tell nothing of their own are known by their place in this device only.
func driveKeys(device string, drives []job.Drive) (keys []string, vague []bool, internal []job.Drive) {
	base, count := make([]string, 0, len(drives)), map[string]int{}
	for _, d := range drives {
		if d.Removable {
			continue
		}
		k := DriveKey(d.Serial, d.Model)
		if k == "" && wwnKey(d.WWN) != "" {
			k = "\x00" + modelKey(d.Model) + "\x00" + wwnKey(d.WWN)
		}
		base, internal = append(base, k), append(internal, d)
		count[k]++
	}
	twice := map[string]int{}
	for i, d := range internal {
		k := base[i]
		if w := wwnKey(d.WWN); k != "" && count[k] > 1 && w != "" {
			k += "\x00" + w
		}
		n := twice[k]
		twice[k]++
		hidden := k == "" || n > 0 || k == base[i] && count[base[i]] > 1
		if hidden {
			k = fmt.Sprintf("\x00%s\x00device %s place %d", modelKey(d.Model), device, i)
		}
		keys, vague = append(keys, k), append(vague, hidden)
	}
	return keys, vague, internal
}

// DriveKey is the key of a drive by what it tells, or its label; "" when the serial says nothing.
func DriveKey(serial, model string) string {
	s := strings.ToLower(strings.Join(strings.Fields(serial), " "))
	if s == "" || smbios.JunkSerial(s) || strings.ContainsRune(s, 0) {
		return ""
	}
	return s + "\x00" + modelKey(model)
}

// modelKey is a model as it stands in a key.
func modelKey(s string) string {
	return strings.ToLower(strings.Join(strings.Fields(strings.ReplaceAll(s, "\x00", "")), " "))
}

// Drive reads one drive by its key.
func (tx *Tx) Drive(key string) (Drive, error) { return get[Drive](tx, bDrives, []byte(key)) }

// Drives lists every drive that is known.
func (tx *Tx) Drives() ([]Drive, error) { return all[Drive](tx, bDrives) }

// DrivesBySerial lists the drives that tell a serial: makers use serials again.
func (tx *Tx) DrivesBySerial(serial string) ([]Drive, error) {
	key := DriveKey(serial, "")
	if key == "" {
		return nil, nil
	}
	var out []Drive
	err := each(tx, bDrives, []byte(key), func(_ []byte, d Drive) error { out = append(out, d); return nil })
	return out, err
}

// DrivesOf lists the drives that are, or ever were, in a device.
func (tx *Tx) DrivesOf(device string) ([]Drive, error) {
	var out []Drive
	err := each(tx, bDriveBy, append([]byte(device), 0), func(_ []byte, key string) error {
		d, err := tx.Drive(key)
		out = append(out, d)
		return err
	})
	return out, err
}

func (tx *Tx) putDrive(d Drive) error {
	return errors.Join(put(tx, bDrives, []byte(d.Key), d), put(tx, bDriveBy, append(append([]byte(d.Device), 0), d.Key...), d.Key))
}

// keepDrives takes down which drives are in a device. One that nobody adopted, or that is quarantined, may tell what it
// likes: it takes no drive from another.
func (tx *Tx) keepDrives(d Device, owing bool) error {
	if d.State == New || d.State == Quarantined {
		return nil
	}
	keys, vague, internal := driveKeys(d.ID, d.Drives)
	for i, told := range internal {
		rec, err := tx.Drive(keys[i])
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		was := rec
		if was.Key != "" && !d.Seen.After(was.Seen) && (was.Device != d.ID || was.Destroyed) {
			continue // the device says what it said before the drive left it
		}
		rec.Key, rec.Vague, rec.Serial, rec.WWN, rec.Model = keys[i], vague[i], strings.TrimSpace(told.Serial), told.WWN, strings.TrimSpace(told.Model)
		rec.Transport, rec.SizeBytes, rec.Rotational = told.Transport, told.SizeBytes, told.Rotational
		if err := tx.settleDrive(&rec, d, owing); err != nil {
			return err
		}
		if rec.differs(was) {
			if err := tx.putDrive(rec); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d Drive) differs(o Drive) bool {
	return d.Key != o.Key || d.Serial != o.Serial || d.WWN != o.WWN || d.Model != o.Model || d.Transport != o.Transport || d.SizeBytes != o.SizeBytes ||
		d.Rotational != o.Rotational || d.Device != o.Device || len(d.Homes) != len(o.Homes) || d.Vague != o.Vague || d.Destroyed != o.Destroyed || !d.Owed.Equal(o.Owed)
}

// settleDrive says what it means that a drive is seen in a device now.
func (tx *Tx) settleDrive(rec *Drive, d Device, owing bool) error {
	var notes []error
	moved := rec.Device != d.ID
	if moved {
		if rec.Device != "" {
			text := fmt.Sprintf("%s was in %s and is in %s now.", capital(rec.Word()), rec.Homes[len(rec.Homes)-1].Label, d.Label())
			if rec.Owes() {
				text += " What became of its data is still to be told."
			}
			notes = append(notes, tx.Audit("ingot", "drive moved", rec.Device, text), tx.Audit("ingot", "drive moved", d.ID, text))
		}
		rec.Device, rec.Seen = d.ID, d.Seen
		rec.Homes = append(rec.Homes[:len(rec.Homes):len(rec.Homes)], Home{d.ID, d.Label(), tx.now})
		rec.Homes = rec.Homes[max(0, len(rec.Homes)-maxHomes):]
	}
	switch {
	case rec.Destroyed:
		rec.Destroyed, rec.Owed = false, tx.now
		notes = append(notes, tx.Audit("ingot", "alarm", d.ID, fmt.Sprintf("%s was recorded as destroyed and is in %s.", capital(rec.Word()), d.Label())))
	case moved && owing && !rec.Owes(): // whatever it held elsewhere has come along
		rec.Owed = tx.now
	}
	return errors.Join(notes...)
}

// LeaveBegun notes that a wipe began a drive and did not see how that ended; an empty id, that a new one begins.
func (tx *Tx) LeaveBegun(key string, by job.ID) error {
	d, err := tx.Drive(key)
	if err != nil {
		return err
	}
	d.Begun = by
	return tx.putDrive(d)
}

// oweAll makes every drive that is in a device owe a record: it came back from somebody.
func (tx *Tx) oweAll(device string) error {
	all, err := tx.DrivesOf(device)
	for _, d := range all {
		if d.Device == device && !d.Destroyed {
			d.Owed = tx.now
			err = errors.Join(err, tx.putDrive(d))
		}
	}
	return err
}

// MoveDrives gives the drives of a record that is no more to the one that it has become, with all that they owe: a drive
// that was absent under the one is absent under the other. One that tells nothing is known there by its new place.
func (tx *Tx) MoveDrives(from, into Device) error {
	all, err := tx.DrivesOf(from.ID)
	for _, r := range all {
		if r.Device != from.ID || r.Vague && !r.Owes() {
			continue
		}
		r.Device = into.ID
		r.Homes = append(r.Homes[:len(r.Homes):len(r.Homes)], Home{into.ID, into.Label(), tx.now})
		r.Homes = r.Homes[max(0, len(r.Homes)-maxHomes):]
		if into.Owing && !r.Destroyed && !r.Owes() {
			r.Owed = tx.now
		}
		err = errors.Join(err, tx.putDrive(r))
	}
	return err
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Present is an internal drive that a device told of when it was last seen, with its key.
type Present struct {
	Key   string
	Vague bool
	Drive job.Drive
}

// InternalDrives are the drives of a device as it was last seen.
func InternalDrives(d Device) []Present {
	keys, vague, internal := driveKeys(d.ID, d.Drives)
	out := make([]Present, len(keys))
	for i := range keys {
		out[i] = Present{keys[i], vague[i], internal[i]}
	}
	return out
}
