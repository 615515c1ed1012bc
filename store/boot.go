package store

import (
	"errors"
	"slices"
	"time"

	"ingot/imaging/job"
)

// BootToken names one boot of one Machine. It authenticates nobody: the first Hello binds it to a key.
type BootToken struct {
	Token   string    `json:"token"`
	Machine string    `json:"machine"` // the machine key that asked
	MAC     string    `json:"mac"`
	UUID    string    `json:"uuid"`
	Issued  time.Time `json:"issued"`
	Key     job.KeyID `json:"key,omitempty"`
	Bound   time.Time `json:"bound"`
	Bundle  string    `json:"bundle,omitempty"` // the boot bundle that this boot started with
}

// maxTokens bounds the tokens that are remembered; the oldest go first.
const maxTokens = 4000

// PutToken writes a token and makes it its machine's newest.
func (tx *Tx) PutToken(t BootToken) error {
	if _, err := get[BootToken](tx, bTokens, []byte(t.Token)); errors.Is(err, ErrNotFound) {
		if err := dropOldest(tx, bTokens, maxTokens, func(o BootToken) time.Time { return o.Issued }); err != nil {
			return err
		}
		if tx.count(bTokenOf) >= maxTokens {
			k, _ := tx.bucket(bTokenOf).Cursor().First()
			if err := tx.remove(bTokenOf, k); err != nil {
				return err
			}
		}
	}
	if err := put(tx, bTokenOf, []byte(t.Machine), t.Token); err != nil {
		return err
	}
	return put(tx, bTokens, []byte(t.Token), t)
}

// Tokens lists the remembered tokens.
func (tx *Tx) Tokens() ([]BootToken, error) { return all[BootToken](tx, bTokens) }

// Token reads a token.
func (tx *Tx) Token(token string) (BootToken, error) {
	return get[BootToken](tx, bTokens, []byte(token))
}

// TokenOf reads a machine's newest token.
func (tx *Tx) TokenOf(machine string) (BootToken, error) {
	token, err := get[string](tx, bTokenOf, []byte(machine))
	if err != nil {
		return BootToken{}, err
	}
	return tx.Token(token)
}

// Guard is the loop guard's memory of one machine.
type Guard struct {
	Machine      string      `json:"machine"`
	Starts       []time.Time `json:"starts"` // Hellos since the last progress, at most 3
	RefusedUntil time.Time   `json:"refused_until"`
	Unapproved   time.Time   `json:"unapproved"` // when it was sent away, since nobody had approved it in time
	Asked        time.Time   `json:"asked"`      // when it was last refused for that
}

// last is when the guard was last of use.
func (g Guard) last() time.Time {
	if g.Asked.After(g.RefusedUntil) {
		return g.Asked
	}
	return g.RefusedUntil
}

// maxGuards bounds the machines that the guard remembers.
const maxGuards = 4000

// Guard reads the guard of a machine; an unknown machine has an empty one.
func (tx *Tx) Guard(machine string) (Guard, error) {
	g, err := get[Guard](tx, bGuards, []byte(machine))
	if errors.Is(err, ErrNotFound) {
		return Guard{Machine: machine}, nil
	}
	return g, err
}

// PutGuard writes a guard; one that holds nothing is forgotten.
func (tx *Tx) PutGuard(g Guard) error {
	if len(g.Starts) == 0 && g.RefusedUntil.IsZero() && g.Unapproved.IsZero() {
		return tx.remove(bGuards, []byte(g.Machine))
	}
	if err := dropOldest(tx, bGuards, maxGuards, Guard.last); err != nil {
		return err
	}
	return put(tx, bGuards, []byte(g.Machine), g)
}

// ForgetUnapproved lets every machine boot again that was sent away because nobody approved it.
func (tx *Tx) ForgetUnapproved() error {
	all, err := all[Guard](tx, bGuards)
	for _, g := range all {
		if g.Unapproved.IsZero() {
			continue
		}
		g.Unapproved, g.Asked = time.Time{}, time.Time{}
		err = errors.Join(err, tx.PutGuard(g))
	}
	return err
}

