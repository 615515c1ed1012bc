package access

import (
	"context"

	"ingot/store"
)

// Operators lists every operator.
func (s *Service) Operators() (out []store.OperatorView, err error) {
	err = s.db.View(func(tx *store.Tx) error {
		all, err := tx.Operators()
		if err != nil {
			return err
		}
		sessions, err := tx.Sessions("")
		count := map[string]int{}
		for _, x := range sessions {
			count[x.Operator]++
		}
		for _, o := range all {
			out = append(out, view(tx, o, count[o.Name]))
		}
		return err
	})
	return out, err
}

func view(tx *store.Tx, o store.Operator, sessions int) store.OperatorView {
	v := store.OperatorView{Name: o.Name, Right: o.Right, Password: o.Password != "", Issuer: o.Issuer, Disabled: o.Disabled, Since: o.Since, By: o.By, SignedIn: o.SignedIn, Sessions: sessions}
	if tx.Now().Before(o.LockedUntil) {
		v.LockedUntil = o.LockedUntil
	}
	return v
}

// AddOperator makes an operator known, and gives the link by which it sets its password.
func (s *Service) AddOperator(by string, a store.OperatorAdd) (l store.OperatorLink, err error) {
	secret := store.NewSecret()
	err = s.db.Update(func(tx *store.Tx) error {
		o, err := tx.AddOperator(store.Operator{Name: a.Name, Right: a.Right}, by)
		if err != nil {
			return err
		}
		l, err = s.link(tx, o.Name, secret, by)
		return err
	})
	if err != nil { // a link that was not kept opens nothing
		return store.OperatorLink{}, err
	}
	return l, nil
}

// link makes a link in a transaction.
func (s *Service) link(tx *store.Tx, operator, secret, by string) (store.OperatorLink, error) {
	l, err := tx.AddLink(operator, secret, by)
	return store.OperatorLink{Name: l.Operator, Link: s.base() + "/setup/" + secret, Until: l.Until}, err
}

// SetOperator changes an operator's right, or ends and gives back that it may sign in.
func (s *Service) SetOperator(by, name string, set store.OperatorSet) (v store.OperatorView, err error) {
	err = s.db.Update(func(tx *store.Tx) error {
		o, err := tx.SetOperator(name, set, by)
		if err != nil {
			return err
		}
		sessions, err := tx.Sessions(o.Name)
		v = view(tx, o, len(sessions))
		return err
	})
	if err == nil && (v.Disabled || set.SignOut) {
		s.live.end(func(g Grant) bool { return g.owner() == v.Name && (v.Disabled || g.Session != "") })
	}
	return v, err
}

// Recover gives a new link for an operator; the one before it ends. With no operator at all it is the link of the first
// administrator, and needs no name. outside says that it was asked for at the server and not by somebody who is signed
// in: then it stands on the board.
func (s *Service) Recover(by, name string, outside bool) (l store.OperatorLink, err error) {
	secret := store.NewSecret()
	err = s.db.Update(func(tx *store.Tx) error {
		if l, err = s.link(tx, name, secret, by); err != nil {
			return err
		}
		whom := "the first administrator"
		if l.Name != "" {
			whom = l.Name
		}
		if err := tx.Audit(by, "operator link", "operator:"+l.Name, "A link that sets the password of "+whom+"."); err != nil || !outside {
			return err
		}
		return tx.AddNotice(by, by+" made a link at the server that sets the password of "+whom+".")
	})
	if err != nil {
		return store.OperatorLink{}, err
	}
	return l, nil
}

// FirstLink gives the link of the first administrator, and false when there is an operator already.
func (s *Service) FirstLink() (l store.OperatorLink, ok bool, err error) {
	secret := store.NewSecret()
	err = s.db.Update(func(tx *store.Tx) error {
		all, err := tx.Operators()
		if err != nil || len(all) > 0 {
			return err
		}
		ok = true
		l, err = s.link(tx, "", secret, "ingot")
		return err
	})
	if err != nil {
		return store.OperatorLink{}, false, err
	}
	return l, ok, nil
}

