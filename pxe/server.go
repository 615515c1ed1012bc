package pxe

import (
	"context"
	"errors"
	"net"
	"net/netip"
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
	Log      zerolog.Logger

	cfg   Config // Config with its defaults
	known *clients
	pools []*pool
	links []*link
	locks []net.Listener
}

// Listen checks the configuration, makes sure that nobody else answers in our place, and opens every port. It
// fails, with everything closed again, in words that a person can act on (a *job.Fault in the chain). With no
// interface configured it succeeds and nobody is answered. As a full DHCP server it takes Config.ProbeTime.
func (s *Server) Listen(ctx context.Context) error {
	if err := s.Config.Validate(); err != nil {
		return err
	}
	s.cfg, s.known = s.Config.withDefaults(), newClients()
	if s.Director == nil || s.Files == nil || s.cfg.Mode == ModeDHCP && s.Leases == nil {
		return errors.New("listen for network boots: Director, Files, and as a DHCP server Leases, must be given")
	}
	for _, name := range s.cfg.Interfaces {
		l := &link{Server: s, name: name}
		s.links = append(s.links, l)
		if err := l.claim(); err != nil {
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
	var own []netip.Addr
	for _, l := range s.links {
		if err := l.look(); err != nil {
			return err
		}
		own = append(own, l.addr)
	}
	if err := s.loadPools(own); err != nil {
		return err
	}
	if s.cfg.Mode == ModeDHCP {
		if err := s.refuseForeign(ctx); err != nil {
			return err
		}
	}
	for _, l := range s.links {
		if err := l.open(); err != nil {
			return err
		}
	}
	return nil
}

// loadPools makes the pools and fills them with the leases that were given before.
func (s *Server) loadPools(own []netip.Addr) error {
	for _, sub := range s.cfg.Subnets {
		s.pools = append(s.pools, newPool(sub, own))
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
			p.load(l)
		}
	}
	return nil
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

// Serve answers until ctx ends, then closes everything and returns nil. An interface that goes away is waited
// for and opened again.
func (s *Server) Serve(ctx context.Context) error {
	defer s.close()
	if len(s.links) == 0 {
		s.Log.Warn().Msg("no interface is configured: no machine will be answered")
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range s.links {
		g.Go(func() error { return l.keep(ctx) })
	}
	g.Go(func() error { <-ctx.Done(); return nil })
	return g.Wait()
}

// close lets go of every port and lock.
func (s *Server) close() {
	for _, l := range s.links {
		l.close()
	}
	for _, l := range s.locks {
		l.Close()
	}
	s.locks = nil
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
	e.Time = time.Now().Round(0)
	e.Text, e.File, e.Err = clip(e.Text, 200), clip(e.File, 128), clip(e.Err, 200)
	s.known.reached(e)
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
