package store

import (
	"errors"
	"time"
)

// Bench is the time window in which unknown machines are answered.
type Bench struct {
	OpenUntil time.Time `json:"open_until"`
	By        string    `json:"by"`
}

// Open reports whether the bench is open at a time.
func (b Bench) Open(now time.Time) bool { return now.Before(b.OpenUntil) }

// AutoDeploy lets new laptops be adopted and deployed without a person: a role, a time window and a count.
// The zero value is off.
type AutoDeploy struct {
	Role  string    `json:"role"`
	Until time.Time `json:"until"`
	Left  int       `json:"left"` // laptops that may still start
	By    string    `json:"by"`
}

// On reports whether the policy applies at a time.
func (a AutoDeploy) On(now time.Time) bool { return a.Role != "" && a.Left > 0 && now.Before(a.Until) }

// Bench reads the bench window.
func (tx *Tx) Bench() (Bench, error) { return setting[Bench](tx, "bench") }

// PutBench writes the bench window.
func (tx *Tx) PutBench(b Bench) error { return put(tx, bSettings, []byte("bench"), b) }

// AutoDeploy reads the policy.
func (tx *Tx) AutoDeploy() (AutoDeploy, error) { return setting[AutoDeploy](tx, "auto-deploy") }

// PutAutoDeploy writes the policy.
func (tx *Tx) PutAutoDeploy(a AutoDeploy) error { return put(tx, bSettings, []byte("auto-deploy"), a) }

// setting reads one setting; an absent one is its zero value.
func setting[T any](tx *Tx, key string) (T, error) {
	v, err := get[T](tx, bSettings, []byte(key))
	if errors.Is(err, ErrNotFound) {
		return v, nil
	}
	return v, err
}
