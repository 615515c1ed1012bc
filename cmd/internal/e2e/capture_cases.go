package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

// captureCases prove that a reference machine's drive comes into the library, and out of it onto others, as it was.
func captureCases() []Case {
	return []Case{
		{"capture-linux", "a reference machine is captured from its NVMe drive, which stays bit-equal; a second laptop with a larger SATA drive gets every file of it, and starts under its own name",
			needPlain, captureLinux},
		{"capture-resume", "a capture whose daemon and whose laptop are killed in the middle goes on, and sends only what is missing", needPlain, captureResume},
		{"capture-backup", "a laptop in use is kept before it is imaged again: the backup names its date, no other laptop gets it, and its own gets every file back",
			needPlain, captureBackup},
		{"capture-ntfs", "an NTFS disk with a Windows-like tree and real registry hives is captured without its free space, and restored: ntfsfix and ntfsinfo find nothing, every file is equal", nil, captureNTFS},
	}
}

const (
	refName      = "REF-0001"
	capturedName = "LAB-0022"
)

// reference is a laptop whose drive holds the golden machine, before its first start.
func reference(ctx context.Context, e *Env, n int, fw lab.Firmware) (*lab.Laptop, error) {
	l := Laptop(n, fw, lab.NVMe)
	image, err := e.Golden(ctx, golden.Plain)
	if err != nil {
		return nil, err
	}
	if err := e.Bench.Fit(ctx, l); err != nil {
		return nil, err
	}
	_, err = lab.Command(ctx, "cp", "--sparse=always", image, l.Drives[0].Path())
	return l, err
}

// orderCapture starts a laptop, adopts it as a reference machine and orders its drive.
func orderCapture(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, more ...string) (*lab.Run, job.ID, error) {
	r, code, err := showsCode(ctx, e, l)
	if err != nil {
		return r, "", err
	}
	if _, err := d.CLI(ctx, "device", "adopt", code, "--name", refName); err != nil {
		return r, "", err
	}
	var jobs []store.JobView
	args := append([]string{"capture", l.Serial, "--image", "sales", "--label", "captured", "--note", "captured by the lab"}, more...)
	if err := d.Read(ctx, &jobs, args...); err != nil {
		return r, "", err
	}
	if len(jobs) != 1 {
		return r, "", fmt.Errorf("the order named %d jobs; want 1", len(jobs))
	}
	e.Say("adopted; job %s: drive %s is captured", jobs[0].ID, jobs[0].Target.Serial)
	return r, jobs[0].ID, nil
}

// capturedAs waits for a capture's end and gives its Version. The laptop was adopted, and never deployed.
func capturedAs(ctx context.Context, e *Env, d *Daemon, id job.ID) (store.Version, job.Captured, error) {
	v, c, err := captured(ctx, e, d, id)
	if err != nil {
		return v, c, err
	}
	dev, err := d.device(ctx, v.Device)
	return v, c, checks(err, same("the laptop's state", dev.State, store.Ready), that(dev.Holds == nil, "a deployment is recorded"))
}

// captured waits for a capture's end and gives its Version.
func captured(ctx context.Context, e *Env, d *Daemon, id job.ID) (v store.Version, c job.Captured, err error) {
	j, err := d.waitJob(ctx, id)
	if err != nil {
		return v, c, err
	}
	if err := same("the job", j.State, job.Done); err != nil {
		return v, c, fmt.Errorf("%w: %v", err, j.Fault)
	}
	for j.Result == nil { // the job is done with the Version; what the laptop tells of it comes right behind
		if err := pause(ctx, "the result of "+string(id)); err != nil {
			return v, c, err
		}
		if j, err = d.job(ctx, id); err != nil {
			return v, c, err
		}
	}
	var found []store.Version
	if err := d.Read(ctx, &found, "image", "show", j.Image.String()); err != nil {
		return v, c, err
	}
	if len(found) != 1 || j.Result.Captured == nil {
		return v, c, fmt.Errorf("%d versions are %s, the laptop tells %v", len(found), j.Image, j.Result.Captured)
	}
	v, c = found[0], *j.Result.Captured
	e.Say("captured as %s in %.0f s: read %d, sent %d bytes, %d were held; %d data bytes in %d extents; notes %q", v.Ref(), j.Result.Seconds, c.ReadBytes, c.SentBytes, c.HeldBytes, v.DataBytes, v.DataExtents, c.Notes)
	return v, c, checks(same("the proven manifest", c.Manifest, v.Manifest), same("unwritten, as the laptop's kernel counts", c.Unwritten, true),
		same("the version's device", v.Device, j.Device), that(v.StoredBytes > 0, "nothing was stored"))
}

