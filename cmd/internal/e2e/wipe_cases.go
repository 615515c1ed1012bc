package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/store"
)

// wipeCases prove that what a wipe says is gone, is: the host reads the whole file behind each drive afterwards. The
// drives are filled with known random data before; every certificate verifies offline, and not with a byte changed.
func wipeCases() []Case {
	return []Case{
		{"wipe-sata-overwrite", "a returned laptop with a magnetic SATA drive is overwritten, read back and certified; nothing of its data is left", nil,
			func(ctx context.Context, e *Env) error {
				return wipesClean(ctx, e, wipeLaptop(lab.BIOS, platter("WDLAB0001")), wipe.Overwrite)
			}},
		{"wipe-nvme-format", "the same with NVMe, by Format with secure erase, under Secure Boot", nil,
			func(ctx context.Context, e *Env) error {
				return wipesClean(ctx, e, wipeLaptop(lab.SecureBoot, &lab.Drive{Bus: lab.NVMe, Serial: "S4LAB0001", Size: wipeSize}), wipe.FormatUser)
			}},
		{"wipe-two-drives", "both drives of a laptop are wiped at the same time, each with a certificate of its own", nil, wipesTwo},
		{"wipe-then-deploy", "one order wipes a laptop and puts the next owner's image on it, without another start", nil, wipesThenDeploys},
		{"wipe-power-loss", "power lost in mid-wipe, and the daemon killed: no certificate, the next start says so, a second order wipes it", nil, wipeLosesPower},
		{"wipe-gate", "nothing gives a returned laptop away before its certificates: not the command line, the API, the page, the zero-touch policy, nor a deploy; a wrong serial in the browser orders nothing, the right one a wipe; a dead one leaves by the page alone", nil, wipeGate},
	}
}

const wipeSize = 96 << 20

func platter(serial string) *lab.Drive {
	return &lab.Drive{Bus: lab.SATA, Serial: serial, Size: wipeSize, Platter: true, Cache: "none"}
}

func wipeLaptop(fw lab.Firmware, drives ...*lab.Drive) *lab.Laptop {
	l := Laptop(6, fw, lab.NVMe)
	l.Drives = drives
	return l
}

// wiping is a laptop that came back, full of known data.
type wiping struct {
	d      *Daemon
	laptop *lab.Laptop
	run    *lab.Run
	id     job.ID
	key    string
	data   []*secrets // of each drive
}

const wipeName = "LAB-0006"

// cameBack fills a laptop's drives, has it adopted, and takes it back from its owner. It is switched off.
func cameBack(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop) (*wiping, error) {
	x := &wiping{d: d, laptop: l}
	if err := e.Bench.Fit(ctx, l); err != nil {
		return nil, err
	}
	if err := x.used(e); err != nil {
		return nil, err
	}
	r, code, err := showsCode(ctx, e, l)
	if err != nil {
		return nil, err
	}
	if _, err := d.CLI(ctx, "device", "adopt", code, "--name", wipeName); err != nil {
		return nil, err
	}
	if err := r.Kill(); err != nil {
		return nil, err
	}
	if err := x.isFull(); err != nil {
		return nil, err
	}
	if err := d.Do(ctx, []string{"device", "lost", l.Serial, "--note", "left in a train"}, []string{"device", "found", l.Serial, "--from", "the porter"}); err != nil {
		return nil, err
	}
	return x, x.learnKey(ctx)
}

// used fills the drives with what its owner has on them.
func (x *wiping) used(e *Env) error {
	for i, drive := range x.laptop.Drives {
		s, err := fillSecret(drive.Path(), e.Seed+uint64(i)+1)
		if err != nil {
			return err
		}
		x.data = append(x.data, s)
	}
	return nil
}

// isFull holds that all of it is there still.
func (x *wiping) isFull() error {
	for i, s := range x.data {
		left, err := s.left(x.laptop.Drives[i].Path())
		if err != nil {
			return err
		}
		if left != s.sectors() {
			return fmt.Errorf("before the wipe drive %d holds %d of its %d sectors: the case would prove nothing", i, left, s.sectors())
		}
	}
	return nil
}

// learnKey asks the server for the key by which its certificates are verified.
func (x *wiping) learnKey(ctx context.Context) error {
	key, err := x.d.CLI(ctx, "cert", "key", "-o", "json")
	if err != nil {
		return err
	}
	if m := keyForm.FindStringSubmatch(key); m != nil {
		x.key = m[1]
	}
	return that(x.key != "", "the server prints no key: %q", key)
}

var keyForm = regexp.MustCompile(`"key": "([0-9a-f]{64})"`)

