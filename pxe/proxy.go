package pxe

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// handleProxy answers one packet to port 4011 (PXE 2.1 section 2.2.5): the machine has its address and asks
// the boot server itself. The answer goes to the port that asked: EDK2 asks from 4011, iPXE from 68.
func (l *link) handleProxy(conn net.PacketConn, peer net.Addr, m *dhcpv4.DHCPv4) {
	select {
	case l.busy <- struct{}{}:
		defer func() { <-l.busy }()
	default:
		return
	}
	from, ok := peer.(*net.UDPAddr)
	if !ok {
		return
	}
	r, err := parseRequest(m)
	if err != nil {
		l.Log.Debug().Err(err).Str("interface", l.name).Msg("packet dropped")
		return
	}
	to := from.AddrPort()
	ip := to.Addr().Unmap()
	if !l.serves(ip) || r.client.IsValid() && r.client != ip {
		l.Log.Warn().Stringer("mac", r.machine.MAC).Stringer("from", to).Msg("packet dropped: not from a network we serve")
		return
	}
	r.machine.IP = ip
	if out := l.serveBootServer(l.alive, r); out != nil {
		l.send(conn, out, netip.AddrPortFrom(ip, to.Port()))
	}
}

// serveBootServer answers whoever wants a boot file; anything else is silence.
func (l *link) serveBootServer(ctx context.Context, r request) *dhcpv4.DHCPv4 {
	asks := r.kind == dhcpv4.MessageTypeRequest || r.kind == dhcpv4.MessageTypeInform || r.kind == dhcpv4.MessageTypeDiscover
	if !asks || !r.netboot() {
		return nil
	}
	l.known.see(r.machine)
	a := l.answerFor(ctx, r, time.Now())
	if a.leg != LegOffer {
		l.record(r.machine, a.leg, a.text)
	} else {
		l.record(r.machine, LegProxyRequest, "asks port 4011 for the boot file")
	}
	if a.file == "" {
		return nil
	}
	out := r.reply(dhcpv4.MessageTypeAck, l.place())
	out.ClientIPAddr = r.client.AsSlice()
	addBoot(out, r, a, l.place(), ModeProxy)
	return out
}
