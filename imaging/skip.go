package imaging

import (
	"encoding/binary"
	"fmt"
	"io"
)

// SkipOverhead is what a skippable frame of ours takes in bytes beside its body: magic, length, tag and CRC.
const SkipOverhead = 16

// AppendSkip appends a skippable frame as packs have them: tag of four letters, body, and the CRC-32C of both.
func AppendSkip(b []byte, tag string, body []byte) []byte { return skipFrame(b, tag, body) }

// AppendHead appends the skippable frame that stands before a chunk's frame.
func (h ChunkHead) AppendHead(b []byte) []byte { return h.marshal(b) }

// ReadSkip reads one skippable frame of at most limit body bytes from r into buf, whose memory is used when it has
// room, and gives its tag and body, proven by its CRC. An end before the first byte is io.EOF, a later one
// io.ErrUnexpectedEOF; what is no such frame wraps ErrPack.
func ReadSkip(r io.Reader, buf []byte, limit int) (tag string, body []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", nil, err
	}
	if magic := binary.LittleEndian.Uint32(head[:]); magic != skippable {
		return "", nil, fmt.Errorf("%w: magic %08x", ErrPack, magic)
	}
	n := binary.LittleEndian.Uint32(head[4:])
	if n < SkipOverhead-8 || n > uint32(limit+SkipOverhead-8) {
		return "", nil, fmt.Errorf("%w: a record of %d bytes", ErrPack, n)
	}
	if cap(buf) < int(n)+8 {
		buf = make([]byte, int(n)+8)
	}
	buf = buf[:int(n)+8]
	copy(buf, head[:])
	if k, err := io.ReadFull(r, buf[8:]); err != nil {
		if k == 0 {
			err = io.ErrUnexpectedEOF
		}
		return "", nil, err
	}
	tag = string(buf[8:12])
	body, err = parseSkip(buf, tag)
	return tag, body, err
}

// ParseHead reads the body of a chunk's skippable frame, as ReadSkip gives it.
func ParseHead(body []byte) (ChunkHead, error) {
	if len(body) != ChunkHeadSize-SkipOverhead {
		return ChunkHead{}, fmt.Errorf("%w: a chunk's head of %d bytes", ErrPack, len(body))
	}
	return ParseChunkHead(skipFrame(make([]byte, 0, ChunkHeadSize), chunkTag, body))
}

// ChunkTag is the tag of a chunk's head.
const ChunkTag = chunkTag
