// Package golden makes golden images for the lab: disk files of a Debian reference machine, as a helpdesk
// would capture one, ready to be imported.
//
// A golden image is a recipe carried out. tree.sh fills a folder with Debian 12 and systemd by debootstrap,
// from the archive that the host's own apt already uses; disk.go lays it out as a hybrid disk without mounting
// anything:
//
//	BIOS boot partition  1 MiB    GRUB's core image, found through the boot sector
//	EFI system partition 64 MiB   signed shim and GRUB, both as Debian's entry and as the fallback loader
//	root                 the rest ext4; last, so that it can grow (or before a swap partition)
//
// so that one image starts by SeaBIOS, by UEFI and with Secure Boot on. The result is kept in the cache under
// a name that carries the hash of the recipe: a changed recipe makes a new image, an unchanged one costs
// nothing.
package golden

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed tree.sh
var treeScript string

// layoutVersion changes with disk.go's outcome, as tree.sh's bytes change with the tree's.
const layoutVersion = "3"

// Flavour is a kind of golden machine.
type Flavour string

// The flavours that the tests need.
const (
	Plain   Flavour = "plain"   // systemd-networkd
	Desktop Flavour = "desktop" // NetworkManager and cloud-init, which both like to rename a host
	Swap    Flavour = "swap"    // plain, with a swap partition behind the root
)

// HostName is the golden machine's own name, which no deployed laptop may keep. Password is root's.
const (
	HostName = "golden"
	Password = "ingot"
)

// Builder makes golden images.
type Builder struct {
	Cache    string    // folder of finished images
	Progress io.Writer // one line a step
}

// Image returns the path of a flavour's disk file (raw, sparse), building it when the cache has none.
func (b Builder) Image(ctx context.Context, f Flavour) (string, error) {
	if err := os.MkdirAll(b.Cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := b.lock(f)
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(b.Cache, fmt.Sprintf("%s-%s.raw", f, recipeHash(f)))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, b.build(ctx, f, path)
}

// recipeHash names what the image is made of.
func recipeHash(f Flavour) string {
	sum := sha256.Sum256([]byte(layoutVersion + "\n" + string(f) + "\n" + treeScript))
	return hex.EncodeToString(sum[:6])
}

// lock lets two runs that need the same image build it once.
func (b Builder) lock(f Flavour) (unlock func(), err error) {
	l, err := os.OpenFile(filepath.Join(b.Cache, string(f)+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX); err != nil {
		l.Close()
		return nil, fmt.Errorf("lock the golden image: %w", err)
	}
	return func() { l.Close() }, nil
}

func (b Builder) build(ctx context.Context, f Flavour, path string) error {
	start := time.Now()
	b.say("building the golden image %q (about 300 MB to download, 2 GB of disk, 2 to 6 minutes; kept in the cache)", f)
	dir, err := os.MkdirTemp(b.Cache, ".build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := b.tree(ctx, f, dir); err != nil {
		return err
	}
	b.say("laying out the disk")
	disk := filepath.Join(dir, "disk.raw")
	if err := layOut(ctx, f, dir, disk); err != nil {
		return fmt.Errorf("lay out the golden disk: %w", err)
	}
	if err := os.Rename(disk, path); err != nil {
		return err
	}
	b.say("golden image ready after %s: %s", time.Since(start).Round(time.Second), path)
	return nil
}

func (b Builder) tree(ctx context.Context, f Flavour, dir string) error {
	mirror, security, err := Archives(ctx)
	if err != nil {
		return err
	}
	// A mount namespace of its own: what tree.sh mounts is gone when it ends, however it ends.
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "--fork", "--kill-child", "sh", "-c", treeScript)
	cmd.Env = append(os.Environ(), "MIRROR="+mirror, "SECURITY="+security, "FLAVOUR="+string(f), "HOST="+HostName,
		"TREE="+treeDir(dir), "BOOT="+bootDir(dir), "ROOT_UUID="+rootUUID, "ESP_UUID="+espUUID, "SWAP_UUID="+swapUUIDOf(f))
	cmd.Stdout, cmd.Stderr = b.Progress, b.Progress
	if err := cmd.Run(); err != nil {
		log, _ := os.ReadFile(treeDir(dir) + ".log") // absent when debootstrap never started
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		return fmt.Errorf("make the golden tree: %w\n%s", err, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	return nil
}

func (b Builder) say(format string, args ...any) {
	fmt.Fprintf(b.Progress, "golden: "+format+"\n", args...)
}

// Archives asks the host's apt which Debian archive it uses. The repository names none.
func Archives(ctx context.Context) (mirror, security string, err error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI) $(COMPONENT)", "Created-By: Packages").Output()
	if err != nil {
		return "", "", fmt.Errorf("ask apt for its archives: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != "main" {
			continue
		}
		switch f[0] {
		case "bookworm":
			mirror = strings.TrimSuffix(f[1], "/")
		case "bookworm-security":
			security = strings.TrimSuffix(f[1], "/")
		}
	}
	if mirror == "" {
		return "", "", errors.New("the host's apt sources name no Debian 12 (bookworm) archive: the golden image is made from it")
	}
	return mirror, security, nil
}
