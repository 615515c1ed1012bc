package access

import (
	"context"
	"strings"
	"sync"
	"time"
)

// live knows the requests that are open, so that the board's stream of a person who was signed out ends.
type live struct {
	mu   sync.Mutex
	open map[*held]bool
}

// held is one open request.
type held struct {
	grant Grant
	end   context.CancelFunc
}

func newLive() *live { return &live{open: map[*held]bool{}} }

// hold follows a request until its grant ends: for a session, as long as it lasts if nothing else is asked.
func (l *live) hold(ctx context.Context, g Grant, left time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(ctx, left)
	h := &held{g, cancel}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[h] = true
	return ctx, func() {
		cancel()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, h)
	}
}

// end ends the open requests of the grants that f knows.
func (l *live) end(f func(Grant) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for h := range l.open {
		if f(h.grant) {
			h.end()
		}
	}
}

// owner is the operator behind a grant.
func (g Grant) owner() string { name, _, _ := strings.Cut(g.Name, "/"); return name }
