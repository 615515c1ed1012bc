package pxe

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/rs/zerolog"
)

// packet is a good DISCOVER of EDK2 that the cases below spoil.
func packet(mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	m, err := dhcpv4.NewDiscovery(net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0, 1}, append([]dhcpv4.Modifier{
		opt(60, "PXEClient:Arch:00007:UNDI:003000"), opt(93, "\x00\x07"),
		opt(97, "\x00\x78\x56\x34\x12\xbc\x9a\xf0\xde\x11\x22\x33\x44\x55\x66\x77\x88")}, mods...)...)
	if err != nil {
		panic(err)
	}
	return m
}

func opt(code uint8, v string) dhcpv4.Modifier {
	return dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(code), []byte(v))
}

// TestHostileRequests: each is dropped, and says why.
func TestHostileRequests(t *testing.T) {
	field := func(f func(*dhcpv4.DHCPv4)) dhcpv4.Modifier { return f }
	for _, c := range []struct {
		name string
		mod  dhcpv4.Modifier
		want string
	}{
		{"a reply", field(func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootReply }), "op 2"},
		{"another hardware type", field(func(m *dhcpv4.DHCPv4) { m.HWType = 32 }), "hardware type 32"},
		{"a long hardware address", field(func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = make([]byte, 16) }), "address length 16"},
		{"a multicast address", field(func(m *dhcpv4.DHCPv4) { m.ClientHWAddr[0] = 1 }), "not the address of one machine"},
		{"no address", field(func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = make([]byte, 6) }), "not the address of one machine"},
		{"too many relays", field(func(m *dhcpv4.DHCPv4) { m.HopCount = 200 }), "200 relay hops"},
		{"no message type", field(func(m *dhcpv4.DHCPv4) { delete(m.Options, 53) }), "message type 0"},
		{"a server's message type", opt(53, "\x02"), ""},
		{"an unknown message type", opt(53, "\xfe"), "message type 254"},
		{"an endless class", opt(60, strings.Repeat("PXEClient", 100)), "option 60 of 900 bytes"},
		{"an endless user class", opt(77, strings.Repeat("iPXE", 100)), "option 77 of 400 bytes"},
		{"an endless relay option", opt(82, strings.Repeat("\x01\x01x", 100)), "option 82 of 300 bytes"},
		{"an endless client id", opt(61, strings.Repeat("x", 256)), "option 61 of 256 bytes"},
		{"many architectures", opt(93, strings.Repeat("\x00\x07", 17)), "option 93 of 34 bytes"},
		{"half an architecture", opt(93, "\x00\x07\x00"), "option 93 of 3 bytes"},
		{"vendor options that run past their end", opt(43, "\x47\xff\x00"), "option 43: a field runs past its end"},
		{"iPXE options that run past their end", opt(175, "\xb1\x05\x01"), "option 175: a field runs past its end"},
		{"relay options that run past their end", opt(82, "\x01\x09port"), "option 82: a field runs past its end"},
		{"a link selection that is no address", field(func(m *dhcpv4.DHCPv4) {
			m.GatewayIPAddr = net.IP{10, 88, 0, 1}
			opt(82, "\x05\x02\x0a\x0a")(m)
		}), "selects a link that is no address"},
		{"words for an architecture", field(func(m *dhcpv4.DHCPv4) {
			delete(m.Options, 93)
			opt(60, "PXEClient:Arch:99999999999:UNDI")(m)
		}), "architecture in the class"},
	} {
		_, err := parseRequest(packet(c.mod))
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v; an OFFER's type is within RFC 2131's numbers and is ignored later", c.name, err)
			}
			continue
		}
		if !errors.Is(err, errNotForUs) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
}

func TestAUUIDThatIsNone(t *testing.T) {
	for name, v := range map[string]string{
		"short": "\x00\x01", "another type": "\x01" + strings.Repeat("x", 16), "all zeros": "\x00" + strings.Repeat("\x00", 16), "all ones": "\x00" + strings.Repeat("\xff", 16),
	} {
		r, err := parseRequest(packet(opt(97, v)))
		if err != nil || r.machine.UUID != "" {
			t.Errorf("%s: UUID %q, %v; want none and no error", name, r.machine.UUID, err)
		}
	}
	r, err := parseRequest(packet())
	if err != nil || r.machine.UUID != "12345678-9abc-def0-1122-334455667788" || r.machine.OtherUUID() != "78563412-bc9a-f0de-1122-334455667788" {
		t.Errorf("UUID %q other %q, %v", r.machine.UUID, r.machine.OtherUUID(), err)
	}
}

