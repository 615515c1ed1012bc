package wipe_test

import (
	"testing"

	"ingot/imaging/passthru"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/wipetest"
)

// cell is one run: a drive, the policy, and the end that it must have.
type cell struct {
	drive  func(t *testing.T) (*world, truth)
	cause  wipe.Cause
	by     wipe.Technique // of a wipe that is done
	claim  wipe.Level
	policy wipe.Policy
}

// row is one way of one class of drives in the decision table, with each of the four ends.
type row struct {
	name  string
	cells map[wipe.Outcome]cell
}

func onNVMe(change func(*wipetest.NVMe)) func(*testing.T) (*world, truth) {
	return func(t *testing.T) (*world, truth) { w, d := nvmeWorld(t, change); return w, d }
}

func onATA(rotation uint16, change func(*wipetest.ATA)) func(*testing.T) (*world, truth) {
	return func(t *testing.T) (*world, truth) { w, d := ataWorld(t, rotation, change); return w, d }
}

func onEMMC(change func(*wipetest.EMMC)) func(*testing.T) (*world, truth) {
	return func(t *testing.T) (*world, truth) { w, d := emmcWorld(t, change); return w, d }
}

func onPlain(transport, behind string, override bool, change func(*wipetest.Base)) func(*testing.T) (*world, truth) {
	return func(t *testing.T) (*world, truth) {
		w, d := plainWorld(t, transport, behind, change)
		w.order.Override = override
		return w, d
	}
}

// loses is a drive that does what one NVMe command asks and whose answer does not come.
func loses(opcode uint8, change func(*wipetest.NVMe)) func(*testing.T) (*world, truth) {
	return func(t *testing.T) (*world, truth) {
		d := wipetest.NewNVMe(wipetest.NewMedium(4*mib, true, 1))
		change(d)
		return newWorld(t, lose{d, opcode}, d.Clock, d.Expect(), 1), d
	}
}

// nvmeRow is a sanitize by which alone a controller erases.
func nvmeRow(name string, cap uint32, by wipe.Technique) row {
	with := func(change func(*wipetest.NVMe)) func(*testing.T) (*world, truth) {
		return onNVMe(func(d *wipetest.NVMe) { d.SANICAP = cap; change(d) })
	}
	return row{name, map[wipe.Outcome]cell{
		wipe.Done:          {with(func(*wipetest.NVMe) {}), "", by, wipe.Purge, only()},
		wipe.Refused:       {with(func(d *wipetest.NVMe) { d.Refuses = passthru.NVMeInvalidField }), wipe.CauseAborted, "", "", only()},
		wipe.Failed:        {with(func(d *wipetest.NVMe) { d.Fails = true }), wipe.CauseDriveFailed, "", "", only()},
		wipe.Indeterminate: {with(func(d *wipetest.NVMe) { d.Stalls = true }), wipe.CauseTimeout, "", "", only()},
	}}
}

// formatRow is a format, on a controller that offers no sanitize.
func formatRow(name string, fna uint8, by wipe.Technique) row {
	bare := func(change func(*wipetest.NVMe)) func(*wipetest.NVMe) {
		return func(d *wipetest.NVMe) { d.SANICAP, d.FNA = 0, fna; change(d) }
	}
	return row{name, map[wipe.Outcome]cell{
		wipe.Done:          {onNVMe(bare(func(*wipetest.NVMe) {})), "", by, wipe.Clear, only(by)},
		wipe.Refused:       {onNVMe(bare(func(d *wipetest.NVMe) { d.FormatState = passthru.NVMeOperationDenied })), wipe.CauseAborted, "", "", only(by)},
		wipe.Failed:        {onNVMe(bare(func(d *wipetest.NVMe) { d.Keeps = 1000 })), wipe.CauseStillThere, "", "", only(by)},
		wipe.Indeterminate: {loses(0x80, bare(func(*wipetest.NVMe) {})), wipe.CauseNoAnswer, "", "", only(by)},
	}}
}

// ataRow is an ATA sanitize by which alone a drive erases. bits are word 59.
func ataRow(name string, rotation, bits uint16, by wipe.Technique) row {
	policy := only()
	policy.Want = map[wipe.Class]wipe.Level{wipe.SATADisk: wipe.Purge, wipe.SATAFlash: wipe.Purge}
	with := func(change func(*wipetest.ATA)) func(*testing.T) (*world, truth) {
		return onATA(rotation, func(d *wipetest.ATA) { d.Sanitizes, d.Supported = bits, false; change(d) })
	}
	return row{name, map[wipe.Outcome]cell{
		wipe.Done:          {with(func(*wipetest.ATA) {}), "", by, wipe.Purge, policy},
		wipe.Refused:       {with(func(d *wipetest.ATA) { d.SanFrozen = true }), wipe.CauseFrozen, "", "", policy},
		wipe.Failed:        {with(func(d *wipetest.ATA) { d.Fails = true }), wipe.CauseDriveFailed, "", "", policy},
		wipe.Indeterminate: {with(func(d *wipetest.ATA) { d.Stalls = true }), wipe.CauseTimeout, "", "", policy},
	}}
}

