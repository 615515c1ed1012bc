package doctor_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ingot/cmd/ingot/internal/doctor"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// healthy is a server on which nothing is wrong: a proxy with a running daemon.
func healthy() doctor.Facts {
	const pin = "sha256:aa"
	return doctor.Facts{
		Config:     doctor.Config{Path: "/etc/ingot/ingot.toml", There: true, Mode: "proxy"},
		Daemon:     doctor.Daemon{Answers: true, Systemd: true, Pid: 7, Since: now, Mode: "proxy", Interfaces: []string{"eth0"}, Pin: pin},
		Interfaces: []doctor.Interface{{Name: "eth0", There: true, Carrier: true, Net: netip.MustParsePrefix("10.0.0.5/24"), Server: netip.MustParseAddr("10.0.0.1")}},
		Ports: []doctor.Port{{Proto: "udp", Number: 67, What: "DHCP", Holders: []doctor.Holder{{Pid: 7, Name: "ingot"}}},
			{Proto: "tcp", Number: 8443, What: "agents", Holders: []doctor.Holder{{Pid: 7, Name: "ingot"}}}},
		Folder: doctor.Folder{Path: "/var/lib/ingot", There: true, Mode: 0o710, Owner: "ingot", Service: "ingot"},
		Disk:   doctor.Disk{Free: 100e9, Size: 200e9},
		Clock:  doctor.Clock{Now: now, Newest: now.Add(-time.Hour), What: "ingot.db", Synced: true},
		Bundle: doctor.Bundle{There: true, Built: now.Add(-48 * time.Hour)},
		Keys:   []doctor.Key{{Name: "agent.key", There: true, Mode: 0o600}, {Name: "jobs.key", There: true, Mode: 0o600}},
		Pin:    doctor.Pin{File: pin, Served: pin},
		Bench:  doctor.Bench{Known: true, OpenUntil: now.Add(time.Hour)},
		Images: doctor.Images{Known: true, Last: now.AddDate(0, 0, -3), Total: 7},
		Wired:  "eth0",
	}
}

func TestAHealthyServerHasNothingToDo(t *testing.T) {
	for _, f := range doctor.Judge(healthy()) {
		if f.Level != doctor.OK || f.Do != "" {
			t.Errorf("%+v", f)
		}
	}
}

