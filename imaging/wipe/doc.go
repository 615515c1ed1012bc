// Package wipe makes what lies on a drive unreadable, proves it, and says so in a Report from which a certificate is
// made. It says as plainly when it could not.
//
// The idea: a wipe that was never started looks like success. A controller may answer "done" to a command that erases
// nothing, a de-allocated block reads as zeros while its cells still hold the data, and a log page still shows the
// success of last year. So nothing is done here because no error was seen. Done needs three things, each written into
// the Report: the drive took the command, the drive's own record says that this run of it has finished, and what lay
// on the drive before is gone when its blocks are read again. Report.Certify asks for all of them, and is asked twice:
// by the engine before it says done, and by whoever signs.
//
//	Probe      what the drive is and what it can do: by IDENTIFY, never by its name
//	NewPlan    which technique, and which may stand in for it (pure: the decision table)
//	hidden     HPA and DCO: none, found, or "could not be told"; removed where the drive lets us
//	before     canaries are written, random blocks are hashed, the drive's log is kept: all of it is handed to Journal
//	---------- the point of no return: Journal has answered; from here on a cancelled context is not looked at
//	run        the technique; progress and time left come from the drive
//	after      the canaries and hashed blocks are read again, or the whole drive after an overwrite
//
// # Four ends
//
//	done            carried out, and proven
//	refused         nothing was started; the drive is as it was, a few canary blocks aside. Another technique may be used
//	failed          the drive itself says that it did not work, or old data was found after it
//	indeterminate   started, and nobody can say how it ended. No other technique is tried, and nothing is claimed.
//	                Settle answers it later, in the next boot, from the drive's own log and the kept samples
//
// # What counts as proof
//
// NVMe's log page 81h holds one result only, the latest. It is ours when its dword 10 equals the one that we sent and
// something changed since the snapshot: it was seen running, or "global data erased" went from 0 (our canaries were
// written) to 1, or the snapshot showed no such result. ATA's status is one bit: it counts when it was clear before,
// or when the operation was seen running. Anything else is an old result, and the run is indeterminate.
//
// A sanitize that ended before the boot that settles it says nothing of what was written since. On NVMe "global data
// erased" must still stand; ATA has no such bit, so the daemon takes what is settled so for the order itself, which ends
// an hour after its laptop was last heard, and never under a later one (Report.Stands).
//
// Zeros prove nothing: discarding makes zeros. What counts is that blocks which held data before do not hold it now,
// and only as the second proof, behind the drive's own word that it erased. BLKDISCARD alone is never a technique.
// Samples that were zeros or one repeated word before are taken, but count for nothing; canaries see to it that there
// are always some that count.
//
// An overwrite writes a stream that depends on a random key and on the place, so that zeros, an old pass and a
// misplaced block are all told apart from it, and reads every byte of it back past the page cache.
//
// # Why
//
//   - Sanitize runs in the restricted mode (AUSE clear): a drive that failed stays locked until a sanitize succeeds, where
//     the other mode would hand out what is left.
//   - ATA Security Erase is last. Its password is handed to the caller, who stores it, before the drive learns it, and it is
//     taken off again after a failure: a laptop that lost power in between can be opened.
//   - Format NVM asks for SES 1 or 2. There is no way to build the command with 0, which erases nothing and succeeds.
//   - Level, technique and policy are three fields. No standard's name is claimed: whether a technique is enough for some
//     data is the organisation's decision, written into its Policy.
//   - An unknown medium is flash. Taking flash for a platter leaves data behind; the other way round costs time.
//
// The commands themselves are in package passthru. Port is all that the engine asks of a drive; package wipetest puts
// simulated controllers behind it, which read the same bytes as a real one.
package wipe