// securityRow is ATA Security Erase, on a drive that offers no sanitize.
func securityRow(name string, enhanced bool, by wipe.Technique) row {
	with := func(change func(*wipetest.ATA)) func(*testing.T) (*world, truth) {
		return onATA(1, func(d *wipetest.ATA) { d.Sanitizes, d.Enhanced = 0, enhanced; change(d) })
	}
	return row{name, map[wipe.Outcome]cell{
		wipe.Done:          {with(func(*wipetest.ATA) {}), "", by, wipe.Clear, only(by)},
		wipe.Refused:       {with(func(d *wipetest.ATA) { d.Frozen = true }), wipe.CauseFrozen, "", "", only(by)},
		wipe.Failed:        {with(func(d *wipetest.ATA) { d.EraseFails = true }), wipe.CauseDriveFailed, "", "", only(by)},
		wipe.Indeterminate: {with(func(d *wipetest.ATA) { d.Silent[0xf4] = true }), wipe.CauseNoAnswer, "", "", only(by)},
	}}
}

// overwriteRow is an overwrite: made puts change onto a drive that offers nothing else.
func overwriteRow(name string, made func(change func(*wipetest.Base)) func(*testing.T) (*world, truth)) row {
	p := wipe.DefaultPolicy()
	return row{name, map[wipe.Outcome]cell{
		wipe.Done:          {made(func(*wipetest.Base) {}), "", wipe.Overwrite, wipe.Clear, p},
		wipe.Refused:       {made(func(b *wipetest.Base) { b.Told.ReadOnly = true }), wipe.CauseReadOnly, "", "", p},
		wipe.Failed:        {made(func(b *wipetest.Base) { b.Drops = true }), wipe.CauseReadBack, "", "", p},
		wipe.Indeterminate: {made(func(b *wipetest.Base) { b.Cached = true }), wipe.CauseInternal, "", "", p},
	}}
}

func ataOverwrite(rotation uint16) func(func(*wipetest.Base)) func(*testing.T) (*world, truth) {
	return func(change func(*wipetest.Base)) func(*testing.T) (*world, truth) {
		return onATA(rotation, func(d *wipetest.ATA) { d.Sanitizes, d.Supported = 0, false; change(d.Base) })
	}
}

func emmcOverwrite(change func(*wipetest.Base)) func(*testing.T) (*world, truth) {
	return onEMMC(func(d *wipetest.EMMC) { d.Feature = 0; change(d.Base) })
}

func plainOverwrite(transport, behind string, override bool) func(func(*wipetest.Base)) func(*testing.T) (*world, truth) {
	return func(change func(*wipetest.Base)) func(*testing.T) (*world, truth) {
		return onPlain(transport, behind, override, change)
	}
}

// emmcRow is SANITIZE or a secure erase. What loses its end differs, so the caller gives it.
func emmcRow(name string, feature uint8, by wipe.Technique, claim wipe.Level, fails, lost func(*wipetest.EMMC), failed, unsure wipe.Cause) row {
	with := func(change func(*wipetest.EMMC)) func(*testing.T) (*world, truth) {
		return onEMMC(func(d *wipetest.EMMC) { d.Feature = feature; change(d) })
	}
	return row{name, map[wipe.Outcome]cell{
		wipe.Done:          {with(func(*wipetest.EMMC) {}), "", by, claim, only(by)},
		wipe.Refused:       {with(func(d *wipetest.EMMC) { d.NoBoot = true }), wipe.CauseAborted, "", "", only(by)},
		wipe.Failed:        {with(fails), failed, "", "", only(by)},
		wipe.Indeterminate: {with(lost), unsure, "", "", only(by)},
	}}
}

