package deploy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/sign"
)

// Listener is the TLS identity of the agent listener: its own key, pinned by every agent.
type Listener struct {
	Refused func(from netip.Addr) // is told when an agent did not take our key; may be nil; set it before Serve

	cert tls.Certificate
	pin  job.KeyID
}

// LoadListener reads the key at path, or makes one (ECDSA P-256, mode 0600). Its certificate is made anew at
// each start: agents pin the key and ignore names and dates.
func LoadListener(path string) (*Listener, error) {
	key, err := loadKey(path)
	if err != nil {
		return nil, fmt.Errorf("agent listener key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "ingot agent listener"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280, 4.1.2.5: no end
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("agent listener certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("agent listener certificate: %w", err)
	}
	return &Listener{cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf},
		pin: job.KeyID(sign.KeyID(leaf.RawSubjectPublicKeyInfo))}, nil
}

func loadKey(path string) (*ecdsa.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM block", path)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: a %T, want ECDSA", path, k)
	}
	return key, nil
}

func makeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return nil, err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return key, errors.Join(d.Sync(), d.Close())
}

// Pin is what agents compare the server's key with.
func (l *Listener) Pin() job.KeyID { return l.pin }

// TLS is the listener's configuration: TLS 1.3, HTTP/1.1, any client key (possession is what counts).
func (l *Listener) TLS() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{l.cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
		ClientAuth: tls.RequestClientCert,
	}
}

// Server makes the HTTP server for a handler; call ServeTLS-less Serve with Listen's result.
func (l *Listener) Server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, TLSConfig: l.TLS(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ConnState: l.watch}
}

// watch notices connections that ended because the other side refused our key. A finished handshake is asked for its
// outcome again, which costs nothing.
func (l *Listener) watch(c net.Conn, s http.ConnState) {
	tc, ok := c.(*tls.Conn)
	if !ok || s != http.StateClosed || l.Refused == nil {
		return
	}
	var told *net.OpError // an alert of the other side; ours have the operation "local error"
	if !errors.As(tc.Handshake(), &told) || told.Op != "remote error" {
		return
	}
	if from, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		l.Refused(from.Addr().Unmap())
	}
}

// Listen opens the TLS listener on an address.
func (l *Listener) Listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(Bounded(ln, maxConns, maxConnsEach), l.TLS()), nil
}

// Bounded is a listener that takes at most so many connections at once, and of those at most each of one address.
func Bounded(l net.Listener, all, each int) net.Listener {
	return &bounded{Listener: l, slots: make(chan struct{}, all), each: each, open: map[string]int{}}
}

// maxConns bounds the connections at once, some forty for each of 50 laptops, and maxConnsEach those of one
// address: one machine that opens as many as it can leaves room for the others.
const (
	maxConns     = 2048
	maxConnsEach = maxConns / 2
)

// bounded is a listener that takes a connection only when there is room for it; the kernel holds the rest. What one
// address opens beyond its share is closed at once.
type bounded struct {
	net.Listener
	slots chan struct{}
	each  int

	mu   sync.Mutex
	open map[string]int // by address
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	b.slots <- struct{}{}
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			<-b.slots
			return nil, err
		}
		if host, ok := b.enter(c.RemoteAddr()); ok {
			return &boundedConn{Conn: c, free: sync.OnceFunc(func() { b.leave(host); <-b.slots })}, nil
		}
		c.Close()
	}
}

// enter counts a connection of an address, unless it has its share already.
func (b *bounded) enter(from net.Addr) (host string, ok bool) {
	host, _, err := net.SplitHostPort(from.String())
	if err != nil {
		host = from.String()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[host] >= b.each {
		return host, false
	}
	b.open[host]++
	return host, true
}

func (b *bounded) leave(host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[host]--; b.open[host] == 0 {
		delete(b.open, host)
	}
}

// boundedConn gives its place back when it is closed.
type boundedConn struct {
	net.Conn
	free func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}
