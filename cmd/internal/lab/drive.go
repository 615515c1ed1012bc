package lab

import (
	"fmt"
	"os"
	"path/filepath"
)

// Bus is how a drive is attached.
type Bus string

// The buses that laptops have, and virtio, which starts fastest.
const (
	NVMe   Bus = "nvme"
	SATA   Bus = "sata"
	Virtio Bus = "virtio"
	USB    Bus = "usb"
)

// Drive is one drive of a laptop. Its bytes persist in a sparse file.
type Drive struct {
	Bus        Bus
	Serial     string
	Size       int64  // bytes
	SectorSize int    // logical, bytes; 0 means 512
	Cache      string // QEMU's cache mode; "" means unsafe (fast); "none" lets a kill lose what was not written
	Source     string // what lies under the drive instead of its file: an NBD URL
	WriteLimit int64  // bytes per second that the drive takes; 0 means as fast as the host
	File       string // an existing file that holds the drive's bytes, a stick's; "" makes a new one of Size bytes
	Platter    bool   // a SATA drive tells that it rotates
	First      bool   // the firmware starts from it before everything else

	path string
}

// Path is the file that holds the drive's bytes. It may be read while the laptop is off.
func (d *Drive) Path() string { return d.path }

// fit makes the drive's file, once.
func (d *Drive) fit(dir string, n int) error {
	if d.path != "" {
		return nil
	}
	if d.File != "" {
		d.path = d.File
		return nil
	}
	d.path = filepath.Join(dir, fmt.Sprintf("drive%d.raw", n))
	f, err := os.OpenFile(d.path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	if err := f.Truncate(d.Size); err != nil {
		f.Close()
		return fmt.Errorf("fit drive %d: %w", n, err)
	}
	return f.Close()
}

// args attaches the drive as number n. bootIndex is its place in the firmware's order.
func (d *Drive) args(n, bootIndex int) ([]string, error) {
	id := fmt.Sprintf("d%d", n)
	if d.First {
		bootIndex = 0
	}
	cache := d.Cache
	if cache == "" {
		cache = "unsafe"
	}
	file := d.path
	if d.Source != "" {
		file = d.Source
	}
	tail := fmt.Sprintf(",drive=%s,serial=%s,bootindex=%d", id, d.Serial, bootIndex)
	if d.SectorSize != 0 {
		tail += fmt.Sprintf(",logical_block_size=%d,physical_block_size=%d", d.SectorSize, d.SectorSize)
	}
	limit := ""
	if d.WriteLimit != 0 {
		limit = fmt.Sprintf(",throttling.bps-write=%d", d.WriteLimit)
	}
	var device string
	switch d.Bus {
	case NVMe:
		device = "nvme" + tail
	case SATA:
		rate := 1
		if d.Platter {
			rate = 7200
		}
		device = fmt.Sprintf("ide-hd,bus=ide.%d,model=LABDISK,rotation_rate=%d", n, rate) + tail // q35 has AHCI built in
	case Virtio:
		device = "virtio-blk-pci" + tail
	case USB:
		device = fmt.Sprintf("usb-storage,drive=%s,serial=%s,removable=on,bootindex=%d", id, d.Serial, bootIndex)
	default:
		return nil, fmt.Errorf("a drive on bus %q is not known", d.Bus)
	}
	return []string{
		"-drive", fmt.Sprintf("file=%s,format=raw,if=none,id=%s,discard=unmap,detect-zeroes=off,cache=%s", file, id, cache) + limit,
		"-device", device,
	}, nil
}
