package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

const (
	ownerName = "LAB-0025"
	keptDays  = 30
)

// captureBackup takes a copy of a laptop in use before its drive is lost, and puts it back.
func captureBackup(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	l := Laptop(25, lab.SecureBoot, lab.NVMe)
	work, err := inUse(ctx, e, d, l)
	if err != nil {
		return fmt.Errorf("put a laptop to use: %w", err)
	}
	drive := l.Drives[0].Path()
	before, err := sumFile(drive)
	if err != nil {
		return err
	}
	v, err := backedUp(ctx, e, d, l)
	if err != nil {
		return err
	}
	if err := (used{drive, before}).unchanged(); err != nil {
		return err
	}
	e.Say("the laptop's drive is bit-equal to what it was")
	if err := ofOneLaptop(ctx, e, d, v); err != nil {
		return err
	}
	kept := drive + ".kept"
	if err := os.Rename(drive, kept); err != nil {
		return err
	}
	if _, err := lab.Command(ctx, "truncate", "-s", fmt.Sprint(l.Drives[0].Size), drive); err != nil {
		return err
	}
	e.Say("everything on the laptop's drive is lost")
	return putBack(ctx, e, d, l, v, kept, work)
}

// inUse deploys a laptop, and leaves something on it that is nowhere else. It gives that file's digest.
func inUse(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop) (work string, err error) {
	v, err := importGolden(ctx, e, d, golden.Plain)
	if err != nil {
		return "", err
	}
	r, id, err := adoptAndDeploy(ctx, e, d, order{l, v.Ref().String(), ownerName})
	if err != nil {
		return "", err
	}
	if _, err := deployedAs(ctx, e, d, r, id, l, v, ownerName); err != nil {
		return "", err
	}
	sh, err := settled(ctx, e, r)
	if err != nil {
		return "", err
	}
	if work, err = sh.Run(ctx, "dd if=/dev/urandom of=/root/work bs=1M count=24 status=none && sync && sha256sum /root/work"); err != nil {
		return "", err
	}
	return work, switchOff(ctx, r)
}

// backedUp is told of the backup when it wants to overwrite the laptop, orders it, and gives its version.
func backedUp(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop) (v store.Version, err error) {
	_, err = d.CLI(ctx, "deploy", ownerName, "--image", "sales")
	exit := &ExitError{}
	const offer = "ingot capture DEVICE --backup"
	if !asExit(err, &exit) || !containsCode(exit.Words, job.CodeUnconfirmed) || !strings.Contains(exit.Words, offer) {
		return v, fmt.Errorf("a deploy on a laptop in use: %v; want a refusal that offers %q", err, offer)
	}
	e.Say("refused: %s", exit.Words)
	var jobs []store.JobView
	if err := d.Read(ctx, &jobs, append(strings.Fields(strings.Replace(offer, "DEVICE", ownerName, 1))[1:], "--keep", fmt.Sprintf("%dd", keptDays))...); err != nil {
		return v, err
	}
	if len(jobs) != 1 {
		return v, fmt.Errorf("the order named %d jobs; want 1", len(jobs))
	}
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return v, err
	}
	v, _, err = captured(ctx, e, d, jobs[0].ID)
	if err != nil {
		return v, err
	}
	if err := switchesOff(ctx, r); err != nil {
		return v, err
	}
	dev, err := d.device(ctx, l.Serial)
	if err != nil {
		return v, err
	}
	left := time.Until(v.Expires)
	return v, checks(same("its kind", v.Kind, store.Backup), same("its device", v.Device, dev.ID), same("its state", v.State, store.Draft),
		that(left > (keptDays-1)*24*time.Hour && left <= keptDays*24*time.Hour, "it is kept until %s", v.Expires),
		same("the laptop's state", dev.State, store.Deployed), same("the deploys in its record", dev.Deploys, 1))
}

// ofOneLaptop holds that nobody else gets the backup, that it is never released, and that it stays until its date.
func ofOneLaptop(ctx context.Context, e *Env, d *Daemon, v store.Version) error {
	other := Laptop(26, lab.UEFI, lab.NVMe)
	r, code, err := showsCode(ctx, e, other)
	if err != nil {
		return err
	}
	if _, err := d.CLI(ctx, "device", "adopt", code, "--name", "LAB-0026"); err != nil {
		return err
	}
	ref := v.Ref().String()
	shown, err := d.CLI(ctx, "image", "show", ref)
	if err != nil {
		return err
	}
	if err := checks(
		that(strings.Contains(shown, "kept until "+v.Expires.Local().Format(time.DateOnly)), "image show says %q", shown),
		refused(ctx, e, d, job.CodeBackup, "deploy", other.Serial, "--image", ref),
		refused(ctx, e, d, job.CodeBackup, "deploy", other.Serial, "--image", ref, "--trial"),
		refused(ctx, e, d, job.CodeBackup, "image", "release", ref, "--override", "we want it", "--reason", "we want it"),
		refused(ctx, e, d, job.CodeHeld, "image", "delete", ref),
	); err != nil {
		return err
	}
	return checks(r.Kill(), untouched(ctx, other.Drives[0].Path()))
}

// putBack deploys the backup to its own laptop, compares every file with the drive that was kept, and starts it.
func putBack(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, v store.Version, kept, work string) error {
	var jobs []store.JobView
	if err := d.Read(ctx, &jobs, "deploy", ownerName, "--image", v.Ref().String(), "--data-saved", "--confirm", ownerName, "--power-off"); err != nil {
		return err
	}
	if len(jobs) != 1 {
		return fmt.Errorf("the order named %d jobs; want 1", len(jobs))
	}
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	if r, err = startsFromCopy(ctx, e, d, l, r, jobs[0].ID, kept, ownerName); err != nil {
		return err
	}
	sh, err := r.Login(ctx, golden.Password)
	if err != nil {
		return err
	}
	is, err := sh.Run(ctx, "sha256sum /root/work")
	if err != nil {
		return err
	}
	dev, err := d.waitObserved(ctx, l)
	if err != nil {
		return err
	}
	return checks(same("what its owner had made", is, work), recordIs(dev, v, ownerName))
}
