package pxe

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"ingot/imaging/job"
)

// Mode says whether we give addresses.
type Mode string

// The two ways to answer. The zero Mode is ModeProxy.
const (
	ModeProxy Mode = "proxy" // beside an existing DHCP server
	ModeDHCP  Mode = "dhcp"  // the only DHCP server of the bench
)

// Ports are UDP and TCP port numbers; a zero one is the standard's.
type Ports struct {
	DHCP   int `toml:"dhcp"`   // 67
	Proxy  int `toml:"proxy"`  // 4011
	TFTP   int `toml:"tftp"`   // 69
	HTTP   int `toml:"http"`   // 80
	Client int `toml:"client"` // 68, the port on which machines listen
}

// Subnet is one IP network that may be served: the bench's own, or one behind a relay. As a proxy a relayed
// network needs a row with its Prefix; and a row with a pool lends addresses to UEFI firmware for the minutes
// of loading, outside the range of the network's own DHCP server. That is needed where the DHCP server names
// itself, not us, as the next server (siaddr): GRUB 2.06 asks there for its files.
type Subnet struct {
	Prefix       netip.Prefix  `toml:"prefix"`
	First        netip.Addr    `toml:"first"` // the pool, both ends included; unset: reservations only
	Last         netip.Addr    `toml:"last"`
	Router       netip.Addr    `toml:"router"`       // unset: none is told
	DNS          []netip.Addr  `toml:"dns"`          // at most 4
	Domain       string        `toml:"domain"`       // at most 64 characters
	LeaseTime    time.Duration `toml:"lease_time"`   // default 1 hour; 1 minute to 7 days
	Reservations []Reservation `toml:"reservations"` // at most 4096
}

// Reservation gives one machine always the same address, inside the subnet, in the pool or not.
type Reservation struct {
	MAC MAC        `toml:"mac"`
	IP  netip.Addr `toml:"ip"`
}

// Config is what an operator decides about booting.
type Config struct {
	Mode         Mode          `toml:"mode"`
	Interfaces   []string      `toml:"interfaces"` // none: nobody is answered
	Subnets      []Subnet      `toml:"subnets"`
	AllowForeign bool          `toml:"allow_foreign"` // serve addresses although another server answers
	ProbeTime    time.Duration `toml:"probe_time"`    // how long to listen for another DHCP server at start; default 4 s
	Ports        Ports         `toml:"ports"`

	AgentPort int    `toml:"-"` // TCP port of the agent listener, on the same address as the boot services
	AgentPin  string `toml:"-"` // "sha256:" and 64 hex characters: its key
	Debug     bool   `toml:"-"` // adds ingot.debug to the kernel command line
}

// Director says what becomes of a machine. It is asked at every leg, concurrently; Decide must be quick (a
// lookup, no network) and give the same word for the same machine while nothing changed.
type Director interface {
	Decide(ctx context.Context, m Machine) Decision
	// Token gives the boot token for this machine's command line: 1 to 64 of A-Z a-z 0-9 _ -. A repeated
	// call within two minutes gives the same one.
	Token(ctx context.Context, m Machine) (string, error)
}

// Action is the Director's word.
type Action string

// The zero Action is Ignore.
const (
	Boot   Action = "boot"   // start the agent
	Refuse Action = "refuse" // send it to its own disk, quickly
	Ignore Action = "ignore" // say nothing about booting
)

// Decision is an Action with its reason, a short sentence for the boot log.
type Decision struct {
	Action Action
	Why    string
}

// Lease is one address given to one machine. Leases are keyed by IP: there is at most one for each.
type Lease struct {
	IP      netip.Addr `json:"ip"`
	MAC     MAC        `json:"mac"`
	Host    string     `json:"host,omitempty"` // what the machine calls itself (option 12), at most 63 printable characters
	Expires time.Time  `json:"expires"`        // in the past: given back, remembered so that the machine gets it again
}

// Leases keeps leases durably. PutLease replaces the lease of the same IP and returns only when it would survive a
// power cut: the machine is told afterwards.
type Leases interface {
	AllLeases() ([]Lease, error)
	PutLease(Lease) error
}

// File is an open boot file. Close is called once.
type File interface {
	io.ReadSeekCloser
	Size() int64
}

// Files gives boot files by name: shimx64.efi grubx64.efi undionly.kpxe vmlinuz initrd.img httpboot.img. Only
// these names are ever asked for. Opening is concurrent; a file that is missing is an error that is
// fs.ErrNotExist; one that does not match its recorded digest is an error too.
type Files interface {
	Open(name string) (File, error)
	// HTTPBootTemplate is where in httpboot.img the padded grub.cfg lies, in bytes.
	HTTPBootTemplate() (offset, size int64)
}

