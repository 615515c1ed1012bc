package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"ingot/web"
)

// meter measures how busy this server is, from what the kernel counts: the share of its processors that worked, and what
// left by the adapters of the bench. Each answer is about the time since the one before, at least a second.
type meter struct {
	proc, sys  string // /proc and /sys; a test has its own
	interfaces []string
	now        func() time.Time

	mu   sync.Mutex
	last kernelCount
	load web.Load
}

// kernelCount is what the kernel had counted at a time.
type kernelCount struct {
	at         time.Time
	busy, idle uint64 // ticks of all processors
	sent       map[string]uint64
}

func newMeter(interfaces []string) *meter {
	return &meter{proc: "/proc", sys: "/sys", interfaces: interfaces, now: time.Now, load: web.Load{CPU: -1}}
}

// read gives the load. What cannot be read is not known, which is no failure.
func (m *meter) read() web.Load {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.now(); now.Sub(m.last.at) >= time.Second {
		next := m.count(now)
		if !m.last.at.IsZero() {
			m.load = m.between(m.last, next)
		}
		m.last = next
	}
	return m.load
}

// between is the load from one count to the next.
func (m *meter) between(a, b kernelCount) web.Load {
	l := web.Load{CPU: -1}
	if all := (b.busy - a.busy) + (b.idle - a.idle); b.busy >= a.busy && b.idle >= a.idle && all > 0 {
		l.CPU = float64(b.busy-a.busy) / float64(all)
	}
	fullest := -1.0
	for _, name := range m.interfaces {
		was, known := a.sent[name]
		is, still := b.sent[name]
		room := m.speed(name)
		if !known || !still || is < was || room == 0 {
			continue
		}
		rate := float64(is-was) / b.at.Sub(a.at).Seconds()
		if full := rate / float64(room); full > fullest {
			fullest, l.Sending, l.Adapter = full, uint64(rate), room
		}
	}
	return l
}

func (m *meter) count(now time.Time) kernelCount {
	c := kernelCount{at: now, sent: map[string]uint64{}}
	if b, err := os.ReadFile(filepath.Join(m.proc, "stat")); err == nil {
		c.busy, c.idle = ticks(b)
	}
	for _, name := range m.interfaces {
		if n, ok := m.number(name, "statistics/tx_bytes"); ok {
			c.sent[name] = uint64(n)
		}
	}
	return c
}

// speed is what an adapter can send in bytes a second; 0 when it does not tell.
func (m *meter) speed(name string) uint64 {
	mbit, ok := m.number(name, "speed")
	if !ok || mbit <= 0 {
		return 0
	}
	return uint64(mbit) * 1e6 / 8
}

func (m *meter) number(name, file string) (int64, bool) {
	b, err := os.ReadFile(filepath.Join(m.sys, "class/net", filepath.Base(name), file))
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// ticks reads the first line of /proc/stat (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal.
func ticks(stat []byte) (busy, idle uint64) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 5 || fields[0] != "cpu" {
		return 0, 0
	}
	for i, f := range fields[1:min(len(fields), 9)] {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, 0
		}
		if i == 3 || i == 4 {
			idle += n
		} else {
			busy += n
		}
	}
	return busy, idle
}