// BootEvent is one leg of a machine's way from power-on to Hello.
type BootEvent struct {
	Time   time.Time `json:"time"`
	MAC    string    `json:"mac"`
	UUID   string    `json:"uuid,omitempty"`
	Arch   uint16    `json:"arch"` // DHCP option 93
	Loader string    `json:"loader,omitempty"`
	IP     string    `json:"ip,omitempty"`
	Server string    `json:"server,omitempty"` // the DHCP server that it chose, or another boot server
	Waited int       `json:"waited,omitempty"` // seconds for which it says to have been asking
	Leg    string    `json:"leg"`
	File   string    `json:"file,omitempty"`
	Text   string    `json:"text,omitempty"`
	Bytes  int64     `json:"bytes,omitempty"`
	Total  int64     `json:"total,omitempty"` // size of File; fewer Bytes are an unfinished fetch
	Err    string    `json:"err,omitempty"`
}

// BootLog is what one MAC did, newest last.
type BootLog struct {
	MAC    string      `json:"mac"`
	Last   time.Time   `json:"last"`
	Events []BootEvent `json:"events"`

	// Added when it is shown:
	Device string    `json:"device,omitempty"` // id of the device that was asked for
	Since  time.Time `json:"since"`            // when it was ordered; nothing before that counts
	Cause  string    `json:"cause,omitempty"`  // where it stopped and why
	Code   job.Code  `json:"code,omitempty"`   // of the cause; empty when there is nothing to mend
	Checks []string  `json:"checks,omitempty"` // what to look at, in this order
	From   int       `json:"from,omitempty"`   // the last start begins with Events[From]
}

// Bounds of the boot log: events of one MAC, and MACs.
const (
	maxBootEvents = 200
	maxBootMACs   = 1000
)

// AddBootEvents appends events to the logs of their machines, dropping the oldest beyond the bounds.
func (tx *Tx) AddBootEvents(events []BootEvent) error {
	byMAC := map[string][]BootEvent{}
	for _, e := range events {
		if e.MAC != "" && len(e.MAC) <= 64 {
			byMAC[e.MAC] = append(byMAC[e.MAC], clipEvent(e))
		}
	}
	for mac, add := range byMAC {
		l, err := get[BootLog](tx, bBoots, []byte(mac))
		if errors.Is(err, ErrNotFound) {
			l, err = BootLog{MAC: mac}, nil
		}
		if err != nil {
			return err
		}
		l.Events = append(l.Events, add...)
		if n := len(l.Events) - maxBootEvents; n > 0 {
			l.Events = l.Events[n:]
		}
		l.Last = l.Events[len(l.Events)-1].Time
		if err := put(tx, bBoots, []byte(mac), l); err != nil {
			return err
		}
	}
	return tx.trimBoots()
}

// trimBoots forgets the machines that were silent longest, in one pass however many are too many: strangers may come
// by the thousand, and every other record waits meanwhile.
func (tx *Tx) trimBoots() error {
	many := tx.count(bBoots) - maxBootMACs
	if many <= 0 {
		return nil
	}
	type seen struct {
		mac  []byte
		last time.Time
	}
	var all []seen
	err := each(tx, bBoots, nil, func(k []byte, l BootLog) error {
		all = append(all, seen{append([]byte(nil), k...), l.Last})
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b seen) int { return a.last.Compare(b.last) })
	for _, s := range all[:many] {
		if err := tx.remove(bBoots, s.mac); err != nil {
			return err
		}
	}
	return nil
}

// clipEvent bounds what a stranger can make us keep.
func clipEvent(e BootEvent) BootEvent {
	for _, s := range []*string{&e.UUID, &e.Loader, &e.IP, &e.Server, &e.Leg, &e.File, &e.Text, &e.Err} {
		if len(*s) > 300 {
			*s = (*s)[:300]
		}
	}
	return e
}

// BootLogs lists the logs of all machines, or of one MAC.
func (tx *Tx) BootLogs(mac string) ([]BootLog, error) {
	if mac == "" {
		return all[BootLog](tx, bBoots)
	}
	l, err := get[BootLog](tx, bBoots, []byte(mac))
	if errors.Is(err, ErrNotFound) {
		return nil, job.Faultf(job.CodeNotFound, "Nothing was heard of %.40q.", mac)
	}
	return []BootLog{l}, err
}
