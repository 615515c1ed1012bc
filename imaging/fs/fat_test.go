package fs_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ingot/imaging/fs"
)

// fatVolume makes a FAT volume with a loader, a file with a long name and a removed file.
func fatVolume(t testing.TB, size int64, args ...string) (path string, loader []byte) {
	t.Helper()
	path = blank(t, size)
	run(t, "", "mkfs.vfat", append(append([]string{"-n", "EFI SYSTEM", "-i", "ABCD1234"}, args...), path)...)
	loader = bytes.Repeat([]byte("MZ loader "), 20_000)
	src := filepath.Join(t.TempDir(), "loader")
	if err := os.WriteFile(src, loader, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "", "mmd", "-i", path, "::/EFI", "::/EFI/BOOT", "::/EFI/debian")
	run(t, "", "mcopy", "-i", path, src, "::/gone")
	run(t, "", "mcopy", "-i", path, src, "::/EFI/BOOT/BOOTX64.EFI")
	run(t, "", "mcopy", "-i", path, src, "::/EFI/debian/a rather long file name äöü.cfg")
	run(t, "", "mdel", "-i", path, "::/gone")
	return path, loader
}

var fatKinds = map[string]struct {
	size int64
	args []string
}{
	"FAT12":                           {4 * mib, []string{"-F", "12"}},
	"FAT16":                           {32 * mib, []string{"-F", "16"}},
	"FAT32":                           {300 * mib, []string{"-F", "32"}},
	"FAT32 that is small":             {34 * mib, []string{"-F", "32"}},
	"FAT32 with sectors of 4096":      {600 * mib, []string{"-F", "32", "-S", "4096"}},
	"FAT16 with one table":            {32 * mib, []string{"-F", "16", "-f", "1"}},
	"FAT32 with more before it":       {300 * mib, []string{"-F", "32", "-R", "64"}},
	"a volume longer than its tables": {300*mib + 5*512, []string{"-F", "16", "-s", "64"}},
}

func TestFATMapAndFiles(t *testing.T) {
	for name, k := range fatKinds {
		t.Run(name, func(t *testing.T) {
			path, loader := fatVolume(t, k.size, k.args...)
			f, size := open(t, path)
			m, err := fs.Used(f, size)
			if err != nil {
				t.Fatal(err)
			}
			used, clean := copyUsed(t, f, size, m)
			if used > 3*mib+k.size/100 {
				t.Errorf("%d bytes are called used", used)
			}
			v, err := fs.Open(bytes.NewReader(clean), size)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range []string{"EFI/BOOT/BOOTX64.EFI", "/efi/boot/bootx64.efi", "/EFI/debian/A Rather long file name äöü.CFG"} {
				if got, err := v.ReadFile(p, 1<<20); err != nil || !bytes.Equal(got, loader) {
					t.Errorf("ReadFile(%s) = %d bytes, %v", p, len(got), err)
				}
			}
			if _, err := v.Stat("/gone"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Stat of a removed file = %v", err)
			}
			if l, err := v.ReadDir("/EFI"); err != nil || len(l) != 2 || l[0].Name != "BOOT" || l[0].Mode != fs.Dir {
				t.Errorf("ReadDir(/EFI) = %v, %v", l, err)
			}
			if info, _ := fs.Identify(f, size); info != (fs.Info{Type: fs.VFAT, Label: "EFI SYSTEM", UUID: "ABCD-1234"}) {
				t.Errorf("Identify = %+v", info)
			}
			restored := filepath.Join(t.TempDir(), "restored")
			if err := os.WriteFile(restored, clean, 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, "", "fsck.vfat", "-n", restored)
		})
	}
}

// copyUsed rebuilds a volume from what its map calls used; the rest is filled with rubbish, as on a used disk.
func copyUsed(t *testing.T, f *os.File, size int64, m *fs.Map) (used int64, out []byte) {
	t.Helper()
	out = bytes.Repeat([]byte{0xA5}, int(size))
	for off := int64(0); off < size; {
		start, end, err := m.Next(off)
		if err != nil {
			t.Fatal(err)
		}
		if start < end {
			if _, err := f.ReadAt(out[start:end], start); err != nil {
				t.Fatal(err)
			}
		}
		used += end - start
		off = end
	}
	return used, out
}

