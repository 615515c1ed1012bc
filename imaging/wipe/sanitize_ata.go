package wipe

import (
	"fmt"
	"time"

	"ingot/imaging/passthru"
)

// sinceATA reads SANITIZE STATUS as what it says about our run. The drive keeps one bit for success, so a success counts
// only when the bit was clear before, or our run was seen at work.
func sinceATA(before, now ATASanitizeStatus, seen bool) standing {
	switch {
	case now.Running:
		return standsRunning
	case now.Failed && (seen || !before.Failed):
		return standsFailed
	case now.Succeeded && (seen || !before.Succeeded):
		return standsDone
	}
	return standsOld
}

// ataSanitize starts a SANITIZE DEVICE and follows its status to the end.
func (r *run) ataSanitize(ev Evidence) *end {
	before, err := readATASanitize(r.Port)
	if err != nil {
		return ended(Refused, CauseNoAnswer, "%v", err)
	}
	r.at.raw("status before", "%s", before.Raw)
	switch {
	case before.Running:
		return ended(Refused, CauseBusy, "a sanitize runs on it already: %s", before.Raw)
	case before.Frozen:
		return ended(Refused, CauseFrozen, "SANITIZE is frozen: %s", before.Raw)
	}
	if e := r.journal(Started{ATA: &before, Evidence: ev}); e != nil {
		return e
	}
	regs, err := ataCommand(r.Port, sanitizeCommand(r.step.Technique))
	r.rep.Touched = true
	if err != nil {
		r.at.raw("sanitize", "%v", err) // it may have arrived: the status decides
		return r.followATA(before)
	}
	r.at.raw("sanitize", "%s", regs)
	if !regs.OK() {
		return sanitizeRefused(regs)
	}
	r.rep.Completion.Accepted = true
	return r.followATA(before)
}

// sanitizeRefused: an aborted command did not start. Any other error may have come in the middle.
func sanitizeRefused(regs passthru.Registers) *end {
	switch reason := byte(regs.LBA); {
	case !regs.Aborted():
		return ended(Indeterminate, CauseNoAnswer, "the drive answered %s", regs)
	case reason == reasonFrozen:
		return ended(Refused, CauseFrozen, "SANITIZE is frozen: %s", regs)
	case reason == reasonUnsuccessful:
		return ended(Failed, CauseDriveFailed, "the drive is locked by a sanitize that failed: %s", regs)
	default:
		return ended(Refused, CauseAborted, "the drive refused to sanitize: %s", regs)
	}
}

func (r *run) followATA(before ATASanitizeStatus) *end {
	seen := false
	var now ATASanitizeStatus
	e := r.watch(0, func() (reading, error) {
		var err error
		if now, err = readATASanitize(r.Port); err != nil {
			return reading{}, err
		}
		s := sinceATA(before, now, seen)
		if s == standsRunning {
			seen, r.rep.Completion.Accepted = true, true
		}
		return reading{s, now.Progress, now.Raw}, nil
	})
	if e != nil {
		return e
	}
	c := &r.rep.Completion
	c.Accepted, c.Finished, c.Fresh = true, true, true
	c.How = fmt.Sprintf("sanitize status: %s, before: %s, seen running: %t", now.Raw, before.Raw, seen)
	return nil
}

// thaw takes a freeze lock off by letting the machine sleep and wake, then looks at the drive again.
func (r *run) thaw() *end {
	if r.Thaw == nil {
		return ended(Refused, CauseFrozen, "this machine cannot sleep and wake")
	}
	if err := r.Thaw(); err != nil {
		return ended(Refused, CauseFrozen, "the machine did not sleep and wake: %v", err)
	}
	a, err := Probe(r.Port)
	if err != nil {
		return ended(Refused, CauseNoAnswer, "after waking: %v", err)
	}
	if a.ATA == nil || a.Drive.Serial != r.ability.Drive.Serial {
		return ended(Refused, CauseWrongDrive, "another drive is there after waking: %s", a.Drive.Serial)
	}
	r.ability = a
	r.at.raw("after sleep", "security frozen %t, sanitize frozen %t", a.ATA.Security.Frozen, a.ATA.Status.Frozen)
	if a.ATA.Security.Locked {
		return ended(Refused, CauseLocked, "it woke locked by an ATA password")
	}
	erase := r.step.Technique == SecurityErase || r.step.Technique == SecurityEraseEx
	if erase && a.ATA.Security.Frozen || !erase && a.ATA.Status.Frozen {
		return ended(Refused, CauseFrozen, "it is still frozen after sleeping and waking")
	}
	return nil
}

// eraseTimeUnknown bounds a Security Erase whose length the drive does not tell.
const eraseTimeUnknown = 12 * time.Hour

// eraseLimit gives the time that a drive is given: twice what it says.
func eraseLimit(s ATASecurity, t Technique) time.Duration {
	d := s.Erase
	if t == SecurityEraseEx {
		d = s.EraseEnhanced
	}
	if d == 0 {
		return eraseTimeUnknown
	}
	return 2*d + 10*time.Minute
}
