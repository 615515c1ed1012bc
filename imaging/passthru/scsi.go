package passthru

import (
	"fmt"
	"time"
)

// SCSI is one command as SG_IO takes it.
type SCSI struct {
	CDB     []byte // 6 to 16 bytes
	Move    Transfer
	Data    []byte
	Timeout time.Duration
}

// SCSIReply is what came back.
type SCSIReply struct {
	Status byte   // of the device: 0 good, 2 check condition
	Host   uint16 // of the adapter; 0 when the command reached the drive
	Driver uint16 // of the kernel's driver; 8 only says that there is sense data
	Sense  []byte
}

const (
	scsiGood       = 0x00
	scsiCheck      = 0x02
	driverSense    = 0x08
	driverSuggests = 0xf0 // suggestions, above the status
)

// Reached says whether the drive itself answered. Any other end (a lost link, a timeout) leaves open what it did.
func (r SCSIReply) Reached() error {
	if r.Host != 0 || r.Driver&^(driverSense|driverSuggests) != 0 {
		return fmt.Errorf("the bus answered: host %#x, driver %#x", r.Host, r.Driver)
	}
	if r.Status != scsiGood && r.Status != scsiCheck {
		return fmt.Errorf("the drive answered with SCSI status %#x", r.Status)
	}
	return nil
}

// Registers gives an ATA command's registers. Without them it is not known what the drive did.
func (r SCSIReply) Registers() (Registers, error) {
	if err := r.Reached(); err != nil {
		return Registers{}, err
	}
	regs, ok := ParseSense(r.Sense)
	if !ok {
		return Registers{}, fmt.Errorf("no registers came back (SCSI status %#x, sense % x)", r.Status, r.Sense)
	}
	return regs, nil
}
