package agent

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/disk"
	"ingot/imaging/job"
)

// answers is a daemon that says one thing to every report of progress.
type answers struct {
	Daemon
	ack job.Ack
	err error
}

func (a answers) Progress(context.Context, job.ID, job.Progress) (job.Ack, error) {
	return a.ack, a.err
}

// TestOnlyTheDaemonsWordKeepsAnOrderFresh is about a laptop that waits for its charger for longer than an order is
// valid: it may begin then only if the daemon said all the while that the job is wanted.
func TestOnlyTheDaemonsWordKeepsAnOrderFresh(t *testing.T) {
	for name, c := range map[string]struct {
		daemon answers
		fresh  bool
	}{
		"the job is wanted":     {answers{}, true},
		"the job is cancelled":  {answers{ack: job.Ack{Cancel: true}}, false},
		"nobody answers":        {answers{err: errors.New("no route to host")}, false},
		"the daemon refuses it": {answers{err: job.Faultf(job.CodeState, "It is failed.")}, false},
	} {
		a := &Agent{Daemon: c.daemon, Log: zerolog.Nop()}
		d := &deployment{agent: a, job: job.Job{ValidFor: 600}, received: time.Now().Add(-time.Hour), progress: &disk.Progress{}}
		d.report = newReporter(d, func(error) {})
		d.report.send(t.Context(), job.Progress{})
		if err := d.fresh(); (err == nil) != c.fresh {
			t.Errorf("%s: an hour after the order, begin = %v; want fresh %v", name, err, c.fresh)
		}
	}
}
