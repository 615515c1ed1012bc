package capture

import "time"

// Progress is how far a capture is. Bytes are those that are read: free space and holes are not counted.
type Progress struct {
	Done        uint64  // bytes
	Total       uint64  // bytes
	BytesPerSec float64 // over the last seconds
	SecondsLeft int     // -1 when unknown
}

// meter turns byte counts into Progress about twice a second.
type meter struct {
	report  func(Progress)
	now     func() time.Time
	total   int64
	done    int64
	last    time.Time
	window  []sample
	started bool
}

// sample is a point in time of the rate's window.
type sample struct {
	at   time.Time
	done int64
}

const (
	reportEvery = 500 * time.Millisecond
	rateWindow  = 20 // samples
)

// add counts n bytes and reports when it is time, or at the end.
func (m *meter) add(n int64) {
	m.done += n
	if m.report == nil {
		return
	}
	t := m.now()
	if m.started && t.Sub(m.last) < reportEvery && m.done < m.total {
		return
	}
	m.started, m.last = true, t
	m.window = append(m.window, sample{t, m.done})
	if len(m.window) > rateWindow {
		m.window = m.window[1:]
	}
	m.report(m.progress())
}

func (m *meter) progress() Progress {
	p := Progress{Done: uint64(m.done), Total: uint64(m.total), SecondsLeft: -1}
	first, last := m.window[0], m.window[len(m.window)-1]
	if d := last.at.Sub(first.at).Seconds(); d > 0 {
		p.BytesPerSec = float64(last.done-first.done) / d
	}
	if m.done >= m.total {
		p.SecondsLeft = 0
	} else if p.BytesPerSec > 0 {
		p.SecondsLeft = int(float64(m.total-m.done)/p.BytesPerSec) + 1
	}
	return p
}
