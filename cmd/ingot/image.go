package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/imaging/capture"
	"ingot/imaging/job"
	"ingot/imaging/preflight"
	"ingot/store"
)

func (a *app) imageCommand() *cobra.Command {
	return group("image", "Golden images and their versions", a.imageImport(), a.imageList(), a.imageShow(), a.imageExport(), a.checkCommand("ingot image check"),
		a.imageRelease(), a.imageRetire(), a.imageWithdraw(), a.imageRollback(), a.imageDelete(), a.imageCadence(), a.imageHistory(), a.imageDevices(),
		a.imageSoftware(), a.imageDiff(), a.imageNote(), a.imageLook(),
		a.imagePush(), a.imagePull(), a.imageKeys())
}

// teller prints progress to stderr, at most twice a second.
func (a *app) teller() func(store.Work) {
	var last time.Time
	return func(w store.Work) {
		if a.quiet || time.Since(last) < 500*time.Millisecond {
			return
		}
		last = time.Now()
		line := fmt.Sprintf("%s %s", w.Phase, size(w.DoneBytes))
		if w.TotalBytes > 0 {
			line += fmt.Sprintf(" of %s", size(w.TotalBytes))
		}
		line += fmt.Sprintf(", %s/s", size(w.BytesPerSec))
		if w.SecondsLeft >= 0 {
			line += fmt.Sprintf(", %d s left", w.SecondsLeft)
		}
		fmt.Fprintln(a.err, line)
	}
}

func (a *app) imageImport() *cobra.Command {
	var in store.Import
	var grow string
	var memory int
	c := &cobra.Command{Use: "import FILE", Short: "Make a version of an image from a disk file (raw, qcow2, VHDX or VMDK)",
		Example: "ingot image import sales.qcow2 --image sales --label 2026-11 --note \"first build\"", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) (err error) {
			if in.File, err = filepath.Abs(given[0]); err != nil {
				return usage{err}
			}
			if in.Grow, err = growChoice(grow); err != nil {
				return err
			}
			if memory < 0 || memory > 4096 {
				return usage{fmt.Errorf("--needs-memory %d is no number of GB", memory)}
			}
			in.MemoryBytes = uint64(memory) << 30
			return a.with(true, func(cl *client) error {
				got, err := importFile(c, cl, in, a.teller())
				if err != nil {
					return err
				}
				return a.showImported(got)
			})
		}}
	c.Flags().BoolVar(&in.Release, "release", false, "release it at once, when nothing red is found in it")
	c.Flags().StringVar(&in.Image, "image", "", "name of the image")
	c.Flags().StringVar(&in.Label, "label", "", "label of the version, such as 2026-11")
	c.Flags().StringVar(&in.Note, "note", "", "what changed")
	c.Flags().IntVar(&in.Root, "root-partition", 0, "number of the partition that holds the system (default: found by its type or its fstab)")
	c.Flags().StringVar(&grow, "grow-partition", "", "number of the partition that takes the room of a larger drive, or none (default: the root partition)")
	c.Flags().IntVar(&memory, "needs-memory", 0, "installed memory in GB below which a laptop is refused")
	must(c, "image")
	return a.outputFlag(a.orBundle(c))
}

// unreleased ends a command partly done: the version is there, and stayed a draft.
func (a *app) unreleased(got store.Imported) error {
	if got.Unreleased == nil {
		return nil
	}
	word := "a draft"
	if got.Version.State != store.Draft {
		word = got.Version.Word()
	}
	fmt.Fprintf(a.err, "%s stays %s.\n", got.Version.Ref(), word)
	if got.Version.State == store.Retired {
		fmt.Fprintf(a.err, "To bring it back: ingot image release %s --reason \"...\"\n", got.Version.Ref())
	}
	return partly{got.Unreleased}
}

// growChoice reads --grow-partition.
func growChoice(s string) (int, error) {
	switch s {
	case "":
		return 0, nil
	case "none":
		return capture.NoGrow, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, usage{fmt.Errorf("--grow-partition %q is neither a partition's number nor none", s)}
	}
	return n, nil
}

func (a *app) imageList() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "list", Short: "List the versions of all images", Example: "ingot image list", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(false, func(cl *client) error {
				all, err := get[[]store.VersionView](c.Context(), cl, "images")
				if err != nil {
					return err
				}
				return a.showShelf(all)
			})
		}})
}

