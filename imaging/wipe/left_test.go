package wipe_test

import (
	"context"
	"testing"
	"time"

	"ingot/imaging/passthru"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/wipetest"
)

// Drives that keep a part of their data where nobody looks. None of them may be called done.

func TestADriveThatDoesNotTellItsRotationIsFlash(t *testing.T) {
	for _, rotation := range []uint16{0, 0x0002, 0x0400, 0xffff} { // not told, and what the specification reserves
		w, _ := ataWorld(t, rotation, func(d *wipetest.ATA) { d.Sanitizes, d.Supported = 0, false })
		r := w.wipe()
		if r.Ability.Class != wipe.SATAFlash || r.Outcome == wipe.Done && !r.Warned(wipe.WarnFlashOverwrite) {
			t.Errorf("rotation %#04x: class %s, %s, warnings %v; want flash, and its warning", rotation, r.Ability.Class, r.Outcome, r.Warnings)
		}
	}
}

func TestAnOverwriteOfAnEMMCReachesItsBootAreas(t *testing.T) {
	old := func(d *wipetest.EMMC) { d.Feature = 0 }
	t.Run("done", func(t *testing.T) {
		w, d := emmcWorld(t, old)
		want(t, w.wipe(), wipe.Done, "", wipe.Overwrite, wipe.Clear)
		if n := d.Boots[0].Readable() + d.Boots[1].Readable(); n > 0 {
			t.Errorf("done, and %d blocks can be read in the boot areas", n)
		}
	})
	t.Run("failed: one drops its writes", func(t *testing.T) {
		w, _ := emmcWorld(t, func(d *wipetest.EMMC) { old(d); d.Boots[1].Drops = true })
		want(t, w.wipe(), wipe.Failed, wipe.CauseReadBack, "", "")
	})
	t.Run("refused: they cannot be opened", func(t *testing.T) {
		w, _ := emmcWorld(t, func(d *wipetest.EMMC) { old(d); d.NoBoot = true })
		want(t, w.wipe(), wipe.Refused, wipe.CauseAborted, "", "")
	})
}

// TestBootAreasThatAreLockedForGoodAreTold: what the maker put there stays, and the certificate says so.
func TestBootAreasThatAreLockedForGoodAreTold(t *testing.T) {
	w, _ := emmcWorld(t, func(d *wipetest.EMMC) { d.Feature, d.BootWP = 0, 4 })
	r := w.wipe()
	want(t, r, wipe.Done, "", wipe.Overwrite, wipe.Clear)
	if !r.Warned(wipe.WarnBootAreas) {
		t.Errorf("warnings = %v", r.Warnings)
	}
}

func TestAnEMMCWithMorePartitionsIsRefused(t *testing.T) {
	w, d := emmcWorld(t, func(d *wipetest.EMMC) { d.General = true })
	want(t, w.wipe(), wipe.Refused, wipe.CauseUnsupported, "", "")
	if d.Readable() != 1024 {
		t.Error("a refused drive was written to")
	}
}

// TestADriveThatNeverEndsIsGivenUp: its progress changes at each look, so that it never stalls.
func TestADriveThatNeverEndsIsGivenUp(t *testing.T) {
	for name, estimate := range map[string]uint32{"no estimate": 0xffffffff, "an estimate of 136 years": 0xfffffffe} {
		t.Run(name, func(t *testing.T) {
			w, d := nvmeWorld(t, func(d *wipetest.NVMe) { d.Wavers, d.Estimate = true, estimate })
			bounded(t, d.Clock, w)
		})
	}
	t.Run("it stalls, and expected 136 years", func(t *testing.T) {
		w, d := nvmeWorld(t, func(d *wipetest.NVMe) { d.Stalls, d.Estimate = true, 0xfffffffe })
		bounded(t, d.Clock, w)
	})
}

// bounded runs a wipe whose clock ends the test after 60 days.
func bounded(t *testing.T, c *wipetest.Clock, w *world) {
	t.Helper()
	began := c.Now()
	w.engine.Clock = deadline{c, began.AddDate(0, 0, 60)}
	defer func() {
		if recover() != nil {
			t.Error("it was still waited for after 60 days")
		}
	}()
	want(t, w.wipe(), wipe.Indeterminate, wipe.CauseTimeout, "", "")
}

type deadline struct {
	*wipetest.Clock
	at time.Time
}

func (d deadline) Sleep(t time.Duration) {
	if d.Now().After(d.at) {
		panic("too late")
	}
	d.Clock.Sleep(t)
}

