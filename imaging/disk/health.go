package disk

import (
	"errors"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
)

// healthTime bounds one question to a drive, in milliseconds.
const healthTime = 5000

// health asks a drive how it is, by its own bus's command. A drive that has none, or does not answer, is unknown.
func health(d job.Drive) job.Health {
	var ask func(*os.File) (job.Health, error)
	switch d.Transport {
	case "nvme":
		ask = askNVMe
	case "sata":
		ask = askATA
	default:
		return job.Health{Text: "a drive on " + d.Transport + " is not asked"}
	}
	f, err := os.OpenFile(d.Path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return job.Health{Text: "the drive cannot be opened"}
	}
	defer f.Close() // reading only
	h, err := ask(f)
	if err != nil {
		return job.Health{Text: "the drive did not answer"}
	}
	return h
}

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

const (
	nvmeIoctlAdmin = 0xc0484e41 // NVME_IOCTL_ADMIN_CMD
	nvmeGetLog     = 0x02
	nvmeSmartLog   = 0x02
	nvmeAll        = 0xffffffff // the controller's log
)

func askNVMe(f *os.File) (job.Health, error) {
	log := make([]byte, smartLogSize)
	var pin runtime.Pinner
	pin.Pin(&log[0])
	defer pin.Unpin()
	cmd := nvmeAdmin{opcode: nvmeGetLog, nsid: nvmeAll, addr: uint64(uintptr(unsafe.Pointer(&log[0]))), dataLen: smartLogSize,
		cdw: [6]uint32{nvmeSmartLog | (smartLogSize/4-1)<<16}, timeout: healthTime}
	status, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), nvmeIoctlAdmin, uintptr(unsafe.Pointer(&cmd)))
	if e != 0 {
		return job.Health{}, e
	}
	if status != 0 { // the drive's own status
		return job.Health{}, errors.New("the drive refused the command")
	}
	return NVMeHealth(log), nil
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
	sgIO   = 0x2285 // SG_IO
	sgNone = -1     // SG_DXFER_NONE
)

// smartStatus is ATA PASS-THROUGH(16) with SMART RETURN STATUS: no data, CK_COND so that the registers come back.
var smartStatus = [16]byte{0: 0x85, 1: 3 << 1, 2: 1 << 5, 4: 0xda, 10: smartGoodMid, 12: smartGoodHigh, 14: 0xb0}

func askATA(f *os.File) (job.Health, error) {
	cmd, sense := smartStatus, [32]byte{}
	var pin runtime.Pinner
	pin.Pin(&cmd)
	pin.Pin(&sense)
	defer pin.Unpin()
	h := sgHeader{id: 'S', direction: sgNone, cmdLen: 16, senseMax: 32, cmd: uintptr(unsafe.Pointer(&cmd)), sense: uintptr(unsafe.Pointer(&sense)), timeout: healthTime}
	if err := ioctlPtr(f, sgIO, unsafe.Pointer(&h)); err != nil {
		return job.Health{}, err
	}
	return ATAHealth(sense[:min(int(h.senseWritten), len(sense))]), nil
}
