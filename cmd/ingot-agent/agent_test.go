package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"ingot/firmware/efivar"
	"ingot/imaging/agent"
	"ingot/imaging/job"
)

func TestALogLineIsPlain(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(plainWriter{&out})
	log.Info().Str("nic", "eth0").Int("a", 1).Msg("the server answers")
	log.Warn().Str("text", "two\nlines\x1b[2J").Msg("hostile")
	want := "ingot: the server answers a=1 nic=eth0\ningot: hostile text=two lines [2J\n"
	if out.String() != want {
		t.Errorf("the log is %q; want %q", out.String(), want)
	}
}

func TestTheRingKeepsTheLastLines(t *testing.T) {
	r := newRing(&bytes.Buffer{})
	for range 3 * maxRing {
		r.keep("old")
	}
	r.keep("new")
	if got := r.last(); len(got) != maxRing || got[maxRing-1] != "new" {
		t.Errorf("the ring keeps %d lines", len(got))
	}
}

func TestOnlyAddedDevicesAreLoaded(t *testing.T) {
	for event, want := range map[string]string{
		"add@/devices/x\x00ACTION=add\x00MODALIAS=usb:v0BDA\x00":       "usb:v0BDA",
		"remove@/devices/x\x00ACTION=remove\x00MODALIAS=usb:v0BDA\x00": "",
		"add@/devices/x\x00ACTION=add\x00":                             "",
		"":                                                             "",
	} {
		if got := addedAlias(event); got != want {
			t.Errorf("addedAlias(%q) = %q; want %q", event, got, want)
		}
	}
}

func esp(t *testing.T, files ...string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		name, text, _ := strings.Cut(f, "=")
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestTheLoaderIsTheDistributionsOwn(t *testing.T) {
	const boot = "EFI/BOOT/BOOTX64.EFI=MZ boot"
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"fallback only":          {[]string{boot}, "EFI/BOOT/BOOTX64.EFI"},
		"one distribution":       {[]string{boot, "EFI/debian/shimx64.efi=MZ shim"}, "EFI/debian/shimx64.efi"},
		"two distributions":      {[]string{boot, "EFI/debian/shimx64.efi=MZ", "EFI/fedora/shimx64.efi=MZ"}, "EFI/BOOT/BOOTX64.EFI"},
		"a shim that is no file": {[]string{boot, "EFI/debian/shimx64.efi=ZZ"}, "EFI/BOOT/BOOTX64.EFI"},
	} {
		if got, err := chooseLoader(esp(t, c.files...)); err != nil || got != c.want {
			t.Errorf("%s: chooseLoader = %s, %v; want %s", name, got, err, c.want)
		}
	}
	for name, files := range map[string][]string{
		"no fallback":  {"EFI/debian/shimx64.efi=MZ"},
		"an empty one": {"EFI/BOOT/BOOTX64.EFI="},
		"another file": {"EFI/BOOT/BOOTX64.EFI=#!/bin/sh"},
	} {
		if got, err := chooseLoader(esp(t, files...)); job.FaultOf(err).Code != job.CodeNoBootPath {
			t.Errorf("%s: chooseLoader = %s, %v; want %s", name, got, err, job.CodeNoBootPath)
		}
	}
}

func TestABIOSNeedsBootCode(t *testing.T) {
	good := make([]byte, 4096)
	good[0], good[510], good[511] = 0xeb, 0x55, 0xaa
	noCode, noMark := bytes.Clone(good), bytes.Clone(good)
	noCode[0], noMark[511] = 0, 0
	for name, c := range map[string]struct {
		head []byte
		esp  bool
		want job.Code
	}{
		"boot code":          {good, false, ""},
		"no boot code":       {noCode, false, job.CodeNoBootPath},
		"no signature":       {noMark, false, job.CodeNoBootPath},
		"an image for UEFI":  {noCode, true, job.CodeFirmwareMode},
		"a head that is cut": {good[:100], false, job.CodeNoBootPath},
	} {
		err := checkBIOS(c.head, c.esp)
		if c.want == "" && err != nil || c.want != "" && job.FaultOf(err).Code != c.want {
			t.Errorf("%s: checkBIOS = %v; want %q", name, err, c.want)
		}
	}
}

func TestALaptopWithNothingToDoStartsItsOwnDrive(t *testing.T) {
	own, stick := efivar.GUID{1}, efivar.GUID{2}
	entry := func(g efivar.GUID, attributes uint32) efivar.LoadOption {
		return efivar.LoadOption{Attributes: attributes, Path: efivar.PartitionPath(efivar.Partition{Number: 1, Start: 1, Size: 1, GUID: g}, `\x`)}
	}
	s := efivar.BootState{Order: []uint16{5, 9, 1, 2, 3}, Entries: map[uint16]efivar.LoadOption{
		1: entry(stick, efivar.Active), 2: entry(own, 0), 3: entry(own, efivar.Active), 5: {Attributes: efivar.Active},
	}}
	parts := map[string][]efivar.GUID{"/dev/nvme0n1": {own}, "/dev/sda": {stick}}
	drives := staying([]job.Drive{{Path: "/dev/nvme0n1"}, {Path: "/dev/sda", Removable: true}})
	if n, ok := ownEntry(s, parts, drives); !ok || n != 3 {
		t.Errorf("ownEntry = %d, %v; want 3 and not the stick's", n, ok)
	}
	if n, ok := ownEntry(s, parts, staying([]job.Drive{{Path: "/dev/sda", Removable: true}})); ok {
		t.Errorf("with a stick alone ownEntry = %d; want none", n)
	}
	if n, ok := ownEntry(s, parts, nil); ok {
		t.Errorf("ownEntry without drives = %d", n)
	}
}

// TestASystemThatCannotBeGrownIsSaidInWords: by the real personaliser, of a partition that is not there and of a swap area that is not there.
func TestASystemThatCannotBeGrownIsSaidInWords(t *testing.T) {
	for name, w := range map[string]agent.Written{
		"no such partition": {Grown: 3},
		"no such swap":      {Swap: 4},
	} {
		err := personaliser{log: zerolog.Nop()}.Fit(t.Context(), w)
		if f := job.FaultOf(err); err == nil || f.Code != job.CodeGrow || f.Fact == "" {
			t.Errorf("%s: %v; want %s", name, err, job.CodeGrow)
		}
	}
}
