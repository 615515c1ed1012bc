package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ingot/cmd/ingot/internal/setup"
	"ingot/store"
	"ingot/web"
)

func (a *app) benchCommand() *cobra.Command {
	return group("bench", "The time window in which unknown machines may boot", a.benchOpen(), a.benchClose(), a.benchShow())
}

func (a *app) benchOpen() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "open DURATION", Short: "Let unknown machines boot for a time, such as 4h", Example: "ingot bench open 4h",
		Long: "Until then an unknown machine on the configured interfaces is started and shows a code; outside this time it is refused quickly.",
		Args: args(cobra.ExactArgs(1)), RunE: func(c *cobra.Command, given []string) error {
			d, err := time.ParseDuration(given[0])
			if err != nil || d <= 0 {
				return usage{fmt.Errorf("%q is no duration such as 4h or 30m", given[0])}
			}
			return a.setBench(c, store.Bench{OpenUntil: time.Now().Add(d)})
		}})
}

func (a *app) benchClose() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "close", Short: "Refuse unknown machines from now on", Example: "ingot bench close", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return a.setBench(c, store.Bench{}) }})
}

func (a *app) benchShow() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "show", Short: "Say whether the bench is open", Example: "ingot bench show", Args: args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
		return a.with(false, func(cl *client) error {
			b, err := get[store.Bench](c.Context(), cl, "bench")
			if err != nil {
				return err
			}
			return a.tellBench(b)
		})
	}})
}

func (a *app) setBench(c *cobra.Command, b store.Bench) error {
	return a.with(true, func(cl *client) error {
		b, err := post[store.Bench](c.Context(), cl, "bench", b)
		if err != nil {
			return err
		}
		if err := a.tellBench(b); err != nil || !b.Open(time.Now()) {
			return err
		}
		return a.warnNobody(c, cl)
	})
}

// warnNobody says when an open bench answers nobody, and what to do about it.
func (a *app) warnNobody(c *cobra.Command, cl *client) error {
	s, err := get[web.Status](c.Context(), cl, "daemon")
	switch {
	case err != nil:
		return err
	case !s.Serving:
		fmt.Fprintln(a.err, "But no daemon runs, so no laptop is answered. Start it: sudo systemctl start ingot (or: sudo ingot daemon)")
	case len(s.Interfaces) == 0:
		fmt.Fprintf(a.err, "But no interface is configured, so no laptop is answered. %s\n", noInterfaceDo())
	}
	return nil
}

// noInterfaceDo is the command that makes laptops be answered, on the wired adapter that is likeliest the bench's.
func noInterfaceDo() string {
	name := "NAME"
	if nics, err := setup.Wired(sysNet); err == nil && len(nics) > 0 {
		name = nics[0].Name
	}
	return "Choose one: sudo ingot setup --interface " + name
}

func (a *app) tellBench(b store.Bench) error {
	if !b.Open(time.Now()) {
		return a.tell(b, "closed", a.sayf("the bench is closed"))
	}
	return a.tell(b, "open", a.sayf("the bench is open until %s, opened by %s", when(b.OpenUntil), b.By))
}

func (a *app) autoDeployCommand() *cobra.Command {
	return group("auto-deploy", "Adopt and deploy new laptops without a person; off unless switched on", a.autoOn(), a.autoOff(), a.autoShow())
}

func (a *app) autoOn() *cobra.Command {
	var p store.AutoDeploy
	var window time.Duration
	c := &cobra.Command{Use: "on", Short: "Deploy new laptops, and those of a list at their first start, by a role, for a time and a number of laptops",
		Example: "ingot auto-deploy on --role sales --for 4h --count 20", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			p.Until = time.Now().Add(window)
			return a.setAuto(c, p)
		}}
	c.Flags().StringVar(&p.Role, "role", "", "role that they get")
	c.Flags().DurationVar(&window, "for", 0, "how long, such as 4h")
	c.Flags().IntVar(&p.Left, "count", 0, "how many laptops at most")
	must(c, "role", "for", "count")
	a.completes(c, "role", (*app).roleNames)
	return a.outputFlag(c)
}

func (a *app) autoOff() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "off", Short: "Wait for a person again", Example: "ingot auto-deploy off", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return a.setAuto(c, store.AutoDeploy{}) }})
}

func (a *app) autoShow() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "show", Short: "Say what the policy is", Example: "ingot auto-deploy show", Args: args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
		return a.with(false, func(cl *client) error {
			p, err := get[store.AutoDeploy](c.Context(), cl, "auto-deploy")
			if err != nil {
				return err
			}
			return a.tellAuto(p)
		})
	}})
}

func (a *app) setAuto(c *cobra.Command, p store.AutoDeploy) error {
	return a.with(false, func(cl *client) error {
		p, err := post[store.AutoDeploy](c.Context(), cl, "auto-deploy", p)
		if err != nil {
			return err
		}
		return a.tellAuto(p)
	})
}

func (a *app) tellAuto(p store.AutoDeploy) error {
	if !p.On(time.Now()) {
		return a.tell(p, "off", a.sayf("auto-deploy is off"))
	}
	return a.tell(p, "on", a.sayf("auto-deploy is on: role %s, %d laptops, until %s, by %s", p.Role, p.Left, when(p.Until), p.By))
}
