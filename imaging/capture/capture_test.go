package capture_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ingot/imaging"
	"ingot/imaging/capture"
	"ingot/imaging/fs"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAGoldenDiskBecomesAnImage(t *testing.T) {
	d := golden(t)
	st := newStore(t)
	res := run(t, d.path, st, capture.Options{})
	if len(res.Notes) != 0 {
		t.Errorf("notes %v; want none", res.Notes)
	}
	h := res.Header
	if h.Table != "gpt" || h.RootPartition != 3 || h.GrowPartition != 3 || h.SwapPartition != 4 || !slices.Equal(h.Firmware, []string{"uefi", "bios"}) {
		t.Errorf("header = %+v", h)
	}
	if want := (imaging.OSInfo{ID: "debian", Name: "Debian GNU/Linux 12 (bookworm)", Personalise: "linux"}); h.OS != want {
		t.Errorf("OS = %+v; want %+v", h.OS, want)
	}
	if p, _ := h.Partition(4); p.FileSystem != "swap" || p.UUID != uuid || p.Label != "swap" {
		t.Errorf("swap partition = %+v", p)
	}
	if p, _ := h.Partition(3); p.TypeGUID != gpt.TypeLinuxRoot64.String() || !p.Grow || p.FileSystem != "ext4" || p.Label != "root" {
		t.Errorf("root partition = %+v", p)
	}
	if h.FreeBytes < 70*mib || h.DataBytes+h.ZeroBytes+h.FreeBytes != 120*mib {
		t.Errorf("data %d, zero %d, free %d bytes", h.DataBytes, h.ZeroBytes, h.FreeBytes)
	}
	checkRestored(t, d, st.restore(t, res.Manifest))
}

// checkRestored holds a disk rebuilt from the image against the original, in everything that is used.
func checkRestored(t *testing.T, d disk, got []byte) {
	t.Helper()
	was, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := gpt.ReadTable(bytes.NewReader(was), int64(len(was)), 512)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[:2*mib], was[:2*mib]) || !bytes.Equal(got[82*mib:82*mib+4096], was[82*mib:82*mib+4096]) || !bytes.Equal(got[98*mib:119*mib], was[98*mib:119*mib]) {
		t.Error("head, boot partition, swap header or the gap behind the partitions differ")
	}
	if bytes.Equal(got[90*mib:90*mib+4096], was[90*mib:90*mib+4096]) {
		t.Error("the swap's old content is in the image")
	}
	if bytes.Contains(got[len(got)-33*512:], []byte("EFI PART")) {
		t.Error("the second GPT is in the image")
	}
	off, tail, err := tab.Backup()
	if err != nil {
		t.Fatal(err)
	}
	if rest := got[off : (off/4096+1)*4096]; !bytes.Equal(rest, make([]byte, len(rest))) {
		t.Error("a part of the second GPT is in the block that it shares")
	}
	copy(got[off:], tail)
	restored := filepath.Join(t.TempDir(), "restored.raw")
	if err := os.WriteFile(restored, got, 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "sgdisk", "-v", restored)
	root := filepath.Join(t.TempDir(), "root")
	if err := os.WriteFile(root, got[22*mib:82*mib], 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "e2fsck", "-fn", root)
	v, err := fs.Open(bytes.NewReader(got[22*mib:82*mib]), 60*mib)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range debian() {
		if b, err := v.ReadFile(path, 4*mib); err != nil || string(b) != want {
			t.Errorf("%s differs in the restored image (%v)", path, err)
		}
	}
}

func TestTheSameDiskGivesTheSameManifest(t *testing.T) {
	d := golden(t)
	first := newStore(t)
	want := run(t, d.path, first, capture.Options{Workers: 1})
	qcow := filepath.Join(t.TempDir(), "d.qcow2")
	tool(t, "qemu-img", "convert", "-c", "-O", "qcow2", d.path, qcow)
	for name, path := range map[string]string{"raw again": d.path, "as qcow2": qcow} {
		res := run(t, path, first, capture.Options{Workers: 7})
		if res.Manifest != want.Manifest {
			t.Errorf("%s: manifest %s; want %s", name, res.Manifest, want.Manifest)
		}
		if first.stats.NewChunks != 0 || first.stats.Chunks != res.Header.DataExtents {
			t.Errorf("%s: %d chunks were stored twice", name, first.stats.NewChunks)
		}
	}
}

