package pxe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

// Bounds of listening: packets a second that are looked at, and events about other servers.
const (
	earRate, earBurst     = 2000, 4000
	rivalRate, rivalBurst = 10, 100
	maxFrame              = 1514
	packetType            = 0xfffff004 // where a filter finds the packet's type: SKF_AD_OFF + SKF_AD_PKTTYPE
)

// ear listens to the broadcasts of a link without answering any: who is there at all, which switch protocols run,
// and which other server offers boot files. It is a packet socket, so it hears what no port of ours receives.
type ear struct {
	file   *os.File
	rivals *rate.Limiter
}

// heardPacket is what one frame says, as far as the doctor asks.
type heardPacket struct {
	from       MAC
	vlan       uint16 // 0: untagged
	login      bool   // EAPOL, IEEE 802.1X
	tree       bool   // a BPDU, IEEE 802.1D
	treeChange bool
	dhcp       *dhcpv4.DHCPv4 // a packet between the DHCP ports
	source     netip.Addr     // its sender
}

// onlyBroadcasts passes frames of others whose destination is a group: (1) the packet's type, drop what we sent;
// (2) the lowest bit of the first byte.
var onlyBroadcasts = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: packetType},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.PACKET_OUTGOING, Jt: 3},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 0},
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 1, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: maxFrame},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// openEar opens the packet socket of an interface.
func openEar(index int) (_ *ear, err error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "packet socket")
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	prog := unix.SockFprog{Len: uint16(len(onlyBroadcasts)), Filter: &onlyBroadcasts[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return nil, fmt.Errorf("set the filter of a packet socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		return nil, fmt.Errorf("ask for VLAN tags: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: index}); err != nil {
		return nil, fmt.Errorf("bind a packet socket: %w", err)
	}
	return &ear{file: f, rivals: newRivals()}, nil
}

func newRivals() *rate.Limiter { return rate.NewLimiter(rivalRate, rivalBurst) }

func bigEndian(v uint16) uint16 { return v<<8 | v>>8 }

func (e *ear) close() { e.file.Close() }

// listen reads frames until the socket is closed or ctx ends. A flood beyond the allowance is left to the kernel,
// which drops it.
func (e *ear) listen(ctx context.Context, hear func(heardPacket)) error {
	raw, err := e.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	allowance := rate.NewLimiter(earRate, earBurst)
	frame, aux := make([]byte, maxFrame), make([]byte, 128)
	for {
		if err := allowance.Wait(ctx); err != nil {
			return nil
		}
		var n, m int
		var rerr error
		err := raw.Read(func(fd uintptr) bool {
			n, m, _, _, rerr = unix.Recvmsg(int(fd), frame, aux, 0)
			return !errors.Is(rerr, unix.EAGAIN)
		})
		switch {
		case err != nil:
			return nil // closed
		case errors.Is(rerr, unix.EINTR), errors.Is(rerr, unix.ENETDOWN):
			continue // an interface that is switched off says so once
		case rerr != nil:
			return fmt.Errorf("listen: %w", rerr)
		}
		if p, ok := parseFrame(frame[:n], vlanOf(aux[:m])); ok {
			hear(p)
		}
	}
}

// vlanOf reads the tag that the kernel took off a frame (packet(7), PACKET_AUXDATA).
func vlanOf(aux []byte) uint16 {
	msgs, err := unix.ParseSocketControlMessage(aux)
	if err != nil {
		return 0
	}
	for _, m := range msgs {
		var d unix.TpacketAuxdata
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < int(unsafe.Sizeof(d)) {
			continue
		}
		status := binary.NativeEndian.Uint32(m.Data)
		if status&unix.TP_STATUS_VLAN_VALID != 0 {
			return binary.NativeEndian.Uint16(m.Data[16:]) & 0x0fff
		}
	}
	return 0
}