// withDefaults fills what was left out.
func (c Config) withDefaults() Config {
	if c.Mode == "" {
		c.Mode = ModeProxy
	}
	if c.ProbeTime == 0 {
		c.ProbeTime = 4 * time.Second
	}
	p := &c.Ports
	for _, d := range []struct {
		port *int
		def  int
	}{{&p.DHCP, 67}, {&p.Proxy, 4011}, {&p.TFTP, 69}, {&p.HTTP, 80}, {&p.Client, 68}} {
		if *d.port == 0 {
			*d.port = d.def
		}
	}
	subnets := make([]Subnet, len(c.Subnets))
	for i, s := range c.Subnets {
		if s.LeaseTime == 0 {
			s.LeaseTime = time.Hour
		}
		s.Prefix = s.Prefix.Masked()
		subnets[i] = s
	}
	c.Subnets = subnets
	return c
}

// Validate checks the configuration and says in words what is wrong with it.
func (c Config) Validate() error {
	c = c.withDefaults()
	bad := func(format string, args ...any) error { return job.Faultf(job.CodeDaemon, format, args...) }
	if c.Mode != ModeProxy && c.Mode != ModeDHCP {
		return bad("The boot mode %q is neither %q nor %q.", clip(string(c.Mode), 20), ModeProxy, ModeDHCP)
	}
	if len(c.Interfaces) > 16 || len(c.Subnets) > 64 {
		return bad("%d interfaces and %d subnets are too many (16 and 64).", len(c.Interfaces), len(c.Subnets))
	}
	seen := map[string]bool{}
	for _, name := range c.Interfaces {
		if name == "" || len(name) > 15 || strings.ContainsAny(name, "/ \t\n\x00") || seen[name] {
			return bad("The interface name %q is not valid or stands twice.", clip(name, 20))
		}
		seen[name] = true
	}
	for _, p := range []int{c.Ports.DHCP, c.Ports.Proxy, c.Ports.TFTP, c.Ports.HTTP, c.Ports.Client} {
		if p < 1 || p > 65535 {
			return bad("%d is not a port number.", p)
		}
	}
	if c.Mode == ModeDHCP && len(c.Interfaces) > 0 && len(c.Subnets) == 0 {
		return bad("As a full DHCP server at least one subnet must be configured.")
	}
	for i, s := range c.Subnets {
		if err := s.validate(); err != nil {
			return bad("Subnet %s: %v.", s.Prefix, err)
		}
		for _, o := range c.Subnets[:i] {
			if o.Prefix.Overlaps(s.Prefix) {
				return bad("The subnets %s and %s overlap.", o.Prefix, s.Prefix)
			}
		}
	}
	if len(c.Interfaces) > 0 {
		if _, err := c.commandLine(netip.AddrFrom4([4]byte{127, 0, 0, 1}), "t"); err != nil {
			return bad("The agent listener's address or pin cannot be told to a machine: %v.", err)
		}
	}
	return nil
}

// maxPool bounds the addresses of one pool.
const maxPool = 65536

func (s Subnet) validate() error {
	if !s.Prefix.IsValid() || !s.Prefix.Addr().Is4() || s.Prefix.Bits() < 8 || s.Prefix.Bits() > 30 {
		return fmt.Errorf("not an IPv4 network of /8 to /30")
	}
	if s.LeaseTime < time.Minute || s.LeaseTime > 7*24*time.Hour {
		return fmt.Errorf("the lease time %v is not between 1 minute and 7 days", s.LeaseTime)
	}
	if s.First.IsValid() != s.Last.IsValid() {
		return fmt.Errorf("the pool has only one end")
	}
	if s.First.IsValid() {
		if !s.usable(s.First) || !s.usable(s.Last) || s.Last.Less(s.First) {
			return fmt.Errorf("the pool %s to %s does not lie inside", s.First, s.Last)
		}
		if n := ip4(s.Last) - ip4(s.First); n >= maxPool {
			return fmt.Errorf("the pool holds more than %d addresses", maxPool)
		}
	}
	if s.Router.IsValid() && !s.usable(s.Router) {
		return fmt.Errorf("the router %s does not lie inside", s.Router)
	}
	if len(s.DNS) > 4 || len(s.Domain) > 64 || !printable(s.Domain) || len(s.Reservations) > 4096 {
		return fmt.Errorf("more than 4 DNS servers, a domain of more than 64 characters, or more than 4096 reservations")
	}
	for _, d := range s.DNS {
		if !d.Is4() {
			return fmt.Errorf("the DNS server %s is not an IPv4 address", d)
		}
	}
	macs, ips := map[MAC]bool{}, map[netip.Addr]bool{}
	for _, r := range s.Reservations {
		if !r.MAC.Valid() || !s.usable(r.IP) || macs[r.MAC] || ips[r.IP] {
			return fmt.Errorf("the reservation of %s for %s lies outside or stands twice", r.IP, r.MAC)
		}
		macs[r.MAC], ips[r.IP] = true, true
	}
	return nil
}

// usable reports whether a machine may have this address: inside, neither the network's nor broadcast.
func (s Subnet) usable(ip netip.Addr) bool {
	if !ip.IsValid() || !ip.Is4() || !s.Prefix.Contains(ip) {
		return false
	}
	host := ip4(ip) & (1<<(32-s.Prefix.Bits()) - 1)
	return host != 0 && host != 1<<(32-s.Prefix.Bits())-1
}

func ip4(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func addr4(v uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// clip cuts hostile text and replaces what does not print.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, s)
}

func printable(s string) bool { return clip(s, len(s)) == s }
