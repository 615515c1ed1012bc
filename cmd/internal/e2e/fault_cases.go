package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

// faultCases break the deploy in its middle and look at what is left and at what goes on.
func faultCases() []Case {
	return []Case{
		{"resume-agent", "a laptop killed in mid-write goes on at its next start and fetches at most what is missing + 5 %", needPlain, resumeAgent},
		{"resume-impostor", "after a kill, the same laptop with another drive gets nothing written", needPlain, resumeImpostor},
		{"resume-daemon", "the daemon killed in mid-write and started again: the deploy ends well", needPlain, resumeDaemon},
		{"kill-at-commit", "a laptop killed while it commits ends well after its next start", needPlain, func(ctx context.Context, e *Env) error {
			return killedAt(ctx, e, job.Committing)
		}},
		{"kill-after-commit", "a laptop killed right after its commit ends well after its next start", needPlain, func(ctx context.Context, e *Env) error {
			return killedAt(ctx, e, job.Committed)
		}},
		{"corrupt-chunk", "a damaged piece of the image: a plain cause, no Deployment, a drive that does not boot", needPlain, corruptChunk},
		{"truncated-pack", "a pack cut short: a plain cause, no Deployment, a drive that does not boot", needPlain, truncatedPack},
		{"small-disk", "a drive smaller than the image is refused before any write", needPlain, smallDisk},
		{"sector-mismatch", "a drive of another sector size is refused before any write", needPlain, sectorMismatch},
		{"wrong-disk", "a drive changed after the order is refused before any write", needPlain, wrongDisk},
		{"cable-pull", "a cable out for 30 s in mid-write: the deploy goes on by itself", needPlain, cablePull},
		{"cancel", "cancelled before the first write the drive stays bit-equal; after it, it does not boot", needPlain, cancelled},
	}
}

// running is a deploy in progress, with all that belongs to it.
type running struct {
	d       *Daemon
	version store.Version
	laptop  *lab.Laptop
	run     *lab.Run
	id      job.ID
}

const faultName = "LAB-0007"

// deployUntil starts a deploy on a Secure Boot laptop and returns when its console shows marker.
func deployUntil(ctx context.Context, e *Env, marker string) (*running, error) {
	d, err := startBench(ctx, e)
	if err != nil {
		return nil, err
	}
	v, err := importGolden(ctx, e, d, golden.Plain)
	if err != nil {
		return nil, err
	}
	l := Laptop(7, lab.SecureBoot, lab.NVMe)
	l.Drives[0].Cache = "none" // what QEMU had not written when it was killed is lost
	x := &running{d: d, version: v, laptop: l}
	x.run, x.id, err = adoptAndDeploy(ctx, e, d, order{l, "sales", faultName})
	if err != nil {
		return nil, err
	}
	m, err := x.run.Console.WaitAfter(ctx, 0, regexp.MustCompile(regexp.QuoteMeta(marker)+"|"+failedLine.String()))
	if err != nil {
		return nil, err
	}
	if m[1] != "" {
		return nil, fmt.Errorf("the deploy failed early: %s", m[1])
	}
	return x, nil
}

// midWrite is a moment at which much is written and much is not.
const midWrite = "ingot: writing 40%"

// endsWell waits for the deploy's good end on a run of the laptop.
func (x *running) endsWell(ctx context.Context, e *Env) (store.DeviceView, error) {
	return deployedAs(ctx, e, x.d, x.run, x.id, x.laptop, x.version, faultName)
}

// killAndRestart pulls the laptop's plug and presses its power button again.
func (x *running) killAndRestart(ctx context.Context, e *Env) (err error) {
	if err := x.run.Kill(); err != nil {
		return err
	}
	e.Say("killed")
	x.run, err = e.PowerOn(ctx, x.laptop)
	return err
}

func resumeAgent(ctx context.Context, e *Env) error {
	x, err := deployUntil(ctx, e, midWrite)
	if err != nil {
		return err
	}
	if err := x.run.Kill(); err != nil {
		return err
	}
	most, err := missing(ctx, e, x.d, x.version.Manifest, x.laptop.Drives[0].Path())
	if err != nil {
		return err
	}
	e.Say("killed; %d of %d stored bytes are missing on the drive", most, x.version.StoredBytes)
	if err := checks(that(most > 0 && most < x.version.StoredBytes, "the kill was not in mid-write"), doesNotBoot(x.laptop.Drives[0].Path())); err != nil {
		return err
	}
	if x.run, err = e.PowerOn(ctx, x.laptop); err != nil {
		return err
	}
	dev, err := x.endsWell(ctx, e)
	if err != nil {
		return err
	}
	e.Say("the second start fetched %d bytes", dev.Holds.FetchedBytes)
	return that(dev.Holds.FetchedBytes <= most+most/20, "the second start fetched %d bytes; want at most %d + 5 %%", dev.Holds.FetchedBytes, most)
}

