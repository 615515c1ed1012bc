package personalise

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	swapPage  = 4096
	swapMagic = "SWAPSPACE2"
	// swapWipe is how much of the area's beginning is zeroed, so that no signature of what lay there before is
	// found beside the swap's own.
	swapWipe = 1 << 20
	swapMin  = 10 * swapPage // mkswap's own lower bound
)

// SwapHeader is the first page of a swap area of size bytes (mkswap's version 1). The UUID may be empty, then a
// new one is made; the label has at most 15 bytes.
func SwapHeader(size uint64, uuid, label string) ([]byte, error) {
	if size < swapMin {
		return nil, fmt.Errorf("make swap: %d bytes, want at least %d", size, swapMin)
	}
	id, err := uuidBytes(uuid)
	if err != nil {
		return nil, fmt.Errorf("make swap: %w", err)
	}
	if len(label) > 15 || strings.ContainsRune(label, 0) {
		return nil, fmt.Errorf("make swap: label %q has more than 15 bytes or a zero byte", label)
	}
	b := make([]byte, swapPage)
	le := binary.LittleEndian
	le.PutUint32(b[1024:], 1)                                        // version
	le.PutUint32(b[1028:], uint32(min(size/swapPage-1, 0xffffffff))) // last page
	copy(b[1036:], id[:])
	copy(b[1052:], label)
	copy(b[swapPage-len(swapMagic):], swapMagic)
	return b, nil
}

func uuidBytes(s string) ([16]byte, error) {
	var id [16]byte
	if s == "" {
		_, err := rand.Read(id[:])
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // RFC 9562: version 4, its variant
		return id, err
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != 16 || len(s) != 36 {
		return id, fmt.Errorf("%q is no UUID", s)
	}
	copy(id[:], b)
	return id, nil
}

// MakeSwap writes a swap area's header and zeroes what lay before and behind it. The caller flushes, then calls
// SwapHolds.
func MakeSwap(w io.WriterAt, size uint64, header []byte) error {
	if len(header) != swapPage {
		return errors.New("make swap: the header is not one page")
	}
	first := make([]byte, min(size, swapWipe))
	copy(first, header)
	if _, err := w.WriteAt(first, 0); err != nil {
		return fmt.Errorf("make swap: %w", err)
	}
	return nil
}

// SwapHolds reads the header back.
func SwapHolds(r io.ReaderAt, header []byte) error {
	got := make([]byte, swapPage)
	if _, err := r.ReadAt(got, 0); err != nil {
		return fmt.Errorf("read swap back: %w", err)
	}
	if !bytes.Equal(got, header) {
		return errors.New("read swap back: the header differs from what was written")
	}
	return nil
}
