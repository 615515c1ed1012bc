package pxe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/vishvananda/netlink"

	"ingot/imaging/job"
	"ingot/pxe"
)

const (
	macA  = "52:54:00:aa:00:01"
	macB  = "52:54:00:aa:00:02"
	quick = 5 * time.Second
	never = 400 * time.Millisecond // how long silence is listened to
)

// TestProxyOffersEachFirmwareItsFile holds the table of what a proxy says, as it worked with real firmware.
func TestProxyOffersEachFirmwareItsFile(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	b := newBench(proxyConfig())
	b.start(t)
	l := newLaptop(t, macA)
	noFile := "http://10.77.0.1/nothing-to-start"
	for _, c := range []struct {
		name   string
		mods   []dhcpv4.Modifier
		action pxe.Action
		file   string // empty: no offer at all
		class  string
	}{
		{"UEFI PXE gets shim", edk2(), pxe.Boot, "shimx64.efi", "PXEClient"},
		{"UEFI that says EBC gets shim", append(edk2(), option(93, 0, 9)), pxe.Boot, "shimx64.efi", "PXEClient"},
		{"BIOS without iPXE gets undionly", biosROM(), pxe.Boot, "undionly.kpxe", "PXEClient"},
		{"iPXE gets its own script, not its loader again", iPXE(), pxe.Boot, "http://10.77.0.1/boot.ipxe?mac=" + macA, "PXEClient"},
		{"iPXE on UEFI gets the script too", append(iPXE(), option(93, 0, 7)), pxe.Boot, "http://10.77.0.1/boot.ipxe?mac=" + macA, "PXEClient"},
		{"an iPXE that cannot fetch by HTTP gets undionly", append(iPXE(), option(175, 0x17, 1, 1, 0x15, 1, 1, 0x11, 1, 1)), pxe.Boot, "undionly.kpxe", "PXEClient"},
		{"HTTP Boot gets its image", httpBoot(), pxe.Boot, "http://10.77.0.1/httpboot/" + macA + "/ingot.img", "HTTPClient"},
		{"refused UEFI gets a name that is not there", edk2(), pxe.Refuse, "nothing-to-start", "PXEClient"},
		{"refused BIOS gets a name that is not there", biosROM(), pxe.Refuse, "nothing-to-start", "PXEClient"},
		{"refused iPXE gets a URL that is not there", iPXE(), pxe.Refuse, noFile, "PXEClient"},
		{"refused HTTP Boot gets a URL that is not there", httpBoot(), pxe.Refuse, noFile, "HTTPClient"},
		{"ignored gets nothing", edk2(), pxe.Ignore, "", ""},
		{"ARM 64-bit gets nothing", append(edk2(), option(93, 0, 11)), pxe.Boot, "", ""},
		{"32-bit UEFI gets nothing", append(edk2(), option(93, 0, 6)), pxe.Boot, "", ""},
		{"iPXE on ARM gets nothing", append(iPXE(), option(93, 0, 11)), pxe.Boot, "", ""},
		{"an ordinary client gets nothing", nil, pxe.Boot, "", ""},
	} {
		b.word.say(c.action, "because")
		wait := quick
		if c.file == "" {
			wait = never
		}
		o := l.discover(wait, c.mods...)
		if c.file == "" {
			if o != nil {
				t.Errorf("%s: offered %q", c.name, o.BootFileName)
			}
			continue
		}
		if o == nil {
			t.Errorf("%s: no offer", c.name)
			continue
		}
		if o.BootFileName != c.file || o.ClassIdentifier() != c.class {
			t.Errorf("%s: file %q class %q; want %q %q", c.name, o.BootFileName, o.ClassIdentifier(), c.file, c.class)
		}
		if !o.YourIPAddr.IsUnspecified() || o.ServerIPAddr.String() != serverIP || o.ServerIdentifier().String() != serverIP {
			t.Errorf("%s: yiaddr %s siaddr %s server %s; a proxy gives no address", c.name, o.YourIPAddr, o.ServerIPAddr, o.ServerIdentifier())
		}
		if !bytes.Equal(o.Options[97], wireUUID) {
			t.Errorf("%s: option 97 % x; want it echoed", c.name, o.Options[97])
		}
		if c.class == "PXEClient" && !bytes.Equal(o.Options[43], []byte{6, 1, 8, 255}) {
			t.Errorf("%s: option 43 % x; want 06 01 08 ff, or EDK2 asks again", c.name, o.Options[43])
		}
		if c.class == "HTTPClient" && (o.BootFileNameOption() != c.file || o.Options[43] != nil) {
			t.Errorf("%s: option 67 %q, 43 % x", c.name, o.BootFileNameOption(), o.Options[43])
		}
	}
	events := b.await(t, macA, func(e []pxe.Event) bool { return strings.Count(legs(e), "unsupported") == 3 })
	if e := events[0]; e.UUID != uuid || e.Arch != pxe.ArchX64 {
		t.Errorf("first event %+v; want UUID %s", e, uuid)
	}
}

