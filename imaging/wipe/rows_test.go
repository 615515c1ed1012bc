package wipe_test

import (
	"testing"
	"time"

	"ingot/imaging/passthru"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/wipetest"
)

// only is a policy that allows these fallbacks alone.
func only(ts ...wipe.Technique) wipe.Policy {
	p := wipe.DefaultPolicy()
	p.Name, p.Fallbacks = "only", ts
	return p
}

// The rows of the decision table, each with every end that it can have. What the drive was told to do stands in the
// change; that nothing is claimed that is not true is asked of the drive's cells every time.

func TestNVMeSanitize(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*wipetest.NVMe)
		want   wipe.Outcome
		cause  wipe.Cause
		by     wipe.Technique
		claim  wipe.Level
	}{
		"done by crypto erase":                   {nil, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge},
		"done by block erase":                    {func(d *wipetest.NVMe) { d.SANICAP = 6 }, wipe.Done, "", wipe.NVMeBlock, wipe.Purge},
		"done by the drive's overwrite":          {func(d *wipetest.NVMe) { d.SANICAP = 4; d.Takes = 40 * time.Minute }, wipe.Done, "", wipe.NVMeOverwrite, wipe.Purge},
		"done, reads as garbage after":           {func(d *wipetest.NVMe) { d.Leaves = wipetest.Garbage }, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge},
		"done, reads as erased cells after":      {func(d *wipetest.NVMe) { d.SANICAP = 2; d.Leaves = wipetest.Ones }, wipe.Done, "", wipe.NVMeBlock, wipe.Purge},
		"done before the first look at the log":  {func(d *wipetest.NVMe) { d.Takes = 0 }, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge},
		"done, the log lags behind":              {func(d *wipetest.NVMe) { d.Lag = 4 * time.Second; d.Takes = time.Minute }, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge},
		"done, the log was silent for a minute":  {func(d *wipetest.NVMe) { d.LogFails = 15 }, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge},
		"done, with an old success in the log":   {func(d *wipetest.NVMe) { d.SSTAT, d.SCDW10 = 0x0101, 4 }, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge},
		"done, with an old failure in the log":   {func(d *wipetest.NVMe) { d.SSTAT, d.SCDW10 = 3, 4 }, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge},
		"done with PREQ, and the drive purged":   {func(d *wipetest.NVMe) { d.Version = 2<<16 | 2<<8 }, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge},
		"done with PREQ, and it only cleared":    {func(d *wipetest.NVMe) { d.Version = 2<<16 | 2<<8; d.ClearsOnly = true }, wipe.Done, "", wipe.NVMeCrypto, wipe.Clear},
		"done without PREQ, which it refused":    {func(d *wipetest.NVMe) { d.Version = 2<<16 | 2<<8; d.NoPREQ = true }, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge},
		"done by the second sanitize":            {func(d *wipetest.NVMe) { d.FailsOnce = true }, wipe.Done, "", wipe.NVMeBlock, wipe.Purge},
		"refused: another sanitize runs":         {func(d *wipetest.NVMe) { d.SSTAT, d.SCDW10 = 2, 2 }, wipe.Refused, wipe.CauseBusy, "", ""},
		"refused: answered with 0x1d":            {func(d *wipetest.NVMe) { d.Refuses = 0x1d }, wipe.Refused, wipe.CauseBusy, "", ""},
		"failed: the drive says so":              {func(d *wipetest.NVMe) { d.Fails = true }, wipe.Failed, wipe.CauseDriveFailed, "", ""},
		"failed: answered with 0x1c":             {func(d *wipetest.NVMe) { d.Refuses = 0x1c }, wipe.Failed, wipe.CauseDriveFailed, "", ""},
		"failed: success, and all data kept":     {func(d *wipetest.NVMe) { d.Keeps = 1000 }, wipe.Failed, wipe.CauseStillThere, "", ""},
		"failed: success, and a hundredth kept":  {func(d *wipetest.NVMe) { d.Keeps = 10 }, wipe.Failed, wipe.CauseStillThere, "", ""},
		"indeterminate: nothing ever starts":     {func(d *wipetest.NVMe) { d.Ignores = true }, wipe.Indeterminate, wipe.CauseOldResult, "", ""},
		"indeterminate: an old success for ever": {func(d *wipetest.NVMe) { d.Ignores = true; d.SSTAT, d.SCDW10 = 0x0001, 4 }, wipe.Indeterminate, wipe.CauseOldResult, "", ""},
		"indeterminate: an old one, erased bit":  {func(d *wipetest.NVMe) { d.Ignores = true; d.NoGDE = true; d.SSTAT, d.SCDW10 = 0x0101, 4 }, wipe.Indeterminate, wipe.CauseOldResult, "", ""},
		"indeterminate: an old one, forced":      {func(d *wipetest.NVMe) { d.Ignores = true; d.SSTAT, d.SCDW10 = 0x0004, 4 }, wipe.Indeterminate, wipe.CauseOldResult, "", ""},
		"indeterminate: it stalls":               {func(d *wipetest.NVMe) { d.Stalls = true }, wipe.Indeterminate, wipe.CauseTimeout, "", ""},
		"indeterminate: it falls silent":         {func(d *wipetest.NVMe) { d.LogFails = -1 }, wipe.Indeterminate, wipe.CauseNoAnswer, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := nvmeWorld(t, c.change)
			r := w.wipe()
			want(t, r, c.want, c.cause, c.by, c.claim)
			honest(t, r, d)
		})
	}
}

