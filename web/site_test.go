package web_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/chunkstore"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/imaging/sign"
	"ingot/store"
	"ingot/web"
	"ingot/web/access"
	"ingot/web/metrics"
	"ingot/web/push"
	"ingot/web/report"
)

// clock is time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// pages is the whole of what is reached over the network: real records, service, shelf, certificate and TLS listener.
type pages struct {
	t      testing.TB
	clk    *clock
	db     *store.DB
	access *access.Service
	api    *web.API
	dir    string
	url    string // https://127.0.0.1:PORT
	cert   *web.Certificate
	roots  *x509.CertPool
}

// newPages serves them; change may set the site's patience.
func newPages(t testing.TB, change func(*web.Site)) *pages {
	t.Helper()
	p := &pages{t: t, clk: &clock{t: time.Now().Truncate(time.Second)}, dir: t.TempDir()}
	var err error
	p.db, err = store.Open(filepath.Join(p.dir, "ingot.db"), store.Options{Now: p.clk.now})
	must(t, err)
	t.Cleanup(func() { p.db.Close() })
	chunks, err := chunkstore.Open(p.dir)
	must(t, err)
	t.Cleanup(func() { chunks.Close() })
	signer, err := sign.LoadOrCreate(filepath.Join(p.dir, "jobs.key"))
	must(t, err)
	s, err := deploy.New(deploy.Config{DB: p.db, Signer: signer, Log: zerolog.Nop(), Now: p.clk.now, Manifests: chunks.ManifestHandler(), Chunks: chunks.StreamHandler()})
	must(t, err)
	shelf := &library.Library{DB: p.db, Store: chunks}
	p.access = access.New(access.Config{DB: p.db, Log: zerolog.Nop(), Base: func() string { return p.url }, Now: p.clk.now})
	p.api = &web.API{Bench: s, Wiper: s, Shelf: shelf, Exchange: shelf, Access: p.access, Reports: &report.Desk{DB: p.db}, Push: push.New(push.Config{DB: p.db, Devices: s, Log: zerolog.Nop()}),
		Backups: copies{write: func(io.Writer) error { return nil }}, Health: web.Health(func(context.Context) error { return nil }),
		Metrics: metrics.New(metrics.Source{DB: p.db, Jobs: func(ctx context.Context) ([]store.JobView, error) { return s.Jobs(ctx, false) }, Free: func() (int64, error) { return 1, nil }, Locked: func() int { return 0 }}),
		Version: "1.2", Hidden: func(err error) { t.Errorf("a raw error came up: %v", err) }}
	p.serve(change)
	return p
}

func (p *pages) serve(change func(*web.Site)) {
	p.t.Helper()
	var err error
	p.cert, err = web.MadeCertificate(p.dir, []string{"127.0.0.1", "localhost"})
	must(p.t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(p.t, err)
	site := &web.Site{API: p.api}
	if change != nil {
		change(site)
	}
	server := site.Server()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(tls.NewListener(deploy.Bounded(ln, 64, share), p.cert.TLS())) }() // ends by the Close below
	p.t.Cleanup(func() { server.Close(); <-ended })
	p.url = "https://" + ln.Addr().String()
	b, err := os.ReadFile(filepath.Join(p.dir, "pages.crt"))
	must(p.t, err)
	p.roots = x509.NewCertPool()
	p.roots.AppendCertsFromPEM(b)
}

// share is how many connections one address has here.
const share = 48

// browser is somebody who comes: it keeps cookies, sends what browsers send, and follows no redirect by itself.
type browser struct {
	p      *pages
	client *http.Client
	header http.Header // of each request, besides
}

func (p *pages) browser() *browser {
	jar, err := cookiejar.New(nil)
	must(p.t, err)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.roots}, ForceAttemptHTTP2: true}
	p.t.Cleanup(tr.CloseIdleConnections)
	return &browser{p: p, header: http.Header{}, client: &http.Client{Jar: jar, Transport: tr, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// program is somebody who shows a token.
func (p *pages) program(token string) *browser {
	b := p.browser()
	b.header.Set("Authorization", "Bearer "+token)
	return b
}

// reply is an answer with its body read.
type reply struct {
	*http.Response
	body string
}

// code is the code of a refusal, in JSON or on a page.
func (r reply) code() job.Code {
	var f job.Refusal
	if json.Unmarshal([]byte(r.body), &f) == nil {
		return f.Fault.Code
	}
	for c := range job.Codes() {
		if strings.Contains(r.body, string(c)) && strings.Contains(r.body, `role="alert"`) {
			return c
		}
	}
	return ""
}

func (b *browser) send(method, path, kind, body string) reply {
	b.p.t.Helper()
	r, err := http.NewRequest(method, b.p.url+path, strings.NewReader(body))
	must(b.p.t, err)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for k, v := range b.header {
		r.Header[k] = v
	}
	res, err := b.client.Do(r)
	must(b.p.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(b.p.t, err)
	return reply{res, string(text)}
}

func (b *browser) get(path string) reply { b.p.t.Helper(); return b.send("GET", path, "", "") }

// post sends a form as a page of this site does.
func (b *browser) post(path string, fields ...string) reply {
	b.p.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	if b.header.Get("Sec-Fetch-Site") == "" && b.header.Get("Origin") == "" {
		b.header.Set("Origin", b.p.url)
		defer b.header.Del("Origin")
	}
	return b.send("POST", path, "application/x-www-form-urlencoded", form.Encode())
}

// json sends an act to the API.
func (b *browser) json(method, path string, in any) reply {
	b.p.t.Helper()
	body, err := json.Marshal(in)
	must(b.p.t, err)
	return b.send(method, "/api/v1/"+path, "application/json", string(body))
}

const goodPassword = "correct horse battery staple"

// operator makes an operator with a right and signs it in.
func (p *pages) operator(name string, right store.Right) *browser {
	p.t.Helper()
	link, err := p.access.AddOperator("root", store.OperatorAdd{Name: name, Right: right})
	must(p.t, err)
	b := p.browser()
	if r := b.post(strings.TrimPrefix(link.Link, p.url), "password", goodPassword, "again", goodPassword); r.StatusCode != http.StatusSeeOther {
		p.t.Fatalf("the link of %s: %s %s", name, r.Status, r.body)
	}
	return b
}

// token makes a token of an operator.
func (p *pages) token(owner string, in store.TokenAdd) string {
	p.t.Helper()
	made, err := p.access.AddToken(owner, false, in)
	must(p.t, err)
	return made.Token
}

// cookie is the value of the session's cookie that a browser holds.
func (b *browser) cookie() string {
	u, err := url.Parse(b.p.url)
	must(b.p.t, err)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == "__Host-ingot" {
			return c.Value
		}
	}
	return ""
}

// plant puts a cookie into a browser as a neighbour might.
func (b *browser) plant(value string) {
	u, err := url.Parse(b.p.url)
	must(b.p.t, err)
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-ingot", Value: value, Path: "/", Secure: true}})
}

// acts lists the acts of the audit trail, oldest first.
func (p *pages) acts() (out []string) {
	p.t.Helper()
	must(p.t, p.db.View(func(tx *store.Tx) error {
		all, err := tx.AuditTrail("", 10000)
		for _, e := range all {
			out = append(out, e.Operator+" "+e.Act+" "+e.Subject)
		}
		return err
	}))
	return out
}

func (p *pages) signedIn(b *browser) bool {
	p.t.Helper()
	return b.get("/api/v1/me").StatusCode == http.StatusOK
}

func has(list []string, want string) bool {
	for _, s := range list {
		if strings.Contains(s, want) {
			return true
		}
	}
	return false
}
