package pxe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"ingot/imaging/job"
)

// Server answers network boots on the configured interfaces. Fill the exported fields, call Listen once, then
// Serve once.
type Server struct {
	Config   Config
	Director Director
	Recorder Recorder // may be nil
	Leases   Leases   // needed as a full DHCP server only; as a proxy it may be nil
	Files    Files
	Patient  bool // Listen does not fail when an interface is absent or has no address: Serve waits for it
	Log      zerolog.Logger

	// OnStand is told, at each change and not concurrently, where laptops find us on each configured interface,
	// in the order of the configuration. It must be quick. It may be nil.
	OnStand func([]Stand)

	cfg      Config // Config with its defaults
	began    time.Time
	known    *clients
	around   *around
	pools    []*pool
	stations []*station
	locks    []net.Listener
	ending   sync.WaitGroup // what closed links leave behind

	mu     sync.Mutex
	stands map[string]netip.Addr // of the open links, by interface
}

// Listen checks the configuration, makes sure that nobody else answers in our place, and opens every port. It
// fails, with everything closed again, in words that a person can act on (a *job.Fault in the chain). With no
// interface configured it succeeds and nobody is answered. As a full DHCP server it takes Config.ProbeTime.
func (s *Server) Listen(ctx context.Context) error {
	if err := s.Config.Validate(); err != nil {
		return err
	}
	s.cfg, s.known, s.began, s.stands = s.Config.withDefaults(), newClients(), time.Now(), map[string]netip.Addr{}
	s.around = newAround()
	if s.Director == nil || s.Files == nil || s.cfg.Mode == ModeDHCP && s.Leases == nil {
		return errors.New("listen for network boots: Director, Files, and as a DHCP server Leases, must be given")
	}
	for _, name := range s.cfg.Interfaces {
		st := &station{Server: s, name: name, news: make(chan struct{}, 1)}
		s.stations = append(s.stations, st)
		if err := st.claim(); err != nil {
			s.close()
			return err
		}
	}
	if err := s.openAll(ctx); err != nil {
		s.close()
		return err
	}
	return nil
}

func (s *Server) openAll(ctx context.Context) error {
	if err := s.loadPools(); err != nil {
		return err
	}
	for _, st := range s.stations {
		if err := st.find(); err != nil {
			return err
		}
		var at netip.Addr
		if st.link != nil {
			at = st.link.addr
		}
		s.standAt(st.name, at)
	}
	for _, st := range s.stations {
		if st.link != nil && s.cfg.Mode == ModeDHCP {
			if err := s.refuseForeign(ctx, st.link); err != nil {
				return err
			}
		}
	}
	for _, st := range s.stations {
		if st.link == nil {
			continue
		}
		if err := st.link.open(); err != nil {
			return err
		}
	}
	return nil
}

// standAt notes where an interface is served, and keeps the pools from giving our own addresses away.
func (s *Server) standAt(name string, addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, known := s.stands[name]; known && was == addr {
		return
	}
	s.stands[name] = addr
	var own []netip.Addr
	var all []Stand
	for _, st := range s.stations {
		all = append(all, Stand{st.name, s.stands[st.name]})
		own = append(own, s.stands[st.name])
	}
	for _, p := range s.pools {
		p.setOwn(own)
	}
	if s.OnStand != nil {
		s.OnStand(all)
	}
}

// loadPools makes the pools and fills them with the leases that were given before.
func (s *Server) loadPools() error {
	for _, sub := range s.cfg.Subnets {
		s.pools = append(s.pools, newPool(sub))
	}
	if s.Leases == nil {
		return nil
	}
	leases, err := s.Leases.AllLeases()
	if err != nil {
		s.Log.Error().Err(err).Msg("leases could not be read")
		return job.Faultf(job.CodeDaemon, "The addresses given earlier could not be read from the database.")
	}
	for _, l := range leases {
		if p := s.poolFor(l.IP); p != nil {
			p.load(l, time.Now())
		}
	}
	return nil
}

// Refused is told that an agent at an address ended the handshake with our agent listener: it did not take its key.
func (s *Server) Refused(ip netip.Addr) {
	m, ok := s.known.at(ip)
	if p := s.poolFor(ip); !ok && p != nil {
		var mac MAC
		if mac, ok = p.holder(ip, time.Now()); ok {
			m = Machine{MAC: mac, IP: ip}
		}
	}
	if ok && s.known.refuses(m.MAC, time.Now()) {
		m.Loader = LoaderNone
		s.record(m, LegPin, "the start system at "+ip.String()+" did not take the daemon's key")
	}
}

// poolFor finds the pool of the network that holds an address; nil if none does.
func (s *Server) poolFor(ip netip.Addr) *pool {
	for _, p := range s.pools {
		if ip.IsValid() && p.Prefix.Contains(ip) {
			return p
		}
	}
	return nil
}

// Serve answers until ctx ends, then closes everything and returns nil. An interface that goes away, comes back or
// changes its address is followed: what is said to laptops names the address that it has.
func (s *Server) Serve(ctx context.Context) error {
	defer s.close()
	if len(s.stations) == 0 {
		s.Log.Warn().Msg("no interface is configured: no machine will be answered")
		<-ctx.Done()
		return nil
	}
	var g errgroup.Group
	for _, st := range s.stations {
		g.Go(func() error { st.keep(ctx); return nil })
	}
	g.Go(func() error { s.follow(ctx); return nil })
	return g.Wait()
}

// Alive reports whether every interface was looked after within d; if not, it names one that was not. It holds while
// Serve runs.
func (s *Server) Alive(d time.Duration) error {
	for _, st := range s.stations {
		if quiet := time.Since(s.began) - time.Duration(st.beat.Load()); quiet > d {
			return fmt.Errorf("interface %s was not looked after for %s", st.name, quiet.Round(time.Second))
		}
	}
	return nil
}

// close lets go of every port and lock.
func (s *Server) close() {
	for _, st := range s.stations {
		if st.link != nil {
			st.link.close()
		}
	}
	for _, l := range s.locks {
		l.Close()
	}
	s.locks = nil
	s.ending.Wait()
}

// decide asks the Director.
func (s *Server) decide(ctx context.Context, m Machine) Decision {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return s.Director.Decide(ctx, m)
}

// record tells the Recorder and the log about a leg, within the machine's allowance.
func (s *Server) record(m Machine, leg Leg, text string) {
	s.recordEvent(Event{MAC: m.MAC, UUID: m.UUID, Arch: m.Arch, Loader: m.Loader, IP: m.IP, Leg: leg, Text: text})
}

func (s *Server) recordEvent(e Event) {
	if !s.known.allowEvent(e.MAC) {
		return
	}
	now := time.Now()
	e.Time = now.Round(0)
	e.Text, e.File, e.Err = clip(e.Text, 200), clip(e.File, 128), clip(e.Err, 200)
	s.known.reached(e, now)
	s.Log.Info().Stringer("mac", e.MAC).Str("leg", string(e.Leg)).Str("ip", ipText(e.IP)).Str("file", e.File).
		Int64("bytes", e.Bytes).Str("text", e.Text).Str("err", e.Err).Msg("boot")
	if s.Recorder != nil {
		s.Recorder.Record(e)
	}
}

func ipText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
