package diskfile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// Places and bounds of the format (Microsoft, MS-VHDX).
const (
	vhdxHeader1   = 64 << 10
	vhdxHeader2   = 128 << 10
	vhdxRegions1  = 192 << 10
	vhdxRegions2  = 256 << 10
	vhdxTable     = 64 << 10 // bytes of a region table and of a metadata table
	vhdxMaxItems  = 2047
	vhdxMinBlock  = 1 << 20
	vhdxMaxBlock  = 256 << 20
	vhdxMaxDisk   = 64 << 40
	vhdxMaxRegion = 1 << 30
)

// The states of a block.
const (
	vhdxNotPresent = 0
	vhdxUndefined  = 1
	vhdxZero       = 2
	vhdxUnmapped   = 3
	vhdxPresent    = 6
	vhdxPartly     = 7
)

// The identifiers of regions and of metadata, as they lie in the file.
var (
	vhdxBAT        = guid("2DC27766-F623-4200-9D64-115E9BFD4A08")
	vhdxMetadata   = guid("8B7CA206-4790-4B9A-B8FE-575F050F886E")
	vhdxParameters = guid("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
	vhdxDiskSize   = guid("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
	vhdxSector     = guid("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
	vhdxPhysical   = guid("CDA348C7-445D-4471-9CC9-E9885251C556")
	vhdxDiskID     = guid("BECA12AB-B2E6-4523-93EF-C309E000C746")
)

// guid turns the text form into bytes, the first three parts of which are little-endian.
func guid(s string) (g [16]byte) {
	var a uint32
	var b, c uint16
	var d [8]byte
	if _, err := fmt.Sscanf(s, "%08X-%04X-%04X-%02X%02X-%02X%02X%02X%02X%02X%02X", &a, &b, &c, &d[0], &d[1], &d[2], &d[3], &d[4], &d[5], &d[6], &d[7]); err != nil {
		panic("diskfile: " + s)
	}
	binary.LittleEndian.PutUint32(g[0:], a)
	binary.LittleEndian.PutUint16(g[4:], b)
	binary.LittleEndian.PutUint16(g[6:], c)
	copy(g[8:], d[:])
	return g
}

// vhdx is an open file of that format.
type vhdx struct {
	r       io.ReaderAt
	length  int64 // of the file
	size    int64 // of the disk
	blk     int64
	sector  int64
	bat     region
	perBits int64 // blocks between two sector bitmaps in the table
	table   windows
}

// region is a part of the file, in bytes.
type region struct{ at, length int64 }

func isVHDX(head []byte) bool { return string(head[:8]) == "vhdxfile" }

// openVHDX reads headers, regions and metadata, each held against the file.
func openVHDX(r io.ReaderAt, length int64) (*vhdx, error) {
	v := &vhdx{r: r, length: length}
	v.table.r, v.table.length = r, length
	if err := v.readHeader(); err != nil {
		return nil, err
	}
	regions, err := v.readRegions()
	if err != nil {
		return nil, err
	}
	if err := v.readMetadata(regions[vhdxMetadata]); err != nil {
		return nil, err
	}
	v.bat = regions[vhdxBAT]
	blocks := (v.size-1)/v.blk + 1
	if entries := blocks + (blocks-1)/v.perBits; entries > v.bat.length/8 {
		return nil, refusef("the VHDX file is damaged: its table has %d bytes for %d blocks", v.bat.length, blocks)
	}
	return v, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checked reads a structure with a signature and a CRC-32C at its fourth byte; nil when it is not whole.
func (v *vhdx) checked(at int64, size int, signature string) []byte {
	b := make([]byte, size)
	if n, _ := v.r.ReadAt(b, at); n < size || string(b[:4]) != signature {
		return nil
	}
	want := binary.LittleEndian.Uint32(b[4:])
	clear(b[4:8])
	if crc32.Checksum(b, castagnoli) != want {
		return nil
	}
	return b
}

// readHeader takes the newer of the two headers that is whole.
func (v *vhdx) readHeader() error {
	le := binary.LittleEndian
	var head []byte
	for _, at := range []int64{vhdxHeader1, vhdxHeader2} {
		if b := v.checked(at, 4096, "head"); b != nil && (head == nil || le.Uint64(b[8:]) > le.Uint64(head[8:])) {
			head = b
		}
	}
	switch {
	case head == nil:
		return refusef("the VHDX file is damaged or cut off: neither of its headers is whole")
	case le.Uint16(head[66:]) != 1:
		return refusef("VHDX version %d is not known (1 is)", le.Uint16(head[66:]))
	case [16]byte(head[48:64]) != [16]byte{}:
		return refusef("the VHDX file was not closed cleanly: its log must be replayed; shut the virtual machine down, or open the file once in Hyper-V (Mount-VHD)")
	}
	return nil
}

func (v *vhdx) readRegions() (map[[16]byte]region, error) {
	le := binary.LittleEndian
	b := v.checked(vhdxRegions1, vhdxTable, "regi")
	if b == nil {
		b = v.checked(vhdxRegions2, vhdxTable, "regi")
	}
	if b == nil || le.Uint32(b[8:]) > vhdxMaxItems {
		return nil, refusef("the VHDX file is damaged or cut off: its table of regions is not whole")
	}
	out := map[[16]byte]region{}
	for i := range int(le.Uint32(b[8:])) {
		e := b[16+32*i:]
		id, r := [16]byte(e[:16]), region{int64(le.Uint64(e[16:])), int64(le.Uint32(e[24:]))}
		known := id == vhdxBAT || id == vhdxMetadata
		if !known && le.Uint32(e[28:])&1 != 0 {
			return nil, refusef("the VHDX file has a region of an unknown kind")
		}
		if known && (r.at < 1<<20 || r.at%(1<<20) != 0 || r.length < vhdxTable || r.length > vhdxMaxRegion || r.length > v.length-r.at) {
			return nil, refusef("the VHDX file is damaged or cut off: a region of %d bytes at %d passes its end at %d", r.length, r.at, v.length)
		}
		out[id] = r
	}
	if out[vhdxBAT].length == 0 || out[vhdxMetadata].length == 0 {
		return nil, refusef("the VHDX file is damaged: it lacks a region")
	}
	return out, nil
}

// readMetadata reads what the disk is like. Items that are not known are refused when they are required.
func (v *vhdx) readMetadata(r region) error {
	le := binary.LittleEndian
	b := make([]byte, vhdxTable)
	if n, err := v.r.ReadAt(b, r.at); n < len(b) {
		return fmt.Errorf("read metadata at %d of the file: %w", r.at, orShort(err))
	}
	if string(b[:8]) != "metadata" || le.Uint16(b[10:]) > vhdxMaxItems {
		return refusef("the VHDX file is damaged: its metadata are not there")
	}
	var flags uint32
	for i := range int(le.Uint16(b[10:])) {
		e := b[32+32*i:]
		value := make([]byte, 8)
		at, length := int64(le.Uint32(e[16:])), int64(le.Uint32(e[20:]))
		id := [16]byte(e[:16])
		switch id {
		case vhdxParameters, vhdxDiskSize, vhdxSector:
			if at < vhdxTable || length < 4 || length > r.length-at {
				return refusef("the VHDX file is damaged: a value of %d bytes lies at %d of its metadata", length, at)
			}
			if n, err := v.r.ReadAt(value[:min(length, 8)], r.at+at); n < int(min(length, 8)) {
				return fmt.Errorf("read metadata at %d of the file: %w", r.at+at, orShort(err))
			}
		case vhdxPhysical, vhdxDiskID:
		default:
			if le.Uint32(e[24:])&4 != 0 && !isParentLocator(id) {
				return refusef("the VHDX file has metadata of an unknown kind")
			}
		}
		switch id {
		case vhdxParameters:
			v.blk, flags = int64(le.Uint32(value)), le.Uint32(value[4:])
		case vhdxDiskSize:
			v.size = int64(le.Uint64(value))
		case vhdxSector:
			v.sector = int64(le.Uint32(value))
		}
	}
	return v.bound(flags)
}

// isParentLocator knows what a differencing disk has; it is refused by its flag, in better words.
func isParentLocator(id [16]byte) bool { return id == guid("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C") }

func (v *vhdx) bound(flags uint32) error {
	switch {
	case flags&2 != 0:
		return refusef("the VHDX file is a differencing disk (a checkpoint); merge it with its parent, or export the virtual machine")
	case v.blk < vhdxMinBlock || v.blk > vhdxMaxBlock || v.blk&(v.blk-1) != 0:
		return refusef("the VHDX file is damaged: blocks of %d bytes", v.blk)
	case v.sector != 512 && v.sector != 4096:
		return refusef("the VHDX file is damaged: sectors of %d bytes", v.sector)
	case v.size <= 0 || v.size > vhdxMaxDisk || v.size%v.sector != 0:
		return refusef("the VHDX file is damaged: a disk of %d bytes", v.size)
	}
	v.perBits = (1 << 23) * v.sector / v.blk
	return nil
}

// lookup finds where the block that begins at base is; 0 for nowhere, which reads as zeros.
func (v *vhdx) lookup(base int64) (int64, error) {
	i := base / v.blk
	var b [8]byte
	if err := v.table.read(b[:], v.bat.at+8*(i+i/v.perBits)); err != nil {
		return 0, err
	}
	e := binary.LittleEndian.Uint64(b[:])
	at := int64(e >> 20 << 20)
	switch e & 7 {
	case vhdxNotPresent, vhdxUndefined, vhdxZero, vhdxUnmapped:
		return 0, nil
	case vhdxPresent:
	case vhdxPartly:
		return 0, refusef("the VHDX file is damaged: the block at %d is in part in another file", base)
	default:
		return 0, refusef("the VHDX file is damaged: the block at %d has the state %d", base, e&7)
	}
	if at < 1<<20 || at > v.length-min(v.blk, v.size-base) {
		return 0, refusef("the VHDX file is cut off: the block at %d lies at %d, behind its end at %d", base, at, v.length)
	}
	return at, nil
}

// ReadAt implements layout; b lies inside the disk.
func (v *vhdx) ReadAt(b []byte, off int64) (int, error) {
	for done := 0; done < len(b); {
		in := (off + int64(done)) % v.blk
		part := b[done : done+int(min(int64(len(b)-done), v.blk-in))]
		at, err := v.lookup(off + int64(done) - in)
		if err != nil {
			return done, err
		}
		if at == 0 {
			clear(part)
		} else if n, err := v.r.ReadAt(part, at+in); n < len(part) {
			return done, fmt.Errorf("read block at %d of the file: %w", at, orShort(err))
		}
		done += len(part)
	}
	return len(b), nil
}

// nextData implements layout: it walks the table, never the data.
func (v *vhdx) nextData(off int64) (start, end int64, err error) { return nextStored(v, off, v.size) }

func (v *vhdx) blockSize() int64 { return v.blk }

func (v *vhdx) block(base int64) (bool, int64, error) {
	at, err := v.lookup(base)
	return at != 0, base + v.blk, err
}
