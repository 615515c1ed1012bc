package pxe

import (
	"fmt"
	"net"
	"net/netip"
)

// facts are what decides whether an interface can be served, read in one look.
type facts struct {
	index  int          // 0: there is no such interface
	signal bool         // it is up, with a cable that has a signal
	addr   netip.Addr   // the IPv4 address to stand on; invalid: none that fits
	prefix netip.Prefix // its network
}

// servable reports whether ports can be opened there.
func (f facts) servable() bool { return f.index != 0 && f.addr.IsValid() }

// step is what to do about an interface.
type step int

const (
	stay step = iota // nothing: it is served, or waited for, as before
	shut             // close its ports: laptops there cannot be answered
	move             // close its ports and open them again, where it is now
	open             // open its ports
)

// judge is the table behind everything that becomes of an interface: was is what its ports were opened with (the
// zero facts when they are closed), now is what was seen. The words are for the log; empty when there is nothing
// to tell.
func judge(name string, was, now facts) (step, string) {
	switch {
	case !was.servable() && now.servable():
		return open, ""
	case !was.servable() && now.index == 0:
		return stay, fmt.Sprintf("waiting for interface %s", name)
	case !was.servable():
		return stay, fmt.Sprintf("waiting for an IPv4 address of interface %s", name)
	case now.index == 0:
		return shut, fmt.Sprintf("interface %s is gone: laptops on it are not answered", name)
	case !now.addr.IsValid():
		return shut, fmt.Sprintf("interface %s has lost its address %s: laptops on it are not answered", name, was.addr)
	case now.addr != was.addr:
		return move, fmt.Sprintf("interface %s has the address %s now, not %s: laptops that are at work look for the old one, start them again", name, now.addr, was.addr)
	case now.prefix != was.prefix:
		return move, fmt.Sprintf("interface %s stands in the network %s now, not %s", name, now.prefix, was.prefix)
	case now.index != was.index:
		return move, fmt.Sprintf("interface %s was taken out and put back", name)
	case was.signal && !now.signal:
		return stay, fmt.Sprintf("interface %s has no signal: is its cable out?", name)
	case !was.signal && now.signal:
		return stay, fmt.Sprintf("interface %s has a signal again", name)
	}
	return stay, ""
}

// look reads the facts of an interface. The address that we stand on already stays while it is there, so that a
// second one beside it changes nothing; as a full DHCP server only addresses inside a subnet fit.
func (s *Server) look(name string, standing netip.Addr) (facts, error) {
	ifc, err := net.InterfaceByName(name)
	if err != nil {
		return facts{}, nil // there is none, or it cannot be read, which is the same to a laptop on it
	}
	addrs, err := ifc.Addrs()
	if err != nil {
		return facts{}, fmt.Errorf("read addresses of %s: %w", name, err)
	}
	now := facts{index: ifc.Index, signal: ifc.Flags&net.FlagRunning != 0}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.To4() == nil {
			continue
		}
		ip := addrOf(n.IP.To4())
		bits, _ := n.Mask.Size()
		fits := ip.IsValid() && (s.cfg.Mode != ModeDHCP || s.inSubnets(ip))
		if fits && (!now.addr.IsValid() || ip == standing) {
			now.addr, now.prefix = ip, netip.PrefixFrom(ip, bits).Masked()
		}
	}
	return now, nil
}

func (s *Server) inSubnets(ip netip.Addr) bool {
	for _, sub := range s.cfg.Subnets {
		if sub.Prefix.Contains(ip) {
			return true
		}
	}
	return false
}
