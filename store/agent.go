package store

import (
	"errors"
	"slices"
	"time"

	"ingot/imaging/job"
)

// Agent is one boot of a laptop that said Hello: who holds the key, and which Device that is.
type Agent struct {
	Key       job.KeyID `json:"key"`
	Device    string    `json:"device"`
	Token     string    `json:"token"`
	MAC       string    `json:"mac"` // of the boot, as the wire told it
	Hello     job.Hello `json:"hello"`
	Code      string    `json:"code"` // empty when the device needs no approval
	CodeUntil time.Time `json:"code_until"`
	Started   time.Time `json:"started"`
	Loop      bool      `json:"loop"`               // the loop guard wants it off
	Refusal   string    `json:"refusal,omitempty"`  // why it gets no job, for its screen
	Used      *Used     `json:"used,omitempty"`     // its code was used
	Released  bool      `json:"released,omitempty"` // it was told to leave
	Bundle    string    `json:"bundle,omitempty"`   // the boot bundle that it started with
}

// Used tells who adopted a laptop by the code that it showed.
type Used struct {
	Code string    `json:"code"`
	By   string    `json:"by"`
	Time time.Time `json:"time"`
}

// maxAgents bounds the boots that are remembered; the oldest go first.
const maxAgents = 2000

// PutAgent writes one boot, forgetting the oldest when there are too many.
func (tx *Tx) PutAgent(a Agent) error {
	if _, err := get[Agent](tx, bAgents, []byte(a.Key)); errors.Is(err, ErrNotFound) {
		if err := tx.forgetOldestStart(); err != nil {
			return err
		}
	}
	return put(tx, bAgents, []byte(a.Key), a)
}

// Agent reads the boot of a key.
func (tx *Tx) Agent(key job.KeyID) (Agent, error) { return get[Agent](tx, bAgents, []byte(key)) }

// forgetOldestStart makes room for one more boot.
func (tx *Tx) forgetOldestStart() error {
	if tx.count(bAgents) < maxAgents {
		return nil
	}
	all, err := tx.AgentHeads()
	if err != nil || len(all) == 0 {
		return err
	}
	oldest := slices.MinFunc(all, func(a, b AgentHead) int { return a.Started.Compare(b.Started) })
	return tx.remove(bAgents, []byte(oldest.Key))
}

// dropOldest deletes the oldest record of a bucket that holds max or more.
func dropOldest[T any](tx *Tx, bucket string, max int, when func(T) time.Time) error {
	if tx.count(bucket) < max {
		return nil
	}
	var oldest []byte
	var at time.Time
	err := each(tx, bucket, nil, func(k []byte, r T) error {
		if oldest == nil || when(r).Before(at) {
			oldest, at = append([]byte(nil), k...), when(r)
		}
		return nil
	})
	if err != nil || oldest == nil {
		return err
	}
	return tx.remove(bucket, oldest)
}

// count counts the keys of a bucket, those of this transaction too (bbolt's own statistics leave them out).
func (tx *Tx) count(bucket string) (n int) {
	c := tx.bucket(bucket).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		n++
	}
	return n
}
