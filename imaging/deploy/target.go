package deploy

import (
	"slices"
	"strings"

	"ingot/imaging/job"
	"ingot/imaging/preflight"
	"ingot/store"
)

// chooseDrive picks the one drive that a job may write, and says how it was chosen.
func chooseDrive(drives []job.Drive, serial string, rule job.DriveRule) (job.Drive, job.DriveRule, error) {
	serial = strings.TrimSpace(serial)
	if serial != "" {
		rule = job.DriveNamed
	}
	d, err := preflight.Choose(drives, serial, rule)
	return d, rule, err
}

// target names a drive as a job does.
func target(d job.Drive) job.Target {
	return job.Target{Serial: strings.TrimSpace(d.Serial), WWN: d.WWN, Model: d.Model, SizeBytes: d.SizeBytes, SectorSize: d.SectorSize}
}

// holds reports whether the target is among the drives that a laptop tells of now.
func holds(drives []job.Drive, t job.Target) bool {
	for _, d := range drives {
		if strings.TrimSpace(d.Serial) == t.Serial && d.SizeBytes == t.SizeBytes && d.SectorSize == t.SectorSize &&
			(t.WWN == "" || d.WWN == t.WWN) && !d.Removable {
			return true
		}
	}
	return false
}

// fits refuses a version that this drive cannot hold, before anybody walks to the laptop.
func fits(v store.Version, t job.Target) error {
	if v.SectorSize != t.SectorSize {
		return job.Faultf(job.CodeSectorSize, "The drive has sectors of %d bytes, %s of %d.", t.SectorSize, v.Ref(), v.SectorSize)
	}
	if t.SizeBytes < v.NeedBytes {
		return job.Faultf(job.CodeSmallDrive, "The drive has %d bytes, %s needs %d.", t.SizeBytes, v.Ref(), v.NeedBytes)
	}
	if t.SizeBytes > v.DiskSize && v.GrowWhy != "" {
		return job.Faultf(job.CodeLayout, "The drive has %d bytes, %s was made on a disk of %d. %s", t.SizeBytes, v.Ref(), v.DiskSize, v.GrowWhy)
	}
	return nil
}

// suits holds the laptop, as it was when it was last seen, against what the version needs and the drive says. The
// laptop asks the same again before its first write.
func suits(v store.Version, d store.Device, drive job.Drive, despite bool) error {
	n := v.Needs()
	if err := preflight.Starts(n, d.Firmware, d.Arch); err != nil {
		return err
	}
	if _, err := preflight.Memory(n, d.MemoryBytes); err != nil {
		return err
	}
	if _, err := preflight.Healthy(drive.Health, despite); err != nil {
		return err
	}
	return preflight.TrustsByName(n, d.Arch, d.Keys)
}

// takeHealth keeps what a Hello tells of the laptop's condition.
func takeHealth(d *store.Device, h job.Hello) {
	d.Arch, d.Keys = h.Arch, h.Keys
	p := h.Power.Clean()
	d.Power = &p
	d.Drives = slices.Clone(h.Drives)
	for i := range d.Drives {
		d.Drives[i].Health = d.Drives[i].Health.Clean()
	}
}
