package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/pxe"
)

func (a *app) configCommand() *cobra.Command {
	return group("config", "The configuration file", a.configShow(), a.configCheck())
}

func (a *app) configShow() *cobra.Command {
	return &cobra.Command{Use: "show", Short: "Print the configuration that is in force, each key with its meaning", Example: "ingot config show",
		Long: "What is set stands there as it is set; what is not stands behind a # with its default. The output is a configuration file itself.",
		Args: args(cobra.NoArgs), RunE: func(*cobra.Command, []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(a.out, cfg.text())
			return err
		}}
}

func (a *app) configCheck() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "check", Short: "Say whether a daemon would take the configuration", Example: "ingot config check",
		Args: args(cobra.NoArgs), RunE: func(*cobra.Command, []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			if err := cfg.check(); err != nil {
				return err
			}
			return a.tell(map[string]string{"configuration": "valid"}, "valid", a.sayf("the configuration is valid"))
		}})
}

// setting is one key of the file: what is set, or else its default behind a #.
type setting struct {
	key, value, def, about string
}

// line is the key as the file has it.
func (s setting) line() string {
	if s.value == "" {
		return fmt.Sprintf("#%-38s # %s\n", s.key+" = "+s.def, s.about)
	}
	return fmt.Sprintf("%-39s # %s\n", s.key+" = "+s.value, s.about)
}

// text is the configuration as a file with a comment on each key. Reading it gives the same configuration.
func (c config) text() string {
	var b strings.Builder
	part := func(head string, settings ...setting) {
		b.WriteString(head)
		for _, s := range settings {
			b.WriteString(s.line())
		}
	}
	p := c.Boot.Ports
	part("# Ingot's configuration. A key that Ingot does not know is refused. After a change: systemctl restart ingot\n\n",
		setting{"data", quoted(c.Data), quoted(defaultData), "the data folder: records, images, keys, boot bundle"})
	part("\n[boot]\n",
		setting{"mode", quoted(string(c.Boot.Mode)), `"proxy"`, `"proxy" beside a DHCP server, "dhcp" when Ingot is the only one`},
		setting{"interfaces", quotedList(c.Boot.Interfaces), "[]", "where laptops are answered; with none, nobody is"},
		setting{"allow_foreign", flagged(c.Boot.AllowForeign), "false", "with \"dhcp\": give addresses although another server does"},
		setting{"probe_time", lasting(c.Boot.ProbeTime.String(), c.Boot.ProbeTime != 0), `"4s"`, "with \"dhcp\": how long another server is looked for at start"})
	part("\n[boot.ports]\n",
		setting{"dhcp", port(p.DHCP), "67", "UDP: DHCP"},
		setting{"proxy", port(p.Proxy), "4011", "UDP: boot server of ProxyDHCP"},
		setting{"tftp", port(p.TFTP), "69", "UDP: first loaders"},
		setting{"http", port(p.HTTP), "80", "TCP: boot files"},
		setting{"client", port(p.Client), "68", "UDP: on which machines listen"})
	for _, s := range c.Boot.Subnets {
		part("\n[[boot.subnets]]\n", subnetSettings(s)...)
		for _, r := range s.Reservations {
			part("\n[[boot.subnets.reservations]]\n", setting{"mac", quoted(r.MAC.String()), "", "this machine"},
				setting{"ip", quoted(r.IP.String()), "", "always gets this address"})
		}
	}
	if len(c.Boot.Subnets) == 0 {
		b.WriteString(poolHint)
	}
	agentPort := c.Agent.Port
	if agentPort == defaultAgentPort {
		agentPort = 0
	}
	part("\n[agent]\n",
		setting{"port", port(agentPort), "8443", "TCP: jobs and images, TLS with a pinned key"},
		setting{"advertise", quoted(c.Agent.Advertise), `"192.168.10.5"`, "where deployed systems call home; else the interface's address"})
	part("\n[pages]\n",
		setting{"url", quoted(c.Pages.URL), `"https://assets.example/ingot"`, "the pages as people reach them; else the interface's address"},
		setting{"port", port(c.Pages.Port), "443", "TCP: pages and API, TLS; -1 for none"},
		setting{"cert", quoted(c.Pages.Cert), `"/etc/ingot/pages.crt"`, "the site's own certificate, PEM; else one is made"},
		setting{"key", quoted(c.Pages.Key), `"/etc/ingot/pages.key"`, "and its key"})
	b.WriteString(c.Pages.OIDC.text())
	part("\n[metrics]\n", setting{"port", port(c.Metrics.Port), "9464", "TCP on 127.0.0.1: Prometheus' form and /healthz, without a token; else the pages have them"})
	part("\n[bench]\n",
		setting{"approve_within", span(c.Bench.ApproveWithin), `"10m"`, "then an unknown laptop goes back to its own disk (1m to 1h)"},
		setting{"restart_within", span(c.Bench.RestartWithin), `"5m"`, "a silence longer than any restart takes (30s to 30m)"},
		setting{"countdown", span(c.Bench.Countdown), `"10s"`, "on a laptop's screen before its first write (3s to 1m)"})
	scrub := ""
	if c.Images.Scrub != 0 {
		scrub = strconv.Itoa(c.Images.Scrub)
	}
	part("\n[images]\n", setting{"scrub", scrub, "8", "MB a second in which all packs are read, once a week; -1 for not at all"})
	for _, m := range c.Image.MustHave {
		part("\n[[image.must_have]]\n", setting{"name", quoted(m.Name), "", "of a package; * stands for any letters"},
			setting{"version", quoted(m.Version), `"1.0"`, "the oldest that will do"},
			setting{"image", quoted(m.Image), `"sales"`, "only in versions of this image"})
	}
	if len(c.Image.MustHave) == 0 {
		b.WriteString(mustHaveHint)
	}
	part("\n[wipe]\n", setting{"organisation", quoted(c.Wipe.Organisation), `"Example Ltd, IT"`, "that stands on certificates of wiped drives"})
	part("\n[push]\n",
		setting{"csv", quoted(c.Push.CSV), `"/var/lib/ingot/export"`, "folder, which must be there, in which devices.csv is kept, at most a minute old"},
		setting{"ca", quoted(c.Push.CA), `"/etc/ingot/ca.pem"`, "certificates that asset registers and webhook receivers of this site show; else the system's"},
		setting{"allow", quotedList(c.Push.Allow), "[]", "addresses of this server itself that may be told, or be a label printer's, such as \"127.0.0.1\""})
	part("\n[log]\n", setting{"level", quoted(c.Log.Level), `"info"`, "debug, info, warn or error"})
	return b.String()
}

