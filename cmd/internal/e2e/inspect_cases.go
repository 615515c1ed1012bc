package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/store"
)

// inspectCases look into golden images; no laptop is started.
func inspectCases() []Case {
	return []Case{
		{"inspect-golden", "the golden images have no red line; their software lists are dpkg's own; a domain key put into one turns it red", []golden.Flavour{golden.Plain, golden.Swap, golden.Desktop}, inspectGolden},
	}
}

// goldenRootAt is where the golden disks' root begins, for debugfs.
const goldenRootAt = 66 << 20

func inspectGolden(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	for _, f := range []golden.Flavour{golden.Plain, golden.Swap, golden.Desktop} {
		v, err := importGolden(ctx, e, d, f)
		if err != nil {
			return err
		}
		if err := looksGeneralised(ctx, e, d, v, f); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
	}
	if err := desktopIsMore(ctx, e, d); err != nil {
		return err
	}
	return keytabIsRed(ctx, e, d)
}

// looksGeneralised holds a version's checklist and software list against the disk itself.
func looksGeneralised(ctx context.Context, e *Env, d *Daemon, v store.Version, f golden.Flavour) error {
	count := map[store.Severity]int{}
	for _, x := range v.Checklist {
		count[x.Severity]++
		if x.Severity == store.Red {
			return fmt.Errorf("%s is red: %s", x.Check, x.Fact)
		}
	}
	var c store.Content
	if err := d.Read(ctx, &c, "image", "software", v.Ref().String()); err != nil {
		return err
	}
	path, err := e.Golden(ctx, f)
	if err != nil {
		return err
	}
	status, err := lab.Command(ctx, "debugfs", "-R", "cat /var/lib/dpkg/status", fmt.Sprintf("%s?offset=%d", path, goldenRootAt))
	if err != nil {
		return err
	}
	want := strings.Count(status, "\nStatus: install ok installed\n")
	e.Say("%s: %d red, %d yellow, %d green; %d packages; patched %s; draft: %s", v.Ref(), count[store.Red], count[store.Yellow], count[store.Green], len(c.Packages), c.Patched.Format("2006-01-02"), v.DraftNote)
	for _, p := range c.Packages {
		if !strings.Contains(status, "Package: "+p.Name+"\n") || !strings.Contains(status, "\nVersion: "+p.Version+"\n") {
			return fmt.Errorf("dpkg knows no %s %s", p.Name, p.Version)
		}
	}
	return checks(that(want > 100 && len(c.Packages) == want, "%d packages; dpkg says %d", len(c.Packages), want),
		that(count[store.Green] > 10, "only %d green lines", count[store.Green]),
		that(c.System.ID == "debian" && strings.HasPrefix(c.System.Build, "12.") && c.System.Arch == "amd64", "system %+v", c.System),
		that(!c.Patched.IsZero(), "the patch level has no date"))
}

// desktopIsMore compares the first version with the last.
func desktopIsMore(ctx context.Context, e *Env, d *Daemon) error {
	var diff store.Difference
	if err := d.Read(ctx, &diff, "image", "diff", "sales@1", "sales@3"); err != nil {
		return err
	}
	found := false
	for _, p := range diff.Packages.Added {
		found = found || p.Name == "network-manager"
	}
	added := 0
	for _, a := range diff.Areas {
		if a.Area == "/usr" {
			added = a.Added
		}
	}
	e.Say("plain to desktop: %d packages added, %d files in /usr", len(diff.Packages.Added), added)
	return checks(that(found, "network-manager is not told as added"), that(added > 100, "%d files were added to /usr", added), that(diff.Unread == 0, "not compared: %v", diff.Why))
}

// keytabIsRed puts a key of a domain into a copy of the golden disk.
func keytabIsRed(ctx context.Context, e *Env, d *Daemon) error {
	plain, err := e.Golden(ctx, golden.Plain)
	if err != nil {
		return err
	}
	disk, key := filepath.Join(e.Dir, "joined.raw"), filepath.Join(e.Dir, "keytab")
	if err := os.WriteFile(key, []byte("a key"), 0o600); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"cp", "--sparse=always", plain, disk},
		{"debugfs", "-w", "-R", "write " + key + " /etc/krb5.keytab", fmt.Sprintf("%s?offset=%d", disk, goldenRootAt)},
	} {
		if _, err := lab.Command(ctx, argv...); err != nil {
			return err
		}
	}
	var got []store.Version
	if err := d.Read(ctx, &got, "image", "import", disk, "--image", "joined"); err != nil {
		return err
	}
	for _, x := range got[0].Checklist {
		if x.Check == "linux-keytabs" {
			e.Say("%s: %s", x.Severity, x.Fact)
			return that(x.Severity == store.Red, "the domain's key is %s", x.Severity)
		}
	}
	return fmt.Errorf("the checklist does not tell the domain's key")
}
