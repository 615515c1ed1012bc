package pxe_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/rs/zerolog"
	"github.com/vishvananda/netlink"

	"ingot/imaging/nstest"
	"ingot/pxe"
)

// The bench of these tests: our daemon on `srv`, a machine at the other end of the cable, `cli`.
const (
	serverIP = "10.77.0.1"
	pin      = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	uuid     = "12345678-9abc-def0-1122-334455667788"
)

// ranElsewhere runs the test again in a network namespace of its own, where it may open port 67 and harms
// nobody, and reports true: the caller is done.
func ranElsewhere(t *testing.T) bool {
	t.Helper()
	return !nstest.Inside(t, syscall.CLONE_NEWNET)
}

// cable makes the two ends of the bench.
func cable(t *testing.T) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	lo, err := netlink.LinkByName("lo")
	must(err)
	must(netlink.LinkSetUp(lo))
	must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "srv"}, PeerName: "cli"}))
	for _, name := range []string{"srv", "cli"} {
		l, err := netlink.LinkByName(name)
		must(err)
		must(netlink.LinkSetUp(l))
	}
	address(t, "srv", serverIP+"/24")
}

func address(t *testing.T, ifname, cidr string) {
	t.Helper()
	l, err := netlink.LinkByName(ifname)
	if err != nil {
		t.Fatal(err)
	}
	a, err := netlink.ParseAddr(cidr)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(l, a); err != nil {
		t.Fatal(err)
	}
}

// word is a Director that says the same of everybody, until told otherwise.
type word struct {
	mu sync.Mutex
	d  pxe.Decision
}

func (w *word) say(a pxe.Action, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.d = pxe.Decision{Action: a, Why: why}
}

func (w *word) Decide(context.Context, pxe.Machine) pxe.Decision {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.d
}

func (w *word) Token(_ context.Context, m pxe.Machine) (string, error) {
	return "token-" + strings.ReplaceAll(m.MAC.String(), ":", ""), nil
}

// shelf is a boot bundle in memory.
type shelf map[string][]byte

type shelfFile struct {
	*bytes.Reader
	size int64
}

func (f shelfFile) Size() int64  { return f.size }
func (f shelfFile) Close() error { return nil }

func (s shelf) Open(name string) (pxe.File, error) {
	b, ok := s[name]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	}
	return shelfFile{bytes.NewReader(b), int64(len(b))}, nil
}

func (s shelf) HTTPBootTemplate() (int64, int64) { return 1000, 2048 }

func bundle() shelf {
	fill := func(n int, seed byte) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i*7) + byte(i>>8)*3 + seed
		}
		return b
	}
	return shelf{"shimx64.efi": fill(9000, 1), "grubx64.efi": fill(30000, 2), "undionly.kpxe": fill(7000, 3),
		"vmlinuz": fill(2<<20, 4), "initrd.img": fill(3<<20+17, 5), "httpboot.img": fill(100000, 6)}
}

// memory keeps leases as the store would.
type memory struct {
	mu     sync.Mutex
	leases map[netip.Addr]pxe.Lease
	err    error
}

func (m *memory) AllLeases() ([]pxe.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []pxe.Lease
	for _, l := range m.leases {
		out = append(out, l)
	}
	return out, nil
}

func (m *memory) PutLease(l pxe.Lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	if m.leases == nil {
		m.leases = map[netip.Addr]pxe.Lease{}
	}
	m.leases[l.IP] = l
	return nil
}

// fail makes every later PutLease fail.
func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// bench is a running server with everything around it.
type bench struct {
	*pxe.Server
	word    *word
	leases  *memory
	history *pxe.History
	stop    func()
}

func newBench(c pxe.Config) *bench {
	c.AgentPort, c.AgentPin = 8443, pin
	b := &bench{word: &word{d: pxe.Decision{Action: pxe.Boot}}, leases: &memory{}, history: pxe.NewHistory(100, 200)}
	b.Server = &pxe.Server{Config: c, Director: b.word, Recorder: b.history, Leases: b.leases, Files: bundle(), Log: zerolog.Nop()}
	return b
}

func proxyConfig() pxe.Config { return pxe.Config{Interfaces: []string{"srv"}} }

func dhcpConfig() pxe.Config {
	return pxe.Config{Mode: pxe.ModeDHCP, Interfaces: []string{"srv"}, ProbeTime: 300 * time.Millisecond, Subnets: []pxe.Subnet{{
		Prefix: netip.MustParsePrefix("10.77.0.0/24"), First: netip.MustParseAddr("10.77.0.50"), Last: netip.MustParseAddr("10.77.0.52"),
		Router: netip.MustParseAddr("10.77.0.1"), DNS: []netip.Addr{netip.MustParseAddr("10.77.0.1")}, Domain: "bench.test",
		Reservations: []pxe.Reservation{{MAC: pxe.MAC{0x52, 0x54, 0, 0xaa, 0, 0x99}, IP: netip.MustParseAddr("10.77.0.99")}},
	}}}
}

