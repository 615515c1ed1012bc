package firmware_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/firmware"
)

// medium is a stick in memory that may lie: a piece that is not kept, a power cut after some writes.
type medium struct {
	held   []byte
	lose   int64 // the byte at this place is stored wrong; 0 for none
	cutAt  int   // the write from which on nothing arrives; 0 for never
	writes int
	synced int // writes when it was last flushed
	forgot int // writes when the kernel's copy was last dropped
}

func (m *medium) WriteAt(b []byte, at int64) (int, error) {
	if m.writes++; m.cutAt > 0 && m.writes >= m.cutAt {
		return 0, errors.New("it was pulled out")
	}
	copy(m.held[at:], b)
	if m.lose >= at && m.lose < at+int64(len(b)) && m.lose > 0 {
		m.held[m.lose] ^= 1
	}
	return len(b), nil
}
func (m *medium) ReadAt(b []byte, at int64) (int, error) { return copy(b, m.held[at:]), nil }
func (m *medium) Sync() error                            { m.synced = m.writes; return nil }
func (m *medium) Forget() error                          { m.forgot = m.writes; return nil }

func newMedium(size int64) *medium { return &medium{held: bytes.Repeat([]byte{0xa5}, int(size))} }

const stickConfig = "linux /vmlinuz ingot.usb\ninitrd /initrd.img\nboot\n"

func mustStick(t *testing.T) (*firmware.Bundle, *firmware.Stick) {
	t.Helper()
	set := packs()
	kernel := set["linux-image-"+fakeKernel].files
	at := "lib/modules/" + fakeKernel + "/kernel/drivers/net/"
	kernel[at+"ethernet/acme/rare.ko"] = fakeModule("rare", "depends=libphy", "alias=pci:v0000ACMEd*")
	kernel[at+"ethernet/mellanox/mlxsw/switch.ko"] = fakeModule("switch")
	kernel[at+"wireless/wifi.ko"] = fakeModule("wifi")
	b := mustBuild(t, t.TempDir(), debFolder(t, set), agentFile(t, ""))
	s, err := b.Stick(stickConfig)
	if err != nil {
		t.Fatal(err)
	}
	return b, s
}

func quiet(string, int64, int64) {}

// TestAStickHoldsEveryWiredDriverAndBothStages reads the stick's archive: the agent, stage 1, stage 2 and drivers that
// no TFTP carries; nothing wireless and no switch.
func TestAStickHoldsEveryWiredDriverAndBothStages(t *testing.T) {
	b, _ := mustStick(t)
	whole := cpioFiles(t, b, firmware.StickRAM)
	at := "lib/modules/" + fakeKernel + "/kernel/drivers/net/"
	if whole[at+"ethernet/acme/rare.ko"] == "" || whole["init"] == "" {
		t.Error("the stick lacks a wired driver or the agent")
	}
	if whole[at+"ethernet/mellanox/mlxsw/switch.ko"] != "" || whole[at+"wireless/wifi.ko"] != "" {
		t.Error("the stick holds drivers that no laptop's cable needs")
	}
	if list := whole["lib/modules/"+fakeKernel+"/modules.alias"]; !strings.Contains(list, "alias pci:v0000ACMEd* rare\n") {
		t.Errorf("the stick's list of modules does not know the driver: %s", list)
	}
	for _, stage := range []string{firmware.Stage1, firmware.Stage2} {
		for path, bytes := range cpioFiles(t, b, stage) {
			if !strings.Contains(path, "/modules.") && whole[path] != bytes {
				t.Errorf("%s of %s is not on the stick", path, stage)
			}
		}
		if cpioFiles(t, b, stage)[at+"ethernet/acme/rare.ko"] != "" {
			t.Errorf("%s carries a driver of the stick's", stage)
		}
	}
}

// TestAStickIsADiskForOthersToo writes onto a larger medium, and lets the distribution's own tools judge it.
func TestAStickIsADiskForOthersToo(t *testing.T) {
	_, s := mustStick(t)
	m := newMedium(s.Size() + 7<<20)
	if err := s.Write(t.Context(), m, int64(len(m.held)), quiet); err != nil {
		t.Fatal(err)
	}
	if m.synced != m.writes || m.forgot != m.writes {
		t.Errorf("%d writes, flushed after %d, read back after dropping the copy of %d", m.writes, m.synced, m.forgot)
	}
	for _, tool := range []string{"sgdisk", "mcopy"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: %s is not installed, the stick is not judged", tool)
		}
	}
	file := filepath.Join(t.TempDir(), "stick")
	if err := os.WriteFile(file, m.held, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sgdisk", "-v", file).CombinedOutput(); err != nil || !strings.Contains(string(out), "No problems found") {
		t.Errorf("sgdisk -v says %s, %v", out, err)
	}
	for path, want := range map[string]string{"EFI/debian/grub.cfg": stickConfig, "EFI/BOOT/BOOTX64.EFI": "the shim", "EFI/BOOT/grubx64.efi": "the disk grub", "vmlinuz": "the kernel"} {
		if out, err := exec.Command("mcopy", "-n", "-i", file+"@@1M", "::"+path, "-").CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("%s = %q, %v; want %q", path, out, err, want)
		}
	}
}

