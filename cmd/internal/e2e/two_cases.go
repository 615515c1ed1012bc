package e2e

import (
	"context"
	"fmt"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/store"
)

// twoCases prove that one version becomes different machines.
func twoCases() []Case {
	return []Case{
		{"two-laptops", "one version on two drive sizes, with cloud-init, NetworkManager and a DHCP server that offers other names: each laptop is itself",
			[]golden.Flavour{golden.Desktop}, twoLaptops},
	}
}

// offered is the host name that the office's DHCP server gives a laptop and that no laptop may take.
func offered(l *lab.Laptop) string { return "offered-to-" + l.Name }

func twoLaptops(ctx context.Context, e *Env) error {
	a, b := Laptop(1, lab.SecureBoot, lab.NVMe), Laptop(2, lab.BIOS, lab.SATA)
	b.Drives[0].Size = 9 * gib
	ref := Laptop(9, lab.UEFI, lab.NVMe)
	ref.DiskFirst = true
	var hosts []string
	for _, l := range []*lab.Laptop{a, b, ref} {
		hosts = append(hosts, "--dhcp-host="+l.MAC+","+offered(l))
	}
	if err := officeDHCP(ctx, e, hosts...); err != nil {
		return err
	}
	r, _, reference, err := goldenMachine(ctx, e, ref, golden.Desktop)
	if err != nil {
		return err
	}
	if err := switchOff(ctx, r); err != nil {
		return err
	}
	// The signed GRUB takes its server from the acknowledgement, so that UEFI PXE is lent an address.
	d, err := e.StartDaemon(ctx, "--mode", "proxy", "--pool", "10.77.0.50-10.77.0.59")
	if err != nil {
		return err
	}
	if err := d.Do(ctx, cmd("bench open 8h")); err != nil {
		return err
	}
	v, err := importGolden(ctx, e, d, golden.Desktop)
	if err != nil {
		return err
	}
	first, err := becomesItself(ctx, e, d, a, v, "DESK-0001", reference)
	if err != nil {
		return fmt.Errorf("%s: %w", a.Name, err)
	}
	second, err := becomesItself(ctx, e, d, b, v, "DESK-0002", reference)
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name, err)
	}
	return checks(first.differsFrom(second), first.differsFrom(reference), second.differsFrom(reference))
}

// becomesItself deploys to a laptop and looks into its system at its first and at its third start.
func becomesItself(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, v store.Version, name string, reference portrait) (portrait, error) {
	r, id, err := adoptAndDeploy(ctx, e, d, order{l, "sales", name})
	if err != nil {
		return portrait{}, err
	}
	if _, err := deployedAs(ctx, e, d, r, id, l, v, name); err != nil {
		return portrait{}, err
	}
	sh, err := settled(ctx, e, r)
	if err != nil {
		return portrait{}, err
	}
	first, err := looksRight(ctx, e, sh, l, name, reference)
	if err != nil {
		return first, fmt.Errorf("at its first start: %w", err)
	}
	for range 2 {
		if r, sh, err = startsAgain(ctx, e, r, l, name); err != nil {
			return first, err
		}
	}
	third, err := looksRight(ctx, e, sh, l, name, reference)
	if err != nil {
		return first, fmt.Errorf("at its third start: %w", err)
	}
	if err := switchOff(ctx, r); err != nil {
		return first, err
	}
	return first, checks(
		same("the machine-id of the third start", third.MachineID, first.MachineID),
		same("the SSH host keys of the third start", fmt.Sprint(third.HostKeys), fmt.Sprint(first.HostKeys)),
		rootIsClean(ctx, e, l.Drives[0].Path()),
	)
}

// startsAgain switches a laptop off, checks its root and starts it until it has settled: before that, the power
// button has no one who listens.
func startsAgain(ctx context.Context, e *Env, r *lab.Run, l *lab.Laptop, name string) (*lab.Run, *lab.Shell, error) {
	if err := switchOff(ctx, r); err != nil {
		return nil, nil, err
	}
	if err := rootIsClean(ctx, e, l.Drives[0].Path()); err != nil {
		return nil, nil, err
	}
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return nil, nil, err
	}
	if err := startsOwnSystem(ctx, e, r, 0, name); err != nil {
		return nil, nil, err
	}
	sh, err := settled(ctx, e, r)
	return r, sh, err
}

// looksRight holds a desktop machine against its name, its drive and the golden machine.
func looksRight(ctx context.Context, e *Env, sh *lab.Shell, l *lab.Laptop, name string, reference portrait) (portrait, error) {
	p, err := portray(ctx, sh)
	if err != nil {
		return p, err
	}
	lease, err := sh.Run(ctx, "nmcli -t -f DHCP4 device show eth0")
	if err != nil {
		return p, err
	}
	instance, err := sh.Run(ctx, "cat /var/lib/cloud/data/instance-id")
	if err != nil {
		return p, err
	}
	e.Say("%s: machine-id %s, %d host keys, root %d of %d bytes, failed units %v, cloud-init's instance %s", p.Hostname, p.MachineID, len(p.HostKeys), p.Root, p.Disk, p.Failed, instance)
	return p, checks(
		that(strings.Contains(lease, "host_name = "+offered(l)), "NetworkManager was not offered another name: %q", lease),
		that(strings.HasPrefix(instance, "ingot-"), "cloud-init runs the instance %q", instance),
		p.isNamed(name), p.hasGrown(l.Drives[0].Size, rootStart), p.failsLess(reference))
}
