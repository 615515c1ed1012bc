package access

import (
	"context"
	"strings"
	"sync"
	"time"

	"ingot/store"
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

// hold follows a request until its grant ends. A session that is in use does not end by being idle, so a request is
// given as long as a session can last; each new one is judged anew.
func (l *live) hold(ctx context.Context, g Grant, left time.Duration) (context.Context, func()) {
	if g.Session != "" {
		left = max(left, store.SessionIdle)
	}
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
