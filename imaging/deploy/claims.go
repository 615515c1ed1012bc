package deploy

import (
	"errors"
	"fmt"
	"slices"

	"ingot/firmware/smbios"
	"ingot/store"
)

// shareAdapters marks an address as shared once two laptops that somebody adopted have used it. Before that, a
// stranger could take a laptop's address from it by telling it.
func shareAdapters(tx *store.Tx, d store.Device) error {
	if d.State == store.New || d.State == store.Quarantined {
		return nil
	}
	for _, text := range append(slices.Clone(d.BuiltIn), d.MACs...) {
		mac, own := smbios.OwnMAC(text)
		if !own {
			continue // no fact in any case
		}
		f := store.Fact{Kind: store.FactMAC, Value: mac}
		shared, err := tx.IsShared(f)
		if err != nil {
			return err
		}
		if shared {
			continue
		}
		others, err := firmHolders(tx, d.ID, f, store.Fact{Kind: store.FactWire, Value: mac})
		if err != nil {
			return err
		}
		if len(others) == 0 {
			continue
		}
		ids := []string{d.ID}
		for _, o := range others {
			ids = append(ids, o.ID)
		}
		if err := errors.Join(tx.Share(f, "Seen on several laptops.", ids...),
			tx.Audit("ingot", "shared", d.ID, fmt.Sprintf("The adapter %s was seen on %s and on %s: it tells no laptop any more.", mac, others[0].Label(), d.Label()))); err != nil {
			return err
		}
	}
	return nil
}

// firmHolders gives the other devices, adopted by somebody, that hold one of the facts.
func firmHolders(tx *store.Tx, but string, facts ...store.Fact) ([]store.Device, error) {
	var out []store.Device
	for _, f := range facts {
		holders, err := tx.Holders(f)
		if err != nil {
			return nil, err
		}
		for _, id := range holders {
			d, err := tx.Device(id)
			if err != nil {
				return nil, err
			}
			known := slices.ContainsFunc(out, func(o store.Device) bool { return o.ID == id })
			if id != but && d.State != store.New && !known {
				out = append(out, d)
			}
		}
	}
	return out, nil
}

// supersede forgets the earlier starts of a laptop that nothing strong tells from others and that nobody adopted:
// its drive, or its adapter, has come back under a new record. A start that is still heard is left alone.
func (s *Service) supersede(tx *store.Tx, d store.Device) error {
	all, err := tx.Devices()
	if err != nil {
		return err
	}
	live := map[string]bool{}
	for _, key := range s.heardWithin(liveFor) {
		if a, err := tx.Agent(key); err == nil {
			live[a.Device] = true
		}
	}
	for _, o := range all {
		c := compare(d.Facts(), o.Facts())
		if o.ID == d.ID || !anonymous(o) || live[o.ID] || o.Name != "" || c.anyDiffers() || !c.anyAgrees() {
			continue
		}
		had, err := hadJob(tx, o.ID)
		if err != nil {
			return err
		}
		if had {
			continue
		}
		if err := tx.DeleteDevice(o); err != nil {
			return err
		}
	}
	return nil
}

// hadJob reports whether a device ever had a job.
func hadJob(tx *store.Tx, device string) (bool, error) {
	jobs, err := tx.Jobs()
	return slices.ContainsFunc(jobs, func(j store.Job) bool { return j.Device == device }), err
}

// claims lists the facts of a device that stand with other records, and those records.
func claims(tx *store.Tx, d store.Device) ([]store.Claim, []store.Device, error) {
	var out []store.Claim
	var rivals []store.Device
	for _, f := range d.Facts().List() {
		holders, err := tx.Holders(f)
		if err != nil {
			return nil, nil, err
		}
		for _, id := range holders {
			if id == d.ID {
				continue
			}
			o, err := tx.Device(id)
			if err != nil {
				return nil, nil, err
			}
			if anonymous(o) {
				continue
			}
			out = append(out, store.Claim{Fact: f, Device: id, Label: o.Label()})
			if !slices.ContainsFunc(rivals, func(r store.Device) bool { return r.ID == id }) {
				rivals = append(rivals, o)
			}
		}
	}
	return out, rivals, nil
}
