package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/store"
)

// once carries an operator's act out in one transaction. do gives the id of what came of it. An act whose request id
// was seen before is not carried out again: the id of what came of it then is the answer, after the daemon's restart
// too. An id that stood for something else is refused.
func (s *Service) once(ctx context.Context, operator, act string, body any, do func(*store.Tx) (string, error)) (subject string, err error) {
	id := store.StampOf(ctx).Request
	if id == "" {
		err = s.update(func(tx *store.Tx) (err error) { subject, err = do(tx); return err })
		return subject, err
	}
	b, err := json.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("%s: %w", act, err)
	}
	r := store.Request{ID: id, Operator: operator, Act: act, Body: imaging.Sum(b)}
	err = s.update(func(tx *store.Tx) error {
		was, seen, err := tx.Request(id)
		switch {
		case err != nil:
			return err
		case seen && (was.Operator != operator || was.Act != act || was.Body != r.Body):
			return job.Faultf(job.CodeBadRequest, "The request id %s stood for something else %s ago (%s by %s).", id, ago(tx.Now(), was.Time), was.Act, was.Operator)
		case seen:
			subject = was.Subject
			return nil
		}
		if subject, err = do(tx); err != nil {
			return err
		}
		r.Subject, r.Time = subject, tx.Now()
		return tx.PutRequest(r)
	})
	return subject, err
}

// fresh refuses an act that was decided on an old view of the device, and says what changed since and by whom.
func fresh(ctx context.Context, tx *store.Tx, d store.Device) error {
	seen := store.StampOf(ctx).Revision
	if seen == 0 || seen == d.Revision {
		return nil
	}
	events, err := tx.EventsSince(d.ID, seen, 2)
	if err != nil {
		return err
	}
	var since []string
	for _, e := range events {
		since = append(since, fmt.Sprintf("%s by %s %s ago: %s", e.Act, e.Operator, ago(tx.Now(), e.Time), e.Text))
	}
	return job.Faultf(job.CodeStale, "%s is %s now. %s", d.Label(), d.State, strings.Join(since, " "))
}

// takenBy says who was first, and with what.
func takenBy(tx *store.Tx, d store.Device, j store.Job) error {
	return job.Faultf(job.CodeBusy, "%s was given to job %s by %s %s ago: %s. It is %s.", d.Label(), j.ID, j.Operator, ago(tx.Now(), j.Created), j.What(), j.State)
}

// ago writes a time that has passed as people say it.
func ago(now, then time.Time) string {
	switch d := now.Sub(then); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}
