package deploy

import (
	"slices"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// chooseDrive picks the one drive that a job may write: by serial when the operator named it, by the role's
// rule, or because there is only one. A choice that nobody made is refused.
func chooseDrive(drives []job.Drive, serial string, rule store.DriveRule) (job.Target, error) {
	var able []job.Drive
	for _, d := range drives {
		if !d.Removable && !d.ReadOnly && d.SizeBytes > 0 {
			able = append(able, d)
		}
	}
	if len(able) == 0 {
		return job.Target{}, job.Faultf(job.CodeNoDrive, "It told of %d drives, none of them internal and writable.", len(drives))
	}
	d, err := pick(able, strings.TrimSpace(serial), rule)
	if err != nil {
		return job.Target{}, err
	}
	if strings.TrimSpace(d.Serial) == "" {
		return job.Target{}, job.Faultf(job.CodeWrongDrive, "%s tells no serial, so it cannot be named safely.", d.Path)
	}
	return job.Target{Serial: strings.TrimSpace(d.Serial), WWN: d.WWN, Model: d.Model, SizeBytes: d.SizeBytes, SectorSize: d.SectorSize}, nil
}

func pick(able []job.Drive, serial string, rule store.DriveRule) (job.Drive, error) {
	if serial != "" {
		able = filter(able, func(d job.Drive) bool { return strings.TrimSpace(d.Serial) == serial })
	} else {
		switch rule {
		case store.DriveLargest, store.DriveSmallest:
			best := able[0].SizeBytes
			for _, d := range able {
				if (rule == store.DriveLargest) == (d.SizeBytes > best) {
					best = d.SizeBytes
				}
			}
			able = filter(able, func(d job.Drive) bool { return d.SizeBytes == best })
		case store.DriveNVMe:
			able = filter(able, func(d job.Drive) bool { return d.Transport == "nvme" })
		}
	}
	if len(able) == 1 {
		return able[0], nil
	}
	if len(able) == 0 {
		return job.Drive{}, job.Faultf(job.CodeWrongDrive, "No internal drive fits the choice %q.", serial+string(rule))
	}
	names := make([]string, len(able))
	for i, d := range able {
		names[i] = d.Serial
	}
	return job.Drive{}, job.Faultf(job.CodeBadRequest, "Several drives could be meant (%s): name one with --drive SERIAL.", strings.Join(names, ", "))
}

func filter(in []job.Drive, keep func(job.Drive) bool) []job.Drive {
	var out []job.Drive
	for _, d := range in {
		if keep(d) {
			out = append(out, d)
		}
	}
	return out
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

// starts refuses a version that this laptop's firmware could not start.
func starts(v store.Version, firmware string) error {
	if len(v.Firmware) > 0 && firmware != "" && !slices.Contains(v.Firmware, firmware) {
		return job.Faultf(job.CodeFirmwareMode, "The laptop starts by %s, %s only by %s.", firmware, v.Ref(), strings.Join(v.Firmware, ", "))
	}
	return nil
}