// TestBootServerPort is port 4011, which some firmware insists on: EDK2 asks from 4011, iPXE from 68.
func TestBootServerPort(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	address(t, "lo", "10.77.0.70/24")
	address(t, "lo", "10.77.0.9/24")
	b := newBench(pxe.Config{Interfaces: []string{"lo"}, Subnets: dhcpConfig().Subnets})
	b.start(t)
	lc, err := net.ListenPacket("udp4", "10.77.0.70:4012")
	if err != nil {
		t.Fatal(err)
	}
	defer lc.Close()
	hw, _ := net.ParseMAC(macA)
	ask := func(ciaddr string, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		m, _ := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(hw), dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest),
			dhcpv4.WithClientIP(net.ParseIP(ciaddr))}, mods...)...)
		lc.WriteTo(m.ToBytes(), &net.UDPAddr{IP: net.ParseIP("10.77.0.9"), Port: 4011})
		lc.SetReadDeadline(time.Now().Add(never))
		buf := make([]byte, 2048)
		n, _, err := lc.ReadFrom(buf)
		if err != nil {
			return nil
		}
		r, err := dhcpv4.FromBytes(buf[:n])
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := ask("10.77.0.70", edk2()...)
	if r == nil || r.MessageType() != dhcpv4.MessageTypeAck || r.BootFileName != "shimx64.efi" || r.ServerIPAddr.String() != "127.0.0.1" || !bytes.Equal(r.Options[97], wireUUID) {
		t.Fatalf("UEFI at 4011: %v", r)
	}
	if r := ask("10.77.0.70", append(biosROM(), option(43, 71, 4, 0x80, 0, 0, 0, 255))...); r == nil || !bytes.Equal(r.Options[43], []byte{71, 4, 0x80, 0, 0, 0, 255}) {
		t.Errorf("a boot item asked for at 4011: %v; want it confirmed", r)
	}
	if r := ask("10.77.0.70"); r != nil {
		t.Errorf("an ordinary client at 4011 was answered: %v", r)
	}
	if r := ask("10.9.9.9", edk2()...); r != nil {
		t.Errorf("a stranger's address at 4011 was answered: %v", r)
	}
	b.word.say(pxe.Refuse, "no job")
	if r := ask("10.77.0.70", edk2()...); r == nil || r.BootFileName != "nothing-to-start" {
		t.Errorf("refused at 4011: %v", r)
	}
	b.await(t, macA, func(e []pxe.Event) bool { return legs(e) == "proxy-request proxy-request refuse" })
}

