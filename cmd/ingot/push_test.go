package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/pflag"

	"ingot/store"
)

// receive answers webhooks on a port of its own ($HOOK) until the script ends, and appends what comes to a file.
func receive(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(f, "%s %s %s\n", r.Header.Get("webhook-id"), r.Header.Get("webhook-signature"), b)
	})}
	go s.Serve(l) // ends by the Close below
	ts.Defer(func() { s.Close(); f.Close() })
	ts.Setenv("HOOK", l.Addr().String())
}

// awaitText waits until a file holds a text.
func awaitText(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), args[1]) {
			return
		}
	}
	ts.Fatalf("%s does not hold %q after 20 s", path, args[1])
}

// TestTheTokenOfARegisterIsNotThatOfTheServer: each goes to its own side, and no flag of a command hides one of all
// commands.
func TestTheTokenOfARegisterIsNotThatOfTheServer(t *testing.T) {
	s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			json.NewEncoder(w).Encode(store.PushStatus{})
			return
		}
		var n store.PushNew
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil || n.Secret != "eyJtoken.of.the.register" {
			t.Errorf("the register's token came as %q, %v", n.Secret, err)
		}
		json.NewEncoder(w).Encode(store.PushMade{PushView: store.PushView{Name: n.Name}})
	})
	dir := t.TempDir()
	ours, theirs := filepath.Join(dir, "ours"), filepath.Join(dir, "theirs")
	for path, token := range map[string]string{ours: testToken + "\n", theirs: "eyJtoken.of.the.register\n"} {
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := afar(t, "--server", s.URL, "--fingerprint", s.fingerprint(), "push", "register", "snipe", "--url", "https://assets.example", "--token-file", ours, "--register-token-file", theirs)
	asked, heads := s.take()
	if code != 0 || len(asked) != 2 {
		t.Fatalf("asked %v, exit code %d, %s%s", asked, code, out, errs)
	}
	for _, h := range heads {
		if got := h.Get("Authorization"); got != "Bearer "+testToken {
			t.Errorf("the server was shown %q", got)
		}
	}
	root := commandTree()
	for _, c := range commands(root) {
		if c == root {
			continue
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if root.PersistentFlags().Lookup(f.Name) != nil {
				t.Errorf("--%s of %q hides the one of all commands", f.Name, c.CommandPath())
			}
		})
	}
}
