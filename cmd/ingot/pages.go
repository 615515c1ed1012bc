package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
	"ingot/web/access"
)

// oidcConfig is the OpenID provider that vouches for operators.
type oidcConfig struct {
	Issuer     string      `toml:"issuer"`      // URL; empty: there is none
	ClientID   string      `toml:"client_id"`   // of Ingot there
	SecretFile string      `toml:"secret_file"` // holds the client's secret
	NameClaim  string      `toml:"name_claim"`  // default preferred_username
	RightClaim string      `toml:"right_claim"` // default groups
	Rights     []oidcRight `toml:"rights"`
}

// oidcRight says which right a value of the claim gives.
type oidcRight struct {
	Value string `toml:"value"`
	Right string `toml:"right"`
}

// text is the provider as the configuration file has it.
func (o oidcConfig) text() string {
	var b strings.Builder
	b.WriteString("\n[pages.oidc]\n")
	for _, s := range []setting{
		{"issuer", quoted(o.Issuer), `"https://login.example"`, "an OpenID provider that vouches for operators; else passwords only"},
		{"client_id", quoted(o.ClientID), `"ingot"`, "of Ingot there; it leads back to pages.url/sign-in/oidc/callback"},
		{"secret_file", quoted(o.SecretFile), `"/etc/ingot/oidc.secret"`, "a file with the client's secret; only the service may read it"},
		{"name_claim", quoted(o.NameClaim), `"preferred_username"`, "names the operator in the record"},
		{"right_claim", quoted(o.RightClaim), `"groups"`, "its values give rights"},
	} {
		b.WriteString(s.line())
	}
	for _, r := range o.Rights {
		b.WriteString("\n[[pages.oidc.rights]]\n" + setting{"value", quoted(r.Value), "", "of the claim"}.line() +
			setting{"right", quoted(r.Right), "", "viewer, technician, image-manager or administrator"}.line())
	}
	if len(o.Rights) == 0 {
		b.WriteString(oidcHint)
	}
	return b.String()
}

// oidcHint stands where no value gives a right.
const oidcHint = `
#[[pages.oidc.rights]]
#value = "helpdesk"                      # of the claim
#right = "technician"                    # viewer, technician, image-manager or administrator
`

// checkPages holds what is set about the pages against what can be.
func (c config) checkPages() error {
	bad := func(format string, args ...any) error { return usage{job.Faultf(job.CodeBadRequest, format, args...)} }
	p, o := c.Pages, c.Pages.OIDC
	switch {
	case p.Port < -1 || p.Port > 65535:
		return bad("pages.port: %d is neither -1 nor a port number.", p.Port)
	case p.Port > 0 && p.Port == c.Agent.Port, p.Port == 0 && c.Agent.Port == defaultPagesPort:
		return bad("pages.port and agent.port are the same.")
	case (p.Cert == "") != (p.Key == ""):
		return bad("pages.cert and pages.key belong together.")
	case o.Issuer == "" && (o.ClientID != "" || o.SecretFile != "" || len(o.Rights) > 0):
		return bad("pages.oidc.issuer is not set.")
	case o.Issuer == "":
		return nil
	case !safeURL(o.Issuer):
		return bad("pages.oidc.issuer: %.60q is no URL such as https://login.example.", o.Issuer)
	case o.ClientID == "" || p.URL == "" || len(o.Rights) == 0:
		return bad("pages.oidc needs client_id, rights, and pages.url, to which the provider leads back.")
	}
	for _, r := range o.Rights {
		if r.Value == "" || store.CheckRight(store.Right(r.Right)) != nil {
			return bad("pages.oidc.rights: %.40q gives %.40q, which is no right.", r.Value, r.Right)
		}
	}
	return nil
}

// safeURL reports whether what is asked there cannot be read or changed on the way: TLS, or this host itself.
func safeURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && err == nil && a.IsLoopback()
}

