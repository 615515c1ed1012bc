package store

import (
	"fmt"
	"time"

	"ingot/imaging/job"
)

// PushView is a PushTarget as people see it: with what waits for it, and without its secrets.
type PushView struct {
	Name    string    `json:"name"`
	Kind    PushKind  `json:"kind"`
	URL     string    `json:"url"`
	Plain   bool      `json:"plain,omitempty"`
	Secrets int       `json:"secrets"` // how many count now
	Events  []string  `json:"events,omitempty"`
	Snipe   *SnipeMap `json:"snipe,omitempty"`
	Since   time.Time `json:"since"`
	By      string    `json:"by"`

	Waiting int        `json:"waiting"`           // in the outbox
	Unread  uint64     `json:"unread"`            // events of the audit chain that are not in it yet
	Dead    int        `json:"dead"`              // given up
	Oldest  time.Time  `json:"oldest,omitzero"`   // since when the oldest waits
	Failing time.Time  `json:"failing,omitzero"`  // since when the oldest waits that was tried in vain
	Next    time.Time  `json:"next,omitzero"`     // the next attempt
	Success time.Time  `json:"success,omitzero"`  // when something last arrived
	Failed  time.Time  `json:"failed,omitzero"`   // when something last did not
	Fault   *job.Fault `json:"fault,omitempty"`   // why; nil since something arrived
	Stopped *job.Fault `json:"stopped,omitempty"` // nothing is sent until a person starts it again
	Broken  *job.Fault `json:"broken,omitempty"`  // what of it cannot be read here; then it is the Fault, too
	Items   []PushItem `json:"items"`             // dead letters first, then what failed, then what waits; at most MaxPushItems
}

// PushStatus is everything that is pushed, and how it goes.
type PushStatus struct {
	Targets []PushView `json:"targets"`
	CSV     PushCSV    `json:"csv"`
	Trouble []string   `json:"trouble"` // one short line each, for the board
}

// PushCSV is the file of all devices that is kept for whoever reads it.
type PushCSV struct {
	Folder  string     `json:"folder,omitempty"` // empty: none is kept
	Written time.Time  `json:"written,omitzero"`
	Fault   *job.Fault `json:"fault,omitempty"`
}

// PushItem is an OutItem as people see it.
type PushItem struct {
	Key     string     `json:"key"`
	Label   string     `json:"label"`
	Event   uint64     `json:"event"`
	Dead    bool       `json:"dead,omitempty"`
	Created time.Time  `json:"created"`
	Next    time.Time  `json:"next,omitzero"`
	Tries   int        `json:"tries"`
	Fault   *job.Fault `json:"fault,omitempty"`
}

// MaxPushItems bounds the items of a view; beyond it they are counted.
const MaxPushItems = 200

// PushOld is the age from which a backlog is worth a person's look.
const PushOld = time.Hour

// PushNew asks for a new target, or for another map, address or choice of events of one that is there.
type PushNew struct {
	Name   string    `json:"name"`
	Kind   PushKind  `json:"kind"`
	URL    string    `json:"url"`
	Plain  bool      `json:"plain,omitempty"`
	Secret string    `json:"secret,omitempty"` // register: its token, empty keeps the present one; webhook: always made here
	Events []string  `json:"events,omitempty"`
	Snipe  *SnipeMap `json:"snipe,omitempty"`
}

// PushMade is the answer; a webhook's new secret is shown this once.
type PushMade struct {
	PushView
	Secret string `json:"secret,omitempty"`
}

// PushRetry asks for another attempt: of one item, or of everything that waits or was given up.
type PushRetry struct {
	Target string `json:"target"`
	Key    string `json:"key,omitempty"`
}

// PushRetried says how many items that are.
type PushRetried struct {
	Items int `json:"items"`
}

// PushName names a target.
type PushName struct {
	Target string `json:"target"`
}

// PushTested is what an attempt at a target found, with what an administrator chooses from.
type PushTested struct {
	Target  string       `json:"target"`
	Says    string       `json:"says"`              // one sentence
	Labels  []PushChoice `json:"labels,omitempty"`  // status labels
	Columns []PushChoice `json:"columns,omitempty"` // custom fields
	Models  []PushChoice `json:"models,omitempty"`
}

