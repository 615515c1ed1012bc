package push

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// rotation is how long a webhook's old secret signs beside the new one.
const rotation = 24 * time.Hour

// Status tells everything that is pushed, and how it goes.
func (p *Pusher) Status(context.Context) (s store.PushStatus, err error) {
	err = p.DB.View(func(tx *store.Tx) error { s.Targets = tx.PushViews(); return nil })
	p.mu.Lock()
	s.CSV = p.csv
	p.mu.Unlock()
	s.Trouble = []string{}
	for _, v := range s.Targets {
		if line := v.Trouble(p.DB.Now()); line != "" {
			s.Trouble = append(s.Trouble, line)
		}
	}
	if s.CSV.Fault != nil {
		s.Trouble = append(s.Trouble, "devices.csv: "+s.CSV.Fault.Error())
	}
	return s, err
}

// Trouble gives one short line for each target that needs a person: for the board.
func (p *Pusher) Trouble(ctx context.Context) ([]string, error) {
	s, err := p.Status(ctx)
	return s.Trouble, err
}

// Target tells one target.
func (p *Pusher) Target(_ context.Context, name string) (v store.PushView, err error) {
	err = p.DB.View(func(tx *store.Tx) error {
		t, err := tx.PushTarget(name)
		if err == nil {
			v, err = tx.PushViewOf(t)
		}
		return err
	})
	return v, err
}

// Put makes a target, or changes one. The secret of a new webhook is in the answer, and never again.
func (p *Pusher) Put(ctx context.Context, operator string, n store.PushNew) (out store.PushMade, err error) {
	t := store.PushTarget{Name: n.Name, Kind: n.Kind, URL: strings.TrimSpace(n.URL), Plain: n.Plain, Events: n.Events, Snipe: n.Snipe}
	if err := p.check(&t); err != nil {
		return out, err
	}
	err = p.DB.Update(func(tx *store.Tx) error {
		old, err := tx.PushTarget(t.Name)
		if err != nil && job.FaultOf(err).Code != job.CodeNotFound {
			return err
		}
		if out.Secret, err = secretFor(&t, old, strings.TrimSpace(n.Secret)); err != nil {
			return err
		}
		return tx.PutPushTarget(t, operator)
	})
	if err != nil {
		return store.PushMade{}, err
	}
	p.wake(t.Name)
	out.PushView, err = p.Target(ctx, t.Name)
	return out, err
}

// secretFor gives a target its secret. A register's token stays only while its address does: else whoever may change the
// address could have the token sent to himself.
func secretFor(t *store.PushTarget, old store.PushTarget, given string) (made string, err error) {
	t.Secrets = old.Secrets
	switch {
	case t.Kind == store.PushHook && given != "":
		return "", job.Faultf(job.CodeBadRequest, "The secret of a webhook is made here.")
	case t.Kind == store.PushHook && len(old.Secrets) == 0:
		made = newHookSecret()
		t.Secrets = []store.PushSecret{{Value: made}}
	case t.Kind == store.PushHook:
	case given != "":
		if len(given) < 8 || len(given) > 4096 || strings.ContainsFunc(given, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "", job.Faultf(job.CodeBadRequest, "The token is one word of 8 to 4096 letters, digits and signs.")
		}
		t.Secrets = []store.PushSecret{{Value: given}}
	case len(old.Secrets) == 0:
		return "", job.Faultf(job.CodeBadRequest, "A register needs the token that it gave to Ingot.")
	case old.URL != t.URL:
		return "", job.Faultf(job.CodeBadRequest, "With another address the token must be given again.")
	}
	return made, nil
}

// check refuses what cannot be a target.
func (p *Pusher) check(t *store.PushTarget) error {
	u, err := CheckURL(t.URL, t.Plain)
	if err != nil {
		return err
	}
	if a, err := netip.ParseAddr(strings.Trim(u.Hostname(), "[]")); err == nil {
		if err := p.Guard.Check(a); err != nil {
			return failureOf(err).fault
		}
	}
	switch t.Kind {
	case store.PushHook:
		t.Snipe = nil
		return checkEvents(t.Events)
	case store.PushSnipe:
		t.Events = nil
		if u.RawQuery != "" {
			return job.Faultf(job.CodePushAddress, "The address of a register has no query.")
		}
		if t.Snipe == nil {
			t.Snipe = &store.SnipeMap{}
		}
		return checkMap(*t.Snipe)
	}
	return job.Faultf(job.CodeBadRequest, "%.40q is no kind of target: snipe-it or webhook.", string(t.Kind))
}

// column is how Snipe-IT names the columns of custom fields.
var column = regexp.MustCompile(`^(name|_snipeit_[a-z0-9_]{1,180})$`)

func checkMap(m store.SnipeMap) error {
	bad := func(format string, args ...any) error { return job.Faultf(job.CodeBadRequest, format, args...) }
	for state, id := range m.Status {
		if !slices.Contains(store.DeviceStates, state) {
			return bad("%.40q is no state of a device.", string(state))
		}
		if id < 0 {
			return bad("%d is no number of a status label.", id)
		}
	}
	used := map[string]store.PushField{}
	for field, c := range m.Columns {
		if !slices.Contains(store.PushFields, field) {
			return bad("%.40q is nothing that Ingot knows of a device.", string(field))
		}
		if !column.MatchString(c) {
			return bad("%.60q is no column: custom fields have names as _snipeit_uuid_3.", c)
		}
		if other, twice := used[c]; twice {
			return bad("%s and %s cannot both go into %s.", min(other, field), max(other, field), c)
		}
		used[c] = field
	}
	if len(m.Models) > 500 {
		return bad("%d models are too many.", len(m.Models))
	}
	for model, id := range m.Models {
		if model == "" || len(model) > 100 || id < 1 {
			return bad("The model %.60q has the number %d.", model, id)
		}
	}
	if m.Model < 0 || m.Hours < 0 || m.Hours > 168 {
		return bad("A model's number is positive, and everything is compared every 1 to 168 hours.")
	}
	return nil
}

