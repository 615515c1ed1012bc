package push

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/job"
	"ingot/store"
)

// Devices takes over what a register knows better; deploy.Service is one.
type Devices interface {
	SetDevice(ctx context.Context, operator, ref string, c store.Correction) (store.DeviceView, error)
}

// Config is what a Pusher works with.
type Config struct {
	DB      *store.DB
	Devices Devices
	Log     zerolog.Logger
	Version string // Ingot's, for the other side's log
	Guard   Guard
	Folder  string // where devices.csv is kept; empty for nowhere

	// For tests; the zero value is right for the daemon.
	Tick  time.Duration // between two looks at the audit chain; 0 means a second
	First time.Duration // between the first attempt and the second; 0 means five seconds
	Pace  time.Duration // between two requests to a register; 0 means a second, which every Snipe-IT allows
	Every time.Duration // between two writings of devices.csv; 0 means a minute
}

// Pusher sends to every target what happened here. Its methods may be called from any goroutine, while Run runs or not.
type Pusher struct {
	Config
	http  *http.Client
	kick  chan struct{}
	write func(path string) error // writes devices.csv

	mu      sync.Mutex
	lines   map[string]*line
	csv     store.PushCSV
	csvFor  uint64    // the audit event up to which the file tells
	csvNext time.Time // not before this
	csvBusy bool      // it is being written
	full    time.Time // when it was last said that something cannot be recorded or read
}

// line is what is known about a target while the daemon runs.
type line struct {
	busy   bool
	held   time.Time // nothing before this
	next   time.Time // nothing is due before this
	reread time.Time // the chain is not read before this, since something could not be
	broken string    // what could not be, as the target's stand tells it
	failed int       // attempts in a row that held the target
	pace   *pace
}

// New makes a Pusher.
func New(c Config) *Pusher {
	if c.Tick == 0 {
		c.Tick = time.Second
	}
	if c.First == 0 {
		c.First = firstWait
	}
	if c.Pace == 0 {
		c.Pace = time.Second
	}
	if c.Every == 0 {
		c.Every = time.Minute
	}
	p := &Pusher{Config: c, http: c.Guard.client(), kick: make(chan struct{}, 1), lines: map[string]*line{}, csv: store.PushCSV{Folder: c.Folder}}
	p.write = p.writeFile
	return p
}

func (p *Pusher) agent() string { return "Ingot/" + p.Version }

// Run sends until ctx ends. Whatever goes wrong is in the stand of the target, and no reason to end.
func (p *Pusher) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	tick := time.NewTicker(p.Tick)
	defer tick.Stop()
	for {
		p.look(ctx, &workers)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-p.kick:
		}
	}
}

// wake makes Run look now, at one target without waiting for what held it.
func (p *Pusher) wake(target string) {
	p.mu.Lock()
	if l := p.lines[target]; l != nil {
		l.held, l.next, l.reread, l.failed = time.Time{}, time.Time{}, time.Time{}, 0
	}
	p.mu.Unlock()
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// complain tells of what could not be recorded or read, not more often than once a minute.
func (p *Pusher) complain(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.full) >= time.Minute {
		p.full = now
		p.Log.Error().Err(err).Msg("what is pushed to other systems could not be recorded or read")
	}
}

// look reads the chain on, and starts a worker for each target that has something due.
func (p *Pusher) look(ctx context.Context, workers *sync.WaitGroup) {
	targets := p.readOn()
	if p.Folder != "" {
		p.dropCSV(workers)
	}
	now := time.Now()
	for _, t := range targets {
		p.mu.Lock()
		l := p.lineOf(t.Name)
		start := !l.busy && !now.Before(l.held) && !now.Before(l.next)
		if start {
			l.busy = true
		}
		p.mu.Unlock()
		if start {
			workers.Go(func() { p.work(ctx, t) })
		}
	}
}

// lineOf gives the line of a target; mu is held.
func (p *Pusher) lineOf(target string) *line {
	l := p.lines[target]
	if l == nil {
		l = &line{pace: &pace{gap: p.Pace, burst: 10}}
		p.lines[target] = l
	}
	return l
}

// batch is how many items a worker takes at once.
const batch = 100