// showShelf lists versions with what they mean now: which one is current, which is stale, how many devices carry it.
func (a *app) showShelf(all []store.VersionView) error {
	return show(a, all, func(v store.VersionView) string { return v.Ref().String() },
		column[store.VersionView]{head: "IMAGE", cell: func(v store.VersionView) string { return v.Ref().String() }},
		column[store.VersionView]{head: "LABEL", cell: func(v store.VersionView) string { return v.Label }},
		column[store.VersionView]{head: "STATE", cell: func(v store.VersionView) string {
			return standing(v)
		}},
		column[store.VersionView]{head: "CARRIED BY", cell: func(v store.VersionView) string { return strconv.Itoa(v.Held) }},
		column[store.VersionView]{head: "SYSTEM", cell: func(v store.VersionView) string { return v.OS }},
		column[store.VersionView]{head: "DISK", cell: func(v store.VersionView) string { return size(v.DiskSize) }},
		column[store.VersionView]{head: "DATA", cell: func(v store.VersionView) string { return size(v.DataBytes) }},
		column[store.VersionView]{head: "ADDED", cell: func(v store.VersionView) string { return size(v.StoredBytes) }},
		column[store.VersionView]{head: "CREATED", cell: func(v store.VersionView) string { return when(v.Created) }},
		column[store.VersionView]{head: "STALE", cell: func(v store.VersionView) string { return v.Stale }},
		column[store.VersionView]{head: "CONTENT", wide: true, cell: func(v store.VersionView) string { return v.Manifest.String() }},
		column[store.VersionView]{head: "BY", wide: true, cell: func(v store.VersionView) string { return v.By }},
		column[store.VersionView]{head: "NOTE", wide: true, cell: func(v store.VersionView) string { return v.Note }})
}

func (a *app) showVersions(all []store.Version) error {
	return show(a, all, func(v store.Version) string { return v.Ref().String() },
		column[store.Version]{head: "IMAGE", cell: func(v store.Version) string { return v.Ref().String() }},
		column[store.Version]{head: "LABEL", cell: func(v store.Version) string { return v.Label }},
		column[store.Version]{head: "STATE", cell: func(v store.Version) string { return v.Word() }},
		column[store.Version]{head: "SYSTEM", cell: func(v store.Version) string { return v.OS }},
		column[store.Version]{head: "DISK", cell: func(v store.Version) string { return size(v.DiskSize) }},
		column[store.Version]{head: "DATA", cell: func(v store.Version) string { return size(v.DataBytes) }},
		column[store.Version]{head: "ADDED", cell: func(v store.Version) string { return size(v.StoredBytes) }},
		column[store.Version]{head: "CREATED", cell: func(v store.Version) string { return when(v.Created) }},
		column[store.Version]{head: "CONTENT", wide: true, cell: func(v store.Version) string { return v.Manifest.String() }},
		column[store.Version]{head: "BY", wide: true, cell: func(v store.Version) string { return v.By }},
		column[store.Version]{head: "NOTE", wide: true, cell: func(v store.Version) string { return v.Note }})
}

// standing is a version's state for people, with what it means now.
func standing(v store.VersionView) string {
	switch {
	case v.Current:
		return v.Word() + ", current"
	case v.Kind == store.Backup && !v.Deleted && !v.Expires.IsZero():
		return v.Word() + ", kept until " + v.Expires.Local().Format(time.DateOnly)
	}
	return v.Word()
}

func (a *app) imageShow() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "show NAME[@VERSION]", Short: "Show one version, or all of an image", Example: "ingot image show sales@3",
		ValidArgsFunction: a.completing((*app).versionNames), Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				found, err := a.findVersions(c.Context(), cl, given[0])
				if err != nil {
					return err
				}
				if a.output == "json" || a.output == "name" {
					return a.showShelf(found)
				}
				return a.describe(found)
			})
		}})
}

