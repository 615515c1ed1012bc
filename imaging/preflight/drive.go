package preflight

import (
	"strings"

	"ingot/imaging/job"
)

// Choose picks the one drive that a job may write: by serial when the operator named it, by a rule, or because there
// is only one. A choice that nobody made is refused.
func Choose(drives []job.Drive, serial string, rule job.DriveRule) (job.Drive, error) {
	able := internal(drives)
	if len(drives) == 0 {
		return job.Drive{}, job.Faultf(job.CodeNoDrive, "It told of none yet: if it never started here, start it from the network first.")
	}
	if len(able) == 0 {
		return job.Drive{}, job.Faultf(job.CodeNoDrive, "It told of %d drives, none of them internal and writable.", len(drives))
	}
	d, err := pick(able, serial, rule)
	if err == nil && serialOf(d) == "" {
		err = job.Faultf(job.CodeWrongDrive, "%s tells no serial, so it cannot be named safely.", d.Path)
	}
	return d, err
}

// Still refuses a target that the rule behind it would not choose any more among the drives that are there now. A
// target that the operator named by its serial stays what it is.
func Still(drives []job.Drive, t job.Target, rule job.DriveRule) error {
	if rule == job.DriveNamed {
		return nil
	}
	d, err := Choose(drives, "", rule)
	if err != nil {
		return err
	}
	if serialOf(d) != t.Serial {
		return job.Faultf(job.CodeWrongDrive, "Approved: serial %s. The rule %q now means %s.", t.Serial, string(rule), serialOf(d))
	}
	return nil
}

func pick(able []job.Drive, serial string, rule job.DriveRule) (job.Drive, error) {
	switch {
	case serial != "":
		able = filter(able, func(d job.Drive) bool { return serialOf(d) == serial })
	case rule == job.DriveLargest, rule == job.DriveSmallest:
		best := able[0].SizeBytes
		for _, d := range able {
			if (rule == job.DriveLargest) == (d.SizeBytes > best) {
				best = d.SizeBytes
			}
		}
		able = filter(able, func(d job.Drive) bool { return d.SizeBytes == best })
	case rule == job.DriveNVMe:
		able = filter(able, func(d job.Drive) bool { return d.Transport == "nvme" })
	}
	if len(able) == 1 {
		return able[0], nil
	}
	if len(able) == 0 {
		return job.Drive{}, job.Faultf(job.CodeWrongDrive, "No internal drive fits the choice %q.", serial+string(rule))
	}
	names := make([]string, len(able))
	for i, d := range able {
		names[i] = serialOf(d)
	}
	return job.Drive{}, job.Faultf(job.CodeManyDrives, "Internal drives: %s.", strings.Join(names, ", "))
}

func internal(drives []job.Drive) []job.Drive {
	return filter(drives, func(d job.Drive) bool { return !d.Removable && !d.ReadOnly && d.SizeBytes > 0 })
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

func serialOf(d job.Drive) string { return strings.TrimSpace(d.Serial) }
