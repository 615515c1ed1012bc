package diskfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
)

// vmdk is an open sparse file: a directory of tables of grains.
type vmdk struct {
	r          io.ReaderAt
	length     int64 // of the file
	size       int64 // of the disk
	grain      int64 // bytes
	perTable   int64 // bytes of the disk that one grain table maps
	directory  int64
	zeros      bool // an entry of 1 is a grain of zeros
	compressed bool
	table      windows

	mu    sync.Mutex
	last  int64  // place of the compressed grain that plain holds, 0 for none
	plain []byte // one decompressed grain, and room to see that it has more
	valid int64  // bytes of it
	in    []byte
	zlib  io.ReadCloser
}

// openVMDKSparse reads the header, its footer if it has one, and the descriptor inside.
func openVMDKSparse(r io.ReaderAt, length int64) (*vmdk, error) {
	b := make([]byte, vmdkSector)
	if n, err := r.ReadAt(b, 0); n < len(b) {
		return nil, fmt.Errorf("read its header: %w", orShort(err))
	}
	h := decodeVMDK(b)
	if err := h.check(); err != nil {
		return nil, err
	}
	if err := checkEmbedded(r, length, h); err != nil {
		return nil, err
	}
	if h.directory == vmdkAtEnd { // the footer is the last sector but one
		if n, err := r.ReadAt(b, length-2*vmdkSector); n < len(b) {
			return nil, fmt.Errorf("read its footer: %w", orShort(err))
		}
		foot := decodeVMDK(b)
		if err := foot.check(); err != nil {
			return nil, err
		}
		if foot.capacity != h.capacity || foot.grain != h.grain || foot.entries != h.entries || foot.flags != h.flags {
			return nil, refusef("the VMDK file is damaged: header and footer differ")
		}
		h = foot
	}
	v := &vmdk{
		r: r, length: length, size: int64(h.capacity) * vmdkSector, grain: int64(h.grain) * vmdkSector,
		zeros: h.flags&vmdkZeroGrains != 0, compressed: h.flags&vmdkCompressed != 0,
	}
	v.table.r, v.table.length = r, length
	v.perTable = v.grain * int64(h.entries)
	entries := (v.size-1)/v.perTable + 1
	if h.directory == 0 || h.directory > uint64(length/vmdkSector) || entries > (length-int64(h.directory)*vmdkSector)/4 {
		return nil, refusef("the VMDK file is cut off: its directory of %d entries passes the end at %d", entries, length)
	}
	v.directory = int64(h.directory) * vmdkSector
	return v, nil
}

// checkEmbedded reads the descriptor inside the file: it tells whether this is all of the disk.
func checkEmbedded(r io.ReaderAt, length int64, h vmdkHeader) error {
	if h.textAt == 0 || h.textSize == 0 {
		return (&vmdkDescriptor{}).check()
	}
	if h.textSize > vmdkMaxText/vmdkSector || h.textAt > uint64(length/vmdkSector) || int64(h.textAt+h.textSize)*vmdkSector > length {
		return refusef("the VMDK file is damaged or cut off: a descriptor of %d sectors at %d", h.textSize, h.textAt)
	}
	b := make([]byte, h.textSize*vmdkSector)
	if n, err := r.ReadAt(b, int64(h.textAt)*vmdkSector); n < len(b) {
		return fmt.Errorf("read its descriptor: %w", orShort(err))
	}
	d, err := parseDescriptor(b)
	if err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	if e := d.extents[0]; d.kind != "monolithicSparse" && d.kind != "streamOptimized" || e.kind != "SPARSE" || uint64(e.sectors) != h.capacity {
		return refusef("VMDK files of the kind %.40q (%s, %d of %d sectors) are not read; make another with qemu-img convert", d.kind, e.kind, h.capacity, e.sectors)
	}
	return nil
}

// entry reads a number of a table.
func (v *vmdk) entry(at int64) (int64, error) {
	var b [4]byte
	err := v.table.read(b[:], at)
	return int64(binary.LittleEndian.Uint32(b[:])), err
}