func resumeImpostor(ctx context.Context, e *Env) error {
	x, err := deployUntil(ctx, e, midWrite)
	if err != nil {
		return err
	}
	if err := x.run.Kill(); err != nil {
		return err
	}
	other := Laptop(7, lab.SecureBoot, lab.NVMe)
	other.Name = "impostor"
	other.Drives[0].Serial = "S9IMPOSTOR"
	r, err := e.PowerOn(ctx, other)
	if err != nil {
		return err
	}
	// It may say Hello; what it must not get is the job.
	m, err := r.Console.WaitAfter(ctx, 0, regexp.MustCompile(`ingot: (job \S+|code \S+|hello accepted code [^\n]*)`))
	if err != nil {
		return err
	}
	e.Say("the impostor sees: %s", m[1])
	if err := never(ctx, r, `ingot: job `); err != nil {
		return err
	}
	dev, err := x.d.device(ctx, x.laptop.Serial)
	if err != nil {
		return err
	}
	return checks(untouched(ctx, other.Drives[0].Path()), that(dev.Holds == nil, "a Deployment was recorded"))
}

// never holds that a line does not come within a minute: a thing that must not happen.
func never(ctx context.Context, r *lab.Run, line string) error {
	soon, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	m, err := r.Console.WaitAfter(soon, 0, regexp.MustCompile(line))
	if err == nil {
		return fmt.Errorf("the console shows %q; it must not", m[0])
	}
	return ctx.Err()
}

func resumeDaemon(ctx context.Context, e *Env) error {
	x, err := deployUntil(ctx, e, midWrite)
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
	e.Say("daemon started again")
	_, err = x.endsWell(ctx, e)
	return err
}

func killedAt(ctx context.Context, e *Env, state job.State) error {
	x, err := deployUntil(ctx, e, "ingot: state "+string(state)+"\n")
	if err != nil {
		return err
	}
	if err := x.killAndRestart(ctx, e); err != nil {
		return err
	}
	_, err = x.endsWell(ctx, e)
	return err
}

// damagedImage deploys from a store that damage has changed, and looks at the words, the record and the drive.
func damagedImage(ctx context.Context, e *Env, damage func(pack string) error, codes ...job.Code) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	if _, err := importGolden(ctx, e, d, golden.Plain); err != nil {
		return err
	}
	if err := d.Stop(); err != nil {
		return err
	}
	packs, err := filepath.Glob(filepath.Join(d.Data, "packs", "*"))
	if err != nil || len(packs) == 0 {
		return fmt.Errorf("find the packs: %d, %w", len(packs), err)
	}
	if err := damage(packs[len(packs)/2]); err != nil {
		return err
	}
	if err := d.Start(ctx); err != nil {
		return err
	}
	l := Laptop(7, lab.SecureBoot, lab.NVMe)
	r, id, err := adoptAndDeploy(ctx, e, d, order{l, "sales", faultName})
	if err != nil {
		return err
	}
	return failsPlainly(ctx, e, d, r, l, id, codes...)
}

// failsPlainly holds that a job failed with one of the codes, told the person, and left neither a Deployment
// nor a drive that starts.
func failsPlainly(ctx context.Context, e *Env, d *Daemon, r *lab.Run, l *lab.Laptop, id job.ID, codes ...job.Code) error {
	m, err := r.Console.WaitAfter(ctx, 0, failedLine)
	if err != nil {
		return err
	}
	e.Say("the laptop says: %s", m[1])
	j, err := d.waitJob(ctx, id)
	if err != nil {
		return err
	}
	if err := r.Kill(); err != nil {
		return err
	}
	dev, err := d.device(ctx, l.Serial)
	if err != nil {
		return err
	}
	known := false
	for _, c := range codes {
		known = known || j.Fault != nil && j.Fault.Code == c
	}
	return checks(same("the job", j.State, job.Failed), that(known, "the fault is %v; want one of %v", j.Fault, codes),
		that(dev.Holds == nil, "a Deployment was recorded"), doesNotBoot(l.Drives[0].Path()))
}

func corruptChunk(ctx context.Context, e *Env) error {
	return damagedImage(ctx, e, func(pack string) error {
		f, err := os.OpenFile(pack, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		at := info.Size() / 2
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			return err
		}
		b[0] ^= 0x10
		_, err = f.WriteAt(b[:], at)
		return err
	}, job.CodeChunk, job.CodeStream)
}

func truncatedPack(ctx context.Context, e *Env) error {
	return damagedImage(ctx, e, func(pack string) error {
		info, err := os.Stat(pack)
		if err != nil {
			return err
		}
		return os.Truncate(pack, info.Size()/2)
	}, job.CodeChunk, job.CodeStream)
}

