package gpt_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging/gpt"
)

const mib = 1 << 20

// sgdiskFile makes a disk file of size bytes with the table that args ask for.
func sgdiskFile(t testing.TB, size int64, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.raw")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	sgdisk(t, append(args, path)...)
	return path
}

func sgdisk(t testing.TB, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("sgdisk"); err != nil {
		t.Skip("sgdisk is missing: install Debian's package gdisk")
	}
	out, err := exec.Command("sgdisk", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("sgdisk %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func open(t testing.TB, path string) (*os.File, int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return f, fi.Size()
}

func read(t testing.TB, path string) *gpt.Table {
	t.Helper()
	f, size := open(t, path)
	tab, err := gpt.ReadTable(f, size, 512)
	if err != nil {
		t.Fatalf("ReadTable(%s): %v", path, err)
	}
	return tab
}

// write puts both copies of the table onto the file, as a deploy's commit does.
func write(t testing.TB, path string, tab *gpt.Table) {
	t.Helper()
	f, _ := open(t, path)
	head, err := tab.Head()
	if err != nil {
		t.Fatal(err)
	}
	off, tail, err := tab.Backup()
	if err != nil {
		t.Fatal(err)
	}
	for at, b := range map[int64][]byte{0: head, off: tail} {
		if _, err := f.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
	}
}

// golden is the layout that a Debian golden image has: BIOS boot, ESP, root, swap behind it.
var golden = []string{"-a", "1", "-n", "1:2048:+1M", "-t", "1:ef02", "-n", "2:0:+20M", "-t", "2:ef00", "-c", "2:EFI system",
	"-n", "3:0:+50M", "-t", "3:8304", "-c", "3:Wurzel äöü", "-n", "4:0:+10M", "-t", "4:8200", "-A", "3:set:59"}

func TestTableReadsWhatSgdiskWrote(t *testing.T) {
	tab := read(t, sgdiskFile(t, 100*mib, golden...))
	if tab.PrimaryErr != nil || tab.BackupErr != nil {
		t.Fatalf("copies: %v, %v; want both whole", tab.PrimaryErr, tab.BackupErr)
	}
	if got := tab.Used(); len(got) != 4 {
		t.Fatalf("Used() = %v; want 4 partitions", got)
	}
	want := []gpt.GUID{gpt.TypeBIOSBoot, gpt.TypeESP, gpt.TypeLinuxRoot64, gpt.TypeLinuxSwap}
	for i, w := range want {
		if e, _ := tab.Partition(i + 1); e.Type != w {
			t.Errorf("partition %d has type %s; want %s", i+1, e.Type, w)
		}
	}
	e, _ := tab.Partition(3)
	if e.Label() != "Wurzel äöü" || e.Attributes != 1<<59 || e.Sectors() != 50*mib/512 {
		t.Errorf("partition 3 = %q %x %d", e.Label(), e.Attributes, e.Sectors())
	}
	if !tab.BackupAtEnd() || tab.Hybrid() || tab.BootCode() {
		t.Errorf("BackupAtEnd %v Hybrid %v BootCode %v", tab.BackupAtEnd(), tab.Hybrid(), tab.BootCode())
	}
}

func TestEncodingAnUnchangedTableGivesSgdisksBytes(t *testing.T) {
	path := sgdiskFile(t, 100*mib, golden...)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, read(t, path))
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("the disk differs after writing back what was read")
	}
}

func TestSgdiskAcceptsATableMovedToALargerDisk(t *testing.T) {
	path := sgdiskFile(t, 100*mib, golden...)
	tab := read(t, path)
	const size = 333*mib + 7*512
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	if err := tab.Relocate(size); err != nil {
		t.Fatal(err)
	}
	swap, err := tab.EndPlace(4)
	if err != nil {
		t.Fatal(err)
	}
	if err := tab.MovePartition(4, swap); err != nil {
		t.Fatal(err)
	}
	last, err := tab.RoomBehind(3)
	if err != nil {
		t.Fatal(err)
	}
	if err := tab.GrowPartition(3, last); err != nil {
		t.Fatal(err)
	}
	write(t, path, tab)
	if out := sgdisk(t, "-v", path); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk -v:\n%s", out)
	}
	again := read(t, path)
	if again.BackupErr != nil || !again.BackupAtEnd() {
		t.Errorf("backup: %v, at the end: %v", again.BackupErr, again.BackupAtEnd())
	}
	root, _ := again.Partition(3)
	if s, _ := again.Partition(4); s.First != root.Last+1 || s.First%2048 != 0 || again.LastUsable-s.Last > 2048+34 {
		t.Errorf("root ends at %d, swap is %d to %d, usable to %d", root.Last, s.First, s.Last, again.LastUsable)
	}
}