// span writes a duration; one that is not set is left to its default.
func span(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return quoted(d.String())
}

// poolHint stands where no subnet is configured.
const poolHint = `
# In proxy mode UEFI laptops with Secure Boot that start by PXE need a small pool of Ingot's own, outside the range of
# the DHCP server: Ingot lends these addresses for the minutes of loading, and to nobody else. Not needed for UEFI HTTP
# Boot and BIOS, or when the DHCP server's "next server" (option 66) is this machine.
#[[boot.subnets]]
#prefix = "192.168.10.0/24"
#first = "192.168.10.240"
#last = "192.168.10.249"
`

func subnetSettings(s pxe.Subnet) []setting {
	var dns []string
	for _, d := range s.DNS {
		dns = append(dns, d.String())
	}
	return []setting{
		{"prefix", quoted(s.Prefix.String()), "", "the network"},
		{"first", address(s.First), `"192.168.10.240"`, "the pool's first address"},
		{"last", address(s.Last), `"192.168.10.249"`, "and its last"},
		{"router", address(s.Router), `"192.168.10.1"`, "with \"dhcp\": the router that machines are told"},
		{"dns", quotedList(dns), "[]", "with \"dhcp\": name servers, at most 4"},
		{"domain", quoted(s.Domain), `"example.org"`, "with \"dhcp\": the domain"},
		{"lease_time", lasting(s.LeaseTime.String(), s.LeaseTime != 0), `"1h"`, "with \"dhcp\": how long an address is lent"},
	}
}

// quoted is a TOML string; "" for none.
func quoted(s string) string {
	if s == "" {
		return ""
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func quotedList(list []string) string {
	if len(list) == 0 {
		return ""
	}
	var out []string
	for _, s := range list {
		out = append(out, quoted(s))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func flagged(on bool) string {
	if on {
		return "true"
	}
	return ""
}

func lasting(s string, set bool) string {
	if !set {
		return ""
	}
	return quoted(s)
}

func port(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return quoted(a.String())
}