// TestAddressesAreGivenAndKept walks through RFC 2131 as a full server.
func TestAddressesAreGivenAndKept(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	b := newBench(dhcpConfig())
	b.start(t)
	a, c := newLaptop(t, macA), newLaptop(t, macB)

	o := a.discover(quick, edk2()...)
	if o == nil || o.YourIPAddr.String() != "10.77.0.50" || o.BootFileName != "shimx64.efi" || o.ClassIdentifier() != "" {
		t.Fatalf("offer %v", o)
	}
	if all, _ := b.leases.AllLeases(); len(all) != 0 {
		t.Error("an offer is not a lease")
	}
	ack := a.request(quick, append(edk2(), chosen(serverIP), wanted("10.77.0.50"))...)
	if ack == nil || ack.MessageType() != dhcpv4.MessageTypeAck || ack.IPAddressLeaseTime(0) != time.Hour ||
		ack.Router()[0].String() != serverIP || ack.DNS()[0].String() != serverIP || ack.DomainName() != "bench.test" {
		t.Fatalf("ack %v", ack)
	}
	if all, _ := b.leases.AllLeases(); len(all) != 1 || all[0].MAC.String() != macA {
		t.Errorf("leases %v; want one, durable before the ACK", all)
	}
	// iPXE of the same machine keeps the address, and is told not to wait for proxies.
	o = a.discover(quick, iPXE()...)
	if o.YourIPAddr.String() != "10.77.0.50" || !bytes.Equal(o.Options[175], []byte{176, 1, 1}) {
		t.Errorf("iPXE's offer %v", o)
	}
	if n := c.request(quick, chosen(serverIP), wanted("10.77.0.50")); n == nil || n.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("another's address: %v; want a NAK", n)
	}
	if n := c.request(quick, wanted("192.168.1.5")); n == nil || n.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("an address of another network: %v; want a NAK", n)
	}
	if r := c.request(quick, wanted("10.77.0.52")); r == nil || r.MessageType() != dhcpv4.MessageTypeAck {
		t.Errorf("a free address from before our database: %v; want an ACK", r)
	}
	if r := newLaptop(t, "52:54:00:aa:00:99").discover(quick); r == nil || r.YourIPAddr.String() != "10.77.0.99" || r.BootFileName != "" {
		t.Errorf("a reservation: %v", r)
	}
	// Another machine takes the last address; the next finds the pool empty; a chosen other server frees it.
	d := newLaptop(t, "52:54:00:aa:00:03")
	if r := d.discover(quick, edk2()...); r == nil || r.YourIPAddr.String() != "10.77.0.51" {
		t.Fatalf("third offer %v", r)
	}
	e := newLaptop(t, "52:54:00:aa:00:04")
	if r := e.discover(never, edk2()...); r != nil {
		t.Errorf("a full pool offered %v", r.YourIPAddr)
	}
	b.await(t, "52:54:00:aa:00:04", func(e []pxe.Event) bool { return legs(e) == "discover full" })
	d.request(never, append(edk2(), chosen("10.77.0.2"), wanted("10.77.0.90"))...)
	b.await(t, "52:54:00:aa:00:03", func(e []pxe.Event) bool { return legs(e) == "discover offer foreign" })
	if r := e.discover(quick, edk2()...); r == nil || r.YourIPAddr.String() != "10.77.0.51" {
		t.Errorf("after the offer was withdrawn: %v", r)
	}
	// Declined: in use by a stranger, nobody gets it.
	m, _ := dhcpv4.New(dhcpv4.WithHwAddr(e.mac), dhcpv4.WithMessageType(dhcpv4.MessageTypeDecline), chosen(serverIP), wanted("10.77.0.51"))
	e.send(m)
	b.await(t, "52:54:00:aa:00:04", func(e []pxe.Event) bool { return strings.HasSuffix(legs(e), "decline") })
	if r := d.discover(never, edk2()...); r != nil {
		t.Errorf("a declined address was offered: %v", r)
	}
	// Not durable, not given.
	b.leases.fail(errors.New("disk full"))
	if r := a.request(never, wanted("10.77.0.50")); r != nil {
		t.Errorf("a lease that could not be stored was acknowledged: %v", r)
	}
	// With a full disk its holder keeps its address; nobody gets a new one, and the boot log says why.
	b.leases.fail(errors.Join(errors.New("no space"), job.Faultf(job.CodeFull, "")))
	if r := a.request(quick, wanted("10.77.0.50")); r == nil || r.MessageType() != dhcpv4.MessageTypeAck {
		t.Errorf("with a full disk the holder of an address is answered %v; want an ACK", r)
	}
	d.request(never, append(edk2(), chosen("10.77.0.2"), wanted("10.77.0.90"))...) // lets go of what it was offered
	f := newLaptop(t, "52:54:00:aa:00:99")
	if r := f.discover(quick, edk2()...); r == nil {
		t.Error("with a full disk no offer is made")
	}
	if r := f.request(never, append(edk2(), chosen(serverIP), wanted("10.77.0.99"))...); r != nil {
		t.Errorf("with a full disk a new address was given: %v", r)
	}
	b.await(t, "52:54:00:aa:00:99", func(e []pxe.Event) bool {
		return len(e) > 0 && e[len(e)-1].Text == "gets no address: The disk of the server is full."
	})
	b.leases.fail(nil)

	// A restart remembers.
	b.stop()
	again := newBench(dhcpConfig())
	again.leases = b.leases
	again.Leases = b.leases
	again.start(t)
	if r := newLaptop(t, "52:54:00:aa:00:07").discover(quick); r == nil || r.YourIPAddr.String() != "10.77.0.51" {
		t.Errorf("after a restart a stranger is offered %v; want the one that nobody leased", r)
	}
	if r := a.discover(quick); r == nil || r.YourIPAddr.String() != "10.77.0.50" {
		t.Errorf("after a restart its holder is offered %v", r)
	}
}

