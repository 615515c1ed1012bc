package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
)

// silentFaults are those in which no request reaches the daemon.
func silentFaults() []bootFault {
	return []bootFault{
		{"the laptop's cable is out", job.BootSilent, cableOut, nil},
		{"the disk stands first in the boot order", job.BootOrder, moves("", 0, announces), nil},
		{"the socket is in another VLAN", job.BootVLAN, taggedRequest, nil},
		{"a relay of an unknown network", job.BootRelay, relayedRequest, nil},
		{"the switch port asks for a login", job.Boot8021X, asksForLogin, nil},
		{"the switch shuts the port for a while", job.BootSpanningTree, treeChanges, removeTree},
		{"the server's port leads nowhere", job.BootDeaf, deafServer, hearsAgain},
		{"the server's interface", job.BootServerLink, serverLink, serverLinkBack},
		{"no daemon runs", job.BootNoDaemon, func(_ context.Context, s *surgery) (string, error) { return s.stranger(), s.d.Stop() }, nil},
	}
}

// announces asks for an address once, and hears nobody.
func announces(_ context.Context, c *client) error {
	_, err := c.say(dhcpv4.MessageTypeDiscover, c.class)
	return err
}

// cableOut switches a real laptop on whose cable is out, beside others that are heard.
func cableOut(ctx context.Context, s *surgery) (string, error) {
	l := Laptop(31+s.rand.IntN(60), lab.UEFI, lab.NVMe)
	r, err := s.PowerOn(ctx, l)
	if err != nil {
		return "", err
	}
	if err := checks(r.Cable(false), s.traffic()); err != nil {
		return "", err
	}
	if err := wait(ctx, 8*time.Second); err != nil { // its firmware gets to the network meanwhile
		return "", err
	}
	return l.MAC, r.Kill()
}

// traffic is what other computers on the network send.
func (s *surgery) traffic() error {
	return s.frame("ff:ff:ff:ff:ff:ff", net.HardwareAddr{0x52, 0x54, 0, 0xcc, 0, 1}, 0x0806, make([]byte, 46))
}

// frame sends a whole Ethernet frame from the card.
func (w *wire) frame(to string, from net.HardwareAddr, kind uint16, body []byte) error {
	target, err := net.ParseMAC(to)
	if err != nil {
		return err
	}
	return w.host.Enter(func() error {
		card, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		data := append(append(append([]byte{}, target...), from...), byte(kind>>8), byte(kind))
		return checks(unix.Sendto(fd, append(data, body...), 0, &unix.SockaddrLinklayer{Ifindex: card.Index}), unix.Close(fd))
	})
}

// ipPacket is a DHCP message as it travels in a frame.
func ipPacket(m *dhcpv4.DHCPv4) []byte {
	data := m.ToBytes()
	b := make([]byte, 28, 28+len(data))
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(data)))
	copy(b[16:], net.IPv4bcast.To4())
	binary.BigEndian.PutUint16(b[20:], 68)
	binary.BigEndian.PutUint16(b[22:], 67)
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(data)))
	return append(b, data...)
}

// taggedRequest is firmware whose switch port tags what it sends (IEEE 802.1Q).
func taggedRequest(_ context.Context, s *surgery) (string, error) {
	c := s.patient(classPXE, archX64)
	m, err := dhcpv4.NewDiscovery(c.mac, dhcpv4.WithBroadcast(true), dhcpv4.WithOption(dhcpv4.OptClassIdentifier(fmt.Sprintf(c.class, c.arch))))
	if err != nil {
		return "", err
	}
	vlan := uint16(2 + s.rand.IntN(4000))
	tag := []byte{byte(vlan >> 8), byte(vlan), 0x08, 0x00}
	return c.mac.String(), s.frame("ff:ff:ff:ff:ff:ff", c.mac, 0x8100, append(tag, ipPacket(m)...))
}

func relayedRequest(_ context.Context, s *surgery) (string, error) {
	c := s.patient(classPXE, archX64)
	m, err := dhcpv4.New(dhcpv4.WithHwAddr(c.mac), dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover),
		dhcpv4.WithRelay(net.IPv4(10, byte(80+s.rand.IntN(100)), byte(s.rand.IntN(256)), 1)),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier(fmt.Sprintf(c.class, c.arch))))
	if err != nil {
		return "", err
	}
	return c.mac.String(), c.send(m)
}

