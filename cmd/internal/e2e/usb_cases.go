package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/firmware"
	"ingot/imaging/job"
	"ingot/store"
)

// usbCases prove the way in without a network boot, and the daily care of what laptops boot.
func usbCases() []Case {
	return []Case{
		{"usb", "a Secure Boot laptop whose network card its firmware does not know starts from a stick, is deployed and goes back to its own system although the stick stays; the stick starts no unknown laptop on a closed bench, and is never written", needPlain, startsFromStick},
		{"firmware-update", "a newer package gives a new bundle, named change by change; the old one stays while a job uses it and goes afterwards; a failed or older update changes nothing", needPlain, updatesFirmware},
	}
}

// stickCard is a network card for which OVMF has no driver and stage 1 of the network boot has none either: the kernel
// has one, and so has the stick.
const stickCard = "pcnet"

// withStick plugs a stick into a laptop whose firmware cannot start from its network card.
func withStick(n int, stick string) *lab.Laptop {
	l := Laptop(n, lab.SecureBoot, lab.NVMe)
	l.Card = stickCard
	l.Drives = append(l.Drives, &lab.Drive{Bus: lab.USB, Serial: fmt.Sprintf("4C5300%02d", n), File: stick, First: true})
	return l
}

func startsFromStick(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	v, err := importGolden(ctx, e, d, golden.Plain)
	if err != nil {
		return err
	}
	stick := filepath.Join(e.Dir, "stick.img")
	// The first address is one where nobody answers any more: the server has moved since.
	made, err := d.CLI(ctx, "firmware", "usb", stick, "--url", "https://10.77.0.9:8443", "--url", "https://"+lab.ServerIP+":8443")
	if err != nil {
		return err
	}
	e.Say("%s", strings.TrimSpace(made))
	before, err := lab.Command(ctx, "sha256sum", stick)
	if err != nil {
		return err
	}
	l := withStick(1, stick)
	r, id, err := adoptAndDeploy(ctx, e, d, order{l, "sales", "LAB-0001"})
	if err != nil {
		return err
	}
	dev, err := deployedAs(ctx, e, d, r, id, l, v, "LAB-0001")
	if err != nil {
		return err
	}
	if err := checks(same("the drive that was written", dev.Holds.Target.Serial, l.Drives[0].Serial), sameLegs(ctx, e, d, l, "stick", "hello"),
		that(strings.Contains(r.Console.Text(), "ingot: secure boot on"), "the agent did not start with Secure Boot on"),
		switchOff(ctx, r), unchanged(ctx, e, stick, before)); err != nil {
		return err
	}
	if err := leavesWithStick(ctx, e, d, l); err != nil {
		return err
	}
	if err := refusesStranger(ctx, e, d, stick); err != nil {
		return err
	}
	return unchanged(ctx, e, stick, before)
}

// unchanged holds that nothing was written to the stick.
func unchanged(ctx context.Context, e *Env, stick, before string) error {
	after, err := lab.Command(ctx, "sha256sum", stick)
	e.Say("the stick: %s", strings.Fields(after)[0])
	return checks(err, same("the stick's digest", after, before))
}

// agentLegs are those of the boot log that a laptop with a stick passes: its agent asks for an address, then to start.
// None of them is a fetch of a boot file.
var agentLegs = []string{"discover", "offer", "request", "ack", "stick", "hello", "refuse", "ignore"}

// sameLegs holds that the boot log of a laptop ends in the two legs, and that nothing was booted from the network.
func sameLegs(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, last ...string) error {
	var legs []string
	for {
		var logs []store.BootLog
		if err := d.Read(ctx, &logs, "boot", "log", l.MAC); err != nil {
			return err
		}
		legs = nil
		for _, ev := range logs[0].Events {
			if ev.Leg == "stick" || !slices.Contains(agentLegs[:4], ev.Leg) {
				legs = append(legs, ev.Leg)
			}
			if !slices.Contains(agentLegs, ev.Leg) || ev.File != "" {
				return fmt.Errorf("the boot log holds the leg %s %s: the laptop booted from the network", ev.Leg, ev.File)
			}
		}
		if n := len(legs) - len(last); n >= 0 && slices.Equal(legs[n:], last) {
			e.Say("boot log: %s: %s", strings.Join(legs, ", "), logs[0].Cause)
			return nil
		}
		if err := pause(ctx, "the boot log to end in "+strings.Join(last, ", ")); err != nil {
			return fmt.Errorf("%w; it holds %v", err, legs)
		}
	}
}

