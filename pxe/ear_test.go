package pxe_test

import (
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"ingot/imaging/job"
	"ingot/pxe"
)

// switchPort is the far end of the cable, on which whole frames are sent.
type switchPort struct {
	t  *testing.T
	fd int
	to unix.SockaddrLinklayer
}

func newSwitchPort(t *testing.T) *switchPort {
	t.Helper()
	ifc, err := net.InterfaceByName("cli")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return &switchPort{t, fd, unix.SockaddrLinklayer{Ifindex: ifc.Index}}
}

// frame sends an Ethernet frame: to, from, then the type or length, then the body.
func (p *switchPort) frame(to, from string, kind uint16, body []byte) {
	p.t.Helper()
	f := append(append(hw(p.t, to), hw(p.t, from)...), byte(kind>>8), byte(kind))
	if err := unix.Sendto(p.fd, append(f, body...), 0, &p.to); err != nil {
		p.t.Fatal(err)
	}
}

// tagged sends the same in a VLAN (IEEE 802.1Q).
func (p *switchPort) tagged(vlan uint16, to, from string, kind uint16, body []byte) {
	p.frame(to, from, 0x8100, append([]byte{byte(vlan >> 8), byte(vlan), byte(kind >> 8), byte(kind)}, body...))
}

func hw(t *testing.T, mac string) []byte {
	t.Helper()
	a, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{}, a...)
}

// udp packs a DHCP message as it travels: IPv4 and UDP without checksums of the data.
func udp(from string, source, target uint16, m *dhcpv4.DHCPv4) []byte {
	data := m.ToBytes()
	b := make([]byte, 28, 28+len(data))
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(data)))
	copy(b[12:], net.ParseIP(from).To4())
	copy(b[16:], net.IPv4bcast.To4())
	binary.BigEndian.PutUint16(b[20:], source)
	binary.BigEndian.PutUint16(b[22:], target)
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(data)))
	return append(b, data...)
}

func (b *bench) around(t *testing.T, what string, ok func(pxe.Surroundings) bool) {
	t.Helper()
	var last pxe.Surroundings
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if last = b.Surroundings()[0]; ok(last) {
			return
		}
	}
	t.Errorf("%s was not heard: %+v", what, last)
}

func (b *bench) sighting(t *testing.T, mac string, ok func(pxe.Sighting) bool) {
	t.Helper()
	m, err := pxe.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	var last pxe.Sighting
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if last = b.Sighting(m); ok(last) {
			return
		}
	}
	t.Errorf("sighting of %s: %+v", mac, last)
}

// TestWhatTheServerHearsBesideItsPorts: switch protocols, tags and systems, each produced as frames on the cable.
func TestWhatTheServerHearsBesideItsPorts(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	b := newBench(proxyConfig())
	b.start(t)
	p := newSwitchPort(t)
	if a := b.Surroundings()[0]; a.State != pxe.LinkGood || a.Network != mustPrefix("10.77.0.0/24") || a.Since.IsZero() || a.Unheard != "" {
		t.Errorf("at the start: %+v", a)
	}
	const bridge, everybody = "52:54:00:ff:00:01", "ff:ff:ff:ff:ff:ff"
	bpdu := func(kind, flags byte) []byte {
		return append([]byte{0x42, 0x42, 3, 0, 0, 0, kind, flags}, make([]byte, 38)...)
	}
	p.frame("01:80:c2:00:00:03", bridge, 0x888e, []byte{1, 0, 0, 5, 1, 1, 0, 5, 1})
	b.around(t, "a login (EAPOL)", func(a pxe.Surroundings) bool { return !a.Login.IsZero() && a.Tree.IsZero() })
	p.frame("01:80:c2:00:00:00", bridge, 46, bpdu(0, 0))
	b.around(t, "a spanning tree", func(a pxe.Surroundings) bool { return !a.Tree.IsZero() && a.TreeChange.IsZero() })
	p.frame("01:80:c2:00:00:00", bridge, 46, bpdu(0, 1))
	b.around(t, "a changed tree", func(a pxe.Surroundings) bool { return !a.TreeChange.IsZero() })

	p.tagged(20, everybody, "52:54:00:aa:00:21", 0x0806, make([]byte, 46))
	b.sighting(t, "52:54:00:aa:00:21", func(s pxe.Sighting) bool { return s.VLAN == 20 && !s.TaggedAt.IsZero() && s.Frame.IsZero() })
	p.frame(everybody, "52:54:00:aa:00:22", 0x0806, make([]byte, 46))
	b.sighting(t, "52:54:00:aa:00:22", func(s pxe.Sighting) bool { return !s.Frame.IsZero() && s.VLAN == 0 && s.Interface == "srv" })

	system := newLaptop(t, "52:54:00:aa:00:23")
	ask, err := dhcpv4.NewDiscovery(system.mac)
	if err != nil {
		t.Fatal(err)
	}
	system.send(ask)
	b.sighting(t, "52:54:00:aa:00:23", func(s pxe.Sighting) bool { return !s.Plain.IsZero() })
	b.around(t, "no network boot yet", func(a pxe.Surroundings) bool { return a.Asked.IsZero() })
	system.discover(time.Second, edk2()...)
	b.around(t, "a network boot", func(a pxe.Surroundings) bool { return !a.Asked.IsZero() })
	b.sighting(t, bridge, func(s pxe.Sighting) bool { return s == pxe.Sighting{} }) // a switch is no machine

	stranger := newLaptop(t, "52:54:00:aa:00:24")
	relayed, err := dhcpv4.NewDiscovery(stranger.mac, append(edk2(), dhcpv4.WithRelay(net.IPv4(10, 9, 0, 1)))...)
	if err != nil {
		t.Fatal(err)
	}
	stranger.send(relayed)
	events := b.await(t, "52:54:00:aa:00:24", func(e []pxe.Event) bool { return len(e) > 0 })
	if c := pxe.Diagnose(pxe.Findings{Events: events, Now: time.Now(), Listening: true}); c.Code != job.BootRelay {
		t.Errorf("a relay of a strange network: %+v; want %s", c, job.BootRelay)
	}
	b.around(t, "a relay", func(a pxe.Surroundings) bool { return !a.Relayed.IsZero() })
}

