package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rawWords is what errors of Go, its libraries and the kernel look like. None of it is for a person.
var rawWords = regexp.MustCompile(`no such file or directory|permission denied|is a directory|not a directory|file exists|device or resource busy|no space left|` +
	`read-only file system|input/output error|invalid argument$|operation not|too many open|broken pipe|connection re|dial (tcp|unix)|connect: |` +
	`listen (tcp|udp|unix)|bind: |i/o timeout|use of closed|unexpected EOF|\bEOF\b|context (canceled|deadline exceeded)|invalid character|(^|[^.])json: |end of JSON|readlink |` +
	`(strconv|netip|time|net|url|os|toml|tls|x509|asn1|http|bolt|bbolt|exec|zstd|errno)[.:] ?[A-Z"a-z]\w*[(:"]|parsing "|invalid syntax|database not open|` +
	`invalid database|checksum error|exit status|%!|<nil>|goroutine |runtime error|panic|0x[0-9a-f]{6}|\*\w+\.\w+|"level":`)

// TestNoRawErrorReachesTheCommandLine runs the program in situations in which the system, a library or the daemon's
// answer fails underneath, and wants words: a failure, no raw text, and a code of the table or a hint.
func TestNoRawErrorReachesTheCommandLine(t *testing.T) {
	for _, c := range brokenSituations(t) {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var out, errs bytes.Buffer
			code := run(ctx, c.args, strings.NewReader(""), &out, &errs)
			said := out.String() + errs.String()
			words, _, _ := strings.Cut(errs.String()[max(0, strings.LastIndex(errs.String(), "ingot: ")):], "\n")
			if code == 0 || words == "" || code != 2 && !regexp.MustCompile(`\([EB]\d{3}\)`).MatchString(words) {
				t.Errorf("ingot %q: exit code %d, %q; want a failure in words", c.args, code, said)
			}
			if raw := rawWords.FindString(said); raw != "" {
				t.Errorf("ingot %q told a person %q: %s", c.args, raw, said)
			}
		})
	}
}

// situation is a command line on something broken.
type situation struct {
	name string
	args []string
}

