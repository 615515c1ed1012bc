package job

// What keeps a drive from being wiped, and a device from being given away. They are rows of the same table as the codes of
// failures.
const (
	// A drive that is not wiped, and why
	CodeHidesDrives     Code = "E770"
	CodeWipeUnsupported Code = "E771"
	CodeWipeFrozen      Code = "E772"
	CodeWipeLocked      Code = "E773"
	CodeNeedPSID        Code = "E774"
	CodeWrongPSID       Code = "E775"
	CodeWipeBridge      Code = "E776"
	CodeWipeBusy        Code = "E777"
	CodeWipeAborted     Code = "E778"
	CodeWipeNoEvidence  Code = "E779"
	CodeWipeDriveFailed Code = "E780"
	CodeStillThere      Code = "E781"
	CodeWipeBadBlocks   Code = "E782"
	CodeHiddenSectors   Code = "E783"
	CodeWipeNotKept     Code = "E784"
	CodeWipeInterrupted Code = "E785"
	CodeWipeSilent      Code = "E786"

	// What became of a drive, and the proof of it
	CodeOwed          Code = "E790"
	CodeNoCertificate Code = "E791"
	CodeWrongSerial   Code = "E792"
	CodeDestruction   Code = "E793"
	CodeTampered      Code = "E794"
	CodeUnsettled     Code = "E795"
	CodeDriveOwes     Code = "E796"
	CodeNotWiped      Code = "E797"
)

// wipeWords are the rows of these codes.
var wipeWords = map[Code]Words{
	CodeHidesDrives:     {"Drives of this laptop cannot be seen, so nothing is wiped.", "Read the reason. In the firmware's setup change RAID, RST or VMD to AHCI or NVMe, then start from the network again. A drive that is gone is recorded: \"ingot device destroyed\"."},
	CodeWipeUnsupported: {"The drive offers nothing that the policy allows.", "Allow more by the site's policy (an overwrite, a format), or destroy the drive and record it: \"ingot device destroyed\"."},
	CodeWipeFrozen:      {"The firmware has frozen the drive: it takes no erase command.", "Switch the laptop off, pull the drive's plug and plug it in while the laptop waits with its code; or look in the firmware's setup for \"freeze lock\" or its own secure erase. Then wipe again."},
	CodeWipeLocked:      {"The drive is locked by an ATA password.", "If it is of an earlier wipe, order the wipe again: the password is on record. Else take it off in the firmware's setup, or destroy the drive and record it."},
	CodeNeedPSID:        {"The drive locks itself (TCG Opal).", "Scan the PSID on the drive's label, 32 letters and digits, and order the wipe again with it."},
	CodeWrongPSID:       {"The drive refused the PSID; nothing was changed.", "Read the drive's label again: 32 letters and digits, no 0 for O. Then order the wipe again."},
	CodeWipeBridge:      {"It cannot be told what kind of drive that is, so it is not wiped.", "Put the drive into a laptop of its own, or order an overwrite all the same with --allow-unknown: the certificate says so."},
	CodeWipeBusy:        {"The drive is sanitising itself already.", "Leave it switched on until it has ended, then order the wipe again."},
	CodeWipeAborted:     {"The drive refused to erase itself; nothing was erased.", "Start the laptop again and repeat it; else allow another technique by the site's policy, or destroy the drive and record it."},
	CodeWipeNoEvidence:  {"The drive takes no writes or cannot be read, so no wipe of it could be proven; nothing was erased.", "Destroy the drive and record it: \"ingot device destroyed\"."},
	CodeWipeDriveFailed: {"The drive says that its erase failed.", "Wipe it again once; if it fails again, destroy the drive and record it: \"ingot device destroyed\"."},
	CodeStillThere:      {"The drive says that it erased, and old data is still on it.", "Do not rely on this model's erase. Destroy the drive and record it: \"ingot device destroyed\"; or allow an overwrite by the site's policy."},
	CodeWipeBadBlocks:   {"A part of the drive could not be overwritten or read back.", "The drive is failing: destroy it and record it: \"ingot device destroyed\"."},
	CodeHiddenSectors:   {"The drive hides sectors that could not be opened, and an overwrite does not reach them.", "Start the laptop again and repeat it; else allow the drive's own erase by the site's policy, or destroy the drive and record it."},
	CodeWipeNotKept:     {"The server did not keep what must be known before a drive is erased, so nothing was erased.", "Check the cable, the server and its disk, then order the wipe again."},
	CodeWipeInterrupted: {"The wipe was interrupted, and the drive is not clean.", "Order the wipe again."},
	CodeWipeSilent:      {"The drive does not answer; nothing was erased.", "Switch the laptop off and on, and order the wipe again. If it stays, destroy the drive and record it."},

	CodeOwed:          {"It is not on record what became of each drive of this device.", "Wipe it: \"ingot wipe\". A drive that cannot be wiped, or is gone, is recorded as destroyed: \"ingot device destroyed\"."},
	CodeNoCertificate: {"No certificate can be made of what was reported: the drive is not proven clean.", "Read the reason, then wipe the drive again; if it cannot be wiped, destroy it and record that."},
	CodeWrongSerial:   {"The serial that was typed is not the one of this device.", "Nothing was begun. Read the serial on the laptop's sticker and type it."},
	CodeDestruction:   {"That does not record the end of a drive.", "Give the drive's serial, method, place, two different names, and the vendor's reference or the digest of a photo: \"ingot device destroyed --help\"."},
	CodeTampered:      {"The certificate does not hold: it was changed, or it was not signed by this key.", "Do not rely on it. Export it again from the server that signed it."},
	CodeUnsettled:     {"A wipe was begun, and it is not known how it ended.", "Order the wipe again and start the laptop from the network: the drive's own log settles first how the last one ended."},
	CodeDriveOwes:     {"A drive in this laptop came from another one and still holds what was on it.", "Put it back and wipe it there, or take it out and record its end: \"ingot device destroyed\"."},
	CodeNotWiped:      {"Not every drive was wiped.", "Read which, and why; then wipe again, or record that drive as destroyed: \"ingot device destroyed\"."},
}
