package pxe

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// How long an address stays aside: between an offer and its request (EDK2 takes 5 s), and after a machine
// found it in use.
const (
	offerTime   = 30 * time.Second
	declineTime = 10 * time.Minute
)

// slot is the state of one address.
type slot struct {
	mac      MAC
	host     string
	until    time.Time // offered or leased until then; a past time leaves a memory of the last holder
	offered  bool      // not yet acknowledged
	declined bool      // found in use by a stranger: nobody gets it before until
}

// pool gives out the addresses of one subnet. Its times carry the monotonic clock: no lease ends, and none becomes
// endless, because somebody set the server's clock. It decides in memory; what it leased is made durable by the
// caller, who says undo when that fails. Its size is bounded by the subnet's pool and reservations.
type pool struct {
	Subnet
	reserved map[MAC]netip.Addr  // from the configuration
	holders  map[netip.Addr]MAC  // the reservations the other way round
	mu       sync.Mutex          // guards what follows
	own      map[netip.Addr]bool // our own addresses and the router: never given
	slots    map[netip.Addr]slot // by address
	byMAC    map[MAC]netip.Addr  // the address that a machine had last
	fresh    uint32              // addresses below First+fresh were used once
}

func newPool(s Subnet) *pool {
	p := &pool{Subnet: s, reserved: map[MAC]netip.Addr{}, holders: map[netip.Addr]MAC{},
		slots: map[netip.Addr]slot{}, byMAC: map[MAC]netip.Addr{}}
	for _, r := range s.Reservations {
		p.reserved[r.MAC], p.holders[r.IP] = r.IP, r.MAC
	}
	p.setOwn(nil)
	return p
}

// setOwn says which addresses are ours. A machine that holds one of them is refused it and starts over.
func (p *pool) setOwn(own []netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.own = map[netip.Addr]bool{p.Router: true}
	for _, a := range own {
		p.own[a] = true
	}
}

// load puts a remembered lease back; one that no longer fits the configuration is left out. What is left of it is
// counted by the monotonic clock from here on, and is never more than a new lease would be: the wall clock may have
// been set since it was written.
func (p *pool) load(l Lease, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.MAC.Valid() && p.fits(l.MAC, l.IP) {
		left := min(l.Expires.Sub(now.Round(0)), p.LeaseTime)
		p.set(l.IP, slot{mac: l.MAC, host: l.Host, until: now.Add(left)})
	}
}

// fits reports whether this machine may ever have this address.
func (p *pool) fits(mac MAC, ip netip.Addr) bool {
	if !p.usable(ip) || p.own[ip] {
		return false
	}
	if holder, ok := p.holders[ip]; ok {
		return holder == mac
	}
	if _, ok := p.reserved[mac]; ok {
		return false
	}
	return p.First.IsValid() && !ip.Less(p.First) && !p.Last.Less(ip)
}

// set stores a slot and keeps byMAC true to it.
func (p *pool) set(ip netip.Addr, s slot) {
	if old, ok := p.slots[ip]; ok && old.mac != s.mac && p.byMAC[old.mac] == ip {
		delete(p.byMAC, old.mac)
	}
	p.slots[ip] = s
	if s.mac.Valid() {
		p.byMAC[s.mac] = ip
	}
}

// free reports whether this machine can have this address now.
func (p *pool) free(mac MAC, ip netip.Addr, now time.Time) bool {
	if !p.fits(mac, ip) {
		return false
	}
	s, ok := p.slots[ip]
	return !ok || now.After(s.until) || s.mac == mac && !s.declined
}

// offer sets an address aside: the reserved one, the one that the machine had, the one that it wishes, one
// never used, the one longest unused. It reports false when none is left.
func (p *pool) offer(mac MAC, wish netip.Addr, now time.Time) (netip.Addr, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ip netip.Addr
	for _, c := range []netip.Addr{p.reserved[mac], p.byMAC[mac], wish} {
		if c.IsValid() && p.free(mac, c, now) {
			ip = c
			break
		}
	}
	if !ip.IsValid() {
		if ip = p.unused(mac, now); !ip.IsValid() {
			return netip.Addr{}, false
		}
	}
	if s := p.slots[ip]; s.mac != mac || now.After(s.until) {
		p.set(ip, slot{mac: mac, until: now.Add(offerTime), offered: true})
	}
	return ip, true
}

// unused finds an address that nobody holds.
func (p *pool) unused(mac MAC, now time.Time) netip.Addr {
	if _, ok := p.reserved[mac]; ok || !p.First.IsValid() {
		return netip.Addr{}
	}
	first, last := ip4(p.First), ip4(p.Last)
	for ; first+p.fresh <= last; p.fresh++ {
		if ip := addr4(first + p.fresh); p.fits(mac, ip) {
			if _, used := p.slots[ip]; !used {
				return ip
			}
		}
	}
	var best netip.Addr
	var oldest time.Time
	for ip, s := range p.slots {
		if (!best.IsValid() || s.until.Before(oldest)) && p.free(mac, ip, now) {
			best, oldest = ip, s.until
		}
	}
	return best
}

// lease gives an address that was offered to, or is held by, this machine. undo puts back what was before.
func (p *pool) lease(mac MAC, ip netip.Addr, host string, now time.Time) (l Lease, undo func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, held := p.slots[ip]
	if !held || old.mac != mac || old.declined || !p.fits(mac, ip) {
		return Lease{}, nil, fmt.Errorf("lease %s to %s: not offered to it", ip, mac)
	}
	until := now.Add(p.LeaseTime)
	l = Lease{IP: ip, MAC: mac, Host: host, Expires: until.Round(0)} // only the wall clock survives a restart
	p.set(ip, slot{mac: mac, host: host, until: until})
	return l, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.slots[ip].until.Equal(until) {
			p.set(ip, old)
		}
	}, nil
}

// holds reports whether the machine has this address on offer or lease, expired or not.
func (p *pool) holds(mac MAC, ip netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.slots[ip]
	return ok && s.mac == mac && !s.declined
}

// leased reports whether the machine was given this address, and not merely offered it.
func (p *pool) leased(mac MAC, ip netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.slots[ip]
	return ok && s.mac == mac && !s.declined && !s.offered
}

// holder gives the machine to which an address is leased.
func (p *pool) holder(ip netip.Addr, now time.Time) (MAC, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.slots[ip]
	return s.mac, ok && !s.declined && !s.offered && now.Before(s.until)
}

// release ends a lease or an offer; the machine will get the same address again while it is free. leased
// tells the caller that there is something durable to change.
func (p *pool) release(mac MAC, ip netip.Addr, now time.Time) (l Lease, leased bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.slots[ip]
	if !ok || s.mac != mac || s.declined {
		return Lease{}, false
	}
	leased = !s.offered
	s.until, s.offered = now, false
	p.set(ip, s)
	return Lease{IP: ip, MAC: mac, Host: s.host, Expires: now.Round(0)}, leased
}

// decline puts an address aside that its machine found in use.
func (p *pool) decline(mac MAC, ip netip.Addr, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.slots[ip]; !ok || s.mac != mac || s.declined {
		return false
	}
	delete(p.byMAC, mac)
	p.slots[ip] = slot{until: now.Add(declineTime), declined: true}
	return true
}

// withdraw ends an offer when the machine chose another server.
func (p *pool) withdraw(mac MAC, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ip := p.byMAC[mac]
	if s, ok := p.slots[ip]; ok && s.offered {
		s.until, s.offered = now, false
		p.set(ip, s)
	}
}
