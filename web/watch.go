package web

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Metrics is what a monitoring system reads; metrics.Metrics is one.
type Metrics interface {
	Handler() http.Handler
	Request(route string, status int, took time.Duration)
}

// watched serves a request and counts it.
func (a *API) watched(h http.Handler, w http.ResponseWriter, r *http.Request) {
	if a.Metrics == nil {
		h.ServeHTTP(w, r)
		return
	}
	s := &statusOf{ResponseWriter: w, status: http.StatusOK}
	began := time.Now()
	defer func() { a.Metrics.Request(r.Pattern, s.status, time.Since(began)) }() // the mux has set the pattern
	h.ServeHTTP(s, r)
}

// statusOf remembers the status of an answer.
type statusOf struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (s *statusOf) WriteHeader(code int) {
	s.status = code
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the connection.
func (s *statusOf) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// healthAge is how old an answer about the daemon's health may be, and healthTime how long finding it may take.
const (
	healthAge  = time.Second
	healthTime = 5 * time.Second
)

// Health answers anybody whether the daemon does its work, and not a word more. However many ask, it is looked at once
// a second, and one look at a time: a daemon that hangs is not well.
func Health(check func(context.Context) error) http.Handler {
	h := &health{check: check}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ok := h.ok()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
			w.Write([]byte("not ok\n")) // fails only when the asker has gone
			return
		}
		w.Write([]byte("ok\n"))
	})
}

// health remembers the last look.
type health struct {
	check func(context.Context) error

	mu   sync.Mutex
	at   time.Time     // of the last look's end
	good bool          // what it found
	look chan struct{} // closed when the look that runs has ended; nil when none runs
}

// ok gives the last look when it is young enough, else waits for one.
func (h *health) ok() bool {
	h.mu.Lock()
	if time.Since(h.at) <= healthAge {
		defer h.mu.Unlock()
		return h.good
	}
	if h.look == nil {
		h.look = make(chan struct{})
		go h.run(h.look) // ends with the check; nobody begins another one before
	}
	look := h.look
	h.mu.Unlock()
	select {
	case <-look:
	case <-time.After(healthTime):
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.good
}

func (h *health) run(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), healthTime)
	defer cancel()
	good := h.check(ctx) == nil
	h.mu.Lock()
	defer h.mu.Unlock()
	h.good, h.at, h.look = good, time.Now(), nil
	close(done)
}
