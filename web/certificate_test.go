package web_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/web"
)

// TestACertificateIsMadeAndStays until it does not fit any more; its key stays even then.
func TestACertificateIsMadeAndStays(t *testing.T) {
	dir := t.TempDir()
	first, err := web.MadeCertificate(dir, []string{"localhost", "10.0.0.5"})
	must(t, err)
	again, err := web.MadeCertificate(dir, []string{"localhost", "10.0.0.5"})
	must(t, err)
	if first.Fingerprint() != again.Fingerprint() || len(first.Fingerprint()) != 95 || first.Public {
		t.Errorf("fingerprints %s, %s", first.Fingerprint(), again.Fingerprint())
	}
	key, err := os.ReadFile(filepath.Join(dir, "pages.key"))
	must(t, err)
	moved, err := web.MadeCertificate(dir, []string{"localhost", "10.0.0.6"})
	must(t, err)
	if after, _ := os.ReadFile(filepath.Join(dir, "pages.key")); moved.Fingerprint() == first.Fingerprint() || string(after) != string(key) {
		t.Error("for another address: the certificate stayed, or the key did not")
	}
	if fi, err := os.Stat(filepath.Join(dir, "pages.key")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", fi.Mode(), err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "pages.key"), []byte("no key"), 0o600))
	if _, err := web.MadeCertificate(dir, nil); job.FaultOf(err).Code != job.CodeDaemon {
		t.Errorf("a key that is none: %v", err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "pages.key")); string(b) != "no key" {
		t.Error("what was there was overwritten")
	}
}

// TestARenewedCertificateIsServedWithoutARestart, and half of one is not.
func TestARenewedCertificateIsServed(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	_, err := web.MadeCertificate(a, []string{"localhost"})
	must(t, err)
	renewed, err := web.MadeCertificate(b, []string{"localhost"})
	must(t, err)
	crt, key := filepath.Join(a, "pages.crt"), filepath.Join(a, "pages.key")
	own, err := web.OwnCertificate(crt, key)
	must(t, err)
	before := own.Fingerprint()
	late := time.Now()
	own.SetNow(func() time.Time { return late })
	replace := func(name string) {
		text, err := os.ReadFile(filepath.Join(b, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(a, name), text, 0o600))
		late = late.Add(2 * time.Minute)
		handshake(t, own)
	}
	replace("pages.crt")
	if own.Fingerprint() != before {
		t.Error("half of the renewal was taken")
	}
	replace("pages.key")
	if own.Fingerprint() != renewed.Fingerprint() || !own.Public {
		t.Errorf("served %s; want the renewed %s", own.Fingerprint(), renewed.Fingerprint())
	}
	must(t, os.Remove(crt))
	late = late.Add(2 * time.Minute)
	handshake(t, own)
	if own.Fingerprint() != renewed.Fingerprint() {
		t.Error("what was loaded is gone")
	}
	if _, err := web.OwnCertificate(crt, key); job.FaultOf(err).Code != job.CodeDaemon || !strings.Contains(err.Error(), "pages.crt") {
		t.Errorf("a certificate that is not there: %v", err)
	}
}

// TestAMadeCertificateIsRenewedWhileItIsServed: a daemon that runs for years shows none that has ended.
func TestAMadeCertificateIsRenewedWhileItIsServed(t *testing.T) {
	dir := t.TempDir()
	c, err := web.MadeCertificate(dir, []string{"localhost"})
	must(t, err)
	at := time.Now()
	c.SetNow(func() time.Time { return at })
	var told []string
	c.Renewed = func(fingerprint string, err error) { told = append(told, fmt.Sprint(fingerprint, " ", err == nil)) }
	shown := func() *x509.Certificate {
		here, there := net.Pipe()
		defer here.Close()
		go tls.Server(there, c.TLS()).Handshake() // ends with the pipe
		client := tls.Client(here, &tls.Config{InsecureSkipVerify: true})
		must(t, client.Handshake())
		return client.ConnectionState().PeerCertificates[0]
	}
	first := shown()
	at = first.NotAfter.Add(-31 * 24 * time.Hour)
	if again := shown(); !again.Equal(first) || len(told) > 0 {
		t.Errorf("made anew a month before its end: %v", told)
	}
	at = first.NotAfter.Add(-29 * 24 * time.Hour)
	second := shown()
	if second.Equal(first) || !second.NotAfter.After(first.NotAfter.Add(700*24*time.Hour)) || !second.PublicKey.(*ecdsa.PublicKey).Equal(first.PublicKey) || second.VerifyHostname("localhost") != nil {
		t.Errorf("29 days before its end it shows one until %s, of another key or name", second.NotAfter)
	}
	if len(told) != 1 || told[0] != c.Fingerprint()+" true" {
		t.Errorf("told: %q", told)
	}
	if kept, err := web.MadeCertificate(dir, []string{"localhost"}); err != nil || kept.Fingerprint() != c.Fingerprint() {
		t.Errorf("after a restart it would be another: %v", err)
	}
	must(t, os.RemoveAll(dir)) // as a disk that takes no writes
	at = second.NotAfter.Add(-time.Hour)
	if still := shown(); !still.Equal(second) || len(told) != 2 || !strings.HasSuffix(told[1], " false") {
		t.Errorf("when none can be made: %q", told)
	}
}

// handshake makes one connection.
func handshake(t *testing.T, c *web.Certificate) {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	go tls.Server(there, c.TLS()).Handshake() // ends with the pipe
	must(t, tls.Client(here, &tls.Config{InsecureSkipVerify: true}).Handshake())
}
