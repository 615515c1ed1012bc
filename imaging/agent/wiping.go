package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/preflight"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/explain"
)

// wiping is the wipe, in order: every drive is opened and shown before anything is begun, then all of them are wiped at
// the same time, each with a journal, a report and a certificate of its own. Nothing is done here before the daemon has
// stored its certificate.
var wiping = []phase{
	{job.Claimed, (*deployment).prepareWipe},
	{job.WipeBegun, (*deployment).wipeDrives},
}

// WipePort is an open drive that is to be wiped.
type WipePort interface {
	wipe.Port
	io.Closer
}

// erasure is one drive of a wipe on its way.
type erasure struct {
	n      int
	target job.WipeTarget
	port   WipePort // nil when it is closed already, or is not in the laptop any more
	holds  []string // what lies on it, for people

	mu       sync.Mutex
	shown    wipe.Progress
	told     uint64 // tenths of the present phase, on the console
	word     string // the people's
	say      string
	begun    bool
	outcome  wipe.Outcome
	finished bool // the daemon has answered
	cert     string
	fault    *job.Fault
}

// erasures is how far a wipe is.
type erasures struct {
	policy wipe.Policy
	drives []*erasure
}

// prepareWipe opens every drive that the order names, and refuses the order before anything is begun when one differs.
// After a restart nothing is begun, so there is nothing to count down to.
func (d *deployment) prepareWipe(ctx context.Context) error {
	w := d.job.Wipe
	if d.agent.Wiper == nil {
		return job.Faultf(job.CodeJobKind, "This agent wipes nothing.")
	}
	dec := json.NewDecoder(bytes.NewReader(w.Policy))
	dec.DisallowUnknownFields() // a rule that this agent does not know is not half obeyed
	if err := dec.Decode(&d.wipes.policy); err != nil {
		return job.Faultf(job.CodeProtocol, "The policy of the wipe cannot be read.")
	}
	if err := d.wipes.policy.Validate(); err != nil {
		return fmt.Errorf("%w: %w", err, job.Faultf(job.CodeProtocol, "The policy of the wipe is none."))
	}
	for n, t := range w.Drives {
		e := &erasure{n: n, target: t, word: "waiting", cert: t.Closed, finished: t.Closed != ""}
		d.wipes.drives = append(d.wipes.drives, e)
		if t.Closed != "" {
			e.word = "done"
			continue
		}
		port, err := d.agent.Wiper.OpenWipe(t.Target)
		if err != nil && !w.Settle {
			return err
		}
		if err != nil {
			e.word, e.say = "absent", job.FaultOf(err).Fact
			d.agent.Log.Warn().Err(err).Str("drive", t.Serial).Msg("a drive whose wipe was begun cannot be opened")
			continue
		}
		e.port = port
	}
	d.looked, d.found = true, job.Found{Power: d.agent.Machine.Power()}
	if w.Settle {
		return nil
	}
	if err := d.noneHidden(); err != nil {
		return err
	}
	d.thawAll()
	if err := d.readyToWipe(ctx); err != nil {
		return err
	}
	return d.noneLate()
}

// noneLate refuses a laptop of which a drive showed itself only after the server was told of its drives: a hard disk that spins
// up slowly. Nobody would ask for it, and the laptop would count as clean without it.
func (d *deployment) noneLate() error {
	now, err := d.agent.Drives.List()
	if err != nil {
		return fmt.Errorf("list drives: %w", err)
	}
	for _, name := range internal(now) {
		if !slices.Contains(d.agent.me.drives, name) {
			return job.Faultf(job.CodeHidesDrives, "Drive %s showed itself only after the server had been told of the laptop's drives. Start it again.", name)
		}
	}
	return nil
}

// internal names the drives that belong to the laptop.
func internal(drives []job.Drive) (names []string) {
	for _, d := range drives {
		if !d.Removable {
			names = append(names, strings.Join(strings.Fields(d.Model+" "+d.Serial+" "+d.WWN), " "))
		}
	}
	return names
}

