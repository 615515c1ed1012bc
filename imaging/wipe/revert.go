package wipe

import "context"

// unlock reverts a drive that TCG Opal locks, so that it can be looked at and wiped like any other. Nothing is claimed
// of the revert itself: what lay on the drive could not be looked at before it.
func (r *run) unlock(ctx context.Context) *end {
	r.step = Step{Technique: PSIDRevert, Claim: None}
	r.beginAttempt(true)
	e := r.revertTo(Evidence{Seed: r.seed})
	r.close(e)
	if e != nil {
		return e
	}
	if err := r.Port.Rescan(); err != nil {
		r.at.raw("rescan", "%v", err)
	}
	a, err := Probe(r.Port)
	if err != nil {
		return ended(Indeterminate, CauseNoAnswer, "after the revert: %v", err)
	}
	if a.Drive.Serial != r.ability.Drive.Serial {
		return ended(Indeterminate, CauseWrongDrive, "another drive is there after the revert: %s", a.Drive.Serial)
	}
	r.ability = a
	r.rep.Ability.Opal = a.Opal
	return nil
}

// psidRevert is the revert as a wipe of its own, on a drive whose content could be looked at before.
func (r *run) psidRevert(ev Evidence) *end { return r.revertTo(ev) }

// revertTo reverts and asks the drive whether its locks are gone. A PSID that is wrong changes nothing.
func (r *run) revertTo(ev Evidence) *end {
	if !goodPSID(r.order.PSID) {
		return ended(Refused, CauseWrongPSID, "a PSID has 32 letters and digits, this one has %d characters", len(r.order.PSID))
	}
	if e := r.journal(Started{Evidence: ev}); e != nil {
		return e
	}
	err := r.Port.PSIDRevert(r.order.PSID)
	a, perr := Probe(r.Port)
	switch {
	case perr != nil || a.Opal == nil:
		r.rep.Touched = true
		return ended(Indeterminate, CauseNoAnswer, "the drive does not tell whether it was reverted (%v; %v)", err, perr)
	case err != nil && a.Opal.Enabled:
		r.at.raw("revert", "%v", err)
		return ended(Refused, CauseWrongPSID, "%v", err)
	}
	r.rep.Touched = true
	r.at.raw("revert", "error %v; locking enabled %t, locked %t", err, a.Opal.Enabled, a.Opal.Locked)
	switch {
	case err != nil:
		return ended(Indeterminate, CauseNoAnswer, "%v", err)
	case a.Opal.Enabled || a.Opal.Locked:
		return ended(Failed, CauseDriveFailed, "the drive said that it reverted, and is still locked")
	}
	r.rep.Completion = Completion{Accepted: true, Finished: true, Fresh: true,
		How: "the drive took the PSID, and level 0 discovery, which said that locking is enabled before, says that it is not"}
	return nil
}

// inFailureMode: a sanitize that failed earlier keeps the drive from being read.
func (r *run) inFailureMode() bool {
	return r.ability.NVMe != nil && r.ability.NVMe.Log.State() == sanitizeFailed || r.ability.ATA != nil && r.ability.ATA.Status.Failed
}

// twice: a drive in failure mode cannot be looked at. It is sanitized once to make it readable, of which nothing is
// claimed, and then once more with evidence.
func (r *run) twice() *end {
	r.at.Unlocking = true
	blind := Evidence{Seed: r.seed, Size: r.rep.Drive.SizeBytes, Sector: r.rep.Drive.SectorSize, Depth: r.order.Policy.Depth}
	if e := r.carryOut(blind); e != nil {
		return e
	}
	r.close(nil)
	r.beginAttempt(false)
	ev, touched, err := look(r.Port, r.seed, r.rep.Drive.SizeBytes, r.rep.Drive.SectorSize, r.order.Policy.Depth, r.shown(Looking))
	r.rep.Touched = r.rep.Touched || touched
	if err != nil {
		return ended(Indeterminate, CauseUnverified, "it was sanitized, and cannot be looked at: %v", err)
	}
	if e := r.carryOut(ev); e != nil {
		return e
	}
	return r.after(ev)
}
