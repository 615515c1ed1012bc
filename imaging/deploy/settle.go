package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// Settle ends a quarantine by a person's word about which laptop this is. The waiting laptop goes on at once.
//
//	same   it is the laptop of the other record; records that it also claims and that hold nothing join it
//	two    it is a laptop of its own; what it and the others tell leads to no record any more
//	moved  it is the laptop of the other record (or, without one, of its own), and what it claims from third records
//	       came into it with a board or a drive: those records lose it, and keep all that they hold
//
// No record that holds something is ever given up, and nothing is written to any drive.
func (s *Service) Settle(ctx context.Context, operator, ref string, in store.Settlement) (store.DeviceView, error) {
	id, err := s.once(ctx, operator, "settle", []any{ref, in}, func(tx *store.Tx) (string, error) {
		d, err := s.find(tx, ref)
		if err == nil {
			err = fresh(ctx, tx, d)
		}
		if err != nil {
			return "", err
		}
		waiting := d.State == store.New && in.With != "" && in.As != store.AsTwo // a person knows it, though no fact says so
		if d.State != store.Quarantined && !waiting {
			return "", job.Faultf(job.CodeState, "%s is %s, not quarantined.", d.Label(), d.State)
		}
		return s.settle(tx, operator, d, in)
	})
	if err != nil {
		return store.DeviceView{}, err
	}
	return s.Device(ctx, id)
}

// find gives the device that a person means by an id, a Name, a serial, or the code that its laptop shows.
func (s *Service) find(tx *store.Tx, ref string) (store.Device, error) {
	d, err := tx.FindDevice(ref)
	if err == nil {
		return d, nil
	}
	if _, byCode, codeErr := s.byCode(tx, ref); codeErr == nil {
		return byCode, nil
	}
	return d, err
}

// settle carries a settlement out and gives the id of the record that the laptop has now.
func (s *Service) settle(tx *store.Tx, operator string, d store.Device, in store.Settlement) (string, error) {
	if err := notWriting(tx, d); err != nil {
		return "", err
	}
	told, rivals, err := claims(tx, d)
	if err != nil {
		return "", err
	}
	into, err := settledInto(tx, d, in, told, rivals)
	if err == nil && into != nil {
		err = s.notBoth(tx, d, *into)
	}
	if err != nil {
		return "", err
	}
	switch in.As {
	case store.AsTwo:
		err = shareClaims(tx, operator, &d, told)
	case store.AsSame:
		err = joinRivals(tx, operator, into, rivals)
	case store.AsMoved:
		if len(told) == 0 && into == nil {
			return "", job.Faultf(job.CodeSettle, "Nothing of %s belongs to another record.", d.Label())
		}
		err = movePartsHere(tx, operator, d, into, rivals)
	default:
		return "", job.Faultf(job.CodeSettle, "%q is none of same, two and moved.", in.As)
	}
	if err != nil {
		return "", err
	}
	if into == nil {
		return d.ID, ownRecord(tx, operator, d, in.As)
	}
	if *into, err = tx.Device(into.ID); err != nil { // it may have taken a rival in
		return "", err
	}
	joined, err := absorb(tx, operator, d, *into, "settled as "+in.As)
	if err != nil {
		return "", err
	}
	return joined.ID, errors.Join(clearGuard(tx, joined), tx.Audit(operator, "settle", joined.ID, fmt.Sprintf("Record %s is the laptop of %s (%s). It said: %s", d.ID, joined.Label(), in.As, d.Conflict)))
}

// notBoth refuses to give a laptop the record of another one that runs at this moment and tells what this one does not.
func (s *Service) notBoth(tx *store.Tx, d, into store.Device) error {
	c, err := s.runsAsWell(tx, into, d.Facts())
	if err == nil && c.anyDiffers() {
		return job.Faultf(job.CodeSettle, "%s runs at this moment and has another %s: they are two. If a part has just moved, switch it off and wait %d s.",
			into.Label(), strings.Join(c.words(differs), " and another "), int(silence.Seconds()))
	}
	return err
}

// settledInto is the record that the laptop becomes one with; nil when it stays one of its own.
func settledInto(tx *store.Tx, d store.Device, in store.Settlement, told []store.Claim, rivals []store.Device) (*store.Device, error) {
	if in.As == store.AsTwo {
		if in.With != "" {
			return nil, job.Faultf(job.CodeSettle, "A laptop of its own is not settled with another record.")
		}
		return nil, nil
	}
	var into *store.Device
	switch {
	case in.With != "":
		o, err := tx.FindDevice(in.With)
		if err != nil {
			return nil, err
		}
		into = &o
	case in.As == store.AsSame && len(rivals) > 1:
		return nil, job.Faultf(job.CodeSettle, "It claims the facts of %s: name one of them.", labels(rivals))
	case in.As == store.AsSame && len(rivals) == 1:
		into = &rivals[0]
	case in.As == store.AsMoved: // whom its serial names, a board's or a drive's facts may have moved to
		if i := slices.IndexFunc(told, func(c store.Claim) bool { return c.Kind == store.FactSerial }); i >= 0 {
			j := slices.IndexFunc(rivals, func(o store.Device) bool { return o.ID == told[i].Device })
			into = &rivals[j]
		}
	}
	switch {
	case into == nil:
	case into.ID == d.ID:
		return nil, job.Faultf(job.CodeSettle, "%s is this record itself.", d.Label())
	case into.State == store.Quarantined:
		return nil, job.Faultf(job.CodeSettle, "%s is quarantined too: settle it first.", into.Label())
	}
	return into, nil
}