func TestNVMeFormat(t *testing.T) {
	none := func(d *wipetest.NVMe) { d.SANICAP = 0 }
	for name, c := range map[string]struct {
		change func(*wipetest.NVMe)
		policy wipe.Policy
		want   wipe.Outcome
		cause  wipe.Cause
		by     wipe.Technique
		claim  wipe.Level
	}{
		"done with SES 2":                         {none, wipe.DefaultPolicy(), wipe.Done, "", wipe.FormatCrypto, wipe.Clear},
		"done with SES 1, no crypto erase":        {func(d *wipetest.NVMe) { d.SANICAP, d.FNA = 0, 0 }, wipe.DefaultPolicy(), wipe.Done, "", wipe.FormatUser, wipe.Clear},
		"done: sanitize was refused":              {func(d *wipetest.NVMe) { d.Refuses = 1 }, wipe.DefaultPolicy(), wipe.Done, "", wipe.FormatCrypto, wipe.Clear},
		"done: a policy calls it a purge":         {none, func() wipe.Policy { p := wipe.DefaultPolicy(); p.Raise = []wipe.Technique{wipe.FormatCrypto}; return p }(), wipe.Done, "", wipe.FormatCrypto, wipe.Purge},
		"done: two namespaces, one erase for all": {func(d *wipetest.NVMe) { d.SANICAP, d.Namespaces, d.FNA = 0, 2, 6 }, only(wipe.FormatCrypto), wipe.Done, "", wipe.FormatCrypto, wipe.Clear},
		"refused: two namespaces":                 {func(d *wipetest.NVMe) { d.SANICAP, d.Namespaces = 0, 2 }, only(wipe.FormatCrypto), wipe.Refused, wipe.CauseUnsupported, "", ""},
		"refused: no format, nothing else":        {func(d *wipetest.NVMe) { d.SANICAP, d.OACS = 0, 0 }, only(wipe.FormatCrypto, wipe.FormatUser), wipe.Refused, wipe.CauseUnsupported, "", ""},
		"refused: the policy allows no format":    {none, only(), wipe.Refused, wipe.CauseUnsupported, "", ""},
		"refused: the drive refuses":              {func(d *wipetest.NVMe) { d.SANICAP, d.FormatState = 0, 0x0015 }, only(wipe.FormatCrypto), wipe.Refused, wipe.CauseAborted, "", ""},
		"refused: a sanitize runs":                {func(d *wipetest.NVMe) { d.SANICAP, d.FormatState = 0, 0x1d }, wipe.DefaultPolicy(), wipe.Refused, wipe.CauseBusy, "", ""},
		"failed: it ends with an error":           {func(d *wipetest.NVMe) { d.SANICAP, d.FormatState = 0, 0x0006 }, wipe.DefaultPolicy(), wipe.Failed, wipe.CauseDriveFailed, "", ""},
		"failed: locked by an old sanitize":       {func(d *wipetest.NVMe) { d.SANICAP, d.FormatState = 0, 0x1c }, wipe.DefaultPolicy(), wipe.Failed, wipe.CauseDriveFailed, "", ""},
		"failed: success, and all data kept":      {func(d *wipetest.NVMe) { d.SANICAP, d.Keeps = 0, 1000 }, wipe.DefaultPolicy(), wipe.Failed, wipe.CauseStillThere, "", ""},
		"indeterminate: another size after":       {func(d *wipetest.NVMe) { d.SANICAP, d.Resizes = 0, true }, wipe.DefaultPolicy(), wipe.Indeterminate, wipe.CauseUnverified, "", ""},
		"indeterminate: a block is unreadable":    {func(d *wipetest.NVMe) { d.SANICAP = 0; d.DeadAt[0] = true }, wipe.DefaultPolicy(), wipe.Indeterminate, wipe.CauseUnverified, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := nvmeWorld(t, c.change)
			w.order.Policy = c.policy
			r := w.wipe()
			want(t, r, c.want, c.cause, c.by, c.claim)
			honest(t, r, d)
			for _, ses := range d.FormatSES {
				if ses != 1 && ses != 2 {
					t.Errorf("a format with SES %d was sent: it erases nothing", ses)
				}
			}
		})
	}
	t.Run("indeterminate: the answer is lost", func(t *testing.T) {
		d := wipetest.NewNVMe(wipetest.NewMedium(4*mib, true, 1))
		d.SANICAP = 0
		w := newWorld(t, lose{d, 0x80}, d.Clock, d.Expect(), 1)
		r := w.wipe()
		want(t, r, wipe.Indeterminate, wipe.CauseNoAnswer, "", "")
	})
}

