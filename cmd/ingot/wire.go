package main

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/pxe"
	"ingot/store"
)

// director lets deploy.Service decide for pxe.
type director struct {
	service *deploy.Service
	full    func() bool // the disk is: no start and no Hello could be recorded
	log     zerolog.Logger
}

func machineOf(m pxe.Machine) deploy.Machine {
	return deploy.Machine{MAC: m.MAC.String(), UUID: m.UUID}
}

// Decide implements pxe.Director. A machine that cannot be judged starts its own disk.
func (d director) Decide(ctx context.Context, m pxe.Machine) pxe.Decision {
	a, err := d.service.Decide(ctx, machineOf(m))
	if err != nil {
		d.log.Error().Err(err).Stringer("mac", m.MAC).Msg("could not decide about a machine")
		return pxe.Decision{Action: pxe.Refuse, Why: "The daemon could not read its records."}
	}
	if a.Boot && d.full() {
		return pxe.Decision{Action: pxe.Refuse, Why: job.CodeFull.Words().Sentence}
	}
	if a.Boot {
		return pxe.Decision{Action: pxe.Boot, Why: a.Why}
	}
	return pxe.Decision{Action: pxe.Refuse, Why: a.Why}
}

// Token implements pxe.Director.
func (d director) Token(ctx context.Context, m pxe.Machine) (string, error) {
	return d.service.Token(ctx, machineOf(m))
}

// leases keeps pxe's leases in the database.
type leases struct{ db *store.DB }

// AllLeases implements pxe.Leases.
func (l leases) AllLeases() (out []pxe.Lease, err error) {
	err = l.db.View(func(tx *store.Tx) error {
		all, err := tx.Leases()
		for _, s := range all {
			mac, err := pxe.ParseMAC(s.MAC)
			if err != nil {
				return err
			}
			out = append(out, pxe.Lease{IP: s.IP, MAC: mac, Host: s.Host, Expires: s.Expires})
		}
		return err
	})
	return out, err
}

// PutLease implements pxe.Leases.
func (l leases) PutLease(p pxe.Lease) error {
	return l.db.Update(func(tx *store.Tx) error {
		return tx.PutLease(store.Lease{IP: p.IP, MAC: p.MAC.String(), Host: p.Host, Expires: p.Expires})
	})
}

// recorder writes boot events a few times a second, many in one transaction: a start is some thirty events,
// and none of them may wait for the disk.
type recorder struct {
	db     *store.DB
	log    zerolog.Logger
	events chan pxe.Event
	late   []store.BootEvent // what a full disk did not take yet, at most pending
}

// pending bounds the events that wait; a flood beyond it is dropped and counted in the log.
const pending = 4096

func newRecorder(db *store.DB, log zerolog.Logger) *recorder {
	return &recorder{db: db, log: log, events: make(chan pxe.Event, pending)}
}

// Record implements pxe.Recorder.
func (r *recorder) Record(e pxe.Event) {
	select {
	case r.events <- e:
	default:
		r.log.Warn().Stringer("mac", e.MAC).Msg("too many boot events at once; one was not kept")
	}
}

// run writes until ctx ends, and what is left then.
func (r *recorder) run(ctx context.Context) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			r.flush()
			return nil
		case <-tick.C:
			r.flush()
		}
	}
}

// flush writes everything that waits in one transaction. What a full disk does not take waits for room.
func (r *recorder) flush() {
	batch := r.late
	r.late = nil
	for len(batch) < pending {
		select {
		case e := <-r.events:
			batch = append(batch, bootEvent(e))
			continue
		default:
		}
		break
	}
	if len(batch) == 0 {
		return
	}
	err := r.db.Update(func(tx *store.Tx) error { return tx.AddBootEvents(batch) })
	switch {
	case err == nil:
	case job.FaultOf(err).Code == job.CodeFull:
		r.late = batch
	default:
		r.log.Error().Err(err).Int("events", len(batch)).Msg("boot events could not be kept")
	}
}

func bootEvent(e pxe.Event) store.BootEvent {
	s := store.BootEvent{Time: e.Time, MAC: e.MAC.String(), UUID: e.UUID, Arch: uint16(e.Arch), Loader: string(e.Loader),
		Leg: string(e.Leg), File: e.File, Text: e.Text, Bytes: e.Bytes, Total: e.Total, Err: e.Err, Waited: e.Waited}
	if e.MAC == (pxe.MAC{}) {
		s.MAC = "unknown"
	}
	if e.IP.IsValid() {
		s.IP = e.IP.String()
	}
	if e.Server.IsValid() {
		s.Server = e.Server.String()
	}
	return s
}
