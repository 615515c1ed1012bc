package imaging

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/zeebo/blake3"
)

// Sizes in bytes of what stands in a pack beside the frames; doc.go draws the layout. The skippable frames'
// magic is one of the sixteen that RFC 8878, section 3.1.2, gives to applications.
const (
	PackHeadSize  = 20 // at the start of the file
	ChunkHeadSize = 60 // before each frame
	PackEndSize   = 24 // at the end of the file

	skippable = 0x184D2A5E
	packTag   = "IPK1"
	chunkTag  = "ICH1"
	endTag    = "IEN1"
)

// MaxPack bounds a pack in bytes, since an offset in it is stored in 32 bits.
const MaxPack = 1 << 31

// ErrPack says that a pack is damaged or is not one.
var ErrPack = errors.New("pack is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC is the CRC-32C of b.
func CRC(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// ChunkHead is what stands before each frame of a pack.
type ChunkHead struct {
	Digest Digest // of the plain bytes
	Plain  uint32 // length of the plain bytes
	Stored uint32 // length of the frame
	CRC    uint32 // CRC-32C of the frame
}

// skipFrame appends a skippable frame of tag, body and the CRC-32C of both.
func skipFrame(b []byte, tag string, body []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, skippable)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(tag)+len(body)+4))
	at := len(b)
	b = append(append(b, tag...), body...)
	return binary.LittleEndian.AppendUint32(b, CRC(b[at:]))
}

// parseSkip checks a whole skippable frame and returns its body.
func parseSkip(b []byte, tag string) ([]byte, error) {
	if binary.LittleEndian.Uint32(b) != skippable || binary.LittleEndian.Uint32(b[4:]) != uint32(len(b)-8) || string(b[8:12]) != tag {
		return nil, fmt.Errorf("%w: no %s record", ErrPack, tag)
	}
	end := len(b) - 4
	if CRC(b[8:end]) != binary.LittleEndian.Uint32(b[end:]) {
		return nil, fmt.Errorf("%w: the CRC of a %s record does not hold", ErrPack, tag)
	}
	return b[12:end], nil
}

func (h ChunkHead) marshal(b []byte) []byte {
	body := append(make([]byte, 0, 44), h.Digest[:]...)
	body = binary.LittleEndian.AppendUint32(body, h.Plain)
	body = binary.LittleEndian.AppendUint32(body, h.Stored)
	body = binary.LittleEndian.AppendUint32(body, h.CRC)
	return skipFrame(b, chunkTag, body)
}

// ParseChunkHead reads the ChunkHeadSize bytes before a frame and checks their CRC and bounds.
func ParseChunkHead(b []byte) (ChunkHead, error) {
	if len(b) < ChunkHeadSize {
		return ChunkHead{}, fmt.Errorf("%w: it ends within a chunk's head", ErrPack)
	}
	body, err := parseSkip(b[:ChunkHeadSize], chunkTag)
	if err != nil {
		return ChunkHead{}, err
	}
	h := ChunkHead{
		Plain:  binary.LittleEndian.Uint32(body[32:]),
		Stored: binary.LittleEndian.Uint32(body[36:]),
		CRC:    binary.LittleEndian.Uint32(body[40:]),
	}
	copy(h.Digest[:], body)
	if h.Plain == 0 || h.Plain > MaxChunk || h.Stored == 0 || h.Stored > MaxFrame {
		return ChunkHead{}, fmt.Errorf("%w: chunk %s of %d plain and %d stored bytes", ErrPack, h.Digest.Short(), h.Plain, h.Stored)
	}
	return h, nil
}

// CheckFrame compares a frame with the CRC of its head.
func (h ChunkHead) CheckFrame(frame []byte) error {
	if len(frame) != int(h.Stored) || CRC(frame) != h.CRC {
		return fmt.Errorf("%w: the stored bytes of chunk %s do not have their CRC", ErrPack, h.Digest.Short())
	}
	return nil
}

// PackWriter writes a pack and computes its name as it goes. It is for one goroutine.
type PackWriter struct {
	w     *bufio.Writer
	hash  *blake3.Hasher
	size  int64
	count uint64
	head  []byte
}

// NewPackWriter begins a pack on w.
func NewPackWriter(w io.Writer) (*PackWriter, error) {
	p := &PackWriter{hash: blake3.New(), head: make([]byte, 0, ChunkHeadSize)}
	p.w = bufio.NewWriterSize(io.MultiWriter(w, p.hash), 256<<10)
	return p, p.write(skipFrame(nil, packTag, binary.LittleEndian.AppendUint32(nil, PackVersion)))
}

func (p *PackWriter) write(b []byte) error {
	n, err := p.w.Write(b)
	p.size += int64(n)
	if err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	return nil
}

// Append adds one chunk's frame and returns the offset of its head.
func (p *PackWriter) Append(d Digest, plain int, frame []byte) (int64, error) {
	if plain <= 0 || plain > MaxChunk || len(frame) == 0 || len(frame) > MaxFrame {
		return 0, fmt.Errorf("append chunk %s to pack: %d plain and %d stored bytes are out of bounds", d.Short(), plain, len(frame))
	}
	if p.size+ChunkHeadSize+int64(len(frame))+PackEndSize > MaxPack {
		return 0, fmt.Errorf("append chunk %s to pack: it is full", d.Short())
	}
	at := p.size
	p.head = ChunkHead{d, uint32(plain), uint32(len(frame)), CRC(frame)}.marshal(p.head[:0])
	if err := p.write(p.head); err != nil {
		return 0, err
	}
	p.count++
	return at, p.write(frame)
}

// Size is the number of bytes so far.
func (p *PackWriter) Size() int64 { return p.size }

// Count is the number of chunks so far.
func (p *PackWriter) Count() uint64 { return p.count }

// Finish writes the end record and returns the pack's name, the BLAKE3 of all its bytes, and its size.
func (p *PackWriter) Finish() (Digest, int64, error) {
	if err := p.write(skipFrame(nil, endTag, binary.LittleEndian.AppendUint64(nil, p.count))); err != nil {
		return Digest{}, 0, err
	}
	if err := p.w.Flush(); err != nil {
		return Digest{}, 0, fmt.Errorf("write pack: %w", err)
	}
	var name Digest
	p.hash.Sum(name[:0])
	return name, p.size, nil
}