// lose loses the answer to one NVMe command, which the drive carries out.
type lose struct {
	wipe.Port
	opcode uint8
}

func (l lose) NVMe(c passthru.NVMe) (passthru.NVMeReply, error) {
	r, err := l.Port.NVMe(c)
	if c.Opcode == l.opcode {
		return passthru.NVMeReply{}, errServer
	}
	return r, err
}

func TestASanitizeWhoseAnswerIsLostIsFoundInTheLog(t *testing.T) {
	d := wipetest.NewNVMe(wipetest.NewMedium(4*mib, true, 1))
	w := newWorld(t, lose{d, 0x84}, d.Clock, d.Expect(), 1)
	r := w.wipe()
	want(t, r, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge)
	honest(t, r, d)
}

func TestATASanitizeOfFlash(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*wipetest.ATA)
		want   wipe.Outcome
		cause  wipe.Cause
		by     wipe.Technique
		claim  wipe.Level
	}{
		"done by crypto scramble":                     {nil, wipe.Done, "", wipe.ATACrypto, wipe.Purge},
		"done by block erase":                         {func(d *wipetest.ATA) { d.Sanitizes = 0x9000 }, wipe.Done, "", wipe.ATABlock, wipe.Purge},
		"done by the drive's overwrite":               {func(d *wipetest.ATA) { d.Sanitizes = 0x5000; d.Takes = 2 * time.Hour }, wipe.Done, "", wipe.ATAOverwrite, wipe.Purge},
		"done though ATA Security is frozen":          {func(d *wipetest.ATA) { d.Frozen = true }, wipe.Done, "", wipe.ATACrypto, wipe.Purge},
		"done with an old success, seen running":      {func(d *wipetest.ATA) { d.SanSucceeded = true }, wipe.Done, "", wipe.ATACrypto, wipe.Purge},
		"done at once, no old success":                {func(d *wipetest.ATA) { d.Takes = 0 }, wipe.Done, "", wipe.ATACrypto, wipe.Purge},
		"done, sanitized twice after an old failure":  {func(d *wipetest.ATA) { d.SanFailed = true }, wipe.Done, "", wipe.ATACrypto, wipe.Purge},
		"done, the answer to the command was lost":    {func(d *wipetest.ATA) { d.StatusFails = 3 }, wipe.Done, "", wipe.ATACrypto, wipe.Purge},
		"refused: SANITIZE frozen, Security too":      {func(d *wipetest.ATA) { d.SanFrozen, d.Frozen = true, true }, wipe.Refused, wipe.CauseFrozen, "", ""},
		"refused: aborted, nothing else":              {func(d *wipetest.ATA) { d.Sanitizes = 0x3000; d.Supported = false; d.Sanitizes = 0x1000 }, wipe.Refused, wipe.CauseUnsupported, "", ""},
		"refused: locked by an ATA password":          {func(d *wipetest.ATA) { d.Enabled, d.Locked = true, true }, wipe.Refused, wipe.CauseLocked, "", ""},
		"failed: the drive says so, to Linux 6.1":     {func(d *wipetest.ATA) { d.Fails, d.Linux = true, true }, wipe.Failed, wipe.CauseDriveFailed, "", ""},
		"failed: the drive says so":                   {func(d *wipetest.ATA) { d.Fails = true }, wipe.Failed, wipe.CauseDriveFailed, "", ""},
		"failed: success, and all data kept":          {func(d *wipetest.ATA) { d.Keeps = 1000 }, wipe.Failed, wipe.CauseStillThere, "", ""},
		"indeterminate: an old success, none is seen": {func(d *wipetest.ATA) { d.SanSucceeded, d.Ignores = true, true }, wipe.Indeterminate, wipe.CauseOldResult, "", ""},
		"indeterminate: nothing ever starts":          {func(d *wipetest.ATA) { d.Ignores = true }, wipe.Indeterminate, wipe.CauseOldResult, "", ""},
		"indeterminate: it stalls":                    {func(d *wipetest.ATA) { d.Stalls = true }, wipe.Indeterminate, wipe.CauseTimeout, "", ""},
		"indeterminate: it falls silent":              {func(d *wipetest.ATA) { d.StatusFails = -1 }, wipe.Indeterminate, wipe.CauseNoAnswer, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := ataWorld(t, 1, c.change)
			w.order.Policy = only()
			r := w.wipe()
			want(t, r, c.want, c.cause, c.by, c.claim)
			honest(t, r, d)
		})
	}
}

