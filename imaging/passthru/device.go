package passthru

import (
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device is an open device node that carries commands out. It does not close the file.
type Device struct{ File *os.File }

// nvmeAdmin is struct nvme_admin_cmd (linux/nvme_ioctl.h).
type nvmeAdmin struct {
	opcode, flags    uint8
	_                uint16
	nsid             uint32
	_, _             uint32
	metadata, addr   uint64
	metaLen, dataLen uint32
	cdw              [6]uint32 // 10 to 15
	timeout, result  uint32
}

const nvmeIoctlAdmin = 0xc0484e41 // NVME_IOCTL_ADMIN_CMD

// NVMe sends an admin command. The kernel returns the drive's own status as the call's result.
func (d Device) NVMe(c NVMe) (NVMeReply, error) {
	cmd := nvmeAdmin{opcode: c.Opcode, nsid: c.NSID, cdw: c.CDW, timeout: millis(c.Timeout), dataLen: uint32(len(c.Data))}
	var pin runtime.Pinner
	defer pin.Unpin()
	cmd.addr = uint64(pinned(&pin, c.Data))
	status, _, e := unix.Syscall(unix.SYS_IOCTL, d.File.Fd(), nvmeIoctlAdmin, uintptr(unsafe.Pointer(&cmd)))
	if e != 0 {
		return NVMeReply{}, fmt.Errorf("NVMe command %#02x to %s: %w", c.Opcode, d.File.Name(), e)
	}
	return answerOf(c, d.File.Name(), Status(status), cmd.result)
}

// answerOf keeps the controller's own status apart from one that the kernel made up.
func answerOf(c NVMe, name string, s Status, result uint32) (NVMeReply, error) {
	if !s.answered() {
		return NVMeReply{}, fmt.Errorf("NVMe command %#02x to %s: the path to the controller broke (status %s)", c.Opcode, name, s)
	}
	return NVMeReply{Status: s, Result: result}, nil
}

// sgHeader is struct sg_io_hdr (scsi/sg.h) on 64-bit machines.
type sgHeader struct {
	id, direction           int32
	cmdLen, senseMax        uint8
	iovecs                  uint16
	dataLen                 uint32
	data, cmd, sense        uintptr
	timeout, flags          uint32
	packID                  int32
	_                       int32
	user                    uintptr
	status, masked          uint8
	msgStatus, senseWritten uint8
	host, driver            uint16
	residual                int32
	duration, info          uint32
}

const (
	sgIO       = 0x2285 // SG_IO
	sgNone     = -1     // SG_DXFER_NONE
	sgToDrive  = -2
	sgFromIt   = -3
	senseBytes = 64
)

// SCSI sends one command.
func (d Device) SCSI(c SCSI) (SCSIReply, error) {
	cmd, sense := append([]byte(nil), c.CDB...), make([]byte, senseBytes)
	var pin runtime.Pinner
	defer pin.Unpin()
	h := sgHeader{id: 'S', direction: sgNone, cmdLen: uint8(len(cmd)), senseMax: senseBytes, timeout: millis(c.Timeout), dataLen: uint32(len(c.Data)),
		cmd: pinned(&pin, cmd), sense: pinned(&pin, sense), data: pinned(&pin, c.Data)}
	switch c.Move {
	case FromDrive:
		h.direction = sgFromIt
	case ToDrive:
		h.direction = sgToDrive
	}
	if err := d.ioctl(sgIO, unsafe.Pointer(&h)); err != nil {
		return SCSIReply{}, fmt.Errorf("SCSI command %#02x to %s: %w", c.CDB[0], d.File.Name(), err)
	}
	return SCSIReply{Status: h.status, Host: h.host, Driver: h.driver, Sense: sense[:min(int(h.senseWritten), senseBytes)]}, nil
}

// mmcCmd is struct mmc_ioc_cmd (linux/mmc/ioctl.h).
type mmcCmd struct {
	write, app         int32
	opcode, arg        uint32
	response           [4]uint32
	flags              uint32
	blkSize, blocks    uint32
	sleepMin, sleepMax uint32
	dataTimeout        uint32 // ns
	cmdTimeout         uint32 // ms
	_                  uint32
	data               uint64
}

const mmcIocCmd = 0xc048b300 // MMC_IOC_CMD

// MMC sends one command to an eMMC.
func (d Device) MMC(c MMC) (MMCReply, error) {
	cmd := mmcCmd{opcode: c.Opcode, arg: c.Arg, flags: c.Flags, cmdTimeout: millis(c.Timeout)}
	if c.Write {
		cmd.write = 1
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	if len(c.Data) > 0 {
		cmd.blkSize, cmd.blocks = 512, uint32(len(c.Data)/512)
		cmd.data = uint64(pinned(&pin, c.Data))
	}
	if err := d.ioctl(mmcIocCmd, unsafe.Pointer(&cmd)); err != nil {
		return MMCReply{}, fmt.Errorf("eMMC command %d to %s: %w", c.Opcode, d.File.Name(), err)
	}
	return MMCReply{Response: cmd.response[0]}, nil
}

// opalKey is struct opal_key (linux/sed-opal.h).
type opalKey struct {
	range_, length, kind uint8
	_                    [5]uint8
	key                  [256]uint8
}

const opalPSIDRevert = 0x410870e8 // IOC_OPAL_PSID_REVERT_TPR

// PSIDRevert sets a drive with TCG Opal back to its factory state by the code on its label. An error is either the
// kernel's, or the drive's own refusal, which the kernel gives as a number that is no errno.
func (d Device) PSIDRevert(psid string) error {
	k := opalKey{length: uint8(len(psid))}
	copy(k.key[:], psid)
	defer clear(k.key[:])
	r, _, e := unix.Syscall(unix.SYS_IOCTL, d.File.Fd(), opalPSIDRevert, uintptr(unsafe.Pointer(&k)))
	if e != 0 {
		return fmt.Errorf("revert %s by its PSID: %w", d.File.Name(), e)
	}
	if r != 0 {
		return fmt.Errorf("revert %s by its PSID: the drive answered with TCG status %#x", d.File.Name(), r)
	}
	return nil
}

// Discard hints that a range is not needed; secure asks for the old copies too (BLKSECDISCARD).
func (d Device) Discard(off, n uint64, secure bool) error {
	req := uint(unix.BLKDISCARD)
	if secure {
		req = unix.BLKSECDISCARD
	}
	r := [2]uint64{off, n}
	if err := d.ioctl(req, unsafe.Pointer(&r)); err != nil {
		return fmt.Errorf("discard %d bytes at %d of %s: %w", n, off, d.File.Name(), err)
	}
	return nil
}

// Geometry asks the kernel for the size in bytes and the logical sector.
func (d Device) Geometry() (size uint64, sector int, err error) {
	if err := d.ioctl(unix.BLKGETSIZE64, unsafe.Pointer(&size)); err != nil {
		return 0, 0, fmt.Errorf("size of %s: %w", d.File.Name(), err)
	}
	sector, err = unix.IoctlGetInt(int(d.File.Fd()), unix.BLKSSZGET)
	if err != nil {
		return 0, 0, fmt.Errorf("sector size of %s: %w", d.File.Name(), err)
	}
	return size, sector, nil
}

func (d Device) ioctl(req uint, p unsafe.Pointer) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, d.File.Fd(), uintptr(req), uintptr(p))
	if e != 0 {
		return e
	}
	return nil
}

// pinned gives the address of b, which the collector leaves in place until pin is released.
func pinned(pin *runtime.Pinner, b []byte) uintptr {
	if len(b) == 0 {
		return 0
	}
	pin.Pin(&b[0])
	return uintptr(unsafe.Pointer(&b[0]))
}

// millis is the kernel's unit; 0 would be its own, short default.
func millis(d time.Duration) uint32 {
	if d <= 0 {
		d = 30 * time.Second
	}
	return uint32(min(d.Milliseconds(), 1<<31-1))
}

// pageSize is an alignment that is enough for every sector size that Linux drives have.
const pageSize = 4096

// Aligned returns n bytes of zeros whose address suits O_DIRECT.
func Aligned(n int) []byte {
	b := make([]byte, n+pageSize)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (pageSize - 1)) // Go's collector does not move what it keeps
	return b[skip : skip+n : skip+n]
}
