package wipe

import (
	"io"
	"time"

	"ingot/imaging/passthru"
)

// Facts are what the kernel tells of a drive, without asking the drive.
type Facts struct {
	Path       string `json:"path"`
	Transport  string `json:"transport"` // nvme, sata, mmc, ufs, usb, virtio, scsi
	Serial     string `json:"serial"`
	WWN        string `json:"wwn,omitempty"`
	Model      string `json:"model"`
	SizeBytes  uint64 `json:"size_bytes"`
	SectorSize int    `json:"sector_size"`
	Rotational bool   `json:"rotational"`
	ReadOnly   bool   `json:"read_only"`
	Behind     string `json:"behind,omitempty"` // what hides the drive: a USB bridge, a RAID controller, a hypervisor; empty for none
}

// Port is all that the engine asks of a drive. It is used by one goroutine at a time.
//
// An error from NVMe, SCSI and MMC means that nobody knows whether the drive saw the command.
type Port interface {
	Facts() (Facts, error) // asked anew at each call: a drive may have been swapped, or show another size
	io.ReaderAt            // past the page cache; whole blocks of 4096 bytes or the drive's sector
	io.WriterAt            // in whole, too; returns before the drive has it on its medium
	Flush() error
	Discard(off, n uint64, secure bool) error
	NVMe(passthru.NVMe) (passthru.NVMeReply, error)
	SCSI(passthru.SCSI) (passthru.SCSIReply, error)
	MMC(passthru.MMC) (passthru.MMCReply, error)
	PSIDRevert(psid string) error
	Rescan() error         // the kernel asks the drive for its size again
	Boot() ([]Area, error) // an eMMC's boot areas, writable; nobody else has any
	Direct() bool          // reads are known to come from the drive
}

// Area is a part of a drive beside its main one.
type Area interface {
	io.ReaderAt
	io.WriterAt
	Name() string
	Size() uint64
	Flush() error
	Discard(off, n uint64, secure bool) error
}

// Clock is the engine's time, so that a simulated drive can be waited for.
type Clock interface {
	Now() time.Time
	Sleep(time.Duration)
}

// realClock is the machine's.
type realClock struct{}

func (realClock) Now() time.Time        { return time.Now() }
func (realClock) Sleep(d time.Duration) { time.Sleep(d) }
