package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
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
