package benchmark

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
)

//go:embed office.sh
var officeScript string

// The layout of the office disk, in bytes. partclone and ext4 want to know where the partitions lie.
const (
	mib      = 1 << 20
	espAt    = 1 * mib
	espSize  = 512 * mib
	rootAt   = espAt + espSize
	diskSize = 12 << 30
	rootSize = diskSize - rootAt - mib // the last MiB is the second partition table's
)

// layoutVersion changes when layOut's outcome does.
const layoutVersion = "1"

// Set is how much an office disk holds.
type Set string

// Office is a whole desktop; Small is for a slow mirror.
const (
	Office Set = "office"
	Small  Set = "small"
)

var packagesOf = map[Set]string{
	Office: "linux-image-amd64 systemd-sysv grub-efi-amd64-bin network-manager openssh-client python3 git vim less xfce4 xfce4-terminal lightdm " +
		"firefox-esr thunderbird libreoffice-writer libreoffice-calc evince gimp vlc file-roller fonts-dejavu fonts-noto-core",
	Small: "linux-image-amd64 systemd-sysv grub-efi-amd64-bin network-manager openssh-client python3 git vim less firefox-esr",
}

// officeDisk returns a disk file of the set, building it when the cache has none.
func officeDisk(ctx context.Context, cache string, set Set, out io.Writer) (string, error) {
	packages, ok := packagesOf[set]
	if !ok {
		return "", fmt.Errorf("there is no set %q: office or small", set)
	}
	sum := sha256.Sum256([]byte(layoutVersion + "\n" + packages + "\n" + officeScript))
	dir := filepath.Join(cache, fmt.Sprintf("%s-%s", set, hex.EncodeToString(sum[:6])))
	disk := filepath.Join(dir, "disk.raw")
	if _, err := os.Stat(disk); err == nil {
		return disk, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	fmt.Fprintf(out, "office: building the disk %q (office: about 900 MB to download and 5 to 10 minutes; small: 200 MB and 2; kept in the cache)\n", set)
	start := time.Now()
	work, err := os.MkdirTemp(cache, ".build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	tree := filepath.Join(work, "tree")
	if err := fillTree(ctx, tree, packages, out); err != nil {
		return "", err
	}
	made := filepath.Join(work, "disk.raw")
	if err := layOut(ctx, tree, work, made); err != nil {
		return "", fmt.Errorf("lay out the office disk: %w", err)
	}
	if err := os.Rename(made, disk); err != nil {
		return "", err
	}
	fmt.Fprintf(out, "office: disk ready after %s: %s\n", time.Since(start).Round(time.Second), disk)
	return disk, nil
}

func fillTree(ctx context.Context, tree, packages string, out io.Writer) error {
	mirror, _, err := golden.Archives(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "--fork", "--kill-child", "sh", "-c", officeScript)
	cmd.Env = append(os.Environ(), "MIRROR="+mirror, "TREE="+tree, "PACKAGES="+packages)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		log, _ := os.ReadFile(tree + ".log") // absent when debootstrap never started
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		return fmt.Errorf("make the office tree: %w\n%s", err, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	return nil
}

// layOut makes the disk without mounting it: GPT, an EFI partition with kernel and initramfs, and an ext4 root
// whose free blocks were never written, as on a trimmed disk.
func layOut(ctx context.Context, tree, work, disk string) error {
	esp, root := filepath.Join(work, "esp.fat"), filepath.Join(work, "root.ext4")
	if err := sparse(esp, espSize); err != nil {
		return err
	}
	if err := sparse(disk, diskSize); err != nil {
		return err
	}
	span := func(n int, at, size int64) string { return fmt.Sprintf("--new=%d:%d:%d", n, at/512, (at+size)/512-1) }
	steps := [][]string{
		{"sgdisk", "-a", "1", span(1, espAt, espSize), "-t", "1:ef00", span(2, rootAt, rootSize), "-t", "2:8304", disk},
		{"mkfs.vfat", "-F", "32", "-n", "ESP", esp},
		{"mmd", "-i", esp, "::/EFI", "::/EFI/debian"},
		{"mkfs.ext4", "-q", "-F", "-b", "4096", "-L", "root", "-d", tree, root, strconv.Itoa(rootSize / 4096)},
	}
	boot, err := filepath.Glob(filepath.Join(tree, "boot", "*-amd64"))
	if err != nil {
		return err
	}
	if len(boot) > 0 {
		steps = append(steps, append(append([]string{"mcopy", "-i", esp}, boot...), "::/EFI/debian/"))
	}
	for _, s := range append(steps, place(esp, disk, espAt), place(root, disk, rootAt)) {
		if _, err := lab.Command(ctx, s...); err != nil {
			return err
		}
	}
	return nil
}

// place is the command that copies a file into the disk and leaves its holes out.
func place(from, disk string, at int64) []string {
	return []string{"dd", "if=" + from, "of=" + disk, "bs=1M", "conv=notrunc,sparse", "status=none", fmt.Sprintf("seek=%d", at/mib)}
}

// sparse makes a file of nothing but a hole.
func sparse(path string, size int64) error {
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return err
	}
	return os.Truncate(path, size)
}
