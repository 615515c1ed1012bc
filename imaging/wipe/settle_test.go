package wipe_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"ingot/imaging/wipe"
	"ingot/imaging/wipe/wipetest"
)

// killed wipes until the drive was called at times behind the journal, where the agent dies.
func killed(t testing.TB, w *world, p wipe.Port, at int, f wipetest.Fault) {
	t.Helper()
	faulty := &wipetest.Faulty{Port: p}
	w.engine.Port = faulty
	keep := w.engine.Journal
	w.engine.Journal = func(s wipe.Started) error {
		faulty.Fault, faulty.At = f, faulty.Calls()+at
		return keep(s)
	}
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(wipetest.Killed); !ok {
				panic(v)
			}
		}
		w.engine.Port, w.engine.Journal = p, keep
	}()
	if r := w.wipe(); r.Outcome == wipe.Done {
		t.Fatal("done, though the agent was to die")
	}
}

func TestTheNextBootSettlesASanitizeFromTheDrivesLog(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*wipetest.NVMe)
		at     int // calls behind the journal
		fault  wipetest.Fault
		later  func(*wipetest.NVMe)
		want   wipe.Outcome
		cause  wipe.Cause
	}{
		"it ended meanwhile":                {nil, 1, wipetest.KillLate, func(d *wipetest.NVMe) { d.Clock.Sleep(time.Hour) }, wipe.Done, ""},
		"it still runs":                     {nil, 1, wipetest.KillLate, nil, wipe.Done, ""},
		"it failed meanwhile":               {func(d *wipetest.NVMe) { d.Fails = true }, 1, wipetest.KillLate, func(d *wipetest.NVMe) { d.Clock.Sleep(time.Hour) }, wipe.Failed, wipe.CauseDriveFailed},
		"it never began":                    {nil, 1, wipetest.Kill, nil, wipe.Refused, wipe.CauseInterrupted},
		"it never began, an old success":    {func(d *wipetest.NVMe) { d.SSTAT, d.SCDW10 = 0x0101, 4 }, 1, wipetest.Kill, nil, wipe.Refused, wipe.CauseInterrupted},
		"it ended, and kept its data":       {func(d *wipetest.NVMe) { d.Keeps = 1000 }, 1, wipetest.KillLate, nil, wipe.Failed, wipe.CauseStillThere},
		"another drive is there":            {nil, 1, wipetest.KillLate, func(d *wipetest.NVMe) { d.Told.Serial = "S4NVME333" }, wipe.Indeterminate, wipe.CauseWrongDrive},
		"the log says another sanitize ran": {nil, 1, wipetest.KillLate, func(d *wipetest.NVMe) { d.Clock.Sleep(time.Hour); w, _ := d.NVMe(identify()); _ = w; d.SCDW10 = 2 }, wipe.Indeterminate, wipe.CauseOldResult},
		"the log says another one runs": {nil, 1, wipetest.KillLate, func(d *wipetest.NVMe) {
			d.Clock.Sleep(time.Hour)
			w, _ := d.NVMe(identify())
			_ = w
			d.SSTAT, d.SCDW10 = 2, 2
		}, wipe.Indeterminate, wipe.CauseBusy},
		"the log says another one failed": {nil, 1, wipetest.KillLate, func(d *wipetest.NVMe) {
			d.Clock.Sleep(time.Hour)
			w, _ := d.NVMe(identify())
			_ = w
			d.SSTAT, d.SCDW10 = 3, 2
		}, wipe.Indeterminate, wipe.CauseOldResult},
		"power was lost while it was checked": {nil, 12, wipetest.Kill, func(d *wipetest.NVMe) { d.Clock.Sleep(time.Hour) }, wipe.Done, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := nvmeWorld(t, c.change)
			killed(t, w, d, c.at, c.fault)
			if c.later != nil {
				c.later(d)
			}
			r := w.settle(t, d)
			tech, claim := wipe.Technique(""), wipe.None
			if c.want == wipe.Done {
				tech, claim = wipe.NVMeCrypto, wipe.Purge
			}
			want(t, r, c.want, c.cause, tech, claim)
			honest(t, r, d)
			if !r.Settled {
				t.Error("the report does not say that it was settled later")
			}
		})
	}
}

