package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

// deployCases prove the whole way: an empty disk becomes a named laptop that the record knows.
func deployCases() []Case {
	return []Case{
		{"deploy-secureboot-nvme", "an empty Secure Boot laptop with NVMe receives image, name and record, up to its own login prompt; a second deploy leaves one boot entry", needPlain, deploysTwice},
		{"deploy-bios-sata", "the same on a BIOS laptop with a SATA drive", needPlain,
			func(ctx context.Context, e *Env) error { return deploysOnce(ctx, e, lab.BIOS, lab.SATA) }},
		{"deploy-httpboot", "the same by UEFI HTTP Boot with Secure Boot on", needPlain,
			func(ctx context.Context, e *Env) error { return deploysOnce(ctx, e, lab.SecureHTTPBoot, lab.NVMe) }},
	}
}

func deploysOnce(ctx context.Context, e *Env, fw lab.Firmware, bus lab.Bus) error {
	_, err := arrive(ctx, e, fw, bus)
	return err
}

// arrived is a laptop that runs its own system after its first deploy.
type arrived struct {
	d      *Daemon
	laptop *lab.Laptop
	run    *lab.Run
	sh     *lab.Shell
}

const arrivedName = "LAB-0001"

// arrive takes an empty laptop to its own system and looks into that.
func arrive(ctx context.Context, e *Env, fw lab.Firmware, bus lab.Bus) (x arrived, err error) {
	if x.d, err = startBench(ctx, e); err != nil {
		return x, err
	}
	v, err := importGolden(ctx, e, x.d, golden.Plain)
	if err != nil {
		return x, err
	}
	x.laptop = Laptop(1, fw, bus)
	var id job.ID
	if x.run, id, err = adoptAndDeploy(ctx, e, x.d, order{x.laptop, "sales", arrivedName}); err != nil {
		return x, err
	}
	dev, err := deployedAs(ctx, e, x.d, x.run, id, x.laptop, v, arrivedName)
	if err != nil {
		return x, err
	}
	e.Say("deployed in %.0f s: fetched %d, wrote %d bytes", dev.Holds.Seconds, dev.Holds.FetchedBytes, dev.Holds.WrittenBytes)
	j, err := x.d.job(ctx, id)
	if err != nil {
		return x, err
	}
	if err := foundAllWell(e, j); err != nil {
		return x, err
	}
	if x.sh, err = x.run.Login(ctx, golden.Password); err != nil {
		return x, err
	}
	return x, ownSystemIsRight(ctx, e, x.sh, fw, dev)
}

// foundAllWell holds what the laptop found before its first write: the drive's own word, and Secure Boot's keys held
// against the loader where they are enforced. A note would tell that something was not known.
func foundAllWell(e *Env, j store.JobView) error {
	if j.Found == nil {
		return fmt.Errorf("the job does not tell what the laptop found before its first write")
	}
	e.Say("before the first write: health %s; %s; notes %q", j.Found.Health, j.Found.Power, j.Found.Notes)
	return checks(same("the drive's health", j.Found.Health.State, job.HealthGood), same("notes", len(j.Found.Notes), 0))
}

// deploysTwice deploys, and once more a version whose partitions are others: the boot entry of the first is
// then a stale one.
func deploysTwice(ctx context.Context, e *Env) error {
	x, err := arrive(ctx, e, lab.SecureBoot, lab.NVMe)
	if err != nil {
		return err
	}
	if err := menuIsRight(ctx, e, x.sh); err != nil {
		return fmt.Errorf("after the first deploy: %w", err)
	}
	if err := switchOff(ctx, x.run); err != nil {
		return err
	}
	v, err := importRenumbered(ctx, e, x.d)
	if err != nil {
		return err
	}
	id, err := x.d.deploy(ctx, order{x.laptop, v.Ref().String(), arrivedName}, "--data-saved", "--confirm", arrivedName)
	if err != nil {
		return err
	}
	r, err := e.PowerOn(ctx, x.laptop)
	if err != nil {
		return err
	}
	if _, err := deployedAs(ctx, e, x.d, r, id, x.laptop, v, arrivedName); err != nil {
		return err
	}
	sh, err := settled(ctx, e, r)
	if err != nil {
		return err
	}
	if err := menuIsRight(ctx, e, sh); err != nil {
		return fmt.Errorf("after the second deploy: %w", err)
	}
	return nil
}

// importRenumbered imports the golden disk with new identities of its partitions.
func importRenumbered(ctx context.Context, e *Env, d *Daemon) (store.Version, error) {
	image, err := e.Golden(ctx, golden.Plain)
	if err != nil {
		return store.Version{}, err
	}
	file := filepath.Join(e.Dir, "renumbered.raw")
	for _, argv := range [][]string{{"cp", "--sparse=always", image, file}, {"sgdisk", "--randomize-guids", file}} {
		if _, err := lab.Command(ctx, argv...); err != nil {
			return store.Version{}, err
		}
	}
	var got []store.Version
	if err := d.Read(ctx, &got, "image", "import", file, "--image", "sales", "--label", "renumbered", "--note", "partitions in another order", "--release"); err != nil {
		return store.Version{}, err
	}
	if len(got) != 1 {
		return store.Version{}, fmt.Errorf("the import named %d versions; want 1", len(got))
	}
	return got[0], os.Remove(file)
}

// ownSystemIsRight looks into the running system: names, machine-id, host keys, size, health, boot entry.
func ownSystemIsRight(ctx context.Context, e *Env, sh *lab.Shell, fw lab.Firmware, dev store.DeviceView) (err error) {
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
