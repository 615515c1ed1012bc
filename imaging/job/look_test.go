package job_test

import (
	"testing"

	"ingot/imaging/job"
)

// TestEveryStateHasItsWord: a state without a word would be an empty tile on the board and an empty screen.
func TestEveryStateHasItsWord(t *testing.T) {
	for _, s := range []job.State{job.Approved, job.Claimed, job.Invalidated, job.Writing, job.Flushed, job.Verified, job.Personalised, job.Committing,
		job.Committed, job.Reading, job.Uploaded, job.WipeBegun, job.Done, job.Failed, job.Cancelled, job.Indeterminate} {
		for _, k := range []job.Kind{job.Deploy, job.Rename, job.Capture, job.Wipe} {
			if l := k.Look(s); l.Word == "" || l.Colour == "" || l.SafeTo == "" {
				t.Errorf("%s in %s looks %+v", k, s, l)
			}
		}
	}
}

// TestNobodyIsToldToUnplugWhileADriveIsWritten is about what a person does with the cable.
func TestNobodyIsToldToUnplugWhileADriveIsWritten(t *testing.T) {
	for _, c := range []struct {
		kind job.Kind
		s    job.State
		want string
	}{
		{job.Deploy, job.Approved, job.UnplugAllowed}, {job.Deploy, job.Claimed, job.UnplugAllowed},
		{job.Deploy, job.Invalidated, job.KeepPlugged}, {job.Deploy, job.Writing, job.KeepPlugged}, {job.Deploy, job.Flushed, job.KeepPlugged},
		{job.Deploy, job.Verified, job.KeepPlugged}, {job.Deploy, job.Committing, job.KeepPlugged}, {job.Deploy, job.Committed, job.KeepPlugged},
		{job.Deploy, job.Done, job.NetworkFree}, {job.Deploy, job.Failed, job.UnplugAllowed},
		{job.Rename, job.Claimed, job.UnplugAllowed}, {job.Rename, job.Verified, job.KeepPlugged},
		{job.Wipe, job.Claimed, job.UnplugAllowed}, {job.Wipe, job.WipeBegun, job.KeepPlugged}, {job.Wipe, job.Indeterminate, job.UnplugAllowed},
		{job.Capture, job.Claimed, job.UnplugAllowed}, {job.Capture, job.Reading, job.KeepPlugged}, {job.Capture, job.Uploaded, job.KeepPlugged},
	} {
		if got := c.kind.Look(c.s).SafeTo; got != c.want {
			t.Errorf("%s in %s: %q; want %q", c.kind, c.s, got, c.want)
		}
	}
}
