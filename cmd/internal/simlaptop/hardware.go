package simlaptop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"ingot/firmware/efivar"
	"ingot/imaging/agent"
	"ingot/imaging/disk"
	"ingot/imaging/fs"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
)

// Prepare and the methods behind it make a Run an agent.Machine.
func (r *Run) Prepare(context.Context, job.BootInfo) error { return nil }

// Describe tells what the laptop is.
func (r *Run) Describe(context.Context) (job.Hello, error) { return r.laptop.Hello, nil }

// Unplugged is never true: the cable stays where it is.
func (r *Run) Unplugged() bool { return false }

// Power is what feeds it.
func (r *Run) Power() job.Power { return r.laptop.Hello.Power }

// List, Examine, Open and OpenReader make it agent.Drives.
func (r *Run) List() ([]job.Drive, error) { return []job.Drive{r.laptop.Drive}, nil }

// Examine leaves the drives as they are: the file has no health of its own.
func (r *Run) Examine([]job.Drive) {}

// Open opens the file as the drive that a job names.
func (r *Run) Open(want job.Target) (*disk.Disk, error) {
	drive, err := disk.Choose([]job.Drive{r.laptop.Drive}, want)
	if err != nil {
		return nil, err
	}
	return disk.OpenFile(drive.Path, drive)
}

// OpenReader opens it for a capture.
func (r *Run) OpenReader(want job.Target) (*disk.Reader, error) {
	drive, err := disk.ChooseSource([]job.Drive{r.laptop.Drive}, want)
	if err != nil {
		return nil, err
	}
	return disk.OpenFileReader(drive.Path, drive)
}

// fallback is what UEFI firmware starts on a drive for which it has no entry.
const fallback = "/EFI/BOOT/BOOTX64.EFI"

// Check, Install, Keys and Local make it agent.Firmware. Check wants the loader that a real firmware would want.
func (r *Run) Check(_ context.Context, w agent.Written, _ []byte) error {
	err := errors.New("there is no EFI partition")
	for _, p := range w.Parts {
		if strings.EqualFold(p.TypeGUID, gpt.TypeESP.String()) {
			err = holds(r.laptop.Drive.Path, p, fallback)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", job.Faultf(job.CodeNoBootPath, "The drive has no %s.", fallback), err)
	}
	return nil
}

// holds looks for a file in one partition of a drive.
func holds(drive string, p disk.Part, name string) error {
	f, err := os.Open(drive)
	if err != nil {
		return err
	}
	defer f.Close()
	v, err := fs.Open(section(f, p), int64(p.Size))
	if err != nil {
		return err
	}
	_, err = v.Stat(name)
	return err
}

// Install tells the name of an entry that no firmware holds.
func (r *Run) Install(context.Context, agent.Written) (string, error) { return "Boot0001", nil }

// Keys says that Secure Boot enforces nothing.
func (r *Run) Keys() (*efivar.Keys, error) { return nil, nil }

// Local is only of interest to firmware.
func (r *Run) Local(context.Context) error { return nil }

// Reset and Off make it agent.Power.
func (r *Run) Reset() error { r.end("reset"); return nil }

// Off switches it off.
func (r *Run) Off() error { r.end("off"); return nil }
