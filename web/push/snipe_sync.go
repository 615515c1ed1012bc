package push

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// errNothing is that an item is about nothing any more: it goes, and nothing arrived.
var errNothing = errors.New("it is no matter of registers any more")

// register brings one device and its asset together.
func (p *Pusher) register(ctx context.Context, t store.PushTarget, i store.OutItem) error {
	y := &syncing{Pusher: p, ctx: ctx, target: t, api: p.snipe(t)}
	if t.Snipe != nil {
		y.to = *t.Snipe
	}
	here, err := y.load(i.Key)
	if err != nil {
		return err
	}
	if !here {
		return errNothing
	}
	a, err := y.find()
	if err != nil {
		return err
	}
	if a, err = y.write(a); err != nil {
		return err
	}
	if err := y.takeOver(a); err != nil { // whatever the register cannot keep, its word for tag and owner counts
		return err
	}
	return y.mayKeep(a)
}

func (p *Pusher) snipe(t store.PushTarget) *snipe {
	p.mu.Lock()
	l := p.lineOf(t.Name)
	p.mu.Unlock()
	token := ""
	if live := t.Live(p.DB.Now()); len(live) > 0 {
		token = live[0]
	}
	return &snipe{http: p.http, base: apiBase(t.URL), token: token, agent: p.agent(), pace: l.pace}
}

// syncing is one device on its way to one register.
type syncing struct {
	*Pusher
	ctx    context.Context
	target store.PushTarget
	to     store.SnipeMap
	api    *snipe

	facts facts
	base  store.Registered // what the register said last
	known bool             // it said something
	named *string          // who has the device now by our own check-out, as the register writes the name
}