// TestCapturedPackets reads what real firmware sent in QEMU 7.2 (OVMF 2022.11 with Secure Boot; the iPXE of
// QEMU's virtio network card), UUID 12345678-9abc-def0-1122-334455667788.
func TestCapturedPackets(t *testing.T) {
	for name, want := range map[string]Machine{
		"edk2-pxe":  {Loader: LoaderPXE, Arch: ArchX64},
		"edk2-http": {Loader: LoaderHTTP, Arch: ArchX64HTTP},
		"ipxe-bios": {Loader: LoaderIPXE, Arch: ArchBIOS},
	} {
		for kind, ip := range map[string]string{"discover": "", "request": "10.77.0.50"} {
			r, err := parseRequest(captured(t, name+"-"+kind))
			if err != nil {
				t.Fatalf("%s %s: %v", name, kind, err)
			}
			want.MAC, want.UUID = MAC{0x52, 0x54, 0, 0xaa, 0, 1}, "12345678-9abc-def0-1122-334455667788"
			want.IP = netip.Addr{}
			if ip != "" {
				want.IP = netip.MustParseAddr(ip)
			}
			if r.machine != want || strings.ToLower(r.kind.String()) != kind || r.noHTTP {
				t.Errorf("%s %s: %s %+v; want %+v", name, kind, r.kind, r.machine, want)
			}
		}
	}
}

func captured(t testing.TB, name string) *dhcpv4.DHCPv4 {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".bin")
	if err != nil {
		t.Fatal(err)
	}
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestWhoAsks(t *testing.T) {
	for _, c := range []struct {
		name   string
		mods   []dhcpv4.Modifier
		loader Loader
		arch   Arch
	}{
		{"EDK2", nil, LoaderPXE, ArchX64},
		{"a BIOS ROM that sends no option 93", []dhcpv4.Modifier{opt(60, "PXEClient"), opt(93, "")}, LoaderPXE, ArchBIOS},
		{"a ROM that tells its architecture in the class alone", []dhcpv4.Modifier{opt(93, "")}, LoaderPXE, ArchX64},
		{"iPXE with a raw user class", []dhcpv4.Modifier{opt(77, "iPXE")}, LoaderIPXE, ArchX64},
		{"iPXE with a counted user class (RFC 3004)", []dhcpv4.Modifier{opt(77, "\x04iPXE")}, LoaderIPXE, ArchX64},
		{"iPXE known by its options alone", []dhcpv4.Modifier{opt(175, "\xb1\x01\x01")}, LoaderIPXE, ArchX64},
		{"HTTP Boot", []dhcpv4.Modifier{opt(60, "HTTPClient:Arch:00016"), opt(93, "\x00\x10")}, LoaderHTTP, ArchX64HTTP},
		{"an operating system", []dhcpv4.Modifier{opt(60, "android-dhcp-13")}, LoaderNone, 0},
	} {
		r, err := parseRequest(packet(c.mods...))
		if err != nil || r.machine.Loader != c.loader || r.machine.Arch != c.arch {
			t.Errorf("%s: %q %s, %v; want %q %s", c.name, r.machine.Loader, r.machine.Arch, err, c.loader, c.arch)
		}
	}
}

func TestWhereRepliesGo(t *testing.T) {
	ports := Config{}.withDefaults().Ports
	a := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	for _, c := range []struct {
		name string
		r    request
		kind dhcpv4.MessageType
		want string
	}{
		{"a new machine, whatever its flag", request{}, dhcpv4.MessageTypeOffer, "255.255.255.255:68"},
		{"a renewal", request{client: a("10.0.0.5")}, dhcpv4.MessageTypeAck, "10.0.0.5:68"},
		{"a refused renewal", request{client: a("10.0.0.5")}, dhcpv4.MessageTypeNak, "255.255.255.255:68"},
		{"relayed", request{relay: a("10.1.0.1"), client: a("10.0.0.5")}, dhcpv4.MessageTypeAck, "10.1.0.1:67"},
	} {
		if got := destination(c.r, c.kind, ports).String(); got != c.want {
			t.Errorf("%s: %s; want %s", c.name, got, c.want)
		}
	}
}

