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
	Empty bool        `json:"empty,omitempty"` // nothing of an owner was on it: it had been cleared or disposed of
}

// StateBefore is a device's state, or the one that it had when it was lost.
func (d Device) StateBefore() DeviceState {
	if d.State == Lost && d.Lost != nil {
		return d.Lost.Was
	}
	return d.State
}

// Empty reports whether the device's state says that nothing of an owner is on it. One that was disposed of, or lost
// after it was cleared, is as empty when it has been seen again.
func (d Device) Empty() bool {
	switch d.StateBefore() {
	case New, Ready, Wiping, Disposed:
		return true
	case Returned:
		return d.Returned != nil && (d.Returned.Empty || d.Returned.Was == Disposed)
	}
	return false
}
