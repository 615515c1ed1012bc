package fs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ingot/imaging"
	"ingot/imaging/capture"
	"ingot/imaging/chunkstore"
	"ingot/imaging/disk"
	"ingot/imaging/diskfile"
	"ingot/imaging/job"
)

// A chosen file system: what makes it, how it is used, what its peers say, what its tools say behind a restore.
type chosen struct {
	what  string
	typ   string // sgdisk's code
	make  func(t *testing.T) string
	use   func(t *testing.T, volume string, fn func(dir string))
	peers func(t *testing.T, volume string)
	check func(t *testing.T, volume string)
}

const volumeSize = 96 * mib

// choose draws a file system and the options of its mkfs.
func choose(rnd *rand.Rand) chosen {
	switch rnd.Intn(6) {
	case 0:
		return chooseNTFS(rnd)
	case 1:
		return chooseFAT(rnd)
	}
	return chooseExt(rnd)
}

func one(rnd *rand.Rand, of ...string) string { return of[rnd.Intn(len(of))] }

// chooseExt draws among ext2, ext3 and ext4, and among the options in which their maps differ.
func chooseExt(rnd *rand.Rand) chosen {
	block := one(rnd, "1024", "2048", "4096")
	args := []string{"-q", "-F", "-N", "3000", "-b", block, "-t", one(rnd, "ext2", "ext3", "ext4", "ext4", "ext4", "ext4")}
	if ext4 := args[len(args)-1] == "ext4"; ext4 {
		features := []string{one(rnd, "64bit", "^64bit"), one(rnd, "flex_bg", "flex_bg", "^flex_bg")}
		if rnd.Intn(2) == 0 {
			features = append(features, "meta_bg", "^resize_inode")
		}
		features = append(features, one(rnd, "metadata_csum", "^metadata_csum,uninit_bg", "^metadata_csum,^uninit_bg"))
		if rnd.Intn(3) == 0 {
			features = append(features, "bigalloc")
			n, _ := strconv.Atoi(block)
			args = append(args, "-C", strconv.Itoa(n<<(1+rnd.Intn(5))))
		}
		features = append(features, one(rnd, "has_journal", "^has_journal"), one(rnd, "sparse_super", "sparse_super", "^sparse_super,^resize_inode"))
		args = append(args, "-O", strings.Join(features, ","))
	}
	return chosen{
		what: "mkfs.ext4 " + strings.Join(args, " "), typ: "8300", use: used(looped),
		make: func(t *testing.T) string {
			path := blank(t, volumeSize)
			run(t, "", "mkfs.ext4", append(args, path)...)
			return path
		},
		peers: func(t *testing.T, v string) {
			compare(t, v)
			if !slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "bigalloc") }) { // of which partclone reads clusters as blocks
				f, size := open(t, v)
				comparePartclone(t, "partclone.extfs", v, usedRuns(t, mustUse(t, f, size), size))
			}
		},
		check: func(t *testing.T, v string) { run(t, "", "e2fsck", "-fn", v) },
	}
}

func chooseNTFS(rnd *rand.Rand) chosen {
	sector := int64(512) << (3 * rnd.Intn(2))
	cluster := sector << rnd.Intn(8)
	args := []string{"-q", "-F", "-f", "-s", fmt.Sprint(sector), "-c", fmt.Sprint(cluster)}
	return chosen{
		what: "mkfs.ntfs " + strings.Join(args, " "), typ: "0700", use: used(mounted),
		make: func(t *testing.T) string {
			path := blank(t, volumeSize)
			run(t, "", "mkfs.ntfs", append(args, path)...)
			return path
		},
		peers: func(t *testing.T, v string) { compareNTFS(t, v, sector, cluster) },
		check: func(t *testing.T, v string) {
			if out := run(t, "", "ntfsfix", "-n", v); strings.Contains(out, "FAILED") || !strings.Contains(out, "processed successfully") {
				t.Errorf("ntfsfix -n: %s", out)
			}
			run(t, "", "ntfsinfo", "-m", v)
		},
	}
}

// chooseFAT draws a width of the table and a cluster that gives it a number of clusters that fits.
func chooseFAT(rnd *rand.Rand) chosen {
	args := [][]string{{"-F", "12", "-s", "64"}, {"-F", "12", "-s", "128"}, {"-F", "16", "-s", "4"}, {"-F", "16", "-s", "16"}, {"-F", "16", "-s", "32", "-f", "1"},
		{"-F", "32", "-s", "1"}, {"-F", "32", "-s", "2"}, {"-F", "32", "-s", "1", "-R", "100"}}[rnd.Intn(8)]
	fat12 := args[1] == "12"
	return chosen{
		what: "mkfs.vfat " + strings.Join(args, " "), typ: "0700",
		make: func(t *testing.T) string {
			path := blank(t, volumeSize)
			run(t, "", "mkfs.vfat", append(args, path)...)
			return path
		},
		use: func(t *testing.T, v string, fn func(dir string)) { // mtools stand in for a kernel that may lack vfat
			for round := range 2 {
				dir := filepath.Join(t.TempDir(), fmt.Sprintf("round %d", round))
				fn(dir)
				run(t, "", "mcopy", "-s", "-i", v, dir, "::/")
			}
			run(t, "", "mdeltree", "-i", v, "::/round 0")
		},
		peers: func(t *testing.T, v string) {
			f, size := open(t, v)
			runs := usedRuns(t, mustUse(t, f, size), size)
			compareFsck(t, v, runs)
			if !fat12 { // of which partclone reads both tables as one
				comparePartclone(t, "partclone.fat", v, runs)
			}
		},
		check: func(t *testing.T, v string) { run(t, "", "fsck.vfat", "-n", v) },
	}
}