// TestASecondBootServerIsHeard: a reply of another server with a boot file is an event of its machine; one to a machine
// that did not ask for a boot file, and one without a file, are not.
func TestASecondBootServerIsHeard(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	b := newBench(proxyConfig())
	b.start(t)
	p := newSwitchPort(t)
	offer := func(mac string, mods ...dhcpv4.Modifier) {
		m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(hw(t, mac)), dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer),
			option(54, 10, 77, 0, 3), func(d *dhcpv4.DHCPv4) { d.OpCode = dhcpv4.OpcodeBootReply }}, mods...)...)
		if err != nil {
			t.Fatal(err)
		}
		p.frame("ff:ff:ff:ff:ff:ff", "52:54:00:ff:00:03", 0x0800, udp("10.77.0.3", 67, 68, m))
	}
	const asks, office = "52:54:00:aa:00:31", "52:54:00:aa:00:32"
	newLaptop(t, asks).discover(2*time.Second, edk2()...)
	offer(office, option(67, []byte("pxelinux.0")...)) // an office PC's reply
	offer(asks)                                        // an address only
	offer(asks, option(67, []byte("wdsmgfw.efi")...))
	events := b.await(t, asks, func(e []pxe.Event) bool { return len(e) == 3 })
	if got := legs(events); got != "discover offer rival" || events[2].Server != mustAddr("10.77.0.3") || events[2].File != "wdsmgfw.efi" {
		t.Errorf("legs %q, %+v; want one rival with its file", got, events[2])
	}
	if m, _ := pxe.ParseMAC(office); len(b.history.Events(m)) != 0 {
		t.Errorf("an office PC has a boot log: %+v", b.history.Events(m))
	}
}

// TestARefusedKeyIsFoundByItsAddress: as a DHCP server we know whose an address is, and say it once.
func TestARefusedKeyIsFoundByItsAddress(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	b := newBench(dhcpConfig())
	mac := pxe.MAC{0x52, 0x54, 0, 0xaa, 0, 0x41}
	if err := b.leases.PutLease(pxe.Lease{IP: mustAddr("10.77.0.51"), MAC: mac, Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	for range 3 {
		b.Refused(mustAddr("10.77.0.51"))
	}
	b.Refused(mustAddr("10.77.0.52")) // nobody's
	if events := b.history.Events(mac); legs(events) != "pin" {
		t.Errorf("legs %q; want one pin", legs(events))
	}
}

// TestAnInterfaceThatIsDownIsTold: the state is read when it is asked for, not when it was opened.
func TestAnInterfaceThatIsDownIsTold(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	b := newBench(proxyConfig())
	b.start(t)
	for _, c := range []struct {
		set  func() error
		want pxe.LinkState
	}{
		{func() error { return linkUp("cli", false) }, pxe.LinkNoSignal},
		{func() error { return linkUp("srv", false) }, pxe.LinkDown},
		{func() error { return errors.Join(linkUp("srv", true), linkUp("cli", true)) }, pxe.LinkGood},
	} {
		if err := c.set(); err != nil {
			t.Fatal(err)
		}
		b.around(t, string(c.want), func(a pxe.Surroundings) bool { return a.State == c.want })
	}
}
