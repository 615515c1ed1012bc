package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// SignIn gives the cookie of a new session to whoever knows a name's password. The session that the browser had ends.
func (s *Service) SignIn(ctx context.Context, c Client, name, password string) (cookie string, err error) {
	o, old, err := s.verify(ctx, c, name, password)
	if err != nil {
		return "", err
	}
	text := "By password, from " + c.From.String() + "."
	return s.open(c, o.Name, "", text, func(tx *store.Tx) error {
		if !old {
			return nil
		}
		return s.setPassword(tx, o.Name, hashPassword(password))
	})
}

// verify looks at a name and its password. It tells nothing but whether they belong together.
func (s *Service) verify(ctx context.Context, c Client, name, password string) (o store.Operator, old bool, err error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if err := s.doors.knock(c.From); err != nil {
		return o, false, err
	}
	if len(name) > 64 || len(password) > MaxPassword {
		return o, false, job.Faultf(job.CodeSignIn, "")
	}
	if err := s.gate.enter(ctx); err != nil {
		return o, false, err
	}
	defer s.gate.leave()
	known := true
	err = s.db.Update(func(tx *store.Tx) (err error) {
		if o, err = tx.TryOperator(name); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		known = false
		return errors.Join(s.strangers.locked(name), tx.TryStranger())
	})
	if err != nil {
		return o, false, err
	}
	hash, locked := o.Password, !o.LockedUntil.IsZero()
	if !known {
		hash, locked = nobody, s.strangers.count(name)
	}
	ok, old := opens(hash, password)
	if known && ok && !o.Disabled {
		return o, old, nil
	}
	s.refused(c, o, locked)
	return store.Operator{}, false, job.Faultf(job.CodeSignIn, "")
}

// refused records that a name was locked by the last wrong password. Single ones are not recorded: a stranger could
// fill the trail with them; nor is a name that is not known, for which it only takes as long.
func (s *Service) refused(c Client, o store.Operator, locked bool) {
	s.log.Info().Str("operator", o.Name).Stringer("from", c.From).Msg("a sign-in was refused")
	if !locked {
		return
	}
	text := fmt.Sprintf("%d wrong passwords in a row, the last from %s.", store.MaxWrong, c.From)
	err := s.db.Update(func(tx *store.Tx) error {
		if o.Name == "" {
			return tx.TryStranger()
		}
		return tx.Audit("ingot", "operator locked", "operator:"+o.Name, text)
	})
	if err != nil {
		s.log.Error().Err(err).Str("operator", o.Name).Msg("a lock could not be recorded")
	}
}

// open begins a session and ends the one that the browser brought, in one fact with what also belongs to it.
func (s *Service) open(c Client, operator, how, text string, also func(*store.Tx) error) (string, error) {
	cookie, before := store.NewSecret(), ""
	if store.IsSecret(c.Cookie) {
		before = store.HashSecret(c.Cookie)
	}
	var gone map[string]bool // sessions that this fact ended, also those that there was no more room for
	err := s.db.Update(func(tx *store.Tx) error {
		all, err := tx.Sessions("")
		if err != nil {
			return err
		}
		if err := also(tx); err != nil {
			return err
		}
		if had, err := tx.Session(before); before != "" && err == nil {
			if _, err := tx.EndSession(had.Operator, had.ID, had.Operator); err != nil {
				return err
			}
		}
		if err := tx.OpenSession(store.Session{ID: store.HashSecret(cookie), Operator: operator, From: c.From.String(), Browser: cut(c.Browser), How: how}, text); err != nil {
			return err
		}
		gone, err = ended(tx, all)
		return err
	})
	if err != nil {
		return "", err
	}
	s.live.end(func(g Grant) bool { return gone[g.Session] })
	return cookie, nil
}

// ended are those of some sessions that are not in force any more.
func ended(tx *store.Tx, some []store.Session) (map[string]bool, error) {
	left, err := tx.Sessions("")
	gone := map[string]bool{}
	for _, x := range some {
		gone[x.ID] = true
	}
	for _, x := range left {
		delete(gone, x.ID)
	}
	return gone, err
}

func (s *Service) setPassword(tx *store.Tx, name, hash string) error {
	o, err := tx.Operator(name)
	if err != nil {
		return err
	}
	o.Password = hash
	return tx.PutOperator(o)
}

// ChangePassword sets an operator's own password, which must be shown once more. All its sessions end; the cookie of a
// new one is given.
func (s *Service) ChangePassword(ctx context.Context, c Client, name, password, next string) (cookie string, err error) {
	if err := CheckPassword(name, next); err != nil {
		return "", err
	}
	o, _, err := s.verify(ctx, c, name, password)
	if err != nil {
		return "", err
	}
	hash, err := s.hash(ctx, next)
	if err != nil {
		return "", err
	}
	cookie, err = s.open(c, o.Name, "", "With a new password, from "+c.From.String()+".", func(tx *store.Tx) error {
		if _, err := tx.EndSessions(o.Name); err != nil {
			return err
		}
		return errors.Join(s.setPassword(tx, o.Name, hash), tx.EndLinks(o.Name), tx.Audit(o.Name, "password set", "operator:"+o.Name, "Its other sessions have ended."))
	})
	if err == nil {
		s.live.end(func(g Grant) bool { return g.Session != "" && g.Name == o.Name })
	}
	return cookie, err
}

// hash hashes a new password in its turn.
func (s *Service) hash(ctx context.Context, password string) (string, error) {
	if err := s.gate.enter(ctx); err != nil {
		return "", err
	}
	defer s.gate.leave()
	return hashPassword(password), nil
}

// SignOut ends the session of a grant.
func (s *Service) SignOut(g Grant) error { return s.EndSession(g.Name, g.Session, g.Name) }

// EndSession ends one session of an operator; id may be what a SessionView shows.
func (s *Service) EndSession(operator, id, by string) error {
	var ended store.Session
	err := s.db.Update(func(tx *store.Tx) (err error) { ended, err = tx.EndSession(operator, id, by); return err })
	if err == nil {
		s.live.end(func(g Grant) bool { return g.Session == ended.ID })
	}
	return err
}

// Sessions lists an operator's sessions.
func (s *Service) Sessions(operator, current string) (out []store.SessionView, err error) {
	err = s.db.View(func(tx *store.Tx) error {
		all, err := tx.Sessions(operator)
		for _, x := range all {
			out = append(out, x.View(current))
		}
		return err
	})
	return out, err
}
