package web_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"ingot/imaging/chunkstore"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/imaging/sign"
	"ingot/store"
	"ingot/web"
	"ingot/web/report"
)

// rawText is what errors of Go, of the engine and of the kernel look like.
var rawText = regexp.MustCompile(`no such file|permission denied|not a directory|is a directory|file already closed|database not open|bolt|tx closed|unexpected EOF|\bEOF\b|invalid character|` +
	`json: |context (canceled|deadline)|use of closed|%!|<nil>|runtime error|strconv|open /|read /|connection re`)

// TestNoRawErrorReachesAnAnswer takes the database and the image store away under a running API and asks every route:
// what fails, fails in words; the raw cause goes to Hidden.
func TestNoRawErrorReachesAnAnswer(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(filepath.Join(dir, "ingot.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := sign.LoadOrCreate(filepath.Join(dir, "jobs.key"))
	if err != nil {
		t.Fatal(err)
	}
	chunks, err := chunkstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := deploy.New(deploy.Config{DB: db, Signer: signer, Log: zerolog.Nop(), Manifests: chunks.ManifestHandler(), Chunks: chunks.StreamHandler()})
	if err != nil {
		t.Fatal(err)
	}
	hidden := 0
	shelf := &library.Library{DB: db, Store: chunks}
	a := &web.API{Reports: &report.Desk{DB: db}, Bench: s, Wiper: s, Shelf: shelf, Exchange: shelf, Hidden: func(error) { hidden++ }}
	h := a.Handler()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := chunks.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	failed := 0
	all := a.Routes()
	for _, route := range all {
		r := [2]string{route.Method, regexp.MustCompile(`\{\w+\.*\}`).ReplaceAllString(route.Path, "x")}
		for _, body := range []string{`{}`, `{`, ``, `{"x":`, `[]`, `{"file":"/absent","image":"x","label":"l","note":"n"}`, `{"code":"AAAA-AAAA"}`, `{"device":"x","image":"y"}`} {
			ctx, cancel := context.WithCancel(web.WithActor(t.Context(), web.Actor{Name: "anna", Right: store.Administrator}))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(r[0], r[1], strings.NewReader(body)).WithContext(ctx))
			cancel()
			answer, err := io.ReadAll(w.Result().Body)
			if err != nil {
				t.Fatal(err)
			}
			if raw := rawText.Find(answer); raw != nil {
				t.Errorf("%s %s with %q: %q in %s", r[0], r[1], body, raw, answer)
			}
			if w.Code != http.StatusOK || strings.Contains(string(answer), `"fault":{"code"`) {
				failed++
				if !strings.Contains(string(answer), `"code":"E`) && !strings.Contains(string(answer), `class="code">E`) {
					t.Errorf("%s %s with %q: %d %s; want a code", r[0], r[1], body, w.Code, answer)
				}
			}
			if r[0] == http.MethodGet {
				break
			}
		}
	}
	if len(all) < 15 || failed < len(all) || hidden == 0 {
		t.Errorf("%d routes, %d failures, %d raw errors kept back; want at least one each", len(all), failed, hidden)
	}
	if f := job.FaultOf(context.Canceled); f.Code != job.CodeStopped {
		t.Errorf("a stop is %v", f)
	}
}
