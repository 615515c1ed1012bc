package wipe_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ingot/imaging/passthru"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/wipetest"
)

var runs = flag.Int("runs", 2400, "how many random runs")

// simulated is a drive of any kind, as a random run uses it.
type simulated interface {
	wipe.Port
	truth
	ReadableIn(bytes uint64) int
	Expect() wipe.Expect
}

// TestNoFaultMakesADoneReport: drives that misbehave at random, commands and answers that are lost at random, an agent
// that is killed at a random call and a server that is gone at a random one, and then the next boot that settles it. A
// report that is done, from either, is held against the drive's cells.
func TestNoFaultMakesADoneReport(t *testing.T) {
	ends := map[wipe.Outcome]int{}
	settled := map[wipe.Outcome]int{}
	kills := 0
	for i := range *runs {
		rnd := rand.New(rand.NewPCG(uint64(i), 0x1060))
		d, clock, drive := randomDrive(rnd)
		w := newWorld(t, d, clock, d.Expect(), uint64(i))
		randomOrder(rnd, w, d)
		f := &wipetest.Faulty{Port: d, Fault: wipetest.Fault(rnd.IntN(int(wipetest.Faults))), At: randomCall(rnd)}
		w.engine.Port = f
		serverFaults(rnd, w, f)
		r, dead := mortal(w)
		what := fmt.Sprintf("run %d: %s, fault %d at call %d", i, drive, f.Fault, f.At)
		if dead {
			kills++
		} else {
			ends[r.Outcome]++
			check(t, what, r, d)
		}
		if (dead || r.Outcome == wipe.Indeterminate) && len(w.journal) > 0 {
			if rnd.IntN(2) == 0 {
				clock.Sleep(2 * time.Hour)
			}
			if a, ok := d.(*wipetest.ATA); ok {
				a.PowerCycle()
			}
			s := w.settle(t, d)
			settled[s.Outcome]++
			check(t, what+", settled", s, d)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d runs: %v, %d killed; settled by the next boot: %v", *runs, ends, kills, settled)
	for _, o := range []wipe.Outcome{wipe.Done, wipe.Refused, wipe.Failed, wipe.Indeterminate} {
		if *runs > 1000 && (ends[o] < 20 || settled[o] < 5) {
			t.Errorf("only %d runs were %s, %d settled so: the faults are not what they should be", ends[o], o, settled[o])
		}
	}
}

// check holds a report against the drive.
func check(t *testing.T, what string, r wipe.Report, d simulated) {
	t.Helper()
	if err := r.Certify(); (err == nil) != (r.Outcome == wipe.Done) {
		t.Errorf("%s: Certify = %v for %s", what, err, r.Outcome)
	}
	if r.Outcome != wipe.Done {
		if r.Cause == "" || r.Claim != wipe.None || r.Technique != "" {
			t.Errorf("%s: %s with cause %q, claim %q, technique %q", what, r.Outcome, r.Cause, r.Claim, r.Technique)
		}
		return
	}
	seen := d.Readable
	if r.Warned(wipe.WarnHiddenUnknown) { // said so: it speaks of what the drive shows
		seen = func() int { return d.ReadableIn(r.Drive.SizeBytes) }
	}
	if n := seen(); n > 0 {
		t.Errorf("%s: done by %s, and %d blocks of the former user can be read", what, r.Technique, n)
	}
	if n := d.Left(); r.Claim == wipe.Purge && n > 0 {
		t.Errorf("%s: purge claimed of %s, and %d blocks are in the cells", what, r.Technique, n)
	}
}

// mortal runs the wipe; the agent may be killed in it.
func mortal(w *world) (r wipe.Report, dead bool) {
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(wipetest.Killed); !ok {
				panic(v)
			}
			dead = true
		}
	}()
	return w.wipe(), false
}

// serverFaults sends journal and password through the same fault, so that the server may be gone, lose its answer
// after storing, or see the agent die.
func serverFaults(rnd *rand.Rand, w *world, f *wipetest.Faulty) {
	journal, keep := w.engine.Journal, w.engine.Keep
	w.engine.Journal = func(s wipe.Started) error { return f.Tap(func() error { return journal(s) }) }
	w.engine.Keep = func(p wipe.Password) error { return f.Tap(func() error { return keep(p) }) }
	if rnd.IntN(40) == 0 {
		w.engine.Journal = func(wipe.Started) error { return errServer }
	}
}

// randomCall favours the calls around the point of no return: before it lie some hundred reads and writes.
func randomCall(rnd *rand.Rand) int {
	switch rnd.IntN(4) {
	case 0:
		return 1 + rnd.IntN(12)
	case 1:
		return 1 + rnd.IntN(2000)
	default:
		return 60 + rnd.IntN(500)
	}
}

func randomOrder(rnd *rand.Rand, w *world, d simulated) {
	w.order.Override = rnd.IntN(2) == 0
	if rnd.IntN(3) > 0 {
		w.order.PSID = goodPSID
	}
	w.order.Policy.Raise = []wipe.Technique{wipe.PSIDRevert}
	if rnd.IntN(4) == 0 {
		w.order.Policy.Want = map[wipe.Class]wipe.Level{wipe.SATADisk: wipe.Purge}
	}
	if rnd.IntN(5) == 0 {
		w.order.Policy.Depth = wipe.DepthWide
	}
	if a, ok := d.(*wipetest.ATA); ok && rnd.IntN(2) == 0 {
		w.engine.Thaw = sleeps(a)
	}
}

const small = 1 * mib // 256 blocks