func (b *bench) start(t *testing.T) {
	t.Helper()
	if err := b.Listen(t.Context()); err != nil {
		t.Fatalf("Listen: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Serve(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve = %v; want nil after the context ended", err)
		}
	})
	t.Cleanup(b.stop)
}

// await waits until the machine's events satisfy want.
func (b *bench) await(t *testing.T, mac string, want func([]pxe.Event) bool) []pxe.Event {
	t.Helper()
	m, err := pxe.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	end := time.After(10 * time.Second)
	for {
		heard := b.history.Heard()
		events := b.history.Events(m)
		if want(events) {
			return events
		}
		select {
		case <-heard:
		case <-end:
			t.Fatalf("events of %s: %+v", mac, events)
		}
	}
}

func legs(events []pxe.Event) string {
	var out []string
	for _, e := range events {
		out = append(out, string(e.Leg))
	}
	return strings.Join(out, " ")
}

// laptop is a machine at the other end of the cable.
type laptop struct {
	t    *testing.T
	mac  net.HardwareAddr
	conn net.PacketConn
}

func newLaptop(t *testing.T, mac string) *laptop {
	t.Helper()
	hw, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nclient4.NewRawUDPConn("cli", 68)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &laptop{t: t, mac: hw, conn: conn}
}

// The boot options of real firmware, as captured (EDK2 in OVMF, iPXE of QEMU's network cards).
func option(code uint8, v ...byte) dhcpv4.Modifier {
	return dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(code), v)
}

var wireUUID = []byte{0, 0x78, 0x56, 0x34, 0x12, 0xbc, 0x9a, 0xf0, 0xde, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}

func edk2() []dhcpv4.Modifier {
	return []dhcpv4.Modifier{dhcpv4.WithBroadcast(true), option(93, 0, 7), option(94, 1, 3, 0), option(97, wireUUID...), option(57, 5, 0xc0),
		option(60, []byte("PXEClient:Arch:00007:UNDI:003000")...)}
}

func httpBoot() []dhcpv4.Modifier {
	return []dhcpv4.Modifier{dhcpv4.WithBroadcast(true), option(93, 0, 16), option(94, 1, 3, 0), option(97, wireUUID...),
		option(60, []byte("HTTPClient:Arch:00016:UNDI:003000")...)}
}

func biosROM() []dhcpv4.Modifier {
	return []dhcpv4.Modifier{option(93, 0, 0), option(94, 1, 2, 1), option(97, wireUUID...), option(60, []byte("PXEClient:Arch:00000:UNDI:002001")...)}
}

func iPXE() []dhcpv4.Modifier {
	return append(biosROM(), option(77, []byte("iPXE")...), option(57, 5, 0xc0),
		option(175, 0xb1, 5, 1, 0x1a, 0xf4, 0x10, 0, 0xeb, 3, 1, 0, 0, 0x17, 1, 1, 0x15, 1, 1, 0x13, 1, 1, 0x11, 1, 1))
}

// discover sends a DHCPDISCOVER and waits for an offer; nil when none comes within wait.
func (l *laptop) discover(wait time.Duration, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	l.t.Helper()
	m, err := dhcpv4.NewDiscovery(l.mac, mods...)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.exchange(m, wait)
}

func (l *laptop) exchange(m *dhcpv4.DHCPv4, wait time.Duration) *dhcpv4.DHCPv4 {
	l.t.Helper()
	l.send(m)
	l.conn.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 2048)
	for {
		n, _, err := l.conn.ReadFrom(buf)
		if err != nil {
			return nil
		}
		r, err := dhcpv4.FromBytes(buf[:n])
		if err == nil && r.OpCode == dhcpv4.OpcodeBootReply && r.TransactionID == m.TransactionID {
			return r
		}
	}
}

func (l *laptop) send(m *dhcpv4.DHCPv4) {
	l.t.Helper()
	if _, err := l.conn.WriteTo(m.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 67}); err != nil {
		l.t.Fatal(err)
	}
}

// request sends a DHCPREQUEST made from nothing.
func (l *laptop) request(wait time.Duration, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	l.t.Helper()
	all := append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(l.mac), dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest)}, mods...)
	m, err := dhcpv4.New(all...)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.exchange(m, wait)
}

func wanted(ip string) dhcpv4.Modifier { return option(50, net.ParseIP(ip).To4()...) }
func chosen(ip string) dhcpv4.Modifier { return option(54, net.ParseIP(ip).To4()...) }
