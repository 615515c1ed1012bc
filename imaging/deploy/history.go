package deploy

import (
	"context"
	"slices"

	"ingot/imaging/job"
	"ingot/store"
)

// History gives what was ever done with one device, the newest first: its jobs, what it received, and who did what.
func (s *Service) History(_ context.Context, ref string) (h store.DeviceHistory, err error) {
	err = s.db.View(func(tx *store.Tx) error {
		d, err := s.find(tx, ref)
		if err != nil {
			return err
		}
		jobs, err := tx.JobsOf(d.ID)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			h.Jobs = append(h.Jobs, s.jobView(j, d))
		}
		if h.Deployments, err = tx.DeploymentsOf(d.ID); err != nil {
			return err
		}
		h.Events, err = tx.AuditTrail(d.ID, store.MaxHistoryEvents)
		return err
	})
	slices.SortFunc(h.Jobs, func(a, b store.JobView) int { return b.Created.Compare(a.Created) })
	slices.Reverse(h.Deployments)
	slices.Reverse(h.Events)
	return h, err
}

// markInUse says of each failed device whether its system may start all the same: then somebody may work with it. The jobs
// are read once, and only when a device has failed; of few, their own only. It is for the eye: an order reads all of them
// (inUse).
func markInUse(tx *store.Tx, views []store.DeviceView) error {
	last := map[string]store.Job{}
	for i := range views {
		switch views[i].InUse = views[i].State == store.Deployed; views[i].State {
		case store.Failed:
			last[views[i].ID] = store.Job{}
		}
	}
	if len(last) == 0 {
		return nil
	}
	jobs, err := jobsOfThese(tx, last)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if was, wanted := last[j.Device]; wanted && wrote(j) && j.Created.After(was.Created) {
			last[j.Device] = j
		}
	}
	for i, v := range views {
		if j, failed := last[v.ID]; failed {
			views[i].InUse = mayStart(j)
		}
	}
	return nil
}

// fewFailed is for how many devices it takes less to look for their jobs one by one.
const fewFailed = 20

func jobsOfThese(tx *store.Tx, devices map[string]store.Job) (out []store.Job, err error) {
	if len(devices) > fewFailed {
		return tx.Jobs()
	}
	for id := range devices {
		own, err := tx.JobsOf(id)
		if err != nil {
			return nil, err
		}
		out = append(out, own...)
	}
	return out, nil
}

// wrote reports whether a job put, or may have put, something on its device's drive.
func wrote(j store.Job) bool {
	return j.Kind == job.Deploy && (j.Kind.Started(j.Reached) || j.Result != nil && j.Result.DiskTouched)
}

// mayStart reports whether what a job left on the drive may start, though nobody could prove it.
func mayStart(j store.Job) bool {
	return j.Observed != nil || j.Reached == job.Committing || j.Reached == job.Committed
}
