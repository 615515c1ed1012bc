package disk_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ingot/imaging"
	"ingot/imaging/disk"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
)

const (
	rootUUID  = "11111111-2222-3333-4444-555555555555"
	machineID = "0123456789abcdef0123456789abcdef"
)

// deployedDisk is a drive with a small Linux on it, as a deploy leaves one: EFI partition, root, swap.
type deployedDisk struct {
	t    *testing.T
	path string
	plan *disk.Plan
}

func newDeployed(t *testing.T, files map[string]string) *deployedDisk {
	t.Helper()
	tree := t.TempDir()
	for name, text := range files {
		p := filepath.Join(tree, name)
		ok(t, os.MkdirAll(filepath.Dir(p), 0o755))
		ok(t, os.WriteFile(p, []byte(text), 0o644))
	}
	d := &deployedDisk{t: t, path: filepath.Join(t.TempDir(), "drive.raw"), plan: &disk.Plan{DiskSize: 64 * mib, SectorSize: 512, Table: "gpt", Head: make([]byte, mib)}}
	ok(t, os.WriteFile(d.path, nil, 0o600))
	ok(t, os.Truncate(d.path, 64*mib))
	d.run("sgdisk", "-n", "1:2048:+8M", "-t", "1:ef00", "-n", "2:0:+40M", "-n", "3:0:+8M", "-t", "3:8200", d.path)
	d.run("mkfs.ext4", "-q", "-F", "-b", "4096", "-U", rootUUID, "-d", tree, "-E", fmt.Sprintf("offset=%d", 9*mib), d.path, "40M")
	d.swap("SWAPSPACE2")
	f, err := os.Open(d.path)
	ok(t, err)
	defer f.Close()
	table, err := gpt.ReadTable(f, 64*mib, 512)
	ok(t, err)
	for _, n := range table.Used() {
		e, _ := table.Partition(n)
		d.plan.Parts = append(d.plan.Parts, disk.Part{Number: n, Offset: e.First * 512, Size: e.Sectors() * 512, UniqueGUID: e.Unique.String()})
	}
	d.plan.Parts[1].UUID = rootUUID
	return d
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (d *deployedDisk) run(name string, args ...string) {
	d.t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		d.t.Skipf("SKIPPED: no %s here: recognising a drive is not tested", name)
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// swap writes the signature of the swap partition, as mkswap does or as a system does that falls asleep.
func (d *deployedDisk) swap(magic string) {
	page := make([]byte, 4096)
	page[1024] = 1
	copy(page[4096-10:], magic)
	d.write(49*mib, page)
}

func (d *deployedDisk) write(off int64, b []byte) {
	d.t.Helper()
	f, err := os.OpenFile(d.path, os.O_RDWR, 0)
	ok(d.t, err)
	_, err = f.WriteAt(b, off)
	ok(d.t, errors.Join(err, f.Close()))
}

// recognise looks at the drive, and holds that looking writes nothing.
func (d *deployedDisk) recognise(known job.Known) error {
	d.t.Helper()
	before, err := os.ReadFile(d.path)
	ok(d.t, err)
	drive, err := disk.OpenFile(d.path, job.Drive{Path: d.path, Serial: "S1", SizeBytes: 64 * mib, SectorSize: 512})
	ok(d.t, err)
	defer drive.Close()
	result := disk.Recognise(drive, d.plan, 2, known)
	after, err := os.ReadFile(d.path)
	ok(d.t, err)
	if drive.Touched() || imaging.Sum(before) != imaging.Sum(after) {
		d.t.Error("looking at the drive changed it")
	}
	return result
}

func hashed(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// TestASystemIsRecognisedByFacts: each row changes one thing about a drive that is recognised.
func TestASystemIsRecognisedByFacts(t *testing.T) {
	files := map[string]string{"etc/machine-id": machineID + "\n", "etc/hostname": "LT-7\n"}
	letter := func(deployment string) map[string]string {
		return map[string]string{"etc/machine-id": machineID, "var/lib/ingot/callhome.json": `{"deployment":"` + deployment + `"}`}
	}
	seen := job.Known{Deployment: "dep1", MachineID: hashed(machineID), Name: "LT-7"}
	never := job.Known{Deployment: "dep1", Name: "LT-7"}
	for _, c := range []struct {
		name   string
		files  map[string]string
		known  job.Known
		change func(d *deployedDisk)
		want   job.Code
	}{
		{"as it was deployed", files, seen, func(*deployedDisk) {}, ""},
		{"a partition was added since", files, seen, func(d *deployedDisk) { d.run("sgdisk", "-n", "4:0:0", d.path) }, ""},
		{"another machine-id", files, job.Known{Deployment: "dep1", MachineID: hashed("another")}, func(*deployedDisk) {}, job.CodeNotOurs},
		{"no machine-id", map[string]string{"etc/hostname": "LT-7"}, seen, func(*deployedDisk) {}, job.CodeNotOurs},
		{"never started, its letter is there", letter("dep1"), never, func(*deployedDisk) {}, ""},
		{"never started, the letter of another deploy", letter("dep2"), never, func(*deployedDisk) {}, job.CodeNotOurs},
		{"never called home, and no letter", files, never, func(*deployedDisk) {}, job.CodeNotOurs},
		{"the root was made anew", files, seen, func(d *deployedDisk) {
			d.run("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", fmt.Sprintf("offset=%d", 9*mib), d.path, "40M")
		}, job.CodeNotOurs},
		{"a partition has another GUID", files, seen, func(d *deployedDisk) { d.run("sgdisk", "-u", "1:R", d.path) }, job.CodeNotOurs},
		{"a partition is gone", files, seen, func(d *deployedDisk) { d.run("sgdisk", "-d", "3", d.path) }, job.CodeNotOurs},
		{"a partition is smaller", files, seen, func(d *deployedDisk) { d.plan.Parts[2].Size -= 512 }, job.CodeNotOurs},
		{"no table", files, seen, func(d *deployedDisk) { d.write(0, make([]byte, mib)); d.write(63*mib, make([]byte, mib)) }, job.CodeNotOurs},
		{"the root is encrypted", files, seen, func(d *deployedDisk) { d.write(9*mib, []byte("LUKS\xba\xbe")) }, job.CodeNotOurs},
		{"the system is asleep", files, seen, func(d *deployedDisk) { d.swap("S1SUSPEND\x00") }, job.CodeSuspended},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDeployed(t, c.files)
			c.change(d)
			err := d.recognise(c.known)
			var f *job.Fault
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%v; want to know it", err)
			case c.want != "" && (!errors.As(err, &f) || f.Code != c.want):
				t.Errorf("%v; want %s", err, c.want)
			}
		})
	}
}

// TestADriveWithoutATableIsOneVolume: an image may be a file system alone.
func TestADriveWithoutATableIsOneVolume(t *testing.T) {
	d := newDeployed(t, map[string]string{"etc/machine-id": machineID})
	whole, err := os.ReadFile(d.path)
	ok(t, err)
	copy(whole, bytes.Clone(whole[9*mib:49*mib]))
	ok(t, os.WriteFile(d.path, whole, 0o600))
	d.plan.Table, d.plan.Parts = "none", nil
	if err := d.recognise(job.Known{Deployment: "dep1", MachineID: hashed(machineID)}); err != nil {
		t.Errorf("%v; want to know it", err)
	}
	var f *job.Fault
	if err := d.recognise(job.Known{Deployment: "dep1", MachineID: hashed("x")}); !errors.As(err, &f) || f.Code != job.CodeNotOurs {
		t.Errorf("another machine-id: %v; want %s", err, job.CodeNotOurs)
	}
}
