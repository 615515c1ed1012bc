package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ingot/imaging/job"
)

// Device is a laptop that we know.
type Device struct {
	ID           string      `json:"id"` // 12 random letters and digits
	State        DeviceState `json:"state"`
	Name         string      `json:"name,omitempty"`      // reserved for it; see Tx.Reserve
	NextName     string      `json:"next_name,omitempty"` // reserved besides, for a rename that is not proven; see Tx.ReserveNext
	Manufacturer string      `json:"manufacturer"`
	Model        string      `json:"model"`
	Serial       string      `json:"serial"`             // for people, names and records: the Sticker's, else what the firmware tells, which may be junk
	Sticker      string      `json:"sticker,omitempty"`  // a person scanned or corrected it; it stands before what the firmware tells
	Told         string      `json:"told"`               // the serial as the firmware tells it; jobs are bound to it
	UUID         string      `json:"uuid"`               // as read
	SerialKey    string      `json:"serial_key"`         // SerialKey of what the firmware tells, or a list promised; empty when not believable
	UUIDKey      string      `json:"uuid_key"`           // UUIDKey likewise
	BuiltIn      []string    `json:"built_in,omitempty"` // addresses of its built-in adapters, at most 16
	Asset        string      `json:"asset,omitempty"`
	Owner        string      `json:"owner,omitempty"`
	Note         string      `json:"note,omitempty"`
	Role         string      `json:"role,omitempty"`
	MACs         []string    `json:"macs"` // seen on the wire, at most 16, newest last; a dongle's too
	Drives       []job.Drive `json:"drives"`
	DriveGone    bool        `json:"drive_gone,omitempty"` // a drive that it had was found in another laptop; until its next Hello
	MemoryBytes  uint64      `json:"memory_bytes"`
	Firmware     string      `json:"firmware"` // uefi or bios, as last seen
	SecureBoot   bool        `json:"secure_boot"`
	Arch         string      `json:"arch,omitempty"`     // of the firmware, as last seen
	Keys         *job.Keys   `json:"keys,omitempty"`     // of Secure Boot, as last seen; nil when off or unknown
	Power        *job.Power  `json:"power,omitempty"`    // as last seen
	Warnings     []string    `json:"warnings,omitempty"` // of the last Hello
	Deployment   string      `json:"deployment,omitempty"`
	Conflict     string      `json:"conflict,omitempty"` // why it is quarantined, one sentence
	History      []Change    `json:"history,omitempty"`  // what persons corrected, oldest first, at most maxHistory; the audit trail keeps all
	Lost         *Loss       `json:"lost,omitempty"`     // while it is lost
	Alarm        time.Time   `json:"alarm"`              // the last start of a lost device
	Returned     *Return     `json:"returned,omitempty"` // the last time that it came back
	Owing        bool        `json:"owing,omitempty"`    // it came back, and not every drive of it has its record; Tx.PutDevice alone says so
	Created      time.Time   `json:"created"`
	Changed      time.Time   `json:"changed"`  // the last change of State
	Seen         time.Time   `json:"seen"`     // the last Hello; zero for a device that only a list promised
	Revision     uint64      `json:"revision"` // number of the last audit event about it: an act on an older view is refused
}

// Change is one correction of a record: the old entry stays here.
type Change struct {
	Time time.Time `json:"time"`
	By   string    `json:"by"`
	What string    `json:"what"` // serial, asset, owner, note, uuid, adapter, drive, record
	Old  string    `json:"old"`
	New  string    `json:"new"`
	Why  string    `json:"why"`
}

const maxHistory = 100

// Remember keeps a change on the device.
func (d *Device) Remember(c Change) {
	d.History = append(slices.Clone(d.History), c)
	if n := len(d.History) - maxHistory; n > 0 {
		d.History = d.History[n:]
	}
}

// Promised reports whether a list named the device and no laptop has come for it yet.
func (d Device) Promised() bool { return d.State == Ready && d.Seen.IsZero() }

// maxNew bounds the devices that nobody has adopted: a stranger who says Hello with ever new serials must not
// fill the disk. The one unseen for longest goes first.
const maxNew = 512

// Become moves the device to another state if the table allows it.
func (d *Device) Become(to DeviceState, now time.Time) error {
	if !MayBecome(d.State, to) {
		return job.Faultf(job.CodeState, "%s is %s and cannot become %s.", d.Label(), d.State, to)
	}
	d.State, d.Changed = to, now
	return nil
}

// Label is what people call the device: its Name, else its serial, else its id.
func (d Device) Label() string {
	switch {
	case d.Name != "":
		return d.Name
	case d.SerialKey != "" || d.Sticker != "":
		return d.Serial
	}
	return d.ID
}

