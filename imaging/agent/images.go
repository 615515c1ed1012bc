package agent

import (
	"context"

	"ingot/imaging"
	"ingot/imaging/disk"
	"ingot/imaging/job"
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

// OpenReader opens the drive that a job names for reading alone.
func (l Local) OpenReader(want job.Target) (*disk.Reader, error) { return disk.OpenReader(l.Sys, want) }
