package e2e

import (
	"context"
	"fmt"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/store"
)

// deployCases prove the whole way: an empty disk becomes a named laptop that the record knows.
func deployCases() []Case {
	return []Case{
		{"deploy-secureboot-nvme", "an empty Secure Boot laptop with NVMe receives image, name and record, up to its own login prompt", needPlain,
			func(ctx context.Context, e *Env) error { return deploysOnce(ctx, e, lab.SecureBoot, lab.NVMe) }},
		{"deploy-bios-sata", "the same on a BIOS laptop with a SATA drive", needPlain,
			func(ctx context.Context, e *Env) error { return deploysOnce(ctx, e, lab.BIOS, lab.SATA) }},
		{"deploy-httpboot", "the same by UEFI HTTP Boot with Secure Boot on", needPlain,
			func(ctx context.Context, e *Env) error { return deploysOnce(ctx, e, lab.SecureHTTPBoot, lab.NVMe) }},
	}
}

func deploysOnce(ctx context.Context, e *Env, fw lab.Firmware, bus lab.Bus) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	v, err := importGolden(ctx, e, d, golden.Plain)
	if err != nil {
		return err
	}
	l := Laptop(1, fw, bus)
	r, id, err := adoptAndDeploy(ctx, e, d, order{l, "sales", "LAB-0001"})
	if err != nil {
		return err
	}
	dev, err := deployedAs(ctx, e, d, r, id, l, v, "LAB-0001")
	if err != nil {
		return err
	}
	e.Say("deployed in %.0f s: fetched %d, wrote %d bytes", dev.Holds.Seconds, dev.Holds.FetchedBytes, dev.Holds.WrittenBytes)
	return ownSystemIsRight(ctx, e, r, fw, dev)
}

// ownSystemIsRight looks into the running system: names, machine-id, host keys, size, health, boot entry.
func ownSystemIsRight(ctx context.Context, e *Env, r *lab.Run, fw lab.Firmware, dev store.DeviceView) error {
	sh, err := r.Login(ctx, golden.Password)
	if err != nil {
		return err
	}
	ask := func(what, command string) string {
		out, askErr := sh.Run(ctx, command)
		if askErr != nil {
			err = checks(err, askErr)
		}
		e.Say("%s: %s", what, strings.ReplaceAll(out, "\n", "; "))
		return out
	}
	name := dev.Holds.Name
	state := ask("health", "systemctl is-system-running --wait; systemctl --failed --no-legend --plain; true")
	hosts := ask("hosts", "cat /etc/hosts")
	id := ask("machine-id", "cat /etc/machine-id")
	rootKB := ask("root size", "df --output=size / | tail -1")
	ask("host keys", "ls /etc/ssh/*_key | wc -l; ls /etc/systemd/system/ | grep -c ingot || true")
	if err != nil {
		return err
	}
	var kb int64
	if _, err := fmt.Sscan(rootKB, &kb); err != nil {
		return fmt.Errorf("read the root's size %q: %w", rootKB, err)
	}
	want := int64(dev.Holds.Target.SizeBytes) / 1024 * 9 / 10
	errs := []error{
		same("the system", strings.TrimSpace(state), "running"),
		that(strings.Contains(hosts, name) && !strings.Contains(hosts, golden.HostName), "/etc/hosts is %q; want %s in it and not %s", hosts, name, golden.HostName),
		that(len(strings.TrimSpace(id)) == 32, "machine-id is %q", id),
		that(kb > want, "root has %d KiB; want more than %d on this drive", kb, want),
	}
	if fw.IsUEFI() && fw != lab.UEFI {
		sb, sbErr := sh.Run(ctx, "od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-*")
		errs = append(errs, sbErr, same("secure boot in the system", strings.TrimSpace(sb), "1"))
	}
	return checks(errs...)
}