func TestAnUnusedQuarterTerabyteCostsNothing(t *testing.T) {
	d := gptDisk(t, 250<<10, "20 ef00", "245760 8304", "8192 8200")
	d.put(1, esp(t, 20, true))
	tool(t, "mkfs.ext4", "-q", "-F", "-E", "offset=22020096", d.path, "240G")
	d.put(245781, swap(t, 8192))
	start := time.Now()
	st := newStore(t)
	res := run(t, d.path, st, capture.Options{})
	t.Logf("captured in %v, read %d MiB", time.Since(start), res.ReadBytes/mib)
	if res.ReadBytes > 64*mib || st.stats.StoredBytes > 4*mib {
		t.Errorf("read %d bytes, stored %d", res.ReadBytes, st.stats.StoredBytes)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %v", took)
	}
	if h := res.Header; h.FreeBytes < 235<<30 || h.SwapPartition != 3 {
		t.Errorf("free %d bytes, swap partition %d", h.FreeBytes, h.SwapPartition)
	}
}

func TestFreeSpaceIsFreeEvenWhereItHoldsOldData(t *testing.T) {
	d := golden(t)
	before := run(t, d.path, newStore(t), capture.Options{})
	rubbish := bytes.Repeat([]byte("secret of a former user "), 50_000)
	d.write(70*mib, rubbish) // in the root's free part
	st := newStore(t)
	after := run(t, d.path, st, capture.Options{})
	if after.Manifest != before.Manifest {
		t.Error("data in free blocks changes the manifest")
	}
	for _, c := range st.chunks(t, after.Manifest) {
		if bytes.Contains(c, []byte("secret of a former user")) {
			t.Fatal("data of free blocks is in a chunk")
		}
	}
}

func TestADisksKindsAreToldApart(t *testing.T) {
	root := files(t, debian())
	noSystemd := debian()
	delete(noSystemd, "usr/lib/systemd/systemd")
	cases := map[string]struct {
		disk func(t *testing.T) string
		opts capture.Options
		want func(h imaging.Header) bool
		note string
	}{
		"a root known by its fstab only": {func(t *testing.T) string {
			d := gptDisk(t, 80, "60 8300")
			d.put(1, ext4(t, 60, root))
			return d.path
		}, capture.Options{}, func(h imaging.Header) bool { return h.RootPartition == 1 && h.OS.Personalise == "linux" }, "No loader"},
		"two roots and no name": {func(t *testing.T) string {
			d := gptDisk(t, 80, "30 8300", "30 8300")
			d.put(1, ext4(t, 30, root))
			d.put(31, ext4(t, 30, root))
			return d.path
		}, capture.Options{}, func(h imaging.Header) bool { return h.RootPartition == 0 && h.GrowPartition == 0 }, "More than one"},
		"two roots, one named": {func(t *testing.T) string {
			d := gptDisk(t, 80, "30 8300", "30 8300")
			d.put(1, ext4(t, 30, root))
			d.put(31, ext4(t, 30, root))
			return d.path
		}, capture.Options{RootPartition: 2}, func(h imaging.Header) bool { return h.RootPartition == 2 && h.GrowPartition == 2 }, ""},
		"a Linux without systemd": {func(t *testing.T) string {
			d := gptDisk(t, 80, "60 8304")
			d.put(1, ext4(t, 60, files(t, noSystemd)))
			return d.path
		}, capture.Options{}, func(h imaging.Header) bool { return h.OS.ID == "debian" && h.OS.Personalise == "" }, "no systemd"},
		"no growing": {func(t *testing.T) string { return golden(t).path }, capture.Options{GrowPartition: capture.NoGrow},
			func(h imaging.Header) bool { return h.GrowPartition == 0 && h.SwapPartition == 0 }, ""},
		"an EFI partition without the fallback loader": {func(t *testing.T) string {
			d := gptDisk(t, 80, "20 ef00", "40 8304")
			d.put(1, esp(t, 20, false))
			return d.path
		}, capture.Options{}, func(h imaging.Header) bool { return len(h.Firmware) == 0 }, "No loader"},
		"an MBR disk": {func(t *testing.T) string {
			d := disk{t, blank(t, "mbr", 80*mib)}
			mbr := make([]byte, 512)
			copy(mbr, "\xfaprogram")
			copy(mbr[446:], []byte{0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0, 2, 0})
			mbr[510], mbr[511] = 0x55, 0xAA
			d.write(0, mbr)
			d.put(1, ext4(t, 60, root))
			return d.path
		}, capture.Options{}, func(h imaging.Header) bool {
			return h.Table == "mbr" && h.RootPartition == 1 && h.GrowPartition == 0 && slices.Equal(h.Firmware, []string{"bios"}) && h.FreeBytes > 40*mib
		}, ""},
		"a file system without a table": {func(t *testing.T) string { return ext4(t, 60, root) }, capture.Options{},
			func(h imaging.Header) bool { return h.Table == "none" && h.FreeBytes > 40*mib }, "no partition table"},
		"an ext4 that was not closed": {func(t *testing.T) string {
			d := gptDisk(t, 80, "60 8304")
			d.put(1, ext4(t, 60, root))
			d.write(mib+1024+0x60, []byte{0xC6}) // filetype, extents, 64bit, and the journal to be replayed
			return d.path
		}, capture.Options{}, func(h imaging.Header) bool { return h.FreeBytes < mib }, "copied whole"},
		"a Windows disk": {func(t *testing.T) string {
			d := gptDisk(t, 80, "16 0c01", "40 0700")
			d.put(17, ntfs(t, 40, nil))
			return d.path
		}, capture.Options{}, func(h imaging.Header) bool {
			return h.OS == (imaging.OSInfo{}) && h.Partitions[1].FileSystem == "ntfs" && h.RootPartition == 0 && h.FreeBytes > 35*mib
		}, "No partition was recognised"},
		"an NTFS of an unknown kind": {func(t *testing.T) string {
			d := gptDisk(t, 80, "16 0c01", "40 0700")
			d.write(17*mib, append([]byte("\xeb\x52\x90NTFS    "), make([]byte, 501)...))
			return d.path
		}, capture.Options{}, func(h imaging.Header) bool { return h.FreeBytes < mib }, "copied whole: NTFS"},
		"a disk that ends within a block": {func(t *testing.T) string { return blankWith(t, 10*mib+512, 10*mib, "end") }, capture.Options{},
			func(h imaging.Header) bool { return h.DiskSize == 10*mib+512 && h.DataBytes == 512 }, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			res := run(t, c.disk(t), newStore(t), c.opts)
			if !c.want(res.Header) {
				t.Errorf("header = %+v", res.Header)
			}
			if c.note != "" && !slices.ContainsFunc(res.Notes, func(n capture.Note) bool { return strings.Contains(n.Text, c.note) }) {
				t.Errorf("notes = %v; want one with %q", res.Notes, c.note)
			}
		})
	}
}

