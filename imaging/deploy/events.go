package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// State makes one step of a job durable before the agent acts on it. The same event again is acknowledged
// again. When an operator wishes the job to stop and the disk is not being committed, the step is not taken
// and the Ack says so.
func (s *Service) State(_ context.Context, key job.KeyID, id job.ID, e job.StateEvent) (job.Ack, error) {
	e.Fault, e.Found = e.Fault.Clean(), e.Found.Clean()
	ack := job.Ack{Seq: e.Seq}
	err := s.update(func(tx *store.Tx) error {
		j, err := s.bound(tx, key, id)
		if err != nil {
			return err
		}
		if e.Seq == j.Sequence && e.Seq > 0 && (e.State == j.State || e.State == job.Done || j.CancelBy != "") {
			ack.Cancel = mayCancel(j)
			return nil
		}
		if e.Seq != j.Sequence+1 {
			return job.Faultf(job.CodeState, "Event %d came after %d.", e.Seq, j.Sequence)
		}
		ack.Cancel, err = s.step(tx, &j, e)
		return err
	})
	return ack, err
}

// bound reads a job for the key that it is bound to, which is thereby heard; for any other key there is no such
// job, and it is not remembered.
func (s *Service) bound(tx *store.Tx, key job.KeyID, id job.ID) (store.Job, error) {
	j, err := tx.Job(id)
	if err != nil {
		return j, err
	}
	if key == "" || j.AgentKey != key {
		return j, job.Faultf(job.CodeJobKey, "Job %s is not bound to this start of the laptop.", id)
	}
	s.hear(key)
	return j, nil
}

func mayCancel(j store.Job) bool { return j.CancelBy != "" && j.Kind.MayFollow(j.State, job.Cancelled) }

// step takes one new event.
func (s *Service) step(tx *store.Tx, j *store.Job, e job.StateEvent) (cancel bool, err error) {
	if e.State == job.Done && j.State == job.Committed {
		j.Sequence = e.Seq // acknowledged, but only a Result with its proof makes a job done
		return false, tx.PutJob(*j)
	}
	if !j.Kind.MayFollow(j.State, e.State) || e.State == job.Done {
		return false, job.Faultf(job.CodeState, "Job %s is %s and cannot become %.20q.", j.ID, j.State, string(e.State))
	}
	j.Sequence = e.Seq
	if e.Found != nil {
		j.Found = e.Found
	}
	if e.State.Final() {
		return false, s.end(tx, *j, e.State, e.Fault, nil)
	}
	if mayCancel(*j) {
		return true, tx.PutJob(*j)
	}
	d, err := tx.Device(j.Device)
	if err != nil {
		return false, err
	}
	if j.Kind == job.Wipe && e.State != job.Claimed && !agreed(*j) {
		return false, job.Faultf(job.CodeState, "Job %s waits for a second person.", j.ID)
	}
	if e.State == job.WipeBegun {
		if err := letLoose(tx, j, &d); err != nil {
			return false, err
		}
	}
	if e.State == job.Invalidated {
		if f, err := forbidden(tx, *j); err != nil {
			return false, err
		} else if f != nil {
			return false, f // the agent ends the job with it
		}
	}
	if e.State == job.Invalidated && d.State != store.Deploying {
		if err := d.Become(store.Deploying, tx.Now()); err != nil {
			return false, err
		}
		if err := tx.PutDevice(d); err != nil {
			return false, err
		}
	}
	if e.State != job.Claimed {
		if err := clearGuard(tx, d); err != nil {
			return false, err
		}
	}
	j.Enter(e.State, tx.Now())
	return false, tx.PutJob(*j)
}

// Progress takes what the board shows. It is not durable, except that once a minute the sign of life is.
func (s *Service) Progress(_ context.Context, key job.KeyID, id job.ID, p job.Progress) (job.Ack, error) {
	var j store.Job
	if err := s.db.View(func(tx *store.Tx) (err error) { j, err = s.bound(tx, key, id); return err }); err != nil {
		return job.Ack{}, err
	}
	if j.State.Final() {
		return job.Ack{}, job.Faultf(job.CodeState, "Job %s is %s.", id, j.State)
	}
	p.Phase, p.Say, p.Drives = clip(p.Phase), clip(p.Say), drivesTold(j, p.Drives)
	now := s.now()
	s.mu.Lock()
	s.progress[id] = p
	keep := now.Sub(later(s.kept[id], j.Contact)) > time.Minute
	if keep {
		s.kept[id] = now
	}
	s.mu.Unlock()
	if keep {
		err := s.db.Update(func(tx *store.Tx) error {
			fresh, err := s.bound(tx, key, id)
			if err != nil || fresh.State.Final() {
				return err
			}
			fresh.Contact = tx.Now()
			return tx.PutJob(fresh)
		})
		if err != nil {
			return job.Ack{}, err
		}
	}
	s.wake()
	return job.Ack{Cancel: mayCancel(j)}, nil
}