var refusedLine = regexp.MustCompile(`ingot: refused (E\d+) ([^\n]*)\n`)

// leavesWithStick starts the deployed laptop with the stick still in: it hears that there is nothing to do, and runs its
// own system.
func leavesWithStick(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop) error {
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	m, err := r.Console.WaitAfter(ctx, 0, refusedLine)
	if err != nil {
		return err
	}
	e.Say("refused %s %s", m[1], m[2])
	return checks(same("the refusal", job.Code(m[1]), job.CodeNoJob), startsOwnSystem(ctx, e, r, 0, "LAB-0001"), sameLegs(ctx, e, d, l, "stick", "refuse"), switchOff(ctx, r))
}

// refusesStranger starts an unknown laptop from the stick while the bench is closed: it reads why and what to do, its
// drive keeps every bit, and, with no system of its own, it switches off.
func refusesStranger(ctx context.Context, e *Env, d *Daemon, stick string) error {
	if err := d.Do(ctx, cmd("bench close")); err != nil {
		return err
	}
	l := withStick(2, stick)
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	m, err := r.Console.WaitAfter(ctx, 0, refusedLine)
	if err != nil {
		return err
	}
	e.Say("refused %s %s", m[1], m[2])
	if err := r.WaitOff(ctx); err != nil {
		return err
	}
	var devices []store.DeviceView
	if err := d.Read(ctx, &devices, "device", "list"); err != nil {
		return err
	}
	return checks(same("the refusal", job.Code(m[1]), job.CodeBenchClosed), that(strings.Contains(m[2], "ingot bench open 4h"), "the screen does not say what to do: %s", m[2]),
		same("devices", len(devices), 1), untouched(ctx, l.Drives[0].Path()), sameLegs(ctx, e, d, l, "stick", "refuse"))
}

// updatesFirmware works on a boot folder of its own: the laptop starts with the first bundle, and an update comes while
// its job is running.
func updatesFirmware(ctx context.Context, e *Env) error {
	d := e.newDaemon(fullDHCP...)
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return err
	}
	debs := filepath.Join(e.Dir, "debs")
	if _, err := lab.Command(ctx, "cp", "-a", filepath.Join(bundleDir(e.Cache), "debs"), debs); err != nil {
		return err
	}
	if err := d.Do(ctx, cmd("firmware build --debs %s", debs)); err != nil {
		return err
	}
	if err := d.Start(ctx); err != nil {
		return err
	}
	if err := d.Do(ctx, cmd("bench open 8h")); err != nil {
		return err
	}
	if _, err := importGolden(ctx, e, d, golden.Plain); err != nil {
		return err
	}
	first, err := d.servedBundle(ctx)
	if err != nil {
		return err
	}
	l := Laptop(1, lab.BIOS, lab.SATA)
	l.Drives[0].WriteLimit = 1 << 20 // the job is to be unfinished for as long as is looked at it
	r, id, err := adoptAndDeploy(ctx, e, d, order{l, "sales", "LAB-0001"})
	if err != nil {
		return err
	}
	if err := r.Console.WaitFor(ctx, "ingot: state writing"); err != nil {
		return err
	}
	second, err := d.updateWhileWriting(ctx, e, debs, first, id)
	if err != nil {
		return err
	}
	if err := d.badUpdates(ctx, e, debs, second); err != nil {
		return err
	}
	if err := d.Do(ctx, cmd("job cancel %s --yes --serial %s", id, l.Serial)); err != nil {
		return err
	}
	if _, err := d.waitJob(ctx, id); err != nil {
		return err
	}
	return d.oldBundleGoes(ctx, e, debs, second)
}

// held lists the bundles.
func (d *Daemon) held(ctx context.Context) (out []struct {
	firmware.Held
	store.BundleUse
}, err error) {
	text, err := d.CLI(ctx, "firmware", "list", "-o", "json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &out)
	}
	return out, err
}

func (d *Daemon) servedBundle(ctx context.Context) (string, error) {
	held, err := d.held(ctx)
	for _, h := range held {
		if h.Current {
			return h.Name, err
		}
	}
	return "", fmt.Errorf("no bundle is served: %w", err)
}

