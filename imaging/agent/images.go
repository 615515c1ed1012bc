package agent

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"ingot/imaging"
	"ingot/imaging/disk"
	"ingot/imaging/job"
	"ingot/imaging/wipe"
)

// Images is where manifests and chunks come from.
type Images interface {
	// OpenManifest returns the manifest whose digest is d and no other. Its windows are proven when read.
	OpenManifest(ctx context.Context, d imaging.Digest) (*imaging.Manifest, error)
	disk.Source
}

// Local is Drives over the laptop's own sysfs.
type Local struct {
	Sys string // "/sys"
}

// List reads the drives.
func (l Local) List() ([]job.Drive, error) { return disk.List(l.Sys) }

// Examine asks each drive how it is and looks at what lies on it.
func (l Local) Examine(drives []job.Drive) { disk.Examine(drives) }

// Open opens the drive that a job names.
func (l Local) Open(want job.Target) (*disk.Disk, error) { return disk.Open(l.Sys, want) }

// OpenWipe opens a drive whose own commands wipe it.
func (l Local) OpenWipe(want job.Target) (WipePort, error) {
	drives, err := disk.List(l.Sys)
	if err != nil {
		return nil, err
	}
	drive, err := disk.Choose(drives, want)
	if err != nil {
		return nil, err
	}
	o, err := wipe.Open(l.Sys, drive.Path, func(f *os.File) (wipe.Facts, error) {
		d, err := disk.Of(l.Sys, f)
		return wipe.Facts{Path: d.Path, Transport: d.Transport, Serial: d.Serial, WWN: d.WWN, Model: d.Model, Rotational: d.Rotational, ReadOnly: d.ReadOnly}, err
	})
	if errors.Is(err, unix.EBUSY) {
		return nil, fmt.Errorf("%w: %w", err, job.Faultf(job.CodeDriveBusy, "%s is mounted or opened.", drive.Path))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, job.Faultf(job.CodeDriveRead, "%s cannot be opened.", drive.Path))
	}
	return o, nil
}

// Controllers lists the storage controllers.
func (l Local) Controllers() ([]wipe.Controller, error) { return wipe.Controllers(l.Sys) }

// OpenReader opens the drive that a job names for reading alone.
func (l Local) OpenReader(want job.Target) (*disk.Reader, error) { return disk.OpenReader(l.Sys, want) }