// Result ends a job. One transaction writes Deployment, Device, Job and audit. The same Result again is
// acknowledged again. A Result that claims done without its whole proof ends the job as indeterminate and is
// answered with that.
func (s *Service) Result(_ context.Context, key job.KeyID, id job.ID, r job.Result) (job.Ack, error) {
	if !r.State.Final() || r.Job != id {
		return job.Ack{}, job.Faultf(job.CodeBadRequest, "That is not a result of job %s.", id)
	}
	if r.Proof.Personalised != nil && len(r.Proof.Personalised.Files) > 1000 {
		return job.Ack{}, job.Faultf(job.CodeBadRequest, "The proof lists %d files.", len(r.Proof.Personalised.Files))
	}
	r.Fault, r.Found, r.Captured = r.Fault.Clean(), r.Found.Clean(), r.Captured.Clean()
	var recorded job.State
	var fault *job.Fault
	err := s.update(func(tx *store.Tx) error {
		j, err := s.bound(tx, key, id)
		if err != nil {
			return err
		}
		if !j.State.Final() {
			to, f := verdictOf(j, r, s.cfg.AcceptFileDisks)
			if err := s.end(tx, j, to, f, &r); err != nil {
				return err
			}
			j.State, j.Fault = to, f
		} else if j.Result == nil && j.State == r.State {
			j.Result = &r
			if err := tx.PutJob(j); err != nil {
				return err
			}
		}
		recorded, fault = j.State, j.Fault
		return nil
	})
	if err == nil && r.State == job.Done && recorded != job.Done {
		if fault == nil {
			fault = job.Faultf(job.CodeState, "Job %s is %s.", id, recorded)
		}
		return job.Ack{}, fault
	}
	return job.Ack{}, err
}

// verdictOf says how a job ends by its result.
func verdictOf(j store.Job, r job.Result, fileDisks bool) (job.State, *job.Fault) {
	switch {
	case j.Kind == job.Wipe && j.Wipe != nil:
		return verdictOfWipe(j, r)
	case r.State == job.Done:
		if lack := checkProof(j, r.Proof, fileDisks); lack != "" {
			return job.Indeterminate, job.Faultf(job.CodeIndeterminate, "%s", lack)
		}
		return job.Done, nil
	case r.State == job.Cancelled && !j.Kind.MayFollow(j.State, job.Cancelled):
		return job.Indeterminate, job.Faultf(job.CodeIndeterminate, "It was cancelled while being committed.")
	case r.Fault != nil:
		return r.State, r.Fault
	case r.State == job.Cancelled:
		return r.State, &job.Fault{Code: job.CodeCancelled}
	}
	return r.State, &job.Fault{Code: job.CodeIndeterminate}
}

