package lab

import (
	"context"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// advertisement is an ICMPv6 Router Advertisement (RFC 4861 section 4.2) of a router that routes nothing
// (lifetime 0), with one prefix (section 4.6.2) from which hosts make addresses: fd77::/64.
var advertisement = []byte{
	134, 0, 0, 0, // type, code, checksum (the kernel fills it in)
	64, 0, 0, 0, // hop limit, no DHCPv6, lifetime 0
	0, 0, 0, 0, 0, 0, 0, 0, // reachable and retransmission time: unspecified
	3, 4, 64, 0xc0, // prefix information, 32 bytes, /64, on link and autonomous
	0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, // valid and preferred for an hour
	0, 0, 0, 0, // reserved
	0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
}

// advertise sends router advertisements on a link until ctx ends. iPXE waits for one before it configures
// anything: without, each start takes some 13 seconds more. A bench without IPv6 is only slower, so that
// failures are passed over.
func advertise(ctx context.Context, link string) {
	conn, err := net.ListenPacket("ip6:ipv6-icmp", "::")
	if err != nil {
		return
	}
	defer conn.Close()
	ip := conn.(*net.IPConn)
	raw, err := ip.SyscallConn()
	if err != nil {
		return
	}
	// Receivers drop an advertisement whose hop limit is not 255: it could have come from elsewhere.
	if err := raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255) // a refusal shows as slow starts
	}); err != nil {
		return
	}
	all := &net.IPAddr{IP: net.ParseIP("ff02::1"), Zone: link}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		_, _ = ip.WriteTo(advertisement, all) // fails until the bridge has its address
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
