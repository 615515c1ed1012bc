package firmware_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ingot/firmware"
)

func flip(t *testing.T, file string, at int64) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyNamesWhatIsWrong(t *testing.T) {
	debs, agent := debFolder(t, packs()), agentFile(t, "")
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  []string // "" none
	}{
		{"nothing is wrong", func(*testing.T, string) {}, nil},
		{"a flipped byte", func(t *testing.T, d string) { flip(t, filepath.Join(d, firmware.HTTPBoot), 20<<20) }, []string{"httpboot.img: its bytes differ"}},
		{"two flipped bytes", func(t *testing.T, d string) {
			flip(t, filepath.Join(d, firmware.Shim), 3)
			flip(t, filepath.Join(d, firmware.Stage2), 30)
		}, []string{"shimx64.efi: its bytes differ", "stage2.cpio.zst: its bytes differ"}},
		{"a missing file", func(t *testing.T, d string) { remove(t, filepath.Join(d, firmware.Kernel)) }, []string{"vmlinuz: is missing"}},
		{"a shortened file", func(t *testing.T, d string) { cutHalf(t, filepath.Join(d, firmware.Stage1)) }, []string{"initrd.img: "}},
		{"a foreign file", func(t *testing.T, d string) {
			if err := os.WriteFile(filepath.Join(d, "rootkit.efi"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, []string{"rootkit.efi: does not belong"}},
		{"a link in place of a file", func(t *testing.T, d string) {
			remove(t, filepath.Join(d, firmware.Kernel))
			if err := os.Symlink("/etc/hostname", filepath.Join(d, firmware.Kernel)); err != nil {
				t.Fatal(err)
			}
		}, []string{"vmlinuz: is not a plain file"}},
		{"a changed record", func(t *testing.T, d string) { flip(t, filepath.Join(d, "bundle.json"), 40) }, []string{"bundle.json"}},
	} {
		dir := t.TempDir()
		b := mustBuild(t, dir, debs, agent)
		c.spoil(t, b.Dir())
		problems := b.Verify()
		if len(problems) != len(c.want) {
			t.Errorf("%s: Verify = %v; want %d problems", c.name, problems, len(c.want))
			continue
		}
		for i, p := range problems {
			if !strings.HasPrefix(p.String(), c.want[i]) {
				t.Errorf("%s: problem %q; want %q", c.name, p, c.want[i])
			}
		}
		if got := firmware.Verify(dir); (len(got) == 0) != (len(c.want) == 0) {
			t.Errorf("%s: Verify of the folder = %v", c.name, got)
		}
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func TestAChangedFileIsNotServed(t *testing.T) {
	b := mustBuild(t, t.TempDir(), debFolder(t, packs()), agentFile(t, ""))
	for i := range 2 {
		f, err := b.Open(firmware.Kernel)
		if err != nil {
			t.Fatalf("open %d: %v", i, err)
		}
		f.Close()
	}
	flip(t, filepath.Join(b.Dir(), firmware.Kernel), 0)
	if f, err := b.Open(firmware.Kernel); err == nil {
		f.Close()
		t.Error("a kernel with a flipped byte was opened although it had been checked before")
	}
	for _, name := range []string{"", "bundle.json", "../lock", "/etc/passwd", "VMLINUZ", "vmlinuz/"} {
		if _, err := b.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open(%q) = %v; want not exist", name, err)
		}
	}
}

func TestOpenRefusesWhatIsNoBundle(t *testing.T) {
	if _, err := firmware.Open(t.TempDir()); !errors.Is(err, firmware.ErrNoBundle) {
		t.Errorf("Open of an empty folder = %v; want ErrNoBundle", err)
	}
	for _, target := range []string{"../elsewhere", "/etc", "bundle-0123456789abcdef"} {
		dir := t.TempDir()
		if err := os.Symlink(target, filepath.Join(dir, "current")); err != nil {
			t.Fatal(err)
		}
		if b, err := firmware.Open(dir); err == nil {
			t.Errorf("Open with current -> %s = %v; want an error", target, b)
		}
	}
}

func TestStage2IsNamedByItsDigest(t *testing.T) {
	b := mustBuild(t, t.TempDir(), debFolder(t, packs()), agentFile(t, ""))
	sum, size := b.Stage2()
	f, err := b.Open(firmware.Stage2)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.SHA256 != sum || f.Size != size || len(sum) != 64 || size == 0 {
		t.Errorf("Stage2 = %s %d; the file %s %d", sum, size, f.SHA256, f.Size)
	}
}

// TestTheImageIsADiskForOthersToo lets the distribution's own tools judge the disk.
func TestTheImageIsADiskForOthersToo(t *testing.T) {
	for _, tool := range []string{"sgdisk", "fsck.vfat", "mcopy", "mdir"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: %s is not installed, the image is not judged", tool)
		}
	}
	b := mustBuild(t, t.TempDir(), debFolder(t, packs()), agentFile(t, ""))
	image := filepath.Join(b.Dir(), firmware.HTTPBoot)
	tool := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	if out := tool("sgdisk", "-v", image); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk -v says %s", out)
	}
	info := tool("sgdisk", "-i", "1", image)
	if !strings.Contains(info, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B") {
		t.Errorf("sgdisk -i says %s", info)
	}
	sectors := 0
	for _, line := range strings.Split(info, "\n") {
		if rest, ok := strings.CutPrefix(line, "Partition size: "); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			sectors = n
		}
	}
	raw, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	esp := filepath.Join(t.TempDir(), "esp")
	if err := os.WriteFile(esp, raw[2048*512:(2048+sectors)*512], 0o644); err != nil {
		t.Fatal(err)
	}
	if out := tool("fsck.vfat", "-n", "-v", esp); strings.Contains(out, "differ") || strings.Contains(out, "ismatch") {
		t.Errorf("fsck.vfat says %s", out)
	}
	for path, want := range map[string]string{"EFI/BOOT/BOOTX64.EFI": "the shim", "EFI/BOOT/grubx64.efi": "the disk grub", "vmlinuz": "the kernel"} {
		if got := tool("mcopy", "-n", "-i", esp, "::"+path, "-"); got != want {
			t.Errorf("%s = %q; want %q", path, got, want)
		}
	}
	offset, size := b.HTTPBootTemplate()
	if got := tool("mcopy", "-n", "-i", esp, "::EFI/debian/grub.cfg", "-"); got != string(raw[offset:offset+int64(size)]) || size != 4096 {
		t.Errorf("grub.cfg does not lie in one piece of %d bytes at %d", size, offset)
	}
	if out := tool("mdir", "-i", esp, "::/EFI/debian"); !strings.Contains(out, "grub     cfg      4096") {
		t.Errorf("mdir says %s", out)
	}
}
