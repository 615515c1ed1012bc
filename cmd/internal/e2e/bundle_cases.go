package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ingot/cmd/internal/lab"
)

// maxStage1 is what the first archive may weigh: it travels by TFTP in small blocks.
const maxStage1 = 6_000_000 // bytes

func bundleCases() []Case {
	return []Case{{"firmware", "two builds of the boot bundle without a network are equal; a flipped byte is named; stage 1 is at most 6 MB", nil, firmwareBuilds}}
}

// firmwareBuilds runs where no way leads out: that the builds end at all proves that they need no network.
func firmwareBuilds(ctx context.Context, e *Env) error {
	debs := filepath.Join(bundleDir(e.Cache), "debs")
	first, second := e.newDaemon(), e.newDaemon()
	for i, d := range []*Daemon{first, second} {
		if _, err := lab.Command(ctx, "env", "TZ="+[]string{"UTC", "Asia/Tokyo"}[i], "LC_ALL="+[]string{"C", "de_DE.UTF-8"}[i],
			"sh", "-c", fmt.Sprintf("umask %03o; exec \"$0\" \"$@\"", []int{0o022, 0o077}[i]),
			d.argv[0], "--data", d.Data, "firmware", "build", "--debs", debs); err != nil {
			return err
		}
		e.Say("bundle %d built from the folder of packages", i+1)
	}
	names, err := equalFolders(filepath.Join(first.Data, "boot", "current"), filepath.Join(second.Data, "boot", "current"))
	if err != nil {
		return err
	}
	e.Say("equal: %s", strings.Join(names, " "))
	stage1, err := os.Stat(filepath.Join(first.Data, "boot", "current", "initrd.img"))
	if err != nil {
		return err
	}
	e.Say("stage 1: %d bytes", stage1.Size())
	if err := that(stage1.Size() <= maxStage1, "stage 1 has %d bytes; at most %d", stage1.Size(), maxStage1); err != nil {
		return err
	}
	if err := first.Do(ctx, cmd("firmware verify")); err != nil {
		return err
	}
	return flipsAreNamed(ctx, e, second, names)
}

// equalFolders compares every file of two folders, byte by byte, and returns their names.
func equalFolders(a, b string) (names []string, err error) {
	entries, err := os.ReadDir(a)
	if err != nil {
		return nil, err
	}
	others, err := os.ReadDir(b)
	if err != nil {
		return nil, err
	}
	if err := same("the number of files", len(others), len(entries)); err != nil {
		return nil, err
	}
	for _, f := range entries {
		names = append(names, f.Name())
		x, err := os.ReadFile(filepath.Join(a, f.Name()))
		if err != nil {
			return nil, err
		}
		y, err := os.ReadFile(filepath.Join(b, f.Name()))
		if err != nil {
			return nil, err
		}
		if string(x) != string(y) {
			return nil, fmt.Errorf("%s differs between two builds (%d and %d bytes)", f.Name(), len(x), len(y))
		}
	}
	return names, nil
}

// flipsAreNamed damages one file after the other; each time exactly that one must be named, with exit code 3.
func flipsAreNamed(ctx context.Context, e *Env, d *Daemon, names []string) error {
	for _, name := range names {
		path := filepath.Join(d.Data, "boot", "current", name)
		if err := flipByte(path); err != nil {
			return err
		}
		out, err := d.CLI(ctx, "firmware", "verify", "-o", "name")
		exit := &ExitError{}
		if !asExit(err, &exit) {
			return fmt.Errorf("a flipped byte in %s went unnoticed: %v", name, err)
		}
		e.Say("%s", strings.TrimSpace(out))
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if err := checks(same("exit code", exit.Code, 3), same("problems named", len(lines), 1), that(strings.Contains(out, name), "%s is not named: %s", name, out)); err != nil {
			return err
		}
		if err := flipByte(path); err != nil {
			return err
		}
	}
	return d.Do(ctx, cmd("firmware verify"))
}
