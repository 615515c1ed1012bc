package pxe_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"ingot/pxe"
)

func TestASticksConfigurationNamesNobody(t *testing.T) {
	pin := "sha256:" + strings.Repeat("ab", 32)
	at := func(s ...string) (out []netip.AddrPort) {
		for _, a := range s {
			out = append(out, netip.MustParseAddrPort(a))
		}
		return out
	}
	cfg, err := pxe.StickConfig(at("10.0.0.1:8443", "10.9.0.1:9000"), pin, "bundle-00aa")
	if err != nil {
		t.Fatal(err)
	}
	want := " ingot.usb ingot.url=https://10.0.0.1:8443,https://10.9.0.1:9000 ingot.pin=" + pin + " ingot.bundle=bundle-00aa;"
	if !strings.Contains(cfg, want) || strings.Contains(cfg, "token") || !strings.Contains(cfg, "initrd /initrd.img") {
		t.Errorf("the configuration is %s; want %q in it and no token", cfg, want)
	}
	for name, f := range map[string]func() (string, error){
		"no address":            func() (string, error) { return pxe.StickConfig(nil, pin, "bundle-00aa") },
		"nine addresses":        func() (string, error) { return pxe.StickConfig(make([]netip.AddrPort, 9), pin, "bundle-00aa") },
		"an IPv6 address":       func() (string, error) { return pxe.StickConfig(at("[fe80::1]:8443"), pin, "bundle-00aa") },
		"port 0":                func() (string, error) { return pxe.StickConfig(at("10.0.0.1:0"), pin, "bundle-00aa") },
		"half a pin":            func() (string, error) { return pxe.StickConfig(at("10.0.0.1:1"), pin[:20], "bundle-00aa") },
		"a bundle with a quote": func() (string, error) { return pxe.StickConfig(at("10.0.0.1:1"), pin, `b";reboot`) },
	} {
		if cfg, err := f(); err == nil {
			t.Errorf("%s: StickConfig = %s", name, cfg)
		}
	}
}

// TestTheCauseOfASticksStart reads what the daemon records of a stick.
func TestTheCauseOfASticksStart(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	events := func(legs ...pxe.Leg) (out []pxe.Event) {
		for i, l := range legs {
			e := pxe.Event{Time: now.Add(time.Duration(i-200) * time.Second), Leg: l}
			if l == pxe.LegRefuse {
				e.Text = "The bench is closed."
			}
			out = append(out, e)
		}
		return out
	}
	for _, c := range []struct {
		name string
		in   []pxe.Event
		want string
		done bool
	}{
		{"let in", events(pxe.LegDiscover, pxe.LegAck, pxe.LegStick, pxe.LegHello), "The agent started and said Hello.", true},
		{"refused", events(pxe.LegDiscover, pxe.LegAck, pxe.LegStick, pxe.LegRefuse), "It was sent to its own disk. The bench is closed.", true},
		{"let in after a refusal", events(pxe.LegStick, pxe.LegRefuse, pxe.LegDiscover, pxe.LegStick, pxe.LegHello), "The agent started and said Hello.", true},
		{"silent after it was let in", events(pxe.LegStick, pxe.LegHello, pxe.LegStick), "A stick started it and it was let in, but its agent did not say Hello.", false},
	} {
		if got := pxe.Diagnose(pxe.Findings{Events: c.in, Now: now, Listening: true}); !strings.HasPrefix(got.String(), c.want) || got.Done != c.done {
			t.Errorf("%s: %+v; want %q", c.name, got, c.want)
		}
	}
}
