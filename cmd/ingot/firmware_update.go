package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/firmware"
	"ingot/imaging/job"
	"ingot/store"
)

func (a *app) firmwareUpdate() *cobra.Command {
	var source bundleSource
	c := &cobra.Command{Use: "update", Short: "Build a new boot bundle when a package is newer, and say what changed",
		Example: "ingot firmware update\ningot firmware update --debs /srv/debs",
		Long: "The packages are those that this host's apt offers now (run \"apt-get update\" as you always do) or those in --debs. When none of them, nor\n" +
			"the agent's program, is newer than in the bundle in use, that one stays. A failed update leaves it served. Old bundles are removed once no\n" +
			"unfinished job and no start of the last minutes refers to them.",
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := a.bundleOptions(source)
			if err != nil {
				return err
			}
			b, changes, err := firmware.Update(c.Context(), o)
			switch {
			case errors.Is(err, firmware.ErrOlder):
				_, fact, _ := strings.Cut(err.Error(), firmware.ErrOlder.Error()+": ")
				return job.Faultf(job.CodeBundleOlder, "%s.", fact)
			case err != nil:
				return job.Faultf(job.CodeBundleBuild, "%s.", strings.TrimPrefix(job.Reason(err), "update boot bundle: "))
			}
			return a.tellUpdate(b, changes)
		}}
	source.flags(c)
	return a.outputFlag(c)
}

// updated is the outcome of an update.
type updated struct {
	Bundle  string            `json:"bundle"`
	Changes []firmware.Change `json:"changes"`
}

func (a *app) tellUpdate(b *firmware.Bundle, changes []firmware.Change) error {
	return a.tell(updated{b.Name(), append([]firmware.Change{}, changes...)}, b.Name(), func() error {
		if len(changes) == 0 {
			return a.sayf("nothing is newer; %s is served", b.Name())()
		}
		for _, c := range changes {
			if err := a.sayf("%s", c)(); err != nil {
				return err
			}
		}
		return a.sayf("%s is served from the next start of a laptop on", b.Name())()
	})
}

// bundleUses asks the records what still refers to each bundle. Where nothing was ever recorded, nothing does.
func (a *app) bundleUses(ctx context.Context) (uses []store.BundleUse, err error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, "ingot.db")); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	err = a.with(false, func(cl *client) error {
		uses, err = get[[]store.BundleUse](ctx, cl, "bundles")
		return err
	})
	return uses, err
}

// bundlesInUse gives their names.
func (a *app) bundlesInUse(ctx context.Context) ([]string, error) {
	uses, err := a.bundleUses(ctx)
	return namesOf(uses), err
}

// heldBundle is a bundle with what refers to it.
type heldBundle struct {
	firmware.Held
	store.BundleUse
}

func (a *app) firmwareList() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "list", Short: "List the boot bundles with their age, their packages and what still uses them",
		Example: "ingot firmware list -o wide", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			dir, err := a.bootDir()
			if err != nil {
				return err
			}
			held, err := firmware.List(dir)
			if err != nil {
				return job.Faultf(job.CodeBundle, "%s.", job.Reason(err))
			}
			uses, err := a.bundleUses(c.Context())
			if err != nil {
				return err
			}
			var rows []heldBundle
			for _, h := range held {
				row := heldBundle{Held: h}
				for _, u := range uses {
					if u.Bundle == h.Name {
						row.BundleUse = u
					}
				}
				rows = append(rows, row)
			}
			return a.showBundles(rows)
		}})
}

func (a *app) showBundles(rows []heldBundle) error {
	type col = column[heldBundle]
	return show(a, rows, func(h heldBundle) string { return h.Name },
		col{head: "BUNDLE", cell: func(h heldBundle) string { return h.Name }},
		col{head: "SERVED", cell: func(h heldBundle) string { return map[bool]string{true: "yes"}[h.Current] }},
		col{head: "AGE", cell: func(h heldBundle) string { return ageWord(time.Since(h.Built)) }},
		col{head: "KERNEL", cell: func(h heldBundle) string { return h.Record.KernelVersion }},
		col{head: "IN USE BY", cell: func(h heldBundle) string { return h.use() }},
		col{head: "DAMAGE", wide: true, cell: func(h heldBundle) string { return h.Damage }},
		col{head: "PACKAGES", wide: true, cell: func(h heldBundle) string {
			var out []string
			for _, p := range h.Record.Packages {
				out = append(out, p.Name+" "+p.Version)
			}
			return strings.Join(out, ", ")
		}})
}

// use is what refers to the bundle, in words.
func (h heldBundle) use() string {
	var out []string
	for _, id := range h.Jobs {
		out = append(out, "job "+string(id))
	}
	if h.Starts > 0 {
		out = append(out, fmt.Sprintf("starts: %d", h.Starts))
	}
	return strings.Join(out, ", ")
}

// ageWord is a time in its largest unit.
func ageWord(d time.Duration) string {
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
