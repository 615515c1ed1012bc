package disk

import (
	"sync/atomic"
	"time"
)

// quiet measures for how long every request of a run has failed, over all connections. Time in which nothing
// was asked for does not count.
type quiet struct {
	limit time.Duration
	start time.Time
	since atomic.Int64 // nanoseconds from start to the first failure behind the last success; 0: none
}

func newQuiet(limit time.Duration) *quiet { return &quiet{limit: limit, start: time.Now()} }

// heard notes that something arrived.
func (q *quiet) heard() { q.since.Store(0) }

// failed notes a failure and reports whether patience has ended.
func (q *quiet) failed() bool {
	now := int64(time.Since(q.start)) + 1 // never 0
	if q.since.CompareAndSwap(0, now) {
		return false
	}
	since := q.since.Load()
	return since != 0 && now-since > int64(q.limit)
}
