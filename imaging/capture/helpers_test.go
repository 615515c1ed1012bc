package capture_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging"
	"ingot/imaging/capture"
	"ingot/imaging/chunkstore"
	"ingot/imaging/diskfile"
)

const (
	mib  = 1 << 20
	uuid = "11111111-2222-3333-4444-555555555555"
)

var packages = map[string]string{
	"sgdisk": "gdisk", "mkfs.ext4": "e2fsprogs", "e2fsck": "e2fsprogs", "mkfs.vfat": "dosfstools", "mmd": "mtools", "mcopy": "mtools",
	"mkswap": "util-linux", "qemu-img": "qemu-utils", "sfdisk": "fdisk", "debugfs": "e2fsprogs", "fsck.vfat": "dosfstools", "mtype": "mtools",
	"mkfs.ntfs": "ntfs-3g", "ntfscp": "ntfs-3g", "ntfscat": "ntfs-3g", "ntfsfix": "ntfs-3g", "ntfsinfo": "ntfs-3g",
}

// tool runs a program of Debian; a missing one skips the test.
func tool(t testing.TB, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is missing: install Debian's package %s", name, packages[name])
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MTOOLS_SKIP_CHECK=1", "SOURCE_DATE_EPOCH=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func blank(t testing.TB, name string, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
		t.Fatal(err)
	}
	return path
}

