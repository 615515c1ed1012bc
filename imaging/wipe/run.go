package wipe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Engine wipes one drive. Its fields are what it needs from outside; Port and Journal must be set.
type Engine struct {
	Port    Port
	Clock   Clock     // nil: the machine's
	Random  io.Reader // nil: crypto/rand
	Thaw    func() error
	Show    func(Progress)       // may be nil
	Journal func(Started) error  // keeps it durably; an error means that nothing is started
	Keep    func(Password) error // keeps a password before the drive learns it; nil: ATA Security Erase is not used
}

// Order says which drive, by whose rules.
type Order struct {
	Drive    Expect
	Policy   Policy
	PSID     string // scanned from the label; empty for none
	Override bool   // a person asked for an overwrite of a medium that nobody knows
}

// Password is an ATA password that the drive is about to learn.
type Password struct {
	Drive    Identity `json:"drive"`
	Password string   `json:"password"` // user password, 32 characters
}

// Started is kept before the command that cannot be taken back. A later boot settles a run by it.
type Started struct {
	Version  int                `json:"version"`
	Expect   Expect             `json:"expect"`
	Step     Step               `json:"step"`
	At       time.Time          `json:"at"`
	Action   uint32             `json:"action,omitempty"` // NVMe: dword 10
	NVMe     *SanitizeLog       `json:"nvme_before,omitempty"`
	ATA      *ATASanitizeStatus `json:"ata_before,omitempty"`
	Evidence Evidence           `json:"evidence"`
	Report   Report             `json:"report"` // as far as it is written
}

// run is one call of Wipe or Settle.
type run struct {
	*Engine
	order   Order
	ability Ability
	rep     Report
	step    Step
	at      *Attempt
	seed    Seed
	kept    *Evidence // of the attempt before
	began   time.Time // of the phase that is shown
}

// end is how an attempt ended; nil is: the drive says that it finished.
type end struct {
	outcome Outcome
	cause   Cause
	fact    string
}

func ended(o Outcome, c Cause, format string, args ...any) *end {
	return &end{o, c, line(fmt.Sprintf(format, args...))}
}

// line makes one line of at most 200 bytes of printable ASCII: parts of it come from drives.
func line(s string) string {
	s = text([]byte(s))
	return s[:min(len(s), 200)]
}

// Wipe wipes one drive and reports. ctx is looked at until the first change to the drive; after that only the drive
// decides how long it takes. It always returns a Report, and only a done one can be certified.
func (e *Engine) Wipe(ctx context.Context, o Order) Report {
	r := e.begin(o)
	r.finish(r.wipe(ctx))
	return r.rep
}

func (e *Engine) begin(o Order) *run {
	own := *e
	if own.Clock == nil {
		own.Clock = realClock{}
	}
	if own.Random == nil {
		own.Random = rand.Reader
	}
	if own.Show == nil {
		own.Show = func(Progress) {}
	}
	r := &run{Engine: &own, order: o}
	r.rep = Report{Version: ReportVersion, Started: own.Clock.Now().UTC(), Policy: PolicyRef{Name: o.Policy.Name, Version: o.Policy.Version}}
	return r
}

// finish writes the end into the report. Done is written here only, and only when the evidence is whole.
func (r *run) finish(e *end) {
	r.rep.Ended = r.Clock.Now().UTC()
	if e == nil {
		r.rep.Outcome = Done
		if err := r.rep.Certify(); err != nil {
			e = ended(Indeterminate, CauseInternal, "%v", err)
		}
	}
	if e == nil {
		return
	}
	r.rep.Outcome, r.rep.Cause, r.rep.Fact = e.outcome, e.cause, e.fact
	r.rep.Technique, r.rep.Claim = "", None
	if e.outcome == Indeterminate {
		r.rep.Settle = howToSettle(r.step.Technique)
	}
}

// howToSettle tells a person what to do.
func howToSettle(t Technique) string {
	if t.Logged() {
		return "Leave the drive in the laptop and start it from the network again: the drive's own record says how it ended."
	}
	return "Start the laptop from the network again and repeat the wipe."
}

