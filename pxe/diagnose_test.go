package pxe_test

import (
	"strings"
	"testing"
	"time"

	"ingot/pxe"
)

// story makes events out of lines: seconds, loader, leg, and file, text or error.
type line struct {
	at     int
	loader pxe.Loader
	leg    pxe.Leg
	file   string
	text   string
	bytes  int64
	total  int64
	err    string
}

func story(lines ...line) []pxe.Event {
	t0 := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	var out []pxe.Event
	for _, l := range lines {
		out = append(out, pxe.Event{Time: t0.Add(time.Duration(l.at) * time.Second), Loader: l.loader, Leg: l.leg, File: l.file, Text: l.text, Bytes: l.bytes, Total: l.total, Err: l.err})
	}
	return out
}

// TestWhereAStartStopped produces each stop once and wants its cause named.
func TestWhereAStartStopped(t *testing.T) {
	fw := []line{{0, "pxe", pxe.LegDiscover, "", "", 0, 0, ""}, {0, "pxe", pxe.LegOffer, "", "", 0, 0, ""}}
	leased := append(fw[:2:2], line{4, "pxe", pxe.LegRequest, "", "takes 10.0.0.5", 0, 0, ""})
	shim := append(leased[:3:3], line{5, "pxe", pxe.LegNBP, "shimx64.efi", "", 9, 9, ""})
	grub := append(shim[:4:4], line{6, "pxe", pxe.LegLoader, "grubx64.efi", "", 9, 9, ""})
	config := append(grub[:5:5], line{7, "pxe", pxe.LegConfig, "/grub/grub.cfg", "", 9, 9, ""})
	script := append(config[:6:6], line{8, "pxe", pxe.LegScript, "/grub/by-mac/52:54:00:aa:00:01", "", 9, 9, ""})
	kernel := append(script[:7:7], line{12, "pxe", pxe.LegKernel, "/vmlinuz", "", 9, 9, ""})
	initrd := append(kernel[:8:8], line{15, "pxe", pxe.LegInitramfs, "/initrd.img", "", 9, 9, ""})
	web := []line{{0, "http", pxe.LegDiscover, "", "", 0, 0, ""}, {0, "http", pxe.LegOffer, "", "", 0, 0, ""}, {4, "http", pxe.LegRequest, "", "", 0, 0, ""}}
	with := func(base []line, more ...line) []line { return append(base[:len(base):len(base)], more...) }

	atOnce := map[string]bool{ // known without waiting
		"asked while the bench was closed": true, "an ARM laptop": true, "the pool was empty": true, "loaded its loader for ever": true,
		"not supported, and took its address all the same": true,
	}
	for _, c := range []struct {
		name     string
		events   []line
		sentence string
		check    string
		done     bool
	}{
		{"nothing was heard", nil, "Nothing was heard", "cable", false},
		{"asked and not answered", fw[:1], "was not answered", "log", false},
		{"asked while the bench was closed", with(fw[:1], line{0, "pxe", pxe.LegIgnore, "", "the bench is closed", 0, 0, ""}), "not answered: the bench is closed", "Open the bench", false},
		{"an ARM laptop", with(fw[:1], line{0, "pxe", pxe.LegUnsupported, "", "UEFI ARM 64-bit is not supported yet: no boot file for it", 0, 0, ""}), "ARM 64-bit is not supported yet", "x64", false},
		{"the pool was empty", with(fw[:1], line{0, "pxe", pxe.LegFull, "", "", 0, 0, ""}), "no address left", "pool", false},
		{"offered, took no address", fw, "took no address", "DHCP server", false},
		{"offered again and again, took no address", with(fw, fw...), "took no address", "DHCP server", false},
		{"took another server's address", with(fw, line{4, "pxe", pxe.LegForeign, "", "took an address from another DHCP server, 10.0.0.9", 0, 0, ""}), "Another server answered this machine: it took an address from another DHCP server, 10.0.0.9", "Stop the other", false},
		{"wanted a wrong address", with(fw, line{4, "pxe", pxe.LegNak, "", "asked for the address 10.0.0.5, but it belongs to another machine", 0, 0, ""}), "belongs to another machine", "Start it again", false},
		{"found its address in use", with(fw, line{4, "pxe", pxe.LegDecline, "", "10.0.0.5 is in use by something else", 0, 0, ""}), "in use by something else", "Find the device", false},
		{"has an address, fetched nothing", leased, "never fetched it", "UDP port 69", false},
		{"has an address, HTTP Boot fetched nothing", web, "never asked for it", "HTTP port", false},
		{"asked 4011, fetched nothing", with(leased, line{4, "pxe", pxe.LegProxyRequest, "", "", 0, 0, ""}), "never fetched it", "66, 67", false},
		{"shim fetched, then silence", shim, "did not start it", "3rd Party UEFI CA", false},
		{"undionly fetched, then silence", with(leased, line{5, "pxe", pxe.LegNBP, "undionly.kpxe", "", 9, 9, ""}), "iPXE did not ask", "screen", false},
		{"boot image fetched, then silence", with(web, line{9, "http", pxe.LegNBP, "/httpboot/x/ingot.img", "", 9, 9, ""}), "no agent came of it", "RAM-disk", false},
		{"shim's transfer broke off", with(leased, line{9, "pxe", pxe.LegNBP, "shimx64.efi", "", 5, 9, "i/o timeout"}), "broke off after 5 of 9 bytes", "Cable", false},
		{"the machine broke the kernel off", with(script, line{9, "pxe", pxe.LegKernel, "/vmlinuz", "", 5, 9, "sending block 3: code=3, error: full"}), "itself broke off", "memory", false},
		{"the bundle is damaged", with(leased, line{5, "pxe", pxe.LegNBP, "shimx64.efi", "", 0, 0, "the server could not read it"}), "could not give it shimx64.efi", "firmware verify", false},
		{"GRUB fetched, then silence, our own address", append(append(fw[:2:2], line{4, "pxe", pxe.LegAck, "", "has 10.0.0.5", 0, 0, ""}), grub[3:]...), "shim fetched GRUB", "revoked", false},
		{"GRUB fetched behind a DHCP server that names itself", grub, "it takes 10.0.0.5", "option 66", false},
		{"GRUB's configuration, no script", config, "did not ask for this machine's script", "network card", false},
		{"script, no kernel", script, "did not fetch the kernel", "firewall", false},
		{"kernel, no initramfs", kernel, "initrd.img", "memory", false},
		{"kernel and initramfs, then silence", initrd, "then nothing was heard", "driver", false},
		{"the agent asks for an address and gets none", with(initrd, line{20, "", pxe.LegDiscover, "", "", 0, 0, ""}), "took none", "DHCP server", false},
		{"the agent has an address, no Hello", with(initrd, line{20, "", pxe.LegDiscover, "", "", 0, 0, ""}, line{21, "", pxe.LegAck, "", "", 0, 0, ""}), "did not reach the daemon", "Firewall", false},
		{"loaded its loader for ever", with(shim, line{30, "pxe", pxe.LegLoop, "", "", 0, 0, ""}), "again and again", "screen", false},
		{"refused", with(fw[:1], line{0, "pxe", pxe.LegRefuse, "", "no job for it", 0, 0, ""}), "its own disk: no job for it", "", true},
		{"refused, and took its address all the same", with(fw[:1], line{0, "pxe", pxe.LegRefuse, "", "no job for it", 0, 0, ""}, line{4, "pxe", pxe.LegAck, "", "has 10.0.0.5", 0, 0, ""}), "its own disk: no job for it", "", true},
		{"not supported, and took its address all the same", with(fw[:1], line{0, "pxe", pxe.LegUnsupported, "", "UEFI ARM 64-bit", 0, 0, ""}, line{4, "pxe", pxe.LegAck, "", "has 10.0.0.5", 0, 0, ""}), "cannot be started yet", "x64", false},
		{"Hello", with(initrd, line{30, "", pxe.LegHello, "", "", 0, 0, ""}), "said Hello", "", true},
		{"iPXE after undionly belongs to the same start", with(leased, line{5, "pxe", pxe.LegNBP, "undionly.kpxe", "", 9, 9, ""}, line{8, "ipxe", pxe.LegDiscover, "", "", 0, 0, ""}, line{8, "ipxe", pxe.LegOffer, "", "", 0, 0, ""}), "iPXE did not ask for its script", "No DHCP server", false},
		{"only the last start counts", with(initrd, line{30, "", pxe.LegHello, "", "", 0, 0, ""}, line{400, "pxe", pxe.LegDiscover, "", "", 0, 0, ""}, line{400, "pxe", pxe.LegOffer, "", "", 0, 0, ""}), "took no address", "DHCP server", false},
	} {
		events := story(c.events...)
		now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
		got := pxe.Diagnose(events, now)
		if !strings.Contains(got.Sentence, c.sentence) || !strings.Contains(strings.ToLower(got.Check), strings.ToLower(c.check)) || got.Done != c.done || got.Going {
			t.Errorf("%s: %+v; want %q, check %q, done %v", c.name, got, c.sentence, c.check, c.done)
		}
		if len(events) > 0 && !c.done && !atOnce[c.name] && events[len(events)-1].Err == "" {
			if early := pxe.Diagnose(events, events[len(events)-1].Time.Add(5*time.Second)); !early.Going {
				t.Errorf("%s, five seconds later: %+v; want under way", c.name, early)
			}
		}
	}
}
