package wipetest

import (
	"encoding/binary"
	"errors"
	"time"

	"ingot/imaging/passthru"
	"ingot/imaging/wipe"
)

// NVMe is a simulated controller whose first namespace is the block device.
type NVMe struct {
	*Base
	Firmware   string
	Version    uint32
	SANICAP    uint32
	OACS       uint16
	FNA        uint8
	Namespaces int  // attached
	Allocated  int  // that exist; 0: as many; -1: it does not list them
	Most       int  // NN: how many there can be; 0: not told
	NoList     bool // it is older than the list of the attached ones
	Opal       *Opal

	// The sanitize log, as a former life left it.
	SPROG, SSTAT uint16
	SCDW10       uint32
	Estimate     uint32

	// How it misbehaves.
	Takes       time.Duration   // how long a sanitize takes
	Fails       bool            // it ends in failure mode
	FailsOnce   bool            // only the first one does
	Keeps       int             // of 1000 blocks, by sanitize and by format
	Leaves      int             // Zeros, Ones or Garbage
	Refuses     passthru.Status // of a sanitize
	NoPREQ      bool            // refuses the field with PREQ
	ClearsOnly  bool            // takes PREQ, and does not say that it purged
	Lag         time.Duration   // the log shows the old result so long after a sanitize was taken
	Ignores     bool            // takes a sanitize and does nothing
	Stalls      bool            // runs and never ends
	NoGDE       bool            // does not keep "global data erased"
	LogFails    int             // the log cannot be read so many times after a sanitize was taken; -1: never again
	FormatState passthru.Status // of a format
	FormatSES   []uint32        // the SES of every format that it got
	Resizes     bool            // a format changes the size that the kernel shows
	Wavers      bool            // a sanitize never ends, and its progress goes up and down
	Swaps       bool            // another drive is there when a sanitize has ended

	sanitizes int
	ends      time.Time
	started   time.Time
	action    uint32
	running   bool
	old       [8]byte
}

// Opcodes and statuses, as the specification numbers them; on purpose not taken from package wipe.
const (
	invalidOpcode = 0x0001
	invalidField  = 0x0002
	inSanitize    = 0x001d
	afterFailure  = 0x001c
)

// NewNVMe makes a controller that offers everything.
func NewNVMe(m *Medium) *NVMe {
	return &NVMe{Base: &Base{Medium: m, Clock: NewClock(), Told: wipe.Facts{Path: "/dev/nvme0n1", Transport: "nvme", Serial: "S4NVME001", Model: "FASTDISK 1TB",
		WWN: "eui.0025385b71b0a1c2", SizeBytes: uint64(m.Size()), SectorSize: 512}}, Firmware: "3B2Q", Version: 1<<16 | 4<<8, SANICAP: 7, OACS: 2, FNA: 4,
		Namespaces: 1, Estimate: 0xffffffff, Takes: 3 * time.Second}
}

// NVMe answers one admin command.
func (d *NVMe) NVMe(c passthru.NVMe) (passthru.NVMeReply, error) {
	d.Clock.Sleep(time.Millisecond)
	d.tick()
	switch c.Opcode {
	case 0x06:
		return reply(d.identify(c))
	case 0x02:
		return d.log(c)
	case 0x84:
		return reply(d.sanitize(c))
	case 0x80:
		return reply(d.format(c))
	case 0x82:
		if d.OACS&1 == 0 {
			return reply(invalidOpcode)
		}
		d.Opal.discovery(c.Data)
		return reply(0)
	}
	return reply(invalidOpcode)
}

func reply(s passthru.Status) (passthru.NVMeReply, error) {
	if s != 0 {
		s |= 0x4000 // do not retry
	}
	return passthru.NVMeReply{Status: s}, nil
}

// PSIDRevert is Opal's revert.
func (d *NVMe) PSIDRevert(psid string) error { return d.Opal.revert(psid, d.Medium) }

func (d *NVMe) identify(c passthru.NVMe) passthru.Status {
	clear(c.Data)
	switch c.CDW[0] & 0xff {
	case 1:
		pad(c.Data[4:24], d.Told.Serial)
		pad(c.Data[24:64], d.Told.Model)
		pad(c.Data[64:72], d.Firmware)
		binary.LittleEndian.PutUint32(c.Data[80:], d.Version)
		binary.LittleEndian.PutUint16(c.Data[256:], d.OACS)
		binary.LittleEndian.PutUint32(c.Data[328:], d.SANICAP)
		binary.LittleEndian.PutUint32(c.Data[516:], uint32(d.Most))
		c.Data[524] = d.FNA
	case 0:
		if c.NSID != 1 {
			return 0x000b
		}
		c.Data[26] = 2
		binary.BigEndian.PutUint64(c.Data[120:], 0x0025385b71b0a1c2)
	case 2:
		if d.NoList {
			return invalidField
		}
		list(c.Data, d.Namespaces)
	case 0x10:
		if d.OACS&8 == 0 || d.Allocated < 0 {
			return invalidField
		}
		list(c.Data, max(d.Namespaces, d.Allocated))
	default:
		return invalidField
	}
	return 0
}

