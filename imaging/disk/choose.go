package disk

import (
	"ingot/imaging/job"
)

// Choose finds the one drive that want names. The serial decides, with the WWN where want has one; size and
// sector size must then agree, and a removable or read-only drive is refused. Errors are *job.Fault.
func Choose(drives []job.Drive, want job.Target) (job.Drive, error) {
	d, err := find(drives, want)
	if err != nil {
		return d, err
	}
	return d, Match(d, want)
}

// ChooseSource is Choose for a drive that is only read: it may be read-only.
func ChooseSource(drives []job.Drive, want job.Target) (job.Drive, error) {
	d, err := find(drives, want)
	if err != nil {
		return d, err
	}
	return d, matchSource(d, want)
}

func matchSource(d job.Drive, want job.Target) error {
	if err := same(d, want); err != nil {
		return err
	}
	return matchSize(d.SizeBytes, d.SectorSize, want)
}

// find looks for the one drive with the serial, and the WWN where want has one.
func find(drives []job.Drive, want job.Target) (job.Drive, error) {
	if len(drives) == 0 {
		return job.Drive{}, job.Faultf(job.CodeNoDrive, "")
	}
	if want.Serial == "" {
		return job.Drive{}, job.Faultf(job.CodeWrongDrive, "The order names no serial.")
	}
	var found []job.Drive
	for _, d := range drives {
		if d.Serial == want.Serial && (want.WWN == "" || d.WWN == want.WWN) {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 0:
		return job.Drive{}, job.Faultf(job.CodeWrongDrive, "Approved: serial %s. Found: %s.", want.Serial, serials(drives))
	case 1:
		return found[0], nil
	}
	return job.Drive{}, job.Faultf(job.CodeWrongDrive, "Two drives tell the serial %s.", want.Serial)
}

// Match compares one drive with what was approved to be written. Errors are *job.Fault.
func Match(d job.Drive, want job.Target) error {
	if err := same(d, want); err != nil {
		return err
	}
	if d.ReadOnly {
		return job.Faultf(job.CodeDriveWrite, "%s, serial %s, is read-only. Nothing was written.", d.Path, d.Serial)
	}
	return matchSize(d.SizeBytes, d.SectorSize, want)
}

// same holds that a drive is the approved one, whatever is to be done with it.
func same(d job.Drive, want job.Target) error {
	switch {
	case want.Serial == "" || d.Serial != want.Serial:
		return job.Faultf(job.CodeWrongDrive, "Approved: serial %s. Found: %s.", want.Serial, d.Serial)
	case want.WWN != "" && d.WWN != want.WWN:
		return job.Faultf(job.CodeWrongDrive, "Approved: WWN %s. Found: %s.", want.WWN, d.WWN)
	case d.Removable || d.Transport == "usb":
		return job.Faultf(job.CodeRemovable, "%s, serial %s, on %s.", d.Path, d.Serial, d.Transport)
	}
	return nil
}

func matchSize(size uint64, sector int, want job.Target) error {
	if sector != want.SectorSize {
		return job.Faultf(job.CodeSectorSize, "Approved: %d bytes. Found: %d bytes.", want.SectorSize, sector)
	}
	if size != want.SizeBytes {
		return job.Faultf(job.CodeWrongDrive, "Approved: %d bytes. Found: %d bytes.", want.SizeBytes, size)
	}
	return nil
}

func serials(drives []job.Drive) string {
	s := ""
	for i, d := range drives {
		if i > 0 {
			s += ", "
		}
		if d.Serial == "" {
			s += d.Path + " without a serial"
			continue
		}
		s += d.Serial
	}
	return s
}
