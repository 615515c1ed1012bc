package main

import (
	"testing"
	"time"
)

// clocks are the kernel's, moved by hand.
type clocks struct{ r reading }

func (c *clocks) read() reading { return c.r }

// pass lets time go by; set sets the wall clock.
func (c *clocks) pass(d time.Duration) { c.r.wall, c.r.up = c.r.wall.Add(d), c.r.up+d }
func (c *clocks) set(d time.Duration)  { c.r.wall = c.r.wall.Add(d) }

const aYear = 365 * 24 * time.Hour

func TestSteadyTimeFollowsCorrectionsAndReportsJumps(t *testing.T) {
	start := time.Date(2026, 11, 25, 19, 0, 0, 0, time.UTC)
	c := &clocks{reading{wall: start, up: time.Hour}}
	clk := newSteadyClock(c.read, nil, "boot")
	c.pass(10 * time.Second)
	if now := clk.Now(); !now.Equal(start.Add(10 * time.Second)) {
		t.Errorf("after 10 s it is %s", now)
	}
	for _, step := range []time.Duration{20 * time.Second, -59 * time.Second} { // what a time server corrects
		c.set(step)
		if _, _, yes := clk.jumped(); yes || !clk.Now().Equal(c.r.wall) {
			t.Errorf("a correction of %s: jump %v, steady %s, wall %s", step, yes, clk.Now(), c.r.wall)
		}
	}
	for _, by := range []time.Duration{aYear, -aYear, 2 * time.Minute, -time.Hour} {
		before := c.r.wall
		c.set(by)
		from, to, yes := clk.jumped()
		if !yes || !from.Equal(before) || !to.Equal(before.Add(by)) {
			t.Errorf("set by %s: jumped = %s, %s, %v", by, from, to, yes)
		}
		c.pass(5 * time.Second)
		if now := clk.Now(); !now.Equal(before.Add(5 * time.Second)) {
			t.Errorf("until the jump is recorded it is %s; want the old time going on, %s", now, before.Add(5*time.Second))
		}
		clk.set(to.Sub(from))
		if _, _, yes := clk.jumped(); yes || !clk.Now().Equal(c.r.wall) {
			t.Errorf("recorded: still a jump %v, steady %s, wall %s", yes, clk.Now(), c.r.wall)
		}
	}
}

// TestAClockThatWasSetWhileNoDaemonRan is noticed by the next one, as far as the kernel's clocks tell it.
func TestAClockThatWasSetWhileNoDaemonRan(t *testing.T) {
	seen := time.Date(2026, 11, 25, 19, 0, 0, 0, time.UTC)
	last := &lifeSign{Boot: "one", Seen: seen, Up: time.Hour}
	for _, c := range []struct {
		name string
		boot string
		now  reading
		jump bool
		from time.Time
	}{
		{"a restart of the daemon", "one", reading{seen.Add(time.Minute), time.Hour + time.Minute}, false, time.Time{}},
		{"set on by a year meanwhile", "one", reading{seen.Add(aYear), time.Hour + time.Minute}, true, seen.Add(time.Minute)},
		{"set back by a year meanwhile", "one", reading{seen.Add(-aYear), time.Hour + time.Minute}, true, seen.Add(time.Minute)},
		{"the server was off for a night", "two", reading{seen.Add(9 * time.Hour), time.Minute}, false, time.Time{}},
		{"the server lost its clock", "two", reading{time.Unix(0, 0), time.Minute}, true, seen},
	} {
		clk := newSteadyClock((&clocks{c.now}).read, last, c.boot)
		from, _, yes := clk.jumped()
		if yes != c.jump || yes && !from.Equal(c.from) {
			t.Errorf("%s: jumped from %s, %v; want %s, %v", c.name, from, yes, c.from, c.jump)
		}
	}
	if _, _, yes := newSteadyClock((&clocks{reading{seen, 0}}).read, nil, "one").jumped(); yes {
		t.Error("the first daemon of all sees a jump")
	}
}

func TestTheKernelsClocksGoOn(t *testing.T) {
	a := readClocks()
	time.Sleep(10 * time.Millisecond)
	b := readClocks()
	if d := b.up - a.up; d < 10*time.Millisecond || d > 10*time.Second || a.up <= 0 {
		t.Errorf("10 ms later the server is up %s longer, of %s", d, a.up)
	}
}
