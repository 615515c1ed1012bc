package smbios_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ingot/firmware/smbios"
)

// entry3 and entry2 make entry points of SMBIOS 3 and 2 for the version given.
func entry3(major, minor byte) []byte {
	b := make([]byte, 24)
	copy(b, "_SM3_")
	b[6], b[7], b[8] = 24, major, minor
	return summed(b, 5)
}

func entry2(major, minor byte) []byte {
	b := make([]byte, 31)
	copy(b, "_SM_")
	b[5], b[6], b[7] = 31, major, minor
	return summed(b, 4)
}

func summed(b []byte, at int) []byte {
	var sum byte
	for _, c := range b {
		sum += c
	}
	b[at] -= sum
	return b
}

// structure makes one structure: body starts at offset 4.
func structure(kind byte, body []byte, strs ...string) []byte {
	b := append([]byte{kind, byte(4 + len(body)), 0, 0}, body...)
	for _, s := range strs {
		b = append(append(b, s...), 0)
	}
	if len(strs) == 0 {
		b = append(b, 0)
	}
	return append(b, 0)
}

// rawUUID is the UUID 12345678-9abc-def0-1122-334455667788 as SMBIOS 2.6 and later store it.
var rawUUID = []byte{0x78, 0x56, 0x34, 0x12, 0xbc, 0x9a, 0xf0, 0xde, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}

// laptop makes the table of a plausible laptop.
func laptop() []byte {
	le := binary.LittleEndian
	system := append([]byte{1, 2, 3, 4}, rawUUID...)
	system = append(system, 6, 5, 6)
	cpu := make([]byte, 44)
	cpu[7-4], cpu[16-4], cpu[24-4], cpu[35-4], cpu[37-4] = 1, 2, 0x41, 8, 16
	emptySocket := make([]byte, 44)
	mem := make([]byte, 36)
	le.PutUint16(mem[12-4:], 8192)
	mem[16-4], mem[23-4], mem[24-4], mem[26-4] = 1, 2, 3, 4
	le.PutUint16(mem[32-4:], 5600)
	wide := make([]byte, 36)
	le.PutUint16(wide[12-4:], 0x7fff)
	le.PutUint32(wide[28-4:], 65536)
	small := make([]byte, 36)
	le.PutUint16(small[12-4:], 0x8000|512)
	unknown := make([]byte, 36)
	le.PutUint16(unknown[12-4:], 0xffff)
	return slices.Concat(
		structure(0, []byte{1, 2, 0, 0xe0, 3}, "LabBIOS", "1.2.3", "07/01/2026"),
		structure(1, system, "LabCo", "Lap9", "ThinkLap Nine", "SER123", "SKU9", "Fam"),
		structure(2, []byte{1, 2, 3, 4, 5}, "LabCo", "Board7", "A", "BRD1", "BA1"),
		structure(3, []byte{1, 0x8a, 2, 3, 4}, "LabCo", "-", "CHS77", "ASSET42"),
		structure(4, cpu, "CPUCo", "Fast 9"), structure(4, emptySocket),
		structure(11, []byte{2}, "one", "two"),
		structure(17, mem, "DIMM A", "MemCo", "M1", "PN1"), structure(17, wide), structure(17, small), structure(17, unknown),
		structure(127, nil),
		structure(1, system, "Behind", "The", "End", "Of", "The", "Table"))
}

func TestALaptopTellsItsFacts(t *testing.T) {
	info, err := smbios.Parse(entry3(3, 4), laptop())
	if err != nil {
		t.Fatal(err)
	}
	s := info.System
	for _, c := range []struct{ what, got, want string }{
		{"BIOS version", info.BIOS.Version, "1.2.3"},
		{"manufacturer", s.Manufacturer, "LabCo"},
		{"product", s.Product, "Lap9"},
		{"version", s.Version, "ThinkLap Nine"},
		{"serial", s.Serial, "SER123"},
		{"SKU", s.SKU, "SKU9"},
		{"family", s.Family, "Fam"},
		{"UUID", s.UUID.String(), "12345678-9abc-def0-1122-334455667788"},
		{"board serial", info.Board.Serial, "BRD1"},
		{"board asset", info.Board.AssetTag, "BA1"},
		{"chassis serial", info.Chassis.Serial, "CHS77"},
		{"chassis asset", info.Chassis.AssetTag, "ASSET42"},
		{"OEM strings", strings.Join(info.OEM, ","), "one,two"},
		{"memory part", info.Memory[0].Part, "PN1"},
	} {
		if c.got != c.want {
			t.Errorf("%s = %q; want %q", c.what, c.got, c.want)
		}
	}
	if info.Chassis.Type != 10 {
		t.Errorf("chassis type = %d; want 10, the lock bit taken off", info.Chassis.Type)
	}
	if len(info.Processors) != 1 || info.Processors[0].Cores != 8 || info.Processors[0].Threads != 16 {
		t.Errorf("processors = %+v; want one of 8 cores, the empty socket left out", info.Processors)
	}
	if got, want := info.MemoryBytes(), uint64(8<<30+64<<30+512<<10); got != want {
		t.Errorf("MemoryBytes() = %d; want %d", got, want)
	}
	if info.Memory[0].MTs != 5600 {
		t.Errorf("memory speed = %d; want 5600", info.Memory[0].MTs)
	}
}

