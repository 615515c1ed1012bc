package pxe

import (
	"slices"
	"sync"
)

// History is a Recorder in memory, for tests: the last events of the machines seen last.
type History struct {
	machines, each int

	mu     sync.Mutex
	events map[MAC][]Event
	order  []MAC         // the machine heard last at the end
	heard  chan struct{} // closed and replaced at every event
}

// NewHistory keeps the last `each` events of at most `machines` machines.
func NewHistory(machines, each int) *History {
	return &History{machines: machines, each: each, events: map[MAC][]Event{}, heard: make(chan struct{})}
}

// Record implements Recorder.
func (h *History) Record(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.order, e.MAC); i >= 0 {
		h.order = slices.Delete(h.order, i, i+1)
	} else if len(h.order) >= h.machines {
		delete(h.events, h.order[0])
		h.order = slices.Delete(h.order, 0, 1)
	}
	h.order = append(h.order, e.MAC)
	kept := append(h.events[e.MAC], e)
	if len(kept) > h.each {
		kept = slices.Clone(kept[len(kept)-h.each:])
	}
	h.events[e.MAC] = kept
	close(h.heard)
	h.heard = make(chan struct{})
}

// Events gives a machine's events, oldest first. The zero MAC has those whose machine is unknown.
func (h *History) Events(mac MAC) []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events[mac])
}

// Heard gives a channel that is closed at the next event.
func (h *History) Heard() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.heard
}