// end closes a job in this transaction: the job, the device's state, the deployment and the audit event.
func (s *Service) end(tx *store.Tx, j store.Job, to job.State, f *job.Fault, r *job.Result) error {
	d, err := tx.Device(j.Device)
	if err != nil {
		return fmt.Errorf("end job %s: %w", j.ID, err)
	}
	to, f = asDrivesStand(j, to, f)
	touched := j.Kind.Started(j.Reached) || r != nil && r.DiskTouched
	j.Enter(to, tx.Now())
	j.Fault, j.Result = f, r
	if r != nil && r.Found != nil {
		j.Found, r.Found = r.Found, nil // kept once
	}
	text := fmt.Sprintf("%s: %s on %s.", j.What(), to, d.Label())
	if f != nil {
		text += " " + f.Error()
	}
	switch {
	case j.Kind == job.Capture:
		if err := s.endCapture(tx, j, to); err != nil {
			return err
		}
	case j.Kind == job.Wipe && j.Wipe != nil:
		if err := endWipe(tx, &j, &d, to); err != nil {
			return err
		}
	case j.Kind == job.Rename:
		if err := endRename(tx, j, &d, to, touched); err != nil {
			return err
		}
	case to == job.Done:
		if err := s.record(tx, j, &d, *r); err != nil {
			return err
		}
	case touched:
		if err := markFailed(&d, tx.Now()); err != nil {
			return err
		}
	}
	if err := tx.PutDevice(d); err != nil {
		return err
	}
	if err := errors.Join(tx.PutJob(j), s.follow(tx, j)); err != nil {
		return err
	}
	s.forget(j.AgentKey)
	s.recent.add(j.ID, j.Ended)
	tx.After(func() {
		s.log.Info().Str("job", string(j.ID)).Str("device", d.ID).Str("state", string(to)).Msg("job ended")
	})
	return tx.Audit("agent", string(to), d.ID, text)
}

// markFailed leaves a device that was lost or quarantined meanwhile where it is.
func markFailed(d *store.Device, now time.Time) error {
	if d.State == store.Ready || d.State == store.Deployed {
		if err := d.Become(store.Deploying, now); err != nil { // a result that tells of writes before the step was heard
			return err
		}
	}
	if d.State == store.Deploying {
		return d.Become(store.Failed, now)
	}
	return nil
}

// record writes what the device now holds.
func (s *Service) record(tx *store.Tx, j store.Job, d *store.Device, r job.Result) error {
	dep := store.Deployment{
		ID: j.Deployment, Device: d.ID, Serial: d.Serial, Job: j.ID, Image: j.Image, Target: j.Target, Role: j.Role,
		RoleRevision: j.RoleRevision, Name: j.DeviceName, NameWritten: j.Personalise, Operator: j.Operator, Approved: j.Created,
		Started: j.Bound, Finished: tx.Now(), FetchedBytes: r.FetchedBytes, WrittenBytes: r.WrittenBytes, KeptBytes: r.KeptBytes,
		Seconds: r.Seconds, Trial: j.Trial, Stale: j.Stale, Proof: r.Proof, Observed: j.Observed, SecretHash: j.SecretHash, SecretUntil: tx.Now().Add(secretLife),
	}
	if dep.Observed != nil {
		dep.SecretHash = ""
	}
	// A device that was quarantined or reported lost meanwhile stays so until a person says otherwise.
	if d.State == store.Deploying {
		if err := d.Become(store.Deployed, tx.Now()); err != nil {
			return err
		}
	}
	d.Deployment = dep.ID
	return errors.Join(tx.DropNext(d), tx.PutDeployment(dep)) // an unproven rename was written over
}

// Sweep closes what time has decided: orders whose laptop never came, and jobs whose laptop never came back. Time in
// which this daemon did not run does not count against a job: its laptop had nobody to speak to.
func (s *Service) Sweep() error {
	return s.update(func(tx *store.Tx) error {
		if err := tx.ForgetRequests(); err != nil {
			return err
		}
		jobs, err := tx.ActiveJobs()
		if err != nil {
			return err
		}
		s.dropIntakes(jobs)
		for _, j := range jobs {
			switch {
			case j.AgentKey == "" && orderOver(j, tx.Now()):
				err = s.end(tx, j, job.Failed, job.Faultf(job.CodeJobExpired, "The laptop never came."), nil)
			case j.AgentKey != "" && tx.Now().After(later(j.Contact, s.lastHeard(j.AgentKey)).Add(jobWindow)):
				err = s.end(tx, j, silentEnd(j), job.Faultf(job.CodeLost, "Last heard at %s, in %s.", j.Contact.Format(time.RFC3339), j.State), nil)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// silentEnd is failed while the disk is surely unusable or untouched; from committing on nobody knows.
func silentEnd(j store.Job) job.State {
	if j.Reached == job.Committing || j.Reached == job.Committed || (j.Kind == job.Rename || j.Kind == job.Wipe) && j.Kind.Started(j.Reached) {
		return job.Indeterminate
	}
	return job.Failed
}

// lastHeardOr gives an agent's last request in this run of the daemon, or another time.
func (s *Service) lastHeardOr(key job.KeyID, or time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.heard[key]; ok {
		return t
	}
	return or
}
