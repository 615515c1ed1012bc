package e2e

import (
	"context"
	"regexp"
	"slices"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

// faultCases break the deploy in its middle and look at what is left and at what goes on.
func faultCases() []Case {
	return slices.Concat([]Case{
		{"resume-agent", "a laptop killed in mid-write goes on at its next start and fetches at most what is missing + 5 %", needPlain, resumeAgent},
	}, interruptCases(), damageCases(), refusalCases())
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
	return deployOn(ctx, e, Laptop(7, lab.SecureBoot, lab.NVMe), marker)
}

// deployOn starts a deploy of the golden image on a laptop and returns when its console shows marker.
func deployOn(ctx context.Context, e *Env, l *lab.Laptop, marker string) (*running, error) {
	d, err := startBench(ctx, e)
	if err != nil {
		return nil, err
	}
	v, err := importGolden(ctx, e, d, golden.Plain)
	if err != nil {
		return nil, err
	}
	if l.Drives[0].Cache == "" {
		l.Drives[0].Cache = "none" // what QEMU had not written when it was killed is lost
	}
	x := &running{d: d, version: v, laptop: l}
	if x.run, x.id, err = adoptAndDeploy(ctx, e, d, order{l, "sales", faultName}); err != nil {
		return nil, err
	}
	return x, x.reaches(ctx, marker)
}

// reaches waits until the laptop's console shows marker; a failure that it shows instead is an error.
func (x *running) reaches(ctx context.Context, marker string) error {
	m, err := x.run.Console.WaitAfter(ctx, 0, regexp.MustCompile(regexp.QuoteMeta(marker)+"|"+failedLine.String()))
	if err != nil {
		return err
	}
	return that(m[1] == "", "the deploy failed early: %s", m[1])
}

// midWrite is a moment at which much is written and much is not.
const midWrite = "ingot: writing 40%"

// endsWell waits for the deploy's good end on a run of the laptop.
func (x *running) endsWell(ctx context.Context, e *Env) (store.DeviceView, error) {
	return deployedAs(ctx, e, x.d, x.run, x.id, x.laptop, x.version, faultName)
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
