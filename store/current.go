package store

import (
	"fmt"
	"slices"

	"ingot/imaging/job"
)

// trail lists the Versions that an Image may go back to, the nearest last. A release lies on top of those before it; who
// goes back gives up what lay above: a Version that a person turned away from does not return by itself.
func (img Image) trail(all []Version) (out []int) {
	usable := map[int]bool{}
	for _, v := range all {
		if usable[v.Number] = v.Deployable(); !usable[v.Number] {
			continue
		}
		if !slices.ContainsFunc(img.Acts, func(a VersionAct) bool { return a.Number == v.Number }) && (v.Number < img.Current || len(img.Acts) > 0) {
			out = append(out, v.Number) // released before acts were kept
		}
	}
	for _, a := range img.Acts {
		switch i := slices.Index(out, a.Number); {
		case i < 0:
			out = append(out, a.Number)
		case a.Act == "rollback":
			out = out[:i+1]
		default:
			out = append(slices.Delete(out, i, i+1), a.Number)
		}
	}
	return slices.DeleteFunc(out, func(n int) bool { return n == img.Current || !usable[n] })
}

// wentBack is the act by which the current Version became so, if that was a going back.
func (img Image) wentBack() (VersionAct, bool) {
	if len(img.Acts) == 0 {
		return VersionAct{}, false
	}
	last := img.Acts[len(img.Acts)-1]
	return last, last.Act == "rollback" && last.Number == img.Current
}

// Rollback makes an earlier released Version the current one of its Image again. Without a number it goes back one step,
// once: two people who press at the same time shall not go back twice.
func (tx *Tx) Rollback(by string, o VersionOrder) (Version, error) {
	img, err := tx.Image(o.Version)
	if err == nil {
		err = checkReason("The reason", o.Reason, true)
	}
	if err != nil {
		return Version{}, err
	}
	to := o.To
	if to == 0 {
		if to, err = tx.stepBack(img); err != nil {
			return Version{}, err
		}
	}
	v, err := tx.Version(img.Name, to)
	switch {
	case isNotFound(err):
		return v, job.Faultf(job.CodeNotFound, "%s has no version %d.", img.Name, to)
	case err != nil:
		return v, err
	case !v.Deployable():
		return v, job.Faultf(job.CodeVersionState, "%s is %s: only a released version becomes current.", v.Ref(), v.Word())
	case v.Number == img.Current:
		return v, job.Faultf(job.CodeVersionState, "%s is current already.", v.Ref())
	}
	was := img.Current
	img.Current = to
	img.Acts = remember(img.Acts, VersionAct{tx.now, by, "rollback", to, o.Reason})
	return tx.keep(by, v, img, "", "", fmt.Sprintf("Current again, after version %d: %s", was, o.Reason))
}

// stepBack finds the Version that was current before.
func (tx *Tx) stepBack(img Image) (int, error) {
	if a, ok := img.wentBack(); ok {
		return 0, job.Faultf(job.CodeVersionState, "%s went back to version %d already (by %s, %s: %s). To go further back, name the version.",
			img.Name, a.Number, a.By, a.Time.Format("2006-01-02 15:04"), a.Reason)
	}
	all, err := tx.Versions(img.Name)
	if err != nil {
		return 0, err
	}
	trail := img.trail(all)
	if len(trail) == 0 {
		return 0, job.Faultf(job.CodeVersionState, "%s has no earlier released version to go back to.", img.Name)
	}
	return trail[len(trail)-1], nil
}

// stepDown makes the Version before it current when the one that was goes.
func (tx *Tx) stepDown(by string, img *Image, gone Version) (string, error) {
	if img.Current != gone.Number {
		return "", nil
	}
	all, err := tx.Versions(img.Name)
	if err != nil {
		return "", err
	}
	trail := img.trail(all)
	if img.Current = 0; len(trail) == 0 {
		return img.Name + " has no current version now.", nil
	}
	img.Current = trail[len(trail)-1]
	img.Acts = remember(img.Acts, VersionAct{tx.now, by, "rollback", img.Current, fmt.Sprintf("Version %d is %s.", gone.Number, gone.State)})
	return fmt.Sprintf("Current is version %d now.", img.Current), nil
}
