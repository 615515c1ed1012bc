// Package link brings the laptop onto the network and keeps it there.
//
// The idea: nobody knows beforehand which of the laptop's sockets the cable is in, and a USB adapter may appear
// late. So every wired adapter is set up, each with a signal asks for an address for as long as it takes, and the
// first one over which the daemon answers becomes the boot link: a route to the daemon's address leads through it.
// When its cable is pulled and another adapter reaches the daemon, the route moves there; when the cable comes
// back, everything goes on. What is wrong on the way is told in sentences: no adapter, no signal, no address, no
// answer, no driver, no firmware.
//
// nics.go reads sysfs, lease.go turns a DHCP answer into settings, route.go writes them by netlink, manager.go is
// the loop around them.
package link

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ingot/imaging/job"
)

// Wired lists the wired adapters that sysfs (/sys) shows: those that belong to a device, speak Ethernet and are
// not wireless. Bridges, tunnels and lo belong to no device.
func Wired(sys string) []job.Link {
	class := filepath.Join(sys, "class/net")
	entries, err := os.ReadDir(class)
	if err != nil {
		return nil
	}
	var out []job.Link
	for _, e := range entries {
		dir := filepath.Join(class, e.Name())
		if exists(dir, "device") && !exists(dir, "wireless") && !exists(dir, "phy80211") && word(dir, "type") == "1" && !modem(dir) {
			out = append(out, describe(dir, e.Name()))
		}
	}
	return out
}

// modem reports whether an adapter is a mobile modem, which carries no bench network.
func modem(dir string) bool { return strings.Contains(word(dir, "uevent"), "DEVTYPE=wwan") }

func describe(dir, name string) job.Link {
	l := job.Link{Name: name, MAC: word(dir, "address"), Carrier: word(dir, "carrier") == "1",
		Driver: target(dir, "device/driver"), Bus: target(dir, "device/subsystem")}
	if l.Bus == "pci" && outside(dir) {
		l.Bus = "external"
	}
	if n, err := strconv.Atoi(word(dir, "speed")); err == nil && n > 0 && n < 1_000_000 {
		l.SpeedMbps = n
	}
	return l
}

// outside reports whether an adapter on PCI sits behind a port that the firmware marks as leading out of the case: a
// Thunderbolt dock goes from one laptop to the next, as a USB one does.
func outside(dir string) bool {
	place, err := filepath.EvalSymlinks(filepath.Join(dir, "device"))
	if err != nil {
		return false
	}
	for ; len(place) > 1; place = filepath.Dir(place) {
		if word(place, "removable") == "removable" {
			return true
		}
	}
	return false
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// word is a sysfs attribute without its newline, or nothing: an adapter that is down answers some with an error.
func word(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// target is the last element of what a link leads to.
func target(dir, name string) string {
	to, err := os.Readlink(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return filepath.Base(to)
}

// Driverless says, a sentence each, which Ethernet controllers on PCI have no driver.
func Driverless(sys string) []string {
	devices := filepath.Join(sys, "bus/pci/devices")
	entries, err := os.ReadDir(devices)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		dir := filepath.Join(devices, e.Name())
		if strings.HasPrefix(word(dir, "class"), "0x0200") && !exists(dir, "driver") {
			out = append(out, fmt.Sprintf("The network adapter %s:%s has no driver in the boot bundle.",
				strings.TrimPrefix(word(dir, "vendor"), "0x"), strings.TrimPrefix(word(dir, "device"), "0x")))
		}
	}
	return out
}

// MissingFirmware finds in a line of the kernel's log that a driver wanted a firmware file in vain.
func MissingFirmware(line string) (file string, found bool) {
	if !strings.Contains(line, "irmware") {
		return "", false
	}
	for _, before := range []string{"failed to load ", "Direct firmware load for "} {
		if _, file, found = strings.Cut(line, before); !found {
			continue
		}
		rest := strings.TrimLeft(file, job.Letters+job.Digits+"_./+-")
		if n := min(len(file)-len(rest), 100); n > 0 {
			return file[:n], true
		}
	}
	return "", false
}
