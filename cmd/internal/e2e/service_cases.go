package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/cmd/internal/lab"
)

// serviceCases hold the daemon as a systemd service on a server of its own.
func serviceCases() []Case {
	return []Case{{"service", "under systemd: kill -9, a hang, USB card out and in, address, full disk, clock, reset of the server: laptops are answered again by themselves, and the journal says what happened", needPlain, service}}
}

// served is the server, with machines that are played on its switch.
type served struct {
	*server
	*Env
	wire *wire
	n    int // machines played so far: each is a stranger
}

func service(ctx context.Context, e *Env) error {
	srv, err := startServer(ctx, e)
	if err != nil {
		return err
	}
	h, err := e.Bench.AddHost(ctx, "probe", "10.77.0.9")
	if err != nil {
		return err
	}
	if err := h.Connect(ctx, serverSwitch, "eth1", "10.78.0.9/24"); err != nil {
		return err
	}
	w, err := wireOn(h, "eth1")
	if err != nil {
		return err
	}
	defer w.close() // only read from
	s := &served{server: srv, Env: e, wire: w}
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"it answers", s.starts}, {"kill -9", s.killed}, {"a hang", s.hangs}, {"USB card out and in", s.cardOut}, {"another address", s.readdressed},
		{"a full disk", s.full}, {"the clock", s.clock}, {"a reset of the server", s.reset}, {"a laptop", s.laptop},
	} {
		e.Say("--- %s", step.name)
		if err := s.within(ctx, step.run); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// stepTime is the longest of one step: a reset and a whole start of the server on a busy host.
const stepTime = 10 * time.Minute

// within carries one step out, and shows the journal when it failed.
func (s *served) within(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	if err := step(ctx); err != nil {
		return errors.Join(err, s.tail())
	}
	return nil
}

// answered plays strangers until one is offered file by the server at an address.
func (s *served) answered(ctx context.Context, at, file string) error {
	for {
		s.n++
		c := s.wire.machine(s.n%200+1, classHTTP, archHTTP)
		try, cancel := context.WithTimeout(ctx, 3*time.Second)
		offer, err := c.discover(try, at)
		cancel()
		if err == nil && offer.BootFileName == strings.ReplaceAll(file, "MAC", c.mac.String()) {
			s.Say("a laptop is offered %s", offer.BootFileName)
			return nil
		}
		if ctx.Err() != nil {
			if offer != nil {
				err = fmt.Errorf("the last offer was %q", offer.BootFileName)
			}
			return fmt.Errorf("no laptop is offered %s by %s: %w", file, at, err)
		}
	}
}

// bootFrom is what an unknown machine is offered on an open bench.
func bootFrom(at string) string { return "http://" + at + "/httpboot/MAC/ingot.img" }

func refusedBy(at string) string { return "http://" + at + "/nothing-to-start" }

func (s *served) starts(ctx context.Context) error {
	if err := s.says(ctx, s.Env, "ingot is ready", 1); err != nil {
		return err
	}
	if _, err := s.ingot(ctx, "bench open 8h"); err != nil {
		return err
	}
	out, err := s.sh.Run(ctx, "systemctl show ingot -p ActiveState -p StatusText; journalctl -b -u ingot -o json | grep -o '\"PRIORITY\":\"[0-9]\"' | sort -u | tr '\\n' ' '; journalctl -b -u ingot -o cat | grep 'ingot is ready'")
	if err != nil {
		return err
	}
	return checks(s.answered(ctx, serverAddr, bootFrom(serverAddr)),
		that(strings.Contains(out, "ActiveState=active"), "the service: %s", out),
		that(strings.Contains(out, "StatusText=answering laptops on "+serverCard+" ("+serverAddr+")"), "the service's status: %s", out),
		that(strings.Contains(out, `"PRIORITY":"6"`) && strings.Contains(out, "\ningot is ready"), "the journal's lines: %s", out))
}

const mainPID = "$(systemctl show ingot -p MainPID --value)"

func (s *served) killed(ctx context.Context) error {
	if _, err := s.sh.Run(ctx, "kill -KILL "+mainPID); err != nil {
		return err
	}
	return checks(s.says(ctx, s.Env, "The daemon was killed or failed; it was last alive at", 1),
		s.says(ctx, s.Env, "ingot is ready", 2), s.answered(ctx, serverAddr, bootFrom(serverAddr)), s.audited(ctx, "unclean end", 1))
}

// hangs stops the daemon's process: only the watchdog can see that.
func (s *served) hangs(ctx context.Context) error {
	if out, err := s.sh.Run(ctx, "journalctl -b -u ingot -o cat | grep 'does not answer itself'; true"); err != nil || out != "" {
		return errors.Join(err, fmt.Errorf("before it hung: %s", out))
	}
	if _, err := s.sh.Run(ctx, `mkdir -p /run/systemd/system/ingot.service.d
printf '[Service]\nWatchdogSec=10\nTimeoutAbortSec=2\nTimeoutStopSec=5\n' >/run/systemd/system/ingot.service.d/quick.conf
systemctl daemon-reload; systemctl restart ingot; kill -STOP `+mainPID); err != nil {
		return err
	}
	if err := s.says(ctx, s.Env, "ingot is ready", 4); err != nil {
		return err
	}
	out, err := s.sh.Run(ctx, "rm -r /run/systemd/system/ingot.service.d; systemctl daemon-reload; journalctl -b -u ingot -o cat | grep -i watchdog")
	return checks(err, that(strings.Contains(out, "atchdog timeout"), "the journal of the hang: %s", out), s.answered(ctx, serverAddr, bootFrom(serverAddr)))
}

func (s *served) cardOut(ctx context.Context) error {
	for n := 1; n <= 2; n++ {
		if err := s.run.Unplug(s.card); err != nil {
			return err
		}
		if err := s.says(ctx, s.Env, "interface "+serverCard+" is gone: laptops on it are not answered", n); err != nil {
			return err
		}
		if err := s.run.Plug(s.card); err != nil {
			return err
		}
		if err := checks(s.says(ctx, s.Env, "interface "+serverCard+" is back with "+serverAddr, n), s.answered(ctx, serverAddr, bootFrom(serverAddr))); err != nil {
			return err
		}
	}
	return nil
}

func (s *served) readdressed(ctx context.Context) error {
	move := func(from, to string) error {
		_, err := s.sh.Run(ctx, fmt.Sprintf("ip addr add %s/24 dev %s; ip addr del %s/24 dev %s; ip addr replace %s/24 dev %s", to, serverCard, from, serverCard, to, serverCard))
		if err != nil {
			return err
		}
		return s.answered(ctx, to, bootFrom(to))
	}
	if err := move(serverAddr, serverMoved); err != nil {
		return err
	}
	if err := s.says(ctx, s.Env, serverMoved, 1); err != nil {
		return err
	}
	return move(serverMoved, serverAddr)
}

func (s *served) full(ctx context.Context) error {
	if _, err := s.sh.Run(ctx, "dd if=/dev/zero of=/var/lib/ingot/filler bs=64k 2>/dev/null; dd if=/dev/zero bs=1k of=/var/lib/ingot/filler2 2>/dev/null; true"); err != nil {
		return err
	}
	if err := checks(s.says(ctx, s.Env, "the disk of the server is full: make room in the file system of /var/lib/ingot", 1),
		s.answered(ctx, serverAddr, refusedBy(serverAddr))); err != nil {
		return err
	}
	for range 100 { // more than the database's own room takes
		s.n++
		if _, err := s.wire.machine(s.n%200+1, classHTTP, archHTTP).say(dhcpv4.MessageTypeDiscover, classHTTP); err != nil {
			return err
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	// Killed with a full disk, it comes back with a full disk.
	if _, err := s.sh.Run(ctx, "systemctl restart ingot; systemctl is-active ingot; df /var/lib/ingot | tail -1"); err != nil {
		return err
	}
	if err := checks(s.says(ctx, s.Env, "the disk of the server is full", 2), s.answered(ctx, serverAddr, refusedBy(serverAddr))); err != nil {
		return err
	}
	late := s.wire.machine(251, classHTTP, archHTTP)
	if _, err := late.say(dhcpv4.MessageTypeDiscover, classHTTP); err != nil {
		return err
	}
	if err := wait(ctx, 2*time.Second); err != nil {
		return err
	}
	if _, err := s.sh.Run(ctx, "rm /var/lib/ingot/filler /var/lib/ingot/filler2"); err != nil {
		return err
	}
	if err := checks(s.says(ctx, s.Env, "there is room on the disk again: the daemon goes on", 1), s.answered(ctx, serverAddr, bootFrom(serverAddr)),
		s.audited(ctx, "The disk was full from", 1)); err != nil {
		return err
	}
	if _, err := s.ingot(ctx, "boot log "+late.mac.String()); err != nil {
		return fmt.Errorf("what happened while the disk was full: %w", err)
	}
	out, err := s.ingot(ctx, "audit --check")
	return checks(err, that(strings.Contains(out, "events hold"), "the audit chain: %s", out))
}

// clock sets the server's clock by a year, and back: the bench stays open for the rest of its 8 hours.
func (s *served) clock(ctx context.Context) error {
	for n, by := range []string{"+1 year", "-1 year"} {
		if _, err := s.sh.Run(ctx, "date -s '"+by+"'"); err != nil {
			return err
		}
		if err := checks(s.says(ctx, s.Env, "the clock jumped from", n+1), s.answered(ctx, serverAddr, bootFrom(serverAddr)), s.audited(ctx, "The clock jumped from", n+1)); err != nil {
			return err
		}
		now, err := s.sh.Run(ctx, "date -u +%Y-%m-%d -d '+8 hours'; date -u +%Y-%m-%d")
		if err != nil {
			return err
		}
		open, err := s.ingot(ctx, "bench show -o json")
		if err != nil {
			return err
		}
		days := strings.Fields(now)
		if err := that(strings.Contains(open, days[0]) || strings.Contains(open, days[1]), "after %s it is %s, and the bench is %s", by, now, open); err != nil {
			return err
		}
	}
	return nil
}

// reset presses the server's reset button while its card is out.
func (s *served) reset(ctx context.Context) error {
	if _, err := s.sh.Run(ctx, "sync"); err != nil {
		return err
	}
	if err := s.run.Unplug(s.card); err != nil {
		return err
	}
	mark := s.run.Console.Mark()
	if err := s.run.Reset(); err != nil {
		return err
	}
	if err := s.login(ctx, mark); err != nil {
		return err
	}
	if err := checks(s.says(ctx, s.Env, "The server stopped without ending the daemon: a power cut, a reset or a crash; it was last alive at", 1),
		s.says(ctx, s.Env, "waiting for interface "+serverCard, 1)); err != nil {
		return err
	}
	out, err := s.sh.Run(ctx, "systemctl show ingot -p ActiveState -p StatusText")
	if err := checks(err, that(strings.Contains(out, "ActiveState=active") && strings.Contains(out, "StatusText=waiting for interface "+serverCard), "without its card: %s", out)); err != nil {
		return err
	}
	if err := s.run.Plug(s.card); err != nil {
		return err
	}
	return checks(s.says(ctx, s.Env, "interface "+serverCard+" is here with "+serverAddr, 1), s.answered(ctx, serverAddr, bootFrom(serverAddr)))
}

// laptop starts a real one, which says Hello to all of this.
func (s *served) laptop(ctx context.Context) error {
	l := Laptop(1, lab.BIOS, lab.NVMe)
	l.Segment = serverSwitch
	r, err := s.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	code, err := waitHello(ctx, s.Env, r)
	if err != nil {
		return err
	}
	out, err := s.ingot(ctx, "device show "+code)
	return checks(err, that(strings.Contains(out, l.Serial), "the device of the code %s: %s", code, out))
}

// audited holds that the audit trail tells words n times.
func (s *served) audited(ctx context.Context, words string, n int) error {
	out, err := s.ingot(ctx, "audit")
	return checks(err, that(strings.Count(out, words) >= n, "the audit trail does not tell %q %d times: %s", words, n, out))
}
