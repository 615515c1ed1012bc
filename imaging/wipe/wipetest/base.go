package wipetest

import (
	"errors"
	"syscall"

	"ingot/imaging/passthru"
	"ingot/imaging/wipe"
)

// errNotThis is the kernel's answer to a command of another kind of drive.
var errNotThis = errors.New("inappropriate ioctl for device")

// Base is what every simulated drive has: a medium, what the kernel tells, and no commands. By itself it is a drive
// behind a bridge, or a virtual disk.
type Base struct {
	*Medium
	Clock  *Clock
	Told   wipe.Facts // by the kernel
	Cached bool       // reads come from a cache
	Secure bool       // a secure discard is taken
	NoTrim bool       // no discard is
}

// NewPlain makes a disk of which nothing is known but what the kernel tells.
func NewPlain(m *Medium, transport, behind string) *Base {
	return &Base{Medium: m, Clock: NewClock(), Told: wipe.Facts{Path: "/dev/vda", Transport: transport, Serial: "PLAIN0001", Model: "PLAIN",
		SizeBytes: uint64(m.Size()), SectorSize: 512, Behind: behind}}
}

// Facts is what the kernel tells.
func (b *Base) Facts() (wipe.Facts, error) { return b.Told, nil }

// Direct reports whether reads come from the medium.
func (b *Base) Direct() bool { return !b.Cached }

// Rescan has nothing to do.
func (b *Base) Rescan() error { return nil }

// Boot finds no boot areas.
func (b *Base) Boot() ([]wipe.Area, error) { return nil, nil }

// Discard unmaps.
func (b *Base) Discard(off, n uint64, secure bool) error {
	if b.NoTrim || secure && !b.Secure {
		return syscall.EOPNOTSUPP
	}
	b.Unmap(off, n)
	if secure {
		b.stale = nil
	}
	return nil
}

// NVMe, SCSI, MMC and PSIDRevert are refused by the kernel.
func (b *Base) NVMe(passthru.NVMe) (passthru.NVMeReply, error) {
	return passthru.NVMeReply{}, errNotThis
}

// SCSI is refused.
func (b *Base) SCSI(passthru.SCSI) (passthru.SCSIReply, error) {
	return passthru.SCSIReply{}, errNotThis
}

// MMC is refused.
func (b *Base) MMC(passthru.MMC) (passthru.MMCReply, error) { return passthru.MMCReply{}, errNotThis }

// PSIDRevert is refused.
func (b *Base) PSIDRevert(string) error { return errNotThis }

// Expect names this drive as an operator would have approved it.
func (b *Base) Expect() wipe.Expect {
	return wipe.Expect{Serial: b.Told.Serial, WWN: b.Told.WWN, SizeBytes: b.Told.SizeBytes, SectorSize: b.Told.SectorSize}
}

// Opal is the locking of a drive.
type Opal struct {
	PSID     string
	Enabled  bool
	Locked   bool
	Shadow   bool
	Encrypts bool
	Lies     bool // says that it reverted, and does not
}

// discovery is Level 0 discovery as the drive answers it.
func (o *Opal) discovery(b []byte) {
	clear(b)
	if o == nil {
		return
	}
	flags := byte(1)
	for bit, on := range map[byte]bool{2: o.Enabled, 4: o.Locked, 8: o.Encrypts, 16: o.Shadow} {
		if on {
			flags |= bit
		}
	}
	body := append([]byte{0x00, 0x02, 0x10, 12, flags}, make([]byte, 11)...)
	body = append(body, 0x02, 0x03, 0x10, 16)
	body = append(body, make([]byte, 16)...)
	copy(b[48:], body)
	n := 44 + len(body)
	b[2], b[3] = byte(n>>8), byte(n)
}

// revert is what the kernel's ioctl has the drive do.
func (o *Opal) revert(psid string, m *Medium) error {
	switch {
	case o == nil:
		return syscall.EOPNOTSUPP
	case psid != o.PSID:
		return errors.New("the drive answered with TCG status 0x1")
	case o.Lies:
		return nil
	}
	o.Enabled, o.Locked, o.Shadow = false, false, false
	if o.Encrypts {
		m.Erase(Garbage, 0)
	}
	return nil
}
