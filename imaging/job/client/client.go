package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/sign"
)

// Times of one connection; a whole call has no limit of its own.
const (
	dialTime      = 10 * time.Second
	handshakeTime = 20 * time.Second
	headerTime    = 60 * time.Second // Next is held open for 25
	keepAlive     = 15 * time.Second
)

// Client speaks for one boot. It serves many goroutines.
type Client struct {
	Kernel string // release of the running kernel, for the stage 2 that fits it; set before the first call

	base string
	http *http.Client
	key  job.KeyID
	wait func(ctx context.Context, d time.Duration) error
}

// New makes a client with a new key for the daemon at base ("https://192.0.2.1:8443"), whose key has the pin.
func New(base string, pin job.KeyID) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Host == "" || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("daemon's address %q is not https://HOST:PORT", base)
	}
	if digits, ok := strings.CutPrefix(string(pin), "sha256:"); !ok || !job.IsHex(digits, 64) {
		return nil, fmt.Errorf("pin %q is not sha256: and 64 hex digits", pin)
	}
	cert, id, err := ephemeral()
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTime, KeepAlive: keepAlive}).DialContext,
		TLSClientConfig:       pinned(cert, pin),
		TLSHandshakeTimeout:   handshakeTime,
		ResponseHeaderTimeout: headerTime,
		MaxIdleConnsPerHost:   8,
		MaxConnsPerHost:       16,
		IdleConnTimeout:       90 * time.Second,
		DisableCompression:    true,
		ReadBufferSize:        64 << 10,
	}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	return &Client{base: "https://" + u.Host, key: id, wait: pause, http: &http.Client{Transport: t, CheckRedirect: noRedirect}}, nil
}

// noRedirect: the protocol has no redirects, and a pin is for one address.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// KeyID is the id of the client's own key.
func (c *Client) KeyID() job.KeyID { return c.key }

// HTTP is the pinned client, for manifests and chunks.
func (c *Client) HTTP() *http.Client { return c.http }

// Base is "https://HOST:PORT".
func (c *Client) Base() string { return c.base }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ephemeral makes this boot's key and a certificate that carries it.
func ephemeral() (tls.Certificate, job.KeyID, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("make the agent's key: %w", err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ingot agent"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("make the agent's certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("make the agent's certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, job.KeyID(sign.KeyID(leaf.RawSubjectPublicKeyInfo)), nil
}

// ErrPin says that the server holds another key than the pinned one.
var ErrPin = errors.New("the server's key is not the pinned one")

// pinned trusts exactly one key. Chain, names and dates are not looked at: the pin says more than they could,
// and the laptop's clock may be anywhere. The handshake itself proves that the server holds the key.
func pinned(cert tls.Certificate, pin job.KeyID) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"http/1.1"},
		Certificates:           []tls.Certificate{cert},
		InsecureSkipVerify:     true, // replaced by the pin below, which a resumed session would not pass by either
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || job.KeyID(sign.KeyID(s.PeerCertificates[0].RawSubjectPublicKeyInfo)) != pin {
				return ErrPin
			}
			return nil
		},
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