// load reads the device; false when it is no matter of registers any more.
func (y *syncing) load(id string) (here bool, err error) {
	err = y.DB.View(func(tx *store.Tx) error {
		d, err := tx.Device(id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil || !d.Pushed() {
			return err
		}
		y.facts.device, here = d, true
		if d.Deployment != "" {
			dep, err := tx.Deployment(d.Deployment)
			if err != nil {
				return err
			}
			y.facts.holds = &dep
		}
		y.base, y.known, err = tx.Registered(y.target.Name, id)
		return err
	})
	return here, err
}

// keep remembers what the register said.
func (y *syncing) keep(a asset) error {
	return y.DB.Update(func(tx *store.Tx) error {
		if _, err := tx.PushTarget(y.target.Name); errors.Is(err, store.ErrNotFound) {
			return nil // removed meanwhile
		}
		return tx.PutRegistered(y.target.Name, y.facts.device.ID, store.Registered{Asset: a.ID, Tag: string(a.Tag), Owner: y.base.Owner, Ours: y.base.Ours, Time: tx.Now()})
	})
}

// find gives the device's asset: by its serial, by what was known before, by its asset tag; or makes one.
func (y *syncing) find() (asset, error) {
	d := y.facts.device
	if d.SerialKey == "" && d.Sticker == "" {
		return asset{}, fail(never, job.CodeNoSerial, "%s tells %q.", d.Label(), d.Serial)
	}
	for _, look := range []func(context.Context, string) ([]asset, error){y.api.bySerial, y.api.search} {
		found, err := look(y.ctx, d.Serial)
		switch {
		case err != nil:
			return asset{}, err
		case len(found) > 1:
			return asset{}, fail(never, job.CodePushConflict, "%d assets have the serial %s.", len(found), d.Serial)
		case len(found) == 1:
			return found[0], nil
		}
	}
	return y.findOtherwise(d)
}

// findOtherwise looks for an asset that does not have the serial yet.
func (y *syncing) findOtherwise(d store.Device) (asset, error) {
	if y.known {
		if a, ok, err := y.api.byID(y.ctx, y.base.Asset); err != nil || ok && mayTakeSerial(d, a) {
			return a, err
		}
	}
	if d.Asset != "" {
		a, ok, err := y.api.byTag(y.ctx, d.Asset)
		if err != nil || ok && mayTakeSerial(d, a) {
			return a, err
		}
		if ok {
			return a, fail(never, job.CodePushConflict, "The asset %s has the serial %s, and %s has %s.", a.Tag, a.Serial, d.Label(), d.Serial)
		}
	}
	if !y.to.Create {
		return asset{}, fail(never, job.CodePushAbsent, "Serial %s.", d.Serial)
	}
	return y.create(d)
}

// mayTakeSerial reports whether an asset without the device's serial is the device's: it has none, or one that a person
// replaced here.
func mayTakeSerial(d store.Device, a asset) bool {
	if a.Serial == "" || strings.EqualFold(string(a.Serial), strings.TrimSpace(d.Told)) {
		return true
	}
	return slices.ContainsFunc(d.History, func(c store.Change) bool { return c.What == "serial" && strings.EqualFold(c.Old, string(a.Serial)) })
}

// create makes an asset with what cannot be added later, and reads it.
func (y *syncing) create(d store.Device) (asset, error) {
	model, status := y.to.Models[d.Model], y.to.Status[d.State]
	if model == 0 {
		model = y.to.Model
	}
	if model == 0 || status == 0 {
		return asset{}, fail(never, job.CodePushAbsent, "Serial %s; to make an asset, choose its model and a label for the state %s.", d.Serial, d.State)
	}
	body := map[string]any{"serial": d.Serial, "model_id": model, "status_id": status}
	if d.Asset != "" {
		body["asset_tag"] = d.Asset
	}
	if err := y.api.call(y.ctx, http.MethodPost, "hardware", body, nil); err != nil {
		return asset{}, err
	}
	found, err := y.api.bySerial(y.ctx, d.Serial)
	if err == nil && len(found) != 1 {
		err = fail(later, job.CodePushUnkept, "A new asset for the serial %s.", d.Serial)
	}
	if err != nil {
		return asset{}, err
	}
	return found[0], nil
}

// write makes the asset what the device is, one step after the other, and reads it again after each. What must be
// written again after it was written was not kept, whatever the answer said.
func (y *syncing) write(a asset) (asset, error) {
	written := map[string]bool{}
	for {
		next := nextStep(y.facts, y.to, a, y.base, y.known)
		if next.none() {
			return a, nil
		}
		for _, what := range next.parts() {
			if written[what] {
				return a, fail(later, job.CodePushUnkept, "Asset %s: %s.", a.Tag, what)
			}
			written[what] = true
		}
		var err error
		if a, err = y.take(a, next); err != nil {
			return a, err
		}
	}
}

// mayKeep tells what the administrator chose and the register cannot keep.
func (y *syncing) mayKeep(a asset) error {
	lack := lacking(y.facts, y.to, a)
	if len(lack) == 0 {
		return nil
	}
	model := escaped("of asset " + a.Tag)
	if a.Model != nil {
		model = a.Model.Name
	}
	return fail(never, job.CodePushSaid, "The model %s has no column %s.", model, strings.Join(lack, ", "))
}

// take takes one step, and reads the asset again.
func (y *syncing) take(a asset, s step) (asset, error) {
	path, who := "hardware/"+strconv.Itoa(a.ID), person{}
	var err error
	switch {
	case s.checkin:
		if err = y.mayGive(a); err == nil {
			err = y.api.call(y.ctx, http.MethodPost, path+"/checkin", map[string]any{"note": y.note()}, nil)
		}
	case s.checkout != "":
		if who, err = y.api.user(y.ctx, s.checkout); err == nil {
			err = y.api.call(y.ctx, http.MethodPost, path+"/checkout", map[string]any{"checkout_to_type": "user", "assigned_user": who.ID, "note": y.note()}, nil)
		}
	default:
		err = y.api.call(y.ctx, http.MethodPatch, path, s.patch, nil)
	}
	if err != nil {
		return a, err
	}
	again, ok, err := y.api.byID(y.ctx, a.ID)
	switch {
	case err != nil:
		return a, err
	case !ok:
		return a, fail(later, job.CodePushAbsent, "Asset %s is gone.", a.Tag)
	case s.checkin && again.Assigned != nil, s.checkout != "" && (again.Assigned == nil || again.Assigned.ID != who.ID):
		return again, fail(later, job.CodePushUnkept, "Asset %s: %s.", a.Tag, strings.Join(s.parts(), ", "))
	case s.checkin || s.checkout != "":
		err = y.given(again, s)
	}
	return again, err
}

// mayGive makes sure before an assignment is ended that the next one can begin, and remembers that it is ended by us: a
// daemon that is killed between the two goes on, and does not take nobody's word for the register's.
func (y *syncing) mayGive(a asset) error {
	owner := y.facts.device.Owner
	if owner == "" {
		return nil
	}
	if _, err := y.api.user(y.ctx, owner); err != nil {
		return err
	}
	y.base.Ours = true
	return y.keep(a)
}

// given remembers who has the asset since we wrote it.
func (y *syncing) given(a asset, s step) error {
	there := assignee(a)
	y.base.Owner, y.known = there, true
	if s.checkout != "" {
		y.base.Ours = false
		if there != y.facts.device.Owner {
			y.facts.device.Owner, y.named = there, &there // the same person
		}
	}
	return y.keep(a)
}

func (y *syncing) note() string {
	return fmt.Sprintf("Ingot: %s is %s.", y.facts.device.Label(), y.facts.device.State)
}

// takeOver puts into the device's record what the register knows better, and remembers what it said.
func (y *syncing) takeOver(a asset) error {
	d, c := y.facts.device, store.Correction{Reason: "So says the register " + y.target.Name + "."}
	if tag := string(a.Tag); tag != "" && tag != d.Asset {
		c.Asset = &tag
	}
	o := ownerOf(d, y.to, a, y.base, y.known)
	if c.Owner = o.take; c.Owner == nil {
		c.Owner = y.named
	}
	if c.Asset != nil || c.Owner != nil {
		ctx := store.WithStamp(y.ctx, store.Stamp{Revision: d.Revision}) // refused when something happened to it since
		if _, err := y.Devices.SetDevice(ctx, registerName(y.target.Name), d.ID, c); err != nil {
			return refused(err)
		}
	}
	if o.open && !y.known {
		return nil
	}
	if !o.open {
		y.base.Owner, y.base.Ours = assignee(a), false
	}
	return y.keep(a)
}

// refused says why a record did not take over what the register says. A clash of asset tags may end by itself, when the
// other one's is taken over too.
func refused(err error) error {
	f := &failure{kind: never, fault: job.FaultOf(err)}
	switch f.fault.Code {
	case job.CodeTaken, job.CodeStale, job.CodeFull, job.CodeInternal:
		f.kind = later
	}
	return errors.Join(f, err)
}
