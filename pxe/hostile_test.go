package pxe_test

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ingot/imaging/job"
	"ingot/pxe"
)

// TestHostileTFTP sends packets that no loader sends. Each gets an ERROR or silence, and the server goes on.
func TestHostileTFTP(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	b := newBench(proxyConfig())
	b.start(t)
	ask := func(packet string) (opcode int, text string) {
		t.Helper()
		c, err := net.ListenPacket("udp4", "10.77.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.WriteTo([]byte(packet), &net.UDPAddr{IP: net.ParseIP(serverIP), Port: 69}); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(never))
		buf := make([]byte, 2048)
		n, from, err := c.ReadFrom(buf)
		if err != nil || n < 4 {
			return 0, ""
		}
		c.WriteTo([]byte("\x00\x05\x00\x00stop\x00"), from)
		return int(binary.BigEndian.Uint16(buf)), string(buf[4:n])
	}
	const data, fault, oack = 3, 5, 6
	for _, c := range []struct {
		name, packet string
		opcode       int // 0: silence
	}{
		{"nothing", "", 0},
		{"one byte", "\x00", 0},
		{"an unknown opcode", "\x00\x09abc\x00octet\x00", 0},
		{"an acknowledgement out of the blue", "\x00\x04\x00\x01", 0},
		{"no end of the name", "\x00\x01vmlinuz", 0},
		{"a write", "\x00\x02vmlinuz\x00octet\x00", fault},
		{"a parent folder", "\x00\x01../../etc/shadow\x00octet\x00", fault},
		{"a parent folder in backslashes", "\x00\x01..\\..\\etc\\shadow\x00octet\x00", fault},
		{"an absolute path", "\x00\x01/etc/shadow\x00octet\x00", fault},
		{"an empty name", "\x00\x01\x00octet\x00", fault},
		{"control characters", "\x00\x01vm\x1b[2Jlinuz\x00octet\x00", fault},
		{"a long name", "\x00\x01" + strings.Repeat("a", 480) + "\x00octet\x00", fault},
		{"a MAC that is none", "\x00\x01/grub/by-mac/52:54:00:aa:00:01:ff\x00octet\x00", fault},
		{"a multicast MAC", "\x00\x01/grub/by-mac/01:00:5e:00:00:01\x00octet\x00", fault},
		{"a block size of nothing: not agreed to", "\x00\x01shimx64.efi\x00octet\x00blksize\x000\x00", data},
		{"a block size beyond everything: not agreed to", "\x00\x01shimx64.efi\x00octet\x00blksize\x0099999999999\x00", data},
		{"a block size that is a word: not agreed to", "\x00\x01shimx64.efi\x00octet\x00blksize\x00many\x00", data},
		{"a huge size option: answered with the true one", "\x00\x01shimx64.efi\x00octet\x00tsize\x00" + strings.Repeat("9", 400) + "\x00", oack},
		{"an option without a value", "\x00\x01shimx64.efi\x00octet\x00blksize\x00", data},
		{"window size, which we do not have: not agreed to", "\x00\x01shimx64.efi\x00octet\x00windowsize\x0065535\x00", data},
	} {
		op, text := ask(c.packet)
		if op != c.opcode {
			t.Errorf("%s: opcode %d %.40q; want %d", c.name, op, text, c.opcode)
		}
		if op == fault && strings.Contains(text, "/") {
			t.Errorf("%s: the error tells a path: %q", c.name, text)
		}
		if op == oack && !strings.Contains(text+" ", "9000") {
			t.Errorf("%s: OACK %q; want the true size 9000", c.name, text)
		}
	}
	if op, _ := ask("\x00\x01/shimx64.efi\x00octet\x00"); op != data {
		t.Errorf("after all that a good request gets opcode %d", op)
	}
}

// TestALoopIsBroken: a machine that fetches its first loader again and again is sent to its own disk.
func TestALoopIsBroken(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	address(t, "cli", "10.77.0.70/24")
	b := newBench(proxyConfig())
	b.start(t)
	l := newLaptop(t, macA)
	l.discover(quick, biosROM()...)
	l.request(never, append(biosROM(), chosen("10.77.0.2"), wanted("10.77.0.70"))...)
	for range 5 {
		fetch(t, "10.77.0.70", "undionly.kpxe")
	}
	b.await(t, macA, func(e []pxe.Event) bool { return strings.Count(legs(e), "nbp") == 5 })
	if o := l.discover(quick, biosROM()...); o == nil || o.BootFileName != "nothing-to-start" {
		t.Fatalf("the sixth time: %v; want a name that is not there", o)
	}
	events := b.await(t, macA, func(e []pxe.Event) bool { return strings.HasSuffix(legs(e), "loop") })
	if c := pxe.Diagnose(pxe.Findings{Events: events, Now: time.Now()}); c.Going || c.Code != job.BootLoop {
		t.Errorf("Diagnose = %+v", c)
	}
	if o := newLaptop(t, macB).discover(quick, biosROM()...); o == nil || o.BootFileName != "undionly.kpxe" {
		t.Errorf("another machine: %v", o)
	}
}

// fetch reads a file by TFTP in 512-byte blocks, as the simplest ROM does.
func fetch(t *testing.T, from, name string) int {
	t.Helper()
	c, err := net.ListenPacket("udp4", from+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.WriteTo([]byte("\x00\x01"+name+"\x00octet\x00"), &net.UDPAddr{IP: net.ParseIP(serverIP), Port: 69})
	buf, total := make([]byte, 1024), 0
	for {
		c.SetReadDeadline(time.Now().Add(quick))
		n, peer, err := c.ReadFrom(buf)
		if err != nil || n < 4 || buf[1] != 3 {
			t.Fatalf("fetch %s: %d bytes % x, %v", name, total, buf[:min(n, 40)], err)
		}
		c.WriteTo([]byte{0, 4, buf[2], buf[3]}, peer)
		if total += n - 4; n < 516 {
			return total
		}
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	base := func() pxe.Config {
		c := dhcpConfig()
		c.AgentPort, c.AgentPin = 8443, pin
		return c
	}
	if err := base().Validate(); err != nil {
		t.Fatalf("a good configuration: %v", err)
	}
	for name, spoil := range map[string]func(*pxe.Config){
		"an unknown mode":                 func(c *pxe.Config) { c.Mode = "both" },
		"a path for an interface":         func(c *pxe.Config) { c.Interfaces = []string{"../eth0"} },
		"one interface twice":             func(c *pxe.Config) { c.Interfaces = []string{"srv", "srv"} },
		"a port beyond the last":          func(c *pxe.Config) { c.Ports.TFTP = 70000 },
		"addresses without a subnet":      func(c *pxe.Config) { c.Subnets = nil },
		"a pool outside its subnet":       func(c *pxe.Config) { c.Subnets[0].Last = mustAddr("10.78.0.9") },
		"a pool that runs backwards":      func(c *pxe.Config) { c.Subnets[0].Last = mustAddr("10.77.0.2") },
		"half a pool":                     func(c *pxe.Config) { c.Subnets[0].Last = mustAddr("::") },
		"the broadcast address in a pool": func(c *pxe.Config) { c.Subnets[0].Last = mustAddr("10.77.0.255") },
		"a pool of millions": func(c *pxe.Config) {
			c.Subnets[0].Prefix, c.Subnets[0].Last = mustPrefix("10.0.0.0/8"), mustAddr("10.200.0.0")
		},
		"subnets that overlap":       func(c *pxe.Config) { c.Subnets = append(c.Subnets, pxe.Subnet{Prefix: mustPrefix("10.77.0.0/25")}) },
		"an IPv6 subnet":             func(c *pxe.Config) { c.Subnets[0].Prefix = mustPrefix("fd00::/64") },
		"a lease of a second":        func(c *pxe.Config) { c.Subnets[0].LeaseTime = time.Second },
		"a lease of a year":          func(c *pxe.Config) { c.Subnets[0].LeaseTime = 365 * 24 * time.Hour },
		"a router elsewhere":         func(c *pxe.Config) { c.Subnets[0].Router = mustAddr("10.99.0.1") },
		"a domain with a line break": func(c *pxe.Config) { c.Subnets[0].Domain = "a\nb" },
		"one address reserved twice": func(c *pxe.Config) {
			c.Subnets[0].Reservations = append(c.Subnets[0].Reservations, pxe.Reservation{MAC: pxe.MAC{2}, IP: mustAddr("10.77.0.99")})
		},
		"an agent pin that is no digest":   func(c *pxe.Config) { c.AgentPin = "sha256:xyz" },
		"an agent listener without a port": func(c *pxe.Config) { c.AgentPort = 0 },
	} {
		c := base()
		spoil(&c)
		err := c.Validate()
		if f := job.FaultOf(err); err == nil || f.Code != job.CodeDaemon || f.Fact == "" {
			t.Errorf("%s: %v; want a fault in words", name, err)
		}
	}
}

func TestAMissingInterfaceIsNamed(t *testing.T) {
	c := proxyConfig()
	c.Interfaces = []string{"nosuchif0"}
	err := newBench(c).Listen(t.Context())
	if f := job.FaultOf(err); err == nil || !strings.Contains(f.Fact, "nosuchif0") {
		t.Errorf("Listen = %v", err)
	}
}

// TestNothingStaysRunning after the server ended, with a transfer cut in the middle.
func TestNothingStaysRunning(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	before := goleak.IgnoreCurrent()
	b := newBench(dhcpConfig())
	b.start(t)
	c, err := net.ListenPacket("udp4", "10.77.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.WriteTo([]byte("\x00\x01initrd.img\x00octet\x00"), &net.UDPAddr{IP: net.ParseIP(serverIP), Port: 69})
	c.SetReadDeadline(time.Now().Add(quick))
	if _, _, err := c.ReadFrom(make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
	b.stop()
	goleak.VerifyNone(t, before)
}
