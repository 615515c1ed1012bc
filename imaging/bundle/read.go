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

// ErrBundle says that a file is damaged or is no bundle. ErrShort says that it ends before its end record.
var (
	ErrBundle = errors.New("bundle is damaged or is none")
	ErrShort  = errors.New("bundle ends too early")
)

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBundle, fmt.Sprintf(format, args...))
}

// Reader reads a bundle from its first byte to its last. It proves order, bounds and CRCs; signature and digests are
// for its user. It holds one part at a time, whatever the file says. It is for one goroutine.
type Reader struct {
	r        *bufio.Reader
	pub      ed25519.PublicKey
	envelope []byte
	manifest uint64
	chunks   uint64
	buf      []byte
	frame    []byte
	tag      string // of the frame that was read and not used yet
	body     []byte
	ended    bool
}

// NewReader reads the head and the statement.
func NewReader(r io.Reader) (*Reader, error) {
	b := &Reader{r: bufio.NewReaderSize(r, 256<<10)}
	body, err := b.want(headTag)
	if err != nil {
		return nil, err
	}
	if len(body) != 4 || binary.LittleEndian.Uint32(body) != version {
		return nil, damaged("version %x, this program reads %d", body, version)
	}
	if body, err = b.want(statementTag); err != nil {
		return nil, err
	}
	if len(body) <= ed25519.PublicKeySize || len(body) > ed25519.PublicKeySize+MaxEnvelope {
		return nil, damaged("a statement of %d bytes", len(body))
	}
	b.pub = append(ed25519.PublicKey(nil), body[:ed25519.PublicKeySize]...)
	b.envelope = append([]byte(nil), body[ed25519.PublicKeySize:]...)
	return b, nil
}

// Signed gives the key that signed, which nothing has proven yet, and the statement's envelope.
func (b *Reader) Signed() (ed25519.PublicKey, []byte) { return b.pub, b.envelope }

// peek reads the next skippable frame, unless one waits.
func (b *Reader) peek() error {
	if b.tag != "" {
		return nil
	}
	tag, body, err := imaging.ReadSkip(b.r, b.buf, 8+manifestPart)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: after %d bytes of the manifest and %d chunks", ErrShort, b.manifest, b.chunks)
	case errors.Is(err, imaging.ErrPack):
		return damaged("%v (after %d bytes of the manifest and %d chunks)", err, b.manifest, b.chunks)
	case err != nil:
		return fmt.Errorf("read bundle: %w", err)
	}
	b.tag, b.body, b.buf = tag, body, body[:0]
	return nil
}

// want takes the next frame, which must have this tag.
func (b *Reader) want(tag string) ([]byte, error) {
	if err := b.peek(); err != nil {
		return nil, err
	}
	if b.tag != tag {
		return nil, damaged("%.4q stands where %s belongs", b.tag, tag)
	}
	b.tag = ""
	return b.body, nil
}

// Manifest copies the manifest to w; it comes before the chunks.
func (b *Reader) Manifest(w io.Writer) error {
	for {
		body, err := b.want(manifestTag)
		if err != nil {
			return err
		}
		if len(body) <= 8 || binary.LittleEndian.Uint64(body) != b.manifest {
			return damaged("a part of the manifest does not follow the one before it, at %d", b.manifest)
		}
		if _, err := w.Write(body[8:]); err != nil {
			return fmt.Errorf("take manifest out of bundle: %w", err)
		}
		b.manifest += uint64(len(body) - 8)
		if err := b.peek(); err != nil || b.tag != manifestTag {
			return err
		}
	}
}

// Next gives the next chunk's head and its frame, which is valid until the call after it. It is io.EOF when the end
// record said that this was all, and nothing follows.
func (b *Reader) Next() (imaging.ChunkHead, []byte, error) {
	if b.ended {
		return imaging.ChunkHead{}, nil, io.EOF
	}
	if err := b.peek(); err != nil {
		return imaging.ChunkHead{}, nil, err
	}
	if b.tag == endTag {
		return imaging.ChunkHead{}, nil, b.end()
	}
	body, err := b.want(imaging.ChunkTag)
	if err != nil {
		return imaging.ChunkHead{}, nil, err
	}
	h, err := imaging.ParseHead(body)
	if err != nil {
		return imaging.ChunkHead{}, nil, damaged("%v (chunk %d)", err, b.chunks)
	}
	if cap(b.frame) < int(h.Stored) {
		b.frame = make([]byte, h.Stored)
	}
	b.frame = b.frame[:h.Stored]
	if _, err := io.ReadFull(b.r, b.frame); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: within chunk %d", ErrShort, b.chunks)
		}
		return imaging.ChunkHead{}, nil, err
	}
	if err := h.CheckFrame(b.frame); err != nil {
		return imaging.ChunkHead{}, nil, damaged("%v (chunk %d)", err, b.chunks)
	}
	b.chunks++
	return h, b.frame, nil
}

// end checks the end record, and that it is the end.
func (b *Reader) end() error {
	body, err := b.want(endTag)
	if err != nil {
		return err
	}
	if len(body) != 16 || binary.LittleEndian.Uint64(body) != b.chunks || binary.LittleEndian.Uint64(body[8:]) != b.manifest {
		return damaged("its end does not count what came before it")
	}
	if _, err := b.r.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return fmt.Errorf("read bundle: %w", err)
		}
		return damaged("something follows its end")
	}
	b.ended = true
	return io.EOF
}
