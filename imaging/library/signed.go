package library

import (
	"context"

	"ingot/imaging/bundle"
	"ingot/store"
)

// checkSigned names every record of a version that is damaged, or says something else than was signed about it.
func (l *Library) checkSigned() (out []store.Damage, err error) {
	err = l.DB.View(func(tx *store.Tx) error {
		return tx.CheckVersions(func(ref, what string) {
			out = append(out, store.Damage{What: "record of " + ref + ": " + what, Versions: []string{ref}})
		})
	})
	return out, err
}

// Keys lists the keys whose signed versions are taken here.
func (l *Library) Keys(context.Context) (k store.ImageKeys, err error) {
	err = l.DB.View(func(tx *store.Tx) error {
		if own := tx.OwnKey(); own != nil {
			k.Own = bundle.Fingerprint(own)
		}
		k.Trusted, err = tx.TrustedKeys()
		return err
	})
	return k, err
}

// ForgetKey takes a key off the list of trusted ones.
func (l *Library) ForgetKey(_ context.Context, operator, fingerprint string) error {
	return l.DB.Update(func(tx *store.Tx) error { return tx.Distrust(fingerprint, operator) })
}