// opalRow is a PSID revert that is the wipe itself, of an encrypting drive that is not locked.
func opalRow() row {
	with := func(change func(*wipetest.Opal)) func(*wipetest.NVMe) {
		return func(d *wipetest.NVMe) {
			d.SANICAP, d.OACS = 0, d.OACS|1
			d.Opal = &wipetest.Opal{PSID: goodPSID, Enabled: true, Encrypts: true}
			change(d.Opal)
		}
	}
	scanned := func(psid string, made func(*testing.T) (*world, truth)) func(*testing.T) (*world, truth) {
		return func(t *testing.T) (*world, truth) { w, d := made(t); w.order.PSID = psid; return w, d }
	}
	return row{"SED: PSID revert", map[wipe.Outcome]cell{
		wipe.Done:    {scanned(goodPSID, onNVMe(with(func(*wipetest.Opal) {}))), "", wipe.PSIDRevert, wipe.Clear, only(wipe.PSIDRevert)},
		wipe.Refused: {scanned("ABCDEFGH1234567890ABCDEFGH123457", onNVMe(with(func(*wipetest.Opal) {}))), wipe.CauseWrongPSID, "", "", only(wipe.PSIDRevert)},
		wipe.Failed:  {scanned(goodPSID, onNVMe(with(func(o *wipetest.Opal) { o.Encrypts = false }))), wipe.CauseStillThere, "", "", only(wipe.PSIDRevert)},
		wipe.Indeterminate: {scanned(goodPSID, func(t *testing.T) (*world, truth) {
			d := wipetest.NewNVMe(wipetest.NewMedium(4*mib, true, 1))
			with(func(*wipetest.Opal) {})(d)
			f := &wipetest.Faulty{Port: d}
			w := newWorld(t, f, d.Clock, d.Expect(), 1)
			keep := w.engine.Journal
			w.engine.Journal = func(s wipe.Started) error { f.Fault, f.At = wipetest.Dead, f.Calls()+1; return keep(s) }
			return w, d
		}), wipe.CauseNoAnswer, "", "", only(wipe.PSIDRevert)},
	}}
}

// TestEveryRowOfTheDecisionTableHasItsFourEnds: each way of each class, with a drive that does it, one that refuses, one
// that fails, and one of which nobody knows how it ended. A cell that is missing is a failure, and so is a technique or
// a class that no row has.
func TestEveryRowOfTheDecisionTableHasItsFourEnds(t *testing.T) {
	rows := []row{
		nvmeRow("NVMe: sanitize, crypto erase", 1, wipe.NVMeCrypto),
		nvmeRow("NVMe: sanitize, block erase", 2, wipe.NVMeBlock),
		nvmeRow("NVMe: sanitize, overwrite", 4, wipe.NVMeOverwrite),
		formatRow("NVMe: format, SES 2", 4, wipe.FormatCrypto),
		formatRow("NVMe: format, SES 1", 0, wipe.FormatUser),
		ataRow("SATA SSD: crypto scramble", 1, 0x3000, wipe.ATACrypto),
		ataRow("SATA SSD: block erase", 1, 0x9000, wipe.ATABlock),
		securityRow("SATA SSD: security erase, enhanced", true, wipe.SecurityEraseEx),
		securityRow("SATA SSD: security erase", false, wipe.SecurityErase),
		overwriteRow("SATA SSD: overwrite", ataOverwrite(1)),
		overwriteRow("SATA HDD: overwrite", ataOverwrite(7200)),
		ataRow("SATA HDD: SANITIZE OVERWRITE", 7200, 0x5000, wipe.ATAOverwrite),
		emmcRow("eMMC: trim and SANITIZE", 0x55, wipe.EMMCSanitize, wipe.Clear,
			func(d *wipetest.EMMC) { d.Refuses = true }, func(d *wipetest.EMMC) { d.Silent = true }, wipe.CauseDriveFailed, wipe.CauseNoAnswer),
		emmcRow("eMMC: secure erase", 0x15, wipe.EMMCSecure, wipe.Clear,
			func(d *wipetest.EMMC) { d.TrimEnds = 1 }, func(d *wipetest.EMMC) { d.DeadAt[0] = true }, wipe.CauseDriveFailed, wipe.CauseUnverified),
		overwriteRow("eMMC: overwrite", emmcOverwrite),
		overwriteRow("UFS: overwrite", plainOverwrite("ufs", "", false)),
		opalRow(),
		overwriteRow("unknown, behind a USB bridge", plainOverwrite("usb", "a USB bridge", true)),
		overwriteRow("unknown, behind RAID", plainOverwrite("scsi", "the controller megaraid_sas", true)),
	}
	tried := map[wipe.Technique]bool{}
	classes := map[wipe.Class]bool{}
	for _, r := range rows {
		for _, end := range []wipe.Outcome{wipe.Done, wipe.Refused, wipe.Failed, wipe.Indeterminate} {
			t.Run(r.name+"/"+string(end), func(t *testing.T) {
				c, there := r.cells[end]
				if !there {
					t.Fatal("nobody tries this end")
				}
				w, d := c.drive(t)
				w.order.Policy = c.policy
				got := w.wipe()
				want(t, got, end, c.cause, c.by, c.claim)
				honest(t, got, d)
				tried[got.Technique] = true
				classes[got.Ability.Class] = true
			})
		}
	}
	for _, x := range wipe.Techniques() {
		if !tried[x] {
			t.Errorf("no row has the technique %s", x)
		}
	}
	for _, c := range wipe.Classes {
		if !classes[c] {
			t.Errorf("no row has a drive of the class %s", c)
		}
	}
}
