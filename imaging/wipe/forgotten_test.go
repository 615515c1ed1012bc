package wipe_test

import (
	"context"
	"testing"

	"ingot/imaging/wipe"
	"ingot/imaging/wipe/wipetest"
)

// TestNoNamespaceIsForgotten: what reaches one namespace only is not used on a drive that has, or may have, others. A
// namespace that is attached to no controller holds data like any other, and no block device shows it.
func TestNoNamespaceIsForgotten(t *testing.T) {
	const format, manages, all = 2, 8, 6
	for name, c := range map[string]struct {
		change func(*wipetest.NVMe)
		want   wipe.Outcome
		cause  wipe.Cause
		by     wipe.Technique
		claim  wipe.Level
	}{
		"two, and nothing but an overwrite":           {func(d *wipetest.NVMe) { d.SANICAP, d.OACS, d.Namespaces = 0, 0, 2 }, wipe.Refused, wipe.CauseUnsupported, "", ""},
		"two, a format reaches one":                   {func(d *wipetest.NVMe) { d.SANICAP, d.Namespaces = 0, 2 }, wipe.Refused, wipe.CauseUnsupported, "", ""},
		"two, a sanitize reaches both":                {func(d *wipetest.NVMe) { d.Namespaces = 2 }, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge},
		"one, and one that is attached to nothing":    {func(d *wipetest.NVMe) { d.SANICAP, d.OACS, d.Allocated = 0, format|manages, 2 }, wipe.Refused, wipe.CauseUnsupported, "", ""},
		"the same, a format erases all":               {func(d *wipetest.NVMe) { d.SANICAP, d.OACS, d.Allocated, d.FNA = 0, format|manages, 2, all }, wipe.Done, "", wipe.FormatCrypto, wipe.Clear},
		"one of one, which the drive can manage":      {func(d *wipetest.NVMe) { d.SANICAP, d.OACS, d.Allocated = 0, format|manages, 1 }, wipe.Done, "", wipe.FormatCrypto, wipe.Clear},
		"it manages them, and does not list them":     {func(d *wipetest.NVMe) { d.SANICAP, d.OACS, d.Allocated = 0, format|manages, -1 }, wipe.Refused, wipe.CauseUnsupported, "", ""},
		"it lists none at all":                        {func(d *wipetest.NVMe) { d.SANICAP, d.Namespaces = 0, 0 }, wipe.Refused, wipe.CauseUnsupported, "", ""},
		"it knows no list, and can have one only":     {func(d *wipetest.NVMe) { d.SANICAP, d.NoList, d.Most = 0, true, 1 }, wipe.Done, "", wipe.FormatCrypto, wipe.Clear},
		"it knows no list, and can have more of them": {func(d *wipetest.NVMe) { d.SANICAP, d.NoList, d.Most = 0, true, 16 }, wipe.Refused, wipe.CauseUnsupported, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := nvmeWorld(t, c.change)
			r := w.wipe()
			want(t, r, c.want, c.cause, c.by, c.claim)
			honest(t, r, d)
			if told := r.Warned(wipe.WarnNamespaces); told != (r.Technique == wipe.FormatCrypto && r.Ability.NVMe.Namespaces != 1) {
				t.Errorf("%d namespaces, warnings %v", r.Ability.NVMe.Namespaces, r.Warnings)
			}
		})
	}
}