func TestATAAnswersThatCannotBeReadAreNoSanitize(t *testing.T) {
	for name, change := range map[string]func(*wipetest.ATA){
		"the fixed format loses the upper half": func(d *wipetest.ATA) { d.Fixed, d.SanSucceeded = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := ataWorld(t, 1, change)
			w.order.Policy = only()
			want(t, w.wipe(), wipe.Refused, wipe.CauseUnsupported, "", "")
		})
	}
	t.Run("no registers come back at all", func(t *testing.T) {
		w, _ := ataWorld(t, 1, func(d *wipetest.ATA) { d.NoSense = true })
		w.order.Policy = only()
		want(t, w.wipe(), wipe.Refused, wipe.CauseUnsupported, "", "")
	})
}

func TestSecurityErase(t *testing.T) {
	no := func(d *wipetest.ATA) { d.Sanitizes = 0 }
	both := only(wipe.SecurityEraseEx, wipe.SecurityErase)
	for name, c := range map[string]struct {
		change func(*wipetest.ATA)
		want   wipe.Outcome
		cause  wipe.Cause
		by     wipe.Technique
		claim  wipe.Level
	}{
		"done, enhanced":                       {no, wipe.Done, "", wipe.SecurityEraseEx, wipe.Clear},
		"done, the plain one":                  {func(d *wipetest.ATA) { no(d); d.Enhanced = false }, wipe.Done, "", wipe.SecurityErase, wipe.Clear},
		"refused: frozen, no sleep":            {func(d *wipetest.ATA) { no(d); d.Frozen = true }, wipe.Refused, wipe.CauseFrozen, "", ""},
		"refused: somebody's password":         {func(d *wipetest.ATA) { no(d); d.Enabled = true }, wipe.Refused, wipe.CauseUnsupported, "", ""},
		"refused: too many wrong passwords":    {func(d *wipetest.ATA) { no(d); d.Expired = true }, wipe.Refused, wipe.CauseUnsupported, "", ""},
		"refused: not offered":                 {func(d *wipetest.ATA) { no(d); d.Supported = false }, wipe.Refused, wipe.CauseUnsupported, "", ""},
		"refused: it takes no password":        {func(d *wipetest.ATA) { no(d); d.Aborts[0xf1] = true }, wipe.Refused, wipe.CauseAborted, "", ""},
		"refused: it does not prepare":         {func(d *wipetest.ATA) { no(d); d.Aborts[0xf3] = true }, wipe.Refused, wipe.CauseAborted, "", ""},
		"failed: aborted in the middle":        {func(d *wipetest.ATA) { no(d); d.EraseFails = true }, wipe.Failed, wipe.CauseDriveFailed, "", ""},
		"failed: success, nothing erased":      {func(d *wipetest.ATA) { no(d); d.ErasesNone = true }, wipe.Failed, wipe.CauseStillThere, "", ""},
		"failed: success, the lock stays":      {func(d *wipetest.ATA) { no(d); d.KeepsLock = true }, wipe.Failed, wipe.CauseDriveFailed, "", ""},
		"indeterminate: the answer is lost":    {func(d *wipetest.ATA) { no(d); d.Silent[0xf4] = true }, wipe.Indeterminate, wipe.CauseNoAnswer, "", ""},
		"failed: it will not be unlocked":      {func(d *wipetest.ATA) { no(d); d.EraseFails = true; d.Aborts[0xf6] = true }, wipe.Failed, wipe.CauseLocked, "", ""},
		"refused: password, its answer lost":   {func(d *wipetest.ATA) { no(d); d.Silent[0xf1] = true }, wipe.Refused, wipe.CauseAborted, "", ""},
		"failed: no prepare, and stays locked": {func(d *wipetest.ATA) { no(d); d.Aborts[0xf3], d.Aborts[0xf6] = true, true }, wipe.Failed, wipe.CauseLocked, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := ataWorld(t, 1, c.change)
			foreign := d.Enabled
			w.order.Policy = both
			r := w.wipe()
			want(t, r, c.want, c.cause, c.by, c.claim)
			honest(t, r, d)
			if d.Enabled && !foreign && r.Cause != wipe.CauseLocked {
				t.Error("the drive keeps a password, and the report does not say so")
			}
			if d.Passwords > len(w.passwords) {
				t.Errorf("the drive learned %d passwords, %d were stored", d.Passwords, len(w.passwords))
			}
			if d.Enabled && !foreign && w.passwords[len(w.passwords)-1].Password != d.Password {
				t.Error("the password that the drive has is not the one that was stored")
			}
		})
	}
}