func blankWith(t *testing.T, size, at int64, s string) string {
	d := disk{t, blank(t, "blank", size)}
	d.write(at, []byte(s))
	return d.path
}

func TestADiskThatMakesABadImageIsRefusedInWords(t *testing.T) {
	whole := golden(t)
	change := func(fn func(d disk)) func(t *testing.T) string {
		return func(t *testing.T) string {
			c := disk{t, filepath.Join(t.TempDir(), "copy.raw")}
			tool(t, "cp", "--sparse=always", whole.path, c.path)
			fn(c)
			return c.path
		}
	}
	cases := map[string]struct {
		disk func(t *testing.T) string
		opts capture.Options
		want string // in the fact, behind the code when that is not CodeImageInvalid
	}{
		"a file that was cut off": {change(func(d disk) { os.Truncate(d.path, 110*mib) }), capture.Options{}, "cut off"},
		"a damaged first table":   {change(func(d disk) { d.write(512+60, []byte{1, 2, 3}) }), capture.Options{}, "first partition table is damaged"},
		"BitLocker":               {change(func(d disk) { d.write(22*mib, []byte("\xeb\x58\x90-FVE-FS-")) }), capture.Options{}, "E673 BitLocker"},
		"LUKS":                    {change(func(d disk) { d.write(22*mib, []byte("LUKS\xba\xbe\x00\x02")) }), capture.Options{}, "E673 LUKS"},
		"a sleeping system":       {change(func(d disk) { d.write(82*mib+4086, []byte("S1SUSPEND\x00")) }), capture.Options{}, "E671 sleeping"},
		"a hibernated Windows": {func(t *testing.T) string {
			d := gptDisk(t, 80, "40 0700")
			d.put(1, ntfs(t, 40, map[string]string{"hiberfil.sys": "hibr" + strings.Repeat("\x00", 9000)}))
			return d.path
		}, capture.Options{}, "E671 Partition 1 cannot be imaged: NTFS holds a Windows that was put to sleep"},
		"an NTFS that was not closed": {func(t *testing.T) string {
			d := gptDisk(t, 80, "40 0700")
			v := ntfs(t, 40, nil)
			tool(t, "ntfsfix", v) // asks for a check
			d.put(1, v)
			return d.path
		}, capture.Options{}, "E672 Partition 1 cannot be imaged: NTFS is marked dirty"},
		"a file system longer than its partition": {func(t *testing.T) string {
			d := gptDisk(t, 80, "30 8304", "30 8300")
			d.put(1, ext4(t, 40, files(t, debian())))
			return d.path
		}, capture.Options{}, "cut off"},
		"a file system cut off": {func(t *testing.T) string {
			v := ext4(t, 40, files(t, debian()))
			os.Truncate(v, 39*mib)
			return v
		}, capture.Options{}, "cut off"},
		"a root that is not there":        {change(func(disk) {}), capture.Options{RootPartition: 9}, "no partition 9"},
		"a grow partition that is not":    {change(func(disk) {}), capture.Options{GrowPartition: 9}, "no partition 9"},
		"growing on a disk without GPT":   {func(t *testing.T) string { return mbrWith(t, 1) }, capture.Options{GrowPartition: 1}, "no GPT"},
		"a partition past the disk's end": {func(t *testing.T) string { return mbrWith(t, 9) }, capture.Options{}, "cut off"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := try(context.Background(), t, open(t, c.disk(t)), newStore(t), c.opts)
			var f *job.Fault
			code, want := job.CodeImageInvalid, c.want
			if strings.HasPrefix(want, "E6") {
				code, want = job.Code(want[:4]), want[5:]
			}
			if !errors.As(err, &f) || f.Code != code || !strings.Contains(f.Fact, want) {
				t.Errorf("Run = %v; want a Fault with %s %q", err, code, want)
			}
		})
	}
}

