package deploy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/store"
)

// Wipe orders the drives of a device that came back to be wiped. Nothing of it ever goes by itself: a person typed the
// serial, and where the site wants it a second one agrees.
func (s *Service) Wipe(ctx context.Context, operator string, right store.Right, o store.WipeOrder) (store.JobView, error) {
	return s.ordered(ctx, operator, "wipe", o.Device, o, func(tx *store.Tx, d store.Device) (store.Job, error) {
		return s.approveWipe(tx, operator, right, d, o)
	})
}

// approveWipe checks an order and makes its Job.
func (s *Service) approveWipe(tx *store.Tx, operator string, right store.Right, d store.Device, o store.WipeOrder) (store.Job, error) {
	if s.cfg.Certs == nil {
		return store.Job{}, job.Faultf(job.CodeDaemon, "This server has no key for certificates.")
	}
	if err := wipable(d, o); err != nil {
		return store.Job{}, err
	}
	if _, err := s.frame(tx, d); err != nil { // a record could not be made of it
		return store.Job{}, err
	}
	policy, err := tx.WipePolicy()
	if err != nil {
		return store.Job{}, err
	}
	drives, err := wipeDrives(tx, d, o)
	if err != nil {
		return store.Job{}, err
	}
	if err := checkPSIDs(o.PSIDs, drives); err != nil {
		return store.Job{}, err
	}
	if o.Then != nil {
		if err := s.wouldFollow(tx, d, *o.Then); err != nil {
			return store.Job{}, err
		}
	}
	access, err := tx.AccessPolicy()
	if err != nil {
		return store.Job{}, err
	}
	w := &store.WipeWork{Order: o, Policy: policy.Policy, Drives: drives, Right: right, NeedsSecond: access.SecondPerson}
	j := store.Job{
		ID: job.ID(newID(16)), Kind: job.Wipe, Device: d.ID, Operator: operator, Wipe: w, Created: tx.Now(), Serial: d.Serial, Told: d.Told,
		UUIDKey: store.UUIDKey(d.UUID), BuiltIn: d.BuiltIn, Target: drives[0].Target, Rule: job.DriveNamed, DeviceName: d.Name, After: job.PowerOff,
	}
	j.Enter(job.Approved, tx.Now())
	text := fmt.Sprintf("%s of %s under policy %s %d, job %s.", capital(store.Drives(len(drives))), d.Label(), policy.Name, policy.Version, j.ID)
	if w.NeedsSecond {
		text += " It waits for a second person."
	}
	return j, errors.Join(tx.PutDevice(d), tx.PutJob(j), clearGuard(tx, d), tx.Audit(operator, "wipe", d.ID, text))
}

// wipable holds the rules about the device and the order: it came back, and its serial was typed.
func wipable(d store.Device, o store.WipeOrder) error {
	switch {
	case d.State == store.Quarantined:
		return job.Faultf(job.CodeQuarantined, "%s", d.Conflict)
	case d.State != store.Returned && d.State != store.Wiping:
		return job.Faultf(job.CodeState, "%s is %s: only a device that came back is wiped. Take it back first.", d.Label(), d.State)
	case o.Dispose && o.Then != nil:
		return job.Faultf(job.CodeBadRequest, "It either leaves the house or gets an image.")
	}
	if err := checkWords(&o.Place); err != nil {
		return err
	}
	return typedSerial(d, o.Confirm)
}

// typedSerial refuses a confirmation that is not this device's serial, or its id where it has no serial of its own.
func typedSerial(d store.Device, typed string) error {
	if !strings.EqualFold(strings.TrimSpace(typed), d.WipeWord()) {
		return job.Faultf(job.CodeWrongSerial, "%.40q was typed for %s.", typed, d.Label())
	}
	return nil
}

