package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/web/access"
)

// Site is the API and the pages as they are reached over the network: behind TLS, by browsers and programs of which
// nothing is known but what they show.
type Site struct {
	API    *API
	Public bool // the certificate is one that browsers trust: they are told to come by TLS only

	// How long a client may take; 0 means the constants below.
	HeaderTime, BodyTime, WriteTime time.Duration
}

// What somebody may take of the server, in bytes and time.
const (
	maxStranger = 8 << 10          // the body of a request without a session
	headerTime  = 10 * time.Second // for a request's head to arrive, the handshake included
	bodyTime    = 20 * time.Second // for a body to arrive
	writeTime   = 30 * time.Second // for a client to take what was written last
	cookieName  = "__Host-ingot"   // the prefix: secure, from this host only, for all of it
)

// policy is what a browser may do with a page: load what the server itself serves, and nothing inline. A page is not
// framed, and its forms lead back here.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; " +
	"manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Server makes the HTTP server of the pages. It does not wait for those who send nothing.
func (s *Site) Server() *http.Server {
	return &http.Server{Handler: s.Handler(), ReadHeaderTimeout: cmp.Or(s.HeaderTime, headerTime), IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 64, SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: cmp.Or(s.WriteTime, writeTime)}}
}

// Handler finds out who asks, and lets the API answer. What comes from elsewhere is refused before that: another web
// site's forms, paths that are not what they seem, bodies that do not end.
func (s *Site) Handler() http.Handler {
	rs, inner, cross := s.API.table(), s.API.Handler(), http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.headers(w.Header())
		within := cmp.Or(s.BodyTime, bodyTime)
		w = &paced{ResponseWriter: w, control: http.NewResponseController(w), time: cmp.Or(s.WriteTime, writeTime)}
		hurry(w, r, within)
		who, grant, err := s.identify(r)
		if bad := checkRequest(r); bad != nil {
			s.API.fail(w, r.WithContext(WithActor(r.Context(), who)), bad)
			return
		}
		open := rs.isOpen(r)
		switch {
		case cross.Check(r) != nil, r.TLS != nil && strings.HasPrefix(r.Header.Get("Origin"), "http:"): // a page that anybody on the wire could have written
			s.API.fail(w, r, job.Faultf(job.CodeCrossSite, ""))
			return
		case err != nil && !open:
			s.away(w, r, err)
			return
		}
		limit := int64(maxRequest)
		if err != nil {
			limit = maxStranger
		}
		if err := takeBody(w, r, limit, within); err != nil {
			s.API.fail(w, r, err)
			return
		}
		ctx := WithActor(r.Context(), who)
		if err == nil {
			held, end := s.API.Access.Hold(ctx, grant)
			defer end()
			ctx = held
		}
		inner.ServeHTTP(w, r.WithContext(ctx))
	})
}

// headers tells browsers what they may do.
func (s *Site) headers(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
	h.Set("Cache-Control", "no-store")
	if s.Public {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// checkRequest refuses methods that nothing here has, and paths that another program would read otherwise. What a path's
// dots lead to, the API's handler holds.
func checkRequest(r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete:
	default:
		return job.Faultf(job.CodeNotFound, "%.10q.", r.Method)
	}
	if !strings.HasPrefix(r.URL.Path, "/") || strings.ContainsAny(r.URL.Path, "\x00\\") {
		return job.Faultf(job.CodeNotFound, "%.100q.", r.URL.Path)
	}
	return nil
}

// identify turns what a request shows into who asks. A program's token counts before a browser's cookie.
func (s *Site) identify(r *http.Request) (Actor, access.Grant, error) {
	var g access.Grant
	var err error
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		g, err = s.API.Access.Token(token)
	} else {
		g, err = s.API.Access.Session(cookieOf(r, cookieName))
	}
	if err != nil {
		return Actor{}, g, err
	}
	return Actor{Name: g.Name, Right: g.Right, Session: g.Session, Token: g.Token, Only: g.Only}, g, nil
}

// cookieOf is the value of a cookie. One that comes twice counts as none: somebody put one beside ours.
func cookieOf(r *http.Request, name string) string {
	if all := r.CookiesNamed(name); len(all) == 1 {
		return all[0].Value
	}
	return ""
}

// away answers a stranger: a browser that looks at a page is led to the sign-in, all others read that they are not
// signed in. What is there and what is not, he does not learn.
func (s *Site) away(w http.ResponseWriter, r *http.Request, err error) {
	f := s.API.fault(err)
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && !strings.HasPrefix(r.URL.Path, "/api/") && f.Code == job.CodeSignedOut && r.Header.Get("Authorization") == "" {
		http.Redirect(w, r, "/sign-in?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	s.API.reply(w, nil, err)
}

// hurry gives a body its time to arrive, also one that nobody will look at: net/http reads what is left of a refused one.
func hurry(w http.ResponseWriter, r *http.Request, within time.Duration) {
	if r.Body != nil && r.Body != http.NoBody {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(within)) // a recorder in a test has none
	}
}

// takeBody reads a whole body, so that nobody holds a handler by sending slowly.
func takeBody(w http.ResponseWriter, r *http.Request, limit int64, within time.Duration) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if r.ContentLength > limit {
		return job.Faultf(job.CodeBadRequest, "It is longer than %d bytes.", limit)
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return job.Faultf(job.CodeBadRequest, "It did not arrive whole, within %s and %d bytes.", within, limit)
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// paced gives a client some time for each piece that is written: a stream lasts as long as it is taken, and who takes
// nothing is let go. A handler that sets a deadline itself knows better.
type paced struct {
	http.ResponseWriter
	control *http.ResponseController
	time    time.Duration
	own     bool // the handler sets the deadlines
}

// Write implements http.ResponseWriter.
func (p *paced) Write(b []byte) (int, error) {
	p.begin()
	return p.ResponseWriter.Write(b)
}

// FlushError is what http.ResponseController calls. What was flushed is taken, and the silence behind it has no end: over
// HTTP/2 a deadline that passes would end the stream although nothing is to be written.
func (p *paced) FlushError() error {
	p.begin()
	if err := p.control.Flush(); err != nil {
		return err
	}
	_ = p.control.SetWriteDeadline(time.Time{})
	return nil
}

// Flush implements http.Flusher.
func (p *paced) Flush() { _ = p.FlushError() } // fails only when the asker has gone

// SetWriteDeadline is what http.ResponseController calls.
func (p *paced) SetWriteDeadline(t time.Time) error {
	p.own = true
	return p.control.SetWriteDeadline(t)
}

func (p *paced) begin() {
	if !p.own {
		_ = p.control.SetWriteDeadline(time.Now().Add(p.time)) // a recorder in a test has none
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// clientOf is from where a request comes.
func clientOf(r *http.Request) access.Client {
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	return access.Client{From: from.Addr().Unmap(), Browser: r.UserAgent(), Cookie: cookieOf(r, cookieName)}
}

// localPath is where a browser goes after the sign-in: a path of this site, or the board.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || path.Clean(u.Path) != u.Path ||
		strings.ContainsAny(next, "\\\r\n\t") || strings.HasPrefix(u.Path, "/sign-") || strings.HasPrefix(u.Path, "/setup/") || len(next) > 1000 {
		return "/"
	}
	return u.RequestURI()
}

// grantOf is the grant behind an actor, for acts on itself.
func grantOf(ctx context.Context) access.Grant {
	who := ActorOf(ctx)
	return access.Grant{Name: who.Name, Right: who.Right, Session: who.Session, Token: who.Token}
}
