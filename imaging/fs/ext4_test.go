package fs_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ingot/imaging/fs"
)

// ext4Volume makes a file system with files in it, then removes and adds some so that groups differ.
func ext4Volume(t testing.TB, size int64, args ...string) string {
	t.Helper()
	path := blank(t, size)
	run(t, "", "mkfs.ext4", append(append([]string{"-q", "-F", "-d", tree(t), "-L", "golden", "-U", "11111111-2222-3333-4444-555555555555"}, args...), path)...)
	return path
}

// dumpFree reads dumpe2fs's lists of free blocks, and the block size.
func dumpFree(t testing.TB, path string) (free map[uint64]bool, block, blocks int64) {
	t.Helper()
	out := run(t, "", "dumpe2fs", path)
	var cluster int64
	if m := regexp.MustCompile(`Cluster size: +(\d+)`).FindStringSubmatch(out); m != nil {
		cluster, _ = strconv.ParseInt(m[1], 10, 64)
	}
	number := func(re string) int64 {
		m := regexp.MustCompile(re).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("dumpe2fs printed no %q", re)
		}
		n, _ := strconv.ParseInt(m[1], 10, 64)
		return n
	}
	free = map[uint64]bool{}
	for sc := bufio.NewScanner(strings.NewReader(out)); sc.Scan(); {
		list, ok := strings.CutPrefix(sc.Text(), "  Free blocks: ")
		if !ok || list == "" {
			continue
		}
		for _, r := range strings.Split(list, ", ") {
			var a, b uint64
			if n, _ := fmt.Sscanf(r, "%d-%d", &a, &b); n == 1 {
				b = a
			}
			if cluster != 0 { // it prints the first block of the last cluster
				b += uint64(cluster/number(`Block size: +(\d+)`)) - 1
			}
			for ; a <= b; a++ {
				free[a] = true
			}
		}
	}
	return free, number(`Block size: +(\d+)`), number(`Block count: +(\d+)`)
}

// compare holds the map against dumpe2fs: never free what it calls used. It gives how many blocks the map
// keeps although they are free.
func compare(t *testing.T, path string) (kept int) {
	t.Helper()
	f, size := open(t, path)
	m, err := fs.Used(f, size)
	if err != nil {
		t.Fatalf("Used: %v", err)
	}
	free, block, blocks := dumpFree(t, path)
	for off := int64(0); off < size; {
		start, end, err := m.Next(off)
		if err != nil {
			t.Fatal(err)
		}
		if start < off || end < start || end > size || (start == end && start != size) {
			t.Fatalf("Next(%d) = %d, %d of %d", off, start, end, size)
		}
		if start%block != 0 || start > blocks*block {
			t.Fatalf("a used run begins at %d", start)
		}
		for b := off / block; b < start/block; b++ {
			if !free[uint64(b)] {
				t.Fatalf("block %d is used, the map calls it free", b)
			}
		}
		for b := start / block; b < min(end/block, blocks); b++ {
			if free[uint64(b)] {
				kept++
			}
		}
		off = end
	}
	return kept
}

