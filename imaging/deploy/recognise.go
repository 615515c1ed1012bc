package deploy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingot/firmware/smbios"
	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/store"
)

// maxMACs bounds the addresses of each kind that a record keeps; a stranger may tell as many as he likes.
const maxMACs = 16

// tells is everything believable in a Hello, before it is known which facts several laptops tell.
func tells(h job.Hello) store.Facts {
	return store.Facts{Serial: store.SerialKey(h.Facts.Manufacturer, h.Facts.Serial), UUID: store.UUIDKey(h.Facts.UUID),
		MACs: builtIn(h.Links), Drives: store.DriveIDs(h.Drives)}
}

// builtIn gives the addresses of a laptop's own adapters. What hangs on USB, or on a PCI bus outside of the case, is
// carried from one laptop to the next; an address that is not the adapter's own may be any.
func builtIn(links []job.Link) []string {
	var out []string
	for _, l := range links {
		if mac, own := smbios.OwnMAC(cmp.Or(l.Permanent, l.MAC)); own && l.Bus == "pci" && !slices.Contains(out, mac) && len(out) < maxMACs {
			out = append(out, mac)
		}
	}
	return out
}

// believe drops from what a laptop tells what several laptops tell: it leads to no record.
func believe(tx *store.Tx, h job.Hello) (store.Facts, error) {
	f := tells(h)
	drop := func(kind store.FactKind, v *string) error {
		shared, err := tx.IsShared(store.Fact{Kind: kind, Value: *v})
		if shared {
			*v = ""
		}
		return err
	}
	err := errors.Join(drop(store.FactSerial, &f.Serial), drop(store.FactUUID, &f.UUID))
	for i := range f.Drives {
		err = errors.Join(err, drop(store.FactDrive, &f.Drives[i].WWN))
	}
	var macs []string
	for _, m := range f.MACs {
		several, sharedErr := toldBySeveral(tx, m)
		err = errors.Join(err, sharedErr)
		if !several {
			macs = append(macs, m)
		}
	}
	f.MACs = macs
	return f, err
}

// toldBySeveral reports whether an address is marked as shared, or stands with two records already.
func toldBySeveral(tx *store.Tx, mac string) (bool, error) {
	f := store.Fact{Kind: store.FactMAC, Value: mac}
	shared, err := tx.IsShared(f)
	if shared || err != nil {
		return shared, err
	}
	holders, err := tx.Holders(f)
	if err != nil || len(holders) < 2 {
		return false, err
	}
	firm := 0
	for _, id := range holders {
		d, err := tx.Device(id)
		if err != nil {
			return false, err
		}
		if !anonymous(d) {
			firm++
		}
	}
	return firm > 1, nil
}

// candidates gathers the records to which the facts point.
func candidates(tx *store.Tx, told store.Facts) ([]candidate, error) {
	var out []candidate
	for _, f := range told.List() {
		holders, err := tx.Holders(f)
		if err != nil {
			return nil, err
		}
		for _, id := range holders {
			if slices.ContainsFunc(out, func(c candidate) bool { return c.device.ID == id }) {
				continue
			}
			d, err := tx.Device(id)
			if err != nil {
				return nil, err
			}
			out = append(out, candidate{d, d.Facts()})
		}
	}
	return out, nil
}

// recognise finds the record of a laptop. In a conflict that is pending already it is the record of that conflict, so
// that a restart does not make another one.
func (s *Service) recognise(tx *store.Tx, told store.Facts) (ruling, error) {
	all, err := candidates(tx, told)
	if err != nil {
		return ruling{}, err
	}
	r := judge(told, all)
	if r.device != nil {
		if r.conflict, err = s.twin(tx, *r.device, told); err != nil {
			return ruling{}, err
		}
	}
	if r.conflict == "" {
		return r, nil
	}
	r.device, err = pending(tx, told)
	return r, err
}

// twin says, when another laptop that this record stands for is running at this moment, that there are two. Both
// tell what the record is known by; that the rest differs shows that they are not one laptop that was started twice.
func (s *Service) twin(tx *store.Tx, d store.Device, told store.Facts) (string, error) {
	other, err := s.runsAsWell(tx, d, told)
	if err != nil || !other.anyDiffers() {
		return "", err
	}
	text := fmt.Sprintf("Another laptop that tells the same %s as %s is running now; it has another %s.",
		strings.Join(other.words(agrees), " and "), d.Label(), strings.Join(other.words(differs), " and another "))
	return text, tx.Audit("ingot", "alarm", d.ID, text)
}

// runsAsWell compares what a laptop tells with a laptop of this record that is running at this moment: one that tells
// something else, if there is one.
func (s *Service) runsAsWell(tx *store.Tx, d store.Device, told store.Facts) (comparison, error) {
	for _, key := range s.heardWithin(silence) {
		a, err := tx.Agent(key)
		if errors.Is(err, store.ErrNotFound) || err == nil && (a.Device != d.ID || a.Released) {
			continue
		}
		if err != nil {
			return comparison{}, err
		}
		if other := compare(told, tells(a.Hello)); other.anyDiffers() {
			return other, nil
		}
	}
	return comparison{}, nil
}

