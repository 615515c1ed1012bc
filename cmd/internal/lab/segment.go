package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// AddSegment adds a second switch, on which the server does not stand: the network behind a router. A laptop
// stands on it by its Segment, a host by Connect.
func (b *Bench) AddSegment(ctx context.Context, name string) error {
	for _, argv := range [][]string{
		{"ip", "link", "add", name, "type", "bridge", "stp_state", "0", "forward_delay", "0"},
		{"ip", "link", "set", name, "up"},
	} {
		if _, err := Command(ctx, argv...); err != nil {
			return fmt.Errorf("add segment %s: %w", name, err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.segments = append(b.segments, name)
	return nil
}

// RemoveSegment takes such a switch away again.
func (b *Bench) RemoveSegment(ctx context.Context, name string) error {
	b.mu.Lock()
	b.segments = slices.DeleteFunc(b.segments, func(s string) bool { return s == name })
	b.mu.Unlock()
	_, err := Command(ctx, "ip", "link", "del", name)
	return err
}

// Connect gives the host one more card, on another segment.
func (h *Host) Connect(ctx context.Context, segment, card, cidr string) error {
	port := "v-" + h.Name + "-" + card
	for _, argv := range [][]string{
		{"ip", "link", "add", port, "type", "veth", "peer", "name", card, "netns", h.Name},
		{"ip", "link", "set", port, "master", segment, "up"},
		{"ip", "-n", h.Name, "addr", "add", cidr, "dev", card},
		{"ip", "-n", h.Name, "link", "set", card, "up"},
	} {
		if _, err := Command(ctx, argv...); err != nil {
			return fmt.Errorf("connect %s to %s: %w", h.Name, segment, err)
		}
	}
	return nil
}

// Enter runs fn as if this program ran on the host: sockets that fn opens stand there, and stay there when it
// returned. fn must open them itself, not in a goroutine that it starts.
func (h *Host) Enter(fn func() error) error {
	ended := make(chan error, 1)
	go func() { // ends with fn; its thread, which cannot come back, ends with it
		runtime.LockOSThread()
		ended <- func() (err error) {
			ns, err := os.Open("/run/netns/" + h.Name)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, ns.Close()) }()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter host %s: %w", h.Name, err)
			}
			return fn()
		}()
	}()
	return <-ended
}
