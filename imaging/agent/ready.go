package agent

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/preflight"
)

// preflight holds what this laptop is now against the order. The daemon asked the same when the order was given;
// since then the laptop may have started in another mode, gained a drive, or become ill.
func (d *deployment) preflight() error {
	a, j := d.agent, d.job
	d.look()
	if err := preflight.Starts(j.Needs, a.me.bios, a.me.arch); err != nil {
		return err
	}
	if err := d.noted(preflight.Memory(j.Needs, a.me.memory)); err != nil {
		return err
	}
	if !j.Kind.Started(j.Resume) { // a drive that is half written stays the one that was meant
		now, err := a.Drives.List()
		if err != nil {
			return fmt.Errorf("list drives: %w", err)
		}
		if err := preflight.Still(now, j.Target, j.Rule); err != nil {
			return err
		}
	}
	if err := d.noted(preflight.Healthy(d.found.Health, j.DespiteHealth)); err != nil {
		return err
	}
	if a.me.keysErr != nil {
		d.found.Notes = append(d.found.Notes, "The keys of Secure Boot cannot be read.")
	}
	return d.noted(preflight.Trusts(j.Needs, a.me.arch, a.me.keys))
}

// look fills in what is found and puts it on the serial console.
func (d *deployment) look() {
	d.looked = true
	d.found = job.Found{Holds: d.drive.Survey(), Health: d.drive.Health(), Power: d.agent.Machine.Power()}
	d.agent.Say(fmt.Sprintf("drive %s health %s", printable(d.job.Target.Serial), printable(d.found.Health.String())))
	for _, h := range d.found.Holds {
		d.agent.Say("drive " + printable(d.job.Target.Serial) + " holds " + printable(h))
	}
	d.agent.Log.Info().Str("drive", d.job.Target.Serial).Strs("holds", d.found.Holds).Str("health", d.found.Health.String()).
		Str("power", d.found.Power.String()).Msg("before the first write")
}

// noted keeps a note for the record and passes the refusal on.
func (d *deployment) noted(note string, err error) error {
	if note != "" {
		d.found.Notes = append(d.found.Notes, note)
		d.agent.Say("note " + printable(note))
	}
	return err
}

// ready waits until there is power, then gives the person at the laptop time to stop. When the charger is pulled
// out meanwhile it begins again. A disk that an earlier start has written to has nothing left to lose, so a resumed
// job does not count down.
func (d *deployment) ready(ctx context.Context) error {
	defer d.report.ask(nil)
	d.agent.forgetStops()
	for {
		if err := d.awaitPower(ctx); err != nil || d.job.Kind.Started(d.job.Resume) {
			return err
		}
		if over, err := d.countDown(ctx); over || err != nil {
			return err
		}
	}
}

// awaitPower goes on by itself when mains or charge is there.
func (d *deployment) awaitPower(ctx context.Context) error {
	words := job.CodeLowBattery.Words()
	for said := false; ; {
		d.found.Power = d.agent.Machine.Power()
		if preflight.Powered(d.found.Power) {
			if said {
				d.agent.Say("going on, " + d.found.Power.String())
			}
			return nil
		}
		if !said {
			said = true
			d.agent.Say(fmt.Sprintf("waiting %s %s %s", job.CodeLowBattery, words.Sentence, d.found.Power))
		}
		d.report.ask(&notice{word: "plug in", sentence: words.Sentence, next: words.Next, fault: job.CodeLowBattery,
			lines: []string{d.found.Power.String(), d.howToStop()}})
		if err := d.pause(ctx); err != nil {
			return err
		}
	}
}

// countDown shows what will be lost. It is not over when power was lost on the way.
func (d *deployment) countDown(ctx context.Context) (over bool, err error) {
	drive := d.drive.Drive()
	lines := []string{fmt.Sprintf("%s  %s  %d GB  serial %s", drive.Path, drive.Model, drive.SizeBytes/1e9, drive.Serial), d.howToStop()}
	for _, h := range d.found.Holds {
		lines = append(lines, "lost: "+h)
	}
	lines = append(lines, d.found.Notes...)
	d.agent.Say(fmt.Sprintf("writing starts in %d s, drive %s serial %s", d.job.Countdown, printable(drive.Path), printable(drive.Serial)))
	for left := d.job.Countdown; left > 0; left-- {
		d.report.ask(&notice{word: fmt.Sprintf("writing in %d s", left), sentence: fmt.Sprintf("Everything on drive %s will be lost.", drive.Serial),
			next: "Press Esc to stop.", lines: lines})
		if err := d.pause(ctx); err != nil {
			return false, err
		}
		if d.found.Power = d.agent.Machine.Power(); !preflight.Powered(d.found.Power) {
			return false, nil
		}
	}
	return true, nil
}

func (d *deployment) howToStop() string {
	return "To stop: press Esc, or on the server: ingot job cancel " + string(d.job.ID)
}

// pause lasts a second, or until somebody stops the job.
func (d *deployment) pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-d.agent.Stop:
		return job.Faultf(job.CodeCancelled, "Esc was pressed on the laptop.")
	case <-time.After(cmp.Or(d.agent.Second, time.Second)):
		return nil
	}
}

// forgetStops drops keys that were pressed before there was anything to stop.
func (a *Agent) forgetStops() {
	for {
		select {
		case <-a.Stop:
		default:
			return
		}
	}
}