// TestWhatWasWrittenSinceIsNotSettled: between a sanitize that nobody saw the end of and the boot that settles it, days may
// lie, and the laptop may have been used. The drive's "global data erased" tells; a drive without it tells nothing.
func TestWhatWasWrittenSinceIsNotSettled(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*wipetest.NVMe)
		writes bool
	}{
		"it was used":                 {nil, true},
		"it does not keep such a bit": {func(d *wipetest.NVMe) { d.NoGDE = true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := nvmeWorld(t, c.change)
			killed(t, w, d, 1, wipetest.KillLate)
			d.Clock.Sleep(time.Hour)
			if c.writes {
				if _, err := d.WriteAt(bytes.Repeat([]byte("a new owner's file "), 4096)[:4096], 8192); err != nil {
					t.Fatal(err)
				}
			}
			want(t, w.settle(t, d), wipe.Indeterminate, wipe.CauseInterrupted, "", "")
		})
	}
}

func TestTheNextBootSettlesTheOtherTechniques(t *testing.T) {
	t.Run("ATA sanitize that still runs", func(t *testing.T) {
		w, d := ataWorld(t, 1, nil)
		killed(t, w, d, 1, wipetest.KillLate)
		r := w.settle(t, d)
		want(t, r, wipe.Done, "", wipe.ATACrypto, wipe.Purge)
		honest(t, r, d)
	})
	t.Run("ATA sanitize that never began", func(t *testing.T) {
		w, d := ataWorld(t, 1, nil)
		killed(t, w, d, 1, wipetest.Kill)
		want(t, w.settle(t, d), wipe.Refused, wipe.CauseInterrupted, "", "")
	})
	t.Run("an overwrite cut short", func(t *testing.T) {
		w, d := ataWorld(t, 7200, nil)
		killed(t, w, d, 3, wipetest.Kill)
		want(t, w.settle(t, d), wipe.Failed, wipe.CauseInterrupted, "", "")
	})
	t.Run("an overwrite that was being checked", func(t *testing.T) {
		w, d := ataWorld(t, 7200, nil)
		killed(t, w, d, 7, wipetest.Kill)
		r := w.settle(t, d)
		want(t, r, wipe.Done, "", wipe.Overwrite, wipe.Clear)
		honest(t, r, d)
	})
	t.Run("a format keeps no record", func(t *testing.T) {
		w, d := nvmeWorld(t, func(d *wipetest.NVMe) { d.SANICAP = 0 })
		killed(t, w, d, 1, wipetest.KillLate)
		want(t, w.settle(t, d), wipe.Indeterminate, wipe.CauseInterrupted, "", "")
	})
	t.Run("a format that never began", func(t *testing.T) {
		w, d := nvmeWorld(t, func(d *wipetest.NVMe) { d.SANICAP = 0 })
		killed(t, w, d, 1, wipetest.Kill)
		want(t, w.settle(t, d), wipe.Refused, wipe.CauseInterrupted, "", "")
	})
	t.Run("a security erase is opened by its stored password", func(t *testing.T) {
		w, d := ataWorld(t, 1, func(d *wipetest.ATA) { d.Sanitizes = 0 })
		w.order.Policy = only(wipe.SecurityErase, wipe.SecurityEraseEx)
		killed(t, w, d, 1, wipetest.KillLate) // at ERASE PREPARE: the password is set
		d.PowerCycle()
		if !d.Locked {
			t.Fatal("the drive is not locked: the test shows nothing")
		}
		r := w.settle(t, d)
		want(t, r, wipe.Failed, wipe.CauseInterrupted, "", "")
		if d.Enabled || d.Locked {
			t.Error("the drive is still locked")
		}
	})
}

// TestAJournalCannotBeMadeToProveMore: a journal comes back from storage, and its report may hold anything.
func TestAJournalCannotBeMadeToProveMore(t *testing.T) {
	for name, change := range map[string]func(*wipe.Started){
		"no samples":        func(s *wipe.Started) { s.Evidence.Sums = nil },
		"half the samples":  func(s *wipe.Started) { s.Evidence.Sums = s.Evidence.Sums[:len(s.Evidence.Sums)/2] },
		"no canaries":       func(s *wipe.Started) { s.Evidence.Planted = 0 },
		"a stronger claim":  func(s *wipe.Started) { s.Step.Technique, s.Step.Claim = wipe.FormatUser, wipe.Purge },
		"another version":   func(s *wipe.Started) { s.Version = 9 },
		"no snapshot":       func(s *wipe.Started) { s.NVMe = nil },
		"another technique": func(s *wipe.Started) { s.Step.Technique = "dd" },
	} {
		t.Run(name, func(t *testing.T) {
			w, d := nvmeWorld(t, nil)
			killed(t, w, d, 1, wipetest.KillLate)
			d.Clock.Sleep(time.Hour)
			s := w.journal[0]
			change(&s)
			r := w.engine.Settle(context.Background(), s, "")
			if r.Outcome == wipe.Done || r.Certify() == nil {
				t.Errorf("Settle = %s by %s", r.Outcome, r.Technique)
			}
		})
	}
}
