package library

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"

	"ingot/imaging/bundle"
	"ingot/imaging/job"
	"ingot/store"
)

// Peers lists the other servers.
func (l *Library) Peers(context.Context) (out []store.PeerView, err error) {
	err = l.DB.View(func(tx *store.Tx) error {
		all, err := tx.Peers()
		for _, p := range all {
			out = append(out, p.View())
		}
		return err
	})
	return out, err
}

// AllowPeer lets another server ask here, and gives the token for it. Allowing it again makes a new token and forgets
// the key that the old one was bound to.
func (l *Library) AllowPeer(_ context.Context, operator string, a store.PeerAllow) (store.PeerToken, error) {
	secret := rand.Text()
	err := l.DB.Update(func(tx *store.Tx) error {
		p, err := tx.Peer(a.Name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		p.Name, p.Hash = a.Name, store.HashSecret(secret)
		if p.URL == "" {
			p.Key = nil
		}
		if err := tx.PutPeer(p, operator); err != nil {
			return err
		}
		return tx.Audit(operator, "peer allowed", p.Name, "It may fetch images here and send some.")
	})
	address := ""
	if l.Address != nil {
		address = l.Address()
	}
	return store.PeerToken{Name: a.Name, URL: address, Token: secret + "." + strings.TrimPrefix(l.Pin, "sha256:")}, err
}

// AddPeer makes a server known that allowed this one. It is asked first: what does not answer is not added.
func (l *Library) AddPeer(ctx context.Context, operator string, a store.PeerAdd) (store.PeerView, error) {
	if err := store.CheckLabel("a peer", a.Name); err != nil {
		return store.PeerView{}, err
	}
	secret, pin, ok := store.CutToken(a.Token)
	u, err := url.Parse(a.URL)
	if !ok || err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return store.PeerView{}, job.Faultf(job.CodeBadRequest, "Give the address (https://HOST:PORT) and the token as \"ingot peer allow\" printed them there.")
	}
	p := store.Peer{Name: a.Name, URL: "https://" + u.Host, Pin: pin, Secret: secret}
	c, err := l.dial(p)
	if err != nil {
		return store.PeerView{}, err
	}
	defer c.close()
	key, err := c.hello(ctx)
	if err != nil {
		return store.PeerView{}, err
	}
	err = l.DB.Update(func(tx *store.Tx) error {
		old, err := tx.Peer(p.Name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		old.Name, old.URL, old.Pin, old.Secret, old.Key = p.Name, p.URL, p.Pin, p.Secret, key
		if err := tx.PutPeer(old, operator); err != nil {
			return err
		}
		if err := tx.Trust(key, "peer "+p.Name, operator); err != nil {
			return err
		}
		p, err = tx.Peer(p.Name)
		return errors.Join(err, tx.Audit(operator, "peer added", p.Name, p.URL+", key "+bundle.Fingerprint(key)+"."))
	})
	return p.View(), err
}

// RemovePeer ends what was allowed to a server, and what is asked of it.
func (l *Library) RemovePeer(_ context.Context, operator, name string) error {
	return l.DB.Update(func(tx *store.Tx) error { return tx.RemovePeer(name, operator) })
}
