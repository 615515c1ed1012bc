package wipetest

import (
	"errors"
	"syscall"
	"time"

	"ingot/imaging/passthru"
	"ingot/imaging/wipe"
)

// EMMC is a simulated eMMC with two boot areas.
type EMMC struct {
	*Base
	Boots    [2]*Medium
	Feature  uint8 // SEC_FEATURE_SUPPORT
	BootWP   uint8
	RPMB     uint8
	General  bool // it has general purpose partitions
	NoBoot   bool // the boot areas cannot be opened
	Refuses  bool // answers SANITIZE_START with an error
	Silent   bool // the answer to SANITIZE_START is lost
	Ignores  bool // takes SANITIZE_START and does nothing
	TrimLies bool // takes a discard and does nothing
	TrimEnds int  // the n-th discard fails; 0: none
	trims    int
}

// NewEMMC makes one that offers everything.
func NewEMMC(m *Medium) *EMMC {
	e := &EMMC{Base: &Base{Medium: m, Clock: NewClock(), Secure: true, Told: wipe.Facts{Path: "/dev/mmcblk0", Transport: "mmc", Serial: "0x1a2b3c4d", Model: "HBG4a2",
		WWN: "90014a484247346132a41a2b3c4d9800", SizeBytes: uint64(m.Size()), SectorSize: 512}}, Feature: 0x55, RPMB: 1}
	for i := range e.Boots {
		e.Boots[i] = NewMedium(128<<10, true, uint64(900+i))
	}
	return e
}

// MMC answers SEND_EXT_CSD and SWITCH.
func (e *EMMC) MMC(c passthru.MMC) (passthru.MMCReply, error) {
	e.Clock.Sleep(time.Millisecond)
	const ready = 0x900
	switch c.Opcode {
	case 8:
		clear(c.Data)
		c.Data[192], c.Data[231], c.Data[226], c.Data[173], c.Data[168] = 8, e.Feature, 1, e.BootWP, e.RPMB
		if e.General {
			c.Data[143] = 1
		}
		return passthru.MMCReply{Response: ready}, nil
	case 6:
		if c.Arg>>24 != 3 || c.Arg>>16&0xff != 165 || e.Feature&0x40 == 0 || e.Refuses {
			return passthru.MMCReply{Response: ready | 1<<7}, nil // SWITCH_ERROR
		}
		if !e.Ignores {
			e.stale, e.Boots[0].stale, e.Boots[1].stale = nil, nil, nil
		}
		if e.Silent {
			return passthru.MMCReply{}, errors.New("connection timed out")
		}
		return passthru.MMCReply{Response: ready}, nil
	}
	return passthru.MMCReply{Response: 1 << 22}, nil // ILLEGAL_COMMAND
}

// Discard unmaps; a secure one destroys.
func (e *EMMC) Discard(off, n uint64, secure bool) error {
	e.trims++
	switch {
	case e.trims == e.TrimEnds:
		return syscall.EIO
	case e.TrimLies:
		return nil
	}
	return e.Base.Discard(off, n, secure)
}

// Boot opens the boot areas.
func (e *EMMC) Boot() ([]wipe.Area, error) {
	if e.NoBoot {
		return nil, errors.New("permission denied")
	}
	return []wipe.Area{bootArea{e.Boots[0], "boot0"}, bootArea{e.Boots[1], "boot1"}}, nil
}

type bootArea struct {
	*Medium
	name string
}

func (a bootArea) Name() string { return a.name }
func (a bootArea) Size() uint64 { return uint64(a.Medium.Size()) }
func (a bootArea) Discard(off, n uint64, secure bool) error {
	a.Unmap(off, n)
	if secure {
		a.stale = nil
	}
	return nil
}

// BootLeft counts the former user's blocks in the boot areas' cells.
func (e *EMMC) BootLeft() int { return e.Boots[0].Left() + e.Boots[1].Left() }