func captureLinux(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	ref, err := reference(ctx, e, 21, lab.SecureBoot)
	if err != nil {
		return err
	}
	before, err := sumFile(ref.Drives[0].Path())
	if err != nil {
		return err
	}
	r, id, err := orderCapture(ctx, e, d, ref, "--release")
	if err != nil {
		return err
	}
	v, _, err := capturedAs(ctx, e, d, id)
	if err != nil {
		return err
	}
	if err := checks(switchesOff(ctx, r), same("the version", v.State, store.Released)); err != nil {
		return err
	}
	if err := (used{ref.Drives[0].Path(), before}).unchanged(); err != nil {
		return err
	}
	e.Say("the reference machine's drive is bit-equal to what it was")
	if err := importIsTheSame(ctx, e, d, v); err != nil {
		return err
	}
	if err := ontoAnother(ctx, e, d, v, ref.Drives[0].Path()); err != nil {
		return err
	}
	ref.DiskFirst = true
	if r, err = e.PowerOn(ctx, ref); err != nil {
		return err
	}
	return startsOwnSystem(ctx, e, r, 0, golden.HostName)
}

// switchesOff pulls the cable of a laptop that is done: it switches off then.
func switchesOff(ctx context.Context, r *lab.Run) error {
	if _, err := r.Console.WaitAfter(ctx, 0, doneLine); err != nil {
		return err
	}
	return checks(r.Cable(false), r.WaitOff(ctx))
}

// importIsTheSame holds that an import of the same disk finds exactly this: both ways in are one.
func importIsTheSame(ctx context.Context, e *Env, d *Daemon, v store.Version) error {
	got, err := importGolden(ctx, e, d, golden.Plain)
	if err != nil {
		return err
	}
	return checks(same("the imported content", got.Manifest, v.Manifest), same("the imported version", got.Ref().String(), v.Ref().String()))
}

// ontoAnother deploys the version to another laptop, looks at its drive before its system has ever run, and lets it run.
func ontoAnother(ctx context.Context, e *Env, d *Daemon, v store.Version, source string) error {
	l := Laptop(22, lab.UEFI, lab.SATA)
	r, code, err := showsCode(ctx, e, l)
	if err != nil {
		return err
	}
	if _, err := d.CLI(ctx, "device", "adopt", code); err != nil {
		return err
	}
	id, err := d.deploy(ctx, order{l, v.Ref().String(), capturedName}, "--power-off")
	if err != nil {
		return err
	}
	if _, err := startsFromCopy(ctx, e, d, l, r, id, source, capturedName); err != nil {
		return err
	}
	dev, err := d.waitObserved(ctx, l)
	if err != nil {
		return err
	}
	return recordIs(dev, v, capturedName)
}

