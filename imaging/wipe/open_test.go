package wipe_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ingot/imaging/wipe"
)

// loop makes a real block device over a file of random data.
func loop(t *testing.T, size int) (dev, file string, old []byte) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("block devices want root: run this package's tests as root, too")
	}
	old = make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(old) // never fails
	file = filepath.Join(t.TempDir(), "drive.img")
	if err := os.WriteFile(file, old, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "-f", "--show", file).Output()
	if err != nil {
		t.Skipf("no loop device can be had here: %v", err)
	}
	dev = strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if err := exec.Command("losetup", "-d", dev).Run(); err != nil {
			t.Errorf("losetup -d %s: %v", dev, err)
		}
	})
	return dev, file, old
}

// TestARealBlockDeviceIsOverwritten: the kernel's own device, O_DIRECT, and the whole backing file searched afterwards.
func TestARealBlockDeviceIsOverwritten(t *testing.T) {
	const size = 8<<20 + 512*3 // no whole number of pieces, nor of blocks
	dev, file, old := loop(t, size)
	o, err := wipe.Open(t.TempDir(), dev, func(*os.File) (wipe.Facts, error) {
		return wipe.Facts{Path: dev, Transport: "loop", Serial: "LOOP7", Model: "LOOP"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, o, nil, wipe.Expect{Serial: "LOOP7", SizeBytes: size, SectorSize: 512}, 7)
	w.engine.Clock, w.order.Override = nil, true
	r := w.wipe()
	want(t, r, wipe.Done, "", wipe.Overwrite, wipe.Clear)
	if v := r.Verification; v.Bytes != size || v.Written != size || !v.Direct {
		t.Errorf("verification = %+v", v)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	had := map[string]bool{}
	for i := 0; i < len(old); i += 512 {
		had[string(old[i:i+512])] = true
	}
	for i := 0; i < len(now); i += 512 {
		if had[string(now[i:i+512])] {
			t.Fatalf("sector %d holds one of the former user", i/512)
		}
	}
}

func TestADriveInUseIsNotOpened(t *testing.T) {
	dev, _, _ := loop(t, 1<<20)
	held, err := os.OpenFile(dev, os.O_RDWR|os.O_EXCL, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close() // a test's
	if _, err := wipe.Open(t.TempDir(), dev, nil); !errors.Is(err, unix.EBUSY) {
		t.Errorf("Open of a drive in use: %v", err)
	}
}

// TestWhatHidesADriveIsReadFromItsPlace: sysfs as three laptops have it.
func TestWhatHidesADriveIsReadFromItsPlace(t *testing.T) {
	dev, _, _ := loop(t, 1<<20)
	sys := t.TempDir()
	name := filepath.Base(dev)
	place := filepath.Join(sys, "devices/pci0000:00/0000:00:1f.2/host0/block", name)
	link := filepath.Join(sys, "class/block", name)
	drivers := filepath.Join(sys, "bus/pci/drivers/megaraid_sas")
	if err := errors.Join(os.MkdirAll(place, 0o755), os.MkdirAll(filepath.Dir(link), 0o755), os.MkdirAll(drivers, 0o755), os.Symlink(place, link),
		os.Symlink(drivers, filepath.Join(sys, "devices/pci0000:00/0000:00:1f.2/driver"))); err != nil {
		t.Fatal(err)
	}
	for transport, says := range map[string]string{"usb": "USB bridge", "virtio": "virtual machine", "scsi": "megaraid_sas", "nvme": "", "sata": ""} {
		o, err := wipe.Open(sys, dev, func(*os.File) (wipe.Facts, error) { return wipe.Facts{Path: dev, Transport: transport}, nil })
		if err != nil {
			t.Fatal(err)
		}
		f, err := o.Facts()
		if err != nil || !strings.Contains(f.Behind, says) || (says == "") != (f.Behind == "") || f.SizeBytes != 1<<20 || f.SectorSize != 512 {
			t.Errorf("%s: behind %q, %d bytes of %d, %v; want %q", transport, f.Behind, f.SizeBytes, f.SectorSize, err, says)
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestControllersAreReadFromSysfs(t *testing.T) {
	sys := t.TempDir()
	for at, attrs := range map[string][2]string{
		"0000:00:0e.0": {"0x010400\n", "0x8086\n"}, "0000:00:02.0": {"0x030000\n", "0x8086\n"}, "0000:01:00.0": {"0x010802\n", "0x144d\n"}, "0000:00:1d.0": {"nonsense", ""},
	} {
		dir := filepath.Join(sys, "bus/pci/devices", at)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "class"), []byte(attrs[0]), 0o644), os.WriteFile(filepath.Join(dir, "vendor"), []byte(attrs[1]), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	cs, err := wipe.Controllers(sys)
	if err != nil || len(cs) != 2 || cs[0].Class != 0x010400 || cs[1].Class != 0x010802 || cs[1].Vendor != 0x144d {
		t.Errorf("Controllers = %+v, %v", cs, err)
	}
	if cause, why := wipe.Absent(0, cs); cause != wipe.CauseNoDrive || !strings.Contains(why, "RAID mode") {
		t.Errorf("Absent = %q, %q", cause, why)
	}
}

// TestAnNVMeBehindIntelRSTIsSeen: the AHCI driver takes such a controller and shows its SATA drives; that an NVMe lies behind it,
// which no driver reaches, stands in one number only.
func TestAnNVMeBehindIntelRSTIsSeen(t *testing.T) {
	for says, hidden := range map[string]bool{"0\n": false, "1\n": true, "": false} {
		sys := t.TempDir()
		dir := filepath.Join(sys, "bus/pci/devices/0000:00:17.0")
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "class"), []byte("0x010400\n"), 0o644), os.WriteFile(filepath.Join(dir, "vendor"), []byte("0x8086\n"), 0o644),
			os.Symlink("/sys/bus/pci/drivers/ahci", filepath.Join(dir, "driver")), os.WriteFile(filepath.Join(dir, "remapped_nvme"), []byte(says), 0o644)); err != nil {
			t.Fatal(err)
		}
		cs, err := wipe.Controllers(sys)
		if err != nil {
			t.Fatal(err)
		}
		if cause, why := wipe.Absent(1, cs); (cause == wipe.CauseNoDrive && strings.Contains(why, "AHCI")) != hidden || !hidden && cause != "" {
			t.Errorf("remapped_nvme %q: Absent = %q, %q", says, cause, why)
		}
	}
}

func TestOnlyAMachineWithS3IsSentToSleep(t *testing.T) {
	sys := t.TempDir()
	for _, dir := range []string{"power", "class/rtc/rtc0"} {
		if err := os.MkdirAll(filepath.Join(sys, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tell := func(modes string) {
		if err := os.WriteFile(filepath.Join(sys, "power/mem_sleep"), []byte(modes), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tell("[s2idle]\n")
	if wipe.CanSleep(sys) || wipe.Sleep(sys, 5) == nil {
		t.Error("s2idle leaves a freeze lock on")
	}
	tell("s2idle [deep]\n")
	if !wipe.CanSleep(sys) {
		t.Fatal("S3 was not seen")
	}
	if err := wipe.Sleep(sys, 5); err != nil {
		t.Fatal(err)
	}
	for file, says := range map[string]string{"power/state": "mem", "class/rtc/rtc0/wakealarm": "+5", "power/mem_sleep": "deep"} {
		if b, err := os.ReadFile(filepath.Join(sys, file)); err != nil || string(b) != says {
			t.Errorf("%s = %q, %v; want %q", file, b, err, says)
		}
	}
}