// noneHidden refuses a laptop whose firmware hides drives: what was not seen would leave the house unwiped. Of the drives
// that are seen it takes down what lies on them, for the countdown.
func (d *deployment) noneHidden() error {
	cs, err := d.agent.Wiper.Controllers()
	if err != nil {
		return fmt.Errorf("list storage controllers: %w: %w", err, job.Faultf(job.CodeHidesDrives, "The storage controllers cannot be listed."))
	}
	if f := explain.Absent(len(d.wipes.drives), cs); f != nil {
		return f
	}
	listed, err := d.agent.Drives.List()
	if err != nil {
		return fmt.Errorf("list drives: %w", err)
	}
	d.agent.Drives.Examine(listed)
	for _, e := range d.wipes.drives {
		for _, l := range listed {
			if l.Serial == e.target.Serial {
				e.holds = l.Holds
			}
		}
	}
	return nil
}

// thawAll lets a laptop with several drives sleep and wake once, before any of them is begun, when a freeze lock is in the
// way of one: later the sleep would take the others' power too. A drive that is still frozen then is refused by itself.
func (d *deployment) thawAll() {
	if len(d.wipes.drives) == 1 || d.agent.Thaw == nil || !slices.ContainsFunc(d.wipes.drives, d.isFrozen) {
		return
	}
	d.agent.Say("a drive is frozen by the firmware, sleeping to thaw it")
	d.report.ask(&notice{word: "sleeping", sentence: "The firmware has frozen a drive. The laptop sleeps for some seconds to take that off.",
		next: "Wait. If it does not wake by itself, press its power button."})
	defer d.report.ask(nil)
	if err := d.agent.Thaw(); err != nil {
		d.agent.Log.Warn().Err(err).Msg("the laptop did not sleep")
	}
}

// isFrozen reports whether only a sleep would let a drive take its first technique.
func (d *deployment) isFrozen(e *erasure) bool {
	if e.port == nil {
		return false
	}
	a, err := wipe.Probe(e.port)
	if err != nil {
		return false // the engine says so
	}
	p := wipe.NewPlan(a, d.wipes.policy, wipe.Means{PSID: e.target.PSID != "", Override: e.target.Allow, Thaw: true})
	return len(p.Steps) > 0 && p.Steps[0].Thaw
}

// readyToWipe waits for power, then gives the person at the laptop time to stop.
func (d *deployment) readyToWipe(ctx context.Context) error {
	defer d.report.ask(nil)
	d.agent.forgetStops()
	for {
		if err := d.awaitPower(ctx); err != nil {
			return err
		}
		lines := []string{d.howToStop()}
		for _, e := range d.wipes.drives {
			if e.port != nil {
				lines = append(lines, fmt.Sprintf("%s  %d GB  serial %s: everything on it is destroyed", e.target.Model, e.target.SizeBytes/1e9, e.target.Serial))
				for _, h := range e.holds {
					lines = append(lines, "   lost for good: "+h)
				}
				d.agent.Say(fmt.Sprintf("wiping starts in %d s, drive serial %s", d.job.Countdown, printable(e.target.Serial)))
			}
		}
		over, err := d.countTo("wiping", "Everything on this laptop will be destroyed for good.", lines, ctx)
		if over || err != nil {
			return err
		}
	}
}

// countTo shows what is about to happen. It is not over when power was lost on the way.
func (d *deployment) countTo(what, sentence string, lines []string, ctx context.Context) (over bool, err error) {
	for left := d.job.Countdown; left > 0; left-- {
		d.report.ask(&notice{word: fmt.Sprintf("%s in %d s", what, left), sentence: sentence, next: "Press Esc to stop.", lines: lines})
		if err := d.pause(ctx); err != nil {
			return false, err
		}
		if d.found.Power = d.agent.Machine.Power(); !preflight.Powered(d.found.Power) {
			return false, nil
		}
	}
	return true, nil
}