// wipeDrives are the drives that the order is about: each that is in the device and still owes a record.
func wipeDrives(tx *store.Tx, d store.Device, o store.WipeOrder) ([]store.WipeDrive, error) {
	all, err := tx.DrivesOf(d.ID)
	if err != nil {
		return nil, err
	}
	var out []store.WipeDrive
	present := store.InternalDrives(d)
	for _, p := range present {
		i := slices.IndexFunc(all, func(r store.Drive) bool { return r.Key == p.Key })
		if i < 0 || all[i].Vague || !all[i].Owes() || strings.TrimSpace(p.Drive.Serial) == "" {
			continue
		}
		w := store.WipeDrive{Key: p.Key, Target: target(p.Drive), End: store.DriveWaits}
		was, err := unsettled(tx, all[i])
		if err != nil {
			return nil, err
		}
		w.Journal, w.Password, w.Begun, w.Since = was.Journal, was.Password, was.Begun, was.Since
		out = append(out, w)
	}
	switch {
	case len(present) == 0:
		return nil, job.Faultf(job.CodeNoDrive, "%s told of none when it was last seen. Start it from the network again, or record the end of each of its drives.", d.Label())
	case len(out) == 0:
		return nil, job.Faultf(job.CodeState, "No drive that can be wiped is in %s and owes a record: see what is on record about its drives.", d.Label())
	case len(out) > job.MaxWipeDrives:
		return nil, job.Faultf(job.CodeBadRequest, "It has %d drives; a wipe takes %d.", len(out), job.MaxWipeDrives)
	}
	return out, nil
}

const psidLength = 32 // of the code on a drive's label

// checkPSIDs refuses a PSID that is none, or is for no drive of the order: a slip would be found only at the drive.
func checkPSIDs(psids map[string]string, drives []store.WipeDrive) error {
	for serial, psid := range psids {
		if !slices.ContainsFunc(drives, func(d store.WipeDrive) bool { return strings.EqualFold(strings.TrimSpace(serial), d.Target.Serial) }) {
			return job.Faultf(job.CodeBadRequest, "A PSID was given for drive %.40q, which is not to be wiped.", serial)
		}
		if len(psid) != psidLength || strings.ContainsFunc(psid, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			return job.Faultf(job.CodeBadRequest, "A PSID is %d letters and digits; what was given for drive %.40s has %d characters.", psidLength, serial, len(psid))
		}
	}
	return nil
}

// unsettled gives what an earlier wipe kept of a drive that it began and did not see the end of, or may have left locked.
func unsettled(tx *store.Tx, rec store.Drive) (store.WipeDrive, error) {
	if rec.Begun == "" {
		return store.WipeDrive{}, nil
	}
	j, err := tx.Job(rec.Begun)
	if err != nil || j.Wipe == nil {
		return store.WipeDrive{}, err
	}
	for _, d := range j.Wipe.Drives {
		if d.Key == rec.Key && (d.End == store.DriveUnsettled || mayBeLocked(d)) {
			return d, nil
		}
	}
	return store.WipeDrive{}, nil
}

// wouldFollow refuses an image that could not be put on the clean device anyway, before anything is wiped.
func (s *Service) wouldFollow(tx *store.Tx, d store.Device, o store.Order) error {
	d.State, d.Deployment = store.Ready, ""
	if err := allowed(d, o, false); err != nil {
		return err
	}
	role, v, err := wanted(tx, d, o)
	if err != nil {
		return err
	}
	if _, err := deployable(tx, d, v, o); err != nil {
		return err
	}
	drive, _, err := chooseDrive(d.Drives, o.Drive, role.Drive)
	if err != nil {
		return err
	}
	return errors.Join(s.whole(v), fits(v, target(drive)), suits(v, d, drive, o.DespiteHealth))
}

