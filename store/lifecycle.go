package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ingot/imaging/job"
)

// versionMoves is the life of a golden Version. A retired one may be released again: whoever retired the wrong one can
// undo it. A withdrawn one stays so.
var versionMoves = map[VersionState][]VersionState{
	Draft:     {Released, Withdrawn},
	Released:  {Retired, Withdrawn},
	Retired:   {Released, Withdrawn},
	Withdrawn: {},
}

// May reports whether a Version may go from one state to another.
func (s VersionState) May(to VersionState) bool { return slices.Contains(versionMoves[s], to) }

// VersionAct is one act in the life of a Version, or the choice of an Image's current one.
type VersionAct struct {
	Time   time.Time `json:"time"`
	By     string    `json:"by"`
	Act    string    `json:"act"`              // of a Version: release, retire, withdraw, delete; of an Image: current, rollback
	Number int       `json:"number,omitempty"` // of an Image's act: which Version became current
	Reason string    `json:"reason,omitempty"`
}

// MaxActs bounds the acts that a Version or an Image remembers; the oldest go first, and stay in the audit chain.
const MaxActs = 100

func remember(acts []VersionAct, a VersionAct) []VersionAct {
	acts = append(acts, a)
	return acts[max(0, len(acts)-MaxActs):]
}

// VersionOrder asks for an act on a Version.
type VersionOrder struct {
	Version  string `json:"version"`            // NAME@NUMBER or NAME@LABEL; rollback and cadence: NAME
	Reason   string `json:"reason,omitempty"`   // one line; needed to withdraw, to roll back, to release again and to delete by force
	Override string `json:"override,omitempty"` // release: why its red findings do not matter
	To       int    `json:"to,omitempty"`       // rollback: number of the Version; 0 is the one that was current before
	Days     int    `json:"days,omitempty"`     // cadence: renew the Image every so many days; 0 ends it
	Force    bool   `json:"force,omitempty"`    // delete: although laptops still carry it
}

// MaxReason bounds a reason, in bytes.
const MaxReason = 400

func checkReason(what, s string, needed bool) error {
	switch {
	case len(s) > MaxReason || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return job.Faultf(job.CodeBadRequest, "%s is one line of at most %d characters.", what, MaxReason)
	case needed && strings.TrimSpace(s) == "":
		return job.Faultf(job.CodeBadRequest, "Say why.")
	}
	return nil
}

// Reds are the findings that block the release.
func (v Version) Reds() (out []Finding) {
	for _, f := range v.Checklist {
		if f.Severity == Red {
			out = append(out, f)
		}
	}
	return out
}

// against lists what speaks against a Version's release: its red findings, and the same content having been withdrawn.
func (tx *Tx) against(v Version) (facts []string, err error) {
	for _, f := range v.Reds() {
		facts = append(facts, f.Fact)
	}
	all, err := tx.Versions("")
	for _, o := range all {
		if o.State == Withdrawn && o.Manifest == v.Manifest {
			facts = append(facts, fmt.Sprintf("%s holds exactly this and was withdrawn: %s.", o.Ref(), strings.TrimSuffix(o.lastReason("withdraw"), ".")))
		}
	}
	return facts, err
}

// lastReason is the reason of the newest act of a kind.
func (v Version) lastReason(act string) string {
	for i := len(v.Acts) - 1; i >= 0; i-- {
		if v.Acts[i].Act == act {
			return v.Acts[i].Reason
		}
	}
	return ""
}

// Release makes a Version the one that its Image's laptops receive.
func (tx *Tx) Release(by string, o VersionOrder) (Version, error) {
	v, img, err := tx.movable(o, Released)
	if err != nil {
		return v, err
	}
	if v.Kind == Backup {
		return v, job.Faultf(job.CodeBackup, "%s is a backup of one laptop, and is never released.", v.Ref())
	}
	if strings.TrimSpace(v.Note) == "" {
		return v, job.Faultf(job.CodeNoNote, "%s has no change note.", v.Ref())
	}
	if err := checkReason("The reason", o.Reason, v.State == Retired); err != nil {
		return v, err
	}
	if err := checkReason("The override", o.Override, false); err != nil {
		return v, err
	}
	against, err := tx.against(v)
	if err != nil {
		return v, err
	}
	text := "Released."
	if len(against) > 0 {
		if strings.TrimSpace(o.Override) == "" {
			return v, job.Faultf(job.CodeRed, "%s: %s", v.Ref(), strings.Join(against, " "))
		}
		v.Override = o.Override
		text = fmt.Sprintf("Released although (%s): %s", strings.Join(against, " "), o.Override)
	}
	v.State = Released
	img.Current = v.Number
	img.Acts = remember(img.Acts, VersionAct{tx.now, by, "current", v.Number, o.Reason})
	return tx.keep(by, v, img, "release", strings.TrimSpace(o.Reason+" "+v.Override), text)
}