// pending finds the quarantined record that an earlier start of this laptop made.
func pending(tx *store.Tx, told store.Facts) (*store.Device, error) {
	all, err := tx.Devices()
	if err != nil {
		return nil, err
	}
	for _, o := range all {
		c := compare(told, o.Facts())
		if o.State == store.Quarantined && o.SerialKey == told.Serial && o.UUIDKey == told.UUID && !c.anyDiffers() && c.anyAgrees() {
			return &o, nil
		}
	}
	return nil, nil
}

// admit finds or makes the Device of a Hello.
func (s *Service) admit(tx *store.Tx, token store.BootToken, h job.Hello) (d store.Device, promised bool, err error) {
	told, err := believe(tx, h)
	if err != nil {
		return d, false, err
	}
	r, err := s.recognise(tx, told)
	if err != nil {
		return d, false, err
	}
	d = store.Device{ID: newID(12), State: store.New, Created: tx.Now(), Changed: tx.Now()}
	if r.device != nil {
		d = *r.device
	}
	promised = d.Promised()
	if err := notice(tx, &d, r, h); err != nil {
		return d, false, err
	}
	d.Seen = tx.Now()
	take(&d, told, h, token.MAC)
	if err := tx.PutDevice(d); err != nil {
		return d, false, err
	}
	if anonymous(d) {
		return d, promised, s.supersede(tx, d)
	}
	return d, promised, shareAdapters(tx, d)
}

// notice writes down what a Hello means for a record: a conflict, a laptop that was reported lost, the first sight of
// one that a list promised.
func notice(tx *store.Tx, d *store.Device, r ruling, h job.Hello) error {
	switch {
	case r.conflict != "":
		known := d.State == store.Quarantined && d.Conflict == r.conflict
		d.State, d.Conflict = store.Quarantined, r.conflict
		if known {
			return nil
		}
		return tx.Audit("ingot", "quarantine", d.ID, r.conflict)
	case d.State == store.Lost:
		return alarm(tx, d)
	case d.Promised():
		return tx.Audit("ingot", "first seen", d.ID, fmt.Sprintf("%s, which a list promised, has come: %s %s.", d.Label(), h.Facts.Manufacturer, h.Facts.Model))
	}
	return nil
}

// take brings a device's record up to what its Hello tells. A kind of fact that this Hello leaves out stays as it was.
func take(d *store.Device, told store.Facts, h job.Hello, mac string) {
	d.Manufacturer, d.Model, d.UUID, d.Told = h.Facts.Manufacturer, h.Facts.Model, h.Facts.UUID, h.Facts.Serial
	if strings.EqualFold(strings.TrimSpace(h.Facts.Manufacturer), "lenovo") && h.Facts.ModelVersion != "" {
		d.Model = h.Facts.ModelVersion // Lenovo's product name is a type number; the version is what people say
	}
	d.SerialKey, d.UUIDKey = cmp.Or(told.Serial, d.SerialKey), cmp.Or(told.UUID, d.UUIDKey)
	switch {
	case d.Sticker != "":
		d.Serial = d.Sticker
	case told.Serial != "" || d.SerialKey == "":
		d.Serial = strings.TrimSpace(h.Facts.Serial)
	}
	if len(told.MACs) > 0 {
		d.BuiltIn = told.MACs
	}
	d.DriveGone = d.DriveGone && len(told.Drives) == 0
	d.Drives, d.MemoryBytes, d.Firmware, d.SecureBoot, d.Warnings = h.Drives, h.MemoryBytes, h.Firmware, h.SecureBoot, h.Warnings
	takeHealth(d, h)
	if d.Asset == "" && !smbios.JunkSerial(h.Facts.AssetTag) {
		d.Asset = strings.TrimSpace(h.Facts.AssetTag)
	}
	if mac = fold(mac); mac != "" {
		kept := slices.DeleteFunc(slices.Clone(d.MACs), func(m string) bool { return m == mac })
		d.MACs = append(kept, mac)
		d.MACs = d.MACs[max(0, len(d.MACs)-maxMACs):]
	}
}

// startsKey is under what the starts of a laptop are counted. A laptop that nothing strong tells from others is
// counted by all that it tells: two of them on one dongle are two.
func startsKey(d store.Device) string {
	if d.Facts().Strong() {
		return "device " + d.ID
	}
	var b strings.Builder
	fmt.Fprintln(&b, d.Told, d.UUID, d.BuiltIn)
	for _, x := range d.Drives {
		fmt.Fprintln(&b, x.Serial, x.WWN, x.Model, x.SizeBytes)
	}
	return "looks " + imaging.Sum([]byte(b.String())).String()
}

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func optional(d store.Device, err error) (*store.Device, error) {
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &d, nil
}
