package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
)

const testToken = "ingot.laptop-of-anna.0123456789abcdef"

// standIn is a server on the network that notes what it is asked.
type standIn struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // METHOD PATH
	heads []http.Header
}

// newStandIn answers with h; nil knows nothing of anything.
func newStandIn(t *testing.T, h http.HandlerFunc) *standIn {
	t.Helper()
	s := &standIn{}
	if h == nil {
		h = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			json.NewEncoder(w).Encode(job.Refusal{Fault: *job.Faultf(job.CodeNotFound, "Says the stand-in.")})
		}
	}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked, s.heads = append(s.asked, r.Method+" "+r.URL.Path), append(s.heads, r.Header.Clone())
		s.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *standIn) fingerprint() string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(s.Certificate().Raw))
}

// take gives what was asked since it was called last.
func (s *standIn) take() ([]string, []http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked, heads := s.asked, s.heads
	s.asked, s.heads = nil, nil
	return asked, heads
}

// afar runs a command for a server.
func afar(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// anywhere are the commands that need no server at all.
var anywhere = []string{"ingot version", "ingot cert verify", "ingot completion", "ingot man"}

// TestEachCommandGoesToTheServerThatIsNamed: its example, as a technician gives it on his own machine, asks that server
// with the token and touches no data folder here; or it says that it belongs on the server.
func TestEachCommandGoesToTheServerThatIsNamed(t *testing.T) {
	s := newStandIn(t, nil)
	dir := t.TempDir()
	t.Chdir(dir)
	given := []string{"delivery.csv", "ingot.age", "contracts.csv", "SALES-017.json", "SALES-018.json"}
	for _, name := range given {
		if err := os.WriteFile(name, []byte("serial,manufacturer\nABC1234,Dell\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(serverVar, s.URL)
	t.Setenv(tokenVar, testToken)
	t.Setenv(fingerprintVar, s.fingerprint())
	t.Setenv(passphraseVar, "four words and some more")
	tried, refused := 0, 0
	for _, c := range commands(commandTree()) {
		path := c.CommandPath()
		if c.HasSubCommands() || slices.ContainsFunc(anywhere, func(p string) bool { return strings.HasPrefix(path+" ", p+" ") }) {
			continue
		}
		local := slices.ContainsFunc(onServer, func(p string) bool { return strings.HasPrefix(path+" ", p+" ") })
		for _, line := range strings.Split(c.Example, "\n") {
			line, _, _ = strings.Cut(line, " | ")
			line = strings.ReplaceAll(line, "/mnt/backup/", dir+"/new-")
			words := shellWords(strings.TrimPrefix(line, "sudo "))[1:]
			if slices.Contains(words, "--alone") { // by the key that is named: without any server
				continue
			}
			words = slices.DeleteFunc(words, func(w string) bool { return w == "--passphrase-file" || w == "/root/passphrase" })
			if local { // and is not run: were it not refused, it would do its work on this machine
				refused++
				if err := (&app{}).checkServer(c); job.FaultOf(err).Code != job.CodeOnServer {
					t.Errorf("%q: %v", line, err)
				}
				continue
			}
			code, _, errs := afar(t, words...)
			asked, heads := s.take()
			switch {
			case len(asked) == 0 || !strings.Contains(errs, "Says the stand-in"):
				t.Errorf("%q: asked %v, exit code %d, %s", line, asked, code, errs)
			default:
				tried++
				for i, h := range heads {
					if h.Get("Authorization") != "Bearer "+testToken || !strings.Contains(asked[i], " /api/v1/") || h.Get(operatorHeader) != "" {
						t.Errorf("%q: %s with %v", line, asked[i], h)
					}
				}
			}
		}
	}
	if code, out, errs := afar(t, "config", "show"); code != 1 || out != "" || !strings.Contains(errs, string(job.CodeOnServer)) {
		t.Errorf("a command of the server's, run: exit code %d, %s%s", code, out, errs)
	}
	if tried < 30 || refused < 8 {
		t.Errorf("%d commands went to the server, %d said that they belong there", tried, refused)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != len(given) {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestACertificateThatNobodyVouchesFor is named with its fingerprint, and sees no token until a person has said that it
// is the right one.
func TestACertificateThatNobodyVouchesFor(t *testing.T) {
	s := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode([]store.DeviceView{}) })
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(testToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := []string{"--server", s.URL, "--token-file", file, "device", "list", "-o", "json"}
	colons := strings.ToUpper(strings.TrimPrefix(s.fingerprint(), "sha256:")) // as the server's log shows it
	for i := len(colons) - 2; i > 0; i -= 2 {
		colons = colons[:i] + ":" + colons[i:]
	}
	code, _, errs := afar(t, list...)
	if asked, _ := s.take(); code != 1 || len(asked) > 0 || !strings.Contains(errs, string(job.CodeCertificate)) || !strings.Contains(errs, colons) {
		t.Errorf("a certificate that is not known: asked %v, exit code %d, %s", asked, code, errs)
	}
	key := fmt.Sprintf("sha256:%x", sha256.Sum256(s.Certificate().RawSubjectPublicKeyInfo))
	for _, right := range []string{s.fingerprint(), colons, key} {
		if code, out, errs := afar(t, append([]string{"--fingerprint", right}, list...)...); code != 0 || out != "[]\n" {
			t.Errorf("the fingerprint %s: exit code %d, %s%s", right, code, out, errs)
		}
	}
	s.take()
	wrong := "sha256:" + strings.Repeat("0", 64)
	code, _, errs = afar(t, append([]string{"--fingerprint", wrong}, list...)...)
	if asked, _ := s.take(); code != 1 || len(asked) > 0 || !strings.Contains(errs, string(job.CodeCertificate)) {
		t.Errorf("another certificate: asked %v, exit code %d, %s", asked, code, errs)
	}
	if code, _, errs := afar(t, append([]string{"--fingerprint", "sha256:12"}, list...)...); code != 2 {
		t.Errorf("half a fingerprint: exit code %d, %s", code, errs)
	}
}

// TestATokenGoesToOneServerOnly: never in the clear, never after a redirect, and there is no flag that would show it to
// everybody on this machine.
func TestATokenGoesToOneServerOnly(t *testing.T) {
	other := newStandIn(t, nil)
	s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	t.Setenv(tokenVar, testToken)
	code, _, errs := afar(t, "--server", s.URL, "--fingerprint", s.fingerprint(), "bench", "show")
	if asked, _ := other.take(); code != 1 || len(asked) > 0 {
		t.Errorf("a redirect: exit code %d, the other was asked %v, %s", code, asked, errs)
	}
	for _, bad := range []string{"http://ingot.example", "ftp://ingot.example", "https://", "https://anna:secret@ingot.example", "https://ingot.example/pages", "https://ingot.example?x=1"} {
		if code, _, errs := afar(t, "--server", bad, "bench", "show"); code != 2 {
			t.Errorf("--server %s: exit code %d, %s", bad, code, errs)
		}
	}
	if commandTree().PersistentFlags().Lookup("token") != nil {
		t.Error("there is a --token, which ps shows")
	}
	t.Setenv(tokenVar, "")
	if code, _, errs := afar(t, "--server", s.URL, "bench", "show"); code != 2 || !strings.Contains(errs, tokenVar) {
		t.Errorf("no token: exit code %d, %s", code, errs)
	}
	for _, odd := range []string{"two words", "a\x1bb", strings.Repeat("x", 2000)} {
		t.Setenv(tokenVar, odd)
		if code, _, errs := afar(t, "--server", s.URL, "bench", "show"); code != 2 || strings.Contains(errs, odd) {
			t.Errorf("the token %.10q: exit code %d, %s", odd, code, errs)
		}
	}
	if code, _, errs := afar(t, "--token-file", "/nowhere", "bench", "show"); code != 2 {
		t.Errorf("a token for no server: exit code %d, %s", code, errs)
	}
}

// TestAServerThatAnswersOddly ends a command in words: another program's page, half an answer, a stream without an end.
func TestAServerThatAnswersOddly(t *testing.T) {
	var answer func(http.ResponseWriter)
	s := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) { answer(w) })
	t.Setenv(serverVar, s.URL)
	t.Setenv(tokenVar, testToken)
	t.Setenv(fingerprintVar, s.fingerprint())
	t.Setenv(passphraseVar, "four words and some more")
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		args   []string
	}{
		"a page":                  {func(w http.ResponseWriter) { w.WriteHeader(502); w.Write([]byte("<html>Bad gateway\x1b[2J")) }, []string{"device", "list"}},
		"a page that is well":     {func(w http.ResponseWriter) { w.Write([]byte("<html>")) }, []string{"device", "list"}},
		"nothing":                 {func(w http.ResponseWriter) {}, []string{"device", "list"}},
		"a break-off":             {func(w http.ResponseWriter) { w.Write([]byte(`[{"id":`)); panic(http.ErrAbortHandler) }, []string{"device", "list"}},
		"a stream without end":    {func(w http.ResponseWriter) { w.Write([]byte(`{"step":{"phase":"checking"}}` + "\n")) }, []string{"check"}},
		"a backup without end":    {func(w http.ResponseWriter) { w.Write([]byte("half")) }, []string{"backup", filepath.Join(t.TempDir(), "b.age")}},
		"a backup that is broken": {func(w http.ResponseWriter) { w.Write([]byte("half")); panic(http.ErrAbortHandler) }, []string{"backup", filepath.Join(t.TempDir(), "b.age")}},
		"a backup that is none": {func(w http.ResponseWriter) {
			w.Header().Set("Trailer", "Ingot-End")
			w.Write([]byte("some other file"))
			w.Header().Set("Ingot-End", `{"done":{"files":3}}`)
		}, []string{"backup", filepath.Join(t.TempDir(), "b.age")}},
	} {
		answer = c.answer
		code, out, errs := afar(t, c.args...)
		if code != 1 || !strings.Contains(errs, "(E") || strings.ContainsAny(errs+out, "\x1b<") {
			t.Errorf("%s: exit code %d, %q %q", name, code, out, errs)
		}
		if c.args[0] == "backup" {
			if left, _ := os.ReadDir(filepath.Dir(c.args[1])); len(left) > 0 {
				t.Errorf("%s left %v", name, left)
			}
		}
	}
}
