package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// Next answers what the agent does now. It is held open while the answer is wait and nothing changes.
func (s *Service) Next(ctx context.Context, key job.KeyID) (job.Next, error) {
	deadline := time.NewTimer(s.cfg.Poll)
	defer deadline.Stop()
	tick := time.NewTicker(time.Second) // silence and windows pass without any event
	defer tick.Stop()
	var first *job.Next
	for {
		changed := s.changes()
		n, err := s.answer(key)
		if err == nil && first == nil {
			s.hear(key)
		}
		if err != nil || n.Order != job.Wait {
			return n, err
		}
		if first == nil {
			first = &n
		} else if n.Code != first.Code || n.Say != first.Say {
			return n, nil // the screen has something new to show
		}
		select {
		case <-ctx.Done():
			return job.Next{}, ctx.Err()
		case <-deadline.C:
			return n, nil
		case <-changed:
		case <-tick.C:
		}
	}
}

// answer decides once, and makes the decision durable.
func (s *Service) answer(key job.KeyID) (job.Next, error) {
	var sc scene
	if err := s.db.View(func(tx *store.Tx) (err error) { sc, err = s.look(tx, key); return err }); err != nil {
		return job.Next{}, err
	}
	if v := decide(sc); v.order == job.Wait && !v.clash && !sc.codeOver() {
		return job.Next{Order: job.Wait, Say: v.say, Code: sc.agent.Code}, nil
	}
	var n job.Next
	err := s.update(func(tx *store.Tx) (err error) {
		if sc, err = s.look(tx, key); err != nil {
			return err
		}
		n, err = s.act(tx, sc, decide(sc))
		return err
	})
	return n, err
}

// look gathers what decide needs.
func (s *Service) look(tx *store.Tx, key job.KeyID) (sc scene, err error) {
	sc.now = tx.Now()
	if sc.agent, err = tx.Agent(key); errors.Is(err, store.ErrNotFound) {
		return sc, job.Faultf(job.CodeToken, "This agent has not said hello.")
	} else if err != nil {
		return sc, err
	}
	if sc.device, err = tx.Device(sc.agent.Device); errors.Is(err, store.ErrNotFound) {
		return sc, job.Faultf(job.CodeToken, "The device was forgotten.")
	} else if err != nil {
		return sc, err
	}
	b, err := tx.Bench()
	if err != nil {
		return sc, err
	}
	sc.bench, sc.approve = b.Open(sc.now), s.cfg.ApproveWithin
	j, ok, err := tx.ActiveJob(sc.device.ID)
	if ok && err == nil {
		sc.job, sc.oldHeard = &j, s.lastHeard(j.AgentKey)
		sc.forbidden, err = forbidden(tx, j)
	}
	return sc, err
}

// codeOver reports whether the waiting laptop needs a new code, or needs none any more.
func (sc scene) codeOver() bool {
	if sc.device.State != store.New {
		return sc.agent.Code != ""
	}
	return sc.now.After(sc.agent.CodeUntil)
}

// act carries a verdict out.
func (s *Service) act(tx *store.Tx, sc scene, v verdict) (job.Next, error) {
	n := job.Next{Order: v.order, Say: v.say}
	switch {
	case v.clash:
		return n, s.quarantine(tx, sc)
	case v.fail != nil:
		n.Fault = v.fail
		return n, errors.Join(s.end(tx, *sc.job, job.Failed, v.fail, nil), dismiss(tx, &sc.agent))
	case v.deny != nil && sc.agent.Released:
		n.Fault = v.deny // told and recorded before
		return n, nil
	case v.deny != nil:
		n.Fault = v.deny
		return n, errors.Join(tx.Audit("ingot", "refused", string(sc.job.ID), v.deny.Error()), dismiss(tx, &sc.agent))
	case v.alone:
		return n, s.leaveAlone(tx, &sc.agent)
	case v.order == job.Leave:
		return n, release(tx, &sc.agent)
	case v.order == job.Off:
		return n, nil
	case v.order == job.Work:
		if v.bind {
			if err := s.bind(tx, &sc); err != nil {
				return n, err
			}
		}
		envelope, err := s.seal(sc)
		n.Job = envelope
		return n, err
	}
	if sc.codeOver() {
		sc.agent.Code = ""
		if sc.device.State == store.New {
			sc.agent.Code, sc.agent.CodeUntil = newCode(), sc.now.Add(codeLife)
		}
	}
	n.Code = sc.agent.Code
	return n, tx.PutAgent(sc.agent)
}

