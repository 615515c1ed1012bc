package e2e

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"ingot/cmd/internal/lab"
	"ingot/imaging/fs"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
	"ingot/store"
)

// renameCases prove that a name can be changed without anything else.
func renameCases() []Case {
	return []Case{{"rename", "a laptop in use gets another name, through a power cut: only the named files differ on its drive, its login prompt, call home and one boot entry carry the new name", needPlain, renames}}
}

const newName = "LAB-0002"

func renames(ctx context.Context, e *Env) error {
	x, err := arrive(ctx, e, lab.SecureBoot, lab.NVMe)
	if err != nil {
		return err
	}
	old, err := portray(ctx, x.sh)
	if err != nil {
		return err
	}
	if _, err := x.sh.Run(ctx, "dd if=/dev/urandom of=/root/work bs=1M count=8 status=none && mkdir -p /home/bo && echo 'dear diary' >/home/bo/diary && sync"); err != nil {
		return err
	}
	if err := switchOff(ctx, x.run); err != nil {
		return err
	}
	before, err := readDrive(x.laptop.Drives[0])
	if err != nil {
		return err
	}
	if err := x.takesName(ctx, e); err != nil {
		return err
	}
	dev, err := x.d.device(ctx, x.laptop.Serial)
	if err != nil {
		return err
	}
	after, err := readDrive(x.laptop.Drives[0])
	if err != nil {
		return err
	}
	if err := checks(same("the renamings on record", len(dev.Holds.Renamings), 1), before.differsOnlyIn(e, after, dev.Holds.Renamings)); err != nil {
		return err
	}
	return x.runsAs(ctx, e, newName, old)
}

// takesName orders the rename, cuts the power while the name is written, and starts the laptop again. It is off when
// the job is done.
func (x *arrived) takesName(ctx context.Context, e *Env) error {
	var jobs []store.JobView
	if err := x.d.Read(ctx, &jobs, "device", "rename", arrivedName, "--name", newName); err != nil {
		return err
	}
	id := jobs[0].ID
	e.Say("job %s: %s becomes %s", id, arrivedName, newName)
	r, err := e.PowerOn(ctx, x.laptop)
	if err != nil {
		return err
	}
	if err := r.Console.WaitFor(ctx, "ingot: state verified"); err != nil {
		return err
	}
	if err := r.Kill(); err != nil {
		return err
	}
	e.Say("power cut while the name is written")
	if r, err = e.PowerOn(ctx, x.laptop); err != nil {
		return err
	}
	if err := r.Console.WaitFor(ctx, "ingot: done"); err != nil {
		return err
	}
	if err := r.Kill(); err != nil { // before its own system writes anything
		return err
	}
	j, err := x.d.waitJob(ctx, id)
	if err != nil {
		return err
	}
	_, gone := x.d.CLI(ctx, "device", "show", arrivedName)
	exit := &ExitError{}
	return checks(same("the job", j.State, job.Done), same("its bindings", j.Bindings, 2),
		that(asExit(gone, &exit) && containsCode(exit.Words, job.CodeNotFound), "the old name still leads to a device: %v", gone))
}

// runsAs starts the laptop and looks at its own system.
func (x *arrived) runsAs(ctx context.Context, e *Env, name string, old portrait) error {
	r, err := e.PowerOn(ctx, x.laptop)
	if err != nil {
		return err
	}
	if err := startsOwnSystem(ctx, e, r, 0, name); err != nil {
		return err
	}
	sh, err := settled(ctx, e, r)
	if err != nil {
		return err
	}
	p, err := portray(ctx, sh)
	if err != nil {
		return err
	}
	dev, err := x.d.waitRenamed(ctx, x.laptop)
	if err != nil {
		return err
	}
	left, err := sh.Run(ctx, "cat /home/bo/diary; ls /var/lib/ingot /etc/systemd/system/ingot-* 2>/dev/null || true")
	if err != nil {
		return err
	}
	return checks(p.isNamed(name), menuIsRight(ctx, e, sh), same("state", dev.State, store.Deployed), same("name", dev.Name, name),
		same("the next name", dev.NextName, ""), same("the user's diary, and nothing of ours", left, "dear diary"),
		same("machine-id", p.MachineID, old.MachineID), same("SSH host keys", fmt.Sprint(p.HostKeys), fmt.Sprint(old.HostKeys)),
		that(!strings.Contains(p.Hosts, arrivedName), "/etc/hosts still holds the old name: %q", p.Hosts), r.Kill())
}

