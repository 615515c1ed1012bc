package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// Hello takes an agent's first word. Said again by the same key with the same token it has no second effect.
func (s *Service) Hello(_ context.Context, key job.KeyID, h job.Hello) (job.HelloReply, error) {
	if h.Version != job.Version {
		return job.HelloReply{}, job.Faultf(job.CodeProtocol, "The agent speaks version %d, the server %d.", h.Version, job.Version)
	}
	if err := checkHello(h); err != nil {
		return job.HelloReply{}, err
	}
	var a store.Agent
	var d store.Device
	err := s.update(func(tx *store.Tx) error {
		old, err := tx.Agent(key)
		if err == nil && old.Token == h.Token {
			a = old
			d, err = tx.Device(a.Device)
			return err
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		token, err := bindToken(tx, h.Token, key)
		if err != nil {
			return err
		}
		a, d, err = s.enter(tx, token, key, h)
		return err
	})
	var f *job.Fault
	if errors.As(err, &f) {
		s.log.Warn().Str("code", string(f.Code)).Str("serial", h.Facts.Serial).Msg("hello refused")
		return job.HelloReply{}, errors.Join(err, s.denied(h, f, err))
	}
	if err != nil {
		return job.HelloReply{}, fmt.Errorf("hello: %w", err)
	}
	s.hear(key)
	s.log.Info().Str("device", d.ID).Str("serial", d.Serial).Str("state", string(d.State)).Msg("laptop says hello")
	return job.HelloReply{Version: job.Version, Code: a.Code, Device: d.ID, Name: d.Name, SigningKey: s.cfg.Signer.Public(), Say: greeting(a, d)}, nil
}

// greeting is the first sentence on the laptop's screen.
func greeting(a store.Agent, d store.Device) string {
	switch {
	case a.Loop:
		return job.CodeLoop.Words().Sentence
	case d.State == store.Quarantined:
		return job.CodeQuarantined.Words().Sentence
	case d.State == store.Lost:
		return lostWords(d)
	case a.Code != "":
		return askForCode(d)
	}
	return "This is " + d.Label() + "."
}

// bindToken gives the token to the key that says Hello first.
func bindToken(tx *store.Tx, token string, key job.KeyID) (store.BootToken, error) {
	t, err := tx.Token(token)
	if errors.Is(err, store.ErrNotFound) {
		return t, job.Faultf(job.CodeToken, "The start is unknown here.")
	}
	if err != nil {
		return t, err
	}
	switch {
	case t.Key != "" && t.Key != key:
		return t, job.Faultf(job.CodeTokenBound, "It was used at %s.", t.Bound.Format(time.TimeOnly))
	case t.Key == "" && t.Issued.Sub(tx.Now()) > clockSlack:
		return t, errors.Join(errClock, job.Faultf(job.CodeToken, "It began at %s, which is still to come: the server's clock was set back.", t.Issued.Format(time.DateTime)))
	case t.Key == "" && tx.Now().Sub(t.Issued) > tokenLife:
		return t, job.Faultf(job.CodeToken, "It began at %s.", t.Issued.Format(time.TimeOnly))
	}
	t.Key, t.Bound = key, tx.Now()
	return t, tx.PutToken(t)
}

// enter records one boot: which Device this is, its code if it needs one, and the loop guard's count.
func (s *Service) enter(tx *store.Tx, token store.BootToken, key job.KeyID, h job.Hello) (store.Agent, store.Device, error) {
	a := store.Agent{Key: key, Token: token.Token, MAC: token.MAC, Hello: h, Started: tx.Now(), Bundle: token.Bundle}
	d, promised, err := s.admit(tx, token, h)
	if err != nil {
		return a, d, err
	}
	a.Device = d.ID
	if d.State == store.New {
		a.Code, a.CodeUntil = newCode(), tx.Now().Add(codeLife)
	}
	if a.Loop, err = countStart(tx, startsKey(d)); err != nil {
		return a, d, err
	}
	if a.Loop {
		if err := tx.Audit("ingot", "loop", d.ID, d.Label()+" started three times without getting further and is switched off."); err != nil {
			return a, d, err
		}
	}
	if err := tx.PutAgent(a); err != nil {
		return a, d, err
	}
	if err := tx.AddBootEvents([]store.BootEvent{{Time: tx.Now(), MAC: fold(token.MAC), UUID: h.Facts.UUID, Leg: "hello",
		Text: fmt.Sprintf("serial %s, %s", d.Serial, d.State)}}); err != nil {
		return a, d, err
	}
	if !a.Loop && (d.State == store.New || promised && d.State == store.Ready) {
		return s.autoDeploy(tx, a, d)
	}
	return a, d, nil
}

// countStart adds one start to a laptop's guard and reports whether it is in a loop. After an alarm the count
// begins anew, so that a person may try again.
func countStart(tx *store.Tx, laptop string) (loop bool, err error) {
	g, err := tx.Guard(laptop)
	if err != nil {
		return false, err
	}
	recent := g.Starts[:0:0]
	for _, t := range g.Starts {
		if tx.Now().Sub(t) < loopWindow {
			recent = append(recent, t)
		}
	}
	g.Starts = append(recent, tx.Now())
	if loop = len(g.Starts) >= loopStarts; loop {
		g.Starts = nil
	}
	return loop, tx.PutGuard(g)
}

// clearGuard forgets the starts and refusals of a device: it got further, or a person wants it.
func clearGuard(tx *store.Tx, d store.Device) error {
	keys := []string{startsKey(d)}
	if d.UUIDKey != "" {
		keys = append(keys, "uuid "+d.UUIDKey)
	}
	for _, m := range d.MACs {
		keys = append(keys, machineKey(m, ""))
	}
	for _, k := range keys {
		if err := tx.PutGuard(store.Guard{Machine: k}); err != nil {
			return err
		}
	}
	return nil
}

// checkHello bounds what a stranger sends.
func checkHello(h job.Hello) error {
	f := h.Facts
	texts := []string{h.Token, h.Nonce, h.Build, h.Firmware, h.Arch, f.Manufacturer, f.Model, f.ModelVersion, f.Serial, f.UUID, f.SKU,
		f.BoardSerial, f.ChassisSerial, f.AssetTag}
	for _, d := range h.Drives {
		texts = append(texts, d.Path, d.Serial, d.WWN, d.Model, d.Transport, string(d.Health.State), d.Health.Text)
		texts = append(texts, d.Holds...)
		if len(d.Holds) > 64 {
			return job.Faultf(job.CodeBadRequest, "The hello lists too many things.")
		}
	}
	if h.Keys != nil {
		if len(h.Keys.Certs) > 64 {
			return job.Faultf(job.CodeBadRequest, "The hello lists too many things.")
		}
		for _, c := range h.Keys.Certs {
			texts = append(texts, c.Name, c.SHA256, c.Subject)
		}
	}
	for _, l := range h.Links {
		texts = append(texts, l.Name, l.MAC, l.Permanent, l.Driver, l.Bus)
	}
	texts = append(texts, h.Warnings...)
	if len(h.Drives) > 64 || len(h.Links) > 64 || len(h.Warnings) > 64 {
		return job.Faultf(job.CodeBadRequest, "The hello lists too many things.")
	}
	for _, t := range texts {
		if len(t) > 300 {
			return job.Faultf(job.CodeBadRequest, "The hello holds a text of %d characters.", len(t))
		}
	}
	if len(h.Nonce) != 32 || !isHex(h.Nonce) {
		return job.Faultf(job.CodeBadRequest, "The hello's nonce is not 32 hex characters.")
	}
	return nil
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return true
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100]
	}
	return s
}
