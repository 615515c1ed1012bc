package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// said gathers what a daemon says while it runs.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(b) }

func (s *said) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// startDaemon runs one until the test ends, and gives what it says once it is ready.
func startDaemon(t *testing.T, args ...string) *said {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	out, ended := new(said), make(chan int, 1)
	go func() {
		ended <- run(ctx, append(args[:2:2], append([]string{"daemon"}, args[2:]...)...), nil, io.Discard, out)
	}()
	t.Cleanup(func() { stop(); <-ended })
	for end := time.Now().Add(30 * time.Second); !strings.Contains(out.String(), "ingot is ready"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) || len(ended) > 0 {
			t.Fatalf("the daemon is not ready: %s", out)
		}
	}
	return out
}

// TestTheFirstStart: the daemon prints where its pages are, the fingerprint of their certificate, and a link; the link
// makes the first administrator, who is in; a second daemon prints none.
func TestTheFirstStart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	agents, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	out := startDaemon(t, "--data", data, "--agent-port", strconv.Itoa(agents), "--pages-port", strconv.Itoa(port))
	link := regexp.MustCompile(`link=(https://127\.0\.0\.1:\d+/setup/\S{43})`).FindStringSubmatch(out.String())
	print := regexp.MustCompile(`certificate=([0-9A-F:]{95})`).FindStringSubmatch(out.String())
	if link == nil || print == nil {
		t.Fatalf("no link, or no fingerprint: %s", out)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	pinned := &tls.Config{InsecureSkipVerify: true, VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
		if got := strings.ReplaceAll(fmt.Sprintf("% X", sha256.Sum256(raw[0])), " ", ":"); got != print[1] {
			return errors.New("the certificate is not the one that was printed: " + got)
		}
		return nil
	}}
	browser := &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: pinned, ForceAttemptHTTP2: true}}
	defer browser.CloseIdleConnections()
	for range 2 { // looking does not spend it
		res, err := browser.Get(link[1])
		if err != nil || res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
			t.Fatalf("the link: %v, %v", res, err)
		}
		res.Body.Close()
	}
	res, err := browser.PostForm(link[1], url.Values{"name": {"Boss"}, "password": {"correct horse battery"}, "again": {"correct horse battery"}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res, err = browser.Get(fmt.Sprintf("https://127.0.0.1:%d/api/v1/me", port)); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || strings.TrimSpace(string(b)) != `{"name":"boss","right":"administrator","only":[]}` {
		t.Errorf("who am I: %s, %v", b, err)
	}
	var list, errs bytes.Buffer
	if code := run(t.Context(), []string{"--data", data, "operator", "list", "-o", "name"}, nil, &list, &errs); code != 0 || list.String() != "boss\n" {
		t.Errorf("at the server: %d %s %s", code, &list, &errs)
	}
	if code := run(t.Context(), []string{"--data", data, "operator", "recover"}, nil, &list, &errs); code != 0 || !strings.Contains(list.String(), fmt.Sprintf("https://127.0.0.1:%d/setup/", port)) {
		t.Errorf("recover: %d %s %s", code, &list, &errs)
	}
}
