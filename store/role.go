package store

import (
	"errors"
	"time"

	"ingot/imaging/job"
)

// Role is what a device is for.
type Role struct {
	Name     string        `json:"name"`
	Revision int           `json:"revision"` // raised by every change; a Deployment records it
	Image    string        `json:"image"`    // NAME or NAME@VERSION
	Pattern  string        `json:"pattern"`  // of Names; may be empty
	Drive    job.DriveRule `json:"drive"`
	Changed  time.Time     `json:"changed"`
	By       string        `json:"by"`
}

// PutRole checks and writes a role, raising its revision.
func (tx *Tx) PutRole(r Role) (Role, error) {
	if err := CheckLabel("a role", r.Name); err != nil {
		return r, err
	}
	if r.Pattern != "" {
		if _, err := ParsePattern(r.Pattern); err != nil {
			return r, err
		}
	}
	switch r.Drive {
	case job.DriveOnly, job.DriveLargest, job.DriveSmallest, job.DriveNVMe:
	default:
		return r, job.Faultf(job.CodeBadRequest, "Unknown drive rule %.20q; known are largest, smallest, nvme.", string(r.Drive))
	}
	v, err := tx.FindVersion(r.Image)
	if err != nil && job.FaultOf(err).Code != job.CodeNotReleased {
		return r, err // a role may be made ready before its image's first release
	}
	if v.Kind == Backup {
		return r, job.Faultf(job.CodeBackup, "%s is put back by a person, not by a role.", v.Ref())
	}
	old, err := tx.Role(r.Name)
	if err != nil && !isNotFound(err) {
		return r, err
	}
	r.Revision, r.Changed = old.Revision+1, tx.now
	return r, put(tx, bRoles, []byte(r.Name), r)
}

// Role reads one role.
func (tx *Tx) Role(name string) (Role, error) {
	r, err := get[Role](tx, bRoles, []byte(name))
	if errors.Is(err, ErrNotFound) {
		return r, job.Faultf(job.CodeNotFound, "No role %.60q.", name)
	}
	return r, err
}

// Roles lists every role.
func (tx *Tx) Roles() ([]Role, error) { return all[Role](tx, bRoles) }

// isNotFound covers both the sentinel and its words.
func isNotFound(err error) bool {
	var f *job.Fault
	return errors.Is(err, ErrNotFound) || errors.As(err, &f) && f.Code == job.CodeNotFound
}
