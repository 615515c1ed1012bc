package deploy

import (
	"errors"
	"fmt"
	"strings"

	"ingot/firmware/smbios"
	"ingot/imaging/job"
	"ingot/store"
)

// identity is the believable part of what a laptop tells about itself.
type identity struct {
	serial string // folded manufacturer, NUL, folded serial; empty when junk
	uuid   string // the lower of both byte orders; empty when junk
}

// identify drops junk: strings that a maker forgot to fill in are shared by thousands of laptops.
func identify(f job.Facts) identity {
	var id identity
	if !smbios.JunkSerial(f.Serial) {
		id.serial = fold(f.Manufacturer) + "\x00" + fold(f.Serial)
	}
	id.uuid = uuidKey(f.UUID)
	return id
}

// uuidKey is the form of a UUID that both byte orders share, or "" when it is junk or unreadable.
func uuidKey(s string) string {
	u, err := smbios.ParseUUID(s)
	if err != nil || u.Junk() {
		return ""
	}
	return u.Canonical().String()
}

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// machineKey is under what a machine on the wire is remembered before it says Hello.
func machineKey(mac, uuid string) string {
	if k := uuidKey(uuid); k != "" {
		return "uuid " + k
	}
	return "mac " + fold(mac)
}

// match finds the Device that an identity belongs to. It returns the device and no conflict; or a conflict in
// one sentence; or neither, for a laptop never seen.
//
//	serial   UUID        answer
//	A        A, none     A
//	A        other       conflict: two laptops with one serial, or a board was changed
//	none     B           B, unless B's believable serial differs from a believable one told now: conflict
//	A        B           conflict
func match(id identity, bySerial, byUUID *store.Device) (*store.Device, string) {
	switch {
	case bySerial != nil && byUUID != nil && bySerial.ID != byUUID.ID:
		return nil, fmt.Sprintf("Its serial belongs to %s, its UUID to %s.", bySerial.Label(), byUUID.Label())
	case bySerial != nil:
		if id.uuid != "" && bySerial.UUIDKey != "" && id.uuid != bySerial.UUIDKey {
			return nil, fmt.Sprintf("Its serial belongs to %s, which has another UUID.", bySerial.Label())
		}
		return bySerial, ""
	case byUUID != nil:
		if id.serial != "" && byUUID.SerialKey != "" {
			return nil, fmt.Sprintf("Its UUID belongs to %s, which has another serial.", byUUID.Label())
		}
		return byUUID, ""
	}
	return nil, ""
}

// recognise reads what match decides on. A laptop that is quarantined, or that a person has settled, is found again
// by both of its keys, so that its restart does not make another record.
func recognise(tx *store.Tx, id identity) (*store.Device, string, error) {
	bySerial, err := optional(tx.DeviceBySerial(id.serial))
	if err != nil {
		return nil, "", err
	}
	byUUID, err := optional(tx.DeviceByUUID(id.uuid))
	if err != nil {
		return nil, "", err
	}
	d, conflict := match(id, bySerial, byUUID)
	if conflict == "" && (d == nil || id.serial != "" && id.uuid != "") {
		return d, "", nil
	}
	all, err := tx.Devices()
	if err != nil {
		return nil, "", err
	}
	if conflict == "" && !sharedKey(all, id) {
		return d, "", nil
	}
	if conflict == "" {
		conflict = "It tells one key only, which two laptops share."
	}
	told := store.Pair{SerialKey: id.serial, UUIDKey: id.uuid}
	for _, o := range all {
		if o.Conflict != "" && o.SerialKey == id.serial && o.UUIDKey == id.uuid || o.Settled != nil && *o.Settled == told {
			return &o, "", nil
		}
	}
	return nil, conflict, nil
}

// sharedKey reports whether a person once settled that two laptops tell this one key.
func sharedKey(all []store.Device, id identity) bool {
	for _, o := range all {
		if o.Settled != nil && (id.serial == o.Settled.SerialKey && id.uuid == "" || id.uuid == o.Settled.UUIDKey && id.serial == "") {
			return true
		}
	}
	return false
}

func optional(d store.Device, err error) (*store.Device, error) {
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &d, nil
}

// take brings a device's record up to what its Hello tells.
func take(d *store.Device, id identity, h job.Hello, mac string) {
	d.Manufacturer, d.Model, d.Serial, d.UUID = h.Facts.Manufacturer, h.Facts.Model, strings.TrimSpace(h.Facts.Serial), h.Facts.UUID
	if strings.EqualFold(strings.TrimSpace(h.Facts.Manufacturer), "lenovo") && h.Facts.ModelVersion != "" {
		d.Model = h.Facts.ModelVersion // Lenovo's product name is a type number; the version is what people say
	}
	if id.serial != "" && d.Settled == nil { // the keys of a settled laptop are what a person left it
		d.SerialKey = id.serial
	}
	if id.uuid != "" && d.Settled == nil {
		d.UUIDKey = id.uuid
	}
	d.Drives, d.MemoryBytes, d.Firmware, d.SecureBoot, d.Warnings = h.Drives, h.MemoryBytes, h.Firmware, h.SecureBoot, h.Warnings
	takeHealth(d, h)
	if d.Asset == "" && !smbios.JunkSerial(h.Facts.AssetTag) {
		d.Asset = strings.TrimSpace(h.Facts.AssetTag)
	}
	if mac = fold(mac); mac != "" {
		kept := d.MACs[:0:0]
		for _, m := range d.MACs {
			if m != mac {
				kept = append(kept, m)
			}
		}
		d.MACs = append(kept, mac)
		if n := len(d.MACs) - 16; n > 0 {
			d.MACs = d.MACs[n:]
		}
	}
}
