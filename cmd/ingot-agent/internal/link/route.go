package link

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// metricBase is the first metric of default routes, one more for each adapter, so that each has its own.
const metricBase = 1000

// up sets an adapter up.
func up(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// configure makes a lease the adapter's only IPv4 address and adds its default route.
func configure(name string, lease Lease) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("configure %s: %w", name, err)
	}
	old, err := netlink.AddrList(l, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("configure %s: list addresses: %w", name, err)
	}
	if err := netlink.AddrReplace(l, &netlink.Addr{IPNet: lease.Address}); err != nil {
		return fmt.Errorf("configure %s with %s: %w", name, lease.Address, err)
	}
	for _, a := range old {
		if a.IPNet.String() != lease.Address.String() {
			if err := netlink.AddrDel(l, &a); err != nil {
				return fmt.Errorf("configure %s: remove %s: %w", name, a.IPNet, err)
			}
		}
	}
	if lease.Router == nil {
		return nil
	}
	r := netlink.Route{LinkIndex: l.Attrs().Index, Gw: lease.Router, Priority: metricBase + l.Attrs().Index, Flags: int(netlink.FLAG_ONLINK)}
	if err := netlink.RouteReplace(&r); err != nil {
		return fmt.Errorf("configure %s: default route: %w", name, err)
	}
	return nil
}

// drop takes an adapter's addresses away, and its routes with them.
func drop(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("drop the address of %s: %w", name, err)
	}
	addrs, err := netlink.AddrList(l, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("drop the address of %s: %w", name, err)
	}
	var errs []error
	for _, a := range addrs {
		errs = append(errs, netlink.AddrDel(l, &a))
	}
	return errors.Join(errs...)
}

// lead makes one adapter the way to the daemon.
func lead(name string, lease Lease, host net.IP) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("route to %s: %w", host, err)
	}
	r := netlink.Route{LinkIndex: l.Attrs().Index, Dst: &net.IPNet{IP: host, Mask: net.CIDRMask(32, 32)}}
	switch router, ok := lease.Via(host); {
	case !ok:
		return fmt.Errorf("route to %s through %s: the network has no router", host, name)
	case router == nil:
		r.Scope, r.Src = netlink.SCOPE_LINK, lease.Address.IP
	default:
		r.Gw, r.Flags = router, int(netlink.FLAG_ONLINK)
	}
	if err := netlink.RouteReplace(&r); err != nil {
		return fmt.Errorf("route to %s through %s: %w", host, name, err)
	}
	return nil
}

// through makes a dialer's sockets leave by one adapter only.
func through(name string) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var inner error
		err := c.Control(func(fd uintptr) { inner = unix.BindToDevice(int(fd), name) })
		return errors.Join(err, inner)
	}
}
