package disk

import (
	"sync/atomic"
	"time"
)

// quiet measures how long nothing has arrived, over all connections of a run.
type quiet struct {
	limit time.Duration
	start time.Time
	last  atomic.Int64 // nanoseconds since start
}

func newQuiet(limit time.Duration) *quiet { return &quiet{limit: limit, start: time.Now()} }

func (q *quiet) heard() { q.last.Store(int64(time.Since(q.start))) }

func (q *quiet) over() bool { return time.Since(q.start)-time.Duration(q.last.Load()) > q.limit }
