package cert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
)

// Wiped is what the server knows of one wipe besides the Report: the drive that was approved, the order, and who
// reported. A Report is held against it.
type Wiped struct {
	Target job.Target  // that was approved
	Policy wipe.Policy // of the site when it was ordered
	Means  wipe.Means  // what the order allowed
	Begun  time.Time   // when the server let it begin: nothing older can be its Report
	Now    time.Time

	Job        string
	People     []Person
	Place      string
	Tool       string
	AgentBuild string
	AgentKey   string
	BootChain  string
	SecureBoot bool
	BootBundle string
}

// clockSlack is how far the agent's clock may differ from the server's, which it was set to.
const clockSlack = 5 * time.Minute

// ReadReport reads a Report as an agent sent it. What it does not know, it does not take.
func ReadReport(b []byte) (r wipe.Report, err error) {
	if len(b) > job.MaxDriveReport {
		return r, noCertificate("the report has %d bytes", len(b))
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, noCertificate("the report cannot be read: %s", job.Reason(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return r, noCertificate("something follows the report")
	}
	return r, nil
}

// Certify signs that a drive was sanitised, or says why not. It is the only way to a Certificate, and it trusts nothing
// that it can ask: the Report must be of a wipe that was completed and verified, by a technique and with a claim that
// this site's policy gives to such a drive, on the drive that was approved, and of this job.
func (s *Signer) Certify(f Frame, w Wiped, report wipe.Report) (Record, []byte, error) {
	r, err := f.record(Wipe)
	if err != nil {
		return r, nil, err
	}
	if err := proven(w, report); err != nil {
		return r, nil, err
	}
	raw, err := Canonical(report)
	if err != nil {
		return r, nil, noCertificate("the report cannot be written down: %v", err)
	}
	r.Drive = driveOf(report)
	r.Sanitised = sanitised(w, report, raw)
	file, err := s.seal(r)
	return r, file, err
}

// proven holds a Report against what was ordered.
func proven(w Wiped, r wipe.Report) error {
	if err := r.Certify(); err != nil {
		return noCertificate("%v", err)
	}
	if err := sameDrive(w.Target, r.Drive, r.Hidden.Removed); err != nil {
		return err
	}
	if r.Policy.Name != w.Policy.Name || r.Policy.Version != w.Policy.Version {
		return noCertificate("it followed the policy %s %d, the order names %s %d", r.Policy.Name, r.Policy.Version, w.Policy.Name, w.Policy.Version)
	}
	if r.Started.Before(w.Begun.Add(-clockSlack)) || r.Ended.After(w.Now.Add(clockSlack)) {
		return noCertificate("it tells of %s to %s, the job began at %s", r.Started.Format(time.RFC3339), r.Ended.Format(time.RFC3339), w.Begun.Format(time.RFC3339))
	}
	return allowed(w, r)
}

// allowed makes the plan anew from what the drive can do and from the site's own policy: an agent cannot claim more
// than that gives, nor fall back where it may not.
func allowed(w Wiped, r wipe.Report) error {
	w.Means.Thaw = true // whether the laptop could sleep is no question of the policy
	plan := wipe.NewPlan(r.Ability, w.Policy, w.Means)
	if r.Policy.Wanted != plan.Wanted {
		return noCertificate("it says that %q was wanted, the policy wants %q", r.Policy.Wanted, plan.Wanted)
	}
	i := slices.IndexFunc(plan.Steps, func(s wipe.Step) bool { return s.Technique == r.Technique && s.Claim.Meets(r.Claim) })
	if i < 0 {
		return noCertificate("the policy %s %d gives no %s that claims %s to such a drive", w.Policy.Name, w.Policy.Version, r.Technique, r.Claim)
	}
	return nil
}

func sameDrive(want job.Target, got wipe.Identity, opened bool) error {
	if want.Serial == "" || strings.TrimSpace(got.Serial) != strings.TrimSpace(want.Serial) {
		return noCertificate("it is about the drive %s, approved was %s", got.Serial, want.Serial)
	}
	if want.SizeBytes != got.SizeBytes && !(opened && got.SizeBytes > want.SizeBytes) { // hidden sectors that were opened make it larger
		return noCertificate("it is about a drive of %d bytes, approved was one of %d", got.SizeBytes, want.SizeBytes)
	}
	switch {
	case want.SectorSize != 0 && want.SectorSize != got.SectorSize:
		return noCertificate("it is about a drive with sectors of %d bytes, approved was one with %d", got.SectorSize, want.SectorSize)
	case !sameModel(want.Model, got.Model):
		return noCertificate("it is about a drive %s, approved was %s", got.Model, want.Model)
	case !sameWWN(want.WWN, got.WWN):
		return noCertificate("it is about the drive with the world-wide name %s, approved was %s", got.WWN, want.WWN)
	}
	return nil
}

// sameModel compares a model as the kernel tells it, which may be cut, with the drive's own word.
func sameModel(a, b string) bool {
	bare := func(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), "")) }
	a, b = bare(a), bare(b)
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

// sameWWN compares two world-wide names of one kind. The kernel may know a drive by another kind than the drive itself
// tells: that says nothing.
func sameWWN(a, b string) bool {
	kindA, _, dotA := strings.Cut(strings.ToLower(a), ".")
	kindB, _, dotB := strings.Cut(strings.ToLower(b), ".")
	comparable := a != "" && len(a) == len(b) && dotA == dotB && (!dotA || kindA == kindB)
	return !comparable || strings.EqualFold(a, b)
}

