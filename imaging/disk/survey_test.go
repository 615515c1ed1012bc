package disk_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ingot/imaging/disk"
	"ingot/imaging/job"
)

// surveyed makes a drive's file of 16 MiB, lets change fill it, and opens it as a Disk.
func surveyed(t *testing.T, change func(path string, b []byte)) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "drive")
	b := make([]byte, 16<<20)
	change("", b)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	change(path, nil)
	d, err := disk.OpenFile(path, job.Drive{Serial: "S1", SectorSize: 512})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got := d.Survey()
	if d.Touched() {
		t.Error("the drive was touched")
	}
	return got
}

func TestASurveyTellsWhatWillBeLost(t *testing.T) {
	fill := func(f func(b []byte)) func(string, []byte) {
		return func(_ string, b []byte) {
			if b != nil {
				f(b)
			}
		}
	}
	run := func(args ...string) func(string, []byte) {
		return func(path string, _ []byte) {
			if path == "" {
				return
			}
			for _, line := range args {
				argv := strings.Fields(strings.ReplaceAll(line, "FILE", path))
				if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
					t.Skipf("%v: %v\n%s", argv, err, out)
				}
			}
		}
	}
	luks := append([]byte("LUKS\xba\xbe\x00\x02"), make([]byte, 512)...)
	for name, c := range map[string]struct {
		change func(string, []byte)
		want   []string
	}{
		"an empty drive":    {fill(func([]byte) {}), nil},
		"LUKS on the whole": {fill(func(b []byte) { copy(b, luks) }), []string{"encrypted (LUKS)"}},
		"something unknown": {fill(func(b []byte) { copy(b[5000:], "who knows") }), []string{"data of an unknown kind"}},
		"BitLocker":         {fill(func(b []byte) { copy(b[3:], "-FVE-FS-") }), []string{"encrypted (BitLocker)"}},
		"two file systems":  {run("sgdisk -n 1:2048:+6M -n 2:0:+6M FILE", "mkfs.ext4 -q -F -L home -E offset=1048576 FILE 6M"), []string{"partition 1: ext4 file system home"}},
		"a damaged table":   {func(path string, b []byte) { run("sgdisk -n 1:2048:+6M FILE")(path, b); damage(t, path) }, []string{"a damaged partition table"}},
		"an MBR partition": {fill(func(b []byte) {
			copy(b[446:], []byte{0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0x40, 0, 0})
			b[510], b[511] = 0x55, 0xaa
			copy(b[1<<20:], luks)
		}), []string{"partition 1: encrypted (LUKS)"}},
		"a boot loader rest": {run("sgdisk -n 1:2048:+1M -t 1:ef02 FILE"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := surveyed(t, c.change); !slices.Equal(got, c.want) {
				t.Errorf("Survey = %q; want %q", got, c.want)
			}
		})
	}
}

// damage breaks both copies of a GPT.
func damage(t *testing.T, path string) {
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int64{512 + 20, 16<<20 - 512 + 20} {
		if _, err := f.WriteAt([]byte{9, 9, 9}, at); err != nil {
			t.Fatal(err)
		}
	}
}

func TestASurveyIsBounded(t *testing.T) {
	var parts bytes.Buffer
	for i := range 40 {
		fmt.Fprintf(&parts, " -n %d:0:+1M", i+1)
	}
	path := filepath.Join(t.TempDir(), "drive")
	if err := os.WriteFile(path, bytes.Repeat([]byte("data"), 48<<18), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sgdisk", append(append([]string{"-Z"}, strings.Fields(parts.String())...), path)...).CombinedOutput(); err != nil && !strings.Contains(string(out), "GPT") {
		t.Skipf("sgdisk: %v\n%s", err, out)
	}
	if out, err := exec.Command("sgdisk", append(strings.Fields(parts.String()), path)...).CombinedOutput(); err != nil {
		t.Skipf("sgdisk: %v\n%s", err, out)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := disk.Survey(f, 48<<20, 512)
	if len(got) != 24 || got[23] != "and 17 more" {
		t.Errorf("Survey = %d lines, the last %q; want 24 and the rest counted", len(got), got[len(got)-1])
	}
}
