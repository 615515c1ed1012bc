package web_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

var placeholder = regexp.MustCompile(`\{\w*[$.]*\w*\}`)

// asked is the path of a route with something in its places.
func asked(r web.Route) string { return placeholder.ReplaceAllString(r.Path, "x") }

// forStrangers is everything that is open to somebody who has shown nothing: the way in, the style of its page, and
// whether the server is well.
var forStrangers = []string{"GET /sign-in", "POST /sign-in", "GET /setup/{secret}", "POST /setup/{secret}", "GET /sign-in/oidc", "GET /sign-in/oidc/callback",
	"GET /static/{file}", "GET /healthz"}

// TestAStrangerGetsNothingButTheWayIn asks every route, and some that are none, as somebody without a session, with a
// made-up one, with a made-up token, and with the token and the session of somebody who was let out again.
func TestAStrangerGetsNothingButTheWayIn(t *testing.T) {
	p := newPages(t, nil)
	p.operator("anna", store.Administrator)
	gone := p.operator("gone", store.Administrator)
	token := p.token("gone", store.TokenAdd{Name: "gone", Right: store.Administrator})
	yes := true
	_, err := p.access.SetOperator("anna", "gone", store.OperatorSet{Disabled: &yes})
	must(t, err)
	madeUp := p.browser()
	madeUp.plant(store.NewSecret())
	strangers := map[string]*browser{"nothing": p.browser(), "a made-up session": madeUp, "a session of one who was let out": gone,
		"a made-up token": p.program(store.TokenText("ci", store.NewSecret())), "a token of one who was let out": p.program(token),
		"no token at all": p.program("")}
	odd := []web.Route{{Method: "GET", Path: "/nothing"}, {Method: "GET", Path: "/api/v1/nothing"}, {Method: "GET", Path: "/api/v2/devices"}, {Method: "GET", Path: "/debug/pprof/"},
		{Method: "OPTIONS", Path: "/api/v1/devices"}, {Method: "TRACE", Path: "/"}, {Method: "PUT", Path: "/api/v1/devices"}, {Method: "GET", Path: "/ingot.db"}, {Method: "GET", Path: "/v1/next"}}
	before, tried, open := len(p.acts()), 0, []string{}
	for _, route := range append(p.api.Routes(), odd...) {
		if route.Open {
			open = append(open, route.Method+" "+route.Path)
			continue
		}
		for who, b := range strangers {
			tried++
			r := b.send(route.Method, asked(route), "", "")
			led := r.StatusCode == http.StatusSeeOther && strings.HasPrefix(r.Header.Get("Location"), "/sign-in?next=") && !strings.HasPrefix(route.Path, "/api/")
			refused := r.StatusCode == http.StatusUnauthorized && r.code() == job.CodeSignedOut
			nowhere := r.StatusCode == http.StatusNotFound && slices.ContainsFunc(odd, func(o web.Route) bool { return o == route })
			if !led && !refused && !nowhere {
				t.Errorf("%s %s with %s: %s %.200s", route.Method, asked(route), who, r.Status, r.body)
			}
		}
	}
	for _, o := range open {
		if !slices.Contains(forStrangers, o) {
			t.Errorf("%s is open to strangers", o)
		}
	}
	if after := len(p.acts()); after != before {
		t.Errorf("strangers left %d events in the record", after-before)
	}
	t.Logf("%d requests of strangers to %d routes refused; open: %s", tried, len(p.api.Routes())-len(open), strings.Join(open, ", "))
}

// kinds are all kinds of those who ask, and what the route says about each.
func (p *pages) kinds() []kind {
	var out []kind
	for _, right := range store.Rights {
		name := "op-" + string(right)
		out = append(out, kind{string(right), p.operator(name, right), func(r web.Route) bool { return right.Covers(r.Right) }})
		p.clk.pass(time.Minute)
	}
	token := func(name string, owner store.Right, in store.TokenAdd) *browser {
		in.Name = name
		return p.program(p.token("op-"+string(owner), in))
	}
	forPrograms, ofDevices := regexp.MustCompile(`^(/api/v1/.*|/metrics)$`), regexp.MustCompile(`^/api/v1/devices(/.*|\..*)?$`)
	return append(out,
		kind{"token", token("all", store.Administrator, store.TokenAdd{Right: store.Administrator}), func(r web.Route) bool { return forPrograms.MatchString(r.Path) && !r.Person }},
		kind{"viewer's token", token("of-viewer", store.Viewer, store.TokenAdd{Right: store.Administrator}), func(r web.Route) bool {
			return forPrograms.MatchString(r.Path) && !r.Person && r.Right == store.Viewer
		}},
		kind{"devices token", token("devices", store.Administrator, store.TokenAdd{Right: store.Technician, Only: []string{"devices"}}), func(r web.Route) bool {
			return ofDevices.MatchString(r.Path) && !r.Person && store.Technician.Covers(r.Right)
		}},
		kind{"stranger", p.browser(), func(r web.Route) bool { return false }},
	)
}

