package link

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// The bounds of a lease: servers that say less or nothing get these.
const (
	minLease     = time.Minute
	defaultLease = time.Hour
)

// Lease is what a DHCP answer settles.
type Lease struct {
	Address *net.IPNet    // the laptop's own, with its network's mask
	Router  net.IP        // nil when the network has none
	Server  net.IP        // who gave it
	Next    net.IP        // the next server that it names (siaddr); nil when it names none
	For     time.Duration // until it expires
	Renew   time.Duration // until it should be asked for again (T1, RFC 2131, 4.4.5)
}

// ReadLease reads an acknowledgement. The answer is a stranger's: an address that no laptop can have is an error.
func ReadLease(ack *dhcpv4.DHCPv4) (Lease, error) {
	ip := ack.YourIPAddr.To4()
	if ip == nil || !ip.IsGlobalUnicast() {
		return Lease{}, fmt.Errorf("the DHCP server offers the address %v", ack.YourIPAddr)
	}
	mask := ack.SubnetMask()
	if mask == nil {
		mask = ip.DefaultMask()
	}
	ones, bits := mask.Size()
	if bits != 32 || ones < 1 || ones > 32 {
		return Lease{}, errors.New("the DHCP server offers a network mask that is none")
	}
	l := Lease{Address: &net.IPNet{IP: ip, Mask: mask}, Server: ack.ServerIdentifier()}
	if n := ack.ServerIPAddr.To4(); n != nil && n.IsGlobalUnicast() {
		l.Next = n
	}
	if r := ack.Router(); len(r) > 0 && r[0].To4() != nil && r[0].IsGlobalUnicast() && !r[0].Equal(ip) {
		l.Router = r[0].To4()
	}
	l.For = max(ack.IPAddressLeaseTime(defaultLease), minLease)
	l.Renew = l.For / 2
	if t1 := ack.IPAddressRenewalTime(0); t1 >= minLease/2 && t1 < l.For {
		l.Renew = t1
	}
	return l, nil
}

// Via is how a host is reached: directly (nil, true), by the router, or not at all.
func (l Lease) Via(host net.IP) (router net.IP, ok bool) {
	if l.Address.Contains(host) {
		return nil, true
	}
	return l.Router, l.Router != nil
}
