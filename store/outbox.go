package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ingot/imaging/job"
)

// The outbox is made from the audit chain: each target has a number up to which it has read the chain, and every event
// behind that becomes an item in the transaction that moves the number on. So no act of imaging writes a word for the
// sake of a register, waits for one or fails by one; an event that is on record is never lost, however the daemon ends;
// and a full outbox simply reads no further.

// OutItem is one thing that waits to be sent to a target.
type OutItem struct {
	Target  string          `json:"target"`
	Key     string          `json:"key"`               // register: the device's id, so a device waits once however often it changes; webhook: the event's number
	Event   uint64          `json:"event"`             // the newest event that asks for it
	Label   string          `json:"label"`             // for people
	Message string          `json:"message,omitempty"` // webhook: its id, the same at every attempt
	Body    json.RawMessage `json:"body,omitempty"`    // webhook: what is sent, the same at every attempt
	Created time.Time       `json:"created"`
	Next    time.Time       `json:"next"` // the earliest next attempt
	Tries   int             `json:"tries"`
	Fault   *job.Fault      `json:"fault,omitempty"` // of the last attempt
}

// Bounds of one webhook's outbox. Beyond MaxOutbox the audit chain is read no further; at MaxDead the target stops.
const (
	MaxOutbox = 1000
	MaxDead   = 1000
	MaxBody   = 16 << 10 // bytes of one message
	readAhead = 500      // events in one transaction
)

func pushKey(target, key string) []byte { return append(append([]byte(target), 0), key...) }

// keysOf lists the keys of a target's records in a bucket.
func (tx *Tx) keysOf(bucket, target string) (keys [][]byte) {
	prefix := pushKey(target, "")
	c := tx.bucket(bucket).Cursor()
	for k, _ := c.Seek(prefix); len(k) >= len(prefix) && string(k[:len(prefix)]) == string(prefix); k, _ = c.Next() {
		keys = append(keys, append([]byte(nil), k...))
	}
	return keys
}

// Waiting is how many items wait for a target.
func (tx *Tx) Waiting(target string) int { return len(tx.keysOf(bOutbox, target)) }

// ReadOn turns audit events that a target has not read yet into items. take says what one is for it; false is nothing.
// More reports that there may be others behind those.
func (tx *Tx) ReadOn(target string, take func(Event) (OutItem, bool, error)) (more bool, err error) {
	s, err := tx.PushStand(target)
	if err != nil {
		return false, err
	}
	events, err := tx.eventsBehind(s.Read, readAhead)
	if err != nil || len(events) == 0 {
		return false, err
	}
	waiting := tx.Waiting(target)
	for _, e := range events {
		item, ok, err := take(e)
		if err != nil {
			return false, err
		}
		if ok && item.Body != nil {
			if waiting >= MaxOutbox {
				return false, tx.PutPushStand(target, s)
			}
			waiting++
		}
		if ok {
			if err := tx.enqueue(target, item, e.Number); err != nil {
				return false, err
			}
		}
		s.Read = e.Number
	}
	return len(events) == readAhead, tx.PutPushStand(target, s)
}

