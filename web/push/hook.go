package push

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// Message is the body of a webhook.
type Message struct {
	Type      string    `json:"type"` // device.done, device.returned, version.release, ...
	Timestamp time.Time `json:"timestamp"`
	Data      Data      `json:"data"`
}

// Data is one event of the audit chain, with the device that it is about as it is when the message is made.
type Data struct {
	Number   uint64      `json:"number"`
	Hash     string      `json:"hash"` // of the event in the audit chain
	Operator string      `json:"operator"`
	Act      string      `json:"act"`
	Subject  string      `json:"subject"`
	Text     string      `json:"text"`
	Device   *DeviceData `json:"device,omitempty"`
}

// DeviceData is a device as other systems get it, in webhooks and in CSV.
type DeviceData struct {
	ID           string            `json:"id"`
	Serial       string            `json:"serial"`
	Asset        string            `json:"asset_tag"`
	Name         string            `json:"name"`
	State        store.DeviceState `json:"state"`
	Owner        string            `json:"owner"`
	Manufacturer string            `json:"manufacturer"`
	Model        string            `json:"model"`
	UUID         string            `json:"uuid"`
	Role         string            `json:"role"`
	Image        string            `json:"image"` // NAME@NUMBER that it holds
	Imaged       time.Time         `json:"imaged,omitzero"`
	Deployment   string            `json:"deployment"`
	By           string            `json:"deployed_by"`
}

// deviceData gathers what others get of a device.
func deviceData(tx *store.Tx, d store.Device) (DeviceData, error) {
	out := DeviceData{ID: d.ID, Serial: d.Serial, Asset: d.Asset, Name: d.Name, State: d.State, Owner: d.Owner, Manufacturer: d.Manufacturer,
		Model: d.Model, UUID: d.UUID, Role: d.Role, Deployment: d.Deployment}
	if d.Deployment == "" {
		return out, nil
	}
	dep, err := tx.Deployment(d.Deployment)
	if err != nil {
		return out, err
	}
	out.Image, out.Imaged, out.By = dep.Image.String(), dep.Finished, dep.Operator
	return out, nil
}

// typeOf names what an event is about and what was done.
func typeOf(e store.Event, device bool) string {
	about := "server"
	switch {
	case device:
		about = "device"
	case versionRef(e.Subject):
		about = "version"
	}
	return about + "." + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(e.Act))
}

// versionRef recognises NAME@NUMBER.
func versionRef(s string) bool {
	name, number, ok := strings.Cut(s, "@")
	n, err := strconv.Atoi(number)
	return ok && err == nil && n > 0 && store.CheckLabel("an image", name) == nil
}

// usualEvents are what a webhook gets when nobody chose.
var usualEvents = []string{"device.*", "version.*"}

// wants reports whether a target takes a type: its own name, or an area as "device.*", or "*".
func wants(events []string, typ string) bool {
	if len(events) == 0 {
		events = usualEvents
	}
	area, _, _ := strings.Cut(typ, ".")
	for _, e := range events {
		if e == typ || e == "*" || e == area+".*" {
			return true
		}
	}
	return false
}

var eventName = regexp.MustCompile(`^(device|version|server)\.(\*|[a-z0-9_]{1,40})$`)

// checkEvents refuses what names no type.
func checkEvents(events []string) error {
	if len(events) > 50 {
		return job.Faultf(job.CodeBadRequest, "%d kinds of event are too many.", len(events))
	}
	for _, e := range events {
		if e != "*" && !eventName.MatchString(e) {
			return job.Faultf(job.CodeBadRequest, "%.60q is no kind of event: name one as device.done, an area as device.*, or *.", e)
		}
	}
	return nil
}

