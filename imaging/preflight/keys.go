package preflight

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"

	"ingot/firmware/efivar"
	"ingot/imaging/job"
)

// Trusts refuses an image whose boot loader the laptop's Secure Boot would not start. keys is nil while Secure Boot
// is off. What cannot be told is a note and refuses nothing.
func Trusts(n job.Needs, arch string, keys *efivar.Keys) (note string, err error) {
	if keys == nil {
		return "", nil
	}
	l, chains, note := readable(n, arch)
	if note != "" {
		return note, nil
	}
	digest, err := hex.DecodeString(l.SHA256)
	if err != nil || len(digest) != sha256.Size {
		return unread, nil
	}
	if keys.DBX.Programs[[sha256.Size]byte(digest)] {
		return "", job.Faultf(job.CodeRevoked, "Its hash is in dbx.")
	}
	for _, chain := range chains {
		for _, c := range chain {
			if keys.DBX.Signed[sha256.Sum256(c.RawTBSCertificate)] || has(keys.DBX.Certs, c) {
				return "", job.Faultf(job.CodeRevoked, "Its signer %s is in dbx.", nameOf(c))
			}
		}
	}
	if keys.DB.Programs[[sha256.Size]byte(digest)] || anyChain(chains, func(c *x509.Certificate) bool { return issuedBy(c, keys.DB.Certs) }) {
		return "", nil
	}
	return "", untrusted(chains)
}

// TrustsByName is Trusts from what a record keeps of a laptop's keys: names and hashes of the certificates, nothing
// of dbx. It refuses only what Trusts would refuse.
func TrustsByName(n job.Needs, arch string, keys *job.Keys) error {
	if keys == nil || len(keys.Certs) == 0 {
		return nil
	}
	_, chains, note := readable(n, arch)
	if note != "" {
		return nil
	}
	known := map[string]bool{}
	for _, c := range keys.Certs {
		known[c.SHA256], known[c.Subject] = true, true
	}
	if anyChain(chains, func(c *x509.Certificate) bool { return known[hexSum(c.Raw)] || known[hexSum(c.RawIssuer)] }) {
		return nil
	}
	return untrusted(chains)
}

// Summary is what a Hello tells of the keys; a db of more certificates than any maker ships is cut.
func Summary(k efivar.Keys) *job.Keys {
	out := &job.Keys{Revoked: k.DBX.Len()}
	for _, c := range k.DB.Certs[:min(len(k.DB.Certs), maxCerts)] {
		out.Certs = append(out.Certs, job.Cert{Name: nameOf(c), SHA256: hexSum(c.Raw), Subject: hexSum(c.RawSubject)})
	}
	if len(k.DB.Certs) > maxCerts || len(k.DB.Programs) > 0 || k.DB.Others > 0 {
		out.Certs = nil // the whole would not be told: only the laptop itself can judge
	}
	return out
}

const (
	maxCerts = 64
	unread   = "Who signed the image's boot loader is not known, so it was not held against Secure Boot's keys."
)

// readable finds the loader that this firmware will start and its certificates, or a note why there is nothing to
// judge by.
func readable(n job.Needs, arch string) (l job.Loader, chains [][]*x509.Certificate, note string) {
	l, ok := loaderFor(n.Loaders, arch)
	if !ok || l.Unread != "" || l.SHA256 == "" {
		return l, nil, unread
	}
	for _, c := range l.Chains {
		var chain []*x509.Certificate
		for _, der := range c {
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return l, nil, unread
			}
			chain = append(chain, cert)
		}
		chains = append(chains, chain)
	}
	return l, chains, ""
}

// Signers names the authorities under which a loader is signed, "" when there is none or it cannot be read.
func Signers(l job.Loader) string {
	_, chains, _ := readable(job.Needs{Loaders: []job.Loader{l}}, l.Arch)
	return authorities(chains)
}

func anyChain(chains [][]*x509.Certificate, ok func(*x509.Certificate) bool) bool {
	for _, chain := range chains {
		for _, c := range chain {
			if ok(c) {
				return true
			}
		}
	}
	return false
}

// issuedBy reports whether one of the certificates is c, or signed it. A signature made by an algorithm that the
// standard library refuses, such as SHA-1, is believed by its name: the firmware decides.
func issuedBy(c *x509.Certificate, by []*x509.Certificate) bool {
	for _, k := range by {
		if k.Equal(c) {
			return true
		}
		if !bytes.Equal(k.RawSubject, c.RawIssuer) {
			continue
		}
		var old x509.InsecureAlgorithmError
		if err := k.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err == nil || errors.As(err, &old) {
			return true
		}
	}
	return false
}

func has(certs []*x509.Certificate, c *x509.Certificate) bool {
	for _, o := range certs {
		if o.Equal(c) {
			return true
		}
	}
	return false
}

// untrusted names the authorities under which the loader is signed: one of them is what the laptop lacks.
func untrusted(chains [][]*x509.Certificate) error {
	names := authorities(chains)
	if names == "" {
		return job.Faultf(job.CodeUntrusted, "The boot loader is not signed.")
	}
	return job.Faultf(job.CodeUntrusted, "Missing on the laptop: %s.", names)
}

func authorities(chains [][]*x509.Certificate) string {
	var names []string
	for _, chain := range chains {
		if len(chain) > 0 {
			names = append(names, orUnnamed(chain[0].Issuer.CommonName))
		}
	}
	return strings.Join(names, " or ")
}

func nameOf(c *x509.Certificate) string { return orUnnamed(c.Subject.CommonName) }

func orUnnamed(s string) string {
	if s == "" {
		return "a certificate without a name"
	}
	return s
}

func hexSum(b []byte) string { h := sha256.Sum256(b); return hex.EncodeToString(h[:]) }