// rightWords are those of a refusal for want of a right or a scope.
var rightWords = regexp.MustCompile(`has the right .* this needs|is a program; this is for a person|may ask for .* only`)

type kind struct {
	name string
	b    *browser
	may  func(web.Route) bool
}

// TestRights is the one table of rights: each route, asked over the network by each kind of those who may come. What a
// handler answers to an empty request is its own affair; what counts is whether it was reached.
func TestRights(t *testing.T) {
	p := newPages(t, nil)
	kinds := p.kinds()
	var head []string
	for _, k := range kinds {
		head = append(head, k.name)
	}
	table := []string{fmt.Sprintf("%-55s %s", "route", strings.Join(head, " | "))}
	for _, route := range p.api.Routes() {
		if route.Open || route.Path == "/sign-out" {
			continue
		}
		line := fmt.Sprintf("%-55s", route.Method+" "+route.Path)
		for _, k := range kinds {
			want := k.may(route)
			if want && (route.Path == "/api/v1/jobs/{id}/watch" || route.Path == "/live") {
				line += " yes" // lasts; it is asked where streams are tested
				continue
			}
			k.b.header.Set("Origin", p.url)
			r := k.b.send(route.Method, asked(route), "application/json", "")
			refused := r.StatusCode == http.StatusForbidden && rightWords.MatchString(r.body) || r.code() == job.CodeSignedOut || strings.HasPrefix(r.Header.Get("Location"), "/sign-in")
			if refused == want {
				t.Errorf("%s %s as %s: %s %.200s; want allowed %v", route.Method, route.Path, k.name, r.Status, r.body, want)
			}
			line += map[bool]string{true: " yes", false: "  no"}[!refused]
		}
		table = append(table, line)
	}
	if all := everything().Routes(); len(all) != len(p.api.Routes()) {
		t.Errorf("%d routes were asked; there are %d", len(p.api.Routes()), len(all))
	}
	t.Log("\n" + strings.Join(table, "\n"))
}

// TestNoRouteAsksForTooLittle holds the table itself: what changes something needs more than to look, and what decides
// about others, keys and servers is an administrator's.
func TestNoRouteAsksForTooLittle(t *testing.T) {
	own := []string{"/sign-out", "/account/password", "/account/sessions/{id}/end", "/tokens", "/tokens/{name}/remove", "/api/v1/tokens", "/api/v1/tokens/{name}",
		"/api/v1/audit/verify", "/audit/verify", "/api/v1/receipts/verify", "/api/v1/receipts/pdf", "/certificates/verify"} // these five look only, at what they are given
	admin := regexp.MustCompile(`^(/api/v1)?/(operators|operator-link|access-policy|rights|peers|image-keys|push/targets|settings/push/(target|secret|remove)|backup|auto-deploy)\b`)
	person := regexp.MustCompile(`^(/api/v1)?/(operators|operator-link|access-policy|rights|tokens|account|sign-out|peers|image-keys|push/targets|settings/push/(target|secret|remove))\b`)
	for _, r := range newPages(t, nil).api.Routes() {
		switch {
		case r.Open, r.Method == http.MethodGet && !strings.Contains(r.Path, "operators"):
		case admin.MatchString(r.Path) && r.Right != store.Administrator:
			t.Errorf("%s %s asks for %q only", r.Method, r.Path, r.Right)
		case !r.Right.Covers(store.Technician) && !slices.Contains(own, r.Path):
			t.Errorf("%s %s changes something and asks for %q only", r.Method, r.Path, r.Right)
		}
		if !r.Open && !r.Person && r.Method != http.MethodGet && person.MatchString(r.Path) && !strings.HasSuffix(r.Path, "/test") {
			t.Errorf("%s %s is open to programs, which could make themselves others", r.Method, r.Path)
		}
		if r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodDelete {
			t.Errorf("%s %s: the site lets no such method pass", r.Method, r.Path)
		}
	}
}