// Retire ends the use of a released Version for new deployments; the record of who received it stays.
func (tx *Tx) Retire(by string, o VersionOrder) (Version, error) {
	v, img, err := tx.movable(o, Retired)
	if err == nil {
		err = checkReason("The reason", o.Reason, false)
	}
	if err != nil {
		return v, err
	}
	v.State = Retired
	text, err := tx.stepDown(by, &img, v)
	if err != nil {
		return v, err
	}
	return tx.keep(by, v, img, "retire", o.Reason, "Retired. "+text)
}

// Withdraw forbids a Version for good.
func (tx *Tx) Withdraw(by string, o VersionOrder) (Version, error) {
	v, img, err := tx.movable(o, Withdrawn)
	if err == nil {
		err = checkReason("The reason", o.Reason, true)
	}
	if err != nil {
		return v, err
	}
	v.State = Withdrawn
	text, err := tx.stepDown(by, &img, v)
	if err != nil {
		return v, err
	}
	return tx.keep(by, v, img, "withdraw", o.Reason, "Withdrawn: "+o.Reason+" "+text)
}

// Delete gives up a Version's content. Its record, and the record of who received it, stay.
func (tx *Tx) Delete(by string, o VersionOrder) (Version, error) {
	v, err := tx.exactVersion(o.Version)
	if err == nil {
		err = checkReason("The reason", o.Reason, o.Force)
	}
	if err != nil {
		return v, err
	}
	if v.Deleted || v.State == Released && v.Kind == Golden {
		return v, job.Faultf(job.CodeVersionState, "%s is %s: only a draft, a retired, a withdrawn version or a backup is deleted.", v.Ref(), v.Word())
	}
	jobs, err := tx.Jobs()
	if err != nil {
		return v, err
	}
	for _, j := range jobs {
		if !j.State.Final() && j.Image == v.Ref() {
			return v, job.Faultf(job.CodeHeld, "Job %s puts %s on a laptop now.", j.ID, v.Ref())
		}
	}
	held, err := tx.Recipients(v.Image, v.Number)
	if err != nil {
		return v, err
	}
	carry := 0
	for _, h := range held {
		if h.Holds {
			carry++
		}
	}
	if carry > 0 && !o.Force {
		return v, job.Faultf(job.CodeHeld, "Devices that carry %s: %d.", v.Ref(), carry)
	}
	if v.Kind == Backup && tx.now.Before(v.Expires) && !o.Force {
		return v, job.Faultf(job.CodeHeld, "The backup %s is kept until %s.", v.Ref(), v.Expires.Format(time.DateOnly))
	}
	v.Deleted = true
	img, err := tx.Image(v.Image)
	if err != nil {
		return v, err
	}
	return tx.keep(by, v, img, "delete", o.Reason, fmt.Sprintf("Content given up; devices that carry it: %d. %s", carry, o.Reason))
}

// SetCadence says how often an Image is to be renewed.
func (tx *Tx) SetCadence(by string, o VersionOrder) (Image, error) {
	img, err := tx.Image(o.Version)
	if err != nil {
		return img, err
	}
	if o.Days < 0 || o.Days > 3650 {
		return img, job.Faultf(job.CodeBadRequest, "A cadence is 1 to 3650 days; 0 ends it.")
	}
	img.CadenceDays = o.Days
	return img, errors.Join(put(tx, bImages, []byte(img.Name), img), tx.Audit(by, "cadence", img.Name, fmt.Sprintf("Renewed every %d days.", o.Days)))
}

// movable finds the Version of an order and its Image, and refuses a move that its state does not allow.
func (tx *Tx) movable(o VersionOrder, to VersionState) (v Version, img Image, err error) {
	if v, err = tx.exactVersion(o.Version); err != nil {
		return v, img, err
	}
	if img, err = tx.Image(v.Image); err != nil {
		return v, img, err
	}
	if v.Deleted || !v.State.May(to) {
		last := ""
		if n := len(v.Acts); n > 0 {
			last = fmt.Sprintf(" (by %s, %s)", v.Acts[n-1].By, v.Acts[n-1].Time.Format("2006-01-02 15:04"))
		}
		return v, img, job.Faultf(job.CodeVersionState, "%s is %s%s and cannot become %s.", v.Ref(), v.Word(), last, to)
	}
	return v, img, nil
}

// exactVersion finds a Version that is named with its number or label: an act on "the newest" would hit another one
// than the person saw.
func (tx *Tx) exactVersion(ref string) (Version, error) {
	if !strings.Contains(ref, "@") {
		return Version{}, job.Faultf(job.CodeBadRequest, "Name the version, such as %.60s@3.", ref)
	}
	return tx.FindVersion(ref)
}

// keep writes what an act changed, with its audit event.
func (tx *Tx) keep(by string, v Version, img Image, act, reason, text string) (Version, error) {
	if act != "" {
		v.Acts = remember(v.Acts, VersionAct{Time: tx.now, By: by, Act: act, Reason: reason})
	} else {
		act = "rollback"
	}
	return v, errors.Join(put(tx, bVersions, versionKey(v.Image, v.Number), v), put(tx, bImages, []byte(img.Name), img),
		tx.Audit(by, act, v.Ref().String(), strings.TrimSpace(text)))
}
