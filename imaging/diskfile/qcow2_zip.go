package diskfile

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// decoder holds what decompression uses again. It is guarded by qcow2.mu.
type decoder struct {
	deflate io.ReadCloser
	zstd    *zstd.Decoder
	in      []byte
}

// readCompressed copies a part of a compressed cluster. The last one is kept, since readers come in order with
// pieces smaller than a cluster.
func (q *qcow2) readCompressed(b []byte, m mapping, in int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.last != m.at {
		q.last = -1
		if err := q.inflate(m); err != nil {
			return fmt.Errorf("decompress cluster at %d of the file: %w", m.at, err)
		}
		q.last = m.at
	}
	copy(b, q.plain[in:])
	return nil
}

// inflate fills q.plain, one whole cluster or an error: bytes behind the compressed stream are padding.
func (q *qcow2) inflate(m mapping) error {
	if q.plain == nil {
		q.plain = make([]byte, q.cluster)
	}
	if int64(cap(q.decode.in)) < m.length {
		q.decode.in = make([]byte, m.length)
	}
	in := q.decode.in[:m.length]
	if n, err := q.r.ReadAt(in, m.at); n < len(in) {
		return orShort(err)
	}
	r, err := q.decode.reader(bytes.NewReader(in), q.compression)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(r, q.plain)
	return err
}

// reader gives a decompressor of in; memory for zstd is bound by the largest cluster.
func (d *decoder) reader(in io.Reader, kind byte) (io.Reader, error) {
	if kind == compressZstd {
		if d.zstd == nil {
			z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
			if err != nil {
				return nil, err
			}
			d.zstd = z
		}
		return d.zstd, d.zstd.Reset(in)
	}
	if d.deflate == nil {
		d.deflate = flate.NewReader(in)
		return d.deflate, nil
	}
	return d.deflate, d.deflate.(flate.Resetter).Reset(in, nil)
}
