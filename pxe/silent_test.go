package pxe_test

import (
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/pxe"
)

// TestWhereNothingArrived: what the server sees of its own link, of the network and of the machine decides; each row
// adds a fact that must win over the generic answer.
func TestWhereNothingArrived(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	good := pxe.Surroundings{Interface: "enp3s0", Network: mustPrefix("10.77.0.0/24"), State: pxe.LinkGood, Since: ago(time.Hour), Frames: 99, Heard: ago(time.Second)}
	with := func(f func(*pxe.Surroundings)) []pxe.Surroundings { a := good; f(&a); return []pxe.Surroundings{a} }
	for _, c := range []struct {
		name  string
		f     pxe.Findings
		code  job.Code
		fact  string
		check string // stands in some line of what to check
	}{
		{"no daemon", pxe.Findings{}, job.BootNoDaemon, "", ""},
		{"no interface", pxe.Findings{Listening: true}, job.BootServerLink, "No interface is configured", ""},
		{"the interface went", pxe.Findings{Listening: true, Around: with(func(a *pxe.Surroundings) { a.State = pxe.LinkGone })}, job.BootServerLink, "There is no interface enp3s0", ""},
		{"the interface is off", pxe.Findings{Listening: true, Around: with(func(a *pxe.Surroundings) { a.State = pxe.LinkDown })}, job.BootServerLink, "switched off", ""},
		{"no signal", pxe.Findings{Listening: true, Around: with(func(a *pxe.Surroundings) { a.State = pxe.LinkNoSignal })}, job.BootServerLink, "no signal", ""},
		{"no address", pxe.Findings{Listening: true, Around: with(func(a *pxe.Surroundings) { a.State = pxe.LinkNoAddress })}, job.BootServerLink, "no address", ""},
		{"one of two links is good", pxe.Findings{Listening: true, Around: append(with(func(a *pxe.Surroundings) { a.Interface, a.State = "enp4s0", pxe.LinkGone }), good)}, job.BootSilent, "", "On the server, there is no interface enp4s0"},
		{"nobody at all is heard", pxe.Findings{Listening: true, Around: with(func(a *pxe.Surroundings) { a.Frames = 0 })}, job.BootDeaf, "Listening since", "has heard nobody"},
		{"nobody yet, listening for a second", pxe.Findings{Listening: true, Around: with(func(a *pxe.Surroundings) { a.Frames, a.Since = 0, ago(time.Second) })}, job.BootSilent, "", ""},
		{"it may not listen", pxe.Findings{Listening: true, Around: with(func(a *pxe.Surroundings) { a.Frames, a.Unheard = 0, "no right" })}, job.BootSilent, "", "may not listen: no right"},
		{"a tagged packet of it", pxe.Findings{Listening: true, Around: with(func(*pxe.Surroundings) {}), Sight: pxe.Sighting{Interface: "enp3s0", VLAN: 20, TaggedAt: ago(time.Minute)}}, job.BootVLAN, "VLAN 20", ""},
		{"its system asked for an address", pxe.Findings{Listening: true, Around: with(func(*pxe.Surroundings) {}), Sight: pxe.Sighting{Interface: "enp3s0", Plain: ago(time.Minute)}}, job.BootOrder, "as a running system does", ""},
		{"its system was heard", pxe.Findings{Listening: true, Around: with(func(*pxe.Surroundings) {}), Sight: pxe.Sighting{Interface: "enp3s0", Frame: ago(time.Minute)}}, job.BootOrder, "like a running system", ""},
		{"its system was heard yesterday", pxe.Findings{Listening: true, Around: with(func(*pxe.Surroundings) {}), Sight: pxe.Sighting{Interface: "enp3s0", Plain: ago(24 * time.Hour)}}, job.BootSilent, "", ""},
		{"its system was heard before it was ordered", pxe.Findings{Listening: true, Since: ago(2 * time.Minute), Around: with(func(*pxe.Surroundings) {}), Sight: pxe.Sighting{Plain: ago(3 * time.Minute)}}, job.BootSilent, "", ""},
		{"a login is asked for", pxe.Findings{Listening: true, Around: with(func(a *pxe.Surroundings) { a.Login = ago(time.Minute) })}, job.Boot8021X, "enp3s0", "The switch asked for it on the server's enp3s0 at"},
		{"a login was asked for an hour ago", pxe.Findings{Listening: true, Around: with(func(a *pxe.Surroundings) { a.Login = ago(time.Hour) })}, job.BootSilent, "", "The switch asked for it on the server's enp3s0 at"},
		{"the tree changed", pxe.Findings{Listening: true, Around: with(func(a *pxe.Surroundings) { a.Tree, a.TreeChange = ago(time.Second), ago(time.Minute) })}, job.BootSpanningTree, "changed tree", "changed tree was told"},
		{"a tree runs", pxe.Findings{Listening: true, Around: with(func(a *pxe.Surroundings) { a.Tree = ago(time.Second) })}, job.BootSilent, "", "The switch at enp3s0 runs it"},
		{"nothing is known", pxe.Findings{Listening: true, Around: with(func(*pxe.Surroundings) {})}, job.BootSilent, "", "10.77.0.0/24"},
	} {
		c.f.Now = now
		got := pxe.Diagnose(c.f)
		if got.Code != c.code || !strings.Contains(got.Fact, c.fact) || got.Going || got.Done {
			t.Errorf("%s: %+v; want %s, %q", c.name, got, c.code, c.fact)
		}
		if !strings.Contains(strings.Join(got.Checks, "\n"), c.check) {
			t.Errorf("%s: to check: %q; want %q in it", c.name, got.Checks, c.check)
		}
		if c.code == job.BootSilent {
			wantOrder(t, c.name, got.Checks)
		}
	}
}