func labels(all []store.Device) string {
	var out []string
	for _, d := range all {
		out = append(out, d.Label())
	}
	return strings.Join(out, " and ")
}

// shareClaims: what two laptops tell leads to neither of them any more. Where two live laptops stood for one record,
// that is everything strong that it is known by.
func shareClaims(tx *store.Tx, operator string, d *store.Device, told []store.Claim) error {
	facts := map[store.Fact]bool{}
	for _, c := range told {
		facts[c.Fact] = true
	}
	if len(told) == 0 {
		for _, f := range d.Facts().List() {
			holders, err := tx.Holders(f)
			if err != nil {
				return err
			}
			if (f.Kind == store.FactSerial || f.Kind == store.FactUUID) && slices.Contains(holders, d.ID) {
				facts[f] = true
			}
		}
	}
	var err error
	for f := range facts {
		err = errors.Join(err, tx.Share(f, "Settled by "+operator+".", d.ID), tx.Audit(operator, "shared", d.ID, "Several laptops tell the "+f.String()+": it leads to no record any more."))
	}
	if err != nil {
		return err
	}
	*d, err = tx.Device(d.ID)
	return err
}

// joinRivals makes one record of those that one laptop turned out to have.
func joinRivals(tx *store.Tx, operator string, into *store.Device, rivals []store.Device) error {
	for _, o := range rivals {
		if o.ID == into.ID {
			continue
		}
		if free, err := empty(tx, o); err != nil || !free {
			return cmp.Or(err, error(job.Faultf(job.CodeSettle, "%s has a record of its own that is kept. If a part of it is in this laptop now, it is settled as moved.", o.Label())))
		}
		t, err := tx.Device(into.ID)
		if err != nil {
			return err
		}
		if _, err := absorb(tx, operator, o, t, "settled as same"); err != nil {
			return err
		}
	}
	return nil
}

// movePartsHere takes from third records what is in this laptop now. They keep their Name, state and history.
func movePartsHere(tx *store.Tx, operator string, d store.Device, into *store.Device, rivals []store.Device) error {
	where := d.ID
	if into != nil {
		where = into.Label()
	}
	for _, o := range rivals {
		if into != nil && o.ID == into.ID {
			continue
		}
		if err := notWriting(tx, o); err != nil {
			return err
		}
		for _, f := range d.Facts().List() {
			if slices.Contains(o.Facts().List(), f) {
				o.Lose(f)
				o.Remember(store.Change{Time: tx.Now(), By: operator, What: string(f.Kind), Old: f.String(), Why: "moved to " + where})
			}
		}
		if err := errors.Join(tx.PutDevice(o), tx.Audit(operator, "moved", o.ID, "A part of "+o.Label()+" is in "+where+" now.")); err != nil {
			return err
		}
	}
	return nil
}

// ownRecord ends a quarantine with the record left to stand for itself.
func ownRecord(tx *store.Tx, operator string, d store.Device, as string) error {
	to, err := settledState(tx, d)
	if err != nil {
		return err
	}
	if err := d.Become(to, tx.Now()); err != nil {
		return err
	}
	d.Conflict = ""
	if needsSticker(d) && d.State != store.New && d.Serial != "" && fitSerial(d.Serial) == nil {
		d.Sticker = d.Serial // two laptops tell it; on this one's sticker it stands all the same
	}
	return errors.Join(tx.PutDevice(d), clearGuard(tx, d), tx.Audit(operator, "settle", d.ID, d.Label()+" is a laptop of its own ("+as+") and is "+string(to)+"."))
}

// settledState is what a quarantined device was last known to be. One that holds somebody's data is in use, so that
// it is imaged again only with its name typed; only a job that began to write and did not end well makes it failed.
func settledState(tx *store.Tx, d store.Device) (store.DeviceState, error) {
	if d.Owing {
		return store.Returned, nil // it came back before, and was not cleared
	}
	last, err := lastWriter(tx, d)
	switch {
	case err != nil:
		return "", err
	case last.ID != "" && last.State != job.Done:
		return store.Failed, nil
	case d.Deployment != "":
		return store.Deployed, nil
	case d.Name != "":
		return store.Ready, nil
	}
	return store.New, nil
}

// lastWriter is the newest job of a device that began to write; the zero Job when none did.
func lastWriter(tx *store.Tx, d store.Device) (last store.Job, err error) {
	jobs, err := tx.Jobs()
	for _, j := range jobs {
		if j.Device == d.ID && wrote(j) && j.Created.After(last.Created) {
			last = j
		}
	}
	return last, err
}
