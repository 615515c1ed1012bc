package deploy

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/imaging/wipe/cert"
	"ingot/store"
)

// Boot gives what an agent needs before it can say Hello.
type Boot interface {
	Stage2(kernel string) (job.File, error)              // what stage 2 must be, for a kernel's release as a stranger told it
	OpenStage2(sha256 string) (io.ReadSeekCloser, error) // its bytes; checked by whoever serves them. fs.ErrNotExist when it is gone
	Current() string                                     // names the bundle that is served now; "" when there is none
}

// Config is what a Service is made of.
type Config struct {
	DB        *store.DB
	Signer    *sign.Signer // signs jobs
	Boot      Boot
	Manifests http.Handler // GET /v1/manifests/{digest}; called only for the key whose running job names the digest
	Chunks    http.Handler // GET /v1/chunks/{digest}; likewise

	// Whole says in words why a manifest cannot be deployed as the image store is; nil does not ask.
	Whole func(context.Context, imaging.Digest) error

	Certs        *cert.Signer // signs certificates; nil: nothing is wiped
	Organisation string       // that stands on a certificate
	Tool         string       // likewise: Ingot and its version

	Log       zerolog.Logger
	Intake    func(disk uint64) Intake // takes in a captured drive of so many bytes; nil: nothing is captured
	AgentURL  string                   // https://HOST:PORT, where a deployed OS calls home, until AdvertiseAt
	AgentPin  job.KeyID                // of the agent listener's key
	PagesURL  string                   // where a failure's QR code leads; the device's id is appended; may be empty
	Now       func() time.Time         // nil means time.Now
	Countdown time.Duration            // on the laptop's screen before its first write, in whole seconds; 0 means 10 s
	Poll      time.Duration            // how long Next holds a request open; 0 means 25 s

	ApproveWithin time.Duration // how long a new laptop waits for its approval; 0 means 10 minutes
	RestartWithin time.Duration // a silence that is longer than any restart: the laptop was off; 0 means 5 minutes

	// AcceptFileDisks lets a proof pass whose content was not read with O_DIRECT. It is for tests that deploy
	// into a file; the daemon never sets it.
	AcceptFileDisks bool
}

// How many refused Hellos are kept in the audit chain, which is never cut: anybody with a network cable can be
// refused as often as he likes.
const (
	refusalRate  = rate.Limit(1.0 / 60) // a second
	refusalBurst = 50
)

// Service is the daemon's side of jobs. Its methods may be called from any goroutine.
type Service struct {
	cfg     Config
	db      *store.DB
	log     zerolog.Logger
	now     func() time.Time
	started time.Time
	refusal *rate.Limiter // of the audit events about refused Hellos
	sticks  stickLimit    // of sticks: how often they may ask

	mu       sync.Mutex
	heard    map[job.KeyID]time.Time     // last request of each agent
	progress map[job.ID]job.Progress     // of running jobs
	kept     map[job.ID]time.Time        // when the job's sign of life was last made durable
	changed  chan struct{}               // closed and replaced at every change
	guesses  map[string][]time.Time      // wrong codes of each operator
	running  map[job.KeyID]runningTarget // which manifest a key may read; a cache of the records
	agentURL string                      // where a deployed OS calls home
	intakes  map[job.ID]*intake          // of running captures
	closed   bool                        // no capture is begun any more
	closing  sync.WaitGroup              // intakes of captures that have ended

	recent recent // jobs that ended lately, for the board
}

// New makes a Service over an open database.
func New(cfg Config) (*Service, error) {
	if cfg.DB == nil || cfg.Signer == nil {
		return nil, errors.New("deploy: needs a database and a signer")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Poll == 0 {
		cfg.Poll = 25 * time.Second
	}
	cfg.ApproveWithin = cmp.Or(cfg.ApproveWithin, 10*time.Minute)
	cfg.RestartWithin = cmp.Or(cfg.RestartWithin, 5*time.Minute)
	if cfg.Countdown == 0 {
		cfg.Countdown = countdown
	}
	if cfg.Countdown < time.Second || cfg.Countdown > job.MaxCountdown*time.Second {
		return nil, fmt.Errorf("deploy: a countdown of %s is not within 1 to %d seconds", cfg.Countdown, job.MaxCountdown)
	}
	return &Service{
		cfg: cfg, db: cfg.DB, log: cfg.Log, now: cfg.Now, started: cfg.Now(),
		refusal: rate.NewLimiter(refusalRate, refusalBurst), sticks: newStickLimit(),
		heard: map[job.KeyID]time.Time{}, progress: map[job.ID]job.Progress{},
		kept: map[job.ID]time.Time{}, changed: make(chan struct{}), guesses: map[string][]time.Time{},
		running: map[job.KeyID]runningTarget{}, agentURL: cfg.AgentURL,
		intakes: map[job.ID]*intake{},
	}, nil
}

// update runs one fact and wakes everybody who waits for a change.
func (s *Service) update(f func(*store.Tx) error) error {
	err := s.db.Update(f)
	if err == nil {
		s.wake()
	}
	return err
}

func (s *Service) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// changes gives a channel that is closed at the next change.
func (s *Service) changes() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// hear notes a request of an agent that is known here: one that said Hello, or whose job it is. A stranger's key
// is never kept, so nobody can fill the map; keys silent for a day are dropped.
func (s *Service) hear(key job.KeyID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if len(s.heard) > 4096 {
		for k, t := range s.heard {
			if now.Sub(t) > 24*time.Hour {
				delete(s.heard, k)
			}
		}
	}
	s.heard[key] = now
}

// lastHeard gives an agent's last request. A key not heard since this daemon started counts from the start:
// its laptop may only not have found the daemon again yet.
func (s *Service) lastHeard(key job.KeyID) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.heard[key]; ok {
		return t
	}
	return s.started
}

// heardWithin lists the agents that made a request within a time.
func (s *Service) heardWithin(d time.Duration) []job.KeyID {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []job.KeyID
	for k, t := range s.heard {
		if now.Sub(t) < d {
			out = append(out, k)
		}
	}
	return out
}

// Run does what time demands until ctx ends: it closes jobs whose laptops never came back.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.Sweep(); err != nil {
				s.log.Error().Err(err).Msg("could not close silent jobs")
			}
		}
	}
}

// alphabet has no letters or digits that are mistaken for one another.
const alphabet = "ABCDEFGHJKMNPQRSTVWXYZ23456789"

// randomText makes n characters of an alphabet, without bias.
func randomText(n int, from string) string {
	out := make([]byte, 0, n)
	buf := make([]byte, 64)
	limit := 256 - 256%len(from)
	for {
		rand.Read(buf) // never fails: it ends the program instead
		for _, b := range buf {
			if int(b) < limit {
				if out = append(out, from[int(b)%len(from)]); len(out) == n {
					return string(out)
				}
			}
		}
	}
}

func newCode() string { c := randomText(8, alphabet); return c[:4] + "-" + c[4:] }

func newID(n int) string { return randomText(n, "abcdefghijklmnopqrstuvwxyz0123456789") }

func hashSecret(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