func (r *run) wipe(ctx context.Context) *end {
	if err := r.order.Policy.Validate(); err != nil {
		return ended(Refused, CauseInternal, "%v", err)
	}
	if e := r.meet(); e != nil {
		return e
	}
	r.plan()
	if r.rep.Plan.Refusal != "" {
		return ended(Refused, r.rep.Plan.Refusal, "%s", r.rep.Plan.Why)
	}
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	if _, err := io.ReadFull(r.Random, r.seed[:]); err != nil {
		return ended(Refused, CauseInternal, "no random numbers: %v", err)
	}
	if r.rep.Plan.Unlock {
		if e := r.unlock(ctx); e != nil {
			return e
		}
		ctx = context.WithoutCancel(ctx) // it is changed
	}
	r.openHidden()
	return r.steps(ctx)
}

func cancelled(ctx context.Context) *end {
	return ended(Refused, CauseCancelled, "%v", context.Cause(ctx))
}

// meet looks at the drive and compares it with the approved one.
func (r *run) meet() *end {
	f, err := r.Port.Facts()
	if err != nil {
		return ended(Refused, CauseNoAnswer, "%v", err)
	}
	if r.ability, err = Probe(r.Port); err != nil {
		return ended(Refused, CauseNoAnswer, "%v", err)
	}
	r.rep.Drive, r.rep.Ability = r.ability.Drive, r.ability
	r.rep.Policy.Wanted = r.order.Policy.Wants(r.ability.Class)
	if d := r.order.Drive.matches(f, r.ability.Drive); d != "" {
		return ended(Refused, CauseWrongDrive, "%s", d)
	}
	return nil
}

func (r *run) plan() {
	m := Means{PSID: r.order.PSID != "", Override: r.order.Override, Thaw: r.Thaw != nil}
	r.rep.Plan = NewPlan(r.ability, r.order.Policy, m)
	if r.Keep == nil {
		r.rep.Plan.Steps = slices.DeleteFunc(r.rep.Plan.Steps, func(s Step) bool {
			return s.Technique == SecurityErase || s.Technique == SecurityEraseEx
		})
		if len(r.rep.Plan.Steps) == 0 && r.rep.Plan.Refusal == "" {
			r.rep.Plan.Refusal, r.rep.Plan.Why = CauseNotRecorded, "nobody keeps the password that an erase needs"
		}
	}
	r.rep.Warnings = slices.Clone(r.rep.Plan.Warnings)
}

// steps tries one technique after the other. Only a refusal, which left the drive as it was, lets the next one try; and
// a sanitize that failed, another sanitize, which is all that such a drive still takes.
func (r *run) steps(ctx context.Context) *end {
	var last *end
	failed := false
	for _, s := range r.rep.Plan.Steps {
		if failed && !s.Technique.Logged() {
			continue
		}
		if ctx.Err() != nil && !failed {
			return cancelled(ctx)
		}
		r.step = s
		e := r.attempt(ctx)
		if e == nil {
			return nil
		}
		switch {
		case e.outcome == Refused && !failed && terminal(e.cause):
			return e
		case e.outcome == Failed && s.Technique.Logged() && e.cause == CauseDriveFailed:
			failed, last = true, e
		case e.outcome == Refused && !failed:
			last = e
		case e.outcome == Refused:
		default:
			return e
		}
	}
	return last
}

// terminal causes are no reason to try another technique: somebody must look first.
func terminal(c Cause) bool {
	return slices.Contains([]Cause{CauseBusy, CauseNotRecorded, CauseCancelled, CauseWrongDrive, CauseNoEvidence}, c)
}

// attempt carries one technique out, with its evidence before and after.
func (r *run) attempt(ctx context.Context) *end {
	r.beginAttempt(false)
	e := r.technique(ctx)
	r.close(e)
	if e == nil {
		r.rep.Technique = r.step.Technique
		r.rep.Claim = r.step.Claim
		r.concede()
	}
	return e
}

// beginAttempt begins the record of an attempt.
func (r *run) beginAttempt(unlocking bool) {
	r.rep.Attempts = append(r.rep.Attempts, Attempt{Technique: r.step.Technique, Unlocking: unlocking, Started: r.Clock.Now().UTC()})
	r.at = &r.rep.Attempts[len(r.rep.Attempts)-1]
}

func (r *run) close(e *end) {
	r.at.Ended, r.at.Outcome = r.Clock.Now().UTC(), Done
	if e != nil {
		r.at.Outcome, r.at.Cause, r.at.Fact = e.outcome, e.cause, e.fact
	}
}

