package wipe

import (
	"fmt"
	"io"

	"ingot/imaging/passthru"
)

// securityErase sets a password, erases with it, and sees that no password is left. The caller has stored the password
// before the drive learns it; whatever goes wrong behind that, it is tried to take it off again, and the Report says
// whether it is off.
func (r *run) securityErase(ev Evidence) *end {
	if e := r.covered(); e != nil {
		return e
	}
	sec, err := r.security()
	switch {
	case err != nil:
		return ended(Refused, CauseNoAnswer, "%v", err)
	case sec.Frozen:
		return ended(Refused, CauseFrozen, "ATA Security is frozen")
	case sec.Enabled || sec.Locked:
		return ended(Refused, CauseLocked, "an ATA password is set")
	}
	pw, err := r.password()
	if err != nil {
		return ended(Refused, CauseInternal, "%v", err)
	}
	if err := r.Keep(Password{Drive: r.rep.Drive, Password: pw}); err != nil {
		return ended(Refused, CauseNotRecorded, "the password could not be stored: %v", err)
	}
	if e := r.journal(Started{Evidence: ev}); e != nil { // before the drive learns it: whoever finds it locked finds the run
		return e
	}
	if e := r.setPassword(pw); e != nil {
		return e
	}
	return r.eraseUnit(pw, sec)
}

func (r *run) security() (ATASecurity, error) {
	a, err := Probe(r.Port)
	if err != nil {
		return ATASecurity{}, err
	}
	if a.ATA == nil {
		return ATASecurity{}, fmt.Errorf("the drive is no ATA drive any more")
	}
	return a.ATA.Security, nil
}

// password draws 32 letters and digits that nobody confuses when they are typed.
func (r *run) password() (string, error) {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789" // 32 of them
	b := make([]byte, 32)
	if _, err := io.ReadFull(r.Random, b); err != nil {
		return "", fmt.Errorf("no random numbers: %w", err)
	}
	for i := range b {
		b[i] = letters[b[i]&31]
	}
	return string(b), nil
}

// setPassword sets the user password at security level high, and sees that the drive has it.
func (r *run) setPassword(pw string) *end {
	regs, err := ataCommand(r.Port, securityCommand(ataSecSetPassword, 0, pw, commandTime))
	r.at.raw("set password", "%s", answer(regs, err))
	sec, seen := r.security()
	switch {
	case seen != nil:
		return ended(Failed, CauseLocked, "it is not known whether the drive took its password: %v", seen)
	case sec.Enabled && err == nil && regs.OK():
		return nil
	case sec.Enabled:
		return r.unset(pw, ended(Refused, CauseAborted, "the drive answered the password with %s", answer(regs, err)))
	default:
		return ended(Refused, CauseAborted, "the drive did not take a password: %s", answer(regs, err))
	}
}

// answer is registers, or why there are none.
func answer(r passthru.Registers, err error) string {
	if err != nil {
		return err.Error()
	}
	return r.String()
}

func (r *run) eraseUnit(pw string, sec ATASecurity) *end {
	regs, err := ataCommand(r.Port, passthru.Taskfile{Command: ataSecErasePrepare, Device: lbaMode, Timeout: commandTime})
	r.at.raw("erase prepare", "%s", answer(regs, err))
	if err != nil || !regs.OK() {
		return r.unset(pw, ended(Refused, CauseAborted, "the drive refused to prepare: %s", answer(regs, err)))
	}
	mode := uint16(0)
	if r.step.Technique == SecurityEraseEx {
		mode = enhancedErase
	}
	r.show(Wiping, 0, 0, eraseLimit(sec, r.step.Technique)/2)
	r.rep.Touched = true
	regs, err = ataCommand(r.Port, securityCommand(ataSecEraseUnit, mode, pw, eraseLimit(sec, r.step.Technique)))
	r.at.raw("erase unit", "%s", answer(regs, err))
	if err != nil {
		return r.unset(pw, ended(Indeterminate, CauseNoAnswer, "%v", err))
	}
	if !regs.OK() {
		return r.unset(pw, ended(Failed, CauseDriveFailed, "the erase ended with %s", regs))
	}
	return r.erased(pw)
}

// erased: a drive that erased takes its password off by itself. One that did not has not erased.
func (r *run) erased(pw string) *end {
	sec, err := r.security()
	if err != nil {
		return ended(Indeterminate, CauseNoAnswer, "%v", err)
	}
	r.at.raw("security after", "enabled %t, locked %t", sec.Enabled, sec.Locked)
	if sec.Enabled {
		return r.unset(pw, ended(Failed, CauseDriveFailed, "the drive said that it erased, and kept its password"))
	}
	r.rep.Completion = Completion{Accepted: true, Finished: true, Fresh: true,
		How: "SECURITY ERASE UNIT ended well, which it does only at its end, and the drive took off the password of this run"}
	return nil
}

// unset takes the password off after e, and says in e's fact when it is still on.
func (r *run) unset(pw string, e *end) *end {
	sec, err := r.security()
	if err == nil && !sec.Enabled {
		r.at.raw("password", "off")
		return e
	}
	for _, cmd := range []uint8{ataSecUnlock, ataSecDisable} {
		if cmd == ataSecUnlock && err == nil && !sec.Locked {
			continue // an unlock of what is not locked is aborted
		}
		regs, cerr := ataCommand(r.Port, securityCommand(cmd, 0, pw, commandTime))
		r.at.raw(map[uint8]string{ataSecUnlock: "unlock", ataSecDisable: "disable password"}[cmd], "%s", answer(regs, cerr))
	}
	if sec, err = r.security(); err == nil && !sec.Enabled {
		r.at.raw("password", "off")
		return e
	}
	if e.outcome == Refused { // the drive is not as it was
		e.outcome = Failed
	}
	e.cause = CauseLocked
	e.fact = line("its password is still set; it is stored with the job. " + e.fact)
	return e
}
