package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
)

// wantBack checks that an act led back to a page.
func wantBack(t *testing.T, what string, r reply, to string) {
	t.Helper()
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != to {
		t.Errorf("%s: %s to %q; want to %q: %.300s", what, r.Status, r.Header.Get("Location"), to, r.body)
	}
}

// TestOperatorsAreLookedAfterOnTheirPage: let in by a link that is shown once, given another right, signed out, let out
// and in again, each by a plain form and on record.
func TestOperatorsAreLookedAfterOnTheirPage(t *testing.T) {
	p := newPages(t, nil)
	boss := p.operator("boss", store.Administrator)
	link := regexp.MustCompile(regexp.QuoteMeta(p.url) + `(/setup/[A-Za-z0-9_-]{43})`)
	letIn := func(r reply) *browser {
		t.Helper()
		found := link.FindStringSubmatch(r.body)
		if r.StatusCode != http.StatusOK || found == nil {
			t.Fatalf("no link: %s %s", r.Status, r.body)
		}
		b := p.browser()
		wantBack(t, "the link", b.post(found[1], "password", goodPassword, "again", goodPassword), "/")
		if link.MatchString(boss.get("/operators").body) {
			t.Error("the link is shown a second time")
		}
		return b
	}
	anna := letIn(boss.post("/operators", "name", "anna", "right", "technician"))
	if r := anna.get("/api/v1/me"); !strings.Contains(r.body, `"right":"technician"`) {
		t.Errorf("anna is %s", r.body)
	}
	if r := boss.post("/operators", "name", "anna", "right", "viewer"); r.code() != job.CodeBadRequest {
		t.Errorf("a name that is taken: %s %s", r.Status, r.code())
	}
	set := func(do string, more ...string) {
		t.Helper()
		wantBack(t, do, boss.post("/operators/anna", append(more, "do", do)...), "/operators")
	}
	set("right", "right", "viewer")
	if r := anna.post("/bench/close"); r.code() != job.CodePolicy {
		t.Errorf("a viewer now, closes the bench: %s", r.Status)
	}
	set("sign-out")
	if p.signedIn(anna) {
		t.Error("signed out everywhere, and still in")
	}
	set("disable")
	if r := p.browser().post("/sign-in", "name", "anna", "password", goodPassword); r.code() != job.CodeSignIn {
		t.Errorf("let out, and the sign-in says %s %s", r.Status, r.code())
	}
	set("enable")
	again := letIn(boss.post("/operators/anna/link"))
	if !p.signedIn(again) {
		t.Error("let in again, and not in")
	}
	if r := boss.post("/operators/anna", "do", "promote"); r.code() != job.CodeBadRequest {
		t.Errorf("nothing that is done with an operator: %s %s", r.Status, r.code())
	}
	if got := strings.Join(p.acts(), "\n"); strings.Count(got, "boss operator set operator:anna") < 2 || strings.Count(got, "boss operator link operator:anna") < 1 {
		t.Errorf("the record says\n%s", got)
	}
}

