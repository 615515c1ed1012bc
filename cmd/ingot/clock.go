package main

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"ingot/imaging/deploy"
)

// jumpLimit is how far the wall clock may be from the time that passed before it counts as set; clockEvery is how
// often it is looked at.
const (
	jumpLimit  = time.Minute
	clockEvery = time.Second
)

// reading is one look at the kernel's clocks: what a person reads, and the time since the kernel started, sleep
// included, which nobody can set.
type reading struct {
	wall time.Time
	up   time.Duration
}

func readClocks() reading {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil { // since Linux 2.6.39 it never fails
		return reading{wall: time.Now().Round(0), up: time.Since(processStart)}
	}
	return reading{wall: time.Now().Round(0), up: time.Duration(ts.Nano())}
}

var processStart = time.Now()

// steadyClock is the daemon's time: the wall clock without its jumps. Corrections of less than jumpLimit are followed
// as they come. A jump becomes true when it has been recorded and everything that counts minutes was moved with it,
// so that no window ends, or stays open, because somebody set the clock.
type steadyClock struct {
	read func() reading

	mu   sync.Mutex
	at   reading   // the last look
	time time.Time // steady time at it
}

// newSteadyClock goes on where the daemon before ended, as far as that is known: a clock that was set meanwhile, or
// that a server without battery lost, is a jump of this one.
func newSteadyClock(read func() reading, last *lifeSign, boot string) *steadyClock {
	now := read()
	c := &steadyClock{read: read, at: now, time: now.wall}
	switch {
	case last == nil:
	case last.Boot == boot:
		c.time = last.Seen.Add(now.up - last.Up)
	case now.wall.Before(last.Seen):
		c.time = last.Seen // the server was off for nobody knows how long; time only goes on
	}
	return c
}

// Now is steady time.
func (c *steadyClock) Now() time.Time {
	r := c.read()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time.Add(r.up - c.at.up)
}

// jumped looks at the wall clock and reports whether it was set: from what, and to what.
func (c *steadyClock) jumped() (from, to time.Time, yes bool) {
	r := c.read()
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.time.Add(r.up - c.at.up)
	if r.wall.Sub(now).Abs() > jumpLimit {
		return now, r.wall, true
	}
	c.at, c.time = r, r.wall
	return now, r.wall, false
}

// set moves steady time.
func (c *steadyClock) set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = c.time.Add(by)
}

// watch follows the wall clock until ctx ends.
func (c *steadyClock) watch(ctx context.Context, s *deploy.Service, log zerolog.Logger) error {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for told := false; ; {
		told = c.follow(s, log, told)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// follow takes a jump over. One that cannot be recorded is tried again, and told once.
func (c *steadyClock) follow(s *deploy.Service, log zerolog.Logger, told bool) bool {
	from, to, yes := c.jumped()
	if !yes {
		return false
	}
	if err := s.ClockSet(from, to, c.set); err != nil {
		if !told {
			log.Error().Err(err).Msg("the clock jumped, and that could not be recorded: the daemon goes on by its old time")
		}
		return true
	}
	log.Warn().Msgf("the clock jumped from %s to %s: open windows and running jobs go on as if it had not", clockText(from), clockText(to))
	return false
}

func clockText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
