package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/BurntSushi/toml"

	"ingot/imaging/job"
	"ingot/pxe"
)

const (
	defaultConfig    = "/etc/ingot/ingot.toml"
	defaultData      = "/var/lib/ingot"
	defaultAgentPort = 8443
	defaultPagesPort = 443
)

// config is the configuration file. A key that is not listed here is refused: a typing mistake must not pass
// for a setting.
type config struct {
	Data  string     `toml:"data"` // data folder
	Boot  pxe.Config `toml:"boot"`
	Agent struct {
		Port      int    `toml:"port"`      // TCP, default 8443
		Advertise string `toml:"advertise"` // address under which deployed systems find us; default: the first interface's
	} `toml:"agent"`
	Pages struct {
		URL  string     `toml:"url"`  // of the pages, as people reach them; a failure's QR code leads there
		Port int        `toml:"port"` // TCP, default 443; -1: no pages
		Cert string     `toml:"cert"` // the site's own certificate, PEM
		Key  string     `toml:"key"`  // and its key
		OIDC oidcConfig `toml:"oidc"`
	} `toml:"pages"`
	Metrics struct {
		Port int `toml:"port"` // TCP on 127.0.0.1, for a monitoring system on this machine; 0 opens none
	} `toml:"metrics"`
	Bench struct {
		ApproveWithin time.Duration `toml:"approve_within"` // how long an unknown laptop waits for its approval: 1m to 1h, default 10m
		RestartWithin time.Duration `toml:"restart_within"` // a silence longer than any restart takes: 30s to 30m, default 5m
		Countdown     time.Duration `toml:"countdown"`      // on a laptop's screen before its first write: 3s to 1m, default 10s
	} `toml:"bench"`
	Images struct {
		Scrub int `toml:"scrub"` // MB a second that the scrub reads; default 8, -1 turns it off
	} `toml:"images"`
	Image struct {
		MustHave []mustHave `toml:"must_have"` // software that this site wants in its images
	} `toml:"image"`
	Wipe struct {
		Organisation string `toml:"organisation"` // that stands on certificates
	} `toml:"wipe"`
	Push struct {
		CSV   string   `toml:"csv"`   // folder in which devices.csv is kept; none by default
		CA    string   `toml:"ca"`    // file of certificates that registers and receivers of this site show; default: the system's
		Allow []string `toml:"allow"` // addresses of this server itself that may be told, or be a label printer's, such as 127.0.0.1
	} `toml:"push"`
	Log struct {
		Level string `toml:"level"` // debug, info (default), warn, error
	} `toml:"log"`

	file string           // where it was read from, or would be
	now  func() time.Time // the daemon's own clock; nil is the wall clock
}

// loadConfig reads the file and applies the defaults. Without --config an absent file is an empty one.
func (a *app) loadConfig() (config, error) {
	var c config
	path := a.config
	if path == "" {
		path = defaultConfig
	}
	c.file = path
	meta, err := toml.DecodeFile(path, &c)
	switch {
	case errors.Is(err, os.ErrNotExist) && a.config == "":
	case err != nil:
		return c, usage{job.Faultf(job.CodeBadRequest, "The configuration %s.", tomlReason(path, err))}
	}
	if odd := meta.Undecoded(); len(odd) > 0 {
		return c, usage{job.Faultf(job.CodeBadRequest, "The configuration %s holds the unknown key %q.", path, odd[0].String())}
	}
	if a.data != "" {
		c.Data = a.data
	}
	if c.Data == "" {
		c.Data = defaultData
	}
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return c, fmt.Errorf("data folder: %w", err)
	}
	if c.Agent.Port == 0 {
		c.Agent.Port = defaultAgentPort
	}
	return c, nil
}

// tomlReason says what is wrong with a configuration file.
func tomlReason(path string, err error) string {
	var p toml.ParseError
	if !errors.As(err, &p) || p.Message == "" {
		return strings.TrimPrefix(job.Reason(err), "toml: ")
	}
	what := strings.TrimSuffix(p.Message, ".")
	if m := parserWords.FindStringSubmatch(what); m != nil {
		what = m[1] + " does not belong here"
	}
	key := ""
	if p.LastKey != "" {
		key = " (" + p.LastKey + ")"
	}
	return fmt.Sprintf("%s, line %d%s: %s", path, p.Position.Line, key, what)
}

// parserWords are those of a parser of Go: netip.ParsePrefix("10.0.0.0"): no '/'.
var parserWords = regexp.MustCompile(`^[a-z]+\.[A-Z]\w+\(("[^"]*")\): `)

// hostName is what may stand for a host in a URL, other than an address.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

// check holds what a daemon is told against what can be, before it makes or opens anything.
func (c config) check() error {
	bad := func(format string, args ...any) error { return usage{job.Faultf(job.CodeBadRequest, format, args...)} }
	if c.Agent.Port < 1 || c.Agent.Port > 65535 {
		return bad("agent.port: %d is not a port number.", c.Agent.Port)
	}
	if _, err := netip.ParseAddr(c.Agent.Advertise); err != nil && c.Agent.Advertise != "" && !hostName.MatchString(c.Agent.Advertise) {
		return bad("agent.advertise: %.60q is neither an address nor a host name, without port.", c.Agent.Advertise)
	}
	if d := c.Bench.Countdown; d != 0 && (d < 3*time.Second || d > job.MaxCountdown*time.Second || d%time.Second != 0) {
		return bad("bench.countdown: %s is not 3s to %ds, in whole seconds.", d, job.MaxCountdown)
	}
	if u, err := url.Parse(c.Pages.URL); c.Pages.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return bad("pages.url: %.60q is no URL such as https://assets.example.", c.Pages.URL)
	}
	if err := c.checkPages(); err != nil {
		return err
	}
	if t := c.Bench.ApproveWithin; t != 0 && (t < time.Minute || t > time.Hour) {
		return bad("bench.approve_within: %s is not between 1m and 1h.", t)
	}
	if t := c.Bench.RestartWithin; t != 0 && (t < 30*time.Second || t > 30*time.Minute) {
		return bad("bench.restart_within: %s is not between 30s and 30m.", t)
	}
	if n := c.Images.Scrub; n < -1 || n > 10_000 {
		return bad("images.scrub: %d is neither -1 nor 1 to 10000 MB a second.", n)
	}
	if o := c.Wipe.Organisation; len(o) > 100 || strings.ContainsFunc(o, unicode.IsControl) {
		return bad("wipe.organisation: %.120q is not one line of at most 100 characters.", o)
	}
	if n := c.Metrics.Port; n < 0 || n > 65535 {
		return bad("metrics.port: %d is not a port number.", n)
	}
	if err := checkMustHave(c.Image.MustHave); err != nil {
		return err
	}
	if _, err := c.pushGuard(); err != nil {
		return usage{err}
	}
	boot := c.Boot
	boot.AgentPort, boot.AgentPin = c.Agent.Port, "sha256:"+strings.Repeat("0", 64) // the key is read later
	if err := boot.Validate(); err != nil {
		return bad("%s", job.FaultOf(err).Fact)
	}
	return nil
}