// TestFormsOfOtherSites: what another web site makes a browser send is refused although the browser shows its session,
// and nothing of it is done.
func TestFormsOfOtherSites(t *testing.T) {
	p := newPages(t, nil)
	anna := p.operator("anna", store.Administrator)
	before := p.acts()
	for name, h := range map[string]http.Header{
		"another site":                  {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
		"another host of this domain":   {"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://other.example"}},
		"an old browser":                {"Origin": {"https://evil.example"}},
		"a sandboxed frame":             {"Origin": {"null"}},
		"a name that begins as this":    {"Origin": {p.url + ".evil.example"}},
		"this very server, without TLS": {"Origin": {"http://" + strings.TrimPrefix(p.url, "https://")}},
		"another port":                  {"Origin": {"https://127.0.0.1:1"}},
	} {
		anna.header = h
		for _, path := range []string{"/operators", "/sign-out", "/rights", "/account/password", "/tokens", "/sign-in", "/setup/x"} {
			if r := anna.post(path, "name", "mallory", "right", "administrator", "second_person", "yes"); r.StatusCode != http.StatusForbidden || r.code() != job.CodeCrossSite {
				t.Errorf("%s, POST %s: %s %.200s", name, path, r.Status, r.body)
			}
		}
		if r := anna.json("POST", "bench", store.Bench{OpenUntil: p.clk.now().Add(time.Hour)}); r.code() != job.CodeCrossSite {
			t.Errorf("%s, bench: %s %s", name, r.Status, r.body)
		}
		if r := anna.json("DELETE", "tokens/x", nil); r.code() != job.CodeCrossSite {
			t.Errorf("%s, DELETE: %s %s", name, r.Status, r.body)
		}
	}
	if after := p.acts(); len(after) != len(before) {
		t.Errorf("it was done: %v", after[len(before):])
	}
	anna.header = http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {p.url}}
	if r := anna.post("/rights", "second_person", "yes"); r.StatusCode != http.StatusSeeOther {
		t.Errorf("its own form: %s %s", r.Status, r.body)
	}
}

// TestASessionIsNeverTakenOver: what a browser brings is not what it gets. Who knows the cookie of before the sign-in
// knows nothing, and a sign-in ends the session that the browser had.
func TestASessionIsNeverTakenOver(t *testing.T) {
	p := newPages(t, nil)
	p.operator("anna", store.Technician)
	planted := store.NewSecret()
	victim, mallory := p.browser(), p.browser()
	victim.plant(planted)
	mallory.plant(planted)
	r := victim.post("/sign-in", "name", "anna", "password", goodPassword)
	if r.StatusCode != http.StatusSeeOther || victim.cookie() == planted || victim.cookie() == "" {
		t.Fatalf("sign-in: %s, cookie %q", r.Status, victim.cookie())
	}
	if p.signedIn(mallory) || !p.signedIn(victim) {
		t.Error("the planted cookie opens, or the new one does not")
	}
	first := victim.cookie()
	victim.post("/sign-in", "name", "Anna", "password", goodPassword)
	mallory.plant(first)
	if p.signedIn(mallory) || victim.cookie() == first {
		t.Error("the session of before is still in force, or went on as it was")
	}
	for _, c := range r.Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("cookie %+v", c)
		}
	}
	for _, both := range [][2]string{{planted, victim.cookie()}, {victim.cookie(), planted}} {
		twice := p.browser()
		twice.header.Set("Cookie", "__Host-ingot="+both[0]+"; __Host-ingot="+both[1])
		if p.signedIn(twice) {
			t.Error("of two cookies of one name one opened")
		}
	}
	before := victim.cookie()
	if r := victim.post("/sign-out"); r.StatusCode != http.StatusSeeOther || victim.cookie() != "" {
		t.Errorf("sign-out: %s, cookie %q", r.Status, victim.cookie())
	}
	mallory.plant(before)
	if p.signedIn(mallory) {
		t.Error("the cookie opens after the sign-out")
	}
}