// TestAProxyLendsAddressesToUEFIFirmware, and to nobody else, from a pool of its own: GRUB takes its TFTP server
// from whoever acknowledged the address.
func TestAProxyLendsAddressesToUEFIFirmware(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	c := proxyConfig()
	c.Subnets = dhcpConfig().Subnets
	b := newBench(c)
	b.Leases = nil
	b.start(t)
	l := newLaptop(t, macA)
	o := l.discover(quick, edk2()...)
	if o == nil || o.YourIPAddr.String() != "10.77.0.50" || o.ClassIdentifier() != "PXEClient" || o.ServerIPAddr.String() != serverIP {
		t.Fatalf("offer to UEFI firmware %v", o)
	}
	ack := l.request(quick, append(edk2(), chosen(serverIP), wanted("10.77.0.50"))...)
	if ack == nil || ack.MessageType() != dhcpv4.MessageTypeAck || ack.ServerIPAddr.String() != serverIP || ack.BootFileName != "shimx64.efi" {
		t.Fatalf("ack %v", ack)
	}
	for name, mods := range map[string][]dhcpv4.Modifier{"BIOS": biosROM(), "iPXE": iPXE(), "HTTP Boot": httpBoot()} {
		if o := newLaptop(t, macB).discover(quick, mods...); o == nil || !o.YourIPAddr.IsUnspecified() {
			t.Errorf("%s was lent an address: %v", name, o)
		}
	}
	if o := l.discover(never); o != nil {
		t.Errorf("the agent was offered an address: %v", o)
	}
	b.word.say(pxe.Refuse, "no job")
	if o := newLaptop(t, macB).discover(quick, edk2()...); o == nil || !o.YourIPAddr.IsUnspecified() {
		t.Errorf("a refused machine was lent an address: %v", o)
	}
}

// TestRelayedRequests come with giaddr and go back to the relay, option 82 untouched.
func TestRelayedRequests(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	address(t, "lo", "10.88.0.1/24") // the relay's own address on the machines' network
	c := dhcpConfig()
	far := c.Subnets[0]
	far.Prefix, far.First, far.Last = mustPrefix("10.88.0.0/24"), mustAddr("10.88.0.50"), mustAddr("10.88.0.60")
	far.Router, far.DNS, far.Reservations = mustAddr("10.88.0.1"), nil, nil
	c.Subnets = append(c.Subnets, far)
	c.Interfaces, c.AllowForeign = []string{"lo"}, true
	address(t, "lo", "10.77.0.9/24")
	b := newBench(c)
	b.start(t)
	relay, err := net.ListenPacket("udp4", "10.88.0.1:1067")
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	// The reply goes to giaddr:67. The library's own way to open the port lets us stand beside the server.
	back, err := server4.NewIPv4UDPConn("lo", &net.UDPAddr{IP: net.ParseIP("10.88.0.1"), Port: 67})
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	hw, _ := net.ParseMAC(macA)
	info := []byte{1, 4, 'p', 'o', 'r', 't', 2, 2, 0xff, 0}
	ask := func(giaddr string, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		m, _ := dhcpv4.NewDiscovery(hw, append(edk2(), append(mods, dhcpv4.WithGatewayIP(net.ParseIP(giaddr)))...)...)
		relay.WriteTo(m.ToBytes(), &net.UDPAddr{IP: net.ParseIP("10.77.0.9"), Port: 67})
		back.SetReadDeadline(time.Now().Add(never))
		buf := make([]byte, 2048)
		for {
			n, _, err := back.ReadFrom(buf)
			if err != nil {
				return nil
			}
			if r, err := dhcpv4.FromBytes(buf[:n]); err == nil && r.OpCode == dhcpv4.OpcodeBootReply {
				return r
			}
		}
	}
	o := ask("10.88.0.1", option(82, info...))
	if o == nil || o.YourIPAddr.String() != "10.88.0.50" || o.Router()[0].String() != "10.88.0.1" || o.BootFileName != "shimx64.efi" {
		t.Fatalf("relayed offer %v", o)
	}
	if !bytes.Equal(o.Options[82], info) || o.GatewayIPAddr.String() != "10.88.0.1" {
		t.Errorf("option 82 % x giaddr %s; want them back as they came", o.Options[82], o.GatewayIPAddr)
	}
	if o := ask("10.88.0.1", option(82, 5, 4, 10, 77, 0, 0)); o == nil || !strings.HasPrefix(o.YourIPAddr.String(), "10.77.0.") {
		t.Errorf("with a link selection for the other network: %v", o)
	}
	if o := ask("10.99.0.1"); o != nil {
		t.Errorf("a relay of no configured network was answered: %v", o)
	}
	if o := ask("10.88.0.1", option(82, 5, 4, 10, 99, 0, 0)); o != nil {
		t.Errorf("a link selection of no configured network was answered: %v", o)
	}
}

