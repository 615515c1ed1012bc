package wipe

import (
	"errors"
	"fmt"
	"time"
)

// ReportVersion is the version of the Report's form.
const ReportVersion = 1

// Report is what is known of one run on one drive, complete or not. A certificate is made from nothing else.
type Report struct {
	Version  int       `json:"version"`
	Drive    Identity  `json:"drive"` // as it was found, before anything was done
	Ability  Ability   `json:"ability"`
	Plan     Plan      `json:"plan"`
	Policy   PolicyRef `json:"policy"`
	Attempts []Attempt `json:"attempts"` // in order; the last one counts

	Outcome   Outcome   `json:"outcome"`
	Cause     Cause     `json:"cause,omitempty"`     // of every outcome but done
	Fact      string    `json:"fact,omitempty"`      // what was found; one line
	Technique Technique `json:"technique,omitempty"` // that was carried out; with done only
	Claim     Level     `json:"claim,omitempty"`     // with done only
	Settle    string    `json:"settle,omitempty"`    // with indeterminate: how to find out

	Completion   Completion   `json:"completion"`
	Verification Verification `json:"verification"`
	Hidden       Hidden       `json:"hidden"`
	Warnings     []Warning    `json:"warnings,omitempty"`

	Touched bool      `json:"touched,omitempty"` // something was written: canaries at least
	Settled bool      `json:"settled,omitempty"` // by a later boot, from the drive's own record
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
}

// PolicyRef names the policy that a run followed.
type PolicyRef struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Wanted  Level  `json:"wanted"` // of this class of drives
}

// Attempt is one technique that was tried.
type Attempt struct {
	Technique Technique `json:"technique"`
	Outcome   Outcome   `json:"outcome"`
	Cause     Cause     `json:"cause,omitempty"`
	Fact      string    `json:"fact,omitempty"`
	Unlocking bool      `json:"unlocking,omitempty"` // it only made the drive readable; nothing is claimed of it
	Raw       []Raw     `json:"raw"`                 // what the drive answered, as it answered
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended"`
}

// Raw is one answer of the drive.
type Raw struct {
	What  string `json:"what"`
	Value string `json:"value"`
}

// maxRaw bounds what one attempt keeps: the first answers and the last.
const maxRaw = 64

func (a *Attempt) raw(what, format string, args ...any) {
	r := Raw{what, fmt.Sprintf(format, args...)}
	if len(a.Raw) == maxRaw {
		copy(a.Raw[maxRaw/2:], a.Raw[maxRaw/2+1:])
		a.Raw[maxRaw-1] = r
		return
	}
	a.Raw = append(a.Raw, r)
}

// Completion is the drive's own word that it did what it was told.
type Completion struct {
	Accepted bool   `json:"accepted"`         // it took the command
	Finished bool   `json:"finished"`         // it says that the work has ended well
	Fresh    bool   `json:"fresh"`            // what it says is about this run
	How      string `json:"how,omitempty"`    // by what that is known
	Purged   bool   `json:"purged,omitempty"` // NVMe: its log says "purged" as IEEE 2883 means it
}

// Verification is the second proof: what was read back.
type Verification struct {
	Method     Method `json:"method,omitempty"`
	Seed       string `json:"seed,omitempty"`     // hex; unpredictable when it was made
	Sections   int    `json:"sections,omitempty"` // of the scheme
	PerSection int    `json:"per_section,omitempty"`
	BlockBytes int    `json:"block_bytes,omitempty"`
	Taken      int    `json:"taken,omitempty"`    // blocks that were hashed before, canaries included
	Telling    int    `json:"telling,omitempty"`  // of these, blocks whose content said something
	Canaries   int    `json:"canaries,omitempty"` // of these, written for the purpose
	Compared   int    `json:"compared,omitempty"` // blocks that were read again
	Unchanged  int    `json:"unchanged"`          // telling blocks that still held what they held
	Unreadable int    `json:"unreadable"`         // blocks, or bytes of an overwrite, that could not be read
	Zeros      int    `json:"zeros,omitempty"`    // of the compared: what they read as now, for the record
	Uniform    int    `json:"uniform,omitempty"`
	Other      int    `json:"other,omitempty"`
	EndsRead   bool   `json:"ends_read"`         // first and last block are among them
	Bytes      uint64 `json:"bytes,omitempty"`   // read back, of an overwrite
	Total      uint64 `json:"total,omitempty"`   // the drive's size
	Written    uint64 `json:"written,omitempty"` // of an overwrite
	Mismatches uint64 `json:"mismatches"`        // bytes, in whole blocks
	First      uint64 `json:"first_mismatch,omitempty"`
	Direct     bool   `json:"direct"` // read past the page cache
}

// Method is how something was read back.
type Method string

// The methods.
const (
	MethodReadBack Method = "read-back" // every byte against what was written
	MethodSamples  Method = "samples"   // blocks against what they held before
)

// Hidden says whether the drive keeps sectors back. Three states: it has none, some were found, or it could not be told.
type Hidden struct {
	State   HiddenState `json:"state,omitempty"`
	Bytes   uint64      `json:"bytes,omitempty"` // found
	What    string      `json:"what,omitempty"`  // HPA, DCO
	Removed bool        `json:"removed,omitempty"`
	Why     string      `json:"why,omitempty"` // of unknown, and of what was not removed
}

