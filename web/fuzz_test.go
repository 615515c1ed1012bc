package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

// FuzzAPI asks for any path with any body. Each answer is JSON: the outcome, or a refusal in words. The acts on
// files are left out, since they would do what they are told.
func FuzzAPI(f *testing.F) {
	for _, s := range [][3]string{
		{"GET", "devices", ""}, {"GET", "devices/%2e%2e", ""}, {"POST", "devices/adopt", `{"code":"ABCD-EFGH"}`}, {"POST", "devices/x/settle", `{"as":"moved","with":"y"}`},
		{"POST", "devices/x/set", `{"owner":"B. Meyer","reason":"x"}`}, {"POST", "devices/import", `{"csv":"c2VyaWFsLG1hbnVmYWN0dXJlcgpBQkMxMjM0LERlbGwK"}`},
		{"POST", "deploys", `{"device":"x","image":"sales"}`}, {"POST", "roles", `{"name":"desk","image":"sales","pattern":"{serial:-7}"}`},
		{"POST", "bench", `{"open_until":"2030-01-01T00:00:00Z"}`}, {"POST", "auto-deploy", `{"role":"desk","left":1}`},
		{"GET", "jobs?all=1", ""}, {"GET", "jobs/x/watch", ""}, {"GET", "boots?mac=52:54:00:00:00:01", ""}, {"GET", "audit?limit=-1&subject=%00", ""},
		{"PUT", "", "{}"}, {"GET", "//x", ""},
	} {
		f.Add(s[0], s[1], s[2])
	}
	whole, _ := shop(f)
	handler := (&web.API{Bench: whole.Bench, Version: "x", Hidden: func(err error) { panic(err) }}).Handler()
	f.Fuzz(func(t *testing.T, method, path, body string) {
		u, err := url.ParseRequestURI("/api/v1/" + path)
		if err != nil || strings.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' }) || method == "" || method == "CONNECT" {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
		r.Method, r.URL = method, u
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r.WithContext(web.WithActor(r.Context(), web.Actor{Name: "anna", Right: store.Administrator})))
		var answer json.RawMessage
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil && method != http.MethodHead {
			t.Fatalf("%s %q = %d %q", method, path, w.Code, w.Body)
		}
		if w.Code != http.StatusOK {
			var no job.Refusal
			if err := json.Unmarshal(answer, &no); err != nil || no.Fault.Code == "" || no.Fault.Code == job.CodeInternal || len(no.Fault.Fact) > 310 {
				t.Fatalf("%s %q = %d %s", method, path, w.Code, answer)
			}
		}
	})
}
