package pxe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/imaging/job"
)

// handleDHCP answers one packet to port 67. The library runs it in a goroutine of its own; at most cap(busy)
// run at once, and what comes beyond is dropped, as a network drops packets.
func (l *link) handleDHCP(conn net.PacketConn, _ net.Addr, m *dhcpv4.DHCPv4) {
	select {
	case l.busy <- struct{}{}:
		defer func() { <-l.busy }()
	default:
		return
	}
	r, err := parseRequest(m)
	if err != nil {
		l.Log.Debug().Err(err).Str("interface", l.name).Msg("packet dropped")
		return
	}
	l.asked(r, time.Now())
	if err := l.fromOurNetwork(r); err != nil {
		l.Log.Warn().Err(err).Stringer("mac", r.machine.MAC).Msg("packet dropped")
		if r.netboot() && r.kind == dhcpv4.MessageTypeDiscover {
			l.recordEvent(Event{MAC: r.machine.MAC, UUID: r.machine.UUID, Arch: r.machine.Arch, Loader: r.machine.Loader, Leg: LegRelay, Text: err.Error()})
		}
		return
	}
	var out *dhcpv4.DHCPv4
	if l.cfg.Mode == ModeDHCP {
		out = l.serveAddress(l.alive, r, time.Now())
	} else {
		out = l.serveProxy(l.alive, r)
	}
	if out != nil {
		l.send(conn, out, destination(r, out.MessageType(), l.cfg.Ports))
	}
}

// fromOurNetwork refuses relayed packets of networks that are not configured, and addresses that are not of
// any network we serve: an answer to them would leave the bench.
func (l *link) fromOurNetwork(r request) error {
	if r.relay.IsValid() && !l.inSubnets(r.relay) {
		return fmt.Errorf("relayed from %s, which is in no configured subnet", r.relay)
	}
	if r.link.IsValid() && !l.inSubnets(r.link) {
		return fmt.Errorf("relayed for %s, which is in no configured subnet", r.link)
	}
	if r.client.IsValid() && !l.serves(r.client) {
		return fmt.Errorf("from the address %s, which is in no network of %s", r.client, l.name)
	}
	return nil
}

func (l *link) send(conn net.PacketConn, m *dhcpv4.DHCPv4, to netip.AddrPort) {
	if _, err := conn.WriteTo(m.ToBytes(), net.UDPAddrFromAddrPort(to)); err != nil {
		l.Log.Warn().Err(err).Str("interface", l.name).Stringer("to", to).Msg("reply could not be sent")
	}
}

// answerFor decides what a machine is told about booting.
func (l *link) answerFor(ctx context.Context, r request, now time.Time) answer {
	if !r.netboot() || !supported(r.machine) {
		return choose(r, Decision{}, l.place())
	}
	d := l.decide(ctx, r.machine)
	if d.Action != Boot || !l.known.looping(r.machine.MAC, now) {
		return choose(r, d, l.place())
	}
	a := choose(r, Decision{Refuse, "it fetched its first loader again and again and got no further"}, l.place())
	a.leg = LegLoop
	return a
}

// logged reports whether a request belongs to a start: a network boot, or our agent's own after one.
func (l *link) logged(r request, now time.Time) bool {
	return r.netboot() || l.known.agentMay(r.machine.MAC, now)
}

// serveProxy answers a DHCPDISCOVER beside another DHCP server, and learns from the DHCPREQUEST to it which
// address the machine took.
func (l *link) serveProxy(ctx context.Context, r request) *dhcpv4.DHCPv4 {
	now := time.Now()
	if !l.logged(r, now) {
		return nil
	}
	switch r.kind {
	case dhcpv4.MessageTypeDiscover:
		r.machine.IP = netip.Addr{}
		l.known.see(r.machine)
		l.discovered(r)
		a := l.answerFor(ctx, r, now)
		if a.leg != "" {
			l.record(r.machine, a.leg, a.text)
		}
		if a.file == "" {
			return nil
		}
		out := r.reply(dhcpv4.MessageTypeOffer, l.place())
		if p := l.lends(r); p != nil && a.leg == LegOffer {
			if ip, ok := p.offer(r.machine.MAC, netip.Addr{}, now); ok {
				addLease(out, ip, p.Subnet)
			}
		}
		l.addBoot(out, r, a)
		return out
	case dhcpv4.MessageTypeRequest:
		if p := l.lends(r); p != nil && r.server == l.addr {
			return l.request(ctx, p, r, now)
		} else if p != nil {
			p.withdraw(r.machine.MAC, now)
		}
		if !l.serves(r.machine.IP) {
			return nil
		}
		l.known.see(r.machine)
		m := r.machine
		l.recordEvent(Event{MAC: m.MAC, UUID: m.UUID, Arch: m.Arch, Loader: m.Loader, IP: m.IP, Server: r.server, Leg: LegRequest,
			Text: fmt.Sprintf("takes %s from the DHCP server %s", m.IP, ipText(r.server))})
	}
	return nil
}

