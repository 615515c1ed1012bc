package store

import (
	"errors"
	"net/url"
	"slices"
	"time"

	"ingot/imaging/job"
)

// PushKind is what stands at the other end of a PushTarget.
type PushKind string

// The kinds: a Snipe-IT asset register, and a receiver of webhooks.
const (
	PushSnipe PushKind = "snipe-it"
	PushHook  PushKind = "webhook"
)

// PushTarget is another system that is told what happens here. Its secrets lie in the database alone, whose file only the
// daemon's user may read; no view, log or error holds them.
type PushTarget struct {
	Name    string       `json:"name"`
	Kind    PushKind     `json:"kind"`
	URL     string       `json:"url"`
	Plain   bool         `json:"plain,omitempty"` // http without TLS is meant
	Secrets []PushSecret `json:"secrets"`         // webhook: by which messages are signed, newest first; register: one token
	Events  []string     `json:"events,omitempty"`
	Snipe   *SnipeMap    `json:"snipe,omitempty"`
	Since   time.Time    `json:"since"`
	By      string       `json:"by"`
}

// PushSecret is one secret of a target.
type PushSecret struct {
	Value string    `json:"value"`
	Until time.Time `json:"until,omitzero"` // of one that was replaced: until then it signs too
}

// SnipeMap says where in a Snipe-IT what Ingot knows belongs. Everything in it is chosen by the administrator: labels,
// columns and models have other numbers in every Snipe-IT.
type SnipeMap struct {
	Status  map[DeviceState]int  `json:"status,omitempty"`  // id of the status label for a state; a state without one leaves the label alone
	Columns map[PushField]string `json:"columns,omitempty"` // column of a custom field (_snipeit_uuid_3), or "name"
	Create  bool                 `json:"create,omitempty"`  // make an asset for a device that the register does not know
	Model   int                  `json:"model,omitempty"`   // id of the model of such an asset, unless Models names one
	Models  map[string]int       `json:"models,omitempty"`  // id by the device's model, as its firmware tells it
	Assign  bool                 `json:"assign,omitempty"`  // check in what came back, and check out what was given to somebody
	Hours   int                  `json:"hours,omitempty"`   // how often everything is compared; 0 means 24
}

// PushField is something of a device that a register may keep.
type PushField string

// The fields.
const (
	FieldName   PushField = "name"
	FieldUUID   PushField = "uuid"
	FieldDrives PushField = "drives"
	FieldMACs   PushField = "macs"
	FieldMemory PushField = "memory"
	FieldState  PushField = "state"
	FieldImage  PushField = "image"  // NAME@NUMBER that it holds
	FieldImaged PushField = "imaged" // when it got it
)

// PushFields lists every field once.
var PushFields = []PushField{FieldName, FieldUUID, FieldDrives, FieldMACs, FieldMemory, FieldState, FieldImage, FieldImaged}

// PushStand is how far a target is.
type PushStand struct {
	Read    uint64     `json:"read"`              // audit events up to this number are in the outbox, or are not for this target
	Round   time.Time  `json:"round,omitzero"`    // register: when everything was last put into the outbox
	Success time.Time  `json:"success,omitzero"`  // the last time that something arrived
	Failed  time.Time  `json:"failed,omitzero"`   // the last time that something did not
	Fault   *job.Fault `json:"fault,omitempty"`   // why; nil since something arrived
	Stopped *job.Fault `json:"stopped,omitempty"` // nothing is sent until a person starts it again
	Broken  *job.Fault `json:"broken,omitempty"`  // what cannot be read, so that the chain is read no further
}

// Registered is what a register said about a device when it was last read: what changed there since is known by it.
type Registered struct {
	Asset int       `json:"asset"` // its id there
	Tag   string    `json:"tag,omitempty"`
	Owner string    `json:"owner,omitempty"`
	Ours  bool      `json:"ours,omitempty"` // it is being checked in by us, to be given to somebody else: that nobody has it there is no news
	Time  time.Time `json:"time"`
}

// maxTargets bounds the targets.
const maxTargets = 20

// PushTarget reads one target.
func (tx *Tx) PushTarget(name string) (PushTarget, error) {
	t, err := get[PushTarget](tx, bTargets, []byte(name))
	if errors.Is(err, ErrNotFound) {
		return t, errors.Join(err, job.Faultf(job.CodeNotFound, "No push target %.60q.", name))
	}
	return t, err
}

// PushTargets lists every target.
func (tx *Tx) PushTargets() ([]PushTarget, error) { return all[PushTarget](tx, bTargets) }

// PushNames lists the name of every target, also of one whose record cannot be read.
func (tx *Tx) PushNames() (names []string) {
	c := tx.bucket(bTargets).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		names = append(names, string(k))
	}
	return names
}

