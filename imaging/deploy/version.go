package deploy

import (
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// deployable says whether a Version may be put on a device, by its state, its kind and its age. stale is what the
// record keeps when an old one is used with a reason.
func deployable(tx *store.Tx, d store.Device, v store.Version, o store.Order) (stale string, err error) {
	if err := fitEntry("reason", o.StaleReason, store.MaxReason); err != nil {
		return "", err
	}
	switch {
	case v.Deleted, v.State == store.Retired, v.State == store.Withdrawn:
		return "", job.Faultf(job.CodeWithdrawn, "%s is %s.", v.Ref(), v.Word())
	case v.Kind == store.Backup && v.Device != d.ID:
		return "", job.Faultf(job.CodeBackup, "%s is of another laptop than %s.", v.Ref(), d.Label())
	case v.Kind == store.Backup && o.Image == "":
		return "", job.Faultf(job.CodeBackup, "%s is put back by a person, not by a role.", v.Ref())
	case v.Kind == store.Backup:
		return "", nil
	case v.Kind != store.Golden:
		return "", job.Faultf(job.CodeInternal, "%s is of an unknown kind.", v.Ref())
	case v.State == store.Draft && (!o.Trial || o.Image == ""): // a role's draft is nobody's trial
		return "", job.Faultf(job.CodeNotReleased, "%s is a draft.", v.Ref())
	}
	img, err := tx.Image(v.Image)
	if err != nil {
		return "", err
	}
	if stale = v.Stale(img, tx.Now()); stale == "" {
		return "", nil
	}
	if strings.TrimSpace(o.StaleReason) == "" {
		return "", job.Faultf(job.CodeOutdated, "%s", stale)
	}
	return stale + " Used because: " + o.StaleReason, nil
}

// forbidden says whether a Version was withdrawn, or its content given up, since its job was ordered. A job that has
// begun to write is let through: half an image helps nobody.
func forbidden(tx *store.Tx, j store.Job) (*job.Fault, error) {
	if j.Kind != job.Deploy || j.Kind.Started(j.Reached) {
		return nil, nil
	}
	v, err := tx.Version(j.Image.Name, j.Image.Number)
	if err != nil {
		return nil, err
	}
	if v.State != store.Withdrawn && !v.Deleted {
		return nil, nil
	}
	why := v.Word()
	if n := len(v.Acts); n > 0 && v.Acts[n-1].Reason != "" {
		why += ": " + v.Acts[n-1].Reason
	}
	return job.Faultf(job.CodeWithdrawn, "%s was %s.", v.Ref(), why), nil
}

// aside is what the audit trail says beside an order that is not an everyday one.
func aside(j store.Job) string {
	switch {
	case j.Trial:
		return ", on trial"
	case j.Stale != "":
		return ", old: " + j.Stale
	}
	return ""
}
