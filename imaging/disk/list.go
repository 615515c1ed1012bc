package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"ingot/imaging/job"
)

// isDriveName reports whether a block device can be a laptop's drive. Loop, RAM, zram, device-mapper and network
// devices, and an eMMC's boot and RPMB areas, are none.
func isDriveName(s string) bool {
	const most = 32
	if rest, ok := strings.CutPrefix(s, "nvme"); ok {
		controller, namespace, ok := strings.Cut(rest, "n")
		return ok && job.Consists(controller, 1, most, job.Digits) && job.Consists(namespace, 1, most, job.Digits)
	}
	if rest, ok := strings.CutPrefix(s, "mmcblk"); ok {
		return job.Consists(rest, 1, most, job.Digits)
	}
	rest, ok := strings.CutPrefix(s, "sd")
	if !ok {
		rest, ok = strings.CutPrefix(s, "vd")
	}
	return ok && job.Consists(rest, 1, most, job.Lower)
}

// maxAttr bounds one sysfs attribute; drives choose what stands in theirs.
const maxAttr = 4096

// List reads the drives under sys ("/sys") in the order of their names. A drive without a medium (a card
// reader) is left out. A drive that tells no serial is listed: it can be shown, and never be a target.
func List(sys string) ([]job.Drive, error) {
	entries, err := os.ReadDir(filepath.Join(sys, "block"))
	if err != nil {
		return nil, fmt.Errorf("list drives: %w", err)
	}
	var out []job.Drive
	for _, e := range entries {
		if !isDriveName(e.Name()) {
			continue
		}
		dir, err := filepath.EvalSymlinks(filepath.Join(sys, "block", e.Name()))
		if err != nil {
			continue // unplugged between the two calls
		}
		if d := readDrive(dir, e.Name()); d.SizeBytes > 0 && attr(dir, "hidden") != "1" {
			out = append(out, d)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out, nil
}

// readDrive gathers what sysfs tells about the drive at dir, a path without symlinks.
func readDrive(dir, name string) job.Drive {
	sectors, _ := strconv.ParseUint(attr(dir, "size"), 10, 54) // in units of 512 bytes, whatever the drive's sector
	sector, _ := strconv.Atoi(attr(dir, "queue/logical_block_size"))
	return job.Drive{
		Path:       "/dev/" + name,
		Serial:     serial(dir),
		WWN:        wwn(dir),
		Model:      model(dir),
		Transport:  transport(dir, name),
		SizeBytes:  sectors * 512,
		SectorSize: sector,
		Rotational: attr(dir, "queue/rotational") == "1",
		Removable:  removable(dir, name),
		ReadOnly:   attr(dir, "ro") == "1",
	}
}

// serial asks where each kind of drive keeps it: NVMe and eMMC in an attribute of the device, virtio in one of
// the block device, SCSI and SATA in the unit serial number page (SPC-4, VPD page 80h: 4 bytes of header).
func serial(dir string) string {
	for _, a := range []string{"device/serial", "serial"} {
		if s := attr(dir, a); s != "" {
			return s
		}
	}
	page := rawAttr(dir, "device/vpd_pg80")
	if len(page) < 4 {
		return ""
	}
	n := int(page[2])<<8 | int(page[3])
	return clean(page[4:min(len(page), 4+n)])
}

// wwn is the drive's world-wide name. SCSI's "t10." names are made of model and serial, so they add nothing
// and are left out.
func wwn(dir string) string {
	for _, a := range []string{"wwid", "device/wwid", "device/cid"} {
		if s := attr(dir, a); s != "" && !strings.HasPrefix(s, "t10.") {
			return s
		}
	}
	return ""
}

func model(dir string) string {
	for _, a := range []string{"device/model", "device/name"} {
		if s := attr(dir, a); s != "" {
			return s
		}
	}
	return ""
}

// below reports whether a folder on the way to dir is called kind and a number: usb1, ata2.
func below(dir, kind string) bool {
	return slices.ContainsFunc(strings.Split(filepath.Dir(dir), "/"), func(s string) bool {
		n, ok := strings.CutPrefix(s, kind)
		return ok && job.Consists(n, 1, len(s), job.Digits)
	})
}

// transport reads the bus from the device's own path: a USB bridge calls itself SATA as it likes, but its
// place below a USB controller cannot lie.
func transport(dir, name string) string {
	switch {
	case below(dir, "usb"):
		return "usb"
	case strings.HasPrefix(name, "nvme"):
		return "nvme"
	case strings.HasPrefix(name, "vd"), strings.Contains(dir, "/virtio"):
		return "virtio"
	case strings.HasPrefix(name, "mmcblk"):
		return "mmc"
	case below(dir, "ata"):
		return "sata"
	case strings.Contains(dir, "ufs"):
		return "ufs"
	}
	return "scsi"
}

// removable is true for what a person can carry away with another laptop's data on it: removable media, USB,
// SD cards, and anything behind a port that the firmware marks as leading outside (Thunderbolt).
func removable(dir, name string) bool {
	if attr(dir, "removable") == "1" || below(dir, "usb") {
		return true
	}
	if strings.HasPrefix(name, "mmcblk") && attr(dir, "device/type") != "MMC" {
		return true
	}
	for _, place := range append(controllers(dir), dir) {
		for up := filepath.Dir(place); len(up) > len("/sys/devices"); up = filepath.Dir(up) {
			if attr(up, "removable") == "removable" {
				return true
			}
		}
	}
	return false
}

// controllers finds where an NVMe drive is plugged in when the kernel shows it by its subsystem (native
// multipath): the drive's own path is a virtual one then.
func controllers(dir string) []string {
	links, err := filepath.Glob(filepath.Join(dir, "device", "nvme[0-9]*"))
	if err != nil {
		return nil
	}
	var out []string
	for _, l := range links {
		if p, err := filepath.EvalSymlinks(l); err == nil {
			out = append(out, p)
		}
	}
	return out
}

func attr(dir, name string) string { return clean(rawAttr(dir, name)) }

func rawAttr(dir, name string) []byte {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil
	}
	defer f.Close() // reading only
	b := make([]byte, maxAttr)
	n, err := f.Read(b)
	if err != nil {
		return nil
	}
	return b[:n]
}

// clean keeps printable ASCII without the padding around it, at most 128 characters: these strings come from
// a stranger's firmware and end on pages and in logs.
func clean(b []byte) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(b))
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[:min(len(s), 128)])
}
