package web_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ingot/web"
)

// TestHealthSaysOneWord: to anybody, well or not, and however many ask the daemon is looked at once a second.
func TestHealthSaysOneWord(t *testing.T) {
	var looks atomic.Int32
	var ill atomic.Bool
	h := web.Health(func(context.Context) error {
		looks.Add(1)
		if ill.Load() {
			return errors.New("/var/lib/ingot/ingot.db: secret")
		}
		return nil
	})
	get := func() (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
		return w.Code, w.Body.String()
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if code, body := get(); code != 200 || body != "ok\n" {
				t.Errorf("well: %d %q", code, body)
			}
		})
	}
	all.Wait()
	if looks.Load() != 1 {
		t.Errorf("%d looks for 50 that asked", looks.Load())
	}
	ill.Store(true)
	time.Sleep(1100 * time.Millisecond)
	if code, body := get(); code != 503 || body != "not ok\n" {
		t.Errorf("ill: %d %q", code, body)
	}
}

// TestHealthOfADaemonThatHangs: the answer comes all the same, and only one look waits.
func TestHealthOfADaemonThatHangs(t *testing.T) {
	var looks atomic.Int32
	end := make(chan struct{})
	defer close(end)
	h := web.Health(func(context.Context) error { looks.Add(1); <-end; return nil })
	for range 2 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
		if w.Code != 503 {
			t.Errorf("status %d", w.Code)
		}
	}
	if looks.Load() != 1 {
		t.Errorf("%d looks wait", looks.Load())
	}
}
