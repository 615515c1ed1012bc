package e2e

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"ingot/cmd/internal/browser"
	"ingot/cmd/internal/lab"
	"ingot/cmd/internal/simlaptop"
	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
	"ingot/web/report"
)

// gate is two laptops that came back with licensed software on them: one with firmware and a drive full of its owner's
// data, one that is simulated and will be dead. Nothing is to give either away before its records.
type gate struct {
	*wiping
	e      *Env
	web    *browser.Browser
	tab    *browser.Tab // of anna, a technician
	api    *apiClient   // of a technician's program
	dead   *simlaptop.Laptop
	agents simlaptop.Server
	at     map[string]string // serial -> the path of its page
}

const gateDrive = "WDLAB0005"

func wipeGate(ctx context.Context, e *Env) error {
	g, err := newGate(ctx, e)
	if g != nil && g.web != nil {
		defer g.web.Close()
	}
	if err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"both go by themselves under the policy", g.goByThemselves},
		{"both are taken back by the page", g.comeBack},
		{"the zero-touch policy", g.policyRefuses},
		{"the command line", g.cliRefuses},
		{"the API", g.apiRefuses},
		{"the page", g.pageRefuses},
		{"a dead laptop", g.deadLeaves},
		{"a wrong serial in the browser", g.wrongSerials},
		{"the right serial in the browser", g.isWipedByThePage},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	if odd := g.tab.Odd(); len(odd) > 0 {
		return fmt.Errorf("what nobody saw: %q", odd)
	}
	return nil
}

// newGate starts the daemon, puts an image with a licensed program on its shelf, and lets in a person and a program.
func newGate(ctx context.Context, e *Env) (*gate, error) {
	d, err := wipeBench(ctx, e)
	if err != nil {
		return nil, err
	}
	golden := simlaptop.Golden{Payload: 1 << 20, Software: map[string]string{"officesuite": "9.1"}}
	file := filepath.Join(e.Dir, "office.raw")
	if err := golden.Make(ctx, file); err != nil {
		return nil, err
	}
	if err := d.Do(ctx, []string{"image", "import", file, "--image", "sales", "--label", "1", "--note", "made by the lab", "--release"},
		cmd("role add sales --image sales --names LT-{serial:-4}"), cmd("licence set Office --seats 5 --vendor Example"), cmd("licence map officesuite --to Office")); err != nil {
		return nil, err
	}
	l := wipeLaptop(lab.UEFI, platter(gateDrive))
	g := &gate{wiping: &wiping{d: d, laptop: l}, e: e, at: map[string]string{}}
	if err := checks(e.Bench.Fit(ctx, l), g.learnKey(ctx)); err != nil {
		return g, err
	}
	if g.dead, err = simlaptop.New(e.Dir, 1, golden.DiskSize()); err != nil {
		return g, err
	}
	status, err := Ask[web.Status](ctx, d, "daemon")
	if err != nil {
		return g, err
	}
	g.agents = simlaptop.Server{URL: fmt.Sprintf("https://127.0.0.1:%d", status.AgentPort), Pin: job.KeyID(status.Pin)}
	if g.api, err = newAPIClient(ctx, d, "robot", store.Technician); err != nil {
		return g, err
	}
	if g.web, err = browser.Start(ctx); err != nil {
		return g, err
	}
	g.tab, err = pagePerson(ctx, d, g.web, "anna")
	return g, err
}

// goByThemselves is the control of what comes later: under this policy a new laptop is written without a person, on this
// very bench. Then both are in use, and count.
func (g *gate) goByThemselves(ctx context.Context) error {
	if err := g.d.Do(ctx, cmd("auto-deploy on --role sales --for 8h --count 9")); err != nil {
		return err
	}
	sim, err := g.dead.PowerOn(g.agents)
	if err != nil {
		return err
	}
	defer sim.PullPlug()
	if g.run, err = g.e.PowerOn(ctx, g.laptop); err != nil {
		return err
	}
	if _, err := g.run.Console.WaitAfter(ctx, 0, regexp.MustCompile(`ingot: job (\S+) `)); err != nil {
		return err
	}
	for _, serial := range g.serials() {
		dev, err := g.d.waitDeployed(ctx, serial)
		if err != nil {
			return err
		}
		g.at[serial] = "/devices/" + dev.ID
		if err := that(strings.HasPrefix(dev.Holds.Operator, "auto-deploy of "), "%s was ordered by %q", serial, dev.Holds.Operator); err != nil {
			return err
		}
		g.e.Say("%s went by itself and is %s %s", serial, dev.State, dev.Name)
	}
	if err := checks(g.run.Kill(), g.used(g.e), g.isFull()); err != nil {
		return err
	}
	return g.licences(ctx, 2)
}

func (g *gate) serials() []string { return []string{g.dead.Serial(), g.laptop.Serial} }