// TestATokenIsMadeAndRemovedOnItsPage: shown once, with the scope and the time that were chosen, never above its maker.
func TestATokenIsMadeAndRemovedOnItsPage(t *testing.T) {
	p := newPages(t, nil)
	anna := p.operator("anna", store.Technician)
	r := anna.post("/tokens", "name", "ci", "right", "technician", "days", "2", "only", "devices", "only", "jobs")
	found := regexp.MustCompile(`<code class="copy">([^<]+)</code>`).FindStringSubmatch(r.body)
	if r.StatusCode != http.StatusOK || found == nil {
		t.Fatalf("no token: %s %s", r.Status, r.body)
	}
	shown := anna.get("/tokens")
	if strings.Contains(shown.body, found[1]) || !strings.Contains(shown.body, "devices, jobs") || !strings.Contains(shown.body, p.clk.now().AddDate(0, 0, 2).UTC().Format("2006-01-02")) {
		t.Errorf("the page of tokens: %s", shown.body)
	}
	ci := p.program(found[1])
	for path, want := range map[string]int{"devices": 200, "jobs": 200, "images": 403} {
		if r := ci.send("GET", "/api/v1/"+path, "", ""); r.StatusCode != want {
			t.Errorf("%s with it: %s; want %d", path, r.Status, want)
		}
	}
	if r := anna.post("/tokens", "name", "up", "right", "administrator", "days", "2"); r.code() != job.CodePolicy {
		t.Errorf("above its maker: %s %s", r.Status, r.code())
	}
	if r := anna.post("/tokens", "name", "x", "right", "viewer", "days", "soon"); r.code() != job.CodeBadRequest {
		t.Errorf("no days: %s %s", r.Status, r.code())
	}
	wantBack(t, "removed", anna.post("/tokens/ci/remove"), "/tokens")
	if p.signedIn(ci) {
		t.Error("it was removed and opens")
	}
}

// TestWhoLooksAfterHimself ends a session elsewhere and sets a new password, on the page of his account.
func TestWhoLooksAfterHimself(t *testing.T) {
	p := newPages(t, nil)
	here := p.operator("anna", store.Viewer)
	sign := func(password string) (*browser, reply) {
		b := p.browser()
		return b, b.post("/sign-in", "name", "anna", "password", password)
	}
	there, _ := sign(goodPassword)
	end := regexp.MustCompile(`action="(/account/sessions/[^/"]+/end)"`).FindAllStringSubmatch(here.get("/account").body, -1)
	if len(end) != 1 {
		t.Fatalf("%d sessions can be ended; want the other one", len(end))
	}
	stranger := p.operator("mallory", store.Administrator)
	if r := stranger.post(end[0][1]); r.StatusCode != http.StatusNotFound || !p.signedIn(there) {
		t.Errorf("another one's session: %s, ended %v", r.Status, !p.signedIn(there))
	}
	wantBack(t, "ended", here.post(end[0][1]), "/account")
	if p.signedIn(there) || !p.signedIn(here) {
		t.Error("the session there goes on, or the one here ended too")
	}
	const next = "quite another staple of horses"
	for what, f := range map[string]url.Values{"two that differ": {"password": {goodPassword}, "new": {next}, "again": {next + "x"}}, "a wrong present one": {"password": {"not this one at all"}, "new": {next}, "again": {next}}} {
		if r := here.post("/account/password", "password", f.Get("password"), "new", f.Get("new"), "again", f.Get("again")); r.StatusCode < 400 {
			t.Errorf("%s: %s", what, r.Status)
		}
	}
	wantBack(t, "a new password", here.post("/account/password", "password", goodPassword, "new", next, "again", next), "/account")
	if !p.signedIn(here) {
		t.Error("whoever sets a new password is signed out himself")
	}
	if _, r := sign(goodPassword); r.code() != job.CodeSignIn {
		t.Errorf("the old one: %s", r.Status)
	}
	if _, r := sign(next); r.StatusCode != http.StatusSeeOther {
		t.Errorf("the new one: %s", r.Status)
	}
}

// TestThePolicyOfASecondPersonIsSetOnThePage of rights, and taken back.
func TestThePolicyOfASecondPersonIsSetOnThePage(t *testing.T) {
	p := newPages(t, nil)
	boss := p.operator("boss", store.Administrator)
	for _, want := range []bool{true, false} {
		value := ""
		if want {
			value = "yes"
		}
		wantBack(t, "the policy", boss.post("/rights", "second_person", value), "/rights")
		if is, err := p.access.Policy(); err != nil || is.SecondPerson != want || is.By != "boss" {
			t.Errorf("the policy is %+v, %v; want a second person: %v", is, err, want)
		}
	}
	if tech := p.operator("tom", store.Technician); tech.post("/rights", "second_person", "").code() != job.CodePolicy {
		t.Error("a technician sets the policy")
	}
}
