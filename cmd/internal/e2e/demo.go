package e2e

import (
	"context"
	"fmt"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
)

// Demo is the demonstration: one laptop from power-on to its record, told as it happens.
func Demo() Case {
	return Case{"demo", "a laptop with an empty disk is switched on and becomes a named, recorded device", needPlain, demonstrate}
}

const demoName = "SALES-0001"

func demonstrate(ctx context.Context, e *Env) error {
	e.Say("start the daemon as the bench's DHCP and boot server")
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	v, err := importGolden(ctx, e, d, golden.Plain)
	if err != nil {
		return err
	}
	l := Laptop(1, lab.SecureBoot, lab.NVMe)
	l.TPM = true
	e.Say("the laptop boots from the network: its own firmware, Secure Boot on, an empty NVMe drive")
	r, id, err := adoptAndDeploy(ctx, e, d, order{l, "sales", demoName})
	if err != nil {
		return err
	}
	e.Say("follow it with: ingot job watch %s", id)
	if _, err := deployedAs(ctx, e, d, r, id, l, v, demoName); err != nil {
		return err
	}
	return printRecord(ctx, e, d, l)
}

// printRecord prints what an operator asks the record, with its answers.
func printRecord(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop) error {
	for _, args := range [][]string{{"device", "list"}, {"device", "show", demoName}, {"boot", "log", l.MAC}, {"audit"}} {
		out, err := d.CLI(ctx, args...)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.Out, "\n$ ingot %s\n%s", strings.Join(args, " "), out)
	}
	fmt.Fprintln(e.Out)
	return nil
}
