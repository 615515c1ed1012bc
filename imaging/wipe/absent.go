package wipe

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Controller is a storage controller on the PCI bus.
type Controller struct {
	Address string // 0000:00:17.0
	Class   uint32 // 01 and its subclass, as sysfs writes it: 0x010601
	Vendor  uint16
	Driver  string // of the kernel; empty when none took it
	Hides   int    // NVMe drives that Intel RST keeps behind an AHCI controller, where no driver reaches them
}

// PCI's classes of storage (base class 01).
const (
	pciStorage  = 0x01
	pciRAID     = 0x0104
	pciNVMe     = 0x0108
	pciAHCI     = 0x0106
	vendorIntel = 0x8086
)

// Controllers lists the storage controllers under sys ("/sys").
func Controllers(sys string) ([]Controller, error) {
	dirs, err := filepath.Glob(filepath.Join(sys, "bus/pci/devices/*"))
	if err != nil {
		return nil, err
	}
	var out []Controller
	for _, d := range dirs {
		c := Controller{Address: filepath.Base(d)}
		if c.Class = uint32(number(d, "class")); c.Class>>16 != pciStorage {
			continue
		}
		c.Vendor = uint16(number(d, "vendor"))
		if l, err := os.Readlink(filepath.Join(d, "driver")); err == nil {
			c.Driver = filepath.Base(l)
		}
		if b, err := os.ReadFile(filepath.Join(d, "remapped_nvme")); err == nil { // of the AHCI driver
			c.Hides, _ = strconv.Atoi(strings.TrimSpace(string(b))) // anything else tells of none
		}
		out = append(out, c)
	}
	return out, nil
}

func number(dir, attr string) uint64 {
	b, err := os.ReadFile(filepath.Join(dir, attr))
	if err != nil {
		return 0
	}
	var n uint64
	if _, err := fmt.Sscanf(strings.TrimSpace(string(b)), "0x%x", &n); err != nil {
		return 0
	}
	return n
}

// Absent says why a laptop shows no drive, or fewer than it should, as far as its controllers tell. There is always an
// answer: that nothing was found is a failure, and never "nothing to wipe".
func Absent(found int, cs []Controller) (Cause, string) {
	for _, c := range cs {
		switch {
		case c.Hides > 0:
			return CauseNoDrive, fmt.Sprintf("the controller at %s is in RAID mode (Intel RST) and hides %d NVMe drives: set it to AHCI in the firmware's setup, wipe, and set it back", c.Address, c.Hides)
		case c.Class>>8 == pciRAID && c.Driver == "":
			return CauseNoDrive, fmt.Sprintf("the controller at %s is in RAID mode (Intel RST or VMD) and hides its drives: set it to AHCI or NVMe in the firmware's setup, wipe, and set it back", c.Address)
		case c.Driver == "" && (c.Class>>8 == pciNVMe || c.Class>>8 == pciAHCI):
			return CauseNoDrive, fmt.Sprintf("the controller at %s has no driver here, so its drives are not seen", c.Address)
		}
	}
	if found > 0 {
		return "", ""
	}
	if len(cs) == 0 {
		return CauseNoDrive, "no drive and no storage controller was found: the drive may be removed or switched off in the firmware's setup"
	}
	return CauseNoDrive, fmt.Sprintf("no drive was found on %d controllers: it may be removed, dead, or switched off in the firmware's setup", len(cs))
}
