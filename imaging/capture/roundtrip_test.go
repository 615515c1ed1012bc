package capture_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ingot/imaging/capture"
	drive "ingot/imaging/disk"
	"ingot/imaging/job"
)

// ask runs a program and gives what it prints.
func ask(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is missing: install Debian's package %s", name, packages[name])
	}
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return out
}

// wholeKind is one way to fill a partition of 60 MiB.
type wholeKind struct {
	typ   string // sgdisk's code
	make  func(t *testing.T) string
	check func(t *testing.T, volume string) // beside the files
	file  func(t *testing.T, volume, name string) []byte
	raw   bool // copied whole, with a note
}

func wholeKinds(texts map[string]string) map[string]wholeKind {
	out := map[string]wholeKind{}
	for name, args := range map[string][]string{
		"ext4": nil, "ext4 without 64bit": {"-O", "^64bit"}, "ext4 with meta_bg": {"-O", "meta_bg,^resize_inode"}, "ext4 without flex_bg": {"-O", "^flex_bg"},
		"ext4 with uninit_bg": {"-O", "^metadata_csum,uninit_bg"}, "ext4 with bigalloc": {"-O", "bigalloc", "-N", "1000"},
	} {
		out[name] = wholeKind{
			typ: "8300", make: func(t *testing.T) string { return ext4(t, 60, files(t, texts), args...) },
			check: func(t *testing.T, v string) { tool(t, "e2fsck", "-fn", v) },
			file:  func(t *testing.T, v, name string) []byte { return ask(t, "debugfs", "-R", "cat /"+name, v) },
		}
	}
	for name, args := range map[string][]string{"FAT16": {"-F", "16"}, "FAT32": {"-F", "32", "-s", "1"}, "FAT12": {"-F", "12", "-s", "64"}} {
		out[name] = wholeKind{
			typ: "0700", make: func(t *testing.T) string {
				v, dir := blank(t, "fat", 60*mib), files(t, texts)
				tool(t, "mkfs.vfat", append(args, v)...)
				for name := range texts {
					tool(t, "mcopy", "-i", v, filepath.Join(dir, name), "::/"+name)
				}
				return v
			},
			check: func(t *testing.T, v string) { tool(t, "fsck.vfat", "-n", v) },
			file:  func(t *testing.T, v, name string) []byte { return ask(t, "mtype", "-i", v, "::/"+name) },
		}
	}
	for name, args := range map[string][]string{"NTFS": nil, "NTFS of small clusters": {"-c", "512"}, "NTFS of large clusters": {"-c", "65536"}} {
		out[name] = wholeKind{
			typ: "0700", make: func(t *testing.T) string { return ntfs(t, 60, texts, args...) },
			check: func(t *testing.T, v string) {
				if said := ask(t, "ntfsfix", "-n", v); !bytes.Contains(said, []byte("processed successfully")) {
					t.Errorf("ntfsfix -n: %s", said)
				}
				tool(t, "ntfsinfo", "-m", v)
			},
			file: func(t *testing.T, v, name string) []byte { return ask(t, "ntfscat", v, name) },
		}
	}
	for name, magic := range map[string]string{"XFS": "0 XFSB", "Btrfs": "65600 _BHRfS_M", "LVM": "536 LVM2 001", "something unknown": "0 what"} {
		out[name] = wholeKind{typ: "8300", raw: true, make: func(t *testing.T) string {
			v := blank(t, "raw", 60*mib)
			var at int64
			_, text, _ := strings.Cut(magic, " ")
			fmt.Sscan(magic, &at)
			d := disk{t, v}
			d.write(30*mib, []byte(texts["noise"]))
			d.write(at, []byte(text))
			if name == "LVM" {
				d.write(512, []byte("LABELONE"))
			}
			return v
		}}
	}
	return out
}

// TestEveryFileSystemComesBackWhole takes a disk with one file system of each kind, puts its image over rubbish
// on a drive of the same size and on a larger one, and asks the file system's own tools.
func TestEveryFileSystemComesBackWhole(t *testing.T) {
	noise := make([]byte, 3*mib+777)
	rand.New(rand.NewSource(9)).Read(noise)
	texts := map[string]string{"noise": string(noise), "small": "a few words\n", "text": strings.Repeat("a line of text\n", 9000)}
	for name, k := range wholeKinds(texts) {
		t.Run(name, func(t *testing.T) {
			d := gptDisk(t, 64, "60 "+k.typ)
			d.put(1, k.make(t))
			st := newStore(t)
			res := run(t, d.path, st, capture.Options{GrowPartition: capture.NoGrow})
			whole := func(n capture.Note) bool { return strings.Contains(n.Text, "copied whole") }
			if free := res.Header.FreeBytes > 40*mib; free == k.raw || slices.ContainsFunc(res.Notes, whole) != (k.raw && name != "something unknown") {
				t.Errorf("%d bytes are free, notes %v", res.Header.FreeBytes, res.Notes)
			}
			was, err := os.ReadFile(d.path)
			if err != nil {
				t.Fatal(err)
			}
			for _, size := range []int64{64 * mib, 97 * mib} {
				checkVolume(t, k, texts, place(t, st, res, size), was[mib:61*mib])
			}
		})
	}
}

// place puts an image on a drive full of rubbish, as a deploy does.
func place(t *testing.T, st *store, res capture.Result, size int64) string {
	t.Helper()
	got := st.restore(t, res.Manifest)
	plan, err := drive.NewPlan(res.Header, uint64(size), 512, got[:drive.HeadSize(res.Header)], job.Grow{})
	if err != nil {
		t.Fatal(err)
	}
	whole := append(got, bytes.Repeat([]byte{0xA5}, int(size)-len(got))...)
	copy(whole, plan.Head)
	copy(whole[plan.BackupOffset:], plan.Backup)
	path := filepath.Join(t.TempDir(), "drive")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "sgdisk", "-v", path)
	return path
}

func checkVolume(t *testing.T, k wholeKind, texts map[string]string, path string, was []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if k.raw {
		if !bytes.Equal(b[mib:61*mib], was) {
			t.Error("the partition differs")
		}
		return
	}
	v := filepath.Join(t.TempDir(), "volume")
	if err := os.WriteFile(v, b[mib:61*mib], 0o600); err != nil {
		t.Fatal(err)
	}
	k.check(t, v)
	for name, want := range texts {
		if got := k.file(t, v, name); string(got) != want {
			t.Errorf("%s has %d other bytes after the restore, %d before", name, len(got), len(want))
		}
	}
}

// TestZerosOfAVolumeWithoutAMapAreFound reads them, since no map tells.
func TestZerosOfAVolumeWithoutAMapAreFound(t *testing.T) {
	d := gptDisk(t, 64, "60 8300")
	d.write(mib, append([]byte("XFSB"), make([]byte, 20*mib)...)) // written zeros, not holes
	d.write(21*mib, bytes.Repeat([]byte("x"), 8192))
	res := run(t, d.path, newStore(t), capture.Options{})
	if h := res.Header; h.DataBytes > mib || h.ZeroBytes < 60*mib {
		t.Errorf("data %d, zero %d bytes", h.DataBytes, h.ZeroBytes)
	}
}
