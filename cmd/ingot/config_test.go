package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestConfigurationsThatADaemonRefuses: each ends before a port is opened or a record is made, with exit code 2
// and words that name what is wrong.
func TestConfigurationsThatADaemonRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a key in the wrong table", "interfaces = [\"eth0\"]", `unknown key "interfaces"`},
		{"a misspelt key", "[boot]\ninterfacs = [\"eth0\"]", `unknown key "boot.interfacs"`},
		{"a misspelt table", "[bot]\nmode = \"proxy\"", `unknown key "bot`},
		{"a table that is a word", "boot = \"proxy\"", "boot"},
		{"a key twice", "[log]\nlevel = \"info\"\nlevel = \"warn\"", "level"},
		{"a quote that does not end", "data = \"/var", "line 1"},
		{"bytes that are no text", "data = \"\xff\xfe\"", "UTF-8"},
		{"a NUL", "data = \"a\x00b\"", "line 1"},
		{"a port that is a word", "[agent]\nport = \"8443\"", "port"},
		{"a port beyond the last", "[agent]\nport = 70000", "70000"},
		{"a port below the first", "[agent]\nport = -1", "-1"},
		{"a port beyond every number", "[agent]\nport = 99999999999999999999", "line 2"},
		{"a port of the metrics beyond the last", "[metrics]\nport = 65536", "65536"},
		{"a boot port beyond the last", "[boot.ports]\ntftp = 65536", "65536"},
		{"one interface as a word", "[boot]\ninterfaces = \"eth0\"", "interfaces"},
		{"a path for an interface", "[boot]\ninterfaces = [\"../eth0\"]", "interface name"},
		{"a mode that is none", "[boot]\nmode = \"both\"", "both"},
		{"a network that is none", "[[boot.subnets]]\nprefix = \"10.0.0.0\"", "prefix"},
		{"an address that is none", "[[boot.subnets]]\nprefix = \"10.0.0.0/24\"\nfirst = \"10.0.0.300\"", "10.0.0.300"},
		{"an IPv6 network", "[[boot.subnets]]\nprefix = \"fd00::/64\"", "fd00"},
		{"a pool with one end", "[[boot.subnets]]\nprefix = \"10.0.0.0/24\"\nfirst = \"10.0.0.3\"", "one end"},
		{"a lease time that is none", "[[boot.subnets]]\nprefix = \"10.0.0.0/24\"\nlease_time = \"soon\"", "soon"},
		{"a MAC that is none", "[[boot.subnets]]\nprefix = \"10.0.0.0/24\"\n[[boot.subnets.reservations]]\nmac = \"52:54\"\nip = \"10.0.0.3\"", "mac"},
		{"an approval within seconds", "[bench]\napprove_within = \"10s\"", "approve_within"},
		{"an approval within a day", "[bench]\napprove_within = \"24h\"", "approve_within"},
		{"a restart within a second", "[bench]\nrestart_within = \"1s\"", "restart_within"},
		{"a log level that is none", "[log]\nlevel = \"loud\"", "loud"},
		{"a countdown nobody can stop", "[bench]\ncountdown = \"2s\"", "countdown"},
		{"a countdown without end", "[bench]\ncountdown = \"61s\"", "countdown"},
		{"an address with a port to call home", "[agent]\nadvertise = \"10.0.0.1:8443\"", "advertise"},
		{"a URL to call home", "[agent]\nadvertise = \"https://10.0.0.1\"", "advertise"},
		{"a line break to call home", "[agent]\nadvertise = \"a\\nb\"", "advertise"},
		{"pages without a scheme", "[pages]\nurl = \"assets.example\"", "pages"},
		{"pages that run a script", "[pages]\nurl = \"javascript:alert(1)\"", "pages"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path, data := filepath.Join(dir, "ingot.toml"), filepath.Join(dir, "data")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			var out, errs bytes.Buffer
			code := run(ctx, []string{"--config", path, "--data", data, "daemon"}, nil, &out, &errs)
			if code != 2 || !strings.Contains(errs.String(), c.want) || strings.Contains(errs.String(), "ingot is ready") || !utf8.ValidString(errs.String()) {
				t.Errorf("exit code %d, %q; want 2 and %q", code, errs.String(), c.want)
			}
			if _, err := os.Stat(data); err == nil {
				t.Error("a data folder was made")
			}
		})
	}
}

// TestFoldersThatCannotBeUsed: the files that a person may point to by mistake, and the flags.
func TestFoldersThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("not a folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken")
	if err := os.MkdirAll(filepath.Join(broken, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "keys", "agent.key"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(dir, "damaged")
	if err := os.MkdirAll(damaged, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(damaged, "ingot.db"), bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, strings.Repeat("l", 120))
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"a file for the data folder", []string{"--data", file, "device", "list"}, 1, file},
		{"a folder for the configuration", []string{"--config", dir, "device", "list"}, 2, "it is a folder"},
		{"a key that is none", []string{"--data", broken, "device", "list"}, 1, "agent.key"},
		{"a database that is none", []string{"--data", damaged, "device", "list"}, 1, "atabase"},
		{"a path too long for the socket", []string{"--data", long, "daemon", "--agent-port", strconv.Itoa(port)}, 1, "too long"},
		{"a port beyond the last", []string{"--data", filepath.Join(dir, "d"), "daemon", "--agent-port", "70000"}, 2, "70000"},
		{"a mode that is none", []string{"--data", filepath.Join(dir, "d"), "daemon", "--mode", "wizard"}, 2, "wizard"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		var out, errs bytes.Buffer
		code := run(ctx, c.args, nil, &out, &errs)
		cancel()
		if code != c.code || !strings.Contains(errs.String(), c.want) || strings.Contains(errs.String(), "ingot is ready") {
			t.Errorf("%s: exit code %d, %q; want %d and %q", c.name, code, errs.String(), c.code, c.want)
		}
	}
	if b, err := os.ReadFile(filepath.Join(broken, "keys", "agent.key")); err != nil || string(b) != "no key" {
		t.Errorf("the broken key was replaced: %q, %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(damaged, "ingot.db")); err != nil || !bytes.HasPrefix(b, []byte("no database ")) {
		t.Errorf("the damaged database was replaced: %v", err)
	}
}

// FuzzConfig holds that whatever stands in a configuration file is loaded or refused in words.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{"", "data = \"x\"", "[boot]\nmode = \"dhcp\"\ninterfaces = [\"lo\"]\n[[boot.subnets]]\nprefix = \"10.0.0.0/24\"\nfirst = \"10.0.0.2\"\nlast = \"10.0.0.9\"\nlease_time = \"1h\"",
		"[agent]\nport = 1\nadvertise = \"host\"", "[[boot.subnets]]\n[[boot.subnets.reservations]]\nmac = \"52:54:00:00:00:01\"", "a.b.c = {d = [1, 2.5, 1979-05-27]}", "\x00"} {
		f.Add(text)
	}
	path := filepath.Join(f.TempDir(), "ingot.toml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := (&app{config: path}).loadConfig()
		if err != nil {
			if exitCode(err) != 2 || words(err) == "" {
				t.Errorf("loadConfig = %v, exit code %d; want words and 2", err, exitCode(err))
			}
			return
		}
		cfg.Boot.AgentPort, cfg.Boot.AgentPin = cfg.Agent.Port, "sha256:"+strings.Repeat("0", 64)
		if err := cfg.Boot.Validate(); err != nil && words(err) == "" {
			t.Errorf("Validate = %v without words", err)
		}
	})
}