// HiddenState is one of three. Empty is a class that has no such thing.
type HiddenState string

// The states.
const (
	HiddenNone    HiddenState = "none"
	HiddenFound   HiddenState = "found"
	HiddenUnknown HiddenState = "unknown"
)

// MeetsWanted reports whether the claim is what the policy wanted.
func (r Report) MeetsWanted() bool { return r.Outcome == Done && r.Claim.Meets(r.Policy.Wanted) }

// minCanaries is how many canaries there must have been: without any, an empty drive would prove a wipe.
const minCanaries = 8

// Certify says why no certificate can be made from the report, or nil. It does not trust Outcome: it asks for each part
// of the evidence. Whoever signs calls it, and so does the engine before it says done.
func (r Report) Certify() error {
	if r.Version != ReportVersion {
		return fmt.Errorf("a report of version %d", r.Version)
	}
	if r.Outcome != Done {
		return fmt.Errorf("the wipe is %s, not done", r.Outcome)
	}
	if r.Cause != "" || r.Settle != "" {
		return fmt.Errorf("a report that is done and names a cause: %s", r.Cause)
	}
	return errors.Join(r.named(), r.lastAttempt(), r.completed(), r.Verification.proves(r.Technique, r.Drive.SizeBytes))
}

// named asks for what a certificate must name.
func (r Report) named() error {
	switch {
	case r.Drive.Serial == "":
		return errors.New("the drive has no serial")
	case r.Drive.SizeBytes == 0:
		return errors.New("the drive has no size")
	case r.Policy.Name == "" || r.Policy.Version < 1:
		return errors.New("no policy is named")
	case !r.Technique.Known():
		return fmt.Errorf("%q is no technique", r.Technique)
	case r.Claim == None, !techniques[r.Technique].most.Meets(r.Claim):
		return fmt.Errorf("%q cannot be claimed of %s", r.Claim, r.Technique)
	case r.Ended.Before(r.Started) || r.Started.IsZero():
		return errors.New("its times are impossible")
	case r.Hidden.State == HiddenFound && !r.Hidden.Removed && (r.Technique == Overwrite || r.Technique == SecurityErase || r.Technique == SecurityEraseEx):
		return errors.New("hidden sectors were not reached")
	}
	return nil
}

// lastAttempt: what is claimed is what was tried last, under the plan's own claim, and nothing went on behind it.
func (r Report) lastAttempt() error {
	if len(r.Attempts) == 0 {
		return errors.New("nothing was attempted")
	}
	last := r.Attempts[len(r.Attempts)-1]
	if last.Technique != r.Technique || last.Outcome != Done || last.Unlocking {
		return fmt.Errorf("the last attempt is %s, %s", last.Technique, last.Outcome)
	}
	for _, s := range r.Plan.Steps {
		if s.Technique == r.Technique && s.Claim.Meets(r.Claim) {
			return nil
		}
	}
	return fmt.Errorf("the plan has no %s that claims %s", r.Technique, r.Claim)
}

func (r Report) completed() error {
	c := r.Completion
	switch {
	case !c.Accepted:
		return errors.New("the drive did not take the command")
	case !c.Finished:
		return errors.New("the drive did not say that it finished")
	case !c.Fresh:
		return errors.New("what the drive says may be an old result")
	}
	return nil
}

// proves says what is missing from the read-back.
func (v Verification) proves(t Technique, size uint64) error {
	if !v.Direct {
		return errors.New("it was not read past the page cache")
	}
	if t == Overwrite {
		return v.provesOverwrite(size)
	}
	switch {
	case v.Method != MethodSamples:
		return fmt.Errorf("%q does not prove %s", v.Method, t)
	case v.Canaries < minCanaries:
		return fmt.Errorf("only %d canaries were written", v.Canaries)
	case v.Telling < v.Canaries:
		return fmt.Errorf("%d blocks told something, %d canaries were written", v.Telling, v.Canaries)
	case v.Compared != v.Taken || v.Taken < v.Telling:
		return fmt.Errorf("%d of %d blocks were read again", v.Compared, v.Taken)
	case v.Unreadable != 0:
		return fmt.Errorf("%d blocks could not be read", v.Unreadable)
	case v.Unchanged != 0:
		return fmt.Errorf("%d blocks hold what they held before", v.Unchanged)
	case !v.EndsRead:
		return errors.New("first and last block were not read")
	case v.Seed == "":
		return errors.New("the samples have no seed")
	}
	return nil
}

func (v Verification) provesOverwrite(size uint64) error {
	switch {
	case v.Method != MethodReadBack:
		return fmt.Errorf("%q does not prove an overwrite", v.Method)
	case v.Total != size:
		return fmt.Errorf("%d bytes were to be overwritten, the drive has %d", v.Total, size)
	case v.Total == 0 || v.Written != v.Total:
		return fmt.Errorf("%d of %d bytes were written", v.Written, v.Total)
	case v.Bytes != v.Total:
		return fmt.Errorf("%d of %d bytes were read back", v.Bytes, v.Total)
	case v.Mismatches != 0 || v.Unreadable != 0:
		return fmt.Errorf("%d bytes differ, %d could not be read", v.Mismatches, v.Unreadable)
	}
	return nil
}
