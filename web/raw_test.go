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
)

// rawText is what errors of Go, of the engine and of the kernel look like.
var rawText = regexp.MustCompile(`no such file|permission denied|not a directory|is a directory|file already closed|database not open|bolt|tx closed|unexpected EOF|\bEOF\b|invalid character|` +
	`json: |context (canceled|deadline)|use of closed|%!|<nil>|runtime error|strconv|open /|read /|connection re`)

// routes finds every route of the API in its own source, so that a new one is tried without being listed here.
func routes(t *testing.T) (out [][2]string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`HandleFunc\("(GET|POST|PUT|DELETE) ([^"]+)"`)
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, m := range form.FindAllStringSubmatch(string(b), -1) {
			out = append(out, [2]string{m[1], regexp.MustCompile(`\{\w+\.*\}`).ReplaceAllString(m[2], "x")})
		}
	}
	return out
}

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
	h := (&web.API{Bench: s, Shelf: &library.Library{DB: db, Store: chunks}, Hidden: func(error) { hidden++ }}).Handler()
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
	all := routes(t)
	for _, r := range all {
		for _, body := range []string{`{}`, `{`, ``, `{"x":`, `[]`, `{"file":"/absent","image":"x","label":"l","note":"n"}`, `{"code":"AAAA-AAAA"}`, `{"device":"x","image":"y"}`} {
			ctx, cancel := context.WithCancel(web.WithOperator(t.Context(), "anna"))
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
			if w.Code != http.StatusOK || strings.Contains(string(answer), `"fault"`) {
				failed++
				if !strings.Contains(string(answer), `"code":"E`) {
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