// randomDrive makes a drive of a random kind with random abilities and, half of the time, one or two faults of its own.
// What it may keep of its data is a twentieth or more: no sampling finds a single block.
func randomDrive(rnd *rand.Rand) (simulated, *wipetest.Clock, string) {
	seed := rnd.Uint64()
	once := func(n int) bool { return rnd.IntN(n) == 0 }
	keeps := 0
	if once(6) {
		keeps = 50 + rnd.IntN(951)
	}
	leaves := rnd.IntN(3)
	takes := time.Duration(rnd.IntN(90)) * time.Second
	opal := (*wipetest.Opal)(nil)
	if once(5) {
		opal = &wipetest.Opal{PSID: goodPSID, Enabled: !once(3), Encrypts: !once(3), Lies: once(5)}
		opal.Locked = opal.Enabled && once(2)
	}
	switch rnd.IntN(5) {
	case 0, 1:
		d := wipetest.NewNVMe(wipetest.NewMedium(small, true, seed))
		d.SANICAP, d.FNA, d.OACS, d.Opal = uint32(rnd.IntN(8)), uint8(rnd.IntN(8)), uint16(rnd.IntN(4)), opal
		d.Keeps, d.Leaves, d.Takes = keeps, leaves, takes
		d.Fails, d.FailsOnce, d.Ignores, d.Stalls, d.NoGDE = once(12), once(8), once(12), once(20), once(6)
		if once(3) {
			d.Version = 2<<16 | 2<<8
			d.NoPREQ, d.ClearsOnly = once(3), once(3)
		}
		if once(3) {
			d.SSTAT, d.SCDW10 = []uint16{0, 1, 2, 3, 4, 0x101, 0x104, 5}[rnd.IntN(8)], uint32(2+rnd.IntN(3))
		}
		if once(8) {
			d.Refuses = []passthru.Status{1, 2, 0x1c, 0x1d, 0x0286, 0x10b}[rnd.IntN(6)]
		}
		if once(8) {
			d.FormatState = []passthru.Status{1, 6, 0x15, 0x1c, 0x1d, 0x84, 0x10a}[rnd.IntN(7)]
		}
		if once(6) {
			d.LogFails = rnd.IntN(60) - 1
		}
		if once(8) {
			d.Lag = time.Duration(rnd.IntN(20)) * time.Second
		}
		bad(rnd, d.Medium)
		return d, d.Clock, fmt.Sprintf("NVMe %+v", d)
	case 2, 3:
		rotation := []uint16{1, 7200, 0}[rnd.IntN(3)]
		d := wipetest.NewATA(wipetest.NewMedium(small, rotation == 1, seed), rotation)
		d.Sanitizes, d.Opal, d.Trusted = uint16(rnd.IntN(16))<<12, opal, true
		d.Keeps, d.Leaves, d.Takes = keeps, leaves, takes
		d.Supported, d.Enhanced, d.Frozen, d.SanFrozen = !once(4), !once(2), once(6), once(8)
		d.Enabled = once(15)
		d.SanSucceeded, d.SanFailed = once(4), once(15)
		d.Fails, d.FailsOnce, d.Ignores, d.Stalls = once(12), once(8), once(12), once(20)
		d.KeepsLock, d.ErasesNone, d.EraseFails, d.ThawsNothing = once(10), once(10), once(10), once(3)
		d.Fixed = once(20)
		if once(6) {
			d.StatusFails = rnd.IntN(60) - 1
		}
		for _, cmd := range []uint8{0xb4, 0xf1, 0xf2, 0xf3, 0xf4, 0xf6, 0x27, 0x37} {
			d.Aborts[cmd], d.Silent[cmd] = once(20), once(20)
		}
		if d.HPA, d.DCO, d.AMAC = once(3), once(4), once(5); (d.HPA || d.DCO || d.AMAC) && once(2) {
			d.Hide()
			d.NoUnhide, d.NoNative = once(3), once(5)
		}
		bad(rnd, d.Medium)
		return d, d.Clock, fmt.Sprintf("ATA %+v", d)
	}
	if once(2) {
		d := wipetest.NewPlain(wipetest.NewMedium(small, true, seed), []string{"usb", "ufs", "scsi", "virtio"}[rnd.IntN(4)], "")
		d.Cached = once(6)
		bad(rnd, d.Medium)
		return d, d.Clock, fmt.Sprintf("plain %+v", d.Told)
	}
	d := wipetest.NewEMMC(wipetest.NewMedium(small, true, seed))
	d.Feature, d.Refuses, d.Silent, d.NoBoot, d.NoTrim = uint8(rnd.IntN(256)), once(8), once(8), once(10), once(10)
	if once(8) {
		d.TrimLies, d.Ignores = true, true
	}
	if once(10) {
		d.TrimEnds = 1 + rnd.IntN(3)
	}
	bad(rnd, d.Medium)
	return d, d.Clock, fmt.Sprintf("eMMC %+v", d)
}

// bad gives a medium the faults of age.
func bad(rnd *rand.Rand, m *wipetest.Medium) {
	if rnd.IntN(8) == 0 {
		m.BadAt[rnd.IntN(m.Size()/wipetest.Block)] = true
	}
	if rnd.IntN(8) == 0 {
		m.DeadAt[rnd.IntN(m.Size()/wipetest.Block)] = true
	}
	m.Drops, m.NoFlush = rnd.IntN(15) == 0, rnd.IntN(15) == 0
	if rnd.IntN(10) == 0 {
		m.Erase(wipetest.Zeros, 500)
	}
}
