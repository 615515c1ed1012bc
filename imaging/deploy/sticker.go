package deploy

import (
	"errors"
	"fmt"
	"strings"

	"ingot/firmware/smbios"
	"ingot/imaging/job"
	"ingot/store"
)

// Lengths in bytes of what persons keep on a device.
const (
	maxEntry = 64 // serial, asset tag, owner
	maxNote  = 500
)

// fitEntry refuses what cannot stand on a device: too long, or with characters that steer a terminal.
func fitEntry(what, s string, most int) error {
	if len(s) > most {
		return job.Faultf(job.CodeBadRequest, "The %s has %d characters; %d fit.", what, len(s), most)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\ufffd' }) {
		return job.Faultf(job.CodeBadRequest, "The %s holds a character that cannot be printed.", what)
	}
	return nil
}

// fitSerial refuses what is no serial of one laptop.
func fitSerial(s string) error {
	if err := fitEntry("serial", s, maxEntry); err != nil {
		return err
	}
	if len(s) < 3 || smbios.JunkSerial(s) {
		return job.Faultf(job.CodeBadRequest, "%q is not the serial of one laptop.", s)
	}
	return nil
}

// needsSticker reports whether neither the firmware nor a person says which laptop this is.
func needsSticker(d store.Device) bool { return d.SerialKey == "" && d.Sticker == "" }

// readSticker takes what the operator scanned on the laptop that shows a code. For a laptop without a believable
// serial it becomes the serial, unless another record has it: then that is returned, for it is this laptop's, as far
// as the sticker goes. For a laptop that tells its serial the sticker must say the same.
func readSticker(tx *store.Tx, d *store.Device, sticker string) (*store.Device, error) {
	sticker = strings.TrimSpace(sticker)
	if sticker == "" {
		return nil, nil
	}
	if err := fitSerial(sticker); err != nil {
		return nil, err
	}
	if !needsSticker(*d) {
		if !strings.EqualFold(sticker, d.Serial) {
			return nil, job.Faultf(job.CodeSticker, "The sticker says %s, the laptop %s.", sticker, d.Serial)
		}
		return nil, nil
	}
	known, err := withSerial(tx, *d, sticker)
	if err != nil || known != nil {
		return known, err
	}
	d.Serial, d.Sticker = sticker, sticker
	return nil, nil
}

// withSerial finds the other device of the same maker that has a serial.
func withSerial(tx *store.Tx, but store.Device, serial string) (*store.Device, error) {
	all, err := tx.Devices()
	if err != nil {
		return nil, err
	}
	maker := smbios.Maker(but.Manufacturer)
	var found []store.Device
	for _, o := range all {
		other := smbios.Maker(o.Manufacturer)
		if o.ID != but.ID && !needsSticker(o) && strings.EqualFold(strings.TrimSpace(o.Serial), serial) && (maker == "" || other == "" || maker == other) {
			found = append(found, o)
		}
	}
	if len(found) > 1 {
		return nil, job.Faultf(job.CodeTaken, "%d devices have the serial %s.", len(found), serial)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return &found[0], nil
}

// rejoin says that the waiting laptop is a device that is known: its sticker says so, and no fact speaks against it.
func (s *Service) rejoin(tx *store.Tx, operator string, d, known store.Device, a store.Adoption) error {
	switch c := compare(d.Facts(), known.Facts()); {
	case known.State == store.Quarantined:
		return job.Faultf(job.CodeQuarantined, "%s", known.Conflict)
	case c.anyDiffers():
		return job.Faultf(job.CodeSticker, "%s has it, and has another %s.", known.Label(), strings.Join(c.words(differs), " and another "))
	case !known.Promised() && (a.Name != "" || a.Role != "" || a.Asset != ""):
		return job.Faultf(job.CodeState, "%s is known already: adopt it by its sticker alone.", known.Label())
	}
	promised := known.Promised()
	joined, err := absorb(tx, operator, d, known, "its sticker was scanned")
	if err != nil {
		return err
	}
	if promised {
		if err := errors.Join(dress(tx, &joined, a), tx.PutDevice(joined)); err != nil {
			return err
		}
	}
	return errors.Join(clearGuard(tx, joined), shareAdapters(tx, joined),
		tx.Audit(operator, "adopt", joined.ID, fmt.Sprintf("The waiting laptop is %s by its sticker %s.", joined.Label(), joined.Serial)))
}
