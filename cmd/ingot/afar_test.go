package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
)

// TestATechniciansOwnMachine: a token that was made at the server, the fingerprint that its log shows, and the same
// commands work over the network, as far as the token's right goes; a backup crosses it and comes back; figures and
// health are there for a monitoring system.
func TestATechniciansOwnMachine(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	agents, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	said := startDaemon(t, "--data", data, "--agent-port", strconv.Itoa(agents), "--pages-port", strconv.Itoa(port))
	print := regexp.MustCompile(`certificate=([0-9A-F:]{95})`).FindStringSubmatch(said.String())
	if print == nil {
		t.Fatalf("no fingerprint: %s", said)
	}
	token := func(name, right string, more ...string) string {
		code, out, errs := afar(t, append([]string{"--data", data, "token", "add", name, "--right", right, "-o", "json"}, more...)...)
		var made store.TokenMade
		if err := json.Unmarshal([]byte(out), &made); err != nil || code != 0 {
			t.Fatalf("token add: %d %s %s %v", code, out, errs, err)
		}
		return made.Token
	}
	viewer, technician, admin := token("look", "viewer"), token("desk", "technician"), token("vault", "administrator")
	night := token("night", "administrator", "--only", "backup")
	base := fmt.Sprintf("https://127.0.0.1:%d", port)
	with := func(token string, args ...string) (int, string, string) {
		t.Helper()
		t.Setenv(serverVar, base)
		t.Setenv(fingerprintVar, print[1])
		t.Setenv(tokenVar, token)
		defer os.Unsetenv(serverVar)
		return afar(t, args...)
	}
	if code, out, errs := with(technician, "bench", "open", "1h"); code != 0 || !strings.Contains(out, "open until") {
		t.Errorf("bench open: %d %s %s", code, out, errs)
	}
	for _, c := range []struct {
		token string
		args  []string
		want  job.Code
	}{
		{viewer, []string{"bench", "close"}, job.CodePolicy},
		{technician, []string{"auto-deploy", "off"}, job.CodePolicy},
		{technician, []string{"backup", filepath.Join(dir, "no.age"), "--passphrase-file", secret(t, dir)}, job.CodePolicy},
		{admin, []string{"backup", filepath.Join(dir, "no.age"), "--passphrase-file", secret(t, dir)}, job.CodePolicy}, // every key: only by a token made for it
		{night, []string{"device", "list"}, job.CodePolicy},
		{viewer + "x", []string{"device", "list"}, job.CodeSignedOut},
		{"guessed", []string{"device", "list"}, job.CodeSignedOut},
		{admin, []string{"operator", "add", "eve"}, job.CodePolicy}, // links are a person's
	} {
		if code, out, errs := with(c.token, c.args...); code != 1 || !strings.Contains(errs, string(c.want)) {
			t.Errorf("%v: %d %s %s; want %s", c.args, code, out, errs, c.want)
		}
	}
	if code, out, errs := with(viewer, "audit"); code != 0 || !regexp.MustCompile(`\S+/desk +bench`).MatchString(out) {
		t.Errorf("audit: %d %s %s", code, out, errs)
	}
	file := filepath.Join(dir, "whole.age")
	if code, out, errs := with(night, "backup", file, "--packs", "--passphrase-file", secret(t, dir)); code != 0 {
		t.Fatalf("backup: %d %s %s", code, out, errs)
	}
	os.Unsetenv(serverVar)
	again := filepath.Join(dir, "again")
	if code, out, errs := afar(t, "--data", again, "--config", filepath.Join(dir, "again.toml"), "restore", file, "--passphrase-file", secret(t, dir)); code != 0 {
		t.Fatalf("restore: %d %s %s", code, out, errs)
	}
	if code, out, errs := afar(t, "--data", again, "token", "list"); code != 0 || !strings.Contains(out, "vault") {
		t.Errorf("restored: %d %s %s", code, out, errs)
	}
	for _, key := range []string{"pages.key", "pages.crt", "jobs.key", "agent.key"} {
		a, err1 := os.ReadFile(filepath.Join(data, "keys", key))
		b, err2 := os.ReadFile(filepath.Join(again, "keys", key))
		if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
			t.Errorf("%s came back otherwise: %v %v", key, err1, err2)
		}
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer web.CloseIdleConnections()
	get := func(path, token string) (int, string) {
		r, err := http.NewRequest("GET", base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if code, body := get("/healthz", ""); code != 200 || body != "ok\n" {
		t.Errorf("health for anybody: %d %q", code, body)
	}
	if code, body := get("/metrics", viewer); code != 200 || !strings.Contains(body, "ingot_build_info") || strings.Contains(body, "vault") {
		t.Errorf("figures: %d %.100q", code, body)
	}
	if code, body := get("/metrics", ""); code == 200 && strings.Contains(body, "ingot_build_info") {
		t.Errorf("figures for a stranger: %.100q", body)
	}
	if code, body := get("/api/v1/openapi.json", ""); code != 401 || strings.Contains(body, "paths") {
		t.Errorf("the document for a stranger: %d %.100q", code, body)
	}
}

// secret is a file with a passphrase.
func secret(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "passphrase")
	if err := os.WriteFile(path, []byte("purple river of stones\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
