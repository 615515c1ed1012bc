package e2e

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
)

// portrait is what a started system says of itself.
type portrait struct {
	Hostname  string // the kernel's
	Static    string // /etc/hostname
	Hosts     string // /etc/hosts
	Itself    string // the address that its own name leads to
	MachineID string
	HostKeys  []string // the public halves of SSH's
	Failed    []string // units
	Fsck      string   // what the check of the root said at this start
	Disk      int64    // bytes of the drive that the root is on
	Part      int64    // bytes of the root's partition
	Root      int64    // bytes of the root's file system
}

// settled logs in at the prompt that the console shows and waits until the system has started all that it
// starts.
func settled(ctx context.Context, e *Env, r *lab.Run) (*lab.Shell, error) {
	sh, err := r.Login(ctx, golden.Password)
	if err != nil {
		return nil, err
	}
	// What still starts may write on this console, too: the state is asked once all is quiet.
	if _, err := sh.Run(ctx, "systemctl is-system-running --wait || true"); err != nil {
		return nil, err
	}
	state, err := sh.Run(ctx, "systemctl is-system-running || true")
	if err == nil {
		e.Say("system: %s", state)
	}
	return sh, err
}

// portray asks a settled system.
func portray(ctx context.Context, sh *lab.Shell) (p portrait, err error) {
	ask := func(command string) string {
		if err != nil {
			return ""
		}
		var out string
		out, err = sh.Run(ctx, command)
		return out
	}
	number := func(command string) int64 {
		out := ask(command)
		if err != nil {
			return 0
		}
		var n int64
		if n, err = strconv.ParseInt(strings.TrimSpace(out), 10, 64); err != nil {
			err = fmt.Errorf("read a number of bytes from %q: %w", out, err)
		}
		return n
	}
	const root = "$(findmnt -no SOURCE /)"
	p = portrait{
		Hostname: ask("hostname"), Static: ask("cat /etc/hostname"), Hosts: ask("cat /etc/hosts"),
		Itself:    ask(`getent ahostsv4 "$(cat /etc/hostname)" | head -1 | cut -d' ' -f1`),
		MachineID: ask("cat /etc/machine-id"),
		HostKeys:  strings.Fields(ask("cut -d' ' -f2 /etc/ssh/ssh_host_*_key.pub | sort")),
		Failed:    strings.Fields(ask("systemctl --failed --no-legend --plain | cut -d' ' -f1")),
		Fsck:      ask("{ cat /run/initramfs/fsck.log 2>/dev/null; journalctl -b -o cat -u systemd-fsck-root.service; } | grep root: || true"),
		Disk:      number("lsblk -bdno SIZE /dev/$(lsblk -dno PKNAME " + root + ")"),
		Part:      number("lsblk -bdno SIZE " + root),
		Root:      number(`dumpe2fs -h ` + root + ` 2>/dev/null | sed -n 's/^Block count: *//p;s/^Block size: *//p' | tr '\n' ' ' | { read n size; echo $((n * size)); }`),
	}
	return p, err
}

// isNamed holds that the system runs under its assigned name and knows nothing of the golden machine's.
func (p portrait) isNamed(name string) error {
	return checks(
		same("the host name", p.Hostname, name),
		same("/etc/hostname", p.Static, name),
		same("the address of its own name", p.Itself, "127.0.1.1"),
		that(!strings.Contains(p.Hosts, golden.HostName), "/etc/hosts still names the golden machine: %q", p.Hosts),
		that(len(p.MachineID) == 32, "machine-id is %q", p.MachineID),
		that(len(p.HostKeys) > 0, "there are no SSH host keys"),
	)
}

// hasGrown holds that the root takes the drive's whole room but for other partitions, and was found clean.
func (p portrait) hasGrown(driveSize, others int64) error {
	const slack = 4 * mib // alignment and the tables
	const group = 128 * mib
	return checks(
		same("the drive's size", p.Disk, driveSize),
		that(p.Part >= p.Disk-others-slack, "root's partition has %d bytes of a drive of %d", p.Part, p.Disk),
		that(p.Root <= p.Part && p.Part-p.Root < group, "root's file system has %d bytes in a partition of %d", p.Root, p.Part),
		that(strings.Contains(p.Fsck, "root: clean"), "the check at the start said %q", p.Fsck),
	)
}

// failsLess holds that no unit failed that does not fail on the golden machine itself.
func (p portrait) failsLess(golden portrait) error {
	extra := slices.DeleteFunc(slices.Clone(p.Failed), func(u string) bool { return slices.Contains(golden.Failed, u) })
	return that(len(extra) == 0, "failed units: %v; the golden machine has %v", extra, golden.Failed)
}

// differsFrom holds that two machines made of one image cannot be taken for each other.
func (p portrait) differsFrom(q portrait) error {
	errs := []error{that(p.MachineID != q.MachineID, "both machines have the machine-id %s", p.MachineID)}
	for _, k := range p.HostKeys {
		errs = append(errs, that(!slices.Contains(q.HostKeys, k), "both machines have the SSH host key %s", k))
	}
	return checks(errs...)
}

// switchOff presses the power button and waits until the system has shut down.
func switchOff(ctx context.Context, r *lab.Run) error {
	if err := r.PressPower(); err != nil {
		return err
	}
	return r.WaitOff(ctx)
}
