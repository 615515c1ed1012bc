package efivar_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ingot/firmware/efivar"
)

func guid(t testing.TB, s string) efivar.GUID {
	t.Helper()
	g, err := efivar.ParseGUID(s)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func open(t *testing.T) (*efivar.Vars, string) {
	t.Helper()
	dir := t.TempDir()
	v, err := efivar.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return v, dir
}

func TestGUIDsAreInMemoryOrder(t *testing.T) {
	g := guid(t, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B")
	if !bytes.HasPrefix(g[:], []byte{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b}) {
		t.Errorf("GUID bytes = % x", g)
	}
	if g.String() != "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" {
		t.Errorf("GUID text = %s", g)
	}
	for _, bad := range []string{"", "c12a7328f81f11d2ba4b00a0c93ec93b", "c12a7328-f81f-11d2-ba4b-00a0c93ec93", "g12a7328-f81f-11d2-ba4b-00a0c93ec93b", "c12a7328-f81f-11d2-ba4b-00a0-93ec93b"} {
		if _, err := efivar.ParseGUID(bad); err == nil {
			t.Errorf("ParseGUID(%q) succeeded", bad)
		}
	}
}

func TestAVariableIsWrittenAndReadBack(t *testing.T) {
	v, dir := open(t)
	n := efivar.Name{Name: "Timeout", Vendor: efivar.Global}
	for _, value := range [][]byte{[]byte("a long value"), []byte("short")} {
		if err := v.Set(n, efivar.NonVolatile, value); err != nil {
			t.Fatal(err)
		}
		if a, got, err := v.Get(n); err != nil || a != efivar.NonVolatile || !bytes.Equal(got, value) {
			t.Errorf("Get = %v %q, %v; want %q", a, got, err, value)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "Timeout-8be4df61-93ca-11d2-aa0d-00e098032b8c"))
	if err != nil || string(raw) != "\x01\x00\x00\x00short" {
		t.Errorf("file holds %q, %v", raw, err)
	}
	if err := v.Delete(n); err != nil {
		t.Error(err)
	}
	if _, _, err := v.Get(n); !errors.Is(err, efivar.ErrNotExist) {
		t.Errorf("Get of a deleted variable = %v; want ErrNotExist", err)
	}
	if err := v.Delete(n); err != nil {
		t.Errorf("Delete twice = %v; want nil", err)
	}
}

func TestTheSameValueIsNotWrittenAgain(t *testing.T) {
	v, dir := open(t)
	n := efivar.Name{Name: "Timeout", Vendor: efivar.Global}
	if err := v.Set(n, 7, []byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, n.String()), 0o444); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(dir, n.String()))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Set(n, 7, []byte{1}); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(filepath.Join(dir, n.String()))
	if err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Error("the variable was written although it held the value: flash wears")
	}
}