// PutPushTarget writes a target. A new one is told what happens from now on; a register, new or with another map, also
// gets every device. There is at most one register: two that know another tag or owner would be taken over in turn for
// ever.
func (tx *Tx) PutPushTarget(t PushTarget, operator string) error {
	if err := CheckLabel("a push target", t.Name); err != nil {
		return err
	}
	old, err := get[PushTarget](tx, bTargets, []byte(t.Name))
	switch {
	case errors.Is(err, ErrNotFound):
		if err := tx.firstStand(&t, operator); err != nil {
			return err
		}
	case err != nil:
		return err
	case old.Kind != t.Kind:
		return job.Faultf(job.CodeBadRequest, "%s is a %s: remove it first.", t.Name, old.Kind)
	default:
		t.Since, t.By = old.Since, old.By
	}
	err = errors.Join(put(tx, bTargets, []byte(t.Name), t), tx.Audit(operator, "push target", t.Name, string(t.Kind)+" at "+HostOf(t.URL)+"."))
	if err == nil && t.Kind == PushSnipe {
		err = tx.PushAll(t.Name)
	}
	return err
}

func (tx *Tx) firstStand(t *PushTarget, operator string) error {
	all, err := tx.PushTargets()
	if err != nil {
		return err
	}
	if len(all) >= maxTargets {
		return job.Faultf(job.CodeBadRequest, "There are %d push targets, and no more fit.", len(all))
	}
	for _, other := range all {
		if t.Kind == PushSnipe && other.Kind == PushSnipe {
			return job.Faultf(job.CodeBadRequest, "%s is an asset register already, and one alone has the word for asset tag and owner: remove it first.", other.Name)
		}
	}
	head, _, err := tx.AuditHead()
	if err != nil {
		return err
	}
	t.Since, t.By = tx.now, operator
	return tx.PutPushStand(t.Name, PushStand{Read: head.Number})
}

// RotatePushSecret puts another secret in the place of a target's. The old ones sign for as long as keep beside it.
func (tx *Tx) RotatePushSecret(name, secret string, keep time.Duration, operator string) error {
	t, err := tx.PushTarget(name)
	if err != nil {
		return err
	}
	t.Secrets = slices.DeleteFunc(t.Secrets, func(s PushSecret) bool { return keep == 0 || !s.Until.IsZero() && !tx.now.Before(s.Until) })
	for i := range t.Secrets {
		if t.Secrets[i].Until.IsZero() {
			t.Secrets[i].Until = tx.now.Add(keep)
		}
	}
	t.Secrets = append([]PushSecret{{Value: secret}}, t.Secrets[:min(len(t.Secrets), maxSecrets-1)]...)
	return errors.Join(put(tx, bTargets, []byte(name), t), tx.Audit(operator, "push secret", name, "It has a new secret."))
}

// maxSecrets bounds the secrets by which one message is signed.
const maxSecrets = 4

// Live are the secrets that count at a time, newest first.
func (t PushTarget) Live(now time.Time) (out []string) {
	for _, s := range t.Secrets {
		if s.Until.IsZero() || now.Before(s.Until) {
			out = append(out, s.Value)
		}
	}
	return out
}

// RemovePushTarget forgets a target with everything that waits for it.
func (tx *Tx) RemovePushTarget(name, operator string) error {
	if _, err := tx.PushTarget(name); err != nil {
		return err
	}
	for _, bucket := range []string{bOutbox, bDead, bRegistered} {
		for _, k := range tx.keysOf(bucket, name) {
			if err := tx.remove(bucket, k); err != nil {
				return err
			}
		}
	}
	return errors.Join(tx.remove(bTargets, []byte(name)), tx.remove(bStands, []byte(name)), tx.Audit(operator, "push removed", name, ""))
}

// PushStand reads how far a target is.
func (tx *Tx) PushStand(name string) (PushStand, error) {
	s, err := get[PushStand](tx, bStands, []byte(name))
	if errors.Is(err, ErrNotFound) {
		return s, nil
	}
	return s, err
}

// PutPushStand writes it.
func (tx *Tx) PutPushStand(name string, s PushStand) error { return put(tx, bStands, []byte(name), s) }

// PushBroken notes what cannot be read, so that the chain is read no further for a target; nil, that it can be read.
func (tx *Tx) PushBroken(name string, f *job.Fault) error {
	if _, err := tx.PushTarget(name); errors.Is(err, ErrNotFound) {
		return nil // removed meanwhile
	}
	s, err := tx.PushStand(name)
	if err != nil || f == nil && s.Broken == nil {
		return err
	}
	if s.Broken = f; f != nil {
		s.Failed = tx.now
	}
	return tx.PutPushStand(name, s)
}

// Unreadable says to a person which record cannot be read.
func Unreadable(err error) *job.Fault {
	if f := job.FaultOf(err); f.Code != job.CodeInternal {
		return f
	}
	return job.Faultf(job.CodeInternal, "What is to be told cannot be read (%s); \"ingot check\" names all of it.", job.Reason(err))
}

// Registered reads what a register said about a device; false when it said nothing yet.
func (tx *Tx) Registered(target, device string) (Registered, bool, error) {
	r, err := get[Registered](tx, bRegistered, pushKey(target, device))
	if errors.Is(err, ErrNotFound) {
		return r, false, nil
	}
	return r, err == nil, err
}

// PutRegistered writes it.
func (tx *Tx) PutRegistered(target, device string, r Registered) error {
	return put(tx, bRegistered, pushKey(target, device), r)
}

// HostOf is as much of a target's address as everybody may see: its path and query may be a secret.
func HostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "an address that is none"
	}
	return u.Scheme + "://" + u.Host
}