// TestWhatATokenMayDo: no more than its scope, its owner at this moment, and its time.
func TestWhatATokenMayDo(t *testing.T) {
	p := newPages(t, nil)
	boss := p.operator("boss", store.Administrator)
	anna := p.operator("anna", store.Technician)
	if r := anna.json("POST", "tokens", store.TokenAdd{Name: "up", Right: store.Administrator}); r.code() != job.CodePolicy {
		t.Errorf("a token above its maker: %s %s", r.Status, r.body)
	}
	for _, bad := range []store.TokenAdd{{Name: "a b"}, {Name: "x", Right: "root"}, {Name: "x", Days: 367}, {Name: "x", Days: -1}, {Name: "x", Only: []string{"everything"}}, {Name: "x", Only: slices.Repeat([]string{"devices"}, 21)}, {Name: "x", Only: []string{"live"}}, {Name: "x", Only: []string{"operators", "../"}}} {
		if r := anna.json("POST", "tokens", bad); r.code() != job.CodeBadRequest {
			t.Errorf("%+v: %s %s", bad, r.Status, r.body)
		}
	}
	devices := p.program(p.token("anna", store.TokenAdd{Name: "devices", Right: store.Technician, Only: []string{"devices"}, Days: 1}))
	looks := p.program(p.token("anna", store.TokenAdd{Name: "looks", Right: store.Viewer}))
	opens := func(b *browser, method, path string) job.Code { return b.json(method, path, struct{}{}).code() }
	for what, c := range map[string][2]job.Code{
		"devices":                             {opens(devices, "GET", "devices"), ""},
		"jobs with a token for devices":       {opens(devices, "GET", "jobs"), job.CodePolicy},
		"an order with a token for devices":   {opens(devices, "POST", "deploys"), job.CodePolicy},
		"looking":                             {opens(looks, "GET", "jobs"), ""},
		"an order with a token that looks":    {opens(looks, "POST", "deploys"), job.CodePolicy},
		"a token by a token":                  {opens(looks, "POST", "tokens"), job.CodePolicy},
		"the end of a token by a token":       {opens(looks, "DELETE", "tokens/devices"), job.CodePolicy},
		"a link by an administrator's token":  {opens(p.program(p.token("boss", store.TokenAdd{Name: "root", Right: store.Administrator})), "POST", "operators/anna/link"), job.CodePolicy},
		"another one's token, to a colleague": {opens(anna, "DELETE", "tokens/root"), job.CodeNotFound},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %q; want %q", what, c[0], c[1])
		}
	}
	// What a page does is refused to programs as a whole: /devices/x/deploy is an order, whatever area its path is in.
	all := p.program(p.token("boss", store.TokenAdd{Name: "all", Right: store.Administrator}))
	for _, path := range []string{"/devices/x/deploy", "/devices/act", "/deploy", "/bench/open", "/images/x/1/withdraw"} {
		for name, b := range map[string]*browser{"devices": devices, "all": all} {
			if r := b.post(path, "image", "sales", "open", "60"); r.StatusCode != http.StatusForbidden || r.code() != job.CodePolicy {
				t.Errorf("POST %s with the token %s: %s %.200s", path, name, r.Status, r.body)
			}
		}
	}
	for _, path := range []string{"/", "/devices", "/devices/x", "/live", "/jobs", "/audit", "/settings"} {
		if r := devices.get(path); r.StatusCode != http.StatusForbidden || r.code() != job.CodePolicy {
			t.Errorf("GET %s with a token for devices: %s %.200s", path, r.Status, r.body)
		}
	}
	figures := p.program(p.token("boss", store.TokenAdd{Name: "figures", Right: store.Viewer, Only: []string{"metrics"}}))
	if r := figures.get("/metrics"); r.StatusCode != http.StatusOK {
		t.Errorf("the figures with a token for them: %s", r.Status)
	}
	if r := devices.get("/metrics"); r.code() != job.CodePolicy {
		t.Errorf("the figures with a token for devices: %s", r.Status)
	}
	text := strings.TrimPrefix(looks.header.Get("Authorization"), "Bearer ")
	for name, h := range map[string]string{"cut": "Bearer " + text[:len(text)-1], "longer": "Bearer " + text + "x", "another name": "Bearer " + strings.Replace(text, "looks", "devices", 1),
		"basic": "Basic " + text, "none": "Bearer", "small letters": "bearer " + text, "as a cookie": ""} {
		b := p.browser()
		b.header.Set("Authorization", h)
		b.plant(text)
		if p.signedIn(b) {
			t.Errorf("a token that is %s opens", name)
		}
	}
	if r := p.browser().get("/api/v1/me?token=" + text + "&access_token=" + text); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token in the address: %s", r.Status)
	}
	if r := looks.json("POST", "bench", store.Bench{}); r.code() != job.CodePolicy {
		t.Errorf("%s", r.body)
	}
	works := p.program(p.token("anna", store.TokenAdd{Name: "works", Right: store.Technician}))
	if r := works.json("POST", "bench", store.Bench{OpenUntil: p.clk.now().Add(time.Hour)}); r.StatusCode != http.StatusOK || !has(p.acts(), "anna/works bench") {
		t.Errorf("the act of a token: %s %s, recorded as %v", r.Status, r.body, p.acts())
	}
	boss.json("POST", "operators/anna", map[string]any{"right": "viewer"})
	if r := works.json("POST", "bench", store.Bench{}); r.code() != job.CodePolicy {
		t.Errorf("the token of one who may only look now: %s %s", r.Status, r.body)
	}
	p.clk.pass(25 * time.Hour)
	if p.signedIn(devices) || !p.signedIn(looks) {
		t.Error("a token of one day opens after 25 hours, or one of 90 does not")
	}
	must(t, p.access.RemoveToken("anna", "looks"))
	if p.signedIn(looks) {
		t.Error("a token that was removed opens")
	}
	must(t, p.db.View(func(tx *store.Tx) error {
		all, err := tx.APITokens()
		for _, k := range all {
			if secret := text[len(text)-43:]; strings.Contains(fmt.Sprintf("%+v", k), secret) {
				t.Error("the record holds the token itself")
			}
		}
		return err
	}))
}

