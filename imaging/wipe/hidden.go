package wipe

import (
	"encoding/binary"
	"fmt"

	"ingot/imaging/passthru"
)

// openHidden looks for sectors that an ATA drive keeps back (HPA, DCO, or their newer form), says what it found in one
// of three states, and opens them where the drive lets us. What stays hidden ends an overwrite before it starts, since
// no overwrite reaches it, and it is not certain that a Security Erase does; a sanitize does.
func (r *run) openHidden() {
	if r.ability.ATA == nil {
		return
	}
	h, max := findHidden(r.Port, *r.ability.ATA)
	r.rep.Hidden = h
	if h.State == HiddenFound {
		r.unhide(max)
	}
	if h := r.rep.Hidden; h.What == "HPA" && h.Removed && r.ability.ATA.DCO && !r.ability.ATA.AMAC {
		r.openBeneath(max)
	}
	switch h := r.rep.Hidden; {
	case h.State == HiddenUnknown:
		r.warn(WarnHiddenUnknown)
	case h.State == HiddenFound:
		r.warn(WarnHidden)
	}
}

// openBeneath looks for what a DCO hides below an HPA that was opened: it tells itself only now. shown is the count of
// sectors that the drive shows since.
func (r *run) openBeneath(shown uint64) {
	hpa, now := r.rep.Hidden, *r.ability.ATA
	now.Sectors = shown
	h, native := askDCO(r.Port, now)
	if h.State == HiddenNone {
		return
	}
	r.rep.Hidden = h
	if h.State == HiddenFound {
		r.unhide(native)
	}
	r.rep.Hidden.What, r.rep.Hidden.Bytes = "HPA and DCO", hpa.Bytes+h.Bytes
	r.warn(WarnHidden)
}

// covered refuses an overwrite that would leave sectors out.
func (r *run) covered() *end {
	if h := r.rep.Hidden; h.State == HiddenFound && !h.Removed {
		return ended(Refused, CauseHidden, "%d bytes are hidden by %s and could not be opened: %s", h.Bytes, h.What, h.Why)
	}
	return nil
}

// findHidden compares what the drive shows with what it has. native is the count of sectors that it has.
func findHidden(p Port, a ATAAbility) (h Hidden, native uint64) {
	switch {
	case a.AMAC:
		return ask(p, a, "HPA", passthru.Taskfile{Command: ataAMAC, Feature: 0, Device: lbaMode, Wide: true, Timeout: commandTime})
	case a.HPA:
		if h, native = ask(p, a, "HPA", passthru.Taskfile{Command: ataReadNativeMax, Device: lbaMode, Wide: true, Timeout: commandTime}); h.State != HiddenNone {
			return h, native
		}
	}
	if !a.DCO {
		return Hidden{State: HiddenNone}, a.Sectors
	}
	return askDCO(p, a)
}

// ask reads the highest address that a drive has.
func ask(p Port, a ATAAbility, what string, t passthru.Taskfile) (Hidden, uint64) {
	regs, err := ataCommand(p, t)
	if err != nil || !regs.OK() || regs.Narrow {
		return Hidden{State: HiddenUnknown, What: what, Why: "the drive did not tell its highest address: " + answer(regs, err)}, 0
	}
	return compared(a.Sectors, regs.LBA+1, what)
}

func askDCO(p Port, a ATAAbility) (Hidden, uint64) {
	b := make([]byte, 512)
	regs, err := ataCommand(p, passthru.Taskfile{Command: ataDCO, Feature: dcoIdentify, Count: 1, Device: lbaMode, Move: passthru.FromDrive, Data: b, Timeout: commandTime})
	if err != nil || !regs.OK() || checksum(b) != 0 {
		return Hidden{State: HiddenUnknown, What: "DCO", Why: "the drive did not tell its configuration overlay: " + answer(regs, err)}, 0
	}
	return compared(a.Sectors, binary.LittleEndian.Uint64(b[6:])+1, "DCO") // words 3 to 6: its real highest address
}

func compared(shown, has uint64, what string) (Hidden, uint64) {
	switch {
	case has == shown:
		return Hidden{State: HiddenNone}, has
	case has < shown || has > shown<<8+1<<20: // no drive hides more than nearly all of itself
		return Hidden{State: HiddenUnknown, What: what, Why: fmt.Sprintf("the drive shows %d sectors and says that it has %d", shown, has)}, 0
	}
	return Hidden{State: HiddenFound, What: what, Bytes: (has - shown) * 512}, has
}

// unhide opens what was found, and takes the drive's new size for that of the run. Only what the kernel then shows
// counts.
func (r *run) unhide(native uint64) {
	h := &r.rep.Hidden
	t := passthru.Taskfile{Command: ataSetMax, LBA: native - 1, Count: 1, Device: lbaMode, Wide: true, Timeout: commandTime} // COUNT bit 0: also after the next power-on
	switch {
	case r.ability.ATA.AMAC:
		t = passthru.Taskfile{Command: ataAMAC, Feature: 1, LBA: native - 1, Device: lbaMode, Wide: true, Timeout: commandTime}
	case h.What == "DCO":
		t = passthru.Taskfile{Command: ataDCO, Feature: dcoRestore, Device: lbaMode, Timeout: commandTime}
	default: // SET MAX counts only right behind READ NATIVE MAX
		if regs, err := ataCommand(r.Port, passthru.Taskfile{Command: ataReadNativeMax, Device: lbaMode, Wide: true, Timeout: commandTime}); err != nil || !regs.OK() {
			h.Why = answer(regs, err)
			return
		}
	}
	if regs, err := ataCommand(r.Port, t); err != nil || !regs.OK() {
		h.Why = "the drive refused: " + answer(regs, err)
		return
	}
	if err := r.Port.Rescan(); err != nil {
		h.Why = line(err.Error())
		return
	}
	f, err := r.Port.Facts()
	if err != nil || f.SizeBytes != native*512 {
		h.Why = fmt.Sprintf("the drive opened it, and the kernel still shows %d bytes: start the laptop again", f.SizeBytes)
		return
	}
	h.Removed = true
	r.ability.Drive.SizeBytes, r.rep.Drive.SizeBytes = f.SizeBytes, f.SizeBytes
}
