package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

// preflightCases hold what is asked before the first write: at the order, and once more on the laptop, which may be
// another since. Whatever is refused, or waits, leaves the drive bit-equal.
func preflightCases() []Case {
	return []Case{
		{"firmware-mismatch", "an image that starts by UEFI only is refused for a BIOS laptop at the order, and by a laptop that was changed to BIOS since", nil, firmwareMismatch},
		{"two-drives", "a laptop that gained a second drive since the order refuses, the next order is refused, and one that names the drive can be stopped by Esc and touches no other", nil, twoDrives},
		{"low-battery", "a laptop at 12 % without its charger waits and writes nothing, and goes on by itself to a good end when it is plugged in", needPlain, lowBattery},
	}
}

func firmwareMismatch(ctx context.Context, e *Env) error {
	x, err := smallBench(ctx, e, 8)
	if err != nil {
		return err
	}
	if x.version, err = importUEFIOnly(ctx, e, x.d); err != nil {
		return err
	}
	old, err := fitUsed(ctx, e, x.laptop)
	if err != nil {
		return err
	}
	if err := x.meet(ctx, e); err != nil {
		return err
	}
	if err := checks(x.orderIsRefused(ctx, e, job.CodeFirmwareMode), x.run.Kill(), old.unchanged()); err != nil {
		return err
	}
	x.laptop.Firmware = lab.UEFI
	if x.run, err = e.PowerOn(ctx, x.laptop); err != nil {
		return err
	}
	if err := checks(x.run.Console.WaitFor(ctx, "ingot: hello accepted"), x.run.Kill(), x.orderSmall(ctx, e)); err != nil {
		return err
	}
	x.laptop.Firmware = lab.BIOS
	if x.run, err = e.PowerOn(ctx, x.laptop); err != nil {
		return err
	}
	return checks(x.refusesOnTheLaptop(ctx, e, job.CodeFirmwareMode), old.unchanged())
}

// importUEFIOnly imports a disk with the signed loader on an EFI partition and no program in its first sector, as
// the next version of image "small".
func importUEFIOnly(ctx context.Context, e *Env, d *Daemon) (store.Version, error) {
	file, esp := filepath.Join(e.Dir, "uefi.raw"), filepath.Join(e.Dir, "esp")
	shim, err := filepath.Glob(filepath.Join(bundleDir(e.Cache), "current", "shimx64.efi"))
	if err != nil || len(shim) != 1 {
		return store.Version{}, fmt.Errorf("the boot bundle has no shim: %v", err)
	}
	if err := checks(emptyFile(file, smallImage), emptyFile(esp, 64*mib)); err != nil {
		return store.Version{}, err
	}
	for _, argv := range [][]string{
		{"mkfs.vfat", esp}, {"mmd", "-i", esp, "::/EFI", "::/EFI/BOOT"}, {"mcopy", "-i", esp, shim[0], "::/EFI/BOOT/BOOTX64.EFI"},
		{"sgdisk", "-n", "1:2048:+64M", "-t", "1:ef00", file}, {"dd", "if=" + esp, "of=" + file, "bs=1M", "seek=1", "conv=notrunc,sparse"},
	} {
		if _, err := lab.Command(ctx, argv...); err != nil {
			return store.Version{}, err
		}
	}
	var got []store.Version
	if err := d.Read(ctx, &got, "image", "import", file, "--image", "small", "--label", "uefi", "--note", "made by the lab", "--release"); err != nil {
		return store.Version{}, err
	}
	if len(got) != 1 || len(got[0].Loaders) != 1 {
		return store.Version{}, fmt.Errorf("the import gave %+v; want one version with one loader", got)
	}
	words, err := d.CLI(ctx, "image", "show", got[0].Ref().String())
	if err != nil {
		return got[0], err
	}
	e.Say("%s", strings.TrimSpace(regexp.MustCompile(`Starts by.*`).FindString(words)))
	return got[0], checks(same("firmware", strings.Join(got[0].Firmware, " "), "uefi"),
		that(strings.Contains(words, "Microsoft"), "the version does not tell who signed its loader: %s", words))
}

