package chunkstore

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"ingot/imaging"
	"ingot/imaging/job"
)

// Bounds of what a laptop sends of its drive.
const (
	MaxWant        = 4096    // digests in one question
	MaxUpload      = 1024    // chunks in one stream
	MaxUploadBytes = 8 << 20 // bytes of one stream

	uploadMagic = "INGOTUP1"
	uploadHead  = 40 // digest, plain length, stored length
)

// maxUploaded is the longest chunk that is taken: captures are cut with our own parameters.
func maxUploaded() uint32 { return imaging.DefaultParams().Max }

// refused is the Fault of a sender that does not keep to the protocol.
func refused(format string, args ...any) error { return job.Faultf(job.CodeUpload, format, args...) }

// parseWant reads the digests of a question.
func parseWant(body []byte) ([]imaging.Digest, error) {
	const size = len(imaging.Digest{})
	if len(body) == 0 || len(body)%size != 0 || len(body)/size > MaxWant {
		return nil, refused("A question of %d bytes arrived.", len(body))
	}
	out := make([]imaging.Digest, len(body)/size)
	for i := range out {
		copy(out[i][:], body[i*size:])
	}
	return out, nil
}

// bitmap has bit i, the lowest of a byte first, set where lacks[i] is.
func bitmap(lacks []bool) []byte {
	b := make([]byte, (len(lacks)+7)/8)
	for i, l := range lacks {
		if l {
			b[i/8] |= 1 << (i % 8)
		}
	}
	return b
}

// parseBitmap reads the answer to a question about n digests.
func parseBitmap(b []byte, n int) ([]bool, error) {
	if len(b) != (n+7)/8 || n%8 != 0 && b[len(b)-1]>>(n%8) != 0 {
		return nil, job.Faultf(job.CodeProtocol, "The answer about %d chunks has %d bytes.", n, len(b))
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = b[i/8]>>(i%8)&1 == 1
	}
	return out, nil
}

// appendUpload adds one chunk to a stream.
func appendUpload(b []byte, d imaging.Digest, plain int, frame []byte) []byte {
	b = append(b, d[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(plain))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	return append(b, frame...)
}

// endUpload adds the last record, without which a stream is broken.
func endUpload(b []byte, count int) []byte {
	b = append(b, make([]byte, len(imaging.Digest{}))...)
	b = binary.LittleEndian.AppendUint32(b, uint32(count))
	return binary.LittleEndian.AppendUint32(b, 0)
}

// uploadReader reads one stream. Every length is bounded before anything is allocated by it, and both buffers are
// used again for each chunk.
type uploadReader struct {
	r     *bufio.Reader
	left  int64 // bytes that the stream may still have
	frame []byte
	plain []byte
	count uint32
}

// readUpload calls put for each chunk of a stream, once its plain bytes have the digest that they came under; they
// are valid until put returns. It returns nil only when the stream said itself that it was whole.
func readUpload(body io.Reader, put func(d imaging.Digest, plain []byte) error) (chunks int, err error) {
	u := &uploadReader{r: bufio.NewReaderSize(body, 64<<10), left: MaxUploadBytes}
	var magic [len(uploadMagic)]byte
	if err := u.fill(magic[:]); err != nil {
		return 0, err
	}
	if string(magic[:]) != uploadMagic {
		return 0, refused("It does not begin as a stream of chunks.")
	}
	for {
		ended, err := u.record(put)
		if ended || err != nil {
			return int(u.count), err
		}
	}
}

// fill reads exactly len(b) bytes.
func (u *uploadReader) fill(b []byte) error {
	if u.left -= int64(len(b)); u.left < 0 {
		return refused("A stream of more than %d bytes arrived.", MaxUploadBytes)
	}
	if _, err := io.ReadFull(u.r, b); err != nil {
		return fmt.Errorf("read chunks after %d: %w: %w", u.count, err, refused("The stream broke off after %d chunks.", u.count))
	}
	return nil
}

func (u *uploadReader) record(put func(imaging.Digest, []byte) error) (ended bool, err error) {
	var head [uploadHead]byte
	if err := u.fill(head[:]); err != nil {
		return false, err
	}
	var d imaging.Digest
	copy(d[:], head[:])
	plain, stored := binary.LittleEndian.Uint32(head[32:]), binary.LittleEndian.Uint32(head[36:])
	switch {
	case d.IsZero() && stored == 0:
		return true, u.end(plain)
	case u.count == MaxUpload:
		return false, refused("A stream of more than %d chunks arrived.", MaxUpload)
	case plain == 0 || plain > maxUploaded() || stored == 0 || stored > maxUploaded()+maxUploaded()/64:
		return false, refused("Chunk %s came with %d plain and %d stored bytes.", d.Short(), plain, stored)
	}
	if cap(u.frame) < int(stored) {
		u.frame = make([]byte, stored)
	}
	if err := u.fill(u.frame[:stored]); err != nil {
		return false, err
	}
	bytes, err := imaging.DecodeChunk(u.frame[:stored], u.plain, d, int(plain))
	if err != nil {
		return false, fmt.Errorf("%w: %w", err, refused("Chunk %s is not what it is called.", d.Short()))
	}
	u.plain = bytes
	u.count++
	return false, put(d, bytes)
}

// end holds the number that was sent against the number that came, and wants nothing behind it.
func (u *uploadReader) end(count uint32) error {
	if count != u.count {
		return refused("%d chunks arrived, %d were sent.", u.count, count)
	}
	if _, err := u.r.ReadByte(); !errors.Is(err, io.EOF) {
		return refused("Something follows the end of the stream.")
	}
	return nil
}