// TestNothingLeavesTheBench: an answer goes to networks that are configured or our own, never elsewhere.
func TestNothingLeavesTheBench(t *testing.T) {
	a := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	l := &link{Server: &Server{cfg: Config{Subnets: []Subnet{{Prefix: netip.MustParsePrefix("10.88.0.0/24")}}}}, name: "srv", facts: facts{prefix: netip.MustParsePrefix("10.77.0.0/24")}}
	for _, c := range []struct {
		name string
		r    request
		ok   bool
	}{
		{"on the link", request{}, true},
		{"renewing from the link", request{client: a("10.77.0.5")}, true},
		{"renewing from behind the relay", request{client: a("10.88.0.5")}, true},
		{"relayed from a configured network", request{relay: a("10.88.0.1"), link: a("10.88.0.1")}, true},
		{"renewing from nowhere", request{client: a("192.0.2.5")}, false},
		{"relayed from nowhere", request{relay: a("192.0.2.1"), link: a("192.0.2.1")}, false},
		{"relayed from nowhere for a configured network", request{relay: a("192.0.2.1"), link: a("10.88.0.0")}, false},
		{"relayed for nowhere", request{relay: a("10.88.0.1"), link: a("192.0.2.0")}, false},
	} {
		if err := l.fromOurNetwork(c.r); (err == nil) != c.ok {
			t.Errorf("%s: %v; want accepted %v", c.name, err, c.ok)
		}
	}
}

// TestIPXEIsLookedForFirst goes red when the order of loaderFor is changed: then iPXE, which says PXEClient and
// architecture 0 like the ROM before it, is sent its own loader for ever.
func TestIPXEIsLookedForFirst(t *testing.T) {
	p := place{netip.MustParseAddr("10.0.0.1"), 80}
	for _, arch := range []Arch{ArchBIOS, ArchX64, ArchEBC, ArchX64HTTP} {
		a := choose(request{machine: Machine{MAC: MAC{2}, Loader: LoaderIPXE, Arch: arch}}, Decision{Action: Boot}, p)
		if !strings.HasPrefix(a.file, "http://10.0.0.1/boot.ipxe?mac=") {
			t.Errorf("iPXE on %s is sent %q", arch, a.file)
		}
	}
}

func TestACommandLineThatNeedsNoQuotes(t *testing.T) {
	good := Config{AgentPort: 8443, AgentPin: "sha256:" + strings.Repeat("ab", 32)}
	ip := netip.MustParseAddr("10.77.0.1")
	line, err := good.commandLine(ip, "Tok_en-1")
	if want := "console=tty0 console=ttyS0,115200 quiet ingot.url=https://10.77.0.1:8443 ingot.pin=" + good.AgentPin + " ingot.token=Tok_en-1"; line != want || err != nil {
		t.Errorf("commandLine = %q, %v; want %q", line, err, want)
	}
	for _, token := range []string{"", "a b", "a;reboot", "$x", "a\nb", "${net0/mac}", "'", strings.Repeat("a", 65)} {
		if line, err := good.commandLine(ip, token); err == nil {
			t.Errorf("token %q gave %q; want an error", token, line)
		}
	}
	for _, c := range []Config{{AgentPort: 8443}, {AgentPort: 0, AgentPin: good.AgentPin}, {AgentPort: 8443, AgentPin: "sha256:" + strings.Repeat("AB", 32)}} {
		if line, err := c.commandLine(ip, "t"); err == nil {
			t.Errorf("%+v gave %q; want an error", c, line)
		}
	}
}

func TestAShortFileNeverArrivesWhole(t *testing.T) {
	w := &whole{File: stated{text("short"), 6}}
	if n, err := w.Read(make([]byte, 10)); n != 5 || err != nil {
		t.Fatalf("first read %d, %v", n, err)
	}
	if _, err := w.Read(make([]byte, 10)); !errors.Is(err, errShort) {
		t.Errorf("end of a short file: %v; want errShort, since a plain end is the end of the transfer", err)
	}
}

type stated struct {
	File
	size int64
}

