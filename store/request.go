package store

import (
	"context"
	"errors"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
)

// Request is an operator's act that was done, kept under the id that its sender made for it: when the same id comes
// again, because an answer was lost or a button was pressed twice, it is answered again and nothing is done twice.
// An act that was refused did nothing and is not kept.
type Request struct {
	ID       string         `json:"id"`
	Operator string         `json:"operator"`
	Act      string         `json:"act"`
	Body     imaging.Digest `json:"body"`    // of what was asked for
	Subject  string         `json:"subject"` // id of the job or device that came of it
	Time     time.Time      `json:"time"`
}

// How long, and how many, requests are remembered.
const (
	RequestLife = 24 * time.Hour
	maxRequests = 20000
)

// CheckRequest bounds an id that a sender made: 8 to 64 letters, digits and hyphens.
func CheckRequest(id string) error {
	ok := len(id) >= 8 && len(id) <= 64
	for i := 0; ok && i < len(id); i++ {
		ok = alnum(id[i]) || id[i] == '-'
	}
	if !ok {
		return job.Faultf(job.CodeBadRequest, "A request's id has 8 to 64 letters, digits and hyphens.")
	}
	return nil
}

// Request finds what an id stood for within RequestLife.
func (tx *Tx) Request(id string) (r Request, ok bool, err error) {
	r, err = get[Request](tx, bRequests, []byte(id))
	if errors.Is(err, ErrNotFound) {
		return Request{}, false, nil
	}
	return r, err == nil && tx.now.Sub(r.Time) < RequestLife, err
}

// PutRequest remembers an act.
func (tx *Tx) PutRequest(r Request) error {
	if err := dropOldest(tx, bRequests, maxRequests, func(o Request) time.Time { return o.Time }); err != nil {
		return err
	}
	return put(tx, bRequests, []byte(r.ID), r)
}

// ForgetRequests drops the ids that are too old to be answered again.
func (tx *Tx) ForgetRequests() error {
	var old [][]byte
	err := each(tx, bRequests, nil, func(k []byte, r Request) error {
		if tx.now.Sub(r.Time) >= RequestLife {
			old = append(old, append([]byte(nil), k...))
		}
		return nil
	})
	for _, k := range old {
		err = errors.Join(err, tx.remove(bRequests, k))
	}
	return err
}

// Stamp is what a sender says about its request besides what it asks for.
type Stamp struct {
	Request  string // the id that it made; empty: it may be done as often as it comes
	Revision uint64 // of the device as it saw it; 0: it did not look

	Untouched bool // a job is stopped only while its laptop's disk is as it was
}

type stampKey struct{}

// WithStamp puts a stamp into the context of an act.
func WithStamp(ctx context.Context, s Stamp) context.Context {
	return context.WithValue(ctx, stampKey{}, s)
}

// StampOf gives the stamp of an act; the zero Stamp when there is none.
func StampOf(ctx context.Context) Stamp {
	s, _ := ctx.Value(stampKey{}).(Stamp)
	return s
}
