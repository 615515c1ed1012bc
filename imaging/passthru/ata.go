package passthru

import (
	"fmt"
	"time"
)

// Transfer says which way an ATA command's data goes, and so by which protocol it travels.
type Transfer uint8

// The protocols that are used: none of them needs DMA.
const (
	NoData Transfer = iota
	FromDrive
	ToDrive
)

// Taskfile is one ATA command (ACS-4, 6.2).
type Taskfile struct {
	Command uint8
	Feature uint16
	Count   uint16
	LBA     uint64 // 48 bits
	Device  uint8  // bits 7:4; a 28-bit command has LBA bits 27:24 below them
	Wide    bool   // a 48-bit command, named ... EXT
	Move    Transfer
	Data    []byte // whole sectors of 512 bytes
	Timeout time.Duration
}

// ATA PASS-THROUGH(16)'s fields (SAT-4, 12.2.2).
const (
	ataPass16    = 0x85
	protoNoData  = 3 << 1
	protoPIOIn   = 4 << 1
	protoPIOOut  = 5 << 1
	ckCond       = 1 << 5 // bring the registers back, also after success
	fromDrive    = 1 << 3
	inBlocks     = 1 << 2
	lengthCount  = 2 // the transfer's length stands in COUNT
	deviceLBA    = 1 << 6
	senseReturn  = 0x09 // ATA Status Return descriptor
	senseReturnN = 14
)

// CDB wraps the command. COUNT is the number of sectors when data moves, so the caller's Count is kept only without. A
// command that reads asks for no registers: its data is the answer, and an AHCI adapter leaves "data requested" in the
// status of a read that ended well, which the kernel then takes for a failure.
func (t Taskfile) CDB() [16]byte {
	count := t.Count
	c := [16]byte{0: ataPass16, 1: protoNoData, 2: ckCond}
	switch t.Move {
	case FromDrive:
		c[1], c[2] = protoPIOIn, fromDrive|inBlocks|lengthCount
	case ToDrive:
		c[1], c[2] = protoPIOOut, ckCond|inBlocks|lengthCount
	}
	if t.Move != NoData && count == 0 {
		count = uint16(len(t.Data) / 512)
	}
	if t.Wide {
		c[1] |= 1
		c[3], c[5] = byte(t.Feature>>8), byte(count>>8)
		c[7], c[9], c[11] = byte(t.LBA>>24), byte(t.LBA>>32), byte(t.LBA>>40)
	}
	c[4], c[6] = byte(t.Feature), byte(count)
	c[8], c[10], c[12] = byte(t.LBA), byte(t.LBA>>8), byte(t.LBA>>16)
	c[13], c[14] = t.Device, t.Command
	return c
}

// SCSI wraps the command into one that SG_IO takes.
func (t Taskfile) SCSI() SCSI {
	cdb := t.CDB()
	return SCSI{CDB: cdb[:], Move: t.Move, Data: t.Data, Timeout: t.Timeout}
}

// Registers gives what the drive answered. One that read needs none when it ended well.
func (t Taskfile) Registers(r SCSIReply) (Registers, error) {
	if t.Move == FromDrive && r.Status == scsiGood && r.Reached() == nil {
		return Registers{Status: ataReady}, nil
	}
	return r.Registers()
}

// Registers are a drive's registers after a command.
type Registers struct {
	Status uint8
	Error  uint8
	Count  uint16
	LBA    uint64
	Narrow bool // the fixed format brought them: COUNT 15:8 and LBA 47:24 are missing though the drive set them
}

// Bits of Status and Error.
const (
	ataErr   = 1 << 0
	ataFault = 1 << 5
	ataReady = 1 << 6
	ataAbort = 1 << 2
)

// OK reports that the drive carried the command out.
func (r Registers) OK() bool { return r.Status&(ataErr|ataFault) == 0 }

// Aborted reports that the drive refused it.
func (r Registers) Aborted() bool { return r.Status&ataErr != 0 && r.Error&ataAbort != 0 }

func (r Registers) String() string {
	return fmt.Sprintf("status %02x error %02x count %04x lba %012x", r.Status, r.Error, r.Count, r.LBA)
}

// ParseSense finds the registers in the sense data that an ATA PASS-THROUGH with CK_COND brings back (SAT-4, 12.2.2.7),
// in the descriptor or the fixed format.
func ParseSense(sense []byte) (Registers, bool) {
	if len(sense) < 8 {
		return Registers{}, false
	}
	switch sense[0] & 0x7f {
	case 0x72, 0x73:
		return inDescriptor(sense[8:min(len(sense), 8+int(sense[7]))])
	case 0x70, 0x71:
		return inFixed(sense)
	}
	return Registers{}, false
}

func inDescriptor(list []byte) (Registers, bool) {
	for len(list) >= 2 {
		n := 2 + int(list[1])
		if n > len(list) {
			return Registers{}, false
		}
		if d := list[:n]; d[0] == senseReturn && n >= senseReturnN {
			r := Registers{Status: d[13], Error: d[3], Count: uint16(d[5]), LBA: uint64(d[7]) | uint64(d[9])<<8 | uint64(d[11])<<16}
			if d[2]&1 != 0 { // EXTEND: the upper halves count
				r.Count |= uint16(d[4]) << 8
				r.LBA |= uint64(d[6])<<24 | uint64(d[8])<<32 | uint64(d[10])<<40
			}
			return r, true
		}
		list = list[n:]
	}
	return Registers{}, false
}

// inFixed reads INFORMATION and COMMAND-SPECIFIC INFORMATION, which have no room for the upper halves. A command that the
// drive aborted comes without the code that says that there are registers. Linux before 6.11 puts them eight bytes too far
// back, where the two upper bytes of the LBA do not fit either.
func inFixed(s []byte) (Registers, bool) {
	const senseAborted = 0x0b
	if len(s) < 14 {
		return Registers{}, false
	}
	told, aborted := s[12] == 0x00 && s[13] == 0x1d, s[2]&0x0f == senseAborted
	switch {
	case told, aborted && s[4] != 0:
		r := Registers{Error: s[3], Status: s[4], Count: uint16(s[6]), LBA: uint64(s[9]) | uint64(s[10])<<8 | uint64(s[11])<<16}
		r.Narrow = s[8]&0x60 != 0 // COUNT UPPER NONZERO, LBA UPPER NONZERO
		return r, true
	case aborted && len(s) >= 18 && s[3] == 0 && s[9]&(ataReady|ataErr) != 0:
		return Registers{Error: s[8], Status: s[9], Count: uint16(s[11]), LBA: uint64(s[17]), Narrow: true}, true
	}
	return Registers{}, false
}
