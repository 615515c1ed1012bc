package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"ingot/cmd/internal/lab"
)

// wire plays bare machines: it says on the switch, packet by packet, what firmware, loaders and agents say,
// and stops wherever a case wants. It stands where no emulated firmware does (a BIOS without iPXE is in no
// distribution), and where a start must end at a chosen leg.
type wire struct {
	host *lab.Host
	dhcp *net.UDPConn // port 68 of the card, without an own address
}

// newWire puts the card on the switch.
func newWire(ctx context.Context, e *Env) (*wire, error) {
	return newWireAt(ctx, e, "wire", "10.77.0.9")
}

// newWireAt puts another card on the switch.
func newWireAt(ctx context.Context, e *Env, name, ip string) (*wire, error) {
	h, err := e.Bench.AddHost(ctx, name, ip)
	if err != nil {
		return nil, err
	}
	return wireOn(h, "eth0")
}

// wireOn plays machines on a card that stands on some switch already.
func wireOn(h *lab.Host, card string) (*wire, error) {
	w := &wire{host: h}
	return w, h.Enter(func() error {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 68})
		if err != nil {
			return err
		}
		w.dhcp = conn
		raw, err := conn.SyscallConn()
		if err != nil {
			return err
		}
		var serr error
		err = raw.Control(func(fd uintptr) {
			serr = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1), unix.BindToDevice(int(fd), card))
		})
		return errors.Join(err, serr)
	})
}

func (w *wire) close() error { return w.dhcp.Close() }

// client is one machine that is played.
type client struct {
	*wire
	mac   net.HardwareAddr
	class string // option 60; empty is the agent
	arch  uint16 // option 93
	ip    netip.Addr
}

// The firmware that is played.
const (
	classPXE  = "PXEClient:Arch:%05d:UNDI:003000"
	classHTTP = "HTTPClient:Arch:%05d:UNDI:003000"
	archBIOS  = 0
	archX64   = 7
	archARM64 = 11
	archHTTP  = 16
)

func (w *wire) machine(n int, class string, arch uint16) *client {
	return &client{wire: w, mac: net.HardwareAddr{0x52, 0x54, 0, 0xbb, 0, byte(n)}, class: class, arch: arch}
}

// say makes a request as firmware does, or, with class "", as the agent.
func (c *client) say(kind dhcpv4.MessageType, class string, with ...dhcpv4.Option) (*dhcpv4.DHCPv4, error) {
	m, err := dhcpv4.New(dhcpv4.WithHwAddr(c.mac), dhcpv4.WithBroadcast(true), dhcpv4.WithMessageType(kind))
	if err != nil {
		return nil, err
	}
	if class != "" {
		m.UpdateOption(dhcpv4.OptClassIdentifier(fmt.Sprintf(class, c.arch)))
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(93), []byte{byte(c.arch >> 8), byte(c.arch)}))
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(94), []byte{1, 3, 0}))
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(97), append([]byte{0}, c.uuid()...)))
	}
	for _, o := range with {
		m.UpdateOption(o)
	}
	return m, c.send(m)
}

// uuid is the machine's own, from its MAC.
func (c *client) uuid() []byte {
	u := []byte{0x44, 0x45, 0x4c, 0x4c, 0x42, 0x00, 0x10, 0x35, 0x80, 0x52}
	return append(u, c.mac...)
}

func (c *client) send(m *dhcpv4.DHCPv4) error {
	_, err := c.dhcp.WriteTo(m.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 67})
	return err
}

// hear waits for server's answer to m, and sends m again as a DHCP client does that hears none (RFC 2131 section
// 4.1); the packets of others are passed over.
func (c *client) hear(ctx context.Context, m *dhcpv4.DHCPv4, server string, kind dhcpv4.MessageType) (*dhcpv4.DHCPv4, error) {
	for _, wait := range []time.Duration{4 * time.Second, 8 * time.Second, 16 * time.Second} {
		got, err := c.hearFor(ctx, wait, m, server, kind)
		if !errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
			return got, err
		}
		if err := c.send(m); err != nil {
			return nil, err
		}
	}
	return c.hearFor(ctx, 32*time.Second, m, server, kind)
}

