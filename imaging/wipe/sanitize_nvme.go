package wipe

import (
	"fmt"
	"time"

	"ingot/imaging/passthru"
)

// sinceNVMe reads log page 81h as what it says about our run: a pure decision over the snapshot, the log now, dword 10
// of our command, and whether our run was seen at work.
func sinceNVMe(before, now SanitizeLog, action uint32, seen bool) standing {
	mine := now.Action == action
	switch now.State() {
	case sanitizeRunning:
		if mine {
			return standsRunning
		}
		return standsForeign
	case sanitizeFailed:
		if mine && (seen || before.State() != sanitizeFailed || before.Action != action) {
			return standsFailed
		}
	case sanitizeDone, sanitizeForced:
		old := before.Completed() && before.Action == action // it looked like this before we began
		if mine && (seen || !old || now.Erased() && !before.Erased()) {
			return standsDone
		}
	}
	return standsOld
}

// nvmeSanitize starts a sanitize and follows the drive's log to its end.
func (r *run) nvmeSanitize(ev Evidence) *end {
	before, err := readSanitizeLog(r.Port)
	if err != nil {
		return ended(Refused, CauseNoAnswer, "%v", err)
	}
	r.at.raw("log before", "%s", before)
	if before.State() == sanitizeRunning {
		return ended(Refused, CauseBusy, "a sanitize runs on it already: %s", before)
	}
	action := sanitizeAction(r.step.Technique)
	if r.ability.NVMe.Version >= knowsPurgeRequired {
		action |= purgeRequired
	}
	if e := r.journal(Started{Action: action, NVMe: &before, Evidence: ev}); e != nil {
		return e
	}
	action, e := r.sendSanitize(action)
	if e != nil {
		return e
	}
	return r.followNVMe(before, action)
}

// knowsPurgeRequired is the version of the specification that brought PREQ, as VER holds it. What the bit means on
// an older controller nobody knows, so it is not set there.
const knowsPurgeRequired = 2<<16 | 2<<8

// sendSanitize sends the command. PREQ asks the drive to purge in the sense of IEEE 2883, or to refuse; a controller
// that does not know the bit refuses the field, and is asked without it.
func (r *run) sendSanitize(action uint32) (uint32, *end) {
	reply, err := r.Port.NVMe(passthru.NVMe{Opcode: opSanitize, CDW: [6]uint32{action}, Timeout: commandTime})
	if err == nil && reply.Status.Is(passthru.NVMeInvalidField) && action&purgeRequired != 0 {
		r.at.raw("sanitize with PREQ", "%s", reply.Status)
		action &^= purgeRequired
		reply, err = r.Port.NVMe(passthru.NVMe{Opcode: opSanitize, CDW: [6]uint32{action}, Timeout: commandTime})
	}
	if err != nil { // it may have arrived: the log decides
		r.at.raw("sanitize", "%v", err)
		r.rep.Touched = true
		return action, nil
	}
	r.at.raw("sanitize", "SCDW10 %#08x: %s", action, reply.Status)
	if !reply.Status.OK() {
		return action, r.notTaken(reply.Status)
	}
	r.rep.Completion.Accepted, r.rep.Touched = true, true
	return action, nil
}

// notTaken: a sanitize that was answered with a status did not start. That one runs all the same is somebody else's.
func (r *run) notTaken(s passthru.Status) *end {
	now, err := readSanitizeLog(r.Port)
	switch {
	case s.Is(passthru.NVMeSanitizeInProgress), err == nil && now.State() == sanitizeRunning:
		return ended(Refused, CauseBusy, "a sanitize runs on it already (status %s)", s)
	case s.Is(passthru.NVMeSanitizeFailed):
		return ended(Failed, CauseDriveFailed, "the drive is locked by a sanitize that failed (status %s)", s)
	}
	return ended(Refused, CauseAborted, "the drive refused to sanitize (status %s)", s)
}

// followNVMe waits for the end, and writes down by what it is known.
func (r *run) followNVMe(before SanitizeLog, action uint32) *end {
	seen := false
	var now SanitizeLog
	expected, _ := before.estimate(r.step.Technique)
	e := r.watch(expected, func() (reading, error) {
		var err error
		if now, err = readSanitizeLog(r.Port); err != nil {
			return reading{}, err
		}
		s := sinceNVMe(before, now, action, seen)
		if s == standsRunning {
			seen, r.rep.Completion.Accepted = true, true
		}
		return reading{s, now.Progress, now.String()}, nil
	})
	if e != nil {
		return e
	}
	c := &r.rep.Completion
	c.Accepted, c.Finished, c.Fresh, c.Purged = true, true, true, now.Purged()
	c.How = fmt.Sprintf("log page 81h: %s, before: %s, seen running: %t", now, before, seen)
	if action&purgeRequired != 0 && !now.Purged() {
		r.warn(WarnNotPurged)
	}
	return nil
}

// formatTime bounds a format, which answers only when it has ended.
const formatTime = 4 * time.Hour

// nvmeFormat erases by Format NVM. It keeps the LBA format.
func (r *run) nvmeFormat(ev Evidence, ses eraseSetting) *end {
	n := r.ability.NVMe
	cmd, err := formatCommand(n.NSID, n.LBAFormat, ses, formatTime)
	if err != nil {
		return ended(Refused, CauseInternal, "%v", err)
	}
	if e := r.journal(Started{Action: cmd.CDW[0], Evidence: ev}); e != nil {
		return e
	}
	r.show(Wiping, 0, 0, -1)
	reply, err := r.Port.NVMe(cmd)
	if err != nil {
		r.rep.Touched = true
		return ended(Indeterminate, CauseNoAnswer, "%v", err)
	}
	r.at.raw("format", "CDW10 %#08x: %s", cmd.CDW[0], reply.Status)
	if !reply.Status.OK() {
		return r.formatRefused(reply.Status)
	}
	r.rep.Touched = true
	r.rep.Completion = Completion{Accepted: true, Finished: true, Fresh: true,
		How: fmt.Sprintf("Format NVM with SES %d answered %s, which it does only at its end", ses, reply.Status)}
	if n.Namespaces != 1 {
		r.warn(WarnNamespaces)
	}
	return nil
}

// formatRefused tells the statuses that are given before anything is erased from those that may come in the middle.
func (r *run) formatRefused(s passthru.Status) *end {
	switch {
	case s.Is(passthru.NVMeSanitizeInProgress):
		return ended(Refused, CauseBusy, "a sanitize runs on it (status %s)", s)
	case s.Is(passthru.NVMeSanitizeFailed):
		return ended(Failed, CauseDriveFailed, "the drive is locked by a sanitize that failed (status %s)", s)
	}
	for _, before := range []passthru.Status{passthru.NVMeInvalidOpcode, passthru.NVMeInvalidField, passthru.NVMeInvalidNamespace,
		passthru.NVMeOperationDenied, passthru.NVMeWriteProtected, passthru.NVMeInvalidFormat, passthru.NVMeAccessDenied} {
		if s.Is(before) {
			return ended(Refused, CauseAborted, "the drive refused to format (status %s)", s)
		}
	}
	r.rep.Touched = true
	return ended(Failed, CauseDriveFailed, "the format ended with status %s", s)
}
