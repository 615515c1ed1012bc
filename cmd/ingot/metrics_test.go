package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAMonitoringSystemOfThisMachineNeedsNoToken: the port answers on 127.0.0.1 with figures and health, not to a browser
// that was led there under another name, and with nothing else of the API.
func TestAMonitoringSystemOfThisMachineNeedsNoToken(t *testing.T) {
	dir := t.TempDir()
	agents, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "ingot.toml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "data = %q\n[pages]\nport = -1\n[agent]\nport = %d\n[metrics]\nport = %d\n", filepath.Join(dir, "data"), agents, port), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan string, 1)
	go func() {
		var out, errs bytes.Buffer
		run(ctx, []string{"--config", conf, "daemon"}, nil, &out, &errs)
		ended <- errs.String()
	}()
	defer func() { stop(); <-ended }()
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	get := func(path, host string) (int, string) {
		r, err := http.NewRequest("GET", base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			r.Host = host
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	code, body := 0, ""
	for end := time.Now().Add(20 * time.Second); code == 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		code, body = get("/healthz", "")
	}
	if code != 200 || body != "ok\n" {
		t.Errorf("health: %d %q", code, body)
	}
	if code, body := get("/metrics", "localhost:1"); code != 200 || !strings.Contains(body, `ingot_devices{state="ready"} 0`) || !strings.Contains(body, "process_resident_memory_bytes") {
		t.Errorf("figures: %d %.200q", code, body)
	}
	for _, host := range []string{"evil.example", "evil.example:9464", "192.168.10.5"} {
		if code, body := get("/metrics", host); code != 403 || strings.Contains(body, "ingot_") {
			t.Errorf("asked as %s: %d %.100q", host, code, body)
		}
	}
	for _, path := range []string{"/", "/api/v1/devices", "/api/v1/openapi.json", "/debug/pprof/"} {
		if code, body := get(path, ""); code != 404 {
			t.Errorf("%s: %d %.100q", path, code, body)
		}
	}
}
