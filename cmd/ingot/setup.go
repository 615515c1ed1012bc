package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ingot/cmd/ingot/internal/setup"
	"ingot/imaging/job"
	"ingot/pxe"
	"ingot/store"
)

// sysNet is where Linux tells of its network adapters; serviceUser is whom the unit runs the daemon as.
const (
	sysNet      = "/sys/class/net"
	serviceUser = "ingot"
)

// setupFlags are the answers that need not be asked for.
type setupFlags struct {
	iface, mode, pool, debs string
	yes, noBundle, noStart  bool
}

// setupDone is what setup tells.
type setupDone struct {
	Configuration string   `json:"configuration"`
	Changed       bool     `json:"changed"`
	Interface     string   `json:"interface"`
	Mode          string   `json:"mode"`
	Data          string   `json:"data"`
	Bundle        string   `json:"bundle"`  // built, kept, skipped or failed
	Service       string   `json:"service"` // running, skipped or "no systemd"
	First         bool     `json:"first"`   // nobody may sign in at the pages yet
	Next          []string `json:"next"`
}

func (a *app) setupCommand() *cobra.Command {
	var f setupFlags
	c := &cobra.Command{Use: "setup", Short: "Set this server up: configuration, data folder, boot bundle, service",
		Long: `Asks at most three questions, each with the answer that was found: on which network adapter laptops are answered, whether
Ingot stands beside a DHCP server or is one (it listens for a few seconds), and where the data lies. Then it writes
/etc/ingot/ingot.toml (the old one stays as ingot.toml.old), makes the data folder, builds the boot bundle if there is
none, and starts the service. It may be run again at any time: what was set before is the answer that it finds.
Without a terminal it needs --yes, which takes what was found or given by flags.`,
		Example: "sudo ingot setup\nsudo ingot setup --yes --interface enp3s0 --mode proxy --pool 192.168.10.240-192.168.10.249",
		Args:    args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error { return a.setup(c.Context(), f) }}
	fl := c.Flags()
	fl.StringVar(&f.iface, "interface", "", "network adapter on which laptops are answered")
	fl.StringVar(&f.mode, "mode", "", "proxy (beside a DHCP server) or dhcp (the only one)")
	fl.StringVar(&f.pool, "pool", "", "first and last address that Ingot may lend, such as 192.168.10.240-192.168.10.249")
	fl.StringVar(&f.debs, "debs", "", "build the boot bundle offline from this folder of .deb files")
	fl.BoolVar(&f.noBundle, "no-bundle", false, "build no boot bundle")
	fl.BoolVar(&f.noStart, "no-start", false, "do not enable and start the service")
	yesFlag(c, &f.yes, "take what was found, without asking")
	return a.outputFlag(c)
}

func setupFault(format string, args ...any) error { return job.Faultf(job.CodeSetup, format, args...) }

// setup asks, writes, builds and starts, in this order; each step is left out when it has been done already.
func (a *app) setup(ctx context.Context, f setupFlags) error {
	if !f.yes && !a.atTerminal() {
		return usage{errors.New("setup asks questions: run it at a terminal, or give --yes; see \"ingot setup --help\"")}
	}
	path := a.config
	if path == "" {
		path = defaultConfig
	}
	if path == defaultConfig && os.Geteuid() != 0 {
		return setupFault("Only root may write %s: sudo ingot setup.", path)
	}
	cfg, err := a.previousConfig()
	if err != nil {
		return err
	}
	nic, err := a.answers(ctx, &cfg, f)
	if err != nil {
		return err
	}
	if err := cfg.check(); err != nil {
		return err
	}
	done := setupDone{Configuration: path, Interface: nic.Name, Mode: string(cfg.Boot.Mode), Data: cfg.Data}
	if err := claim(cfg.Data); err != nil {
		return err
	}
	if done.Changed, err = setup.Write(path, []byte(cfg.text()), 0o644); err != nil {
		return errors.Join(err, setupFault("%s could not be written.", path))
	}
	a.step("%s: %s", path, map[bool]string{true: "written", false: "stays as it was"}[done.Changed])
	a.config, a.data = path, ""
	var late error
	done.Bundle, late = a.setupBundle(ctx, cfg, f)
	var startErr error
	if done.Service, startErr = a.startService(ctx, cfg, f, done.Changed); startErr != nil {
		return errors.Join(startErr, late)
	}
	done.First = done.Service == "running" && nobodySignsIn(ctx, cfg)
	done.Next = nextSteps(done, a.config)
	if err := a.tell(done, path, func() error { return a.tellSetup(done) }); err != nil {
		return err
	}
	if late != nil {
		return partly{late}
	}
	return nil
}

