package disk_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"ingot/imaging"
	"ingot/imaging/disk"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
)

// gptImage makes a golden disk with a real table: random data in the partitions' first 4 MiB, the rest free.
func gptImage(t testing.TB, size int, args ...string) *image {
	t.Helper()
	path := fileDrive(t, int64(size), nil)
	sgdisk(t, append(args, path)...)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := gpt.ReadTable(bytes.NewReader(b), int64(size), 512)
	if err != nil {
		t.Fatal(err)
	}
	h := imaging.Header{DiskSize: uint64(size), SectorSize: 512, Table: "gpt"}
	data := map[int]bool{0: true}
	for _, n := range tab.Used() {
		e, _ := tab.Partition(n)
		kind := map[gpt.GUID]string{gpt.TypeESP: "vfat", gpt.TypeLinux: "ext4", gpt.TypeLinuxRoot64: "xfs"}[e.Type]
		h.Partitions = append(h.Partitions, imaging.Partition{Number: n, FirstLBA: e.First, LastLBA: e.Last, TypeGUID: e.Type.String(), FileSystem: kind})
		start := int(e.First) * 512
		end := min(start+4*mib, int(e.Last+1)*512)
		fill(b[start:end])
		for off := start / mib; off*mib < end; off++ {
			data[off] = true
		}
	}
	return cut(t, b, h, func(off int) imaging.Kind {
		if data[off/mib] {
			return imaging.Data
		}
		return imaging.Free
	})
}

func planFor(t *testing.T, im *image, size uint64, g job.Grow) (*disk.Plan, error) {
	t.Helper()
	head, _, err := disk.FetchHead(t.Context(), &source{im: im}, im.manifest)
	if err != nil {
		t.Fatal(err)
	}
	return disk.NewPlan(im.manifest.Header(), size, 512, head, g)
}

// layouts of golden disks: EFI, root; EFI, root, swap; EFI, root, swap, recovery.
var (
	rootLast     = []string{"-n1:1M:+8M", "-t1:ef00", "-n2:9M:+20M", "-t2:8300"}
	swapLast     = append(rootLast[:4:4], "-n3:29M:+6M", "-t3:8200")
	recoveryLast = append(swapLast[:6:6], "-n4:35M:+4M", "-t4:2700")
	xfsRoot      = []string{"-n1:1M:+8M", "-t1:ef00", "-n2:9M:+20M", "-t2:8304", "-c2:x"}
)