// wantOrder: link, boot order, VLAN or relay, 802.1X, spanning tree.
func wantOrder(t *testing.T, name string, checks []string) {
	t.Helper()
	for i, head := range []string{"Link:", "Boot order:", "VLAN or relay:", "802.1X:", "Spanning tree:"} {
		if len(checks) != 5 || !strings.HasPrefix(checks[i], head) {
			t.Errorf("%s: to check: %q; want five lines, number %d about %q", name, checks, i+1, head)
			return
		}
	}
}

// TestSilentSinceTheOrder: what was heard before the order explains nothing, and a minute is given to it.
func TestSilentSinceTheOrder(t *testing.T) {
	events := story(line{0, "pxe", pxe.LegDiscover, "", "", 0, 0, ""}, line{30, "", pxe.LegHello, "", "", 0, 0, ""})
	last := events[1].Time
	around := []pxe.Surroundings{{Interface: "enp3s0", State: pxe.LinkGood, Since: last, Frames: 1}}
	for _, c := range []struct {
		name  string
		since time.Time
		now   time.Time
		code  job.Code
		going bool
		done  bool
	}{
		{"never ordered", time.Time{}, last.Add(time.Hour), "", false, true},
		{"ordered before it came", last.Add(-time.Minute), last.Add(time.Hour), "", false, true},
		{"ordered afterwards, a moment ago", last.Add(time.Hour), last.Add(time.Hour + 20*time.Second), "", true, false},
		{"ordered afterwards", last.Add(time.Hour), last.Add(2 * time.Hour), job.BootSilent, false, false},
	} {
		got := pxe.Diagnose(pxe.Findings{Events: events, Since: c.since, Now: c.now, Listening: true, Around: around})
		if got.Code != c.code || got.Going != c.going || got.Done != c.done {
			t.Errorf("%s: %+v; want %q, going %v, done %v", c.name, got, c.code, c.going, c.done)
		}
	}
}

// TestAWrongClockIsTheCauseWhereItCanBe: a token that seems past; elsewhere it is one more thing to check.
func TestAWrongClockIsTheCauseWhereItCanBe(t *testing.T) {
	const clock = "The server's clock was moved by 8760h0m0s while the daemon ran."
	closed := story(line{0, "pxe", pxe.LegDiscover, "", "", 0, 0, ""}, line{0, "pxe", pxe.LegRefuse, "", "The bench is closed.", 0, 0, ""})
	denied := story(line{0, "pxe", pxe.LegDiscover, "", "", 0, 0, ""}, line{9, "", pxe.LegDenied, "", "This start is too old.", 0, 0, ""})
	shim := story(line{0, "pxe", pxe.LegDiscover, "", "", 0, 0, ""}, line{1, "pxe", pxe.LegNBP, "shimx64.efi", "", 9, 9, ""})
	hello := story(line{0, "", pxe.LegHello, "", "", 0, 0, ""})
	for _, c := range []struct {
		events []pxe.Event
		code   job.Code
		checks int
	}{{denied, job.BootClock, 1}, {closed, job.BootOwnDisk, 1}, {shim, job.BootShim, 1}, {hello, "", 0}} {
		got := pxe.Diagnose(pxe.Findings{Events: c.events, Now: c.events[0].Time.Add(time.Hour), Listening: true, Clock: clock})
		if got.Code != c.code || len(got.Checks) != c.checks {
			t.Errorf("after %s: %+v; want %q and %d things to check", c.events[len(c.events)-1].Leg, got, c.code, c.checks)
		}
	}
}
