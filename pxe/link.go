package pxe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/pin/tftp/v3"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"ingot/imaging/job"
)

// errChanged says that the interface is not what it was when its ports were opened.
var errChanged = errors.New("the interface changed")

const (
	watchEvery = 500 * time.Millisecond // how soon a lost or changed interface is noticed
	retryEvery = time.Second            // and how often it is tried again
	probeEvery = 5 * time.Minute        // how often another DHCP server is looked for while we serve
)

// link is one interface with everything that listens on it. All boot services of a link stand on its first
// IPv4 address, so a machine on one network is never sent to an address of another.
type link struct {
	*Server
	name   string
	index  int
	addr   netip.Addr
	prefix netip.Prefix

	dhcp, proxy *server4.Server
	tftpConn    *net.UDPConn
	tftp        *tftp.Server
	httpListen  net.Listener
	http        *http.Server
	busy        chan struct{} // slots for DHCP requests being answered
	tftpFetches *fetches
	httpFetches *fetches
	alive       context.Context // ends when the link closes: transfers stop
	cancel      context.CancelFunc
	closing     sync.Once
}

// place is where this link's machines find us.
func (l *link) place() place { return place{l.addr, l.cfg.Ports.HTTP} }

// claim takes the one lock of this interface in this network namespace. The DHCP library shares its port with
// anybody who asks, so without it a second daemon would start without an error and both would answer half.
func (l *link) claim() error {
	lock, err := net.Listen("unix", fmt.Sprintf("@ingot/dhcp/%s/%d", l.name, l.cfg.Ports.DHCP))
	if errors.Is(err, syscall.EADDRINUSE) {
		return job.Faultf(job.CodeDaemon, "Another Ingot already answers network boots on %s (port %d). Stop it first.", l.name, l.cfg.Ports.DHCP)
	}
	if err != nil {
		return fmt.Errorf("lock interface %s: %w", l.name, err)
	}
	l.locks = append(l.locks, lock)
	return nil
}

// look finds the interface and its first IPv4 address; as a full DHCP server the first inside a subnet.
func (l *link) look() error {
	ifc, err := net.InterfaceByName(l.name)
	if err != nil {
		return job.Faultf(job.CodeDaemon, "There is no network interface %s.", l.name)
	}
	addrs, err := ifc.Addrs()
	if err != nil {
		return fmt.Errorf("read addresses of %s: %w", l.name, err)
	}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.To4() == nil {
			continue
		}
		ip := addrOf(n.IP.To4())
		bits, _ := n.Mask.Size()
		if !ip.IsValid() || l.cfg.Mode == ModeDHCP && !l.inSubnets(ip) {
			continue
		}
		l.index, l.addr, l.prefix = ifc.Index, ip, netip.PrefixFrom(ip, bits).Masked()
		return nil
	}
	if l.cfg.Mode == ModeDHCP {
		return job.Faultf(job.CodeDaemon, "The interface %s has no IPv4 address inside a configured subnet.", l.name)
	}
	return job.Faultf(job.CodeDaemon, "The interface %s has no IPv4 address.", l.name)
}

func (l *link) inSubnets(ip netip.Addr) bool {
	for _, s := range l.cfg.Subnets {
		if s.Prefix.Contains(ip) {
			return true
		}
	}
	return false
}

// serves reports whether an address may be answered: it is on this link or in a configured subnet.
func (l *link) serves(ip netip.Addr) bool {
	return ip.IsValid() && (l.prefix.Contains(ip) || l.inSubnets(ip))
}

// open opens all ports of the link, or none.
func (l *link) open() (err error) {
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	l.closing = sync.Once{}
	l.alive, l.cancel = context.WithCancel(context.Background())
	l.busy = make(chan struct{}, 64)
	if l.dhcp, err = l.openDHCP(l.cfg.Ports.DHCP, l.handleDHCP); err != nil {
		return err
	}
	if l.proxy, err = l.openDHCP(l.cfg.Ports.Proxy, l.handleProxy); err != nil {
		return err
	}
	at := func(port int) netip.AddrPort { return netip.AddrPortFrom(l.addr, uint16(port)) }
	if l.tftpConn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at(l.cfg.Ports.TFTP))); err != nil {
		return portFault("UDP", l.cfg.Ports.TFTP, l.name, "TFTP", err)
	}
	l.tftp = l.newTFTP()
	web, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at(l.cfg.Ports.HTTP)))
	if err != nil {
		return portFault("TCP", l.cfg.Ports.HTTP, l.name, "HTTP", err)
	}
	l.httpListen = &limitListener{Listener: web, slots: make(chan struct{}, httpConns)}
	l.http = l.newHTTP()
	return nil
}

