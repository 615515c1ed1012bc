package main

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
)

// Where commands go, when they are not for this machine. Each may stand in the environment.
const (
	serverVar      = "INGOT_SERVER"
	tokenVar       = "INGOT_TOKEN"
	fingerprintVar = "INGOT_FINGERPRINT"
)

// onServer are the commands that need the server's own files, network or rights.
var onServer = []string{"ingot daemon", "ingot firmware", "ingot setup", "ingot doctor", "ingot config", "ingot restore",
	"ingot image import", "ingot image export"}

// remoteFlags let a command go to a server on the network.
func (a *app) remoteFlags(root *cobra.Command) {
	fl := root.PersistentFlags()
	fl.StringVar(&a.server, "server", "", "an Ingot on the network, such as https://ingot.example (or "+serverVar+"), with a token")
	fl.StringVar(&a.tokenFile, "token-file", "", "with --server: file whose first line is the token (or "+tokenVar+")")
	fl.StringVar(&a.fingerprint, "fingerprint", "", "with --server: sha256 of its certificate, where no authority vouches for it (or "+fingerprintVar+")")
}

// remoteServer is the server that this command is for; empty is this machine.
func (a *app) remoteServer() string { return cmp.Or(a.server, os.Getenv(serverVar)) }

// checkServer refuses what cannot be done from afar, before anything is.
func (a *app) checkServer(c *cobra.Command) error {
	if a.remoteServer() == "" {
		if a.tokenFile != "" || a.fingerprint != "" {
			return usage{errors.New("--token-file and --fingerprint belong to --server")}
		}
		return nil
	}
	path := c.CommandPath() + " "
	for _, p := range onServer {
		if strings.HasPrefix(path, p+" ") {
			return job.Faultf(job.CodeOnServer, "\"%s\" needs what is on %s.", strings.TrimSpace(path), a.remoteServer())
		}
	}
	if a.data != "" || a.config != "" {
		return usage{errors.New("--data and --config are of this machine, --server is another")}
	}
	return nil
}

// connectRemote gives a client of a server on the network. Nothing is sent yet.
func (a *app) connectRemote() (*client, error) {
	base, err := serverURL(a.remoteServer())
	if err != nil {
		return nil, err
	}
	token, err := a.token()
	if err != nil {
		return nil, err
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if said := cmp.Or(a.fingerprint, os.Getenv(fingerprintVar)); said != "" {
		want, err := parseFingerprint(said)
		if err != nil {
			return nil, err
		}
		trust.InsecureSkipVerify = true // the fingerprint says which certificate, and stricter than an authority
		trust.VerifyConnection = func(s tls.ConnectionState) error { return pinned(s, want) }
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust, TLSHandshakeTimeout: 10 * time.Second,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the token goes nowhere else
	return &client{base: base, token: token, http: &http.Client{Transport: t, CheckRedirect: stay}, close: func() error { t.CloseIdleConnections(); return nil }}, nil
}

// serverURL reads a server's address; a token is never sent in the clear.
func serverURL(said string) (string, error) {
	if !strings.Contains(said, "://") {
		said = "https://" + said
	}
	u, err := url.Parse(said)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", usage{fmt.Errorf("%.80q is no server such as https://ingot.example or https://192.168.10.5:8444", said)}
	}
	return "https://" + u.Host, nil
}

// token finds what the command shows: in a file or in the environment, never on the command line, which everybody on
// this machine can read.
func (a *app) token() (string, error) {
	t := os.Getenv(tokenVar)
	if a.tokenFile != "" {
		var err error
		if t, err = firstLineOf(a.tokenFile); err != nil {
			return "", err
		}
	}
	t = strings.TrimSpace(t)
	if t == "" {
		return "", usage{errors.New("no token: give --token-file FILE, or set " + tokenVar + "; \"ingot token add\" on the server makes one")}
	}
	if len(t) > 1024 || strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", usage{errors.New("that is no token: it holds spaces or other signs that no token has")}
	}
	return t, nil
}

// parseFingerprint reads a SHA-256 as Ingot and browsers write it: with or without "sha256:" and colons.
func parseFingerprint(said string) (sum [sha256.Size]byte, err error) {
	text := strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(said)), "sha256:"), ":", "")
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(sum) {
		return sum, usage{fmt.Errorf("%.80q is no fingerprint: sha256: and 64 hexadecimal digits", said)}
	}
	return [sha256.Size]byte(b), nil
}

// asLogged is a fingerprint as the server's log shows it, so that a person compares like with like.
func asLogged(sum [sha256.Size]byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

// pinned accepts the one certificate: by its own sum, as browsers show it, or by that of its key.
func pinned(s tls.ConnectionState, want [sha256.Size]byte) error {
	if len(s.PeerCertificates) > 0 {
		c := s.PeerCertificates[0]
		if sha256.Sum256(c.Raw) == want || sha256.Sum256(c.RawSubjectPublicKeyInfo) == want {
			return nil
		}
		return job.Faultf(job.CodeCertificate, "It is %s, and not the one that was named.", asLogged(sha256.Sum256(c.Raw)))
	}
	return job.Faultf(job.CodeCertificate, "It shows none.")
}

// certificateWords turns a refusal to trust a certificate into words that hold its fingerprint, for a person to compare.
func certificateWords(err error) error {
	var v *tls.CertificateVerificationError
	if !errors.As(err, &v) || len(v.UnverifiedCertificates) == 0 {
		return err
	}
	why := "no authority that this machine trusts vouches for it"
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &name):
		why = "it is made out to another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		why = "its time is over, or this machine's clock is wrong"
	}
	return errors.Join(err, job.Faultf(job.CodeCertificate, "It is %s; %s.", asLogged(sha256.Sum256(v.UnverifiedCertificates[0].Raw)), why))
}

// completionClient is what pressing Tab asks: the server that is named, or the daemon of this machine; nil for neither.
func (a *app) completionClient() (*client, error) {
	if a.remoteServer() != "" {
		return a.connectRemote()
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	return dialDaemon(filepath.Join(cfg.Data, socketName))
}
