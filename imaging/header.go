package imaging

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Versions of the formats. A manifest is written in the lowest version that can tell its Params, and every version up to
// ManifestVersion is read.
const (
	ManifestVersion = 2
	PackVersion     = 1
)

// MaxDisk bounds a disk in bytes, so that no sum of offsets can overflow.
const MaxDisk = 1 << 52

const (
	maxHeader     = 256 << 10 // bytes of JSON
	maxPartitions = 256
	maxText       = 256 // bytes of any text in the header
)

// Partition is one partition of the imaged disk, as its table tells it.
type Partition struct {
	Number     int    `json:"number"` // GPT entry number from 1
	TypeGUID   string `json:"type_guid,omitempty"`
	UniqueGUID string `json:"unique_guid,omitempty"`
	Name       string `json:"name,omitempty"`
	FirstLBA   uint64 `json:"first_lba"` // in sectors of Header.SectorSize
	LastLBA    uint64 `json:"last_lba"`  // inclusive
	FileSystem string `json:"file_system,omitempty"`
	Label      string `json:"label,omitempty"`
	UUID       string `json:"uuid,omitempty"`
	Grow       bool   `json:"grow,omitempty"`
}

// OSInfo is what capture found out about the installed system.
type OSInfo struct {
	ID          string `json:"id,omitempty"`          // os-release ID
	Name        string `json:"name,omitempty"`        // os-release PRETTY_NAME
	Personalise string `json:"personalise,omitempty"` // "linux", or "" when it cannot be given a name
}

// Header is what a manifest says about its disk as a whole. The counts at its end are filled in by the
// ManifestWriter. RootPartition, GrowPartition and SwapPartition are partition numbers, 0 for none.
type Header struct {
	FormatVersion int         `json:"format_version"`
	DiskSize      uint64      `json:"disk_size"`   // bytes
	SectorSize    int         `json:"sector_size"` // logical: 512 or 4096
	Table         string      `json:"table"`       // "gpt", "mbr" or "none"
	Partitions    []Partition `json:"partitions,omitempty"`
	Params        Params      `json:"params"`
	RootPartition int         `json:"root_partition,omitempty"`
	GrowPartition int         `json:"grow_partition,omitempty"`
	SwapPartition int         `json:"swap_partition,omitempty"`
	Firmware      []string    `json:"firmware,omitempty"` // modes that the disk can start in: "uefi" (fallback loader present), "bios"
	OS            OSInfo      `json:"os"`
	Extents       uint64      `json:"extents"`
	DataExtents   uint64      `json:"data_extents"`
	DataBytes     uint64      `json:"data_bytes"`
	ZeroBytes     uint64      `json:"zero_bytes"`
	FreeBytes     uint64      `json:"free_bytes"`
}

// Validate checks every bound of a header that may come from a stranger, except the counts.
func (h Header) Validate() error {
	if h.FormatVersion != h.Params.version() {
		return fmt.Errorf("format version %d, its parameters belong to version %d", h.FormatVersion, h.Params.version())
	}
	if h.SectorSize != 512 && h.SectorSize != 4096 {
		return fmt.Errorf("sector size %d is neither 512 nor 4096", h.SectorSize)
	}
	if h.DiskSize == 0 || h.DiskSize > MaxDisk || h.DiskSize%uint64(h.SectorSize) != 0 {
		return fmt.Errorf("disk size %d is not a whole number of sectors up to %d bytes", h.DiskSize, uint64(MaxDisk))
	}
	if h.Table != "gpt" && h.Table != "mbr" && h.Table != "none" {
		return fmt.Errorf("partition table %q is none of gpt, mbr, none", clip(h.Table))
	}
	if err := h.Params.Validate(); err != nil {
		return err
	}
	if len(h.OS.ID) > maxText || len(h.OS.Name) > maxText || (h.OS.Personalise != "" && h.OS.Personalise != "linux") {
		return fmt.Errorf("description of the system is out of bounds")
	}
	for i, f := range h.Firmware {
		if (f != "uefi" && f != "bios") || i > 1 {
			return fmt.Errorf("firmware mode %q is neither uefi nor bios, or one too many", clip(f))
		}
	}
	return h.validatePartitions()
}

func (h Header) validatePartitions() error {
	if len(h.Partitions) > maxPartitions || (h.Table == "none" && len(h.Partitions) > 0) {
		return fmt.Errorf("%d partitions in a table of kind %s", len(h.Partitions), h.Table)
	}
	numbers := map[int]bool{0: true}
	for _, p := range h.Partitions {
		if p.Number < 1 || numbers[p.Number] {
			return fmt.Errorf("partition number %d is out of bounds or there twice", p.Number)
		}
		numbers[p.Number] = true
		if p.FirstLBA > p.LastLBA || p.LastLBA >= h.DiskSize/uint64(h.SectorSize) {
			return fmt.Errorf("partition %d, sectors %d to %d, does not lie on the disk", p.Number, p.FirstLBA, p.LastLBA)
		}
		for _, t := range []string{p.TypeGUID, p.UniqueGUID, p.Name, p.FileSystem, p.Label, p.UUID} {
			if len(t) > maxText {
				return fmt.Errorf("partition %d has a text of %d bytes", p.Number, len(t))
			}
		}
	}
	for _, n := range []int{h.RootPartition, h.GrowPartition, h.SwapPartition} {
		if !numbers[n] {
			return fmt.Errorf("partition %d is named but not there", n)
		}
	}
	return nil
}

// parseHeader reads the JSON strictly: an unknown field belongs to a format that this program does not know.
func parseHeader(b []byte) (Header, error) {
	var h Header
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return Header{}, fmt.Errorf("read header: %w", err)
	}
	if dec.InputOffset() != int64(len(b)) {
		return Header{}, fmt.Errorf("read header: bytes behind the JSON")
	}
	return h, h.Validate()
}

// Partition finds a partition by its number.
func (h Header) Partition(number int) (Partition, bool) {
	for _, p := range h.Partitions {
		if p.Number == number {
			return p, true
		}
	}
	return Partition{}, false
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40]
	}
	return s
}