// parseFrame reads an Ethernet frame as far as the doctor needs it.
func parseFrame(b []byte, vlan uint16) (heardPacket, bool) {
	if len(b) < 14 {
		return heardPacket{}, false
	}
	p := heardPacket{from: MAC(b[6:12]), vlan: vlan}
	kind, body := binary.BigEndian.Uint16(b[12:]), b[14:]
	switch {
	case kind == unix.ETH_P_PAE:
		p.login = true
	case kind < 1536: // a length (IEEE 802.3): logical link control, 0x42 is the spanning tree (802.1D clause 9)
		if len(body) >= 7 && body[0] == 0x42 && body[1] == 0x42 {
			p.tree = true
			p.treeChange = body[6] == 0x80 || len(body) > 7 && body[7]&1 != 0 // a change notification, or the flag of one
		}
	case kind == unix.ETH_P_IP:
		p.dhcp, p.source = parseDHCP(body)
	}
	return p, true
}

// parseDHCP reads an IPv4 packet from or to the DHCP ports; any other gives nil.
func parseDHCP(b []byte) (*dhcpv4.DHCPv4, netip.Addr) {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != syscall.IPPROTO_UDP || binary.BigEndian.Uint16(b[6:])&0x3fff != 0 {
		return nil, netip.Addr{}
	}
	head := int(b[0]&15) * 4
	if head < 20 || len(b) < head+8 {
		return nil, netip.Addr{}
	}
	udp := b[head:]
	from, to, size := binary.BigEndian.Uint16(udp), binary.BigEndian.Uint16(udp[2:]), int(binary.BigEndian.Uint16(udp[4:]))
	if from != 67 && to != 67 || size < 8+minDHCP || size > len(udp) {
		return nil, netip.Addr{}
	}
	m, err := dhcpv4.FromBytes(udp[8:size])
	if err != nil {
		return nil, netip.Addr{}
	}
	return m, addrOf(b[12:16])
}

// hear takes one frame of a link into account.
func (l *link) hear(p heardPacket, e *ear, now time.Time) {
	l.around.note(l.name, func(s *Surroundings) {
		s.Frames, s.Heard = s.Frames+1, now
		if p.login {
			s.Login = now
		}
		if p.tree {
			s.Tree = now
		}
		if p.treeChange {
			s.TreeChange = now
		}
	})
	if p.login || p.tree {
		return // a switch's, not a machine's
	}
	from := p.from
	if p.dhcp != nil && p.dhcp.OpCode == dhcpv4.OpcodeBootRequest && len(p.dhcp.ClientHWAddr) == 6 {
		from = MAC(p.dhcp.ClientHWAddr)
	}
	l.around.sight(from, func(s *Sighting) {
		switch {
		case p.vlan != 0:
			s.VLAN, s.TaggedAt, s.Interface = p.vlan, now, l.name
		case p.dhcp == nil:
			s.Frame, s.Interface = now, l.name // a request has its own place: it may be firmware's
		}
	})
	if p.dhcp != nil && p.vlan == 0 {
		l.hearDHCP(p, e, now)
	}
}

// hearDHCP learns which machines ask for boot files, and which other servers offer them some.
func (l *link) hearDHCP(p heardPacket, e *ear, now time.Time) {
	m := p.dhcp
	if len(m.ClientHWAddr) != 6 || !MAC(m.ClientHWAddr).Valid() {
		return
	}
	mac := MAC(m.ClientHWAddr)
	if m.OpCode == dhcpv4.OpcodeBootRequest {
		if r, err := parseRequest(m); err == nil && r.netboot() {
			l.known.asks(mac, now)
		}
		return
	}
	server := addrOf(m.ServerIdentifier())
	if !server.IsValid() {
		server = p.source
	}
	file := bootFileOf(m)
	class := string(m.Options[60])
	if !server.IsValid() || server == l.addr || file == "" && class != "PXEClient" && class != "HTTPClient" {
		return
	}
	if kind := m.MessageType(); kind != dhcpv4.MessageTypeOffer && kind != dhcpv4.MessageTypeAck || !l.known.asked(mac, now) || !e.rivals.Allow() {
		return
	}
	who, _ := l.known.machine(mac)
	l.recordEvent(Event{MAC: mac, UUID: who.UUID, Arch: who.Arch, Loader: who.Loader, Server: server, Leg: LegRival, File: file,
		Text: fmt.Sprintf("%s answers it as a boot server", server)})
}

// bootFileOf is the boot file that a reply names, in its field or in option 67.
func bootFileOf(m *dhcpv4.DHCPv4) string {
	if m.BootFileName != "" {
		return m.BootFileName
	}
	return clip(string(m.Options[67]), 128)
}
