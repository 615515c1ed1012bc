package store

import (
	"strings"
	"time"

	"ingot/imaging/job"
)

// AccessPolicy is what a site wants of its operators beyond their rights. The zero value wants nothing.
type AccessPolicy struct {
	SecondPerson bool      `json:"second_person"` // whoever orders a wipe needs another person who agrees to it
	Since        time.Time `json:"since,omitzero"`
	By           string    `json:"by,omitempty"`
}

// AccessPolicy reads the policy.
func (tx *Tx) AccessPolicy() (AccessPolicy, error) { return setting[AccessPolicy](tx, "access") }

// SetAccessPolicy writes it.
func (tx *Tx) SetAccessPolicy(p AccessPolicy, by string) error {
	p.Since, p.By = tx.now, by
	text := "A wipe needs one person."
	if p.SecondPerson {
		text = "A wipe needs a second person."
	}
	if err := put(tx, bSettings, []byte("access"), p); err != nil {
		return err
	}
	return tx.Audit(by, "access policy", "server", text)
}

// Person is who orders something or agrees to it: the name under which it is recorded, and the right at that moment.
type Person struct {
	Name  string `json:"name"`
	Right Right  `json:"right"`
}

// CheckSecondPerson holds an order that destroys against the policy: first ordered it, second agreed. Where the policy
// wants two, they are two: other people, not a program in somebody's name, each with the right to order it.
func (p AccessPolicy) CheckSecondPerson(first, second Person) error {
	if !p.SecondPerson {
		return nil
	}
	switch {
	case second.Name == "":
		return job.Faultf(job.CodeSecondPerson, "%s ordered it.", first.Name)
	case strings.Contains(second.Name, "/"):
		return job.Faultf(job.CodeSecondPerson, "%s is a program.", second.Name)
	case !second.Right.Covers(Technician):
		return job.Faultf(job.CodeSecondPerson, "%s has the right %q only.", second.Name, second.Right)
	case strings.EqualFold(personOf(first.Name), second.Name):
		return job.Faultf(job.CodeSecondPerson, "%s ordered it, and cannot agree to it too.", second.Name)
	}
	return nil
}

// personOf is who stands behind a name of the record: a token's owner.
func personOf(name string) string { owner, _, _ := strings.Cut(name, "/"); return owner }