// used is how a file system that can be mounted is worked on.
func used(mount func(testing.TB, string, func(string))) func(*testing.T, string, func(string)) {
	return func(t *testing.T, v string, fn func(dir string)) { mount(t, v, fn) }
}

// files gives the digests of a volume's files.
func (c chosen) files(t *testing.T, v string) (out map[string]string) {
	t.Helper()
	if strings.HasPrefix(c.what, "mkfs.vfat") {
		return fatFiles(t, v)
	}
	c.use(t, v, func(dir string) { out = hashes(t, dir) })
	return out
}

// TestRandomFileSystemsComeBackWhole draws file systems and options of their mkfs, works on them, asks their peers that
// our map never lacks a block that they call used, and takes them as an image to an equal and to a larger drive full of
// rubbish. Each run draws anew; INGOT_SEED repeats one.
func TestRandomFileSystemsComeBackWhole(t *testing.T) {
	first, n := rand.Int63(), 4
	if s := os.Getenv("INGOT_SEED"); s != "" {
		var err error
		if first, err = strconv.ParseInt(s, 10, 64); err != nil {
			t.Fatal(err)
		}
		n = 1
	}
	for i := range n {
		seed := first + int64(i)
		c := choose(rand.New(rand.NewSource(seed)))
		t.Run(fmt.Sprintf("INGOT_SEED=%d", seed), func(t *testing.T) {
			t.Log(c.what)
			v := c.make(t)
			c.use(t, v, func(dir string) { age(t, dir, seed, 400) })
			c.peers(t, v)
			want := c.files(t, v)
			if len(want) < 30 {
				t.Fatalf("only %d files are left", len(want))
			}
			restore := imaged(t, v, c.typ)
			for _, more := range []int64{0, 37 * mib} {
				back := restore(more)
				c.check(t, back)
				if got := c.files(t, back); !maps.Equal(got, want) {
					t.Errorf("the files differ on a drive that is %d bytes larger (%d before, %d behind)", more, len(want), len(got))
				}
			}
		})
	}
}

// imaged captures a disk with the volume as its one partition. What it gives puts the image on a drive full of rubbish
// that is so much larger, and takes the partition from there.
func imaged(t *testing.T, volume, typ string) func(larger int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	b, err := os.ReadFile(volume)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(b)) + 2*mib
	whole := bytes.Repeat([]byte{0x5A}, int(size)) // what stood on the reference machine before
	clear(whole[:mib])
	clear(whole[size-mib:])
	copy(whole[mib:], b)
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "", "sgdisk", "-n", fmt.Sprintf("1:2048:+%dK", len(b)/1024), "-t", "1:"+typ, path)
	file, err := diskfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	st, err := chunkstore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	res, err := capture.Run(context.Background(), file, capture.Sink{Chunks: st.NewBatch(), Manifests: st}, capture.Options{GrowPartition: capture.NoGrow})
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.FreeBytes < 20*mib {
		t.Errorf("only %d bytes are free in the image", res.Header.FreeBytes)
	}
	return func(larger int64) string { return restored(t, st, res, size+larger, int64(len(b))) }
}

// restored writes the image over a drive of rubbish, as a deploy does, and gives the first partition's volume.
func restored(t *testing.T, st *chunkstore.Store, res capture.Result, size, volume int64) string {
	t.Helper()
	m, err := st.OpenManifest(res.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	drive := bytes.Repeat([]byte{0xA5}, int(size))
	for e, err := range m.All() {
		if err != nil {
			t.Fatal(err)
		}
		switch at := drive[e.Offset:e.End()]; e.Kind {
		case imaging.Data:
			b, err := st.ReadChunk(e.Digest)
			if err != nil {
				t.Fatal(err)
			}
			copy(at, b)
		case imaging.Zero:
			clear(at)
		}
	}
	plan, err := disk.NewPlan(res.Header, uint64(size), 512, drive[:disk.HeadSize(res.Header)], job.Grow{})
	if err != nil {
		t.Fatal(err)
	}
	copy(drive, plan.Head)
	copy(drive[plan.BackupOffset:], plan.Backup)
	dir := t.TempDir()
	path, part := filepath.Join(dir, "drive"), filepath.Join(dir, "volume")
	if err := errors.Join(os.WriteFile(path, drive, 0o600), os.WriteFile(part, drive[mib:mib+volume], 0o600)); err != nil {
		t.Fatal(err)
	}
	run(t, "", "sgdisk", "-v", path)
	return part
}
