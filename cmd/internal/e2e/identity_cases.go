package e2e

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

// identityCases prove that no laptop is taken for another.
func identityCases() []Case {
	return []Case{
		{"one-dongle", "two laptops on one network adapter, one after the other: two records, two names, and each takes its own order", nil, oneDongle},
		{"no-serial", "two laptops that tell \"Default string\" and a UUID of zeros: two records by their stickers, two names, and one is deployed", needPlain, noSerial},
	}
}

// dongle is the address of an adapter that goes from one laptop to the next.
const dongle = "8c:16:45:aa:00:01"

// oneDongle lets two laptops with the same address meet the daemon, orders for the first while the second one has the
// dongle, and then lets the first one take its order.
func oneDongle(ctx context.Context, e *Env) error {
	x, err := smallBench(ctx, e, 8)
	if err != nil {
		return err
	}
	a, b := x.laptop, Laptop(8, lab.BIOS, lab.NVMe)
	b.Drives[0].Size = smallDrive
	a.MAC, b.MAC = dongle, dongle
	first, run, err := adoptAs(ctx, e, x.d, a, "DONGLE-A")
	if err != nil {
		return err
	}
	if err := run.Kill(); err != nil {
		return err
	}
	second, run, err := adoptAs(ctx, e, x.d, b, "DONGLE-B")
	if err != nil {
		return err
	}
	if err := checks(that(first.ID != second.ID, "both laptops have the record %s", first.ID), same("the serial of the second", second.Serial, b.Serial)); err != nil {
		return err
	}
	id, err := x.d.deploy(ctx, order{a, "small", "DONGLE-A"}, "--no-personalise")
	if err != nil {
		return err
	}
	e.Say("job %s is for %s, and %s has the dongle", id, a.Serial, b.Serial)
	if err := getsNoJob(ctx, run); err != nil {
		return err
	}
	if err := checks(run.Kill(), untouched(ctx, b.Drives[0].Path())); err != nil {
		return err
	}
	if run, err = e.PowerOn(ctx, a); err != nil {
		return err
	}
	// The small image has no boot loader: that its content is written and flushed is all that is wanted of it.
	for _, marker := range []string{"ingot: job " + string(id), "ingot: state flushed"} {
		if err := run.Console.WaitFor(ctx, marker); err != nil {
			return err
		}
	}
	j, err := x.d.job(ctx, id)
	if err != nil {
		return err
	}
	e.Say("%s takes its job, drive %s, name %s", a.Serial, j.Target.Serial, j.DeviceName)
	return checks(same("the device of the job", j.Device, first.ID), same("its drive", j.Target.Serial, a.Drives[0].Serial), same("its name", j.DeviceName, "DONGLE-A"),
		heldBy(ctx, x.d, a.Serial, "DONGLE-A", store.Deploying, store.Failed), heldBy(ctx, x.d, b.Serial, "DONGLE-B", store.Ready), isShared(ctx, e, x.d))
}

// adoptAs starts a laptop and adopts it under a name.
func adoptAs(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, name string, more ...string) (store.DeviceView, *lab.Run, error) {
	r, code, err := showsCode(ctx, e, l)
	if err != nil {
		return store.DeviceView{}, r, err
	}
	var got []store.DeviceView
	if err := d.Read(ctx, &got, append(cmd("device adopt %s --name %s", code, name), more...)...); err != nil {
		return store.DeviceView{}, r, err
	}
	if len(got) != 1 {
		return store.DeviceView{}, r, fmt.Errorf("adopting named %d devices; want 1", len(got))
	}
	e.Say("adopted %s as %s, record %s, serial %s", l.Name, got[0].Name, got[0].ID, got[0].Serial)
	return got[0], r, nil
}

// getsNoJob holds that a waiting laptop is told nothing to do, for longer than it takes to ask.
func getsNoJob(ctx context.Context, r *lab.Run) error {
	soon, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	if m, err := r.Console.WaitAfter(soon, 0, regexp.MustCompile(`ingot: (job|state) [^\n]*`)); err == nil {
		return fmt.Errorf("the other laptop was told %q", m[0])
	}
	return ctx.Err()
}

