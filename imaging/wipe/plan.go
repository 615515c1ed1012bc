package wipe

import "fmt"

// Step is one technique that may be used, with what may be claimed of it here.
type Step struct {
	Technique Technique `json:"technique"`
	Claim     Level     `json:"claim"`
	Fallback  bool      `json:"fallback,omitempty"` // not the first choice for this class; the policy allows it
	Thaw      bool      `json:"thaw,omitempty"`     // the drive is frozen: only after the machine slept and woke
}

// Skip is a technique that is not used, and why.
type Skip struct {
	Technique Technique `json:"technique"`
	Cause     Cause     `json:"cause"`
	Why       string    `json:"why"`
}

// Plan says what would be done to a drive, before anything is. Without steps it is a refusal.
type Plan struct {
	Class    Class     `json:"class"`
	Wanted   Level     `json:"wanted"`
	Unlock   bool      `json:"unlock,omitempty"` // locked by Opal: reverted by its PSID first, then wiped
	Steps    []Step    `json:"steps"`
	Skipped  []Skip    `json:"skipped,omitempty"`
	Warnings []Warning `json:"warnings,omitempty"`
	Refusal  Cause     `json:"refusal,omitempty"`
	Why      string    `json:"why,omitempty"` // of a refusal, one sentence
}

// Means are what an order and a machine add to what the drive can do.
type Means struct {
	PSID     bool // the label was scanned
	Override bool // a person asked for an overwrite of a medium that nobody knows
	Thaw     bool // the machine can sleep and wake, which takes a freeze lock off
}

// NewPlan is the decision table: pure, and the only place that chooses. The first choices of a class come first, the
// stronger before the weaker; then what the policy lets stand in for them.
func NewPlan(a Ability, p Policy, m Means) Plan {
	b := planner{a: a, p: p, m: m, plan: Plan{Class: a.Class, Wanted: p.Wants(a.Class)}}
	if b.refuses() {
		return b.plan
	}
	switch a.Class {
	case NVMe:
		b.nvme()
	case SATAFlash:
		b.sataFlash()
	case SATADisk:
		b.sataDisk()
	case EMMC:
		b.emmc()
	case UFS:
		b.overwriteFlash()
	default:
		b.unknown()
	}
	b.conclude()
	return b.plan
}

type planner struct {
	a    Ability
	p    Policy
	m    Means
	plan Plan
}

func (b *planner) refuse(c Cause, format string, args ...any) bool {
	b.plan.Refusal, b.plan.Why = c, fmt.Sprintf(format, args...)
	return true
}

// refuses finds what no technique gets around.
func (b *planner) refuses() bool {
	a := b.a
	switch {
	case a.ReadOnly:
		return b.refuse(CauseReadOnly, "the drive takes no writes")
	case a.NVMe != nil && a.NVMe.Log.State() == sanitizeRunning:
		return b.refuse(CauseBusy, "a sanitize runs on it already (%s)", a.NVMe.Log)
	case a.ATA != nil && a.ATA.Status.Running:
		return b.refuse(CauseBusy, "a sanitize runs on it already (%s)", a.ATA.Status.Raw)
	case a.ATA != nil && a.ATA.Security.Locked:
		return b.refuse(CauseLocked, "it is locked by an ATA password")
	}
	if o := a.Opal; o != nil && (o.Locked || o.Shadow) {
		if !b.m.PSID {
			return b.refuse(CauseNeedPSID, "it is locked by TCG Opal")
		}
		b.plan.Unlock = true
	}
	return false
}

func (b *planner) first(t Technique) {
	b.plan.Steps = append(b.plan.Steps, Step{Technique: t, Claim: b.p.claim(t)})
}

func (b *planner) fallback(t Technique) { b.fallbackThawed(t, false) }

func (b *planner) fallbackThawed(t Technique, thaw bool) {
	if !b.p.allows(t) {
		b.skip(t, CauseUnsupported, "the policy does not allow it")
		return
	}
	b.plan.Steps = append(b.plan.Steps, Step{Technique: t, Claim: b.p.claim(t), Fallback: true, Thaw: thaw})
}

func (b *planner) skip(t Technique, c Cause, format string, args ...any) {
	b.plan.Skipped = append(b.plan.Skipped, Skip{t, c, fmt.Sprintf(format, args...)})
}

func (b *planner) nvme() {
	n := b.a.NVMe
	b.firstIf(NVMeCrypto, n.Crypto)
	b.firstIf(NVMeBlock, n.Block)
	b.firstIf(NVMeOverwrite, n.Overwrite)
	b.revert()
	switch {
	case !n.Format:
		b.skip(FormatUser, CauseUnsupported, "the drive has no Format")
	case n.Namespaces != 1 && n.FNA&2 == 0:
		b.skip(FormatUser, CauseUnsupported, "a format would erase one namespace, and there are %s", namespaces(n.Namespaces))
	case n.FormatCrypto:
		b.fallback(FormatCrypto)
		b.fallback(FormatUser)
	default:
		b.fallback(FormatUser)
	}
	if n.Namespaces != 1 {
		b.skip(Overwrite, CauseUnsupported, "an overwrite would reach one namespace, and there are %s", namespaces(n.Namespaces))
		return
	}
	b.overwriteFlash()
}

func namespaces(n int) string {
	if n == 0 {
		return "nobody knows how many"
	}
	return fmt.Sprint(n)
}

