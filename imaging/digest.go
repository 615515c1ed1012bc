package imaging

import (
	"encoding/hex"
	"fmt"

	"github.com/zeebo/blake3"
)

// Digest is the BLAKE3-256 of plain bytes: of a chunk, a manifest or a file.
type Digest [32]byte

// Sum computes the digest of b.
func Sum(b []byte) Digest { return blake3.Sum256(b) }

// ParseDigest reads 64 hex characters.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != 2*len(d) {
		return d, fmt.Errorf("parse digest: %d characters, want %d", len(s), 2*len(d))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return Digest{}, fmt.Errorf("parse digest: %w", err)
	}
	return d, nil
}

// String is the 64 lower-case hex characters.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Short is the first 12 hex characters, for people.
func (d Digest) Short() string { return d.String()[:12] }

// IsZero reports whether d is unset.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(b []byte) error {
	p, err := ParseDigest(string(b))
	if err != nil {
		return err
	}
	*d = p
	return nil
}