// eventsBehind gives the events behind a number, oldest first.
func (tx *Tx) eventsBehind(number uint64, limit int) ([]Event, error) {
	var out []Event
	c := tx.bucket(bAudit).Cursor()
	for k, b := c.Seek(binary.BigEndian.AppendUint64(nil, number+1)); k != nil && len(out) < limit; k, b = c.Next() {
		e, err := decode[Event](bAudit, k, b)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// enqueue puts an item into the outbox. One that waits already is kept with its attempts, and asks for the newer event
// too; one that was given up starts anew.
func (tx *Tx) enqueue(target string, item OutItem, number uint64) error {
	key := pushKey(target, item.Key)
	old, err := get[OutItem](tx, bOutbox, key)
	switch {
	case err == nil:
		old.Event, old.Label = max(old.Event, number), item.Label
		return put(tx, bOutbox, key, old)
	case !errors.Is(err, ErrNotFound):
		return err
	}
	item.Target, item.Event, item.Created, item.Next, item.Tries, item.Fault = target, number, tx.now, tx.now, 0, nil
	return errors.Join(tx.remove(bDead, key), put(tx, bOutbox, key, item))
}

// PushAll puts every device that somebody adopted into a register's outbox.
func (tx *Tx) PushAll(target string) error {
	s, err := tx.PushStand(target)
	if err != nil {
		return err
	}
	all, err := tx.Devices()
	if err != nil {
		return err
	}
	for _, d := range all {
		if !d.Pushed() {
			continue
		}
		if err := tx.enqueue(target, OutItem{Key: d.ID, Label: d.Label()}, max(s.Read, d.Revision)); err != nil {
			return err
		}
	}
	s.Round = tx.now
	return tx.PutPushStand(target, s)
}

// Pushed reports whether registers hear of the device: somebody adopted it, and nobody doubts who it is.
func (d Device) Pushed() bool { return d.State != New && d.State != Quarantined }

// DueItems gives up to limit items of a target whose time has come, and when the next one's comes; zero when none waits.
// Those that nobody tried yet come first: what fails again and again must not stand before them.
func (tx *Tx) DueItems(target string, limit int) (due []OutItem, next time.Time, err error) {
	var tried []OutItem
	err = each(tx, bOutbox, pushKey(target, ""), func(_ []byte, i OutItem) error {
		switch {
		case i.Next.After(tx.now):
			if next.IsZero() || i.Next.Before(next) {
				next = i.Next
			}
		case i.Tries == 0 && len(due) < limit:
			due = append(due, i)
		case i.Tries > 0 && len(tried) < limit:
			tried = append(tried, i)
		default:
			next = tx.now
		}
		return nil
	})
	due = append(due, tried...)
	return due[:min(len(due), limit)], next, err
}

// ItemSent takes an item out of the outbox. One that a newer event asked for meanwhile stays and starts anew.
func (tx *Tx) ItemSent(i OutItem) error {
	key := pushKey(i.Target, i.Key)
	now, err := get[OutItem](tx, bOutbox, key)
	if errors.Is(err, ErrNotFound) {
		return nil // the target was removed meanwhile
	}
	if err != nil {
		return err
	}
	s, err := tx.PushStand(i.Target)
	if err != nil {
		return err
	}
	s.Success, s.Fault = tx.now, nil
	if now.Event == i.Event {
		err = tx.remove(bOutbox, key)
	} else {
		now.Created, now.Next, now.Tries, now.Fault = tx.now, tx.now, 0, nil
		err = put(tx, bOutbox, key, now)
	}
	return errors.Join(err, tx.PutPushStand(i.Target, s))
}

// DropItem takes an item out that is about nothing any more; nothing arrived, so the target's stand stays as it is. One
// that a newer event asked for meanwhile stays, since that may be about something again.
func (tx *Tx) DropItem(i OutItem) error {
	key := pushKey(i.Target, i.Key)
	now, err := get[OutItem](tx, bOutbox, key)
	if errors.Is(err, ErrNotFound) {
		return nil // the target was removed meanwhile
	}
	if err != nil || now.Event != i.Event {
		return err
	}
	return tx.remove(bOutbox, key)
}

// ItemFailed notes a failed attempt. With a time the item is tried again then; without one it is given up and lies with
// the dead letters until a person, a newer event or a register's daily round starts it again.
func (tx *Tx) ItemFailed(i OutItem, f *job.Fault, next time.Time) error {
	key := pushKey(i.Target, i.Key)
	now, err := get[OutItem](tx, bOutbox, key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := tx.PushStand(i.Target)
	if err != nil {
		return err
	}
	now.Tries, now.Fault, s.Failed, s.Fault = i.Tries+1, f, tx.now, f
	if now.Event != i.Event && next.IsZero() {
		now.Tries, next = 0, tx.now // what was given up is not what waits now
	}
	if !next.IsZero() {
		now.Next = next
		return errors.Join(put(tx, bOutbox, key, now), tx.PutPushStand(i.Target, s))
	}
	now.Next = time.Time{}
	err = errors.Join(tx.remove(bOutbox, key), put(tx, bDead, key, now))
	if n := len(tx.keysOf(bDead, i.Target)); err == nil && now.Body != nil && n >= MaxDead {
		s.Stopped = job.Faultf(f.Code, "%d messages could not be delivered, so no further ones are sent. The last: %s", n, f.Fact)
		err = tx.Audit("ingot", "push stopped", i.Target, s.Stopped.Error())
	}
	return errors.Join(err, tx.PutPushStand(i.Target, s))
}

// StopPush ends the sending to a target until a person starts it again. What waits stays, and the chain is read no
// further for it.
func (tx *Tx) StopPush(target string, f *job.Fault) error {
	if _, err := tx.PushTarget(target); err != nil {
		return err
	}
	s, err := tx.PushStand(target)
	if err != nil || s.Stopped != nil {
		return err
	}
	s.Stopped, s.Fault, s.Failed = f, f, tx.now
	return errors.Join(tx.PutPushStand(target, s), tx.Audit("ingot", "push stopped", target, f.Error()))
}

// RetryPush sends everything that waits or was given up now, or one item; and starts a target that was stopped. It
// gives how many items that are.
func (tx *Tx) RetryPush(target, key, operator string) (n int, err error) {
	if _, err := tx.PushTarget(target); err != nil {
		return 0, err
	}
	s, err := tx.PushStand(target)
	if err != nil {
		return 0, err
	}
	for _, bucket := range []string{bOutbox, bDead} {
		for _, k := range tx.keysOf(bucket, target) {
			if key != "" && string(k) != string(pushKey(target, key)) {
				continue
			}
			i, err := get[OutItem](tx, bucket, k)
			if err != nil {
				return n, err
			}
			if err := tx.remove(bucket, k); err != nil {
				return n, err
			}
			i.Next, i.Tries, i.Created = tx.now, 0, tx.now
			if err := put(tx, bOutbox, k, i); err != nil {
				return n, err
			}
			n++
		}
	}
	if key != "" && n == 0 {
		return 0, job.Faultf(job.CodeNotFound, "Nothing with the key %.40q waits for %s.", key, target)
	}
	s.Stopped = nil
	return n, errors.Join(tx.PutPushStand(target, s), tx.Audit(operator, "push retry", target, fmt.Sprintf("%d sent again.", n)))
}
