package e2e

import (
	"context"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/gpt"
)

// swapCases prove that what stands behind the root moves out of its way.
func swapCases() []Case {
	return []Case{
		{"deploy-swap-last", "a swap partition behind the root is made anew at the drive's end, the root grows, and the system swaps on it",
			[]golden.Flavour{golden.Swap}, deploySwapLast},
	}
}

func deploySwapLast(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	v, err := importGolden(ctx, e, d, golden.Swap)
	if err != nil {
		return err
	}
	l := Laptop(1, lab.UEFI, lab.NVMe)
	r, id, err := adoptAndDeploy(ctx, e, d, order{l, "sales", "SWAP-0001"})
	if err != nil {
		return err
	}
	if _, err := deployedAs(ctx, e, d, r, id, l, v, "SWAP-0001"); err != nil {
		return err
	}
	swapSize, err := swapsAtTheEnd(ctx, e, l)
	if err != nil {
		return err
	}
	sh, err := settled(ctx, e, r)
	if err != nil {
		return err
	}
	p, err := portray(ctx, sh)
	if err != nil {
		return err
	}
	active, err := sh.Run(ctx, "swapon --show=NAME,SIZE,UUID --bytes --noheadings")
	if err != nil {
		return err
	}
	fstab, err := sh.Run(ctx, "grep swap /etc/fstab")
	if err != nil {
		return err
	}
	e.Say("root %d of %d bytes; swap: %s", p.Root, p.Disk, active)
	f := strings.Fields(active)
	if err := that(len(f) == 3, "the active swap is %q; want one", active); err != nil {
		return err
	}
	if err := checks(
		that(strings.HasSuffix(f[0], "p4"), "the active swap is %s; want partition 4", f[0]),
		that(strings.Contains(fstab, f[2]), "the active swap has the UUID %s; fstab says %q", f[2], fstab),
		p.isNamed("SWAP-0001"), p.hasGrown(l.Drives[0].Size, rootStart+swapSize),
		that(len(p.Failed) == 0, "failed units: %v", p.Failed),
	); err != nil {
		return err
	}
	if err := switchOff(ctx, r); err != nil {
		return err
	}
	return rootIsClean(ctx, e, l.Drives[0].Path())
}

// swapsAtTheEnd compares the drive's table with the golden disk's and returns the swap's size in bytes.
func swapsAtTheEnd(ctx context.Context, e *Env, l *lab.Laptop) (int64, error) {
	image, err := e.Golden(ctx, golden.Swap)
	if err != nil {
		return 0, err
	}
	was, err := tableOf(image)
	if err != nil {
		return 0, err
	}
	now, err := tableOf(l.Drives[0].Path())
	if err != nil {
		return 0, err
	}
	var root, swap, old gpt.Entry
	for _, x := range []struct {
		t    *gpt.Table
		n    int
		into *gpt.Entry
	}{{now, partRoot, &root}, {now, partSwap, &swap}, {was, partSwap, &old}} {
		if *x.into, err = entryOf(x.t, x.n); err != nil {
			return 0, err
		}
	}
	const alignment = mib / 512
	return int64(swap.Sectors()) * 512, checks(
		same("the swap's size in sectors", swap.Sectors(), old.Sectors()),
		same("the swap's identity", swap.Unique, old.Unique),
		that(swap.Last <= now.LastUsable && now.LastUsable-swap.Last < alignment, "the swap ends at %d of %d usable sectors", swap.Last, now.LastUsable),
		that(root.Last < swap.First && swap.First-root.Last <= alignment, "the root ends at %d, the swap begins at %d", root.Last, swap.First),
	)
}
