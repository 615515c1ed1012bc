package inspect

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"ingot/imaging/fs"
)

// linux looks into a Linux.
func (l *look) linux() {
	l.osRelease()
	l.debian()
	l.rpm()
	for _, check := range []func(){l.machineID, l.hostKeys, l.cloudInit, l.networkCards, l.wifi, l.iscsi, l.journals, l.traces} {
		if l.ctx.Err() == nil {
			check()
		}
	}
}

// osRelease reads os-release(5), with the quotes of a shell.
func (l *look) osRelease() {
	b := l.tree.read("/etc/os-release")
	if b == nil {
		b = l.tree.read("/usr/lib/os-release")
	}
	rel := map[string]string{}
	for line := range bytes.Lines(b) {
		key, value, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		if ok && !strings.HasPrefix(key, "#") {
			rel[key] = clean(strings.Trim(value, `"'`))
		}
	}
	l.System = System{Family: "linux", ID: rel["ID"], Name: rel["PRETTY_NAME"], Edition: rel["VARIANT"], Version: rel["VERSION_ID"], Build: rel["BUILD_ID"], SupportEnd: rel["SUPPORT_END"]}
	if l.System.Name == "" {
		l.System.Name = rel["NAME"]
	}
	if rel["ID"] == "debian" || rel["ID"] == "ubuntu" { // the point release
		if v := clean(string(l.tree.read("/etc/debian_version"))); rel["ID"] == "debian" && v != "" {
			l.System.Build = v
		}
	}
	var kernels []string
	for _, e := range l.tree.list("/lib/modules") {
		if e.Mode == fs.Dir {
			kernels = append(kernels, clean(e.Name))
		}
	}
	if len(kernels) > 0 {
		l.System.Kernel = slices.MaxFunc(kernels, Compare)
	}
}

func (l *look) machineID() {
	const check, next = "linux-machine-id", "Run \"truncate -s 0 /etc/machine-id; rm -f /var/lib/dbus/machine-id\" on the reference machine."
	id := strings.TrimSpace(string(l.tree.read("/etc/machine-id")))
	dbus := l.dbusID()
	if (id == "" || id == "uninitialized") && !dbus {
		l.find(check, Green, "The machine-id is empty: each laptop makes its own.", "")
		return
	}
	fact := "The machine-id of the reference machine is set: laptops with the same one get the same DHCP identity."
	if id == "" || id == "uninitialized" {
		fact = "D-Bus keeps the machine-id of the reference machine."
	}
	l.renewable(check, fact, next)
}

// dbusID reports a copy of the id that is no link to the other one.
func (l *look) dbusID() bool {
	for _, e := range l.tree.list("/var/lib/dbus") {
		if e.Name == "machine-id" && e.Mode == fs.Regular && e.Size > 0 {
			return true
		}
	}
	return false
}

// renewable is red, unless Ingot itself mends it at every deploy.
func (l *look) renewable(check, fact, next string) {
	if l.renewed {
		l.find(check, Yellow, fact+" Ingot makes a new one at every deploy that gives a name.", next)
		return
	}
	l.find(check, Red, fact, next)
}

func (l *look) hostKeys() {
	found := l.tree.match("/etc/ssh/ssh_host_*_key")
	if len(found) == 0 {
		l.find("linux-ssh-host-keys", Green, "There are no SSH host keys.", "")
		return
	}
	l.renewable("linux-ssh-host-keys", fmt.Sprintf("%d SSH host keys of the reference machine are in the image: any laptop could pass for any other.", len(found)),
		"Run \"rm /etc/ssh/ssh_host_*\" on the reference machine, and see that a unit makes new ones.")
}

// cloudInit looks for the state of an instance, and for what may rename a laptop.
func (l *look) cloudInit() {
	const check = "linux-cloud-init"
	installed := l.tree.isFile("/usr/bin/cloud-init")
	state := l.tree.match("/var/lib/cloud/instances/*")
	switch {
	case len(state) > 0:
		l.renewable(check, "cloud-init has run on the reference machine and takes each laptop for the same instance.", "Run \"cloud-init clean --logs\" on the reference machine.")
	case !installed:
		l.find(check, Green, "cloud-init is not installed.", "")
	case l.tree.isFile("/etc/cloud/cloud-init.disabled"):
		l.find(check, Green, "cloud-init is installed and switched off.", "")
	case !l.renewed && !l.cloudConfig(`(?m)^\s*preserve_hostname:\s*true`) && !l.cloudConfig(`(?m)^\s*datasource_list:\s*\[\s*(NoCloud|None)[\s,]*(None)?\s*\]`):
		l.find(check, Yellow, "cloud-init is installed and may give a laptop another name from the network it is in.", "Set \"datasource_list: [ NoCloud, None ]\" in /etc/cloud/cloud.cfg.d, or switch it off.")
	default:
		l.find(check, Green, "cloud-init is installed, has not run, and gives no other name.", "")
	}
}

