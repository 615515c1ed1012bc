package store

import (
	"errors"
	"time"

	"ingot/imaging/job"
)

// Link lets whoever holds it set one operator's password, once. Its secret is shown once and kept as a hash.
type Link struct {
	Hash     string    `json:"hash"`
	Operator string    `json:"operator,omitempty"` // empty: it makes the first administrator
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	By       string    `json:"by"`
}

// LinkLife is how long a link may be used.
const LinkLife = 24 * time.Hour

// AddLink makes a link and ends those before it for the same operator. The first administrator's is refused once there
// is an operator.
func (tx *Tx) AddLink(operator, secret, by string) (Link, error) {
	l := Link{Hash: HashSecret(secret), Operator: operator, Since: tx.now, Until: tx.now.Add(LinkLife), By: by}
	if operator != "" {
		o, err := tx.Operator(operator)
		if err != nil {
			return l, err
		}
		l.Operator = o.Name
	} else if tx.count(bOperators) > 0 {
		return l, job.Faultf(job.CodePolicy, "There is an operator already.")
	}
	return l, errors.Join(tx.EndLinks(l.Operator), put(tx, bLinks, []byte(l.Hash), l))
}

// Link finds the link of a secret while it may be used.
func (tx *Tx) Link(secret string) (Link, error) {
	l, err := get[Link](tx, bLinks, []byte(HashSecret(secret)))
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return l, err
	case !tx.now.Before(l.Until), tx.now.Before(l.Since.Add(-LinkLife)):
	case l.Operator == "" && tx.count(bOperators) > 0: // somebody else was first
	default:
		return l, nil
	}
	return Link{}, job.Faultf(job.CodeLink, "")
}

// UseLink spends a link: its operator gets the password behind the hash, may sign in, is unlocked, and is signed out
// everywhere. A first administrator is made, under the given name.
func (tx *Tx) UseLink(secret, name, password string) (Operator, error) {
	l, err := tx.Link(secret)
	if err != nil {
		return Operator{}, err
	}
	if l.Operator == "" {
		o, err := tx.AddOperator(Operator{Name: name, Right: Administrator, Password: password}, l.By)
		return o, errors.Join(err, tx.EndLinks(""))
	}
	o, err := tx.Operator(l.Operator)
	if err != nil {
		return o, err
	}
	o.Password, o.Disabled, o.Wrong, o.LockedUntil = password, false, 0, time.Time{}
	_, err = tx.EndSessions(o.Name)
	return o, errors.Join(err, tx.PutOperator(o), tx.EndLinks(o.Name), tx.Audit(o.Name, "password set", subjectOf(o.Name), "By the link of "+l.By+"."))
}

// EndLinks ends the links of an operator, and every link whose time is over.
func (tx *Tx) EndLinks(operator string) error {
	var ended [][]byte
	err := each(tx, bLinks, nil, func(k []byte, l Link) error {
		if l.Operator == operator || !tx.now.Before(l.Until) {
			ended = append(ended, append([]byte(nil), k...))
		}
		return nil
	})
	for _, k := range ended {
		err = errors.Join(err, tx.remove(bLinks, k))
	}
	return err
}
