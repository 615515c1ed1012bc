package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/firmware/efivar"
	"ingot/store"
)

// unapprovedCases prove what becomes of a laptop that came to an open bench by mistake.
func unapprovedCases() []Case {
	return []Case{{"unapproved", "a laptop that nobody approves resets to its own disk and is left alone; after a power-off of long enough it starts the agent again", needPlain, unapproved}}
}

// The shortest wait for an approval that the configuration takes, and a silence longer than an emulated laptop's own
// start on a busy host: the case waits for each once.
const (
	approveWithin = time.Minute
	restartWithin = 3 * time.Minute
)

func unapproved(ctx context.Context, e *Env) error {
	conf := filepath.Join(e.Dir, "ingot.toml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "[bench]\napprove_within = %q\nrestart_within = %q\n", approveWithin, restartWithin), 0o644); err != nil {
		return err
	}
	d := e.newDaemon(append(fullDHCP, "--config", conf)...)
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return err
	}
	if err := os.Symlink(bundleDir(e.Cache), filepath.Join(d.Data, "boot")); err != nil {
		return err
	}
	if err := d.Start(ctx); err != nil {
		return err
	}
	l := Laptop(5, lab.UEFI, lab.NVMe)
	r, err := startGolden(ctx, e, l, golden.Plain) // on a closed bench: its own system
	if err != nil {
		return err
	}
	if err := makesEntry(ctx, r); err != nil {
		return err
	}
	if err := checks(switchOff(ctx, r), d.Do(ctx, cmd("bench open 8h"))); err != nil {
		return err
	}
	if r, err = e.PowerOn(ctx, l); err != nil {
		return err
	}
	if err := goesHome(ctx, e, d, l, r); err != nil {
		return err
	}
	off := time.Now()
	if err := switchOff(ctx, r); err != nil {
		return err
	}
	select {
	case <-time.After(restartWithin + 5*time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	e.Say("it was off for %.0f s", time.Since(off).Seconds())
	if r, err = e.PowerOn(ctx, l); err != nil {
		return err
	}
	if _, err := waitHello(ctx, e, r); err != nil {
		return fmt.Errorf("after the power-off: %w", err)
	}
	return r.Kill()
}

const ownEntry = "own system"

// makesEntry gives the laptop the boot entry that its system's installer would have made.
func makesEntry(ctx context.Context, r *lab.Run) error {
	sh, err := r.Login(ctx, golden.Password)
	if err != nil {
		return err
	}
	out, err := sh.Run(ctx, `esp=$(findmnt -no SOURCE /boot/efi) && cd /sys/class/block/$(basename $esp) && echo $(cat partition start size) $(lsblk -no PARTUUID $esp)`)
	if err != nil {
		return err
	}
	var p efivar.Partition
	var guid string
	if _, err := fmt.Sscan(out, &p.Number, &p.Start, &p.Size, &guid); err != nil {
		return fmt.Errorf("read the place of the EFI partition from %q: %w", out, err)
	}
	if p.GUID, err = efivar.ParseGUID(guid); err != nil {
		return err
	}
	value, err := efivar.LoadOption{Attributes: efivar.Active, Description: ownEntry, Path: efivar.PartitionPath(p, entryLoader)}.Marshal()
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(append([]byte{7, 0, 0, 0}, value...)) // non-volatile, boot and run time
	const order = "BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c"
	_, err = sh.Run(ctx, "cd /sys/firmware/efi/efivars && echo "+text+" | base64 -d >Boot0077-8be4df61-93ca-11d2-aa0d-00e098032b8c && chattr -i "+order+
		" && { cat "+order+"; printf '\\167\\0'; } >/tmp/order && cat /tmp/order >"+order+"; cd /")
	return err
}

var loading = regexp.MustCompile(`BdsDxe: (?:loading|starting) Boot[0-9A-F]{4} "([^"]*)"`)

// goesHome follows the laptop from its code to its own system, by BootNext, and through a restart that asks the network
// first and is left alone.
func goesHome(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, r *lab.Run) error {
	if _, err := waitHello(ctx, e, r); err != nil {
		return err
	}
	shown := time.Now()
	if err := r.Console.WaitFor(ctx, "ingot: nothing to do, starting the laptop's own system"); err != nil {
		return err
	}
	e.Say("nobody approved it within %.0f s", time.Since(shown).Seconds())
	mark := len(r.Console.Text())
	m, err := r.Console.WaitAfter(ctx, mark, loading)
	if err != nil {
		return err
	}
	if _, err := r.Console.WaitAfter(ctx, mark, regexp.MustCompile("Welcome to GRUB!")); err != nil {
		return err
	}
	if err := checks(same("what the firmware starts first", m[1], ownEntry), that(time.Since(shown) >= approveWithin, "it went before its time"), leftToItself(r, mark)); err != nil {
		return err
	}
	e.Say("it starts %q; now a restart, which is no power-off", m[1])
	before := time.Now()
	if err := r.Reset(); err != nil {
		return err
	}
	again := len(r.Console.Text())
	if err := startsOwnSystem(ctx, e, r, again, golden.HostName); err != nil {
		return err
	}
	dev, err := d.device(ctx, l.Serial)
	if err != nil {
		return err
	}
	return checks(leftToItself(r, mark), same("state", dev.State, store.New), wasRefused(ctx, d, l, before))
}

// leftToItself holds that nothing of ours ran behind mark.
func leftToItself(r *lab.Run, mark int) error {
	text := r.Console.Text()[mark:]
	return that(!strings.Contains(text, "ingot: agent") && !strings.Contains(text, "Ingot: "), "something of ours was started:\n%s", r.Console.Tail(30))
}

var unapprovedWords = regexp.MustCompile(`Nobody approved it in time\. It is left alone until it has been off for 3m0s`)

// wasRefused holds that the restart asked the network and was told why it is refused, and fetched nothing.
func wasRefused(ctx context.Context, d *Daemon, l *lab.Laptop, since time.Time) error {
	for {
		var logs []store.BootLog
		if err := d.Read(ctx, &logs, "boot", "log", l.MAC); err != nil {
			return err
		}
		last := logs[0].Events[len(logs[0].Events)-1]
		for _, ev := range logs[0].Events {
			if ev.Leg == "refuse" && unapprovedWords.MatchString(ev.Text) && ev.Time.After(since) {
				d.env.Say("boot log: %s %s", ev.Leg, ev.Text)
				return that(last.File == "", "the boot log ends with the file %s", last.File)
			}
		}
		if err := pause(ctx, "the refusal in the boot log"); err != nil {
			return err
		}
	}
}
