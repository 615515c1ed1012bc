package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"ingot/imaging/agent"
	"ingot/imaging/disk"
	"ingot/imaging/fs"
	"ingot/imaging/job"
)

const (
	renameRoot = 2 << 20 // where the root partition of the test's drive begins, in bytes
	renameSize = 40 << 20
)

// linuxDrive is a drive whose second partition, behind a loop device, is a small Linux; it returns the drive's file and
// the partition.
func linuxDrive(t *testing.T) (string, disk.Part) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: mounting wants root")
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tree, file := t.TempDir(), filepath.Join(t.TempDir(), "drive.raw")
	for name, text := range map[string]string{"etc/os-release": "ID=debian\n", "usr/lib/systemd/system/x": "", "etc/hostname": "LT-7\n",
		"etc/hosts": "127.0.0.1\tlocalhost\n127.0.1.1\tLT-7\n", "etc/machine-id": "0123456789abcdef0123456789abcdef\n", "etc/ssh/ssh_host_rsa_key": "own",
		"home/bo/diary": "dear diary", "var/lib/x": strings.Repeat("x", 100_000)} {
		must(os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o755))
		must(os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644))
	}
	must(os.WriteFile(file, nil, 0o600))
	must(os.Truncate(file, 64<<20))
	for _, argv := range [][]string{
		{"sgdisk", "-n", "1:2048:4095", "-n", fmt.Sprintf("2:%d:+40M", renameRoot/512), file},
		{"mkfs.ext4", "-q", "-F", "-b", "4096", "-d", tree, "-E", fmt.Sprintf("offset=%d", renameRoot), file, "40M"},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: %s: %v: %s", argv[0], err, out)
		}
	}
	out, err := exec.Command("losetup", "-f", "--show", "-o", fmt.Sprint(renameRoot), "--sizelimit", fmt.Sprint(renameSize), file).Output()
	if err != nil {
		t.Skipf("SKIPPED: no loop device can be had here: %v", err)
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if err := exec.Command("losetup", "-d", dev).Run(); err != nil {
			t.Errorf("losetup -d %s: %v", dev, err)
		}
	})
	return file, disk.Part{Number: 2, Path: dev, Offset: renameRoot, Size: renameSize, FileSystem: "ext4"}
}

// digests reads every file of the root with our own reader, past the kernel's.
func digests(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v, err := fs.Open(io.NewSectionReader(f, renameRoot, renameSize), renameSize)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var walk func(dir string)
	walk = func(dir string) {
		list, err := v.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			name := path.Join(dir, s.Name)
			switch s.Mode {
			case fs.Dir:
				walk(name)
			case fs.Regular:
				b, err := v.ReadFile(name, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				out[name] = fmt.Sprintf("%x", sha256.Sum256(b))
			}
		}
	}
	walk("/")
	return out
}

// TestARenameOnADriveChangesItsFilesOnly mounts a real file system, as on a laptop.
func TestARenameOnADriveChangesItsFilesOnly(t *testing.T) {
	file, part := linuxDrive(t)
	before := digests(t, file)
	self := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(self, []byte("\x7fELF"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := personaliser{self: self, log: zerolog.Nop()}
	proof, err := p.Rename(context.Background(), agent.Written{Parts: []disk.Part{part}, Root: 2, Table: "gpt", Firmware: "bios", Name: "LT-8"},
		job.Personal{DeviceName: "LT-8", Deployment: "d1", CallHomeURL: "https://192.0.2.1:8443", CallHomeSecret: "s", InstanceID: "ingot-d1"}, "LT-7")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, f := range proof.Files {
		named[f.Path] = true
	}
	after := digests(t, file)
	for name, sum := range after {
		if before[name] != sum && !named[name] {
			t.Errorf("%s differs and is not in the proof", name)
		}
	}
	for name := range before {
		if after[name] == "" {
			t.Errorf("%s is gone", name)
		}
	}
	if want := fmt.Sprintf("%x", sha256.Sum256([]byte("LT-8\n"))); after["/etc/hostname"] != want || !named["/etc/hostname"] || len(after) < len(before)+3 {
		t.Errorf("the host name is not the new one, or its letter is missing: %v", after)
	}
	if mounts, err := os.ReadFile("/proc/mounts"); err != nil || strings.Contains(string(mounts), part.Path+" ") {
		t.Errorf("it is still mounted, or nobody knows: %v", err)
	}
	_, err = p.Rename(context.Background(), agent.Written{Parts: []disk.Part{part}, Root: 3}, job.Personal{DeviceName: "LT-9"}, "LT-8")
	var f *job.Fault
	if !errors.As(err, &f) || f.Code != job.CodeUnknownOS {
		t.Errorf("a rename of a partition that is not there = %v; want %s", err, job.CodeUnknownOS)
	}
}
