package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/imaging"
	"ingot/imaging/disk"
	"ingot/imaging/job"
	"ingot/imaging/preflight"
)

// deployment is one deploy on its way through the phases.
type deployment struct {
	agent    *Agent
	job      job.Job
	received time.Time
	progress *disk.Progress
	report   *reporter

	drive    *disk.Disk
	manifest *imaging.Manifest
	first    []byte // the image's first bytes, as fetched
	plan     *disk.Plan
	written  Written
	proof    job.Proof
	touched  bool
	note     *job.Fault // what a good end has to say besides
	found    job.Found  // before the first write; once looked
	looked   bool
	source   reading // of a capture
	wipes    erasures
}

// phase is one step. Its state is reported and acknowledged before do begins.
type phase struct {
	state job.State
	do    func(*deployment, context.Context) error
}

// courses are the phases of each kind of job. An inventory has none: the Hello told it all.
var courses = map[job.Kind][]phase{job.Deploy: phases, job.Rename: renaming, job.Capture: capturing, job.Wipe: wiping}

// phases is the deploy, in order. Flushed is reported from within write, between the last flush and the last
// read-back; done is the Result.
var phases = []phase{
	{job.Claimed, (*deployment).prepare},
	{job.Invalidated, (*deployment).invalidate},
	{job.Writing, (*deployment).write},
	{job.Verified, (*deployment).personalise},
	{job.Personalised, (*deployment).release},
	{job.Committing, (*deployment).commit},
	{job.Committed, (*deployment).bootEntry},
}

// run goes through the phases. The error of a cancelled job is CodeCancelled. A job that is bound anew after a
// restart begins at the beginning, whatever state it had: nothing is remembered, comparing is cheap, and the
// proof must be of this boot. So a disk that was left in the middle of committing is proven and committed again.
func (d *deployment) run(parent context.Context, course []phase) error {
	if len(course) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	d.report = newReporter(d, cancel)
	stop := d.report.start(ctx)
	defer stop()
	defer d.close()
	for _, p := range course {
		if err := d.enter(ctx, p.state); err != nil {
			return err
		}
		if err := p.do(d, ctx); err != nil {
			return cause(ctx, err)
		}
	}
	return nil
}

// enter reports a state and waits until it is durable.
func (d *deployment) enter(ctx context.Context, s job.State) error {
	if err := d.report.enter(ctx, s); err != nil {
		return cause(ctx, err)
	}
	d.agent.Say("state " + string(s))
	return nil
}

// cause prefers why ctx ended to how the work noticed.
func cause(ctx context.Context, err error) error {
	var fault *job.Fault
	if c := context.Cause(ctx); ctx.Err() != nil && errors.As(c, &fault) {
		return c
	}
	return err
}

func (d *deployment) close() {
	if d.manifest != nil {
		if err := d.manifest.Close(); err != nil {
			d.agent.Log.Warn().Err(err).Msg("manifest was not closed")
		}
	}
	if err := d.wipes.close(); err != nil {
		d.agent.Log.Warn().Err(err).Msg("a wiped drive was not closed")
	}
	if d.source.drive != nil {
		if err := d.source.drive.Close(); err != nil {
			d.agent.Log.Warn().Err(err).Msg("the source was not closed")
		}
	}
	if d.drive == nil {
		return
	}
	d.touched = d.touched || d.drive.Touched()
	if err := d.drive.Close(); err != nil {
		d.agent.Log.Warn().Err(err).Msg("drive was not closed")
	}
}

// prepare is all that comes before the first write. Every refusal that needs no write is here.
func (d *deployment) prepare(ctx context.Context) error {
	if err := d.open(); err != nil {
		return err
	}
	if err := d.preflight(); err != nil {
		return err
	}
	if err := d.load(ctx); err != nil {
		return err
	}
	return d.ready(ctx)
}

// claim finds and opens drive and image, and makes the plan.
func (d *deployment) claim(ctx context.Context) error {
	if err := d.open(); err != nil {
		return err
	}
	return d.load(ctx)
}

// open finds the one drive that the order names.
func (d *deployment) open() (err error) {
	if d.drive, err = d.agent.Drives.Open(d.job.Target); err != nil {
		return err
	}
	return disk.Match(d.drive.Drive(), d.job.Target)
}

