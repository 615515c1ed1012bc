package setup

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// NIC is a wired network adapter, or what stands for one: a bridge, a VLAN, a virtual adapter.
type NIC struct {
	Name     string
	Up       bool         // switched on by the host
	Carrier  bool         // a cable with a signal
	Physical bool         // hardware of its own
	Net      netip.Prefix // its first IPv4 address with the network; invalid when it has none
}

// String tells a person what is known of it.
func (n NIC) String() string {
	var facts []string
	if n.Net.IsValid() {
		facts = append(facts, n.Net.String())
	} else {
		facts = append(facts, "no IPv4 address")
	}
	if n.Carrier {
		facts = append(facts, "cable with signal")
	} else {
		facts = append(facts, "no signal")
	}
	if !n.Physical {
		facts = append(facts, "virtual")
	}
	return fmt.Sprintf("%s (%s)", n.Name, strings.Join(facts, ", "))
}

// Wired lists the adapters below a folder of sysfs on which laptops may hang, the likeliest first: with a signal,
// with an address, with hardware. Wireless ones, loopbacks, tunnels and members of a bridge or bond are none.
func Wired(sys string) ([]NIC, error) {
	entries, err := os.ReadDir(sys)
	if err != nil {
		return nil, fmt.Errorf("list network adapters: %w", err)
	}
	var out []NIC
	for _, e := range entries {
		dir := filepath.Join(sys, e.Name())
		const ether = "1" // ARPHRD_ETHER
		if word(dir, "type") != ether || e.Name() == "lo" || has(dir, "wireless") || has(dir, "phy80211") || has(dir, "master") || has(dir, "tun_flags") && !has(dir, "bridge") {
			continue
		}
		n := NIC{Name: e.Name(), Physical: has(dir, "device"), Carrier: word(dir, "carrier") == "1"}
		n.Up = n.Carrier || word(dir, "operstate") == "up" || word(dir, "operstate") == "unknown"
		n.Net = firstIPv4(e.Name())
		out = append(out, n)
	}
	slices.SortStableFunc(out, func(a, b NIC) int {
		return cmp.Or(first(a.Carrier, b.Carrier), first(a.Net.IsValid(), b.Net.IsValid()), first(a.Physical, b.Physical), strings.Compare(a.Name, b.Name))
	})
	return out, nil
}

// first orders true before false.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func has(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}

// word is the content of a file of one word; "" when it cannot be read, as the carrier of an adapter that is off.
func word(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func firstIPv4(name string) netip.Prefix {
	ifc, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Prefix{}
	}
	addrs, err := ifc.Addrs()
	if err != nil {
		return netip.Prefix{}
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			return p
		}
	}
	return netip.Prefix{}
}
