package authenticode

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

const (
	maxCerts = 16 // in one signature
	maxChain = 6
)

// Program is what an EFI program tells about itself.
type Program struct {
	Arch       string // X64, IA32, AA64, or "" for another processor
	Digest     [sha256.Size]byte
	Signatures []Signature
}

// Signature is one signature: the signer's certificate, then the issuer of the one before as far as they came along.
type Signature struct{ Chain []*x509.Certificate }

// Parse reads a whole program. ErrNotProgram is in the chain when it is none; any other error is about its
// signatures, and Arch and Digest hold then.
func Parse(b []byte) (Program, error) {
	l, err := parsePE(b)
	if err != nil {
		return Program{}, err
	}
	p := Program{Arch: l.arch, Digest: l.digest(b)}
	raw, err := l.signatures(b)
	if err != nil {
		return p, err
	}
	for _, r := range raw {
		s, err := parseSignature(r, p.Digest)
		if err != nil {
			return p, err
		}
		p.Signatures = append(p.Signatures, s)
	}
	return p, nil
}

// The messages of PKCS#7 (RFC 2315), as far as they are needed.
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
}

type signedData struct {
	Version    int
	Algorithms []pkix.AlgorithmIdentifier `asn1:"set"`
	Content    contentInfo
	Certs      asn1.RawValue `asn1:"optional,tag:0"`
	CRLs       asn1.RawValue `asn1:"optional,tag:1"`
	Signers    []signerInfo  `asn1:"set"`
}

type signerInfo struct {
	Version int
	Signer  struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	Algorithm pkix.AlgorithmIdentifier
	Signed    asn1.RawValue `asn1:"optional,tag:0"`
	Key       pkix.AlgorithmIdentifier
	Signature []byte
	Unsigned  asn1.RawValue `asn1:"optional,tag:1"`
}

// indirectData is SpcIndirectDataContent: what a signature is about.
type indirectData struct {
	Data   asn1.RawValue
	Digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
}

var (
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidIndirect   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}
	oidSHA256     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
)

// parseSignature reads one PKCS#7 message about the program with this digest.
func parseSignature(raw []byte, digest [sha256.Size]byte) (Signature, error) {
	var outer contentInfo
	if _, err := asn1.Unmarshal(raw, &outer); err != nil { // what follows is the padding of the table
		return Signature{}, fmt.Errorf("read signature: %w", err)
	}
	var sd signedData
	if !outer.Type.Equal(oidSignedData) {
		return Signature{}, errors.New("read signature: it is no signed data")
	}
	if _, err := asn1.Unmarshal(outer.Content.Bytes, &sd); err != nil {
		return Signature{}, fmt.Errorf("read signed data: %w", err)
	}
	if err := about(sd.Content, digest); err != nil {
		return Signature{}, err
	}
	certs, err := parseCerts(sd.Certs.Bytes)
	if err != nil {
		return Signature{}, err
	}
	if len(sd.Signers) != 1 {
		return Signature{}, fmt.Errorf("read signature: it has %d signers", len(sd.Signers))
	}
	for _, c := range certs {
		s := sd.Signers[0].Signer
		if s.Serial != nil && c.SerialNumber.Cmp(s.Serial) == 0 && bytes.Equal(c.RawIssuer, s.Issuer.FullBytes) {
			return Signature{chain(c, certs)}, nil
		}
	}
	return Signature{}, errors.New("read signature: the signer's certificate did not come along")
}

// about holds a signature against the program that it came with. Another hash than SHA-256 cannot be compared.
func about(c contentInfo, digest [sha256.Size]byte) error {
	if !c.Type.Equal(oidIndirect) {
		return errors.New("read signature: it is not about a program")
	}
	var d indirectData
	if _, err := asn1.Unmarshal(c.Content.Bytes, &d); err != nil {
		return fmt.Errorf("read signature: %w", err)
	}
	if d.Digest.Algorithm.Algorithm.Equal(oidSHA256) && !bytes.Equal(d.Digest.Digest, digest[:]) {
		return errors.New("the signature is about other bytes than the program's")
	}
	return nil
}

func parseCerts(raw []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for len(raw) > 0 {
		var one asn1.RawValue
		rest, err := asn1.Unmarshal(raw, &one)
		if err != nil || len(out) == maxCerts {
			return nil, errors.New("read signature: its list of certificates is damaged")
		}
		c, err := x509.ParseCertificate(one.FullBytes)
		if err != nil {
			return nil, fmt.Errorf("read signature: %w", err)
		}
		out, raw = append(out, c), rest
	}
	return out, nil
}

// chain walks from a certificate to its issuers among all.
func chain(c *x509.Certificate, all []*x509.Certificate) []*x509.Certificate {
	out := []*x509.Certificate{c}
	for len(out) < maxChain && !bytes.Equal(c.RawIssuer, c.RawSubject) {
		next := issuer(c, all)
		if next == nil {
			break
		}
		c = next
		out = append(out, c)
	}
	return out
}

func issuer(c *x509.Certificate, all []*x509.Certificate) *x509.Certificate {
	for _, o := range all {
		if bytes.Equal(o.RawSubject, c.RawIssuer) && !o.Equal(c) {
			return o
		}
	}
	return nil
}
