package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// alarmShown is how long the start of a lost laptop stays on the board.
const alarmShown = 12 * time.Hour

// Changes gives a channel that is closed at the next change of anything that Board shows. Take it before you read.
func (s *Service) Changes() <-chan struct{} { return s.changes() }

// Board gathers the laptops that are at work, that want a person, or that were at work a moment ago. It costs what those
// cost, however many devices and jobs are on record.
func (s *Service) Board(context.Context) (b store.Board, err error) {
	recent := s.recentEnds()
	err = s.db.View(func(tx *store.Tx) error {
		facts, done, err := s.onBoard(tx, recent)
		if err != nil {
			return err
		}
		b.Counts.Done = done
		for _, f := range facts {
			if t, shown := tileOf(f); shown {
				b.Tiles = append(b.Tiles, t)
			}
		}
		if b.Bench, err = tx.Bench(); err != nil {
			return err
		}
		b.Auto, err = tx.AutoDeploy()
		return err
	})
	count(&b)
	slices.SortFunc(b.Tiles, func(x, y store.Tile) int {
		if d := urgency(x) - urgency(y); d != 0 {
			return d
		}
		return strings.Compare(x.Label+x.Device, y.Label+y.Device)
	})
	if n := len(b.Tiles) - store.MaxTiles; n > 0 {
		b.Tiles, b.More = b.Tiles[:store.MaxTiles], n
	}
	return b, err
}

// onBoard gathers what is known of each laptop that may have a tile, and counts what was done lately.
func (s *Service) onBoard(tx *store.Tx, recent []job.ID) ([]tileFacts, int, error) {
	facts, now := map[string]*tileFacts{}, tx.Now()
	of := func(device string) (*tileFacts, error) {
		if f := facts[device]; f != nil {
			return f, nil
		}
		d, err := tx.Device(device)
		f := &tileFacts{device: d, now: now}
		if err == nil {
			facts[device] = f
		}
		return f, err
	}
	active, err := tx.ActiveJobs()
	if err != nil {
		return nil, 0, err
	}
	for _, j := range active {
		f, err := of(j.Device)
		if err != nil {
			return nil, 0, err
		}
		f.job, f.heard = &j, s.lastHeardOr(j.AgentKey, j.Contact)
		f.progress = s.progressOf(j.ID)
	}
	done := 0
	for _, id := range recent {
		j, err := tx.Job(id)
		if job.FaultOf(err).Code == job.CodeNotFound || err == nil && !j.State.Final() {
			continue // what ended it was not kept
		}
		if err != nil {
			return nil, 0, err
		}
		if j.State == job.Done {
			done++
		}
		f, err := of(j.Device)
		if err != nil {
			return nil, 0, err
		}
		if f.job == nil || f.job.State.Final() && j.Ended.After(f.job.Ended) {
			f.job = &j
		}
	}
	if err := s.addLive(tx, of); err != nil {
		return nil, 0, err
	}
	out := make([]tileFacts, 0, len(facts))
	for _, f := range facts {
		out = append(out, *f)
	}
	return out, done, nil
}

// addLive adds the laptops whose agent is heard, and what their newest start tells.
func (s *Service) addLive(tx *store.Tx, of func(string) (*tileFacts, error)) error {
	for _, key := range s.heardWithin(liveFor) {
		a, err := tx.Agent(key)
		if errors.Is(err, store.ErrNotFound) || err == nil && a.Released {
			continue
		}
		if err != nil {
			return err
		}
		f, err := of(a.Device)
		if errors.Is(err, store.ErrNotFound) {
			continue // forgotten: nobody had adopted it
		}
		if err != nil {
			return err
		}
		if f.agent == nil || a.Started.After(f.agent.Started) {
			f.agent = &a
		}
	}
	return nil
}

func (s *Service) progressOf(id job.ID) *job.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.progress[id]; ok {
		return &p
	}
	return nil
}

// tileFacts is everything that decides how a laptop stands on the board.
type tileFacts struct {
	now      time.Time
	device   store.Device
	job      *store.Job    // unfinished, else the one that ended last within BoardSpan
	progress *job.Progress // of an unfinished job
	heard    time.Time     // the last request of the agent that the job is bound to
	agent    *store.Agent  // its newest start, when that is heard
}

