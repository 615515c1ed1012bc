package pxe

import (
	"context"
	"time"

	"github.com/vishvananda/netlink"
)

// lookEvery is how often each interface is looked at in any case: what the kernel tells may be lost.
const lookEvery = 2 * time.Second

// follow wakes the stations whenever the kernel tells that a link or an address changed, until ctx ends. Without
// the kernel's word (a sandbox may forbid it) the looks of lookEvery remain.
func (s *Server) follow(ctx context.Context) {
	for told := false; ctx.Err() == nil; {
		if err := s.subscribe(ctx); err != nil && !told {
			s.Log.Warn().Err(err).Msg("changes of the interfaces are noticed late: the kernel does not tell them")
			told = true
		}
		s.wake()
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
}

// subscribe hears the kernel until ctx ends or the subscription breaks.
func (s *Server) subscribe(ctx context.Context) error {
	links, addrs := make(chan netlink.LinkUpdate, 64), make(chan netlink.AddrUpdate, 64)
	done := make(chan struct{})
	if err := netlink.LinkSubscribe(links, done); err != nil {
		close(done)
		return err
	}
	if err := netlink.AddrSubscribe(addrs, done); err != nil {
		close(done)
		drain(links)
		return err
	}
	defer func() { close(done); drain(links); drain(addrs) }()
	for {
		var ok bool
		select {
		case <-ctx.Done():
			return nil
		case _, ok = <-links:
		case _, ok = <-addrs:
		}
		if !ok {
			return nil
		}
		s.wake()
	}
}

// drain waits until the library has closed its channel: its reader has ended then.
func drain[T any](c <-chan T) {
	for range c {
	}
}

// wake makes every station look.
func (s *Server) wake() {
	for _, st := range s.stations {
		select {
		case st.news <- struct{}{}:
		default: // it is about to look
		}
	}
}