func list(dst []byte, n int) {
	for i := range n {
		binary.LittleEndian.PutUint32(dst[4*i:], uint32(i+1))
	}
}

func pad(dst []byte, s string) {
	for i := range dst {
		dst[i] = ' '
	}
	copy(dst, s)
}

func (d *NVMe) log(c passthru.NVMe) (passthru.NVMeReply, error) {
	if c.CDW[0]&0xff != 0x81 {
		return reply(0x0109) // invalid log page
	}
	if d.sanitizes > 0 && d.LogFails != 0 {
		d.LogFails = max(-1, d.LogFails-1)
		return passthru.NVMeReply{}, errors.New("connection timed out")
	}
	b := d.page()
	if d.sanitizes > 0 && d.Clock.Now().Sub(d.started) < d.Lag {
		b = d.old
	}
	clear(c.Data)
	copy(c.Data, b[:])
	for i := range 6 {
		binary.LittleEndian.PutUint32(c.Data[8+4*i:], d.Estimate)
	}
	return reply(0)
}

func (d *NVMe) page() (b [8]byte) {
	binary.LittleEndian.PutUint16(b[:], d.SPROG)
	binary.LittleEndian.PutUint16(b[2:], d.SSTAT)
	binary.LittleEndian.PutUint32(b[4:], d.SCDW10)
	return b
}

func (d *NVMe) sanitize(c passthru.NVMe) passthru.Status {
	act := c.CDW[0] & 7
	switch {
	case d.running:
		return inSanitize
	case d.Refuses != 0:
		return d.Refuses
	case d.NoPREQ && c.CDW[0]&(1<<11) != 0, c.NSID != 0:
		return invalidField
	case act == 4 && d.SANICAP&1 == 0, act == 2 && d.SANICAP&2 == 0, act == 3 && d.SANICAP&4 == 0, act < 2 || act > 4:
		return invalidField
	}
	d.old = d.page()
	d.sanitizes++
	d.started, d.ends = d.Clock.Now(), d.Clock.Now().Add(d.Takes)
	if d.Ignores {
		return 0
	}
	d.running, d.action = true, c.CDW[0]
	d.SSTAT, d.SPROG, d.SCDW10 = 2, 0, c.CDW[0]
	return 0
}

// tick lets a sanitize get on. It goes on by itself, and across a power cycle.
func (d *NVMe) tick() {
	if !d.running {
		return
	}
	now := d.Clock.Now()
	if d.Takes > 0 {
		d.SPROG = uint16(min(0xffff, now.Sub(d.started)*0x10000/max(1, d.Takes)))
	}
	if d.Wavers {
		d.SPROG = uint16(now.UnixMilli())
		return
	}
	if d.Stalls {
		d.SPROG = min(d.SPROG, 0x7000)
		return
	}
	if now.Before(d.ends) {
		return
	}
	d.running = false
	if d.Fails || d.FailsOnce && d.sanitizes == 1 {
		d.SSTAT, d.SPROG = 3, 0xffff
		return
	}
	d.SSTAT, d.SPROG = 1, 0xffff
	if !d.NoGDE {
		d.SSTAT |= 1 << 8
	}
	if d.action&(1<<11) != 0 && !d.ClearsOnly {
		d.SSTAT |= 1 << 11
	}
	d.Erase(d.Leaves, d.Keeps)
	if d.Swaps {
		d.Told.Serial = "S4NVME999"
	}
}

func (d *NVMe) format(c passthru.NVMe) passthru.Status {
	ses := c.CDW[0] >> 9 & 7
	d.FormatSES = append(d.FormatSES, ses)
	switch {
	case d.running:
		return inSanitize
	case d.SSTAT&7 == 3:
		return afterFailure
	case d.OACS&2 == 0:
		return invalidOpcode
	case d.FormatState != 0:
		return d.FormatState
	case c.CDW[0]&0xf != 2:
		return 0x010a
	}
	switch ses {
	case 0: // formats, and erases nothing: the blocks are unmapped and read as zeros
		d.Unmap(0, uint64(d.Size()))
	case 1, 2:
		d.Erase(d.Leaves, d.Keeps)
	default:
		return invalidField
	}
	if d.Resizes {
		d.Told.SizeBytes /= 2
	}
	return 0
}

// blocked is why blocks cannot be reached.
func (d *NVMe) blocked() error {
	d.tick()
	switch {
	case d.running:
		return errors.New("status 0x1d: sanitize in progress")
	case d.SSTAT&7 == 3:
		return errors.New("status 0x1c: sanitize failed")
	case d.Opal != nil && d.Opal.Locked:
		return errors.New("status 0x286: access denied")
	}
	return nil
}

// ReadAt reads, when nothing blocks it.
func (d *NVMe) ReadAt(p []byte, off int64) (int, error) {
	if err := d.blocked(); err != nil {
		return 0, err
	}
	return d.Medium.ReadAt(p, off)
}

// WriteAt writes, when nothing blocks it. It takes "global data erased" away.
func (d *NVMe) WriteAt(p []byte, off int64) (int, error) {
	if err := d.blocked(); err != nil {
		return 0, err
	}
	if !d.NoGDE {
		d.SSTAT &^= 1 << 8
	}
	return d.Medium.WriteAt(p, off)
}
