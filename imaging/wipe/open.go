package wipe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"ingot/imaging/passthru"
)

// Opened is a drive of this machine: a Port over its device node.
type Opened struct {
	passthru.Device
	sys string
	who func(*os.File) (Facts, error)
}

// Open opens a drive exclusively, past the page cache. sys is "/sys"; who says what the kernel tells of the open file,
// found by its number and not by its name.
func Open(sys, path string, who func(*os.File) (Facts, error)) (*Opened, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_EXCL|unix.O_DIRECT, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s for wiping: %w", path, err)
	}
	return &Opened{Device: passthru.Device{File: f}, sys: sys, who: who}, nil
}

// Close closes the device node.
func (o *Opened) Close() error { return o.File.Close() }

// Facts asks the kernel again, and takes size and sector from the open node itself.
func (o *Opened) Facts() (Facts, error) {
	f, err := o.who(o.File)
	if err != nil {
		return Facts{}, err
	}
	if f.SizeBytes, f.SectorSize, err = o.Geometry(); err != nil {
		return Facts{}, err
	}
	if f.Behind == "" {
		f.Behind = behind(filepath.Join(o.sys, "class/block", filepath.Base(f.Path)), f.Transport)
	}
	return f, nil
}

// ReadAt and WriteAt want whole sectors at aligned addresses, as the engine uses them.
func (o *Opened) ReadAt(p []byte, off int64) (int, error)  { return o.File.ReadAt(p, off) }
func (o *Opened) WriteAt(p []byte, off int64) (int, error) { return o.File.WriteAt(p, off) }

// Flush asks for everything to be on the medium.
func (o *Opened) Flush() error { return o.File.Sync() }

// Direct is true: the node was opened with O_DIRECT.
func (o *Opened) Direct() bool { return true }

// Rescan makes the kernel ask the drive for its size again, where it can.
func (o *Opened) Rescan() error {
	name := filepath.Base(o.File.Name())
	for _, attr := range []string{"device/rescan", "device/rescan_controller"} {
		err := os.WriteFile(filepath.Join(o.sys, "class/block", name, attr), []byte("1"), 0)
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil // eMMC: its size never changes
}

// Boot opens an eMMC's boot areas for writing.
func (o *Opened) Boot() ([]Area, error) {
	var out []Area
	for _, n := range []string{"boot0", "boot1"} {
		name := filepath.Base(o.File.Name()) + n
		if _, err := os.Stat(filepath.Join(o.sys, "class/block", name)); err != nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(o.sys, "class/block", name, "force_ro"), []byte("0"), 0); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(filepath.Join(filepath.Dir(o.File.Name()), name), os.O_RDWR|os.O_EXCL|unix.O_DIRECT, 0)
		if err != nil {
			return nil, err
		}
		a := &bootArea{Device: passthru.Device{File: f}, name: name}
		if a.size, _, err = a.Geometry(); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		out = append(out, a)
	}
	return out, nil
}

type bootArea struct {
	passthru.Device
	name string
	size uint64
}

func (a *bootArea) Name() string                             { return a.name }
func (a *bootArea) Size() uint64                             { return a.size }
func (a *bootArea) Flush() error                             { return a.File.Sync() }
func (a *bootArea) ReadAt(p []byte, off int64) (int, error)  { return a.File.ReadAt(p, off) }
func (a *bootArea) WriteAt(p []byte, off int64) (int, error) { return a.File.WriteAt(p, off) }

// behind says what stands between this machine and the drive itself, by the place in sysfs: a USB bridge, a RAID
// controller that shows volumes, a hypervisor. Behind Intel's VMD lies the drive itself, so it is none of these.
func behind(link, transport string) string {
	dir, err := filepath.EvalSymlinks(link)
	if err != nil {
		return ""
	}
	switch {
	case transport == "usb":
		return "a USB bridge"
	case transport == "virtio":
		return "a virtual machine's disk"
	case transport == "scsi":
		if d := driverAbove(dir); d != "" {
			return "the controller " + d
		}
		return "a SCSI controller"
	}
	return ""
}

// driverAbove names the driver of the controller that a drive hangs on.
func driverAbove(dir string) string {
	for up := filepath.Dir(dir); len(up) > len("/sys/devices"); up = filepath.Dir(up) {
		d, err := os.Readlink(filepath.Join(up, "driver"))
		if err == nil && !strings.HasSuffix(d, "/sd") {
			return filepath.Base(d)
		}
	}
	return ""
}