// wipeDrives wipes all drives at the same time and says how that ended. A drive that fails stops no other.
func (d *deployment) wipeDrives(ctx context.Context) error {
	if err := d.fresh(); err != nil && !d.job.Wipe.Settle {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(d.wipes.drives))
	for i, e := range d.wipes.drives {
		if e.port != nil {
			wg.Go(func() { errs[i] = d.wipeOne(ctx, e) })
		}
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return d.wipes.end()
}

// wipeOne takes one drive from its journal to its certificate.
func (d *deployment) wipeOne(ctx context.Context, e *erasure) error {
	r, err := d.erase(ctx, e)
	if err != nil || r == nil {
		return err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("report drive %s: %w", e.target.Serial, err)
	}
	e.set("recording", "")
	ack, err := d.agent.Daemon.Wiped(ctx, d.job.ID, job.DriveReport{Drive: e.n, Report: b})
	if err != nil {
		return fmt.Errorf("report drive %s: %w", e.target.Serial, err)
	}
	ack.Fault = ack.Fault.Clean()
	e.finish(r.Outcome, ack)
	d.report.show(time.Now()) // each drive's end is seen at once
	if ack.Certificate != "" {
		d.agent.Say(fmt.Sprintf("drive %s wiped, certificate %s", printable(e.target.Serial), printable(ack.Certificate)))
		return nil
	}
	d.agent.Say(fmt.Sprintf("drive %s not wiped: %s", printable(e.target.Serial), printable(faultText(ack.Fault))))
	return nil
}

func faultText(f *job.Fault) string {
	if f == nil {
		return "the server gave no reason"
	}
	return f.Error()
}

// erase settles what an earlier start began, or wipes. Without a report nothing was begun, now or before. Under a new order
// settling comes first all the same: it waits for what still runs, and takes off a password.
func (d *deployment) erase(ctx context.Context, e *erasure) (*wipe.Report, error) {
	engine := d.engine(ctx, e)
	if e.target.Begun {
		kept, err := d.agent.Daemon.Journal(ctx, d.job.ID, e.n)
		if err != nil {
			return nil, err
		}
		var s wipe.Started
		if err := json.Unmarshal(kept.Journal, &s); err != nil {
			return nil, job.Faultf(job.CodeProtocol, "The journal of drive %s cannot be read.", e.target.Serial)
		}
		e.set("looking", "An earlier start had begun it.")
		r := engine.Settle(ctx, s, passwordOf(kept.Password))
		if r.Stands(d.wipes.policy) || d.job.Wipe.Settle {
			d.touched = true
			return &r, nil
		}
	}
	if d.job.Wipe.Settle {
		e.set("not begun", "")
		return nil, nil
	}
	t := e.target
	r := engine.Wipe(ctx, wipe.Order{Drive: wipe.Expect{Serial: t.Serial, WWN: t.WWN, SizeBytes: t.SizeBytes, SectorSize: t.SectorSize},
		Policy: d.wipes.policy, PSID: t.PSID, Override: t.Allow})
	return &r, nil
}

func passwordOf(raw json.RawMessage) string {
	var p wipe.Password
	if len(raw) == 0 || json.Unmarshal(raw, &p) != nil {
		return ""
	}
	return p.Password
}

// engine puts the daemon and the screen behind a drive. A machine that sleeps takes all its drives with it, so a frozen
// drive is thawed only where it is alone.
func (d *deployment) engine(ctx context.Context, e *erasure) *wipe.Engine {
	keep := func(j job.DriveJournal) error {
		j.Drive = e.n
		_, err := d.agent.Daemon.KeepJournal(ctx, d.job.ID, j)
		return err
	}
	engine := &wipe.Engine{Port: e.port, Clock: d.agent.WipeClock, Show: func(p wipe.Progress) { d.agent.tellOf(e, e.show(p)) },
		Journal: func(s wipe.Started) error {
			b, err := json.Marshal(s)
			if err == nil {
				err = keep(job.DriveJournal{Journal: b})
			}
			if err == nil {
				d.agent.Say("drive " + printable(e.target.Serial) + " begun: " + s.Step.Technique.Does())
				e.mu.Lock()
				e.begun = true
				e.mu.Unlock()
			}
			return err
		},
		Keep: func(p wipe.Password) error {
			b, err := json.Marshal(p)
			if err == nil {
				err = keep(job.DriveJournal{Password: b})
			}
			return err
		}}
	if len(d.wipes.drives) == 1 {
		engine.Thaw = d.agent.Thaw
	}
	return engine
}