// TestAnOpenedHPAMayHideADCO: the sectors behind a DCO show themselves only when the HPA above them is open.
func TestAnOpenedHPAMayHideADCO(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*wipetest.ATA)
		state   wipe.HiddenState
		removed bool
		want    wipe.Outcome
		cause   wipe.Cause
		left    bool
	}{
		"both are opened":              {nil, wipe.HiddenFound, true, wipe.Done, "", false},
		"the DCO will not open":        {func(d *wipetest.ATA) { d.NoRestore = true }, wipe.HiddenFound, false, wipe.Refused, wipe.CauseHidden, true},
		"the DCO will not tell itself": {func(d *wipetest.ATA) { d.NoOverlay = true }, wipe.HiddenUnknown, false, wipe.Done, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := ataWorld(t, 7200, func(d *wipetest.ATA) {
				d.HPA, d.DCO = true, true
				d.HideTwice()
				if c.change != nil {
					c.change(d)
				}
			})
			r := w.wipe()
			if r.Hidden.State != c.state || r.Hidden.Removed != c.removed || r.Outcome != c.want || r.Cause != c.cause {
				t.Errorf("hidden %+v, %s %s (%s)", r.Hidden, r.Outcome, r.Cause, r.Fact)
			}
			if left := d.Readable() > 0; left != c.left {
				t.Errorf("%d blocks are left", d.Readable())
			}
			if c.removed && r.Hidden.Bytes != uint64(d.Size())*3/4 {
				t.Errorf("%d bytes were hidden, %d of them told", d.Size()*3/4, r.Hidden.Bytes)
			}
			if c.state == wipe.HiddenUnknown && !r.Warned(wipe.WarnHiddenUnknown) {
				t.Error("nobody is told that there may be more")
			}
		})
	}
}

// TestASecurityEraseLeavesNoHiddenSectors: it is known to reach as far as the drive shows itself, like an overwrite.
func TestASecurityEraseLeavesNoHiddenSectors(t *testing.T) {
	for _, tech := range []wipe.Technique{wipe.SecurityErase, wipe.SecurityEraseEx} {
		w, d := ataWorld(t, 1, func(d *wipetest.ATA) {
			d.Sanitizes, d.Enhanced, d.DCO, d.NoUnhide = 0, tech == wipe.SecurityEraseEx, true, true
			d.Hide()
		})
		w.order.Policy = only(tech)
		want(t, w.wipe(), wipe.Refused, wipe.CauseHidden, "", "")
		if d.Passwords != 0 {
			t.Errorf("%s: the drive learned a password for an erase that is not made", tech)
		}
	}
}

// TestAnOverwriteIsOfTheWholeDrive: a report, or a journal that came back from storage, may tell of less.
func TestAnOverwriteIsOfTheWholeDrive(t *testing.T) {
	w, d := ataWorld(t, 7200, nil)
	r := w.wipe()
	want(t, r, wipe.Done, "", wipe.Overwrite, wipe.Clear)
	r.Verification.Total, r.Verification.Written, r.Verification.Bytes = mib, mib, mib
	if r.Certify() == nil {
		t.Errorf("an overwrite of %d bytes certifies a drive of %d", mib, d.Size())
	}
	for name, change := range map[string]func(*wipe.Started){
		"half of the drive":  func(s *wipe.Started) { s.Evidence.Size /= 2 },
		"none of the drive":  func(s *wipe.Started) { s.Evidence.Size = 0 },
		"another sector":     func(s *wipe.Started) { s.Evidence.Sector = 4096 },
		"no sector":          func(s *wipe.Started) { s.Evidence.Sector = 0 },
		"a drive of no size": func(s *wipe.Started) { s.Evidence.Size, s.Report.Drive.SizeBytes = 0, 0 },
	} {
		for _, made := range []func() (*world, wipe.Port){
			func() (*world, wipe.Port) { w, d := ataWorld(t, 7200, nil); return w, d },
			func() (*world, wipe.Port) { w, d := nvmeWorld(t, nil); return w, d },
		} {
			w, p := made()
			w.wipe()
			s := w.journal[0]
			change(&s)
			if r := w.engine.Settle(context.Background(), s, ""); r.Outcome != wipe.Indeterminate || r.Certify() == nil {
				t.Errorf("%s: Settle = %s by %s of %T", name, r.Outcome, r.Technique, p)
			}
		}
	}
}

// swapped is another drive from the moment that its samples are about to be read again.
type swapped struct {
	wipe.Port
	drive *wipetest.NVMe
}

func (s swapped) Rescan() error {
	s.drive.Told.Serial = "S4NVME999"
	return nil
}

func TestADriveThatIsAnotherOneAfterwardsProvesNothing(t *testing.T) {
	d := wipetest.NewNVMe(wipetest.NewMedium(4*mib, true, 1))
	w := newWorld(t, swapped{d, d}, d.Clock, d.Expect(), 1)
	want(t, w.wipe(), wipe.Indeterminate, wipe.CauseUnverified, "", "")
}
