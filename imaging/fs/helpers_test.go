package fs_test

import (
	"errors"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const mib = 1 << 20

// packages says which Debian package brings a tool.
var packages = map[string]string{
	"mkfs.ext4": "e2fsprogs", "dumpe2fs": "e2fsprogs", "debugfs": "e2fsprogs", "mkfs.vfat": "dosfstools", "fsck.vfat": "dosfstools",
	"mcopy": "mtools", "mmd": "mtools", "mdel": "mtools", "mdeltree": "mtools", "mkswap": "util-linux", "cryptsetup": "cryptsetup-bin",
	"partclone.extfs": "partclone", "partclone.ntfs": "partclone", "partclone.fat": "partclone", "sgdisk": "gdisk",
	"mkfs.ntfs": "ntfs-3g", "ntfs-3g": "ntfs-3g", "ntfscat": "ntfs-3g", "ntfscluster": "ntfs-3g", "ntfsinfo": "ntfs-3g", "ntfsfix": "ntfs-3g",
}

// run runs a tool and gives what it prints; a missing tool skips the test.
func run(t testing.TB, stdin, name string, args ...string) string {
	t.Helper()
	cmd := command(t, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is missing: install Debian's package %s", name, packages[name])
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MTOOLS_SKIP_CHECK=1")
	return cmd
}

// blank makes an empty file of size bytes.
func blank(t testing.TB, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "volume")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
		t.Fatal(err)
	}
	return path
}

// tree makes a folder as a small Linux has it, with a folder large enough for an index.
func tree(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	rnd := rand.New(rand.NewSource(7))
	put := func(path string, b []byte) {
		t.Helper()
		full := filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	put("usr/lib/os-release", []byte("ID=debian\nPRETTY_NAME=\"Debian 12\"\n"))
	put("etc/fstab", []byte("UUID=x / ext4 defaults 0 1\n"))
	big := make([]byte, 3*mib+77)
	rnd.Read(big)
	put("usr/bin/big", big)
	for i := range 900 {
		put("var/many/a file with a rather long name number "+strings.Repeat("x", i%50)+string(rune('a'+i%26))+strings.Repeat("y", i/26), nil)
	}
	for link, target := range map[string]string{
		"etc/os-release": "../usr/lib/os-release", "absolute": "/usr/lib/os-release", "loop": "loop",
		"out": "../../../../etc/fstab", "long": strings.Repeat("usr/../", 20) + "etc/fstab", "gone": "nowhere",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// open opens a file with its size.
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

// device is the number of the file system that a file lies on.
func device(fi os.FileInfo) uint64 { return fi.Sys().(*syscall.Stat_t).Dev }