// waitRenamed waits until the system has called home after its rename.
func (d *Daemon) waitRenamed(ctx context.Context, l *lab.Laptop) (store.DeviceView, error) {
	for {
		dev, err := d.device(ctx, l.Serial)
		if err != nil {
			return dev, err
		}
		if n := len(dev.Holds.Renamings); n > 0 && dev.Holds.Renamings[n-1].Observed != nil {
			o := dev.Holds.Renamings[n-1].Observed
			d.env.Say("called home as %s", o.Hostname)
			return dev, same("the observed name", o.Hostname, dev.Name)
		}
		if err := pause(ctx, "the call home of "+l.Serial); err != nil {
			return dev, err
		}
	}
}

// contents is what a drive holds: each file of its root, and each other part of it, by digest.
type contents struct {
	files map[string]string
	rest  map[string]string // the tables, and the partitions but the root
}

// readDrive reads the drive of a laptop that is off, with our own readers and nobody else's.
func readDrive(d *lab.Drive) (c contents, err error) {
	f, err := os.Open(d.Path())
	if err != nil {
		return c, err
	}
	defer f.Close()
	c = contents{files: map[string]string{}, rest: map[string]string{}}
	t, err := gpt.ReadTable(f, d.Size, 512)
	if err != nil {
		return c, err
	}
	hash := func(what string, off, n int64) error {
		h := sha256.New()
		_, err := io.Copy(h, io.NewSectionReader(f, off, n))
		c.rest[what] = fmt.Sprintf("%x", h.Sum(nil))
		return err
	}
	if err := checks(hash("the first MiB", 0, mib), hash("the last 33 sectors", d.Size-33*512, 33*512)); err != nil {
		return c, err
	}
	for _, n := range t.Used() {
		p, _ := t.Partition(n)
		off, size := int64(p.First)*512, int64(p.Sectors())*512
		part := io.NewSectionReader(f, off, size)
		info, err := fs.Identify(part, size)
		if err != nil {
			return c, err
		}
		if info.Type != fs.Ext4 {
			if err := hash(fmt.Sprintf("partition %d (%s)", n, info.Type), off, size); err != nil {
				return c, err
			}
			continue
		}
		v, err := fs.Open(part, size)
		if err != nil {
			return c, err
		}
		if err := c.walk(v, "/"); err != nil {
			return c, err
		}
	}
	return c, that(len(c.files) > 1000 && len(c.rest) >= 3, "the drive holds %d files and %d other parts", len(c.files), len(c.rest))
}

func (c contents) walk(v *fs.Volume, dir string) error {
	list, err := v.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, s := range list {
		name := path.Join(dir, s.Name)
		switch s.Mode {
		case fs.Dir:
			c.files[name] = "folder"
			if err := c.walk(v, name); err != nil {
				return err
			}
		case fs.Regular:
			b, err := v.ReadFile(name, 1<<30)
			if err != nil {
				return err
			}
			c.files[name] = fmt.Sprintf("%x", sha256.Sum256(b))
		default:
			c.files[name] = fmt.Sprint(s.Mode, s.Size)
		}
	}
	return nil
}

// differsOnlyIn holds that the files that the proof names are all that differs.
func (c contents) differsOnlyIn(e *Env, after contents, by []store.Renaming) error {
	named := map[string]bool{}
	for _, f := range by[len(by)-1].Proof.Personalised.Files {
		named[f.Path] = true
		for dir := path.Dir(f.Path); dir != "/"; dir = path.Dir(dir) {
			named[dir] = true // a folder that had to be made
		}
	}
	var differ []string
	for name := range c.files {
		if c.files[name] != after.files[name] {
			differ = append(differ, name)
		}
	}
	for name := range after.files {
		if _, was := c.files[name]; !was {
			differ = append(differ, name)
		}
	}
	slices.Sort(differ)
	e.Say("%d files and folders, %d other parts; they differ in %v", len(after.files), len(after.rest), differ)
	var errs []error
	for _, name := range differ {
		errs = append(errs, that(named[name], "%s differs and is not in the proof", name))
	}
	return checks(append(errs, that(slices.Contains(differ, "/etc/hostname"), "/etc/hostname is what it was"),
		that(maps.Equal(c.rest, after.rest), "the tables or other partitions differ: %v, before %v", after.rest, c.rest))...)
}