// lends gives the pool from which a proxy lends addresses to UEFI firmware, if one is configured; nil otherwise.
// Why: the signed GRUB 2.06 fetches its files from the server that the DHCP acknowledgement names (siaddr),
// and knows nothing of a proxy's offer; behind a DHCP server that names itself it would ask there for ever. An
// offer with an address and option 60 is what firmware prefers, so its acknowledgement is ours. The agent that
// follows takes its address from the network's own server.
func (l *link) lends(r request) *pool {
	m := r.machine
	if l.cfg.Mode != ModeProxy || m.Loader != LoaderPXE || m.Arch != ArchX64 && m.Arch != ArchEBC {
		return nil
	}
	if p := l.poolOf(r); p != nil && p.First.IsValid() {
		return p
	}
	return nil
}

// discovered records that a machine asks.
func (l *link) discovered(r request) {
	m := r.machine
	l.recordEvent(Event{MAC: m.MAC, UUID: m.UUID, Arch: m.Arch, Loader: m.Loader, Waited: r.waited(), Leg: LegDiscover, Text: helloText(r)})
}

// helloText says who asks.
func helloText(r request) string {
	switch r.machine.Loader {
	case LoaderIPXE:
		return "iPXE asks, " + r.machine.Arch.String()
	case LoaderNone:
		return "the start system asks for an address"
	}
	return "the firmware asks, " + r.machine.Arch.String()
}

// serveAddress answers as a full DHCP server (RFC 2131 section 4.3).
func (l *link) serveAddress(ctx context.Context, r request, now time.Time) *dhcpv4.DHCPv4 {
	p := l.poolOf(r)
	if p == nil {
		l.Log.Warn().Stringer("mac", r.machine.MAC).Msg("no pool for this machine's network")
		return nil
	}
	switch r.kind {
	case dhcpv4.MessageTypeDiscover:
		return l.offer(ctx, p, r, now)
	case dhcpv4.MessageTypeRequest:
		return l.request(ctx, p, r, now)
	case dhcpv4.MessageTypeDecline:
		if r.server == l.addr && p.decline(r.machine.MAC, r.wanted, now) {
			l.record(r.machine, LegDecline, fmt.Sprintf("%s is in use by something else on this network", r.wanted))
		}
	case dhcpv4.MessageTypeRelease:
		if lease, leased := p.release(r.machine.MAC, r.client, now); leased {
			_ = l.put(lease) // logged; a lease that is not given back on record ends by its time
		}
	case dhcpv4.MessageTypeInform:
		return l.inform(ctx, p, r, now)
	}
	return nil
}

// poolOf chooses the pool: by the relay's link, by the address that the machine has, or this link's own.
func (l *link) poolOf(r request) *pool {
	switch {
	case r.link.IsValid():
		return l.poolFor(r.link)
	case r.client.IsValid():
		return l.poolFor(r.client)
	}
	return l.poolFor(l.addr)
}

func (l *link) offer(ctx context.Context, p *pool, r request, now time.Time) *dhcpv4.DHCPv4 {
	logged := l.logged(r, now)
	wish := r.wanted
	if logged {
		r.machine.IP = netip.Addr{}
		l.known.see(r.machine)
		l.discovered(r)
	}
	ip, ok := p.offer(r.machine.MAC, wish, now)
	if !ok {
		l.Log.Warn().Stringer("mac", r.machine.MAC).Stringer("subnet", p.Prefix).Msg("no address is left in the pool")
		if logged {
			l.record(r.machine, LegFull, fmt.Sprintf("no address is left in %s", p.Prefix))
		}
		return nil
	}
	out := r.reply(dhcpv4.MessageTypeOffer, l.place())
	addLease(out, ip, p.Subnet)
	a := l.answerFor(ctx, r, now)
	if a.leg != "" {
		r.machine.IP = ip
		l.record(r.machine, a.leg, a.text)
	}
	l.addBoot(out, r, a)
	return out
}