// wipeBench is a daemon with an open bench.
func wipeBench(ctx context.Context, e *Env) (*Daemon, error) {
	d, err := e.StartDaemon(ctx, fullDHCP...)
	if err != nil {
		return nil, err
	}
	return d, d.Do(ctx, cmd("bench open 8h"))
}

// orders orders the wipe by the laptop's serial.
func (x *wiping) orders(ctx context.Context, more ...string) error {
	var jobs []store.JobView
	if err := x.d.Read(ctx, &jobs, append([]string{"wipe", x.laptop.Serial, "--yes"}, more...)...); err != nil {
		return err
	}
	if len(jobs) != 1 {
		return fmt.Errorf("the order named %d jobs; want 1", len(jobs))
	}
	x.id = jobs[0].ID
	return nil
}

// ends starts the laptop and waits for the end of its job.
func (x *wiping) ends(ctx context.Context, e *Env) (j store.JobView, err error) {
	if x.run, err = e.PowerOn(ctx, x.laptop); err != nil {
		return j, err
	}
	return x.d.waitJob(ctx, x.id)
}

func wipesClean(ctx context.Context, e *Env, l *lab.Laptop, technique wipe.Technique) error {
	d, err := wipeBench(ctx, e)
	if err != nil {
		return err
	}
	return comesBackAndIsWiped(ctx, e, d, l, map[string]wipe.Technique{l.Drives[0].Serial: technique}, "--place", "the lab")
}

// comesBackAndIsWiped takes a laptop back, wipes it, and wants nothing of its drives left and a certificate for each.
func comesBackAndIsWiped(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, by map[string]wipe.Technique, flags ...string) error {
	x, err := cameBack(ctx, e, d, l)
	if err != nil {
		return err
	}
	if err := x.orders(ctx, flags...); err != nil {
		return err
	}
	j, err := x.ends(ctx, e)
	if err != nil {
		return err
	}
	if err := x.isWiped(ctx, e, j); err != nil {
		return err
	}
	return x.certified(ctx, e, by)
}

// isWiped holds job and device, and reads every drive's file whole once the laptop is off.
func (x *wiping) isWiped(ctx context.Context, e *Env, j store.JobView) error {
	if err := checks(same("the job", j.State, job.Done)); err != nil {
		return fmt.Errorf("%w: %v", err, j.Fault)
	}
	dev, err := x.d.device(ctx, x.laptop.Serial)
	if err != nil {
		return err
	}
	if err := checks(same("the device", dev.State, store.Ready), x.saysCertificates(ctx), x.run.Kill()); err != nil {
		return err
	}
	return x.nothingLeft(e)
}

// saysCertificates holds that the laptop named a certificate for each drive on its console.
func (x *wiping) saysCertificates(ctx context.Context) error {
	for _, d := range x.laptop.Drives {
		line := regexp.MustCompile(`ingot: drive ` + regexp.QuoteMeta(d.Serial) + ` wiped, certificate W-\d{6}`)
		if _, err := x.run.Console.WaitAfter(ctx, 0, line); err != nil {
			return err
		}
	}
	return nil
}

// nothingLeft reads the files behind the drives.
func (x *wiping) nothingLeft(e *Env) error {
	for i, s := range x.data {
		left, err := s.left(x.laptop.Drives[i].Path())
		if err != nil {
			return err
		}
		e.Say("drive %s: %d of %d sectors of the former owner's data are left in its file", x.laptop.Drives[i].Serial, left, s.sectors())
		if left != 0 {
			return fmt.Errorf("drive %s holds %d sectors of the former owner's data", x.laptop.Drives[i].Serial, left)
		}
	}
	return nil
}

func wipesTwo(ctx context.Context, e *Env) error {
	l := wipeLaptop(lab.BIOS, &lab.Drive{Bus: lab.NVMe, Serial: "S4LAB0002", Size: wipeSize}, platter("WDLAB0002"))
	d, err := wipeBench(ctx, e)
	if err != nil {
		return err
	}
	return comesBackAndIsWiped(ctx, e, d, l, map[string]wipe.Technique{"S4LAB0002": wipe.FormatUser, "WDLAB0002": wipe.Overwrite})
}