func TestAnOldSMBIOSStoresTheUUIDInTextOrder(t *testing.T) {
	info, err := smbios.Parse(entry2(2, 4), laptop())
	if err != nil {
		t.Fatal(err)
	}
	if got := info.System.UUID.String(); got != "78563412-bc9a-f0de-1122-334455667788" {
		t.Errorf("UUID of SMBIOS 2.4 = %s", got)
	}
}

func TestBrokenTables(t *testing.T) {
	good := laptop()
	for _, c := range []struct {
		name         string
		entry, table []byte
	}{
		{"no entry point", nil, good},
		{"an entry point of another kind", []byte("_XM3_0000000000000000000000000000"), good},
		{"an entry point with a wrong sum", append(entry3(3, 0)[:23], 1), good},
		{"an entry point that states more than there is", func() []byte { b := entry3(3, 0); b[6] = 200; return b }(), good},
		{"an entry point that states nothing", func() []byte { b := entry3(3, 0); b[6] = 0; return b }(), good},
		{"an empty table", entry3(3, 0), nil},
		{"a structure shorter than its header", entry3(3, 0), []byte{1, 3, 0, 0, 0, 0}},
		{"a structure longer than the table", entry3(3, 0), []byte{1, 200, 0, 0, 0, 0}},
		{"a table above the bound", entry3(3, 0), make([]byte, 1<<20+1)},
	} {
		if info, err := smbios.Parse(c.entry, c.table); err == nil {
			t.Errorf("%s: Parse = %+v; want an error", c.name, info)
		}
	}
}

