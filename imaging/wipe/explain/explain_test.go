package explain_test

import (
	"strings"
	"testing"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/explain"
)

func TestEveryCauseHasItsCodeAndNextStep(t *testing.T) {
	for _, c := range []struct {
		cause   wipe.Cause
		outcome wipe.Outcome
		want    job.Code
		next    string
	}{
		{wipe.CauseNoDrive, wipe.Refused, job.CodeHidesDrives, "AHCI"},
		{wipe.CauseWrongDrive, wipe.Refused, job.CodeWrongDrive, ""},
		{wipe.CauseBridge, wipe.Refused, job.CodeWipeBridge, "--allow-unknown"},
		{wipe.CauseReadOnly, wipe.Refused, job.CodeWipeNoEvidence, "destroyed"},
		{wipe.CauseUnsupported, wipe.Refused, job.CodeWipeUnsupported, "policy"},
		{wipe.CauseFrozen, wipe.Refused, job.CodeWipeFrozen, "plug"},
		{wipe.CauseLocked, wipe.Failed, job.CodeWipeLocked, "password"},
		{wipe.CauseNeedPSID, wipe.Refused, job.CodeNeedPSID, "label"},
		{wipe.CauseWrongPSID, wipe.Refused, job.CodeWrongPSID, "label"},
		{wipe.CauseBusy, wipe.Refused, job.CodeWipeBusy, "switched on"},
		{wipe.CauseAborted, wipe.Refused, job.CodeWipeAborted, "policy"},
		{wipe.CauseNoEvidence, wipe.Refused, job.CodeWipeNoEvidence, "destroyed"},
		{wipe.CauseNotRecorded, wipe.Refused, job.CodeWipeNotKept, "cable"},
		{wipe.CauseCancelled, wipe.Refused, job.CodeCancelled, ""},
		{wipe.CauseHidden, wipe.Refused, job.CodeHiddenSectors, "policy"},
		{wipe.CauseDriveFailed, wipe.Failed, job.CodeWipeDriveFailed, "destroyed"},
		{wipe.CauseStillThere, wipe.Failed, job.CodeStillThere, "destroyed"},
		{wipe.CauseUnwritable, wipe.Failed, job.CodeWipeBadBlocks, "destroyed"},
		{wipe.CauseReadBack, wipe.Failed, job.CodeWipeBadBlocks, "destroyed"},
		{wipe.CauseNoAnswer, wipe.Refused, job.CodeWipeSilent, "off"},
		{wipe.CauseInterrupted, wipe.Refused, job.CodeWipeInterrupted, "again"},
		{wipe.CauseInternal, wipe.Refused, job.CodeNoCertificate, ""},
		{wipe.CauseOldResult, wipe.Indeterminate, job.CodeUnsettled, "again"},
		{wipe.CauseTimeout, wipe.Indeterminate, job.CodeUnsettled, "again"},
		{wipe.CauseUnverified, wipe.Indeterminate, job.CodeUnsettled, "again"},
		{"one that nobody knows", wipe.Failed, job.CodeNotWiped, ""},
	} {
		f := explain.Fault(wipe.Report{Outcome: c.outcome, Cause: c.cause, Fact: "what was found", Drive: wipe.Identity{Serial: "S1"}})
		if f == nil || f.Code != c.want || !strings.Contains(f.Fact, "what was found") || !strings.Contains(f.Fact, "S1") {
			t.Errorf("Fault(%s, %s) = %v; want %s", c.outcome, c.cause, f, c.want)
			continue
		}
		if w := f.Code.Words(); w.Next == "" || !strings.Contains(w.Next, c.next) {
			t.Errorf("%s says %q; want the step with %q", f.Code, w.Next, c.next)
		}
	}
}

// TestDoneWithoutEvidenceIsAFault: what a report says of itself is not believed here either.
func TestDoneWithoutEvidenceIsAFault(t *testing.T) {
	if f := explain.Fault(wipe.Report{Outcome: wipe.Done}); f == nil || f.Code != job.CodeUnsettled {
		t.Errorf("Fault = %v", f)
	}
	if f := explain.Absent(0, nil); f == nil || f.Code != job.CodeHidesDrives {
		t.Errorf("Absent = %v", f)
	}
	if f := explain.Absent(1, nil); f != nil {
		t.Errorf("Absent = %v", f)
	}
}
