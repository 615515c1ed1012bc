package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// bundleDir is where the boot bundle of the programs under test is kept.
func bundleDir(cache string) string { return filepath.Join(cache, "bundle", "boot") }

// prepareBundle builds the boot bundle when the agent, or the program that builds, is another than last time.
// The packages that were downloaded once are used again. Until this process ends, no other run with other
// programs changes the bundle: it waits.
func prepareBundle(ctx context.Context, cache, bin string, out io.Writer) error {
	stamp, want, err := stampOf(cache, bin)
	if err != nil {
		return err
	}
	// Held by the descriptor, which only the end of the process closes.
	lock, err := syscall.Open(filepath.Join(filepath.Dir(stamp), "lock"), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return fmt.Errorf("lock the boot bundle: %w", err)
	}
	for {
		if err := waitLock(ctx, lock, syscall.LOCK_SH); err != nil {
			return err
		}
		if have, err := os.ReadFile(stamp); err == nil && string(have) == want {
			return nil
		}
		if err := waitLock(ctx, lock, syscall.LOCK_EX); err != nil {
			return err
		}
		fmt.Fprintln(out, "building the boot bundle (about 90 MB to download the first time)")
		if err := buildBundle(ctx, cache, bin, out); err != nil {
			return err
		}
		if err := os.WriteFile(stamp, []byte(want), 0o644); err != nil {
			return err
		}
	}
}

// waitLock takes a lock, shared or exclusive, unless ctx ends first.
func waitLock(ctx context.Context, fd, how int) error {
	for {
		err := syscall.Flock(fd, how|syscall.LOCK_NB)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if err := pause(ctx, "another run of the lab that uses another boot bundle"); err != nil {
			return err
		}
	}
}

func buildBundle(ctx context.Context, cache, bin string, out io.Writer) error {
	args := []string{"--data", filepath.Join(cache, "bundle"), "firmware", "build"}
	if debs, err := filepath.Glob(filepath.Join(bundleDir(cache), "debs", "*.deb")); err == nil && len(debs) > 0 {
		args = append(args, "--debs", filepath.Join(bundleDir(cache), "debs"))
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "ingot"), args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the boot bundle: %w", err)
	}
	return nil
}

// stampOf names the programs that the bundle depends on.
func stampOf(cache, bin string) (path, text string, err error) {
	h := sha256.New()
	for _, name := range []string{"ingot", "ingot-agent"} {
		data, err := os.ReadFile(filepath.Join(bin, name))
		if err != nil {
			return "", "", fmt.Errorf("read the program under test (make build makes it): %w", err)
		}
		h.Write(data)
	}
	dir := filepath.Join(cache, "bundle")
	return filepath.Join(dir, "stamp"), hex.EncodeToString(h.Sum(nil)), os.MkdirAll(dir, 0o755)
}
