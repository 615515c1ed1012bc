package wipe_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/imaging/wipe"
	"ingot/imaging/wipe/wipetest"
)

func TestTheWrongDriveIsNotTouched(t *testing.T) {
	for name, change := range map[string]func(*wipetest.NVMe, *wipe.Expect){
		"another serial":            func(_ *wipetest.NVMe, e *wipe.Expect) { e.Serial = "S4NVME002" },
		"no serial was approved":    func(_ *wipetest.NVMe, e *wipe.Expect) { e.Serial = "" },
		"another WWN":               func(_ *wipetest.NVMe, e *wipe.Expect) { e.WWN = "eui.0000000000000001" },
		"another size":              func(_ *wipetest.NVMe, e *wipe.Expect) { e.SizeBytes -= 512 },
		"another sector":            func(_ *wipetest.NVMe, e *wipe.Expect) { e.SectorSize = 4096 },
		"swapped between two looks": func(d *wipetest.NVMe, _ *wipe.Expect) { d.Told.Serial = "S4NVME009" },
	} {
		t.Run(name, func(t *testing.T) {
			w, d := nvmeWorld(t, nil)
			change(d, &w.order.Drive)
			r := w.wipe()
			want(t, r, wipe.Refused, wipe.CauseWrongDrive, "", "")
			if r.Touched || d.Readable() != 1024 || len(w.journal) > 0 {
				t.Error("another drive than the approved one was touched")
			}
		})
	}
}

// kernelOnly lets the kernel say what the approved drive was, while the drive itself is another one.
func TestADriveThatCallsItselfOtherwiseThanTheKernelDoesIsRefused(t *testing.T) {
	d := wipetest.NewNVMe(wipetest.NewMedium(4*mib, true, 1))
	old := d.Told
	p := kernelSays{d, old}
	d.Told.Serial = "S4NVME777"
	w := newWorld(t, p, d.Clock, wipe.Expect{Serial: old.Serial, WWN: old.WWN, SizeBytes: old.SizeBytes, SectorSize: 512}, 1)
	want(t, w.wipe(), wipe.Refused, wipe.CauseWrongDrive, "", "")
}

type kernelSays struct {
	wipe.Port
	facts wipe.Facts
}

func (k kernelSays) Facts() (wipe.Facts, error) { return k.facts, nil }

func TestACancelledOrderIsHeardUntilTheFirstChange(t *testing.T) {
	cause := errors.New("Esc was pressed")
	t.Run("before", func(t *testing.T) {
		w, d := nvmeWorld(t, nil)
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		r := w.engine.Wipe(ctx, w.order)
		want(t, r, wipe.Refused, wipe.CauseCancelled, "", "")
		if r.Touched || d.Readable() != 1024 || !strings.Contains(r.Fact, "Esc") {
			t.Errorf("touched %t, fact %q", r.Touched, r.Fact)
		}
	})
	t.Run("after", func(t *testing.T) {
		w, d := nvmeWorld(t, nil)
		ctx, cancel := context.WithCancelCause(context.Background())
		keep := w.engine.Journal
		w.engine.Journal = func(s wipe.Started) error { cancel(cause); return keep(s) }
		r := w.engine.Wipe(ctx, w.order)
		want(t, r, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge)
		honest(t, r, d)
	})
}

// TestARevertIsAChange: a drive that was reverted to unlock it is not left half-way because a person pressed Esc.
func TestARevertIsAChange(t *testing.T) {
	w, d := nvmeWorld(t, func(d *wipetest.NVMe) {
		d.OACS |= 1
		d.Opal = &wipetest.Opal{PSID: goodPSID, Enabled: true, Locked: true, Encrypts: true}
	})
	w.order.PSID = goodPSID
	ctx, cancel := context.WithCancel(context.Background())
	keep := w.engine.Journal
	w.engine.Journal = func(s wipe.Started) error { cancel(); return keep(s) }
	r := w.engine.Wipe(ctx, w.order)
	want(t, r, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge)
	honest(t, r, d)
}

// TestNothingStartsThatIsNotKept: without the server's word that the journal is durable, no irreversible command goes out.
func TestNothingStartsThatIsNotKept(t *testing.T) {
	w, d := nvmeWorld(t, nil)
	w.engine.Journal = func(wipe.Started) error { return errServer }
	r := w.wipe()
	want(t, r, wipe.Refused, wipe.CauseNotRecorded, "", "")
	if d.SSTAT&7 != 0 || d.Readable() < 900 || len(d.FormatSES) > 0 {
		t.Error("the drive was wiped without a journal")
	}
	t.Run("an overwrite", func(t *testing.T) {
		w, d := ataWorld(t, 7200, nil)
		w.engine.Journal = func(wipe.Started) error { return errServer }
		r := w.wipe()
		want(t, r, wipe.Refused, wipe.CauseNotRecorded, "", "")
		if r.Touched || d.Readable() != 1024 {
			t.Error("the drive was written to without a journal")
		}
	})
}