// TestAnAgentThatDiesBesideAPasswordLeavesAWayBack: from the moment on at which the drive may know the password, the
// next boot finds the run, and opens the drive.
func TestAnAgentThatDiesBesideAPasswordLeavesAWayBack(t *testing.T) {
	d := wipetest.NewATA(wipetest.NewMedium(4*mib, true, 2), 1)
	d.Sanitizes = 0
	w := newWorld(t, dies{d}, d.Clock, d.Expect(), 2)
	w.order.Policy = only(wipe.SecurityErase, wipe.SecurityEraseEx)
	func() {
		defer func() { _ = recover() }() // the agent's death
		w.engine.Wipe(context.Background(), w.order)
	}()
	if !d.Enabled {
		t.Fatal("the drive knows no password: the test shows nothing")
	}
	d.PowerCycle()
	r := w.settle(t, d)
	if r.Outcome == wipe.Done || d.Enabled || d.Locked {
		t.Errorf("settled as %s; the drive has a password: %t, is locked: %t", r.Outcome, d.Enabled, d.Locked)
	}
}

// dies is a drive that takes a password, behind which the agent dies.
type dies struct{ *wipetest.ATA }

func (d dies) SCSI(c passthru.SCSI) (passthru.SCSIReply, error) {
	r, err := d.ATA.SCSI(c)
	if len(c.CDB) == 16 && c.CDB[14] == 0xf1 {
		panic(wipetest.Killed{})
	}
	return r, err
}

// faults is a drive that takes a SANITIZE and answers with a device fault instead of an abort.
type faults struct {
	*wipetest.ATA
	sent *int
}

func (f faults) SCSI(c passthru.SCSI) (passthru.SCSIReply, error) {
	r, err := f.ATA.SCSI(c)
	if len(c.CDB) == 16 && c.CDB[14] == 0xb4 && c.CDB[4] != 0 {
		*f.sent++
		r = passthru.SCSIReply{Status: 2, Driver: 8, Sense: []byte{0x72, 0x04, 0x44, 0, 0, 0, 0, 14, 9, 12, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x70}}
	}
	return r, err
}

// TestASanitizeThatEndsWithAFaultMayHaveBegun: only an abort says that nothing was started. Nothing else is tried behind it.
func TestASanitizeThatEndsWithAFaultMayHaveBegun(t *testing.T) {
	d := wipetest.NewATA(wipetest.NewMedium(4*mib, true, 2), 1)
	sent := 0
	w := newWorld(t, faults{d, &sent}, d.Clock, d.Expect(), 2)
	want(t, w.wipe(), wipe.Indeterminate, wipe.CauseNoAnswer, "", "")
	if sent != 1 || d.Passwords > 0 {
		t.Errorf("%d sanitizes and %d passwords were sent", sent, d.Passwords)
	}
}

// TestAnOldFailureIsNotOurs: a drive that failed once, and does nothing now, has not failed at this run.
func TestAnOldFailureIsNotOurs(t *testing.T) {
	w, _ := ataWorld(t, 1, func(d *wipetest.ATA) { d.SanFailed, d.Ignores = true, true })
	w.order.Policy = only()
	want(t, w.wipe(), wipe.Indeterminate, wipe.CauseOldResult, "", "")
}

// TestWhatWokeIsLookedAtAgain: while the machine sleeps its drives are without power, and a person may be at the laptop.
func TestWhatWokeIsLookedAtAgain(t *testing.T) {
	for name, c := range map[string]struct {
		asleep func(*wipetest.ATA)
		cause  wipe.Cause
	}{
		"another drive":        {func(d *wipetest.ATA) { d.Told.Serial = "WD-OTHER0001" }, wipe.CauseWrongDrive},
		"locked by a password": {func(d *wipetest.ATA) { d.Enabled, d.Locked = true, true }, wipe.CauseLocked},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := ataWorld(t, 1, func(d *wipetest.ATA) { d.SanFrozen, d.Frozen = true, true })
			wake := sleeps(d)
			w.engine.Thaw = func() error {
				err := wake()
				c.asleep(d)
				return err
			}
			w.order.Policy = only()
			want(t, w.wipe(), wipe.Refused, c.cause, "", "")
			if d.Readable() != 1024 || len(w.journal) > 0 {
				t.Errorf("%d of 1024 blocks are left, %d journals", d.Readable(), len(w.journal))
			}
		})
	}
}

// nods says that it took a password, and did not.
type nods struct{ *wipetest.ATA }