// raw sends bytes as they are and gives what comes back until the connection ends or a time has passed.
func (p *pages) raw(text string, wait time.Duration) (string, error) {
	c, err := tls.Dial("tcp", strings.TrimPrefix(p.url, "https://"), &tls.Config{RootCAs: p.roots, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}})
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(wait))
	_, sent := io.WriteString(c, text) // who is refused early may not have sent all of it, and is answered
	b, err := io.ReadAll(c)
	if len(b) == 0 && sent != nil {
		return "", sent
	}
	return string(b), err
}

// TestPathsThatLeadElsewhere: with every right, no path reads a file of the server, and none is understood otherwise by
// one part than by another.
func TestPathsThatLeadElsewhere(t *testing.T) {
	p := newPages(t, nil)
	must(t, os.WriteFile(filepath.Join(p.dir, "secret.txt"), []byte("the secret of the server"), 0o600))
	anna := p.operator("anna", store.Administrator)
	for _, path := range []string{"/../secret.txt", "/static/../secret.txt", "/static/..%2fsecret.txt", "/static/%2e%2e/secret.txt", "/static/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/static/..%5csecret.txt",
		"/static/....//secret.txt", "/static//etc/passwd", "//sign-in", "/./sign-in", "/sign-in/", "/sign-in/..", "/sign-in/../operators", "/sign-in%2f..%2foperators", "/setup/../operators", "/setup/..%2foperators",
		"/setup/%2e%2e/operators", "/api/v1/../../operators", "/api/v1/devices/..%2f..%2fkeys%2fagent.key", "/api/v1/devices/%00", "/api/v1//devices", "/static/\\..\\secret.txt", "/sign-in;/../operators", "/%2foperators",
		"/static/ingot.css%00.png", "/static/.", "/static/%2e", "/api/v1/images/%2e%2e%2f%2e%2e%2fsecret.txt/content", "*", "https://127.0.0.1/../secret.txt"} {
		for who, cookie := range map[string]string{"a stranger": "", "an administrator": anna.cookie()} {
			got, err := p.raw("GET "+path+" HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: __Host-ingot="+cookie+"\r\nConnection: close\r\n\r\n", 5*time.Second)
			status := strings.SplitN(got, " ", 3)
			if err != nil || len(status) < 2 || strings.Contains(got, "secret of the server") || strings.Contains(got, "root:x:") {
				t.Errorf("%s as %s: %v %.300s", path, who, err, got)
				continue
			}
			ok := status[1] == "404" || status[1] == "400" || status[1] == "410" || status[1] == "303" && strings.Contains(got, "Location: /sign-in?next=") || status[1] == "401" && cookie == ""
			if !ok {
				t.Errorf("%s as %s: %.200s", path, who, got)
			}
		}
	}
}