func TestExt4MapEqualsDumpe2fs(t *testing.T) {
	cases := map[string]struct {
		size int64
		args []string
	}{
		"as Debian makes it":                  {200 * mib, nil},
		"many groups never used":              {3000 * mib, nil},
		"blocks of 1 KiB":                     {100 * mib, []string{"-b", "1024"}},
		"blocks of 2 KiB":                     {100*mib + 2048, []string{"-b", "2048"}},
		"without 64bit":                       {600 * mib, []string{"-O", "^64bit"}},
		"with orphan_file and checksum seed":  {300 * mib, []string{"-O", "metadata_csum_seed,orphan_file"}},
		"with uninit_bg":                      {700 * mib, []string{"-O", "^metadata_csum,uninit_bg"}},
		"with uninit_bg, without 64bit":       {700 * mib, []string{"-O", "^metadata_csum,uninit_bg,^64bit"}},
		"without flex_bg":                     {700 * mib, []string{"-O", "^flex_bg"}},
		"without flex_bg, 1 KiB":              {90 * mib, []string{"-O", "^flex_bg", "-b", "1024"}},
		"without any checksum":                {300 * mib, []string{"-O", "^metadata_csum,^uninit_bg"}},
		"without sparse_super and resize":     {300 * mib, []string{"-O", "^sparse_super,^resize_inode"}},
		"without a journal":                   {300 * mib, []string{"-O", "^has_journal"}},
		"with quota, project, casefold, more": {300 * mib, []string{"-O", "quota,project,casefold,encrypt,verity,ea_inode,large_dir,inline_data"}},
		"with meta_bg":                        {3000 * mib, []string{"-O", "meta_bg,^resize_inode"}},
		"with meta_bg, 1 KiB":                 {600 * mib, []string{"-O", "meta_bg,^resize_inode", "-b", "1024"}},
		"with meta_bg, without 64bit":         {700 * mib, []string{"-O", "meta_bg,^resize_inode,^64bit", "-b", "1024"}},
		"with meta_bg and uninit_bg":          {700 * mib, []string{"-O", "meta_bg,^resize_inode,^metadata_csum,uninit_bg", "-b", "1024"}},
		"with meta_bg, without flex_bg":       {700 * mib, []string{"-O", "meta_bg,^resize_inode,^flex_bg", "-b", "1024"}},
		"with bigalloc":                       {3000 * mib, []string{"-O", "bigalloc"}},
		"with bigalloc of 16 KiB, 1 KiB":      {200*mib + 3072, []string{"-O", "bigalloc", "-b", "1024", "-C", "16384"}},
		"with bigalloc of 1 MiB":              {900 * mib, []string{"-O", "bigalloc", "-C", "1048576", "-N", "3000"}},
		"with bigalloc and meta_bg":           {900 * mib, []string{"-O", "bigalloc,meta_bg,^resize_inode", "-C", "8192"}},
		"with bigalloc and uninit_bg":         {2000 * mib, []string{"-O", "bigalloc,^metadata_csum,uninit_bg"}},
		"ext3":                                {300 * mib, []string{"-t", "ext3"}},
		"ext2":                                {300 * mib, []string{"-t", "ext2"}},
		"a last group of a few blocks":        {256*mib + 5*4096, nil},
		"a partition longer than it":          {300 * mib, []string{"-E", "nodiscard", "70000k"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := blank(t, c.size)
			args := append([]string{"-q", "-F", "-d", tree(t)}, c.args...)
			last := args[len(args)-1]
			if strings.HasSuffix(last, "000k") {
				args = append(args[:len(args)-1], path, last)
			} else {
				args = append(args, path)
			}
			if out := tryRun(t, "mkfs.ext4", args...); out != "" {
				t.Skipf("mkfs.ext4 of this Debian: %s", out)
			}
			if kept := compare(t, path); kept > 1 {
				t.Errorf("%d free blocks are called used", kept)
			}
			part := filepath.Join(t.TempDir(), "part")
			if err := os.WriteFile(part, make([]byte, 9*mib+5), 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, "rm /usr/bin/big\nwrite "+part+" /new\n", "debugfs", "-w", path)
			compare(t, path)
		})
	}
}

// looped runs fn on the files of a volume that the kernel mounts, and skips where that is not allowed.
func looped(t testing.TB, path string, fn func(dir string)) {
	t.Helper()
	dir := t.TempDir()
	if out, err := command(t, "mount", "-o", "loop", path, dir).CombinedOutput(); err != nil {
		t.Skipf("a volume cannot be mounted here: %s", out)
	}
	defer unmount(t, dir)
	fn(dir)
}

// TestExt4ThatWasUsedComesBackWhole lets the kernel work on file systems of every kind that mkfs makes, takes
// what the map calls used, and puts it over rubbish.
func TestExt4ThatWasUsedComesBackWhole(t *testing.T) {
	for name, args := range map[string][]string{
		"as Debian makes it": nil, "64bit off": {"-O", "^64bit"}, "flex_bg off": {"-O", "^flex_bg"}, "1 KiB": {"-b", "1024"},
		"uninit_bg": {"-O", "^metadata_csum,uninit_bg"}, "meta_bg": {"-O", "meta_bg,^resize_inode", "-b", "1024"},
		"meta_bg without flex_bg": {"-O", "meta_bg,^resize_inode,^flex_bg", "-b", "1024"}, "bigalloc": {"-O", "bigalloc"},
		"bigalloc and uninit_bg": {"-O", "bigalloc,^metadata_csum,uninit_bg", "-C", "16384"}, "ext3": {"-t", "ext3"}, "ext2": {"-t", "ext2"},
	} {
		t.Run(name, func(t *testing.T) {
			path := blank(t, 140*mib)
			run(t, "", "mkfs.ext4", append(append([]string{"-q", "-F", "-N", "4000"}, args...), path)...)
			var want map[string]string
			looped(t, path, func(dir string) {
				age(t, dir, int64(len(name)), 600)
				want = hashes(t, dir)
			})
			if kept := compare(t, path); kept > 1 {
				t.Errorf("%d free blocks are called used", kept)
			}
			f, size := open(t, path)
			_, out := copyUsed(t, f, size, mustUse(t, f, size))
			restored := filepath.Join(t.TempDir(), "restored")
			if err := os.WriteFile(restored, out, 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, "", "e2fsck", "-fn", restored)
			looped(t, restored, func(dir string) {
				if got := hashes(t, dir); len(want) < 50 || !maps.Equal(got, want) {
					t.Errorf("the files differ after the restore (%d before, %d behind)", len(want), len(got))
				}
			})
		})
	}
}

