// Package cmdline reads what the boot loader told the agent.
//
// The idea: the kernel command line carries three public facts and nothing else: where the daemon is, the pin
// of its key, and a token that names this boot. They came over plain TFTP or HTTP, so each is bounded and
// checked here, once, and a line that says two different things is refused rather than guessed at.
//
// A stick starts many laptops, so its line says ingot.usb instead of a token, and may name several addresses of the
// daemon, with commas between them; the pin is the same for all.
package cmdline

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"ingot/imaging/job"
)

// MaxLength is the longest command line in bytes that Parse looks at; x86 kernels keep 2048.
const MaxLength = 4096

// MaxToken is the longest boot token in characters.
const MaxToken = 128

// MaxURLs is how many addresses of the daemon a stick may name.
const MaxURLs = 8

// Line is the part of the kernel command line that is the agent's.
type Line struct {
	URL   *url.URL  // of the agent listener, https with a host and no path
	Pin   job.KeyID // of the agent listener's key
	Token string    // names this boot; authenticates nobody. Empty with Stick
	Debug bool      // more lines in the log, never a shell

	Stick  bool       // a stick started the laptop
	More   []*url.URL // of a stick: where else the daemon may be, in the order to try
	Bundle string     // of a stick: the boot bundle that it was made of
}

// Parse reads ingot.url, ingot.pin, ingot.token and ingot.debug from a kernel command line and leaves every
// other word alone. The first three must be there exactly once; with ingot.usb there is no token.
func Parse(s string) (Line, error) {
	if len(s) > MaxLength {
		return Line{}, fmt.Errorf("kernel command line of %d bytes, want at most %d", len(s), MaxLength)
	}
	words := map[string]string{}
	for _, f := range strings.Fields(s) {
		key, value, _ := strings.Cut(f, "=")
		if !strings.HasPrefix(key, "ingot.") {
			continue
		}
		if _, twice := words[key]; twice {
			return Line{}, fmt.Errorf("%s stands twice on the kernel command line", key)
		}
		words[key] = value
	}
	var l Line
	var err error
	_, l.Stick = words["ingot.usb"]
	if err := l.parseURLs(words["ingot.url"]); err != nil {
		return Line{}, fmt.Errorf("ingot.url: %w", err)
	}
	if l.Pin, err = parsePin(words["ingot.pin"]); err != nil {
		return Line{}, fmt.Errorf("ingot.pin: %w", err)
	}
	token, named := words["ingot.token"]
	switch {
	case l.Stick && named:
		return Line{}, errors.New("ingot.token: a stick carries none")
	case l.Stick:
		if l.Bundle = words["ingot.bundle"]; l.Bundle != "" && !isBundle(l.Bundle) {
			return Line{}, errors.New("ingot.bundle: is no boot bundle's name")
		}
	default:
		if l.Token, err = parseToken(token); err != nil {
			return Line{}, fmt.Errorf("ingot.token: %w", err)
		}
	}
	if v, ok := words["ingot.debug"]; ok {
		l.Debug = v == "" || v == "1"
	}
	return l, nil
}

func isBundle(s string) bool {
	id, ok := strings.CutPrefix(s, "bundle-")
	return ok && job.IsHex(id, 16)
}

// parseURLs reads the daemon's address, of a stick all of them.
func (l *Line) parseURLs(s string) (err error) {
	first, more, several := strings.Cut(s, ",")
	if l.URL, err = parseURL(first); err != nil || !several {
		return err
	}
	if !l.Stick || strings.Count(more, ",") >= MaxURLs-1 {
		return fmt.Errorf("%d addresses are too many", strings.Count(s, ",")+1)
	}
	for _, one := range strings.Split(more, ",") {
		u, err := parseURL(one)
		if err != nil {
			return err
		}
		l.More = append(l.More, u)
	}
	return nil
}

func parseURL(s string) (*url.URL, error) {
	if s == "" {
		return nil, errors.New("is missing")
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("is not a URL")
	}
	if u.Scheme != "https" || u.Hostname() == "" || u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not https://HOST:PORT", s)
	}
	u.Path = ""
	return u, nil
}

func parsePin(s string) (job.KeyID, error) {
	digits, ok := strings.CutPrefix(s, "sha256:")
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != 32 || digits != strings.ToLower(digits) {
		return "", errors.New("is not sha256: and 64 lower-case hex characters")
	}
	return job.KeyID(s), nil
}

func parseToken(s string) (string, error) {
	if s == "" || len(s) > MaxToken {
		return "", fmt.Errorf("has %d characters, want 1 to %d", len(s), MaxToken)
	}
	for _, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("-_.=", c) {
			return "", fmt.Errorf("holds the character %q", c)
		}
	}
	return s, nil
}