func TestOddTablesGiveWhatTheyHave(t *testing.T) {
	for _, c := range []struct {
		name  string
		table []byte
		want  string // the serial
	}{
		{"a string number past the set is absent", structure(1, append([]byte{1, 1, 1, 9}, rawUUID...), "x"), ""},
		{"a structure that ends before the serial", structure(1, []byte{1, 1}, "x"), ""},
		{"a string set without an end", structure(1, []byte{1, 1, 1, 1}, "open")[:12], "open"},
		{"control characters become one space", structure(1, []byte{1, 1, 1, 1}, " \x1b[2J\r\nAB\t\tC\xff "), "[2J AB C"},
		{"a very long string is cut", structure(1, []byte{1, 1, 1, 1}, strings.Repeat("A", 4000)), strings.Repeat("A", 256)},
		{"the first of two systems counts", slices.Concat(structure(1, []byte{1, 1, 1, 1}, "first"), structure(1, []byte{1, 1, 1, 1}, "second")), "first"},
		{"a cut second structure does not spoil the first", append(structure(1, []byte{1, 1, 1, 1}, "kept"), 2, 99, 0, 0), "kept"},
	} {
		info, err := smbios.Parse(entry3(3, 0), c.table)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if info.System.Serial != c.want {
			t.Errorf("%s: serial %q; want %q", c.name, info.System.Serial, c.want)
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	if _, err := smbios.Read(dir); !errors.Is(err, smbios.ErrNoTables) {
		t.Errorf("Read of a machine without tables = %v; want ErrNoTables", err)
	}
	for name, b := range map[string][]byte{"smbios_entry_point": entry3(3, 4), "DMI": laptop()} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	info, err := smbios.Read(dir)
	if err != nil || info.System.Serial != "SER123" {
		t.Errorf("Read = %+v, %v", info, err)
	}
}

func TestUUIDsInEitherByteOrder(t *testing.T) {
	a, err := smbios.ParseUUID("12345678-9ABC-DEF0-1122-334455667788")
	if err != nil {
		t.Fatal(err)
	}
	b, err := smbios.FromOption97(append([]byte{0}, rawUUID...))
	if err != nil || a != b {
		t.Errorf("option 97 = %s, %v; want %s", b, err, a)
	}
	if !a.Equal(a.Swapped()) || a.Canonical() != a.Swapped().Canonical() {
		t.Errorf("%s and %s are one machine", a, a.Swapped())
	}
	var unknown smbios.UUID
	if unknown.Equal(unknown) || unknown.String() != "" {
		t.Error("an unknown UUID equals nothing, not even itself")
	}
	for _, bad := range []string{"", "12345678-9abc-def0-1122-33445566778", "zz345678-9abc-def0-1122-334455667788", strings.Repeat("1", 100)} {
		if u, err := smbios.ParseUUID(bad); err == nil {
			t.Errorf("ParseUUID(%q) = %s; want an error", bad, u)
		}
	}
	for _, bad := range [][]byte{nil, {0}, append([]byte{1}, rawUUID...), append([]byte{0, 0}, rawUUID...)} {
		if u, err := smbios.FromOption97(bad); err == nil {
			t.Errorf("FromOption97(% x) = %s; want an error", bad, u)
		}
	}
}

func TestJunkIsNeverAnIdentity(t *testing.T) {
	for text, junk := range map[string]bool{
		"00000000-0000-0000-0000-000000000000": true,
		"ffffffff-ffff-ffff-ffff-ffffffffffff": true,
		"01010101-0101-0101-0101-010101010101": true,
		"FEFEFEFE-FEFE-FEFE-FEFE-FEFEFEFEFEFE": true,
		"03000200-0400-0500-0006-000700080009": true,
		"00020003-0004-0005-0006-000700080009": true, // the same, turned round
		"03020100-0504-0706-0809-0a0b0c0d0e0f": true, // 00010203-..., turned round
		"6AB5B300-538D-1014-9FB5-B0684D007B53": true,
		"deadbeef-dead-beef-dead-beef00000075": true,
		"03000200-0400-0500-0007-000700080009": true, // a near variant
		"4c4c4544-0042-3510-8052-b4c04f503233": false,
		"12345678-9abc-def0-1122-334455667788": false,
	} {
		u, err := smbios.ParseUUID(text)
		if err != nil || u.Junk() != junk {
			t.Errorf("UUID %s: Junk() = %v, %v; want %v", text, u.Junk(), err, junk)
		}
	}
	for s, junk := range map[string]bool{
		"": true, "  ": true, "To Be Filled By O.E.M.": true, "default STRING": true, "System Serial Number": true, "N/A": true,
		"0000000": true, "11111": true, "To  Be Filled By O.E.M. ": true, "OEM_Serial": true, "SystemSerialNumb": true, "MB-1234567890": true, "xxxxxxxxxxx": true, "0123456789": true, "INVALID": true, "EVAL": true,
		"PF2ABCDE": false, "5CD1234XYZ": false, "R90NONE1": false, "1.2": false, "EVAL7": false, "SER123": false,
	} {
		if got := smbios.JunkSerial(s); got != junk {
			t.Errorf("JunkSerial(%q) = %v; want %v", s, got, junk)
		}
	}
	for s, junk := range map[string]bool{"System Product Name": true, "All Series": true, "": true, "20XW004XGE": false, "Latitude 5420": false} {
		if got := smbios.JunkProduct(s); got != junk {
			t.Errorf("JunkProduct(%q) = %v; want %v", s, got, junk)
		}
	}
	for s, junk := range map[string]bool{"System manufacturer": true, "OEM": true, "": true, "LENOVO": false, "Dell Inc.": false} {
		if got := smbios.JunkManufacturer(s); got != junk {
			t.Errorf("JunkManufacturer(%q) = %v; want %v", s, got, junk)
		}
	}
}

func TestOnlyAnAdaptersOwnAddressTellsItFromOthers(t *testing.T) {
	for text, own := range map[string]bool{
		"8C-16-45-0A-0B-0C": true, " 00:21:cc:01:02:03 ": true,
		"00:00:00:01:02:03": false, "ff:ff:ff:ff:ff:ff": false, "00:50:56:c0:00:08": false, "02:00:4e:43:50:49": false, "52:54:00:aa:00:01": false,
		"01:21:cc:01:02:03": false, "44:44:44:44:44:44": false, "00:21:cc:00:00:00": false, "88:88:88:88:87:88": false, "": false, "8c:16:45": false,
		"00:00:00:00:fe:80:00:00": false,
	} {
		if mac, got := smbios.OwnMAC(text); got != own || own && mac != strings.ToLower(strings.ReplaceAll(strings.TrimSpace(text), "-", ":")) {
			t.Errorf("OwnMAC(%q) = %q, %v; want %v", text, mac, got, own)
		}
	}
}

func TestAMakerHasOneName(t *testing.T) {
	for text, want := range map[string]string{
		"Dell Inc.": "dell", "DELL": "dell", "Dell Computer Corporation": "dell", "Hewlett-Packard": "hp", "HP Inc.": "hp", "LENOVO": "lenovo",
		"ASUSTeK COMPUTER INC.": "asus", "Micro-Star International Co., Ltd.": "msi", "FUJITSU CLIENT COMPUTING LIMITED": "fujitsu",
		"SAMSUNG ELECTRONICS CO., LTD.": "samsung", "Ltd": "ltd", "": "", "System manufacturer": "", "To Be Filled By O.E.M.": "", "LabCo": "labco",
	} {
		if got := smbios.Maker(text); got != want {
			t.Errorf("Maker(%q) = %q; want %q", text, got, want)
		}
	}
}

// FuzzParse holds that no table crashes the parser and that every string is fit for a screen.
func FuzzParse(f *testing.F) {
	f.Add(entry3(3, 4), laptop())
	f.Add(entry2(2, 4), laptop()[:40])
	f.Fuzz(func(t *testing.T, entry, table []byte) {
		for _, e := range [][]byte{entry, entry3(3, 4)} {
			info, err := smbios.Parse(e, table)
			if err != nil {
				continue
			}
			all := append([]string{info.System.Serial, info.System.Product, info.BIOS.Date, info.Chassis.AssetTag, info.Board.Serial}, info.OEM...)
			for _, s := range all {
				if len(s) > 256 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Fatalf("string %q is not clean", s)
				}
			}
			info.MemoryBytes()
			info.System.UUID.Junk()
		}
	})
}
