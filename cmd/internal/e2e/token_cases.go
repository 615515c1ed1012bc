package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	agentapi "ingot/imaging/job/client"
	"ingot/store"
)

func tokenCases() []Case {
	return []Case{{"token-reuse", "a second key with a laptop's boot token is refused and logged, the laptop goes on, and a Hello sent again succeeds", needPlain, tokenReuse}}
}

var commandLineForm = regexp.MustCompile(`ingot\.url=(\S+) ingot\.pin=(\S+) ingot\.token=(\S+)`)

// tokenReuse plays a neighbour who wants a laptop's own script while it starts. Asking for it gives him nothing; but
// TFTP is in the clear, and he reads along. The laptop says Hello first; what the neighbour says afterwards must change
// nothing.
func tokenReuse(ctx context.Context, e *Env) (err error) {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	if _, err := importGolden(ctx, e, d, golden.Plain); err != nil {
		return err
	}
	w, err := newWire(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	thief := w.machine(1, classPXE, archX64)
	if _, err := thief.lease(ctx, lab.ServerIP); err != nil {
		return err
	}
	ear, err := sniff()
	if err != nil {
		return err
	}
	l := Laptop(1, lab.UEFI, lab.NVMe)
	r, err := e.PowerOn(ctx, l)
	if err == nil {
		err = r.Console.WaitFor(ctx, "Ingot: loading the start system.")
	}
	heard, earErr := ear.stop()
	if err := errors.Join(err, earErr); err != nil {
		return err
	}
	if got, err := scriptOf(ctx, thief, l.MAC); err == nil {
		return fmt.Errorf("a neighbour was given the laptop's script: %+v", got)
	}
	stolen, ok := lineOf(heard.script)
	if !ok {
		return fmt.Errorf("the neighbour heard no script, but %d bytes by TFTP", heard.tftpBytes)
	}
	code, err := waitHello(ctx, e, r)
	if err != nil {
		return err
	}
	if err := secondKeyRefused(ctx, e, stolen, l.Serial); err != nil {
		return err
	}
	return errors.Join(goesOn(ctx, e, d, r, l, code), resentHello(ctx, e, d, thief))
}

// bootLine is what a start's kernel command line tells.
type bootLine struct {
	url, pin, token string
}

// scriptOf fetches the script of a machine.
func scriptOf(ctx context.Context, c *client, mac string) (bootLine, error) {
	script, err := c.http(ctx, url("boot.ipxe?mac="+mac))
	if err != nil {
		return bootLine{}, err
	}
	b, ok := lineOf(script)
	return b, that(ok, "the script has no command line: %q", script)
}

// lineOf finds the command line in a script.
func lineOf(script []byte) (bootLine, bool) {
	m := commandLineForm.FindSubmatch(script)
	if m == nil {
		return bootLine{}, false
	}
	return bootLine{string(m[1]), string(m[2]), strings.TrimRight(string(m[3]), ";")}, true
}

// hello is a well-formed one of a laptop that does not exist.
func (b bootLine) hello(nonce, serial string) job.Hello {
	return job.Hello{Version: job.Version, Token: b.token, Nonce: nonce, Build: "played", Firmware: "uefi", MemoryBytes: 1 << 30,
		Facts: job.Facts{Manufacturer: "LabCo", Model: "Lap 9", Serial: serial, UUID: "4c4c4544-0042-3510-8052-525400bb0001"}}
}

func secondKeyRefused(ctx context.Context, e *Env, b bootLine, serial string) error {
	c, err := agentapi.New(b.url, job.KeyID(b.pin))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Hello(ctx, b.hello(strings.Repeat("ab", 16), serial))
	var f *job.Fault
	if !errors.As(err, &f) {
		return fmt.Errorf("a second key with the laptop's token was not refused: %v", err)
	}
	e.Say("the second key is refused: %v", f)
	return same("the refusal", f.Code, job.CodeTokenBound)
}

// goesOn holds that the refusal is in the audit log, that the code still names the laptop, and that the laptop
// takes its order and writes.
func goesOn(ctx context.Context, e *Env, d *Daemon, r *lab.Run, l *lab.Laptop, code string) error {
	var log []store.Event
	if err := d.Read(ctx, &log, "audit"); err != nil {
		return err
	}
	refused := false
	for _, a := range log {
		refused = refused || a.Act == "refused" && strings.Contains(a.Text, string(job.CodeTokenBound))
	}
	if err := d.Do(ctx, cmd("device adopt %s", code)); err != nil {
		return err
	}
	id, err := d.deploy(ctx, order{l, "sales", "LAB-0001"})
	if err != nil {
		return err
	}
	for _, marker := range []string{"ingot: job " + string(id), "ingot: state writing"} {
		if err := r.Console.WaitFor(ctx, marker); err != nil {
			return err
		}
	}
	e.Say("the laptop goes on: it writes for job %s", id)
	return that(refused, "the refusal is in no audit event: %+v", log)
}

// resentHello plays an agent whose answer was lost: the same key says the same Hello again.
func resentHello(ctx context.Context, e *Env, d *Daemon, c *client) error {
	b, err := scriptOf(ctx, c, c.mac.String())
	if err != nil {
		return err
	}
	agent, err := agentapi.New(b.url, job.KeyID(b.pin))
	if err != nil {
		return err
	}
	defer agent.Close()
	h := b.hello(strings.Repeat("cd", 16), "PF3PLAYED")
	first, err := agent.Hello(ctx, h)
	if err != nil {
		return err
	}
	again, err := agent.Hello(ctx, h)
	if err != nil {
		return fmt.Errorf("the Hello sent again: %w", err)
	}
	var devices []store.DeviceView
	if err := d.Read(ctx, &devices, "device", "list"); err != nil {
		return err
	}
	e.Say("a Hello sent again: the same code %s", again.Code)
	return checks(same("the device", again.Device, first.Device), same("the code", again.Code, first.Code), same("devices", len(devices), 2))
}