// openDHCP opens one of the two DHCP ports: bound to the interface, but to no address, since a socket bound to
// an address never hears broadcasts. First it tries the port without sharing, to find another program there.
func (l *link) openDHCP(port int, handle server4.Handler) (*server4.Server, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var serr error
		err := c.Control(func(fd uintptr) { serr = unix.BindToDevice(int(fd), l.name) })
		return errors.Join(err, serr)
	}}
	alone, err := lc.ListenPacket(context.Background(), "udp4", fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		return nil, portFault("UDP", port, l.name, "DHCP or network boot", err)
	}
	alone.Close()
	conn, err := server4.NewIPv4UDPConn(l.name, &net.UDPAddr{Port: port})
	if err != nil {
		return nil, fmt.Errorf("open UDP port %d on %s: %w", port, l.name, err)
	}
	limited := &limitedConn{PacketConn: conn, known: l.known, all: rate.NewLimiter(globalRate, globalBurst)}
	srv, err := server4.NewServer(l.name, nil, handle, server4.WithConn(limited))
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("serve UDP port %d on %s: %w", port, l.name, err)
	}
	return srv, nil
}

// portFault says why a port could not be had.
func portFault(proto string, port int, ifname, what string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return job.Faultf(job.CodeDaemon, "Another program (a %s server?) already has %s port %d on %s. Stop it first.", what, proto, port, ifname)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return job.Faultf(job.CodeDaemon, "This user may not open %s port %d on %s. Run the daemon as root.", proto, port, ifname)
	}
	return fmt.Errorf("open %s port %d on %s: %w", proto, port, ifname, err)
}

// close closes what is open; it may be called often.
func (l *link) close() {
	if l.alive == nil {
		return
	}
	l.closing.Do(func() {
		l.cancel()
		for _, d := range []*server4.Server{l.dhcp, l.proxy} {
			if d != nil {
				d.Close()
			}
		}
		if l.http != nil {
			l.http.Close()
		}
		if l.httpListen != nil {
			l.httpListen.Close()
		}
		if l.tftp != nil {
			l.tftp.Shutdown() // waits for transfers: they end with alive, a silent one after its last retry (7 s)
		}
		if l.tftpConn != nil {
			l.tftpConn.Close()
		}
		l.dhcp, l.proxy, l.http, l.httpListen, l.tftp, l.tftpConn = nil, nil, nil, nil, nil, nil
	})
}

// keep serves the link and opens it again whenever it was lost, until ctx ends.
func (l *link) keep(ctx context.Context) error {
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		err := l.serve(ctx)
		if ctx.Err() != nil {
			return nil
		}
		l.Log.Error().Err(err).Str("interface", l.name).Msg("network boot stopped on this interface; waiting for it")
		for opened := false; !opened; {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			if err := l.look(); err == nil {
				opened = l.open() == nil
			}
		}
		l.Log.Info().Str("interface", l.name).Stringer("address", l.addr).Msg("network boot is served again")
	}
}

// serve runs everything on the link until ctx ends or something of it fails.
func (l *link) serve(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(l.dhcp.Serve)
	g.Go(l.proxy.Serve)
	t, tc := l.tftp, l.tftpConn
	g.Go(func() error { return t.Serve(tc) })
	h, hl := l.http, l.httpListen
	g.Go(func() error { return h.Serve(hl) })
	g.Go(func() error { return l.watch(ctx) })
	if l.cfg.Mode == ModeDHCP {
		g.Go(func() error { l.watchForeign(ctx); return nil })
	}
	g.Go(func() error { <-ctx.Done(); l.close(); return nil })
	l.Log.Info().Str("interface", l.name).Stringer("address", l.addr).Str("mode", string(l.cfg.Mode)).Msg("serving network boots")
	return g.Wait()
}

// watch ends with errChanged when the interface is gone, another one, or has another address. The DHCP
// library does not notice: its read would block for ever.
func (l *link) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := &link{Server: l.Server, name: l.name}
		if err := now.look(); err != nil {
			return err
		}
		if now.index != l.index || now.addr != l.addr || now.prefix != l.prefix {
			return errChanged
		}
	}
}

// limitedConn drops what is no DHCP packet by its size, and what exceeds the allowances, before the library
// starts a goroutine for it.
type limitedConn struct {
	net.PacketConn
	known *clients
	all   *rate.Limiter
}

const (
	minDHCP = 240  // fixed fields and cookie
	maxDHCP = 1500 // EDK2 sends at most one Ethernet frame
)

func (c *limitedConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(b)
		if err != nil {
			return n, from, err
		}
		if n >= minDHCP && n <= maxDHCP && c.all.Allow() && c.known.allow(MAC(b[28:34])) {
			return n, from, nil
		}
	}
}
