package pxe_test

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"

	"ingot/pxe"
)

// journal keeps what the log was told.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string { j.mu.Lock(); defer j.mu.Unlock(); return j.text.String() }

// await waits until the log tells words, n times in all.
func (j *journal) await(t *testing.T, words string, n int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); strings.Count(j.String(), words) < n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log does not tell %q %d times:\n%s", words, n, j)
		}
	}
}

// told gives a bench whose log is kept and whose stands are.
func told(c pxe.Config) (*bench, *journal, func() []pxe.Stand) {
	b, j := newBench(c), &journal{}
	b.Log = zerolog.New(j)
	var mu sync.Mutex
	var last []pxe.Stand
	b.OnStand = func(s []pxe.Stand) { mu.Lock(); defer mu.Unlock(); last = slices.Clone(s) }
	return b, j, func() []pxe.Stand { mu.Lock(); defer mu.Unlock(); return last }
}

func unplug(t *testing.T) {
	t.Helper()
	l, err := netlink.LinkByName("srv")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(l); err != nil {
		t.Fatal(err)
	}
}

func noAddress(t *testing.T, cidr string) {
	t.Helper()
	l, err := netlink.LinkByName("srv")
	if err != nil {
		t.Fatal(err)
	}
	a, err := netlink.ParseAddr(cidr)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrDel(l, a); err != nil {
		t.Fatal(err)
	}
}

// offered asks until an offer comes.
func offered(t *testing.T, mac string) (file, server string) {
	t.Helper()
	l := newLaptop(t, mac)
	defer l.conn.Close()
	for end := time.Now().Add(20 * time.Second); ; {
		if o := l.discover(time.Second, httpBoot()...); o != nil {
			return o.BootFileName, o.ServerIdentifier().String()
		}
		if time.Now().After(end) {
			t.Fatal("no offer")
		}
	}
}

// TestAnInterfaceGoesAndComesBack, as a USB card does: the log says so, and laptops are answered again by themselves.
func TestAnInterfaceGoesAndComesBack(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	before := goleak.IgnoreCurrent()
	b, log, stands := told(proxyConfig())
	b.start(t)
	offered(t, macA)
	for n := 1; n <= 3; n++ {
		unplug(t)
		log.await(t, "interface srv is gone: laptops on it are not answered", n)
		if s := stands(); len(s) != 1 || s[0].Addr.IsValid() {
			t.Errorf("stands %v while the card is out", s)
		}
		log.await(t, "waiting for interface srv", n)
		cable(t)
		log.await(t, "interface srv is back with 10.77.0.1", n)
		offered(t, macA)
		if s := stands(); len(s) != 1 || s[0].Addr.String() != serverIP {
			t.Errorf("stands %v after it came back", s)
		}
	}
	if err := b.Alive(10 * time.Second); err != nil {
		t.Errorf("Alive = %v", err)
	}
	if err := b.Alive(-time.Hour); err == nil {
		t.Error("Alive holds for any time")
	}
	b.stop()
	goleak.VerifyNone(t, before)
}

// TestANewAddressIsTold at once in everything that carries it, and a second address beside the first changes nothing.
func TestANewAddressIsTold(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	b, log, stands := told(proxyConfig())
	b.start(t)
	if file, server := offered(t, macA); file != "http://10.77.0.1/httpboot/"+macA+"/ingot.img" || server != serverIP {
		t.Fatalf("offered %s by %s", file, server)
	}
	address(t, "srv", "10.77.0.3/24")
	time.Sleep(time.Second)
	if file, server := offered(t, macA); server != serverIP {
		t.Fatalf("beside a second address: offered %s by %s; want the first one kept", file, server)
	}
	noAddress(t, serverIP+"/24") // the kernel drops the second one of a network with its first
	address(t, "srv", "10.77.0.3/24")
	log.await(t, "10.77.0.3", 1)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		file, server := offered(t, macA)
		if server == "10.77.0.3" && file == "http://10.77.0.3/httpboot/"+macA+"/ingot.img" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("after the change: offered %s by %s", file, server)
		}
	}
	if s := stands(); len(s) != 1 || s[0].Addr.String() != "10.77.0.3" {
		t.Errorf("stands %v", s)
	}
	noAddress(t, "10.77.0.3/24")
	log.await(t, "interface srv has lost its address 10.77.0.3", 1)
	address(t, "srv", serverIP+"/24")
	log.await(t, "interface srv is back with 10.77.0.1", 1)
	offered(t, macA)
}

// TestAPatientServerWaits for a card that is not there when it starts.
func TestAPatientServerWaits(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	b, log, _ := told(proxyConfig())
	b.Patient = true
	b.start(t)
	log.await(t, "waiting for interface srv", 1)
	cable(t)
	log.await(t, "interface srv is here with 10.77.0.1", 1)
	offered(t, macA)
}

// TestACardInAnotherNetworkGivesNoAddresses: a card of a full DHCP server is put back where another one answers, and
// stays silent until that one has gone.
func TestACardInAnotherNetworkGivesNoAddresses(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	b, log, _ := told(dhcpConfig())
	b.start(t)
	if _, server := offered(t, macA); server != serverIP {
		t.Fatalf("offered by %s", server)
	}
	unplug(t)
	log.await(t, "interface srv is gone", 1)
	address := func(c *pxe.Config) { c.Interfaces, c.AllowForeign = []string{"cli"}, true }
	c := dhcpConfig()
	address(&c)
	c.Subnets[0].Router = netip.Addr{}
	foreign := newBench(c)
	foreign.Patient = true
	foreign.start(t)
	foreignCable(t)
	log.await(t, "Another DHCP server, 10.77.0.2, answers on srv", 1)
	foreign.stop()
	log.await(t, "interface srv is back with 10.77.0.1", 1)
	if _, server := offered(t, macA); server != serverIP {
		t.Errorf("offered by %s", server)
	}
}

// foreignCable makes the cable anew, with an address at its other end before ours appears.
func foreignCable(t *testing.T) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "srv"}, PeerName: "cli"}))
	for _, name := range []string{"cli", "srv"} {
		l, err := netlink.LinkByName(name)
		must(err)
		must(netlink.LinkSetUp(l))
	}
	address(t, "cli", "10.77.0.2/24")
	time.Sleep(2 * time.Second) // the other server is up
	address(t, "srv", serverIP+"/24")
}
