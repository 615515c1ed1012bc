package library

import (
	"context"
	"errors"
	"fmt"

	"ingot/imaging/job"
	"ingot/store"
)

// record records a Version whose content is safe, and releases it in the same transaction when that is wished and
// nothing stands against it. A Version that cannot be released is kept as a draft, and the answer says why. It is the
// one way into the library, of imports and captures; a backup that was made before is kept longer.
func record(tx *store.Tx, act string, v store.Version, seen store.Content, release bool) (store.Imported, error) {
	added, isNew, err := tx.AddVersion(v)
	out := store.Imported{Version: added, Known: !isNew}
	if err != nil {
		return out, err
	}
	if isNew {
		if err := tx.PutContent(added.Image, added.Number, seen); err != nil {
			return out, err
		}
		if err := tx.Audit(v.By, act, added.Ref().String(), fmt.Sprintf("%s, content %s.", added.Source, added.Manifest.Short())); err != nil {
			return out, err
		}
	} else if err := tx.KeepBackup(&out.Version, v.Expires); err != nil {
		return out, err
	}
	if !release || added.State == store.Released {
		return out, nil
	}
	if added.State == store.Retired {
		out.Unreleased = job.Faultf(job.CodeVersionState, "%s holds exactly this and was retired. Releasing it again, with a reason, brings it back.", added.Ref())
		return out, nil
	}
	released, err := tx.Release(v.By, store.VersionOrder{Version: added.Ref().String()})
	switch job.FaultOf(err).Code {
	case job.CodeRed, job.CodeNoNote, job.CodeVersionState, job.CodeBackup:
		out.Unreleased = job.FaultOf(err)
		return out, nil
	}
	if err == nil {
		out.Version = released
	}
	return out, err
}

// named finds a Version for an act that needs no release: without a number it is the current one, or where none was
// released the newest.
func named(tx *store.Tx, ref string) (store.Version, error) {
	v, err := tx.FindVersion(ref)
	if err == nil || job.FaultOf(err).Code != job.CodeNotReleased {
		return v, err
	}
	all, err := tx.Versions(ref)
	for i := len(all) - 1; i >= 0; i-- {
		if !all[i].Deleted {
			return all[i], err
		}
	}
	return v, errors.Join(err, job.Faultf(job.CodeNotFound, "No version of %.60q has its content.", ref))
}

// act is one act on a Version, in a transaction of its own. Its answer counts whom it concerns.
func (l *Library) act(f func(*store.Tx) (store.Version, error)) (out store.VersionView, err error) {
	err = l.DB.Update(func(tx *store.Tx) error {
		v, err := f(tx)
		if err == nil {
			out, err = tx.ViewVersion(v)
		}
		return err
	})
	return out, err
}

// Release makes a Version current.
func (l *Library) Release(_ context.Context, operator string, o store.VersionOrder) (store.VersionView, error) {
	return l.act(func(tx *store.Tx) (store.Version, error) { return tx.Release(operator, o) })
}

// Retire ends a Version's use for new deployments.
func (l *Library) Retire(_ context.Context, operator string, o store.VersionOrder) (store.VersionView, error) {
	return l.act(func(tx *store.Tx) (store.Version, error) { return tx.Retire(operator, o) })
}

// Withdraw forbids a Version for good.
func (l *Library) Withdraw(_ context.Context, operator string, o store.VersionOrder) (store.VersionView, error) {
	return l.act(func(tx *store.Tx) (store.Version, error) { return tx.Withdraw(operator, o) })
}

// Rollback makes an earlier released Version current again.
func (l *Library) Rollback(_ context.Context, operator string, o store.VersionOrder) (store.VersionView, error) {
	return l.act(func(tx *store.Tx) (store.Version, error) { return tx.Rollback(operator, o) })
}

// Delete gives up a Version's content; its record stays.
func (l *Library) Delete(_ context.Context, operator string, o store.VersionOrder) (store.VersionView, error) {
	return l.act(func(tx *store.Tx) (store.Version, error) { return tx.Delete(operator, o) })
}

// SetCadence says how often an Image is to be renewed.
func (l *Library) SetCadence(_ context.Context, operator string, o store.VersionOrder) (img store.Image, err error) {
	err = l.DB.Update(func(tx *store.Tx) error { img, err = tx.SetCadence(operator, o); return err })
	return img, err
}

// History tells an Image's life with that of its versions.
func (l *Library) History(_ context.Context, image string) (out store.ImageView, err error) {
	err = l.DB.View(func(tx *store.Tx) error {
		if out.Image, err = tx.Image(image); err != nil {
			return err
		}
		out.Versions, err = tx.Versions(image)
		return err
	})
	return out, err
}

// Recipients lists who received a Version (NAME@NUMBER) or any of an Image (NAME).
func (l *Library) Recipients(_ context.Context, ref string) (out []store.Recipient, err error) {
	err = l.DB.View(func(tx *store.Tx) error {
		img, err := tx.Image(ref)
		number := 0
		if err != nil {
			v, err := tx.FindVersion(ref)
			if err != nil {
				return err
			}
			img.Name, number = v.Image, v.Number
		}
		out, err = tx.Recipients(img.Name, number)
		return err
	})
	return out, err
}