// startsFromCopy waits for a deploy that switches its laptop off, compares every file of the drive with source before
// the system has ever run, and starts the laptop from it.
func startsFromCopy(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, r *lab.Run, id job.ID, source, name string) (*lab.Run, error) {
	j, err := d.waitJob(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := same("the deploy", j.State, job.Done); err != nil {
		return nil, fmt.Errorf("%w: %v", err, j.Fault)
	}
	if err := switchesOff(ctx, r); err != nil {
		return nil, err
	}
	if err := rootIsClean(ctx, e, l.Drives[0].Path()); err != nil {
		return nil, err
	}
	if err := filesAreTheSame(ctx, e, source, l.Drives[0].Path(), j.Result.Proof.Personalised.Files); err != nil {
		return nil, err
	}
	l.DiskFirst = true
	if r, err = e.PowerOn(ctx, l); err != nil {
		return nil, err
	}
	return r, startsOwnSystem(ctx, e, r, 0, name)
}

// filesAreTheSame compares every file of both roots and both EFI partitions, by kind, mode and content. Only what the
// proof says that personalising wrote may differ, and all of that is named.
func filesAreTheSame(ctx context.Context, e *Env, source, drive string, written []job.WrittenFile) error {
	own := map[string]bool{}
	for _, f := range written {
		for path := f.Path; path != "/"; path = filepath.Dir(path) { // and the folders that it made for them
			own[path] = true
		}
	}
	total := 0
	for _, part := range []struct {
		number int
		files  func(ctx context.Context, e *Env, path string, number int) (tree, error)
	}{{partRoot, extFiles}, {partESP, fatFiles}} {
		was, err := part.files(ctx, e, source, part.number)
		if err != nil {
			return err
		}
		is, err := part.files(ctx, e, drive, part.number)
		if err != nil {
			return err
		}
		var odd []string
		for _, path := range was.differs(is) {
			if part.number != partRoot || !own[path] {
				odd = append(odd, path)
			}
		}
		if len(odd) > 0 {
			return fmt.Errorf("partition %d: %d files differ that personalising did not write: %q", part.number, len(odd), odd[:min(len(odd), 20)])
		}
		total += len(was)
	}
	var names []string
	for _, f := range written {
		names = append(names, f.Path)
	}
	e.Say("%d files are equal by kind, mode and hash; personalising wrote %s", total, strings.Join(names, " "))
	return that(total > 5000, "only %d files were compared", total)
}

func captureNTFS(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	l := Laptop(24, lab.UEFI, lab.SATA)
	l.Drives[0].Size = windowsSize
	if err := e.Bench.Fit(ctx, l); err != nil {
		return err
	}
	was, err := makeWindowsDisk(ctx, e, l.Drives[0].Path())
	if err != nil {
		return fmt.Errorf("make the Windows disk: %w", err)
	}
	before, err := sumFile(l.Drives[0].Path())
	if err != nil {
		return err
	}
	r, id, err := orderCapture(ctx, e, d, l)
	if err != nil {
		return err
	}
	v, c, err := capturedAs(ctx, e, d, id)
	if err != nil {
		return err
	}
	if err := checks(switchesOff(ctx, r), (used{l.Drives[0].Path(), before}).unchanged()); err != nil {
		return err
	}
	out := filepath.Join(e.Dir, "restored.raw")
	if _, err := d.CLI(ctx, "image", "export", v.Ref().String(), out); err != nil {
		return err
	}
	volume, err := ntfsOf(ctx, e, out)
	if err != nil {
		return err
	}
	for _, argv := range [][]string{{"ntfsfix", "-n", volume}, {"ntfsinfo", "-m", volume}} {
		said, err := lab.Command(ctx, argv...)
		if err != nil {
			return fmt.Errorf("%w: %s", err, said)
		}
	}
	e.Say("ntfsfix -n and ntfsinfo find nothing wrong")
	var is tree
	err = e.mounted(ctx, volume, func(dir string) (err error) {
		if is, err = treeOf(dir); err != nil {
			return err
		}
		name, err := lab.Command(ctx, "hivexget", filepath.Join(dir, "Windows/System32/config/SYSTEM"), `\ControlSet001\Control\ComputerName\ComputerName`, "ComputerName")
		return checks(err, same("the name in the restored hive", strings.TrimSpace(name), "REF-WIN"))
	})
	if err != nil {
		return err
	}
	if odd := was.differs(is); len(odd) > 0 {
		return fmt.Errorf("%d files differ: %q", len(odd), odd[:min(len(odd), 20)])
	}
	e.Say("%d files are equal by kind, mode and hash", len(is))
	return checks(that(len(is) > 600, "only %d files were compared", len(is)),
		that(c.ReadBytes < windowsSize/4, "%d bytes were read; the free space is most of the disk", c.ReadBytes))
}
