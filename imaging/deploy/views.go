package deploy

import (
	"context"
	"maps"
	"slices"
	"sort"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// liveFor is how long after its last request an agent counts as running.
const liveFor = time.Minute

// Devices lists every device: lost ones that have started first, then waiting laptops, then by label.
func (s *Service) Devices(context.Context) ([]store.DeviceView, error) {
	var out []store.DeviceView
	err := s.db.View(func(tx *store.Tx) error {
		all, err := tx.Devices()
		if err != nil {
			return err
		}
		agents, err := newestAgents(tx)
		if err != nil {
			return err
		}
		for _, d := range all {
			v, err := s.view(tx, d, agents)
			if err != nil {
				return err
			}
			out = append(out, v)
		}
		return markInUse(tx, out)
	})
	sort.SliceStable(out, func(i, j int) bool {
		if a, b := rank(out[i]), rank(out[j]); a != b {
			return a < b
		}
		return out[i].Label() < out[j].Label()
	})
	return out, err
}

// rank is how much a device wants a person's eye, 0 most.
func rank(d store.DeviceView) int {
	switch {
	case d.State == store.Lost && !d.Alarm.IsZero():
		return 0
	case d.Code != "":
		return 1
	}
	return 2
}

// Device shows one device by id, Name, serial, or the code that its laptop shows.
func (s *Service) Device(_ context.Context, ref string) (v store.DeviceView, err error) {
	err = s.db.View(func(tx *store.Tx) error {
		d, err := s.find(tx, ref)
		if err != nil {
			return err
		}
		agents, err := newestAgents(tx)
		if err != nil {
			return err
		}
		if v, err = s.view(tx, d, agents); err != nil {
			return err
		}
		one := []store.DeviceView{v}
		if err := markInUse(tx, one); err != nil {
			return err
		}
		v = one[0]
		v.Claims, v.Rivals, err = claims(tx, d)
		return err
	})
	return v, err
}

// newestAgents maps each device to its latest boot.
func newestAgents(tx *store.Tx) (map[string]store.AgentHead, error) {
	all, err := tx.AgentHeads()
	newest := make(map[string]store.AgentHead, len(all))
	for _, a := range all {
		if a.Started.After(newest[a.Device].Started) {
			newest[a.Device] = a
		}
	}
	return newest, err
}

func (s *Service) view(tx *store.Tx, d store.Device, agents map[string]store.AgentHead) (store.DeviceView, error) {
	v := store.DeviceView{Device: d}
	if a, ok := agents[d.ID]; ok {
		heard := s.lastHeardOr(a.Key, a.Started)
		v.Live, v.LiveSince = s.now().Sub(heard) < liveFor && !a.Released, a.Started
		if d.State == store.New && v.Live && tx.Now().Before(a.CodeUntil) {
			v.Code, v.CodeUntil = a.Code, a.CodeUntil
		}
	}
	j, ok, err := tx.ActiveJob(d.ID)
	if err != nil {
		return v, err
	}
	if ok {
		jv := s.jobView(j, d)
		v.Job = &jv
	}
	if d.Deployment != "" {
		dep, err := tx.Deployment(d.Deployment)
		if err != nil {
			return v, err
		}
		v.Holds = &dep
	}
	v.Deploys = tx.CountDeployments(d.ID)
	return v, nil
}

func (s *Service) jobView(j store.Job, d store.Device) store.JobView {
	v := store.JobView{Job: j, DeviceLabel: d.Label(), Heard: s.lastHeardOr(j.AgentKey, j.Contact)}
	v.Wipe = shownWipe(j.Wipe)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.progress[j.ID]; ok && !j.State.Final() {
		v.Progress = &p
	}
	return v
}

// psidShown stands for a PSID that was given: who holds it can erase the drive.
const psidShown = "given"

// shownWipe leaves out of a wipe what only its agent is told: the password that a drive was given for its erase, the
// journal that says where its proof will look, and the PSIDs.
func shownWipe(w *store.WipeWork) *store.WipeWork {
	if w == nil {
		return nil
	}
	out := *w
	out.Drives = slices.Clone(w.Drives)
	for i := range out.Drives {
		out.Drives[i].Journal, out.Drives[i].Password = nil, nil
	}
	out.Order.PSIDs = maps.Clone(w.Order.PSIDs)
	for serial := range out.Order.PSIDs {
		out.Order.PSIDs[serial] = psidShown
	}
	return &out
}

// Jobs lists the unfinished jobs, or all, newest first.
func (s *Service) Jobs(_ context.Context, all bool) ([]store.JobView, error) {
	var out []store.JobView
	err := s.db.View(func(tx *store.Tx) error {
		list := tx.ActiveJobs
		if all {
			list = tx.Jobs
		}
		jobs, err := list()
		if err != nil {
			return err
		}
		for _, j := range jobs {
			d, err := tx.Device(j.Device)
			if err != nil {
				return err
			}
			out = append(out, s.jobView(j, d))
		}
		return nil
	})
	sort.SliceStable(out, func(i, j int) bool { return out[i].Created.After(out[j].Created) })
	return out, err
}

// Job shows one job.
func (s *Service) Job(_ context.Context, id job.ID) (v store.JobView, err error) {
	err = s.db.View(func(tx *store.Tx) error {
		j, err := tx.Job(id)
		if err != nil {
			return err
		}
		d, err := tx.Device(j.Device)
		v = s.jobView(j, d)
		return err
	})
	return v, err
}

// Watch calls f with the job now and at every change, until it has ended, f fails or ctx ends.
func (s *Service) Watch(ctx context.Context, id job.ID, f func(store.JobView) error) error {
	for {
		changed := s.changes()
		v, err := s.Job(ctx, id)
		if err != nil {
			return err
		}
		if err := f(v); err != nil || v.State.Final() {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// Audit gives the newest events, oldest first, about one subject or everything.
func (s *Service) Audit(_ context.Context, subject string, limit int) (e []store.Event, err error) {
	err = s.db.View(func(tx *store.Tx) error { e, err = tx.AuditTrail(subject, limit); return err })
	return e, err
}

// AuditChain proves the audit chain, event by event.
func (s *Service) AuditChain(context.Context) (c store.Chain, err error) {
	err = s.db.View(func(tx *store.Tx) error { c, err = tx.AuditChain(); return err })
	return c, err
}