func driveOf(r wipe.Report) Drive {
	d := Drive{Model: r.Drive.Model, Serial: r.Drive.Serial, WWN: r.Drive.WWN, Firmware: r.Drive.Firmware, Media: string(r.Ability.Class),
		Transport: r.Drive.Transport, Behind: r.Ability.Behind, SizeBytes: r.Drive.SizeBytes, RealBytes: r.Drive.SizeBytes, SectorSize: r.Drive.SectorSize,
		Hidden: hiddenWord(r.Hidden)}
	if r.Hidden.State == wipe.HiddenFound {
		d.RealBytes += r.Hidden.Bytes
	}
	if word, _, ok := strings.Cut(r.Drive.Model, " "); ok {
		d.Manufacturer = word
	}
	return d
}

func hiddenWord(h wipe.Hidden) string {
	switch {
	case h.State == wipe.HiddenFound && h.Removed:
		return "found and opened"
	case h.State == "":
		return "no such thing in this class"
	}
	return string(h.State)
}

func sanitised(w Wiped, r wipe.Report, raw []byte) *Sanitised {
	s := &Sanitised{
		Technique: string(r.Technique), Does: r.Technique.Does(), Claim: string(r.Claim), Wanted: string(r.Policy.Wanted), Policy: r.Policy.Name,
		PolicyVersion: r.Policy.Version, Status: "done", Fallback: fallback(r), Started: r.Started.UTC().Format(time.RFC3339),
		Finished: r.Ended.UTC().Format(time.RFC3339), Seconds: uint64(r.Ended.Sub(r.Started) / time.Second), ErasedBytes: r.Drive.SizeBytes,
		Verification: verification(r.Verification), ReadBytes: readBytes(r.Verification), Errors: r.Verification.Mismatches + uint64(r.Verification.Unreadable),
		Settled: r.Settled, Job: w.Job, People: w.People, Place: w.Place, Tool: w.Tool, AgentBuild: w.AgentBuild, AgentKey: w.AgentKey,
		BootChain: w.BootChain, SecureBoot: w.SecureBoot, BootBundle: w.BootBundle, Assurance: assurance(w), Report: raw,
	}
	for _, x := range r.Warnings {
		s.Warnings = append(s.Warnings, warningWords(x))
	}
	if !r.MeetsWanted() && !slices.Contains(r.Warnings, wipe.WarnBelowWanted) {
		s.Warnings = append(s.Warnings, warningWords(wipe.WarnBelowWanted))
	}
	if len(s.Warnings) > 0 {
		s.Status = "done with warnings"
	}
	return s
}

// assurance says what this evidence rests on.
func assurance(w Wiped) string {
	const rests = "It rests on what the agent named here read from the drive. "
	if w.SecureBoot {
		return rests + "The laptop said that Secure Boot was on; the agent was signed for by nobody but the boot chain named here."
	}
	return rests + "Secure Boot was off: the laptop itself could have started something else in the agent's place."
}

// fallback tells what was tried or passed over before.
func fallback(r wipe.Report) string {
	var words []string
	for _, a := range r.Attempts[:max(0, len(r.Attempts)-1)] {
		words = append(words, fmt.Sprintf("%s: %s %s", a.Technique.Does(), a.Outcome, a.Fact))
	}
	for _, k := range r.Plan.Skipped {
		words = append(words, fmt.Sprintf("%s: %s", k.Technique.Does(), k.Why))
	}
	const most = 1000
	s := strings.Join(words, "; ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

func verification(v wipe.Verification) string {
	if v.Method == wipe.MethodReadBack {
		return fmt.Sprintf("Every byte was read back past the cache and compared with what was written: %d of %d bytes, %d differ.", v.Bytes, v.Total, v.Mismatches)
	}
	return fmt.Sprintf("%d blocks of %d bytes, %d of them written for the purpose, were read before and again afterwards past the cache, first and last block among them; "+
		"%d of the %d that held something hold it still. They were chosen at random, %d in each of %d sections.",
		v.Compared, v.BlockBytes, v.Canaries, v.Unchanged, v.Telling, v.PerSection, v.Sections)
}

func readBytes(v wipe.Verification) uint64 {
	if v.Method == wipe.MethodReadBack {
		return v.Bytes
	}
	return uint64(v.Compared) * uint64(v.BlockBytes)
}

var warnings = map[wipe.Warning]string{
	wipe.WarnFlashOverwrite: "The drive is flash: an overwrite reaches what it shows, not its spare cells.",
	wipe.WarnUnknownMedium:  "It could not be told what kind of drive this is.",
	wipe.WarnHidden:         "Hidden sectors (HPA or DCO) were found.",
	wipe.WarnHiddenUnknown:  "Whether there are hidden sectors could not be told.",
	wipe.WarnBelowWanted:    "The policy wanted more than is claimed here, and allowed this.",
	wipe.WarnBootAreas:      "The boot areas of this eMMC are write-protected for good: they were not wiped.",
	wipe.WarnRPMB:           "The replay-protected area of this eMMC cannot be erased without its key.",
	wipe.WarnNotPurged:      "The drive was asked to purge; its log does not say that it did.",
	wipe.WarnNamespaces:     "The drive has other namespaces, or does not tell how many: by its own word the format erased all of them, and this one was read back.",
}

// warningWords is a warning as people read it.
func warningWords(w wipe.Warning) string {
	if s, ok := warnings[w]; ok {
		return s
	}
	return string(w)
}