// TestFilesTravel fetches everything with other people's clients and compares every byte.
func TestFilesTravel(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	address(t, "cli", "10.77.0.70/24")
	b := newBench(proxyConfig())
	b.start(t)
	files := bundle()
	// The machine took its address from the other DHCP server; that is how its fetches are known to be its.
	l := newLaptop(t, macA)
	l.discover(quick, edk2()...)
	l.request(never, append(edk2(), chosen("10.77.0.2"), wanted("10.77.0.70"))...)

	dir := t.TempDir()
	tftpGet := func(name string, block int) ([]byte, error) {
		if _, err := exec.LookPath("curl"); err != nil {
			t.Skip("SKIPPED: no curl: TFTP and HTTP are not tested against another's client")
		}
		out := filepath.Join(dir, "got")
		os.Remove(out)
		msg, err := exec.Command("curl", "-sS", "--interface", "10.77.0.70", "--tftp-blksize", fmt.Sprint(block), "-m", "30", "-o", out,
			"--path-as-is", "tftp://10.77.0.1/"+name).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, msg)
		}
		return os.ReadFile(out)
	}
	for name, block := range map[string]int{"shimx64.efi": 1468, "grubx64.efi": 512, "//vmlinuz": 1024, "initrd.img": 1024, "undionly.kpxe": 1432} {
		started := time.Now()
		got, err := tftpGet(name, block)
		if err != nil || !bytes.Equal(got, files[strings.Trim(name, "/")]) {
			t.Errorf("TFTP %s: %d bytes, %v; want the file", name, len(got), err)
		}
		t.Logf("TFTP %s: %d bytes at %d in %v", name, len(got), block, time.Since(started))
	}
	cfg, err := tftpGet("grub/grub.cfg", 1024)
	if err != nil || !strings.Contains(string(cfg), "source /grub/by-mac/$net_default_mac") || strings.Contains(string(cfg), "token") {
		t.Errorf("grub.cfg %q, %v", cfg, err)
	}
	own, err := tftpGet("grub/by-mac/"+macA, 1024)
	want := "linux /vmlinuz console=tty0 console=ttyS0,115200 quiet ingot.url=https://10.77.0.1:8443 ingot.pin=" + pin + " ingot.token=token-525400aa0001;"
	if err != nil || !strings.Contains(string(own), want) {
		t.Errorf("own script %q, %v; want %q", own, err, want)
	}
	for _, name := range []string{"nothing-to-start", "revocations_sku.efi", "grub/by-mac/xx", "../etc/passwd", "/etc/passwd", "ingot.db", "%00", "grub/by-mac/ff:ff:ff:ff:ff:ff"} {
		if got, err := tftpGet(name, 512); err == nil {
			t.Errorf("TFTP %s gave %d bytes; want an error", name, len(got))
		}
	}
	if client, err := exec.LookPath("tftp"); err == nil {
		cmd := exec.Command(client, "-m", "binary", serverIP, "-c", "get", "grubx64.efi", filepath.Join(dir, "hpa"))
		msg, err := cmd.CombinedOutput()
		got, _ := os.ReadFile(filepath.Join(dir, "hpa"))
		if err != nil || !bytes.Equal(got, files["grubx64.efi"]) {
			t.Errorf("tftp-hpa: %d bytes, %v %s", len(got), err, msg)
		}
		os.WriteFile(filepath.Join(dir, "up"), []byte("x"), 0o600)
		if msg, _ := exec.Command(client, "-m", "binary", serverIP, "-c", "put", filepath.Join(dir, "up"), "vmlinuz").CombinedOutput(); !strings.Contains(string(msg), "rror") {
			t.Errorf("a write was taken: %s", msg)
		}
	} else {
		t.Log("SKIPPED: no tftp client: TFTP is tested with curl alone")
	}

	b.word.say(pxe.Refuse, "no job")
	if got, err := tftpGet("grub/by-mac/"+macA, 1024); err == nil {
		t.Errorf("a refused machine's script: %q", got)
	}
	b.word.say(pxe.Boot, "")
	events := b.await(t, macA, func(e []pxe.Event) bool { return strings.HasSuffix(legs(e), "refuse") })
	for _, leg := range []string{"discover offer request", "nbp", "loader", "kernel", "initramfs", "config", "script"} {
		if !strings.Contains(legs(events), leg) {
			t.Errorf("legs %s; want %s among them", legs(events), leg)
		}
	}
}