func TestBadNamesAndValuesAreRefused(t *testing.T) {
	v, dir := open(t)
	for _, name := range []string{"", "../../x", "a/b", "a\x00b", strings.Repeat("x", 201)} {
		if err := v.Set(efivar.Name{Name: name, Vendor: efivar.Global}, 7, []byte{1}); err == nil {
			t.Errorf("Set(%q) succeeded", name)
		}
	}
	n := efivar.Name{Name: "Big", Vendor: efivar.Global}
	if err := v.Set(n, 7, make([]byte, 64<<10+1)); err == nil {
		t.Error("a value above 64 KiB was written")
	}
	if err := v.Set(n, 7, nil); err == nil {
		t.Error("an empty value was written: firmware takes that as a deletion")
	}
	for size, want := range map[int]bool{0: false, 3: false, 4: true, 64<<10 + 4: true, 64<<10 + 5: false} {
		if err := os.WriteFile(filepath.Join(dir, n.String()), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := v.Get(n); (err == nil) != want {
			t.Errorf("Get of a file of %d bytes = %v; want success %v", size, err, want)
		}
	}
	if _, err := efivar.Open(filepath.Join(dir, "absent")); !errors.Is(err, efivar.ErrNotExist) {
		t.Errorf("Open of a BIOS machine = %v; want ErrNotExist", err)
	}
}

func TestSecureBoot(t *testing.T) {
	for _, c := range []struct {
		name          string
		secure, setup []byte // nil: the variable is absent
		want          efivar.SecureBoot
		fails         bool
	}{
		{"a machine without the variable", nil, nil, efivar.Unsupported, false},
		{"on", []byte{1}, []byte{0}, efivar.On, false},
		{"off", []byte{0}, []byte{0}, efivar.Off, false},
		{"no platform key", []byte{0}, []byte{1}, efivar.Setup, false},
		{"on without SetupMode", []byte{1}, nil, efivar.On, false},
		{"a value of two bytes", []byte{1, 1}, nil, "", true},
		{"a value that is neither", []byte{7}, nil, "", true},
	} {
		v, _ := open(t)
		for name, value := range map[string][]byte{"SecureBoot": c.secure, "SetupMode": c.setup} {
			if value != nil {
				if err := v.Set(efivar.Name{Name: name, Vendor: efivar.Global}, 6, value); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got, err := v.SecureBoot(); got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: SecureBoot = %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

// TestAnOptionOfRealFirmware reads an entry as OVMF stores it for a partition's loader.
func TestAnOptionOfRealFirmware(t *testing.T) {
	esp := efivar.Partition{Number: 15, Start: 2048, Size: 262144, GUID: guid(t, "3f2a7b11-5c4d-4e6f-8a9b-0c1d2e3f4a5b")}
	o := efivar.LoadOption{Attributes: efivar.Active, Description: "debian", Path: efivar.PartitionPath(esp, "EFI/debian/shimx64.efi")}
	b, err := o.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	want := "\x01\x00\x00\x00\x62\x00d\x00e\x00b\x00i\x00a\x00n\x00\x00\x00" + // attributes, length 98, name
		"\x04\x01\x2a\x00\x0f\x00\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00" // HD(15, 0x800, 0x40000
	want += string(esp.GUID[:]) + "\x02\x02" + "\x04\x04\x34\x00"
	for _, c := range `\EFI\debian\shimx64.efi` {
		want += string([]byte{byte(c), 0})
	}
	want += "\x00\x00\x7f\xff\x04\x00"
	if string(b) != want {
		t.Errorf("Marshal = % x; want % x", b, want)
	}
	back, err := efivar.ParseLoadOption(b)
	if err != nil || !reflect.DeepEqual(back, o) {
		t.Errorf("ParseLoadOption = %+v, %v; want %+v", back, err, o)
	}
	if p, ok := back.Path.Partition(); !ok || p != esp {
		t.Errorf("Partition = %+v, %v", p, ok)
	}
	if back.Path.File() != `\EFI\debian\shimx64.efi` || back.Network() {
		t.Errorf("File = %q, Network = %v", back.Path.File(), back.Network())
	}
}

func TestBrokenLoadOptions(t *testing.T) {
	head := func(pathLen uint16) []byte {
		return append(binary.LittleEndian.AppendUint16([]byte{1, 0, 0, 0}, pathLen), 'a', 0, 0, 0)
	}
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"empty", nil},
		{"a description without an end", []byte{1, 0, 0, 0, 0, 0, 'a', 0}},
		{"a description without an end in a long value", bytes.Repeat([]byte{1}, 4000)},
		{"a path longer than the value", append(head(400), 0x7f, 0xff, 4, 0)},
		{"a path without an end node", append(head(4), 4, 4, 4, 0)},
		{"a node that says it has no length", append(head(8), 4, 4, 0, 0, 0x7f, 0xff, 4, 0)},
		{"a node longer than the path", append(head(8), 4, 4, 200, 0, 0x7f, 0xff, 4, 0)},
		{"a path of many nodes", append(head(404), append(bytes.Repeat([]byte{1, 1, 4, 0}, 100), 0x7f, 0xff, 4, 0)...)},
		{"a value above the bound", append(head(4), make([]byte, 20<<10)...)},
	} {
		if o, err := efivar.ParseLoadOption(c.b); err == nil {
			t.Errorf("%s: ParseLoadOption = %+v; want an error", c.name, o)
		}
	}
}

// FuzzLoadOption holds that what is read is written back byte for byte.
func FuzzLoadOption(f *testing.F) {
	o := efivar.LoadOption{Attributes: 1, Description: "x", Path: efivar.PartitionPath(efivar.Partition{Number: 1, Size: 9}, `\a`), Data: []byte{9}}
	b, err := o.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(append(b, 1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := efivar.ParseLoadOption(b)
		if err != nil {
			return
		}
		o.Path.File()
		o.Path.Partition()
		back, err := o.Marshal()
		if err != nil {
			t.Fatalf("Marshal of a parsed option: %v", err)
		}
		again, err := efivar.ParseLoadOption(back)
		if err != nil || !reflect.DeepEqual(again, o) {
			t.Fatalf("read %+v, wrote and read %+v, %v", o, again, err)
		}
	})
}

func TestBootReadsTheMenuAroundABrokenEntry(t *testing.T) {
	v, dir := open(t)
	set := func(name string, b []byte) {
		t.Helper()
		if err := v.Set(efivar.Name{Name: name, Vendor: efivar.Global}, 7, b); err != nil {
			t.Fatal(err)
		}
	}
	good, err := efivar.LoadOption{Attributes: 1, Description: "good", Path: efivar.DevicePath{{Type: 1, SubType: 1}}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	set("Boot0001", good)
	set("Boot00AF", []byte("nonsense"))
	set("Boot00af", good) // not a boot entry: lower case
	set("BootOrder", []byte{1, 0, 0xaf, 0})
	set("BootCurrent", []byte{1, 0})
	if err := os.WriteFile(filepath.Join(dir, "not a variable"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := v.Boot()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Entries) != 1 || s.Entries[1].Description != "good" || !s.Unreadable[0xaf] || !slices.Equal(s.Order, []uint16{1, 0xaf}) || s.Next != -1 || s.Current != 1 {
		t.Errorf("Boot = %+v", s)
	}
	if err := v.SetBootNext(1); err != nil {
		t.Error(err)
	}
	if err := v.SetBootNext(2); err == nil {
		t.Error("BootNext was set to an entry that is not there")
	}
	if s, err = v.Boot(); err != nil || s.Next != 1 {
		t.Errorf("Next = %d, %v; want 1", s.Next, err)
	}
	set("BootOrder", []byte{1, 0, 2})
	if _, err := v.Boot(); err == nil {
		t.Error("a BootOrder of three bytes was taken")
	}
}

// TestTheKernelsGuardIsTakenOff sets the immutable flag that efivarfs gives to most variables.
func TestTheKernelsGuardIsTakenOff(t *testing.T) {
	v, dir := open(t)
	n := efivar.Name{Name: "Guarded", Vendor: efivar.Global}
	guard := func() {
		t.Helper()
		if err := v.Set(n, 7, []byte{1}); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(filepath.Join(dir, n.String()))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0x10); err != nil {
			t.Skipf("SKIPPED: the immutable flag cannot be set here (%v)", err)
		}
	}
	guard()
	if err := os.WriteFile(filepath.Join(dir, n.String()), []byte("x"), 0o644); err == nil {
		t.Fatal("the guarded file could be written: the test proves nothing")
	}
	if err := v.Set(n, 7, []byte{2}); err != nil {
		t.Errorf("Set of a guarded variable = %v", err)
	}
	guard()
	if err := v.Delete(n); err != nil {
		t.Errorf("Delete of a guarded variable = %v", err)
	}
}
