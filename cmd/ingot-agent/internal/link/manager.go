package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/rs/zerolog"

	"ingot/cmd/ingot-agent/internal/pinned"
	"ingot/imaging/job"
)

const (
	scanEvery  = 500 * time.Millisecond // how often sysfs is looked at
	askTimeout = 3 * time.Second        // for one DHCP answer; nclient4 doubles it
	askRetries = 2
	dialLimit  = 3 * time.Second // for the daemon's answer to a connection
	lostAfter  = 4 * time.Second // without a signal the boot link may move to another adapter
)

// Manager keeps the laptop on the network. Run does the work; the other methods may be called at any time.
type Manager struct {
	Sys    string // /sys
	Daemon string // HOST:PORT, HOST an IPv4 address
	Pin    job.KeyID
	Log    zerolog.Logger

	// A stick may be older than the daemon's address. More names further ones, tried in turn; Ask also tries the
	// servers that a lease names. Whoever answers is believed by its key alone.
	More []string
	Ask  bool

	mu      sync.Mutex
	nics    map[string]*nic
	boot    string    // the adapter that leads to the daemon
	found   string    // the address at which the daemon answered first: this boot stays with it
	lost    time.Time // since when it has no signal; zero while it has one
	reached chan struct{}
}

// nic is one adapter at work.
type nic struct {
	link   job.Link
	lease  *Lease
	led    bool // the route to the daemon leads through it
	asking bool // for an address, in vain so far
	mute   bool // it has an address and the daemon does not answer over it
	other  bool // another machine answers there in the daemon's place
	stop   context.CancelFunc
}

// New makes a Manager.
func New(sys, daemon string, pin job.KeyID, log zerolog.Logger) *Manager {
	return &Manager{Sys: sys, Daemon: daemon, Pin: pin, Log: log, nics: map[string]*nic{}, reached: make(chan struct{})}
}

// Reached is closed once the daemon has answered over some adapter.
func (m *Manager) Reached() <-chan struct{} { return m.reached }

// Address is where the daemon answered; empty before Reached.
func (m *Manager) Address() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.found
}

// Run brings adapters up as they appear and keeps them until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	for _, address := range append([]string{m.Daemon}, m.More...) {
		if _, err := hostOf(address); err != nil {
			return err
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { m.choose(ctx) })
	for {
		m.scan(ctx, &wg)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(scanEvery):
		}
	}
}

// scan starts a worker for each new adapter, ends those of adapters that went, and notes the signals.
func (m *Manager) scan(ctx context.Context, wg *sync.WaitGroup) {
	links := Wired(m.Sys)
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[string]bool{}
	for _, l := range links {
		seen[l.Name] = true
		if n, ok := m.nics[l.Name]; ok && n.link.MAC == l.MAC {
			n.link = l
			continue
		}
		if old, ok := m.nics[l.Name]; ok {
			old.stop()
		}
		work, stop := context.WithCancel(ctx)
		n := &nic{link: l, stop: stop}
		m.nics[l.Name] = n
		m.Log.Info().Str("nic", l.Name).Str("mac", l.MAC).Str("driver", l.Driver).Msg("found a network adapter")
		wg.Go(func() { m.serve(work, l.Name, n) })
	}
	for name, n := range m.nics {
		if !seen[name] {
			m.Log.Info().Str("nic", name).Msg("a network adapter went away")
			n.stop()
			delete(m.nics, name)
		}
	}
	m.watchBoot()
}

// watchBoot notes since when the boot link has no signal. m.mu is held.
func (m *Manager) watchBoot() {
	if m.boot == "" {
		return
	}
	switch n, ok := m.nics[m.boot]; {
	case ok && n.link.Carrier:
		m.lost = time.Time{}
	case m.lost.IsZero():
		m.lost = time.Now()
	}
}

// serve keeps one adapter: up, then for ever an address while there is a signal.
func (m *Manager) serve(ctx context.Context, name string, n *nic) {
	if err := up(name); err != nil {
		m.Log.Error().Err(err).Msg("a network adapter does not start")
	}
	for m.waitSignal(ctx, n) {
		lease, client, err := m.acquire(ctx, name)
		if err != nil {
			m.set(func() { n.asking = true })
			m.Log.Info().Str("nic", name).Err(err).Msg("no address from the network yet")
			pause(ctx, time.Second)
			continue
		}
		m.hold(ctx, name, n, lease, client)
	}
}

// waitSignal waits for a cable with a signal and reports false when ctx has ended.
func (m *Manager) waitSignal(ctx context.Context, n *nic) bool {
	for {
		if ctx.Err() != nil {
			return false
		}
		var carrier bool
		m.set(func() { carrier = n.link.Carrier })
		if carrier {
			return true
		}
		pause(ctx, scanEvery)
	}
}

// acquire asks for an address and sets it.
func (m *Manager) acquire(ctx context.Context, name string) (Lease, *nclient4.Lease, error) {
	c, err := nclient4.New(name, nclient4.WithTimeout(askTimeout), nclient4.WithRetry(askRetries))
	if err != nil {
		return Lease{}, nil, fmt.Errorf("ask for an address on %s: %w", name, err)
	}
	defer c.Close()
	raw, err := c.Request(ctx)
	if err != nil {
		return Lease{}, nil, fmt.Errorf("ask for an address on %s: %w", name, err)
	}
	lease, err := ReadLease(raw.ACK)
	if err != nil {
		return Lease{}, nil, err
	}
	return lease, raw, configure(name, lease)
}

