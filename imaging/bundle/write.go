package bundle

import (
	"bufio"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"ingot/imaging"
)

// Tags of the skippable frames; doc.go draws them.
const (
	headTag      = "IBD1"
	statementTag = "IST1"
	manifestTag  = "IMF1"
	endTag       = "IBE1"

	version      = 1
	manifestPart = 1 << 20
)

// Writer writes a bundle: first Manifest, then each Chunk, then Close. It is for one goroutine.
type Writer struct {
	w        *bufio.Writer
	manifest uint64 // bytes so far
	chunks   uint64
	buf      []byte
}

// NewWriter begins a bundle with the statement that pub signed.
func NewWriter(w io.Writer, pub ed25519.PublicKey, envelope []byte) (*Writer, error) {
	if len(pub) != ed25519.PublicKeySize || len(envelope) == 0 || len(envelope) > MaxEnvelope {
		return nil, fmt.Errorf("begin bundle: a key of %d and a statement of %d bytes", len(pub), len(envelope))
	}
	b := &Writer{w: bufio.NewWriterSize(w, 256<<10)}
	if err := b.skip(headTag, binary.LittleEndian.AppendUint32(nil, version)); err != nil {
		return nil, err
	}
	return b, b.skip(statementTag, append(append([]byte(nil), pub...), envelope...))
}

func (b *Writer) skip(tag string, body []byte) error {
	b.buf = imaging.AppendSkip(b.buf[:0], tag, body)
	if _, err := b.w.Write(b.buf); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}

// Manifest writes the whole manifest, once.
func (b *Writer) Manifest(r io.Reader) error {
	part := make([]byte, 8+manifestPart)
	for {
		n, err := io.ReadFull(r, part[8:])
		if n > 0 {
			binary.LittleEndian.PutUint64(part, b.manifest)
			if err := b.skip(manifestTag, part[:8+n]); err != nil {
				return err
			}
			b.manifest += uint64(n)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("write bundle: read manifest: %w", err)
		}
	}
}

// Chunk writes one chunk with its frame, as a pack holds it.
func (b *Writer) Chunk(d imaging.Digest, plain int, frame []byte) error {
	if plain <= 0 || plain > imaging.MaxChunk || len(frame) == 0 || len(frame) > imaging.MaxFrame {
		return fmt.Errorf("write bundle: chunk %s of %d plain and %d stored bytes is out of bounds", d.Short(), plain, len(frame))
	}
	b.buf = imaging.ChunkHead{Digest: d, Plain: uint32(plain), Stored: uint32(len(frame)), CRC: imaging.CRC(frame)}.AppendHead(b.buf[:0])
	b.buf = append(b.buf, frame...)
	b.chunks++
	if _, err := b.w.Write(b.buf); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}

// Close writes the end. It does not close what it writes to.
func (b *Writer) Close() error {
	end := binary.LittleEndian.AppendUint64(nil, b.chunks)
	if err := b.skip(endTag, binary.LittleEndian.AppendUint64(end, b.manifest)); err != nil {
		return err
	}
	if err := b.w.Flush(); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}
