package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// plainWriter turns zerolog's events into the plain lines of the serial console: "ingot: message key=value".
type plainWriter struct{ out io.Writer }

// Write implements io.Writer for one event.
func (p plainWriter) Write(b []byte) (int, error) {
	var event map[string]any
	if err := json.Unmarshal(bytes.TrimSpace(b), &event); err != nil {
		return len(b), nil
	}
	_, err := io.WriteString(p.out, "ingot: "+plainLine(event)+"\n")
	return len(b), err
}

// plainLine writes the message, then the fields in order of their names.
func plainLine(event map[string]any) string {
	var b strings.Builder
	fmt.Fprint(&b, event["message"])
	var keys []string
	for k := range event {
		if k != "message" && k != "level" && k != "time" {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, " %s=%v", k, event[k])
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, b.String())
}

// maxRing is how many lines the log view keeps.
const maxRing = 400

// ring keeps the last lines for the log view and hands each on to the serial console.
type ring struct {
	mu     sync.Mutex
	lines  []string
	serial chan string // lines that the console is too slow for are dropped
}

// newRing starts the goroutine that writes to the serial console; it lives as long as the worker.
func newRing(console io.Writer) *ring {
	r := &ring{serial: make(chan string, 256)}
	go func() {
		for l := range r.serial {
			_, _ = io.WriteString(console, l) // a console that is gone has no reader to tell
		}
	}()
	return r
}

// Write implements io.Writer for whole lines.
func (r *ring) Write(b []byte) (int, error) {
	for l := range strings.Lines(string(b)) {
		r.keep(strings.TrimRight(l, "\n"))
		select {
		case r.serial <- strings.TrimRight(l, "\n") + "\r\n":
		default:
		}
	}
	return len(b), nil
}

func (r *ring) keep(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lines = append(r.lines, line); len(r.lines) > maxRing {
		r.lines = slices.Clone(r.lines[len(r.lines)-maxRing:])
	}
}

func (r *ring) last() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

// openSerial opens the first serial port; a laptop without one gets a writer to nowhere.
func openSerial() io.Writer {
	f, err := os.OpenFile("/dev/ttyS0", os.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return io.Discard
	}
	return f
}

// followKernel reads the kernel's log for as long as it can be read: warnings go to the log view, and each line is
// given to see. It ends with the process.
func (r *ring) followKernel(see func(line string)) {
	f, err := os.Open("/dev/kmsg")
	if err != nil {
		return
	}
	defer f.Close()
	buf := make([]byte, 8192)
	for {
		n, err := f.Read(buf) // one record a read; EPIPE says that older ones were overwritten
		if err != nil && !isOverrun(err) {
			return
		}
		head, text, ok := strings.Cut(string(buf[:n]), ";")
		if !ok {
			continue
		}
		text, _, _ = strings.Cut(text, "\n")
		see(text)
		if kernelWarning(head) {
			r.keep("kernel: " + text)
		}
	}
}

// kernelWarning reads the priority before the first comma: its low three bits are the level, 4 is a warning.
func kernelWarning(head string) bool {
	var prio int
	if _, err := fmt.Sscanf(head, "%d,", &prio); err != nil {
		return false
	}
	return prio&7 <= 4
}