// TestClientsThatAreSlow: who sends a head, a body or nothing slowly, and who takes an answer slowly, is let go; others
// are served meanwhile.
func TestClientsThatAreSlow(t *testing.T) {
	quick := 400 * time.Millisecond
	p := newPages(t, func(s *web.Site) { s.HeaderTime, s.BodyTime, s.WriteTime = quick, quick, quick })
	anna := p.operator("anna", store.Administrator)
	drip := func(name, first, then string) {
		t.Helper()
		c, err := tls.Dial("tcp", strings.TrimPrefix(p.url, "https://"), &tls.Config{RootCAs: p.roots, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}})
		must(t, err)
		defer c.Close()
		io.WriteString(c, first)
		start := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			io.Copy(io.Discard, c)
		}()
		for {
			select {
			case <-done:
				if d := time.Since(start); d > 5*time.Second {
					t.Errorf("%s: held for %s", name, d)
				}
				return
			case <-time.After(50 * time.Millisecond):
				io.WriteString(c, then)
			}
		}
	}
	drip("a head that does not end", "GET / HTTP/1.1\r\nHost: x\r\n", "A: b\r\n")
	drip("nothing at all", "", "")
	drip("a stranger's body that does not end", "POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 4000\r\n\r\nname=", "a")
	drip("a stranger's body where nothing is open", "POST /api/v1/bench HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n", "a")
	drip("a body behind a path that is none", "POST /a\\b HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n", "a")
	drip("a body of another site's form", "POST /operators HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\nCookie: __Host-ingot="+anna.cookie()+"\r\nContent-Length: 4000\r\n\r\n", "a")
	drip("a body that is announced too big", "POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n", "a")
	drip("an operator's body that does not end", "POST /api/v1/bench HTTP/1.1\r\nHost: x\r\nCookie: __Host-ingot="+anna.cookie()+"\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n")
}

// TestOneAddressTakesNoMoreThanItsShare of the connections, and leaves room for a browser.
func TestOneAddressTakesNoMoreThanItsShare(t *testing.T) {
	p := newPages(t, nil)
	anna := p.operator("anna", store.Administrator)
	anna.client.CloseIdleConnections()
	open := 0
	for range 60 {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "https://"))
		must(t, err)
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		var timeout net.Error
		if _, err := c.Read(make([]byte, 1)); errors.As(err, &timeout) && timeout.Timeout() {
			open++
			if open == 40 {
				if start := time.Now(); !p.signedIn(anna) || time.Since(start) > 3*time.Second {
					t.Errorf("beside %d silent connections an operator was answered after %s", open, time.Since(start))
				}
			}
		}
	}
	if open > share || open < 40 {
		t.Errorf("%d connections of one address are open; want at most %d", open, share)
	}
}

// TestAnAnswerThatNobodyTakes: a client that asks for much and reads nothing does not hold its handler.
func TestAnAnswerThatNobodyTakes(t *testing.T) {
	p := newPages(t, func(s *web.Site) { s.WriteTime = 300 * time.Millisecond })
	anna := p.operator("anna", store.Administrator)
	for i := range 400 { // the audit trail becomes long
		must(t, p.db.Update(func(tx *store.Tx) error {
			return tx.Audit("anna", "noise", "server", strings.Repeat("x", 20_000)+fmt.Sprint(i))
		}))
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "https://"))
	must(t, err)
	defer c.Close()
	c.(*net.TCPConn).SetReadBuffer(4096)
	tc := tls.Client(c, &tls.Config{RootCAs: p.roots, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}})
	io.WriteString(tc, "GET /api/v1/audit?limit=10000 HTTP/1.1\r\nHost: x\r\nCookie: __Host-ingot="+anna.cookie()+"\r\n\r\n")
	_, err = io.ReadFull(tc, make([]byte, 1)) // it has begun
	must(t, err)
	time.Sleep(1500 * time.Millisecond)
	c.(*net.TCPConn).SetReadBuffer(4 << 20) // now it takes what comes
	tc.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := io.Copy(io.Discard, tc)
	var waiting net.Error
	if err == nil || n >= 8_000_000 || errors.As(err, &waiting) && waiting.Timeout() {
		t.Errorf("the answer of 8 MB goes on (%d bytes, %v) although nobody took it in time", n, err)
	}
}

