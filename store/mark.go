package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"ingot/imaging"
)

// Mark is a place in the audit chain: whoever holds one, elsewhere, can tell later whether the chain up to there is
// still what it was.
type Mark struct {
	Number uint64         `json:"number"`
	Hash   imaging.Digest `json:"hash"`
}

// Mark is the event's place in the chain.
func (e Event) Mark() Mark { return Mark{e.Number, e.Hash} }

// AuditMark is the newest place of the chain; the zero Mark when nothing was recorded.
func (tx *Tx) AuditMark() (Mark, error) {
	e, _, err := tx.AuditHead()
	return e.Mark(), err
}

// AuditEvent reads one event by its number.
func (tx *Tx) AuditEvent(number uint64) (Event, error) {
	return get[Event](tx, bAudit, binary.BigEndian.AppendUint64(nil, number))
}

// RecordedAs finds the newest event of an act about a subject at a time: a fact and its event have the time of their
// transaction. Values that do not name the subject are not decoded, so that a long chain is searched quickly.
func (tx *Tx) RecordedAs(act, subject string, at time.Time) (Event, error) {
	c := tx.bucket(bAudit).Cursor()
	for k, b := c.Last(); k != nil; k, b = c.Prev() {
		if !bytes.Contains(b, []byte(subject)) {
			continue
		}
		e, err := decode[Event](bAudit, k, b)
		if err != nil {
			return e, err
		}
		if e.Act == act && e.Subject == subject && e.Time.Equal(at) {
			return e, nil
		}
	}
	return Event{}, fmt.Errorf("find the event %s of %s: %w", act, subject, ErrNotFound)
}

// MarkState is what became of a Mark.
type MarkState string

// The three things that can have become of the chain since a Mark was noted.
const (
	MarkHolds   MarkState = "holds"
	MarkGone    MarkState = "gone"    // the chain is shorter by now: its tail was removed
	MarkChanged MarkState = "changed" // another event has that number: the chain was built again
)

// CheckMark compares a Mark with the chain. That the chain holds in itself is for AuditChain to say.
func (tx *Tx) CheckMark(m Mark) (MarkState, error) {
	if m.Number == 0 && m.Hash.IsZero() {
		return MarkHolds, nil // nothing had been recorded
	}
	e, err := tx.AuditEvent(m.Number)
	switch {
	case errors.Is(err, ErrNotFound):
		return MarkGone, nil
	case errors.Is(err, ErrDamaged):
		return MarkChanged, nil
	case err != nil:
		return "", err
	}
	if h, err := e.hash(); err != nil || h != m.Hash || e.Hash != m.Hash {
		return MarkChanged, err
	}
	return MarkHolds, nil
}