// TestExt4WithDescriptorsInTwoManners has the first block of descriptors behind the superblock and the others
// in their own groups, as the kernel leaves it when a file system outgrew the room kept for them.
func TestExt4WithDescriptorsInTwoManners(t *testing.T) {
	path := blank(t, 600*mib)
	run(t, "", "mkfs.ext4", "-q", "-F", "-b", "1024", "-O", "meta_bg,^resize_inode", "-d", tree(t), path)
	run(t, "set_super_value first_meta_bg 1\n", "debugfs", "-w", path)
	if out := run(t, "", "dumpe2fs", "-h", path); !strings.Contains(out, "First meta block group:   1") {
		t.Fatalf("dumpe2fs -h: %s", out)
	}
	compare(t, path)
}

// tryRun gives a tool's words when it fails, for features that an older one lacks.
func tryRun(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := command(t, name, args...).CombinedOutput()
	if err == nil {
		return ""
	}
	if strings.Contains(string(out), "Invalid filesystem option set") {
		return string(out)
	}
	t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	return ""
}

// superField changes a field of the superblock.
func superField(t testing.TB, path string, at int64, change func(uint32) uint32) {
	t.Helper()
	f, _ := open(t, path)
	b := make([]byte, 4)
	if _, err := f.ReadAt(b, 1024+at); err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(b, change(binary.LittleEndian.Uint32(b)))
	if _, err := f.WriteAt(b, 1024+at); err != nil {
		t.Fatal(err)
	}
}

func or(bits uint32) func(uint32) uint32 { return func(v uint32) uint32 { return v | bits } }
func plus(n uint32) func(uint32) uint32  { return func(v uint32) uint32 { return v + n } }

