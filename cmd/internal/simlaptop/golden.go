package simlaptop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The layout of a golden disk, in bytes: an EFI partition, then the root file system.
const (
	mib    = 1 << 20
	espAt  = 1 * mib
	espLen = 8 * mib
	rootAt = espAt + espLen
	tail   = 1 * mib // the second table
)

// Golden says what a small golden disk holds: enough of a Debian for Ingot to know it, name it and list its software.
type Golden struct {
	Software map[string]string // package -> version
	Payload  int               // bytes of a file that cannot be made smaller: what a deploy has to carry
	Seed     uint64            // of those bytes
	Pretty   string            // what the system calls itself; empty is what all of them do
}

// DiskSize is how large its disk is, and each drive that takes it.
func (g Golden) DiskSize() uint64 {
	return uint64(rootAt + (24*mib+g.Payload+g.Payload/16+mib-1)/mib*mib + tail)
}

// Bytes are those of the file of Payload bytes.
func (g Golden) Bytes() []byte {
	b := make([]byte, g.Payload)
	rand.NewChaCha8([32]byte{byte(g.Seed), byte(g.Seed >> 8), byte(g.Seed >> 16)}).Read(b)
	return b
}

// Make writes the disk to a file.
func (g Golden) Make(ctx context.Context, file string) error {
	dir, err := os.MkdirTemp("", "simlaptop-golden-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tree, esp := filepath.Join(dir, "tree"), filepath.Join(dir, "esp")
	if err := errors.Join(g.plant(tree), blank(esp, espLen), blank(file, int64(g.DiskSize())), os.WriteFile(filepath.Join(dir, "loader"), []byte("MZ no program"), 0o600)); err != nil {
		return fmt.Errorf("make a golden disk: %w", err)
	}
	root := int64(g.DiskSize()) - rootAt - tail
	for _, argv := range [][]string{
		{"mkfs.vfat", "-n", "ESP", esp},
		{"mmd", "-i", esp, "::/EFI", "::/EFI/BOOT"},
		{"mcopy", "-i", esp, filepath.Join(dir, "loader"), "::" + fallback},
		{"sgdisk", "--clear", "--new=1:2048:+8M", "--typecode=1:ef00", fmt.Sprintf("--new=2:%d:%d", rootAt/512, (rootAt+root)/512-1), "--typecode=2:8304", file},
		{"mkfs.ext4", "-q", "-F", "-b", "4096", "-L", "golden", "-E", fmt.Sprintf("offset=%d,nodiscard", rootAt), "-d", tree, file, fmt.Sprintf("%dK", root>>10)},
	} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("make a golden disk: %s: %w: %.300s", argv[0], err, out)
		}
	}
	return copyInto(esp, file, espAt)
}

func blank(path string, size int64) error {
	return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size))
}

func copyInto(from, to string, at int64) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, at)
	return errors.Join(err, f.Close())
}

// plant makes the folder tree of its root file system.
func (g Golden) plant(tree string) error {
	var status strings.Builder
	for _, name := range slices.Sorted(maps.Keys(g.Software)) {
		fmt.Fprintf(&status, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\nDescription: simulated\n\n", name, g.Software[name])
	}
	for name, text := range map[string]string{
		"etc/os-release":                          "PRETTY_NAME=" + strconv.Quote(cmp.Or(g.Pretty, "Simulated GNU/Linux 12")) + "\nNAME=Debian\nID=debian\nVERSION_ID=12\n",
		"etc/debian_version":                      "12.9\n",
		"etc/hostname":                            "golden\n",
		"etc/hosts":                               "127.0.0.1\tlocalhost\n127.0.1.1\tgolden\n",
		"etc/machine-id":                          "",
		"usr/lib/systemd/systemd":                 "simulated\n",
		"usr/lib/systemd/system/default.target":   "[Unit]\nDescription=simulated\n",
		"etc/systemd/system/multi-user.target":    "[Unit]\nDescription=simulated\n",
		"var/lib/dpkg/status":                     status.String(),
		"usr/share/simulated/payload":             string(g.Bytes()),
		"usr/share/simulated/how-this-came-to-be": "A test made it.\n",
	} {
		path := filepath.Join(tree, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			return err
		}
	}
	return nil
}
