package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

// bootLogCases prove that a start that stops somewhere says where and why.
func bootLogCases() []Case {
	return []Case{{"boot-log", "each stop of a start, produced once on the wire, is named with its plain cause", nil, bootLog}}
}

const officeIP = "10.77.0.2"

// stop is one way in which a start ends early, and the cause that the doctor must name.
type stop struct {
	name  string
	class string
	arch  uint16
	play  func(context.Context, *client) error
	cause job.Code
}

// bootLog plays each stop with a machine of its own against a real daemon, then waits out the daemon's
// patience once and reads every machine's cause by the command line.
func bootLog(ctx context.Context, e *Env) (err error) {
	w, err := newWire(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = checks(err, w.close()) }()
	for _, bench := range []struct {
		name  string
		start func(context.Context, *Env) (*Daemon, error)
		stops []stop
	}{
		{"full DHCP", startBench, stopsOfDHCP},
		{"one address and a damaged kernel", startPoor, stopsOfPoor},
		{"a closed bench", startClosed, stopsOfClosed},
		{"beside an office's DHCP server", startProxy, stopsOfProxy},
	} {
		if err := playStops(ctx, e, w, bench.start, bench.stops); err != nil {
			return fmt.Errorf("%s: %w", bench.name, err)
		}
	}
	return nil
}

// playStops plays the stops, each with a MAC of its own, against one daemon.
func playStops(ctx context.Context, e *Env, w *wire, start func(context.Context, *Env) (*Daemon, error), stops []stop) error {
	d, err := start(ctx, e)
	if err != nil {
		return err
	}
	var played []*client
	for i, s := range stops {
		c := w.machine(i+1, s.class, s.arch)
		if err := s.play(ctx, c); err != nil {
			return fmt.Errorf("play %q: %w", s.name, err)
		}
		played = append(played, c)
	}
	e.Say("%d stops played; now the daemon's patience runs out", len(stops))
	for i, s := range stops {
		got, err := waitCause(ctx, d, played[i].mac.String(), s.cause)
		if err != nil {
			return fmt.Errorf("stop %q: %w", s.name, err)
		}
		e.Say("%s: %s", s.name, got)
	}
	if err := w.forget(ctx, played); err != nil {
		return err
	}
	return d.Stop()
}

// forget takes the machines' addresses off the card.
func (w *wire) forget(ctx context.Context, machines []*client) error {
	for _, c := range machines {
		if !c.ip.IsValid() {
			continue
		}
		if _, err := lab.Command(ctx, "ip", "-n", w.host.Name, "addr", "del", c.ip.String()+"/24", "dev", "eth0"); err != nil {
			return err
		}
	}
	return nil
}

// waitCause waits until the boot log of a MAC has left "under way", and holds its cause against the wanted one.
// Events become durable some moments after they happened.
func waitCause(ctx context.Context, d *Daemon, mac string, want job.Code) (string, error) {
	const silence = 30 * time.Second // by then what was heard is written, and what was not stays so
	for start := time.Now(); ; {
		var logs []store.BootLog
		if err := d.Read(ctx, &logs, "boot", "log", mac); err != nil {
			return "", err
		}
		l := logs[0]
		if l.Code == want {
			return l.Cause, nil
		}
		if l.Code != "" && (len(l.Events) > 0 || time.Since(start) > silence) {
			out, err := d.CLI(ctx, "boot", "log", mac)
			return "", checks(err, fmt.Errorf("the doctor says %s; want %s:\n%s", l.Cause, want, out))
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("wait for the cause %s: %w", want, ctx.Err())
		case <-time.After(time.Second):
		}
	}
}

// The steps of a start, each as one move of the machine.

func discovers(ctx context.Context, c *client) error {
	_, err := c.discover(ctx, lab.ServerIP)
	return err
}

func leases(ctx context.Context, c *client) error {
	_, err := c.lease(ctx, lab.ServerIP)
	return err
}

// fetches is a start up to the last of these files, as shim and GRUB fetch them.
func fetches(names ...string) func(context.Context, *client) error {
	return func(ctx context.Context, c *client) error {
		if err := leases(ctx, c); err != nil {
			return err
		}
		return c.fetchAll(ctx, names)
	}
}

