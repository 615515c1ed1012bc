package wipe

import (
	"fmt"
	"slices"
)

// Depth says how much is read back.
type Depth string

// The depths. An overwrite is always read back in full; of an erase nobody knows what it should read as, so what can be
// compared are the blocks that were looked at before.
const (
	DepthSamples Depth = "samples" // SP 800-88's scheme, one block of each sample
	DepthWide    Depth = "wide"    // the same, four blocks of each sample
)

// blocks is how many blocks of each sample are looked at.
func (d Depth) blocks() int {
	if d == DepthWide {
		return 4
	}
	return 1
}

// Policy is what an organisation decided about wiping. A Report names it and its version.
type Policy struct {
	Name      string          `json:"name"`
	Version   int             `json:"version"`
	Want      map[Class]Level `json:"want"`      // what is wanted of each class; a class that is missing wants Purge
	Fallbacks []Technique     `json:"fallbacks"` // what may stand in for the first choice, also when it claims less than is wanted
	Raise     []Technique     `json:"raise"`     // of these the organisation claims Purge, where this package would claim Clear
	Depth     Depth           `json:"depth"`
	Unknown   bool            `json:"unknown"` // drives behind bridges, and unknown media, may be overwritten without asking each time
}

// DefaultPolicy purges flash, clears platters, and takes what a drive offers when it does not offer the best. Unknown
// media and drives behind a bridge are left to a person.
func DefaultPolicy() Policy {
	return Policy{
		Name: "default", Version: 1, Depth: DepthSamples,
		Want:      map[Class]Level{NVMe: Purge, SATAFlash: Purge, SATADisk: Clear, EMMC: Purge, UFS: Clear, Unknown: Clear},
		Fallbacks: []Technique{FormatCrypto, FormatUser, SecurityEraseEx, SecurityErase, EMMCSecure, PSIDRevert, Overwrite},
	}
}

// Wants gives the level that is wanted of a class.
func (p Policy) Wants(c Class) Level {
	if l, ok := p.Want[c]; ok {
		return l
	}
	return Purge
}

func (p Policy) allows(t Technique) bool { return slices.Contains(p.Fallbacks, t) }

// claim is what may be claimed of t under this policy.
func (p Policy) claim(t Technique) Level {
	tr := techniques[t]
	if slices.Contains(p.Raise, t) {
		return tr.most
	}
	return tr.claim
}

// Raisable reports whether an organisation may claim Purge of t, where this package claims Clear.
func (t Technique) Raisable() bool {
	return techniques[t].most == Purge && techniques[t].claim != Purge
}

// Validate refuses what no run could keep.
func (p Policy) Validate() error {
	if p.Name == "" || p.Version < 1 {
		return fmt.Errorf("a wiping policy needs a name and a version")
	}
	if p.Depth != DepthSamples && p.Depth != DepthWide {
		return fmt.Errorf("policy %s: %q is no depth of verification", p.Name, p.Depth)
	}
	for c, l := range p.Want {
		if !slices.Contains(Classes, c) {
			return fmt.Errorf("policy %s: %q is no class of drives", p.Name, c)
		}
		if l != Clear && l != Purge {
			return fmt.Errorf("policy %s: %q is no level for %s", p.Name, l, c)
		}
	}
	for _, t := range p.Fallbacks {
		if !t.Known() {
			return fmt.Errorf("policy %s: %q is no technique", p.Name, t)
		}
	}
	for _, t := range p.Raise {
		if !t.Raisable() {
			return fmt.Errorf("policy %s: %q cannot be raised to a purge", p.Name, t)
		}
	}
	return nil
}