// orderIsRefused holds that the order is refused with a code and makes no job.
func (x *running) orderIsRefused(ctx context.Context, e *Env, code job.Code, more ...string) error {
	_, err := x.d.deploy(ctx, order{x.laptop, "small", faultName}, append([]string{"--no-personalise"}, more...)...)
	exit := &ExitError{}
	if !asExit(err, &exit) {
		return checks(err, that(err != nil, "the order was taken"))
	}
	e.Say("the order is refused: %s", exit.Words)
	return that(containsCode(exit.Words, code), "the refusal is %q; want %s", exit.Words, code)
}

// refusesOnTheLaptop holds that the running laptop takes the order and refuses it before the first write.
func (x *running) refusesOnTheLaptop(ctx context.Context, e *Env, code job.Code) error {
	m, err := x.run.Console.WaitAfter(ctx, 0, failedLine)
	if err != nil {
		return err
	}
	e.Say("the laptop says: %s", m[1])
	j, err := x.d.waitJob(ctx, x.id)
	if err != nil {
		return err
	}
	dev, err := x.d.device(ctx, x.laptop.Serial)
	if err != nil {
		return err
	}
	return checks(that(containsCode(m[1], code), "the laptop says %q; want %s", m[1], code), same("the job", j.State, job.Failed),
		that(j.Fault != nil && j.Fault.Code == code, "the job's fault is %v", j.Fault),
		that(j.Result != nil && !j.Result.DiskTouched, "the result is %+v", j.Result),
		that(j.Found != nil && len(j.Found.Holds) > 0, "the job does not tell what lay on the drive: %+v", j.Found),
		same("the device", dev.State, store.Ready), x.run.Kill())
}

func twoDrives(ctx context.Context, e *Env) error {
	x, err := smallBenchWith(ctx, e, 8, append([]string{"--countdown", "45s"}, fullDHCP...)) // so that Esc comes in time on any machine
	if err != nil {
		return err
	}
	first, err := fitUsed(ctx, e, x.laptop)
	if err != nil {
		return err
	}
	if err := x.meet(ctx, e); err != nil {
		return err
	}
	if err := checks(x.run.Kill(), x.orderSmall(ctx, e)); err != nil {
		return err
	}
	second, err := x.gainDrive(ctx, e)
	if err != nil {
		return err
	}
	if x.run, err = e.PowerOn(ctx, x.laptop); err != nil {
		return err
	}
	if err := checks(x.refusesOnTheLaptop(ctx, e, job.CodeManyDrives), first.unchanged(), second.unchanged(), x.orderIsRefused(ctx, e, job.CodeManyDrives)); err != nil {
		return err
	}
	if err := x.stoppedByEsc(ctx, e); err != nil {
		return err
	}
	if err := checks(first.unchanged(), second.unchanged()); err != nil {
		return err
	}
	e.Say("both drives are bit-equal")
	if err := x.orderDrive(ctx, e); err != nil {
		return err
	}
	if x.run, err = e.PowerOn(ctx, x.laptop); err != nil {
		return err
	}
	if err := checks(x.reaches(ctx, "ingot: state flushed"), x.run.Kill(), second.unchanged()); err != nil {
		return err
	}
	e.Say("only the named drive was written")
	return that(first.unchanged() != nil, "the named drive was not written")
}

// gainDrive opens the case and fits one more drive, with data, of the same size.
func (x *running) gainDrive(ctx context.Context, e *Env) (used, error) {
	more := &lab.Drive{Bus: lab.NVMe, Serial: "S4SECOND", Size: smallDrive, Cache: "none"}
	l := x.sameLaptopWith(more)
	l.Name, l.Drives = "two-drives", []*lab.Drive{x.laptop.Drives[0], more}
	x.laptop = l
	if err := e.Bench.Fit(ctx, l); err != nil {
		return used{}, err
	}
	if err := makeDisk(ctx, more.Path(), more.Size, 24, 3); err != nil {
		return used{}, err
	}
	sum, err := sumFile(more.Path())
	return used{more.Path(), sum}, err
}

func (x *running) orderDrive(ctx context.Context, e *Env) (err error) {
	x.id, err = x.d.deploy(ctx, order{x.laptop, "small", faultName}, "--no-personalise", "--drive", x.laptop.Drives[0].Serial)
	return err
}

