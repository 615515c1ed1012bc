package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
	"ingot/web/push"
)

// pushing is the API over a real Pusher and a real database; there is a device on record, with words of a stranger.
func pushing(t *testing.T) (*web.API, *store.DB) {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "ingot.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	err = db.Update(func(tx *store.Tx) error {
		return tx.PutDevice(store.Device{ID: "dev", State: store.Ready, Serial: "<script>alert(1)</script>", Sticker: "x", Model: `"><img src=x onerror=alert(1)>`})
	})
	if err != nil {
		t.Fatal(err)
	}
	p := push.New(push.Config{DB: db, Log: zerolog.Nop(), Version: "test", Guard: push.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	return &web.API{Bench: bench{}, Push: p, Hidden: func(err error) { t.Errorf("a raw error came up: %v", err) }}, db
}

// as sends a request with a right: a form when there is one.
func as(a *web.API, right store.Right, method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, r.WithContext(web.WithActor(r.Context(), web.Actor{Name: "anna", Right: right})))
	return w
}

var register = url.Values{"kind": {"snipe-it"}, "new": {"1"}, "name": {"snipe"}, "url": {"https://assets.example"}, "secret": {"a-token-of-the-register"},
	"label-deployed": {"5"}, "label-disposed": {"3"}, "column-uuid": {"_snipeit_uuid_3"}, "models": {"ThinkPad T14 = 7\r\n\r\nX = Y = 8\r\n"}, "assign": {"1"}, "hours": {"12"}}

func TestARegisterIsEnteredChangedAndRemovedOnThePage(t *testing.T) {
	a, _ := pushing(t)
	if w := as(a, store.Administrator, "POST", "/settings/push/target", register); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/settings/push?did=target" {
		t.Fatalf("status %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	s, err := a.Push.Status(context.Background())
	if err != nil || len(s.Targets) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	v := s.Targets[0]
	if v.Snipe.Status[store.Deployed] != 5 || v.Snipe.Status[store.Disposed] != 3 || v.Snipe.Columns[store.FieldUUID] != "_snipeit_uuid_3" || v.Snipe.Models["ThinkPad T14"] != 7 || v.Snipe.Models["X = Y"] != 8 ||
		!v.Snipe.Assign || v.Snipe.Create || v.Snipe.Hours != 12 || v.Waiting != 1 {
		t.Errorf("kept: %+v %+v", v, v.Snipe)
	}
	page := as(a, store.Administrator, "GET", "/settings/push?target=snipe", nil).Body.String()
	for _, want := range []string{`value="_snipeit_uuid_3"`, `name="label-deployed" inputmode="numeric" size="5" maxlength="9" value="5"`, "ThinkPad T14 = 7", "Change snipe", "&lt;script&gt;alert(1)&lt;/script&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{"a-token-of-the-register", "<script>alert", "<img src=x"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	again := url.Values{}
	for k, x := range register {
		again[k] = x
	}
	again.Set("secret", "")
	again.Set("url", "https://thief.example")
	again.Set("column-uuid", "_snipeit_serial_9")
	w := as(a, store.Administrator, "POST", "/settings/push/target", again)
	if b := w.Body.String(); w.Code != http.StatusBadRequest || !strings.Contains(b, "the token must be given again") || !strings.Contains(b, `value="_snipeit_serial_9"`) {
		t.Errorf("another address without the token: status %d, what was typed is kept %v", w.Code, strings.Contains(b, "_snipeit_serial_9"))
	}
	if w := as(a, store.Administrator, "POST", "/settings/push/remove", url.Values{"target": {"snipe"}, "confirm": {"snip"}}); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), string(job.CodeTyped)) {
		t.Errorf("a wrong word removes: status %d", w.Code)
	}
	if w := as(a, store.Administrator, "POST", "/settings/push/remove", url.Values{"target": {"snipe"}, "confirm": {"snipe"}}); w.Code != http.StatusSeeOther {
		t.Errorf("removing: status %d, %s", w.Code, w.Body)
	}
	if s, err := a.Push.Status(context.Background()); err != nil || len(s.Targets) != 0 {
		t.Errorf("left: %+v, %v", s.Targets, err)
	}
}

