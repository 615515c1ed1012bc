package store

import (
	"errors"
	"fmt"
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
	Serial       string      `json:"serial"`     // as read; may be junk when SerialKey is empty
	UUID         string      `json:"uuid"`       // as read
	SerialKey    string      `json:"serial_key"` // the folded manufacturer and serial by which it is matched; empty when not believable
	UUIDKey      string      `json:"uuid_key"`   // the UUID in the lower of both byte orders; empty when not believable
	Asset        string      `json:"asset,omitempty"`
	Owner        string      `json:"owner,omitempty"`
	Role         string      `json:"role,omitempty"`
	MACs         []string    `json:"macs"` // seen, at most 16, newest last
	Drives       []job.Drive `json:"drives"`
	MemoryBytes  uint64      `json:"memory_bytes"`
	Firmware     string      `json:"firmware"` // uefi or bios, as last seen
	SecureBoot   bool        `json:"secure_boot"`
	Arch         string      `json:"arch,omitempty"`     // of the firmware, as last seen
	Keys         *job.Keys   `json:"keys,omitempty"`     // of Secure Boot, as last seen; nil when off or unknown
	Power        *job.Power  `json:"power,omitempty"`    // as last seen
	Warnings     []string    `json:"warnings,omitempty"` // of the last Hello
	Deployment   string      `json:"deployment,omitempty"`
	Conflict     string      `json:"conflict,omitempty"` // why it is quarantined, one sentence
	Settled      *Pair       `json:"settled,omitempty"`  // a person settled that one of these two keys is another device's: it is known by both together
	Lost         *Loss       `json:"lost,omitempty"`     // while it is lost
	Alarm        time.Time   `json:"alarm"`              // the last start of a lost device
	Returned     *Return     `json:"returned,omitempty"` // the last time that it came back
	Created      time.Time   `json:"created"`
	Changed      time.Time   `json:"changed"`  // the last change of State
	Seen         time.Time   `json:"seen"`     // the last Hello
	Revision     uint64      `json:"revision"` // number of the last audit event about it: an act on an older view is refused
}

// Pair is the two keys that one laptop tells.
type Pair struct {
	SerialKey string `json:"serial_key"`
	UUIDKey   string `json:"uuid_key"`
}

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
	case d.SerialKey != "":
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
	if err := tx.moveIndex(bBySerial, old.SerialKey, d.SerialKey, d); err != nil {
		return err
	}
	if err := tx.moveIndex(bByUUID, old.UUIDKey, d.UUIDKey, d); err != nil {
		return err
	}
	return put(tx, bDevices, []byte(d.ID), d)
}

// moveIndex keeps one identity index right. A quarantined device claims an identity that may be another's, so
// it never takes an entry that stands.
func (tx *Tx) moveIndex(bucket, old, key string, d Device) error {
	if old != "" && old != key && tx.owner(bucket, old) == d.ID {
		if err := tx.bucket(bucket).Delete([]byte(old)); err != nil {
			return err
		}
	}
	if key == "" {
		return nil
	}
	owner := tx.owner(bucket, key)
	if owner != "" && owner != d.ID {
		if d.State == Quarantined {
			return nil
		}
		return fmt.Errorf("index %s: %q belongs to %s: %w", bucket, key, owner, job.Faultf(job.CodeQuarantined, "%s and %s.", d.ID, owner))
	}
	return put(tx, bucket, []byte(key), d.ID)
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
		if o.State == New || o.State == Quarantined && o.Deployment == "" && o.Name == "" {
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
	for bucket, key := range map[string]string{bBySerial: d.SerialKey, bByUUID: d.UUIDKey} {
		if key != "" && tx.owner(bucket, key) == d.ID {
			if err := tx.bucket(bucket).Delete([]byte(key)); err != nil {
				return err
			}
		}
	}
	return tx.bucket(bDevices).Delete([]byte(d.ID))
}

// Device reads a device by its id.
func (tx *Tx) Device(id string) (Device, error) { return get[Device](tx, bDevices, []byte(id)) }

// Devices lists every device.
func (tx *Tx) Devices() ([]Device, error) { return all[Device](tx, bDevices) }

// DeviceBySerial finds the device that owns a serial key.
func (tx *Tx) DeviceBySerial(key string) (Device, error) { return tx.byIndex(bBySerial, key) }

// DeviceByUUID finds the device that owns a UUID key.
func (tx *Tx) DeviceByUUID(key string) (Device, error) { return tx.byIndex(bByUUID, key) }

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
	if d, err := tx.DeviceByName(ref); !errors.Is(err, ErrNotFound) {
		return d, err
	}
	var found []Device
	err := each(tx, bDevices, nil, func(_ []byte, d Device) error {
		if strings.EqualFold(strings.TrimSpace(d.Serial), ref) {
			found = append(found, d)
		}
		return nil
	})
	switch {
	case err != nil:
		return Device{}, err
	case len(found) == 0:
		return Device{}, job.Faultf(job.CodeNotFound, "No device %q.", ref)
	case len(found) > 1:
		return Device{}, job.Faultf(job.CodeBadRequest, "%d devices have the serial %q: use the id.", len(found), ref)
	}
	return found[0], nil
}
