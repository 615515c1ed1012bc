package fs_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging/fs"
)

// ntfsVolume makes an empty NTFS.
func ntfsVolume(t testing.TB, size int64, args ...string) string {
	t.Helper()
	path := blank(t, size)
	run(t, "", "mkfs.ntfs", append(append([]string{"-q", "-F", "-f"}, args...), path)...)
	return path
}

// mounted runs fn on the files of an NTFS, and returns when all of it is on the volume. Without FUSE it skips.
func mounted(t testing.TB, path string, fn func(dir string)) {
	t.Helper()
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		t.Skipf("an NTFS cannot be mounted here: %v", err)
	} else {
		f.Close()
	}
	dir := t.TempDir()
	var said bytes.Buffer
	cmd := command(t, "ntfs-3g", "-o", "no_detach", path, dir)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	own, _ := os.Stat(filepath.Dir(dir))
	for {
		if fi, err := os.Stat(dir); err == nil && !os.SameFile(fi, own) && device(fi) != device(own) {
			break
		}
		select {
		case err := <-gone:
			t.Fatalf("ntfs-3g %s: %v\n%s", path, err, said.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	fn(dir)
	unmount(t, dir)
	if err := <-gone; err != nil {
		t.Fatalf("ntfs-3g ended with %v\n%s", err, said.String())
	}
}

// unmount unmounts a folder; something that looks at every mount may hold it for a moment.
func unmount(t testing.TB, dir string) {
	t.Helper()
	for tries := 0; ; tries++ {
		out, err := command(t, "umount", dir).CombinedOutput()
		if err == nil {
			return
		}
		if tries == 100 {
			t.Fatalf("umount %s: %v\n%s", dir, err, out)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// age works on a folder as people do, for n random steps: files grow, shrink, move and go.
func age(t testing.TB, dir string, seed int64, n int) {
	t.Helper()
	rnd := rand.New(rand.NewSource(seed))
	noise := make([]byte, 2*mib)
	rnd.Read(noise)
	var files []string
	pick := func() int { return rnd.Intn(len(files)) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		switch k := rnd.Intn(10); {
		case k < 5 || len(files) == 0:
			sub := filepath.Join(dir, fmt.Sprintf("folder %d", rnd.Intn(12)), fmt.Sprintf("more %d", rnd.Intn(4)))
			must(os.MkdirAll(sub, 0o755))
			files = append(files, filepath.Join(sub, fmt.Sprintf("%d %s", i, strings.Repeat("n", rnd.Intn(90)))))
			size := rnd.Intn(3000)
			if rnd.Intn(4) == 0 {
				size = rnd.Intn(300_000)
			}
			must(os.WriteFile(files[len(files)-1], noise[rnd.Intn(mib):][:size], 0o644))
		case k < 7:
			j := pick()
			must(os.Remove(files[j]))
			files = append(files[:j], files[j+1:]...)
		case k < 8:
			f, err := os.OpenFile(files[pick()], os.O_WRONLY|os.O_APPEND, 0)
			must(err)
			_, err = f.Write(noise[:rnd.Intn(60_000)])
			must(errors.Join(err, f.Close()))
		case k < 9:
			must(os.Truncate(files[pick()], int64(rnd.Intn(20_000))))
		default:
			j := pick()
			to := files[j] + "x"
			must(os.Rename(files[j], to))
			files[j] = to
		}
	}
}

// hashes gives the digest of every file below a folder.
func hashes(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d iofs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		out[rel] = fmt.Sprintf("%x", h.Sum(nil))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// usedRuns walks a map and holds the rules that every map keeps.
func usedRuns(t testing.TB, m *fs.Map, size int64) (runs [][2]int64) {
	t.Helper()
	for off := int64(0); off < size; {
		start, end, err := m.Next(off)
		if err != nil {
			t.Fatal(err)
		}
		if start < off || end < start || end > size || (start == end && start != size) {
			t.Fatalf("Next(%d) = %d, %d of %d", off, start, end, size)
		}
		if start < end {
			runs = append(runs, [2]int64{start, end})
		}
		off = end
	}
	return runs
}

// covered reports whether all of a range lies in the runs.
func covered(runs [][2]int64, start, end int64) bool {
	for _, r := range runs {
		if r[0] <= start && start < r[1] {
			start = r[1]
		}
	}
	return start >= end
}

// compareNTFS holds the map against three readers of NTFS: partclone, the bitmap as ntfscat reads it, and
// ntfscluster, which asks every file what it owns. It gives the restored volume, with rubbish in free places.
func compareNTFS(t *testing.T, path string, sector, cluster int64) (restored string) {
	t.Helper()
	f, size := open(t, path)
	m, err := fs.Used(f, size)
	if err != nil {
		t.Fatalf("Used: %v", err)
	}
	runs := usedRuns(t, m, size)
	boot, last := make([]byte, 512), make([]byte, 512)
	f.ReadAt(boot, 0)
	if !covered(runs, size-sector, size) {
		t.Error("the second boot sector is not in the map")
	}
	comparePartclone(t, "partclone.ntfs", path, runs)
	bitmap := []byte(run(t, "", "ntfscat", "-f", "-i", "6", path))
	free := [][2]int64{}
	for c := int64(8192+cluster-1) / cluster; (c+1)*cluster <= size-sector; c++ {
		used, want := covered(runs, c*cluster, (c+1)*cluster), bitmap[c/8]>>(c%8)&1 == 1
		if used != want {
			t.Fatalf("cluster %d: used %v; $Bitmap says %v", c, used, want)
		}
		if n := len(free); !used && n > 0 && free[n-1][1] == c-1 {
			free[n-1][1] = c
		} else if !used {
			free = append(free, [2]int64{c, c})
		}
	}
	for i := 0; i < len(free); i += len(free)/8 + 1 {
		if out := run(t, "", "ntfscluster", "-f", "-c", fmt.Sprintf("%d-%d", free[i][0], free[i][1]), path); !strings.Contains(out, "* no inode found") {
			t.Fatalf("clusters %d to %d are free in the map, ntfscluster finds:\n%s", free[i][0], free[i][1], out)
		}
	}
	_, out := copyUsed(t, f, size, mustUse(t, f, size))
	copy(last, out[size-sector:])
	if !bytes.Equal(boot, last) {
		t.Error("the second boot sector is not restored")
	}
	restored = filepath.Join(t.TempDir(), "restored")
	if err := os.WriteFile(restored, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return restored
}

func mustUse(t testing.TB, f *os.File, size int64) *fs.Map {
	t.Helper()
	m, err := fs.Used(f, size)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// comparePartclone reads partclone's map of a volume: what it calls used must be in the runs.
func comparePartclone(t *testing.T, tool, path string, runs [][2]int64) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Log("partclone is missing, so it is not asked: install Debian's package partclone")
		return
	}
	log := filepath.Join(t.TempDir(), "domain")
	run(t, "", tool, "-D", "-s", path, "-o", log, "-L", "/dev/null")
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		var at, length int64
		var state string
		if k, _ := fmt.Sscanf(sc.Text(), "%v %v %s", &at, &length, &state); k != 3 || state != "+" {
			continue
		}
		n++
		if !covered(runs, at, at+length) {
			t.Fatalf("partclone calls %d to %d used, the map does not", at, at+length)
		}
	}
	if n == 0 {
		t.Error("partclone calls nothing used")
	}
}

var ntfsKinds = map[string]struct {
	size int64
	args []string
	// in bytes
	sector, cluster int64
}{
	"as Windows makes it":             {96 * mib, []string{"-c", "4096"}, 512, 4096},
	"clusters of one sector":          {48 * mib, []string{"-c", "512"}, 512, 512},
	"clusters of 1 KiB":               {64*mib + 512*7, []string{"-c", "1024"}, 512, 1024},
	"clusters of 64 KiB":              {160*mib + 4096, []string{"-c", "65536"}, 512, 65536},
	"clusters of 256 KiB":             {400 * mib, []string{"-c", "262144"}, 512, 262144},
	"sectors of 4096":                 {96 * mib, []string{"-s", "4096", "-c", "4096"}, 4096, 4096},
	"sectors of 4096, large clusters": {128 * mib, []string{"-s", "4096", "-c", "16384"}, 4096, 16384},
	"sectors of 1024 and an odd size": {64*mib + 3*1024, []string{"-s", "1024", "-c", "2048"}, 1024, 2048},
	"a label and compression on":      {64 * mib, []string{"-c", "4096", "-L", "Windows", "-C"}, 512, 4096},
}

func TestNTFSMapIsNeverLessThanItsPeers(t *testing.T) {
	for name, k := range ntfsKinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := ntfsVolume(t, k.size, k.args...)
			compareNTFS(t, path, k.sector, k.cluster)
			var want map[string]string
			mounted(t, path, func(dir string) {
				age(t, dir, int64(len(name)), 700)
				want = hashes(t, dir)
			})
			if len(want) < 50 {
				t.Fatalf("only %d files are left", len(want))
			}
			checkNTFS(t, compareNTFS(t, path, k.sector, k.cluster), want)
		})
	}
}

// checkNTFS holds a restored volume against its tools and against the files of the original.
func checkNTFS(t *testing.T, path string, want map[string]string) {
	t.Helper()
	if out := run(t, "", "ntfsfix", "-n", path); strings.Contains(out, "FAILED") || !strings.Contains(out, "processed successfully") {
		t.Errorf("ntfsfix -n: %s", out)
	}
	run(t, "", "ntfsinfo", "-m", path)
	mounted(t, path, func(dir string) {
		got := hashes(t, dir)
		for p, h := range want {
			if got[p] != h {
				t.Errorf("%s differs after the restore", p)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d files after the restore, %d before", len(got), len(want))
		}
	})
}

// aged is a volume after some use, for the editor.
func aged(t *testing.T, size int64) (path string, want map[string]string) {
	path = ntfsVolume(t, size, "-c", "4096")
	mounted(t, path, func(dir string) {
		age(t, dir, 5, 900)
		want = hashes(t, dir)
	})
	return path, want
}

func TestNTFSWithItsOwnFilesInPiecesIsRead(t *testing.T) {
	for name, edit := range map[string]func(n *ntfsImage){
		"$Bitmap": func(n *ntfsImage) { n.spread(6, 0, n.unused(200, 2)...) },
		"$MFT":    func(n *ntfsImage) { n.spread(0, 52, n.unused(200, 2)...) },
		"both": func(n *ntfsImage) {
			n.spread(0, 52, n.unused(200, 2)...)
			n.spread(6, 0, n.unused(200, 2)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, want := aged(t, 272*mib) // its $Bitmap has three clusters
			n := editNTFS(t, path)
			edit(n)
			n.save()
			checkNTFS(t, compareNTFS(t, path, 512, 4096), want)
		})
	}
}

// restartPage is a page of $LogFile as Windows writes it: an open log unless it is clean.
func restartPage(lsn byte, major, minor, flags byte) []byte {
	b := make([]byte, 4096)
	copy(b, "RSTR\x1e\x00\x09\x00")
	b[17], b[21], b[24], b[26], b[28] = 0x10, 0x10, 0x30, minor, major
	a := b[0x30:]
	a[0], a[8], a[10], a[11], a[14] = lsn, 1, 0xFF, 0xFF, flags
	return b
}

func TestNTFSThatWindowsStillHoldsIsRefused(t *testing.T) {
	log := func(first, second []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			n := editNTFS(t, path)
			copy(n.data(2, 0x80), first)
			copy(n.data(2, 0x80)[4096:], second)
			n.save()
		}
	}
	hiber := func(b []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			mounted(t, path, func(dir string) {
				for i := range 300 { // so that the root folder needs blocks of its own
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("a long name number %d", i)), nil, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.WriteFile(filepath.Join(dir, "HiberFil.sys"), b, 0o644); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	header := func(magic string) []byte { return append([]byte(magic), make([]byte, 200_000)...) }
	edit := func(fn func(n *ntfsImage)) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			n := editNTFS(t, path)
			fn(n)
			n.save()
		}
	}
	volume := func(at int, v byte) func(*testing.T, string) { // a byte of $VOLUME_INFORMATION
		return edit(func(n *ntfsImage) {
			rec := n.record(3)
			a := n.attr(rec, 0x70)
			a[int(a[20])+at] |= v
			n.put(3, rec)
		})
	}
	clean, open11, old := restartPage(2, 1, 1, 2), restartPage(3, 1, 1, 0), restartPage(1, 1, 1, 0)
	cases := map[string]struct {
		edit  func(*testing.T, string)
		cause fs.Cause // 0: it has a map
		want  string
	}{
		"a volume marked dirty by ntfsfix":        {func(t *testing.T, p string) { run(t, "", "ntfsfix", p) }, fs.Unclean, "dirty"},
		"chkdsk that was cut off":                 {volume(11, 0x40), fs.Unclean, "chkdsk"},
		"an unfinished log":                       {log(old, open11), fs.Unclean, "log must be replayed"},
		"an unfinished log, the first page newer": {log(open11, clean), fs.Unclean, "log must be replayed"},
		"a log of fast start":                     {log(restartPage(1, 2, 0, 0), restartPage(2, 2, 0, 2)), fs.Asleep, "fast start"},
		"a log of rubbish":                        {log(bytes.Repeat([]byte{1}, 8192), nil), fs.Unclean, "log that cannot be read"},
		"a log that Windows closed":               {log(old, clean), 0, ""},
		"a log whose second page is torn":         {log(clean, bytes.Repeat([]byte{9}, 4096)), 0, ""},
		"a log that nobody has open": {log(func() []byte {
			b := restartPage(4, 1, 1, 0)
			b[0x3C], b[0x3D] = 0xFF, 0xFF
			return b
		}(), nil), 0, ""},
		"hibernation":                     {hiber(header("hibr")), fs.Asleep, "put to sleep"},
		"hibernation of an older Windows": {hiber(header("HIBR")), fs.Asleep, "put to sleep"},
		"a wake-up that was cut off":      {hiber(header("RSTR")), fs.Asleep, "woke up"},
		"a stub on another drive":         {hiber([]byte("hibr")), fs.Asleep, "hiberfil.sys of 4 bytes"},
		"a hiberfil.sys of rubbish":       {hiber(header("what")), fs.Asleep, "begins with"},
		"a hiberfil.sys never used":       {hiber(header("")), 0, ""},
		"a Windows that woke up":          {hiber(header("wake")), 0, ""},
		"a mirror that differs": {edit(func(n *ntfsImage) {
			n.b[int(n.b[0x38])*editCluster+int(n.b[0x39])<<8*editCluster+editRecord+0x100] ^= 1
		}), fs.Unclean, "differs"},
		"a bitmap that forgets a file": {edit(func(n *ntfsImage) {
			c, _ := n.run(n.attr(n.record(10), 0x80)) // $UpCase
			n.data(6, 0x80)[c/8] &^= 1 << (c % 8)
		}), fs.Unclean, "calls free"},
		"a bitmap that is too short": {edit(func(n *ntfsImage) {
			rec := n.record(6)
			a := n.attr(rec, 0x80)
			a[49], a[57] = 1, 1
			n.put(6, rec)
		}), fs.Unclean, "covers only"},
		"a torn record of a file": {edit(func(n *ntfsImage) { n.b[n.place(10)+510] ^= 1 }), fs.Unclean, "not whole"},
		"a record that only the list of records knows": {edit(func(n *ntfsImage) {
			copy(n.b[n.place(20):], "XXXX")
			n.data(0, 0xB0)[2] |= 1 << 4
		}), fs.Unclean, "not whole"},
		"runs that leave the volume": {edit(func(n *ntfsImage) {
			rec := n.record(10)
			a := n.attr(rec, 0x80)
			copy(a[64:], "\x41\x20\xff\xff\xff\x7f\x00")
			n.put(10, rec)
		}), fs.Unclean, "malformed"},
		"a $MFT that is not one": {edit(func(n *ntfsImage) { n.b[n.place(0)] = 'X' }), fs.Unclean, "not whole"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := ntfsVolume(t, 32*mib, "-c", "4096")
			c.edit(t, path)
			f, size := open(t, path)
			_, err := fs.Used(f, size)
			var r *fs.Refused
			switch ok := errors.As(err, &r); {
			case c.cause == 0 && err != nil:
				t.Errorf("Used = %v; want a map", err)
			case c.cause != 0 && (!ok || r.Cause != c.cause || !strings.Contains(r.Why, c.want)):
				t.Errorf("Used = %v (%+v); want a refusal with %q", err, r, c.want)
			}
		})
	}
}

func TestNTFSOfAnotherKindIsCopiedWhole(t *testing.T) {
	whole := ntfsVolume(t, 32*mib, "-c", "4096")
	boot := func(at int, b ...byte) func(n *ntfsImage) { return func(n *ntfsImage) { copy(n.b[at:], b) } }
	for name, c := range map[string]struct {
		edit      func(n *ntfsImage)
		truncated bool
	}{
		"an unknown version": {func(n *ntfsImage) {
			rec := n.record(3)
			a := n.attr(rec, 0x70)
			a[int(a[20])+8] = 9
			n.put(3, rec)
		}, false},
		"sectors of 513 bytes":          {boot(0x0B, 1, 2), false},
		"clusters of 3 sectors":         {boot(0x0D, 3), false},
		"clusters beyond measure":       {boot(0x0D, 0xE0), false},
		"no records":                    {boot(0x40, 0), false},
		"index blocks beyond measure":   {boot(0x44, 0x81), false},
		"no clusters":                   {boot(0x28, 0, 0, 0, 0, 0, 0, 0, 0), false},
		"a $MFT behind the end":         {boot(0x36, 1), false},
		"more sectors than there are":   {boot(0x2B, 1), true},
		"a negative number of clusters": {boot(0x2F, 0x80), false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "v")
			n := editNTFS(t, whole)
			n.path = path
			c.edit(n)
			n.save()
			f, size := open(t, path)
			_, err := fs.Used(f, size)
			var u *fs.Unmapped
			if !errors.As(err, &u) || u.Truncated != c.truncated {
				t.Errorf("Used = %v; want Unmapped, truncated %v", err, c.truncated)
			}
		})
	}
}

func FuzzNTFS(f *testing.F) {
	n := editNTFS(f, ntfsVolume(f, 2*mib, "-c", "4096"))
	n.spread(6, 0) // so that there is an attribute list
	lcn, _ := n.run(n.attr(n.record(5), 0xA0))
	f.Add([]byte("\x0b\x00\x00\x00\x01\x00\x00\x00"))
	f.Add([]byte("\x40\x00\x00\x80\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, edits []byte) {
		b := patched(n.b, edits, lcn*editCluster) // the $MFT lies near the start
		walkAll(t, bytes.NewReader(b), int64(len(b)))
	})
}
