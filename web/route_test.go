package web_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

// TestEachRouteAsksForItsRight asks every route with every right that is too small: nothing behind it is called (a call
// would end the test: the bench has no methods), and the answer says which right is needed.
func TestEachRouteAsksForItsRight(t *testing.T) {
	a := everything()
	h, value := a.Handler(), regexp.MustCompile(`\{\w+\.*\}`)
	tried := 0
	for _, route := range a.Routes() {
		if route.Open {
			continue // security_test.go asks these
		}
		for _, have := range append([]store.Right{"", "root"}, store.Rights...) {
			if route.Open || have.Covers(route.Right) {
				continue
			}
			tried++
			r := httptest.NewRequest(route.Method, value.ReplaceAllString(route.Path, "x"), strings.NewReader("{}"))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r.WithContext(web.WithActor(r.Context(), web.Actor{Name: "anna", Right: have})))
			if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), string(job.CodePolicy)) {
				t.Errorf("%s %s with right %q: status %d, %s", route.Method, route.Path, have, w.Code, w.Body)
			}
		}
	}
	if tried < 100 {
		t.Errorf("%d refusals tried; want all", tried)
	}
}

// TestNoHandlerIsRegisteredBesideTheTable: one that is has no right that it asks for.
func TestNoHandlerIsRegisteredBesideTheTable(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name != "route.go" && !strings.HasSuffix(name, "_test.go") && regexp.MustCompile(`\.Handle(Func)?\(`).Match(b) {
			t.Errorf("%s registers a handler by itself: use routes.handle", name)
		}
	}
}

// TestAPageSaysWhatWentWrong: in words, with whatever a stranger put into them as text.
func TestAPageSaysWhatWentWrong(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	a := &web.API{}
	a.ShowFault(w, r.WithContext(web.WithActor(r.Context(), web.Actor{Name: "anna"})), job.Faultf(job.CodeNotFound, "<script>LT-7</script>."))
	if b := w.Body.String(); w.Code != http.StatusNotFound || !strings.Contains(b, "&lt;script&gt;LT-7") || !strings.Contains(b, string(job.CodeNotFound)) {
		t.Errorf("status %d, %s", w.Code, b)
	}
}
