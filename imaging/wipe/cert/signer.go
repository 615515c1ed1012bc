package cert

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/sign"
)

// Signer signs records, each of them only after it has looked at the evidence itself. It holds a key of its own, which
// signs nothing else. Its methods may be called from any goroutine.
type Signer struct{ key *sign.Signer }

// Load reads the key of certificates at path, or makes one.
func Load(path string) (*Signer, error) {
	k, err := sign.LoadOrCreate(path)
	if err != nil {
		return nil, err
	}
	return &Signer{key: k}, nil
}

// Public is the key by which everybody verifies.
func (s *Signer) Public() ed25519.PublicKey { return s.key.Public() }

// Frame is what the server knows around one record.
type Frame struct {
	Number       uint64 // of the record
	Previous     string // Hash of the record before it
	Issued       time.Time
	Organisation string
	Device       Device
	AuditNumber  uint64
	AuditHead    string
}

// record begins a Record.
func (f Frame) record(k Kind) (Record, error) {
	r := Record{Format: Format, Kind: k, ID: idOf(k, f.Number), Number: f.Number, Previous: f.Previous, Issued: f.Issued.UTC().Truncate(time.Second),
		Organisation: f.Organisation, Device: f.Device, AuditNumber: f.AuditNumber, AuditHead: f.AuditHead}
	switch {
	case f.Number == 0 || (f.Number == 1) != (f.Previous == ""):
		return r, fmt.Errorf("sign record %d: it does not follow %q", f.Number, f.Previous)
	case f.Issued.IsZero() || f.Device.ID == "":
		return r, fmt.Errorf("sign record %d: it names no time or no device", f.Number)
	}
	return r, nil
}

// seal makes the file of a record.
func (s *Signer) seal(r Record) ([]byte, error) {
	if err := r.whole(); err != nil {
		return nil, fmt.Errorf("sign record %d: %w", r.Number, err)
	}
	payload, err := Canonical(r)
	if err != nil {
		return nil, noCertificate("it cannot be written down: %v", err)
	}
	b, err := s.key.Seal(purpose, payload)
	if err != nil {
		return nil, fmt.Errorf("sign record %d: %w", r.Number, err)
	}
	var e sign.Envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("sign record %d: %w", r.Number, err)
	}
	file, err := Canonical(Signed{Record: payload, Signature: Signature{Algorithm: "ed25519", Key: hex.EncodeToString(s.Public()), Value: hex.EncodeToString(e.Signature)}})
	if err == nil && len(file) > MaxFile {
		err = noCertificate("it would have %d bytes", len(file))
	}
	if err != nil {
		return nil, err
	}
	if _, err := Verify(file, s.Public()); err != nil { // what leaves here is what a verifier will read
		return nil, fmt.Errorf("sign record %d: %w", r.Number, err)
	}
	return file, nil
}

func noCertificate(format string, args ...any) error {
	return job.Faultf(job.CodeNoCertificate, "%s.", capital(fmt.Sprintf(format, args...)))
}
