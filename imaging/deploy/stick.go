package deploy

import (
	"context"
	"errors"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"ingot/firmware/smbios"
	"ingot/imaging/job"
	"ingot/store"
)

// How often sticks may ask for a token: one address, and all of them together. Each answer is a write, and anybody with
// a network cable can ask; a bench of laptops that start at once stays below.
const (
	startEach      = rate.Limit(0.5) // a second
	startEachBurst = 8
	startAll       = rate.Limit(10)
	startAllBurst  = 60
	startHosts     = 1024 // addresses that are remembered
)

// stickLimit counts the questions of sticks.
type stickLimit struct {
	all *rate.Limiter

	mu   *sync.Mutex
	each map[string]*rate.Limiter // by address
}

func newStickLimit() stickLimit {
	return stickLimit{all: rate.NewLimiter(startAll, startAllBurst), mu: new(sync.Mutex), each: map[string]*rate.Limiter{}}
}

// allow takes one question of an address, unless there were too many.
func (s stickLimit) allow(host string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.each[host]
	if !ok {
		if len(s.each) >= startHosts {
			clear(s.each) // whoever has that many addresses meets the limit of all
		}
		l = rate.NewLimiter(startEach, startEachBurst)
		s.each[host] = l
	}
	return l.AllowN(now, 1) && s.all.AllowN(now, 1)
}

var bundleName = regexp.MustCompile(`^bundle-[0-9a-f]{16}$`)

// Start answers an agent that a stick started: a token under exactly the rules of a network boot (Decide), or the
// reason why there is none. The token names the boot and authenticates nobody; the boot log keeps both. from is the
// address that asks.
func (s *Service) Start(ctx context.Context, from string, r job.BootRequest) (job.BootReply, error) {
	if r.Version != job.Version {
		return job.BootReply{}, job.Faultf(job.CodeProtocol, "The stick speaks version %d, the server %d.", r.Version, job.Version)
	}
	m, err := machineOf(r)
	if err != nil {
		return job.BootReply{}, err
	}
	if !s.sticks.allow(from, s.now()) {
		return job.BootReply{}, job.Faultf(job.CodeBusy, "Too many starts at once.")
	}
	answer, err := s.Decide(ctx, m)
	if err != nil {
		return job.BootReply{}, err
	}
	reply := job.BootReply{Version: job.Version}
	err = s.update(func(tx *store.Tx) error {
		e := store.BootEvent{Time: tx.Now(), MAC: m.MAC, UUID: m.UUID, IP: from, Leg: "stick", Text: "asks from " + orStick(r.Bundle)}
		if !answer.Boot {
			reply.Fault = refusalOf(answer)
			refused := e
			refused.Leg, refused.Text = "refuse", answer.Why
			return tx.AddBootEvents([]store.BootEvent{e, refused})
		}
		if reply.Token, err = nameBoot(tx, m, r.Bundle); err != nil {
			return err
		}
		return tx.AddBootEvents([]store.BootEvent{e})
	})
	s.log.Info().Str("mac", m.MAC).Bool("boot", answer.Boot).Str("why", answer.Why).Msg("a stick asks")
	return reply, err
}

// machineOf parses what a stick tells about its laptop.
func machineOf(r job.BootRequest) (Machine, error) {
	mac, err := net.ParseMAC(r.MAC)
	if len(r.MAC) > 17 || err != nil || len(mac) != 6 || mac[0]&1 != 0 || slices.Max(mac) == 0 {
		return Machine{}, job.Faultf(job.CodeBadRequest, "The start names no network adapter.")
	}
	m := Machine{MAC: mac.String()}
	if r.UUID != "" {
		u, err := smbios.ParseUUID(r.UUID)
		if len(r.UUID) > 36 || err != nil {
			return Machine{}, job.Faultf(job.CodeBadRequest, "The start's UUID is none.")
		}
		m.UUID = strings.ToLower(u.String())
	}
	if r.Bundle != "" && !bundleName.MatchString(r.Bundle) {
		return Machine{}, job.Faultf(job.CodeBadRequest, "The start names no boot bundle.")
	}
	return m, nil
}

func orStick(bundle string) string {
	if bundle == "" {
		return "a stick"
	}
	return "a stick of " + bundle
}

// refusalOf puts a refusal into the words of the table.
func refusalOf(a Answer) *job.Fault {
	if a.Why == benchClosed {
		return job.Faultf(job.CodeBenchClosed, "")
	}
	return job.Faultf(job.CodeNoJob, "%s", a.Why)
}

// BundleUses says what still refers to each boot bundle: the unfinished jobs of laptops that started with it, and
// starts that may still be loading; whoever has said Hello has loaded everything. It waits for whoever is writing: a start that read the name of a bundle before
// that changed is then among the answers.
func (s *Service) BundleUses(context.Context) ([]store.BundleUse, error) {
	uses := map[string]*store.BundleUse{}
	of := func(bundle string) *store.BundleUse {
		if uses[bundle] == nil {
			uses[bundle] = &store.BundleUse{Bundle: bundle}
		}
		return uses[bundle]
	}
	err := s.db.Update(func(tx *store.Tx) error {
		jobs, err1 := tx.ActiveJobs()
		tokens, err2 := tx.Tokens()
		for _, j := range jobs {
			if j.Bundle != "" {
				u := of(j.Bundle)
				u.Jobs = append(u.Jobs, j.ID)
			}
		}
		for _, t := range tokens {
			if t.Bundle != "" && t.Key == "" && tx.Now().Sub(t.Issued) <= tokenLife {
				of(t.Bundle).Starts++
			}
		}
		return errors.Join(err1, err2)
	})
	var out []store.BundleUse
	for _, u := range uses {
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b store.BundleUse) int { return strings.Compare(a.Bundle, b.Bundle) })
	return out, err
}
