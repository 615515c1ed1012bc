package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/imaging/disk"
	"ingot/imaging/job"
)

// carryOut obeys one signed order to its end, and tells the daemon how that was. It returns errLeave when the
// laptop has been reset or switched off, and an error that stays on the screen otherwise.
func (a *Agent) carryOut(ctx context.Context, envelope []byte) error {
	received := time.Now()
	j, err := accept(envelope, a.me)
	if err != nil && j.ID == "" {
		return err // not signed by the daemon: there is nobody to report to
	}
	a.Say(fmt.Sprintf("job %s %s %s", printable(string(j.ID)), printable(string(j.Kind)), printable(subject(j))))
	d := &deployment{agent: a, job: j, received: received, progress: &disk.Progress{}}
	if err == nil {
		err = d.run(ctx, courses[j.Kind])
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return a.conclude(ctx, d, err)
}

// conclude reports the result until it is acknowledged, and only then shows it.
func (a *Agent) conclude(ctx context.Context, d *deployment, err error) error {
	r := d.result(err)
	a.Log.Info().Str("job", string(d.job.ID)).Str("state", string(r.State)).AnErr("cause", err).Msg("job ended")
	_, lost := a.Daemon.Result(ctx, d.job.ID, r)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch {
	case err != nil && r.State == job.Cancelled && !r.DiskTouched:
		a.Say("cancelled, nothing was written")
		return a.leave(ctx, "An operator stopped this job. Nothing was written.")
	case err != nil:
		a.failed(err, d.job.DeviceURL)
	case lost != nil:
		a.failed(lost, d.job.DeviceURL) // done here, not recorded there: that is not done
	default:
		return a.done(ctx, d)
	}
	<-ctx.Done() // the failure stays until a person has read it
	return context.Cause(ctx)
}

// result is what the daemon records of a deployment that ended with err.
func (d *deployment) result(err error) job.Result {
	r := job.Result{Job: d.job.ID, State: job.Done, Proof: d.proof, FetchedBytes: d.progress.Fetched.Load(),
		WrittenBytes: d.progress.Written.Load(), KeptBytes: d.progress.Kept.Load(), Seconds: time.Since(d.received).Seconds(),
		DiskTouched: d.touched, Found: d.seen(), Finished: time.Now().UTC(), Captured: d.source.result}
	if err == nil {
		return r
	}
	r.State, r.Fault = job.Failed, job.FaultOf(err)
	var fault *job.Fault
	switch {
	case errors.As(err, &fault) && fault.Code == job.CodeCancelled:
		r.State = job.Cancelled
	case errors.As(err, &fault) && (fault.Code == job.CodeIndeterminate || fault.Code == job.CodeUnsettled):
		r.State = job.Indeterminate
	}
	return r
}

// seen is what was found, nil when the laptop never got to look.
func (d *deployment) seen() *job.Found {
	if !d.looked {
		return nil
	}
	return &d.found
}

// done shows the good end and does what the job says comes after it.
func (a *Agent) done(ctx context.Context, d *deployment) error {
	a.Say("done")
	v := View{Word: job.WordDone, Colour: Green, Name: d.job.DeviceName, Bar: 1, Left: -1, SafeTo: NetworkFree, Lines: []string{subject(d.job)}}
	if r := d.source.recorded; r.Image != nil {
		v.Lines, v.Sentence = []string{r.Image.String()}, "The drive is in the library; nothing on it has changed."
		a.Say("captured as " + printable(r.Image.String()))
	}
	if d.job.Kind == job.Wipe {
		v.Lines, v.Sentence = d.wipes.lines(), "Every drive is wiped, and its certificate is stored."
	}
	if d.note != nil {
		w := d.note.Code.Words()
		v.Sentence, v.Next, v.Fault = w.Sentence, w.Next, d.note.Code
	}
	if d.job.Wipe != nil && d.job.Wipe.Then {
		a.show(v)
		return nil // the next order is asked for
	}
	if d.job.After != job.PowerOff {
		a.show(v)
		a.hold(ctx, cmp.Or(a.Linger, resetHold), false)
		if d.job.Kind == job.Capture {
			a.toOwnDisk(ctx)
		}
		return a.end(a.Power.Reset())
	}
	v.SafeTo = UnplugAllowed
	a.show(v)
	a.hold(ctx, doneHold, true)
	return a.end(a.Power.Off())
}

// hold lets the screen stand for a while, or until the cable is pulled.
func (a *Agent) hold(ctx context.Context, long time.Duration, unplug bool) {
	end := time.NewTimer(long)
	defer end.Stop()
	look := time.NewTicker(unplugCheck)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-look.C:
			if unplug && a.Machine.Unplugged() {
				return
			}
		}
	}
}