// mbrWith is an MBR disk of 8 MiB with one partition of n MiB.
func mbrWith(t *testing.T, n byte) string {
	mbr := make([]byte, 512)
	copy(mbr[446:], []byte{0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, n * 8, 0, 0})
	mbr[510], mbr[511] = 0x55, 0xAA
	return blankWith(t, 8*mib, 0, string(mbr))
}

func TestAFileThatIsWrittenMeanwhileGivesNoImage(t *testing.T) {
	d := golden(t)
	o := capture.Options{Progress: func(capture.Progress) { os.Chtimes(d.path, time.Time{}, time.Unix(1, 0)) }}
	err := try(context.Background(), t, open(t, d.path), newStore(t), o)
	var f *job.Fault
	if !errors.As(err, &f) || !strings.Contains(f.Fact, "changed while it was read") {
		t.Errorf("Run = %v; want a Fault", err)
	}
}

// broken is a batch that cannot store.
type broken struct {
	capture.Chunks
	err error
}

func (b broken) Put([]byte) (imaging.Digest, error) { return imaging.Digest{}, b.err }

func TestAFailingSinkOrACancelEndsTheCapture(t *testing.T) {
	d := golden(t)
	st, full := newStore(t), errors.New("disk full")
	_, err := capture.Run(context.Background(), open(t, d.path), capture.Sink{Chunks: broken{st.NewBatch(), full}, Manifests: st}, capture.Options{})
	if !errors.Is(err, full) || !st.empty(t) {
		t.Errorf("Run with a failing sink = %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := capture.Options{Progress: func(capture.Progress) { cancel() }}
	if err := try(ctx, t, open(t, d.path), newStore(t), o); !errors.Is(err, context.Canceled) {
		t.Errorf("Run after a cancel = %v", err)
	}
}

// unreadable is a disk with a bad place.
type unreadable struct{ capture.Source }

func (u unreadable) ReadAt(b []byte, off int64) (int, error) {
	if off <= 40*mib && 40*mib < off+int64(len(b)) {
		return 0, errors.New("medium error")
	}
	return u.Source.ReadAt(b, off)
}

// NextData says that everything is stored, as of a drive.
func (u unreadable) NextData(off int64) (int64, int64, error) { return off, u.Size(), nil }

func TestADiskThatCannotBeReadGivesNoImage(t *testing.T) {
	d := gptDisk(t, 80, "70 0700") // not understood, so all of it is read
	err := try(context.Background(), t, unreadable{open(t, d.path)}, newStore(t), capture.Options{})
	var f *job.Fault
	if !errors.As(err, &f) || !strings.Contains(f.Fact, "medium error") {
		t.Errorf("Run = %v; want a Fault", err)
	}
}

func TestProgressEndsAtItsTotal(t *testing.T) {
	d := golden(t)
	var all []capture.Progress
	now := time.Unix(0, 0)
	run(t, d.path, newStore(t), capture.Options{
		Progress: func(p capture.Progress) { all = append(all, p) },
		Now:      func() time.Time { now = now.Add(time.Second); return now },
	})
	if len(all) < 3 {
		t.Fatalf("%d reports", len(all))
	}
	for i, p := range all[1:] {
		if p.Done < all[i].Done || p.Total != all[0].Total || p.Done > p.Total {
			t.Errorf("report %+v follows %+v", p, all[i])
		}
	}
	mid, last := all[len(all)/2], all[len(all)-1]
	if mid.BytesPerSec <= 0 || mid.SecondsLeft <= 0 || last.Done != last.Total || last.SecondsLeft != 0 {
		t.Errorf("in the middle %+v, at the end %+v", mid, last)
	}
}

func TestInspectTellsTheHeaderWithoutStoring(t *testing.T) {
	h, notes, err := capture.Inspect(open(t, golden(t).path), capture.Options{})
	if err != nil || h.RootPartition != 3 || h.OS.ID != "debian" || len(notes) != 0 {
		t.Errorf("Inspect = %+v, %v, %v", h, notes, err)
	}
}