// TestThePasswordIsStoredBeforeTheDriveLearnsIt: a laptop that loses power in between can be opened.
func TestThePasswordIsStoredBeforeTheDriveLearnsIt(t *testing.T) {
	w, d := ataWorld(t, 1, func(d *wipetest.ATA) { d.Sanitizes = 0 })
	w.order.Policy = only(wipe.SecurityErase, wipe.SecurityEraseEx)
	knew := d.Passwords
	w.engine.Keep = func(wipe.Password) error { knew = d.Passwords; return errServer }
	r := w.wipe()
	want(t, r, wipe.Refused, wipe.CauseNotRecorded, "", "")
	if knew != 0 || d.Passwords != 0 || d.Enabled {
		t.Errorf("the drive learned %d passwords that nobody stored", d.Passwords)
	}
	t.Run("nobody who could store it", func(t *testing.T) {
		w, d := ataWorld(t, 1, func(d *wipetest.ATA) { d.Sanitizes = 0 })
		w.order.Policy, w.engine.Keep = only(wipe.SecurityErase, wipe.SecurityEraseEx), nil
		want(t, w.wipe(), wipe.Refused, wipe.CauseNotRecorded, "", "")
		if d.Passwords != 0 {
			t.Error("the drive learned a password")
		}
	})
	t.Run("it never stands in a report", func(t *testing.T) {
		w, _ := ataWorld(t, 1, func(d *wipetest.ATA) { d.Sanitizes = 0; d.EraseFails = true; d.Aborts[0xf6] = true })
		w.order.Policy = only(wipe.SecurityErase, wipe.SecurityEraseEx)
		r := w.wipe()
		for _, a := range r.Attempts {
			for _, raw := range a.Raw {
				if strings.Contains(raw.Value, w.passwords[0].Password) {
					t.Errorf("%s: %s", raw.What, raw.Value)
				}
			}
		}
	})
}

func TestAFrozenDriveIsThawedBySleeping(t *testing.T) {
	frozen := func(d *wipetest.ATA) { d.Frozen, d.SanFrozen = true, true }
	t.Run("sanitize", func(t *testing.T) {
		w, d := ataWorld(t, 1, frozen)
		w.engine.Thaw = sleeps(d)
		r := w.wipe()
		want(t, r, wipe.Done, "", wipe.ATACrypto, wipe.Purge)
		honest(t, r, d)
	})
	t.Run("security erase", func(t *testing.T) {
		w, d := ataWorld(t, 1, func(d *wipetest.ATA) { frozen(d); d.Sanitizes = 0 })
		w.engine.Thaw = sleeps(d)
		r := w.wipe()
		want(t, r, wipe.Done, "", wipe.SecurityEraseEx, wipe.Clear)
		honest(t, r, d)
	})
	t.Run("still frozen after it", func(t *testing.T) {
		w, d := ataWorld(t, 1, func(d *wipetest.ATA) { frozen(d); d.ThawsNothing = true })
		w.engine.Thaw, w.order.Policy = sleeps(d), only(wipe.SecurityErase)
		want(t, w.wipe(), wipe.Refused, wipe.CauseFrozen, "", "")
	})
	t.Run("the machine does not sleep", func(t *testing.T) {
		w, _ := ataWorld(t, 1, frozen)
		w.engine.Thaw, w.order.Policy = func() error { return errors.New("no S3") }, only()
		want(t, w.wipe(), wipe.Refused, wipe.CauseFrozen, "", "")
	})
}

func TestHiddenSectorsAreThreeStates(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*wipetest.ATA)
		state   wipe.HiddenState
		removed bool
		want    wipe.Outcome
		cause   wipe.Cause
	}{
		"none":                            {func(d *wipetest.ATA) { d.HPA, d.DCO = true, true }, wipe.HiddenNone, false, wipe.Done, ""},
		"no such feature":                 {nil, wipe.HiddenNone, false, wipe.Done, ""},
		"an HPA, opened":                  {func(d *wipetest.ATA) { d.HPA = true; d.Hide() }, wipe.HiddenFound, true, wipe.Done, ""},
		"the newer form, opened":          {func(d *wipetest.ATA) { d.AMAC = true; d.Hide() }, wipe.HiddenFound, true, wipe.Done, ""},
		"a DCO, opened":                   {func(d *wipetest.ATA) { d.DCO = true; d.Hide() }, wipe.HiddenFound, true, wipe.Done, ""},
		"an HPA that will not open":       {func(d *wipetest.ATA) { d.HPA, d.NoUnhide = true, true; d.Hide() }, wipe.HiddenFound, false, wipe.Refused, wipe.CauseHidden},
		"the drive will not say":          {func(d *wipetest.ATA) { d.HPA, d.NoNative = true, true; d.Hide() }, wipe.HiddenUnknown, false, wipe.Done, ""},
		"the drive says less than it has": {func(d *wipetest.ATA) { d.HPA = true; d.Native = 100 }, wipe.HiddenUnknown, false, wipe.Done, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := ataWorld(t, 7200, c.change)
			w.order.Drive = d.Expect()
			r := w.wipe()
			if r.Hidden.State != c.state || r.Hidden.Removed != c.removed || r.Outcome != c.want || r.Cause != c.cause {
				t.Errorf("hidden %+v, %s %s (%s); want %s, removed %t, %s %s", r.Hidden, r.Outcome, r.Cause, r.Fact, c.state, c.removed, c.want, c.cause)
			}
			if c.removed && d.Readable() > 0 {
				t.Errorf("%d blocks are left behind an opened area", d.Readable())
			}
			if warned := r.Warned(wipe.WarnHidden) || r.Warned(wipe.WarnHiddenUnknown); warned != (c.state != wipe.HiddenNone) {
				t.Errorf("warnings = %v", r.Warnings)
			}
		})
	}
	t.Run("an HPA that will not open does not stop a sanitize", func(t *testing.T) {
		w, d := ataWorld(t, 1, func(d *wipetest.ATA) { d.HPA, d.NoUnhide = true, true; d.Hide() })
		w.order.Drive = d.Expect()
		r := w.wipe()
		want(t, r, wipe.Done, "", wipe.ATACrypto, wipe.Purge)
		if !r.Warned(wipe.WarnHidden) {
			t.Error("nobody is told")
		}
	})
}