func (l *look) cloudConfig(pattern string) bool {
	re := regexp.MustCompile(pattern)
	for _, p := range append([]string{"/etc/cloud/cloud.cfg"}, l.tree.match("/etc/cloud/cloud.cfg.d/*.cfg")...) {
		if re.Match(l.tree.read(p)) {
			return true
		}
	}
	return false
}

// cardRules are places that tie a network setting to one adapter, and what does it there.
var cardRules = []struct{ place, pattern string }{
	{"/etc/udev/rules.d/*persistent-net*.rules", `(?m)^[^#\n]`},
	{"/etc/udev/rules.d/*.rules", `(?im)^[^#\n]*ATTR\{address\}\s*==`},
	{"/etc/NetworkManager/system-connections/*", `(?im)^\s*mac-address\s*=\s*[0-9a-f]{2}:`},
	{"/etc/sysconfig/network-scripts/ifcfg-*", `(?im)^\s*HWADDR\s*=`},
	{"/etc/systemd/network/*", `(?im)^\s*(PermanentMACAddress|MACAddress)\s*=\s*[0-9a-f]{2}[:-]`},
	{"/etc/netplan/*.yaml", `(?im)^\s*macaddress\s*:`},
}

func (l *look) networkCards() {
	var found []string
	for _, r := range cardRules {
		re := regexp.MustCompile(r.pattern)
		for _, p := range l.tree.match(r.place) {
			if !slices.Contains(found, p) && l.tree.isFile(p) && re.Match(l.tree.read(p)) {
				found = append(found, p)
			}
		}
	}
	l.told("linux-network-cards", found, "No network setting is tied to one adapter.", "Network settings are tied to the adapter of the reference machine: ", "Remove the adapter's address from them; other laptops would have no network.")
}

// told is a green finding when nothing was found, else a yellow one.
func (l *look) told(check string, found []string, none, some, next string) {
	if len(found) == 0 {
		l.find(check, Green, none, "")
		return
	}
	l.find(check, Yellow, some+join(cleaned(found), len(found))+".", next)
}

// wifiPlaces are where the networks that a machine knows are kept.
var wifiPlaces = []struct{ place, pattern string }{
	{"/etc/NetworkManager/system-connections/*", `(?im)^\s*(type\s*=\s*(wifi|802-11-wireless)|psk\s*=)`},
	{"/etc/wpa_supplicant/*.conf", `(?im)^\s*(psk|password|wep_key0)\s*=`},
	{"/var/lib/iwd/*.psk", `.`}, {"/var/lib/iwd/*.8021x", `.`},
	{"/etc/netplan/*.yaml", `(?im)^\s*wifis\s*:`},
}

func (l *look) wifi() {
	var found []string
	for _, w := range wifiPlaces {
		re := regexp.MustCompile(w.pattern)
		for _, p := range l.tree.match(w.place) {
			if !slices.Contains(found, p) && l.tree.isFile(p) && re.Match(l.tree.read(p)) {
				found = append(found, p)
			}
		}
	}
	l.told("linux-wifi", found, "No Wi-Fi is saved.", "Wi-Fi networks and their keys are saved: ", "Remove those that not every laptop is to know.")
}

func (l *look) iscsi() {
	b := l.tree.read("/etc/iscsi/initiatorname.iscsi")
	if !regexp.MustCompile(`(?m)^\s*InitiatorName=`).Match(b) {
		return
	}
	l.find("linux-iscsi", Yellow, "The iSCSI name of the reference machine is set.", "Put \"GenerateName=yes\" into /etc/iscsi/initiatorname.iscsi.")
}

// journals finds what was logged on the reference machine.
func (l *look) journals() {
	found := l.tree.match("/var/log/journal/*/*.journal")
	for _, name := range []string{"syslog", "messages", "auth.log", "secure", "wtmp", "audit/audit.log"} {
		found = append(found, l.tree.match(path.Join("/var/log", name))...)
	}
	l.told("linux-logs", found, "The logs are empty.", "Logs of the reference machine are in the image: ", "Run \"journalctl --rotate; journalctl --vacuum-time=1s\" and empty the files below /var/log.")
}

// section reads a file of any size in order.
func section(f *fs.File) io.Reader { return io.NewSectionReader(f, 0, f.Stat().Size) }
