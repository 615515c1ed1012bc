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

// link is one interface, as it was when its ports were opened, with everything that listens on it; its facts never
// change. All boot services of a link stand on its first IPv4 address, so a machine on one network is never sent to
// an address of another.
type link struct {
	*Server
	facts
	name   string
	former netip.Addr // where we stood before: who names it is answered that this is over

	dhcp, proxy *server4.Server
	tftpConn    *net.UDPConn
	tftp        *tftp.Server
	httpListen  net.Listener
	http        *http.Server
	busy        chan struct{} // slots for DHCP requests being answered
	tftpFetches *fetches
	httpFetches *fetches
	ear         *ear            // nil when it could not be opened
	alive       context.Context // ends when the link closes: transfers stop
	cancel      context.CancelFunc
	closing     sync.Once
}

// place is where this link's machines find us.
func (l *link) place() place { return place{l.addr, l.cfg.Ports.HTTP} }

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
	l.openEar()
	return nil
}

// openEar starts to listen to the surroundings. Without it boots are served all the same; the doctor says less.
func (l *link) openEar() {
	var err error
	l.ear, err = openEar(l.index)
	l.around.note(l.name, func(s *Surroundings) {
		if s.Unheard = ""; err != nil {
			s.Unheard = "the daemon may not open a packet socket (CAP_NET_RAW)"
		}
		if s.Since.IsZero() {
			s.Since = time.Now()
		}
	})
	if err != nil {
		l.Log.Warn().Err(err).Str("interface", l.name).Msg("the network around cannot be listened to")
	}
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
		if l.ear != nil {
			l.ear.close()
		}
		if l.http != nil {
			l.http.Close()
		}
		if l.httpListen != nil {
			l.httpListen.Close()
		}
		if l.tftpConn != nil {
			l.tftpConn.Close()
		}
		if t := l.tftp; t != nil {
			// Transfers end with alive, a silent one after its last retry (7 s); the next link need not wait for it.
			l.ending.Add(1)
			go func() { defer l.ending.Done(); t.Shutdown() }()
		}
		l.dhcp, l.proxy, l.http, l.httpListen, l.tftp, l.tftpConn, l.ear = nil, nil, nil, nil, nil, nil, nil
	})
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
	if e := l.ear; e != nil {
		g.Go(func() error { return e.listen(ctx, func(p heardPacket) { l.hear(p, e, time.Now()) }) })
	}
	if l.cfg.Mode == ModeDHCP {
		g.Go(func() error { l.watchForeign(ctx); return nil })
	}
	g.Go(func() error { <-ctx.Done(); l.close(); return nil }) // the DHCP library's read ends by nothing else
	l.Log.Info().Str("interface", l.name).Stringer("address", l.addr).Str("mode", string(l.cfg.Mode)).Msg("serving network boots")
	return g.Wait()
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
