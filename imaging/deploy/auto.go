package deploy

import (
	"context"
	"errors"
	"fmt"

	"ingot/imaging/job"
	"ingot/store"
)

// maxAuto bounds how many laptops one policy may start.
const maxAuto = 1000

// SetAutoDeploy turns the policy on for a role, until a time, for a number of laptops; the zero policy turns
// it off.
func (s *Service) SetAutoDeploy(_ context.Context, operator string, a store.AutoDeploy) (store.AutoDeploy, error) {
	off := a.Role == ""
	if !off && (a.Left < 1 || a.Left > maxAuto || !a.Until.After(s.now()) || a.Until.After(s.now().Add(secretLife))) {
		return a, job.Faultf(job.CodeBadRequest, "Auto-deploy needs a time window of at most 7 days and a count of 1 to %d.", maxAuto)
	}
	a.By, a.Until = operator, a.Until.UTC()
	err := s.update(func(tx *store.Tx) error {
		if off {
			return errors.Join(tx.PutAutoDeploy(store.AutoDeploy{}), tx.Audit(operator, "auto-deploy", "auto-deploy", "Off."))
		}
		r, err := tx.Role(a.Role)
		if err != nil {
			return err
		}
		if r.Pattern == "" {
			return job.Faultf(job.CodeNameInvalid, "The role %s has no pattern of names, so nothing can be deployed without a person.", r.Name)
		}
		return errors.Join(tx.PutAutoDeploy(a), tx.Audit(operator, "auto-deploy", "auto-deploy",
			fmt.Sprintf("Role %s for %d laptops until %s.", a.Role, a.Left, a.Until.Format("2006-01-02 15:04 MST"))))
	})
	return a, err
}

// AutoDeploy gives the policy.
func (s *Service) AutoDeploy(context.Context) (a store.AutoDeploy, err error) {
	err = s.db.View(func(tx *store.Tx) error { a, err = tx.AutoDeploy(); return err })
	return a, err
}

// autoDeploy orders for a laptop at its first start if the policy says so: for one that nobody knew, which it adopts, and
// for one that a list promised, unless the list has another role for it. Only a laptop with a believable serial qualifies;
// what stands in the way is told on the bench, and it waits for a person.
func (s *Service) autoDeploy(tx *store.Tx, a store.Agent, d store.Device) (store.Agent, store.Device, error) {
	p, err := tx.AutoDeploy()
	if err != nil || !p.On(tx.Now()) || d.SerialKey == "" || d.Conflict != "" {
		return a, d, err
	}
	told, _, err := claims(tx, d)
	if err != nil {
		return a, d, err
	}
	if len(told) > 0 {
		a.Refusal = fmt.Sprintf("Its %s was last seen in %s. A person decides.", told[0].Kind, told[0].Label)
		return a, d, tx.PutAgent(a)
	}
	if d.Role != "" && d.Role != p.Role {
		a.Refusal = fmt.Sprintf("It is to become %s, and auto-deploy is on for %s. A person decides.", d.Role, p.Role)
		return a, d, tx.PutAgent(a)
	}
	if _, err := s.plan(tx, d, p); err != nil {
		f := job.FaultOf(err)
		a.Refusal = f.Error()
		return a, d, errors.Join(tx.PutAgent(a), tx.Audit("ingot", "refused", d.ID, "Auto-deploy: "+f.Error()))
	}
	operator := "auto-deploy of " + p.By
	if d.State == store.New {
		if err := s.adopt(tx, operator, a, d, store.Adoption{Role: p.Role}); err != nil {
			return a, d, err
		}
		if d, err = tx.Device(d.ID); err != nil {
			return a, d, err
		}
	}
	if _, err := s.approve(tx, operator, d, store.Order{Device: d.ID, Role: p.Role}); err != nil {
		return a, d, err
	}
	p.Left--
	a.Code = ""
	return a, d, tx.PutAutoDeploy(p)
}

// plan checks what an automatic order would meet, before anything is written.
func (s *Service) plan(tx *store.Tx, d store.Device, p store.AutoDeploy) (store.Version, error) {
	role, v, err := wanted(tx, d, store.Order{Role: p.Role})
	if err != nil {
		return v, err
	}
	if _, err := deployable(tx, d, v, store.Order{}); err != nil {
		return v, err
	}
	if v.Personalise == "" {
		return v, job.Faultf(job.CodeUnknownOS, "%s holds %s.", v.Ref(), orUnknown(v.OS))
	}
	drive, _, err := chooseDrive(d.Drives, "", role.Drive)
	if err != nil {
		return v, err
	}
	if err := errors.Join(s.whole(v), fits(v, target(drive)), suits(v, d, drive, false), noForeignDebt(tx, d)); err != nil {
		return v, err
	}
	others, err := holdersOf(tx, d.ID, target(drive))
	if err != nil {
		return v, err
	}
	if len(others) > 0 { // somebody's data, maybe: a person looks first
		return v, job.Faultf(job.CodeUnconfirmed, "Drive %s was last seen in %s. A person decides.", drive.Serial, labels(others))
	}
	pattern, err := store.ParsePattern(role.Pattern)
	if err != nil {
		return v, err
	}
	return v, tx.WouldName(d, pattern)
}