func (n nods) SCSI(c passthru.SCSI) (passthru.SCSIReply, error) {
	if len(c.CDB) == 16 && c.CDB[14] == 0xf1 {
		return passthru.SCSIReply{Status: 2, Driver: 8, Sense: []byte{0x72, 0x01, 0, 0x1d, 0, 0, 0, 14, 9, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x50}}, nil
	}
	return n.ATA.SCSI(c)
}

// TestAPasswordThatTheDriveDidNotTakeErasesNothing: that it is gone after the erase is the proof that the drive erased.
func TestAPasswordThatTheDriveDidNotTakeErasesNothing(t *testing.T) {
	d := wipetest.NewATA(wipetest.NewMedium(4*mib, true, 2), 1)
	d.Sanitizes = 0
	w := newWorld(t, nods{d}, d.Clock, d.Expect(), 2)
	w.order.Policy = only(wipe.SecurityErase)
	r := w.wipe()
	want(t, r, wipe.Refused, wipe.CauseAborted, "", "")
	for _, raw := range r.Attempts[0].Raw {
		if raw.What == "erase unit" {
			t.Error("an erase was sent to a drive without a password")
		}
	}
}

// TestCanariesThatAreNotConfirmedProveNothing: they may never have left the drive's cache.
func TestCanariesThatAreNotConfirmedProveNothing(t *testing.T) {
	w, d := nvmeWorld(t, func(d *wipetest.NVMe) { d.NoFlush = true })
	w.order.Policy = only()
	want(t, w.wipe(), wipe.Refused, wipe.CauseNoEvidence, "", "")
	if d.SSTAT&7 != 0 {
		t.Error("it was sanitized all the same")
	}
}

// changes is a platter that is another one, or of another size, when the kernel looks at it behind its overwrite.
type changes struct {
	*wipetest.ATA
	how func(*wipetest.ATA)
}

func (c changes) Rescan() error {
	c.how(c.ATA)
	return nil
}

func TestAnOverwriteOfADriveThatIsAnotherOneAfterwardsProvesNothing(t *testing.T) {
	for name, how := range map[string]func(*wipetest.ATA){
		"another serial": func(d *wipetest.ATA) { d.Told.Serial = "WD-OTHER0001" },
		"a larger drive": func(d *wipetest.ATA) { d.Told.SizeBytes *= 2 },
	} {
		t.Run(name, func(t *testing.T) {
			d := wipetest.NewATA(wipetest.NewMedium(4*mib, false, 2), 7200)
			w := newWorld(t, changes{d, how}, d.Clock, d.Expect(), 2)
			want(t, w.wipe(), wipe.Indeterminate, wipe.CauseUnverified, "", "")
		})
	}
}

// oneArea is an eMMC of whose two boot areas the kernel shows one.
type oneArea struct{ *wipetest.EMMC }

func (o oneArea) Boot() ([]wipe.Area, error) {
	all, err := o.EMMC.Boot()
	return all[:1], err
}

func TestABootAreaThatIsNotShownIsNotForgotten(t *testing.T) {
	for _, feature := range []uint8{0x55, 0x15, 0} { // SANITIZE, secure erase, overwrite
		d := wipetest.NewEMMC(wipetest.NewMedium(4*mib, true, 3))
		d.Feature = feature
		w := newWorld(t, oneArea{d}, d.Clock, d.Expect(), 3)
		if r := w.wipe(); r.Outcome != wipe.Refused || d.Boots[1].Readable() == 0 {
			t.Errorf("feature %#02x: %s by %s", feature, r.Outcome, r.Technique)
		}
	}
}

// reverted is a drive in whose place another one is as soon as it was reverted.
type reverted struct {
	wipe.Port
	drive *wipetest.NVMe
}

func (r reverted) PSIDRevert(psid string) error {
	err := r.drive.PSIDRevert(psid)
	r.drive.Told.Serial = "S4OTHER0001"
	return err
}

func TestADriveThatIsAnotherOneAfterItsRevertIsNotWiped(t *testing.T) {
	d := wipetest.NewNVMe(wipetest.NewMedium(4*mib, true, 1))
	d.OACS |= 1
	d.Opal = &wipetest.Opal{PSID: goodPSID, Enabled: true, Locked: true}
	w := newWorld(t, reverted{d, d}, d.Clock, d.Expect(), 1)
	w.order.PSID = goodPSID
	want(t, w.wipe(), wipe.Indeterminate, wipe.CauseWrongDrive, "", "")
	if d.SSTAT&7 != 0 || d.Readable() != 1024 {
		t.Error("the other drive was wiped")
	}
}