func TestTheOverwriteOfAPlatter(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*wipetest.ATA)
		level  wipe.Level
		want   wipe.Outcome
		cause  wipe.Cause
		by     wipe.Technique
		claim  wipe.Level
	}{
		"done, clear":                           {nil, wipe.Clear, wipe.Done, "", wipe.Overwrite, wipe.Clear},
		"done, purge by the drive's overwrite":  {func(d *wipetest.ATA) { d.Sanitizes = 0x5000; d.Takes = 3 * time.Hour }, wipe.Purge, wipe.Done, "", wipe.ATAOverwrite, wipe.Purge},
		"done, purge wanted, clear is offered":  {func(d *wipetest.ATA) { d.Sanitizes, d.Supported = 0, false }, wipe.Purge, wipe.Done, "", wipe.Overwrite, wipe.Clear},
		"refused: the kernel takes no writes":   {func(d *wipetest.ATA) { d.Told.ReadOnly = true }, wipe.Clear, wipe.Refused, wipe.CauseReadOnly, "", ""},
		"failed: some blocks cannot be written": {func(d *wipetest.ATA) { d.BadAt[7], d.BadAt[700] = true, true }, wipe.Clear, wipe.Failed, wipe.CauseUnwritable, "", ""},
		"failed: some cannot be read":           {func(d *wipetest.ATA) { d.DeadAt[900] = true }, wipe.Clear, wipe.Failed, wipe.CauseReadBack, "", ""},
		"failed: the cache is not flushed":      {func(d *wipetest.ATA) { d.NoFlush = true }, wipe.Clear, wipe.Failed, wipe.CauseUnwritable, "", ""},
		"failed: it takes writes and drops all": {func(d *wipetest.ATA) { d.Drops = true }, wipe.Clear, wipe.Failed, wipe.CauseReadBack, "", ""},
		"indeterminate: read from a cache":      {func(d *wipetest.ATA) { d.Cached = true }, wipe.Clear, wipe.Indeterminate, wipe.CauseInternal, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := ataWorld(t, 7200, c.change)
			w.order.Policy.Want = map[wipe.Class]wipe.Level{wipe.SATADisk: c.level}
			r := w.wipe()
			want(t, r, c.want, c.cause, c.by, c.claim)
			honest(t, r, d)
			if c.cause == wipe.CauseUnwritable && len(d.BadAt) > 0 && d.Readable() != len(d.BadAt) {
				t.Errorf("%d blocks are left; a bad block is no reason to leave others", d.Readable())
			}
			if below := r.Warned(wipe.WarnBelowWanted); r.Outcome == wipe.Done && below == r.MeetsWanted() {
				t.Errorf("warned of a claim below what was wanted: %t; claim %s, wanted %s", below, r.Claim, r.Policy.Wanted)
			}
		})
	}
}

