package access

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"ingot/imaging/job"
	"ingot/store"
)

// Provider is an OpenID provider that vouches for operators. Its fields are set before its first use.
type Provider struct {
	Issuer       string // URL
	ClientID     string
	ClientSecret string // empty for a public client
	Redirect     string // URL of /sign-in/oidc/callback here
	NameClaim    string // the claim that names an operator; empty: preferred_username
	RightClaim   string // the claim whose values give rights; empty: groups
	Rights       map[string]store.Right
	Client       *http.Client // nil: one of its own, with a deadline

	mu    sync.Mutex
	found *oidc.Provider // discovered; nil while the provider was never reached
	lost  time.Time      // when it could not be reached the last time

	seal func() (cipher.AEAD, error) // of flows; set by New
}

// How long a provider may take, how much it may say, and how long somebody may take to sign in there.
const (
	providerTime  = 10 * time.Second
	providerBytes = 1 << 20
	flowTime      = 10 * time.Minute
	lostTime      = 5 * time.Second // in which nobody waits once more for one that is down
)

// flow is a sign-in under way. It lies in the browser, sealed: strangers who begin a thousand cost nothing here.
type flow struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"` // of PKCE
	Next     string    `json:"next"`     // where the browser wanted to go
	Until    time.Time `json:"until"`
}

// HasProvider reports whether an OpenID provider vouches here.
func (s *Service) HasProvider() bool { return s.provider != nil }

// BeginVouched gives the URL of the provider to which a browser is sent, and what it keeps until it is back.
func (s *Service) BeginVouched(ctx context.Context, c Client, next string) (to, kept string, err error) {
	if s.provider == nil {
		return "", "", job.Faultf(job.CodeNotFound, "No sign-in service is configured.")
	}
	if err := s.doors.knock(c.From); err != nil {
		return "", "", err
	}
	conf, _, err := s.provider.conf(ctx)
	if err != nil {
		return "", "", err
	}
	f := flow{State: store.NewSecret(), Nonce: store.NewSecret(), Verifier: oauth2.GenerateVerifier(), Next: next, Until: s.now().Add(flowTime)}
	kept, err = s.provider.sealed(f)
	return conf.AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), kept, err
}

// FinishVouched turns what the provider answered into the cookie of a session. kept is what the browser kept.
func (s *Service) FinishVouched(ctx context.Context, c Client, kept string, answer url.Values) (cookie, next string, err error) {
	if s.provider == nil {
		return "", "", job.Faultf(job.CodeNotFound, "No sign-in service is configured.")
	}
	if err := s.doors.knock(c.From); err != nil {
		return "", "", err
	}
	f, err := s.provider.opened(kept)
	if err != nil || !s.now().Before(f.Until) || subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(f.State)) != 1 {
		return "", "", errors.Join(err, job.Faultf(job.CodeProvider, "The sign-in was begun elsewhere, or too long ago."))
	}
	if e := answer.Get("error"); e != "" {
		return "", "", job.Faultf(job.CodeProvider, "It answered %.60q.", e)
	}
	who, err := s.provider.identify(ctx, f, answer.Get("code"))
	if err != nil {
		return "", "", err
	}
	cookie, err = s.letIn(c, who)
	return cookie, f.Next, err
}

// letIn opens a session for whom the provider vouches. Without a right there is none, and those that are open end.
func (s *Service) letIn(c Client, who identity) (string, error) {
	if who.right == "" {
		return "", errors.Join(s.turnOut(who), job.Faultf(job.CodeIdentity, "None of your groups gives a right here."))
	}
	var o store.Operator
	err := s.db.Update(func(tx *store.Tx) (err error) {
		o, err = tx.Vouch(who.issuer, who.subject, who.name, who.right)
		return err
	})
	if err != nil {
		return "", err
	}
	return s.open(c, o.Name, who.issuer, "Through "+who.issuer+", from "+c.From.String()+".", func(*store.Tx) error { return nil })
}

// turnOut ends the sessions and the tokens of one who has no right any more.
func (s *Service) turnOut(who identity) error {
	var name string
	err := s.db.Update(func(tx *store.Tx) error {
		o, ok, err := tx.OperatorOf(who.issuer, who.subject)
		if err != nil || !ok {
			return err
		}
		name = o.Name
		_, err = tx.EndSessions(o.Name)
		return errors.Join(err, tx.RemoveAPITokens(o.Name, who.issuer))
	})
	if err == nil && name != "" {
		s.live.end(func(g Grant) bool { return g.owner() == name })
	}
	return err
}

