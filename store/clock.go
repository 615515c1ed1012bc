package store

import (
	"time"
)

// ShiftClock moves with a clock that was set by `by` everything that is counted in minutes and hours, so that a window
// lasts as long as was meant: the bench, auto-deploy, codes, boot tokens, the guards, leases, requests that are done
// once, unfinished jobs' signs of life and the age of their orders, sessions, links and locks of operators, what waits in
// the outbox, and how long a webhook's old secret still signs. What says when something happened (audit, orders, deployments) and the end of a call-home secret stay as
// they are.
func (tx *Tx) ShiftClock(by time.Duration) error {
	for _, f := range []func(time.Duration) error{tx.shiftWindows, tx.shiftBoots, tx.shiftLeases, tx.shiftJobs, tx.shiftAccess, tx.shiftOutbox} {
		if err := f(by); err != nil {
			return err
		}
	}
	return nil
}

// moved is t moved; no time stays none.
func moved(t time.Time, by time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(by)
}

func (tx *Tx) shiftWindows(by time.Duration) error {
	b, err := tx.Bench()
	if err != nil {
		return err
	}
	if !b.OpenUntil.IsZero() {
		b.OpenUntil = moved(b.OpenUntil, by)
		if err := tx.PutBench(b); err != nil {
			return err
		}
	}
	a, err := tx.AutoDeploy()
	if err != nil || a.Until.IsZero() {
		return err
	}
	a.Until = moved(a.Until, by)
	return tx.PutAutoDeploy(a)
}

// shiftBoots moves what belongs to laptops that are starting now.
func (tx *Tx) shiftBoots(by time.Duration) error {
	err := rewrite(tx, bTokens, func(t *BootToken) { t.Issued, t.Bound = moved(t.Issued, by), moved(t.Bound, by) })
	if err != nil {
		return err
	}
	err = rewrite(tx, bAgents, func(a *Agent) { a.Started, a.CodeUntil = moved(a.Started, by), moved(a.CodeUntil, by) })
	if err != nil {
		return err
	}
	return rewrite(tx, bGuards, func(g *Guard) {
		g.RefusedUntil, g.Unapproved, g.Asked = moved(g.RefusedUntil, by), moved(g.Unapproved, by), moved(g.Asked, by)
		for i, t := range g.Starts {
			g.Starts[i] = moved(t, by)
		}
	})
}

func (tx *Tx) shiftLeases(by time.Duration) error {
	if err := rewrite(tx, bRequests, func(r *Request) { r.Time = moved(r.Time, by) }); err != nil {
		return err
	}
	return rewrite(tx, bLeases, func(l *Lease) { l.Expires = moved(l.Expires, by) })
}

func (tx *Tx) shiftOutbox(by time.Duration) error {
	err := rewrite(tx, bOutbox, func(i *OutItem) { i.Created, i.Next = moved(i.Created, by), moved(i.Next, by) })
	if err != nil {
		return err
	}
	err = rewrite(tx, bTargets, func(t *PushTarget) {
		for i, s := range t.Secrets {
			t.Secrets[i].Until = moved(s.Until, by) // a day from when it was replaced, not a day that was told
		}
	})
	if err != nil {
		return err
	}
	return rewrite(tx, bStands, func(s *PushStand) { s.Round = moved(s.Round, by) })
}

func (tx *Tx) shiftJobs(by time.Duration) error {
	jobs, err := tx.ActiveJobs()
	if err != nil {
		return err
	}
	for _, j := range jobs {
		j.Contact, j.Skew = moved(j.Contact, by), j.Skew+by
		if err := put(tx, bJobs, []byte(j.ID), j); err != nil {
			return err
		}
	}
	return nil
}

// shiftAccess moves what lets operators in, and keeps them out, for a while. A token's end is a day that was told.
func (tx *Tx) shiftAccess(by time.Duration) error {
	err := rewrite(tx, bSessions, func(s *Session) { s.Since, s.Seen = moved(s.Since, by), moved(s.Seen, by) })
	if err != nil {
		return err
	}
	if err := rewrite(tx, bLinks, func(l *Link) { l.Since, l.Until = moved(l.Since, by), moved(l.Until, by) }); err != nil {
		return err
	}
	return rewrite(tx, bOperators, func(o *Operator) { o.LockedUntil = moved(o.LockedUntil, by) })
}

// rewrite changes every record of a bucket. It gathers them first: a bucket must not change under its cursor.
func rewrite[T any](tx *Tx, bucket string, change func(*T)) error {
	type row struct {
		key    []byte
		record T
	}
	var rows []row
	err := each(tx, bucket, nil, func(k []byte, r T) error {
		rows = append(rows, row{append([]byte(nil), k...), r})
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range rows {
		change(&r.record)
		if err := put(tx, bucket, r.key, r.record); err != nil {
			return err
		}
	}
	return nil
}