// Link tells whose password a link sets: "" for the first administrator's.
func (s *Service) Link(c Client, secret string) (operator string, err error) {
	if err := s.doors.knock(c.From); err != nil {
		return "", err
	}
	err = s.db.View(func(tx *store.Tx) error {
		l, err := tx.Link(secret)
		operator = l.Operator
		return err
	})
	return operator, err
}

// UseLink spends a link: the operator gets the password, and the cookie of a new session. name is asked for the first
// administrator only.
func (s *Service) UseLink(ctx context.Context, c Client, secret, name, password string) (cookie string, err error) {
	operator, err := s.Link(c, secret)
	if err != nil {
		return "", err
	}
	if operator == "" {
		if operator, err = store.OperatorName(name); err != nil {
			return "", err
		}
	}
	if err := CheckPassword(operator, password); err != nil {
		return "", err
	}
	hash, err := s.hash(ctx, password)
	if err != nil {
		return "", err
	}
	cookie, err = s.open(c, operator, "", "By a link, from "+c.From.String()+".", func(tx *store.Tx) error {
		_, err := tx.UseLink(secret, operator, hash)
		return err
	})
	if err == nil {
		s.live.end(func(g Grant) bool { return g.Session != "" && g.Name == operator })
	}
	return cookie, err
}

// Notices lists what stands on the board.
func (s *Service) Notices() (out []store.Notice, err error) {
	err = s.db.View(func(tx *store.Tx) error { out, err = tx.Notices(); return err })
	return out, err
}

// EndNotice takes one from the board.
func (s *Service) EndNotice(by string, number uint64) error {
	return s.db.Update(func(tx *store.Tx) error { return tx.EndNotice(number, by) })
}

// Policy tells what the site wants beyond rights.
func (s *Service) Policy() (p store.AccessPolicy, err error) {
	err = s.db.View(func(tx *store.Tx) error { p, err = tx.AccessPolicy(); return err })
	return p, err
}

// SetPolicy changes it.
func (s *Service) SetPolicy(by string, p store.AccessPolicy) (store.AccessPolicy, error) {
	err := s.db.Update(func(tx *store.Tx) error {
		if err := tx.SetAccessPolicy(p, by); err != nil {
			return err
		}
		var err error
		p, err = tx.AccessPolicy()
		return err
	})
	return p, err
}

// AddToken makes a token of an operator; standing when its maker is a user of the server itself.
func (s *Service) AddToken(owner string, standing bool, a store.TokenAdd) (made store.TokenMade, err error) {
	secret := store.NewSecret()
	err = s.db.Update(func(tx *store.Tx) error {
		t, err := tx.AddAPIToken(a, secret, owner, standing)
		made = store.TokenMade{TokenView: t.View(tx.Now()), Token: store.TokenText(t.Name, secret)}
		return err
	})
	if err != nil {
		return store.TokenMade{}, err
	}
	return made, nil
}

// Tokens lists every token.
func (s *Service) Tokens() (out []store.TokenView, err error) {
	err = s.db.View(func(tx *store.Tx) error {
		all, err := tx.APITokens()
		for _, t := range all {
			out = append(out, t.View(tx.Now()))
		}
		return err
	})
	return out, err
}

// RemoveToken ends a token, and what it has open.
func (s *Service) RemoveToken(by, name string) error {
	err := s.db.Update(func(tx *store.Tx) error { return tx.RemoveAPIToken(name, by) })
	if err == nil {
		s.live.end(func(g Grant) bool { return g.Token == name })
	}
	return err
}

// HasPassword reports whether an operator signs in with one.
func (s *Service) HasPassword(name string) (has bool) {
	s.db.View(func(tx *store.Tx) error { // an error: then it has none
		o, err := tx.Operator(name)
		has = err == nil && o.Password != ""
		return nil
	})
	return has
}
