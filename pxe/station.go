package pxe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"ingot/imaging/job"
)

// Times of a station.
const (
	settle     = 100 * time.Millisecond // a card that comes brings several pieces of news
	retryFirst = time.Second            // between two attempts to open ports, doubled up to
	retryLast  = 30 * time.Second
	probeEvery = 5 * time.Minute // how often another DHCP server is looked for while we serve
)

// station is one configured interface, whether it is there or not. Its link is what is open on it: made anew each
// time, since a card that comes back is another one to the kernel.
type station struct {
	*Server
	name   string
	news   chan struct{} // capacity 1: look at once
	link   *link         // nil while nothing is open
	served bool          // it had a link before
	former netip.Addr    // the address before the present one
	said   string        // what the log was told last
	beat   atomic.Int64  // when it was last seen alive, on Server's monotonic clock
}

// Stand is a configured interface and the address on which laptops find us there; invalid while it is not served.
type Stand struct {
	Interface string
	Addr      netip.Addr
}

// claim takes the one lock of this interface in this network namespace. The DHCP library shares its port with
// anybody who asks, so without it a second daemon would start without an error and both would answer half. The
// kernel lets go of it when the process ends, however it ends.
func (st *station) claim() error {
	lock, err := net.Listen("unix", fmt.Sprintf("@ingot/dhcp/%s/%d", st.name, st.cfg.Ports.DHCP))
	if errors.Is(err, syscall.EADDRINUSE) {
		return job.Faultf(job.CodeDaemon, "Another Ingot already answers network boots on %s (port %d). Stop it first.", st.name, st.cfg.Ports.DHCP)
	}
	if err != nil {
		return fmt.Errorf("lock interface %s: %w", st.name, err)
	}
	st.locks = append(st.locks, lock)
	return nil
}

// find makes a closed link where the interface is now. An interface that cannot be served is an error, or, for a
// patient server, none: keep waits for it.
func (st *station) find() error {
	now, err := st.look(st.name, netip.Addr{})
	switch {
	case err != nil:
		return err
	case now.servable():
		st.link = &link{Server: st.Server, name: st.name, facts: now}
		return nil
	case st.Patient:
		return nil
	case now.index == 0:
		return job.Faultf(job.CodeDaemon, "There is no network interface %s.", st.name)
	case st.cfg.Mode == ModeDHCP:
		return job.Faultf(job.CodeDaemon, "The interface %s has no IPv4 address inside a configured subnet.", st.name)
	}
	return job.Faultf(job.CodeDaemon, "The interface %s has no IPv4 address.", st.name)
}

// keep serves the interface whenever it is there, until ctx ends.
func (st *station) keep(ctx context.Context) {
	for ctx.Err() == nil {
		if st.link == nil && !st.await(ctx) {
			return
		}
		st.served = true
		st.serve(ctx)
		st.former, st.link = st.link.addr, nil
		st.standAt(st.name, netip.Addr{})
	}
}

// serve runs the open link until ctx ends, one of its ports fails, or the interface is not what it was.
func (st *station) serve(ctx context.Context) {
	l := st.link
	st.standAt(st.name, l.addr)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- l.serve(ctx) }() // ends by cancel
	was := l.facts
	was.signal = true // so that an absent one is told
	for {
		st.alive()
		select {
		case err := <-ended:
			if ctx.Err() == nil {
				st.failed(ctx, was, err)
			}
			return
		case <-st.news:
			st.calm(ctx)
		case <-time.After(lookEvery):
		}
		now, err := st.look(st.name, l.addr)
		if err != nil {
			continue // looked at again soon
		}
		do, words := judge(st.name, was, now)
		if do != stay {
			st.standAt(st.name, netip.Addr{})
		}
		st.say(words, nil)
		if do != stay {
			cancel()
			<-ended
			return
		}
		was.signal = now.signal
	}
}

// failed says why the ports closed by themselves: the interface, as a rule. What fails for another reason may fail
// again at once, so that it is given a moment.
func (st *station) failed(ctx context.Context, was facts, err error) {
	if now, lerr := st.look(st.name, was.addr); lerr == nil {
		if do, words := judge(st.name, was, now); do != stay {
			st.standAt(st.name, netip.Addr{})
			st.say(words, nil)
			return
		}
	}
	st.Log.Error().Err(err).Str("interface", st.name).Msg("network boot failed on this interface; it is opened again")
	select {
	case <-ctx.Done():
	case <-time.After(retryFirst):
	}
}

// await opens the link as soon as the interface can be served; it reports false when ctx ended before.
func (st *station) await(ctx context.Context) bool {
	pause := retryFirst
	for {
		wait := lookEvery
		now, err := st.look(st.name, netip.Addr{})
		if do, words := judge(st.name, facts{}, now); err == nil && do == open {
			if err = st.open(ctx, now); err == nil {
				return true
			}
			wait = pause
			pause = min(2*pause, retryLast)
		} else {
			st.say(words, nil)
		}
		if err != nil && ctx.Err() == nil {
			st.say(st.cannot(err), err)
		}
		st.alive()
		select {
		case <-ctx.Done():
			return false
		case <-st.news:
			st.calm(ctx)
		case <-time.After(wait):
		}
	}
}

// open opens the ports. As a full DHCP server it makes sure first that nobody else gives addresses there: a card
// may come back in another network.
func (st *station) open(ctx context.Context, now facts) error {
	l := &link{Server: st.Server, name: st.name, facts: now, former: st.former}
	if st.cfg.Mode == ModeDHCP {
		if err := st.refuseForeign(ctx, l); err != nil {
			return err
		}
	}
	if err := l.open(); err != nil {
		return err
	}
	st.link = l
	word := "here"
	if st.served {
		word = "back"
	}
	st.said = ""
	st.Log.Info().Str("interface", st.name).Stringer("address", l.addr).Msgf("interface %s is %s with %s: laptops on it are answered", st.name, word, l.addr)
	return nil
}

// cannot says why an interface that is there is not served.
func (st *station) cannot(err error) string {
	if fact := job.FaultOf(err).Fact; fact != "" {
		return fmt.Sprintf("interface %s is not served yet: %s", st.name, fact)
	}
	return fmt.Sprintf("interface %s is not served yet: its ports could not be opened", st.name)
}

// say tells the log what is new.
func (st *station) say(words string, err error) {
	if words == "" || words == st.said {
		return
	}
	st.said = words
	st.Log.Warn().Err(err).Msg(words)
}

// calm lets the rest of the news come.
func (st *station) calm(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(settle):
	}
}

func (st *station) alive() { st.beat.Store(int64(time.Since(st.began))) }
