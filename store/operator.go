package store

import (
	"errors"
	"slices"
	"strings"
	"time"

	"ingot/imaging/job"
)

// Operator is a member of staff who may sign in at the pages. Whoever speaks over the unix socket needs no such record:
// the kernel says who that is.
type Operator struct {
	Name        string    `json:"name"` // in lower case: nobody else's, whatever the letters' size
	Right       Right     `json:"right"`
	Password    string    `json:"password,omitempty"` // its argon2id hash; empty: no password opens
	Issuer      string    `json:"issuer,omitempty"`   // of the OpenID provider who vouches for it, and
	Subject     string    `json:"subject,omitempty"`  // under which id
	Disabled    bool      `json:"disabled,omitempty"`
	Since       time.Time `json:"since"`
	By          string    `json:"by"`
	SignedIn    time.Time `json:"signed_in,omitzero"`    // the last time
	Wrong       int       `json:"wrong,omitempty"`       // passwords in a row that did not open
	LockedUntil time.Time `json:"locked_until,omitzero"` // no password is looked at before
}

// A name is locked for LockTime after MaxWrong wrong passwords in a row. That leaves somebody who guesses fewer than a
// thousand guesses a day, and lets the rightful one in again before the tea is cold.
const (
	MaxWrong = 10
	LockTime = 15 * time.Minute
)

// MaxOperators bounds the records; an OpenID provider may vouch for a whole town.
const MaxOperators = 5000

// OperatorView is an Operator as people see it: without the hash.
type OperatorView struct {
	Name        string    `json:"name"`
	Right       Right     `json:"right"`
	Password    bool      `json:"password"` // it has one
	Issuer      string    `json:"issuer,omitempty"`
	Disabled    bool      `json:"disabled"`
	Since       time.Time `json:"since"`
	By          string    `json:"by"`
	SignedIn    time.Time `json:"signed_in,omitzero"`
	LockedUntil time.Time `json:"locked_until,omitzero"` // only while it is
	Sessions    int       `json:"sessions"`              // in force
}

// OperatorAdd makes an Operator known.
type OperatorAdd struct {
	Name  string `json:"name"`
	Right Right  `json:"right"`
}

// OperatorSet changes an Operator; what is nil or false stays.
type OperatorSet struct {
	Right    *Right `json:"right,omitempty"`
	Disabled *bool  `json:"disabled,omitempty"`
	Unlock   bool   `json:"unlock,omitempty"`
	SignOut  bool   `json:"sign_out,omitempty"` // end its sessions
}

// OperatorLink is an operator and the link by which it sets its password; the link is shown once.
type OperatorLink struct {
	Name  string    `json:"name"` // empty: the link makes the first administrator
	Link  string    `json:"link"`
	Until time.Time `json:"until"`
}

// CheckRight reports whether r is one of Rights.
func CheckRight(r Right) error {
	if !slices.Contains(Rights, r) {
		return job.Faultf(job.CodeBadRequest, "%.30q is no right: viewer, technician, image-manager, administrator.", string(r))
	}
	return nil
}

// reserved are names under which the record tells of others than a signed-in person.
var reserved = []string{"ingot", "agent", "root", "nobody"}

// OperatorName gives a name as it is kept, or says why it is none: 1 to 64 letters, digits and ._@-, a letter or digit
// first.
func OperatorName(s string) (string, error) {
	name := strings.ToLower(strings.TrimSpace(s))
	ok := name != "" && len(name) <= 64 && alnum(name[0])
	for i := 0; ok && i < len(name); i++ {
		ok = alnum(name[i]) || strings.IndexByte("._@-", name[i]) >= 0
	}
	if !ok {
		return "", job.Faultf(job.CodeBadRequest, "%.70q cannot name an operator: use 1 to 64 letters, digits, dots, hyphens, underscores and @.", s)
	}
	if slices.Contains(reserved, name) {
		return "", job.Faultf(job.CodeBadRequest, "%q stands for somebody else in the record.", name)
	}
	return name, nil
}

// Operator reads one operator.
func (tx *Tx) Operator(name string) (Operator, error) {
	o, err := get[Operator](tx, bOperators, []byte(strings.ToLower(name)))
	if errors.Is(err, ErrNotFound) {
		return o, errors.Join(err, job.Faultf(job.CodeNotFound, "No operator %.70q.", name))
	}
	return o, err
}

// Operators lists every operator.
func (tx *Tx) Operators() ([]Operator, error) { return all[Operator](tx, bOperators) }

// OperatorOf finds the operator for whom an OpenID provider vouches under an id.
func (tx *Tx) OperatorOf(issuer, subject string) (o Operator, ok bool, err error) {
	err = each(tx, bOperators, nil, func(_ []byte, x Operator) error {
		if issuer != "" && subject != "" && x.Issuer == issuer && x.Subject == subject {
			o, ok = x, true
		}
		return nil
	})
	return o, ok, err
}

// AddOperator makes an operator known. A name that is known is refused, so that nobody becomes another one.
func (tx *Tx) AddOperator(o Operator, by string) (Operator, error) {
	var err error
	if o.Name, err = OperatorName(o.Name); err != nil {
		return o, err
	}
	if err := CheckRight(o.Right); err != nil {
		return o, err
	}
	if _, err := get[Operator](tx, bOperators, []byte(o.Name)); err == nil {
		return o, job.Faultf(job.CodeBadRequest, "There is an operator %s already.", o.Name)
	} else if !errors.Is(err, ErrNotFound) {
		return o, err
	}
	if tx.count(bOperators) >= MaxOperators {
		return o, job.Faultf(job.CodePolicy, "There are %d operators already.", MaxOperators)
	}
	o.Since, o.By = tx.now, by
	return o, errors.Join(put(tx, bOperators, []byte(o.Name), o), tx.Audit(by, "operator added", subjectOf(o.Name), "May act as "+string(o.Right)+"."))
}