// heldBy holds which record a person finds by a serial.
func heldBy(ctx context.Context, d *Daemon, serial, name string, states ...store.DeviceState) error {
	dev, err := d.device(ctx, serial)
	if err != nil {
		return err
	}
	return checks(same("the name of "+serial, dev.Name, name), that(slices.Contains(states, dev.State), "%s is %s; want one of %v", name, dev.State, states))
}

// isShared holds that the dongle's address leads to nobody any more, and that the audit trail says why.
func isShared(ctx context.Context, e *Env, d *Daemon) error {
	out, err := d.CLI(ctx, "audit")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, "shared") && strings.Contains(line, dongle) {
			e.Say("audit: %s", strings.Join(strings.Fields(line), " "))
			return nil
		}
	}
	return fmt.Errorf("the audit trail does not say that %s is shared:\n%s", dongle, out)
}

// nameless is a laptop whose maker filled nothing in.
func nameless(n int, fw lab.Firmware, bus lab.Bus) *lab.Laptop {
	l := Laptop(n, fw, bus)
	l.Serial, l.UUID, l.AssetTag = "Default string", "00000000-0000-0000-0000-000000000000", "Default string"
	return l
}

func noSerial(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	v, err := importGolden(ctx, e, d, golden.Plain)
	if err != nil {
		return err
	}
	a, b := nameless(1, lab.UEFI, lab.NVMe), nameless(2, lab.BIOS, lab.SATA)
	if err := wantsSticker(ctx, e, d, b); err != nil {
		return err
	}
	first, run, err := adoptAs(ctx, e, d, a, "NAMELESS-A", "--sticker", "STK-0001")
	if err != nil {
		return err
	}
	second, other, err := adoptAs(ctx, e, d, b, "NAMELESS-B", "--sticker", "STK-0002")
	if err != nil {
		return err
	}
	if err := checks(that(first.ID != second.ID, "both laptops have the record %s", first.ID), same("serial", second.Serial, "STK-0002"),
		same("what the firmware tells", second.Told, "Default string")); err != nil {
		return err
	}
	byRecord := &lab.Laptop{Serial: "STK-0001"} // what a person types for it
	id, err := d.deploy(ctx, order{byRecord, "sales", "NAMELESS-A"})
	if err != nil {
		return err
	}
	dev, err := deployedAs(ctx, e, d, run, id, byRecord, v, "NAMELESS-A")
	if err != nil {
		return err
	}
	e.Say("the record: %s, serial %s", dev.Holds.Name, dev.Holds.Serial)
	if err := checks(same("the serial in the record", dev.Holds.Serial, "STK-0001"), heldBy(ctx, d, "STK-0002", "NAMELESS-B", store.Ready),
		getsNoJob(ctx, other), run.Kill(), other.Kill(), untouched(ctx, b.Drives[0].Path())); err != nil {
		return err
	}
	return knownAgainBySticker(ctx, e, d, b, second)
}

// wantsSticker holds that such a laptop is not adopted by its code alone.
func wantsSticker(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop) error {
	r, code, err := showsCode(ctx, e, l)
	if err != nil {
		return err
	}
	_, err = d.CLI(ctx, "device", "adopt", code)
	exit := &ExitError{}
	if !asExit(err, &exit) || !containsCode(exit.Words, job.CodeNoSerial) {
		return fmt.Errorf("adopting without a sticker: %v; want a refusal with %s", err, job.CodeNoSerial)
	}
	e.Say("refused: %s", exit.Words)
	return r.Kill()
}

// knownAgainBySticker starts a nameless laptop anew: nothing that it tells is its own, so it waits for its sticker, and
// is then the laptop that it was.
func knownAgainBySticker(ctx context.Context, e *Env, d *Daemon, l *lab.Laptop, was store.DeviceView) error {
	r, code, err := showsCode(ctx, e, l)
	if err != nil {
		return err
	}
	var got []store.DeviceView
	if err := d.Read(ctx, &got, cmd("device adopt %s --sticker %s", code, was.Serial)...); err != nil {
		return err
	}
	if len(got) != 1 {
		return fmt.Errorf("adopting named %d devices; want 1", len(got))
	}
	var all []store.DeviceView
	if err := d.Read(ctx, &all, "device", "list"); err != nil {
		return err
	}
	e.Say("known again: %s is %s", got[0].Serial, got[0].Name)
	return checks(r.Kill(), same("the record", got[0].ID, was.ID), same("the name", got[0].Name, was.Name), same("devices", len(all), 2))
}