// TestFATThatWasUsedComesBackWhole fills, empties and fills volumes of every kind, and puts what the map calls
// used over rubbish.
func TestFATThatWasUsedComesBackWhole(t *testing.T) {
	for name, k := range fatKinds {
		t.Run(name, func(t *testing.T) {
			path, _ := fatVolume(t, k.size, k.args...)
			for round := range 3 {
				dir := filepath.Join(t.TempDir(), fmt.Sprintf("round %d", round))
				age(t, dir, int64(round), int(min(300, k.size/(96<<10))))
				run(t, "", "mcopy", "-s", "-i", path, dir, "::/")
				if round == 1 {
					run(t, "", "mdeltree", "-i", path, "::/round 0")
				}
			}
			f, size := open(t, path)
			m := mustUse(t, f, size)
			runs := usedRuns(t, m, size)
			compareFsck(t, path, runs)
			if !strings.Contains(name, "FAT12") { // of which partclone reads both tables as one
				comparePartclone(t, "partclone.fat", path, runs)
			}
			_, out := copyUsed(t, f, size, m)
			restored := filepath.Join(t.TempDir(), "restored")
			if err := os.WriteFile(restored, out, 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, "", "fsck.vfat", "-n", restored)
			want, got := fatFiles(t, path), fatFiles(t, restored)
			if len(want) < 5 || !maps.Equal(got, want) {
				t.Errorf("the files differ after the restore (%d before, %d behind)", len(want), len(got))
			}
		})
	}
}

// compareFsck holds the number of used clusters against fsck's.
func compareFsck(t *testing.T, path string, runs [][2]int64) {
	t.Helper()
	out := run(t, "", "fsck.vfat", "-n", "-v", path)
	number := func(re string) (n int64) {
		if m := regexp.MustCompile(re).FindStringSubmatch(out); m != nil {
			n, _ = strconv.ParseInt(m[1], 10, 64)
		}
		return n
	}
	cluster, data := number(`(\d+) bytes per cluster`), number(`Data area starts at byte (\d+)`)
	want, clusters := number(`files, (\d+)/`), number(`files, \d+/(\d+)`)
	got := int64(0)
	for c := range clusters {
		if covered(runs, data+c*cluster, data+(c+1)*cluster) {
			got++
		}
	}
	if want == 0 || got != want {
		t.Errorf("%d clusters are used in the map, fsck counts %d", got, want)
	}
}

// fatFiles gives the digests of a volume's files.
func fatFiles(t *testing.T, path string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	run(t, "", "mcopy", "-s", "-n", "-i", path, "::/*", dir)
	return hashes(t, dir)
}

func TestFATThatIsNotForCertainIsCopiedWhole(t *testing.T) {
	cases := map[string]struct {
		at   int64 // in a FAT32 with 32 reserved sectors
		b    []byte
		want string
	}{
		"a volume that was not closed":       {32*512 + 4, []byte{0xFF, 0xFF, 0xFF, 0x07}, "not closed cleanly"},
		"Linux's mark of a mounted volume":   {0x41, []byte{1}, "not closed cleanly"},
		"tables that differ":                 {32*512 + 400, []byte{1}, "differ"},
		"another media byte":                 {21, []byte{0xF0}, "begins with"},
		"tables that are not mirrored":       {40, []byte{0x80}, "mirror"},
		"a table too short":                  {36, []byte{1, 0, 0, 0}, ""},
		"more sectors than the partition":    {32, []byte{0xFF, 0xFF, 0xFF, 0x7F}, ""},
		"an unknown version":                 {42, []byte{1}, ""},
		"no signature at the sector's end":   {510, []byte{0}, ""},
		"clusters of three sectors":          {13, []byte{3}, ""},
		"sectors of 513 bytes":               {11, []byte{1, 2}, ""},
		"no tables":                          {16, []byte{0}, ""},
		"no reserved sectors":                {14, []byte{0, 0}, ""},
		"an entry beyond what a table keeps": {32*512 + 4, []byte{0}, ""},
	}
	whole, _ := fatVolume(t, 300*mib, "-F", "32")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f, size := open(t, whole)
			old := make([]byte, len(c.b))
			f.ReadAt(old, c.at)
			defer f.WriteAt(old, c.at)
			if _, err := f.WriteAt(c.b, c.at); err != nil {
				t.Fatal(err)
			}
			_, err := fs.Used(f, size)
			var u *fs.Unmapped
			if !errors.As(err, &u) || !strings.Contains(u.Why, c.want) {
				t.Errorf("Used = %v; want Unmapped with %q", err, c.want)
			}
		})
	}
}

func FuzzFAT(f *testing.F) {
	type base struct {
		b    []byte
		size int64
		far  int // where the root folder lies
	}
	var bases []base
	for i, k := range []string{"FAT12", "FAT16", "FAT32 that is small"} {
		path, _ := fatVolume(f, fatKinds[k].size, fatKinds[k].args...)
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		far := max(bytes.Index(b, []byte("EFI SYSTEM ")), bytes.LastIndex(b[:mib], []byte("EFI SYSTEM "))) &^ 511
		bases = append(bases, base{b[:mib], fatKinds[k].size, far})
		f.Add(byte(i), []byte("\x0b\x00\x00\x00\x01\x00\x00\x00"))
	}
	f.Fuzz(func(t *testing.T, which byte, edits []byte) {
		k := bases[int(which)%len(bases)]
		walkAll(t, capped{patched(k.b, edits, k.far), k.size}, k.size)
	})
}
