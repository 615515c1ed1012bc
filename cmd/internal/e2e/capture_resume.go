package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"ingot/cmd/internal/lab"
	"ingot/imaging"
	"ingot/imaging/job"
)

// packs counts the packs that a daemon has closed.
func (d *Daemon) packs() (int, error) {
	found, err := filepath.Glob(filepath.Join(d.Data, "packs", "*.pack"))
	return len(found), err
}

// waitPacks waits until the daemon has closed so many packs; what is in those is safe.
func (d *Daemon) waitPacks(ctx context.Context, e *Env, want int) error {
	for {
		n, err := d.packs()
		if err != nil {
			return err
		}
		if n >= want {
			e.Say("%d packs are closed", n)
			return nil
		}
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("wait for %d packs, there are %d: %w", want, n, err)
		}
	}
}

func captureResume(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	ref, err := reference(ctx, e, 23, lab.BIOS)
	if err != nil {
		return err
	}
	before, err := sumFile(ref.Drives[0].Path())
	if err != nil {
		return err
	}
	r, id, err := orderCapture(ctx, e, d, ref)
	if err != nil {
		return err
	}
	if err := d.waitPacks(ctx, e, 1); err != nil {
		return err
	}
	if err := d.Kill(); err != nil {
		return err
	}
	e.Say("daemon killed")
	if err := d.Start(ctx); err != nil {
		return err
	}
	j, err := d.job(ctx, id)
	if err != nil {
		return err
	}
	e.Say("daemon started again; the job is %s", j.State)
	if err := checks(same("the job", j.State, job.Reading), same("bindings", j.Bindings, 1)); err != nil {
		return err
	}
	if err := d.waitPacks(ctx, e, 2); err != nil {
		return err
	}
	if err := r.Kill(); err != nil {
		return err
	}
	if j, err = d.job(ctx, id); err != nil {
		return err
	}
	held, err := openStore(ctx, e, d)
	if err != nil {
		return err
	}
	defer held.Close()
	e.Say("laptop killed; the job is %s", j.State)
	if err := checks(same("the job", j.State, job.Reading), (used{ref.Drives[0].Path(), before}).unchanged()); err != nil {
		return err
	}
	if r, err = e.PowerOn(ctx, ref); err != nil {
		return err
	}
	v, c, err := capturedAs(ctx, e, d, id)
	if err != nil {
		return err
	}
	if err := switchesOff(ctx, r); err != nil {
		return err
	}
	all, lacked, err := lacking(ctx, e, d, v.Manifest, func(sum imaging.Digest) (bool, error) { return held.Has(sum) })
	if err != nil {
		return err
	}
	e.Say("of %d stored bytes %d were not in closed packs when the laptop was killed; its second start sent %d", all, lacked, c.SentBytes)
	differ, err := missing(ctx, e, d, v.Manifest, ref.Drives[0].Path())
	if err != nil {
		return err
	}
	_, err = d.CLI(ctx, "image", "check", "--read-data")
	return checks(err, same("bytes in which drive and version differ", differ, 0), (used{ref.Drives[0].Path(), before}).unchanged(),
		that(lacked < all-all/8, "too little was held for this to prove anything"),
		that(c.SentBytes <= lacked+lacked/20+mib, "the second start sent more than what was missing"))
}

// lacking is the sum of the stored bytes of a manifest's chunks, and of those that were not held.
func lacking(ctx context.Context, e *Env, d *Daemon, manifest imaging.Digest, held func(imaging.Digest) (bool, error)) (all, lacked uint64, err error) {
	s, err := openStore(ctx, e, d)
	if err != nil {
		return 0, 0, err
	}
	defer s.Close()
	m, err := s.OpenManifest(manifest)
	if err != nil {
		return 0, 0, err
	}
	defer m.Close()
	seen := map[imaging.Digest]bool{}
	for x, err := range m.All() {
		if err != nil {
			return 0, 0, err
		}
		if x.Kind != imaging.Data || seen[x.Digest] {
			continue
		}
		seen[x.Digest] = true
		frame, err := s.Frame(x.Digest)
		if err != nil {
			return 0, 0, err
		}
		all += uint64(len(frame))
		there, err := held(x.Digest)
		if err != nil {
			return 0, 0, err
		}
		if !there {
			lacked += uint64(len(frame)) + 40 // and its head on the wire
		}
	}
	return all, lacked, nil
}
