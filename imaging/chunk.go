package imaging

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// MaxFrame bounds a stored frame in bytes: a chunk that does not shrink grows by a few bytes only.
const MaxFrame = MaxChunk + MaxChunk/64

// ErrChunk says that a stored frame does not give the chunk that it should.
var ErrChunk = errors.New("chunk is damaged")

// codecs bounds how many chunks are coded at once, and so the memory of the codecs.
func codecs() int { return min(runtime.GOMAXPROCS(0), 16) }

// encoder and decoder are made once and have no state between calls; both serve many goroutines. Frames carry
// no checksum of their own: the digest proves the plain bytes and the pack's CRC the stored ones.
var (
	encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(codecs()), zstd.WithEncoderLevel(zstd.SpeedDefault),
			zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(MaxChunk))
	})
	decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(codecs()), zstd.WithDecodeAllCapLimit(true),
			zstd.WithDecoderMaxWindow(MaxChunk), zstd.WithDecoderMaxMemory(MaxChunk))
	})
)

// EncodeChunk appends the zstd frame of plain, at most MaxChunk bytes, to dst.
func EncodeChunk(dst, plain []byte) ([]byte, error) {
	if len(plain) == 0 || len(plain) > MaxChunk {
		return dst, fmt.Errorf("encode chunk of %d bytes: want 1 to %d", len(plain), MaxChunk)
	}
	enc, err := encoder()
	if err != nil {
		return dst, fmt.Errorf("make zstd encoder: %w", err)
	}
	return enc.EncodeAll(plain, dst), nil
}

// DecodeChunk decodes a stored frame into dst, whose memory is used when it has room for length bytes, and
// returns exactly length bytes with the digest want. What lies behind them in dst's memory is left alone, so that
// chunks may be decoded side by side into one buffer. Anything else is an error that wraps ErrChunk; a hostile
// frame never makes it allocate more than length bytes of output.
func DecodeChunk(frame, dst []byte, want Digest, length int) ([]byte, error) {
	if length <= 0 || length > MaxChunk || len(frame) > MaxFrame {
		return nil, fmt.Errorf("%w: chunk %s: %d stored and %d plain bytes are out of bounds", ErrChunk, want.Short(), len(frame), length)
	}
	dec, err := decoder()
	if err != nil {
		return nil, fmt.Errorf("make zstd decoder: %w", err)
	}
	if cap(dst) < length {
		dst = make([]byte, length)
	}
	plain, err := dec.DecodeAll(frame, dst[:0:length])
	if err != nil {
		return nil, fmt.Errorf("%w: chunk %s: %v", ErrChunk, want.Short(), err)
	}
	if len(plain) != length {
		return nil, fmt.Errorf("%w: chunk %s: %d bytes, want %d", ErrChunk, want.Short(), len(plain), length)
	}
	if got := Sum(plain); got != want {
		return nil, fmt.Errorf("%w: chunk %s: its bytes have the digest %s", ErrChunk, want.Short(), got.Short())
	}
	return plain, nil
}

// PlainLength reads from a frame how many plain bytes it claims to hold; DecodeChunk proves it.
func PlainLength(frame []byte) (int, error) {
	var h zstd.Header
	if err := h.Decode(frame); err != nil {
		return 0, fmt.Errorf("%w: %v", ErrChunk, err)
	}
	if !h.HasFCS || h.FrameContentSize == 0 || h.FrameContentSize > MaxChunk {
		return 0, fmt.Errorf("%w: its frame claims %d bytes", ErrChunk, h.FrameContentSize)
	}
	return int(h.FrameContentSize), nil
}
