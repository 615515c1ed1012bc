package benchmark

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// console reads a laptop's lines as they come and notes when the order arrived and when it was done.
type console struct {
	lines chan string

	mu        sync.Mutex
	open      []byte // a line without its end
	job, done time.Time
	states    []mark
}

// mark is a state and when the laptop said it.
type mark struct {
	state string
	at    time.Time
}

func newConsole() *console { return &console{lines: make(chan string, 256)} }

// Write takes what the laptop prints. Lines that nobody waits for, beyond a bound, are dropped.
func (c *console) Write(p []byte) (int, error) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = append(c.open, p...)
	for {
		line, rest, ok := bytes.Cut(c.open, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		text := strings.TrimPrefix(string(line), "ingot: ")
		c.open = append([]byte(nil), rest...)
		switch {
		case strings.HasPrefix(text, "job "):
			c.job = now
		case strings.HasPrefix(text, "state "):
			c.states = append(c.states, mark{strings.TrimPrefix(text, "state "), now})
		case text == "done":
			c.done = now
		}
		select {
		case c.lines <- text:
		default:
		}
	}
}

// process is the laptop's agent; *lab.Process is one.
type process interface {
	Done() <-chan struct{}
	Err() error
	Tail(lines int) string
}

// wait waits for a line with this beginning and returns the rest of it. A failure that the laptop shows ends it.
func (c *console) wait(ctx context.Context, p process, prefix string) (string, error) {
	for {
		select {
		case line := <-c.lines:
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest, nil
			}
			if strings.HasPrefix(line, "failed") {
				return "", fmt.Errorf("the laptop says: %s", line)
			}
		case <-p.Done():
			if len(c.lines) == 0 {
				return "", fmt.Errorf("the laptop's agent ended before %q: %v: %s", prefix, p.Err(), p.Tail(5))
			}
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// took is the time from the order to its end, 0 when there was none.
func (c *console) took() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done.IsZero() {
		return 0
	}
	return c.done.Sub(c.job)
}

// phases tells how long each state lasted.
func (c *console) phases() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for i, m := range c.states {
		end := c.done
		if i+1 < len(c.states) {
			end = c.states[i+1].at
		}
		fmt.Fprintf(&b, " %s %.2f", m.state, end.Sub(m.at).Seconds())
	}
	return strings.TrimSpace(b.String())
}
