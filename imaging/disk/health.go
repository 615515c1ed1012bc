package disk

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
	"ingot/imaging/passthru"
)

// healthTime bounds one question to a drive.
const healthTime = 5 * time.Second

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

const (
	nvmeGetLog   = 0x02
	nvmeSmartLog = 0x02
	nvmeAll      = 0xffffffff // the controller's log
)

func askNVMe(f *os.File) (job.Health, error) {
	log := make([]byte, smartLogSize)
	r, err := passthru.Device{File: f}.NVMe(passthru.NVMe{Opcode: nvmeGetLog, NSID: nvmeAll,
		CDW: [6]uint32{nvmeSmartLog | (smartLogSize/4-1)<<16}, Data: log, Timeout: healthTime})
	if err != nil {
		return job.Health{}, err
	}
	if !r.Status.OK() {
		return job.Health{}, errors.New("the drive refused the command")
	}
	return NVMeHealth(log), nil
}

// smartStatus is SMART RETURN STATUS (ACS-4, 7.46.7).
var smartStatus = passthru.Taskfile{Command: 0xb0, Feature: 0xda, LBA: smartGoodMid<<8 | smartGoodHigh<<16, Timeout: healthTime}

func askATA(f *os.File) (job.Health, error) {
	r, err := passthru.Device{File: f}.SCSI(smartStatus.SCSI())
	if err != nil {
		return job.Health{}, err
	}
	return ATAHealth(r.Sense), nil
}
