package access_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/access"
)

// vouch is a small OpenID provider: it signs in everybody at once as the claims say. spoil may change what it answers.
type vouch struct {
	*httptest.Server
	t         *testing.T
	key       *ecdsa.PrivateKey
	claims    map[string]any
	spoil     func(head, claims map[string]any)
	challenge string
	code      string
	down      bool
	now       func() time.Time
}

func newVouch(t *testing.T) *vouch {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	v := &vouch{t: t, key: key, claims: map[string]any{"sub": "4711", "preferred_username": "Anna", "groups": []any{"everybody", "helpdesk"}}, now: time.Now}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		v.tell(w, map[string]any{"issuer": v.URL, "authorization_endpoint": v.URL + "/authorize", "token_endpoint": v.URL + "/token", "jwks_uri": v.URL + "/keys",
			"response_types_supported": []string{"code"}, "id_token_signing_alg_values_supported": []string{"ES256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		point := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
		v.tell(w, map[string]any{"keys": []any{map[string]any{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k",
			"x": point(key.X.FillBytes(make([]byte, 32))), "y": point(key.Y.FillBytes(make([]byte, 32)))}}})
	})
	mux.HandleFunc("POST /token", v.token)
	v.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v.down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *vouch) tell(w http.ResponseWriter, x any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(x)
}

// authorize is what a browser gets that was sent to to: where it is sent back.
func (v *vouch) authorize(to string) url.Values {
	v.t.Helper()
	u, err := url.Parse(to)
	must(v.t, err)
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("state") == "" || q.Get("redirect_uri") != "https://ingot.example/sign-in/oidc/callback" || !strings.Contains(q.Get("scope"), "openid") {
		v.t.Errorf("asked with %v", q)
	}
	v.challenge, v.code = q.Get("code_challenge"), rand.Text()
	v.claims["nonce"] = q.Get("nonce")
	return url.Values{"code": {v.code}, "state": {q.Get("state")}}
}

// token gives the ID token for the code, once, to whoever knows what the challenge was made of.
func (v *vouch) token(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	id, secret, _ := r.BasicAuth()
	secret, _ = url.QueryUnescape(secret) // RFC 6749, 2.3.1
	if r.PostFormValue("code") != v.code || v.code == "" || base64.RawURLEncoding.EncodeToString(sum[:]) != v.challenge || id != "ingot" || secret != "the client's secret" {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	v.code = ""
	head := map[string]any{"alg": "ES256", "kid": "k"}
	claims := map[string]any{"iss": v.URL, "aud": "ingot", "iat": v.now().Unix(), "exp": v.now().Add(time.Hour).Unix()}
	maps.Copy(claims, v.claims)
	if v.spoil != nil {
		v.spoil(head, claims)
	}
	v.tell(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": v.sign(head, claims)})
}

func (v *vouch) sign(head, claims map[string]any) string {
	part := func(x any) string {
		b, err := json.Marshal(x)
		must(v.t, err)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(head) + "." + part(claims)
	if head["alg"] == "none" {
		return text + "."
	}
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, v.key, sum[:])
	must(v.t, err)
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func (v *vouch) provider() *access.Provider {
	return &access.Provider{Issuer: v.URL, ClientID: "ingot", ClientSecret: "the client's secret", Redirect: "https://ingot.example/sign-in/oidc/callback", Client: v.Client(),
		Rights: map[string]store.Right{"helpdesk": store.Technician, "it": store.Administrator, "everybody": store.Viewer}}
}

// through signs in through the provider, from one address.
func (d *desk) through(v *vouch) (cookie, next string, err error) {
	d.t.Helper()
	d.clk.pass(10 * time.Second)
	to, kept, err := d.BeginVouched(d.t.Context(), from(1), "/devices")
	if err != nil {
		return "", "", err
	}
	return d.FinishVouched(d.t.Context(), from(1), kept, v.authorize(to))
}

// TestAProviderVouches: the first time an operator is made, with the greatest right that its groups give; the right
// follows the groups at each sign-in, and without one the sessions end.
func TestAProviderVouches(t *testing.T) {
	v := newVouch(t)
	d := newDesk(t, v.provider())
	right := func(want store.Right) string {
		t.Helper()
		cookie, next, err := d.through(v)
		must(t, err)
		if g, err := d.Session(cookie); err != nil || g.Name != "anna" || g.Right != want || next != "/devices" {
			t.Errorf("grant %+v, %v, on to %q; want %s", g, err, next, want)
		}
		return cookie
	}
	right(store.Technician)
	v.claims["groups"] = []any{"it", "helpdesk"}
	right(store.Administrator)
	v.claims["groups"] = "everybody"
	cookie := right(store.Viewer)
	if !strings.Contains(d.acts(), "anna sign in operator:anna Through "+v.URL) {
		t.Errorf("the record says\n%s", d.acts())
	}
	made, err := d.AddToken("anna", false, store.TokenAdd{Name: "ci", Right: store.Viewer})
	must(t, err)
	v.claims["groups"] = []any{"strangers", 7, nil}
	_, _, err = d.through(v)
	wantCode(t, "without a group", err, job.CodeIdentity)
	_, err = d.Session(cookie)
	wantCode(t, "the session of before", err, job.CodeSignedOut)
	_, err = d.Token(made.Token)
	wantCode(t, "a token of before", err, job.CodeSignedOut)
	v.claims["groups"] = []any{"helpdesk"}
	cookie = right(store.Technician)
	for range 12 { // in use all the time, a session behind a provider ends in half a day
		d.Session(cookie)
		d.clk.pass(time.Hour)
	}
	_, err = d.Session(cookie)
	wantCode(t, "after half a day", err, job.CodeSignedOut)
	yes := true
	_, err = d.SetOperator("boss", "anna", store.OperatorSet{Disabled: &yes})
	must(t, err)
	_, _, err = d.through(v)
	wantCode(t, "let out here", err, job.CodeIdentity)
}

// TestWhoLeavesTakesNoSignInAway: the provider is asked where its parts are for all, also when whoever asked first has gone.
func TestWhoLeavesTakesNoSignInAway(t *testing.T) {
	v := newVouch(t)
	d := newDesk(t, v.provider())
	gone, leave := context.WithCancel(t.Context())
	leave()
	d.BeginVouched(gone, from(1), "/")
	if _, _, err := d.BeginVouched(t.Context(), from(2), "/"); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// TestAProviderTakesNobodyOver: not a local operator of that name, not another one's, not a name of the record.
func TestAProviderTakesNobodyOver(t *testing.T) {
	v := newVouch(t)
	d := newDesk(t, v.provider())
	d.operator("anna", store.Administrator)
	for _, name := range []any{"anna", "ANNA", "root", "ingot", "", 7, "a/b", strings.Repeat("x", 65), "anna\n"} {
		v.claims["preferred_username"] = name
		if name == "anna\n" {
			v.claims["preferred_username"] = "an\x00na"
		}
		_, _, err := d.through(v)
		wantCode(t, "as "+strings.TrimSpace(toText(name)), err, job.CodeIdentity)
	}
	v.claims["preferred_username"] = "bo"
	if _, _, err := d.through(v); err != nil {
		t.Fatal(err)
	}
	v.claims["sub"] = "another" // somebody else was given the name there
	_, _, err := d.through(v)
	wantCode(t, "another one of the same name", err, job.CodeIdentity)
	_, err = d.SignIn(t.Context(), from(9), "bo", "")
	wantCode(t, "no password opens for a vouched one", err, job.CodeSignIn)
}

func toText(v any) string { b, _ := json.Marshal(v); return string(b) }

// changed is a text with one character made another one, in its middle: the last one of base64 has bits that say nothing.
func changed(s string) string {
	b := []byte(s)
	if b[len(b)/2] == 'A' {
		b[len(b)/2] = 'B'
	} else {
		b[len(b)/2] = 'A'
	}
	return string(b)
}

// TestAnswersThatAreNotTheProviders: each opens nothing.
func TestAnswersThatAreNotTheProviders(t *testing.T) {
	v := newVouch(t)
	d := newDesk(t, v.provider())
	for name, spoil := range map[string]func(head, claims map[string]any){
		"for another client":       func(_, c map[string]any) { c["aud"] = "other" },
		"of another issuer":        func(_, c map[string]any) { c["iss"] = "https://evil.example" },
		"expired":                  func(_, c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() },
		"unsigned":                 func(h, _ map[string]any) { h["alg"] = "none" },
		"of another algorithm":     func(h, _ map[string]any) { h["alg"] = "HS256" },
		"of an unknown key":        func(h, _ map[string]any) { h["kid"] = "other" },
		"with another nonce":       func(_, c map[string]any) { c["nonce"] = "x" },
		"without a nonce":          func(_, c map[string]any) { delete(c, "nonce") },
		"that is no token":         func(h, c map[string]any) { clear(h); clear(c) },
		"of another key in secret": func(h, _ map[string]any) { v.key = otherKey(t) },
	} {
		key := v.key
		v.spoil = spoil
		_, _, err := d.through(v)
		wantCode(t, name, err, job.CodeProvider)
		v.spoil, v.key = nil, key
	}
	to, kept, err := d.BeginVouched(t.Context(), from(1), "/")
	must(t, err)
	_, foreign, err := d.BeginVouched(t.Context(), from(1), "/")
	must(t, err)
	q := v.authorize(to)
	finish := func(kept string, q url.Values) error {
		d.clk.pass(4 * time.Second)
		_, _, err := d.FinishVouched(t.Context(), from(1), kept, q)
		return err
	}
	with := func(k, v string) url.Values { c := maps.Clone(q); c.Set(k, v); return c }
	wantCode(t, "no cookie", finish("", q), job.CodeProvider)
	wantCode(t, "another one's cookie", finish(foreign, q), job.CodeProvider)
	wantCode(t, "a made-up cookie", finish(strings.Repeat("A", 200), q), job.CodeProvider)
	wantCode(t, "a changed cookie", finish(changed(kept), q), job.CodeProvider)
	wantCode(t, "another state", finish(kept, with("state", "x")), job.CodeProvider)
	wantCode(t, "an error", finish(kept, with("error", "access_denied <script>")), job.CodeProvider)
	wantCode(t, "another code", finish(kept, with("code", "x")), job.CodeProvider)
	if err := finish(kept, q); err != nil {
		t.Errorf("the right one: %v", err)
	}
	wantCode(t, "the code once more", finish(kept, q), job.CodeProvider)
	to, kept, err = d.BeginVouched(t.Context(), from(1), "/")
	must(t, err)
	q = v.authorize(to)
	d.clk.pass(11 * time.Minute)
	wantCode(t, "after eleven minutes", finish(kept, q), job.CodeProvider)
}

func otherKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// TestAProviderThatIsDown stops nobody who has a password, is told in words, and is asked again later.
func TestAProviderThatIsDown(t *testing.T) {
	v := newVouch(t)
	v.down = true
	d := newDesk(t, v.provider())
	d.operator("boss", store.Administrator)
	_, _, err := d.through(v)
	wantCode(t, "down", err, job.CodeProvider)
	if _, err := d.SignIn(t.Context(), from(1), "boss", good); err != nil {
		t.Errorf("by password: %v", err)
	}
	v.down = false
	start := time.Now()
	for {
		if _, _, err = d.through(v); err == nil || time.Since(start) > 15*time.Second {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if err != nil {
		t.Errorf("up again: %v", err)
	}
	none := newDesk(t, nil)
	_, _, err = none.BeginVouched(t.Context(), from(1), "/")
	wantCode(t, "none configured", err, job.CodeNotFound)
}