// step tells a finished step on stderr.
func (a *app) step(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintln(a.err, printable(fmt.Sprintf(format, args...)))
	}
}

// previousConfig is what was set before; with --config a file that is not there yet is an empty one.
func (a *app) previousConfig() (config, error) {
	if a.config != "" {
		if _, err := os.Stat(a.config); errors.Is(err, os.ErrNotExist) {
			fresh := *a
			fresh.config = os.DevNull
			return fresh.loadConfig()
		}
	}
	return a.loadConfig()
}

// answers finds the three answers, asks for those that no flag gives, and puts them into the configuration.
func (a *app) answers(ctx context.Context, cfg *config, f setupFlags) (setup.NIC, error) {
	ask := &setup.Asker{Out: a.err, Line: func() (string, error) { return readLine(a.in) }}
	nic, err := a.chooseNIC(ask, cfg, f)
	if err != nil {
		return nic, err
	}
	if !nic.Net.IsValid() {
		return nic, setupFault("%s has no IPv4 address. Give it one that stays the same, then run this again. To try: ip link set %s up; ip addr add 10.55.0.1/24 dev %s.", nic.Name, nic.Name, nic.Name)
	}
	before := cmp.Or(cfg.Boot.Mode, pxe.ModeProxy)
	if err := a.chooseMode(ctx, ask, cfg, nic, f); err != nil {
		return nic, err
	}
	if cfg.Boot.Mode != before {
		cfg.Boot.Subnets = nil // what a DHCP server gives is more than a proxy may lend
	}
	if a.data == "" && !f.yes {
		if cfg.Data, err = ask.Ask("Folder for records and images", cfg.Data, func(s string) error {
			if !filepath.IsAbs(s) {
				return fmt.Errorf("%q is no whole path", s)
			}
			return nil
		}); err != nil {
			return nic, err
		}
		cfg.Data = filepath.Clean(cfg.Data)
	}
	return nic, choosePool(cfg, nic, f)
}

func (a *app) chooseNIC(ask *setup.Asker, cfg *config, f setupFlags) (setup.NIC, error) {
	nics, err := setup.Wired(sysNet)
	if err != nil {
		return setup.NIC{}, errors.Join(err, setupFault("The network adapters could not be listed."))
	}
	pick := func(name string) (setup.NIC, error) {
		for _, n := range nics {
			if n.Name == name {
				return n, nil
			}
		}
		return setup.NIC{}, setupFault("There is no wired network adapter %.20q.", name)
	}
	if len(nics) == 0 {
		return setup.NIC{}, setupFault("No wired network adapter was found.")
	}
	name := nics[0].Name
	if len(cfg.Boot.Interfaces) > 0 {
		if _, err := pick(cfg.Boot.Interfaces[0]); err == nil {
			name = cfg.Boot.Interfaces[0]
		}
	}
	switch {
	case f.iface != "":
		name = f.iface
	case !f.yes:
		for _, n := range nics {
			fmt.Fprintf(a.err, "  %s\n", n)
		}
		if name, err = ask.Ask("Network adapter on which laptops are answered", name, func(s string) error {
			if _, err := pick(s); err != nil {
				return errors.New(job.FaultOf(err).Fact)
			}
			return nil
		}); err != nil {
			return setup.NIC{}, err
		}
	}
	n, err := pick(name)
	if err == nil && (len(cfg.Boot.Interfaces) == 0 || cfg.Boot.Interfaces[0] != name) {
		cfg.Boot.Interfaces = []string{name}
		cfg.Boot.Subnets = nil // they belonged to another network
	}
	return n, err
}

// listenTime is how long setup waits for another DHCP server's offer.
const listenTime = 4 * time.Second

func (a *app) chooseMode(ctx context.Context, ask *setup.Asker, cfg *config, nic setup.NIC, f setupFlags) error {
	if f.mode != "" {
		cfg.Boot.Mode = pxe.Mode(f.mode)
		return nil
	}
	a.step("asking %s for a DHCP server (%d s at most)", nic.Name, int(listenTime.Seconds()))
	server, err := pxe.OtherServer(ctx, nic.Name, nic.Net.Addr(), cfg.Boot.Ports, listenTime)
	if err != nil {
		return errors.Join(err, setupFault("It could not be found out whether a DHCP server answers on %s: say it with --mode.", nic.Name))
	}
	if server.IsValid() {
		a.step("DHCP server %s answers on %s", server, nic.Name)
	} else {
		a.step("no DHCP server answers on %s", nic.Name)
	}
	mode := setup.Mode(server)
	if !f.yes {
		mode, err = ask.Ask("proxy (beside a DHCP server) or dhcp (Ingot gives the addresses)", mode, func(s string) error {
			if s != setup.Proxy && s != setup.DHCP {
				return fmt.Errorf("%q is neither proxy nor dhcp", s)
			}
			if s == setup.DHCP && server.IsValid() {
				return fmt.Errorf("%s gives addresses there: two servers give one address to two laptops; use proxy", server)
			}
			return nil
		})
	}
	cfg.Boot.Mode = pxe.Mode(mode)
	return err
}

