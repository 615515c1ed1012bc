package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ingot/imaging/job"
)

// Certificate is what the pages show to browsers: the site's own, or one that was made here. It is safe for use by
// several goroutines.
type Certificate struct {
	Public  bool                                // the site's own: browsers may know who made it
	Renewed func(fingerprint string, err error) // is told when one was made anew while it is served, or could not be; may be nil

	certFile, keyFile string
	names             []string // for which it is made here; nil for the site's own
	now               func() time.Time

	mu     sync.Mutex
	loaded tls.Certificate
	looked time.Time // when the files were looked at
	stamp  string    // of the files as they were loaded
}

const (
	madeLife  = 825 * 24 * time.Hour // of a certificate that is made here: what Apple's systems still take from a private hand
	madeEarly = 30 * 24 * time.Hour  // before its end it is made anew
	lookEvery = time.Minute          // at the files: a renewed certificate is served without a restart
)

// OwnCertificate loads the site's own certificate, with the chain behind it, and its key, both PEM.
func OwnCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{Public: true, certFile: certFile, keyFile: keyFile, now: time.Now}
	if err := c.load(); err != nil {
		return nil, errors.Join(err, job.Faultf(job.CodeDaemon, "The certificate of the pages, %s with %s, cannot be used: %s.", certFile, keyFile, job.Reason(err)))
	}
	return c, nil
}

// MadeCertificate loads pages.crt and pages.key of a folder, and makes them where they are not there, near their end, or
// not for these names and addresses. The key stays.
func MadeCertificate(dir string, names []string) (*Certificate, error) {
	c := &Certificate{certFile: filepath.Join(dir, "pages.crt"), keyFile: filepath.Join(dir, "pages.key"), names: names, now: time.Now}
	if err := c.load(); err == nil && c.fits(names) {
		return c, nil
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(err, job.Faultf(job.CodeDaemon, "%s and %s do not belong together: remove both, and they are made anew.", c.certFile, c.keyFile))
	}
	if err := c.create(names); err != nil {
		return nil, fmt.Errorf("make the certificate of the pages: %w", err)
	}
	return c, c.load()
}

// load reads the files.
func (c *Certificate) load() error {
	stamp, err := c.stampNow()
	if err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.loaded, c.looked, c.stamp = cert, c.now(), stamp
	return nil
}

func (c *Certificate) stampNow() (string, error) {
	a, err := os.Stat(c.certFile)
	if err != nil {
		return "", err
	}
	b, err := os.Stat(c.keyFile)
	if err != nil {
		return "", err
	}
	return fmt.Sprint(a.ModTime().UnixNano(), a.Size(), b.ModTime().UnixNano(), b.Size()), nil
}

// fits reports whether a certificate lasts and stands for all names.
func (c *Certificate) fits(names []string) bool {
	leaf := c.loaded.Leaf
	return leaf != nil && c.now().Add(madeEarly).Before(leaf.NotAfter) &&
		!slices.ContainsFunc(names, func(n string) bool { return leaf.VerifyHostname(n) != nil })
}

func (c *Certificate) create(names []string) error {
	key, err := c.key()
	if err != nil {
		return err
	}
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	t := &x509.Certificate{SerialNumber: number, Subject: pkix.Name{CommonName: "Ingot", Organization: []string{"Ingot, made by this server"}},
		NotBefore: c.now().Add(-24 * time.Hour), NotAfter: c.now().Add(madeLife), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, n := range names {
		if a, err := netip.ParseAddr(n); err == nil {
			t.IPAddresses = append(t.IPAddresses, a.AsSlice())
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	return writePEM(c.certFile, "CERTIFICATE", der)
}

// key reads the key, or makes one.
func (c *Certificate) key() (*ecdsa.PrivateKey, error) {
	b, err := os.ReadFile(c.keyFile)
	if errors.Is(err, os.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		return key, writePEM(c.keyFile, "PRIVATE KEY", der)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM block", c.keyFile)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: a %T, want ECDSA", c.keyFile, k)
	}
	return key, nil
}

// writePEM puts a block into a file that only its owner reads, whole or not at all.
func writePEM(path, kind string, der []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".pages-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// TLS is the configuration of a listener. Files that have changed are served from the next minute on; while they cannot
// be read, what was loaded stays. A certificate that is made here is made anew before it ends, with the same key.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.now().Sub(c.looked) > lookEvery {
				c.look()
			}
			cert := c.loaded
			return &cert, nil
		}}
}

// look sees whether another certificate is to be served.
func (c *Certificate) look() {
	c.looked = c.now()
	if stamp, err := c.stampNow(); err == nil && stamp != c.stamp {
		c.load() // half of a renewal may be there: the next look finds the whole
	}
	if c.Public || c.fits(c.names) {
		return
	}
	err := c.create(c.names)
	if err == nil {
		err = c.load()
	}
	if c.Renewed != nil {
		c.Renewed(c.fingerprint(), err)
	}
}

// Fingerprint is the SHA-256 of the certificate as browsers show it.
func (c *Certificate) Fingerprint() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fingerprint()
}

func (c *Certificate) fingerprint() string {
	sum := sha256.Sum256(c.loaded.Certificate[0])
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}