// concede lowers the claim where the drive itself says less, and notes what a reader must know.
func (r *run) concede() {
	if r.rep.Warned(WarnNotPurged) && r.rep.Claim == Purge {
		r.rep.Claim = Clear
	}
	if r.rep.Technique == Overwrite && r.ability.Class != SATADisk {
		r.warn(WarnFlashOverwrite)
	}
	if !r.rep.Claim.Meets(r.rep.Policy.Wanted) {
		r.warn(WarnBelowWanted)
	}
}

func (r *run) warn(w Warning) {
	if !r.rep.Warned(w) {
		r.rep.Warnings = append(r.rep.Warnings, w)
	}
}

// Warned reports whether a warning stands in the report.
func (r Report) Warned(w Warning) bool { return slices.Contains(r.Warnings, w) }

// technique runs the step with what has to stand around it.
func (r *run) technique(ctx context.Context) *end {
	if r.step.Thaw {
		if e := r.thaw(); e != nil {
			return e
		}
	}
	if r.step.Technique == Overwrite {
		return r.overwrite()
	}
	r.show(Looking, 0, 0, -1)
	ev, touched, err := look(r.Port, r.seed, r.rep.Drive.SizeBytes, r.rep.Drive.SectorSize, r.order.Policy.Depth, r.shown(Looking))
	r.rep.Touched = r.rep.Touched || touched
	switch {
	case errors.Is(err, errUnreadable) && r.kept != nil: // a sanitize of this run failed; what was looked at before it still counts
		ev = *r.kept
	case errors.Is(err, errUnreadable) && r.inFailureMode():
		return r.twice()
	case err != nil:
		return ended(Refused, CauseNoEvidence, "%v", err)
	}
	r.kept = &ev
	if e := r.carryOut(ev); e != nil {
		return e
	}
	return r.after(ev)
}

// carryOut does what the technique does, up to the drive's word that it has finished.
func (r *run) carryOut(ev Evidence) *end {
	r.rep.Completion, r.rep.Verification = Completion{}, Verification{}
	r.began = r.Clock.Now()
	switch t := r.step.Technique; t {
	case NVMeCrypto, NVMeBlock, NVMeOverwrite:
		return r.nvmeSanitize(ev)
	case FormatCrypto:
		return r.nvmeFormat(ev, eraseCrypto)
	case FormatUser:
		return r.nvmeFormat(ev, eraseUser)
	case ATACrypto, ATABlock, ATAOverwrite:
		return r.ataSanitize(ev)
	case SecurityErase, SecurityEraseEx:
		return r.securityErase(ev)
	case EMMCSanitize, EMMCSecure:
		return r.emmcErase(ev)
	case PSIDRevert:
		return r.psidRevert(ev)
	default:
		return ended(Refused, CauseInternal, "%q is no technique", t)
	}
}

// journal hands over all that a later boot needs. An error means that nothing is started.
func (r *run) journal(s Started) *end {
	s.Version, s.Expect, s.Step, s.At, s.Report = ReportVersion, r.order.Drive, r.step, r.Clock.Now().UTC(), r.rep
	s.Report.Outcome, s.Report.Attempts = Indeterminate, slices.Clone(r.rep.Attempts)
	if err := r.Journal(s); err != nil {
		return ended(Refused, CauseNotRecorded, "%v", err)
	}
	return nil
}

// after is the second proof: the samples again.
func (r *run) after(ev Evidence) *end {
	if err := r.Port.Rescan(); err != nil {
		r.at.raw("rescan", "%v", err)
	}
	f, err := r.Port.Facts()
	if err != nil {
		return ended(Indeterminate, CauseUnverified, "%v", err)
	}
	if f.SizeBytes != ev.Size || f.SectorSize != ev.Sector {
		return ended(Indeterminate, CauseUnverified, "the drive has another shape now: %d bytes in sectors of %d", f.SizeBytes, f.SectorSize)
	}
	if !sameText(f.Serial, r.order.Drive.Serial) {
		return ended(Indeterminate, CauseUnverified, "the drive is another one now: %s", f.Serial)
	}
	r.began = r.Clock.Now()
	v := ev.compare(r.Port, r.Clock.Sleep, r.shown(Checking))
	r.rep.Verification = v
	switch {
	case v.Unchanged > 0:
		return ended(Failed, CauseStillThere, "%d of %d blocks hold what they held before", v.Unchanged, v.Telling)
	case v.Unreadable > 0:
		return ended(Indeterminate, CauseUnverified, "%d of %d blocks could not be read", v.Unreadable, v.Taken)
	}
	return nil
}
