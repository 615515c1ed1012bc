package store

import "time"

// Loss says that a device is not where it should be.
type Loss struct {
	Tell string      `json:"tell,omitempty"` // whom whoever has it should tell; empty is the operator
	Note string      `json:"note,omitempty"`
	By   string      `json:"by"`
	Time time.Time   `json:"time"`
	Was  DeviceState `json:"was"` // before
}

// Whom is who should be told.
func (l Loss) Whom() string {
	if l.Tell != "" {
		return l.Tell
	}
	return l.By
}

// Return says when and from whom a device came back. Its owner's data is on it until its drives were cleared.
type Return struct {
	From  string      `json:"from"`
	Note  string      `json:"note,omitempty"`
	Found bool        `json:"found,omitempty"` // it was lost, or disposed of, and has been seen again
	By    string      `json:"by"`
	Time  time.Time   `json:"time"`
	Was   DeviceState `json:"was"`             // before
	Owner string      `json:"owner,omitempty"` // whose it was
}
