package deploy

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"sort"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// BootLogs gives the timelines of all machines, or of one: by MAC in any common writing, or of a device by whatever
// names it. A MAC or a device of which nothing was heard has an empty timeline: why that is, the doctor says.
func (s *Service) BootLogs(_ context.Context, ref string) (l []store.BootLog, err error) {
	err = s.db.View(func(tx *store.Tx) error {
		if ref == "" {
			l, err = tx.BootLogs("")
			return err
		}
		if mac, err := net.ParseMAC(strings.TrimSpace(ref)); err == nil && len(mac) == 6 {
			one, err := s.bootLogOf(tx, mac.String())
			l = []store.BootLog{one}
			return err
		}
		if ref == "unknown" { // what could be ascribed to no machine
			l, err = tx.BootLogs(ref)
			return err
		}
		d, err := tx.FindDevice(ref)
		if job.FaultOf(err).Code == job.CodeNotFound && serialForm.MatchString(ref) {
			l = []store.BootLog{{Checks: []string{fmt.Sprintf("No laptop %q is known. A laptop tells its serial only once the start system runs; before that it has only a MAC, which stands on its sticker or its network boot screen: \"ingot boot log MAC\".", ref)}}}
			return nil
		}
		if err != nil {
			return err
		}
		l, err = s.bootLogsOf(tx, d)
		return err
	})
	return l, err
}

// serialForm is what may be the serial or the name of a laptop that was never heard.
var serialForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{2,31}$`)

// bootLogOf reads the timeline of one MAC, empty when nothing was heard.
func (s *Service) bootLogOf(tx *store.Tx, mac string) (store.BootLog, error) {
	logs, err := tx.BootLogs(mac)
	if job.FaultOf(err).Code == job.CodeNotFound {
		return store.BootLog{MAC: mac}, nil
	}
	if err != nil {
		return store.BootLog{}, err
	}
	return logs[0], nil
}

// bootLogsOf reads the timelines of a device's MACs, the newest first; a device of which no MAC is known has one
// without.
func (s *Service) bootLogsOf(tx *store.Tx, d store.Device) ([]store.BootLog, error) {
	since, err := s.orderedSince(tx, d)
	if err != nil {
		return nil, err
	}
	out := []store.BootLog{}
	for _, mac := range d.MACs {
		l, err := s.bootLogOf(tx, mac)
		if err != nil {
			return nil, err
		}
		l.Events = ofDevice(l.Events, d)
		out = append(out, l)
	}
	if len(out) == 0 {
		out = append(out, store.BootLog{})
	}
	for i := range out {
		out[i].Device, out[i].Since = d.ID, since
	}
	sort.SliceStable(out, func(i, j int) bool { return lastOf(out[i]).After(lastOf(out[j])) })
	return out, nil
}

// ofDevice leaves out what another laptop did over the same dongle, as far as it told its UUID.
func ofDevice(events []store.BootEvent, d store.Device) (out []store.BootEvent) {
	theirs := false // the start under way is another laptop's
	for _, e := range events {
		if e.UUID != "" && d.UUID != "" {
			theirs = store.UUIDKey(e.UUID) != store.UUIDKey(d.UUID)
		}
		if !theirs {
			out = append(out, e)
		}
	}
	return out
}

func lastOf(l store.BootLog) time.Time {
	if len(l.Events) == 0 {
		return time.Time{}
	}
	return l.Events[len(l.Events)-1].Time
}

// orderedSince gives the time from which a device is waited for: that of an order which its agent has not taken.
// A laptop that runs already takes it without a start.
func (s *Service) orderedSince(tx *store.Tx, d store.Device) (time.Time, error) {
	j, ok, err := tx.ActiveJob(d.ID)
	if err != nil || !ok || j.AgentKey != "" {
		return time.Time{}, err
	}
	agents, err := newestAgents(tx)
	if err != nil {
		return time.Time{}, err
	}
	if a, ok := agents[d.ID]; ok && !a.Released && s.now().Sub(s.lastHeardOr(a.Key, a.Started)) < liveFor {
		return time.Time{}, nil
	}
	return j.Created, nil
}
