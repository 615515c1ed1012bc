package wipe_test

import (
	"slices"
	"testing"

	"ingot/imaging/wipe"
)

// TestAnEraseIsCertifiedByAllOfItsSamplesOnly: whoever signs asks the report for each part of the evidence of an erase, not the
// engine that wrote it.
func TestAnEraseIsCertifiedByAllOfItsSamplesOnly(t *testing.T) {
	w, _ := nvmeWorld(t, nil)
	whole := w.wipe()
	want(t, whole, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge)
	for name, change := range map[string]func(*wipe.Report){
		"a block holds what it held":     func(r *wipe.Report) { r.Verification.Unchanged = 1 },
		"a block could not be read":      func(r *wipe.Report) { r.Verification.Unreadable = 1 },
		"a block was not read again":     func(r *wipe.Report) { r.Verification.Compared-- },
		"more told than were taken":      func(r *wipe.Report) { r.Verification.Telling = r.Verification.Taken + 1 },
		"few canaries":                   func(r *wipe.Report) { r.Verification.Canaries = 7 },
		"canaries that told nothing":     func(r *wipe.Report) { r.Verification.Telling = r.Verification.Canaries - 1 },
		"neither first nor last block":   func(r *wipe.Report) { r.Verification.EndsRead = false },
		"no seed":                        func(r *wipe.Report) { r.Verification.Seed = "" },
		"the page cache":                 func(r *wipe.Report) { r.Verification.Direct = false },
		"the method of an overwrite":     func(r *wipe.Report) { r.Verification.Method = wipe.MethodReadBack },
		"an attempt that only opened it": func(r *wipe.Report) { r.Attempts[0].Unlocking = true },
		"another attempt behind it": func(r *wipe.Report) {
			r.Attempts = append(r.Attempts, wipe.Attempt{Technique: wipe.NVMeBlock, Outcome: wipe.Failed})
		},
		"a technique that was not tried":  func(r *wipe.Report) { r.Technique = wipe.NVMeBlock },
		"more than the plan claims":       func(r *wipe.Report) { r.Plan.Steps[0].Claim = wipe.Clear },
		"no plan":                         func(r *wipe.Report) { r.Plan.Steps = nil },
		"no claim":                        func(r *wipe.Report) { r.Claim = wipe.None },
		"an old result":                   func(r *wipe.Report) { r.Completion.Fresh = false },
		"it ended before it began":        func(r *wipe.Report) { r.Ended = r.Started.Add(-1) },
		"no policy":                       func(r *wipe.Report) { r.Policy.Name = "" },
		"a drive of no size":              func(r *wipe.Report) { r.Drive.SizeBytes = 0 },
		"how to settle what is not known": func(r *wipe.Report) { r.Settle = "start it again" },
		"a purge by what never purges": func(r *wipe.Report) {
			r.Technique, r.Attempts[0].Technique, r.Plan.Steps[0].Technique = wipe.EMMCSecure, wipe.EMMCSecure, wipe.EMMCSecure
		},
		"samples of an overwrite": func(r *wipe.Report) {
			r.Claim, r.Technique, r.Attempts[0].Technique, r.Plan.Steps[0].Technique = wipe.Clear, wipe.Overwrite, wipe.Overwrite, wipe.Overwrite
		},
	} {
		r := whole
		r.Attempts, r.Plan.Steps = slices.Clone(whole.Attempts), slices.Clone(whole.Plan.Steps)
		change(&r)
		if r.Certify() == nil {
			t.Errorf("%s: it can be certified", name)
		}
	}
	if err := whole.Certify(); err != nil {
		t.Errorf("the whole report: %v", err)
	}
}
