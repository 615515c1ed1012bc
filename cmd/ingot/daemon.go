package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/pxe"
	"ingot/store"
)

// daemonFlags override the configuration file.
type daemonFlags struct {
	interfaces []string
	mode       string
	pool       string
	subnet     string
	router     string
	advertise  string
	countdown  time.Duration
	agentPort  int
	pagesPort  int
	httpPort   int
	dhcpPort   int
	proxyPort  int
	tftpPort   int
	foreign    bool
	debug      bool
}

func (a *app) daemonCommand() *cobra.Command {
	var f daemonFlags
	c := &cobra.Command{Use: "daemon", Short: "Answer the laptops and keep the record",
		Example: "ingot daemon\ningot daemon --interface enp4s0 --mode dhcp --pool 10.55.0.100-10.55.0.200", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			if err := f.apply(&cfg); err != nil {
				return usage{err}
			}
			if err := cfg.check(); err != nil {
				return err
			}
			if err := a.asOwner(cfg.Data); err != nil {
				return err
			}
			return a.daemon(c.Context(), cfg)
		}}
	fl := c.Flags()
	fl.StringSliceVar(&f.interfaces, "interface", nil, "network interface on which machines are answered; may be repeated")
	fl.StringVar(&f.mode, "mode", "", "proxy (beside an existing DHCP server) or dhcp (the only one)")
	fl.StringVar(&f.subnet, "subnet", "", "the network of --pool, such as 10.55.0.0/24 (default: the interface's)")
	fl.StringVar(&f.pool, "pool", "", "first and last address, such as 10.55.0.100-10.55.0.200; with --mode proxy they are lent to UEFI PXE firmware only")
	fl.StringVar(&f.router, "router", "", "with --mode dhcp: the router that machines are told; none by default")
	fl.StringVar(&f.advertise, "advertise", "", "address under which deployed systems find this daemon")
	fl.DurationVar(&f.countdown, "countdown", 0, "on a laptop's screen before its first write, 3s to 1m (default 10s)")
	fl.IntVar(&f.agentPort, "agent-port", 0, "TCP port of the agent listener (default 8443)")
	fl.IntVar(&f.pagesPort, "pages-port", 0, "TCP port of the pages (default 443); -1: no pages")
	fl.IntVar(&f.httpPort, "http-port", 0, "TCP port of the boot files (default 80)")
	fl.IntVar(&f.dhcpPort, "dhcp-port", 0, "UDP port of DHCP (default 67)")
	fl.IntVar(&f.proxyPort, "proxy-port", 0, "UDP port of the boot server (default 4011)")
	fl.IntVar(&f.tftpPort, "tftp-port", 0, "UDP port of TFTP (default 69)")
	fl.BoolVar(&f.foreign, "allow-foreign", false, "serve addresses although another DHCP server answers")
	fl.BoolVar(&f.debug, "debug", false, "log packets, and let agents log more")
	return c
}

// apply puts the flags over the file.
func (f daemonFlags) apply(cfg *config) error {
	b := &cfg.Boot
	if len(f.interfaces) > 0 {
		b.Interfaces = f.interfaces
	}
	if f.mode != "" {
		b.Mode = pxe.Mode(f.mode)
	}
	if f.advertise != "" {
		cfg.Agent.Advertise = f.advertise
	}
	for _, p := range []struct {
		flag int
		port *int
	}{{f.agentPort, &cfg.Agent.Port}, {f.pagesPort, &cfg.Pages.Port}, {f.httpPort, &b.Ports.HTTP}, {f.dhcpPort, &b.Ports.DHCP}, {f.proxyPort, &b.Ports.Proxy}, {f.tftpPort, &b.Ports.TFTP}} {
		if p.flag != 0 {
			*p.port = p.flag
		}
	}
	if f.countdown != 0 {
		cfg.Bench.Countdown = f.countdown
	}
	if f.foreign {
		b.AllowForeign = true
	}
	if f.debug {
		b.Debug, cfg.Log.Level = true, "debug"
	}
	if f.subnet == "" && f.pool == "" && f.router == "" {
		return nil
	}
	return f.applySubnet(b)
}

func (f daemonFlags) applySubnet(b *pxe.Config) (err error) {
	var s pxe.Subnet
	if f.subnet == "" {
		if s.Prefix, err = networkOf(b.Interfaces); err != nil {
			return err
		}
	} else if s.Prefix, err = netip.ParsePrefix(f.subnet); err != nil {
		return fmt.Errorf("--subnet %q is no network such as 10.55.0.0/24", f.subnet)
	}
	if f.pool != "" {
		first, last, _ := strings.Cut(f.pool, "-")
		var err1, err2 error
		s.First, err1 = netip.ParseAddr(strings.TrimSpace(first))
		s.Last, err2 = netip.ParseAddr(strings.TrimSpace(last))
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("--pool %q is no range such as 10.55.0.100-10.55.0.200", f.pool)
		}
	}
	if f.router != "" {
		if s.Router, err = netip.ParseAddr(f.router); err != nil {
			return fmt.Errorf("--router %q is no address", f.router)
		}
	}
	b.Subnets = []pxe.Subnet{s}
	return nil
}

