package wipe

// Level is what a technique does, in the words of SP 800-88. Destroying is done elsewhere, by hand.
type Level string

// The levels, the weaker first. None is no claim.
const (
	None  Level = ""
	Clear Level = "clear" // beyond what software on the drive's own interface can bring back
	Purge Level = "purge" // beyond what a laboratory can bring back
)

// Meets reports whether l is at least want.
func (l Level) Meets(want Level) bool { return l.rank() >= want.rank() }

func (l Level) rank() int {
	switch l {
	case Clear:
		return 1
	case Purge:
		return 2
	}
	return 0
}

// Class is a kind of drive, as far as wiping it differs.
type Class string

// The classes.
const (
	NVMe      Class = "nvme"
	SATAFlash Class = "sata-ssd"
	SATADisk  Class = "sata-hdd"
	EMMC      Class = "emmc"
	UFS       Class = "ufs"
	Unknown   Class = "unknown" // also whatever a bridge or a RAID controller hides; treated as flash
)

// Classes are all of them, for policies and tests.
var Classes = []Class{NVMe, SATAFlash, SATADisk, EMMC, UFS, Unknown}

// Technique is what is done to a drive, one command or sequence of commands.
type Technique string

// The techniques.
const (
	NVMeCrypto      Technique = "nvme-sanitize-crypto"
	NVMeBlock       Technique = "nvme-sanitize-block"
	NVMeOverwrite   Technique = "nvme-sanitize-overwrite"
	FormatCrypto    Technique = "nvme-format-crypto" // SES 2
	FormatUser      Technique = "nvme-format-user"   // SES 1
	ATACrypto       Technique = "ata-sanitize-crypto"
	ATABlock        Technique = "ata-sanitize-block"
	ATAOverwrite    Technique = "ata-sanitize-overwrite"
	SecurityEraseEx Technique = "ata-security-erase-enhanced"
	SecurityErase   Technique = "ata-security-erase"
	EMMCSanitize    Technique = "emmc-sanitize"     // erase everything, then SANITIZE, and the boot areas
	EMMCSecure      Technique = "emmc-secure-erase" // secure erase or trim of everything, and the boot areas
	PSIDRevert      Technique = "opal-psid-revert"
	Overwrite       Technique = "overwrite" // one pass, every block read back
)

// traits are what is true of a technique wherever it is used.
type traits struct {
	claim Level  // the most that may be claimed of it, if no policy says more
	most  Level  // the most that a policy may claim of it
	does  string // for people
	log   bool   // the drive keeps a record of it that a later boot can read
}

// The kernel unmaps an eMMC by DISCARD where the drive has it, and it is not certain that SANITIZE reaches what was only
// discarded: a purge is the organisation's to claim.
var techniques = map[Technique]traits{
	NVMeCrypto:      {Purge, Purge, "NVMe Sanitize, crypto erase", true},
	NVMeBlock:       {Purge, Purge, "NVMe Sanitize, block erase", true},
	NVMeOverwrite:   {Purge, Purge, "NVMe Sanitize, overwrite", true},
	FormatCrypto:    {Clear, Purge, "NVMe Format with cryptographic erase", false},
	FormatUser:      {Clear, Purge, "NVMe Format with user data erase", false},
	ATACrypto:       {Purge, Purge, "ATA Sanitize, crypto scramble", true},
	ATABlock:        {Purge, Purge, "ATA Sanitize, block erase", true},
	ATAOverwrite:    {Purge, Purge, "ATA Sanitize, overwrite", true},
	SecurityEraseEx: {Clear, Purge, "ATA Security Erase, enhanced", false},
	SecurityErase:   {Clear, Clear, "ATA Security Erase", false},
	EMMCSanitize:    {Clear, Purge, "eMMC erase and SANITIZE, with both boot areas", false},
	EMMCSecure:      {Clear, Clear, "eMMC secure erase, with both boot areas", false},
	PSIDRevert:      {Clear, Purge, "TCG Opal revert by the PSID of the label", false},
	Overwrite:       {Clear, Clear, "one overwrite, every block read back", false},
}

