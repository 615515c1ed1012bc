package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// Standing says what became of what a device received.
type Standing string

// A device holds its last Version until something is written over it or it is wiped.
const (
	Holds       Standing = "holds"
	Replaced    Standing = "replaced"    // another Version was put on it
	Overwritten Standing = "overwritten" // a job began to write and did not end well: nothing on it starts
	Erased      Standing = "erased"      // wiped, or made ready for another owner, or disposed of
)

// Holding is what a device received last, and whether it is still there.
type Holding struct {
	Device     store.Device
	Deployment store.Deployment
	Standing   Standing
	Why        string // one clause, when it does not hold
}

// Holdings gives the Holding of every device that ever received a Version, by label, then id.
func (s *Snapshot) Holdings() []Holding {
	after := s.writers()
	var out []Holding
	for _, d := range s.Devices {
		dep, ok := s.Deployments[d.Deployment]
		if !ok {
			continue
		}
		h := Holding{Device: d, Deployment: dep}
		h.Standing, h.Why = standing(d, dep, after[d.ID])
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b Holding) int { return byLabel(a.Device, b.Device) })
	return out
}

// Unproven counts for each Version the devices on which it may lie whole although its job ended unproven, or has not
// ended: nobody knows what they hold until they are started again.
func (s *Snapshot) Unproven() map[Ref]int {
	out := map[Ref]int{}
	for id, runs := range s.writers() {
		d := s.Devices[id]
		last := runs[len(runs)-1]
		if dep, ok := s.Deployments[d.Deployment]; ok && !last.Created.After(dep.Approved) {
			continue
		}
		if last.Kind == job.Deploy && last.Whole && !d.Empty() {
			out[last.Image]++
		}
	}
	return out
}

func byLabel(a, b store.Device) int {
	if c := strings.Compare(strings.ToLower(a.Label()), strings.ToLower(b.Label())); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

// writers gives for each device its jobs that may have written to the drive and gave no Deployment, oldest order first.
func (s *Snapshot) writers() map[string][]Run {
	out := map[string][]Run{}
	for _, r := range s.Runs {
		if r.Kind == job.Deploy && r.Touched && r.State != job.Done || r.Kind == job.Wipe && (r.Touched || r.State == job.Done) {
			out[r.Device] = append(out[r.Device], r)
		}
	}
	return out
}

// standing decides whether what a device received last is still on it. Evidence comes first: a job that wrote. Then the
// device's state, now or before it was lost, of which some say that nothing of an owner is on it.
func standing(d store.Device, dep store.Deployment, writers []Run) (Standing, string) {
	for _, r := range slices.Backward(writers) {
		if !r.Created.After(dep.Approved) {
			continue
		}
		if r.Kind == job.Wipe && r.State != job.Done {
			return Overwritten, fmt.Sprintf("a wipe of it ended as %s", r.State)
		}
		if r.Kind == job.Wipe {
			return Erased, "wiped " + day(r.Ended)
		}
		return Overwritten, fmt.Sprintf("%s was to be put on it: %s", r.Image, r.State)
	}
	switch state := d.StateBefore(); {
	case d.Empty():
		return Erased, fmt.Sprintf("%s since %s", state, day(d.Changed))
	case state == store.Deploying, state == store.Failed:
		return Overwritten, "what was to be put on it last did not arrive whole"
	}
	return Holds, ""
}

func day(t time.Time) string {
	if t.IsZero() {
		return "now"
	}
	return t.Format(time.DateOnly)
}