// licences holds how many devices count for the one product.
func (g *gate) licences(ctx context.Context, want int) error {
	var got struct {
		Rows report.Licences `json:"rows"`
	}
	if err := g.d.Read(ctx, &got, "report", "licences"); err != nil {
		return err
	}
	if len(got.Rows.Products) != 1 {
		return fmt.Errorf("the licence report has %+v", got.Rows)
	}
	g.e.Say("%d of %d Office licences are counted", got.Rows.Products[0].Used, got.Rows.Products[0].Seats)
	return same("counted licences", got.Rows.Products[0].Used, want)
}

// comeBack takes both back on their pages. They count still: what is on them is still there.
func (g *gate) comeBack(ctx context.Context) error {
	for _, serial := range g.serials() {
		if err := inOrder(
			func() error { return g.tab.Open(g.at[serial]) },
			func() error { return g.tab.Click(`details:has(form[action$="/return"]) > summary`) },
			func() error { return g.tab.Fill(`form[action$="/return"] input[name="from"]`, "K. Berg") },
			func() error { return g.tab.Go(`form[action$="/return"] button`) },
			func() error { return g.tab.Sees("destroyed for good") },
		); err != nil {
			return err
		}
	}
	return errors.Join(g.untouched(ctx), g.licences(ctx, 2))
}

// untouched holds that both are as they came back: nobody has ordered anything since, and the data is there.
func (g *gate) untouched(ctx context.Context) error {
	for _, serial := range g.serials() {
		dev, err := g.d.device(ctx, serial)
		if err != nil {
			return err
		}
		jobs, err := g.d.jobsOf(ctx, dev.ID)
		if err != nil {
			return err
		}
		if err := checks(same("state of "+serial, dev.State, store.Returned), same("jobs of "+serial, len(jobs), 1)); err != nil {
			return err
		}
	}
	return g.isFull()
}

// policyRefuses starts both under the policy that wrote them when they were new. The laptop with firmware is sent to its
// own disk; the agent that gets past that, as from a stick, is told that there is nothing to do.
func (g *gate) policyRefuses(ctx context.Context) error {
	show := func() (string, error) { return g.d.CLI(ctx, "auto-deploy", "show") }
	before, err := show()
	if err != nil {
		return err
	}
	run, err := g.e.PowerOn(ctx, g.laptop)
	if err != nil {
		return err
	}
	if err := g.isSentAway(ctx); err != nil {
		return err
	}
	sim, err := g.dead.PowerOn(g.agents)
	if err != nil {
		return err
	}
	defer sim.PullPlug()
	how, err := sim.Await(ctx)
	if err != nil {
		return err
	}
	after, err := show()
	g.e.Say("%s; the simulated laptop got past its firmware, and ended with %q: %q", strings.TrimSpace(after), how, sim.Said())
	return checks(err, run.Kill(), that(strings.HasPrefix(after, "auto-deploy is on: role sales, 7 laptops"), "the policy says %q", after), same("the policy", after, before),
		that(strings.Contains(strings.Join(sim.Said(), "\n"), "nothing to do"), "the agent said %q", sim.Said()), g.untouched(ctx))
}

// isSentAway waits until the boot log has a refusal of the laptop that says why.
func (g *gate) isSentAway(ctx context.Context) error {
	const why = "is returned and has no job"
	for {
		var logs []store.BootLog
		if err := g.d.Read(ctx, &logs, "boot", "log", g.laptop.MAC); err != nil {
			return err
		}
		for _, l := range logs {
			for _, ev := range l.Events {
				if ev.Leg == "refuse" && strings.Contains(ev.Text+ev.Err, why) {
					g.e.Say("on the wire: %s%s", ev.Text, ev.Err)
					return nil
				}
			}
		}
		if err := pause(ctx, "the refusal on the wire"); err != nil {
			return err
		}
	}
}

// cliRefuses tries each command that could give the laptop away, and both that may say what became of its drive.
func (g *gate) cliRefuses(ctx context.Context) error {
	serial := g.laptop.Serial
	for _, try := range []struct {
		args []string
		code job.Code
	}{
		{[]string{"deploy", serial, "--role", "sales", "--data-saved", "--confirm", serial}, job.CodeReturned},
		{[]string{"device", "ready", serial, "--yes"}, job.CodeOwed},
		{[]string{"device", "dispose", serial, "--yes"}, job.CodeOwed},
		{[]string{"wipe", "LT-AB06", "--yes"}, job.CodeUnconfirmed}, // by its name: nobody read the serial
		{[]string{"device", "destroyed", serial, "--drive", gateDrive, "--method", "shredded", "--why", "dead", "--place", "here", "--by", "K. Ott", "--witness", "k. ott", "--reference", "R-1", "--yes"}, job.CodeDestruction},
	} {
		if _, err := g.d.CLI(ctx, try.args...); !refusedWith(err, try.code) {
			return fmt.Errorf("%s: %v; want %s", strings.Join(try.args, " "), err, try.code)
		}
		g.e.Say("ingot %s: %s", strings.Join(try.args[:2], " "), try.code)
	}
	return g.untouched(ctx)
}
