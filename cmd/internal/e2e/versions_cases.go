package e2e

import (
	"context"
	"fmt"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

// versionCases prove that a version reaches a laptop only as far as its state lets it.
func versionCases() []Case {
	return []Case{
		{"versions", "a draft reaches a laptop only on trial, and its record says so; released, it is current; retired and withdrawn it is refused, and the record of who received it stays",
			needPlain, versions},
	}
}

const trialName = "TRY-0061"

func versions(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	v, err := importDraft(ctx, e, d)
	if err != nil {
		return err
	}
	l := Laptop(61, lab.UEFI, lab.NVMe)
	if err := onTrial(ctx, e, d, l, v); err != nil {
		return err
	}
	return livesOn(ctx, e, d, l, v)
}

func importDraft(ctx context.Context, e *Env, d *Daemon) (store.Version, error) {
	file, err := e.Golden(ctx, golden.Plain)
	if err != nil {
		return store.Version{}, err
	}
	var got []store.Version
	if err := d.Read(ctx, &got, "image", "import", file, "--image", "sales", "--label", "next", "--note", "made by the lab"); err != nil {
		return store.Version{}, err
	}
	if len(got) != 1 {
		return store.Version{}, fmt.Errorf("the import named %d versions; want 1", len(got))
	}
	return got[0], same("an import without --release", got[0].State, store.Draft)
}

// onTrial holds that a draft is refused without --trial, and takes it to its own login prompt with it.
func onTrial(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, v store.Version) error {
	r, code, err := showsCode(ctx, e, l)
	if err != nil {
		return err
	}
	if _, err := d.CLI(ctx, "device", "adopt", code); err != nil {
		return err
	}
	draft := []string{"deploy", l.Serial, "--image", v.Ref().String(), "--name", trialName}
	if err := refused(ctx, e, d, job.CodeNotReleased, draft...); err != nil {
		return err
	}
	if err := refused(ctx, e, d, job.CodeNotReleased, "deploy", l.Serial, "--image", "sales", "--trial", "--name", trialName); err != nil {
		return err
	}
	id, err := d.deploy(ctx, order{l, v.Ref().String(), trialName}, "--trial")
	if err != nil {
		return err
	}
	dev, err := deployedAs(ctx, e, d, r, id, l, v, trialName)
	if err != nil {
		return err
	}
	shown, err := d.CLI(ctx, "device", "show", l.Serial)
	if err != nil {
		return err
	}
	return checks(same("the record is a trial's", dev.Holds.Trial, true), that(strings.Contains(shown, "On trial"), "device show says %q", shown), switchOff(ctx, r))
}

// livesOn takes the version through the rest of its life.
func livesOn(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, v store.Version) error {
	ref := v.Ref().String()
	again := []string{"deploy", l.Serial, "--image", ref, "--data-saved", "--confirm", trialName}
	released, err := d.CLI(ctx, "image", "release", ref)
	if err != nil {
		return err
	}
	e.Say("%s", strings.TrimSpace(released))
	if err := checks(that(strings.Contains(released, "1 device carries it"), "release says %q", released), refused(ctx, e, d, job.CodeVersionState, "image", "delete", ref)); err != nil {
		return err
	}
	if _, err := d.CLI(ctx, "image", "retire", ref, "--reason", "the case goes on"); err != nil {
		return err
	}
	if err := checks(refused(ctx, e, d, job.CodeWithdrawn, again...), refused(ctx, e, d, job.CodeHeld, "image", "delete", ref)); err != nil {
		return err
	}
	if err := d.Do(ctx, []string{"image", "release", ref, "--reason", "the wrong one was retired"}, again, []string{"image", "withdraw", ref, "--reason", "a password in it"}); err != nil {
		return err
	}
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	if err := toldWithdrawn(ctx, e, d, l); err != nil {
		return err
	}
	if err := r.Kill(); err != nil {
		return err
	}
	if err := d.Do(ctx, []string{"image", "delete", ref, "--force", "--reason", "room"}, []string{"gc"}); err != nil {
		return err
	}
	var who []store.Recipient
	if err := d.Read(ctx, &who, "image", "devices", ref); err != nil {
		return err
	}
	return checks(same("who received it", len(who), 1), that(len(who) == 1 && who[0].Holds && who[0].Trial && who[0].Serial == l.Serial, "the record is %+v", who))
}

// toldWithdrawn waits until the order that waited has ended because its version was withdrawn; the laptop carries what
// it carried.
func toldWithdrawn(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop) error {
	for {
		var jobs []store.JobView
		if err := d.Read(ctx, &jobs, "job", "list", "--all"); err != nil {
			return err
		}
		for _, j := range jobs {
			if j.State != job.Failed {
				continue
			}
			e.Say("the order ended: %v", j.Fault)
			dev, err := d.device(ctx, l.Serial)
			if err != nil {
				return err
			}
			return checks(that(j.Fault != nil && j.Fault.Code == job.CodeWithdrawn, "it ended with %v", j.Fault), same("the device", dev.State, store.Deployed))
		}
		if err := pause(ctx, "the end of the order"); err != nil {
			return err
		}
	}
}

// refused holds that a command is refused with a code.
func refused(ctx context.Context, e *Env, d *Daemon, code job.Code, args ...string) error {
	_, err := d.CLI(ctx, args...)
	exit := &ExitError{}
	if !asExit(err, &exit) || !containsCode(exit.Words, code) {
		return fmt.Errorf("%s: %v; want a refusal with %s", strings.Join(args, " "), err, code)
	}
	e.Say("refused: %s", exit.Words)
	return nil
}