// networkOf is the IPv4 network of the one interface.
func networkOf(interfaces []string) (netip.Prefix, error) {
	if len(interfaces) != 1 {
		return netip.Prefix{}, errors.New("--pool needs --subnet, or exactly one --interface")
	}
	addrs, err := addressesOf(interfaces[0])
	if err != nil {
		return netip.Prefix{}, err
	}
	if len(addrs) == 0 {
		return netip.Prefix{}, fmt.Errorf("the interface %s has no IPv4 address: give --subnet", interfaces[0])
	}
	return addrs[0].Masked(), nil
}

// logger is the daemon's: plain lines on stderr, with their time unless the journal stamps them.
func (a *app) logger(level string) (zerolog.Logger, error) {
	l := zerolog.InfoLevel
	if level != "" {
		var err error
		if l, err = zerolog.ParseLevel(level); err != nil {
			return zerolog.Nop(), usage{fmt.Errorf("unknown log level %q", level)}
		}
	}
	if intoJournal(a.err) {
		return zerolog.New(journal{a.err}).Level(l), nil
	}
	w := zerolog.ConsoleWriter{Out: a.err, TimeFormat: time.RFC3339, NoColor: true}
	return zerolog.New(w).Level(l).With().Timestamp().Logger(), nil
}

// softMemory is the heap, in bytes, from which the daemon collects garbage harder instead of growing: with 50 streams
// it stays below 150 MB. GOMEMLIMIT overrules it.
const softMemory = 130 << 20

// daemon opens every port first, then serves until ctx ends or one of its parts fails. Under a service manager it
// waits for an interface that is not there yet; a person who starts it by hand is told at once.
func (a *app) daemon(ctx context.Context, cfg config) (err error) {
	log, err := a.logger(cfg.Log.Level)
	if err != nil {
		return err
	}
	boundMemory()
	m := findManager()
	started := m.starting()
	defer started()
	boot, last := bootID(), readLife(cfg.Data)
	clk := newSteadyClock(readClocks, last, boot)
	cfg.now = clk.Now
	h, err := takeHouse(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	clk.follow(h.service, log, false) // it was set while no daemon ran
	alive := &life{path: filepath.Join(cfg.Data, lifeName), boot: boot, clk: clk, log: log}
	alive.write(false)
	h.tellMissing(log)
	agents, err := h.listener.Listen(net.JoinHostPort("", strconv.Itoa(cfg.Agent.Port)))
	if err != nil {
		return errors.Join(err, job.Faultf(job.CodeDaemon, "The port %d of the agent listener is not free.", cfg.Agent.Port))
	}
	defer agents.Close()
	cfg.Boot.AgentPort, cfg.Boot.AgentPin = cfg.Agent.Port, string(h.listener.Pin())
	events, state := newRecorder(h.db, log), &state{tell: m.status}
	disk := &room{dir: cfg.Data, db: h.db, service: h.service, log: log, status: state.disk}
	boots := &pxe.Server{Config: cfg.Boot, Director: director{h.service, disk.full.Load, log}, Recorder: events, Leases: leases{h.db}, Files: h.boot,
		Patient: m != nil, OnStand: func(s []pxe.Stand) { state.stands(s); h.advertise(s) }, Log: log}
	if err := boots.Listen(ctx); err != nil {
		return err
	}
	h.api.Status.Serving, h.api.Status.Since = true, time.Now()
	h.api.Status.Mode, h.api.Status.Interfaces = string(cmp.Or(cfg.Boot.Mode, pxe.ModeProxy)), cfg.Boot.Interfaces
	h.doctor.listens(boots)
	h.watchable(boots)
	figures, err := h.metricsPort()
	if err != nil {
		return err
	}
	h.listener.Refused = boots.Refused
	socket, err := listenSocket(cfg.Data)
	if err != nil {
		return err
	}
	pages, err := h.openPages(log)
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	log.Info().Str("data", cfg.Data).Strs("interfaces", cfg.Boot.Interfaces).Int("agent_port", cfg.Agent.Port).Str("pin", string(h.listener.Pin())).Msg("ingot is ready")
	tellStart(h.service, log, endOf(last, boot))
	started()
	m.tell("READY=1")
	defer func() {
		if err == nil {
			alive.write(true)
		}
	}()
	return serve(ctx, log,
		boots.Serve,
		h.service.Run,
		events.run,
		disk.run,
		alive.run,
		cfg.scrub(h.shelf),
		h.pusher.Run,
		func(ctx context.Context) error { return clk.watch(ctx, h.service, log) },
		m.watchdog(log, answers(h.db, boots, cfg.Data)),
		func(ctx context.Context) error { <-ctx.Done(); m.tell("STOPPING=1"); return nil },
		h.boot.tidy(tidyEvery, h.service.BundleUses, log),
		overHTTP(log, agents, h.listener.Server(h.shelf.BesidePeers(h.service.Handler()))),
		overHTTP(log, socket, apiServer(h.api)),
		h.serveMetrics(log, figures),
		pages,
	)
}

// boundMemory sets the soft limit, unless whoever starts the daemon set another.
func boundMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemory)
	}
}