// AgreeWipe is the second person's word. The serial is typed once more: who agrees has looked at the laptop.
func (s *Service) AgreeWipe(ctx context.Context, operator string, right store.Right, id job.ID, confirm string) (store.JobView, error) {
	_, err := s.once(ctx, operator, "agree", []any{id, confirm}, func(tx *store.Tx) (string, error) {
		j, err := tx.Job(id)
		if err != nil {
			return "", err
		}
		d, err := tx.Device(j.Device)
		if err != nil {
			return "", err
		}
		switch {
		case j.Kind != job.Wipe || j.Wipe == nil:
			return "", job.Faultf(job.CodeState, "Job %s is no wipe.", id)
		case j.State.Final() || !j.Wipe.NeedsSecond || j.Wipe.Second != "":
			return "", job.Faultf(job.CodeState, "Job %s is %s and waits for nobody's agreement.", id, j.State)
		}
		if err := typedSerial(d, confirm); err != nil {
			return "", err
		}
		asked := store.AccessPolicy{SecondPerson: true} // as it was when it was ordered, whatever the site wants now
		if err := asked.CheckSecondPerson(store.Person{Name: j.Operator, Right: j.Wipe.Right}, store.Person{Name: operator, Right: right}); err != nil {
			return "", err
		}
		w := *j.Wipe
		w.Second, w.SecondTime = operator, tx.Now()
		j.Wipe = &w
		return string(id), errors.Join(tx.PutJob(j), tx.Audit(operator, "agree", d.ID, fmt.Sprintf("To the wipe of %s that %s ordered, job %s.", d.Label(), j.Operator, id)))
	})
	if err != nil {
		return store.JobView{}, err
	}
	return s.Job(ctx, id)
}

// agreed reports whether everybody whose word is needed has given it.
func agreed(j store.Job) bool { return j.Wipe == nil || !j.Wipe.NeedsSecond || j.Wipe.Second != "" }

// wiping is what the agent is told of a wipe. From its second start on nothing is begun: what was begun is settled.
func wiping(j store.Job) (*job.Wiping, error) {
	if j.Wipe == nil {
		return nil, nil
	}
	policy, err := json.Marshal(j.Wipe.Policy)
	if err != nil {
		return nil, fmt.Errorf("seal job %s: %w", j.ID, err)
	}
	out := &job.Wiping{Policy: policy, Settle: j.Wipe.Settling, Then: j.Wipe.Order.Then != nil}
	for _, d := range j.Wipe.Drives {
		out.Drives = append(out.Drives, job.WipeTarget{Target: d.Target, Closed: d.Certificate, Begun: len(d.Journal) > 0,
			PSID: psidOf(*j.Wipe, d), Allow: j.Wipe.Order.Allow})
	}
	return out, nil
}

func psidOf(w store.WipeWork, d store.WipeDrive) string {
	for serial, psid := range w.Order.PSIDs {
		if strings.EqualFold(strings.TrimSpace(serial), d.Target.Serial) {
			return psid
		}
	}
	return ""
}

// means are what the order adds to what a drive can do.
func means(w store.WipeWork, d store.WipeDrive) wipe.Means {
	return wipe.Means{PSID: psidOf(w, d) != "", Override: w.Order.Allow}
}

// drivesTold are the drives of a wipe as its agent tells of them, for the eye: no more than there are, and none of them done
// before its Certificate is here.
func drivesTold(j store.Job, told []job.DriveProgress) []job.DriveProgress {
	if j.Wipe == nil {
		return nil
	}
	out := slices.Clone(told[:min(len(told), len(j.Wipe.Drives))])
	for i := range out {
		d := &out[i]
		d.Serial, d.Phase, d.Say = clip(d.Serial), strings.TrimSpace(clip(d.Phase)), clip(d.Say)
		if strings.EqualFold(d.Phase, "done") && j.Wipe.Drives[i].End != store.DriveClosed {
			d.Phase = "recording"
		}
	}
	return out
}

// swapped says why the laptop does not hold the drives that were approved: all of them before anything is begun, any
// of them later.
func swapped(drives []job.Drive, j store.Job) *job.Fault {
	there := 0
	for _, d := range j.Wipe.Drives {
		if holds(drives, d.Target) {
			there++
		} else if !j.Kind.Started(j.Reached) {
			return job.Faultf(job.CodeWrongDrive, "Drive %s is not in it.", d.Target.Serial)
		}
	}
	if there == 0 {
		return job.Faultf(job.CodeWrongDrive, "None of the drives that were approved is in it: %s is not.", j.Target.Serial)
	}
	return nil
}

func capital(s string) string {
	return cmp.Or(strings.ToUpper(s[:min(1, len(s))])+s[min(1, len(s)):], s)
}
