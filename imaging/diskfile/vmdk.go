package diskfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// Bounds of the format (VMware, Virtual Disk Format 5.0).
const (
	vmdkSector     = 512
	vmdkMaxText    = 64 << 10 // bytes of a descriptor
	vmdkMinGrain   = 8        // sectors
	vmdkMaxGrain   = 4096     // sectors: 2 MiB
	vmdkMaxEntries = 4096     // of a grain table; every writer makes 512
	vmdkMaxSectors = 1 << 40
	vmdkAtEnd      = 1<<64 - 1 // the directory's place stands in a footer
)

// The flags of a sparse file.
const (
	vmdkNewlines   = 1 << 0
	vmdkRedundant  = 1 << 1
	vmdkZeroGrains = 1 << 2
	vmdkCompressed = 1 << 16
	vmdkMarkers    = 1 << 17
)

const vmdkText = "# Disk DescriptorFile"

func isVMDK(head []byte) bool { return bytes.HasPrefix(head, []byte("KDMV")) }

// vmdkDescriptor is what the text of a VMDK says about its parts.
type vmdkDescriptor struct {
	kind    string // createType
	parent  bool
	crypt   bool
	extents []vmdkExtent
}

// vmdkExtent is a line of the text: RW 40960 FLAT "name" 0.
type vmdkExtent struct {
	access, kind, file string
	sectors, offset    int64
}

var (
	vmdkLine      = regexp.MustCompile(`^([A-Za-z0-9.]+)\s*=\s*"?([^"]*)"?\s*$`)
	vmdkExtentRow = regexp.MustCompile(`^(RW|RDONLY|NOACCESS)\s+(\d{1,13})\s+([A-Z]+)(?:\s+"([^"]+)"(?:\s+(\d{1,13}))?)?\s*$`)
)

// parseDescriptor reads the text; a line of an extent that is malformed is an error, others that are not known
// say nothing that matters here.
func parseDescriptor(b []byte) (*vmdkDescriptor, error) {
	text, _, _ := strings.Cut(string(b), "\x00")
	d := &vmdkDescriptor{}
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if m := vmdkExtentRow.FindStringSubmatch(line); m != nil {
			e := vmdkExtent{access: m[1], kind: m[3], file: m[4]}
			e.sectors, _ = strconv.ParseInt(m[2], 10, 64) // at most 13 digits
			if m[5] != "" {
				e.offset, _ = strconv.ParseInt(m[5], 10, 64)
			}
			d.extents = append(d.extents, e)
			continue
		}
		if strings.HasPrefix(line, "RW ") || strings.HasPrefix(line, "RDONLY ") || strings.HasPrefix(line, "NOACCESS ") {
			return nil, refusef("the VMDK file is damaged: its line %.80q cannot be read", line)
		}
		if m := vmdkLine.FindStringSubmatch(line); m != nil {
			switch key := strings.ToLower(m[1]); {
			case key == "createtype":
				d.kind = m[2]
			case key == "parentcid":
				d.parent = !strings.EqualFold(m[2], "ffffffff")
			case strings.HasPrefix(key, "encryption."):
				d.crypt = true
			}
		}
	}
	return d, nil
}

// check refuses what needs other files or a key.
func (d *vmdkDescriptor) check() error {
	switch {
	case d.parent:
		return refusef("the VMDK file is a snapshot that rests on another file; make one file with qemu-img convert, or export the virtual machine")
	case d.crypt:
		return refusef("the VMDK file is encrypted; export the virtual machine without encryption")
	case d.kind == "" && len(d.extents) == 0:
		return refusef("the VMDK file is one of several parts of a disk; choose its descriptor, or make one file with qemu-img convert")
	case len(d.extents) != 1:
		return refusef("the VMDK file has its disk in %d parts (%.40q); make one file with qemu-img convert", len(d.extents), d.kind)
	}
	return nil
}

// openVMDKText opens a disk whose descriptor is a file of its own; the content lies in another file of the same
// folder, and only there.
func openVMDKText(f io.ReaderAt, path string, length int64) (*os.File, *flat, error) {
	if length > vmdkMaxText {
		return nil, nil, refusef("the VMDK descriptor has %d bytes, which is more than any", length)
	}
	b := make([]byte, length)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, nil, fmt.Errorf("read its descriptor: %w", orShort(err))
	}
	d, err := parseDescriptor(b)
	if err != nil {
		return nil, nil, err
	}
	if err := d.check(); err != nil {
		return nil, nil, err
	}
	e := d.extents[0]
	known := d.kind == "monolithicFlat" && e.kind == "FLAT" || d.kind == "vmfs" && (e.kind == "VMFS" || e.kind == "FLAT")
	switch {
	case !known:
		return nil, nil, refusef("VMDK files of the kind %.40q (%s) are not read; make another with qemu-img convert", d.kind, e.kind)
	case e.access != "RW" || e.sectors < 1 || e.sectors > vmdkMaxSectors || e.offset > vmdkMaxSectors:
		return nil, nil, refusef("the VMDK file is damaged: %s access to %d sectors at %d", e.access, e.sectors, e.offset)
	}
	return openBeside(path, e)
}

