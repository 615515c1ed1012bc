package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
)

// Relay is a DHCP relay agent, as routers have one for networks that the server does not stand on (RFC 1542
// section 4): it sends machines' broadcasts on to the server, names the network in giaddr and itself in option
// 82 (RFC 3046), and broadcasts the answers.
type Relay struct {
	machines *net.UDPConn // towards the machines
	servers  *net.UDPConn // towards the server
	server   net.Addr
	own      netip.Addr // giaddr
	info     []byte     // option 82

	wg   sync.WaitGroup
	mu   sync.Mutex
	up   int // requests passed on
	down int // answers passed on
	err  error
}

// Relay starts a relay agent on the host, between the card `machines`, whose address is own, and the card
// `servers`, behind which server stands. The server must give info, the value of option 82, back unchanged.
func (h *Host) Relay(machines, servers string, own, server netip.Addr, info []byte) (*Relay, error) {
	r := &Relay{own: own, server: net.UDPAddrFromAddrPort(netip.AddrPortFrom(server, 67)), info: info}
	err := h.Enter(func() (err error) {
		if r.machines, err = listenOn(machines, netip.IPv4Unspecified()); err != nil {
			return err
		}
		r.servers, err = listenOn(servers, own)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("relay on %s: %w", h.Name, err)
	}
	r.wg.Add(2)
	go func() { defer r.wg.Done(); r.carry(r.machines, r.passUp) }()  // ends with Close
	go func() { defer r.wg.Done(); r.carry(r.servers, r.passDown) }() // ends with Close
	return r, nil
}

// listenOn opens the DHCP server's port on one card alone.
func listenOn(card string, ip netip.Addr) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var serr error
		err := raw.Control(func(fd uintptr) {
			serr = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1), unix.BindToDevice(int(fd), card))
		})
		return errors.Join(err, serr)
	}}
	conn, err := lc.ListenPacket(context.Background(), "udp4", netip.AddrPortFrom(ip, 67).String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// carry passes packets on until the socket is closed.
func (r *Relay) carry(from *net.UDPConn, pass func(*dhcpv4.DHCPv4) error) {
	buf := make([]byte, 2048)
	for {
		n, _, err := from.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			var m *dhcpv4.DHCPv4
			if m, err = dhcpv4.FromBytes(buf[:n]); err == nil {
				err = pass(m)
			}
		}
		if err != nil {
			r.mu.Lock()
			r.err = errors.Join(r.err, err)
			r.mu.Unlock()
		}
	}
}

// passUp sends a machine's request to the server.
func (r *Relay) passUp(m *dhcpv4.DHCPv4) error {
	if m.OpCode != dhcpv4.OpcodeBootRequest {
		return nil
	}
	m.GatewayIPAddr = r.own.AsSlice()
	m.HopCount++
	m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRelayAgentInformation, r.info))
	if _, err := r.servers.WriteTo(m.ToBytes(), r.server); err != nil {
		return fmt.Errorf("pass a request on: %w", err)
	}
	r.count(&r.up)
	return nil
}

// passDown broadcasts the server's answer, without what is the relay's own.
func (r *Relay) passDown(m *dhcpv4.DHCPv4) error {
	if got := m.Options.Get(dhcpv4.OptionRelayAgentInformation); !bytes.Equal(got, r.info) {
		return fmt.Errorf("the server's %s holds the option 82 %x; want %x back", m.MessageType(), got, r.info)
	}
	if !m.GatewayIPAddr.Equal(r.own.AsSlice()) {
		return fmt.Errorf("the server's %s is for the relay %s; want %s", m.MessageType(), m.GatewayIPAddr, r.own)
	}
	m.Options.Del(dhcpv4.OptionRelayAgentInformation)
	if _, err := r.machines.WriteTo(m.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 68}); err != nil {
		return fmt.Errorf("pass an answer on: %w", err)
	}
	r.count(&r.down)
	return nil
}

func (r *Relay) count(n *int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*n++
}

// Carried tells how many requests and answers went through, and everything that was wrong with one.
func (r *Relay) Carried() (up, down int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.up, r.down, r.err
}

// Close stops the relay.
func (r *Relay) Close() error {
	err := errors.Join(r.machines.Close(), r.servers.Close())
	r.wg.Wait()
	return err
}