func TestEqualSticksAreEqual(t *testing.T) {
	b, s := mustStick(t)
	again, err := b.Stick(stickConfig)
	if err != nil {
		t.Fatal(err)
	}
	one, two := newMedium(s.Size()), newMedium(s.Size())
	if err := errors.Join(s.Write(t.Context(), one, s.Size(), quiet), again.Write(t.Context(), two, s.Size(), quiet)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.held, two.held) {
		t.Error("two sticks of one bundle and one configuration differ")
	}
}

// TestAStickThatKeepsOtherBytesIsNotDone flips a byte in each region on its way.
func TestAStickThatKeepsOtherBytesIsNotDone(t *testing.T) {
	_, s := mustStick(t)
	for name, at := range map[string]int64{"the first table": 1024, "the files": 5 << 20, "the last byte": s.Size() - 1} {
		m := newMedium(s.Size())
		m.lose = at
		if err := s.Write(t.Context(), m, s.Size(), quiet); !errors.Is(err, firmware.ErrReadBack) {
			t.Errorf("%s: Write = %v; want the difference", name, err)
		}
	}
	if err := s.Write(t.Context(), newMedium(s.Size()), s.Size()-1, quiet); err == nil {
		t.Error("a medium that is too small was written")
	}
}

// TestATornStickStartsNothing pulls the medium at each write: until the last one its first MiB is not that of a disk.
func TestATornStickStartsNothing(t *testing.T) {
	_, s := mustStick(t)
	whole := newMedium(s.Size())
	if err := s.Write(t.Context(), whole, s.Size(), quiet); err != nil {
		t.Fatal(err)
	}
	for cut := 2; cut <= whole.writes; cut++ {
		m := newMedium(s.Size())
		copy(m.held, whole.held) // it was a boot stick before
		m.cutAt = cut
		if err := s.Write(t.Context(), m, s.Size(), quiet); err == nil {
			t.Fatalf("cut at write %d: no error", cut)
		}
		if bytes.Equal(m.held[510:520], whole.held[510:520]) {
			t.Fatalf("cut at write %d of %d: the medium still starts", cut, whole.writes)
		}
	}
}

// TestABundleOfVersion1StaysReadable makes the bundle of an older Ingot out of a present one.
func TestABundleOfVersion1StaysReadable(t *testing.T) {
	dir := t.TempDir()
	b := mustBuild(t, dir, debFolder(t, packs()), agentFile(t, ""))
	r := b.Record()
	r.Version = 1
	var files []firmware.Entry
	for _, e := range r.Files {
		if e.Name == firmware.StickRAM || e.Name == firmware.DiskGrub {
			remove(t, filepath.Join(b.Dir(), e.Name))
			continue
		}
		files = append(files, e)
	}
	r.Files = files
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	old := "bundle-" + hex.EncodeToString(sum[:8])
	err = errors.Join(os.WriteFile(filepath.Join(b.Dir(), "bundle.json"), raw, 0o644), os.Rename(b.Dir(), filepath.Join(dir, old)),
		os.Remove(filepath.Join(dir, "current")), os.Symlink(old, filepath.Join(dir, "current")))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = firmware.Open(dir); err != nil {
		t.Fatal(err)
	}
	if p := b.Verify(); len(p) > 0 {
		t.Errorf("Verify = %v; want nothing wrong", p)
	}
	if _, err := b.Stick(stickConfig); !errors.Is(err, firmware.ErrNoStick) {
		t.Errorf("Stick = %v; want ErrNoStick", err)
	}
	if _, changes, err := firmware.Update(context.Background(), firmware.Options{Dir: dir, Debs: debFolder(t, packs()), Agent: agentFile(t, "")}); err != nil || len(changes) > 0 {
		t.Fatalf("Update = %v, %v; want a new bundle of equal sources", changes, err)
	}
	if b, err = firmware.Open(dir); err != nil || b.Record().Version != 2 {
		t.Errorf("after the update the bundle is %v, %v; want version 2", b.Record().Version, err)
	}
}
