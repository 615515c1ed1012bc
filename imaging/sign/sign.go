// Package sign keeps Ingot's signing keys and makes and opens signed envelopes.
//
// The idea: a signature says who speaks and about what. So every envelope carries its purpose ("job",
// "manifest") inside the signed bytes, and Open wants the purpose named: a signed manifest can never pass for
// a signed job. Keys are Ed25519, one file per key, readable by the daemon only.
package sign

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrSignature says that an envelope was not signed by the wanted key for the wanted purpose.
var ErrSignature = errors.New("signature does not hold")

// MaxEnvelope is the largest envelope in bytes that Open looks at.
const MaxEnvelope = 1 << 20

// Envelope is a payload with its purpose and signature, as JSON.
type Envelope struct {
	Purpose   string `json:"purpose"`
	Payload   []byte `json:"payload"`
	Signature []byte `json:"signature"`
}

// Signer holds one private key.
type Signer struct{ key ed25519.PrivateKey }

// LoadOrCreate reads the PKCS#8 PEM key at path, or makes one (mode 0600) when the file is absent. A file that
// is there but cannot be read as a key is an error and is left alone.
func LoadOrCreate(path string) (*Signer, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("read signing key %s: no PEM block", path)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read signing key %s: %w", path, err)
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read signing key %s: a %T, want Ed25519", path, k)
	}
	return &Signer{key: key}, nil
}

func create(path string) (*Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	if err := writeSynced(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return nil, fmt.Errorf("keep signing key: %w", err)
	}
	return &Signer{key: key}, nil
}

// writeSynced puts the bytes at path by temp file, fsync, rename and fsync of the directory.
func writeSynced(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(b); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Public is the key that opens what this signer seals.
func (s *Signer) Public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

// Seal signs payload for one purpose and returns the envelope's JSON.
func (s *Signer) Seal(purpose string, payload []byte) ([]byte, error) {
	e := Envelope{Purpose: purpose, Payload: payload, Signature: ed25519.Sign(s.key, message(purpose, payload))}
	return json.Marshal(e)
}

// Open returns the payload of an envelope that pub sealed for this purpose; anything else is ErrSignature.
func Open(pub ed25519.PublicKey, purpose string, envelope []byte) ([]byte, error) {
	if len(pub) != ed25519.PublicKeySize || len(envelope) > MaxEnvelope {
		return nil, ErrSignature
	}
	var e Envelope
	if err := json.Unmarshal(envelope, &e); err != nil {
		return nil, fmt.Errorf("%w: not an envelope", ErrSignature)
	}
	if e.Purpose != purpose || !ed25519.Verify(pub, message(purpose, e.Payload), e.Signature) {
		return nil, ErrSignature
	}
	return e.Payload, nil
}

// message is what is signed: a fixed context, the purpose, a zero byte, and the payload.
func message(purpose string, payload []byte) []byte {
	m := append([]byte("ingot signed "), purpose...)
	return append(append(m, 0), payload...)
}

// KeyID is "sha256:" and the hex SHA-256 of a SubjectPublicKeyInfo in DER, as in pins and bound agent keys.
func KeyID(spki []byte) string {
	sum := sha256.Sum256(spki)
	return "sha256:" + hex.EncodeToString(sum[:])
}