// Techniques are all of them, in no order.
func Techniques() []Technique {
	var out []Technique
	for t := range techniques {
		out = append(out, t)
	}
	return out
}

// Known reports whether t is a technique of this package.
func (t Technique) Known() bool { _, ok := techniques[t]; return ok }

// Does says in people's words what the technique is.
func (t Technique) Does() string { return techniques[t].does }

// Logged reports whether the drive keeps a record of it that Settle can read.
func (t Technique) Logged() bool { return techniques[t].log }

// Outcome is one of the four ends.
type Outcome string

// The ends.
const (
	Done          Outcome = "done"
	Refused       Outcome = "refused"
	Failed        Outcome = "failed"
	Indeterminate Outcome = "indeterminate"
)

// Cause is why a run did not end in done. The daemon has a code, a sentence and a next step for each.
type Cause string

// The causes. Which outcome each belongs to is said by the run; a cause may appear with several.
const (
	CauseNoDrive     Cause = "no-drive"     // nothing to wipe was found: a failure, never "nothing to do"
	CauseWrongDrive  Cause = "wrong-drive"  // not the drive that was approved
	CauseBridge      Cause = "bridge"       // behind a USB bridge, a RAID or a virtual controller
	CauseReadOnly    Cause = "read-only"    // the kernel or the drive refuses writes
	CauseUnsupported Cause = "unsupported"  // the drive offers nothing that the policy allows
	CauseFrozen      Cause = "frozen"       // firmware froze it
	CauseLocked      Cause = "locked"       // a password that nobody told us
	CauseNeedPSID    Cause = "need-psid"    // locked by TCG Opal: scan the label
	CauseWrongPSID   Cause = "wrong-psid"   // the drive refused the PSID
	CauseBusy        Cause = "busy"         // a sanitize that is not ours runs already
	CauseAborted     Cause = "aborted"      // the drive refused the command
	CauseNoEvidence  Cause = "no-evidence"  // no canary could be written or no sample taken: nothing could be proven
	CauseNotRecorded Cause = "not-recorded" // the caller could not keep the journal or the password
	CauseCancelled   Cause = "cancelled"    // before the point of no return
	CauseHidden      Cause = "hidden"       // hidden sectors were found and could not be opened
	CauseDriveFailed Cause = "drive-failed" // the drive says that it did not work
	CauseStillThere  Cause = "still-there"  // old data was found after it
	CauseUnwritable  Cause = "unwritable"   // a part could not be overwritten
	CauseReadBack    Cause = "read-back"    // a part did not read back as it was written
	CauseOldResult   Cause = "old-result"   // the drive's record cannot be told from an older one
	CauseNoAnswer    Cause = "no-answer"    // the drive or the bus went silent
	CauseTimeout     Cause = "timeout"      // it did not finish in the time that was allowed
	CauseUnverified  Cause = "unverified"   // it finished, and could not be read afterwards
	CauseInterrupted Cause = "interrupted"  // power or agent lost in between, and the drive keeps no record
	CauseInternal    Cause = "internal"     // the engine's own check found the evidence incomplete
)

// Warning is something that a certificate prints beside a claim.
type Warning string

// The warnings.
const (
	WarnFlashOverwrite Warning = "flash-overwritten"  // only what the drive shows was overwritten, not its spare cells
	WarnUnknownMedium  Warning = "unknown-medium"     // nobody could say what kind of drive it is
	WarnHidden         Warning = "hidden-sectors"     // HPA or DCO found; see Hidden
	WarnHiddenUnknown  Warning = "hidden-unknown"     // whether there are hidden sectors could not be told
	WarnBelowWanted    Warning = "below-wanted"       // the policy wanted more than is claimed, and allowed this
	WarnBootAreas      Warning = "boot-areas-kept"    // eMMC: write-protected for good
	WarnRPMB           Warning = "rpmb-kept"          // eMMC's replay-protected area cannot be erased without its key
	WarnNotPurged      Warning = "drive-says-cleared" // asked for a purge, the drive's log does not say purged
	WarnNamespaces     Warning = "other-namespaces"   // a format erased others too, by the drive's own word; only this one was read back
)
