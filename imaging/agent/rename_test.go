package agent_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/store"
)

const machineID = "0123456789abcdef0123456789abcdef"

// newGoldenSystem is an image that is one small file system, with a machine-id on it.
func newGoldenSystem(t *testing.T) *golden {
	t.Helper()
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("SKIPPED: no mkfs.ext4 here: the rename of a system is not tested")
	}
	tree, file := t.TempDir(), filepath.Join(t.TempDir(), "system")
	must(t, os.MkdirAll(filepath.Join(tree, "etc"), 0o755))
	must(t, os.WriteFile(filepath.Join(tree, "etc/machine-id"), []byte(machineID+"\n"), 0o644))
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-b", "4096", "-d", tree, file, "16M").CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	bytes, err := os.ReadFile(file)
	must(t, err)
	return goldenOf(t, bytes)
}

// runsItsSystem deploys the image and lets its system call home.
func (l *laptop) runsItsSystem() {
	t := l.b.t
	t.Helper()
	wait := l.boot(t.Context())
	l.order()
	l.hears("done")
	must(t, wait())
	l.mu.Lock()
	p := l.personal
	l.mu.Unlock()
	sum := sha256.Sum256([]byte(machineID))
	must(t, l.b.service.CallHome(context.Background(), "192.0.2.9", job.CallHome{Deployment: p.Deployment, Secret: p.CallHomeSecret,
		Hostname: p.DeviceName, MachineID: hex.EncodeToString(sum[:])}))
}

func TestARenameRunsOnTheSystemThatWasPutThere(t *testing.T) {
	b := newBench(t, newGoldenSystem(t))
	l := b.laptop(16)
	l.runsItsSystem()
	before := imaging.Sum(l.bytes())
	other := l.drive // a second drive was fitted since: the one that holds the system is known by its serial
	other.Path, other.Serial = l.path+".other", "NV2"
	l.listed = []job.Drive{other, l.drive}
	j, err := b.service.Rename(context.Background(), "anna", store.Rename{Device: "SALES-01", Name: "SALES-02"})
	must(t, err)
	wait := l.boot(t.Context())
	l.hears("job " + string(j.ID) + " rename")
	for _, s := range []string{"claimed", "verified", "personalised", "committed"} {
		l.hears("state " + s)
	}
	l.hears("done")
	must(t, wait())
	got := view(t, b, j.ID)
	if got.State != job.Done || got.Result == nil || !got.Result.DiskTouched || got.Result.Proof.Commit == nil || got.Result.Proof.Commit.BootEntry != "Boot0003" {
		t.Errorf("the job is %s, its result %+v", got.State, got.Result)
	}
	if len(l.former) != 1 || l.former[0] != "SALES-01" || l.named[len(l.named)-1] != "SALES-02" || l.ended != "reset" {
		t.Errorf("renamed from %v to %v, then %s", l.former, l.named, l.ended)
	}
	if imaging.Sum(l.bytes()) != before {
		t.Error("the rename wrote to the drive itself, past the personaliser")
	}
	if v := l.lastView(); v.Word != "done" || v.Name != "SALES-02" {
		t.Errorf("the screen says %q, %q", v.Word, v.Name)
	}
}

// TestARenameNamesItsDriveAndErasesNothing gives the laptop a second drive, and its own an illness, after its deploy:
// that is no reason to leave it its old name.
func TestARenameNamesItsDriveAndErasesNothing(t *testing.T) {
	b := newBench(t, newGoldenSystem(t))
	l := b.laptop(16)
	l.runsItsSystem()
	l.drive.Health = job.Health{State: job.HealthFailing, Text: "it became read-only"}
	l.listed = []job.Drive{l.drive, {Path: "/dev/sda", Serial: "SA2", Transport: "sata", SizeBytes: 16 * mib, SectorSize: 512}}
	_, err := b.service.Rename(context.Background(), "anna", store.Rename{Device: "SALES-01", Name: "SALES-02"})
	must(t, err)
	wait := l.boot(t.Context())
	l.hears("done")
	must(t, wait())
}

// TestARenameRefusesAnotherSystem: the same drive, written by somebody else since.
func TestARenameRefusesAnotherSystem(t *testing.T) {
	for name, change := range map[string]func(b []byte){
		"another machine-id": func(b []byte) {
			at := strings.Index(string(b), machineID)
			copy(b[at:], "f")
		},
		"no file system": func(b []byte) { clear(b[:1<<20]) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newGoldenSystem(t))
			l := b.laptop(16)
			l.runsItsSystem()
			bytes := l.bytes()
			change(bytes)
			must(t, os.WriteFile(l.path, bytes, 0o600))
			j, err := b.service.Rename(context.Background(), "anna", store.Rename{Device: "SALES-01", Name: "SALES-02"})
			must(t, err)
			ctx, off := context.WithCancel(t.Context())
			wait := l.boot(ctx)
			awaitFailure(t, l, job.CodeNotOurs)
			off()
			if err := wait(); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			got := view(t, b, j.ID)
			if got.State != job.Failed || got.Fault == nil || got.Fault.Code != job.CodeNotOurs || got.Result == nil || got.Result.DiskTouched {
				t.Errorf("the job is %s, %v, result %+v; want failed before any write", got.State, got.Fault, got.Result)
			}
			if len(l.former) != 0 || imaging.Sum(l.bytes()) != imaging.Sum(bytes) {
				t.Error("the drive was written")
			}
			if d := b.device(); d.State != store.Deployed || d.Name != "SALES-01" || d.NextName != "" {
				t.Errorf("the device is %s as %s, next %q", d.State, d.Name, d.NextName)
			}
		})
	}
}

// TestARenameProvesThatTheFirstBlocksStayed: what lies there starts the laptop, and a rename has no business with it.
func TestARenameProvesThatTheFirstBlocksStayed(t *testing.T) {
	b := newBench(t, newGoldenSystem(t))
	l := b.laptop(16)
	l.runsItsSystem()
	l.whileNaming = func() {
		f, err := os.OpenFile(l.path, os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteAt([]byte("boot code"), 0)
		must(t, errors.Join(err, f.Close()))
	}
	j, err := b.service.Rename(context.Background(), "anna", store.Rename{Device: "SALES-01", Name: "SALES-02"})
	must(t, err)
	ctx, off := context.WithCancel(t.Context())
	wait := l.boot(ctx)
	awaitFailure(t, l, job.CodeCommit)
	off()
	if err := wait(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := view(t, b, j.ID); got.State == job.Done || got.Fault == nil || got.Fault.Code != job.CodeCommit {
		t.Errorf("the job is %s, %v; want a failure", got.State, got.Fault)
	}
}
