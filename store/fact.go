package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ingot/firmware/smbios"
	"ingot/imaging/job"
)

// FactKind is a kind of thing by which a laptop is known again.
type FactKind string

// The kinds. A serial with its manufacturer and a UUID are strong, one adapter or one drive is weak. Wire is no fact
// about a laptop: a cable, a dongle or a dock goes from one to the next.
const (
	FactSerial FactKind = "serial"  // manufacturer NUL serial, folded
	FactUUID   FactKind = "uuid"    // in the lower of both byte orders
	FactMAC    FactKind = "adapter" // address of a built-in adapter
	FactDrive  FactKind = "drive"   // world-wide name of an internal drive
	FactWire   FactKind = "wire"    // address that the firmware or the agent used on the network
)

// Fact is one value of a kind.
type Fact struct {
	Kind  FactKind `json:"kind"`
	Value string   `json:"value"`
}

// String is the fact as people read it: "serial PF3ABC12".
func (f Fact) String() string {
	if _, serial, ok := strings.Cut(f.Value, "\x00"); ok && f.Kind == FactSerial {
		return "serial " + strings.ToUpper(serial)
	}
	return string(f.Kind) + " " + f.Value
}

func (f Fact) key() []byte { return []byte(string(f.Kind) + "\x00" + f.Value) }

// Facts are the believable part of what one laptop tells about itself. An empty field is not known.
type Facts struct {
	Serial string
	UUID   string
	MACs   []string // built-in adapters
	Drives []DriveID
}

// DriveID is what tells one drive from another. Serial and model only corroborate: makers use serials again.
type DriveID struct {
	WWN    string // empty when the drive has none, or one that is made of its serial and model
	Serial string
	Model  string
}

// SerialKey is the form in which a serial is compared, or "" when it, or its manufacturer, says nothing.
func SerialKey(maker, serial string) string {
	m := smbios.Maker(maker)
	if m == "" || smbios.JunkSerial(serial) {
		return ""
	}
	return m + "\x00" + strings.ToLower(strings.Join(strings.Fields(serial), " "))
}

// UUIDKey is the form of a UUID that both byte orders share, or "" when it is junk or unreadable.
func UUIDKey(s string) string {
	u, err := smbios.ParseUUID(s)
	if err != nil || u.Junk() {
		return ""
	}
	return u.Canonical().String()
}

// DriveIDs are the identities of the internal drives of a laptop.
func DriveIDs(drives []job.Drive) []DriveID {
	var out []DriveID
	for _, d := range drives {
		id := DriveID{WWN: wwnKey(d.WWN), Model: strings.TrimSpace(d.Model)}
		if s := strings.TrimSpace(d.Serial); !smbios.JunkSerial(s) {
			id.Serial = strings.ToLower(s)
		}
		if !d.Removable && (id.WWN != "" || id.Serial != "") {
			out = append(out, id)
		}
	}
	return out
}

// wwnKey is a drive's world-wide name if it can tell one drive from all others. Linux makes "nvme." and "t10." names
// of serial and model; a name of zeros is one that the maker left out.
func wwnKey(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	_, id, ok := strings.Cut(s, ".")
	if !ok {
		id = s
	}
	if strings.HasPrefix(s, "nvme.") || strings.HasPrefix(s, "t10.") || len(id) < 7 || len(strings.Trim(id, "0-")) < 4 || strings.Count(id, id[:1]) == len(id) {
		return ""
	}
	return s
}

// Facts are what the record knows its laptop by.
func (d Device) Facts() Facts {
	f := Facts{Serial: d.SerialKey, UUID: d.UUIDKey, MACs: d.BuiltIn, Drives: DriveIDs(d.Drives)}
	if d.DriveGone {
		f.Drives = append(f.Drives, DriveID{}) // equals no drive: whatever it has now is another one
	}
	return f
}

