package cmdline_test

import (
	"strings"
	"testing"

	"ingot/cmd/ingot-agent/internal/cmdline"
)

const pin = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestALineAsTheDaemonWritesItIsRead(t *testing.T) {
	l, err := cmdline.Parse("BOOT_IMAGE=/vmlinuz console=tty0 console=ttyS0,115200 quiet ingot.url=https://10.0.0.1:8443 ingot.pin=" + pin + " ingot.token=abc-DEF_1\n")
	if err != nil {
		t.Fatal(err)
	}
	if l.URL.String() != "https://10.0.0.1:8443" || string(l.Pin) != pin || l.Token != "abc-DEF_1" || l.Debug {
		t.Errorf("Parse = %+v", l)
	}
}

// TestASticksLineCarriesNoToken reads what "ingot firmware usb" writes.
func TestASticksLineCarriesNoToken(t *testing.T) {
	l, err := cmdline.Parse("quiet ingot.usb ingot.bundle=bundle-0123456789abcdef ingot.url=https://10.0.0.1:8443,https://10.9.0.1:8443,https://10.9.0.2 ingot.pin=" + pin)
	if err != nil {
		t.Fatal(err)
	}
	if !l.Stick || l.Token != "" || l.URL.Host != "10.0.0.1:8443" || len(l.More) != 2 || l.More[1].Host != "10.9.0.2" || l.Bundle != "bundle-0123456789abcdef" {
		t.Errorf("Parse = %+v", l)
	}
}

func TestABrokenLineIsRefused(t *testing.T) {
	good := "ingot.url=https://10.0.0.1:8443 ingot.pin=" + pin + " ingot.token=abc"
	cases := map[string]string{
		"an empty line":                    "",
		"no pin":                           "ingot.url=https://10.0.0.1:8443 ingot.token=abc",
		"no token":                         "ingot.url=https://10.0.0.1:8443 ingot.pin=" + pin,
		"plain http":                       strings.Replace(good, "https", "http", 1),
		"a URL with a path":                strings.Replace(good, ":8443", ":8443/x", 1),
		"a URL with a user":                strings.Replace(good, "//", "//u:p@", 1),
		"a URL without a host":             strings.Replace(good, "10.0.0.1:8443", ":8443", 1),
		"a short pin":                      strings.Replace(good, pin, pin[:40], 1),
		"a pin in capitals":                strings.Replace(good, "abcdef", "ABCDEF", 1),
		"a token with a semicolon":         good + ";reboot",
		"a token that is too long":         good + strings.Repeat("x", 200),
		"the same key twice":               good + " ingot.pin=" + pin,
		"a line longer than any kernel's":  good + strings.Repeat(" x", 4000),
		"two tokens that do not agree":     good + " ingot.token=def",
		"a token with a control character": good + "\x01",
		"a stick with a token":             good + " ingot.usb",
		"two addresses without a stick":    strings.Replace(good, ":8443", ":8443,https://10.0.0.2:8443", 1),
		"a stick with nine addresses":      "ingot.usb ingot.pin=" + pin + " ingot.url=https://10.0.0.1" + strings.Repeat(",https://10.0.0.1", 8),
		"a stick with an empty address":    "ingot.usb ingot.pin=" + pin + " ingot.url=https://10.0.0.1,",
		"a stick without a pin":            "ingot.usb ingot.url=https://10.0.0.1",
		"a stick of no bundle":             "ingot.usb ingot.pin=" + pin + " ingot.url=https://10.0.0.1 ingot.bundle=../x",
	}
	for name, line := range cases {
		if l, err := cmdline.Parse(line); err == nil {
			t.Errorf("%s: Parse = %+v; want an error", name, l)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("ingot.url=https://10.0.0.1:8443 ingot.pin=" + pin + " ingot.token=abc ingot.debug")
	f.Add("ingot.usb ingot.url=https://10.0.0.1:8443,https://10.0.0.2 ingot.bundle=bundle-0123456789abcdef ingot.pin=" + pin)
	f.Add("ingot.url=https://[fe80::1%25eth0]:1 ingot.pin= ingot.token==")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := cmdline.Parse(s)
		if err != nil {
			return
		}
		if l.URL.Scheme != "https" || l.URL.Hostname() == "" || len(l.Pin) != len(pin) || (l.Token == "") != l.Stick || len(l.Token) > cmdline.MaxToken || len(l.More) >= cmdline.MaxURLs {
			t.Errorf("Parse(%q) = %+v", s, l)
		}
	})
}