func TestEditsThatDoNotFitAreRefusedAndChangeNothing(t *testing.T) {
	tab := read(t, sgdiskFile(t, 100*mib, golden...))
	before, err := tab.Head()
	if err != nil {
		t.Fatal(err)
	}
	root, _ := tab.Partition(3)
	for name, edit := range map[string]func() error{
		"a disk too short for the partitions":  func() error { return tab.Relocate(60 * mib) },
		"a disk of half a sector":              func() error { return tab.Relocate(200*mib + 256) },
		"growing into the next partition":      func() error { return tab.GrowPartition(3, root.Last+1) },
		"shrinking":                            func() error { return tab.GrowPartition(3, root.Last-1) },
		"growing past the usable end":          func() error { return tab.GrowPartition(4, tab.LastUsable+1) },
		"growing a partition that is not":      func() error { return tab.GrowPartition(9, 1) },
		"moving onto another partition":        func() error { return tab.MovePartition(4, root.First) },
		"moving onto the table":                func() error { return tab.MovePartition(4, 3) },
		"moving past the end":                  func() error { return tab.MovePartition(4, tab.LastUsable) },
		"moving by a number that overflows":    func() error { return tab.MovePartition(4, ^uint64(0)-1) },
		"partition zero, which does not exist": func() error { return tab.MovePartition(0, 4096) },
	} {
		if err := edit(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if after, err := tab.Head(); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a refused edit changed the table (%v)", err)
	}
}

func TestDamageIsToldApart(t *testing.T) {
	corrupt := func(at int64) func(*os.File, int64) {
		return func(f *os.File, size int64) {
			if at < 0 {
				at += size
			}
			var b [1]byte
			f.ReadAt(b[:], at)
			b[0] ^= 0x40
			if _, err := f.WriteAt(b[:], at); err != nil {
				t.Fatal(err)
			}
		}
	}
	cases := map[string]struct {
		break_ func(*os.File, int64)
		check  func(*gpt.Table, error) bool
	}{
		"a flipped bit in the first header leaves the second": {corrupt(512 + 60), func(tab *gpt.Table, err error) bool {
			return err == nil && tab.PrimaryErr != nil && len(tab.Used()) == 4
		}},
		"a flipped bit in the first entries leaves the second": {corrupt(1024 + 40), func(tab *gpt.Table, err error) bool {
			return err == nil && tab.PrimaryErr != nil
		}},
		"a flipped bit in the second header is told": {corrupt(-512 + 20), func(tab *gpt.Table, err error) bool {
			return err == nil && tab.PrimaryErr == nil && tab.BackupErr != nil
		}},
		"a flipped bit in the second entries is told": {corrupt(-33*512 + 5), func(tab *gpt.Table, err error) bool {
			return err == nil && tab.BackupErr != nil
		}},
		"both headers damaged is an error": {func(f *os.File, size int64) { corrupt(512+60)(f, size); corrupt(-512+20)(f, size) },
			func(_ *gpt.Table, err error) bool { return err != nil && !errors.Is(err, gpt.ErrNoTable) }},
		"a truncated file is told as truncated": {func(f *os.File, size int64) { f.Truncate(size - 4096) },
			func(_ *gpt.Table, err error) bool { return errors.Is(err, gpt.ErrTruncated) }},
		"no protective MBR is no table": {func(f *os.File, _ int64) { f.WriteAt(make([]byte, 512), 0) },
			func(_ *gpt.Table, err error) bool { return errors.Is(err, gpt.ErrNoTable) }},
		"an enlarged file keeps its backup where it was": {func(f *os.File, size int64) { f.Truncate(size + mib) },
			func(tab *gpt.Table, err error) bool { return err == nil && tab.BackupErr == nil && !tab.BackupAtEnd() }},
	}
	whole, err := os.ReadFile(sgdiskFile(t, 10*mib, "-n", "1:2048:+1M", "-n", "2:0:+1M", "-n", "3:0:+1M", "-n", "4:0:+1M"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "copy.raw")
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			f, size := open(t, path)
			c.break_(f, size)
			fi, _ := f.Stat()
			tab, err := gpt.ReadTable(f, fi.Size(), 512)
			if !c.check(tab, err) {
				t.Errorf("ReadTable = %+v, %v", tab, err)
			}
		})
	}
}

func TestAHeadAloneIsEnoughForAnImage(t *testing.T) {
	path := sgdiskFile(t, 100*mib, golden...)
	f, size := open(t, path)
	head := make([]byte, mib)
	if _, err := f.ReadAt(head, 0); err != nil {
		t.Fatal(err)
	}
	tab, err := gpt.ReadPrimary(bytes.NewReader(head), size, 512)
	if err != nil || len(tab.Used()) != 4 {
		t.Fatalf("ReadPrimary = %v, %v", tab, err)
	}
	if err := tab.Relocate(200 * mib); err != nil {
		t.Fatal(err)
	}
	copy(head[300000:], "boot loader")
	if err := tab.PatchHead(head); err != nil {
		t.Fatal(err)
	}
	if string(head[300000:300011]) != "boot loader" {
		t.Error("PatchHead wrote over bytes that are not the table's")
	}
	if err := tab.PatchHead(head[:16*1024]); err == nil {
		t.Error("PatchHead accepts a head that is too short")
	}
}

func TestAHybridDiskIsNotRearranged(t *testing.T) {
	path := sgdiskFile(t, 100*mib, golden...)
	sgdisk(t, "-h", "2", path)
	tab := read(t, path)
	if !tab.Hybrid() {
		t.Fatal("Hybrid() = false")
	}
	if err := tab.GrowPartition(4, tab.LastUsable); err == nil {
		t.Error("growing a partition of a hybrid disk is accepted")
	}
}

func TestGUIDText(t *testing.T) {
	const s = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	if got := gpt.TypeESP.String(); got != s {
		t.Errorf("String() = %s; want %s", got, s)
	}
	if gpt.TypeESP[0] != 0x28 || gpt.TypeESP[8] != 0xba {
		t.Errorf("byte order on disk: % x", gpt.TypeESP[:])
	}
	for _, bad := range []string{"", "x", strings.Repeat("-", 36), "c12a7328-f81f-11d2-ba4b-00a0c93ec93z", "c12a7328f81f-11d2-ba4b-00a0c93ec93b1-"} {
		if g, err := gpt.ParseGUID(bad); err == nil {
			t.Errorf("ParseGUID(%q) = %s; want an error", bad, g)
		}
	}
}