// Remove forgets a target with everything that waits for it.
func (p *Pusher) Remove(_ context.Context, operator, name string) error {
	err := p.DB.Update(func(tx *store.Tx) error { return tx.RemovePushTarget(name, operator) })
	p.wake(name)
	return err
}

// Rotate gives a webhook a new secret, which is in the answer and never again. The old one signs beside it for a day.
func (p *Pusher) Rotate(ctx context.Context, operator, name string) (out store.PushMade, err error) {
	secret := newHookSecret()
	err = p.DB.Update(func(tx *store.Tx) error {
		t, err := tx.PushTarget(name)
		if err == nil && t.Kind != store.PushHook {
			err = job.Faultf(job.CodeBadRequest, "The token of %s is made by the register: set it there and here.", name)
		}
		if err != nil {
			return err
		}
		return tx.RotatePushSecret(name, secret, rotation, operator)
	})
	if err != nil {
		return out, err
	}
	out.Secret = secret
	out.PushView, err = p.Target(ctx, name)
	return out, err
}

// Retry tries again now what waits or was given up, and starts a target that was stopped.
func (p *Pusher) Retry(_ context.Context, operator string, r store.PushRetry) (out store.PushRetried, err error) {
	err = p.DB.Update(func(tx *store.Tx) error { out.Items, err = tx.RetryPush(r.Target, r.Key, operator); return err })
	if err == nil {
		p.wake(r.Target)
	}
	return out, err
}

// Test asks a target once, beside everything that waits, and says what came of it.
func (p *Pusher) Test(ctx context.Context, _, name string) (out store.PushTested, err error) {
	var t store.PushTarget
	if err := p.DB.View(func(tx *store.Tx) error { t, err = tx.PushTarget(name); return err }); err != nil {
		return out, err
	}
	out.Target = name
	if t.Kind == store.PushSnipe {
		return out, p.testSnipe(ctx, t, &out)
	}
	now := p.DB.Now()
	m := Message{Type: "server.test", Timestamp: now, Data: Data{Act: "test", Subject: name, Text: "Ingot tries this webhook. Nothing happened."}}
	body, err := m.encode()
	if err == nil {
		err = p.post(ctx, t, fmt.Sprintf("msg_test_%d", now.UnixNano()), body)
	}
	out.Says = "The receiver took a signed message of the type server.test."
	return out, err
}

// testSnipe signs in, lists what an administrator chooses from, and holds the map against it.
func (p *Pusher) testSnipe(ctx context.Context, t store.PushTarget, out *store.PushTested) error {
	s := p.snipe(t)
	var me person
	if err := s.call(ctx, http.MethodGet, "users/me", nil, &me); err != nil {
		return err
	}
	if me.ID == 0 {
		return fail(hold, job.CodePushAnswer, "%s does not say who it takes Ingot for.", s.base)
	}
	var labels page[struct {
		ID   int     `json:"id"`
		Name escaped `json:"name"`
		Type string  `json:"type"`
	}]
	var fields page[struct {
		Name   escaped `json:"name"`
		Column string  `json:"db_column_name"`
		Format string  `json:"format"`
	}]
	var models page[named]
	for path, into := range map[string]any{"statuslabels": &labels, "fields": &fields, "models": &models} {
		if err := s.call(ctx, http.MethodGet, path+"?limit="+mostRows, nil, into); err != nil {
			return err
		}
	}
	for _, l := range labels.Rows {
		out.Labels = append(out.Labels, store.PushChoice{ID: l.ID, Name: string(l.Name), Type: l.Type})
	}
	for _, f := range fields.Rows {
		out.Columns = append(out.Columns, store.PushChoice{Key: f.Column, Name: string(f.Name), Type: f.Format})
	}
	for _, m := range models.Rows {
		out.Models = append(out.Models, store.PushChoice{ID: m.ID, Name: string(m.Name)})
	}
	out.Says = fmt.Sprintf("The register takes Ingot for %s.", me.Username)
	if t.Snipe != nil {
		return mapFits(*t.Snipe, *out)
	}
	return nil
}

// mapFits names the first thing of a map that the register does not have.
func mapFits(m store.SnipeMap, has store.PushTested) error {
	for _, state := range store.DeviceStates {
		if id := m.Status[state]; id != 0 && !slices.ContainsFunc(has.Labels, func(c store.PushChoice) bool { return c.ID == id }) {
			return fail(never, job.CodePushSaid, "It has no status label %d, which is chosen for %s.", id, state)
		}
	}
	for _, field := range store.PushFields {
		c := m.Columns[field]
		if c != "" && c != "name" && !slices.ContainsFunc(has.Columns, func(x store.PushChoice) bool { return x.Key == c }) {
			return fail(never, job.CodePushSaid, "It has no column %s, which is chosen for %s.", c, field)
		}
	}
	return nil
}
