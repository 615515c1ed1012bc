package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"ingot/cmd/internal/lab"
	"ingot/store"
)

// bootCases prove the way from power-on to the agent's Hello, on each kind of firmware.
func bootCases() []Case {
	toHello := func(fw lab.Firmware) func(context.Context, *Env) error {
		return func(ctx context.Context, e *Env) error { return bootsToHello(ctx, e, fw) }
	}
	return []Case{
		{"bios", "a BIOS laptop starts the agent by iPXE", nil, toHello(lab.BIOS)},
		{"uefi", "a UEFI laptop starts the agent by its firmware's PXE", nil, toHello(lab.UEFI)},
		{"secureboot", "the same with Secure Boot on, and the booted kernel reports it", nil, toHello(lab.SecureBoot)},
		{"httpboot", "UEFI HTTP Boot with Secure Boot on starts the agent from the RAM-disk image", nil, toHello(lab.SecureHTTPBoot)},
	}
}

var helloLine = regexp.MustCompile(`ingot: hello accepted code (\S+)\n`)

// startBench starts a daemon as the bench's only DHCP server and lets unknown laptops in.
func startBench(ctx context.Context, e *Env) (*Daemon, error) {
	d, err := e.StartDaemon(ctx, fullDHCP...)
	if err != nil {
		return nil, err
	}
	return d, d.Do(ctx, cmd("bench open 8h"))
}

func bootsToHello(ctx context.Context, e *Env, fw lab.Firmware) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	l := Laptop(1, fw, lab.NVMe)
	r, code, err := showsCode(ctx, e, l)
	if err != nil {
		return err
	}
	secure := fw == lab.SecureBoot || fw == lab.SecureHTTPBoot
	if fw.IsUEFI() {
		if _, err := r.Console.WaitAfter(ctx, 0, regexp.MustCompile("ingot: secure boot "+map[bool]string{true: "on", false: "(off|setup)"}[secure])); err != nil {
			return err
		}
	}
	dev, err := d.device(ctx, code)
	if err != nil {
		return err
	}
	wantMode := "bios"
	if fw.IsUEFI() {
		wantMode = "uefi"
	}
	return checks(
		same("serial", dev.Serial, l.Serial),
		same("UUID", strings.ToLower(dev.UUID), l.UUID),
		same("model", dev.Model, l.Model),
		same("firmware", dev.Firmware, wantMode),
		same("secure boot", dev.SecureBoot, secure),
		same("drives", fmt.Sprint(driveSerials(dev)), fmt.Sprint([]string{l.Drives[0].Serial})),
		bootLogEndsInHello(ctx, d, l),
	)
}

// showsCode starts a laptop and waits until it shows its code. The run is given with an error, too, once there is one.
func showsCode(ctx context.Context, e *Env, l *lab.Laptop) (r *lab.Run, code string, err error) {
	if r, err = e.PowerOn(ctx, l); err != nil {
		return nil, "", err
	}
	code, err = waitHello(ctx, e, r)
	return r, code, err
}

// waitHello waits until the laptop shows its code.
func waitHello(ctx context.Context, e *Env, r *lab.Run) (code string, err error) {
	mark := 0
	m, err := r.Console.WaitAfter(ctx, mark, helloLine)
	if err != nil {
		return "", err
	}
	e.Say("hello, code %s", m[1])
	return m[1], nil
}

func driveSerials(d store.DeviceView) []string {
	var out []string
	for _, x := range d.Drives {
		out = append(out, x.Serial)
	}
	return out
}

// device reads a device by id, name, serial or code.
func (d *Daemon) device(ctx context.Context, what string) (store.DeviceView, error) {
	var v store.DeviceView
	err := d.Read(ctx, &v, "device", "show", what)
	return v, err
}

// bootLogEndsInHello looks at the recorded legs of the start. Events become durable some moments later.
func bootLogEndsInHello(ctx context.Context, d *Daemon, l *lab.Laptop) error {
	for {
		var logs []store.BootLog
		if err := d.Read(ctx, &logs, "boot", "log", l.MAC); err != nil {
			return err
		}
		if len(logs) == 1 && len(logs[0].Events) > 0 && logs[0].Events[len(logs[0].Events)-1].Leg == "hello" {
			return nil
		}
		if err := pause(ctx, "the boot log to end in the Hello"); err != nil {
			return fmt.Errorf("%w; it holds %+v", err, logs)
		}
	}
}

// pause is the step of a loop that waits for something to be seen.
func pause(ctx context.Context, what string) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w", what, ctx.Err())
	case <-time.After(200 * time.Millisecond):
		return nil
	}
}
