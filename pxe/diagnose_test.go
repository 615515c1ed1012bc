package pxe_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
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
		"not supported, and took its address all the same": true, "came by a relay of a strange network": true, "the agent refused the key": true,
		"the Hello was refused": true, "the Hello was refused because of the clock": true,
	}
	for _, c := range []struct {
		name   string
		events []line
		code   job.Code
		fact   string
		done   bool
	}{
		{"asked and not answered", fw[:1], job.BootUnanswered, "", false},
		{"asked while the bench was closed", with(fw[:1], line{0, "pxe", pxe.LegIgnore, "", "the bench is closed", 0, 0, ""}), job.BootIgnored, "The bench is closed.", false},
		{"an ARM laptop", with(fw[:1], line{0, "pxe", pxe.LegUnsupported, "", "UEFI ARM 64-bit is not supported yet: no boot file for it", 0, 0, ""}), job.BootArch, "UEFI ARM 64-bit is not supported yet", false},
		{"the pool was empty", with(fw[:1], line{0, "pxe", pxe.LegFull, "", "", 0, 0, ""}), job.BootPoolEmpty, "", false},
		{"offered, took no address", fw, job.BootNoRequest, "", false},
		{"offered again and again, took no address", with(fw, fw...), job.BootNoRequest, "", false},
		{"took another server's address", with(fw, line{4, "pxe", pxe.LegForeign, "", "took an address from another DHCP server, 10.0.0.9", 0, 0, ""}), job.BootOtherDHCP, "It took an address from another DHCP server, 10.0.0.9.", false},
		{"wanted a wrong address", with(fw, line{4, "pxe", pxe.LegNak, "", "asked for the address 10.0.0.5, but it belongs to another machine", 0, 0, ""}), job.BootNak, "belongs to another machine", false},
		{"found its address in use", with(fw, line{4, "pxe", pxe.LegDecline, "", "10.0.0.5 is in use by something else", 0, 0, ""}), job.BootDeclined, "in use by something else", false},
		{"has an address, fetched nothing", leased, job.BootNotFetched, "", false},
		{"has an address, HTTP Boot fetched nothing", web, job.BootNotFetched, "HTTP Boot", false},
		{"asked 4011, fetched nothing", with(leased, line{4, "pxe", pxe.LegProxyRequest, "", "", 0, 0, ""}), job.BootNotFetched, "", false},
		{"shim fetched, then silence", shim, job.BootShim, "", false},
		{"undionly fetched, then silence", with(leased, line{5, "pxe", pxe.LegNBP, "undionly.kpxe", "", 9, 9, ""}), job.BootIPXE, "", false},
		{"boot image fetched, then silence", with(web, line{9, "http", pxe.LegNBP, "/httpboot/x/ingot.img", "", 9, 9, ""}), job.BootImage, "", false},
		{"shim's transfer broke off", with(leased, line{9, "pxe", pxe.LegNBP, "shimx64.efi", "", 5, 9, "i/o timeout"}), job.BootBrokeOff, "shimx64.efi, after 5 of 9 bytes.", false},
		{"the machine broke the kernel off", with(script, line{9, "pxe", pxe.LegKernel, "/vmlinuz", "", 5, 9, "sending block 3: code=3, error: full"}), job.BootGaveUp, "/vmlinuz, after 5 of 9", false},
		{"the bundle is damaged", with(leased, line{5, "pxe", pxe.LegNBP, "shimx64.efi", "", 0, 0, "the server could not read it"}), job.BootServerFile, "shimx64.efi", false},
		{"GRUB fetched, then silence, our own address", append(append(fw[:2:2], line{4, "pxe", pxe.LegAck, "", "has 10.0.0.5", 0, 0, ""}), grub[3:]...), job.BootGRUB, "", false},
		{"GRUB fetched behind a DHCP server that names itself", grub, job.BootNextServer, "It takes 10.0.0.5", false},
		{"GRUB's configuration, no script", config, job.BootGRUBScript, "", false},
		{"script, no kernel", script, job.BootNoKernel, "", false},
		{"kernel, no initramfs", kernel, job.BootNoInitrd, "", false},
		{"kernel and initramfs, then silence", initrd, job.BootNoSign, "", false},
		{"the agent asks for an address and gets none", with(initrd, line{20, "", pxe.LegDiscover, "", "", 0, 0, ""}), job.BootNoLease, "", false},
		{"the agent has an address, no Hello", with(initrd, line{20, "", pxe.LegDiscover, "", "", 0, 0, ""}, line{21, "", pxe.LegAck, "", "", 0, 0, ""}), job.BootNotReached, "", false},
		{"loaded its loader for ever", with(shim, line{30, "pxe", pxe.LegLoop, "", "", 0, 0, ""}), job.BootLoop, "", false},
		{"refused", with(fw[:1], line{0, "pxe", pxe.LegRefuse, "", "no job for it", 0, 0, ""}), job.BootOwnDisk, "No job for it.", true},
		{"refused, and took its address all the same", with(fw[:1], line{0, "pxe", pxe.LegRefuse, "", "no job for it", 0, 0, ""}, line{4, "pxe", pxe.LegAck, "", "has 10.0.0.5", 0, 0, ""}), job.BootOwnDisk, "No job for it.", true},
		{"not supported, and took its address all the same", with(fw[:1], line{0, "pxe", pxe.LegUnsupported, "", "UEFI ARM 64-bit", 0, 0, ""}, line{4, "pxe", pxe.LegAck, "", "has 10.0.0.5", 0, 0, ""}), job.BootArch, "ARM", false},
		{"Hello", with(initrd, line{30, "", pxe.LegHello, "", "", 0, 0, ""}), "", "said Hello", true},
		{"iPXE after undionly belongs to the same start", with(leased, line{5, "pxe", pxe.LegNBP, "undionly.kpxe", "", 9, 9, ""}, line{8, "ipxe", pxe.LegDiscover, "", "", 0, 0, ""}, line{8, "ipxe", pxe.LegOffer, "", "", 0, 0, ""}), job.BootIPXE, "", false},
		{"only the last start counts", with(initrd, line{30, "", pxe.LegHello, "", "", 0, 0, ""}, line{400, "pxe", pxe.LegDiscover, "", "", 0, 0, ""}, line{400, "pxe", pxe.LegOffer, "", "", 0, 0, ""}), job.BootNoRequest, "", false},
		{"a stick's agent, then silence", []line{{0, "", pxe.LegDiscover, "", "", 0, 0, ""}, {1, "", pxe.LegStick, "", "", 0, 0, ""}}, job.BootStick, "A stick started it", false},
		{"came by a relay of a strange network", []line{{0, "pxe", pxe.LegRelay, "", "relayed from 10.9.0.1, which is in no configured subnet", 0, 0, ""}}, job.BootRelay, "It was relayed from 10.9.0.1", false},
		{"the agent refused the key", with(initrd, line{20, "", pxe.LegAck, "", "", 0, 0, ""}, line{21, "", pxe.LegPin, "", "the start system at 10.0.0.5 did not take the daemon's key", 0, 0, ""}), job.BootPin, "10.0.0.5", false},
		{"the agent refused the key, then said Hello", with(initrd, line{21, "", pxe.LegPin, "", "", 0, 0, ""}, line{22, "", pxe.LegHello, "", "", 0, 0, ""}), "", "said Hello", true},
		{"the Hello was refused", with(initrd, line{21, "", pxe.LegDenied, "", "This start is too old.", 0, 0, ""}), job.BootDenied, "This start is too old.", false},
		{"the Hello was refused because of the clock", with(initrd, line{21, "", pxe.LegClock, "", "The clock was set back.", 0, 0, ""}), job.BootClock, "The clock was set back.", false},
	} {
		events := story(c.events...)
		now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
		got := pxe.Diagnose(pxe.Findings{Events: events, Now: now, Listening: true})
		if got.Code != c.code || !strings.Contains(got.String(), c.fact) || got.Done != c.done || got.Going {
			t.Errorf("%s: %+v; want %s, %q, done %v", c.name, got, c.code, c.fact, c.done)
		}
		if len(events) > 0 && !c.done && !atOnce[c.name] && events[len(events)-1].Err == "" {
			if early := pxe.Diagnose(pxe.Findings{Events: events, Now: events[len(events)-1].Time.Add(5 * time.Second), Listening: true}); !early.Going || early.Code != "" {
				t.Errorf("%s, five seconds later: %+v; want under way", c.name, early)
			}
		}
	}
}

