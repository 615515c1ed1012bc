package store

import (
	"crypto/subtle"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"ingot/imaging/job"
)

// APIToken lets a program act in an operator's name, for a time and within a scope. Its secret is shown once.
type APIToken struct {
	Name     string    `json:"name"`
	Hash     string    `json:"hash"`
	Owner    string    `json:"owner"`              // who made it, and answers for it
	Standing bool      `json:"standing,omitempty"` // made at the server itself, by a user of it: no Operator stands behind it
	Right    Right     `json:"right"`
	Only     []string  `json:"only,omitempty"` // areas of the API; empty: all of them
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Seen     time.Time `json:"seen,omitzero"` // last use, to SeenStep
}

// A token ends: after TokenLife where nothing else is said, and MaxTokenLife at the latest.
const (
	TokenLife    = 90 * 24 * time.Hour
	MaxTokenLife = 366 * 24 * time.Hour
)

// maxAPITokens bounds the records.
const maxAPITokens = 1000

// TokenAdd makes an APIToken.
type TokenAdd struct {
	Name  string   `json:"name"`
	Right Right    `json:"right"`
	Only  []string `json:"only,omitempty"`
	Days  int      `json:"days,omitempty"` // 0 means 90
}

// TokenMade is a new token with what its program must show; that is shown once.
type TokenMade struct {
	TokenView
	Token string `json:"token"`
}

// TokenView is an APIToken as people see it: without the hash.
type TokenView struct {
	Name    string    `json:"name"`
	Owner   string    `json:"owner"`
	Right   Right     `json:"right"`
	Only    []string  `json:"only"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	Expired bool      `json:"expired"`
	Seen    time.Time `json:"seen,omitzero"`
}

// View leaves the hash out.
func (t APIToken) View(now time.Time) TokenView {
	return TokenView{Name: t.Name, Owner: t.Owner, Right: t.Right, Only: t.Only, Since: t.Since, Until: t.Until, Expired: !now.Before(t.Until), Seen: t.Seen}
}

// Actor is the name under which the token's acts are recorded: its owner's, and its own.
func (t APIToken) Actor() string { return t.Owner + "/" + t.Name }

// tokenMark is how every token begins, so that one in a script or a log is known as such.
const tokenMark = "ingot."

// TokenText is what a program shows: mark, name and secret.
func TokenText(name, secret string) string { return tokenMark + name + "." + secret }

// CutAPIToken takes what a program shows apart.
func CutAPIToken(text string) (name, secret string, ok bool) {
	rest, ok := strings.CutPrefix(text, tokenMark)
	at := strings.LastIndexByte(rest, '.')
	if !ok || at < 1 {
		return "", "", false
	}
	name, secret = rest[:at], rest[at+1:]
	return name, secret, IsSecret(secret) && CheckLabel("a token", name) == nil
}

var areaForm = regexp.MustCompile(`^[a-z][a-z-]{0,29}$`)

// AddAPIToken makes a token known.
func (tx *Tx) AddAPIToken(a TokenAdd, secret, owner string, standing bool) (APIToken, error) {
	life := time.Duration(a.Days) * 24 * time.Hour
	if a.Days == 0 {
		life = TokenLife
	}
	t := APIToken{Name: a.Name, Hash: HashSecret(secret), Owner: owner, Standing: standing, Right: a.Right, Only: a.Only, Since: tx.now, Until: tx.now.Add(life)}
	if err := CheckLabel("a token", t.Name); err != nil {
		return t, err
	}
	if err := CheckRight(t.Right); err != nil {
		return t, err
	}
	if a.Days < 0 || life > MaxTokenLife {
		return t, job.Faultf(job.CodeBadRequest, "A token lasts 1 to %d days, not %d.", int(MaxTokenLife.Hours()/24), a.Days)
	}
	for _, area := range t.Only {
		if !areaForm.MatchString(area) || len(t.Only) > 20 {
			return t, job.Faultf(job.CodeBadRequest, "%.40q is no area of the API such as devices.", area)
		}
	}
	if _, err := get[APIToken](tx, bAPITokens, []byte(t.Name)); err == nil {
		return t, job.Faultf(job.CodeBadRequest, "There is a token %s already.", t.Name)
	} else if !errors.Is(err, ErrNotFound) {
		return t, err
	}
	if tx.count(bAPITokens) >= maxAPITokens {
		return t, job.Faultf(job.CodePolicy, "There are %d tokens already: remove one.", maxAPITokens)
	}
	scope := "May act as " + string(t.Right) + "."
	if len(t.Only) > 0 {
		scope = "May act as " + string(t.Right) + ", on " + strings.Join(t.Only, ", ") + " only."
	}
	return t, errors.Join(put(tx, bAPITokens, []byte(t.Name), t), tx.Audit(owner, "token added", "token:"+t.Name, scope))
}

// APITokens lists every token.
func (tx *Tx) APITokens() ([]APIToken, error) { return all[APIToken](tx, bAPITokens) }

// ShownAPIToken gives the token that a program shows, with the right that it has at this moment: never more than its
// owner has. It is ErrNotFound when there is none, its time is over, or its owner may not sign in any more.
func (tx *Tx) ShownAPIToken(text string) (APIToken, error) {
	name, secret, ok := CutAPIToken(text)
	if !ok {
		return APIToken{}, ErrNotFound
	}
	t, err := get[APIToken](tx, bAPITokens, []byte(name))
	if err != nil {
		return t, err
	}
	if subtle.ConstantTimeCompare([]byte(t.Hash), []byte(HashSecret(secret))) != 1 || !tx.now.Before(t.Until) {
		return APIToken{}, ErrNotFound
	}
	if t.Standing {
		return t, nil
	}
	o, err := get[Operator](tx, bOperators, []byte(t.Owner))
	if err != nil {
		return APIToken{}, err
	}
	if o.Disabled {
		return APIToken{}, ErrNotFound
	}
	t.Right = least(t.Right, o.Right)
	return t, nil
}

// least is the smaller of two rights.
func least(a, b Right) Right {
	if slices.Index(Rights, a) < slices.Index(Rights, b) {
		return a
	}
	return b
}

// UseAPIToken notes that a token is in use; it is due when SeenStep has passed.
func (tx *Tx) UseAPIToken(name string) error {
	t, err := get[APIToken](tx, bAPITokens, []byte(name))
	if err != nil {
		return err
	}
	t.Seen = tx.now
	return put(tx, bAPITokens, []byte(name), t)
}

// RemoveAPIToken ends a token.
func (tx *Tx) RemoveAPIToken(name, by string) error {
	if _, err := get[APIToken](tx, bAPITokens, []byte(name)); errors.Is(err, ErrNotFound) {
		return job.Faultf(job.CodeNotFound, "No token %.60q.", name)
	} else if err != nil {
		return err
	}
	return errors.Join(tx.remove(bAPITokens, []byte(name)), tx.Audit(by, "token removed", "token:"+name, ""))
}

// RemoveAPITokens ends every token of an operator.
func (tx *Tx) RemoveAPITokens(owner, by string) error {
	tokens, err := tx.APITokens()
	for _, t := range tokens {
		if t.Owner == owner && !t.Standing {
			err = errors.Join(err, tx.RemoveAPIToken(t.Name, by))
		}
	}
	return err
}
