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

