package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ingot/pxe"
)

// TestAConfigurationIsReadAsItWasWritten: whatever is set, the file that "config show" prints means the same.
func TestAConfigurationIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingot.toml")
	text := rapid.StringMatching(`[ -~äß"\\\t]{0,20}`)
	addr := rapid.Custom(func(t *rapid.T) netip.Addr {
		return netip.AddrFrom4([4]byte{10, byte(rapid.IntRange(0, 255).Draw(t, "b")), 3, byte(rapid.IntRange(0, 255).Draw(t, "d"))})
	})
	rapid.Check(t, func(t *rapid.T) {
		var c config
		c.Data = "/" + text.Draw(t, "data")
		c.Agent.Port = rapid.IntRange(1, 65535).Draw(t, "port")
		c.Agent.Advertise, c.Pages.URL, c.Log.Level = text.Draw(t, "advertise"), text.Draw(t, "url"), text.Draw(t, "level")
		c.Wipe.Organisation = text.Draw(t, "organisation")
		c.Metrics.Port = rapid.IntRange(0, 65535).Draw(t, "metrics")
		c.Images.Scrub = rapid.IntRange(-1, 100).Draw(t, "scrub")
		c.Push.CSV, c.Push.CA, c.Push.Allow = text.Draw(t, "csv"), text.Draw(t, "ca"), rapid.SliceOfN(rapid.StringMatching(`[0-9a-f.:/"\\]{1,20}`), 0, 3).Draw(t, "allow")
		c.Boot.Mode = pxe.Mode(rapid.SampledFrom([]string{"", "proxy", "dhcp"}).Draw(t, "mode"))
		c.Boot.Interfaces = rapid.SliceOfN(rapid.StringMatching(`[a-z0-9."\\]{1,15}`), 0, 3).Draw(t, "interfaces")
		c.Boot.AllowForeign = rapid.Bool().Draw(t, "foreign")
		c.Boot.ProbeTime = time.Duration(rapid.IntRange(0, 100).Draw(t, "probe")) * time.Second
		c.Boot.Ports = pxe.Ports{DHCP: rapid.IntRange(0, 65535).Draw(t, "p1"), Client: rapid.IntRange(0, 65535).Draw(t, "p2"), HTTP: rapid.IntRange(0, 65535).Draw(t, "p3")}
		for range rapid.IntRange(0, 2).Draw(t, "must have") {
			c.Image.MustHave = append(c.Image.MustHave, mustHave{text.Draw(t, "software"), text.Draw(t, "oldest"), text.Draw(t, "image")})
		}
		for range rapid.IntRange(0, 2).Draw(t, "subnets") {
			s := pxe.Subnet{Prefix: netip.PrefixFrom(addr.Draw(t, "prefix"), 24), Domain: text.Draw(t, "domain"),
				LeaseTime: time.Duration(rapid.IntRange(0, 100).Draw(t, "lease")) * time.Minute, DNS: rapid.SliceOfN(addr, 0, 3).Draw(t, "dns")}
			if rapid.Bool().Draw(t, "pool") {
				s.First, s.Last, s.Router = addr.Draw(t, "first"), addr.Draw(t, "last"), addr.Draw(t, "router")
			}
			if rapid.Bool().Draw(t, "reservation") {
				s.Reservations = []pxe.Reservation{{MAC: pxe.MAC{0x52, 0x54, 0, 1, 2, 3}, IP: addr.Draw(t, "ip")}}
			}
			c.Boot.Subnets = append(c.Boot.Subnets, s)
		}
		if err := os.WriteFile(path, []byte(c.text()), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := (&app{config: path}).loadConfig()
		if err != nil {
			t.Fatalf("%v\n%s", err, c.text())
		}
		c.Data = filepath.Clean(c.Data)
		if got.text() != c.text() {
			t.Fatalf("written\n%s\nread\n%s", c.text(), got.text())
		}
	})
}

// TestTheConfigurationExplainsEveryKey walks the configuration's own type: a new key cannot be forgotten.
func TestTheConfigurationExplainsEveryKey(t *testing.T) {
	var c config
	c.Boot.Subnets = []pxe.Subnet{{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Reservations: []pxe.Reservation{{IP: netip.MustParseAddr("10.0.0.9")}}}}
	text := c.text()
	var walk func(v reflect.Type)
	walk = func(v reflect.Type) {
		for i := range v.NumField() {
			f := v.Field(i)
			key := f.Tag.Get("toml")
			kind := f.Type
			for kind.Kind() == reflect.Slice {
				kind = kind.Elem()
			}
			switch {
			case key == "-" || key == "" || !f.IsExported(): // not of the file
			case kind.Kind() == reflect.Struct && kind.PkgPath() != "net/netip":
				if !strings.Contains(text, key) {
					t.Errorf("the table %q is not in\n%s", key, text)
				}
				walk(kind)
			default:
				line := lineOf(text, key)
				if _, about, ok := strings.Cut(line, " # "); !ok || about == "" {
					t.Errorf("the key %q of %s has no comment: %q", key, v, line)
				}
			}
		}
	}
	walk(reflect.TypeFor[config]())
}

// lineOf finds the line of a key, set or not.
func lineOf(text, key string) string {
	for _, l := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimPrefix(l, "#"), key+" = ") {
			return l
		}
	}
	return ""
}