// TestBodiesThatAreTooBig: of a stranger, of an operator, announced or not, in the head or behind it.
func TestBodiesThatAreTooBig(t *testing.T) {
	p := newPages(t, nil)
	anna := p.operator("anna", store.Administrator)
	big := strings.Repeat("x", 2<<20)
	post := func(path, cookie, head, body string) string {
		got, err := p.raw("POST "+path+" HTTP/1.1\r\nHost: x\r\nOrigin: https://x\r\nContent-Type: application/x-www-form-urlencoded\r\nCookie: __Host-ingot="+cookie+"\r\nConnection: close\r\n"+head+"\r\n"+body, 10*time.Second)
		if got == "" {
			return fmt.Sprint("nothing: ", err)
		}
		return strings.SplitN(got, "\r\n", 2)[0]
	}
	chunked := func(n int) string {
		return strings.Repeat("10000\r\n"+strings.Repeat("a", 0x10000)+"\r\n", n) + "0\r\n\r\n"
	}
	for name, c := range map[string][2]string{
		"a stranger's, announced":     {post("/sign-in", "", "Content-Length: 2097152\r\n", ""), "400"},
		"a stranger's, in pieces":     {post("/sign-in", "", "Transfer-Encoding: chunked\r\n", chunked(2)), "400"},
		"a stranger's, 9 kB":          {post("/sign-in", "", "Content-Length: 9000\r\n", big[:9000]), "400"},
		"an operator's, announced":    {post("/tokens", anna.cookie(), "Content-Length: 9999999999\r\n", ""), "400"},
		"an operator's, in pieces":    {post("/api/v1/bench", anna.cookie(), "Transfer-Encoding: chunked\r\n", chunked(20)), "400"},
		"a head of 100 kB":            {post("/sign-in", "", "X: "+big[:100_000]+"\r\n", ""), "431"},
		"a length that is none":       {post("/sign-in", "", "Content-Length: -1\r\n", ""), "400"},
		"two lengths":                 {post("/sign-in", "", "Content-Length: 3\r\nContent-Length: 4\r\n", "a=b"), "400"},
		"a length and pieces at once": {post("/sign-in", "", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "4"},
	} {
		if !strings.Contains(c[0], " "+c[1]) {
			t.Errorf("%s: %s; want %s", name, c[0], c[1])
		}
	}
	if !p.signedIn(anna) {
		t.Error("the session does not open any more")
	}
}

// TestWhereASignInLeads: to a path of this site, whatever the link said.
func TestWhereASignInLeads(t *testing.T) {
	p := newPages(t, nil)
	p.operator("anna", store.Viewer)
	for next, want := range map[string]string{"/devices?q=state:failed": "/devices?q=state:failed", "": "/", "https://evil.example/": "/", "//evil.example": "/", "/\\evil.example": "/", "\\/evil.example": "/",
		"javascript:alert(1)": "/", "/x\r\nSet-Cookie: a=b": "/", "devices": "/", "/..//evil.example": "/", "/%2f%2fevil.example": "/", "/sign-out": "/", "https:evil.example": "/", "/@evil.example": "/@evil.example"} {
		b := p.browser()
		r := b.post("/sign-in", "name", "anna", "password", goodPassword, "next", next)
		if got := r.Header.Get("Location"); r.StatusCode != http.StatusSeeOther || got != want {
			t.Errorf("next %q: %s to %q; want %q", next, r.Status, got, want)
		}
		p.clk.pass(10 * time.Second)
	}
}

// TestEveryAnswerTellsTheBrowserItsLimits: pages, refusals and the API alike.
func TestEveryAnswerTellsTheBrowserItsLimits(t *testing.T) {
	p := newPages(t, nil)
	anna := p.operator("anna", store.Administrator)
	for _, r := range []reply{p.browser().get("/sign-in"), p.browser().get("/devices"), p.browser().get("/api/v1/devices"), p.browser().get("/nothing"), anna.get("/operators"), anna.get("/tokens"), anna.get("/rights"),
		anna.get("/account"), anna.get("/api/v1/devices"), anna.get("/api/v1/nothing"), p.browser().send("PUT", "/", "", ""), p.browser().get("/setup/x")} {
		csp := r.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "base-uri 'none'") || !strings.Contains(csp, "form-action 'self'") {
			t.Errorf("%s: policy %q", r.Request.URL, csp)
		}
		for k, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin"} {
			if got := r.Header.Get(k); got != want {
				t.Errorf("%s: %s %q", r.Request.URL, k, got)
			}
		}
		if inline := regexp.MustCompile(`<script[^>]*>[^<]|<style| style=| on[a-z]+=|javascript:`).FindString(r.body); inline != "" {
			t.Errorf("%s: inline %q", r.Request.URL, inline)
		}
	}
}