// load opens the image and makes the plan of the written disk.
func (d *deployment) load(ctx context.Context) error {
	err := disk.Persist(ctx, func(ctx context.Context) (err error) {
		d.manifest, err = d.agent.Images.OpenManifest(ctx, d.job.Image.Manifest)
		return err
	})
	if err != nil {
		return fmt.Errorf("open manifest: %w", err)
	}
	h := d.manifest.Header()
	if d.manifest.Digest() != d.job.Image.Manifest || h.DiskSize != d.job.DiskSize {
		return job.Faultf(job.CodeManifest, "The server sent another image than the order names.")
	}
	if h.SectorSize != d.drive.SectorSize() {
		return job.Faultf(job.CodeSectorSize, "Image: %d bytes. Drive: %d bytes.", h.SectorSize, d.drive.SectorSize())
	}
	if d.drive.Size() < h.DiskSize {
		return job.Faultf(job.CodeSmallDrive, "Image: %d bytes. Drive: %d bytes.", h.DiskSize, d.drive.Size())
	}
	if err := preflight.Starts(job.Needs{Firmware: h.Firmware}, d.agent.me.bios, d.agent.me.arch); err != nil {
		return err
	}
	if d.job.Personalise && h.OS.Personalise == "" {
		return job.Faultf(job.CodeUnknownOS, "It is %q.", h.OS.Name)
	}
	var stored uint64
	d.first, stored, err = disk.FetchHead(ctx, d.agent.Images, d.manifest)
	d.progress.Fetched.Add(stored)
	if err != nil {
		return err
	}
	d.plan, err = disk.NewPlan(h, d.drive.Size(), d.drive.SectorSize(), d.first, d.job.Grow)
	return err
}

// invalidate is the first write. A job that waited too long for the daemon is not begun any more; one that waited
// for a person, and was confirmed by the daemon all the while, is.
func (d *deployment) invalidate(context.Context) error {
	if err := d.fresh(); err != nil {
		return err
	}
	return d.drive.Invalidate()
}

// fresh refuses an order that nobody has confirmed for longer than it is valid.
func (d *deployment) fresh() error {
	if expired(d.job, d.report.confirmed()) {
		return job.Faultf(job.CodeJobExpired, "Nothing was written.")
	}
	return nil
}

// write brings the content and its proof.
func (d *deployment) write(ctx context.Context) error {
	proof, err := disk.Restore{Disk: d.drive, Source: d.agent.Images, Manifest: d.manifest, Head: d.first, Progress: d.progress,
		Flushed: func(ctx context.Context) error { return d.enter(ctx, job.Flushed) }}.Run(ctx)
	if err != nil {
		return err
	}
	d.proof.Content = &proof
	return nil
}

// personalise mounts what was proven, makes it fit, and gives it its name; then asks whether the laptop's
// firmware can start it at all.
func (d *deployment) personalise(ctx context.Context) error {
	parts, err := d.drive.AddParts(d.plan.Parts)
	if err != nil {
		return fmt.Errorf("show the partitions to the kernel: %w: %w", err, job.Faultf(job.CodePersonalise, "The new partitions could not be opened."))
	}
	d.written = Written{Drive: d.drive.Drive(), Parts: parts, Root: d.job.RootPart, Grown: d.plan.Grown, Swap: d.plan.Swap,
		Table: d.plan.Table, Firmware: d.agent.me.bios}
	if d.job.Personalise {
		d.written.Name = d.job.DeviceName
	}
	if d.plan.Grown != 0 || d.plan.Swap != 0 {
		if err := d.agent.Personaliser.Fit(ctx, d.written); err != nil {
			return err
		}
	}
	if d.job.Personalise {
		if err := d.name(ctx); err != nil {
			return err
		}
	}
	return d.agent.Firmware.Check(ctx, d.written, d.plan.Head)
}

// name fetches what only this disk may receive, now that it is proven.
func (d *deployment) name(ctx context.Context) error {
	personal, err := d.agent.Daemon.Personal(ctx, d.job.ID)
	if err != nil {
		return err
	}
	if personal.DeviceName != d.job.DeviceName {
		return job.Faultf(job.CodePersonalise, "The order says %s, the server says %s.", d.job.DeviceName, personal.DeviceName)
	}
	proof, err := d.agent.Personaliser.Personalise(ctx, d.written, personal)
	if err != nil {
		return err
	}
	if len(proof.Files) == 0 {
		return job.Faultf(job.CodePersonalise, "No file was proven.")
	}
	d.proof.Personalised = &proof
	return nil
}

// release takes the drive back from the kernel's hands, with all checks of the first opening.
func (d *deployment) release(context.Context) error {
	return d.drive.DropParts(d.written.Parts)
}

// commit makes the disk bootable. It is not interrupted: half of it is worse than either end.
func (d *deployment) commit(context.Context) error {
	proof, err := d.drive.Commit(d.plan)
	if err != nil {
		return err
	}
	d.proof.Commit = &proof
	return nil
}

// bootEntry tells the firmware. The disk is whole without it, and the fallback loader was checked, so a
// firmware that refuses is noted and is not a failure.
func (d *deployment) bootEntry(ctx context.Context) error {
	entry, err := d.agent.Firmware.Install(ctx, d.written)
	if err != nil {
		d.agent.Log.Warn().Err(err).Msg("boot entry was not written")
		d.note = job.Faultf(job.CodeBootEntry, "")
		return nil
	}
	d.proof.Commit.BootEntry = entry
	return nil
}
