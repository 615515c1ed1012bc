package simlaptop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"ingot/imaging"
	"ingot/imaging/agent"
	"ingot/imaging/chunkstore"
	"ingot/imaging/disk"
	"ingot/imaging/job"
	"ingot/imaging/job/client"
)

// Run is one start of a laptop, from power-on to its reset.
type Run struct {
	laptop *Laptop
	client *client.Client
	pull   context.CancelCauseFunc
	done   chan struct{}

	mu    sync.Mutex
	view  agent.View
	said  []string
	ended string        // reset or off
	news  chan struct{} // closed when any of it changes
}

// errPulled is why a run ends whose power was cut.
var errPulled = errors.New("the laptop was switched off")

// PowerOn starts the laptop. It runs until it has reset itself, or PullPlug.
func (l *Laptop) PowerOn(s Server) (*Run, error) {
	c, err := l.dial(s)
	if err != nil {
		return nil, err
	}
	ctx, pull := context.WithCancelCause(context.Background())
	r := &Run{laptop: l, client: c, pull: pull, done: make(chan struct{}), news: make(chan struct{})}
	var daemon agent.Daemon = whole{c}
	if l.Wire != nil {
		daemon = l.Wire(daemon)
	}
	store := &chunkstore.Client{HTTP: c.HTTP(), Base: c.Base()}
	a := &agent.Agent{Daemon: daemon, Images: l.images(store), Library: store, Machine: r, Drives: r, Personaliser: r, Firmware: r, Power: r, Screen: r,
		Say: r.say, Log: zerolog.Nop(), Linger: time.Millisecond, Second: l.Second}
	go func() { // ends with the laptop's reset, or by PullPlug
		defer close(r.done)
		defer c.Close()
		if err := a.Run(ctx); err != nil && !errors.Is(err, errPulled) {
			r.say("the agent ended: " + err.Error())
		}
	}()
	return r, nil
}

// dial makes the agent's client, with a key of this start alone. Its connections come from the laptop's own address, as
// on a real bench: the daemon counts by address.
func (l *Laptop) dial(s Server) (*client.Client, error) {
	c, err := client.New(s.URL, s.Pin)
	if err != nil {
		return nil, err
	}
	t, ok := c.HTTP().Transport.(*http.Transport)
	if !ok {
		return nil, errors.New("the agent's client has no transport that can be given an address")
	}
	d := net.Dialer{Timeout: 10 * time.Second}
	if l.From.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: l.From.AsSlice()}
	}
	t.DialContext = d.DialContext
	if l.Trip != nil {
		c.HTTP().Transport = l.Trip(t)
	}
	return c, nil
}

// whole is the daemon to a laptop whose stick holds its second stage: it has nothing to fetch before its Hello.
type whole struct{ *client.Client }

// BootInfo tells the time that it is.
func (whole) BootInfo(context.Context) (job.BootInfo, error) {
	return job.BootInfo{Version: job.Version, Now: time.Now()}, nil
}

// images is where the laptop's chunks come from, at the speed of its link.
func (l *Laptop) images(from *chunkstore.Client) agent.Images {
	if l.Link <= 0 {
		return from
	}
	return slow{from, rate.NewLimiter(l.Link, 1<<20)}
}

// slow is a network with a speed.
type slow struct {
	*chunkstore.Client
	speed *rate.Limiter
}

// Fetch lets each frame take the time that it needs.
func (s slow) Fetch(ctx context.Context, d imaging.Digest, want []disk.Span, fn func(uint64, []byte) error) (uint64, error) {
	return s.Client.Fetch(ctx, d, want, func(n uint64, frame []byte) error {
		if err := s.speed.WaitN(ctx, len(frame)); err != nil {
			return err
		}
		return fn(n, frame)
	})
}

// Show makes a Run an agent.Screen.
func (r *Run) Show(v agent.View) { r.change(func() { r.view = v }) }

func (r *Run) say(line string) { r.change(func() { r.said = append(r.said, line) }) }

func (r *Run) end(how string) { r.change(func() { r.ended = how }) }

func (r *Run) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.news)
	r.news = make(chan struct{})
}

// look gives all that can be seen of the laptop, and a channel that is closed when that changes.
func (r *Run) look() (v agent.View, said []string, ended string, news <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view, r.said, r.ended, r.news
}

// View is what its screen shows now.
func (r *Run) View() agent.View { v, _, _, _ := r.look(); return v }

// Said is its serial console.
func (r *Run) Said() []string { _, said, _, _ := r.look(); return said }

// Until waits until its screen shows what is wanted. A laptop that failed, or has ended, does not get there any more.
func (r *Run) Until(ctx context.Context, what string, ok func(agent.View) bool) error {
	for {
		v, said, ended, news := r.look()
		switch {
		case ok(v):
			return nil
		case ended != "":
			return fmt.Errorf("%s: waiting for %s: it ended (%s); it said %s", r.laptop.Serial(), what, ended, strings.Join(said, "; "))
		case v.Word == "failed":
			return fmt.Errorf("%s: waiting for %s: it failed: %s %s %v", r.laptop.Serial(), what, v.Fault, v.Sentence, v.Lines)
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("%s: waiting for %s: %w; its screen says %q %q", r.laptop.Serial(), what, ctx.Err(), v.Word, v.Sentence)
		}
	}
}

// Code waits for the code that its screen shows.
func (r *Run) Code(ctx context.Context) (code string, err error) {
	err = r.Until(ctx, "its code", func(v agent.View) bool { code = v.Code; return code != "" })
	return code, err
}

// Await waits for the end of its run: "reset" or "off".
func (r *Run) Await(ctx context.Context) (string, error) {
	for {
		v, said, ended, news := r.look()
		switch {
		case ended != "":
			return ended, nil
		case v.Word == "failed":
			return "", fmt.Errorf("%s failed: %s %s %v", r.laptop.Serial(), v.Fault, v.Sentence, v.Lines)
		}
		select {
		case <-news:
		case <-r.done:
			return "", fmt.Errorf("%s: the agent ended without a reset; it said %s", r.laptop.Serial(), strings.Join(said, "; "))
		case <-ctx.Done():
			return "", fmt.Errorf("%s: waiting for its end: %w; its screen says %q %q", r.laptop.Serial(), ctx.Err(), v.Word, v.Sentence)
		}
	}
}

// PullPlug cuts its power and waits until nothing of it runs any more. It may be called at any time.
func (r *Run) PullPlug() {
	r.pull(errPulled)
	<-r.done
}
