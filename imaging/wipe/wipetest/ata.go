package wipetest

import (
	"encoding/binary"
	"errors"
	"time"

	"ingot/imaging/passthru"
	"ingot/imaging/wipe"
)

// ATA is a simulated SATA drive. It decodes ATA PASS-THROUGH(16) and answers with sense data.
type ATA struct {
	*Base
	Firmware  string
	Rotation  uint16
	Sanitizes uint16 // word 59: bits 12 to 15
	Trusted   bool
	Opal      *Opal

	Supported, Enabled, Locked, Frozen, Expired, Enhanced bool // ATA Security
	Password                                              string
	EraseWord                                             uint16

	SanFrozen    bool
	SanSucceeded bool // of a former life
	SanFailed    bool

	HPA, DCO, AMAC bool
	Native         uint64 // sectors that it has; 0: as many as it shows
	Deep           uint64 // sectors that it has with a DCO lifted, too; 0: Native
	NoUnhide       bool
	NoRestore      bool // keeps its DCO
	NoOverlay      bool // refuses to tell its DCO
	NoNative       bool // refuses to tell its highest address

	// How it misbehaves.
	Takes        time.Duration
	Fails        bool
	FailsOnce    bool
	Keeps        int
	Leaves       int
	Aborts       map[uint8]bool // commands
	Silent       map[uint8]bool // commands whose answer is lost
	Fixed        bool           // sense data in the fixed format, without the upper halves
	Linux        bool           // what the drive aborts comes as Linux 6.1 tells it
	NoSense      bool           // no registers come back
	Ignores      bool           // takes a sanitize and does nothing
	Stalls       bool
	StatusFails  int  // the status cannot be read so many times after a sanitize was taken; -1: never again
	KeepsLock    bool // an erase succeeds and leaves its password on
	ErasesNone   bool // an erase succeeds and erases nothing
	EraseFails   bool
	ThawsNothing bool // sleeping does not take its freeze locks off

	Passwords int // how many were set

	prepared bool
	running  bool
	started  time.Time
	ends     time.Time
	count    int
	nativeOK bool
	size     uint64
}

// NewATA makes a drive: rotation 1 is flash, 7200 a platter.
func NewATA(m *Medium, rotation uint16) *ATA {
	d := &ATA{Base: &Base{Medium: m, Clock: NewClock(), Told: wipe.Facts{Path: "/dev/sda", Transport: "sata", Serial: "WD-ATA00001", Model: "SATADISK 500",
		WWN: "naa.50014ee2b1c2d3e4", SizeBytes: uint64(m.Size()), SectorSize: 512, Rotational: rotation != 1}}, Firmware: "1.02", Rotation: rotation,
		Sanitizes: 0xf000, Supported: true, Enhanced: true, EraseWord: 0x8002, Takes: 3 * time.Second, Aborts: map[uint8]bool{}, Silent: map[uint8]bool{}}
	d.size = uint64(m.Size())
	return d
}

// Hide keeps the second half of the drive back, as an HPA or a DCO does.
func (d *ATA) Hide() {
	d.Native = d.shown()
	d.Told.SizeBytes /= 2
	d.size = d.Told.SizeBytes
}

// HideTwice keeps half of the drive back by a DCO, and half of the rest by an HPA.
func (d *ATA) HideTwice() {
	d.Deep = d.shown()
	d.Native = d.Deep / 2
	d.Told.SizeBytes /= 4
	d.size = d.Told.SizeBytes
}

// taskfile is a decoded command.
type taskfile struct {
	cmd     uint8
	feature uint16
	count   uint16
	lba     uint64
	data    []byte
}

// SCSI decodes one command.
func (d *ATA) SCSI(c passthru.SCSI) (passthru.SCSIReply, error) {
	d.Clock.Sleep(time.Millisecond)
	d.tick()
	if len(c.CDB) != 16 || c.CDB[0] != 0x85 {
		return passthru.SCSIReply{Status: 2, Sense: []byte{0x72, 5, 0x20, 0, 0, 0, 0, 0}}, nil
	}
	b := c.CDB
	t := taskfile{cmd: b[14], feature: uint16(b[4]), count: uint16(b[6]), lba: uint64(b[8]) | uint64(b[10])<<8 | uint64(b[12])<<16, data: c.Data}
	wide := b[1]&1 != 0
	if wide {
		t.feature |= uint16(b[3]) << 8
		t.count |= uint16(b[5]) << 8
		t.lba |= uint64(b[7])<<24 | uint64(b[9])<<32 | uint64(b[11])<<40
	}
	if d.Silent[t.cmd] {
		d.do(t)
		return passthru.SCSIReply{Host: 3}, nil // DID_TIME_OUT
	}
	if t.cmd == 0xb4 && t.feature == 0 && d.count > 0 && d.StatusFails != 0 {
		d.StatusFails = max(-1, d.StatusFails-1)
		return passthru.SCSIReply{}, errors.New("input/output error")
	}
	regs := d.do(t)
	switch failed := regs.status&0x21 != 0; {
	case !failed && b[2]&0x20 == 0: // CK_COND clear: nothing comes back of what ended well
		return passthru.SCSIReply{}, nil
	case failed && d.Linux && !d.NoSense:
		return passthru.SCSIReply{Status: 2, Driver: 8, Sense: []byte{0x70, 0, 0x0b, 0, 0, 0, 0, 10, regs.err, regs.status, 0, byte(regs.count), 0, 0, 0, 0, 0x80, byte(regs.lba)}}, nil
	}
	return d.sense(regs, wide), nil
}