// PushChoice is something in a register that can be named in a SnipeMap.
type PushChoice struct {
	ID   int    `json:"id,omitempty"`
	Key  string `json:"key,omitempty"` // a column
	Name string `json:"name"`
	Type string `json:"type,omitempty"` // of a label: deployable, pending, undeployable, archived
}

// PushViewOf makes the view of a target.
func (tx *Tx) PushViewOf(t PushTarget) (PushView, error) {
	v := PushView{Name: t.Name, Kind: t.Kind, URL: t.URL, Plain: t.Plain, Secrets: len(t.Live(tx.now)), Events: t.Events, Snipe: t.Snipe, Since: t.Since, By: t.By}
	s, err := tx.PushStand(t.Name)
	if err != nil {
		return v, err
	}
	head, _, err := tx.AuditHead()
	if err != nil {
		return v, err
	}
	v.Unread, v.Success, v.Failed, v.Fault, v.Stopped = head.Number-min(s.Read, head.Number), s.Success, s.Failed, s.Fault, s.Stopped
	if v.Broken = s.Broken; v.Broken != nil {
		v.Fault = v.Broken
	}
	var failed, waiting []PushItem
	v.Items = []PushItem{}
	err = each(tx, bDead, pushKey(t.Name, ""), func(_ []byte, i OutItem) error {
		v.Dead++
		v.Items = append(v.Items, i.view(true))
		return nil
	})
	if err != nil {
		return v, err
	}
	err = each(tx, bOutbox, pushKey(t.Name, ""), func(_ []byte, i OutItem) error {
		v.Waiting++
		if v.Oldest.IsZero() || i.Created.Before(v.Oldest) {
			v.Oldest = i.Created
		}
		if v.Next.IsZero() || i.Next.Before(v.Next) {
			v.Next = i.Next
		}
		if i.Tries > 0 && (v.Failing.IsZero() || i.Created.Before(v.Failing)) {
			v.Failing = i.Created
		}
		if i.Tries > 0 {
			failed = append(failed, i.view(false))
		} else {
			waiting = append(waiting, i.view(false))
		}
		return nil
	})
	v.Items = append(append(v.Items, failed...), waiting...)
	v.Items = v.Items[:min(len(v.Items), MaxPushItems)]
	return v, err
}

func (i OutItem) view(dead bool) PushItem {
	return PushItem{Key: i.Key, Label: i.Label, Event: i.Event, Dead: dead, Created: i.Created, Next: i.Next, Tries: i.Tries, Fault: i.Fault}
}

// PushViews lists every target as people see it. Of one that cannot be read it tells what can be, and which record cannot.
func (tx *Tx) PushViews() []PushView {
	out := []PushView{}
	for _, name := range tx.PushNames() {
		v := PushView{Name: name}
		t, err := tx.PushTarget(name)
		if err == nil {
			v, err = tx.PushViewOf(t)
		}
		if err != nil {
			v.Broken = Unreadable(err)
			v.Fault, v.Items = v.Broken, append([]PushItem{}, v.Items...)
		}
		out = append(out, v)
	}
	return out
}

// Trouble is one short line about a target that needs a person, or "": it was stopped, a record cannot be read,
// something was given up, or something old does not get through. A long list that goes out one by one is none.
func (v PushView) Trouble(now time.Time) string {
	old := func(t time.Time) bool { return !t.IsZero() && now.Sub(t) >= PushOld }
	what := map[PushKind]string{PushSnipe: "devices", PushHook: "messages"}[v.Kind]
	switch {
	case v.Stopped != nil:
		return fmt.Sprintf("%s: stopped. %s", v.Name, v.Stopped.Code.Words().Sentence)
	case v.Broken != nil:
		return fmt.Sprintf("%s: it is told nothing new. %s", v.Name, v.Broken.Fact)
	case old(v.Failing), old(v.Oldest) && now.Sub(v.Success) >= PushOld:
		line := fmt.Sprintf("%s: %d %s wait since %s.", v.Name, v.Waiting, what, v.Oldest.Local().Format("2 January 15:04"))
		if v.Fault != nil {
			line += " " + v.Fault.Code.Words().Sentence
		}
		return line
	case v.Dead > 0:
		return fmt.Sprintf("%s: %d %s could not be sent.", v.Name, v.Dead, what)
	}
	return ""
}
