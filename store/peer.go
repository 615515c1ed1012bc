package store

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"ingot/imaging/bundle"
	"ingot/imaging/job"
)

// Peer is another Ingot server. It may ask here when Hash is set, and is asked from here when URL is.
type Peer struct {
	Name   string            `json:"name"`
	Hash   string            `json:"hash,omitempty"`   // of the secret that it shows here
	URL    string            `json:"url,omitempty"`    // its agent listener
	Pin    string            `json:"pin,omitempty"`    // of that listener's key
	Secret string            `json:"secret,omitempty"` // that this server shows there
	Key    ed25519.PublicKey `json:"key,omitempty"`    // by which it signs; empty until it said hello
	Since  time.Time         `json:"since"`
	By     string            `json:"by"`
	Seen   time.Time         `json:"seen,omitzero"` // when it last said hello here
}

// PeerView is a Peer as people see it: without secrets.
type PeerView struct {
	Name  string    `json:"name"`
	May   bool      `json:"may"` // it may ask here
	URL   string    `json:"url"` // it is asked there; empty when it is not
	Key   string    `json:"key"` // fingerprint of the key by which it signs
	Since time.Time `json:"since"`
	By    string    `json:"by"`
	Seen  time.Time `json:"seen"`
}

// View leaves the secrets out.
func (p Peer) View() PeerView {
	v := PeerView{Name: p.Name, May: p.Hash != "", URL: p.URL, Since: p.Since, By: p.By, Seen: p.Seen}
	if len(p.Key) > 0 {
		v.Key = bundle.Fingerprint(p.Key)
	}
	return v
}

// PeerAllow lets another server ask here.
type PeerAllow struct {
	Name string `json:"name"`
}

// PeerToken is what its operator needs for that; it is shown once.
type PeerToken struct {
	Name  string `json:"name"`
	URL   string `json:"url"`
	Token string `json:"token"` // secret, dot, pin of the listener's key
}

// PeerAdd makes another server known that is asked from here.
type PeerAdd struct {
	Name  string `json:"name"`
	URL   string `json:"url"`
	Token string `json:"token"`
}

// Transfer sends a Version to a peer, or takes one from it.
type Transfer struct {
	Image   string `json:"image"` // NAME or NAME@VERSION, as the sending side knows it
	Peer    string `json:"peer"`
	Release bool   `json:"release,omitempty"` // release what was taken in the same act
}

// Transferred is the outcome of a push.
type Transferred struct {
	Version Version `json:"version"` // here
	There   string  `json:"there"`   // NAME@NUMBER on the other server
	Known   bool    `json:"known"`   // it held exactly this already
	Sent    uint64  `json:"sent"`    // stored bytes that travelled
}

// HashSecret is how a peer's secret is kept.
func HashSecret(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }

// Peer reads one peer.
func (tx *Tx) Peer(name string) (Peer, error) {
	p, err := get[Peer](tx, bPeers, []byte(name))
	if errors.Is(err, ErrNotFound) {
		return p, errors.Join(err, job.Faultf(job.CodeNotFound, "No peer %.60q.", name))
	}
	return p, err
}

// Peers lists every peer.
func (tx *Tx) Peers() ([]Peer, error) { return all[Peer](tx, bPeers) }

// PeerOf finds the peer that shows a secret.
func (tx *Tx) PeerOf(secret string) (p Peer, ok bool, err error) {
	peers, err := tx.Peers()
	hash := HashSecret(secret)
	for _, x := range peers {
		if x.Hash != "" && subtle.ConstantTimeCompare([]byte(x.Hash), []byte(hash)) == 1 {
			p, ok = x, true
		}
	}
	return p, ok, err
}

// PutPeer writes a peer; the first time, since and by whom is noted.
func (tx *Tx) PutPeer(p Peer, operator string) error {
	if err := CheckLabel("a peer", p.Name); err != nil {
		return err
	}
	if p.Since.IsZero() {
		p.Since, p.By = tx.now, operator
	}
	return put(tx, bPeers, []byte(p.Name), p)
}

// BindPeer notes the key by which a peer signs, at its first hello, and trusts it from then on. Another key than that
// is refused: whoever shows it is another server with the same token.
func (tx *Tx) BindPeer(name string, key ed25519.PublicKey) error {
	p, err := tx.Peer(name)
	if err != nil {
		return err
	}
	if len(p.Key) > 0 && !p.Key.Equal(key) {
		return job.Faultf(job.CodePeerRefused, "The token of %s belongs to the server with the key %s.", p.Name, bundle.Fingerprint(p.Key))
	}
	p.Key, p.Seen = key, tx.now
	return errors.Join(tx.PutPeer(p, p.By), tx.Trust(key, "peer "+p.Name, p.By))
}

// RemovePeer forgets a peer, and trusts its key no more. What came from it stays.
func (tx *Tx) RemovePeer(name, operator string) error {
	p, err := tx.Peer(name)
	if err != nil {
		return err
	}
	if err := tx.remove(bPeers, []byte(name)); err != nil {
		return err
	}
	if len(p.Key) > 0 {
		if err := tx.Distrust(bundle.Fingerprint(p.Key), operator); err != nil && job.FaultOf(err).Code != job.CodeNotFound {
			return err
		}
	}
	return tx.Audit(operator, "peer removed", name, "")
}

// CutToken takes a token apart.
func CutToken(token string) (secret, pin string, ok bool) {
	secret, hex, ok := strings.Cut(token, ".")
	pin = "sha256:" + hex
	return secret, pin, ok && len(secret) >= 20 && len(secret) <= 64 && bundle.CheckFingerprint(pin)
}
