package pxe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"

	"ingot/imaging/job"
)

// refuseForeign keeps us from giving addresses where another DHCP server does: two of them give one address to
// two machines.
func (s *Server) refuseForeign(ctx context.Context, l *link) error {
	if s.cfg.AllowForeign {
		return nil
	}
	other, err := l.findForeign(ctx, s.cfg.ProbeTime)
	if err != nil {
		s.Log.Error().Err(err).Str("interface", l.name).Msg("looking for another DHCP server failed")
		return job.Faultf(job.CodeDaemon, "It could not be checked whether another DHCP server answers on %s. Run the daemon as root, or allow other servers.", l.name)
	}
	if other.IsValid() {
		return job.Faultf(job.CodeDaemon, "Another DHCP server, %s, answers on %s. Use the proxy mode beside it, stop it, or allow other servers.", other, l.name)
	}
	return nil
}

// findForeign asks for an address as a machine would and gives the first server that offers one; invalid if
// none does within wait. The request carries the interface's own MAC, since switches drop others, and wants a
// broadcast reply. It goes out by a packet socket: no port is needed, and our own server never hears it.
func (l *link) findForeign(ctx context.Context, wait time.Duration) (netip.Addr, error) {
	ifc, err := net.InterfaceByName(l.name)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("probe %s: %w", l.name, err)
	}
	if len(ifc.HardwareAddr) != 6 {
		return netip.Addr{}, nil // a loopback or tunnel: no machine can stand there
	}
	conn, err := nclient4.NewRawUDPConn(l.name, l.cfg.Ports.Client)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("probe %s: %w", l.name, err)
	}
	c, err := nclient4.NewWithConn(conn, ifc.HardwareAddr, nclient4.WithTimeout(time.Second), nclient4.WithRetry(60))
	if err != nil {
		conn.Close()
		return netip.Addr{}, fmt.Errorf("probe %s: %w", l.name, err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	ask, err := dhcpv4.NewDiscovery(ifc.HardwareAddr, dhcpv4.WithBroadcast(true))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("probe %s: %w", l.name, err)
	}
	to := &net.UDPAddr{IP: net.IPv4bcast, Port: l.cfg.Ports.DHCP}
	offer, err := c.SendAndRead(ctx, to, ask, l.foreignOffer)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nclient4.ErrNoResponse):
		return netip.Addr{}, nil
	case err != nil:
		return netip.Addr{}, fmt.Errorf("probe %s: %w", l.name, err)
	}
	return addrOf(offer.ServerIdentifier()), nil
}

// foreignOffer reports whether a packet is another server's offer of an address; a proxy's is not.
func (l *link) foreignOffer(m *dhcpv4.DHCPv4) bool {
	from := addrOf(m.ServerIdentifier())
	return m.MessageType() == dhcpv4.MessageTypeOffer && addrOf(m.YourIPAddr).IsValid() && from.IsValid() && from != l.addr
}

// watchForeign looks again from time to time and alarms; it does not stop serving a bench in mid-work.
func (l *link) watchForeign(ctx context.Context) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		other, err := l.findForeign(ctx, l.cfg.ProbeTime)
		if err == nil && other.IsValid() {
			l.Log.Error().Stringer("server", other).Str("interface", l.name).Msg("another DHCP server answers on this network")
			l.record(Machine{IP: other}, LegForeign, fmt.Sprintf("another DHCP server, %s, answers on %s", other, l.name))
		}
	}
}
