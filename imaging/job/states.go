package job

import "slices"

// course is what one kind of job goes through.
type course struct {
	states []State // in order; each is durable at the daemon before the agent acts on it
	writes State   // from here on the target drive may have been written to; empty where nothing ever is
	ends   State   // from here on it is finished, not stopped: half of it is worse than either end
}

// courses is the one list of states of each kind; a kind that nobody carries out has none. A rename proves that the
// drive holds the system that Ingot put there (verified), writes the name, and reads it back (personalised), then
// sets the boot entry (committed). A capture reads the drive and sends its chunks (reading), then what it is made of
// (uploaded); the daemon makes it done in the transaction that makes the Version, and it may be stopped until then. A
// wipe goes through its drives at the same time, each with a journal, a report and a certificate of its own (wiping).
var courses = map[Kind]course{
	Deploy:  {[]State{Approved, Claimed, Invalidated, Writing, Flushed, Verified, Personalised, Committing, Committed, Done}, Invalidated, Committing},
	Capture: {[]State{Approved, Claimed, Reading, Uploaded, Done}, "", Done},
	Wipe:    {[]State{Approved, Claimed, WipeBegun, Done}, WipeBegun, WipeBegun},
	Rename:  {[]State{Approved, Claimed, Verified, Personalised, Committed, Done}, Verified, Verified},
}

// Final reports whether a job in this state has ended.
func (s State) Final() bool {
	return s == Done || s == Failed || s == Cancelled || s == Indeterminate
}

// index gives a state's place in the course, or -1.
func (c course) index(s State) int { return slices.Index(c.states, s) }

// MayFollow reports whether a job of this kind in state from may enter state to. Steps go one forward; a job bound
// anew after a restart goes back to claimed from anything unfinished; failed and indeterminate may follow anything
// unfinished; cancelled may follow anything before the kind's last part, which is finished rather than left half.
func (k Kind) MayFollow(from, to State) bool {
	c := courses[k]
	f, t := c.index(from), c.index(to)
	switch {
	case f < 0 || from.Final():
		return false
	case to == Failed, to == Indeterminate:
		return true
	case to == Cancelled:
		return f < c.index(c.ends)
	case to == Claimed:
		return true
	}
	return t == f+1
}

// Started reports whether a job of this kind in this state may have written to the target drive.
func (k Kind) Started(s State) bool {
	c := courses[k]
	return c.writes != "" && c.index(s) >= c.index(c.writes)
}