func (f tileFacts) here() bool { return f.agent != nil }

// tileOf says how one laptop stands, or that it has no tile.
func tileOf(f tileFacts) (store.Tile, bool) {
	d := f.device
	t := store.Tile{Device: d.ID, Revision: d.Revision, Label: d.Label(), Serial: d.Serial, Model: strings.TrimSpace(d.Manufacturer + " " + d.Model), Role: d.Role,
		Percent: -1, Left: -1, Here: f.here(), Since: d.Changed, Sticker: needsSticker(d)}
	if f.agent != nil {
		t.Link = linkOf(f.agent.Hello)
	}
	switch {
	case d.State == store.Lost:
		if f.now.Sub(d.Alarm) > alarmShown {
			return t, false
		}
		t.Word, t.Colour, t.Act, t.Since, t.Say = job.WordLost, job.Red, store.ActAlarm, d.Alarm, "It was reported lost and has started here."
		if d.Lost != nil {
			t.Next = "Tell " + d.Lost.Whom() + "."
		}
	case d.State == store.Quarantined && f.here():
		t.Word, t.Colour, t.Act, t.Say, t.SafeTo = job.WordWhich, job.Yellow, store.ActSettle, d.Conflict, job.UnplugAllowed
	case f.job != nil && !f.job.State.Final():
		running(&t, f, *f.job)
	case f.job != nil && lately(f):
		ended(&t, f, *f.job)
	case f.here():
		return t, waiting(&t, f)
	default:
		return t, false
	}
	return t, true
}

// linkOf is the speed of the adapter that reached us.
func linkOf(h job.Hello) int {
	for _, l := range h.Links {
		if l.Boot {
			return l.SpeedMbps
		}
	}
	return 0
}

// running is a laptop with an unfinished job.
func running(t *store.Tile, f tileFacts, j store.Job) {
	look := j.Kind.Look(j.State)
	t.Job, t.What, t.Since = j.ID, j.ImageWord(), lastStep(j)
	t.Word, t.Colour, t.SafeTo = look.Word, look.Colour, look.SafeTo
	switch quiet := f.now.Sub(f.heard); {
	case !agreed(j):
		t.Word, t.Colour, t.SafeTo, t.Act = job.WordSecond, job.Yellow, "", store.ActHelp
		t.Say, t.Next = j.Operator+" ordered its wipe.", "Another technician looks at the laptop and agrees on the page of the job."
	case j.AgentKey == "" && f.here():
		t.Word = job.WordStarting
	case j.AgentKey == "":
		t.SafeTo, t.Act, t.Say = "", store.ActSwitch, "Switch it on and let it start from the network."
	case quiet >= silence:
		t.Word, t.Colour, t.Act = job.WordSilent, job.Yellow, store.ActHelp
		t.Say, t.Next = fmt.Sprintf("It has not been heard for %s.", ago(f.now, f.heard)), "Look at its cable, its power and its screen."
	}
	if p := f.progress; p != nil && j.AgentKey != "" {
		withProgress(t, *p)
	}
	if j.CancelBy != "" {
		t.Say = "It is being stopped, as " + j.CancelBy + " wished."
	}
}

// withProgress adds what the agent told last. A sentence begins with the word that its screen shows.
func withProgress(t *store.Tile, p job.Progress) {
	t.Rate, t.Left, t.Fetched = p.BytesPerSec, p.SecondsLeft, p.FetchedBytes
	if p.TotalBytes > 0 {
		t.Percent = int(min(p.DoneBytes, p.TotalBytes) * 100 / p.TotalBytes)
	}
	if word, say, ok := strings.Cut(p.Say, ": "); ok && t.Act == store.ActNone {
		t.Word, t.Colour, t.Act, t.Say = word, job.Yellow, store.ActHelp, say
	}
}