// lookup finds where the grain that begins at base is; 0 for nowhere. next is where the next grain begins, or
// the first that another table maps when this one's table is missing.
func (v *vmdk) lookup(base int64) (at, next int64, err error) {
	table, err := v.entry(v.directory + base/v.perTable*4)
	if err != nil {
		return 0, 0, err
	}
	if table == 0 {
		return 0, (base/v.perTable + 1) * v.perTable, nil
	}
	sector, err := v.entry(table*vmdkSector + base%v.perTable/v.grain*4)
	if err != nil {
		return 0, 0, err
	}
	at, next = sector*vmdkSector, base+v.grain
	switch {
	case sector == 0, sector == 1 && v.zeros:
		return 0, next, nil
	case v.compressed && at < v.length, !v.compressed && at <= v.length-min(v.grain, v.size-base):
		return at, next, nil
	}
	return 0, 0, refusef("the VMDK file is cut off: the grain at %d lies at %d, behind its end at %d", base, at, v.length)
}

// ReadAt implements layout; b lies inside the disk.
func (v *vmdk) ReadAt(b []byte, off int64) (int, error) {
	for done := 0; done < len(b); {
		in := (off + int64(done)) % v.grain
		part := b[done : done+int(min(int64(len(b)-done), v.grain-in))]
		at, _, err := v.lookup(off + int64(done) - in)
		switch {
		case err != nil:
			return done, err
		case at == 0:
			clear(part)
		case v.compressed:
			if err := v.readCompressed(part, at, off+int64(done)-in, in); err != nil {
				return done, fmt.Errorf("decompress grain at %d of the file: %w", at, err)
			}
		default:
			if n, err := v.r.ReadAt(part, at+in); n < len(part) {
				return done, fmt.Errorf("read grain at %d of the file: %w", at, orShort(err))
			}
		}
		done += len(part)
	}
	return len(b), nil
}

// readCompressed copies a part of a compressed grain. The last one is kept, since readers come in order with
// pieces smaller than a grain.
func (v *vmdk) readCompressed(b []byte, at, base, in int64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last != at {
		v.last = 0
		if err := v.inflate(at, base); err != nil {
			return err
		}
		v.last = at
	}
	if in+int64(len(b)) > v.valid {
		return refusef("the VMDK file is damaged: a grain of only %d bytes", v.valid)
	}
	copy(b, v.plain[in:])
	return nil
}

// inflate fills v.plain from a grain: its place on the disk, the length of what follows, and a zlib stream,
// which ends with a checksum. The grain of the disk's end may be shorter.
func (v *vmdk) inflate(at, base int64) error {
	head := make([]byte, 12)
	if n, err := v.r.ReadAt(head, at); n < len(head) {
		return orShort(err)
	}
	if sector := binary.LittleEndian.Uint64(head); sector != uint64(base/vmdkSector) {
		return refusef("the VMDK file is damaged: the grain of %d calls itself %d", base/vmdkSector, sector)
	}
	length := int64(binary.LittleEndian.Uint32(head[8:]))
	if length > 2*v.grain+vmdkSector || length > v.length-at-12 {
		return refusef("the VMDK file is damaged or cut off: a grain of %d bytes at %d", length, at)
	}
	if v.plain == nil {
		v.plain, v.in = make([]byte, v.grain+1), make([]byte, 2*v.grain+vmdkSector)
	}
	in := v.in[:length]
	if n, err := v.r.ReadAt(in, at+12); n < len(in) {
		return orShort(err)
	}
	if v.reset(in) != nil {
		return brokenGrain(base)
	}
	// Only io.EOF says that the stream ended where it should, with the right checksum.
	v.valid = 0
	for {
		n, err := v.zlib.Read(v.plain[v.valid:])
		v.valid += int64(n)
		switch {
		case v.valid > v.grain:
			return refusef("the VMDK file is damaged: a grain of more than %d bytes", v.grain)
		case err == io.EOF:
			return nil
		case err != nil:
			return brokenGrain(base)
		}
	}
}

func brokenGrain(base int64) error {
	return refusef("the VMDK file is damaged: the grain at %d cannot be decompressed", base)
}

func (v *vmdk) reset(in []byte) (err error) {
	if v.zlib == nil {
		v.zlib, err = zlib.NewReader(bytes.NewReader(in))
		return err
	}
	return v.zlib.(zlib.Resetter).Reset(bytes.NewReader(in), nil)
}

// nextData implements layout: it walks the tables, never the data.
func (v *vmdk) nextData(off int64) (start, end int64, err error) { return nextStored(v, off, v.size) }

func (v *vmdk) blockSize() int64 { return v.grain }

func (v *vmdk) block(base int64) (bool, int64, error) {
	at, next, err := v.lookup(base)
	return at != 0, next, err
}
