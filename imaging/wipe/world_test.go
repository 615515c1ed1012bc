package wipe_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"ingot/imaging/passthru"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/wipetest"
)

const (
	mib      = 1 << 20
	goodPSID = "ABCDEFGH1234567890ABCDEFGH123456"
)

// world is one drive and all that an engine needs, recorded.
type world struct {
	engine    *wipe.Engine
	order     wipe.Order
	journal   []wipe.Started // as they were stored: through JSON
	passwords []wipe.Password
	shown     []wipe.Progress
}

// newWorld puts an engine over a port. Random numbers are the test's own, so that a failure can be repeated.
func newWorld(t testing.TB, p wipe.Port, clock wipe.Clock, expect wipe.Expect, seed uint64) *world {
	t.Helper()
	w := &world{order: wipe.Order{Drive: expect, Policy: wipe.DefaultPolicy()}}
	w.engine = &wipe.Engine{Port: p, Clock: clock, Random: rand.NewChaCha8([32]byte{0: byte(seed), 1: byte(seed >> 8), 31: 't'}),
		Journal: func(s wipe.Started) error {
			w.journal = append(w.journal, stored(t, s))
			return nil
		},
		Keep: func(p wipe.Password) error {
			w.passwords = append(w.passwords, p)
			return nil
		},
		Show: func(p wipe.Progress) { w.shown = append(w.shown, p) },
	}
	return w
}

// stored is what the daemon gives back of what it was given.
func stored(t testing.TB, s wipe.Started) wipe.Started {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 160<<10 { // the protocol takes 192 KiB
		t.Errorf("a journal of %d bytes does not fit into a message", len(b))
	}
	var out wipe.Started
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) wipe() wipe.Report { return w.engine.Wipe(context.Background(), w.order) }

// settle is the next boot: a new engine over the same drive.
func (w *world) settle(t testing.TB, p wipe.Port) wipe.Report {
	t.Helper()
	if len(w.journal) == 0 {
		t.Fatal("nothing was journaled")
	}
	e := *w.engine
	e.Port = p
	password := ""
	if len(w.passwords) > 0 {
		password = w.passwords[len(w.passwords)-1].Password
	}
	return e.Settle(context.Background(), w.journal[len(w.journal)-1], password)
}

func nvmeWorld(t testing.TB, change func(*wipetest.NVMe)) (*world, *wipetest.NVMe) {
	d := wipetest.NewNVMe(wipetest.NewMedium(4*mib, true, 1))
	if change != nil {
		change(d)
	}
	return newWorld(t, d, d.Clock, d.Expect(), 1), d
}

func ataWorld(t testing.TB, rotation uint16, change func(*wipetest.ATA)) (*world, *wipetest.ATA) {
	d := wipetest.NewATA(wipetest.NewMedium(4*mib, rotation == 1, 2), rotation)
	if change != nil {
		change(d)
	}
	return newWorld(t, d, d.Clock, d.Expect(), 2), d
}

func emmcWorld(t testing.TB, change func(*wipetest.EMMC)) (*world, *wipetest.EMMC) {
	d := wipetest.NewEMMC(wipetest.NewMedium(4*mib, true, 3))
	if change != nil {
		change(d)
	}
	return newWorld(t, d, d.Clock, d.Expect(), 3), d
}

func plainWorld(t testing.TB, transport, behind string, change func(*wipetest.Base)) (*world, *wipetest.Base) {
	d := wipetest.NewPlain(wipetest.NewMedium(4*mib, true, 4), transport, behind)
	if change != nil {
		change(d)
	}
	return newWorld(t, d, d.Clock, d.Expect(), 4), d
}

// want compares an end with what was expected of it, and always asks whether the report says more than is true.
func want(t testing.TB, r wipe.Report, o wipe.Outcome, c wipe.Cause, tech wipe.Technique, claim wipe.Level) {
	t.Helper()
	if r.Outcome != o || r.Cause != c || r.Technique != tech || r.Claim != claim {
		t.Errorf("wipe = %s, cause %q, technique %q, claim %q; want %s, %q, %q, %q\nfact: %s\nattempts: %+v", r.Outcome, r.Cause, r.Technique, r.Claim, o, c, tech, claim, r.Fact, r.Attempts)
	}
	if err := r.Certify(); (err == nil) != (r.Outcome == wipe.Done) {
		t.Errorf("Certify = %v for a wipe that is %s", err, r.Outcome)
	}
	if r.Outcome == wipe.Indeterminate && r.Settle == "" {
		t.Error("indeterminate, and nobody is told how to settle it")
	}
	if r.Outcome != wipe.Done && (r.Cause == "" || r.Fact == "") {
		t.Errorf("%s without a cause or a fact", r.Outcome)
	}
}

// truth is what a test knows of a drive's cells.
type truth interface {
	Readable() int
	Left() int
}

// honest: a report that is done claims nothing that is not so.
func honest(t testing.TB, r wipe.Report, d truth) {
	t.Helper()
	if r.Outcome != wipe.Done {
		return
	}
	if n := d.Readable(); n > 0 {
		t.Errorf("done by %s, and %d blocks of the former user can be read", r.Technique, n)
	}
	if n := d.Left(); r.Claim == wipe.Purge && n > 0 {
		t.Errorf("purge claimed of %s, and %d blocks of the former user are in the cells", r.Technique, n)
	}
}

var errServer = errors.New("the server did not answer")

// sleepless is a machine that sleeps and wakes: its drives lose their power.
func sleeps(d *wipetest.ATA) func() error {
	return func() error {
		d.Clock.Sleep(10 * time.Second)
		d.PowerCycle()
		return nil
	}
}

// identify is a command that only lets simulated time reach the drive.
func identify() passthru.NVMe {
	return passthru.NVMe{Opcode: 0x06, CDW: [6]uint32{1}, Data: make([]byte, 4096)}
}