// TestTheDoctorFinds breaks one thing of a healthy server at a time.
func TestTheDoctorFinds(t *testing.T) {
	denied := errors.New("permission denied")
	for _, c := range []struct {
		name  string
		broke func(*doctor.Facts)
		check string
		level doctor.Level
		text  string
		do    string
	}{
		{"a mistake in the configuration", func(f *doctor.Facts) { f.Config.Invalid = "The configuration holds an unknown key." }, "configuration", doctor.Fail, "unknown key", "Mend"},
		{"no configuration", func(f *doctor.Facts) { f.Config.There = false }, "configuration", doctor.Warn, "/etc/ingot/ingot.toml", "sudo ingot setup"},
		{"no data folder", func(f *doctor.Facts) { f.Folder.There = false }, "folder", doctor.Fail, "no data folder", "sudo ingot setup"},
		{"a folder open to all", func(f *doctor.Facts) { f.Folder.Mode = 0o755 }, "folder", doctor.Fail, "Everybody", "chmod o="},
		{"a folder that its group may list", func(f *doctor.Facts) { f.Folder.Mode = 0o750 }, "folder", doctor.Warn, "group", "chmod g=x"},
		{"a folder of root under a service", func(f *doctor.Facts) { f.Folder.Owner = "root" }, "folder", doctor.Fail, "belongs to root", "sudo ingot setup"},
		{"a file of root in the folder", func(f *doctor.Facts) { f.Folder.Others = []string{"ingot.db"} }, "folder", doctor.Fail, "ingot.db", "chown -hR ingot: /var/lib/ingot"},
		{"a folder that we may not see", func(f *doctor.Facts) { f.Folder.Err = denied }, "folder", doctor.Warn, "could not be looked at", "sudo ingot doctor"},
		{"a full disk", func(f *doctor.Facts) { f.Disk.Free = 1e9 }, "disk", doctor.Fail, "1.0 GB", "Make room"},
		{"little room", func(f *doctor.Facts) { f.Disk.Free = 10e9 }, "disk", doctor.Warn, "10.0 GB", "Make room"},
		{"a disk that cannot be measured", func(f *doctor.Facts) { f.Disk.Err = denied }, "disk", doctor.Warn, "could not", "sudo"},
		{"a clock before our own files", func(f *doctor.Facts) { f.Clock.Newest = now.Add(24 * time.Hour) }, "clock", doctor.Fail, "2026-11-26", "timedatectl"},
		{"a clock that nothing keeps", func(f *doctor.Facts) { f.Clock.Synced = false }, "clock", doctor.Warn, "wrong times", "timedatectl"},
		{"a clock that cannot be asked", func(f *doctor.Facts) { f.Clock.Err = denied }, "clock", doctor.Warn, "could not", "sudo"},
		{"a key that others read", func(f *doctor.Facts) { f.Keys[1].Mode = 0o640 }, "keys", doctor.Fail, "jobs.key (mode 640)", "chmod 600 jobs.key"},
		{"one key of two missing", func(f *doctor.Facts) { f.Keys[0].There = false }, "keys", doctor.Fail, "missing", "backup"},
		{"keys that we may not see", func(f *doctor.Facts) { f.Keys[0].Err = denied }, "keys", doctor.Warn, "agent.key could not", "sudo"},
		{"no bundle", func(f *doctor.Facts) { f.Bundle.There = false }, "bundle", doctor.Fail, "no boot bundle", "firmware build"},
		{"a damaged bundle", func(f *doctor.Facts) { f.Bundle.Problems = []string{"vmlinuz differs"} }, "bundle", doctor.Fail, "vmlinuz differs", "firmware build"},
		{"an old bundle", func(f *doctor.Facts) { f.Bundle.Built = now.AddDate(0, -6, 0) }, "bundle", doctor.Warn, "days old", "firmware build"},
		{"a bundle that we may not see", func(f *doctor.Facts) { f.Bundle.Err = denied }, "bundle", doctor.Warn, "could not", "sudo"},
		{"damaged pieces of images", func(f *doctor.Facts) { f.Images.Locked = 2 }, "images", doctor.Fail, "2 damaged pieces", "ingot check"},
		{"images that nobody has read for long", func(f *doctor.Facts) { f.Images.Last = now.AddDate(0, -2, 0) }, "images", doctor.Warn, "2026-09-25", "images.scrub"},
		{"no interface", func(f *doctor.Facts) { f.Interfaces = nil }, "interface", doctor.Fail, "no laptop is answered", "sudo ingot setup --interface eth0"},
		{"an interface that is gone", func(f *doctor.Facts) { f.Interfaces[0].There = false }, "interface", doctor.Fail, "no interface eth0", "Plug it in"},
		{"an interface without an address", func(f *doctor.Facts) { f.Interfaces[0].Net = netip.Prefix{} }, "interface", doctor.Fail, "no IPv4 address", "ip addr add"},
		{"a cable that is out", func(f *doctor.Facts) { f.Interfaces[0].Carrier = false }, "interface", doctor.Warn, "no signal", "cable"},
		{"a second DHCP server", func(f *doctor.Facts) { f.Config.Mode, f.Daemon.Mode = "dhcp", "dhcp" }, "dhcp", doctor.Fail, "10.0.0.1", "--mode proxy"},
		{"a proxy beside nobody", func(f *doctor.Facts) { f.Interfaces[0].Server = netip.Addr{} }, "dhcp", doctor.Warn, "no address", "--mode dhcp"},
		{"a link that cannot be asked", func(f *doctor.Facts) { f.Interfaces[0].ProbeErr = denied }, "dhcp", doctor.Warn, "could not", "sudo"},
		{"another program on our port", func(f *doctor.Facts) { f.Ports[0].Holders = []doctor.Holder{{Pid: 9, Name: "dnsmasq"}} }, "ports", doctor.Fail, "dnsmasq (pid 9) has UDP 67 (DHCP)", "Stop"},
		{"another program that we may not see", func(f *doctor.Facts) { f.Ports[0].Holders = []doctor.Holder{{}} }, "ports", doctor.Fail, "another user has UDP 67", "Stop"},
		{"another program beside us", func(f *doctor.Facts) {
			f.Ports[0].Holders = append(f.Ports[0].Holders, doctor.Holder{Pid: 9, Name: "dnsmasq"})
		}, "ports", doctor.Warn, "dnsmasq (pid 9) has UDP 67", "another interface"},
		{"a port that the daemon lost", func(f *doctor.Facts) { f.Ports[0].Holders = nil }, "ports", doctor.Fail, "does not listen on UDP 67", "restart"},
		{"ports that cannot be listed", func(f *doctor.Facts) { f.Ports[0].Err = denied }, "ports", doctor.Warn, "could not", "sudo"},
		{"a firewall that drops us", func(f *doctor.Facts) {
			f.Firewall.Rulesets = []doctor.Ruleset{doctor.ParseIptables("*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 8443 -j ACCEPT\nCOMMIT\n")}
		}, "firewall", doctor.Fail, "(iptables INPUT) drops UDP port 67 (DHCP) on eth0", "Allow UDP port 67 from eth0"},
		{"a firewall that may drop us", func(f *doctor.Facts) {
			f.Firewall.Rulesets = []doctor.Ruleset{doctor.ParseIptables("*filter\n:INPUT DROP [0:0]\n-A INPUT -s 10.0.0.0/8 -j ACCEPT\nCOMMIT\n")}
		}, "firewall", doctor.Warn, "may drop", "Allow"},
		{"a firewall that cannot be read", func(f *doctor.Facts) { f.Firewall.Err = denied }, "firewall", doctor.Warn, "could not", "sudo"},
		{"no daemon", func(f *doctor.Facts) { f.Daemon = doctor.Daemon{Systemd: true} }, "daemon", doctor.Fail, "No daemon", "systemctl start ingot"},
		{"no daemon and no systemd", func(f *doctor.Facts) { f.Daemon = doctor.Daemon{} }, "daemon", doctor.Fail, "No daemon", "sudo ingot daemon"},
		{"a socket that we may not use", func(f *doctor.Facts) { f.Daemon = doctor.Daemon{Denied: true} }, "daemon", doctor.Warn, "may not speak", "group ingot"},
		{"a daemon of older settings", func(f *doctor.Facts) { f.Daemon.Interfaces = []string{"eth1"} }, "daemon", doctor.Warn, "other settings (proxy on eth1)", "restart"},
		{"a daemon of another mode", func(f *doctor.Facts) { f.Daemon.Mode = "dhcp" }, "daemon", doctor.Warn, "other settings", "restart"},
		{"another key on our port", func(f *doctor.Facts) { f.Pin.Served = "sha256:bb" }, "pin", doctor.Fail, "every laptop would refuse", "what else listens"},
		{"a key file that was changed under the daemon", func(f *doctor.Facts) { f.Pin.File = "sha256:bb" }, "pin", doctor.Fail, "every laptop would refuse", "restart"},
		{"an agent listener that is silent", func(f *doctor.Facts) { f.Pin.Err = denied }, "pin", doctor.Fail, "does not answer", "restart"},
		{"a key file that we may not read", func(f *doctor.Facts) { f.Pin.File = "" }, "pin", doctor.Warn, "could not", "sudo"},
	} {
		f := healthy()
		c.broke(&f)
		all := doctor.Judge(f)
		hit := false
		for _, x := range all {
			if x.Level != doctor.OK && x.Do == "" {
				t.Errorf("%s: %q says nothing to do", c.name, x.Text)
			}
			hit = hit || x.Check == c.check && x.Level == c.level && strings.Contains(x.Text, c.text) && strings.Contains(x.Do, c.do)
		}
		if !hit {
			t.Errorf("%s: %+v; want %s %s %q, do %q", c.name, all, c.level, c.check, c.text, c.do)
		}
		if w := doctor.Worst(all); w != c.level && !(c.level == doctor.Warn && w == doctor.Fail) {
			t.Errorf("%s: the worst is %s; want %s", c.name, w, c.level)
		}
	}
}

func TestAClosedBenchIsNoFault(t *testing.T) {
	f := healthy()
	f.Bench.OpenUntil = time.Time{}
	all := doctor.Judge(f)
	if w := doctor.Worst(all); w != doctor.OK {
		t.Errorf("the worst is %s: %+v", w, all)
	}
}