// messageOf is the item that an event becomes for a webhook; false when it takes none of that kind.
func messageOf(tx *store.Tx, t store.PushTarget, e store.Event) (store.OutItem, bool, error) {
	d, err := tx.Device(e.Subject)
	device := !errors.Is(err, store.ErrNotFound)
	typ := typeOf(e, device)
	if !wants(t.Events, typ) {
		return store.OutItem{}, false, nil // also when the device cannot be read
	}
	if device && err != nil {
		return store.OutItem{}, false, err
	}
	m := Message{Type: typ, Timestamp: e.Time.UTC(), Data: Data{Number: e.Number, Hash: fmt.Sprintf("%x", e.Hash[:]), Operator: e.Operator, Act: e.Act,
		Subject: e.Subject, Text: e.Text}}
	label := e.Subject
	if device {
		data, err := deviceData(tx, d)
		if err != nil {
			return store.OutItem{}, false, err
		}
		m.Data.Device, label = &data, d.Label()
	}
	body, err := m.encode()
	return store.OutItem{Key: fmt.Sprintf("%020d", e.Number), Label: typ + " " + label, Message: messageID(e), Body: body}, err == nil, err
}

// encode keeps a message below what receivers take: a text that is too long is cut, and then the device is left out.
func (m Message) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	for _, cut := range []func(){func() { m.Data.Text = m.Data.Text[:min(len(m.Data.Text), 1000)] }, func() { m.Data.Device = nil },
		func() { m.Data.Subject, m.Data.Operator = clip(m.Data.Subject, 200), clip(m.Data.Operator, 200) }} {
		if err != nil || len(b) <= store.MaxBody {
			break
		}
		cut()
		b, err = json.Marshal(m)
	}
	return b, err
}

func clip(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }

// messageID is made of the event's hash: the same at every attempt and after every restart, and another in every chain.
func messageID(e store.Event) string { return fmt.Sprintf("msg_%x", e.Hash[:12]) }

// Sign gives the value of webhook-signature for a message: one signature for each secret.
func Sign(secrets []string, id string, at time.Time, body []byte) (string, error) {
	var out []string
	for _, s := range secrets {
		key, err := hookKey(s)
		if err != nil {
			return "", err
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
		mac.Write(body)
		out = append(out, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	if len(out) == 0 {
		return "", errors.New("sign webhook: no secret")
	}
	return strings.Join(out, " "), nil
}

// hookPrefix marks the secret of a webhook, so that nobody takes it for something else.
const hookPrefix = "whsec_"

func hookKey(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, hookPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("sign webhook: the secret is not whsec_ and 24 to 64 bytes in base64")
	}
	return key, nil
}

func newHookSecret() string {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return hookPrefix + base64.StdEncoding.EncodeToString(key)
}

// post sends one message once.
func (p *Pusher) post(ctx context.Context, t store.PushTarget, id string, body []byte) error {
	now := p.DB.Now()
	signature, err := Sign(t.Live(now), id, now, body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(body))
	if err != nil {
		return fail(hold, job.CodePushAddress, "%.100q is no URL.", t.URL)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", p.agent())
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("Webhook-Signature", signature)
	a, err := do(p.http, r, 1<<20)
	if err != nil {
		return err
	}
	return judgeHook(r.URL.Host, a, now)
}

// judgeHook says what a receiver's answer means.
func judgeHook(host string, a answer, now time.Time) error {
	f := &failure{after: retryAfter(a.header, now)}
	switch {
	case a.status >= 200 && a.status < 300:
		return nil
	case a.status == http.StatusGone:
		f.kind, f.fault = gone, job.Faultf(job.CodePushGone, "%s answered 410.", host)
	case a.status == http.StatusTooManyRequests, a.status == http.StatusServiceUnavailable:
		f.kind, f.fault = hold, job.Faultf(job.CodePushBusy, "%s answered %d.", host, a.status)
	case a.status >= 300 && a.status < 400:
		f.kind, f.fault = hold, redirected(host, a)
	case a.status >= 500:
		f.kind, f.fault = hold, job.Faultf(job.CodePushSilent, "%s answered %d.", host, a.status)
	default:
		f.fault = job.Faultf(job.CodePushRefused, "%s answered %d.", host, a.status)
	}
	return f
}

func redirected(host string, a answer) *job.Fault {
	return job.Faultf(job.CodePushAnswer, "%s answered %d and sends to %.100q; redirects are not followed.", host, a.status, a.header.Get("Location"))
}