// TestHTTPLeg is iPXE's and HTTP Boot's side.
func TestHTTPLeg(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	b := newBench(proxyConfig())
	b.start(t)
	files := bundle()
	raw := func(method, path, headers string) (*http.Response, []byte) {
		t.Helper()
		c, err := net.Dial("tcp4", "10.77.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nUser-Agent: UefiHttpBoot/1.0\r\nConnection: close\r\n%s\r\n", method, path, headers)
		r, err := http.ReadResponse(newReader(c), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		return r, body
	}
	img := "/httpboot/" + macA + "/ingot.img"
	head, _ := raw("HEAD", img, "")
	get, body := raw("GET", img, "")
	if head.StatusCode != 200 || head.ContentLength != 100000 || get.ContentLength != 100000 || len(body) != 100000 {
		t.Fatalf("image: HEAD %d %d, GET %d %d bytes", head.StatusCode, head.ContentLength, get.ContentLength, len(body))
	}
	tmpl := files["httpboot.img"]
	if !bytes.Equal(body[:1000], tmpl[:1000]) || !bytes.Equal(body[3048:], tmpl[3048:]) {
		t.Error("the image differs outside its configuration")
	}
	if cfg := string(body[1000:3048]); !strings.Contains(cfg, "ingot.token=token-525400aa0001") || strings.Trim(cfg[1200:], "\n") != "" {
		t.Errorf("configuration in the image: %q", cfg)
	}
	part, piece := raw("GET", img, "Range: bytes=900-3100\r\n")
	if part.StatusCode != 206 || !bytes.Equal(piece, body[900:3101]) {
		t.Errorf("Range across the configuration: %d, %d bytes", part.StatusCode, len(piece))
	}
	if r, got := raw("GET", "//grubx64.efi", ""); r.StatusCode != 200 || !bytes.Equal(got, files["grubx64.efi"]) {
		t.Errorf("GET //grubx64.efi = %d, %d bytes; shim follows no redirect", r.StatusCode, len(got))
	}
	if _, got := raw("GET", "/boot.ipxe?mac="+macA+"&uuid="+uuid, ""); !strings.Contains(string(got), "initrd --name initrd.img http://10.77.0.1/initrd.img || goto failed") ||
		!strings.Contains(string(got), "kernel http://10.77.0.1/vmlinuz initrd=initrd.img console=tty0") {
		t.Errorf("script %q", got)
	}
	if _, got := raw("GET", "/boot.ipxe", ""); !strings.Contains(string(got), "chain --replace http://10.77.0.1/boot.ipxe?mac=${netX/mac}") {
		t.Errorf("script for an unnamed iPXE %q", got)
	}
	for _, path := range []string{"/nothing-to-start", "/", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/boot.ipxe?mac=zz", "/httpboot/ff:ff:ff:ff:ff:ff/ingot.img",
		"/httpboot/" + macA + "/../ingot.img", "/httpboot.img", "/revocations_sku.efi", "/vmlinuz%00", "/" + strings.Repeat("a", 3000), "/..%5cvmlinuz"} {
		for _, method := range []string{"HEAD", "GET"} {
			if r, _ := raw(method, path, ""); r.StatusCode != 404 {
				t.Errorf("%s %.60s = %d; want 404", method, path, r.StatusCode)
			}
		}
	}
	if r, _ := raw("POST", "/vmlinuz", "Content-Length: 0\r\n"); r.StatusCode != 405 {
		t.Errorf("POST = %d; want 405", r.StatusCode)
	}
	if r, err := http.DefaultClient.Do(withHeader(t, "http://10.77.0.1/vmlinuz", strings.Repeat("y", 64<<10))); err == nil && r.StatusCode != 431 {
		t.Errorf("64 KiB of headers = %d; want 431 or a closed connection", r.StatusCode)
	}
	b.word.say(pxe.Refuse, "no job")
	for _, path := range []string{img, "/boot.ipxe?mac=" + macA} {
		if r, _ := raw("GET", path, ""); r.StatusCode != 404 {
			t.Errorf("refused GET %s = %d; want 404", path, r.StatusCode)
		}
	}
}

// TestASecondStartIsRefused: without the own lock both would start, for the DHCP library shares its port.
func TestASecondStartIsRefused(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	b := newBench(proxyConfig())
	b.start(t)
	second := newBench(proxyConfig())
	err := second.Listen(t.Context())
	if f := job.FaultOf(err); err == nil || f.Code != job.CodeDaemon || !strings.Contains(f.Fact, "Another Ingot already answers network boots on srv") {
		t.Fatalf("second start: %v", err)
	}
	b.stop()
	second = newBench(proxyConfig())
	second.start(t) // the first one gave everything back
	second.stop()

	other, err := net.ListenPacket("udp4", "0.0.0.0:67")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	err = newBench(proxyConfig()).Listen(t.Context())
	if f := job.FaultOf(err); err == nil || !strings.Contains(f.Fact, "UDP port 67") {
		t.Errorf("beside another program on port 67: %v", err)
	}
}

// TestAnotherDHCPServerStopsTheStart: two of them would give one address twice.
func TestAnotherDHCPServerStopsTheStart(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	address(t, "cli", "10.77.0.2/24")
	c := dhcpConfig()
	c.Interfaces, c.AllowForeign = []string{"cli"}, true
	c.Subnets[0].Reservations = nil
	foreign := newBench(c)
	foreign.start(t)
	b := newBench(dhcpConfig())
	err := b.Listen(t.Context())
	if f := job.FaultOf(err); err == nil || !strings.Contains(f.Fact, "Another DHCP server, 10.77.0.2, answers on srv") {
		t.Fatalf("Listen beside another server: %v", err)
	}
	beside := newBench(proxyConfig())
	beside.start(t)
	beside.stop()
	allowed := dhcpConfig()
	allowed.AllowForeign = true
	newBench(allowed).start(t)
}

// TestALostInterfaceIsOpenedAgain, with the same name and another index, as a USB network card comes back.
func TestALostInterfaceIsOpenedAgain(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	b := newBench(proxyConfig())
	b.start(t)
	if o := newLaptop(t, macA).discover(quick, edk2()...); o == nil {
		t.Fatal("no offer at first")
	}
	srv, err := netlink.LinkByName("srv")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(srv); err != nil {
		t.Fatal(err)
	}
	cable(t)
	l := newLaptop(t, macB)
	for end := time.Now().Add(15 * time.Second); ; {
		if o := l.discover(time.Second, edk2()...); o != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no offer after the interface came back")
		}
	}
}

// TestNoInterfaceAnswersNobody and needs no rights.
func TestNoInterfaceAnswersNobody(t *testing.T) {
	b := newBench(pxe.Config{})
	if err := b.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Serve(ctx); err != nil {
		t.Fatal(err)
	}
}