// TestOtherServersAreNamed: who answered besides us decides where to mend it.
func TestOtherServersAreNamed(t *testing.T) {
	office, nas := mustAddr("10.0.0.2"), mustAddr("10.0.0.3")
	told := story(line{0, "pxe", pxe.LegDiscover, "", "", 0, 0, ""}, line{0, "pxe", pxe.LegOffer, "", "", 0, 0, ""}, line{4, "pxe", pxe.LegRequest, "", "", 0, 0, ""})
	told[2].Server = office
	for _, c := range []struct {
		name   string
		server netip.Addr
		file   string
		more   []line
		code   job.Code
		fact   string
	}{
		{"the DHCP server's own options", office, "pxelinux.0", nil, job.BootOptions, "10.0.0.2 offers it pxelinux.0."},
		{"a boot server beside it", nas, "wdsmgfw.efi", nil, job.BootSecondServer, "10.0.0.3 offers it wdsmgfw.efi."},
		{"a boot server that names no file", nas, "", nil, job.BootSecondServer, "10.0.0.3 answers it as a boot server."},
		{"it took our file all the same", nas, "wdsmgfw.efi", []line{{5, "pxe", pxe.LegNBP, "shimx64.efi", "", 9, 9, ""}}, job.BootShim, ""},
	} {
		rival := pxe.Event{Time: told[0].Time, Loader: "pxe", Leg: pxe.LegRival, Server: c.server, File: c.file}
		for _, at := range []int{0, 1, 3} { // before our own offer, or after it
			events := append(append(append([]pxe.Event{}, told[:at]...), rival), told[at:]...)
			events = append(events, story(c.more...)...)
			got := pxe.Diagnose(pxe.Findings{Events: events, Now: told[0].Time.Add(time.Hour), Listening: true})
			if got.Code != c.code || !strings.Contains(got.Fact, c.fact) {
				t.Errorf("%s, heard as event %d: %+v; want %s, %q", c.name, at, got, c.code, c.fact)
			}
		}
	}
}

// TestALateFirstRequestIsTheSwitch: what firmware says of the time for which it asks tells a switch that holds packets
// back from a DHCP server that does not answer.
func TestALateFirstRequestIsTheSwitch(t *testing.T) {
	for waited, want := range map[int]job.Code{0: job.BootNoRequest, 4: job.BootNoRequest, 8: job.BootSpanningTree, 60: job.BootSpanningTree} {
		events := story(line{0, "pxe", pxe.LegDiscover, "", "", 0, 0, ""}, line{0, "pxe", pxe.LegOffer, "", "", 0, 0, ""}, line{20, "pxe", pxe.LegDiscover, "", "", 0, 0, ""})
		events[0].Waited, events[2].Waited = waited, waited+20
		if got := pxe.Diagnose(pxe.Findings{Events: events, Now: events[2].Time.Add(time.Hour), Listening: true}); got.Code != want {
			t.Errorf("first heard after %d s: %+v; want %s", waited, got, want)
		}
	}
}
