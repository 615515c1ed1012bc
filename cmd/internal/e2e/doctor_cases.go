package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"

	"ingot/imaging/job"
)

// bootDoctorCases prove that the doctor names the right cause of faults that are really on the network.
func bootDoctorCases() []Case {
	return []Case{{"boot-doctor", "more than 20 faults on the network, in an order and with parameters from a printed seed: the doctor names the cause of each", nil, bootDoctor}}
}

// fault is one thing that keeps a machine from starting. play brings it about and gives the machine's MAC; undo,
// which may be nil, takes it away again after the cause was read.
type bootFault struct {
	name  string
	cause job.Code
	play  func(ctx context.Context, s *surgery) (mac string, err error)
	undo  func(ctx context.Context, s *surgery) error
}

// surgery is where faults are played.
type surgery struct {
	*Env
	*wire
	d      *Daemon
	rand   *rand.Rand
	played int
	own    []*client // machines whose addresses stand on the card
}

// ward is a daemon with the faults that it is asked about. In a quick ward each fault has a daemon of its own, which
// heard nothing before, and its cause is read at once; in the others all are played first, and the doctor's patience
// runs out once for all.
type ward struct {
	name   string
	quick  bool
	start  func(context.Context, *surgery) (*Daemon, error)
	faults []bootFault
	end    func(context.Context) error // takes away what start added to the network; may be nil
}

func bootDoctor(ctx context.Context, e *Env) (err error) {
	w, err := newWire(ctx, e)
	if err != nil {
		return err
	}
	s := &surgery{Env: e, wire: w, rand: rand.New(rand.NewPCG(e.Seed, 0))}
	defer func() { err = checks(err, w.close()) }()
	wards := doctorWards()
	total := 0
	e.Say("seed %d: \"make e2e CASE='--seed %d boot-doctor'\" plays the same again", e.Seed, e.Seed)
	s.rand.Shuffle(len(wards), func(i, j int) { wards[i], wards[j] = wards[j], wards[i] })
	for _, x := range wards {
		s.rand.Shuffle(len(x.faults), func(i, j int) { x.faults[i], x.faults[j] = x.faults[j], x.faults[i] })
		if err := s.visit(ctx, x); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		if x.end != nil {
			if err := x.end(ctx); err != nil {
				return err
			}
		}
		total += len(x.faults)
	}
	e.Say("%d faults, each with its right cause", total)
	return that(total >= 20, "only %d faults were played", total)
}

func (s *surgery) visit(ctx context.Context, x ward) error {
	if x.quick {
		for _, f := range x.faults {
			if err := s.quick(ctx, x, f); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
		return nil
	}
	if err := s.open(ctx, x); err != nil {
		return err
	}
	macs := make([]string, len(x.faults))
	for i, f := range x.faults {
		mac, err := f.play(ctx, s)
		if err != nil {
			return fmt.Errorf("play %q: %w", f.name, err)
		}
		s.Say("played: %s (%s)", f.name, mac)
		macs[i] = mac
	}
	for i, f := range x.faults {
		if err := s.ask(ctx, f, macs[i]); err != nil {
			return err
		}
	}
	return s.discharge(ctx)
}

func (s *surgery) quick(ctx context.Context, x ward, f bootFault) error {
	if err := s.open(ctx, x); err != nil {
		return err
	}
	mac, err := f.play(ctx, s)
	if err != nil {
		return fmt.Errorf("play: %w", err)
	}
	if err := s.ask(ctx, f, mac); err != nil {
		return err
	}
	return s.discharge(ctx)
}

func (s *surgery) open(ctx context.Context, x ward) (err error) {
	s.d, err = x.start(ctx, s)
	return err
}

// ask reads the cause and undoes the fault.
func (s *surgery) ask(ctx context.Context, f bootFault, mac string) error {
	got, err := waitCause(ctx, s.d, mac, f.cause)
	if err != nil {
		return fmt.Errorf("fault %q: %w", f.name, err)
	}
	s.Say("%s: %s", f.name, got)
	if f.undo != nil {
		return f.undo(ctx, s)
	}
	return nil
}

func (s *surgery) discharge(ctx context.Context) error {
	if err := s.forget(ctx, s.own); err != nil {
		return err
	}
	s.own = nil
	select {
	case <-s.d.Proc.Done(): // a fault ended it
		return nil
	default:
		return s.d.Stop()
	}
}

// patient is a machine with a MAC of its own.
func (s *surgery) patient(class string, arch uint16) *client {
	s.played++
	c := &client{wire: s.wire, class: class, arch: arch,
		mac: net.HardwareAddr{0x52, 0x54, byte(s.rand.UintN(256)), byte(s.rand.UintN(256)), byte(s.rand.UintN(256)), byte(s.played)}}
	s.own = append(s.own, c)
	return c
}

// stranger is the MAC of a machine that is never heard.
func (s *surgery) stranger() string { return s.patient("", 0).mac.String() }

// moves plays a client's moves as a fault.
func moves(class string, arch uint16, play func(context.Context, *client) error) func(context.Context, *surgery) (string, error) {
	return func(ctx context.Context, s *surgery) (string, error) {
		c := s.patient(class, arch)
		return c.mac.String(), play(ctx, c)
	}
}

// doctorWards are all faults by the daemon that they need.
func doctorWards() []ward {
	return []ward{
		{"nothing arrives", true, wardOf(false, "--mode", "proxy"), silentFaults(), nil},
		{"a DHCP server, one fault at a time", true, wardOf(true, fullDHCP...), quickFaults(), nil},
		{"one address and a damaged kernel", true, func(ctx context.Context, s *surgery) (*Daemon, error) { return startPoor(ctx, s.Env) }, poorFaults(), nil},
		{"a closed bench", true, wardOf(false, "--mode", "proxy"), []bootFault{{"the bench is closed", job.BootOwnDisk, moves(classPXE, archX64, announces), nil}}, nil},
		{"a DHCP server", false, wardOf(true, fullDHCP...), slowFaults(), nil},
		{"beside an office's DHCP server", false, besideOffice, officeFaults(), officeLeaves},
	}
}

// wardOf starts a daemon, with the bench open or closed.
func wardOf(open bool, flags ...string) func(context.Context, *surgery) (*Daemon, error) {
	return func(ctx context.Context, s *surgery) (*Daemon, error) {
		d, err := s.StartDaemon(ctx, flags...)
		if err != nil || !open {
			return d, err
		}
		return d, d.Do(ctx, cmd("bench open 8h"))
	}
}

func mustMAC(s string) net.HardwareAddr {
	mac, err := net.ParseMAC(s)
	if err != nil {
		panic(err) // a constant of this package
	}
	return mac
}
