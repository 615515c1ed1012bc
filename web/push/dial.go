package push

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"ingot/imaging/job"
)

// Guard says which addresses may be asked. The zero value allows every one but the server itself, its link and the
// places where clouds keep a machine's secrets.
type Guard struct {
	Allow []netip.Prefix // of the server itself, which would be refused
	Roots *x509.CertPool // certificates that count; nil means the system's

	Own func() ([]net.Addr, error) // the addresses of this server; nil asks its interfaces
}

// Bounds of one request.
const (
	requestTime = 20 * time.Second
	mostAnswer  = 8 << 20
)

// secretPlaces are addresses under which clouds tell a machine its credentials, and which are not link-local.
var secretPlaces = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd20:ce::254"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("168.63.129.16")}

var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// Check says why an address may not be asked; nil when it may.
func (g Guard) Check(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	refused := func(why string) error {
		return fail(hold, job.CodePushAddress, "%s is %s.", a, why)
	}
	for _, s := range secretPlaces {
		if a == s {
			return refused("a place where clouds keep secrets")
		}
	}
	switch {
	case a.IsLinkLocalUnicast():
		return refused("a link-local address, where clouds keep secrets")
	case a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return refused("an address of many")
	case a.IsUnspecified(), a.IsLoopback(), g.own(a):
		for _, p := range g.Allow {
			if p.Contains(a) {
				return nil
			}
		}
		return refused("this server itself, which push.allow does not name")
	}
	return nil
}

// own reports whether an address is one of this server's. Where nobody can tell, it is.
func (g Guard) own(a netip.Addr) bool {
	list := g.Own
	if list == nil {
		list = net.InterfaceAddrs
	}
	all, err := list()
	for _, x := range all {
		if p, err := netip.ParsePrefix(x.String()); err == nil && p.Addr().Unmap().WithZone("") == a {
			return true
		}
	}
	return err != nil
}

// CheckURL parses a target's URL: https, or http where that is meant, and nothing that does not belong into one.
func CheckURL(s string, plain bool) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Opaque != "" || len(s) > 500 || u.Hostname() == "" {
		return nil, job.Faultf(job.CodePushAddress, "%.100q is no URL such as https://assets.example.", s)
	}
	switch {
	case u.User != nil:
		return nil, job.Faultf(job.CodePushAddress, "A name or password in a URL would be shown; give the token by itself.")
	case u.Fragment != "":
		return nil, job.Faultf(job.CodePushAddress, "%.100q has a fragment, which no server sees.", s)
	case u.Scheme == "https", u.Scheme == "http" && plain:
		return u, nil
	case u.Scheme == "http":
		return nil, job.Faultf(job.CodePushAddress, "%.100q sends serials and secrets in the clear; say that this is meant, or use https.", s)
	}
	return nil, job.Faultf(job.CodePushAddress, "%.100q is neither https nor http.", s)
}

// client makes the one client for everything that is sent. It follows no redirect: what the headers carry is for the
// address that the administrator named.
func (g Guard) client() *http.Client {
	d := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("dial %s: %w", address, err)
		}
		return g.Check(ap.Addr())
	}}
	return &http.Client{
		Timeout:       requestTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DialContext: d.DialContext, TLSClientConfig: &tls.Config{RootCAs: g.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: requestTime, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 2,
			MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true},
	}
}

// answer is what a target said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends one request and reads the answer, bounded.
func do(c *http.Client, r *http.Request, most int64) (answer, error) {
	resp, err := c.Do(r)
	if err != nil {
		return answer{}, unreachable(r.Context(), r.URL.Host, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return answer{}, unreachable(r.Context(), r.URL.Host, err)
	}
	if int64(len(b)) > most {
		return answer{}, fail(hold, job.CodePushAnswer, "%s sent more than %d bytes.", r.URL.Host, most)
	}
	return answer{resp.StatusCode, resp.Header, b}, nil
}

// unreachable puts a request that got no answer into words. What the guard refused stays that.
func unreachable(ctx context.Context, host string, err error) error {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var cert *tls.CertificateVerificationError
	var name x509.HostnameError
	var u *url.Error
	switch {
	case errors.As(err, &cert), errors.As(err, &name):
		return fail(hold, job.CodePushSilent, "The certificate of %s is not one that this server trusts (push.ca).", host)
	case errors.As(err, &u) && u.Timeout():
		return fail(hold, job.CodePushSilent, "%s did not answer in %d seconds.", host, int(requestTime.Seconds()))
	case errors.As(err, &u):
		err = u.Err
	}
	return fail(hold, job.CodePushSilent, "%s: %s.", host, job.Reason(err))
}