func TestExt4ThatIsNotForCertainIsCopiedWhole(t *testing.T) {
	plain := func(args ...string) func(*testing.T) string {
		return func(t *testing.T) string { return ext4Volume(t, 64*mib, args...) }
	}
	fieldOf := func(features string, at int64, change func(uint32) uint32) func(*testing.T) string {
		return func(t *testing.T) string {
			p := plain("-O", "^metadata_csum,^uninit_bg"+features)(t)
			superField(t, p, at, change)
			return p
		}
	}
	field := func(at int64, change func(uint32) uint32) func(*testing.T) string { return fieldOf("", at, change) }
	flip := func(args []string, at func(*os.File) int64) func(*testing.T) string {
		return func(t *testing.T) string {
			p := ext4Volume(t, 64*mib, append([]string{"-b", "4096"}, args...)...)
			f, _ := open(t, p)
			off := at(f)
			var b [1]byte
			f.ReadAt(b[:], off)
			b[0] ^= 0x80
			if _, err := f.WriteAt(b[:], off); err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
	bitmap := func(f *os.File) int64 { // of group 0, somewhere in its free part
		var b [4]byte
		f.ReadAt(b[:], 4096)
		return int64(binary.LittleEndian.Uint32(b[:]))*4096 + 2000
	}
	cases := map[string]struct {
		make func(*testing.T) string
		want string
	}{
		"a journal to be replayed":                  {field(0x60, or(0x4)), "not closed cleanly"},
		"a state that is not clean":                 {field(0x38, func(v uint32) uint32 { return v &^ 0x10000 }), "not closed cleanly"},
		"a state with errors":                       {field(0x38, or(0x20000)), "not closed cleanly"},
		"orphans left":                              {field(0x64, or(0x10000)), "not closed cleanly"},
		"meta_bg behind the last group":             {fieldOf(",meta_bg,^resize_inode", 0x104, plus(1000)), "too many groups"},
		"bigalloc with groups of other clusters":    {fieldOf(",bigalloc", 0x24, plus(1)), "damaged"},
		"bigalloc with clusters beyond measure":     {fieldOf(",bigalloc", 0x1C, plus(60)), "damaged"},
		"sparse_super2":                             {plain("-O", "sparse_super2,^resize_inode"), "sparse_super2"},
		"an unknown incompatible feature":           {field(0x60, or(1<<27)), "unknown features"},
		"an unknown read-only feature":              {field(0x64, or(1<<27)), "unknown features"},
		"an unknown compatible feature":             {field(0x5C, or(1<<27)), "unknown features"},
		"a wrong total of free blocks":              {field(0x0C, plus(1)), "counts"},
		"more blocks than the partition":            {field(0x04, plus(1)), "longer"},
		"blocks beyond measure":                     {field(0x18, plus(9)), "damaged"},
		"groups of no blocks":                       {field(0x20, func(uint32) uint32 { return 0 }), "damaged"},
		"groups of too many blocks":                 {field(0x20, plus(8)), "damaged"},
		"inodes of no bytes":                        {field(0x58, func(v uint32) uint32 { return v &^ 0xFFFF }), "damaged"},
		"a flipped bit in the superblock":           {flip(nil, func(*os.File) int64 { return 1024 + 0x78 }), "checksum"},
		"a flipped bit in a descriptor":             {flip(nil, func(*os.File) int64 { return 4096 + 0x0C }), "checksum"},
		"a flipped bit in a descriptor, uninit_bg":  {flip([]string{"-O", "^metadata_csum,uninit_bg"}, func(*os.File) int64 { return 4096 + 0x0C }), "checksum"},
		"a flipped bit in a bitmap":                 {flip(nil, bitmap), "checksum"},
		"a flipped bit in a bitmap without a check": {flip([]string{"-O", "^metadata_csum,uninit_bg"}, bitmap), "bitmap has"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, size := open(t, c.make(t))
			_, err := fs.Used(f, size)
			var u *fs.Unmapped
			if !errors.As(err, &u) || !strings.Contains(u.Why, c.want) {
				t.Errorf("Used = %v; want Unmapped with %q", err, c.want)
			}
		})
	}
}

func TestExt4FilesAreRead(t *testing.T) {
	for name, args := range map[string][]string{
		"ext4": nil, "ext4 of 1 KiB blocks": {"-b", "1024"}, "ext2 with block maps": {"-t", "ext2", "-b", "1024"}, "uninit_bg": {"-O", "^metadata_csum,uninit_bg,^64bit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := ext4Volume(t, 64*mib, args...)
			f, size := open(t, path)
			v, err := fs.Open(f, size)
			if err != nil {
				t.Fatal(err)
			}
			checkFiles(t, v)
			big, err := v.ReadFile("/usr/bin/big", 4*mib)
			if err != nil {
				t.Fatal(err)
			}
			if want := run(t, "", "debugfs", "-R", "cat /usr/bin/big", path); !strings.HasSuffix(want, string(big)) || len(big) != 3*mib+77 {
				t.Errorf("/usr/bin/big (%d bytes) differs from what debugfs reads", len(big))
			}
			if l, err := v.ReadDir("/var/many"); err != nil || len(l) != 900 {
				t.Errorf("ReadDir(/var/many) = %d entries, %v; want 900", len(l), err)
			}
			if info, err := fs.Identify(f, size); err != nil || info.Label != "golden" || info.UUID != "11111111-2222-3333-4444-555555555555" || info.Type == fs.Unknown {
				t.Errorf("Identify = %+v, %v", info, err)
			}
		})
	}
}

func checkFiles(t *testing.T, v *fs.Volume) {
	t.Helper()
	const osRelease, fstab = "ID=debian\nPRETTY_NAME=\"Debian 12\"\n", "UUID=x / ext4 defaults 0 1\n"
	for path, want := range map[string]string{
		"/usr/lib/os-release": osRelease, "etc/os-release": osRelease, "/absolute": osRelease, "/etc/fstab": fstab,
		"/out": fstab, "/long": fstab, "/../../etc/../etc/./fstab": fstab,
	} {
		if got, err := v.ReadFile(path, 1000); err != nil || string(got) != want {
			t.Errorf("ReadFile(%s) = %q, %v; want %q", path, got, err, want)
		}
	}
	for _, path := range []string{"/nowhere", "/gone", "/etc/fstab/x", "/etc/x"} {
		if _, err := v.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Stat(%s) = %v; want ErrNotExist", path, err)
		}
	}
	if _, err := v.Stat("/loop"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat(/loop) = %v; want too many links", err)
	}
	if _, err := v.ReadFile("/usr/bin/big", 1000); !errors.Is(err, fs.ErrTooBig) {
		t.Errorf("ReadFile over its bound = %v; want ErrTooBig", err)
	}
	if _, err := v.ReadFile("/etc", 1000); err == nil {
		t.Error("a folder is read as a file")
	}
	if s, err := v.Stat("/usr/bin/big"); err != nil || s.Mode != fs.Regular || s.Size != 3*mib+77 {
		t.Errorf("Stat = %+v, %v", s, err)
	}
}

