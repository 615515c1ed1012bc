package wipe

import (
	"context"
	"fmt"
)

// Settle says, in a later boot, how a run ended that nobody saw the end of. It starts nothing: it reads the drive's own
// record where the drive keeps one, waits for what still runs, and looks at the samples again. password is the one that
// Keep was given, if any: a drive that is still locked by it is opened.
//
// A run that left all its canaries in place never began, and is refused: it may be started again. Without a record, and
// with the canaries gone, it stays indeterminate.
func (e *Engine) Settle(ctx context.Context, s Started, password string) Report {
	r := e.begin(Order{Drive: s.Expect, Policy: Policy{Name: s.Report.Policy.Name, Version: s.Report.Policy.Version}})
	started := s.Report.Started
	r.rep, r.step, r.seed = s.Report, s.Step, s.Evidence.Seed
	r.rep.Started, r.rep.Settled = started, true
	r.rep.Cause, r.rep.Fact, r.rep.Settle, r.rep.Outcome = "", "", "", ""
	r.began = r.Clock.Now()
	if n := len(r.rep.Attempts); n > 0 && r.rep.Attempts[n-1].Outcome == "" {
		a := &r.rep.Attempts[n-1]
		a.Outcome, a.Cause, a.Ended = Indeterminate, CauseInterrupted, r.rep.Started
	}
	r.beginAttempt(false)
	end := r.settle(ctx, s, password)
	r.close(end)
	if end == nil {
		r.rep.Technique, r.rep.Claim = s.Step.Technique, s.Step.Claim
		r.concede()
	}
	r.finish(end)
	return r.rep
}

func (r *run) settle(ctx context.Context, s Started, password string) *end {
	if s.Version != ReportVersion {
		return ended(Indeterminate, CauseInternal, "a journal of version %d", s.Version)
	}
	if ev := s.Evidence; (ev.Size != s.Report.Drive.SizeBytes || ev.Sector != s.Report.Drive.SectorSize || ev.Sector <= 0) && !s.revertOnly() {
		return ended(Indeterminate, CauseInternal, "a journal of %d bytes in sectors of %d, of a drive of %d", ev.Size, ev.Sector, s.Report.Drive.SizeBytes)
	}
	if ctx.Err() != nil {
		return ended(Indeterminate, CauseCancelled, "%v", context.Cause(ctx))
	}
	if e := r.meetAgain(s); e != nil {
		return e
	}
	r.rep.Completion, r.rep.Verification = Completion{}, Verification{}
	if a := r.ability.ATA; a != nil && a.Security.Enabled && password != "" {
		return r.unset(password, ended(Failed, CauseInterrupted, "it was interrupted with its password set; repeat the wipe"))
	}
	switch {
	case s.Step.Technique == Overwrite:
		return r.settleOverwrite(s)
	case s.NVMe != nil && r.ability.NVMe != nil:
		e := r.followNVMe(*s.NVMe, r.sentAction(s))
		if e == nil {
			e = r.unwritten()
		}
		return r.settleLogged(s, e)
	case s.ATA != nil && r.ability.ATA != nil:
		return r.settleLogged(s, r.followATA(*s.ATA))
	}
	return r.settleUnlogged(s, ended(Indeterminate, CauseInterrupted, "it was interrupted, and the drive keeps no record; repeat the wipe"))
}

// revertOnly: the revert of a locked drive is journaled without evidence, since nothing could be looked at.
func (s Started) revertOnly() bool {
	return s.Step.Technique == PSIDRevert && s.Evidence.Size == 0 && len(s.Evidence.Sums) == 0
}

// meetAgain makes sure that it is the same drive.
func (r *run) meetAgain(s Started) *end {
	f, err := r.Port.Facts()
	if err != nil {
		return ended(Indeterminate, CauseNoAnswer, "%v", err)
	}
	if r.ability, err = Probe(r.Port); err != nil {
		return ended(Indeterminate, CauseNoAnswer, "%v", err)
	}
	want := s.Expect
	want.SizeBytes = s.Report.Drive.SizeBytes // hidden sectors may have been opened since
	if d := want.matches(f, r.ability.Drive); d != "" {
		return ended(Indeterminate, CauseWrongDrive, "%s", d)
	}
	return nil
}

// sentAction is dword 10 as the drive took it: a controller that refused PREQ was asked without it.
func (r *run) sentAction(s Started) uint32 {
	if log := r.ability.NVMe.Log; log.Action == s.Action&^purgeRequired {
		return log.Action
	}
	return s.Action
}

// unwritten: a sanitize that ended before this boot says nothing of what was written since. The drive tells whether anything
// was; one that keeps no such bit tells nothing.
func (r *run) unwritten() *end {
	log, err := readSanitizeLog(r.Port)
	switch {
	case err != nil:
		return ended(Indeterminate, CauseNoAnswer, "%v", err)
	case !log.Erased():
		return ended(Indeterminate, CauseInterrupted, "it was sanitized, and the drive does not say that nothing was written since (%s); repeat the wipe", log)
	}
	return nil
}

// Stands reports whether what Settle found of the wipe of an earlier order counts under a new one, which may come weeks
// later: only what the drive itself shows whole now, and by the policy of the new order. Anything else is wiped anew.
func (r Report) Stands(p Policy) bool {
	return r.Outcome == Done && r.Technique == Overwrite && r.Policy.Name == p.Name && r.Policy.Version == p.Version
}

// settleLogged takes the drive's record when it is about this run, and the samples as the second proof.
func (r *run) settleLogged(s Started, e *end) *end {
	if e != nil && e.cause == CauseOldResult {
		return r.settleUnlogged(s, e)
	}
	if e != nil {
		return e
	}
	if len(s.Evidence.Sums) == 0 {
		return ended(Indeterminate, CauseInterrupted, "it made the drive readable again; repeat the wipe")
	}
	return r.after(s.Evidence)
}

// settleUnlogged: all canaries in place means that nothing was started.
func (r *run) settleUnlogged(s Started, otherwise *end) *end {
	if len(s.Evidence.Sums) == 0 {
		return otherwise
	}
	v := s.Evidence.compare(r.Port, r.Clock.Sleep, r.shown(Checking))
	r.at.raw("samples", "%d of %d telling blocks unchanged, %d unreadable", v.Unchanged, v.Telling, v.Unreadable)
	if v.Unchanged == v.Telling && v.Unreadable == 0 && v.Canaries >= minCanaries {
		return ended(Refused, CauseInterrupted, "it was interrupted before the drive began")
	}
	return otherwise
}

// settleOverwrite reads the whole drive: an overwrite that was cut short shows itself by what is not its stream.
func (r *run) settleOverwrite(s Started) *end {
	v := s.Evidence.readWhole(r.Port, func(done, total uint64) {
		r.show(Checking, done, total, left(r.Clock.Now().Sub(r.began), done, total))
	})
	r.rep.Verification = v
	if v.Bytes != v.Total {
		return ended(Failed, CauseInterrupted, "%d of %d bytes had been overwritten (%d %%); repeat the wipe", v.Bytes, v.Total, v.Bytes*100/max(1, v.Total))
	}
	r.rep.Verification.Written = v.Total // each byte of this run's stream was written by it
	r.rep.Completion = Completion{Accepted: true, Finished: true, Fresh: true,
		How: fmt.Sprintf("%d bytes read back as the stream of that run's seed", v.Bytes)}
	return nil
}
