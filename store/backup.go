package store

import "time"

// KeepBackup keeps a backup that was made again, equal to the one that is there, at least until the later date.
func (tx *Tx) KeepBackup(v *Version, until time.Time) error {
	if v.Kind != Backup || !until.After(v.Expires) {
		return nil
	}
	v.Expires = until
	return put(tx, bVersions, versionKey(v.Image, v.Number), *v)
}
