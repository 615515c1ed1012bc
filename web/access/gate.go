package access

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"ingot/imaging/job"
)

// How many passwords are looked at, and from where.
const (
	waiting   = 16              // sign-ins that may wait for their turn; the next is asked to come back
	patience  = 5 * time.Second // how long one waits
	addresses = 4096            // that are remembered
	names     = 4096            // that are not known here, and were tried
	tries     = 20              // that one address has at once
)

// every is how often an address that has used its tries gets another one.
const every = 3 * time.Second

// gate lets one password hash be computed at a time, and few wait.
type gate struct {
	queue chan struct{} // places, the one at work included
	turn  chan struct{}
}

func newGate() *gate {
	return &gate{queue: make(chan struct{}, waiting+1), turn: make(chan struct{}, 1)}
}

// enter waits for a turn; leave must be called when it returns no error.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.queue <- struct{}{}:
	default:
		return job.Faultf(job.CodeManySignIns, "")
	}
	late, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case g.turn <- struct{}{}:
		return nil
	case <-late.Done():
		<-g.queue
		return job.Faultf(job.CodeManySignIns, "")
	}
}

func (g *gate) leave() { <-g.turn; <-g.queue }

// keyed is a table of at most max values that makes one at the first look at a key, and forgets the key that was looked
// at least recently.
type keyed[K comparable, V any] struct {
	max  int
	make func() V

	mu    sync.Mutex
	order *list.List // of entries, the newest in front
	by    map[K]*list.Element
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newKeyed[K comparable, V any](max int, make func() V) *keyed[K, V] {
	return &keyed[K, V]{max: max, make: make, order: list.New(), by: map[K]*list.Element{}}
}

// with looks a key up and lets f work on its value; no other with runs meanwhile.
func (t *keyed[K, V]) with(key K, f func(V)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.by[key]
	if ok {
		t.order.MoveToFront(e)
	} else {
		if t.order.Len() >= t.max {
			last := t.order.Back()
			delete(t.by, t.order.Remove(last).(entry[K, V]).key)
		}
		e = t.order.PushFront(entry[K, V]{key, t.make()})
		t.by[key] = e
	}
	f(e.Value.(entry[K, V]).value)
}

// network is what counts as one address: of IPv6 everything that one machine may call itself.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: all that have none are one
	}
	return p
}

// doors counts the attempts of each address.
type doors struct {
	now   func() time.Time
	table *keyed[netip.Prefix, *rate.Limiter]
}

func newDoors(now func() time.Time) *doors {
	return &doors{now: now, table: newKeyed[netip.Prefix](addresses, func() *rate.Limiter { return rate.NewLimiter(rate.Every(every), tries) })}
}

// knock refuses an address that has tried too often.
func (d *doors) knock(from netip.Addr) (err error) {
	d.table.with(network(from), func(l *rate.Limiter) {
		if !l.AllowN(d.now(), 1) {
			err = job.Faultf(job.CodeManySignIns, "")
		}
	})
	return err
}

// strangers answers for names that are not known as the records answer for those that are: with the same lock.
type strangers struct {
	now   func() time.Time
	max   int
	lock  time.Duration
	locks func(time.Duration) *job.Fault
	table *keyed[string, *stranger]
}

type stranger struct {
	wrong int
	until time.Time
}

// locked refuses a name that was tried too often.
func (s *strangers) locked(name string) (err error) {
	s.table.with(name, func(n *stranger) {
		if now := s.now(); now.Before(n.until) {
			err = s.locks(n.until.Sub(now))
		}
	})
	return err
}

// count counts an attempt, and says whether it was the one that locks the name.
func (s *strangers) count(name string) (locks bool) {
	s.table.with(name, func(n *stranger) {
		if n.wrong++; n.wrong >= s.max {
			n.wrong, n.until, locks = 0, s.now().Add(s.lock), true
		}
	})
	return locks
}