// List gives the facts one by one, those that lead to a record in an index.
func (f Facts) List() []Fact {
	var out []Fact
	add := func(k FactKind, v string) {
		if x := (Fact{k, v}); v != "" && !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	add(FactSerial, f.Serial)
	add(FactUUID, f.UUID)
	for _, m := range f.MACs {
		add(FactMAC, m)
	}
	for _, d := range f.Drives {
		add(FactDrive, d.WWN)
	}
	return out
}

// Strong reports whether one of the facts alone may lead to a record.
func (f Facts) Strong() bool { return f.Serial != "" || f.UUID != "" }

// indexed are the facts and wire addresses under which a device is found.
func (d Device) indexed() []Fact {
	out := d.Facts().List()
	for _, m := range d.MACs {
		if f := (Fact{FactWire, m}); m != "" && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// index writes what a device is found by. A quarantined device claims facts that may be another's: it keeps what it
// had and gets nothing new. A strong fact of another device is refused.
func (tx *Tx) index(old, d Device) error {
	now := d.indexed()
	for _, f := range old.indexed() {
		if !slices.Contains(now, f) {
			if err := tx.remove(bByFact, factKey(f, d.ID)); err != nil {
				return err
			}
		}
	}
	if d.State == Quarantined {
		return nil
	}
	for _, f := range now {
		shared, err := tx.IsShared(f)
		if err != nil {
			return err
		}
		if shared {
			continue
		}
		if f.Kind == FactSerial || f.Kind == FactUUID {
			holders, err := tx.Holders(f)
			if err != nil {
				return err
			}
			for _, h := range holders {
				if h != d.ID {
					return fmt.Errorf("index device %s: %w", d.ID, job.Faultf(job.CodeQuarantined, "The %s belongs to device %s.", f, h))
				}
			}
		}
		if err := put(tx, bByFact, factKey(f, d.ID), d.ID); err != nil {
			return err
		}
	}
	return nil
}

func factKey(f Fact, device string) []byte { return append(append(f.key(), 0), device...) }

// unindex forgets what a device is found by.
func (tx *Tx) unindex(d Device) error {
	for _, f := range d.indexed() {
		if err := tx.remove(bByFact, factKey(f, d.ID)); err != nil {
			return err
		}
	}
	return nil
}

// Holders gives the ids of the devices that hold a fact.
func (tx *Tx) Holders(f Fact) ([]string, error) {
	var out []string
	if f.Value == "" {
		return nil, nil
	}
	err := each(tx, bByFact, append(f.key(), 0), func(_ []byte, id string) error { out = append(out, id); return nil })
	return out, err
}

// Shared is a fact that more than one laptop tells. It is kept for ever and leads to no record any more.
type Shared struct {
	Fact
	Since   time.Time `json:"since"`
	Devices []string  `json:"devices"` // ids of those that told it
	Why     string    `json:"why"`
}

// IsShared reports whether a fact leads to no record any more.
func (tx *Tx) IsShared(f Fact) (bool, error) {
	_, err := get[Shared](tx, bShared, f.key())
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Share marks a fact as one that several laptops tell, and takes it from the records that hold it.
func (tx *Tx) Share(f Fact, why string, devices ...string) error {
	holders, err := tx.Holders(f)
	if err != nil {
		return err
	}
	for _, id := range append(slices.Clone(holders), devices...) {
		d, err := tx.Device(id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if f.Kind != FactDrive { // the drive is still in it
			d.Lose(f)
		}
		if err := errors.Join(tx.PutDevice(d), tx.remove(bByFact, factKey(f, id))); err != nil {
			return err
		}
		if !slices.Contains(holders, id) {
			holders = append(holders, id)
		}
	}
	return put(tx, bShared, f.key(), Shared{Fact: f, Since: tx.now, Devices: holders, Why: why})
}

// Lose takes a fact from a record: several laptops tell it, or it is in another laptop now. The serial stays for
// people where somebody adopted the device under it.
func (d *Device) Lose(f Fact) {
	switch {
	case f.Kind == FactSerial && d.SerialKey == f.Value:
		d.SerialKey = ""
		if d.Sticker == "" && d.State != New && d.State != Quarantined {
			d.Sticker = d.Serial
		}
	case f.Kind == FactUUID && d.UUIDKey == f.Value:
		d.UUIDKey = ""
	case f.Kind == FactMAC:
		d.BuiltIn = slices.DeleteFunc(slices.Clone(d.BuiltIn), func(m string) bool { return m == f.Value })
	case f.Kind == FactDrive:
		d.Drives = slices.DeleteFunc(slices.Clone(d.Drives), func(x job.Drive) bool { return wwnKey(x.WWN) == f.Value })
		d.DriveGone = true
	}
}

// SharedFacts lists every fact that several laptops tell.
func (tx *Tx) SharedFacts() ([]Shared, error) { return all[Shared](tx, bShared) }