// identity is for whom a provider vouches.
type identity struct {
	issuer, subject, name string
	right                 store.Right // empty: none
}

// identify exchanges the code for an ID token and proves it.
func (p *Provider) identify(ctx context.Context, f flow, code string) (who identity, err error) {
	conf, found, err := p.conf(ctx)
	if err != nil {
		return who, err
	}
	ctx, cancel := context.WithTimeout(p.with(ctx), providerTime)
	defer cancel()
	got, err := conf.Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return who, errors.Join(err, job.Faultf(job.CodeProvider, "It did not take the code."))
	}
	raw, _ := got.Extra("id_token").(string)
	token, err := found.Verifier(&oidc.Config{ClientID: p.ClientID}).Verify(ctx, raw)
	if err != nil {
		return who, errors.Join(err, job.Faultf(job.CodeProvider, "What it signed does not hold."))
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(f.Nonce)) != 1 {
		return who, job.Faultf(job.CodeProvider, "What it signed belongs to another sign-in.")
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return who, errors.Join(err, job.Faultf(job.CodeProvider, "What it signed cannot be read."))
	}
	name, _ := claims[cmp.Or(p.NameClaim, "preferred_username")].(string)
	who = identity{issuer: token.Issuer, subject: token.Subject, name: name, right: p.right(claims[cmp.Or(p.RightClaim, "groups")])}
	if name == "" || token.Subject == "" {
		return who, job.Faultf(job.CodeIdentity, "It tells no %s.", cmp.Or(p.NameClaim, "preferred_username"))
	}
	return who, nil
}

// right is the greatest that the values of a claim give.
func (p *Provider) right(claim any) (best store.Right) {
	values, ok := claim.([]any)
	if !ok {
		values = []any{claim}
	}
	for _, v := range values {
		name, _ := v.(string)
		if r, ok := p.Rights[name]; ok && slices.Index(store.Rights, r) > slices.Index(store.Rights, best) {
			best = r
		}
	}
	return best
}

// conf asks the provider once where its parts are; while it cannot be reached, each sign-in tries again.
func (p *Provider) conf(ctx context.Context) (*oauth2.Config, *oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil && time.Since(p.lost) < lostTime {
		return nil, nil, job.Faultf(job.CodeProvider, "%s cannot be reached.", p.Issuer)
	}
	if p.found == nil {
		late, cancel := context.WithTimeout(p.with(context.WithoutCancel(ctx)), providerTime) // for all, not for whoever happens to ask first
		defer cancel()
		found, err := oidc.NewProvider(late, p.Issuer)
		if err != nil {
			p.lost = time.Now()
			return nil, nil, errors.Join(err, job.Faultf(job.CodeProvider, "%s cannot be reached.", p.Issuer))
		}
		p.found = found
	}
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: p.found.Endpoint(), RedirectURL: p.Redirect,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email"}}, p.found, nil
}

// with puts the client into a context as both libraries want it.
func (p *Provider) with(ctx context.Context) context.Context {
	c := p.Client
	if c == nil {
		c = &http.Client{}
	}
	bounded := *c
	bounded.Timeout = providerTime
	bounded.Transport = brief{orDefault(c.Transport)}
	return oidc.ClientContext(ctx, &bounded)
}

// brief cuts every answer at providerBytes.
type brief struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b brief) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, providerBytes), res.Body}
	}
	return res, err
}

func orDefault(t http.RoundTripper) http.RoundTripper {
	if t == nil {
		return http.DefaultTransport
	}
	return t
}

// newSeal makes the cipher that seals flows; its key lives as long as the process.
func newSeal() (cipher.AEAD, error) {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (p *Provider) sealed(f flow) (string, error) {
	box, err := p.seal()
	if err != nil {
		return "", fmt.Errorf("seal a sign-in: %w", err)
	}
	b, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("seal a sign-in: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(box.Seal(nil, nil, b, nil)), nil
}

func (p *Provider) opened(kept string) (f flow, err error) {
	box, err := p.seal()
	if err != nil {
		return f, err
	}
	b, err := base64.RawURLEncoding.DecodeString(kept)
	if err != nil {
		return f, err
	}
	if b, err = box.Open(nil, nil, b, nil); err != nil {
		return f, err
	}
	return f, json.Unmarshal(b, &f)
}