// hearFor waits for server's answer to m, and no longer than limit.
func (c *client) hearFor(ctx context.Context, limit time.Duration, m *dhcpv4.DHCPv4, server string, kind dhcpv4.MessageType) (*dhcpv4.DHCPv4, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	until, _ := ctx.Deadline()
	if err := c.dhcp.SetReadDeadline(until); err != nil {
		return nil, err
	}
	buf := make([]byte, 2048)
	for {
		n, _, err := c.dhcp.ReadFrom(buf)
		if err != nil {
			return nil, fmt.Errorf("%s waits for a %s of %s: %w", c.mac, kind, server, err)
		}
		got, err := dhcpv4.FromBytes(buf[:n])
		if err != nil || got.TransactionID != m.TransactionID || got.ServerIdentifier().String() != server {
			continue
		}
		if got.MessageType() != kind {
			return got, fmt.Errorf("%s was answered a %s; want a %s", c.mac, got.MessageType(), kind)
		}
		return got, nil
	}
}

// discover asks and returns the offer of server.
func (c *client) discover(ctx context.Context, server string) (*dhcpv4.DHCPv4, error) {
	m, err := c.say(dhcpv4.MessageTypeDiscover, c.class)
	if err != nil {
		return nil, err
	}
	return c.hear(ctx, m, server, dhcpv4.MessageTypeOffer)
}

// lease goes from power-on to an address of server, and stands on it. It returns the acknowledgement.
func (c *client) lease(ctx context.Context, server string) (*dhcpv4.DHCPv4, error) {
	offer, err := c.discover(ctx, server)
	if err != nil {
		return nil, err
	}
	m, err := c.say(dhcpv4.MessageTypeRequest, c.class, dhcpv4.OptServerIdentifier(net.ParseIP(server)), dhcpv4.OptRequestedIPAddress(offer.YourIPAddr))
	if err != nil {
		return nil, err
	}
	ack, err := c.hear(ctx, m, server, dhcpv4.MessageTypeAck)
	if err != nil {
		return nil, err
	}
	ip, ok := netip.AddrFromSlice(ack.YourIPAddr.To4())
	if !ok {
		return nil, fmt.Errorf("%s was given no address", c.mac)
	}
	if ip != c.ip {
		if _, err := lab.Command(ctx, "ip", "-n", c.host.Name, "addr", "add", ip.String()+"/24", "dev", "eth0"); err != nil {
			return nil, err
		}
	}
	c.ip = ip
	return ack, nil
}

// Ways to end a TFTP transfer early.
type ending int

const (
	whole  ending = iota // to its end
	vanish               // not another word after a megabyte
	abort                // an error packet after a megabyte
)

// tftp fetches a file as firmware does (RFC 1350, 2347 to 2349) and returns its bytes.
func (c *client) tftp(ctx context.Context, name string, end ending) ([]byte, error) {
	var conn *net.UDPConn
	err := c.host.Enter(func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: c.ip.AsSlice()})
		return err
	})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ask := []byte("\x00\x01" + name + "\x00octet\x00tsize\x000\x00blksize\x001024\x00")
	if _, err := conn.WriteTo(ask, &net.UDPAddr{IP: net.ParseIP(lab.ServerIP), Port: 69}); err != nil {
		return nil, err
	}
	var data []byte
	block := uint16(0)
	buf := make([]byte, 2048)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return nil, err
		}
		n, peer, err := conn.ReadFrom(buf)
		if err != nil {
			return nil, fmt.Errorf("%s fetches %s: %w", c.mac, name, err)
		}
		if n < 4 {
			return nil, fmt.Errorf("%s fetches %s: a packet of %d bytes", c.mac, name, n)
		}
		last := false
		switch op, number := buf[1], uint16(buf[2])<<8|uint16(buf[3]); {
		case op == 5:
			return nil, fmt.Errorf("%s fetches %s: refused: %s", c.mac, name, buf[4:n])
		case op == 3 && number == block+1:
			data, block, last = append(data, buf[4:n]...), number, n < 1028
		}
		if len(data) > 1<<20 && end == vanish {
			return data, nil
		}
		answer := []byte{0, 4, byte(block >> 8), byte(block)}
		if len(data) > 1<<20 && end == abort {
			answer, last = []byte("\x00\x05\x00\x08too large\x00"), true
		}
		if _, err := conn.WriteTo(answer, peer); err != nil || last {
			return data, err
		}
	}
}

// http fetches a path from the boot listener.
func (c *client) http(ctx context.Context, url string) ([]byte, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: c.dial}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s fetches %s: %s", c.mac, url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// dial connects from the machine's own address.
func (c *client) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: c.ip.AsSlice()}}
	err = c.host.Enter(func() (err error) {
		conn, err = d.DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// url is a file of the boot listener.
func url(name string) string { return "http://" + lab.ServerIP + "/" + name }