// files makes a folder of files, with the given texts.
func files(t testing.TB, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range texts {
		full := filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// debian is the least that capture takes for a Linux that can be given a name.
func debian() map[string]string {
	noise := make([]byte, 2*mib)
	rand.New(rand.NewSource(3)).Read(noise)
	return map[string]string{
		"etc/fstab": "# comment\nUUID=" + uuid + " / ext4 errors=remount-ro 0 1\n", "etc/os-release": "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		"usr/lib/systemd/systemd": "\x7fELF", "usr/bin/noise": string(noise), "usr/share/text": strings.Repeat("a line of text\n", 100_000),
	}
}

// disk is a disk file under construction; partitions begin and end on whole MiB.
type disk struct {
	t    testing.TB
	path string
}

// gptDisk makes a disk of size MiB with partitions of the given MiB and types, the first at 1 MiB.
func gptDisk(t testing.TB, size int64, parts ...string) disk {
	t.Helper()
	d := disk{t, blank(t, "disk.raw", size*mib)}
	args := []string{"-U", uuid}
	for i, p := range parts {
		mibs, typ, _ := strings.Cut(p, " ")
		n := i + 1
		args = append(args, "-n", fmt.Sprintf("%d:0:+%sM", n, mibs), "-t", fmt.Sprintf("%d:%s", n, typ), "-u", fmt.Sprintf("%d:%s%d", n, uuid[:35], n))
	}
	tool(t, "sgdisk", append(args, d.path)...)
	return d
}

// put copies a volume's file to at MiB.
func (d disk) put(at int64, volume string) {
	d.t.Helper()
	tool(d.t, "dd", "if="+volume, "of="+d.path, "bs=1M", fmt.Sprintf("seek=%d", at), "conv=notrunc,sparse", "status=none")
}

func (d disk) write(at int64, b []byte) {
	d.t.Helper()
	f, err := os.OpenFile(d.path, os.O_RDWR, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	_, err = f.WriteAt(b, at)
	if err := errors.Join(err, f.Close()); err != nil {
		d.t.Fatal(err)
	}
}

func ext4(t testing.TB, size int64, dir string, args ...string) string {
	t.Helper()
	v := blank(t, "ext4", size*mib)
	tool(t, "mkfs.ext4", append(append([]string{"-q", "-F", "-b", "4096", "-U", uuid, "-E", "hash_seed=" + uuid, "-L", "root", "-d", dir}, args...), v)...)
	return v
}

func esp(t testing.TB, size int64, loader bool) string {
	t.Helper()
	v := blank(t, "esp", size*mib)
	tool(t, "mkfs.vfat", "-i", "ABCD1234", v)
	tool(t, "mmd", "-i", v, "::/EFI", "::/EFI/boot")
	if loader {
		tool(t, "mcopy", "-i", v, filepath.Join(files(t, map[string]string{"l": "MZ"}), "l"), "::/EFI/boot/bootx64.efi")
	}
	return v
}

// ntfs makes a volume of size MiB with files in its root folder.
func ntfs(t testing.TB, size int64, texts map[string]string, args ...string) string {
	t.Helper()
	v := blank(t, "ntfs", size*mib)
	tool(t, "mkfs.ntfs", append(append([]string{"-q", "-F", "-f"}, args...), v)...)
	dir := files(t, texts)
	for path := range texts {
		tool(t, "ntfscp", "-f", v, filepath.Join(dir, path), path)
	}
	return v
}

func swap(t testing.TB, size int64) string {
	t.Helper()
	v := blank(t, "swap", size*mib)
	tool(t, "mkswap", "-q", "-U", uuid, "-L", "swap", v)
	return v
}

// golden is the disk of the lab in small: BIOS boot, ESP, root, swap behind it, and rubbish in free places.
func golden(t testing.TB) disk {
	t.Helper()
	d := gptDisk(t, 120, "1 ef02", "20 ef00", "60 8304", "16 8200")
	d.put(2, esp(t, 20, true))
	d.put(22, ext4(t, 60, files(t, debian())))
	d.put(82, swap(t, 16))
	boot := bytes.Repeat([]byte("boot"), 100)
	d.write(0, boot)                            // a program in the MBR
	d.write(mib, bytes.Repeat(boot, 20))        // and its rest
	d.write(90*mib, bytes.Repeat(boot, 5000))   // old memory in the swap
	d.write(101*mib+512, bytes.Repeat(boot, 3)) // something behind the last partition
	return d
}

// store is a real one, with a batch that can be made to fail.
type store struct {
	*chunkstore.Store
	dir   string
	stats chunkstore.Stats // of the last run
}

func newStore(t testing.TB) *store {
	t.Helper()
	dir := t.TempDir()
	s, err := chunkstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &store{Store: s, dir: dir}
}

// empty reports whether the store holds no manifest and nothing half-written.
func (s *store) empty(t testing.TB) bool {
	t.Helper()
	l, err := os.ReadDir(filepath.Join(s.dir, "manifests"))
	if err != nil {
		t.Fatal(err)
	}
	return len(l) == 0
}

// chunks reads every chunk of a manifest.
func (s *store) chunks(t testing.TB, d imaging.Digest) (out [][]byte) {
	t.Helper()
	m, err := s.OpenManifest(d)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for e, err := range m.All() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == imaging.Data {
			b, err := s.ReadChunk(e.Digest)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, b)
		}
	}
	return out
}

// restore writes an image over a disk full of rubbish: free places keep it.
func (s *store) restore(t testing.TB, d imaging.Digest) []byte {
	t.Helper()
	m, err := s.OpenManifest(d)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	disk := bytes.Repeat([]byte{0xA5}, int(m.Header().DiskSize))
	for e, err := range m.All() {
		if err != nil {
			t.Fatal(err)
		}
		switch out := disk[e.Offset:e.End()]; e.Kind {
		case imaging.Data:
			b, err := s.ReadChunk(e.Digest)
			if err != nil {
				t.Fatal(err)
			}
			copy(out, b)
		case imaging.Zero:
			clear(out)
		}
	}
	return disk
}

func open(t testing.TB, path string) *diskfile.File {
	t.Helper()
	f, err := diskfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func run(t testing.TB, path string, s *store, o capture.Options) capture.Result {
	t.Helper()
	b := s.NewBatch()
	res, err := capture.Run(context.Background(), open(t, path), capture.Sink{Chunks: b, Manifests: s}, o)
	if err != nil {
		t.Fatal(err)
	}
	s.stats = b.Stats()
	return res
}

// try is run for captures that must fail.
func try(ctx context.Context, t testing.TB, src capture.Source, s *store, o capture.Options) error {
	t.Helper()
	res, err := capture.Run(ctx, src, capture.Sink{Chunks: s.NewBatch(), Manifests: s}, o)
	if err == nil {
		t.Errorf("Run = %+v; want an error", res)
	}
	if !s.empty(t) {
		t.Error("the store keeps a manifest")
	}
	return err
}
