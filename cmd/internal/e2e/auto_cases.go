package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

// autoCases prove the only way that leads to a write without a person.
func autoCases() []Case {
	return []Case{
		{"auto-deploy", "off, outside its window and over its count new laptops wait for a person; inside, one goes by itself", needPlain, autoDeploy},
	}
}

const autoRole = "laptop"

func autoDeploy(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	v, err := importGolden(ctx, e, d, golden.Plain)
	if err != nil {
		return err
	}
	if err := d.Do(ctx, []string{"role", "add", autoRole, "--image", "sales", "--names", "AUTO-{serial:-4}"}, []string{"role", "add", "nameless", "--image", "sales"}); err != nil {
		return err
	}
	if err := policyNeedsBounds(ctx, e, d); err != nil {
		return err
	}
	idle := Laptop(1, lab.UEFI, lab.NVMe)
	if err := waitsForAPerson(ctx, e, d, idle, "off"); err != nil {
		return err
	}
	if err := passWindow(ctx, e, d); err != nil {
		return err
	}
	if err := waitsForAPerson(ctx, e, d, idle, "outside its window"); err != nil {
		return err
	}
	if err := d.Do(ctx, cmd("auto-deploy on --role %s --for 1h --count 1", autoRole)); err != nil {
		return err
	}
	if err := goesByItself(ctx, e, d, Laptop(2, lab.UEFI, lab.NVMe), v, "AUTO-AB02"); err != nil {
		return err
	}
	return waitsForAPerson(ctx, e, d, Laptop(3, lab.UEFI, lab.NVMe), "over its count")
}

// policyNeedsBounds holds that the policy cannot be switched on without a role that can name, a window and a
// count.
func policyNeedsBounds(ctx context.Context, e *Env, d *Daemon) error {
	for _, x := range []struct {
		args string
		code job.Code
	}{
		{"--role laptop --for 0s --count 1", job.CodeBadRequest},
		{"--role laptop --for 169h --count 1", job.CodeBadRequest},
		{"--role laptop --for 1h --count 0", job.CodeBadRequest},
		{"--role laptop --for 1h --count 1001", job.CodeBadRequest},
		{"--role nameless --for 1h --count 1", job.CodeNameInvalid},
		{"--role nobody --for 1h --count 1", job.CodeNotFound},
	} {
		_, err := d.CLI(ctx, cmd("auto-deploy on %s", x.args)...)
		exit := &ExitError{}
		if !asExit(err, &exit) || !containsCode(exit.Words, x.code) {
			return fmt.Errorf("auto-deploy on %s: %v; want a refusal with %s", x.args, err, x.code)
		}
	}
	return policyIs(ctx, d, "auto-deploy is off")
}

func policyIs(ctx context.Context, d *Daemon, want string) error {
	out, err := d.CLI(ctx, "auto-deploy", "show")
	if err != nil {
		return err
	}
	return that(strings.HasPrefix(out, want), "auto-deploy show says %q; want %q", out, want)
}

// passWindow switches the policy on for a moment and waits until its window is over.
func passWindow(ctx context.Context, e *Env, d *Daemon) error {
	if err := d.Do(ctx, cmd("auto-deploy on --role %s --for 2s --count 5", autoRole)); err != nil {
		return err
	}
	for {
		if err := policyIs(ctx, d, "auto-deploy is off"); err == nil {
			return nil
		}
		if err := pause(ctx, "the end of the window"); err != nil {
			return err
		}
	}
}

// waitsForAPerson starts a laptop and holds that it shows a code, gets no job and keeps its drive as it is.
// Whether a laptop goes by itself is decided with its Hello; a while more changes nothing.
func waitsForAPerson(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, when string) error {
	r, code, err := showsCode(ctx, e, l)
	if err != nil {
		return fmt.Errorf("auto-deploy %s: %w", when, err)
	}
	soon, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if m, err := r.Console.WaitAfter(soon, 0, regexp.MustCompile(`ingot: (job|state|nothing|switching) [^\n]*`)); err == nil {
		return fmt.Errorf("auto-deploy %s: the laptop does not wait: %q", when, m[0])
	}
	dev, err := d.device(ctx, l.Serial)
	if err != nil {
		return err
	}
	all, err := d.jobsOf(ctx, dev.ID)
	if err != nil {
		return err
	}
	e.Say("auto-deploy %s: %s waits with code %s, state %s, %d jobs", when, l.Serial, code, dev.State, len(all))
	if err := r.Kill(); err != nil {
		return err
	}
	return checks(same("state", dev.State, store.New), same("jobs", len(all), 0), same("name", dev.Name, ""), untouched(ctx, l.Drives[0].Path()))
}

// jobsOf lists the jobs that a device ever had.
func (d *Daemon) jobsOf(ctx context.Context, device string) ([]store.JobView, error) {
	var all, own []store.JobView
	if err := d.Read(ctx, &all, "job", "list", "--all"); err != nil {
		return nil, err
	}
	for _, j := range all {
		if j.Device == device {
			own = append(own, j)
		}
	}
	return own, nil
}

// goesByItself starts a laptop that nobody touches until it runs its own system.
func goesByItself(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, v store.Version, name string) error {
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	m, err := r.Console.WaitAfter(ctx, 0, regexp.MustCompile(`ingot: job (\S+) `))
	if err != nil {
		return err
	}
	e.Say("inside: %s goes by itself, job %s", l.Serial, m[1])
	dev, err := deployedAs(ctx, e, d, r, job.ID(m[1]), l, v, name)
	if err != nil {
		return err
	}
	if err := r.Kill(); err != nil {
		return err
	}
	return checks(
		that(strings.HasPrefix(dev.Holds.Operator, "auto-deploy of "), "the record says it was ordered by %q", dev.Holds.Operator),
		same("role", dev.Role, autoRole),
		policyIs(ctx, d, "auto-deploy is off"))
}