func TestTheTableIsFittedToTheDrive(t *testing.T) {
	cases := map[string]struct {
		args     []string
		size     uint64
		grow     job.Grow
		code     job.Code
		grown    int
		swap     int
		end      uint64 // of partition 2, bytes
		swapFrom uint64 // of partition 3, bytes
	}{
		"a drive of the same size":              {args: rootLast, size: 40 * mib, grow: job.Grow{Partition: 2}, end: 29 * mib},
		"a larger drive, root grows":            {args: rootLast, size: 100 * mib, grow: job.Grow{Partition: 2}, grown: 2, end: 99 * mib},
		"a larger drive, nothing asked":         {args: rootLast, size: 100 * mib, end: 29 * mib},
		"swap moves to the end":                 {args: swapLast, size: 100 * mib, grow: job.Grow{Partition: 2, SwapLast: 3}, grown: 2, swap: 3, end: 93 * mib, swapFrom: 93 * mib},
		"swap that nobody named stays":          {args: swapLast, size: 100 * mib, grow: job.Grow{Partition: 2}, code: job.CodeLayout},
		"a recovery partition behind":           {args: recoveryLast, size: 100 * mib, grow: job.Grow{Partition: 2, SwapLast: 3}, code: job.CodeLayout},
		"a recovery partition, no larger drive": {args: recoveryLast, size: 40 * mib, grow: job.Grow{Partition: 2, SwapLast: 3}, end: 29 * mib},
		"a root that is no ext4":                {args: xfsRoot, size: 100 * mib, grow: job.Grow{Partition: 2}, code: job.CodeLayout},
		"no ext4, no larger drive":              {args: xfsRoot, size: 40 * mib, grow: job.Grow{Partition: 2}, end: 29 * mib},
		"no ext4, nothing asked":                {args: xfsRoot, size: 100 * mib, end: 29 * mib},
		"a partition that is not there":         {args: rootLast, size: 100 * mib, grow: job.Grow{Partition: 9}, code: job.CodeLayout},
		"a smaller drive":                       {args: rootLast, size: 39 * mib, code: job.CodeSmallDrive},
	}
	images := map[int]*image{} // by number of arguments: sgdisk takes a second each time
	for name, c := range cases {
		if images[len(c.args)] == nil {
			images[len(c.args)] = gptImage(t, 40*mib, c.args...)
		}
		t.Run(name, func(t *testing.T) {
			p, err := planFor(t, images[len(c.args)], c.size, c.grow)
			if c.code != "" {
				wantCode(t, err, c.code)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Grown != c.grown || p.Swap != c.swap || p.Parts[1].End() != c.end {
				t.Errorf("grown %d, swap %d, root ends at %d; want %d, %d, %d", p.Grown, p.Swap, p.Parts[1].End(), c.grown, c.swap, c.end)
			}
			if c.swapFrom != 0 && p.Parts[2].Offset != c.swapFrom {
				t.Errorf("swap begins at %d; want %d", p.Parts[2].Offset, c.swapFrom)
			}
		})
	}
}

func TestASectorSizeThatDiffersIsRefused(t *testing.T) {
	im := plainImage(t, 8)
	_, err := disk.NewPlan(im.manifest.Header(), 8*mib, 4096, im.bytes[:mib], job.Grow{})
	wantCode(t, err, job.CodeSectorSize)
}

func TestAManifestThatLiesAboutItsPartitionsIsRefused(t *testing.T) {
	im := gptImage(t, 40*mib, rootLast...)
	h := im.manifest.Header()
	h.Partitions = append([]imaging.Partition(nil), h.Partitions...)
	h.Partitions[1].LastLBA -= 8
	_, err := disk.NewPlan(h, 40*mib, 512, im.bytes[:mib], job.Grow{})
	wantCode(t, err, job.CodeManifest)
}

// TestALargerDriveBootsItsNewTable deploys onto a larger drive and lets sgdisk judge both tables; before commit
// there is neither.
func TestALargerDriveBootsItsNewTable(t *testing.T) {
	im := gptImage(t, 40*mib, swapLast...)
	old := make([]byte, 100*mib)
	fill(old)
	path := fileDrive(t, 100*mib, old)
	sgdisk(t, "-o", "-n1:1M:+90M", path) // what stood there before
	d := open(t, path)
	src := &source{im: im}
	head, _, err := disk.FetchHead(t.Context(), src, im.manifest)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := disk.NewPlan(im.manifest.Header(), d.Size(), 512, head, job.Grow{Partition: 2, SwapLast: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Invalidate(); err != nil {
		t.Fatal(err)
	}
	doesNotBoot(t, path)
	if _, err := (disk.Restore{Disk: d, Source: src, Manifest: im.manifest, Head: head}).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	doesNotBoot(t, path)
	proof, err := d.Commit(plan)
	if err != nil {
		t.Fatal(err)
	}
	if proof.Head != imaging.Sum(plan.Head) || proof.BackupGPT != imaging.Sum(plan.Backup) {
		t.Errorf("proof %+v is not of what was planned", proof)
	}
	if out := sgdisk(t, "-v", path); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk -v:\n%s", out)
	}
	out := sgdisk(t, "-i2", path)
	if !strings.Contains(out, "Partition size: 172032 sectors") {
		t.Errorf("sgdisk -i2 (want 84 MiB):\n%s", out)
	}
}

// TestAnImageThatEndsInDataIsRefused: its own second GPT must not be an extent.
func TestAnImageThatEndsInDataIsRefused(t *testing.T) {
	path := fileDrive(t, 40*mib, nil)
	sgdisk(t, append(rootLast[:4:4], path)...)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	im := cut(t, b, imaging.Header{DiskSize: 40 * mib, SectorSize: 512, Table: "gpt"}, func(int) imaging.Kind { return imaging.Data })
	_, _, err = disk.FetchHead(t.Context(), &source{im: im}, im.manifest)
	wantCode(t, err, job.CodeManifest)
}

// TestAPartitionBelowOneMiBIsWrittenInItsPlace holds back only the blocks before it.
func TestAPartitionBelowOneMiBIsWrittenInItsPlace(t *testing.T) {
	im := gptImage(t, 40*mib, "-a1", "-n1:34:2047", "-t1:ef02", "-n2:1M:+20M", "-t2:8300")
	if got := disk.HeadSize(im.manifest.Header()); got != 34*512 {
		t.Fatalf("HeadSize = %d; want %d", got, 34*512)
	}
	path := fileDrive(t, 40*mib, nil)
	d := open(t, path)
	if _, err := deploy(t.Context(), d, im, &source{im: im}, nil); err != nil {
		t.Fatal(err)
	}
	holds(t, path, im)
	if out := sgdisk(t, "-v", path); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk -v:\n%s", out)
	}
}

// stopping lets some writes through and then cuts the power.
type stopping struct {
	medium
	left *int
}

func (s stopping) WriteAt(p []byte, off int64) (int, error) {
	if *s.left--; *s.left < 0 {
		return 0, errors.New("power cut")
	}
	return s.medium.WriteAt(p, off)
}

// TestACommitThatIsCutShortLeavesADiskThatDoesNotBoot cuts the power before each of commit's writes: until the
// last one there is no protective MBR, without which no firmware looks at a GPT.
func TestACommitThatIsCutShortLeavesADiskThatDoesNotBoot(t *testing.T) {
	im := gptImage(t, 40*mib, rootLast...)
	plan, err := planFor(t, im, 50*mib, job.Grow{Partition: 2})
	if err != nil {
		t.Fatal(err)
	}
	writes := 0
	for ; ; writes++ {
		path := fileDrive(t, 50*mib, nil)
		left := writes
		d := disk.New(job.Drive{Path: path, SizeBytes: 50 * mib, SectorSize: 512}, stopping{medium{open(t, path)}, &left}, true)
		_, err := d.Commit(plan)
		if err == nil {
			break
		}
		wantCode(t, err, job.CodeDriveWrite)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b[:4096], make([]byte, 4096)) {
			t.Errorf("after %d writes the first sectors are not zero", writes)
		}
	}
	if writes != 3 {
		t.Errorf("commit made %d writes; want second table, head, first table", writes)
	}
}

// TestACommitThatDidNotReachTheDriveIsFound drops commit's last write.
func TestACommitThatDidNotReachTheDriveIsFound(t *testing.T) {
	im := gptImage(t, 40*mib, rootLast...)
	plan, err := planFor(t, im, 50*mib, job.Grow{})
	if err != nil {
		t.Fatal(err)
	}
	path := fileDrive(t, 50*mib, nil)
	l := &lying{medium: medium{open(t, path)}, at: 0}
	d := disk.New(job.Drive{Path: path, SizeBytes: 50 * mib, SectorSize: 512}, l, true)
	_, err = d.Commit(plan)
	wantCode(t, err, job.CodeCommit)
}
