package doctor

import (
	"fmt"
	"strings"
)

func judgeInterfaces(f Facts) []Finding {
	if len(f.Interfaces) == 0 {
		name := f.Wired
		if name == "" {
			name = "NAME"
		}
		return fail("sudo ingot setup --interface "+name, "No interface is configured: no laptop is answered.")
	}
	var out []Finding
	for _, i := range f.Interfaces {
		switch {
		case !i.There:
			out = append(out, fail("Plug it in, or choose another: sudo ingot setup", "There is no interface %s.", i.Name)...)
		case !i.Net.IsValid():
			out = append(out, fail(fmt.Sprintf("Give it an address that stays, such as: sudo ip addr add 10.55.0.1/24 dev %s", i.Name), "%s has no IPv4 address.", i.Name)...)
		case !i.Carrier:
			out = append(out, warn("Check the cable and the switch.", "%s has no signal on its cable.", i.Name)...)
		default:
			out = append(out, ok("%s, %s, cable with signal", i.Name, i.Net)...)
		}
	}
	return out
}

func judgeDHCP(f Facts) []Finding {
	var out []Finding
	for _, i := range f.Interfaces {
		alone := f.Config.Mode == "dhcp"
		switch {
		case !i.There || !i.Net.IsValid():
		case i.ProbeErr != nil:
			out = append(out, notSeen("Whether a DHCP server answers on "+i.Name)...)
		case alone && i.Server.IsValid():
			out = append(out, fail("Stop one of the two, or: sudo ingot setup --mode proxy", "Another DHCP server, %s, answers on %s: two servers give one address to two laptops.", i.Server, i.Name)...)
		case alone:
			out = append(out, ok("no other server gives addresses on %s", i.Name)...)
		case i.Server.IsValid():
			out = append(out, ok("%s gives addresses on %s, Ingot stands beside it", i.Server, i.Name)...)
		default:
			out = append(out, warn("Start the DHCP server, or: sudo ingot setup --mode dhcp", "No DHCP server answers on %s, and Ingot is only the proxy: laptops get no address.", i.Name)...)
		}
	}
	return out
}

func judgePorts(f Facts) []Finding {
	var out []Finding
	var free, ours []string
	for _, p := range f.Ports {
		name := fmt.Sprintf("%s %d", strings.ToUpper(p.Proto), p.Number)
		if p.Err != nil {
			return notSeen("Who has which port")
		}
		mine, others := split(p.Holders, f.Daemon.Pid)
		switch {
		case mine && len(others) > 0:
			out = append(out, warn("See that it serves another interface than Ingot's.", "%s has %s (%s), too.", others[0], name, p.What)...)
		case mine:
			ours = append(ours, name)
		case len(others) > 0:
			out = append(out, fail("Stop that program, or give Ingot another interface.", "%s has %s (%s).", others[0], name, p.What)...)
		case f.Daemon.Answers && len(f.Daemon.Interfaces) > 0:
			out = append(out, fail("sudo systemctl restart ingot; its log says why.", "The daemon does not listen on %s (%s).", name, p.What)...)
		default:
			free = append(free, name)
		}
	}
	if len(ours) > 0 {
		out = append(out, ok("Ingot has %s", strings.Join(ours, ", "))...)
	}
	if len(free) > 0 {
		out = append(out, ok("free: %s", strings.Join(free, ", "))...)
	}
	return out
}

// String is the program as a person looks for it.
func (h Holder) String() string {
	if h.Pid == 0 {
		return "A program of another user"
	}
	return fmt.Sprintf("%s (pid %d)", h.Name, h.Pid)
}

func split(all []Holder, pid int) (mine bool, others []Holder) {
	for _, h := range all {
		if pid != 0 && h.Pid == pid {
			mine = true
		} else {
			others = append(others, h)
		}
	}
	return mine, others
}

func judgeFirewall(f Facts) []Finding {
	if f.Firewall.Err != nil {
		return notSeen("The firewall")
	}
	if len(f.Firewall.Rulesets) == 0 {
		return ok("no firewall program is installed")
	}
	var out []Finding
	for _, i := range f.Interfaces {
		for _, p := range f.Ports {
			packet := Packet{Interface: i.Name, Proto: p.Proto, Port: p.Number}
			verdict, where := Passes(f.Firewall.Rulesets, packet)
			do := fmt.Sprintf("Allow %s port %d from %s.", strings.ToUpper(p.Proto), p.Number, i.Name)
			switch verdict {
			case Dropped:
				out = append(out, fail(do, "The firewall (%s) drops %s port %d (%s) on %s.", where, strings.ToUpper(p.Proto), p.Number, p.What, i.Name)...)
			case Unclear:
				out = append(out, warn(do, "The firewall (%s) may drop %s port %d (%s) on %s.", where, strings.ToUpper(p.Proto), p.Number, p.What, i.Name)...)
			}
		}
	}
	if len(out) == 0 {
		return ok("lets everything pass that Ingot needs")
	}
	return out
}