// updateWhileWriting brings a newer shim. Its version is changed, its signed bytes are not.
func (d *Daemon) updateWhileWriting(ctx context.Context, e *Env, debs, first string, id job.ID) (second string, err error) {
	from, to, err := renewDeb(ctx, e, debs, "shim-signed")
	if err != nil {
		return "", err
	}
	said, err := d.CLI(ctx, "firmware", "update", "--debs", debs)
	if err != nil {
		return "", err
	}
	e.Say("%s", strings.TrimSpace(said))
	if second, err = d.servedBundle(ctx); err != nil {
		return "", err
	}
	held, err := d.held(ctx)
	if err != nil {
		return "", err
	}
	uses := ""
	for _, h := range held {
		if h.Name == first {
			uses = fmt.Sprint(h.Jobs)
		}
	}
	list, err := d.CLI(ctx, "firmware", "list")
	e.Say("%s", strings.TrimSpace(list))
	return second, checks(err, same("bundles", len(held), 2), that(second != first, "the first bundle is still served"), same("what uses the first bundle", uses, fmt.Sprint([]job.ID{id})),
		that(strings.Contains(said, fmt.Sprintf("shim-signed: %s -> %s\n", from, to)), "the update does not name its change: %s", said))
}

// renewDeb gives a package in a folder a higher version and returns both.
func renewDeb(ctx context.Context, e *Env, debs, name string) (from, to string, err error) {
	files, err := filepath.Glob(filepath.Join(debs, name+"_*.deb"))
	if err != nil || len(files) != 1 {
		return "", "", fmt.Errorf("find the package %s: %d files, %w", name, len(files), err)
	}
	dir := filepath.Join(e.Dir, "renew-"+name)
	if _, err := lab.Command(ctx, "dpkg-deb", "-R", files[0], dir); err != nil {
		return "", "", err
	}
	control := filepath.Join(dir, "DEBIAN", "control")
	text, err := os.ReadFile(control)
	if err != nil {
		return "", "", err
	}
	m := regexp.MustCompile(`(?m)^Version: (\S+)$`).FindSubmatch(text)
	if m == nil {
		return "", "", fmt.Errorf("%s states no version", name)
	}
	from, to = string(m[1]), string(m[1])+"+lab1"
	if err := os.WriteFile(control, []byte(strings.Replace(string(text), "Version: "+from, "Version: "+to, 1)), 0o644); err != nil {
		return "", "", err
	}
	_, err = lab.Command(ctx, "dpkg-deb", "-Znone", "-b", dir, filepath.Join(debs, name+"_lab1_amd64.deb"))
	return from, to, err
}

// badUpdates holds that neither a broken package nor an older one changes what is served.
func (d *Daemon) badUpdates(ctx context.Context, e *Env, debs, second string) error {
	for _, bad := range []struct {
		name string
		code job.Code
		do   string // a shell line in a copy of the folder
	}{
		{"older", job.CodeBundleOlder, "rm shim-signed_lab1_amd64.deb"},
		{"broken", job.CodeBundleBuild, "truncate -s 1M linux-image-*.deb"},
	} {
		dir := filepath.Join(e.Dir, bad.name)
		if _, err := lab.Command(ctx, "sh", "-c", "cp -a \"$0\" \"$1\" && cd \"$1\" && "+bad.do, debs, dir); err != nil {
			return err
		}
		_, err := d.CLI(ctx, "firmware", "update", "--debs", dir)
		exit := &ExitError{}
		if !asExit(err, &exit) || !containsCode(exit.Words, bad.code) {
			return fmt.Errorf("an update from %s packages: %v; want a refusal with %s", bad.name, err, bad.code)
		}
		e.Say("%s: %s", bad.name, strings.TrimSpace(exit.Words))
		now, err := d.servedBundle(ctx)
		if err := checks(err, same("the bundle that is served", now, second), d.Do(ctx, cmd("firmware verify"))); err != nil {
			return err
		}
	}
	return nil
}

// oldBundleGoes holds that an update with nothing newer removes what nothing uses any more.
func (d *Daemon) oldBundleGoes(ctx context.Context, e *Env, debs, second string) error {
	said, err := d.CLI(ctx, "firmware", "update", "--debs", debs)
	if err != nil {
		return err
	}
	e.Say("%s", strings.TrimSpace(said))
	held, err := d.held(ctx)
	if err != nil {
		return err
	}
	return checks(same("bundles", len(held), 1), same("the bundle that is left", held[0].Name, second), that(strings.Contains(said, "nothing is newer"), "the update says %q", said))
}
