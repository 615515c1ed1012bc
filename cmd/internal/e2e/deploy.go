package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

// importGolden makes version after version of image "sales" from a golden disk file.
func importGolden(ctx context.Context, e *Env, d *Daemon, f golden.Flavour) (store.Version, error) {
	file, err := e.Golden(ctx, f)
	if err != nil {
		return store.Version{}, err
	}
	e.Say("import the golden image")
	var got []store.Version
	if err := d.Read(ctx, &got, "image", "import", file, "--image", "sales", "--label", string(f), "--note", "made by the lab", "--release"); err != nil {
		return store.Version{}, err
	}
	if len(got) != 1 {
		return store.Version{}, fmt.Errorf("the import named %d versions; want 1", len(got))
	}
	e.Say("version %s: %d data bytes in %d extents, %d bytes stored", got[0].Ref(), got[0].DataBytes, got[0].DataExtents, got[0].StoredBytes)
	return got[0], nil
}

// order is one deploy as a helpdesk does it: the laptop shows a code, the operator adopts it and orders.
type order struct {
	laptop *lab.Laptop
	image  string
	name   string
}

// adoptAndDeploy starts the laptop, adopts it by its code and orders the image. The job runs when it returns.
func adoptAndDeploy(ctx context.Context, e *Env, d *Daemon, o order) (*lab.Run, job.ID, error) {
	r, code, err := showsCode(ctx, e, o.laptop)
	if err != nil {
		return r, "", err
	}
	if _, err := d.CLI(ctx, "device", "adopt", code); err != nil {
		return r, "", err
	}
	id, err := d.deploy(ctx, o)
	if err == nil {
		e.Say("adopted; job %s: %s becomes %s", id, o.laptop.Serial, o.name)
	}
	return r, id, err
}

// deploy orders an image for a known laptop and returns the job's id.
func (d *Daemon) deploy(ctx context.Context, o order, more ...string) (job.ID, error) {
	var jobs []store.JobView
	args := append([]string{"deploy", o.laptop.Serial, "--image", o.image, "--name", o.name}, more...)
	if err := d.Read(ctx, &jobs, args...); err != nil {
		return "", err
	}
	if len(jobs) != 1 {
		return "", fmt.Errorf("the order named %d jobs; want 1", len(jobs))
	}
	return jobs[0].ID, nil
}

func (d *Daemon) job(ctx context.Context, id job.ID) (store.JobView, error) {
	var j store.JobView
	err := d.Read(ctx, &j, "job", "show", string(id))
	return j, err
}

// waitJob waits until a job has ended and returns it.
func (d *Daemon) waitJob(ctx context.Context, id job.ID) (store.JobView, error) {
	var last string
	for {
		j, err := d.job(ctx, id)
		if err != nil {
			return j, err
		}
		if s := stepOf(j); s != last {
			d.env.Say("job %s", s)
			last = s
		}
		if j.State.Final() {
			return j, nil
		}
		if err := pause(ctx, "job "+string(id)); err != nil {
			return j, fmt.Errorf("%w; it is %s", err, j.State)
		}
	}
}

// stepOf is where a job is, in steps large enough to print.
func stepOf(j store.JobView) string {
	s := string(j.State)
	if p := j.Progress; p != nil && p.TotalBytes > 0 && j.State == job.Writing {
		s += fmt.Sprintf(" %d%%", p.DoneBytes*5/p.TotalBytes*20)
	}
	return s
}

var failedLine = regexp.MustCompile(`ingot: failed (E\d+[^\n]*)\n`)

// startsOwnSystem waits for the laptop's own login prompt behind mark and compares the name that it shows.
func startsOwnSystem(ctx context.Context, e *Env, r *lab.Run, mark int, name string) error {
	got, err := r.WaitLogin(ctx, mark)
	if err != nil {
		return err
	}
	e.Say("login prompt of %s", got)
	return same("the name at the login prompt", got, name)
}

// waitObserved waits until the deployed system has called home and returns the device with its record.
func (d *Daemon) waitObserved(ctx context.Context, l *lab.Laptop) (store.DeviceView, error) {
	for {
		dev, err := d.device(ctx, l.Serial)
		if err != nil {
			return dev, err
		}
		if dev.Holds != nil && dev.Holds.Observed != nil {
			d.env.Say("called home as %s", dev.Holds.Observed.Hostname)
			return dev, nil
		}
		if err := pause(ctx, "the call home of "+l.Serial); err != nil {
			return dev, err
		}
	}
}

// deployedAs is a whole deploy: to the laptop's own login prompt, its call home and its record.
func deployedAs(ctx context.Context, e *Env, d *Daemon, r *lab.Run, id job.ID, l *lab.Laptop, v store.Version, name string) (store.DeviceView, error) {
	j, err := d.waitJob(ctx, id)
	if err != nil {
		return store.DeviceView{}, err
	}
	mark := strings.Index(r.Console.Text(), "ingot: job "+string(id))
	if err := checks(that(mark >= 0, "the console names no job %s", id), same("the job", j.State, job.Done)); err != nil {
		return store.DeviceView{}, fmt.Errorf("%w: %v", err, j.Fault)
	}
	if err := startsOwnSystem(ctx, e, r, mark, name); err != nil {
		return store.DeviceView{}, err
	}
	dev, err := d.waitObserved(ctx, l)
	if err != nil {
		return dev, err
	}
	return dev, recordIs(dev, v, name)
}

// recordIs holds the record against what was done: what, since when, by whom, proven how, observed as whom.
func recordIs(dev store.DeviceView, v store.Version, name string) error {
	h := dev.Holds
	errs := []error{
		same("state", dev.State, store.Deployed),
		same("image", h.Image.String(), v.Ref().String()),
		same("content", h.Image.Manifest, v.Manifest),
		same("name", h.Name, name),
		same("observed name", h.Observed.Hostname, name),
		that(h.Operator != "", "the record names no operator"),
		that(!h.Finished.IsZero(), "the record has no time"),
		that(h.Proof.Content != nil, "the record has no proof of content"),
		that(h.Proof.Personalised != nil, "the record has no proof of personalising"),
		that(h.Proof.Commit != nil, "the record has no proof of the commit"),
	}
	if c := h.Proof.Content; c != nil {
		errs = append(errs, same("proven manifest", c.Manifest, v.Manifest), same("proven data extents", c.DataExtents, v.DataExtents),
			same("proven zero extents", c.ZeroExtents, v.ZeroExtents), // The head, up to 1 MiB, is written last: the proof of the commit covers it.
			that(c.ReadBytes <= v.DataBytes+v.ZeroBytes && c.ReadBytes+1<<20 >= v.DataBytes+v.ZeroBytes, "%d bytes are proven; want all of %d but the head", c.ReadBytes, v.DataBytes+v.ZeroBytes),
			same("read past the cache", c.Direct, true))
	}
	return checks(errs...)
}
