package job

import "cmp"

// pageNext is what to do now, where a person at a page does something else than one at a terminal. A page never shows a
// command's flag: each code whose next step names one has its own words here.
var pageNext = map[Code]string{
	CodeUnconfirmed:   "Read what is lost. To go on, tick that its data was saved and type the serial. To keep a copy first, order a backup.",
	CodeNotReleased:   "Release a version of the image, or name a draft and tick \"try a draft\".",
	CodeRed:           "Put it right on the reference machine and capture it again; or release it with a reason why that does not matter.",
	CodeNoNote:        "Write the change note first.",
	CodeOutdated:      "Make a new version; or give the reason why this one is used, which goes on record.",
	CodeNoSerial:      "Scan the serial on its sticker into the field \"serial on its sticker\".",
	CodeSticker:       "Check which laptop this is. If a part was replaced, settle it on its page.",
	CodeTaken:         "Open that device; correct whichever of the two is wrong.",
	CodeSettle:        "Say which of the three it is, and name the other record.",
	CodeHeld:          "Wait, or image again the devices that carry it; to give up its content all the same, tick that and give a reason.",
	CodeVersionState:  "Look at its history on this page and decide again.",
	CodeBenchClosed:   "Open the bench, then start the laptop again.",
	CodeReturned:      "Wipe it first, on its page; it can get an image in the same go.",
	CodeNotLooked:     "Press \"look inside\" on the page of the version.",
	CodeListRefused:   "Mend the lines that are named and send the list again.",
	CodePolicy:        "Ask whoever gives out rights here.",
	CodeLayout:        "Nothing was written. Use a drive of the image's size, or import the image again and say which partition grows.",
	CodeUnknownOS:     "Somebody at the server can order it without a name in the system; the name is reserved all the same.",
	CodeDriveHealth:   "Nothing was written. Replace the drive; somebody at the server can order it despite that.",
	CodeManyDrives:    "Nothing was written. Order again by a role that has a drive rule.",
	CodeChunk:         "Check the whole library on the server, with all its data, then image again. A laptop that had begun is not usable until then.",
	CodeBadRequest:    "Put right what is named and send it again.",
	CodeStoreDamaged:  "Check the whole library on the server, with all its data.",
	CodeLacking:       "Start the laptop again: only what is missing is sent. If it stays, check the whole library on the server, with all its data.",
	CodeNotCapturable: "Read the reason, then order it again.",
	CodeImageBundle:   "Copy it again, or export it again on the server that it comes from.",
	CodeUntrustedKey:  "Compare the fingerprint with that of the server that it comes from; if they are equal, import it at this server and say that it is trusted.",
	CodePeerAnswer:    "Compare the versions of both servers and check the library there, with all its data, then try again.",
	CodeHidesDrives:   "Read the reason. In the firmware's setup change RAID, RST or VMD to AHCI or NVMe, then start from the network again. A drive that is gone is recorded on the device's page.",

	CodeWipeUnsupported: "Allow more in Settings, Wiping (an overwrite, a format), or destroy the drive and record that on the device's page.",
	CodeWipeBridge:      "Put the drive into a laptop of its own; or order it again and tick there that drives of an unknown kind are overwritten too: the certificate says so.",
	CodeWipeAborted:     "Start the laptop again and repeat it; else allow another technique in Settings, Wiping, or destroy the drive and record that on the device's page.",
	CodeWipeNoEvidence:  "Destroy the drive and record that on the device's page.",
	CodeWipeDriveFailed: "Wipe it again once; if it fails again, destroy the drive and record that on the device's page.",
	CodeStillThere:      "Do not rely on this model's erase. Destroy the drive and record that on the device's page; or allow an overwrite in Settings, Wiping.",
	CodeWipeBadBlocks:   "The drive is failing: destroy it and record that on the device's page.",
	CodeHiddenSectors:   "Start the laptop again and repeat it; else allow the drive's own erase in Settings, Wiping, or destroy the drive and record that on the device's page.",
	CodeOwed:            "Wipe it. A drive that cannot be wiped, or is gone, is recorded as destroyed on the device's page.",
	CodeDestruction:     "Give the drive's serial, method, place, two different names, and the vendor's reference or the digest of a photo.",
	CodeDriveOwes:       "Put it back and wipe it there, or take it out and record its end on the page of the laptop that it came from.",
	CodeNotWiped:        "Read which, and why; then wipe again, or record that drive as destroyed on the device's page.",

	CodeNotEmpty:   "Name an empty folder, or move what is there away.",
	CodeOnServer:   "Run it there.",
	CodeLockedOut:  "Wait, or let an administrator open it, on the page of operators.",
	CodeSignedOut:  "Sign in. A program shows a token, which an administrator makes.",
	CodePushAbsent: "Enter it there with this serial, or let Ingot do it, by its settings. Then send again what waits.",
}

// OnPage gives the words of a code as a page says them.
func (c Code) OnPage() Words {
	w := c.Words()
	return Words{w.Sentence, cmp.Or(pageNext[c], w.Next)}
}