// lately reports whether the job that ended last still has a tile: a good end for a while, a bad one until the laptop is
// well again, or starts.
func lately(f tileFacts) bool {
	age, again := f.now.Sub(f.job.Ended), f.here() && f.agent.Started.After(f.job.Ended)
	switch f.job.State {
	case job.Done:
		return age < store.BoardDone && !again && stands(f.device.State, f.job.Kind)
	case job.Cancelled:
		return age < store.BoardDone && !again
	}
	unwell := f.device.State == store.Failed || f.job.Kind == job.Wipe && f.device.State == store.Returned
	return age < store.BoardSpan && (unwell || age < store.BoardDone) && !(again && f.device.State != store.Failed)
}

// stands reports whether a device is still what a job that went well made of it: one that came back, or left, since is not
// "done". A capture makes nothing of it.
func stands(s store.DeviceState, k job.Kind) bool {
	return k == job.Capture || s != store.Returned && (s != store.Disposed || k == job.Wipe)
}

// ended is a laptop whose job has ended.
func ended(t *store.Tile, f tileFacts, j store.Job) {
	look := j.Kind.Look(j.State)
	t.Job, t.What, t.Since = j.ID, j.ImageWord(), j.Ended
	t.Word, t.Colour, t.SafeTo = look.Word, look.Colour, look.SafeTo
	if j.State == job.Done {
		t.Percent = 100
		if j.After == job.PowerOff {
			t.SafeTo = job.UnplugAllowed
		}
	}
	if j.Wipe != nil && j.Wipe.ThenFault != nil {
		w := j.Wipe.ThenFault.Code.OnPage()
		t.Colour, t.Act, t.Fault, t.Next = job.Yellow, store.ActHelp, j.Wipe.ThenFault.Code, w.Next
		t.Say = strings.TrimSpace("It is clean, and no image followed: " + w.Sentence + " " + j.Wipe.ThenFault.Fact)
	}
	if j.Fault == nil {
		return
	}
	w := j.Fault.Code.OnPage()
	t.Fault, t.Say, t.Next = j.Fault.Code, strings.TrimSpace(w.Sentence+" "+j.Fault.Fact), w.Next
	if look.Colour == job.Red {
		t.Act = store.ActAgain
	}
}

// waiting is a laptop that is here without a job; false when it wants nothing.
func waiting(t *store.Tile, f tileFacts) bool {
	d := f.device
	t.Word, t.Colour, t.SafeTo, t.Since = job.WordWaiting, job.Yellow, job.UnplugAllowed, f.agent.Started
	switch d.State {
	case store.New:
		t.Act, t.Say = store.ActAdopt, askForCode(d)
		if f.now.Before(f.agent.CodeUntil) {
			t.Code = f.agent.Code
		}
	case store.Ready, store.Failed:
		t.Act, t.Say = store.ActOrder, "It is ready and has no role. Give it an order."
		if d.Role != "" {
			t.Act, t.Say = store.ActStart, "It is ready for the role "+d.Role+"."
		}
	default:
		return false
	}
	if f.agent.Refusal != "" {
		t.Say = f.agent.Refusal
	}
	return true
}

// lastStep is when a job entered the state that it is in.
func lastStep(j store.Job) time.Time {
	if n := len(j.Steps); n > 0 {
		return j.Steps[n-1].Time
	}
	return j.Created
}

// urgency is how early a tile stands, 0 first.
func urgency(t store.Tile) int {
	order := []store.BoardAct{store.ActAlarm, store.ActAgain, store.ActSettle, store.ActHelp, store.ActAdopt, store.ActStart, store.ActOrder}
	if i := slices.Index(order, t.Act); i >= 0 {
		return i
	}
	switch {
	case t.Colour == job.Blue:
		return 10
	case t.Word == job.WordStarting:
		return 11
	case t.Act == store.ActSwitch:
		return 12
	}
	return 13
}

// count sorts the tiles into those that people ask for.
func count(b *store.Board) {
	for _, t := range b.Tiles {
		switch {
		case t.Colour == job.Red:
			b.Counts.Failed++
		case t.Colour == job.Green, t.Word == job.WordStopped:
		case t.Act == store.ActSwitch:
			b.Counts.Waiting++
			b.Counts.Away++
		case t.Colour == job.Blue, t.Job != "":
			b.Counts.Running++
		default:
			b.Counts.Waiting++
		}
	}
}