// openBeside opens the file that holds the content.
func openBeside(path string, e vmdkExtent) (*os.File, *flat, error) {
	if e.file == "" || e.file == "." || e.file == ".." || strings.ContainsAny(e.file, "/\\") {
		return nil, nil, refusef("the VMDK file wants its content from %.80q; it must be a file in the same folder", e.file)
	}
	// A Root follows no link that leads out of the folder.
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, nil, fmt.Errorf("open its folder: %w", err)
	}
	defer root.Close() // only read
	f, err := root.OpenFile(e.file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil, refusef("the content of the VMDK file is missing: %.80q belongs beside it", e.file)
	case err != nil:
		return nil, nil, refusef("the content of the VMDK file, %.80q beside it, cannot be opened", e.file)
	}
	l, err := flatOf(f, e)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, l, nil
}

func flatOf(f *os.File, e vmdkExtent) (*flat, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	start, size := e.offset*vmdkSector, e.sectors*vmdkSector
	switch {
	case !fi.Mode().IsRegular():
		return nil, refusef("the content of the VMDK file, %.80q, is not a file", e.file)
	case inUse(f):
		return nil, refusef("a virtual machine is using the file; shut it down first")
	case size > fi.Size()-start:
		return nil, refusef("the content of the VMDK file is cut off: %d bytes at %d of %d", size, start, fi.Size())
	}
	return &flat{raw: raw{f, start + size}, start: start, size: size}, nil
}

// flat is a disk that lies plainly in a file, from start on.
type flat struct {
	raw   raw
	start int64
	size  int64
}

// ReadAt implements layout.
func (l *flat) ReadAt(b []byte, off int64) (int, error) { return l.raw.ReadAt(b, l.start+off) }

// nextData implements layout.
func (l *flat) nextData(off int64) (start, end int64, err error) {
	start, end, err = l.raw.nextData(l.start + off)
	return min(start-l.start, l.size), min(end-l.start, l.size), err
}

// vmdkHeader is the head of a sparse file, or its footer.
type vmdkHeader struct {
	magic            string
	version, flags   uint32
	capacity, grain  uint64 // sectors
	textAt, textSize uint64 // sectors
	entries          uint32 // of a grain table
	directory        uint64 // sector
	unclean          byte
	newlines         string
	compression      uint16
}

func decodeVMDK(b []byte) vmdkHeader {
	le := binary.LittleEndian
	return vmdkHeader{
		magic: string(b[:4]), version: le.Uint32(b[4:]), flags: le.Uint32(b[8:]), capacity: le.Uint64(b[12:]), grain: le.Uint64(b[20:]),
		textAt: le.Uint64(b[28:]), textSize: le.Uint64(b[36:]), entries: le.Uint32(b[44:]), directory: le.Uint64(b[56:]),
		unclean: b[72], newlines: string(b[73:77]), compression: le.Uint16(b[77:]),
	}
}

// check bounds the numbers that are used later.
func (h *vmdkHeader) check() error {
	switch {
	case h.magic != "KDMV":
		return refusef("the VMDK file is damaged or cut off: its footer is not there")
	case h.version < 1 || h.version > 3:
		return refusef("VMDK version %d is not known (1 to 3 are)", h.version)
	case h.flags&vmdkNewlines != 0 && h.newlines != "\n \r\n":
		return refusef("the VMDK file was damaged by a transfer as text")
	case h.unclean != 0:
		return refusef("the VMDK file was not closed cleanly; shut the virtual machine down")
	case h.flags&^uint32(vmdkNewlines|vmdkRedundant|vmdkZeroGrains|vmdkCompressed|vmdkMarkers) != 0:
		return refusef("the VMDK file has unknown features (%#x)", h.flags)
	case h.compression > 1 || (h.flags&vmdkCompressed != 0) != (h.compression == 1):
		return refusef("the VMDK file has an unknown compression type (%d)", h.compression)
	case h.capacity == 0 || h.capacity > vmdkMaxSectors:
		return refusef("the VMDK file is damaged: a disk of %d sectors", h.capacity)
	case h.grain < vmdkMinGrain || h.grain > vmdkMaxGrain || h.grain&(h.grain-1) != 0:
		return refusef("the VMDK file is damaged: grains of %d sectors", h.grain)
	case h.entries == 0 || h.entries > vmdkMaxEntries:
		return refusef("the VMDK file is damaged: grain tables of %d entries", h.entries)
	}
	return nil
}