// work sends what is due to one target, one after the other.
func (p *Pusher) work(ctx context.Context, t store.PushTarget) {
	for ctx.Err() == nil {
		due, next, err := p.due(&t)
		if err != nil || len(due) == 0 {
			p.rest(t.Name, next, err)
			return
		}
		if held, err := p.sendAll(ctx, t, due); err != nil || held {
			p.rest(t.Name, time.Time{}, err)
			return
		}
	}
	p.rest(t.Name, time.Time{}, nil)
}

// noteEvery is how long what arrived may wait to be recorded: many in one transaction, which imaging needs too. After a
// crash within it these are sent twice.
const noteEvery = time.Second

// sendAll sends items one after the other. held means that nothing else is sent to the target now.
func (p *Pusher) sendAll(ctx context.Context, t store.PushTarget, due []store.OutItem) (held bool, err error) {
	var sent []store.OutItem
	note := func() error {
		if len(sent) == 0 {
			return nil
		}
		err := p.DB.Update(func(tx *store.Tx) error {
			for _, i := range sent {
				if err := tx.ItemSent(i); err != nil {
					return err
				}
			}
			return nil
		})
		sent = nil
		return err
	}
	last := time.Now()
	for _, i := range due {
		failed := p.attempt(ctx, t, i)
		if ctx.Err() != nil && failed != nil {
			break // cut off by the stop: that was no attempt
		}
		if failed == nil {
			sent = append(sent, i)
			p.mu.Lock()
			p.lineOf(t.Name).failed = 0
			p.mu.Unlock()
		}
		if failed != nil || time.Since(last) >= noteEvery {
			if err := note(); err != nil {
				return false, err
			}
			last = time.Now()
		}
		if failed != nil {
			if held, err := p.settle(t, i, failed); err != nil || held {
				return held, err
			}
		}
	}
	return false, note()
}

// due gives the next items of a target as it is set up now; none when it was stopped or removed.
func (p *Pusher) due(t *store.PushTarget) (due []store.OutItem, next time.Time, err error) {
	err = p.DB.View(func(tx *store.Tx) error {
		now, err := tx.PushTarget(t.Name)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		*t = now
		s, err := tx.PushStand(t.Name)
		if err != nil || s.Stopped != nil {
			return err
		}
		due, next, err = tx.DueItems(t.Name, batch)
		return err
	})
	return due, next, err
}

// rest ends a worker until the next item is due.
func (p *Pusher) rest(target string, next time.Time, err error) {
	if err != nil {
		p.complain(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lineOf(target)
	l.busy, l.next = false, time.Time{}
	if !next.IsZero() {
		l.next = time.Now().Add(next.Sub(p.DB.Now())) // the clock of records may be set meanwhile
	}
}

// attempt sends one item once.
func (p *Pusher) attempt(ctx context.Context, t store.PushTarget, i store.OutItem) error {
	switch t.Kind {
	case store.PushHook:
		return p.post(ctx, t, i.Message, i.Body)
	case store.PushSnipe:
		return p.register(ctx, t, i)
	}
	return fmt.Errorf("push %s: unknown kind %q", t.Name, t.Kind)
}

// settle records an attempt by which nothing arrived. held means that nothing else is sent to the target now.
func (p *Pusher) settle(t store.PushTarget, i store.OutItem, failed error) (held bool, err error) {
	if errors.Is(failed, errNothing) {
		return false, p.DB.Update(func(tx *store.Tx) error { return tx.DropItem(i) })
	}
	f := failureOf(failed)
	if f.fault.Code == job.CodeInternal {
		p.Log.Error().Err(failed).Str("target", t.Name).Str("item", i.Label).Msg("a push failed")
	} else {
		p.Log.Info().Str("target", t.Name).Str("item", i.Label).Str("reason", f.fault.Error()).Msg("a push failed")
	}
	err = p.DB.Update(func(tx *store.Tx) error {
		if f.kind == gone {
			return errors.Join(tx.ItemFailed(i, f.fault, tx.Now().Add(p.First)), tx.StopPush(t.Name, f.fault))
		}
		next := tx.Now().Add(wait(p.First, i.Tries, f.after, rand.Float64()))
		if givenUp(i, t.Kind == store.PushHook, f, tx.Now()) {
			next = time.Time{}
		}
		return tx.ItemFailed(i, f.fault, next)
	})
	if f.kind != hold && f.kind != gone {
		return false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lineOf(t.Name)
	l.held = time.Now().Add(wait(p.First, l.failed, f.after, rand.Float64()))
	l.failed++
	return true, err
}
