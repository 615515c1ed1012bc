package e2e

import (
	"context"
	"fmt"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
)

// needPlain is what most cases need.
var needPlain = []golden.Flavour{golden.Plain}

// labCases prove the lab itself: an image that could not start by itself would prove nothing of a deploy.
func labCases() []Case {
	return []Case{
		{"golden-bios-sata", "the golden image starts by itself on a BIOS laptop with a SATA drive", needPlain, func(ctx context.Context, e *Env) error {
			return goldenStarts(ctx, e, lab.BIOS, lab.SATA)
		}},
		{"golden-secureboot-nvme", "the golden image starts by itself with Secure Boot on, from NVMe", needPlain, func(ctx context.Context, e *Env) error {
			return goldenStarts(ctx, e, lab.SecureBoot, lab.NVMe)
		}},
	}
}

func goldenStarts(ctx context.Context, e *Env, fw lab.Firmware, bus lab.Bus) error {
	image, err := e.Golden(ctx, golden.Plain)
	if err != nil {
		return err
	}
	l := Laptop(1, fw, bus)
	l.Offline = true
	if err := e.Bench.Fit(ctx, l); err != nil {
		return err
	}
	if _, err := lab.Command(ctx, "cp", "--sparse=always", image, l.Drives[0].Path()); err != nil {
		return err
	}
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	name, err := r.WaitLogin(ctx, 0)
	if err != nil {
		return err
	}
	e.Say("login prompt of %s", name)
	if name != golden.HostName {
		return fmt.Errorf("the golden machine calls itself %q; want %q", name, golden.HostName)
	}
	sh, err := r.Login(ctx, golden.Password)
	if err != nil {
		return err
	}
	failed, err := sh.Run(ctx, "systemctl is-system-running --wait; systemctl --failed --no-legend --plain")
	if err != nil {
		return err
	}
	e.Say("state: %s", failed)
	if err := r.PressPower(); err != nil {
		return err
	}
	return r.WaitOff(ctx)
}