var whsec = regexp.MustCompile(`whsec_[A-Za-z0-9+/=&#;]+`)

// TestAWebhooksSecretStandsOnOneAnswer: on that of its making, and on no page after it.
func TestAWebhooksSecretStandsOnOneAnswer(t *testing.T) {
	a, _ := pushing(t)
	form := url.Values{"kind": {"webhook"}, "new": {"1"}, "name": {"itsm"}, "url": {"https://itsm.example/hook"}, "events": {"device.done device.failed"}}
	w := as(a, store.Administrator, "POST", "/settings/push/target", form)
	if w.Code != http.StatusOK || !whsec.MatchString(w.Body.String()) || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if w := as(a, store.Administrator, "POST", "/settings/push/secret", url.Values{"target": {"itsm"}}); w.Code != http.StatusOK || !whsec.MatchString(w.Body.String()) {
		t.Errorf("another secret: status %d", w.Code)
	}
	for _, path := range []string{"/settings/push", "/settings/push?target=itsm", "/api/v1/push"} {
		if w := as(a, store.Administrator, "GET", path, nil); w.Code != http.StatusOK || whsec.MatchString(w.Body.String()) {
			t.Errorf("%s: status %d, secret %q", path, w.Code, whsec.FindString(w.Body.String()))
		}
	}
}

