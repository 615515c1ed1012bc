package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"ingot/cmd/internal/lab"
)

// seen is what the server put on the switch, counted from the packets themselves.
type seen struct {
	offers      int // DHCP replies that name a boot file
	missing     int // those of them that name the file that is not there
	tftpBytes   int // in DATA packets
	tftpErrors  int
	httpServed  int // answers 200 and 206
	httpRefused int // 404
}

// sniffer looks at every frame on the server's switch port. It believes no log.
type sniffer struct {
	fd   int
	done chan struct{}

	mu    sync.Mutex
	count seen
	err   error
}

// sniff starts to look. The caller stops it.
func sniff() (*sniffer, error) {
	ifc, err := net.InterfaceByName(lab.Bridge)
	if err != nil {
		return nil, err
	}
	all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all))
	if err != nil {
		return nil, fmt.Errorf("look at the switch: %w", err)
	}
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 200_000}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifc.Index}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("look at the switch: %w", err), unix.Close(fd))
	}
	s := &sniffer{fd: fd, done: make(chan struct{})}
	go s.run()
	return s, nil
}

// run ends when stop has been called, within the socket's patience.
func (s *sniffer) run() {
	buf := make([]byte, 1<<17)
	for {
		select {
		case <-s.done:
			s.done <- struct{}{}
			return
		default:
		}
		n, _, err := unix.Recvfrom(s.fd, buf, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		s.mu.Lock()
		if err != nil {
			s.err = err
		} else {
			s.count.frame(buf[:n])
		}
		s.mu.Unlock()
	}
}

// stop gives what was seen. A frame that the kernel could not keep is an error: it was not looked at.
func (s *sniffer) stop() (seen, error) {
	s.done <- struct{}{}
	<-s.done
	stats, err := unix.GetsockoptTpacketStats(s.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err == nil && stats.Drops > 0 {
		err = fmt.Errorf("%d frames were missed", stats.Drops)
	}
	return s.count, errors.Join(err, s.err, unix.Close(s.fd))
}

// frame counts one Ethernet frame of the server's.
func (c *seen) frame(b []byte) {
	if len(b) < 34 || binary.BigEndian.Uint16(b[12:]) != unix.ETH_P_IP {
		return
	}
	ip := b[14:]
	head, from := int(ip[0]&15)*4, netip.AddrFrom4([4]byte(ip[12:16]))
	if from.String() != lab.ServerIP || len(ip) < head+20 {
		return
	}
	p := ip[head:]
	port := binary.BigEndian.Uint16(p)
	switch ip[9] {
	case unix.IPPROTO_UDP:
		c.datagram(port, p[8:])
	case unix.IPPROTO_TCP:
		if off := int(p[12]>>4) * 4; port == 80 && off <= len(p) {
			c.http(p[off:])
		}
	}
}

func (c *seen) datagram(port uint16, b []byte) {
	if port == 67 || port == 4011 {
		if len(b) > 236 && b[108] != 0 || bytes.Contains(b, []byte("http://")) {
			c.offers++
			if bytes.Contains(b, []byte("nothing-to-start")) {
				c.missing++
			}
		}
		return
	}
	if len(b) < 4 || b[0] != 0 {
		return
	}
	switch b[1] {
	case 3:
		c.tftpBytes += len(b) - 4
	case 5:
		c.tftpErrors++
	}
}

func (c *seen) http(b []byte) {
	switch {
	case bytes.HasPrefix(b, []byte("HTTP/1.1 20")):
		c.httpServed++
	case bytes.HasPrefix(b, []byte("HTTP/1.1 404")):
		c.httpRefused++
	}
}