func (c *client) fetchAll(ctx context.Context, names []string) error {
	for _, name := range names {
		if _, err := c.tftp(ctx, strings.ReplaceAll(name, "MAC", c.mac.String()), whole); err != nil {
			return err
		}
	}
	return nil
}

// chain are the files of a UEFI start in their order.
var chain = []string{"shimx64.efi", "grubx64.efi", "/grub/grub.cfg", "/grub/by-mac/MAC", "/vmlinuz", "/initrd.img"}

// then adds moves.
func then(moves ...func(context.Context, *client) error) func(context.Context, *client) error {
	return func(ctx context.Context, c *client) error {
		for _, m := range moves {
			if err := m(ctx, c); err != nil {
				return err
			}
		}
		return nil
	}
}

// breaksOff fetches a file's first megabyte.
func breaksOff(name string, how ending) func(context.Context, *client) error {
	return func(ctx context.Context, c *client) error {
		_, err := c.tftp(ctx, name, how)
		return err
	}
}

// startPause is how long the played machine takes from the last byte that it loaded to the first packet of what starts
// then, a kernel or its firmware anew: a real one takes seconds, in which the daemon has long noted the end of the transfer.
const startPause = 3 * time.Second

func pauses(ctx context.Context, _ *client) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(startPause):
		return nil
	}
}

// asAgent goes on as the start system, whose requests carry no class.
func asAgent(move func(context.Context, *client) error) func(context.Context, *client) error {
	return func(ctx context.Context, c *client) error {
		if err := pauses(ctx, c); err != nil {
			return err
		}
		firmware := c.class
		c.class = ""
		defer func() { c.class = firmware }()
		return move(ctx, c)
	}
}

// says sends one message that names a server and an address, and hears no answer.
func says(kind dhcpv4.MessageType, server, ip string) func(context.Context, *client) error {
	return func(_ context.Context, c *client) error {
		_, err := c.say(kind, c.class, dhcpv4.OptServerIdentifier(net.ParseIP(server)), dhcpv4.OptRequestedIPAddress(net.ParseIP(ip)))
		return err
	}
}

var stopsOfDHCP = []stop{
	{"offered, takes no address", classPXE, archX64, discovers, job.BootNoRequest},
	{"has an address, fetches nothing", classPXE, archX64, leases, job.BootNotFetched},
	{"HTTP Boot, fetches nothing", classHTTP, archHTTP, leases, job.BootNotFetched},
	{"wants a strange address", classPXE, archX64, func(ctx context.Context, c *client) error {
		m, err := c.say(dhcpv4.MessageTypeRequest, c.class, dhcpv4.OptRequestedIPAddress(net.IPv4(192, 0, 2, 7)))
		if err != nil {
			return err
		}
		_, err = c.hear(ctx, m, lab.ServerIP, dhcpv4.MessageTypeNak)
		return err
	}, job.BootNak},
	{"finds its address in use", classPXE, archX64, func(ctx context.Context, c *client) error {
		ack, err := c.lease(ctx, lab.ServerIP)
		if err != nil {
			return err
		}
		return says(dhcpv4.MessageTypeDecline, lab.ServerIP, ack.YourIPAddr.String())(ctx, c)
	}, job.BootDeclined},
	{"another server answers it", classPXE, archX64, then(discovers, says(dhcpv4.MessageTypeRequest, officeIP, "10.77.0.160")),
		job.BootOtherDHCP},
	{"is an ARM machine", classPXE, archARM64, discovers, job.BootArch},
	{"does not start shim", classPXE, archX64, fetches(chain[:1]...), job.BootShim},
	{"does not start iPXE", classPXE, archBIOS, fetches("undionly.kpxe"), job.BootIPXE},
	{"does not start the boot image", classHTTP, archHTTP, then(leases, func(ctx context.Context, c *client) error {
		_, err := c.http(ctx, url("httpboot/"+c.mac.String()+"/ingot.img"))
		return err
	}), job.BootImage},
	{"does not start GRUB", classPXE, archX64, fetches(chain[:2]...), job.BootGRUB},
	{"GRUB without its script", classPXE, archX64, fetches(chain[:3]...), job.BootGRUBScript},
	{"no kernel", classPXE, archX64, fetches(chain[:4]...), job.BootNoKernel},
	{"no start system", classPXE, archX64, fetches(chain[:5]...), job.BootNoInitrd},
	{"silence after the kernel", classPXE, archX64, fetches(chain...), job.BootNoSign},
	{"the start system gets no address", classPXE, archX64, then(fetches(chain...), asAgent(discovers)), job.BootNoLease},
	{"the start system does not reach the daemon", classPXE, archX64, then(fetches(chain...), asAgent(leases)),
		job.BootNotReached},
	{"goes silent in a transfer", classPXE, archX64, then(fetches(chain[:4]...), breaksOff("/vmlinuz", vanish)), job.BootBrokeOff},
	{"breaks a transfer off", classPXE, archX64, then(fetches(chain[:4]...), breaksOff("/vmlinuz", abort)), job.BootGaveUp},
	{"fetches its loader again and again", classPXE, archBIOS, then(fetches("undionly.kpxe", "undionly.kpxe", "undionly.kpxe", "undionly.kpxe", "undionly.kpxe"), pauses, discovers),
		job.BootLoop},
}

