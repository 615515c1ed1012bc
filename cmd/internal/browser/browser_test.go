package browser_test

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/cmd/internal/browser"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open starts the browser on a page of its own.
func open(t *testing.T, policy, html string) *browser.Tab {
	t.Helper()
	if err := browser.Missing(); err != nil {
		t.Skip(err)
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if policy != "" {
			w.Header().Set("Content-Security-Policy", policy)
		}
		fmt.Fprintf(w, html, r.FormValue("q"))
	}))
	t.Cleanup(s.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	b, err := browser.Start(ctx)
	must(t, err)
	t.Cleanup(b.Close)
	tab, err := b.Tab(s.URL)
	must(t, err)
	must(t, tab.Open("/"))
	return tab
}

const form = `<!doctype html><html lang="en"><title>Scan</title><main><h1>Scan</h1><p id="said">%s</p>
<form><label>Code <input name="q" autofocus></label><button>Send</button></form></main></html>`

// TestAPersonScansTypesAndClicks with real keys and a real mouse, and each is counted.
func TestAPersonScansTypesAndClicks(t *testing.T) {
	tab := open(t, "default-src 'self'", form)
	must(t, tab.Scan("PF3-0001"))
	must(t, tab.Sees("PF3-0001"))
	must(t, tab.Fill("input", "two"))
	must(t, tab.Go("button"))
	if got, err := tab.Text("#said"); err != nil || got != "two" {
		t.Errorf("the page says %q, %v; want two", got, err)
	}
	if tab.Scans != 1 || tab.Clicks != 1 || tab.Keys != 3 {
		t.Errorf("%d scans, %d clicks, %d keys; want 1, 1, 3", tab.Scans, tab.Clicks, tab.Keys)
	}
	if odd := tab.Odd(); len(odd) > 0 {
		t.Errorf("a page in order: %q", odd)
	}
	shot := filepath.Join(t.TempDir(), "shot.png")
	must(t, tab.Size(390, 844))
	must(t, tab.Shot(shot))
	b, err := os.ReadFile(shot)
	must(t, err)
	if c, err := png.DecodeConfig(bytes.NewReader(b)); err != nil || c.Width != 390 || c.Height != 844 {
		t.Errorf("the screenshot is %d x %d, %v", c.Width, c.Height, err)
	}
	if bad, err := tab.Axe(); err != nil || len(bad) > 0 {
		t.Errorf("axe: %v, %v", bad, err)
	}
}

// TestWhatNobodySeesIsTold: a test that looks for harm must be able to see it.
func TestWhatNobodySeesIsTold(t *testing.T) {
	tab := open(t, "default-src 'self'; script-src 'self'", `<!doctype html><title>x</title><img src="//evil.example/x.png"><script>hacked=1</script><input>%s`)
	waitFor(t, func() bool {
		return slices.ContainsFunc(tab.Odd(), func(s string) bool { return strings.HasPrefix(s, "blocked: ") })
	}, "the policy's block")
	bad, err := tab.Axe()
	must(t, err)
	if !slices.ContainsFunc(bad, func(f browser.Fault) bool { return f.Rule == "label" }) {
		t.Errorf("axe found %v; want the input without a label", bad)
	}
	tab = open(t, "", `<!doctype html><title>x</title><script>setTimeout(() => { globalThis.hacked = 1; alert("boo"); nothing.at.all }, 100)</script><p hidden>there</p><button style="position:absolute">b</button><div style="position:fixed;inset:0"></div><div style="width:2000px">wide</div>%s`)
	if wide, err := tab.Overflow(); err != nil || len(wide) == 0 {
		t.Errorf("a page of 2000 pixels is not too wide: %q, %v", wide, err)
	}
	var odd []string
	waitFor(t, func() bool { odd = append(odd, tab.Odd()...); return len(odd) > 1 }, "a dialog and a failed script")
	if s := strings.Join(odd, "\n"); !strings.Contains(s, "a dialog opened: boo") || !strings.Contains(s, "a script failed") {
		t.Errorf("what was not seen: %s", s)
	}
	if err := tab.Click("button"); err == nil || !strings.Contains(err.Error(), "covered") {
		t.Errorf("a click on what is covered: %v", err)
	}
	if !slices.ContainsFunc(tab.Asked(), func(u string) bool { return strings.HasPrefix(u, "https://127.0.0.1") }) {
		t.Errorf("asked %q", tab.Asked())
	}
}

func waitFor(t *testing.T, ok func() bool, what string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s was not told", what)
		}
	}
}