// TestAStreamEndsWithItsSession: whoever is signed out, by himself, by an administrator, by time, sees nothing more of
// what he had open.
func TestAStreamEndsWithItsSession(t *testing.T) {
	p := newPages(t, nil)
	p.operator("boss", store.Administrator)
	yes := true
	j := store.Job{ID: "b05b05b05b05b05b", Device: "d", State: job.Writing}
	must(t, p.db.Update(func(tx *store.Tx) error {
		return firstErr(tx.PutDevice(store.Device{ID: "d", Serial: "SN1", State: store.Deploying}), tx.PutJob(j))
	}))
	for name, end := range map[string]func(b *browser){
		"a sign-out":     func(b *browser) { b.post("/sign-out") },
		"an operator":    func(*browser) { p.set("anna", store.OperatorSet{Disabled: &yes}) },
		"a sign-out all": func(*browser) { p.set("anna", store.OperatorSet{SignOut: true}) },
		"a new link": func(*browser) {
			l, err := p.access.Recover("boss", "anna", false)
			must(t, err)
			p.browser().post(strings.TrimPrefix(l.Link, p.url), "password", goodPassword, "again", goodPassword)
		},
		"a token's end": func(*browser) { must(t, p.access.RemoveToken("boss", "stream")) },
	} {
		var b *browser
		no := false
		if _, err := p.access.AddOperator("boss", store.OperatorAdd{Name: "anna", Right: store.Technician}); err != nil && job.FaultOf(err).Code != job.CodeBadRequest { // she is known from the second round on
			t.Fatal(err)
		}
		p.set("anna", store.OperatorSet{Disabled: &no})
		l, err := p.access.Recover("boss", "anna", false)
		must(t, err)
		b = p.browser()
		b.post(strings.TrimPrefix(l.Link, p.url), "password", goodPassword, "again", goodPassword)
		asker := b
		if name == "a token's end" {
			asker = p.program(p.token("anna", store.TokenAdd{Name: "stream", Right: store.Viewer}))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		r, err := http.NewRequestWithContext(ctx, "GET", p.url+"/api/v1/jobs/"+string(j.ID)+"/watch", nil)
		must(t, err)
		for k, v := range asker.header {
			r.Header[k] = v
		}
		res, err := asker.client.Do(r)
		must(t, err)
		lines := bufio.NewScanner(res.Body)
		if !lines.Scan() || !strings.Contains(lines.Text(), `"step"`) {
			t.Fatalf("%s: the stream begins with %q, %v", name, lines.Text(), lines.Err())
		}
		end(b)
		start := time.Now()
		for lines.Scan() {
		}
		if ctx.Err() != nil || time.Since(start) > 5*time.Second {
			t.Errorf("%s: the stream went on for %s", name, time.Since(start))
		}
		res.Body.Close()
		cancel()
		p.clk.pass(time.Minute)
	}
}

func (p *pages) set(name string, s store.OperatorSet) {
	p.t.Helper()
	_, err := p.access.SetOperator("boss", name, s)
	must(p.t, err)
}

func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