func (s stated) Size() int64 { return s.size }

func TestConfigurationThatDoesNotFitTheImage(t *testing.T) {
	img := stated{text(strings.Repeat("x", 5000)), 5000}
	for _, c := range []struct {
		name         string
		offset, size int64
		config       string
	}{
		{"too long", 0, 10, "12345678901"}, {"outside", 4995, 10, "x"}, {"before", -1, 10, "x"}, {"huge", 0, 1 << 40, "x"}, {"empty region", 0, 0, ""},
	} {
		if _, err := patchConfig(img, c.offset, c.size, c.config); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}

func TestNeighbourTable(t *testing.T) {
	table := "IP address HW type Flags HW address Mask Device\n10.0.0.5 0x1 0x2 52:54:00:aa:00:01 * eth0\n10.0.0.6 0x1 0x0 00:00:00:00:00:00 * eth0\nbroken\n"
	if mac, ok := findNeighbour(strings.NewReader(table), netip.MustParseAddr("10.0.0.5"), "eth0"); !ok || mac.String() != "52:54:00:aa:00:01" {
		t.Errorf("10.0.0.5 = %s, %v", mac, ok)
	}
	for _, c := range [][2]string{{"10.0.0.6", "eth0"}, {"10.0.0.5", "eth1"}, {"10.0.0.7", "eth0"}} {
		if mac, ok := findNeighbour(strings.NewReader(table), netip.MustParseAddr(c[0]), c[1]); ok {
			t.Errorf("%v = %s; want unknown", c, mac)
		}
	}
}

// TestStrangersCannotFillTheMemory: the table of machines is bounded, and of a noisy one little is let through.
func TestStrangersCannotFillTheMemory(t *testing.T) {
	c := newClients()
	for i := range 3 * maxMachines {
		mac := MAC{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}
		c.see(Machine{MAC: mac, IP: addr4(uint32(i) + 1)})
	}
	if len(c.byMAC) != maxMachines || len(c.byIP) != maxMachines || c.used.Len() != maxMachines {
		t.Errorf("%d machines, %d addresses, %d in order; want %d each", len(c.byMAC), len(c.byIP), c.used.Len(), maxMachines)
	}
	let := 0
	for range 1000 {
		if c.allow(MAC{2, 9}) {
			let++
		}
	}
	if let < machineBurst || let > machineBurst+machineRate {
		t.Errorf("%d of 1000 packets of one machine let through; want about %d", let, machineBurst)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(packet().ToBytes())
	for _, name := range []string{"edk2-pxe-discover", "edk2-http-request", "ipxe-bios-discover"} {
		f.Add(captured(f, name).ToBytes())
	}
	f.Add(packet(opt(82, "\x01\x04port\x05\x04\x0a\x58\x00\x00"), opt(43, "\x47\x04\x80\x00\x00\x00\xff"), opt(175, "\xb1\x01\x01\x13\x01\x01")).ToBytes())
	f.Add(packet(opt(60, "HTTPClient:Arch:00016:UNDI:003000"), opt(93, "\x00\x10")).ToBytes())
	p := place{netip.MustParseAddr("10.77.0.1"), 80}
	sub := Config{Subnets: []Subnet{{Prefix: netip.MustParsePrefix("10.77.0.0/24"), Router: p.server, Domain: strings.Repeat("d", 64), DNS: []netip.Addr{p.server, p.server, p.server, p.server}}}}.withDefaults().Subnets[0]
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := dhcpv4.FromBytes(b)
		if err != nil || len(b) > maxDHCP {
			return
		}
		r, err := parseRequest(m)
		if err != nil {
			return
		}
		for _, action := range []Action{Boot, Refuse, Ignore} {
			a := choose(r, Decision{Action: action}, p)
			if a.file != "" && (!r.netboot() || !supported(r.machine) || action == Ignore) {
				t.Fatalf("%+v is told %q", r.machine, a.file)
			}
			for _, mode := range []Mode{ModeProxy, ModeDHCP} {
				out := r.reply(dhcpv4.MessageTypeOffer, p)
				addLease(out, p.server, sub)
				addBoot(out, r, a, p, mode)
				wire := out.ToBytes()
				if len(wire) > maxDHCP {
					t.Fatalf("a reply of %d bytes", len(wire))
				}
				back, err := dhcpv4.FromBytes(wire)
				if err != nil || !bytes.Equal(back.Options[82], m.Options[82]) || back.TransactionID != m.TransactionID {
					t.Fatalf("reply %v, %v", back, err)
				}
			}
		}
	})
}

