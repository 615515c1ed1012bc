package agent

import (
	"cmp"
	"context"
	"errors"

	"ingot/imaging/job"
)

// start asks the daemon for the token that a stick does not carry. A refusal ends the boot: it returns errLeave.
func (a *Agent) start(ctx context.Context, h job.Hello) error {
	r := job.BootRequest{Version: job.Version, UUID: h.Facts.UUID, Bundle: a.Bundle}
	for _, l := range h.Links {
		if r.MAC == "" || l.Boot {
			r.MAC = l.MAC
		}
	}
	reply, err := a.Daemon.Start(ctx, r)
	if err != nil {
		return a.oldStick(err)
	}
	if reply.Fault != nil {
		return a.refused(ctx, reply.Fault)
	}
	a.Say("started from a stick")
	a.Token = reply.Token
	return nil
}

// oldStick puts the refusal of another protocol into a stick's words: starting it again mends nothing.
func (a *Agent) oldStick(err error) error {
	var f *job.Fault
	if a.Token == "" && errors.As(err, &f) && f.Code == job.CodeProtocol {
		return errors.Join(job.Faultf(job.CodeStickOld, "%s", f.Fact), err)
	}
	return err
}

// refused shows why nothing is started here and gives the laptop back to its own system. One that has none would come
// back to the stick for ever, so it is switched off.
func (a *Agent) refused(ctx context.Context, f *job.Fault) error {
	w := f.Code.Words()
	a.Say("refused " + string(f.Code) + " " + printable(w.Sentence+" "+f.Fact+" "+w.Next))
	v := View{Word: "refused", Colour: Yellow, Bar: -1, Left: -1, SafeTo: UnplugAllowed, Sentence: w.Sentence, Next: w.Next, Fault: f.Code}
	if f.Fact != "" {
		v.Lines = []string{f.Fact}
	}
	a.show(v)
	a.hold(ctx, cmp.Or(a.Linger, refusedHold), false)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := a.Firmware.Local(ctx); err != nil {
		a.Log.Warn().Err(err).Msg("the laptop has no system of its own")
		a.Say("switching off")
		return a.end(a.Power.Off())
	}
	return a.end(a.Power.Reset())
}
