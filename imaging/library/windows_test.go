package library_test

import (
	"bytes"
	"context"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/store"
)

// windowsDisk makes a disk with an NTFS between old data, as a file of Hyper-V and one of VMware.
func windowsDisk(t *testing.T, texts map[string][]byte) (files []string) {
	t.Helper()
	for tool, pkg := range map[string]string{"mkfs.ntfs": "ntfs-3g", "qemu-img": "qemu-utils", "sgdisk": "gdisk"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing: install Debian's package %s", tool, pkg)
		}
	}
	dir := t.TempDir()
	path, volume := filepath.Join(dir, "disk.raw"), filepath.Join(dir, "volume")
	old := bytes.Repeat([]byte("the former user's letters "), 64<<20/26+1)
	if err := os.WriteFile(path, old[:64<<20], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(volume, old[:60<<20], 0o600); err != nil {
		t.Fatal(err)
	}
	commands := [][]string{{"mkfs.ntfs", "-q", "-F", "-f", volume}}
	for name, b := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		commands = append(commands, []string{"ntfscp", "-f", volume, filepath.Join(dir, name), name})
	}
	commands = append(commands,
		[]string{"dd", "if=" + volume, "of=" + path, "bs=1M", "seek=1", "conv=notrunc", "status=none"},
		[]string{"sgdisk", "--zap-all", "--clear", "--new=1:2048:+60M", "--typecode=1:0700", path},
		[]string{"qemu-img", "convert", "-O", "vhdx", path, path + ".vhdx"},
		[]string{"qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", path, path + ".vmdk"})
	for _, c := range commands {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", c, err, out)
		}
	}
	return []string{path, path + ".vhdx", path + ".vmdk"}
}

func TestAWindowsDiskComesBackFromTheLibrary(t *testing.T) {
	noise := make([]byte, 5<<20+99)
	rand.New(rand.NewSource(2)).Read(noise)
	texts := map[string][]byte{"SOFTWARE": noise, "win.ini": []byte("[fonts]\r\n")}
	l, ctx := mustLibrary(t), context.Background()
	for i, file := range windowsDisk(t, texts) {
		got, err := l.Import(ctx, "anna", store.Import{File: file, Image: "office", Label: "one"}, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if got.Known != (i > 0) || got.Version.FreeBytes < 45<<20 {
			t.Errorf("%s: known %v, %d bytes free; every format holds the same disk", filepath.Base(file), got.Known, got.Version.FreeBytes)
		}
	}
	out := filepath.Join(t.TempDir(), "out.raw")
	if _, err := l.Export(ctx, "anna", store.Export{Image: "office", File: out}, quiet); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b[8<<20:40<<20], []byte("former user's letters")) {
		t.Error("old data of the free space is in the image")
	}
	volume := out + ".ntfs"
	if err := os.WriteFile(volume, b[1<<20:61<<20], 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("ntfsfix", "-n", volume).CombinedOutput(); err != nil || !strings.Contains(string(said), "processed successfully") {
		t.Errorf("ntfsfix -n: %v: %s", err, said)
	}
	if said, err := exec.Command("ntfsinfo", "-m", volume).CombinedOutput(); err != nil {
		t.Errorf("ntfsinfo: %v: %s", err, said)
	}
	for name, want := range texts {
		if got, err := exec.Command("ntfscat", volume, name).Output(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs in the exported image (%v)", name, err)
		}
	}
}