func (l *link) addBoot(out *dhcpv4.DHCPv4, r request, a answer) {
	addBoot(out, r, a, l.place(), l.cfg.Mode)
}

// request answers a DHCPREQUEST in its four shapes: choosing our offer (option 54 names us), coming back with
// an address from before (50 alone), renewing and rebinding (ciaddr).
func (l *link) request(ctx context.Context, p *pool, r request, now time.Time) *dhcpv4.DHCPv4 {
	logged := l.logged(r, now)
	if r.server.IsValid() && r.server == l.former {
		return l.nak(r, r.wanted, "this server has another address now", logged)
	}
	if r.server.IsValid() && r.server != l.addr {
		p.withdraw(r.machine.MAC, now)
		if logged {
			l.record(r.machine, LegForeign, fmt.Sprintf("took an address from another DHCP server, %s", r.server))
		}
		return nil
	}
	ip := r.wanted
	if r.client.IsValid() {
		ip = r.client
	}
	if !ip.IsValid() {
		return nil
	}
	why := l.mayHave(p, r, ip, now)
	if why == "" {
		had := p.leased(r.machine.MAC, ip)
		lease, undo, err := p.lease(r.machine.MAC, ip, r.host, now)
		if err != nil {
			why = "it was not offered to this machine"
		} else if err := l.put(lease); err != nil && !(had && job.FaultOf(err).Code == job.CodeFull) {
			undo()
			if logged {
				l.record(r.machine, LegNak, "gets no address: "+job.FaultOf(err).Code.Words().Sentence)
			}
			return nil // not durable, so not given: the machine asks again
		}
		// With a full disk a machine keeps the address that the records name it for; only its new end is not there.
	}
	if why != "" {
		return l.nak(r, ip, why, logged)
	}
	r.machine.IP = ip
	l.known.see(r.machine)
	out := r.reply(dhcpv4.MessageTypeAck, l.place())
	out.ClientIPAddr = r.client.AsSlice()
	addLease(out, ip, p.Subnet)
	l.addBoot(out, r, l.answerFor(ctx, r, now))
	if logged {
		l.record(r.machine, LegAck, fmt.Sprintf("has the address %s", ip))
	}
	return out
}

// mayHave says why a machine cannot have the address, or "". One that comes back with an address that we do not
// know, after our database was lost, gets it when it is free.
func (l *link) mayHave(p *pool, r request, ip netip.Addr, now time.Time) string {
	mac := r.machine.MAC
	if !p.Prefix.Contains(ip) {
		return fmt.Sprintf("it is not of this network, %s", p.Prefix)
	}
	if p.holds(mac, ip) {
		return ""
	}
	if r.server.IsValid() {
		return "it was not offered to this machine"
	}
	if got, ok := p.offer(mac, ip, now); !ok || got != ip {
		return "it belongs to another machine or lies outside the pool"
	}
	return ""
}

// nak refuses an address, so that the machine starts over at once. Where another server is allowed beside us
// we are silent about addresses that may be its.
func (l *link) nak(r request, ip netip.Addr, why string, logged bool) *dhcpv4.DHCPv4 {
	if l.cfg.AllowForeign && !r.server.IsValid() {
		return nil
	}
	if logged {
		l.record(r.machine, LegNak, fmt.Sprintf("asked for the address %s, but %s", ip, why))
	}
	out := r.reply(dhcpv4.MessageTypeNak, l.place())
	if r.relay.IsValid() {
		out.SetBroadcast() // RFC 2131 section 4.3.2: the relay must not unicast it
	}
	out.UpdateOption(dhcpv4.OptMessage(why))
	return out
}

// inform tells a machine that has its own address about the network.
func (l *link) inform(ctx context.Context, p *pool, r request, now time.Time) *dhcpv4.DHCPv4 {
	if !r.client.IsValid() {
		return nil
	}
	out := r.reply(dhcpv4.MessageTypeAck, l.place())
	out.ClientIPAddr = r.client.AsSlice()
	addNetwork(out, p.Subnet)
	l.addBoot(out, r, l.answerFor(ctx, r, now))
	return out
}

// put makes a lease durable.
func (l *link) put(lease Lease) error {
	if l.Leases == nil {
		return nil // a proxy's loans may be forgotten: they last for minutes
	}
	err := l.Leases.PutLease(lease)
	if err != nil {
		l.Log.Error().Err(err).Stringer("mac", lease.MAC).Stringer("ip", lease.IP).Msg("lease could not be stored")
	}
	return err
}
