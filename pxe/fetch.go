package pxe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"sync"
)

// fetches counts transfers under way, of each address and in all, and refuses more than its limits.
type fetches struct {
	mu        sync.Mutex
	each, all int // limits
	running   map[netip.Addr]int
	count     int
}

func newFetches(each, all int) *fetches {
	return &fetches{each: each, all: all, running: map[netip.Addr]int{}}
}

// enter counts a transfer; leave must be called when it ends. It reports false when there are too many.
func (f *fetches) enter(ip netip.Addr) (leave func(), ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count >= f.all || f.running[ip] >= f.each {
		return nil, false
	}
	f.count++
	f.running[ip]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.count--
		if f.running[ip]--; f.running[ip] == 0 {
			delete(f.running, ip)
		}
	}, true
}

// machineAt finds who stands behind an address: the machine that we saw take it, or the one that the kernel's
// neighbour table knows on this link. Behind a relay only the first helps.
func (l *link) machineAt(ip netip.Addr) Machine {
	if m, ok := l.known.at(ip); ok {
		return m
	}
	f, err := os.Open("/proc/net/arp")
	if err != nil {
		return Machine{IP: ip}
	}
	defer f.Close()
	mac, ok := findNeighbour(f, ip, l.name)
	if !ok {
		return Machine{IP: ip}
	}
	return l.machineOf(mac, ip)
}

// machineOf gives what we know of a machine that names itself by its MAC.
func (l *link) machineOf(mac MAC, ip netip.Addr) Machine {
	m, ok := l.known.machine(mac)
	if !ok {
		m = Machine{MAC: mac}
	}
	m.IP = ip
	return m
}

// findNeighbour reads a neighbour table as /proc/net/arp shows it.
func findNeighbour(table io.Reader, ip netip.Addr, ifname string) (MAC, bool) {
	lines := bufio.NewScanner(io.LimitReader(table, 4<<20))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 6 || f[5] != ifname || f[0] != ip.String() {
			continue
		}
		mac, err := ParseMAC(f[3])
		return mac, err == nil
	}
	return MAC{}, false
}

// admit says whether whoever asks from an address may have a boot file: a machine that boots now, and of what is
// made for one machine that machine alone (named; the zero MAC is what all share). To anybody else it is
// fs.ErrNotExist, so that no byte of a boot file leaves for a machine that was not told to boot. It returns the
// machine whose start this is.
func (l *link) admit(ctx context.Context, asker Machine, named MAC) (Machine, error) {
	m := asker
	if named != (MAC{}) && named != asker.MAC {
		if asker.MAC != (MAC{}) {
			l.record(asker, LegRefuse, fmt.Sprintf("It asked for what is made for %s.", named))
			return asker, fmt.Errorf("%s asks in the name of %s: %w", asker.MAC, named, fs.ErrNotExist)
		}
		m = l.machineOf(named, asker.IP) // nobody saw who took this address: both must be allowed to boot
		if d := l.decide(ctx, m); d.Action != Boot {
			l.record(m, LegRefuse, d.Why)
			return m, fmt.Errorf("no start for %s: %w", m.MAC, fs.ErrNotExist)
		}
	}
	if d := l.decide(ctx, asker); d.Action != Boot {
		l.record(asker, LegRefuse, d.Why)
		return m, fmt.Errorf("no start for %s: %w", asker.MAC, fs.ErrNotExist)
	}
	return m, nil
}

// commandLineFor makes the kernel command line of a machine that was admitted.
func (l *link) commandLineFor(ctx context.Context, m Machine) (string, error) {
	token, err := l.Director.Token(ctx, m)
	if err != nil {
		return "", fmt.Errorf("boot token for %s: %w", m.MAC, err)
	}
	return l.cfg.commandLine(l.addr, token)
}

// fetched records a transfer's end.
func (l *link) fetched(m Machine, leg Leg, file string, bytes, total int64, err error) {
	e := Event{MAC: m.MAC, UUID: m.UUID, Arch: m.Arch, Loader: m.Loader, IP: m.IP, Leg: leg, File: file, Bytes: bytes, Total: total}
	if err != nil {
		e.Err = err.Error()
	}
	l.recordEvent(e)
}