// asksForLogin is a switch that wants an 802.1X login (EAPOL, EAP-Request Identity); the bench's switch passes it on.
func asksForLogin(ctx context.Context, s *surgery) (string, error) {
	if _, err := lab.Command(ctx, "ip", "link", "set", lab.Bridge, "type", "bridge", "group_fwd_mask", "8"); err != nil {
		return "", err
	}
	request := []byte{2, 0, 0, 5, 1, byte(s.rand.IntN(256)), 0, 5, 1}
	return s.stranger(), s.frame("01:80:c2:00:00:03", net.HardwareAddr{0x52, 0x54, 0, 0xcc, 0, 2}, unix.ETH_P_PAE, append(request, make([]byte, 37)...))
}

// treeChanges plugs a machine into a second switch that runs a spanning tree and stands behind the bench's: the switch
// shuts the port at first, and tells the others when it opens it.
func treeChanges(ctx context.Context, s *surgery) (string, error) {
	if err := s.tree(ctx, 2); err != nil {
		return "", err
	}
	if _, err := lab.Command(ctx, "ip", "link", "set", "v-wire", "master", "brtree"); err != nil {
		return "", err
	}
	c := s.patient(classPXE, archX64)
	if err := announces(ctx, c); err != nil { // it is lost: the port is shut
		return "", err
	}
	return c.mac.String(), wait(ctx, 7*time.Second)
}

// tree adds a switch with a spanning tree, whose ports stay shut for twice delay seconds.
func (s *surgery) tree(ctx context.Context, delay int) error {
	if err := s.Bench.AddSegment(ctx, "brtree"); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"ip", "link", "set", "brtree", "type", "bridge", "forward_delay", fmt.Sprint(100 * delay), "hello_time", "100", "max_age", "600", "stp_state", "1"},
		{"ip", "link", "add", "t-up", "type", "veth", "peer", "name", "t-down"},
		{"ip", "link", "set", "t-up", "master", lab.Bridge, "up"},
		{"ip", "link", "set", "t-down", "master", "brtree", "up"},
	} {
		if _, err := lab.Command(ctx, argv...); err != nil {
			return err
		}
	}
	return s.forwards(ctx, "t-down")
}

// forwards waits until a port of the switch is open.
func (s *surgery) forwards(ctx context.Context, port string) error {
	for {
		told, err := lab.Command(ctx, "ip", "-d", "link", "show", "dev", port)
		if err != nil || strings.Contains(told, "state forwarding") {
			return err
		}
		if err := pause(ctx, port+" to be opened"); err != nil {
			return err
		}
	}
}

func removeTree(ctx context.Context, s *surgery) error {
	for _, argv := range [][]string{{"ip", "link", "set", "v-wire", "master", lab.Bridge}, {"ip", "link", "del", "t-up"}} {
		if _, err := lab.Command(ctx, argv...); err != nil {
			return err
		}
	}
	return s.Bench.RemoveSegment(ctx, "brtree")
}

// deafServer cuts the server off: its port has a signal, and nobody at the other end.
func deafServer(ctx context.Context, s *surgery) (string, error) {
	for _, argv := range [][]string{
		{"ip", "link", "add", "nowhere", "type", "veth", "peer", "name", "nobody"},
		{"sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/nobody/disable_ipv6"}, // it would announce itself
		{"ip", "link", "set", "nobody", "up"},
		{"ip", "link", "set", "nowhere", "master", lab.Bridge, "up"},
		{"ip", "link", "set", "v-wire", "down"},
	} {
		if _, err := lab.Command(ctx, argv...); err != nil {
			return "", err
		}
	}
	s.d.Kill() // what it heard so far was before the cut
	if err := s.d.Start(ctx); err != nil {
		return "", err
	}
	return s.stranger(), wait(ctx, 11*time.Second)
}

func hearsAgain(ctx context.Context, s *surgery) error {
	for _, argv := range [][]string{{"ip", "link", "del", "nowhere"}, {"ip", "link", "set", "v-wire", "up"}} {
		if _, err := lab.Command(ctx, argv...); err != nil {
			return err
		}
	}
	return nil
}

// serverLink takes the server's own network away, in one of three ways.
func serverLink(ctx context.Context, s *surgery) (string, error) {
	way := [][]string{{"ip", "link", "set", lab.Bridge, "down"}, {"ip", "addr", "del", lab.ServerCIDR, "dev", lab.Bridge}, {"ip", "link", "set", "v-wire", "down"}}[s.rand.IntN(3)]
	s.Say("%v", way)
	_, err := lab.Command(ctx, way...)
	return s.stranger(), err
}

func serverLinkBack(ctx context.Context, s *surgery) error {
	if _, err := lab.Command(ctx, "ip", "link", "set", lab.Bridge, "up"); err != nil {
		return err
	}
	if _, err := lab.Command(ctx, "ip", "link", "set", "v-wire", "up"); err != nil {
		return err
	}
	_, err := lab.Command(ctx, "ip", "addr", "replace", lab.ServerCIDR, "dev", lab.Bridge)
	return err
}