// bind makes the job this boot's.
func (s *Service) bind(tx *store.Tx, sc *scene) error {
	j := sc.job
	was := j.AgentKey
	j.AgentKey, j.Nonce, j.Sequence, j.Contact = sc.agent.Key, sc.agent.Hello.Nonce, 0, tx.Now()
	j.Bundle = sc.agent.Bundle
	j.Bindings++
	if j.Wipe != nil && j.Kind.Started(j.Reached) {
		w := *j.Wipe
		w.Settling = true // a wipe needs a person's press again; what was begun is settled without one
		j.Wipe = &w
	}
	if j.Bindings == 1 {
		j.Bound = tx.Now()
	}
	if was != "" {
		if err := tx.Audit("ingot", "resume", string(j.ID), fmt.Sprintf("Bound anew to %s after a restart; the disk is at %s.", sc.device.Label(), j.Reached)); err != nil {
			return err
		}
	}
	s.forget(was)
	return tx.PutJob(*j)
}

// seal makes the signed Job for the agent that it is bound to.
func (s *Service) seal(sc scene) ([]byte, error) {
	j := sc.job
	var known *job.Known
	if j.Kind == job.Rename {
		known = &job.Known{Deployment: j.Deployment, MachineID: j.MachineID, Name: j.Former}
	}
	toWipe, err := wiping(*j)
	if err != nil {
		return nil, err
	}
	payload, err := json.Marshal(job.Job{
		Version: job.Version, ID: j.ID, Kind: j.Kind, AgentKey: j.AgentKey, Nonce: j.Nonce, Issued: sc.now,
		ValidFor: int(jobValid / time.Second), Device: j.Device, Serial: j.Told, Target: j.Target, Image: j.Image,
		DiskSize: j.DiskSize, DeviceName: j.DeviceName, Personalise: j.Personalise, Grow: j.Grow, RootPart: j.RootPart,
		After: j.After, DeviceURL: s.pageOf(j.Device), Known: known, Resume: j.Reached,
		Needs: j.Needs, Rule: j.Rule, DespiteHealth: j.Order.DespiteHealth, Countdown: int(s.cfg.Countdown / time.Second),
		Capture: capturing(*j), Wipe: toWipe,
	})
	if err != nil {
		return nil, fmt.Errorf("seal job %s: %w", j.ID, err)
	}
	return s.cfg.Signer.Seal("job", payload)
}

func (s *Service) pageOf(device string) string {
	if s.cfg.PagesURL == "" {
		return ""
	}
	return s.cfg.PagesURL + "/devices/" + device
}

// release lets an agent with nothing to do go, and has its machine refused for a while.
func release(tx *store.Tx, a *store.Agent) error {
	_, err := letGo(tx, a, func(g *store.Guard) { g.RefusedUntil = tx.Now().Add(refuseFor) })
	return err
}

// dismiss lets go of an agent that was told why it gets no work. It stays on its screen and does not reset, so
// its machine may start again at once, with the drive that was meant.
func dismiss(tx *store.Tx, a *store.Agent) error {
	a.Released, a.Code = true, ""
	return tx.PutAgent(*a)
}

// quarantine stops a device of which two laptops are live at once.
func (s *Service) quarantine(tx *store.Tx, sc scene) error {
	d := sc.device
	if err := d.Become(store.Quarantined, tx.Now()); err != nil {
		return err
	}
	first, err := tx.Agent(sc.job.AgentKey)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	d.Conflict = fmt.Sprintf("Two laptops with this identity are running at the same time: one since %s on %s, one since %s on %s.",
		first.Started.Format(time.TimeOnly), first.MAC, sc.agent.Started.Format(time.TimeOnly), sc.agent.MAC)
	return errors.Join(tx.PutDevice(d), tx.Audit("ingot", "quarantine", d.ID, d.Conflict))
}