// regs are what the drive answers.
type regs struct {
	status, err uint8
	count       uint16
	lba         uint64
}

var good = regs{status: 0x50}

func aborted(reason uint64) regs { return regs{status: 0x51, err: 4, lba: reason} }

func (d *ATA) sense(r regs, wide bool) passthru.SCSIReply {
	if d.NoSense {
		return passthru.SCSIReply{Status: 2, Sense: nil}
	}
	if d.Fixed {
		s := make([]byte, 18)
		s[0], s[2], s[3], s[4], s[6], s[7], s[13] = 0x70, 1, r.err, r.status, byte(r.count), 10, 0x1d
		s[9], s[10], s[11] = byte(r.lba), byte(r.lba>>8), byte(r.lba>>16)
		if r.count>>8 != 0 {
			s[8] |= 0x40
		}
		if r.lba>>24 != 0 {
			s[8] |= 0x20
		}
		return passthru.SCSIReply{Status: 2, Driver: 8, Sense: s}
	}
	x := byte(0)
	if wide {
		x = 1
	}
	return passthru.SCSIReply{Status: 2, Driver: 8, Sense: []byte{0x72, 1, 0, 0x1d, 0, 0, 0, 14,
		0x09, 0x0c, x, r.err, byte(r.count >> 8), byte(r.count), byte(r.lba >> 24), byte(r.lba), byte(r.lba >> 32), byte(r.lba >> 8), byte(r.lba >> 40), byte(r.lba >> 16), 0x40, r.status}}
}

// locked commands are aborted while ATA Security locks the drive, or a sanitize runs.
func (d *ATA) do(t taskfile) regs {
	switch {
	case d.Aborts[t.cmd]:
		return aborted(0)
	case d.running && t.cmd != 0xb4 && t.cmd != 0xec:
		return aborted(0)
	}
	switch t.cmd {
	case 0xec:
		copy(t.data, d.identify())
		return good
	case 0xb4:
		return d.sanitize(t)
	case 0x5c:
		if !d.Trusted {
			return aborted(0)
		}
		d.Opal.discovery(t.data)
		return good
	case 0x27, 0x37, 0xb1, 0x78:
		return d.area(t)
	case 0xf1, 0xf2, 0xf3, 0xf4, 0xf6:
		return d.security(t)
	}
	return aborted(0)
}

func (d *ATA) shown() uint64 { return d.Told.SizeBytes / 512 }

func (d *ATA) identify() []byte {
	b := make([]byte, 512)
	w := func(i int, v uint16) { binary.LittleEndian.PutUint16(b[2*i:], v) }
	str := func(i, n int, s string) {
		p := make([]byte, 2*n)
		pad(p, s)
		for k := 0; k < 2*n; k += 2 {
			b[2*i+k], b[2*i+k+1] = p[k+1], p[k]
		}
	}
	str(10, 10, d.Told.Serial)
	str(23, 4, d.Firmware)
	str(27, 20, d.Told.Model)
	if d.Trusted {
		w(48, 0x4001)
	}
	w(59, d.Sanitizes)
	w(82, bit(10, d.HPA)|bit(1, d.Supported))
	w(83, 0x4000|bit(10, true)|bit(11, d.DCO))
	w(87, 0x4000|bit(8, true))
	w(89, d.EraseWord)
	w(90, d.EraseWord)
	for i := range 4 {
		w(100+i, uint16(d.shown()>>(16*i)))
	}
	for i, v := range []uint16{0x5001, 0x4ee2, 0xb1c2, 0xd3e4} {
		w(108+i, v)
	}
	w(119, 0x4000|bit(8, d.AMAC))
	w(128, bit(0, d.Supported)|bit(1, d.Enabled)|bit(2, d.Locked)|bit(3, d.Frozen)|bit(4, d.Expired)|bit(5, d.Enhanced))
	w(217, d.Rotation)
	b[510] = 0xa5
	var sum byte
	for _, v := range b[:511] {
		sum += v
	}
	b[511] = -sum
	return b
}

func bit(n int, on bool) uint16 {
	if on {
		return 1 << n
	}
	return 0
}

// PowerCycle is the drive off and on again: freeze locks go, a password locks.
func (d *ATA) PowerCycle() {
	if d.Enabled {
		d.Locked = true
	}
	d.Expired, d.prepared = false, false
	if !d.ThawsNothing {
		d.Frozen, d.SanFrozen = false, false
	}
}

// PSIDRevert is Opal's revert.
func (d *ATA) PSIDRevert(psid string) error { return d.Opal.revert(psid, d.Medium) }

func (d *ATA) blocked() error {
	d.tick()
	if d.running || d.SanFailed || d.Locked || d.Opal != nil && d.Opal.Locked {
		return errors.New("input/output error")
	}
	return nil
}

// ReadAt reads, when nothing blocks it.
func (d *ATA) ReadAt(p []byte, off int64) (int, error) {
	if err := d.blocked(); err != nil {
		return 0, err
	}
	return d.Medium.ReadAt(p, off)
}

// WriteAt writes, when nothing blocks it.
func (d *ATA) WriteAt(p []byte, off int64) (int, error) {
	if err := d.blocked(); err != nil {
		return 0, err
	}
	return d.Medium.WriteAt(p, off)
}
