package link_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/rs/zerolog"

	"ingot/cmd/ingot-agent/internal/link"
	"ingot/imaging/job"
)

// sysfs lays files and links (->) below a folder.
func sysfs(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, is := strings.CutPrefix(text, "->"); is {
			err = os.Symlink(to, p)
		} else {
			err = os.WriteFile(p, []byte(text+"\n"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var laptop = map[string]string{
	"class/net/lo/type":                   "772",
	"class/net/eth0/type":                 "1",
	"class/net/eth0/address":              "52:54:00:aa:00:01",
	"class/net/eth0/carrier":              "1",
	"class/net/eth0/speed":                "1000",
	"class/net/eth0/device/driver":        "->../../../../bus/pci/drivers/e1000e",
	"class/net/eth0/device/subsystem":     "->../../../../bus/pci",
	"class/net/usb0/type":                 "1",
	"class/net/usb0/address":              "52:54:00:aa:00:02",
	"class/net/usb0/speed":                "-1",
	"class/net/usb0/device/driver":        "->../../../../bus/usb/drivers/r8152",
	"class/net/usb0/device/subsystem":     "->../../../../bus/usb",
	"class/net/wlan0/type":                "1",
	"class/net/wlan0/phy80211/index":      "0",
	"class/net/wlan0/device/x":            "",
	"class/net/wwan0/type":                "1",
	"class/net/wwan0/uevent":              "DEVTYPE=wwan",
	"class/net/wwan0/device/x":            "",
	"class/net/br0/type":                  "1",
	"class/net/br0/bridge/x":              "",
	"bus/pci/devices/0000:00:1f.6/class":  "0x020000",
	"bus/pci/devices/0000:00:1f.6/vendor": "0x8086",
	"bus/pci/devices/0000:00:1f.6/device": "0x57a1",
	"bus/pci/devices/0000:00:14.3/class":  "0x028000",
}

func TestOnlyWiredAdaptersAreListed(t *testing.T) {
	got := link.Wired(sysfs(t, laptop))
	want := []job.Link{
		{Name: "eth0", MAC: "52:54:00:aa:00:01", Driver: "e1000e", Bus: "pci", Carrier: true, SpeedMbps: 1000},
		{Name: "usb0", MAC: "52:54:00:aa:00:02", Driver: "r8152", Bus: "usb"},
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("Wired = %+v; want %+v", got, want)
	}
}

// TestADockOnThunderboltIsNoPartOfTheLaptop: its adapter is on PCI, as a built-in one is.
func TestADockOnThunderboltIsNoPartOfTheLaptop(t *testing.T) {
	dir := sysfs(t, map[string]string{
		"class/net/eth0/type":                                    "1",
		"class/net/eth0/address":                                 "8c:16:45:0a:0b:0c",
		"class/net/eth0/device":                                  "->../../../devices/pci0000:00/0000:00:1f.6",
		"devices/pci0000:00/0000:00:1f.6/subsystem":              "->../../../bus/pci",
		"devices/pci0000:00/0000:00:1f.6/removable":              "fixed",
		"class/net/eth1/type":                                    "1",
		"class/net/eth1/address":                                 "8c:16:45:0a:0b:0d",
		"class/net/eth1/device":                                  "->../../../devices/pci0000:00/0000:00:07.0/0000:05:00.0",
		"devices/pci0000:00/0000:00:07.0/0000:05:00.0/subsystem": "->../../../../bus/pci",
		"devices/pci0000:00/0000:00:07.0/removable":              "removable",
		"bus/pci/devices/x":                                      "",
	})
	got := link.Wired(dir)
	if len(got) != 2 || got[0].Bus != "pci" || got[1].Bus != "external" {
		t.Errorf("Wired = %+v; want the first on pci, the second external", got)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	dir := sysfs(t, laptop)
	if got := link.Driverless(dir); len(got) != 1 || !strings.Contains(got[0], "8086:57a1") {
		t.Errorf("Driverless = %q", got)
	}
	m := link.New(dir, "10.0.0.1:8443", "sha256:00", zerolog.Nop())
	if code, fact := m.Status(); code != job.CodeNoLink || fact == "" {
		t.Errorf("Status = %s %q", code, fact)
	}
	for line, want := range map[string]string{
		"r8169 0000:02:00.0: firmware: failed to load rtl_nic/rtl8168h-2.fw (-2)":               "rtl_nic/rtl8168h-2.fw",
		"r8152 2-1:1.0: Direct firmware load for rtl_nic/rtl8153a-3.fw failed with error -2":    "rtl_nic/rtl8153a-3.fw",
		"e1000e 0000:00:1f.6 eth0: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx":   "",
		"[Firmware Bug]: TSC not synchronous to P0":                                             "",
		"firmware_class: See https://wiki.debian.org/Firmware for information about missing...": "",
	} {
		if got, found := link.MissingFirmware(line); got != want || found != (want != "") {
			t.Errorf("MissingFirmware(%q) = %q, %v; want %q", line, got, found, want)
		}
	}
}

func ack(ip string, opts ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	p, err := dhcpv4.New(dhcpv4.WithYourIP(net.ParseIP(ip)))
	if err != nil {
		panic(err)
	}
	for _, o := range opts {
		p.UpdateOption(o)
	}
	return p
}

func TestALeaseIsRead(t *testing.T) {
	mask := dhcpv4.OptSubnetMask(net.CIDRMask(24, 32))
	l, err := link.ReadLease(ack("10.0.0.7", mask, dhcpv4.OptRouter(net.IP{10, 0, 0, 1}), dhcpv4.OptIPAddressLeaseTime(2*time.Hour)))
	if err != nil || l.Address.String() != "10.0.0.7/24" || !l.Router.Equal(net.IP{10, 0, 0, 1}) || l.For != 2*time.Hour || l.Renew != time.Hour {
		t.Errorf("ReadLease = %+v, %v", l, err)
	}
	if router, ok := l.Via(net.IP{10, 0, 0, 99}.To4()); router != nil || !ok {
		t.Errorf("Via(neighbour) = %v, %v", router, ok)
	}
	if router, ok := l.Via(net.IP{10, 9, 0, 1}.To4()); !router.Equal(net.IP{10, 0, 0, 1}) || !ok {
		t.Errorf("Via(far) = %v, %v", router, ok)
	}
	bare, err := link.ReadLease(ack("192.168.1.7"))
	if err != nil || bare.Address.String() != "192.168.1.7/24" || bare.Router != nil || bare.For < time.Minute {
		t.Errorf("ReadLease without options = %+v, %v", bare, err)
	}
	if _, ok := bare.Via(net.IP{10, 9, 0, 1}.To4()); ok {
		t.Error("a network without a router reaches a far host")
	}
	if short, err := link.ReadLease(ack("10.0.0.7", mask, dhcpv4.OptIPAddressLeaseTime(time.Second))); err != nil || short.For < time.Minute {
		t.Errorf("ReadLease of one second = %+v, %v", short, err)
	}
}

// TestAStickLooksForItsServer: known addresses come first and in their order; the servers of a lease only for a stick.
func TestAStickLooksForItsServer(t *testing.T) {
	p := ack("10.0.0.7", dhcpv4.OptServerIdentifier(net.IP{10, 0, 0, 1}))
	p.ServerIPAddr = net.IP{10, 0, 0, 5}
	lease, err := link.ReadLease(p)
	if err != nil {
		t.Fatal(err)
	}
	m := link.New("/none", "10.0.0.9:8443", "sha256:00", zerolog.Nop())
	for _, c := range []struct {
		name string
		more []string
		ask  bool
		want string
	}{
		{"a network boot", nil, false, "[10.0.0.9:8443]"},
		{"a stick of one address", nil, true, "[10.0.0.9:8443 10.0.0.1:8443 10.0.0.5:8443]"},
		{"a stick of several", []string{"10.9.0.1:9000", "10.0.0.1:8443"}, true, "[10.0.0.9:8443 10.9.0.1:9000 10.0.0.1:8443 10.0.0.5:8443]"},
	} {
		m.More, m.Ask = c.more, c.ask
		if got := fmt.Sprint(m.Candidates(lease)); got != c.want {
			t.Errorf("%s: Candidates = %s; want %s", c.name, got, c.want)
		}
	}
	if got := fmt.Sprint(m.Candidates(link.Lease{Server: net.IP{224, 0, 0, 1}, Next: net.IPv4zero})); got != "[10.0.0.9:8443 10.9.0.1:9000 10.0.0.1:8443]" {
		t.Errorf("servers that no laptop can ask are tried: %s", got)
	}
	m.More = []string{"example.org:8443"}
	if err := m.Run(t.Context()); err == nil {
		t.Error("a host name passed for an address")
	}
}

func TestALeaseThatNoLaptopCanHaveIsRefused(t *testing.T) {
	for name, p := range map[string]*dhcpv4.DHCPv4{
		"no address":        ack("0.0.0.0"),
		"a broadcast":       ack("255.255.255.255"),
		"a multicast group": ack("224.0.0.1"),
		"loopback":          ack("127.0.0.1"),
		"a mask with holes": ack("10.0.0.7", dhcpv4.OptSubnetMask(net.IPMask{255, 0, 255, 0})),
		"a mask of nothing": ack("10.0.0.7", dhcpv4.OptSubnetMask(net.IPMask{0, 0, 0, 0})),
	} {
		if l, err := link.ReadLease(p); err == nil {
			t.Errorf("%s: ReadLease = %+v", name, l)
		}
	}
}

func FuzzReadLease(f *testing.F) {
	f.Add(ack("10.0.0.7", dhcpv4.OptRouter(net.IP{10, 0, 0, 1})).ToBytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := dhcpv4.FromBytes(b)
		if err != nil {
			return
		}
		if l, err := link.ReadLease(p); err == nil && (l.For < time.Minute || l.Renew <= 0 || l.Address.IP.To4() == nil) {
			t.Errorf("ReadLease = %+v", l)
		}
	})
}
