package personalise_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ingot/imaging/personalise"
)

func TestASwapHeaderIsTheDistributionsOwn(t *testing.T) {
	const id, label, size = "12345678-9abc-4ef0-8122-334455667788", "swap0", 64 << 20
	header, err := personalise.SwapHeader(size, id, label)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "swap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xaa}, 2<<20), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if err := personalise.MakeSwap(f, size, header); err != nil {
		t.Fatal(err)
	}
	if err := personalise.SwapHolds(f, header); err != nil {
		t.Error(err)
	}
	if out := run(t, "swaplabel", path); !strings.Contains(out, id) || !strings.Contains(out, label) {
		t.Errorf("swaplabel says %q", out)
	}
	theirs := filepath.Join(t.TempDir(), "mkswap")
	if err := os.WriteFile(theirs, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(theirs, size); err != nil {
		t.Fatal(err)
	}
	run(t, "mkswap", "-U", id, "-L", label, theirs)
	want, err := os.ReadFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(header, want[:len(header)]) {
		t.Error("the header differs from mkswap's")
	}
	if _, err := f.WriteAt([]byte{1}, 1030); err != nil {
		t.Fatal(err)
	}
	if err := personalise.SwapHolds(f, header); err == nil {
		t.Error("a changed header holds")
	}
}

// run calls a tool of the distribution, also where sbin is not in the path.
func run(t *testing.T, tool string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + tool); err != nil {
			t.Skipf("SKIPPED: no %s here", tool)
		}
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", tool, args, err, out)
	}
	return string(out)
}

func TestASwapThatCannotBeIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		size        uint64
		uuid, label string
	}{
		"too small":        {4096, "", ""},
		"no UUID":          {1 << 20, "not-a-uuid", ""},
		"a UUID too short": {1 << 20, "1234", ""},
		"a label too long": {1 << 20, "", "sixteencharacter"},
	} {
		if _, err := personalise.SwapHeader(c.size, c.uuid, c.label); err == nil {
			t.Errorf("%s: SwapHeader = no error", name)
		}
	}
	a, _ := personalise.SwapHeader(1<<20, "", "")
	b, _ := personalise.SwapHeader(1<<20, "", "")
	if bytes.Equal(a, b) {
		t.Error("two new swap areas share a UUID")
	}
}

func TestTheSizeOfAnExt4IsRead(t *testing.T) {
	for _, opts := range [][]string{{"-b", "4096"}, {"-b", "1024", "-O", "^64bit"}} {
		path := filepath.Join(t.TempDir(), "fs")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 96<<20); err != nil {
			t.Fatal(err)
		}
		run(t, "mkfs.ext4", append(append([]string{"-q", "-F"}, opts...), path, "64M")...)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got, err := personalise.Ext4Size(f); err != nil || got != 64<<20 {
			t.Errorf("%v: Ext4Size = %d, %v; want %d", opts, got, err, 64<<20)
		}
		if err := personalise.GrownTo(f, 64<<20); err != nil {
			t.Error(err)
		}
		if personalise.GrownTo(f, 63<<20) == nil || personalise.GrownTo(f, 512<<20) == nil {
			t.Error("a file system of another size counts as grown")
		}
	}
	if _, err := personalise.Ext4Size(bytes.NewReader(make([]byte, 4096))); err == nil {
		t.Error("zeros are an ext4")
	}
	if _, err := personalise.Ext4Size(bytes.NewReader(make([]byte, 1500))); err == nil {
		t.Error("a cut super block is an ext4")
	}
}

func FuzzExt4Size(f *testing.F) {
	f.Add(make([]byte, 2048))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = personalise.Ext4Size(bytes.NewReader(b))
	})
}

// TestAMountedExt4Grows needs root and loop devices; the end-to-end tests prove the same on a drive.
func TestAMountedExt4Grows(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: growing a mounted ext4 needs root")
	}
	dir := t.TempDir()
	img, mnt := filepath.Join(dir, "fs"), filepath.Join(dir, "mnt")
	if err := os.Mkdir(mnt, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(img, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(img, 600<<20); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.ext4", "-q", "-F", img, "64M")
	if out, err := exec.Command("mount", "-o", "loop", img, mnt).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no loop mount here: %v: %s", err, out)
	}
	err := personalise.GrowExt4(mnt, 600<<20)
	run(t, "umount", mnt)
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("SKIPPED: this kernel lets no container grow a file system: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(img)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := personalise.GrownTo(f, 600<<20); err != nil {
		t.Error(err)
	}
	run(t, "e2fsck", "-f", "-n", img)
}