func (b *planner) firstIf(t Technique, can bool) {
	if can {
		b.first(t)
		return
	}
	b.skip(t, CauseUnsupported, "the drive does not offer it")
}

func (b *planner) sataFlash() {
	b.ataSanitize(ATACrypto, b.a.ATA.Crypto)
	b.ataSanitize(ATABlock, b.a.ATA.Block)
	b.ataSanitize(ATAOverwrite, b.a.ATA.Overwrite)
	b.revert()
	b.securityErase()
	b.overwriteFlash()
}

// sataDisk: one overwrite clears a platter. The drive's own overwrite reaches replaced sectors too, and purges.
func (b *planner) sataDisk() {
	if b.plan.Wanted == Purge {
		b.ataSanitize(ATAOverwrite, b.a.ATA.Overwrite)
		b.ataSanitize(ATACrypto, b.a.ATA.Crypto)
		b.revert()
		b.securityErase()
		b.fallback(Overwrite)
		return
	}
	b.first(Overwrite)
}

// ataSanitize adds a SANITIZE when the drive has it, its status can be read, and its own freeze lock is off.
func (b *planner) ataSanitize(t Technique, can bool) {
	s := b.a.ATA
	switch {
	case !can:
		b.skip(t, CauseUnsupported, "the drive does not offer it")
	case !s.StatusKnown:
		b.skip(t, CauseNoAnswer, "the drive does not tell its sanitize status, so its end could not be seen")
	case s.Status.Frozen && !b.m.Thaw:
		b.skip(t, CauseFrozen, "the firmware froze SANITIZE, and this machine cannot sleep and wake")
	default:
		b.plan.Steps = append(b.plan.Steps, Step{Technique: t, Claim: b.p.claim(t), Thaw: s.Status.Frozen})
	}
}

// securityErase comes after everything else that a drive does itself: it blocks for hours without a sign of life,
// and needs a password that must be taken off again.
func (b *planner) securityErase() {
	s := b.a.ATA.Security
	t := SecurityErase
	if s.Enhanced {
		t = SecurityEraseEx
	}
	switch {
	case !s.Supported:
		b.skip(t, CauseUnsupported, "the drive does not offer it")
	case s.Enabled:
		b.skip(t, CauseLocked, "somebody else's ATA password is set")
	case s.Expired:
		b.skip(t, CauseLocked, "the drive counted too many wrong passwords: switch it off and on")
	case s.Frozen && !b.m.Thaw:
		b.skip(t, CauseFrozen, "the firmware froze ATA Security, and this machine cannot sleep and wake")
	default:
		b.fallbackThawed(t, s.Frozen)
		if t == SecurityEraseEx {
			b.fallbackThawed(SecurityErase, s.Frozen)
		}
	}
}

// revert stands in for a sanitize when the label was scanned. A locked drive is reverted anyway, before its steps.
func (b *planner) revert() {
	if o := b.a.Opal; o == nil || !o.Supported || !o.Enabled || b.plan.Unlock || !b.m.PSID {
		return
	}
	b.fallback(PSIDRevert)
	if n := len(b.plan.Steps); n > 0 && b.plan.Steps[n-1].Technique == PSIDRevert && !b.a.Opal.Encrypts {
		b.plan.Steps[n-1].Claim = Clear // without encryption the revert threw away no key
	}
}

func (b *planner) emmc() {
	e := b.a.EMMC
	if e.General {
		b.refuse(CauseUnsupported, "it has general purpose partitions, which nothing here reaches")
		return
	}
	switch {
	case e.BootLocked:
		b.skip(EMMCSanitize, CauseReadOnly, "its boot areas are write-protected for good")
		b.skip(EMMCSecure, CauseReadOnly, "its boot areas are write-protected for good")
	default:
		b.firstIf(EMMCSanitize, e.Sanitize)
		if e.Secure {
			b.fallback(EMMCSecure)
		} else {
			b.skip(EMMCSecure, CauseUnsupported, "the drive does not offer it")
		}
	}
	if e.RPMB {
		b.warn(WarnRPMB)
	}
	b.overwriteFlash()
}

func (b *planner) overwriteFlash() { b.fallback(Overwrite) }

// unknown media are refused, unless a person or the policy says otherwise.
func (b *planner) unknown() {
	why := "nobody can say what kind of drive it is"
	if b.a.Behind != "" {
		why = "it is behind " + b.a.Behind + ", which hides the drive itself"
	}
	if !b.m.Override && !b.p.Unknown {
		b.refuse(CauseBridge, "%s", why)
		return
	}
	b.warn(WarnUnknownMedium)
	b.plan.Steps = append(b.plan.Steps, Step{Technique: Overwrite, Claim: b.p.claim(Overwrite), Fallback: true})
}

func (b *planner) warn(w Warning) { b.plan.Warnings = append(b.plan.Warnings, w) }

// conclude turns a plan without steps into a refusal: by the freeze lock when that alone is in the way of something.
func (b *planner) conclude() {
	if len(b.plan.Steps) > 0 || b.plan.Refusal != "" {
		return
	}
	for _, s := range b.plan.Skipped {
		if s.Cause == CauseFrozen {
			b.refuse(CauseFrozen, "%s", s.Why)
			return
		}
	}
	b.refuse(CauseUnsupported, "it offers nothing that the policy allows")
}