// hold keeps a lease alive and returns when it is lost: expired, refused, or the adapter gone. A pulled cable
// alone loses nothing.
func (m *Manager) hold(ctx context.Context, name string, n *nic, lease Lease, raw *nclient4.Lease) {
	m.Log.Info().Str("nic", name).Stringer("address", lease.Address).Dur("lease", lease.For).Msg("the network gave an address")
	m.set(func() { n.lease, n.asking = &lease, false })
	defer m.set(func() { n.lease, n.led = nil, false })
	expires := time.Now().Add(lease.For)
	wait := lease.Renew
	for {
		if !pause(ctx, wait) {
			return
		}
		renewed, next, err := m.renew(ctx, name, raw)
		var nak *nclient4.ErrNak
		switch {
		case err == nil:
			raw, lease = next, renewed
			m.set(func() { n.lease = &renewed })
			expires, wait = time.Now().Add(lease.For), lease.Renew
		case errors.As(err, &nak), time.Now().After(expires):
			m.Log.Info().Str("nic", name).Err(err).Msg("the address is lost; asking for a new one")
			if err := drop(name); err != nil {
				m.Log.Error().Err(err).Msg("an old address stays")
			}
			return
		default:
			wait = min(30*time.Second, max(time.Second, time.Until(expires)))
		}
	}
}

func (m *Manager) renew(ctx context.Context, name string, raw *nclient4.Lease) (Lease, *nclient4.Lease, error) {
	c, err := nclient4.New(name, nclient4.WithTimeout(askTimeout), nclient4.WithRetry(askRetries))
	if err != nil {
		return Lease{}, nil, fmt.Errorf("renew the address on %s: %w", name, err)
	}
	defer c.Close()
	next, err := c.Renew(ctx, raw)
	if err != nil {
		return Lease{}, nil, fmt.Errorf("renew the address on %s: %w", name, err)
	}
	lease, err := ReadLease(next.ACK)
	if err != nil {
		return Lease{}, nil, err
	}
	return lease, next, configure(name, lease)
}

// choose finds the adapter that reaches the daemon, and another when that one stays without a signal.
func (m *Manager) choose(ctx context.Context) {
	for pause(ctx, scanEvery/2) {
		m.mu.Lock()
		boot, here := m.nics[m.boot]
		settled := here && boot.led && (m.lost.IsZero() || time.Since(m.lost) < lostAfter)
		type candidate struct {
			name  string
			lease Lease
		}
		var try []candidate
		for name, n := range m.nics {
			if n.lease != nil && n.link.Carrier {
				try = append(try, candidate{name, *n.lease})
			}
		}
		m.mu.Unlock()
		if settled {
			continue
		}
		slices.SortFunc(try, func(a, b candidate) int { return strings.Compare(a.name, b.name) })
		for _, c := range try {
			if m.reachAny(ctx, c.name, c.lease) {
				break
			}
		}
		pause(ctx, askTimeout/2) // a daemon that is down is not hammered
	}
}

// hostOf is the IPv4 address in HOST:PORT.
func hostOf(address string) (net.IP, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("read the daemon's address %s: %w", address, err)
	}
	ip := net.ParseIP(host).To4()
	if ip == nil {
		return nil, fmt.Errorf("the daemon's address %s is no IPv4 address", host)
	}
	return ip, nil
}

// Candidates lists where the daemon may be, as seen from a lease: the addresses that are known, in their order, then
// the servers that the lease names, on the port of the first. Once the daemon has answered there is one.
func (m *Manager) Candidates(lease Lease) []string {
	if a := m.Address(); a != "" {
		return []string{a}
	}
	out := append([]string{m.Daemon}, m.More...)
	_, port, err := net.SplitHostPort(m.Daemon)
	for _, ip := range []net.IP{lease.Server, lease.Next} {
		if m.Ask && err == nil && ip.To4() != nil && ip.IsGlobalUnicast() && !slices.Contains(out, net.JoinHostPort(ip.String(), port)) {
			out = append(out, net.JoinHostPort(ip.String(), port))
		}
	}
	return out
}

// reachAny tries each address over one adapter. What the adapter is said to lack is what was found at the addresses
// that are known: a server that a lease names need not be ours.
func (m *Manager) reachAny(ctx context.Context, name string, lease Lease) bool {
	var errs []error
	known := 1 + len(m.More)
	for i, address := range m.Candidates(lease) {
		err := m.reach(ctx, name, lease, address)
		if err == nil {
			return true
		}
		if i < known {
			errs = append(errs, err)
		}
	}
	err := errors.Join(errs...)
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := m.nics[name]; ok {
		if !n.mute {
			m.Log.Info().Str("nic", name).Err(err).Msg("the server does not answer here")
		}
		n.mute, n.led, n.other = true, false, errors.Is(err, pinned.ErrOtherKey)
	}
	return false
}

// reach tries one address over one adapter and makes that the boot link when the daemon itself, by its key,
// answers there.
func (m *Manager) reach(ctx context.Context, name string, lease Lease, address string) error {
	host, err := hostOf(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	d := tls.Dialer{NetDialer: &net.Dialer{Control: through(name)}, Config: pinned.Config(m.Pin)}
	c, err := d.DialContext(ctx, "tcp4", address)
	if err == nil {
		err = errors.Join(c.Close(), lead(name, lease, host))
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := m.nics[name]; ok {
		n.mute, n.led, n.other = false, true, false
	}
	if m.boot == "" {
		m.found = address
		close(m.reached)
	}
	m.boot, m.lost = name, time.Time{}
	m.Log.Info().Str("nic", name).Str("server", address).Msg("the server answers")
	return nil
}

func (m *Manager) set(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
}

// pause waits and reports whether ctx still runs.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
