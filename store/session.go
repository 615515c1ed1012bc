package store

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"ingot/imaging/job"
)

// Session is an operator who has signed in with one browser. The browser holds a secret; here is only its hash, so that
// whoever reads a backup is not signed in.
type Session struct {
	ID       string    `json:"id"` // HashSecret of what the browser holds
	Operator string    `json:"operator"`
	Since    time.Time `json:"since"`
	Seen     time.Time `json:"seen"`              // last use, to SeenStep
	From     string    `json:"from,omitempty"`    // address
	Browser  string    `json:"browser,omitempty"` // as it calls itself, cut
	How      string    `json:"how,omitempty"`     // the issuer of an OpenID sign-in; empty: by password
}

// A session ends SessionIdle after its last use, and SessionLife after it began, whatever comes first. A board on a wall
// uses its session all the time, so it is signed in once a week. Behind an OpenID provider it ends after VouchedLife:
// only a new sign-in shows that the provider still vouches.
const (
	SessionIdle = 8 * time.Hour
	SessionLife = 7 * 24 * time.Hour
	VouchedLife = 12 * time.Hour
	SeenStep    = 5 * time.Minute
)

// How many sessions are kept; the oldest go first.
const (
	maxSessions     = 5000
	maxSessionsEach = 30
)

// SessionView is a Session as its operator and administrators see it.
type SessionView struct {
	ID      string    `json:"id"` // the first 12 characters: names it, and opens nothing
	Since   time.Time `json:"since"`
	Seen    time.Time `json:"seen"`
	Until   time.Time `json:"until"`
	From    string    `json:"from"`
	Browser string    `json:"browser"`
	Current bool      `json:"current"` // of the one who looks
}

// NewSecret is 256 bits of chance in 43 letters, digits, hyphens and underscores.
func NewSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// IsSecret reports whether s has the form of a secret; what has not is not looked up.
func IsSecret(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == sha256.Size && len(s) == 43
}

// Until is when a session ends if it is not used again.
func (s Session) Until() time.Time {
	idle, end := s.Seen.Add(SessionIdle), s.Since.Add(SessionLife)
	if s.How != "" {
		end = s.Since.Add(VouchedLife)
	}
	if idle.Before(end) {
		return idle
	}
	return end
}

// Live reports whether a session is in force at a time. One that began after now was made by a clock that was wrong.
func (s Session) Live(now time.Time) bool {
	return now.Before(s.Until()) && now.After(s.Since.Add(-SeenStep))
}

// Session reads one session; ErrNotFound also when its time is over.
func (tx *Tx) Session(id string) (Session, error) {
	s, err := get[Session](tx, bSessions, []byte(id))
	if err == nil && !s.Live(tx.now) {
		return Session{}, ErrNotFound
	}
	return s, err
}

// Sessions lists the sessions in force of one operator, or of all when the name is empty.
func (tx *Tx) Sessions(operator string) ([]Session, error) {
	var out []Session
	err := each(tx, bSessions, nil, func(_ []byte, s Session) error {
		if s.Live(tx.now) && (operator == "" || s.Operator == operator) {
			out = append(out, s)
		}
		return nil
	})
	return out, err
}

// OpenSession signs an operator in: whoever did so is counted from the beginning again. What has expired is forgotten.
func (tx *Tx) OpenSession(s Session, text string) error {
	o, err := tx.Operator(s.Operator)
	if err != nil {
		return err
	}
	if o.Disabled {
		return job.Faultf(job.CodeSignIn, "")
	}
	s.Since, s.Seen = tx.now, tx.now
	if err := tx.forgetSessions(s.Operator); err != nil {
		return err
	}
	o.SignedIn, o.Wrong, o.LockedUntil = tx.now, 0, time.Time{}
	return errors.Join(put(tx, bOperators, []byte(o.Name), o), put(tx, bSessions, []byte(s.ID), s), tx.Audit(o.Name, "sign in", subjectOf(o.Name), text))
}

// forgetSessions drops what has expired, and an operator's oldest when there are too many.
func (tx *Tx) forgetSessions(operator string) error {
	var old [][]byte
	var oldest Session
	n := 0
	err := each(tx, bSessions, nil, func(k []byte, s Session) error {
		switch {
		case !s.Live(tx.now):
			old = append(old, append([]byte(nil), k...))
		case s.Operator == operator:
			if n++; oldest.ID == "" || s.Seen.Before(oldest.Seen) {
				oldest = s
			}
		}
		return nil
	})
	if n >= maxSessionsEach {
		old = append(old, []byte(oldest.ID))
	}
	for _, k := range old {
		err = errors.Join(err, tx.remove(bSessions, k))
	}
	return errors.Join(err, dropOldest(tx, bSessions, maxSessions, func(s Session) time.Time { return s.Seen }))
}

// UseSession notes that a session is in use; it is written at most once in SeenStep.
func (tx *Tx) UseSession(id string) error {
	s, err := tx.Session(id)
	if err != nil || tx.now.Sub(s.Seen) < SeenStep {
		return err
	}
	s.Seen = tx.now
	return put(tx, bSessions, []byte(id), s)
}

// EndSession signs one browser out. id may be what a SessionView shows, and is then the operator's own.
func (tx *Tx) EndSession(operator, id, by string) (Session, error) {
	sessions, err := tx.Sessions(operator)
	if err != nil {
		return Session{}, err
	}
	for _, s := range sessions {
		if len(id) >= viewLen && strings.HasPrefix(s.ID, id) {
			return s, errors.Join(tx.remove(bSessions, []byte(s.ID)), tx.Audit(by, "sign out", subjectOf(s.Operator), ""))
		}
	}
	return Session{}, job.Faultf(job.CodeNotFound, "No session %.20q.", id)
}

// EndSessions signs an operator out everywhere.
func (tx *Tx) EndSessions(operator string) (n int, err error) {
	sessions, err := tx.Sessions(operator)
	for _, s := range sessions {
		err = errors.Join(err, tx.remove(bSessions, []byte(s.ID)))
	}
	return len(sessions), err
}

// viewLen is how much of a hash names a record to people.
const viewLen = 12

// View is the session as people see it; current is the id of their own.
func (s Session) View(current string) SessionView {
	return SessionView{ID: s.ID[:min(viewLen, len(s.ID))], Since: s.Since, Seen: s.Seen, Until: s.Until(), From: s.From, Browser: s.Browser, Current: s.ID == current}
}