// FuzzHTTP sends any target to the boot listener's handler: it answers 200, 206, 404 or 405 and never a byte that is not
// of the bundle or a script.
func FuzzHTTP(f *testing.F) {
	for _, s := range []string{"/vmlinuz", "//grubx64.efi", "/boot.ipxe?mac=52:54:00:aa:00:01", "/httpboot/52:54:00:aa:00:01/ingot.img", "/..%2f..%2fetc/passwd", "/%00"} {
		f.Add(s)
	}
	l := &link{Server: &Server{Config: Config{}, Director: yes{}, Files: noFiles{}, Log: zerolog.Nop(), known: newClients()},
		facts: facts{addr: netip.MustParseAddr("127.0.0.1"), prefix: netip.MustParsePrefix("127.0.0.0/8")}, alive: context.Background()}
	l.cfg = Config{AgentPort: 8443, AgentPin: "sha256:" + strings.Repeat("ab", 32)}.withDefaults()
	l.newHTTP()
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		l.serveHTTP(w, &http.Request{Method: http.MethodGet, URL: u, RemoteAddr: "127.0.0.1:4000", Header: http.Header{}})
		if w.Code == http.StatusOK && !strings.HasPrefix(w.Body.String(), "#!ipxe\n") && w.Body.String() != "a boot file" {
			t.Fatalf("GET %q = %d %q", target, w.Code, w.Body.String())
		}
		if w.Code != http.StatusOK && w.Code != http.StatusNotFound && w.Code != http.StatusInternalServerError {
			t.Fatalf("GET %q = %d", target, w.Code)
		}
	})
}

type yes struct{}

func (yes) Decide(context.Context, Machine) Decision       { return Decision{Action: Boot} }
func (yes) Token(context.Context, Machine) (string, error) { return "t", nil }

// noFiles holds boot files only, and says so when asked for anything else.
type noFiles struct{}

func (noFiles) Open(name string) (File, error) {
	if _, ok := bootFiles[name]; !ok && name != nameImage {
		panic("asked for " + name)
	}
	return text("a boot file"), nil
}

func (noFiles) HTTPBootTemplate() (int64, int64) { return 0, 4096 } // larger than the file: refused

func FuzzOptionFields(f *testing.F) {
	f.Add([]byte{6, 1, 8, 255}, true)
	f.Add([]byte{1, 4, 'p', 'o', 'r', 't', 5, 4, 10, 0, 0, 0}, false)
	f.Fuzz(func(t *testing.T, b []byte, ends bool) {
		subs, err := parseTLVs(b, ends)
		n := 0
		for _, v := range subs {
			n += 2 + len(v)
		}
		if err == nil && n > len(b) {
			t.Fatalf("%d bytes of fields out of %d", n, len(b))
		}
	})
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"//grubx64.efi", `\EFI\x`, "../x", "grub/by-mac/52:54:00:aa:00:01", "a/./b", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean, err := cleanName(s)
		if err != nil {
			return
		}
		for _, p := range strings.Split(clean, "/") {
			if p == "" || p == "." || p == ".." || strings.ContainsAny(p, "\\\x00") {
				t.Fatalf("cleanName(%q) = %q", s, clean)
			}
		}
		if again, err := cleanName(clean); again != clean || err != nil {
			t.Fatalf("cleanName twice: %q, then %q, %v", clean, again, err)
		}
	})
}

func FuzzMAC(f *testing.F) {
	f.Add("grub/by-mac/52:54:00:aa:00:01")
	f.Add("grub/by-mac/52-54-00-AA-00-01")
	f.Fuzz(func(t *testing.T, s string) {
		mac, ok := byMAC(s, dirByMAC, "")
		if !ok {
			return
		}
		if again, err := ParseMAC(mac.String()); err != nil || again != mac || !mac.Valid() || len(s) != len(dirByMAC)+17 {
			t.Fatalf("byMAC(%q) = %s, %v", s, mac, err)
		}
	})
}