func TestAnOverwriteOfFlashIsAClearWithAWarning(t *testing.T) {
	w, d := ataWorld(t, 1, func(d *wipetest.ATA) { d.Sanitizes, d.Supported = 0, false })
	r := w.wipe()
	want(t, r, wipe.Done, "", wipe.Overwrite, wipe.Clear)
	honest(t, r, d)
	if !r.Warned(wipe.WarnFlashOverwrite) || !r.Warned(wipe.WarnBelowWanted) {
		t.Errorf("warnings = %v; want that spare cells were not reached, and that a purge was wanted", r.Warnings)
	}
	if d.Left() == 0 {
		t.Error("the simulated flash kept nothing behind an overwrite: the test shows nothing")
	}
}

func TestEMMC(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*wipetest.EMMC)
		policy wipe.Policy
		want   wipe.Outcome
		cause  wipe.Cause
		by     wipe.Technique
		claim  wipe.Level
	}{
		"done by SANITIZE":                       {nil, only(), wipe.Done, "", wipe.EMMCSanitize, wipe.Clear},
		"done, what was discarded stays":         {func(d *wipetest.EMMC) { d.Ignores = true }, only(), wipe.Done, "", wipe.EMMCSanitize, wipe.Clear},
		"done: a policy calls it a purge":        {nil, func() wipe.Policy { p := only(); p.Raise = []wipe.Technique{wipe.EMMCSanitize}; return p }(), wipe.Done, "", wipe.EMMCSanitize, wipe.Purge},
		"done by secure erase":                   {func(d *wipetest.EMMC) { d.Feature = 0x15 }, wipe.DefaultPolicy(), wipe.Done, "", wipe.EMMCSecure, wipe.Clear},
		"done by an overwrite":                   {func(d *wipetest.EMMC) { d.Feature = 0 }, wipe.DefaultPolicy(), wipe.Done, "", wipe.Overwrite, wipe.Clear},
		"refused: nothing is offered":            {func(d *wipetest.EMMC) { d.Feature = 0 }, only(wipe.EMMCSecure), wipe.Refused, wipe.CauseUnsupported, "", ""},
		"refused: it takes no trim":              {func(d *wipetest.EMMC) { d.NoTrim = true }, only(), wipe.Refused, wipe.CauseAborted, "", ""},
		"refused: boot areas cannot be opened":   {func(d *wipetest.EMMC) { d.NoBoot = true }, only(), wipe.Refused, wipe.CauseAborted, "", ""},
		"refused: boot areas locked for good":    {func(d *wipetest.EMMC) { d.BootWP = 4 }, only(), wipe.Refused, wipe.CauseUnsupported, "", ""},
		"failed: SANITIZE is refused after trim": {func(d *wipetest.EMMC) { d.Refuses = true }, only(), wipe.Failed, wipe.CauseDriveFailed, "", ""},
		"failed: a boot area cannot be written":  {func(d *wipetest.EMMC) { d.Boots[1].BadAt[3] = true }, only(), wipe.Failed, wipe.CauseUnwritable, "", ""},
		"failed: a boot area drops its writes":   {func(d *wipetest.EMMC) { d.Boots[0].Drops = true }, only(), wipe.Failed, wipe.CauseReadBack, "", ""},
		"failed: success, and all data kept":     {func(d *wipetest.EMMC) { d.TrimLies, d.Ignores = true, true }, only(), wipe.Failed, wipe.CauseStillThere, "", ""},
		"indeterminate: the answer is lost":      {func(d *wipetest.EMMC) { d.Silent = true }, only(), wipe.Indeterminate, wipe.CauseNoAnswer, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := emmcWorld(t, c.change)
			w.order.Policy = c.policy
			r := w.wipe()
			want(t, r, c.want, c.cause, c.by, c.claim)
			honest(t, r, d)
			if r.Technique == wipe.EMMCSanitize && !d.Ignores && d.BootLeft() > 0 {
				t.Errorf("%d blocks are left in the boot areas", d.BootLeft())
			}
			if !r.Warned(wipe.WarnRPMB) {
				t.Error("nobody is told that the replay-protected area stays")
			}
		})
	}
}

