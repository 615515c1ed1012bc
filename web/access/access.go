package access

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/rs/zerolog"

	"ingot/imaging/job"
	"ingot/store"
)

// Config is what a Service is made of.
type Config struct {
	DB       *store.DB
	Log      zerolog.Logger
	Base     func() string    // URL of the pages, without a slash at its end: links begin with it
	Provider *Provider        // of OpenID Connect; nil: there is none
	Now      func() time.Time // nil means time.Now
}

// Service decides who may come in. Its methods may be called from any goroutine.
type Service struct {
	db        *store.DB
	log       zerolog.Logger
	base      func() string
	provider  *Provider
	now       func() time.Time
	gate      *gate
	doors     *doors
	strangers *strangers
	live      *live
}

// New makes a Service over an open database.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Provider != nil {
		cfg.Provider.seal = sync.OnceValues(newSeal)
	}
	return &Service{db: cfg.DB, log: cfg.Log, base: cfg.Base, provider: cfg.Provider, now: cfg.Now, gate: newGate(), doors: newDoors(cfg.Now), live: newLive(),
		strangers: &strangers{now: cfg.Now, max: store.MaxWrong, lock: store.LockTime, locks: store.LockedOut,
			table: newKeyed[string](names, func() *stranger { return new(stranger) })}}
}

// Grant is what somebody may do who has shown a session's cookie or a token.
type Grant struct {
	Name    string // for the record
	Right   store.Right
	Session string    // id; empty for a token
	Token   string    // name; empty for a session
	Only    []string  // areas of the API; empty: all
	Until   time.Time // when it ends if it is not used again
}

// Client is from where somebody comes.
type Client struct {
	From    netip.Addr
	Browser string // as it calls itself
	Cookie  string // that it brought; its session ends when another begins
}

// errOut is what everybody gets who shows nothing that holds.
func errOut() error { return job.Faultf(job.CodeSignedOut, "") }

// Session gives what a cookie grants at this moment.
func (s *Service) Session(cookie string) (Grant, error) {
	if !store.IsSecret(cookie) {
		return Grant{}, errOut()
	}
	var g Grant
	var seen time.Time
	err := s.db.View(func(tx *store.Tx) error {
		found, err := tx.Session(store.HashSecret(cookie))
		if err != nil {
			return err
		}
		o, err := tx.Operator(found.Operator)
		if err != nil {
			return err
		}
		if o.Disabled {
			return store.ErrNotFound
		}
		seen = found.Seen
		found.Seen = s.now() // by this very request, noted or not
		g = Grant{Name: o.Name, Right: o.Right, Session: found.ID, Until: found.Until()}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return Grant{}, errOut()
	}
	if err != nil {
		return Grant{}, err
	}
	s.use(seen, func(tx *store.Tx) error { return tx.UseSession(g.Session) })
	return g, nil
}

// Token gives what a program's token grants at this moment.
func (s *Service) Token(text string) (Grant, error) {
	var t store.APIToken
	err := s.db.View(func(tx *store.Tx) (err error) { t, err = tx.ShownAPIToken(text); return err })
	if errors.Is(err, store.ErrNotFound) {
		return Grant{}, errOut()
	}
	if err != nil {
		return Grant{}, err
	}
	s.use(t.Seen, func(tx *store.Tx) error { return tx.UseAPIToken(t.Name) })
	return Grant{Name: t.Actor(), Right: t.Right, Token: t.Name, Only: t.Only, Until: t.Until}, nil
}

// use notes that something is in use, when that was noted long enough ago. A full disk keeps nobody out.
func (s *Service) use(seen time.Time, note func(*store.Tx) error) {
	if s.now().Sub(seen) < store.SeenStep {
		return
	}
	if err := s.db.Update(note); err != nil && !errors.Is(err, store.ErrNotFound) {
		s.log.Warn().Err(err).Msg("the use of a session or token could not be noted")
	}
}

// cut is what a stranger tells about himself, fit for a record.
func cut(s string) string {
	s = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s), "")
	if r := []rune(s); len(r) > 120 {
		return string(r[:120])
	}
	return s
}

// Hold gives the context of a request that ends when its grant does, and what must be called behind the request.
func (s *Service) Hold(ctx context.Context, g Grant) (context.Context, func()) {
	return s.live.hold(ctx, g, g.Until.Sub(s.now()))
}
