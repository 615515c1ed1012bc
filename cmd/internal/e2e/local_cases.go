package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/store"
)

// localCases prove that a laptop with nothing to do starts its own system soon, through none of our bytes.
func localCases() []Case {
	own := func(fw lab.Firmware, bus lab.Bus) func(context.Context, *Env) error {
		return func(ctx context.Context, e *Env) error { return startsOwnDisk(ctx, e, fw, bus) }
	}
	const about = ": network first, two restarts, own system within 30 s, agent never started, PCRs 0 to 7 as with no daemon"
	return []Case{
		{"local-boot-bios", "a deployed BIOS laptop" + about, needPlain, own(lab.BIOS, lab.SATA)},
		{"local-boot-secureboot", "a deployed Secure Boot laptop" + about, needPlain, own(lab.SecureBoot, lab.NVMe)},
	}
}

// soon is how long a laptop may take from its first DHCPDISCOVER to its own kernel.
const soon = 30 * time.Second

func startsOwnDisk(ctx context.Context, e *Env, fw lab.Firmware, bus lab.Bus) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	v, err := importGolden(ctx, e, d, golden.Plain)
	if err != nil {
		return err
	}
	l := Laptop(1, fw, bus)
	l.TPM = true
	r, id, err := adoptAndDeploy(ctx, e, d, order{l, "sales", "LAB-0001"})
	if err != nil {
		return err
	}
	if _, err := deployedAs(ctx, e, d, r, id, l, v, "LAB-0001"); err != nil {
		return err
	}
	if err := switchOff(ctx, r); err != nil {
		return err
	}
	var with [2]ownStart
	for i := range with {
		if with[i], err = startWithDaemon(ctx, e, d, l); err != nil {
			return fmt.Errorf("restart %d: %w", i+1, err)
		}
	}
	if err := d.Stop(); err != nil {
		return err
	}
	without, err := startOwn(ctx, e, l)
	if err != nil {
		return fmt.Errorf("start with no daemon: %w", err)
	}
	e.Say("with no daemon:\n%s", without.pcrs)
	return checks(same("PCRs of the second restart", with[1].pcrs, with[0].pcrs), same("PCRs with the daemon on", with[0].pcrs, without.pcrs))
}

// ownStart is what was seen of a laptop's start into its own system.
type ownStart struct {
	powered time.Time     // by our clock
	kernel  time.Time     // its kernel's start, by the laptop's clock, which QEMU sets from ours
	ipv6    time.Duration // spent in the firmware's IPv6 legs, which nobody answers
	pcrs    string        // a line each, as the system reads them
}

// startWithDaemon starts the laptop and holds the start against the daemon's own boot log.
func startWithDaemon(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop) (ownStart, error) {
	s, err := startOwn(ctx, e, l)
	if err != nil {
		return s, err
	}
	asked, err := refusedSince(ctx, d, l, s.powered)
	if err != nil {
		return s, err
	}
	took := s.kernel.Sub(asked) - s.ipv6
	e.Say("own kernel %.1f s after the first DISCOVER, %.1f s of IPv6 legs not counted; load %s", took.Seconds(), s.ipv6.Seconds(), loadOf())
	return s, that(took > 0 && took <= soon, "the own system started %v after the first DISCOVER; want at most %v", took, soon)
}

// startOwn powers the laptop on, waits for its own login prompt, reads its PCRs and switches it off.
func startOwn(ctx context.Context, e *Env, l *lab.Laptop) (s ownStart, err error) {
	s.powered = time.Now()
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return s, err
	}
	if s.ipv6, err = ipv6Legs(ctx, r); err != nil {
		return s, err
	}
	if err := startsOwnSystem(ctx, e, r, 0, "LAB-0001"); err != nil {
		return s, err
	}
	sh, err := r.Login(ctx, golden.Password)
	if err != nil {
		return s, err
	}
	if s.kernel, err = kernelStart(ctx, sh); err != nil {
		return s, err
	}
	s.pcrs, err = sh.Run(ctx, "for i in 0 1 2 3 4 5 6 7; do echo $i $(cat /sys/class/tpm/tpm0/pcr-sha256/$i); done")
	return s, errors.Join(err, that(strings.Count(s.pcrs, "\n") == 7, "the PCRs are %q", s.pcrs),
		that(!strings.Contains(r.Console.Text(), "ingot: "), "the agent was started:\n%s", r.Console.Tail(30)), switchOff(ctx, r))
}

var (
	ipv6Begins = regexp.MustCompile(`>>Start (PXE|HTTP Boot) over IPv6|login: $`)
	ipv6Ends   = regexp.MustCompile(`BdsDxe: failed to (load|start) Boot[0-9A-F]{4} "UEFI (PXE|HTTP)v6|login: $`)
)

// ipv6Legs measures how long the firmware tries IPv6, by our clock.
func ipv6Legs(ctx context.Context, r *lab.Run) (time.Duration, error) {
	m, err := r.Console.WaitAfter(ctx, 0, ipv6Begins)
	if err != nil || m[1] == "" {
		return 0, err
	}
	began := time.Now()
	_, err = r.Console.WaitAfter(ctx, 0, ipv6Ends)
	return time.Since(began), err
}

// kernelStart is when the running kernel took over, by the laptop's clock.
func kernelStart(ctx context.Context, sh *lab.Shell) (time.Time, error) {
	out, err := sh.Run(ctx, "date +%s.%N; cut -d' ' -f1 /proc/uptime")
	if err != nil {
		return time.Time{}, err
	}
	now, up, _ := strings.Cut(out, "\n")
	at, err1 := strconv.ParseFloat(strings.TrimSpace(now), 64)
	since, err2 := strconv.ParseFloat(strings.TrimSpace(up), 64)
	return time.UnixMilli(int64((at - since) * 1000)), errors.Join(err1, err2)
}

// refusedSince reads the daemon's boot log of one start: the time of its first DHCPDISCOVER. The laptop must have
// been refused and must have fetched nothing.
func refusedSince(ctx context.Context, d *Daemon, l *lab.Laptop, since time.Time) (asked time.Time, err error) {
	var logs []store.BootLog
	if err := d.Read(ctx, &logs, "boot", "log", l.MAC); err != nil {
		return asked, err
	}
	refused := false
	for _, ev := range logs[0].Events {
		if ev.Time.Before(since) {
			continue
		}
		switch ev.Leg {
		case "discover":
			if asked.IsZero() {
				asked = ev.Time
			}
		case "refuse":
			refused = true
		case "request", "ack", "proxy-request":
		default:
			err = errors.Join(err, fmt.Errorf("the boot log of a start with nothing to do holds %s %s", ev.Leg, ev.File))
		}
	}
	return asked, checks(err, that(!asked.IsZero(), "the laptop did not ask the network first"), that(refused, "the laptop was not refused"))
}

// loadOf is the host's load, to judge a measured time by.
func loadOf() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(data))[:2], " ")
}