// refusedBeforeWrite holds that an order for a laptop with this drive is refused, by the command line or by
// the laptop, with one of the codes, and that the drive was never written.
func refusedBeforeWrite(ctx context.Context, e *Env, drive *lab.Drive, code job.Code) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	if _, err := importGolden(ctx, e, d, golden.Plain); err != nil {
		return err
	}
	l := Laptop(7, lab.UEFI, lab.NVMe)
	l.Drives = []*lab.Drive{drive}
	r, id, err := adoptAndDeploy(ctx, e, d, order{l, "sales", faultName})
	if exit := (&ExitError{}); asExit(err, &exit) {
		e.Say("refused: %s", exit.Words)
		return checks(that(containsCode(exit.Words, code), "the refusal is %q; want %s", exit.Words, code), untouched(ctx, drive.Path()))
	}
	if err != nil {
		return err
	}
	m, err := r.Console.WaitAfter(ctx, 0, failedLine)
	if err != nil {
		return err
	}
	e.Say("the laptop says: %s", m[1])
	j, err := d.waitJob(ctx, id)
	if err != nil {
		return err
	}
	return checks(that(containsCode(m[1], code), "the refusal is %q; want %s", m[1], code), same("the job", j.State, job.Failed), untouched(ctx, drive.Path()))
}

func smallDisk(ctx context.Context, e *Env) error {
	return refusedBeforeWrite(ctx, e, &lab.Drive{Bus: lab.NVMe, Serial: "SMALL1", Size: 1 * gib}, job.CodeSmallDrive)
}

func sectorMismatch(ctx context.Context, e *Env) error {
	return refusedBeforeWrite(ctx, e, &lab.Drive{Bus: lab.NVMe, Serial: "FOURK1", Size: 6 * gib, SectorSize: 4096}, job.CodeSectorSize)
}

// wrongDisk orders while the laptop is on with one drive, and starts it with another of the same size.
func wrongDisk(ctx context.Context, e *Env) error {
	x, err := deployUntil(ctx, e, "ingot: job ")
	if err != nil {
		return err
	}
	if err := x.run.Kill(); err != nil {
		return err
	}
	other := Laptop(7, lab.SecureBoot, lab.NVMe)
	other.Name = "swapped"
	other.Drives[0].Serial = "S9SWAPPED"
	r, err := e.PowerOn(ctx, other)
	if err != nil {
		return err
	}
	if _, err := waitHello(ctx, e, r); err != nil {
		return err
	}
	if err := never(ctx, r, `ingot: state (invalidated|writing)`); err != nil {
		return err
	}
	return untouched(ctx, other.Drives[0].Path())
}

func cablePull(ctx context.Context, e *Env) error {
	x, err := deployUntil(ctx, e, midWrite)
	if err != nil {
		return err
	}
	if err := x.run.Cable(false); err != nil {
		return err
	}
	e.Say("cable out")
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(30 * time.Second):
	}
	if err := x.run.Cable(true); err != nil {
		return err
	}
	e.Say("cable in")
	_, err = x.endsWell(ctx, e)
	return err
}

func cancelled(ctx context.Context, e *Env) error {
	x, err := deployUntil(ctx, e, midWrite)
	if err != nil {
		return err
	}
	if _, err := x.d.CLI(ctx, "job", "cancel", string(x.id)); err != nil {
		return err
	}
	m, err := x.run.Console.WaitAfter(ctx, 0, failedLine)
	if err != nil {
		return err
	}
	e.Say("after the first write the laptop says: %s", m[1])
	j, err := x.d.waitJob(ctx, x.id)
	if err != nil {
		return err
	}
	if err := x.run.Kill(); err != nil {
		return err
	}
	if err := checks(same("the job", j.State, job.Cancelled), that(containsCode(m[1], job.CodeCancelled), "the laptop says %q", m[1]),
		doesNotBoot(x.laptop.Drives[0].Path())); err != nil {
		return err
	}
	return cancelledBeforeWrite(ctx, e, x.d)
}

// cancelledBeforeWrite cancels an order that a second laptop, switched off meanwhile, has not taken yet.
func cancelledBeforeWrite(ctx context.Context, e *Env, d *Daemon) error {
	l := Laptop(8, lab.UEFI, lab.NVMe)
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	code, err := waitHello(ctx, e, r)
	if err != nil {
		return err
	}
	if _, err := d.CLI(ctx, "device", "adopt", code); err != nil {
		return err
	}
	if err := r.Kill(); err != nil {
		return err
	}
	id, err := d.deploy(ctx, order{l, "sales", "LAB-0008"})
	if err != nil {
		return err
	}
	if _, err := d.CLI(ctx, "job", "cancel", string(id)); err != nil {
		return err
	}
	j, err := d.waitJob(ctx, id)
	if err != nil {
		return err
	}
	return checks(same("the job", j.State, job.Cancelled), untouched(ctx, l.Drives[0].Path()))
}
