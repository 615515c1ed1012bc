package cert

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"ingot/imaging/job"
	"ingot/imaging/sign"
)

// MaxFile is the largest file of a record, in bytes.
const MaxFile = 512 << 10

// purpose is what a signature of this package is for; see package sign.
const purpose = "wipe-certificate"

// ErrTampered says that a file is not what was signed: a byte of it was changed, or another key signed it.
var ErrTampered = errors.New("the record does not hold")

// tampered says what does not hold, in words.
func tampered(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrTampered, job.Faultf(job.CodeTampered, format, args...))
}

// Verify gives what stands in a file if the holder of the key signed exactly these bytes. It needs nothing else: no
// server, no network.
func Verify(file []byte, key ed25519.PublicKey) (Record, error) {
	s, err := open(file)
	if err != nil {
		return Record{}, err
	}
	if len(key) != ed25519.PublicKeySize || s.Signature.Key != hex.EncodeToString(key) {
		return Record{}, tampered("It names the key %s.", short(s.Signature.Key))
	}
	value, err := hex.DecodeString(s.Signature.Value)
	if err != nil || hex.EncodeToString(value) != s.Signature.Value || s.Signature.Algorithm != "ed25519" {
		return Record{}, tampered("The signature cannot be read.")
	}
	envelope, err := json.Marshal(sign.Envelope{Purpose: purpose, Payload: s.Record, Signature: value})
	if err != nil {
		return Record{}, fmt.Errorf("check a record: %w", err)
	}
	if _, err := sign.Open(key, purpose, envelope); err != nil {
		return Record{}, tampered("The signature is not by that key over these bytes.")
	}
	var r Record
	dec := json.NewDecoder(bytes.NewReader(s.Record))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil || r.Format != Format {
		return Record{}, tampered("It is of a form that this program does not know.")
	}
	return r, r.whole()
}

// open reads a file that is in the one form. It is written again and compared: a reader of JSON takes "Record" for
// "record", and a signature cannot cover the frame that it stands in.
func open(file []byte) (s Signed, err error) {
	if len(file) > MaxFile {
		return s, tampered("It has %d bytes.", len(file))
	}
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil || len(s.Record) == 0 {
		return s, tampered("The file is no record.")
	}
	want, err := Canonical(s)
	if err != nil || !bytes.Equal(want, file) {
		return s, tampered("The file is not in the form in which it was signed.")
	}
	return s, nil
}

// whole refuses what no Signer makes.
func (r Record) whole() error {
	switch {
	case r.Kind == Wipe && r.Sanitised != nil && r.Destroyed == nil, r.Kind == Destruction && r.Destroyed != nil && r.Sanitised == nil:
	default:
		return tampered("It is neither a certificate nor a destruction record.")
	}
	if r.Number == 0 || r.ID != idOf(r.Kind, r.Number) || (r.Number == 1) != (r.Previous == "") {
		return tampered("Its number does not fit.")
	}
	return nil
}

// Hash is what the next record carries of a file.
func Hash(file []byte) string {
	sum := sha256.Sum256(file)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Fingerprint is a public key as it is printed, and compared by people: "sha256:" and hex.
func Fingerprint(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// KeyOf reads a public key in hex, as "ingot cert key" prints it.
func KeyOf(text string) (ed25519.PublicKey, error) {
	b, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, job.Faultf(job.CodeBadRequest, "%.80q is no public key: it has 64 hexadecimal digits.", text)
	}
	return b, nil
}

// Chain is what a walk through records, oldest first, found.
type Chain struct {
	Records uint64 `json:"records"` // that hold and follow each other
	Head    string `json:"head"`    // hash of the newest of them
	Broken  uint64 `json:"broken"`  // number of the first that does not; 0 for none
	Why     string `json:"why,omitempty"`
}

// Walk checks a chain from its first record on, one file at a time.
type Walk struct {
	Key   ed25519.PublicKey
	chain Chain
}

// errEnded says that a walk met a record that does not hold.
var errEnded = errors.New("the walk ended before")

// Next takes the next file and gives what stands in it. After one that does not hold it takes none.
func (w *Walk) Next(file []byte) (Record, error) {
	if w.chain.Broken != 0 {
		return Record{}, errEnded
	}
	r, err := Verify(file, w.Key)
	switch {
	case err != nil:
	case r.Number != w.chain.Records+1:
		err = tampered("Number %d stands where %d should.", r.Number, w.chain.Records+1)
	case r.Previous != w.chain.Head:
		err = tampered("It follows another record than the one before it.")
	}
	if err != nil {
		w.chain.Broken, w.chain.Why = w.chain.Records+1, job.FaultOf(err).Fact
		return Record{}, err
	}
	w.chain.Records, w.chain.Head = r.Number, Hash(file)
	return r, nil
}

// Deny notes that something else tells against the record that was taken last.
func (w *Walk) Deny(why string) {
	if w.chain.Broken == 0 {
		w.chain.Broken, w.chain.Why = w.chain.Records, why
	}
}

// Miss notes that another record than the one with that number was spoken of elsewhere, or one behind the end: a chain
// that lost its newest, and maybe went on with others, cannot tell it by itself.
func (w *Walk) Miss(number uint64, of string) {
	if c := &w.chain; c.Broken == 0 || number < c.Broken {
		c.Broken, c.Why = number, fmt.Sprintf("The record with number %d that closed %s is not there.", number, of)
	}
}

// Chain tells what was found so far.
func (w *Walk) Chain() Chain { return w.chain }

func short(s string) string {
	if len(s) > 16 {
		return s[:16] + "..."
	}
	return s
}
