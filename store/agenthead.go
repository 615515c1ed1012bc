package store

import (
	"sync"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
)

// AgentHead is what tells one start of a laptop from the others: an Agent without its Hello, which is most of it.
type AgentHead struct {
	Key       job.KeyID `json:"key"`
	Device    string    `json:"device"`
	Code      string    `json:"code"`
	CodeUntil time.Time `json:"code_until"`
	Started   time.Time `json:"started"`
	Used      *Used     `json:"used"`
	Released  bool      `json:"released"`
}

// heads remembers what was read of each start, so that to look for one among thousands decodes none. What is remembered
// counts only while the record's bytes are the same: it is as true in a transaction that is given up as in any other, and
// a record that was damaged meanwhile is found damaged.
type heads struct {
	mu    sync.Mutex
	known map[string]knownHead // replaced as a whole, never changed
}

type knownHead struct {
	bytes imaging.Digest
	head  AgentHead
}

// AgentHeads lists the remembered starts.
func (tx *Tx) AgentHeads() ([]AgentHead, error) {
	known := tx.heads.get()
	out, read := make([]AgentHead, 0, len(known)), map[string]knownHead{}
	c := tx.bucket(bAgents).Cursor()
	for k, b := c.First(); k != nil; k, b = c.Next() {
		sum := imaging.Sum(b)
		is, ok := known[string(k)]
		if !ok || is.bytes != sum {
			head, err := decode[AgentHead](bAgents, k, b)
			if err != nil {
				return nil, err
			}
			is = knownHead{sum, head}
			read[string(k)] = is
		}
		out = append(out, is.head)
	}
	if len(read) > 0 || len(out) < len(known) {
		tx.heads.set(out, known, read)
	}
	return out, nil
}

func (h *heads) get() map[string]knownHead {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known
}

// set remembers those that are there: as they were known, or as they were read now.
func (h *heads) set(there []AgentHead, known, read map[string]knownHead) {
	if h == nil {
		return
	}
	next := make(map[string]knownHead, len(there))
	for _, a := range there {
		is, ok := read[string(a.Key)]
		if !ok {
			is = known[string(a.Key)]
		}
		next[string(a.Key)] = is
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known = next
}
