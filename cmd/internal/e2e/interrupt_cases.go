package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

// interruptCases take something away in mid-deploy and give it back: the deploy ends well, proven.
func interruptCases() []Case {
	return []Case{
		{"resume-impostor", "after a kill in mid-write, the same laptop with another drive is refused and nothing is written to it", nil, resumeImpostor},
		{"resume-daemon", "the daemon killed in mid-write and started again: the deploy ends well", needPlain, resumeDaemon},
		{"kill-at-commit", "a laptop killed with half of its commit on the disk ends well after its next start", needPlain, killAtCommit},
		{"kill-after-commit", "a laptop killed right after its commit ends well after its next start, boot entry too", needPlain, killAfterCommit},
		{"cable-pull", "a cable out for 30 s in mid-write: the deploy goes on by itself", needPlain, cablePull},
	}
}

func resumeImpostor(ctx context.Context, e *Env) error {
	x, err := smallBench(ctx, e, 64)
	if err != nil {
		return err
	}
	x.laptop.Drives[0].WriteLimit = 4 << 20
	if err := x.meetAndOrder(ctx, e); err != nil {
		return err
	}
	if err := x.reaches(ctx, midWrite); err != nil {
		return err
	}
	if err := x.run.Kill(); err != nil {
		return err
	}
	before, err := x.d.job(ctx, x.id)
	if err != nil {
		return err
	}
	e.Say("killed; the job is %s", before.State)
	other := x.sameLaptopWith(&lab.Drive{Bus: lab.NVMe, Serial: "S9IMPOSTOR", Size: x.laptop.Drives[0].Size})
	return checks(x.isSentAway(ctx, e, other), x.staysAsItWas(ctx, before))
}

// driveChange is longer than the daemon counts a start as heard: nobody changes a drive in less, and two laptops that
// tell the same at the same time are an alarm.
const driveChange = 35 * time.Second

// isSentAway starts a laptop whose drive is not the approved one, and holds that it shows so and that its drive
// stays bit-equal.
func (x *running) isSentAway(ctx context.Context, e *Env, l *lab.Laptop) error {
	old, err := fitUsed(ctx, e, l)
	if err != nil {
		return err
	}
	e.Say("the drive is changed, which takes %s", driveChange)
	select {
	case <-ctx.Done():
		return fmt.Errorf("change the drive: %w", ctx.Err())
	case <-time.After(driveChange):
	}
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	m, err := r.Console.WaitAfter(ctx, 0, workOrNot)
	if err != nil {
		return err
	}
	e.Say("%s, with drive %s, hears: %s", l.Name, l.Drives[0].Serial, m[1])
	if err := checks(that(containsCode(m[1], job.CodeWrongDrive), "it hears %q; want %s", m[1], job.CodeWrongDrive), r.Kill()); err != nil {
		return err
	}
	return old.unchanged()
}

// staysAsItWas holds that a job still waits for its own laptop, and that the refusal is on record.
func (x *running) staysAsItWas(ctx context.Context, before store.JobView) error {
	j, err := x.d.job(ctx, x.id)
	if err != nil {
		return err
	}
	dev, err := x.d.device(ctx, x.laptop.Serial)
	if err != nil {
		return err
	}
	var events []store.Event
	if err := x.d.Read(ctx, &events, "audit", string(x.id)); err != nil {
		return err
	}
	refused := ""
	for _, v := range events {
		if v.Act == "refused" {
			refused = v.Text
		}
	}
	return checks(same("the job", j.State, before.State), same("the job's key", j.AgentKey, before.AgentKey),
		that(dev.Holds == nil, "a Deployment was recorded"),
		that(containsCode(refused, job.CodeWrongDrive), "the audit log says %q; want %s", refused, job.CodeWrongDrive))
}

func resumeDaemon(ctx context.Context, e *Env) error {
	x, err := deployOn(ctx, e, Laptop(7, lab.BIOS, lab.NVMe), midWrite)
	if err != nil {
		return err
	}
	if err := x.d.Kill(); err != nil {
		return err
	}
	e.Say("daemon killed")
	if err := x.d.Start(ctx); err != nil {
		return err
	}
	j, err := x.d.job(ctx, x.id)
	if err != nil {
		return err
	}
	e.Say("daemon started again; the job is %s", j.State)
	if err := checks(same("the job", j.State, job.Writing), same("bindings", j.Bindings, 1)); err != nil {
		return err
	}
	dev, err := x.endsWell(ctx, e)
	if err != nil {
		return err
	}
	return same("the job of the record", dev.Holds.Job, x.id)
}

