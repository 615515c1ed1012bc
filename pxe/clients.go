package pxe

import (
	"container/list"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds against a noisy or hostile network: packets of one machine and of all, events of one machine, and
// how many machines are remembered.
const (
	machineRate, machineBurst = 5, 20     // DHCP packets a second of one MAC
	globalRate, globalBurst   = 500, 1000 // of an interface
	eventRate, eventBurst     = 1, 60     // events a second of one MAC
	maxMachines               = 4096
	loopWindow                = 3 * time.Minute
	loopLimit                 = 5 // loaders within loopWindow without getting further
)

// client is what we remember of one machine, to know it again at the later legs.
type client struct {
	machine Machine
	packets *rate.Limiter
	events  *rate.Limiter
	place   *list.Element
	loaders []time.Time // of the last fetches of the first loader since anything further
	fetched time.Time   // initramfs: from then on its DHCP requests are the agent's
	asked   time.Time   // it was heard to ask for a boot file
	refused time.Time   // its agent did not take our key
}

// clients remembers the machines seen last, by MAC and by address, at most maxMachines.
type clients struct {
	mu    sync.Mutex
	byMAC map[MAC]*client
	byIP  map[netip.Addr]MAC
	used  *list.List // MACs, the one used last in front
}

func newClients() *clients {
	return &clients{byMAC: map[MAC]*client{}, byIP: map[netip.Addr]MAC{}, used: list.New()}
}

// get finds or makes the entry of a MAC; the caller holds mu.
func (c *clients) get(mac MAC) *client {
	if e, ok := c.byMAC[mac]; ok {
		c.used.MoveToFront(e.place)
		return e
	}
	if c.used.Len() >= maxMachines {
		last := c.used.Back()
		c.forget(last.Value.(MAC))
	}
	e := &client{
		machine: Machine{MAC: mac},
		packets: rate.NewLimiter(machineRate, machineBurst),
		events:  rate.NewLimiter(eventRate, eventBurst),
		place:   c.used.PushFront(mac),
	}
	c.byMAC[mac] = e
	return e
}

func (c *clients) forget(mac MAC) {
	e := c.byMAC[mac]
	if c.byIP[e.machine.IP] == mac {
		delete(c.byIP, e.machine.IP)
	}
	c.used.Remove(e.place)
	delete(c.byMAC, mac)
}

// allow takes one packet of the machine's allowance.
func (c *clients) allow(mac MAC) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.get(mac).packets.Allow()
}

// allowEvent takes one event of the machine's allowance.
func (c *clients) allowEvent(mac MAC) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.get(mac).events.Allow()
}

// see remembers what a request told. An address belongs to the machine that used it last; what this request
// left out (an agent sends no UUID) stays as it was.
func (c *clients) see(m Machine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.get(m.MAC)
	if m.IP.IsValid() && m.IP != e.machine.IP {
		if c.byIP[e.machine.IP] == m.MAC {
			delete(c.byIP, e.machine.IP)
		}
		e.machine.IP = m.IP
	}
	if e.machine.IP.IsValid() {
		c.byIP[e.machine.IP] = m.MAC
	}
	if m.Loader == LoaderNone {
		return
	}
	e.machine.Loader, e.machine.Arch, e.machine.Relay = m.Loader, m.Arch, m.Relay
	if m.UUID != "" {
		e.machine.UUID = m.UUID
	}
}

// machine gives what is known of a MAC.
func (c *clients) machine(mac MAC) (Machine, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byMAC[mac]
	if !ok {
		return Machine{}, false
	}
	return e.machine, true
}

// at gives the machine that used this address last.
func (c *clients) at(ip netip.Addr) (Machine, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mac, ok := c.byIP[ip]
	if !ok {
		return Machine{}, false
	}
	return c.byMAC[mac].machine, true
}

// reached notes a leg for the loop guard and for telling the agent's DHCP from another's. now carries the monotonic
// clock, so that a server whose clock is set takes nobody for a loop.
func (c *clients) reached(ev Event, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byMAC[ev.MAC]
	if !ok || ev.Err != "" {
		return
	}
	switch ev.Leg {
	case LegNBP:
		e.loaders = append(e.loaders, now)
		if len(e.loaders) > loopLimit {
			e.loaders = e.loaders[1:]
		}
		if strings.HasSuffix(ev.File, imageAlias) {
			e.fetched = now
		}
	case LegInitramfs:
		e.loaders, e.fetched = nil, now
	case LegLoader, LegScript, LegKernel, LegHello:
		e.loaders = nil
	}
}

// asks notes that a machine was heard to ask for a boot file.
func (c *clients) asks(mac MAC, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.get(mac).asked = now
}

// asked reports whether a machine asked for a boot file a moment ago.
func (c *clients) asked(mac MAC, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byMAC[mac]
	return ok && !e.asked.IsZero() && now.Sub(e.asked) < newStart
}

// refuses notes that a machine's agent did not take our key, and reports whether that is news: it tries for ever.
func (c *clients) refuses(mac MAC, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.get(mac)
	news := now.Sub(e.refused) > newStart
	if news {
		e.refused = now
	}
	return news
}

// looping reports whether the machine fetched its first loader loopLimit times within loopWindow and nothing
// behind it.
func (c *clients) looping(mac MAC, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byMAC[mac]
	return ok && len(e.loaders) >= loopLimit && now.Sub(e.loaders[0]) < loopWindow
}

// agentMay reports whether a plain DHCP request of this machine is likely our agent's.
func (c *clients) agentMay(mac MAC, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byMAC[mac]
	return ok && !e.fetched.IsZero() && now.Sub(e.fetched) < 10*time.Minute
}