// capped is a volume of which only some bytes are there: the fuzzer's.
type capped struct {
	b    []byte
	size int64
}

func (c capped) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 || off >= c.size {
		return 0, io.EOF
	}
	clear(b)
	if off < int64(len(c.b)) {
		copy(b, c.b[off:])
	}
	return len(b), nil
}

// walkAll uses all of the package on a volume, and fails when a map misbehaves.
func walkAll(t *testing.T, r io.ReaderAt, size int64) {
	if _, err := fs.Identify(r, size); err != nil {
		return
	}
	if m, err := fs.Used(r, size); err == nil {
		for off, n := int64(0), 0; off < size && n < 2000; n++ {
			start, end, err := m.Next(off)
			if err != nil {
				break
			}
			if start < off || end < start || end > size || (start == end && start != size) {
				t.Fatalf("Next(%d) = %d, %d of %d", off, start, end, size)
			}
			off = end
		}
	}
	if v, err := fs.Open(r, size); err == nil {
		for _, p := range []string{"/etc/os-release", "/EFI/BOOT/BOOTX64.EFI", "/usr/lib/os-release", "/f"} {
			_, _ = v.ReadFile(p, 1<<20)
		}
		_, _ = v.ReadDir("/")
		if root, err := v.Root(); err == nil {
			left := 300
			walkEntries(root, &left)
		}
	}
}

// walkEntries opens what a folder lists, and what the folders in it list, and asks the files for their places.
func walkEntries(e fs.Entry, left *int) {
	all, err := e.List()
	if err != nil {
		return
	}
	for _, c := range all {
		if *left--; *left < 0 {
			return
		}
		switch c.Mode {
		case fs.Dir:
			walkEntries(c, left)
		case fs.Symlink:
			_, _ = c.Link()
		case fs.Regular:
			f, err := c.Open()
			if err != nil {
				continue
			}
			for _, off := range []int64{0, c.Size / 2, c.Size - 1} {
				if off >= 0 && off < c.Size {
					_, _ = f.ReadAt(make([]byte, 4096), off)
					_, _, _ = f.Place(off)
				}
			}
		}
	}
}

// patched changes words of a copy of base: eight bytes of edits are a place and a value. Places are in the
// first 64 KiB, or, with the top bit set, behind far.
func patched(base, edits []byte, far int) []byte {
	b := bytes.Clone(base)
	for ; len(edits) >= 8; edits = edits[8:] {
		place := binary.LittleEndian.Uint32(edits)
		at := int(place & 0xFFFF)
		if place>>31 != 0 {
			at += far
		}
		if at+4 <= len(b) {
			copy(b[at:], edits[4:8])
		}
	}
	return b
}

func FuzzExt4(f *testing.F) {
	var bases [][]byte
	for i, args := range [][]string{{"-O", "^metadata_csum,uninit_bg,^64bit"}, {"-O", "^metadata_csum,^uninit_bg"}, {"-t", "ext2"}, {},
		{"-O", "^metadata_csum,uninit_bg,meta_bg", "-g", "512"}, {"-O", "^metadata_csum,^uninit_bg,bigalloc", "-C", "4096"}} {
		path := blank(f, 2*mib)
		run(f, "", "mkfs.ext4", append(append([]string{"-q", "-F", "-b", "1024", "-I", "128", "-N", "64", "-O", "^has_journal,^resize_inode"}, args...), path)...)
		run(f, "mkdir /etc\nsymlink /f /etc/os-release\nsymlink /etc/os-release nowhere\n", "debugfs", "-w", path)
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		bases = append(bases, b[:200<<10])
		f.Add(byte(i), []byte("\x18\x04\x00\x00\x01\x00\x00\x00"))
	}
	f.Fuzz(func(t *testing.T, which byte, edits []byte) {
		walkAll(t, capped{patched(bases[int(which)%len(bases)], edits, 64<<10), 2 * mib}, 2*mib)
	})
}
