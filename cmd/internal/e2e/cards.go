package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"ingot/cmd/internal/lab"
)

// oneLink starts laptops with two cards of which only the first leads to the daemon: the second has no signal,
// or stands on a network where nobody answers. The laptop must say Hello all the same, and name a card without signal.
func oneLink(ctx context.Context, e *Env, d *Daemon) error {
	if err := e.Bench.AddSegment(ctx, "br1"); err != nil {
		return err
	}
	for i, x := range []struct {
		name, segment, warning string
		cut                    bool
	}{
		{"no signal", "", "No cable with a signal in ", true},
		{"nobody answers", "br1", "", false}, // the laptop does not wait to find out
	} {
		l := Laptop(i+2, lab.UEFI, lab.NVMe)
		l.MoreMACs, l.MoreSegment = []string{fmt.Sprintf("52:54:00:aa:01:%02x", i+2)}, x.segment
		if err := helloOverOneLink(ctx, e, d, l, x.cut, x.warning); err != nil {
			return fmt.Errorf("second card, %s: %w", x.name, err)
		}
	}
	return nil
}

func helloOverOneLink(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, cut bool, warning string) error {
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	if cut {
		if _, err := r.Monitor("set_link nic1 off"); err != nil {
			return err
		}
	}
	found, err := r.Console.WaitAfter(ctx, 0, regexp.MustCompile(`found a network adapter [^\n]*mac=`+l.MoreMACs[0]+` nic=(\S+)`))
	if err != nil {
		return err
	}
	code, err := waitHello(ctx, e, r)
	if err != nil {
		return err
	}
	dev, err := d.device(ctx, code)
	if err != nil {
		return err
	}
	e.Say("said of the second card: %s", strings.Join(dev.Warnings, " "))
	return checks(same("serial", dev.Serial, l.Serial), r.Kill(),
		that(warning == "" || strings.Contains(strings.Join(dev.Warnings, " "), warning+found[1]), "the warnings are %q; want %q", dev.Warnings, warning+found[1]))
}
