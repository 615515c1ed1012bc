package e2e

import (
	"context"
	"fmt"

	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
)

// refusalCases order what must not be done: it is refused in plain words, and the drive stays bit-equal.
func refusalCases() []Case {
	return []Case{
		{"small-disk", "a drive smaller than the image is refused before any write", nil, func(ctx context.Context, e *Env) error {
			return refusedDrive(ctx, e, &lab.Drive{Bus: lab.NVMe, Serial: "S4SMALL", Size: smallImage / 2}, job.CodeSmallDrive)
		}},
		{"sector-mismatch", "a drive of another sector size is refused before any write", nil, func(ctx context.Context, e *Env) error {
			return refusedDrive(ctx, e, &lab.Drive{Bus: lab.NVMe, Serial: "S4FOURK", Size: smallDrive, SectorSize: 4096}, job.CodeSectorSize)
		}},
		{"wrong-disk", "a drive changed after the order, for another or for a larger one with its serial, is refused before any write", nil, wrongDisk},
		{"cancel", "cancelled before the first write the drive stays bit-equal; after it, it does not boot", nil, cancelled},
	}
}

// refusedDrive holds that an order for a laptop with this drive is refused.
func refusedDrive(ctx context.Context, e *Env, drive *lab.Drive, code job.Code) error {
	x, err := smallBench(ctx, e, 8)
	if err != nil {
		return err
	}
	x.laptop.Drives[0] = drive
	old, err := fitUsed(ctx, e, x.laptop)
	if err != nil {
		return err
	}
	if err := x.meet(ctx, e); err != nil {
		return err
	}
	err = x.orderSmall(ctx, e)
	exit := &ExitError{}
	if !asExit(err, &exit) {
		return checks(err, that(err != nil, "the order was taken"))
	}
	e.Say("refused: %s", exit.Words)
	dev, err := x.d.device(ctx, x.laptop.Serial)
	if err != nil {
		return err
	}
	return checks(that(containsCode(exit.Words, code), "the refusal is %q; want %s", exit.Words, code),
		that(dev.Job == nil, "a job was made"), x.run.Kill(), old.unchanged())
}

// wrongDisk orders while the laptop is off, and starts it with a drive that is not the approved one: another
// serial, then the approved serial on a drive of another size.
func wrongDisk(ctx context.Context, e *Env) error {
	x, err := smallBench(ctx, e, 8)
	if err != nil {
		return err
	}
	approved, err := fitUsed(ctx, e, x.laptop)
	if err != nil {
		return err
	}
	if err := x.meet(ctx, e); err != nil {
		return err
	}
	if err := x.run.Kill(); err != nil {
		return err
	}
	for _, drive := range []*lab.Drive{
		{Bus: lab.NVMe, Serial: "S9OTHER", Size: smallDrive},
		{Bus: lab.NVMe, Serial: "S9OTHER", Size: smallDrive + 64*mib},
	} {
		if err := x.orderSmall(ctx, e); err != nil { // for the drive that the laptop had when it was last seen
			return err
		}
		if err := x.isSentAway(ctx, e, x.sameLaptopWith(drive)); err != nil {
			return err
		}
		j, err := x.d.waitJob(ctx, x.id)
		if err != nil {
			return err
		}
		e.Say("the job was for drive %s of %d bytes; its fault: %v", j.Target.Serial, j.Target.SizeBytes, j.Fault)
		if err := checks(same("the job", j.State, job.Failed), that(j.Fault != nil && j.Fault.Code == job.CodeWrongDrive, "the fault is %v", j.Fault)); err != nil {
			return err
		}
	}
	return approved.unchanged()
}

func cancelled(ctx context.Context, e *Env) error {
	x, err := smallBench(ctx, e, 64)
	if err != nil {
		return err
	}
	old, err := fitUsed(ctx, e, x.laptop)
	if err != nil {
		return err
	}
	if err := x.meet(ctx, e); err != nil {
		return err
	}
	if err := x.cancelBeforeWrite(ctx, e); err != nil {
		return err
	}
	if err := checks(x.run.Kill(), old.unchanged()); err != nil {
		return err
	}
	e.Say("the drive is bit-equal")
	return x.cancelInMidWrite(ctx, e)
}

// cancelBeforeWrite orders and cancels while the waiting laptop's cable is out. When it is in again, the
// laptop has the order in its hands, asks whether it may begin, and hears that it may not.
func (x *running) cancelBeforeWrite(ctx context.Context, e *Env) error {
	if err := x.orderOnTheWay(ctx, e); err != nil {
		return err
	}
	if _, err := x.d.CLI(ctx, "job", "cancel", string(x.id)); err != nil {
		return err
	}
	if err := x.run.Cable(true); err != nil {
		return err
	}
	j, err := x.d.waitJob(ctx, x.id)
	if err != nil {
		return err
	}
	if err := x.run.Console.WaitFor(ctx, "ingot: cancelled, nothing was written"); err != nil {
		return err
	}
	return checks(same("the job", j.State, job.Cancelled), that(j.Result != nil && !j.Result.DiskTouched, "the result is %+v", j.Result))
}

// orderOnTheWay takes the cable out and gives an order that the daemon has handed out and the laptop does not
// have yet. The daemon can do so only while the laptop's question is open; a try that comes between two
// questions is taken back and made again.
func (x *running) orderOnTheWay(ctx context.Context, e *Env) error {
	for {
		if err := x.run.Cable(false); err != nil {
			return err
		}
		if err := x.orderSmall(ctx, e); err != nil {
			return err
		}
		for range 20 {
			j, err := x.d.job(ctx, x.id)
			if err != nil || j.AgentKey != "" {
				return err
			}
			if err := pause(ctx, "the order to be handed out"); err != nil {
				return err
			}
		}
		if _, err := x.d.CLI(ctx, "job", "cancel", string(x.id)); err != nil {
			return err
		}
		if err := x.run.Cable(true); err != nil {
			return err
		}
		e.Say("the laptop was between two questions; again")
		for range 25 { // until its next question is open
			if err := pause(ctx, "the laptop's next question"); err != nil {
				return err
			}
		}
	}
}

func (x *running) cancelInMidWrite(ctx context.Context, e *Env) (err error) {
	if err := x.orderSmall(ctx, e); err != nil {
		return err
	}
	x.laptop.Drives[0].WriteLimit = 4 << 20
	if x.run, err = e.PowerOn(ctx, x.laptop); err != nil {
		return err
	}
	if err := x.reaches(ctx, midWrite); err != nil {
		return err
	}
	_, err = x.d.CLI(ctx, "job", "cancel", string(x.id))
	if exit := (&ExitError{}); !asExit(err, &exit) || !containsCode(exit.Words, job.CodeUnconfirmed) {
		return fmt.Errorf("cancel in mid-write, without the serial: %v; want a refusal with %s", err, job.CodeUnconfirmed)
	}
	if _, err := x.d.CLI(ctx, "job", "cancel", string(x.id), "--yes", "--serial", x.laptop.Serial); err != nil {
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
	dev, err := x.d.device(ctx, x.laptop.Serial)
	if err != nil {
		return err
	}
	if err := checks(same("the job", j.State, job.Cancelled), that(containsCode(m[1], job.CodeCancelled), "the laptop says %q", m[1]),
		that(j.Result != nil && j.Result.DiskTouched, "the result is %+v", j.Result), same("the device", string(dev.State), "failed"),
		that(dev.Holds == nil, "a Deployment was recorded"), x.run.Kill()); err != nil {
		return err
	}
	return nothingStarts(ctx, e, x.laptop)
}