// tellMissing tells why laptops will not boot, when it is known before they try.
func (h *house) tellMissing(log zerolog.Logger) {
	if _, err := h.boot.now(); err != nil {
		log.Warn().Str("reason", words(err)).Msg("no laptop can boot yet")
	}
	if len(h.cfg.Boot.Interfaces) == 0 {
		log.Warn().Str("do", noInterfaceDo()).Msg("no interface is configured: no laptop is answered")
	}
}

// tellStart says what a daemon finds when it starts: how the one before ended, and the work that goes on.
func tellStart(s *deploy.Service, log zerolog.Logger, end string) {
	if end != "" {
		log.Warn().Msg(strings.TrimSuffix(end, "."))
		if err := s.Note("unclean end", end); err != nil {
			log.Error().Err(err).Msg("the end of the last daemon could not be recorded")
		}
	}
	running, waiting, err := s.Unfinished()
	if err != nil {
		log.Error().Err(err).Msg("the unfinished jobs could not be read")
	}
	if running > 0 {
		log.Info().Msgf("%s running; waiting for %s", counted(running, "job was", "jobs were"), counted(running, "its laptop", "their laptops"))
	}
	if waiting > 0 {
		log.Info().Msgf("%s for a laptop that has not come yet", counted(waiting, "order waits", "orders wait"))
	}
}

// counted is a number with its word; a word that says it all stands alone.
func counted(n int, one, many string) string {
	word := many
	if n == 1 {
		word = one
	}
	if strings.HasPrefix(word, "its ") || strings.HasPrefix(word, "their ") {
		return word
	}
	return strconv.Itoa(n) + " " + word
}

// answers checks that the daemon does its work: the database gives the right to write, the API answers on its socket,
// and every interface is looked after.
func answers(db *store.DB, boots *pxe.Server, data string) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := db.Probe(); err != nil {
			return err
		}
		if err := boots.Alive(time.Minute); err != nil {
			return err
		}
		c, err := dialDaemon(filepath.Join(data, socketName))
		if err != nil {
			return err
		}
		if c == nil {
			return errors.New("nobody listens on the daemon's socket")
		}
		_, err = get[store.Bench](ctx, c, "bench")
		return errors.Join(err, c.close())
	}
}

// state is what the service manager shows of the daemon: a full disk, else where laptops are answered.
type state struct {
	tell func(string)

	mu          sync.Mutex
	where, full string
}

func (s *state) disk(words string) { s.set(&s.full, words) }

func (s *state) stands(all []pxe.Stand) { s.set(&s.where, standWords(all)) }

func (s *state) set(what *string, words string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*what = words
	if s.full != "" {
		words = s.full
	} else {
		words = s.where
	}
	s.tell(words)
}

// standWords is one line about all interfaces.
func standWords(all []pxe.Stand) string {
	var parts []string
	for _, s := range all {
		if s.Addr.IsValid() {
			parts = append(parts, fmt.Sprintf("answering laptops on %s (%s)", s.Interface, s.Addr))
		} else {
			parts = append(parts, "waiting for interface "+s.Interface)
		}
	}
	if len(parts) == 0 {
		return "no interface is configured: nobody is answered"
	}
	return strings.Join(parts, "; ")
}

// takeHouse opens the data folder for the daemon. A command that works by itself at this moment is waited for;
// a daemon that answers on its socket is not.
func takeHouse(ctx context.Context, cfg config, log zerolog.Logger) (*house, error) {
	for end := time.Now().Add(patience); ; {
		h, err := openHouse(cfg, log, true)
		if !errors.Is(err, errInUse) || time.Now().After(end) {
			return h, err
		}
		if c, _ := dialDaemon(filepath.Join(cfg.Data, socketName)); c != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
