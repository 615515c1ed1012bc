package pxe

import (
	"net/netip"
	"testing"
	"time"
)

// TestWhatBecomesOfAnInterface is the table of everything that happens to a card while we serve it or wait for it.
func TestWhatBecomesOfAnInterface(t *testing.T) {
	at := func(index int, cidr string) facts {
		p := netip.MustParsePrefix(cidr)
		return facts{index: index, signal: true, addr: p.Addr(), prefix: p.Masked()}
	}
	served := at(3, "10.0.0.5/24")
	bare := facts{index: 3, signal: true}
	silent := served
	silent.signal = false
	for _, c := range []struct {
		name     string
		was, now facts
		want     step
		words    string
	}{
		{"nothing changed", served, served, stay, ""},
		{"the card is out", served, facts{}, shut, "interface usb0 is gone: laptops on it are not answered"},
		{"its address went", served, bare, shut, "interface usb0 has lost its address 10.0.0.5: laptops on it are not answered"},
		{"another address", served, at(3, "10.0.0.6/24"), move, "interface usb0 has the address 10.0.0.6 now, not 10.0.0.5: laptops that are at work look for the old one, start them again"},
		{"another address on another card", served, at(4, "10.0.0.6/24"), move, "interface usb0 has the address 10.0.0.6 now, not 10.0.0.5: laptops that are at work look for the old one, start them again"},
		{"another network", served, at(3, "10.0.0.5/16"), move, "interface usb0 stands in the network 10.0.0.0/16 now, not 10.0.0.0/24"},
		{"out and in between two looks", served, at(9, "10.0.0.5/24"), move, "interface usb0 was taken out and put back"},
		{"the cable is out", served, silent, stay, "interface usb0 has no signal: is its cable out?"},
		{"the cable is in again", silent, served, stay, "interface usb0 has a signal again"},
		{"absent, and waited for", facts{}, facts{}, stay, "waiting for interface usb0"},
		{"there, without address", facts{}, bare, stay, "waiting for an IPv4 address of interface usb0"},
		{"there, with all it needs", facts{}, served, open, ""},
		{"there, with no cable yet", facts{}, silent, open, ""},
	} {
		if got, words := judge("usb0", c.was, c.now); got != c.want || words != c.words {
			t.Errorf("%s: judge = %v, %q; want %v, %q", c.name, got, words, c.want, c.words)
		}
	}
}

// TestLeasesDoNotFollowAClockThatIsSet: what is left of a lease counts by the monotonic clock, and after a restart it
// is never more than a new lease would be.
func TestLeasesDoNotFollowAClockThatIsSet(t *testing.T) {
	sub := Subnet{Prefix: netip.MustParsePrefix("10.77.0.0/24"), First: netip.MustParseAddr("10.77.0.50"), Last: netip.MustParseAddr("10.77.0.50"), LeaseTime: time.Hour}
	holder, other := MAC{2, 0, 0, 0, 0, 1}, MAC{2, 0, 0, 0, 0, 2}
	ip := sub.First
	now := time.Now()
	p := newPool(sub)
	if got, ok := p.offer(holder, netip.Addr{}, now); !ok || got != ip {
		t.Fatalf("offer = %v, %v", got, ok)
	}
	lease, _, err := p.lease(holder, ip, "", now)
	if err != nil {
		t.Fatal(err)
	}
	// The same times without their monotonic part, as a server sees them whose clock was set a year on.
	if s := p.slots[ip]; !s.until.Equal(now.Add(time.Hour)) || s.until == s.until.Round(0) {
		t.Errorf("the lease ends at %v; want an hour from now, on the monotonic clock", s.until)
	}
	if lease.Expires != lease.Expires.Round(0) {
		t.Error("what is stored carries the monotonic clock, which means nothing after a restart")
	}
	year := 365 * 24 * time.Hour
	for _, c := range []struct {
		name    string
		expires time.Time
		after   time.Duration // since the restart
		taken   bool          // the other machine is refused
	}{
		{"a clock set back a year: the lease holds", now.Add(year + time.Hour).Round(0), 59 * time.Minute, true},
		{"and ends after its own time", now.Add(year + time.Hour).Round(0), 61 * time.Minute, false},
		{"an ordinary restart", now.Add(10 * time.Minute).Round(0), 9 * time.Minute, true},
		{"its end after an ordinary restart", now.Add(10 * time.Minute).Round(0), 11 * time.Minute, false},
	} {
		again := newPool(sub)
		again.load(Lease{IP: ip, MAC: holder, Expires: c.expires}, now)
		if _, free := again.offer(other, ip, now.Add(c.after)); free == c.taken {
			t.Errorf("%s: another machine may have the address: %v", c.name, free)
		}
	}
	// A clock set on a year: the holder is known still, and gets its address again.
	again := newPool(sub)
	again.load(Lease{IP: ip, MAC: holder, Expires: now.Add(-year).Round(0)}, now)
	if got, ok := again.offer(holder, netip.Addr{}, now); !ok || got != ip {
		t.Errorf("the holder of an old lease is offered %v, %v", got, ok)
	}
}