// startPoor starts a daemon with one address to give and one bit of its kernel changed.
func startPoor(ctx context.Context, e *Env) (*Daemon, error) {
	d := e.newDaemon("--mode", "dhcp", "--pool", "10.77.0.50-10.77.0.50")
	boot := filepath.Join(d.Data, "boot")
	if err := copyBundle(ctx, e, boot); err != nil {
		return nil, err
	}
	if err := flipByte(filepath.Join(boot, "current", "vmlinuz")); err != nil {
		return nil, err
	}
	if err := d.Start(ctx); err != nil {
		return nil, err
	}
	return d, d.Do(ctx, cmd("bench open 8h"))
}

// copyBundle makes a boot folder of its own, to be damaged.
func copyBundle(ctx context.Context, e *Env, boot string) error {
	current, err := filepath.EvalSymlinks(filepath.Join(bundleDir(e.Cache), "current"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(boot, 0o700); err != nil {
		return err
	}
	if _, err := lab.Command(ctx, "cp", "-r", current, boot); err != nil {
		return err
	}
	return os.Symlink(filepath.Base(current), filepath.Join(boot, "current"))
}

// flipByte changes one bit in the middle of a file.
func flipByte(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(path, data, 0o644)
}

var stopsOfPoor = []stop{
	{"the server's kernel is damaged", classPXE, archX64, func(ctx context.Context, c *client) error {
		if err := fetches(chain[:4]...)(ctx, c); err != nil {
			return err
		}
		if _, err := c.tftp(ctx, "/vmlinuz", whole); err == nil {
			return fmt.Errorf("a damaged kernel was served")
		}
		return nil
	}, job.BootServerFile},
	{"no address is left", classPXE, archX64, says(dhcpv4.MessageTypeDiscover, lab.ServerIP, "10.77.0.50"), job.BootPoolEmpty},
}

func startClosed(ctx context.Context, e *Env) (*Daemon, error) {
	return e.StartDaemon(ctx, fullDHCP...)
}

var stopsOfClosed = []stop{
	{"the bench is closed", classPXE, archX64, discovers, job.BootOwnDisk},
}

// startProxy starts an office's DHCP server and, beside it, the daemon as a proxy without a pool.
func startProxy(ctx context.Context, e *Env) (*Daemon, error) {
	if err := officeDHCP(ctx, e); err != nil {
		return nil, err
	}
	d, err := e.StartDaemon(ctx, "--mode", "proxy")
	if err != nil {
		return nil, err
	}
	return d, d.Do(ctx, cmd("bench open 8h"))
}

var stopsOfProxy = []stop{
	{"no DHCP server gives an address", classPXE, archX64, discovers, job.BootNoRequest},
	{"GRUB asks the office's server", classPXE, archX64, func(ctx context.Context, c *client) error {
		if _, err := c.lease(ctx, officeIP); err != nil {
			return err
		}
		return c.fetchAll(ctx, chain[:2])
	}, job.BootNextServer},
}
