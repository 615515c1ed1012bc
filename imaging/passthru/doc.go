// Package passthru speaks to drives by their own commands, past the kernel's block layer: NVMe admin commands, ATA
// commands inside SCSI, eMMC's switches, TCG Opal's revert, and the block layer's range commands.
//
// The idea: what a command looks like on the wire, and what an answer means, is pure and tested without a drive; the
// system call is one function a kind, and does nothing but hand over pointers.
//
//	NVMe, Status            an admin command and the controller's own status
//	Taskfile, Registers     an ATA command, wrapped into SCSI's ATA PASS-THROUGH(16), and what comes back as sense data
//	SCSI, SCSIReply         the wrapped command itself
//	MMC                     one command to an eMMC
//	Device                  an open device node, which carries all of them out
//
// Two kinds of failure are kept apart everywhere. An error means that nobody knows whether the drive saw the command:
// the kernel refused it, the bus lost it, the time ran out. A status is the drive's own answer.
package passthru