func wipesThenDeploys(ctx context.Context, e *Env) error {
	small, err := smallBench(ctx, e, 32)
	if err != nil {
		return err
	}
	if err := importHalting(ctx, e, small.d); err != nil {
		return err
	}
	l := wipeLaptop(lab.BIOS, platter("WDLAB0003"))
	l.Drives[0].Size = smallDrive
	x, err := cameBack(ctx, e, small.d, l)
	if err != nil {
		return err
	}
	if _, err := x.d.CLI(ctx, "deploy", l.Serial, "--image", "small", "--no-personalise"); !refusedWith(err, job.CodeReturned) {
		return fmt.Errorf("an image onto a returned laptop: %v; want %s", err, job.CodeReturned)
	}
	if err := x.orders(ctx, "--then-image", "halts", "--then-no-personalise"); err != nil {
		return err
	}
	j, err := x.ends(ctx, e)
	if err != nil {
		return err
	}
	if err := checks(same("the wipe", j.State, job.Done), that(j.Wipe.ThenJob != "", "no image followed: %v", j.Wipe.ThenFault)); err != nil {
		return fmt.Errorf("%w: %v", err, j.Fault)
	}
	next, err := x.d.waitJob(ctx, j.Wipe.ThenJob)
	if err != nil {
		return err
	}
	dev, err := x.d.device(ctx, l.Serial)
	if err != nil {
		return err
	}
	if err := checks(same("the deploy", next.State, job.Done), same("the device", dev.State, store.Deployed), x.run.Kill()); err != nil {
		return fmt.Errorf("%w: %v", err, next.Fault)
	}
	return checks(x.nothingLeft(e), x.certified(ctx, e, map[string]wipe.Technique{"WDLAB0003": wipe.Overwrite}))
}

// importHalting imports an image with boot code that does nothing: the firmware starts it, and there it stays.
func importHalting(ctx context.Context, e *Env, d *Daemon) error {
	file := filepath.Join(e.Dir, "halts.raw")
	if err := makeDisk(ctx, file, smallImage, 32, 2); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte{0xfa, 0xf4, 0xeb, 0xfd}, 0) // cli; hlt; jmp to the hlt
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	_, err = d.CLI(ctx, "image", "import", file, "--image", "halts", "--label", "1", "--note", "made by the lab", "--release")
	return err
}

func wipeLosesPower(ctx context.Context, e *Env) error {
	d, err := wipeBench(ctx, e)
	if err != nil {
		return err
	}
	l := wipeLaptop(lab.BIOS, platter("WDLAB0004"))
	x, err := cameBack(ctx, e, d, l)
	if err != nil {
		return err
	}
	l.Drives[0].WriteLimit = 2 << 20
	if err := x.orders(ctx); err != nil {
		return err
	}
	if err := x.losesPower(ctx, e); err != nil {
		return err
	}
	l.Drives[0].WriteLimit = 0
	j, err := x.ends(ctx, e)
	if err != nil {
		return err
	}
	dev, err := d.device(ctx, l.Serial)
	if err != nil {
		return err
	}
	files, err := x.exported(ctx, e)
	if err := checks(err, same("the job of the wipe that was cut off", j.State, job.Failed), that(j.Fault != nil && j.Fault.Code == job.CodeWipeInterrupted, "it says %v; want %s", j.Fault, job.CodeWipeInterrupted), same("the device", dev.State, store.Returned),
		same("certificates", len(files), 0), x.run.Kill()); err != nil {
		return fmt.Errorf("%w: %v", err, j.Fault)
	}
	e.Say("settled: %s", j.Fault)
	if err := x.orders(ctx); err != nil {
		return fmt.Errorf("the second order: %w", err)
	}
	if j, err = x.ends(ctx, e); err != nil {
		return err
	}
	if err := x.isWiped(ctx, e, j); err != nil {
		return err
	}
	return x.certified(ctx, e, map[string]wipe.Technique{"WDLAB0004": wipe.Overwrite})
}

// losesPower cuts the laptop off in mid-wipe, pulls the cable before, and kills the daemon too.
func (x *wiping) losesPower(ctx context.Context, e *Env) (err error) {
	if x.run, err = e.PowerOn(ctx, x.laptop); err != nil {
		return err
	}
	if _, err := x.run.Console.WaitAfter(ctx, 0, regexp.MustCompile(`ingot: drive \S+ begun: `)); err != nil {
		return err
	}
	if err := x.run.Cable(false); err != nil {
		return err
	}
	if err := waitWritten(ctx, x.data[0], x.laptop.Drives[0].Path()); err != nil {
		return err
	}
	if err := checks(x.run.Kill(), x.d.Kill()); err != nil {
		return err
	}
	left, err := x.data[0].left(x.laptop.Drives[0].Path())
	if err != nil {
		return err
	}
	e.Say("no power, %d of %d sectors are left; daemon killed", left, x.data[0].sectors())
	if left == 0 || left == x.data[0].sectors() {
		return errors.New("the power was not lost in mid-wipe: the case would prove nothing")
	}
	return x.d.Start(ctx)
}