// PutOperator writes an operator that is known. It refuses to leave the pages without an administrator who may sign in.
func (tx *Tx) PutOperator(o Operator) error {
	old, err := tx.Operator(o.Name)
	if err != nil {
		return err
	}
	if err := CheckRight(o.Right); err != nil {
		return err
	}
	if err := put(tx, bOperators, []byte(o.Name), o); err != nil {
		return err
	}
	if !old.administers() || o.administers() {
		return nil
	}
	operators, err := tx.Operators()
	for _, x := range operators {
		if x.administers() && x.signsIn() {
			return err
		}
	}
	return errors.Join(err, job.Faultf(job.CodePolicy, "%s is the last administrator.", o.Name))
}

func (o Operator) administers() bool { return !o.Disabled && o.Right == Administrator }

// signsIn reports whether there is a way in for an operator: a link that was not used yet may never be.
func (o Operator) signsIn() bool { return o.Password != "" || o.Issuer != "" }

// SetOperator carries out what an administrator wants of an operator.
func (tx *Tx) SetOperator(name string, s OperatorSet, by string) (Operator, error) {
	o, err := tx.Operator(name)
	if err != nil {
		return o, err
	}
	var did []string
	if s.Right != nil && *s.Right != o.Right {
		did = append(did, "May act as "+string(*s.Right)+", not as "+string(o.Right)+".")
		o.Right = *s.Right
	}
	if s.Disabled != nil && *s.Disabled != o.Disabled {
		o.Disabled = *s.Disabled
		did = append(did, map[bool]string{true: "May not sign in any more.", false: "May sign in again."}[o.Disabled])
	}
	if s.Unlock {
		o.Wrong, o.LockedUntil = 0, time.Time{}
		did = append(did, "Unlocked.")
	}
	if err := tx.PutOperator(o); err != nil {
		return o, err
	}
	if o.Disabled { // a link of before would let it in again
		if err := tx.EndLinks(o.Name); err != nil {
			return o, err
		}
	}
	if s.SignOut || o.Disabled {
		n, err := tx.EndSessions(o.Name)
		if err != nil {
			return o, err
		}
		if n > 0 || s.SignOut {
			did = append(did, "Signed out everywhere.")
		}
	}
	if len(did) == 0 {
		return o, nil
	}
	return o, tx.Audit(by, "operator set", subjectOf(o.Name), strings.Join(did, " "))
}

// Vouch lets in whom an OpenID provider vouches for, with the right that it gives. The first time an operator is made of
// it; a name that somebody else has here is refused, so that no provider can take a local operator over.
func (tx *Tx) Vouch(issuer, subject, name string, right Right) (Operator, error) {
	o, ok, err := tx.OperatorOf(issuer, subject)
	if err != nil {
		return o, err
	}
	if !ok {
		o, err = tx.AddOperator(Operator{Name: name, Right: right, Issuer: issuer, Subject: subject}, issuer)
		if err != nil {
			return o, job.Faultf(job.CodeIdentity, "%s", job.FaultOf(err).Fact)
		}
		return o, nil
	}
	if o.Disabled {
		return o, job.Faultf(job.CodeIdentity, "%s may not sign in any more.", o.Name)
	}
	if o.Right == right {
		return o, nil
	}
	text := "May act as " + string(right) + ", not as " + string(o.Right) + "."
	o.Right = right // also of the last administrator: it is the provider who says so, and the server itself has a way in
	return o, errors.Join(put(tx, bOperators, []byte(o.Name), o), tx.Audit(issuer, "operator set", subjectOf(o.Name), text))
}

// TryOperator counts an attempt to sign in with a password before that is looked at, so that a thousand attempts at once
// are a thousand attempts. It returns ErrNotFound for a name that is not known, and refuses one that is locked.
func (tx *Tx) TryOperator(name string) (Operator, error) {
	o, err := get[Operator](tx, bOperators, []byte(strings.ToLower(name)))
	if err != nil {
		return o, err
	}
	if tx.now.Before(o.LockedUntil) {
		return o, LockedOut(o.LockedUntil.Sub(tx.now))
	}
	o.LockedUntil = time.Time{}
	if o.Wrong++; o.Wrong < MaxWrong {
		return o, put(tx, bOperators, []byte(o.Name), o)
	}
	o.Wrong, o.LockedUntil = 0, tx.now.Add(LockTime)
	return o, put(tx, bOperators, []byte(o.Name), o)
}

// TryStranger writes as TryOperator does, for a name that is not known: an attempt then takes as long, and fails with a
// full disk, whether there is such an operator or not.
func (tx *Tx) TryStranger() error {
	return tx.b.Bucket([]byte(bMeta)).Put([]byte("stranger"), tx.now.AppendFormat(nil, time.RFC3339Nano))
}

// LockedOut is what somebody reads whose name is locked for some more time.
func LockedOut(left time.Duration) *job.Fault {
	return job.Faultf(job.CodeLockedOut, "It opens again in %s.", max(left.Round(time.Minute), time.Minute))
}

// subjectOf is an operator as the subject of an event; no device's id has a colon.
func subjectOf(operator string) string { return "operator:" + operator }