// choosePool takes the pool of --pool; as a DHCP server without one, a pool is made from the adapter's network.
func choosePool(cfg *config, nic setup.NIC, f setupFlags) error {
	if f.pool != "" {
		if err := (daemonFlags{subnet: nic.Net.Masked().String(), pool: f.pool}).applySubnet(&cfg.Boot); err != nil {
			return usage{err}
		}
		return nil
	}
	if cfg.Boot.Mode != pxe.ModeDHCP || gives(cfg.Boot.Subnets, nic) {
		return nil
	}
	from, to, ok := setup.Pool(nic.Net)
	if !ok {
		return setupFault("The network %s of %s is too small to give addresses from: use --pool.", nic.Net.Masked(), nic.Name)
	}
	cfg.Boot.Subnets = []pxe.Subnet{{Prefix: nic.Net.Masked(), First: from, Last: to}}
	return nil
}

// gives reports whether addresses of the adapter's network are given already.
func gives(subnets []pxe.Subnet, nic setup.NIC) bool {
	for _, s := range subnets {
		if s.Prefix.Contains(nic.Net.Addr()) {
			return true
		}
	}
	return false
}

// claim makes the data folder the service's; without its user it stays the caller's.
func claim(dir string) error {
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		if u, err := user.Lookup(serviceUser); err == nil {
			uid, gid = number(u.Uid), number(u.Gid)
		}
	}
	err := setup.Claim(dir, uid, gid)
	if errors.Is(err, setup.ErrStrange) {
		return setupFault("The folder %s holds something that is not Ingot's: choose another one or an empty one.", dir)
	}
	if err != nil {
		return errors.Join(err, setupFault("The data folder %s could not be made.", dir))
	}
	return nil
}

// number reads an id of the user database; -1 changes nothing.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// nextSteps are the commands that a person gives next; those that would not find the configuration by themselves name it.
func nextSteps(done setupDone, config string) []string {
	ingot := "sudo ingot "
	if config != "" && config != defaultConfig {
		ingot += "--config " + config + " "
	}
	var out []string
	if done.Bundle == "failed" || done.Bundle == "skipped" {
		out = append(out, ingot+"firmware build")
	}
	if done.Service != "running" {
		out = append(out, ingot+"daemon")
	}
	if done.First {
		out = append(out, ingot+"operator recover")
	}
	return append(out, ingot+"doctor", ingot+"bench open 4h")
}

// nobodySignsIn reports whether the daemon knows no operator yet: its first link is then asked for anew.
func nobodySignsIn(ctx context.Context, cfg config) bool {
	cl, err := dialDaemon(filepath.Join(cfg.Data, socketName))
	if err != nil || cl == nil {
		return false
	}
	all, err := get[[]store.OperatorView](ctx, cl, "operators")
	return errors.Join(err, cl.close()) == nil && len(all) == 0
}

// tellSetup says what is set, and what only a person can decide.
func (a *app) tellSetup(d setupDone) error {
	fmt.Fprintf(a.out, "Laptops are answered on %s, as %s. Records and images: %s\n", d.Interface, map[string]string{setup.Proxy: "a proxy beside the DHCP server", setup.DHCP: "the DHCP server"}[d.Mode], d.Data)
	if d.Mode == setup.Proxy {
		a.tellPool(d)
	}
	_, err := fmt.Fprintln(a.out, "Next:")
	for _, n := range d.Next {
		_, err = fmt.Fprintf(a.out, "  %s\n", n)
	}
	return err
}

// tellPool explains the one thing that Secure Boot by PXE needs beside another DHCP server.
func (a *app) tellPool(d setupDone) {
	cfg, err := a.loadConfig()
	if err != nil || len(cfg.Boot.Subnets) > 0 {
		return
	}
	example := "FIRST-LAST"
	if addrs, err := addressesOf(d.Interface); err == nil && len(addrs) > 0 {
		if from, to, ok := setup.Lent(addrs[0]); ok {
			example = from.String() + "-" + to.String()
		}
	}
	fmt.Fprintf(a.out, `UEFI laptops with Secure Boot that start by PXE need ten addresses of Ingot's own, outside the DHCP server's range:
  sudo ingot setup --yes --pool %s
or the DHCP server's "next server" (option 66) set to this machine. UEFI HTTP Boot and BIOS need neither.
`, example)
}
