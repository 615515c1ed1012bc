package lab

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
)

// escapes are the terminal controls that firmware, GRUB and systemd print between the words.
var escapes = regexp.MustCompile("\x1b(\\[[0-9;?=]*[ -/]*[@-~]|[()][0-9A-B]|\\][^\x07]*\x07|[=>78cDEHM])|[\r\x00]")

// Console is the text of a serial line, free of terminal controls, from power on. Several may read it.
type Console struct {
	mu      sync.Mutex
	text    strings.Builder
	pending []byte        // the start of an escape whose end has not come yet
	grown   chan struct{} // closed, and replaced, when text was added
	closed  bool
	copyTo  io.Writer // the raw bytes; may be nil
	input   io.Writer
}

func newConsole(input, copyTo io.Writer) *Console {
	return &Console{grown: make(chan struct{}), input: input, copyTo: copyTo}
}

// Write takes what the machine sent; it never fails on account of the text.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.copyTo != nil {
		if _, err := c.copyTo.Write(p); err != nil {
			return 0, err
		}
	}
	buf := append(c.pending, p...)
	whole := len(buf)
	if i := strings.LastIndexByte(string(buf), 0x1b); i >= 0 && len(buf)-i < 64 && !escapes.Match(buf[i:]) {
		whole = i
	}
	c.text.Write(escapes.ReplaceAll(buf[:whole], nil))
	c.pending = append([]byte(nil), buf[whole:]...)
	close(c.grown)
	c.grown = make(chan struct{})
	return len(p), nil
}

// Close marks the end of the line: the machine is off.
func (c *Console) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		close(c.grown)
		c.grown = make(chan struct{})
	}
	return nil
}

// Text is everything that came so far.
func (c *Console) Text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// Mark is the present length; WaitAfter looks only behind it.
func (c *Console) Mark() int { return len(c.Text()) }

// Tail is the last n lines.
func (c *Console) Tail(n int) string { return lastLines(c.Text(), n) }

// Send types text into the serial line.
func (c *Console) Send(text string) error {
	_, err := io.WriteString(c.input, text)
	return err
}

// WaitFor waits until marker stands anywhere in the text.
func (c *Console) WaitFor(ctx context.Context, marker string) error {
	_, err := c.WaitAfter(ctx, 0, regexp.MustCompile(regexp.QuoteMeta(marker)))
	return err
}

// WaitAfter waits for a match behind mark and returns its submatches.
func (c *Console) WaitAfter(ctx context.Context, mark int, want *regexp.Regexp) ([]string, error) {
	for {
		c.mu.Lock()
		text, grown, closed := c.text.String(), c.grown, c.closed
		c.mu.Unlock()
		if m := want.FindStringSubmatch(text[min(mark, len(text)):]); m != nil {
			return m, nil
		}
		if closed {
			return nil, fmt.Errorf("wait for %q on the console: the laptop went off", want)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %q on the console: %w", want, ctx.Err())
		case <-grown:
		}
	}
}