// stoppedByEsc orders for the named drive and presses Esc during the countdown.
func (x *running) stoppedByEsc(ctx context.Context, e *Env) (err error) {
	if err := x.orderDrive(ctx, e); err != nil {
		return err
	}
	if x.run, err = e.PowerOn(ctx, x.laptop); err != nil {
		return err
	}
	m, err := x.run.Console.WaitAfter(ctx, 0, regexp.MustCompile(`ingot: (writing starts in [^\n]*|failed[^\n]*)\n`))
	if err != nil {
		return err
	}
	e.Say("the laptop says: %s", m[1])
	if err := that(strings.Contains(m[1], x.laptop.Drives[0].Serial), "it does not name the drive"); err != nil {
		return err
	}
	if _, err := x.run.Monitor("sendkey esc"); err != nil {
		return err
	}
	if err := x.run.Console.WaitFor(ctx, "ingot: cancelled, nothing was written"); err != nil {
		return err
	}
	j, err := x.d.waitJob(ctx, x.id)
	if err != nil {
		return err
	}
	return checks(same("the job", j.State, job.Cancelled), that(j.Result != nil && !j.Result.DiskTouched, "the result is %+v", j.Result), x.run.Kill())
}

func lowBattery(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	v, err := importGolden(ctx, e, d, golden.Plain)
	if err != nil {
		return err
	}
	l := Laptop(7, lab.BIOS, lab.NVMe)
	l.Battery, l.Drives[0].Size, l.Drives[0].Cache = 12, 3*gib, "none"
	old, err := fitUsed(ctx, e, l)
	if err != nil {
		return err
	}
	x := &running{d: d, version: v, laptop: l}
	if x.run, x.id, err = adoptAndDeploy(ctx, e, d, order{l, "sales", faultName}); err != nil {
		return err
	}
	if err := x.reaches(ctx, "ingot: waiting "+string(job.CodeLowBattery)); err != nil {
		return err
	}
	if err := x.waitsAndWritesNothing(ctx, e, old); err != nil {
		return err
	}
	e.Say("the charger is plugged in")
	if err := checks(x.run.Charger(true), x.reaches(ctx, "ingot: going on, battery 12 %, plugged in")); err != nil {
		return err
	}
	if _, err := x.endsWell(ctx, e); err != nil {
		return err
	}
	j, err := d.job(ctx, x.id)
	if err != nil {
		return err
	}
	return that(j.Found != nil && j.Found.Power.Mains && len(j.Found.Holds) > 0 && j.Found.Health.State == job.HealthGood,
		"the job's record says %+v of the laptop before its first write", j.Found)
}

// waitsAndWritesNothing holds that a laptop without power says so, at the server too, and leaves its drive alone for
// as long as it waits.
func (x *running) waitsAndWritesNothing(ctx context.Context, e *Env, old used) error {
	for {
		j, err := x.d.job(ctx, x.id)
		if err != nil {
			return err
		}
		if p := j.Progress; p != nil && strings.Contains(p.Say, "plug in") {
			e.Say("at the server: job %s, %s", j.State, p.Say)
			if err := same("the job", j.State, job.Claimed); err != nil {
				return err
			}
			break
		}
		if err := pause(ctx, "the server to hear of the battery"); err != nil {
			return err
		}
	}
	words, err := x.d.CLI(ctx, "device", "show", x.laptop.Serial)
	if err != nil {
		return err
	}
	picture := filepath.Join(e.Cache, "low-battery.png")
	if err := checks(that(strings.Contains(words, "battery 12 %, not plugged in"), "device show does not tell the battery: %s", words),
		that(strings.Contains(words, "good ("), "device show does not tell the drive's health: %s", words), x.run.Screenshot(picture)); err != nil {
		return err
	}
	e.Say("picture of the screen: %s", picture)
	select { // that nothing happens takes time
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(15 * time.Second):
	}
	j, err := x.d.job(ctx, x.id)
	if err != nil {
		return err
	}
	_, err = os.Stat(old.path)
	return checks(err, same("the job", j.State, job.Claimed), old.unchanged())
}
