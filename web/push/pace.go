package push

import (
	"context"
	"sync"
	"time"
)

// pace keeps requests apart: a few at once, and then one in each gap.
type pace struct {
	gap   time.Duration
	burst int

	mu sync.Mutex
	at time.Time // when the next one is due, counted as if none had come early
}

// wait returns when it is the caller's turn.
func (p *pace) wait(ctx context.Context) error {
	p.mu.Lock()
	now := time.Now()
	if early := now.Add(-time.Duration(p.burst) * p.gap); p.at.Before(early) {
		p.at = early
	}
	p.at = p.at.Add(p.gap)
	until := p.at.Sub(now)
	p.mu.Unlock()
	if until <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(until)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
