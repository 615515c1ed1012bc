package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

// reimageCases prove what happens to a laptop that holds a version already.
func reimageCases() []Case {
	return []Case{
		{"reimage", "a used laptop goes from version 1 to version 2: only when its data is said to be saved, under its old name, fetching what differs + 5 % at most",
			needPlain, reimage},
	}
}

const reimageName = "LAB-0004"

func reimage(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	v1, err := importGolden(ctx, e, d, golden.Plain)
	if err != nil {
		return err
	}
	v2, mark, serviced, err := serviceGolden(ctx, e, d)
	if err != nil {
		return fmt.Errorf("make version 2: %w", err)
	}
	l := Laptop(4, lab.SecureBoot, lab.NVMe)
	r, id, err := adoptAndDeploy(ctx, e, d, order{l, v1.Ref().String(), reimageName})
	if err != nil {
		return err
	}
	if _, err := deployedAs(ctx, e, d, r, id, l, v1, reimageName); err != nil {
		return err
	}
	if err := use(ctx, e, r); err != nil {
		return fmt.Errorf("use the laptop: %w", err)
	}
	return takesVersion2(ctx, e, d, l, v1, v2, mark, serviced)
}

// serviceGolden starts a copy of the golden machine, changes it as an administrator does, and imports its disk
// as the next version. It returns the digests of a file that only this version has, and of one that both have.
func serviceGolden(ctx context.Context, e *Env, d *Daemon) (v store.Version, mark string, p portrait, err error) {
	l := Laptop(9, lab.UEFI, lab.NVMe)
	l.Offline = true
	r, sh, p, err := goldenMachine(ctx, e, l, golden.Plain)
	if err != nil {
		return v, "", p, err
	}
	if mark, err = sh.Run(ctx, "dd if=/dev/urandom of=/usr/local/share/catalogue bs=1M count=12 status=none && rm -r /usr/share/bug && echo 'Version 2.' >/etc/motd && sync && sha256sum /usr/local/share/catalogue /usr/bin/perl"); err != nil {
		return v, "", p, err
	}
	if err := switchOff(ctx, r); err != nil {
		return v, "", p, err
	}
	var got []store.Version
	if err := d.Read(ctx, &got, "image", "import", l.Drives[0].Path(), "--image", "sales", "--label", "v2", "--note", "serviced", "--release"); err != nil {
		return v, "", p, err
	}
	if len(got) != 1 {
		return v, "", p, fmt.Errorf("the import named %d versions; want 1", len(got))
	}
	e.Say("version %s: %d data bytes, %d bytes stored", got[0].Ref(), got[0].DataBytes, got[0].StoredBytes)
	return got[0], mark, p, os.Remove(l.Drives[0].Path())
}

// use does with a laptop what its owner does, and damages it: writes, deletes, overwrites, switches off.
func use(ctx context.Context, e *Env, r *lab.Run) error {
	sh, err := settled(ctx, e, r)
	if err != nil {
		return err
	}
	if err := menuIsRight(ctx, e, sh); err != nil {
		return err
	}
	if _, err := sh.Run(ctx, "dd if=/dev/urandom of=/root/work bs=1M count=24 status=none && dd if=/dev/urandom of=/usr/bin/perl bs=1M count=3 conv=notrunc status=none && rm -r /usr/share/bash-completion && echo changed >>/etc/profile && sync"); err != nil {
		return err
	}
	return switchOff(ctx, r)
}

func takesVersion2(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, v1, v2 store.Version, mark string, serviced portrait) error {
	id, err := ordersWithCare(ctx, e, d, v2)
	if err != nil {
		return err
	}
	differs, err := missing(ctx, e, d, v2.Manifest, l.Drives[0].Path())
	if err != nil {
		return err
	}
	// The import of a version counts only what the store did not hold: version 2's own is its change, version 1's
	// the whole disk.
	e.Say("version 2 differs from the drive by %d stored bytes, from version 1 by %d of %d", differs, v2.StoredBytes, v1.StoredBytes)
	if err := that(differs > v2.StoredBytes+mib && differs < v1.StoredBytes/4, "the difference proves nothing"); err != nil {
		return err
	}
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	dev, err := deployedAs(ctx, e, d, r, id, l, v2, reimageName)
	if err != nil {
		return err
	}
	e.Say("fetched %d, wrote %d bytes", dev.Holds.FetchedBytes, dev.Holds.WrittenBytes)
	sh, err := settled(ctx, e, r)
	if err != nil {
		return err
	}
	p, err := portray(ctx, sh)
	if err != nil {
		return err
	}
	left, err := sh.Run(ctx, "sha256sum /usr/local/share/catalogue /usr/bin/perl; cat /etc/motd; ls -d /root/work /usr/share/bug 2>/dev/null || true; ls -d /usr/share/bash-completion; grep changed /etc/profile || true")
	if err != nil {
		return err
	}
	return checks(
		that(dev.Holds.FetchedBytes <= differs+differs/20, "it fetched %d bytes; want at most %d + 5 %%", dev.Holds.FetchedBytes, differs),
		same("the deploys in the record", dev.Deploys, 2),
		same("the content of version 2, and nothing else", left, mark+"\nVersion 2.\n/usr/share/bash-completion"),
		p.isNamed(reimageName), p.hasGrown(l.Drives[0].Size, rootStart), p.failsLess(serviced), p.differsFrom(serviced),
		menuIsRight(ctx, e, sh),
	)
}

// ordersWithCare holds that a laptop in use is only imaged again when its data is said to be saved and its name
// is typed out; the name stays without being given.
func ordersWithCare(ctx context.Context, e *Env, d *Daemon, v store.Version) (job.ID, error) {
	args := []string{"deploy", reimageName, "--image", v.Ref().String()}
	for _, more := range [][]string{nil, {"--data-saved"}, {"--confirm", reimageName}, {"--data-saved", "--confirm", "LAB-0005"}} {
		_, err := d.CLI(ctx, append(args, more...)...)
		exit := &ExitError{}
		if !asExit(err, &exit) || !containsCode(exit.Words, job.CodeUnconfirmed) {
			return "", fmt.Errorf("deploy with %q on a laptop in use: %v; want a refusal with %s", more, err, job.CodeUnconfirmed)
		}
		e.Say("refused with %q: %s", strings.Join(more, " "), exit.Words)
	}
	var jobs []store.JobView
	if err := d.Read(ctx, &jobs, append(args, "--data-saved", "--confirm", reimageName)...); err != nil {
		return "", err
	}
	if len(jobs) != 1 {
		return "", fmt.Errorf("the order named %d jobs; want 1", len(jobs))
	}
	return jobs[0].ID, same("the name that the order gives", jobs[0].DeviceName, reimageName)
}
