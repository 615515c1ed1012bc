package bundle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ingot/imaging"
	"ingot/imaging/sign"
)

// Purpose is what a statement's signature is for; see package sign.
const Purpose = "version"

// StatementFormat is the number of the statement's form that this code writes, and the only one that it reads.
const StatementFormat = 1

// MaxEnvelope bounds a statement's envelope in bytes.
const MaxEnvelope = 64 << 10

// Statement is what a server says about one Version for ever: everything that does not change when it is released,
// retired or withdrawn.
type Statement struct {
	Format      int             `json:"format"`
	Image       string          `json:"image"`
	Number      int             `json:"number"`
	Label       string          `json:"label"`
	Note        string          `json:"note"`
	Manifest    imaging.Digest  `json:"manifest"`
	Created     time.Time       `json:"created"`
	By          string          `json:"by"`
	Source      string          `json:"source"`
	Kind        string          `json:"kind,omitempty"`
	Device      string          `json:"device,omitempty"`
	DiskSize    uint64          `json:"disk_size"`
	SectorSize  int             `json:"sector_size"`
	DataBytes   uint64          `json:"data_bytes"`
	OS          string          `json:"os"`
	MemoryBytes uint64          `json:"memory_bytes,omitempty"`
	Loaders     json.RawMessage `json:"loaders,omitempty"` // by which UEFI firmware starts it, as package job has them
	Origin      string          `json:"origin,omitempty"`  // "NAME@NUMBER of KEY": the version of another server that this one is a copy of
	Late        bool            `json:"late,omitempty"`    // signed when Ingot learned to sign, not when the version was recorded
}

// Seal signs the statement.
func (s Statement) Seal(signer *sign.Signer) ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("sign version: %w", err)
	}
	env, err := signer.Seal(Purpose, b)
	if err != nil {
		return nil, fmt.Errorf("sign version: %w", err)
	}
	if len(env) > MaxEnvelope {
		return nil, fmt.Errorf("sign version: %d bytes, at most %d", len(env), MaxEnvelope)
	}
	return env, nil
}

// OpenStatement gives what pub signed; anything else is an error that wraps sign.ErrSignature.
func OpenStatement(pub ed25519.PublicKey, envelope []byte) (Statement, error) {
	var s Statement
	if len(envelope) > MaxEnvelope {
		return s, fmt.Errorf("%w: it has %d bytes", sign.ErrSignature, len(envelope))
	}
	b, err := sign.Open(pub, Purpose, envelope)
	if err != nil {
		return s, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, fmt.Errorf("%w: the statement cannot be read: %v", sign.ErrSignature, err)
	}
	if s.Format != StatementFormat {
		return s, fmt.Errorf("%w: statement of format %d, this program reads %d", sign.ErrSignature, s.Format, StatementFormat)
	}
	return s, nil
}

// Differs names the facts in which two statements differ, Late apart; none when they say the same.
func (s Statement) Differs(o Statement) []string {
	var out []string
	differ := func(what string, same bool) {
		if !same {
			out = append(out, what)
		}
	}
	differ("image", s.Image == o.Image)
	differ("number", s.Number == o.Number)
	differ("label", s.Label == o.Label)
	differ("note", s.Note == o.Note)
	differ("content", s.Manifest == o.Manifest)
	differ("time", s.Created.Equal(o.Created))
	differ("operator", s.By == o.By)
	differ("source", s.Source == o.Source)
	differ("kind", s.Kind == o.Kind)
	differ("device", s.Device == o.Device)
	differ("disk size", s.DiskSize == o.DiskSize)
	differ("sector size", s.SectorSize == o.SectorSize)
	differ("bytes of data", s.DataBytes == o.DataBytes)
	differ("system", s.OS == o.OS)
	differ("memory", s.MemoryBytes == o.MemoryBytes)
	differ("loaders", bytes.Equal(s.Loaders, o.Loaders))
	differ("origin", s.Origin == o.Origin)
	return out
}

// Fingerprint is how people compare a signing key: "sha256:" and 64 hex digits.
func Fingerprint(pub ed25519.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "no key"
	}
	return sign.KeyID(der)
}

// CheckFingerprint reports whether s has the form of a fingerprint.
func CheckFingerprint(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}