func (a *app) findVersions(ctx context.Context, cl *client, ref string) ([]store.VersionView, error) {
	all, err := get[[]store.VersionView](ctx, cl, "images")
	if err != nil {
		return nil, err
	}
	var found []store.VersionView
	for _, v := range all {
		if ref == v.Image || ref == v.Ref().String() || v.Label != "" && ref == v.Image+"@"+v.Label {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		name, _, _ := strings.Cut(ref, "@")
		if slices.ContainsFunc(all, func(v store.VersionView) bool { return v.Image == name }) {
			return nil, job.Faultf(job.CodeNotFound, "The image %s has no version %.60q.", name, ref)
		}
		return nil, job.Faultf(job.CodeNotFound, "No image is called %.60q.", name)
	}
	return found, nil
}

// partitionsWord says which partitions a deploy uses; a disk on which none was found has none.
func partitionsWord(v store.Version) string {
	var out []string
	for _, p := range []struct {
		what   string
		number int
	}{{"root", v.RootPart}, {"grows", v.GrowPart}, {"swap behind it", v.SwapPart}} {
		if p.number > 0 {
			out = append(out, fmt.Sprintf("%s %d", p.what, p.number))
		}
	}
	return strings.Join(out, ", ")
}

func (a *app) describe(found []store.VersionView) error {
	for _, v := range found {
		for _, row := range [][2]string{
			{"Image", v.Ref().String()}, {"Label", v.Label}, {"Note", v.Note}, {"State", standing(v)}, {"Carried by", plural(v.Held, "device", "devices")},
			{"Override", v.Override}, {"Stale", v.Stale}, {"Backup of", backupOf(v)}, {"Content", v.Manifest.String()},
			{madeWord(v.Version), when(v.Created) + " by " + v.By + " from " + v.Source}, {"Copy of", v.Origin}, {"System", v.OS},
			{"Disk", fmt.Sprintf("%s (%d bytes), sectors of %d, table %s", size(v.DiskSize), v.DiskSize, v.SectorSize, v.Table)},
			{"Needs", fmt.Sprintf("a drive of at least %d bytes", v.NeedBytes)},
			{"Data", fmt.Sprintf("%s in %d extents", size(v.DataBytes), v.DataExtents)},
			{"Zero", fmt.Sprintf("%s in %d extents", size(v.ZeroBytes), v.ZeroExtents)},
			{"Free", fmt.Sprintf("%s in %d extents", size(v.FreeBytes), v.FreeExtents)},
			{"Added", size(v.StoredBytes) + " to the store"},
			{"Partitions", partitionsWord(v.Version)},
			{"Starts by", startsWord(v.Version)}, {"Memory", memoryWord(v.MemoryBytes)},
			{"Larger", cmp.Or(v.GrowWhy, "a larger drive is taken")},
		} {
			if _, err := fmt.Fprintf(a.out, "%-12s%s\n", row[0], orDash(printable(row[1]))); err != nil {
				return err
			}
		}
		if err := a.describeInside(v.Version); err != nil {
			return err
		}
	}
	return nil
}

// backupOf is the device that a backup goes back onto.
func backupOf(v store.VersionView) string {
	if v.Kind != store.Backup {
		return ""
	}
	return "device " + v.Device + ", and goes back only there"
}

// startsWord tells by which firmware a version starts, and who signed its loaders.
func startsWord(v store.Version) string {
	out := []string{cmp.Or(strings.Join(v.Firmware, ", "), "nothing that is known")}
	for _, l := range v.Loaders {
		out = append(out, l.Arch+" loader: "+cmp.Or(l.Unread, preflight.Signers(l), "not signed"))
	}
	return strings.Join(out, "; ")
}

func memoryWord(n uint64) string {
	if n == 0 {
		return ""
	}
	return "a laptop with at least " + size(n)
}

func (a *app) imageExport() *cobra.Command {
	return a.outputFlag(a.toBundle(&cobra.Command{Use: "export NAME[@VERSION] FILE", Short: "Write a version as a raw disk file, or as one signed bundle, and prove it", Args: args(cobra.ExactArgs(2)),
		Example: "ingot image export sales@3 sales.raw", ValidArgsFunction: a.completing((*app).versionNames),
		RunE: func(c *cobra.Command, given []string) error {
			path, err := filepath.Abs(given[1])
			if err != nil {
				return usage{err}
			}
			return a.with(false, func(cl *client) error {
				got, err := exportFile(c, cl, store.Export{Image: given[0], File: path}, a.teller())
				if err != nil {
					return err
				}
				return a.tell(got, got.Version.Ref().String(), a.sayf("%s: %d data bytes proven by digest, %d zero bytes read back, %d free bytes written as zeros (no part of the image)",
					got.Version.Ref(), got.DataBytes, got.ZeroBytes, got.FreeBytes))
			})
		}}))
}