func brokenSituations(t *testing.T) (all []situation) {
	root := t.TempDir()
	add := func(name, data string, args ...string) {
		all = append(all, situation{name, append([]string{"--data", data}, args...)})
	}
	fresh := func() string {
		dir, err := os.MkdirTemp(root, "data")
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	write := func(dir, name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	folder := func(dir, name string) string {
		if err := os.MkdirAll(filepath.Join(dir, name, "inside"), 0o700); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	list := []string{"device", "list"}
	file := write(root, "file", "not a folder")
	good := fresh()

	// The data folder
	add("a file for the data folder", file, list...)
	add("a data folder under a file", filepath.Join(file, "data"), "image", "import", file, "--image", "x", "--label", "l", "--note", "n")
	add("a data folder that cannot be made", "/proc/none", "image", "import", file, "--image", "x", "--label", "l", "--note", "n")
	add("no data folder", filepath.Join(root, "absent"), list...)
	for _, name := range []string{"ingot.db", "ingot.lock", "keys/agent.key", "keys/jobs.key", "keys/wipe-certificates.key"} {
		add("a folder for "+name, folder(fresh(), name), list...)
	}
	for _, name := range []string{"ingot.db", "keys/agent.key", "keys/jobs.key", "keys/wipe-certificates.key"} {
		dir := fresh()
		write(dir, name, strings.Repeat("this is none of ours ", 1000))
		add("garbage for "+name, dir, list...)
	}
	for _, name := range []string{"keys", "boot", "packs", "manifests"} {
		dir := fresh()
		write(dir, name, "a file")
		add("a file for "+name, dir, list...)
	}
	pem := fresh()
	write(pem, "keys/agent.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	add("half a key", pem, list...)
	half := fresh()
	if code := run(t.Context(), []string{"--data", half, "bench", "open", "1h"}, nil, io.Discard, io.Discard); code != 0 {
		run(t.Context(), []string{"--data", half, "image", "import", file, "--image", "x", "--label", "l", "--note", "n"}, nil, io.Discard, io.Discard)
	}
	if err := os.Truncate(filepath.Join(half, "ingot.db"), 9000); err != nil {
		t.Fatal(err)
	}
	add("half a database", half, list...)

	// The configuration
	for name, text := range map[string]string{"no TOML": "][", "bytes": "\xff\xfe\x00", "a word for a number": "[agent]\nport = \"x\"", "no network": "[[boot.subnets]]\nprefix = \"10\"", "no time": "[boot]\nprobe_time = \"soon\""} {
		add("a configuration of "+name, good, append([]string{"--config", write(fresh(), "ingot.toml", text)}, list...)...)
	}
	add("a folder for the configuration", good, append([]string{"--config", root}, list...)...)
	add("no configuration", good, append([]string{"--config", filepath.Join(root, "none.toml")}, list...)...)

	// Images
	imports := func(name, path string) {
		add("import of "+name, good, "image", "import", path, "--image", "sales", "--label", "1", "--note", "n")
	}
	pipe := filepath.Join(root, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	imports("nothing", filepath.Join(root, "none.raw"))
	imports("a folder", root)
	imports("a text", write(root, "text.raw", "text"))
	imports("half a qcow2", write(root, "half.qcow2", "QFI\xfb\x00\x00\x00\x03"))
	imports("a pipe", pipe)
	imports("a path under a file", filepath.Join(file, "disk.raw"))
	imports("memory", "/proc/self/mem")
	add("export of nothing", good, "image", "export", "sales", filepath.Join(root, "out"))
	add("show of nothing", good, "image", "show", "sales")

	// Flags and arguments
	for _, args := range [][]string{{"bench", "open", "soon"}, {"bench", "open", "99999999h"}, {"bench", "open"}, {"auto-deploy", "on", "--count", "x"}, {"auto-deploy", "on", "--for", "soon"},
		{"image", "import", file, "--root-partition", "x"}, {"device", "list", "-o", "yaml"}, {"device", "lst"}, {"device", "show"}, {"nothing"}, {"--nothing"}, {"job", "show", "none"},
		{"job", "watch", "none"}, {"job", "cancel", "none"}, {"device", "show", "none"}, {"device", "adopt", "AAAA-AAAA"}, {"deploy", "none", "--image", "sales"}, {"boot", "log", "a b"},
		{"daemon", "--pool", "x"}, {"daemon", "--interface", "lo", "--mode", "dhcp", "--subnet", "x", "--pool", "10.0.0.1-10.0.0.2"}, {"daemon", "--interface", "none0", "--agent-port", "1"},
		{"daemon", "--interface", "lo", "--mode", "dhcp", "--pool", "1-2", "--subnet", "10.0.0.0/24"}, {"daemon", "--router", "x", "--interface", "lo"}, {"daemon", "--agent-port", "x"},
		{"firmware", "build", "--debs", filepath.Join(root, "none"), "--agent", file}, {"firmware", "build", "--debs", root, "--agent", file}, {"firmware", "verify"}, {"firmware", "show"}} {
		add(strings.Join(args, " "), good, args...)
	}
	dir := fresh()
	write(dir, "boot/bundle-0123456789abcdef/bundle.json", "{")
	if err := os.Symlink("bundle-0123456789abcdef", filepath.Join(dir, "boot/current")); err != nil {
		t.Fatal(err)
	}
	add("a bundle of half a record, shown", dir, "firmware", "show")
	add("a bundle of half a record, checked", dir, "firmware", "verify")
	add("a boot folder that is a file", write(fresh(), "boot", "x")[:0]+filepath.Dir(write(fresh(), "boot", "x")), "firmware", "verify")

	for name, answer := range falseDaemons {
		add("a daemon that "+name, falseDaemon(t, fresh(), answer), list...)
		add("a daemon that "+name+", asked to import", falseDaemon(t, fresh(), answer), "image", "import", file, "--image", "x", "--label", "l", "--note", "n")
	}
	return all
}

// falseDaemons are answers on the socket that are not the API's.
var falseDaemons = map[string]func(net.Conn){
	"hangs up":             func(net.Conn) {},
	"answers no HTTP":      func(c net.Conn) { fmt.Fprint(c, "SSH-2.0-OpenSSH\r\n") },
	"answers half a line":  func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200") },
	"answers no JSON":      func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>") },
	"answers half of it":   func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n[{\"id\":") },
	"answers another type": func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"id\":1}") },
	"fails without words":  func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n") },
}

// falseDaemon listens on a data folder's socket.
func falseDaemon(t *testing.T, dir string, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 1<<16)
			if n, _ := c.Read(buf); n > 0 && strings.Contains(string(buf[:n]), http.MethodPost+" ") || n > 0 {
				answer(c)
			}
			c.Close()
		}
	}()
	return dir
}
