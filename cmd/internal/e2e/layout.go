package e2e

import (
	"context"
	"fmt"
	"os"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/gpt"
)

// The golden disks' partitions.
const (
	partESP  = 2
	partRoot = 3
	partSwap = 4
)

// rootStart is where the root begins on a golden disk: what lies before it is not the root's to take.
const rootStart = 66 * mib

// tableOf reads the partition table of a drive's file while the laptop is off; both copies must be whole.
func tableOf(path string) (*gpt.Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	t, err := gpt.ReadTable(f, info.Size(), 512)
	if err != nil {
		return nil, err
	}
	return t, checks(t.PrimaryErr, t.BackupErr)
}

// entryOf gives partition number n.
func entryOf(t *gpt.Table, n int) (gpt.Entry, error) {
	if n > len(t.Entries) || !t.Entries[n-1].Used() {
		return gpt.Entry{}, fmt.Errorf("the table has no partition %d", n)
	}
	return t.Entries[n-1], nil
}

// rootIsClean checks the root of a drive's file, block by block, while the laptop is off.
func rootIsClean(ctx context.Context, e *Env, path string) error {
	t, err := tableOf(path)
	if err != nil {
		return err
	}
	root, err := entryOf(t, partRoot)
	if err != nil {
		return err
	}
	out, err := lab.Command(ctx, "e2fsck", "-fn", fmt.Sprintf("%s?offset=%d", path, root.First*512))
	if err != nil {
		return fmt.Errorf("the root is not clean: %w: %s", err, out)
	}
	e.Say("e2fsck -f: the root is clean")
	return nil
}

// goldenMachine starts a golden image by itself: the reference that it was captured from. The laptop's drive
// becomes a copy of the image.
func goldenMachine(ctx context.Context, e *Env, l *lab.Laptop, f golden.Flavour) (*lab.Run, *lab.Shell, portrait, error) {
	r, err := startGolden(ctx, e, l, f)
	if err != nil {
		return nil, nil, portrait{}, err
	}
	sh, err := settled(ctx, e, r)
	if err != nil {
		return nil, nil, portrait{}, err
	}
	p, err := portray(ctx, sh)
	if err == nil {
		e.Say("the golden machine %s: failed units %v", p.Hostname, p.Failed)
	}
	return r, sh, p, err
}

// startGolden puts a golden image onto the laptop's drive and starts it to its login prompt.
func startGolden(ctx context.Context, e *Env, l *lab.Laptop, f golden.Flavour) (*lab.Run, error) {
	image, err := e.Golden(ctx, f)
	if err != nil {
		return nil, err
	}
	if err := e.Bench.Fit(ctx, l); err != nil {
		return nil, err
	}
	if _, err := lab.Command(ctx, "cp", "--sparse=always", image, l.Drives[0].Path()); err != nil {
		return nil, err
	}
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return nil, err
	}
	name, err := r.WaitLogin(ctx, 0)
	if err != nil {
		return nil, err
	}
	e.Say("login prompt of %s", name)
	return r, same("the golden machine's own name", name, golden.HostName)
}
