package link

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"ingot/imaging/job"
)

// Links lists the wired adapters as Hello reports them, by name.
func (m *Manager) Links() []job.Link {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []job.Link
	for _, n := range m.nics {
		l := n.link
		l.Boot = l.Name == m.boot
		l.Permanent = permanent(l.Name)
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b job.Link) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// permanent is the address that an adapter was made with. The one in use may be another: firmware lends a dock the
// laptop's own.
func permanent(name string) string {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return ""
	}
	return l.Attrs().PermHWAddr.String()
}

// Unplugged reports whether the boot link has no signal.
func (m *Manager) Unplugged() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boot != "" && !m.lost.IsZero()
}

// Status says what stands between the laptop and the daemon now, as a code of the table and a fact; an empty code
// when nothing does.
func (m *Manager) Status() (job.Code, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.boot != "" && m.lost.IsZero() {
		return "", ""
	}
	var names, signal, address []string
	for name, n := range m.nics {
		text := name
		if n.link.Driver != "" {
			text += " (" + n.link.Driver + ")"
		}
		names = append(names, text)
		if n.link.Carrier {
			signal = append(signal, text)
		}
		if n.other {
			return job.CodePin, "It answered on " + text + "."
		}
		if n.lease != nil {
			address = append(address, text+" "+n.lease.Address.IP.String())
		}
	}
	for _, s := range [][]string{names, signal, address} {
		slices.Sort(s)
	}
	switch {
	case len(names) == 0:
		return job.CodeNoLink, "No wired network adapter was found."
	case len(signal) == 0:
		return job.CodeNoLink, "Looked at " + strings.Join(names, ", ") + "."
	case len(address) == 0:
		return job.CodeNoLease, "Asked on " + strings.Join(signal, ", ") + "."
	}
	tried := append([]string{m.Daemon}, m.More...)
	if m.found != "" {
		tried = []string{m.found}
	}
	return job.CodeUnreachable, fmt.Sprintf("Tried %s over %s.", strings.Join(tried, ", "), strings.Join(address, ", "))
}

// Warnings says what is wrong with adapters that are not the boot link: no signal, no address.
func (m *Manager) Warnings() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for name, n := range m.nics {
		switch {
		case name == m.boot:
		case !n.link.Carrier:
			out = append(out, fmt.Sprintf("No cable with a signal in %s (%s).", name, n.link.Driver))
		case n.asking:
			out = append(out, fmt.Sprintf("No address from the network on %s (%s).", name, n.link.Driver))
		case n.mute:
			out = append(out, fmt.Sprintf("The server does not answer on %s (%s).", name, n.link.Driver))
		}
	}
	slices.Sort(out)
	return append(out, Driverless(m.Sys)...)
}
