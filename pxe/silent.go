package pxe

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ingot/imaging/job"
)

// How long something heard beside a machine's requests counts.
const (
	sightFresh  = 30 * time.Minute // traffic of the machine itself
	loginFresh  = 5 * time.Minute  // 802.1X: a switch asks every half minute
	changeFresh = 5 * time.Minute  // a topology change of the spanning tree
	treeFresh   = time.Minute      // its packets: one each two seconds
	deafAfter   = 10 * time.Second // without a packet of anybody
)

// silent says why nothing may have come from a machine: what the server itself can see first, then what a person has
// to look at, in the order in which it is usually found.
func silent(f Findings) Cause {
	if f.Listening && !f.Since.IsZero() && f.Now.Sub(f.Since) < patience {
		return Cause{Going: true, Fact: "Nothing was heard of it yet."}
	}
	c := f.silentCause()
	if f.Listening && c.Code != job.BootServerLink {
		c.Checks = f.silentChecks()
	}
	return c.withClock(f.Clock)
}

func (f Findings) silentCause() Cause {
	if !f.Listening {
		return Cause{Code: job.BootNoDaemon}
	}
	if why, all := f.brokenLinks(); all {
		return because(job.BootServerLink, "%s", why)
	}
	s := f.Sight
	switch {
	case f.fresh(s.TaggedAt, sightFresh):
		return because(job.BootVLAN, "VLAN %d, on %s, last at %s", s.VLAN, s.Interface, clock(s.TaggedAt))
	case f.fresh(s.Plain, sightFresh):
		return because(job.BootOrder, "It asked for an address as a running system does, last at %s", clock(s.Plain))
	case f.fresh(s.Frame, sightFresh):
		return because(job.BootOrder, "It was heard on %s at %s, like a running system", s.Interface, clock(s.Frame))
	}
	for _, a := range f.Around {
		if f.fresh(a.Login, loginFresh) {
			return because(job.Boot8021X, "The switch asks for it on %s, last at %s", a.Interface, clock(a.Login))
		}
	}
	for _, a := range f.Around {
		if f.fresh(a.TreeChange, changeFresh) {
			return because(job.BootSpanningTree, "A switch told of a changed tree at %s, as when a port that is no edge port comes up", clock(a.TreeChange))
		}
	}
	if f.deaf() {
		return because(job.BootDeaf, "Listening since %s", clock(f.Around[0].Since))
	}
	return Cause{Code: job.BootSilent}
}

// fresh reports whether something was heard lately, and since the machine was ordered.
func (f Findings) fresh(t time.Time, within time.Duration) bool {
	return !t.IsZero() && f.Now.Sub(t) < within && !t.Before(f.Since)
}

// brokenLinks says what is wrong with the server's interfaces, and whether none is left.
func (f Findings) brokenLinks() (why string, all bool) {
	var bad []string
	for _, a := range f.Around {
		if t := a.trouble(); t != "" {
			bad = append(bad, t)
		}
	}
	if len(f.Around) == 0 {
		return "No interface is configured: \"ingot daemon --interface NAME\" or boot.interfaces names one", true
	}
	return strings.Join(bad, ", "), len(bad) == len(f.Around)
}

func (a Surroundings) trouble() string {
	switch a.State {
	case LinkGone:
		return "there is no interface " + a.Interface
	case LinkDown:
		return a.Interface + " is switched off"
	case LinkNoSignal:
		return a.Interface + " has no signal: no cable, or nothing at its other end"
	case LinkNoAddress:
		return a.Interface + " has no address"
	}
	return ""
}

func (f Findings) deaf() bool {
	for _, a := range f.Around {
		if a.Unheard != "" || a.Frames > 0 || f.Now.Sub(a.Since) < deafAfter {
			return false
		}
	}
	return true
}

// silentChecks are what to look at, in this order, each with what the server itself knows of it.
func (f Findings) silentChecks() []string {
	var signal, asked, relay, login, tree []string
	for _, a := range f.Around {
		switch t := a.trouble(); {
		case t != "":
			signal = append(signal, "On the server, "+t)
		case a.Unheard != "":
			signal = append(signal, fmt.Sprintf("The server's %s has a signal, but may not listen: %s", a.Interface, a.Unheard))
		case a.Frames == 0:
			signal = append(signal, fmt.Sprintf("The server's %s has a signal, but has heard nobody since %s", a.Interface, clock(a.Since)))
		default:
			signal = append(signal, fmt.Sprintf("The server's %s has a signal and heard somebody at %s", a.Interface, clock(a.Heard)))
		}
		asked = append(asked, heardOf("Another machine asked for a network boot on "+a.Interface+" at %s", "Nobody asked for a network boot on "+a.Interface+" yet", a.Asked))
		relay = append(relay, heardOf("A relay was heard on "+a.Interface+" at %s", "No relay was heard on "+a.Interface+" yet", a.Relayed))
		login = append(login, heardOf("The switch asked for it on the server's "+a.Interface+" at %s", "It was not heard on the server's own port "+a.Interface, a.Login))
		if f.fresh(a.TreeChange, changeFresh) {
			tree = append(tree, fmt.Sprintf("A changed tree was told on %s at %s", a.Interface, clock(a.TreeChange)))
		} else if f.fresh(a.Tree, treeFresh) {
			tree = append(tree, fmt.Sprintf("The switch at %s runs it", a.Interface))
		} else {
			tree = append(tree, "It was not heard on the server's own port "+a.Interface)
		}
	}
	network := "the server's network"
	if n := f.networks(); len(n) > 0 {
		network = strings.Join(n, ", ")
	}
	check := func(what string, known []string) string { return what + " (" + strings.Join(known, ". ") + ".)" }
	return []string{
		check("Link: is the cable in, does the lamp at the laptop's socket light, does the dongle sit in the right socket?", signal),
		check("Boot order: is network boot (PXE, IPv4) switched on in the firmware setup, and does it stand before the disk? Some firmware starts dongles only when a setting says so.", asked),
		check("VLAN or relay: does the laptop's socket lead to "+network+"? From any other network the switch must relay DHCP (ip helper) to this server.", relay),
		check("802.1X: does the laptop's switch port ask for a login? Firmware cannot answer it.", login),
		check("Spanning tree: is the laptop's switch port an edge port (portfast)? Else it is shut for 30 seconds after each start of the link.", tree),
	}
}

func (f Findings) networks() (out []string) {
	for _, a := range f.Around {
		if a.Network != (netip.Prefix{}) {
			out = append(out, a.Network.String())
		}
	}
	return out
}

func heardOf(yes, no string, t time.Time) string {
	if t.IsZero() {
		return no
	}
	return fmt.Sprintf(yes, clock(t))
}

// clock is a time of day for people; the day stands there when it is another one.
func clock(t time.Time) string {
	t = t.Local()
	if time.Since(t) > 20*time.Hour {
		return t.Format("2006-01-02 15:04")
	}
	return t.Format("15:04:05")
}
