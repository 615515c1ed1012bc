package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"ingot/imaging"
)

// Event is one line of the audit chain: who did what to which thing. It is never changed or deleted.
type Event struct {
	Number   uint64         `json:"number"` // from 1, without gaps
	Time     time.Time      `json:"time"`
	Operator string         `json:"operator"` // a person's name; "ingot" for what the daemon did by itself, "agent" for a report
	Act      string         `json:"act"`      // adopt, deploy, cancel, done, failed, refused, ...
	Subject  string         `json:"subject"`  // id of the device, job, image or role
	Text     string         `json:"text"`     // one sentence
	Previous imaging.Digest `json:"previous"` // the Hash of the event before; zero for the first
	Hash     imaging.Digest `json:"hash"`     // over all of the above
}

// hash covers the event with its Hash field zero.
func (e Event) hash() (imaging.Digest, error) {
	e.Hash = imaging.Digest{}
	b, err := json.Marshal(e)
	if err != nil {
		return imaging.Digest{}, err
	}
	return imaging.Sum(b), nil
}

// Audit appends one event in this transaction.
func (tx *Tx) Audit(operator, act, subject, text string) error {
	e := Event{Number: 1, Time: tx.now, Operator: operator, Act: act, Subject: subject, Text: text}
	if last, ok, err := tx.AuditHead(); err != nil {
		return err
	} else if ok {
		e.Number, e.Previous = last.Number+1, last.Hash
	}
	h, err := e.hash()
	if err != nil {
		return fmt.Errorf("audit %s %s: %w", act, subject, err)
	}
	e.Hash = h
	return errors.Join(put(tx, bAudit, binary.BigEndian.AppendUint64(nil, e.Number), e), tx.revise(subject, e.Number))
}

// revise notes in a device's record that something was said about it; another subject has no revision.
func (tx *Tx) revise(subject string, number uint64) error {
	d, err := tx.Device(subject)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	d.Revision = number
	return put(tx, bDevices, []byte(subject), d)
}

// EventsSince gives the newest events about one subject behind a number, oldest first, at most limit.
func (tx *Tx) EventsSince(subject string, number uint64, limit int) ([]Event, error) {
	var out []Event
	c := tx.bucket(bAudit).Cursor()
	for k, b := c.Last(); k != nil && len(out) < limit; k, b = c.Prev() {
		e, err := decode[Event](bAudit, k, b)
		if err != nil {
			return nil, err
		}
		if e.Number <= number {
			break
		}
		if e.Subject == subject {
			out = append(out, e)
		}
	}
	slices.Reverse(out)
	return out, nil
}

// AuditAfter calls f with the events behind a number, oldest first, at most limit.
func (tx *Tx) AuditAfter(number uint64, limit int, f func(Event)) error {
	c := tx.bucket(bAudit).Cursor()
	for k, b := c.Seek(binary.BigEndian.AppendUint64(nil, number+1)); k != nil && limit > 0; k, b = c.Next() {
		e, err := decode[Event](bAudit, k, b)
		if err != nil {
			return err
		}
		f(e)
		limit--
	}
	return nil
}

// AuditHead gives the newest event, and false when there is none.
func (tx *Tx) AuditHead() (Event, bool, error) {
	k, b := tx.bucket(bAudit).Cursor().Last()
	if k == nil {
		return Event{}, false, nil
	}
	e, err := decode[Event](bAudit, k, b)
	return e, err == nil, err
}

// AuditTrail gives the newest events about one subject, or about everything when subject is empty, oldest
// first, at most limit. Those about something else are passed over unread: whether they hold, CheckAudit says.
func (tx *Tx) AuditTrail(subject string, limit int) ([]Event, error) {
	about, err := field("subject", subject)
	if err != nil {
		return nil, err
	}
	var out []Event
	c := tx.bucket(bAudit).Cursor()
	for k, b := c.Last(); k != nil && len(out) < limit; k, b = c.Prev() {
		if subject != "" && !bytes.Contains(b, about) {
			continue
		}
		e, err := decode[Event](bAudit, k, b)
		if err != nil {
			return nil, err
		}
		if subject == "" || e.Subject == subject {
			out = append(out, e)
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out, nil
}

// Chain is what a walk through the audit chain found.
type Chain struct {
	Events uint64         `json:"events"`           // that hold, from the first on
	Head   imaging.Digest `json:"head"`             // the hash of the newest that holds: noted elsewhere, it proves later that nothing was cut off
	Broken uint64         `json:"broken,omitempty"` // number of the first event that was changed, removed or put elsewhere; 0 for none
}

// AuditChain is CheckAudit with its outcome told instead of failed.
func (tx *Tx) AuditChain() (c Chain, err error) {
	if c.Events, err = tx.CheckAudit(); errors.Is(err, ErrDamaged) {
		c.Broken, err = c.Events+1, nil
	}
	if err != nil || c.Events == 0 {
		return c, err
	}
	last, err := get[Event](tx, bAudit, binary.BigEndian.AppendUint64(nil, c.Events))
	c.Head = last.Hash
	return c, err
}

// CheckAudit walks the whole chain and names the first event that was changed, removed or put elsewhere.
func (tx *Tx) CheckAudit() (count uint64, err error) {
	var previous imaging.Digest
	err = each(tx, bAudit, nil, func(key []byte, e Event) error {
		h, err := e.hash()
		if err != nil {
			return err
		}
		if len(key) != 8 || binary.BigEndian.Uint64(key) != count+1 || e.Number != count+1 || e.Previous != previous || e.Hash != h {
			return fmt.Errorf("audit event %d breaks the chain: %w", count+1, ErrDamaged)
		}
		previous, count = h, e.Number
		return nil
	})
	return count, err
}
