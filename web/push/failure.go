package push

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// kind says what a failed attempt means for what comes next.
type kind int

const (
	later kind = iota // this item, again
	hold              // nothing to this target before the next attempt
	never             // this item is given up
	gone              // the receiver wants nothing any more
)

// failure is a failed attempt, in words for people.
type failure struct {
	kind
	fault *job.Fault
	after time.Duration // what the other side asked for; 0 when it asked for nothing
}

func (f *failure) Error() string { return f.fault.Error() }

// Unwrap lets job.FaultOf find the words.
func (f *failure) Unwrap() error { return f.fault }

func fail(k kind, c job.Code, format string, args ...any) error {
	return &failure{kind: k, fault: job.Faultf(c, format, args...)}
}

// failureOf makes any error a failure; one that nobody judged is tried again.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return &failure{kind: later, fault: job.FaultOf(err)}
}

// How attempts follow each other.
const (
	firstWait  = 5 * time.Second
	longest    = time.Hour
	mostAfter  = 24 * time.Hour // a Retry-After beyond this is a mistake
	hookLife   = 3 * 24 * time.Hour
	itemChance = 8 // attempts of one device at a register that answers
)

// wait is how long after the tries-th failed attempt the next one comes. random is 0 to 1: many items that failed
// together do not come back together.
func wait(first time.Duration, tries int, after time.Duration, random float64) time.Duration {
	d := time.Duration(min(float64(first)*math.Pow(2, float64(min(tries, 40))), float64(longest)))
	d -= time.Duration(random * float64(d) / 2)
	return max(d, min(after, mostAfter))
}

// givenUp reports whether the item gets no further attempt.
func givenUp(i store.OutItem, hook bool, f *failure, now time.Time) bool {
	switch {
	case f.kind == never:
		return true
	case hook:
		return now.Sub(i.Created) >= hookLife
	}
	return f.kind == later && i.Tries+1 >= itemChance
}

// retryAfter reads the header, in either of its two forms.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