func TestOpal(t *testing.T) {
	locked := func(o *wipetest.Opal) func(*wipetest.NVMe) {
		return func(d *wipetest.NVMe) { d.OACS |= 1; d.Opal = o }
	}
	opal := func(change func(*wipetest.Opal)) *wipetest.Opal {
		o := &wipetest.Opal{PSID: goodPSID, Enabled: true, Locked: true, Encrypts: true}
		if change != nil {
			change(o)
		}
		return o
	}
	unlocked := func(o *wipetest.Opal) { o.Locked = false }
	raised := only(wipe.PSIDRevert)
	raised.Raise = []wipe.Technique{wipe.PSIDRevert}
	for name, c := range map[string]struct {
		change func(*wipetest.NVMe)
		policy wipe.Policy
		psid   string
		want   wipe.Outcome
		cause  wipe.Cause
		by     wipe.Technique
		claim  wipe.Level
	}{
		"done: reverted, then sanitized":         {locked(opal(nil)), wipe.DefaultPolicy(), goodPSID, wipe.Done, "", wipe.NVMeCrypto, wipe.Purge},
		"done: reverted, then overwritten":       {func(d *wipetest.NVMe) { locked(opal(nil))(d); d.SANICAP = 0; d.OACS = 1 }, wipe.DefaultPolicy(), goodPSID, wipe.Done, "", wipe.Overwrite, wipe.Clear},
		"done: unlocked, the revert is the wipe": {func(d *wipetest.NVMe) { locked(opal(unlocked))(d); d.SANICAP = 0 }, only(wipe.PSIDRevert), goodPSID, wipe.Done, "", wipe.PSIDRevert, wipe.Clear},
		"done: the policy calls it a purge":      {func(d *wipetest.NVMe) { locked(opal(unlocked))(d); d.SANICAP = 0 }, raised, goodPSID, wipe.Done, "", wipe.PSIDRevert, wipe.Purge},
		"failed: no encryption, no key thrown": {func(d *wipetest.NVMe) {
			locked(opal(func(o *wipetest.Opal) { o.Locked, o.Encrypts = false, false }))(d)
			d.SANICAP = 0
		}, raised, goodPSID, wipe.Failed, wipe.CauseStillThere, "", ""},
		"refused: locked, no PSID":               {locked(opal(nil)), wipe.DefaultPolicy(), "", wipe.Refused, wipe.CauseNeedPSID, "", ""},
		"refused: a shadow MBR, no PSID":         {locked(opal(func(o *wipetest.Opal) { o.Locked, o.Shadow = false, true })), wipe.DefaultPolicy(), "", wipe.Refused, wipe.CauseNeedPSID, "", ""},
		"refused: a wrong PSID":                  {locked(opal(nil)), wipe.DefaultPolicy(), "ABCDEFGH1234567890ABCDEFGH123457", wipe.Refused, wipe.CauseWrongPSID, "", ""},
		"refused: no PSID at all, a serial":      {locked(opal(nil)), wipe.DefaultPolicy(), "S4NVME001", wipe.Refused, wipe.CauseWrongPSID, "", ""},
		"failed: it says reverted and is not":    {locked(opal(func(o *wipetest.Opal) { o.Lies = true })), wipe.DefaultPolicy(), goodPSID, wipe.Failed, wipe.CauseDriveFailed, "", ""},
		"refused: reverted, nothing to go on by": {func(d *wipetest.NVMe) { locked(opal(nil))(d); d.SANICAP, d.OACS = 0, 1 }, only(wipe.PSIDRevert), goodPSID, wipe.Refused, wipe.CauseUnsupported, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := nvmeWorld(t, c.change)
			w.order.Policy, w.order.PSID = c.policy, c.psid
			r := w.wipe()
			want(t, r, c.want, c.cause, c.by, c.claim)
			honest(t, r, d)
		})
	}
	t.Run("indeterminate: the answer is lost and the drive gone", func(t *testing.T) {
		d := wipetest.NewNVMe(wipetest.NewMedium(4*mib, true, 1))
		locked(opal(nil))(d)
		f := &wipetest.Faulty{Port: d}
		w := newWorld(t, f, d.Clock, d.Expect(), 1)
		w.order.PSID = goodPSID
		keep := w.engine.Journal
		w.engine.Journal = func(s wipe.Started) error { // from the revert on
			f.Fault, f.At = wipetest.Dead, f.Calls()+1
			return keep(s)
		}
		want(t, w.wipe(), wipe.Indeterminate, wipe.CauseNoAnswer, "", "")
	})
}

func TestUnknownMediaAreFlashThatNobodyAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		transport, behind string
		override          bool
		change            func(*wipetest.Base)
		want              wipe.Outcome
		cause             wipe.Cause
		by                wipe.Technique
		claim             wipe.Level
	}{
		"refused behind a USB bridge":    {"usb", "a USB bridge", false, nil, wipe.Refused, wipe.CauseBridge, "", ""},
		"refused behind a RAID volume":   {"scsi", "the controller megaraid_sas", false, nil, wipe.Refused, wipe.CauseBridge, "", ""},
		"refused: nobody knows it":       {"scsi", "", false, nil, wipe.Refused, wipe.CauseBridge, "", ""},
		"done when a person says so":     {"usb", "a USB bridge", true, nil, wipe.Done, "", wipe.Overwrite, wipe.Clear},
		"failed: it drops writes":        {"usb", "a USB bridge", true, func(b *wipetest.Base) { b.Drops = true }, wipe.Failed, wipe.CauseReadBack, "", ""},
		"indeterminate: read from cache": {"usb", "a USB bridge", true, func(b *wipetest.Base) { b.Cached = true }, wipe.Indeterminate, wipe.CauseInternal, "", ""},
		"done, UFS":                      {"ufs", "", false, nil, wipe.Done, "", wipe.Overwrite, wipe.Clear},
		"refused, UFS, read-only":        {"ufs", "", false, func(b *wipetest.Base) { b.Told.ReadOnly = true }, wipe.Refused, wipe.CauseReadOnly, "", ""},
		"failed, UFS, a bad block":       {"ufs", "", false, func(b *wipetest.Base) { b.BadAt[1] = true }, wipe.Failed, wipe.CauseUnwritable, "", ""},
		"indeterminate, UFS, from cache": {"ufs", "", false, func(b *wipetest.Base) { b.Cached = true }, wipe.Indeterminate, wipe.CauseInternal, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := plainWorld(t, c.transport, c.behind, c.change)
			w.order.Override = c.override
			r := w.wipe()
			want(t, r, c.want, c.cause, c.by, c.claim)
			honest(t, r, d)
			if r.Outcome == wipe.Done && !r.Warned(wipe.WarnFlashOverwrite) {
				t.Errorf("warnings = %v; an unknown medium is flash", r.Warnings)
			}
			if r.Outcome == wipe.Refused && d.Readable() != 1024 {
				t.Error("a refused drive was written to")
			}
		})
	}
}