func TestAnEmptyDriveProvesNothingWithoutCanaries(t *testing.T) {
	empty := func(m *wipetest.Medium) { m.Erase(wipetest.Zeros, 0) }
	t.Run("canaries make it provable", func(t *testing.T) {
		w, d := nvmeWorld(t, nil)
		empty(d.Medium)
		r := w.wipe()
		want(t, r, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge)
		if v := r.Verification; v.Telling != v.Canaries || v.Canaries < 8 {
			t.Errorf("%d telling blocks, %d canaries", v.Telling, v.Canaries)
		}
	})
	t.Run("a lie on an empty drive is found by its canaries", func(t *testing.T) {
		w, d := nvmeWorld(t, func(d *wipetest.NVMe) { d.Keeps = 1000 })
		empty(d.Medium)
		want(t, w.wipe(), wipe.Failed, wipe.CauseStillThere, "", "")
	})
	t.Run("no canary can be written", func(t *testing.T) {
		w, d := nvmeWorld(t, func(d *wipetest.NVMe) { d.Drops = true })
		empty(d.Medium)
		want(t, w.wipe(), wipe.Refused, wipe.CauseNoEvidence, "", "")
	})
}

func TestProgressAndTimeLeftComeFromTheDrive(t *testing.T) {
	w, _ := nvmeWorld(t, func(d *wipetest.NVMe) { d.SANICAP, d.Takes = 2, 10*time.Minute })
	w.wipe()
	var wiping, checking int
	last := uint64(0)
	for _, p := range w.shown {
		switch p.Phase {
		case wipe.Wiping:
			wiping++
			if p.Done < last {
				t.Errorf("progress went from %d to %d", last, p.Done)
			}
			last = p.Done
			if p.Done > p.Total/2 && (p.Left < 0 || p.Left > 6*time.Minute) {
				t.Errorf("at %d of %d: %s left of ten minutes", p.Done, p.Total, p.Left)
			}
		case wipe.Checking:
			checking++
		}
	}
	if wiping < 20 || checking < 5 {
		t.Errorf("%d signs of life while wiping, %d while checking", wiping, checking)
	}
	t.Run("its own estimate, before there is anything to measure", func(t *testing.T) {
		w, _ := nvmeWorld(t, func(d *wipetest.NVMe) { d.SANICAP, d.Takes, d.Estimate = 2, time.Hour, 3600 })
		w.wipe()
		if !slices.ContainsFunc(w.shown, func(p wipe.Progress) bool { return p.Phase == wipe.Wiping && p.Left > 55*time.Minute }) {
			t.Error("the drive's estimate of an hour was never shown")
		}
	})
}

func TestNoDriveFoundIsAFailure(t *testing.T) {
	rst := wipe.Controller{Address: "0000:00:0e.0", Class: 0x010400, Vendor: 0x8086}
	ahci := wipe.Controller{Address: "0000:00:17.0", Class: 0x010601, Driver: "ahci"}
	for name, c := range map[string]struct {
		found int
		cs    []wipe.Controller
		cause wipe.Cause
		says  string
	}{
		"RAID mode, no driver":      {0, []wipe.Controller{rst}, wipe.CauseNoDrive, "RAID mode"},
		"RAID mode beside a drive":  {1, []wipe.Controller{rst, ahci}, wipe.CauseNoDrive, "RAID mode"},
		"VMD with its driver":       {1, []wipe.Controller{{Address: "x", Class: 0x010400, Driver: "vmd"}}, "", ""},
		"an NVMe without a driver":  {0, []wipe.Controller{{Address: "x", Class: 0x010802}}, wipe.CauseNoDrive, "no driver"},
		"a controller and no drive": {0, []wipe.Controller{ahci}, wipe.CauseNoDrive, "removed"},
		"nothing at all":            {0, nil, wipe.CauseNoDrive, "no storage controller"},
		"a drive":                   {1, []wipe.Controller{ahci}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if cause, why := wipe.Absent(c.found, c.cs); cause != c.cause || !strings.Contains(why, c.says) {
				t.Errorf("Absent = %q, %q; want %q with %q", cause, why, c.cause, c.says)
			}
		})
	}
}
