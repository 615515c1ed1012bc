// Package explain gives each end of a wipe its code, and with it the sentence and the next step that a person reads: on
// the laptop, on the board and in the record. It stands beside package wipe, which knows no codes.
package explain

import (
	"fmt"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
)

// codes says which code each cause has, when nothing was started or the drive failed. Two causes share a code where a
// person does the same about both.
var codes = map[wipe.Cause]job.Code{
	wipe.CauseNoDrive:     job.CodeHidesDrives,
	wipe.CauseWrongDrive:  job.CodeWrongDrive,
	wipe.CauseBridge:      job.CodeWipeBridge,
	wipe.CauseReadOnly:    job.CodeWipeNoEvidence,
	wipe.CauseUnsupported: job.CodeWipeUnsupported,
	wipe.CauseFrozen:      job.CodeWipeFrozen,
	wipe.CauseLocked:      job.CodeWipeLocked,
	wipe.CauseNeedPSID:    job.CodeNeedPSID,
	wipe.CauseWrongPSID:   job.CodeWrongPSID,
	wipe.CauseBusy:        job.CodeWipeBusy,
	wipe.CauseAborted:     job.CodeWipeAborted,
	wipe.CauseNoEvidence:  job.CodeWipeNoEvidence,
	wipe.CauseNotRecorded: job.CodeWipeNotKept,
	wipe.CauseCancelled:   job.CodeCancelled,
	wipe.CauseHidden:      job.CodeHiddenSectors,
	wipe.CauseDriveFailed: job.CodeWipeDriveFailed,
	wipe.CauseStillThere:  job.CodeStillThere,
	wipe.CauseUnwritable:  job.CodeWipeBadBlocks,
	wipe.CauseReadBack:    job.CodeWipeBadBlocks,
	wipe.CauseNoAnswer:    job.CodeWipeSilent,
	wipe.CauseInterrupted: job.CodeWipeInterrupted,
	wipe.CauseInternal:    job.CodeNoCertificate,
}

// Fault is why a report is not done; nil when it is. What is indeterminate has one code, whatever the cause: it must be
// settled, and nothing else be done.
func Fault(r wipe.Report) *job.Fault {
	fact := fmt.Sprintf("Drive %s: %s.", r.Drive.Serial, r.Fact)
	switch {
	case r.Outcome == wipe.Done && r.Certify() == nil:
		return nil
	case r.Outcome == wipe.Refused, r.Outcome == wipe.Failed:
		if c, ok := codes[r.Cause]; ok {
			return job.Faultf(c, "%s", fact)
		}
		return job.Faultf(job.CodeNotWiped, "%s", fact)
	}
	return job.Faultf(job.CodeUnsettled, "%s %s", fact, r.Settle)
}

// Absent says that drives are missing or hidden; nil when none are.
func Absent(found int, cs []wipe.Controller) *job.Fault {
	cause, why := wipe.Absent(found, cs)
	if cause == "" {
		return nil
	}
	return job.Faultf(codes[cause], "%s.", why)
}
