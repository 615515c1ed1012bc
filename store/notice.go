package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"ingot/imaging/job"
)

// Notice is something that everybody at the board must see until one of them has said that he saw it: a way into the
// pages was opened from outside them.
type Notice struct {
	Number uint64    `json:"number"`
	Time   time.Time `json:"time"`
	By     string    `json:"by"`
	Text   string    `json:"text"` // a sentence
}

// maxNotices bounds what waits; the oldest go first. The audit trail keeps them all.
const maxNotices = 50

// AddNotice puts a notice on the board.
func (tx *Tx) AddNotice(by, text string) error {
	if err := dropOldest(tx, bNotices, maxNotices, func(n Notice) time.Time { return n.Time }); err != nil {
		return err
	}
	number, err := tx.bucket(bNotices).NextSequence() // never one that was: who takes an old notice off takes no new one
	if err != nil {
		return fmt.Errorf("number a notice: %w", err)
	}
	return put(tx, bNotices, noticeKey(number), Notice{Number: number, Time: tx.now, By: by, Text: text})
}

// Notices lists what waits, oldest first.
func (tx *Tx) Notices() ([]Notice, error) { return all[Notice](tx, bNotices) }

// EndNotice takes a notice from the board: by says that he saw it.
func (tx *Tx) EndNotice(number uint64, by string) error {
	n, err := get[Notice](tx, bNotices, noticeKey(number))
	if errors.Is(err, ErrNotFound) {
		return job.Faultf(job.CodeNotFound, "No notice %d.", number)
	}
	if err != nil {
		return err
	}
	return errors.Join(tx.remove(bNotices, noticeKey(number)), tx.Audit(by, "notice seen", "server", n.Text))
}

func noticeKey(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }
