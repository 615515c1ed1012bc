package push_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/push"
)

// delivery is one request that a receiver got.
type delivery struct {
	id, stamp, signature string
	body                 []byte
	at                   time.Time
}

// receiver is a webhook's other end. answer says how it answers the n-th request; nil is always 204.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []delivery
	answer func(n int, w http.ResponseWriter, d delivery) bool
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b, err := io.ReadAll(req.Body)
		if err != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v", req.Method, req.Header.Get("Content-Type"), err)
		}
		d := delivery{req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp"), req.Header.Get("webhook-signature"), b, time.Now()}
		r.mu.Lock()
		r.got = append(r.got, d)
		n, answer := len(r.got), r.answer
		r.mu.Unlock()
		if answer == nil || !answer(n, w, d) {
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) answers(f func(n int, w http.ResponseWriter, d delivery) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// verify is what a receiver does, written from the text of the convention and not from our code: the signed content is
// the id, the timestamp and the body with dots between; the key is the base64 behind whsec_; one matching v1 is enough; a
// timestamp more than five minutes off is a replay.
func verify(secret string, d delivery, now time.Time) error {
	sent, err := strconv.ParseInt(d.stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(sent, 0)).Abs() > 5*time.Minute {
		return fmt.Errorf("timestamp %q", d.stamp)
	}
	key, err := base64.StdEncoding.DecodeString(secret[len("whsec_"):])
	if err != nil {
		return err
	}
	h := hmac.New(sha256.New, key)
	io.WriteString(h, d.id+"."+d.stamp+"."+string(d.body))
	want := h.Sum(nil)
	for _, s := range strings.Split(d.signature, " ") {
		if v, sig, _ := strings.Cut(s, ","); v == "v1" {
			if got, err := base64.StdEncoding.DecodeString(sig); err == nil && hmac.Equal(got, want) {
				return nil
			}
		}
	}
	return fmt.Errorf("no signature of %q holds", d.signature)
}

// hook makes a webhook, and gives its secret.
func (s *site) hook(name, url string, events ...string) string {
	s.t.Helper()
	made, err := s.p.Put(context.Background(), "anna", store.PushNew{Name: name, Kind: store.PushHook, URL: url, Plain: true, Events: events})
	must(s.t, err)
	return made.Secret
}

func TestASignatureIsThatOfTheConvention(t *testing.T) {
	const secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", `{"test": 2432232314}` // the vector that the convention's own libraries test with
	got, err := push.Sign([]string{secret}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(body))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
		t.Errorf("signature %q, %v; want %q", got, err, want)
	}
	for _, bad := range []string{"", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!", "whsec_c2hvcnQ="} {
		if got, err := push.Sign([]string{bad}, "m", time.Now(), nil); err == nil {
			t.Errorf("%q signs: %q", bad, got)
		}
	}
}

func TestEveryEventArrivesOnceAndSigned(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	s.laptop("BEFORE1") // nothing that happened before is sent
	secret := s.hook("itsm", r.URL)
	d := s.laptop("PF3ABCDE")
	s.deployed(d.ID, "sales", 3)
	s.run()
	s.idle("itsm")
	got := r.all()
	if len(got) != 2 {
		t.Fatalf("%d deliveries; want adopt and done", len(got))
	}
	for i, want := range []string{"device.adopt", "device.done"} {
		var m push.Message
		must(t, json.Unmarshal(got[i].body, &m))
		if m.Type != want || m.Data.Device == nil || m.Data.Device.Serial != "PF3ABCDE" || m.Timestamp.IsZero() || m.Data.Operator != "anna" {
			t.Errorf("message %d: %s", i, got[i].body)
		}
		if err := verify(secret, got[i], time.Now()); err != nil {
			t.Errorf("message %d: %v", i, err)
		}
		if err := verify(secret, delivery{got[i].id, got[i].stamp, got[i].signature, append(got[i].body, ' '), got[i].at}, time.Now()); err == nil {
			t.Error("another body passes the check")
		}
	}
	var m push.Message
	must(t, json.Unmarshal(got[1].body, &m))
	if m.Data.Device.Image != "sales@3" || m.Data.Device.State != store.Deployed {
		t.Errorf("the device of done: %+v", m.Data.Device)
	}
	if got[0].id == got[1].id {
		t.Error("two messages have one id")
	}
}

func TestWhileASecretIsReplacedBothSign(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	old := s.hook("itsm", r.URL)
	made, err := s.p.Rotate(context.Background(), "anna", "itsm")
	must(t, err)
	s.run()
	s.laptop("PF3ABCDE")
	s.idle("itsm")
	d := r.all()[0]
	if verify(old, d, time.Now()) != nil || verify(made.Secret, d, time.Now()) != nil || old == made.Secret {
		t.Errorf("old %v, new %v", verify(old, d, time.Now()), verify(made.Secret, d, time.Now()))
	}
	s.skew.Store(int64(25 * time.Hour))
	s.laptop("PF3ABCDF")
	s.idle("itsm")
	d = r.all()[1]
	if now := s.now(); verify(old, d, now) == nil || verify(made.Secret, d, now) != nil {
		t.Errorf("a day later: old %v, new %v", verify(old, d, now), verify(made.Secret, d, now))
	}
}

func TestAMessageThatFailsComesAgainTheSame(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	r.answers(func(n int, w http.ResponseWriter, _ delivery) bool {
		if n > 4 {
			return false
		}
		w.WriteHeader([]int{500, 502, 404, 503}[n-1])
		return true
	})
	secret := s.hook("itsm", r.URL)
	s.run()
	s.laptop("PF3ABCDE")
	until(t, "a failure is told", func() bool { v := s.target("itsm"); return v.Waiting == 1 && v.Items[0].Tries > 0 && v.Fault != nil })
	v := s.idle("itsm")
	got := r.all()
	if len(got) != 5 || v.Success.IsZero() || v.Fault != nil {
		t.Fatalf("%d attempts, view %+v; want 5", len(got), v)
	}
	for i, d := range got {
		if d.id != got[0].id || string(d.body) != string(got[0].body) {
			t.Errorf("attempt %d is another message: %s %s", i, d.id, d.body)
		}
		if err := verify(secret, d, time.Now()); err != nil {
			t.Errorf("attempt %d: %v", i, err)
		}
		if i > 0 {
			if gap, least := d.at.Sub(got[i-1].at), 5*time.Millisecond<<(i-1); gap < least {
				t.Errorf("attempt %d came %s after the one before; want at least %s", i, gap, least)
			}
		}
	}
}

func TestAReceiverSaysWhenItIsAskedAgain(t *testing.T) {
	for name, value := range map[string]func() string{
		"seconds": func() string { return "2" },
		"a date":  func() string { return time.Now().Add(3 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		t.Run(name, func(t *testing.T) {
			s, r := newSite(t), newReceiver(t)
			r.answers(func(n int, w http.ResponseWriter, _ delivery) bool {
				if n > 1 {
					return false
				}
				w.Header().Set("Retry-After", value())
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			})
			s.hook("itsm", r.URL)
			s.run()
			s.laptop("PF3ABCDE")
			until(t, "the wait is told", func() bool { return s.target("itsm").Fault != nil })
			wantCode(t, "429", s.target("itsm").Fault, job.CodePushBusy)
			s.laptop("PF3ABCDF") // nothing else is sent meanwhile
			s.idle("itsm")
			got := r.all()
			if len(got) != 3 || got[1].at.Sub(got[0].at) < 1900*time.Millisecond {
				t.Errorf("%d attempts, the second after %s; want 3 and 2 s", len(got), got[1].at.Sub(got[0].at))
			}
		})
	}
}

func TestAReceiverThatIsGoneGetsNothingUntilAPersonSaysSo(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	r.answers(func(n int, w http.ResponseWriter, _ delivery) bool { w.WriteHeader(http.StatusGone); return true })
	s.hook("itsm", r.URL)
	s.run()
	s.laptop("PF3ABCDE")
	until(t, "it is stopped", func() bool { return s.target("itsm").Stopped != nil })
	wantCode(t, "410", s.target("itsm").Stopped, job.CodePushGone)
	s.laptop("PF3ABCDF")
	time.Sleep(200 * time.Millisecond)
	if got := r.all(); len(got) != 1 {
		t.Errorf("%d messages were sent to a receiver that is gone", len(got))
	}
	status, err := s.p.Status(context.Background())
	must(t, err)
	if len(status.Trouble) != 1 || !strings.Contains(status.Trouble[0], "itsm: stopped") {
		t.Errorf("the board says %q", status.Trouble)
	}
	r.answers(nil)
	_, err = s.p.Retry(context.Background(), "anna", store.PushRetry{Target: "itsm"})
	must(t, err)
	s.idle("itsm")
	var types []string
	for _, d := range r.all()[1:] {
		var m push.Message
		must(t, json.Unmarshal(d.body, &m))
		types = append(types, m.Data.Device.Serial)
	}
	if strings.Join(types, " ") != "PF3ABCDE PF3ABCDF" {
		t.Errorf("after the retry came %q; want both laptops", types)
	}
}

// TestNothingIsLostByAStop: a daemon that is stopped between any two steps sends everything, whatever the receiver does.
func TestNothingIsLostByAStop(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	r.answers(func(n int, w http.ResponseWriter, _ delivery) bool {
		if n%3 == 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	})
	s.hook("itsm", r.URL)
	const laptops = 40
	for i := range laptops {
		if i%4 == 0 {
			s.run()
		}
		s.laptop(fmt.Sprintf("PF3%05d", i))
		if i%4 == 3 {
			s.stop()
			s.open()
		}
	}
	s.run()
	s.idle("itsm")
	r.mu.Lock()
	arrived := map[string]bool{}
	for i, d := range r.got {
		if (i+1)%3 != 0 {
			arrived[d.id] = true
		}
	}
	r.mu.Unlock()
	if len(arrived) != laptops {
		t.Errorf("%d of %d messages arrived", len(arrived), laptops)
	}
}

// TestABacklogIsBoundedAndComplete: behind a receiver that is down the outbox stays within its bound, and everything
// arrives when it is back.
func TestABacklogIsBoundedAndComplete(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	down := func(_ int, w http.ResponseWriter, _ delivery) bool { w.WriteHeader(http.StatusBadGateway); return true }
	r.answers(down)
	s.hook("itsm", r.URL)
	d := s.laptop("PF3ABCDE")
	const events = store.MaxOutbox + 300
	s.update(func(tx *store.Tx) error {
		for i := range events - 1 {
			if err := tx.Audit("anna", "set", d.ID, fmt.Sprintf("Note %d.", i)); err != nil {
				return err
			}
		}
		return nil
	})
	s.run()
	until(t, "the outbox is full", func() bool { return s.target("itsm").Waiting == store.MaxOutbox })
	time.Sleep(100 * time.Millisecond)
	if v := s.target("itsm"); v.Waiting != store.MaxOutbox || v.Unread != events-store.MaxOutbox || len(v.Items) != store.MaxPushItems {
		t.Errorf("waiting %d, unread %d, shown %d", v.Waiting, v.Unread, len(v.Items))
	}
	r.answers(nil)
	_, err := s.p.Retry(context.Background(), "anna", store.PushRetry{Target: "itsm"})
	must(t, err)
	s.idle("itsm")
	ids := map[string]bool{}
	for _, d := range r.all() {
		ids[d.id] = true
	}
	if len(ids) != events {
		t.Errorf("%d of %d messages arrived", len(ids), events)
	}
}

// TestOneBadMessageHoldsNobodyUp: what a receiver cannot take is tried again, while the others arrive.
func TestOneBadMessageHoldsNobodyUp(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	r.answers(func(_ int, w http.ResponseWriter, d delivery) bool {
		if strings.Contains(string(d.body), "POISON1") {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	})
	s.hook("itsm", r.URL)
	s.laptop("POISON1")
	for i := range 10 {
		s.laptop(fmt.Sprintf("PF3%05d", i))
	}
	s.run()
	until(t, "only the bad one is left", func() bool { v := s.target("itsm"); return v.Unread == 0 && v.Waiting == 1 && v.Items[0].Tries > 0 })
}

// TestAfterThreeDaysAMessageIsGivenUp, and a person may send it again.
func TestAfterThreeDaysAMessageIsGivenUp(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	r.answers(func(_ int, w http.ResponseWriter, _ delivery) bool { w.WriteHeader(http.StatusBadRequest); return true })
	s.hook("itsm", r.URL)
	s.laptop("PF3ABCDE")
	s.run()
	until(t, "it failed", func() bool { v := s.target("itsm"); return v.Waiting == 1 && v.Items[0].Tries > 0 })
	status, err := s.p.Status(context.Background())
	must(t, err)
	if len(status.Trouble) != 0 {
		t.Errorf("a fresh backlog is trouble: %q", status.Trouble)
	}
	s.skew.Store(int64(2 * time.Hour))
	if status, err = s.p.Status(context.Background()); err != nil || len(status.Trouble) != 1 || !strings.HasPrefix(status.Trouble[0], "itsm: 1 messages wait since ") {
		t.Errorf("after two hours the board says %q, %v", status.Trouble, err)
	}
	s.skew.Store(int64(73 * time.Hour))
	v := s.dead("itsm", 1)
	if len(v.Items) != 1 || !v.Items[0].Dead || v.Items[0].Fault == nil {
		t.Fatalf("the dead letter: %+v", v.Items)
	}
	wantCode(t, "400", v.Items[0].Fault, job.CodePushRefused)
	r.answers(nil)
	out, err := s.p.Retry(context.Background(), "anna", store.PushRetry{Target: "itsm", Key: v.Items[0].Key})
	if err != nil || out.Items != 1 {
		t.Fatalf("retry: %+v, %v", out, err)
	}
	if v := s.idle("itsm"); v.Dead != 0 {
		t.Errorf("%d dead letters after the retry", v.Dead)
	}
	_, err = s.p.Retry(context.Background(), "anna", store.PushRetry{Target: "itsm", Key: "x"})
	wantCode(t, "a key that is not there", job.FaultOf(err), job.CodeNotFound)
}

// TestAReceiverThatHangsDelaysNoAct: while it holds a request open, the bench works as ever.
func TestAReceiverThatHangsDelaysNoAct(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	release, asked := make(chan struct{}), make(chan struct{}, 1)
	r.answers(func(int, http.ResponseWriter, delivery) bool {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-release
		return false
	})
	s.hook("itsm", r.URL)
	s.run()
	d := s.laptop("PF3ABCDE")
	<-asked
	begin := time.Now()
	for i := range 20 {
		owner := fmt.Sprintf("Person %d", i)
		if _, err := s.bench.SetDevice(context.Background(), "anna", d.ID, store.Correction{Owner: &owner, Reason: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("20 acts took %s while a receiver hung", took)
	}
	if got := r.all(); len(got) != 1 {
		t.Errorf("%d requests; want the one that hangs", len(got))
	}
	close(release)
	s.idle("itsm")
}

func TestAWebhookGetsWhatItAskedFor(t *testing.T) {
	s, all, some := newSite(t), newReceiver(t), newReceiver(t)
	s.hook("all", all.URL, "*")
	s.hook("some", some.URL, "device.return", "version.*")
	d := s.laptop("PF3ABCDE", func(d *store.Device) { d.State = store.Deployed })
	_, err := s.bench.Return(context.Background(), "anna", d.ID, store.Return{From: "Bo"})
	must(t, err)
	s.update(func(tx *store.Tx) error {
		return errors.Join(tx.Audit("anna", "release", "sales@3", "Released."), tx.Audit("ingot", "unclean end", "server", "The power went."))
	})
	s.run()
	s.idle("all")
	s.idle("some")
	types := func(r *receiver) string {
		var out []string
		for _, d := range r.all() {
			var m push.Message
			must(t, json.Unmarshal(d.body, &m))
			out = append(out, m.Type)
		}
		return strings.Join(out, " ")
	}
	if got, want := types(some), "device.return version.release"; got != want {
		t.Errorf("some got %q; want %q", got, want)
	}
	if got, want := types(all), "server.push_target server.push_target device.adopt device.return version.release server.unclean_end"; got != want {
		t.Errorf("all got %q; want %q", got, want)
	}
	for _, bad := range [][]string{{"device"}, {"devices.*"}, {"device done"}, {""}, {"device.d\x00ne"}} {
		_, err := s.p.Put(context.Background(), "anna", store.PushNew{Name: "bad", Kind: store.PushHook, URL: all.URL, Plain: true, Events: bad})
		wantCode(t, fmt.Sprintf("events %q", bad), job.FaultOf(err), job.CodeBadRequest)
	}
}

// TestNoRedirectIsFollowed: a receiver, or whoever took its place, cannot send what we sign and say elsewhere.
func TestNoRedirectIsFollowed(t *testing.T) {
	s, r, thief := newSite(t), newReceiver(t), newReceiver(t)
	r.answers(func(_ int, w http.ResponseWriter, _ delivery) bool {
		w.Header().Set("Location", thief.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return true
	})
	s.hook("itsm", r.URL)
	s.run()
	s.laptop("PF3ABCDE")
	until(t, "it failed", func() bool { return s.target("itsm").Fault != nil })
	wantCode(t, "a redirect", s.target("itsm").Fault, job.CodePushAnswer)
	if len(thief.all()) != 0 {
		t.Error("the redirect was followed")
	}
}

func TestWhatLiesCloserThanTheAdministratorMayReachIsNotAsked(t *testing.T) {
	g := push.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32"), netip.MustParsePrefix("192.0.2.8/32")}, Own: func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.IPv4(192, 0, 2, 7), Mask: net.CIDRMask(24, 32)}, &net.IPNet{IP: net.IPv4(192, 0, 2, 8), Mask: net.CIDRMask(24, 32)}}, nil
	}}
	for addr, ok := range map[string]bool{
		"169.254.169.254": false, "169.254.0.1": false, "fe80::1": false, "fe80::1%eth0": false, "::ffff:169.254.169.254": false, "64:ff9b::a9fe:a9fe": false,
		"fd00:ec2::254": false, "100.100.100.200": false, "168.63.129.16": false, "127.0.0.1": false, "::1": false, "::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false,
		"0.0.0.0": false, "::": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false,
		"192.0.2.7": false, "::ffff:192.0.2.7": false, "192.0.2.8": true, "192.0.2.9": true,
		"127.0.0.2": true, "::ffff:127.0.0.2": true, "10.0.0.5": true, "192.168.10.5": true, "203.0.113.9": true, "2001:db8::7": true, "fd00::7": true,
	} {
		if err := g.Check(netip.MustParseAddr(addr)); (err == nil) != ok {
			t.Errorf("%s: %v; want allowed %v", addr, err, ok)
		} else if err != nil {
			wantCode(t, addr, job.FaultOf(err), job.CodePushAddress)
		}
	}
}

// TestTheAddressIsJudgedWhereItLeads: a name that leads to this server is refused when it is dialled, though the name
// itself says nothing.
func TestTheAddressIsJudgedWhereItLeads(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	s.stop()
	s.tune = func(c *push.Config) { c.Guard = push.Guard{} }
	s.open()
	_, err := s.p.Put(context.Background(), "anna", store.PushNew{Name: "itsm", Kind: store.PushHook, URL: r.URL, Plain: true})
	wantCode(t, "an address", job.FaultOf(err), job.CodePushAddress)
	s.hook("itsm", strings.Replace(r.URL, "127.0.0.1", "localhost", 1))
	s.run()
	s.laptop("PF3ABCDE")
	until(t, "it failed", func() bool { return s.target("itsm").Fault != nil })
	wantCode(t, "a name", s.target("itsm").Fault, job.CodePushAddress)
	if len(r.all()) != 0 {
		t.Error("this server itself was asked")
	}
}

func TestAURLIsHTTPSAndHoldsNoSecret(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://itsm.example/hook": true, "https://itsm.example:8443/hook?team=7": true, "http://itsm.example/": false, "ftp://itsm.example/": false, "itsm.example": false, "": false,
		"https://anna:secret@itsm.example/": false, "https:///x": false, "https://itsm.example/#x": false, "file:///etc/passwd": false, "https://": false,
		"https://" + strings.Repeat("a", 600) + ".example": false, "javascript:alert(1)": false, "https://itsm.example/\x00": false,
	} {
		_, err := push.CheckURL(url, false)
		if (err == nil) != ok {
			t.Errorf("%.60q: %v; want ok %v", url, err, ok)
		} else if err != nil {
			wantCode(t, url, job.FaultOf(err), job.CodePushAddress)
		}
	}
	if _, err := push.CheckURL("http://itsm.example/", true); err != nil {
		t.Errorf("http where it is meant: %v", err)
	}
}

// TestASecretIsShownOnce: in the answer to its making, and in nothing that is told later.
func TestASecretIsShownOnce(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	r.answers(func(_ int, w http.ResponseWriter, _ delivery) bool { w.WriteHeader(500); return true })
	secret := s.hook("itsm", r.URL)
	s.run()
	s.laptop("PF3ABCDE")
	until(t, "it failed", func() bool { return s.target("itsm").Fault != nil })
	again, err := s.p.Put(context.Background(), "anna", store.PushNew{Name: "itsm", Kind: store.PushHook, URL: r.URL, Plain: true, Events: []string{"*"}})
	must(t, err)
	status, err := s.p.Status(context.Background())
	must(t, err)
	var events []store.Event
	must(t, s.db.View(func(tx *store.Tx) (err error) { events, err = tx.AuditTrail("", 1000); return err }))
	b, err := json.Marshal([]any{again, status, events})
	must(t, err)
	if strings.Contains(string(b), secret) || strings.Contains(string(b), strings.TrimPrefix(secret, "whsec_")) || !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("the secret stands in what is told: %s", b)
	}
	if status.Targets[0].Secrets != 1 {
		t.Errorf("%d secrets", status.Targets[0].Secrets)
	}
}

// TestWhatALaptopTellsStaysAText: hostile strings make no broken message and no long one.
func TestWhatALaptopTellsStaysAText(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	secret := s.hook("itsm", r.URL)
	hostile := []string{`"},"type":"device.done","x":{"y":"`, "a\x00b\nc\r\n", "\u202egnp.exe", "<script>alert(1)</script>", "\xff\xfe", strings.Repeat("x", 30000)}
	for i, h := range hostile {
		s.laptop(fmt.Sprintf("PF3%05d", i), func(d *store.Device) { d.Model, d.Owner, d.Note = h, h, h })
	}
	s.run()
	s.idle("itsm")
	got := r.all()
	if len(got) != len(hostile) {
		t.Fatalf("%d messages; want %d", len(got), len(hostile))
	}
	for i, d := range got {
		var m push.Message
		if err := json.Unmarshal(d.body, &m); err != nil || m.Type != "device.adopt" || len(d.body) > store.MaxBody {
			t.Errorf("message %d: %d bytes, %v", i, len(d.body), err)
		}
		if err := verify(secret, d, time.Now()); err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
}

func TestATestMessageIsSignedAndTold(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	secret := s.hook("itsm", r.URL)
	out, err := s.p.Test(context.Background(), "anna", "itsm")
	if err != nil || out.Says == "" || len(r.all()) != 1 || verify(secret, r.all()[0], time.Now()) != nil {
		t.Errorf("%+v, %v, %d messages", out, err, len(r.all()))
	}
	r.Close()
	_, err = s.p.Test(context.Background(), "anna", "itsm")
	wantCode(t, "a receiver that is off", job.FaultOf(err), job.CodePushSilent)
}
