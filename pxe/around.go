package pxe

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// LinkState is how an interface of the server stands.
type LinkState string

// The states of an interface.
const (
	LinkGood      LinkState = "good"
	LinkGone      LinkState = "gone"       // there is no such interface
	LinkDown      LinkState = "down"       // switched off
	LinkNoSignal  LinkState = "no-signal"  // no carrier
	LinkNoAddress LinkState = "no-address" // nothing to answer from
)

// Surroundings is what the server itself knows about one of its interfaces: how it stands, and what was heard there
// beside the answers that it gave. A zero time means never.
type Surroundings struct {
	Interface  string
	Network    netip.Prefix // zero when it has no address
	State      LinkState
	Since      time.Time // listening since then
	Unheard    string    // why it does not listen; empty when it does
	Frames     uint64    // heard from others, broadcasts only
	Heard      time.Time // the last of them
	Asked      time.Time // somebody asked for a network boot
	Relayed    time.Time // a relay passed a request on
	Login      time.Time // a switch asked for an 802.1X login (EAPOL)
	Tree       time.Time // a switch runs a spanning tree (BPDU)
	TreeChange time.Time // and told that the tree changed
}

// Sighting is what was heard of one MAC beside its network boots. A zero time means never.
type Sighting struct {
	Interface string
	Frame     time.Time // any broadcast of it
	Plain     time.Time // it asked for an address as an operating system does
	VLAN      uint16    // the tag under which its packets arrive, if they do
	TaggedAt  time.Time
}

// maxSightings bounds the MACs that are remembered; at twice as many the older half goes.
const maxSightings = 2048

// around is what the links of a server hear. Its methods may be called from any goroutine.
type around struct {
	mu         sync.Mutex
	links      map[string]*Surroundings
	young, old map[MAC]Sighting
}

func newAround() *around {
	return &around{links: map[string]*Surroundings{}, young: map[MAC]Sighting{}, old: map[MAC]Sighting{}}
}

// note changes what is known of an interface.
func (a *around) note(name string, f func(*Surroundings)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.links[name]
	if !ok {
		s = &Surroundings{Interface: name}
		a.links[name] = s
	}
	f(s)
}

// sight changes what is known of a MAC.
func (a *around) sight(mac MAC, f func(*Sighting)) {
	if !mac.Valid() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.young[mac]
	if !ok {
		s = a.old[mac]
		if len(a.young) >= maxSightings {
			a.old, a.young = a.young, map[MAC]Sighting{}
		}
	}
	f(&s)
	a.young[mac] = s
}

// Sighting gives what was heard of a MAC beside its network boots.
func (s *Server) Sighting(mac MAC) Sighting {
	s.around.mu.Lock()
	defer s.around.mu.Unlock()
	if at, ok := s.around.young[mac]; ok {
		return at
	}
	return s.around.old[mac]
}

// Surroundings gives what is known of each configured interface, as it stands now.
func (s *Server) Surroundings() []Surroundings {
	var out []Surroundings
	for _, name := range s.Config.Interfaces {
		var at Surroundings
		s.around.note(name, func(k *Surroundings) { at = *k })
		at.State, at.Network = stateOf(name)
		out = append(out, at)
	}
	return out
}

// stateOf looks at an interface.
func stateOf(name string) (LinkState, netip.Prefix) {
	ifc, err := net.InterfaceByName(name)
	if err != nil {
		return LinkGone, netip.Prefix{}
	}
	if ifc.Flags&net.FlagUp == 0 {
		return LinkDown, netip.Prefix{}
	}
	addrs, _ := ifc.Addrs() // none shows as no address
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !p.Addr().Is4() {
			continue
		}
		if ifc.Flags&net.FlagRunning == 0 {
			return LinkNoSignal, p.Masked()
		}
		return LinkGood, p.Masked()
	}
	if ifc.Flags&net.FlagRunning == 0 {
		return LinkNoSignal, netip.Prefix{}
	}
	return LinkNoAddress, netip.Prefix{}
}

// asked notes a request that came to port 67 of a link.
func (l *link) asked(r request, now time.Time) {
	l.around.note(l.name, func(s *Surroundings) {
		if r.netboot() {
			s.Asked = now
		}
		if r.relay.IsValid() {
			s.Relayed = now
		}
	})
	if !r.netboot() && !l.known.agentMay(r.machine.MAC, now) {
		l.around.sight(r.machine.MAC, func(s *Sighting) { s.Plain, s.Interface = now, l.name })
	}
}