// killAtCommit holds the drive still when the commit writes below 1 MiB for the first time: the second
// partition table is on the disk then, the first is not. That is where the plug is pulled.
func killAtCommit(ctx context.Context, e *Env) error {
	l := Laptop(7, lab.BIOS, lab.NVMe)
	if err := e.Bench.Fit(ctx, l); err != nil {
		return err
	}
	atCommit, killed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	nbd, err := e.underDrive(l, func(r lab.NBDRequest) lab.NBDAnswer {
		if r.Op != lab.NBDWrite || r.Offset >= mib || !holdsData(r.Data) {
			return lab.Obey
		}
		answer := lab.Obey
		once.Do(func() {
			close(atCommit)
			<-killed
			answer = lab.Fail
		})
		return answer
	})
	if err != nil {
		return err
	}
	defer nbd.Close()
	x, err := deployOn(ctx, e, l, "ingot: state committing\n")
	if err != nil {
		return err
	}
	select {
	case <-atCommit:
	case <-ctx.Done():
		return fmt.Errorf("wait for the commit: %w", ctx.Err())
	}
	err = x.run.Kill()
	close(killed)
	if err != nil {
		return err
	}
	j, err := x.d.job(ctx, x.id)
	if err != nil {
		return err
	}
	e.Say("killed between the two partition tables; the job is %s", j.State)
	if err := checks(same("the job", j.State, job.Committing), halfCommitted(l.Drives[0].Path())); err != nil {
		return err
	}
	if x.run, err = e.PowerOn(ctx, l); err != nil {
		return err
	}
	_, err = x.endsWell(ctx, e)
	return err
}

// halfCommitted holds that a drive has its second partition table and nothing yet in its first MiB.
func halfCommitted(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head, table := make([]byte, mib), make([]byte, 8)
	if _, err := f.ReadAt(head, 0); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.ReadAt(table, info.Size()-512); err != nil {
		return err
	}
	return checks(that(!holdsData(head), "the first MiB holds data"), same("the drive's last sector begins with", string(table), "EFI PART"))
}

// killAfterCommit pulls the plug when the disk is whole and neither the firmware nor the daemon knows it.
func killAfterCommit(ctx context.Context, e *Env) error {
	l := Laptop(7, lab.SecureBoot, lab.NVMe)
	x, err := deployOn(ctx, e, l, "ingot: state committed\n")
	if err != nil {
		return err
	}
	if err := x.run.Kill(); err != nil {
		return err
	}
	j, err := x.d.job(ctx, x.id)
	if err != nil {
		return err
	}
	e.Say("killed; the job is %s", j.State)
	if err := same("the job", j.State, job.Committed); err != nil {
		return err
	}
	if x.run, err = e.PowerOn(ctx, l); err != nil {
		return err
	}
	dev, err := x.endsWell(ctx, e)
	if err != nil {
		return err
	}
	e.Say("the second start fetched %d and kept %d bytes; boot entry %s", dev.Holds.FetchedBytes, dev.Holds.KeptBytes, dev.Holds.Proof.Commit.BootEntry)
	return checks(that(dev.Holds.Proof.Commit.BootEntry != "", "the record names no boot entry"),
		that(dev.Holds.KeptBytes > dev.Holds.WrittenBytes, "the second start wrote %d bytes and kept only %d", dev.Holds.WrittenBytes, dev.Holds.KeptBytes))
}

func cablePull(ctx context.Context, e *Env) error {
	l := Laptop(7, lab.BIOS, lab.NVMe)
	l.Drives[0].WriteLimit = 12 << 20 // so that much is left to fetch
	x, err := deployOn(ctx, e, l, "ingot: writing 30%")
	if err != nil {
		return err
	}
	if err := x.run.Cable(false); err != nil {
		return err
	}
	e.Say("cable out")
	select { // the 30 s are the case itself
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(30 * time.Second):
	}
	j, err := x.d.job(ctx, x.id)
	if err != nil {
		return err
	}
	if err := checks(same("the job", j.State, job.Writing), x.run.Cable(true), x.run.Unlimit()); err != nil {
		return err
	}
	e.Say("cable in; the daemon last heard of it %.0f s ago", time.Since(j.Heard).Seconds())
	if err := that(time.Since(j.Heard) > 20*time.Second, "the laptop was heard while its cable was out"); err != nil {
		return err
	}
	dev, err := x.endsWell(ctx, e)
	if err != nil {
		return err
	}
	return same("the job of the record", dev.Holds.Job, x.id)
}

// underDrive puts an NBD server under a fitted laptop's first drive.
func (e *Env) underDrive(l *lab.Laptop, decide func(lab.NBDRequest) lab.NBDAnswer) (*lab.NBD, error) {
	d := l.Drives[0]
	nbd, err := lab.ServeNBD(d.Path(), filepath.Join(e.Dir, l.Name+".nbd"), decide)
	if err != nil {
		return nil, errors.Join(errors.New("put a server under the drive"), err)
	}
	d.Source, d.Cache = nbd.URL(), "none"
	return nbd, nil
}

func holdsData(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) > 0 }
