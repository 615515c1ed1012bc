package deploy

import (
	"context"
	"errors"

	"ingot/store"
)

// Settle ends a quarantine by a person's word: this record is a laptop of its own. A record that two live
// laptops shared becomes what it was last known to hold; one that clashed with another device's identity
// becomes new, without the identity that belongs to the other.
func (s *Service) Settle(ctx context.Context, operator, ref string) (store.DeviceView, error) {
	var id string
	err := s.update(func(tx *store.Tx) error {
		d, err := tx.FindDevice(ref)
		if err != nil {
			return err
		}
		id = d.ID
		to := store.New
		switch {
		case d.Deployment != "":
			to = store.Failed // what it holds must be proven anew
		case d.Name != "":
			to = store.Ready
		}
		if d.SerialKey != "" {
			if o, err := optional(tx.DeviceBySerial(d.SerialKey)); err != nil {
				return err
			} else if o != nil && o.ID != d.ID {
				d.SerialKey = ""
			}
		}
		if d.UUIDKey != "" {
			if o, err := optional(tx.DeviceByUUID(d.UUIDKey)); err != nil {
				return err
			} else if o != nil && o.ID != d.ID {
				d.UUIDKey = ""
			}
		}
		if err := d.Become(to, tx.Now()); err != nil {
			return err
		}
		d.Conflict = ""
		return errors.Join(tx.PutDevice(d), tx.Audit(operator, "settle", d.ID, d.Label()+" is a laptop of its own and is "+string(to)+"."))
	})
	if err != nil {
		return store.DeviceView{}, err
	}
	return s.Device(ctx, id)
}