// PutDevice writes a device and its identity indexes. Its Name must have been reserved by Reserve.
func (tx *Tx) PutDevice(d Device) error {
	old, err := tx.Device(d.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		if err := tx.makeRoom(d); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	d.Revision = max(d.Revision, old.Revision)
	if err := tx.gate(old, &d); err != nil {
		return err
	}
	if err := tx.index(old, d); err != nil {
		return err
	}
	return put(tx, bDevices, []byte(d.ID), d)
}

// owner gives the device id that an index holds, or "".
func (tx *Tx) owner(bucket, key string) string {
	id, err := get[string](tx, bucket, []byte(key))
	if err != nil {
		return ""
	}
	return id
}

// makeRoom forgets the longest unseen of the unadopted devices when there are too many.
func (tx *Tx) makeRoom(d Device) error {
	if d.State != New && d.State != Quarantined {
		return nil
	}
	var oldest Device
	n := 0
	err := each(tx, bDevices, nil, func(_ []byte, o Device) error {
		if o.State == New || o.State == Quarantined && o.Deployment == "" && o.Name == "" && !o.Owing && o.Returned == nil {
			if n++; n == 1 || o.Seen.Before(oldest.Seen) {
				oldest = o
			}
		}
		return nil
	})
	if err != nil || n < maxNew {
		return err
	}
	return tx.DeleteDevice(oldest)
}

// DeleteDevice forgets a device that holds nothing: one that nobody has adopted.
func (tx *Tx) DeleteDevice(d Device) error {
	if d.Deployment != "" || d.Name != "" || d.NextName != "" {
		return job.Faultf(job.CodeState, "%s has a record that is kept.", d.Label())
	}
	if err := tx.unindex(d); err != nil {
		return err
	}
	return tx.remove(bDevices, []byte(d.ID))
}

// Device reads a device by its id.
func (tx *Tx) Device(id string) (Device, error) { return get[Device](tx, bDevices, []byte(id)) }

// Devices lists every device.
func (tx *Tx) Devices() ([]Device, error) { return all[Device](tx, bDevices) }

// EachDevice calls f with every device, in no order that means anything.
func (tx *Tx) EachDevice(f func(Device) error) error {
	return each(tx, bDevices, nil, func(_ []byte, d Device) error { return f(d) })
}

// DeviceBy finds the one device that holds a fact; ErrNotFound when there is none, or more than one.
func (tx *Tx) DeviceBy(f Fact) (Device, error) {
	holders, err := tx.Holders(f)
	if err != nil {
		return Device{}, err
	}
	if len(holders) != 1 {
		return Device{}, fmt.Errorf("find %s: %w", f, ErrNotFound)
	}
	return tx.Device(holders[0])
}

// DeviceByName finds the device that holds a Name, in any case.
func (tx *Tx) DeviceByName(name string) (Device, error) {
	return tx.byIndex(bByName, strings.ToLower(name))
}

func (tx *Tx) byIndex(bucket, key string) (Device, error) {
	if key == "" {
		return Device{}, ErrNotFound
	}
	id, err := get[string](tx, bucket, []byte(key))
	if err != nil {
		return Device{}, err
	}
	return tx.Device(id)
}

// FindDevice finds the one device that a person means by an id, a Name or a serial, in any case.
func (tx *Tx) FindDevice(ref string) (Device, error) {
	if ref == "" || len(ref) > 128 {
		return Device{}, job.Faultf(job.CodeNotFound, "A device is named by its id, its name or its serial.")
	}
	if d, err := tx.Device(ref); !errors.Is(err, ErrNotFound) {
		return d, err
	}
	named, err := tx.DeviceByName(ref)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Device{}, err
	}
	var found []Device
	err = each(tx, bDevices, nil, func(_ []byte, d Device) error {
		if strings.EqualFold(strings.TrimSpace(d.Serial), ref) {
			found = append(found, d)
		}
		return nil
	})
	switch {
	case err != nil:
		return Device{}, err
	case named.ID != "":
		for _, d := range found {
			if d.ID != named.ID && d.State != New && d.State != Quarantined { // what a stranger tells takes no name away
				return Device{}, job.Faultf(job.CodeBadRequest, "%q is the name of one device and the serial of another: use the id.", ref)
			}
		}
		return named, nil
	case len(found) == 0:
		return Device{}, job.Faultf(job.CodeNotFound, "No device %q.", ref)
	case len(found) > 1:
		return Device{}, job.Faultf(job.CodeBadRequest, "%d devices have the serial %q: use the id.", len(found), ref)
	}
	return found[0], nil
}