// TestThePageShowsWhatWaitsAndWhy: the dead letter with its reason and its next step, and a button that sends it again.
func TestThePageShowsWhatWaitsAndWhy(t *testing.T) {
	a, db := pushing(t)
	as(a, store.Administrator, "POST", "/settings/push/target", register)
	err := db.Update(func(tx *store.Tx) error {
		due, _, err := tx.DueItems("snipe", 1)
		if err != nil {
			return err
		}
		return tx.ItemFailed(due[0], job.Faultf(job.CodePushAbsent, "Serial <b>PF3</b>."), time.Time{})
	})
	if err != nil {
		t.Fatal(err)
	}
	b := as(a, store.Technician, "GET", "/settings/push", nil).Body.String()
	for _, want := range []string{"✖ given up", "Serial &lt;b&gt;PF3&lt;/b&gt;.", string(job.CodePushAbsent), "or let Ingot do it, by its settings", `name="key" value="dev"`, "snipe: 1 devices could not be sent."} {
		if !strings.Contains(b, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, admin := range []string{`action="/settings/push/remove"`, `action="/settings/push/target"`, `action="/settings/push/test"`} {
		if strings.Contains(b, admin) {
			t.Errorf("a technician is offered %s", admin)
		}
	}
	if b := as(a, store.Viewer, "GET", "/settings/push", nil).Body.String(); strings.Contains(b, "<form class=\"acts\"") || strings.Contains(b, "Send again") {
		t.Error("a viewer is offered an act")
	}
	if w := as(a, store.Technician, "POST", "/settings/push/retry", url.Values{"target": {"snipe"}, "key": {"dev"}}); w.Code != http.StatusSeeOther {
		t.Errorf("retry: status %d, %s", w.Code, w.Body)
	}
	if s, err := a.Push.Status(context.Background()); err != nil || s.Targets[0].Dead != 0 || s.Targets[0].Waiting != 1 {
		t.Errorf("after the retry: %+v, %v", s.Targets, err)
	}
}

// TestOnlyAnAdministratorSeesAWholeAddress: what stands behind its host may be the receiver's secret, on the page, for a
// program and in the audit trail.
func TestOnlyAnAdministratorSeesAWholeAddress(t *testing.T) {
	a, db := pushing(t)
	hook := url.Values{"kind": {"webhook"}, "new": {"1"}, "name": {"chat"}, "url": {"https://chat.example:8443/hooks/T0123/s3cret?token=abc"}, "events": {"*"}}
	if w := as(a, store.Administrator, "POST", "/settings/push/target", hook); w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	for _, right := range store.Rights {
		for _, path := range []string{"/settings/push", "/api/v1/push", "/settings/push?target=chat"} {
			b := as(a, right, "GET", path, nil).Body.String()
			if whole := strings.Contains(b, "s3cret"); !strings.Contains(b, "https://chat.example:8443") || whole != (right == store.Administrator) || !whole && strings.Contains(b, "token=abc") {
				t.Errorf("%s to %s: the whole address %v", path, right, whole)
			}
		}
	}
	if s, err := a.Push.Status(context.Background()); err != nil || !strings.Contains(s.Targets[0].URL, "s3cret") {
		t.Errorf("what is kept: %+v, %v", s.Targets, err)
	}
	err := db.View(func(tx *store.Tx) error {
		all, err := tx.AuditTrail("", 100)
		for _, e := range all {
			if strings.Contains(e.Text, "s3cret") {
				t.Errorf("the audit trail says %q", e.Text)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEachPushRouteAsksForItsRight, pages and API alike, before anything is done.
func TestEachPushRouteAsksForItsRight(t *testing.T) {
	a, db := pushing(t)
	tried := 0
	for _, route := range a.Routes() {
		if !strings.Contains(route.Path, "/push") {
			continue
		}
		for _, have := range append([]store.Right{""}, store.Rights...) {
			if have.Covers(route.Right) {
				continue
			}
			tried++
			w := as(a, have, route.Method, strings.ReplaceAll(route.Path, "{name}", "snipe"), register)
			if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), string(job.CodePolicy)) {
				t.Errorf("%s %s with %q: status %d", route.Method, route.Path, have, w.Code)
			}
		}
	}
	var left []store.PushTarget
	if err := db.View(func(tx *store.Tx) (err error) { left, err = tx.PushTargets(); return err }); err != nil || len(left) != 0 || tried < 30 {
		t.Errorf("%d tried, %d targets made, %v", tried, len(left), err)
	}
}

func TestTheAPIDoesWhatThePageDoes(t *testing.T) {
	a, _ := pushing(t)
	send := func(method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/api/v1/push"+path, strings.NewReader(body))
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r.WithContext(web.WithActor(r.Context(), web.Actor{Name: "anna", Right: store.Administrator})))
		return w
	}
	w := send("POST", "/targets", `{"name":"itsm","kind":"webhook","url":"https://itsm.example"}`)
	var made store.PushMade
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != http.StatusOK || !strings.HasPrefix(made.Secret, "whsec_") || made.By != "anna" {
		t.Errorf("status %d, %s", w.Code, w.Body)
	}
	if w := send("POST", "/retry", `{"target":"itsm"}`); w.Code != http.StatusOK {
		t.Errorf("retry: %d %s", w.Code, w.Body)
	}
	if w := send("GET", "/devices.csv", ""); w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") || strings.Count(w.Body.String(), "\r\n") != 2 {
		t.Errorf("csv: %d %s", w.Code, w.Body)
	}
	for path, want := range map[string]int{"/targets/nobody/test": http.StatusNotFound, "/targets/nobody/secret": http.StatusNotFound} {
		if w := send("POST", path, ""); w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := send("POST", "/targets", `{"name":"meta","kind":"webhook","url":"https://169.254.169.254/latest"}`); w.Code != http.StatusBadRequest || refusal(t, w).Code != job.CodePushAddress {
		t.Errorf("a metadata address: %d %s", w.Code, w.Body)
	}
	if w := send("DELETE", "/targets/itsm", ""); w.Code != http.StatusOK {
		t.Errorf("remove: %d %s", w.Code, w.Body)
	}
}