// provider is the OpenID provider as package access wants it; nil when none is configured.
func (c config) provider() (*access.Provider, error) {
	o := c.Pages.OIDC
	if o.Issuer == "" {
		return nil, nil
	}
	p := &access.Provider{Issuer: o.Issuer, ClientID: o.ClientID, Redirect: strings.TrimSuffix(c.Pages.URL, "/") + "/sign-in/oidc/callback",
		NameClaim: o.NameClaim, RightClaim: o.RightClaim, Rights: map[string]store.Right{}}
	for _, r := range o.Rights {
		p.Rights[r.Value] = store.Right(r.Right)
	}
	if o.SecretFile != "" {
		b, err := os.ReadFile(o.SecretFile)
		if err != nil {
			return nil, errors.Join(err, job.Faultf(job.CodeFile, "pages.oidc.secret_file: %s.", job.Reason(err)))
		}
		p.ClientSecret = strings.TrimSpace(string(b))
	}
	return p, nil
}

// pagesPort is the port of the pages; 0 when there are none.
func (c config) pagesPort() int { return max(cmp.Or(c.Pages.Port, defaultPagesPort), 0) }

// pagesBase is the URL of the pages without a slash at its end.
func (c config) pagesBase() string {
	if c.Pages.URL != "" {
		return strings.TrimSuffix(c.Pages.URL, "/")
	}
	host := advertised(c)
	if c.pagesPort() != defaultPagesPort {
		return "https://" + net.JoinHostPort(host, strconv.Itoa(c.pagesPort()))
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return "https://" + host
}

// pageNames are the names and addresses under which the pages may be reached.
func (c config) pageNames() []string {
	names := []string{"localhost", "127.0.0.1", advertised(c)}
	if u, err := url.Parse(c.Pages.URL); err == nil && u.Hostname() != "" {
		names = append(names, u.Hostname())
	}
	if h, err := os.Hostname(); err == nil && hostName.MatchString(h) {
		names = append(names, h)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// How many connections the pages take at once, and of one address: browsers hold a few each, and all that come through
// one proxy are one address.
const (
	pageConns     = 1024
	pageConnsEach = 256
)

// openPages opens the listener of the pages and gives what serves them. While there is no operator it tells the link
// that makes the first one.
func (h *house) openPages(log zerolog.Logger) (func(context.Context) error, error) {
	if h.cfg.pagesPort() == 0 {
		return func(context.Context) error { return nil }, nil
	}
	cert, err := h.pagesCertificate()
	if err != nil {
		return nil, err
	}
	cert.Renewed = func(fingerprint string, err error) {
		if err != nil {
			log.Error().Err(err).Msg("the certificate of the pages could not be made anew; the old one is still served")
			return
		}
		log.Warn().Str("certificate", fingerprint).Msg("the certificate of the pages came near its end and was made anew: browsers ask once more, and --fingerprint is another")
	}
	ln, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(h.cfg.pagesPort())))
	if err != nil {
		return nil, errors.Join(err, job.Faultf(job.CodeDaemon, "The port %d of the pages is not free. Set another as pages.port, or -1 for no pages.", h.cfg.pagesPort()))
	}
	log.Info().Str("url", h.cfg.pagesBase()).Str("certificate", cert.Fingerprint()).Msg("the pages are served")
	link, ok, err := h.access.FirstLink()
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	if ok {
		log.Warn().Str("link", link.Link).Msg("there is no operator yet: whoever opens this link within a day becomes the first administrator")
	}
	site := &web.Site{API: h.api, Public: cert.Public}
	return overHTTP(log, tls.NewListener(deploy.Bounded(ln, pageConns, pageConnsEach), cert.TLS()), site.Server()), nil
}

// pagesCertificate is the site's own, or one that is made here.
func (h *house) pagesCertificate() (*web.Certificate, error) {
	if h.cfg.Pages.Cert != "" {
		return web.OwnCertificate(h.cfg.Pages.Cert, h.cfg.Pages.Key)
	}
	return web.MadeCertificate(filepath.Join(h.cfg.Data, "keys"), h.cfg.pageNames())
}
