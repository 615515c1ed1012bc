package push_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// usual is a map as an administrator chooses it.
func usual() store.SnipeMap {
	return store.SnipeMap{
		Status:  map[store.DeviceState]int{store.Ready: 2, store.Deployed: 5, store.Failed: 1, store.Returned: 4, store.Disposed: 3},
		Columns: map[store.PushField]string{store.FieldName: "name", store.FieldUUID: "_snipeit_uuid_3", store.FieldImage: "_snipeit_image_4", store.FieldImaged: "_snipeit_imaged_5", store.FieldMACs: "_snipeit_mac_6"},
	}
}

// register makes the register a target, with the usual map changed.
func (s *site) register(r *standIn, change ...func(*store.SnipeMap)) {
	s.t.Helper()
	m := usual()
	for _, c := range change {
		c(&m)
	}
	_, err := s.p.Put(context.Background(), "anna", store.PushNew{Name: "snipe", Kind: store.PushSnipe, URL: r.URL, Plain: true, Secret: snipeToken, Snipe: &m})
	must(s.t, err)
}

const testUUID = "4c4c4544-0044-3510-8052-b9c04f4a4d32"

func TestARegisterIsToldWhatChangedAndNothingElse(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	id := r.add(thing{tag: "00815", serial: "PF3ABCDE"})
	d := s.laptop("PF3ABCDE", func(d *store.Device) { d.Name, d.BuiltIn = "LT-7", []string{"8c:16:45:00:00:01", "8c:16:45:00:00:02"} })
	s.register(r)
	s.run()
	s.idle("snipe")
	s.deployed(d.ID, "sales", 3)
	s.idle("snipe")
	a := r.get(id)
	want := map[string]string{"_snipeit_uuid_3": testUUID, "_snipeit_image_4": "sales@3", "_snipeit_imaged_5": "2026-11-20", "_snipeit_mac_6": "8c:16:45:00:00:01"}
	if a.name != "LT-7" || a.status != 5 || !reflect.DeepEqual(a.custom, want) {
		t.Errorf("the asset is %+v", a)
	}
	writes := r.writes()
	if len(writes) != 2 {
		t.Fatalf("%d writes: %v; want one at first and one for the deployment", len(writes), writes)
	}
	if got, want := writes[0].body, (map[string]any{"name": "LT-7", "_snipeit_uuid_3": testUUID, "_snipeit_mac_6": "8c:16:45:00:00:01"}); !reflect.DeepEqual(got, want) {
		t.Errorf("at first was written %v; want %v", got, want)
	}
	if got, want := writes[1].body, (map[string]any{"status_id": 5.0, "_snipeit_image_4": "sales@3", "_snipeit_imaged_5": "2026-11-20"}); !reflect.DeepEqual(got, want) {
		t.Errorf("for the deployment was written %v; want %v", got, want)
	}
	if got := s.device(d.ID); got.Asset != "00815" || got.History[0].Old != "" || got.History[0].By != "register snipe" {
		t.Errorf("the asset tag was not taken over: %+v", got)
	}
	s.become(d.ID, "seen", func(d *store.Device) {})
	s.idle("snipe")
	if writes := r.writes(); len(writes) != 0 {
		t.Errorf("nothing differs and was written: %v", writes)
	}
}

// TestTheRegisterWinsForTagAndOwner: both are taken over into the record, with an event, at first contact and whenever
// they change there; what a person corrects here is put back.
func TestTheRegisterWinsForTagAndOwner(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	id := r.add(thing{tag: "00815", serial: "PF3ABCDE", to: 22})
	d := s.laptop("PF3ABCDE", func(d *store.Device) { d.Asset, d.Owner = "OLD-1", "somebody" })
	s.register(r)
	s.run()
	s.idle("snipe")
	if got := s.device(d.ID); got.Asset != "00815" || got.Owner != "Ann O'Neil" {
		t.Fatalf("taken over: tag %q, owner %q; want 00815, Ann O'Neil (as people write it)", got.Asset, got.Owner)
	}
	var events []store.Event
	must(t, s.db.View(func(tx *store.Tx) (err error) { events, err = tx.AuditTrail(d.ID, 10); return err }))
	var texts []string
	for _, e := range events {
		if e.Operator == "register snipe" {
			texts = append(texts, e.Text)
		}
	}
	if all := strings.Join(texts, " "); len(texts) != 2 || !strings.Contains(all, `"00815" now, before "OLD-1"`) || !strings.Contains(all, `"Ann O'Neil" now, before "somebody"`) {
		t.Errorf("the events: %q", texts)
	}
	r.set(id, func(a *thing) { a.to, a.tag = 21, "00816" })
	s.become(d.ID, "seen", func(*store.Device) {})
	s.idle("snipe")
	if got := s.device(d.ID); got.Asset != "00816" || got.Owner != "Bo Berg" {
		t.Errorf("after a change there: tag %q, owner %q", got.Asset, got.Owner)
	}
	wrong, tag := "Wrong Person", "WRONG"
	_, err := s.bench.SetDevice(context.Background(), "anna", d.ID, store.Correction{Owner: &wrong, Asset: &tag, Reason: "test"})
	must(t, err)
	s.idle("snipe")
	if got := s.device(d.ID); got.Asset != "00816" || got.Owner != "Bo Berg" {
		t.Errorf("a correction here stands against the register: tag %q, owner %q", got.Asset, got.Owner)
	}
	r.set(id, func(a *thing) { a.to = 0 })
	s.become(d.ID, "seen", func(*store.Device) {})
	s.idle("snipe")
	if got := s.device(d.ID); got.Owner != "" {
		t.Errorf("checked in there, and here %q has it", got.Owner)
	}
	if writes := r.writes(); len(writes) != 1 {
		t.Errorf("written: %v; want the columns once, and nothing about tag and owner", writes)
	}
}

// TestAMissingColumnKeepsNoWordBack: what the model cannot keep is a dead letter, and tag and owner are taken over all the
// same, at first contact and when they change.
func TestAMissingColumnKeepsNoWordBack(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	id := r.add(thing{tag: "00815", serial: "PF3ABCDE", model: 8, to: 22})
	d := s.laptop("PF3ABCDE", func(d *store.Device) { d.Name = "LT-7" })
	s.register(r)
	s.run()
	wantCode(t, "a model without the column", s.dead("snipe", 1).Items[0].Fault, job.CodePushSaid)
	if got := s.device(d.ID); got.Asset != "00815" || got.Owner != "Ann O'Neil" || r.get(id).name != "LT-7" {
		t.Errorf("tag %q, owner %q, the name there %q", got.Asset, got.Owner, r.get(id).name)
	}
	r.set(id, func(a *thing) { a.to, a.tag = 21, "00816" })
	s.become(d.ID, "seen", func(*store.Device) {})
	until(t, "the change there is taken over", func() bool { got := s.device(d.ID); return got.Asset == "00816" && got.Owner == "Bo Berg" })
	wantCode(t, "still without the column", s.dead("snipe", 1).Items[0].Fault, job.CodePushSaid)
}

// TestAnEmptyRegisterTakesNoOwnerAway: a site that does not check out there keeps what the helpdesk wrote here.
func TestAnEmptyRegisterTakesNoOwnerAway(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	r.add(thing{tag: "00815", serial: "PF3ABCDE"})
	d := s.laptop("PF3ABCDE", func(d *store.Device) { d.Owner = "B. Meyer" })
	s.register(r)
	s.run()
	for range 3 {
		s.become(d.ID, "seen", func(*store.Device) {})
		s.idle("snipe")
	}
	if got := s.device(d.ID); got.Owner != "B. Meyer" {
		t.Errorf("the owner is %q", got.Owner)
	}
}

// TestAnAssignmentIsEndedAndBegunNeverChanged: where it is allowed, what came back is checked in, what goes to somebody
// else is checked in and then out.
func TestAnAssignmentIsEndedAndBegunNeverChanged(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	id := r.add(thing{tag: "00815", serial: "PF3ABCDE", to: 21})
	d := s.laptop("PF3ABCDE", func(d *store.Device) { d.State, d.Name = store.Deployed, "LT-7" })
	s.register(r, func(m *store.SnipeMap) { m.Assign = true })
	s.run()
	s.idle("snipe")
	if got := s.device(d.ID); got.Owner != "Bo Berg" {
		t.Fatalf("at first contact the owner is %q", got.Owner)
	}
	r.writes()
	owner := "aoneil" // by her user name
	_, err := s.bench.SetDevice(context.Background(), "anna", d.ID, store.Correction{Owner: &owner, Reason: "handed over"})
	must(t, err)
	s.idle("snipe")
	if a := r.get(id); a.to != 22 {
		t.Errorf("the asset is with %d; want 22", a.to)
	}
	var did []string
	for _, c := range r.writes() {
		did = append(did, c.method+" "+c.path)
	}
	if want := fmt.Sprintf("POST hardware/%d/checkin POST hardware/%d/checkout", id, id); strings.Join(did, " ") != want {
		t.Errorf("%q; want %q", did, want)
	}
	if got := s.device(d.ID); got.Owner != "Ann O'Neil" {
		t.Errorf("the owner is %q; want the name as the register writes it", got.Owner)
	}
	_, err = s.bench.Return(context.Background(), "anna", d.ID, store.Return{From: "Ann"})
	must(t, err)
	s.idle("snipe")
	if a := r.get(id); a.to != 0 || a.status != 4 {
		t.Errorf("after the return: with %d, label %d", a.to, a.status)
	}
	if got := s.device(d.ID); got.Owner != "" || got.State != store.Returned {
		t.Errorf("after the return: %q, %s", got.Owner, got.State)
	}
}

// TestAHandOverSurvivesAKill: a daemon that dies after the check-in, however far it had come to know of it, checks out to
// whom the operator named.
func TestAHandOverSurvivesAKill(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	id := r.add(thing{tag: "00815", serial: "PF3ABCDE", to: 21})
	d := s.laptop("PF3ABCDE", func(d *store.Device) { d.State = store.Deployed })
	s.register(r, func(m *store.SnipeMap) { m.Assign = true })
	s.run()
	s.idle("snipe")
	cut := make(chan struct{})
	r.do(func() {
		r.before = func(w http.ResponseWriter, req *http.Request) bool {
			if !strings.HasSuffix(req.URL.Path, "/checkin") {
				return false
			}
			r.assets[id].to = 0 // it is done, and the answer does not arrive
			close(cut)
			r.mu.Unlock()
			<-req.Context().Done()
			r.mu.Lock()
			return true
		}
	})
	owner := "Ann O'Neil"
	_, err := s.bench.SetDevice(context.Background(), "anna", d.ID, store.Correction{Owner: &owner, Reason: "handed over"})
	must(t, err)
	<-cut
	s.stop()
	r.do(func() { r.before = nil })
	s.open()
	s.run()
	s.idle("snipe")
	if a, got := r.get(id), s.device(d.ID); a.to != 22 || got.Owner != owner {
		t.Errorf("the asset is with %d, the record says %q; want both Ann", a.to, got.Owner)
	}
}

// TestNobodyIsCheckedInForAStranger: a name that the register does not know leaves the assignment as it is.
func TestNobodyIsCheckedInForAStranger(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	id := r.add(thing{tag: "00815", serial: "PF3ABCDE", to: 21})
	d := s.laptop("PF3ABCDE", func(d *store.Device) { d.State = store.Deployed })
	s.register(r, func(m *store.SnipeMap) { m.Assign = true })
	s.run()
	s.idle("snipe")
	owner := "Nobody Here"
	_, err := s.bench.SetDevice(context.Background(), "anna", d.ID, store.Correction{Owner: &owner, Reason: "handed over"})
	must(t, err)
	wantCode(t, "a stranger", s.dead("snipe", 1).Items[0].Fault, job.CodePushConflict)
	if a := r.get(id); a.to != 21 {
		t.Errorf("the asset is with %d; want it where it was", a.to)
	}
}

// TestAReturnIsNotUndoneByTheRegister: without leave to check in, the record of a returned laptop names nobody, and when
// it is somebody's again the register's word counts.
func TestAReturnIsNotUndoneByTheRegister(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	id := r.add(thing{tag: "00815", serial: "PF3ABCDE", to: 21})
	d := s.laptop("PF3ABCDE", func(d *store.Device) { d.State = store.Deployed })
	s.register(r)
	s.run()
	s.idle("snipe")
	_, err := s.bench.Return(context.Background(), "anna", d.ID, store.Return{From: "Bo"})
	must(t, err)
	s.idle("snipe")
	r.set(id, func(a *thing) { a.to = 22 }) // already promised to somebody
	s.become(d.ID, "seen", func(*store.Device) {})
	s.idle("snipe")
	if got := s.device(d.ID); got.Owner != "" {
		t.Errorf("a returned laptop has the owner %q", got.Owner)
	}
	s.clears(d, store.Ready)
	s.idle("snipe")
	if got := s.device(d.ID); got.Owner != "Ann O'Neil" {
		t.Errorf("ready again, the owner is %q", got.Owner)
	}
}

// TestTheRegisterIsToldThatALaptopLeft: a device that was disposed of gets the label that the site chose for it.
func TestTheRegisterIsToldThatALaptopLeft(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	id := r.add(thing{tag: "00815", serial: "PF3ABCDE"})
	d := s.laptop("PF3ABCDE", func(d *store.Device) { d.State = store.Deployed })
	s.register(r)
	s.run()
	_, err := s.bench.Return(context.Background(), "anna", d.ID, store.Return{From: "Bo"})
	must(t, err)
	s.idle("snipe")
	if got := r.get(id); got.status != 4 {
		t.Errorf("a returned laptop has label %d; want 4", got.status)
	}
	s.clears(d, store.Disposed)
	s.idle("snipe")
	if got := r.get(id); got.status != 3 || s.device(d.ID).State != store.Disposed {
		t.Errorf("a disposed laptop has label %d here %s; want 3", got.status, s.device(d.ID).State)
	}
}

func TestWhatDoesNotFitIsADeadLetterWithItsReason(t *testing.T) {
	for name, c := range map[string]struct {
		there  func(*standIn)
		mapped func(*store.SnipeMap)
		here   func(*store.Device)
		want   job.Code
		says   string
	}{
		"no asset has this serial": {func(r *standIn) {}, nil, nil, job.CodePushAbsent, "PF3ABCDE"},
		"two assets have it": {func(r *standIn) {
			r.add(thing{tag: "1", serial: "PF3ABCDE"})
			r.add(thing{tag: "2", serial: "pf3abcde"})
		}, nil, nil, job.CodePushConflict, "2 assets"},
		"the tag's asset has another serial":        {func(r *standIn) { r.add(thing{tag: "00815", serial: "OTHER1"}) }, nil, func(d *store.Device) { d.Asset = "00815" }, job.CodePushConflict, "OTHER1"},
		"the asset was deleted":                     {func(r *standIn) { r.add(thing{tag: "1", serial: "PF3ABCDE", deleted: true}) }, nil, nil, job.CodePushAbsent, ""},
		"the label does not exist: a map of errors": {func(r *standIn) { r.add(thing{tag: "1", serial: "PF3ABCDE"}) }, func(m *store.SnipeMap) { m.Status[store.Ready] = 99 }, nil, job.CodePushSaid, "status_id: The selected status id is invalid."},
		"the model lacks a column":                  {func(r *standIn) { r.add(thing{tag: "1", serial: "PF3ABCDE", model: 8}) }, nil, nil, job.CodePushSaid, "Model 8 has no column _snipeit_uuid_3"},
		"a write is confirmed and not done":         {func(r *standIn) { r.add(thing{tag: "1", serial: "PF3ABCDE"}); r.lie = "PATCH" }, nil, nil, job.CodePushUnkept, "_snipeit_uuid_3"},
		"a check-out is confirmed and not done": {func(r *standIn) { r.add(thing{tag: "1", serial: "PF3ABCDE"}); r.lie = "checkout" }, func(m *store.SnipeMap) { m.Assign = true },
			func(d *store.Device) { d.Owner = "Bo Berg" }, job.CodePushUnkept, "checkout"},
		"a label that cannot be checked out: a text": {func(r *standIn) { r.add(thing{tag: "1", serial: "PF3ABCDE"}) }, func(m *store.SnipeMap) { m.Assign = true; m.Status[store.Ready] = 1 },
			func(d *store.Device) { d.Owner = "Bo Berg" }, job.CodePushSaid, "not available for checkout"},
		"nobody is called so": {func(r *standIn) { r.add(thing{tag: "1", serial: "PF3ABCDE"}) }, func(m *store.SnipeMap) { m.Assign = true },
			func(d *store.Device) { d.Owner = "Nobody" }, job.CodePushConflict, "0 people"},
		"two are called so": {func(r *standIn) { r.add(thing{tag: "1", serial: "PF3ABCDE"}) }, func(m *store.SnipeMap) { m.Assign = true },
			func(d *store.Device) { d.Owner = "Kim Lee" }, job.CodePushConflict, "2 people"},
		"a serial of many laptops": {func(r *standIn) { r.add(thing{tag: "1", serial: "Default string"}) }, nil,
			func(d *store.Device) { d.Serial, d.SerialKey = "Default string", "" }, job.CodeNoSerial, "Default string"},
		"a name there that is no name here": {func(r *standIn) {
			r.add(thing{tag: "1", serial: "PF3ABCDE", to: 30})
			r.users = append(r.users, user{id: 30, name: strings.Repeat("x", 500)})
		}, nil, nil, job.CodeBadRequest, "owner"},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := newSite(t), newStandIn(t)
			c.there(r)
			d := s.laptop("PF3ABCDE", func(d *store.Device) {
				if c.here != nil {
					c.here(d)
				}
			})
			s.register(r, func(m *store.SnipeMap) {
				if c.mapped != nil {
					c.mapped(m)
				}
			})
			s.run()
			v := s.dead("snipe", 1)
			i := v.Items[0]
			wantCode(t, "dead letter", i.Fault, c.want)
			if !strings.Contains(i.Fault.Fact, c.says) || i.Label != d.Label() || i.Key != d.ID {
				t.Errorf("dead letter %+v: %v; want it to say %q", i, i.Fault, c.says)
			}
			if status, err := s.p.Status(context.Background()); err != nil || len(status.Trouble) != 1 || status.Trouble[0] != "snipe: 1 devices could not be sent." {
				t.Errorf("the board says %q, %v", status.Trouble, err)
			}
		})
	}
}

// TestADeadLetterStartsAnewWhenTheDeviceChanges, or when a person says so.
func TestADeadLetterStartsAnewWhenTheDeviceChanges(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	d, other := s.laptop("PF3ABCDE"), s.laptop("PF3ABCDF")
	s.register(r)
	s.run()
	s.dead("snipe", 2)
	r.add(thing{tag: "1", serial: "PF3ABCDE"})
	r.add(thing{tag: "2", serial: "PF3ABCDF"})
	s.become(d.ID, "seen", func(*store.Device) {})
	until(t, "the changed one is sent", func() bool { v := s.target("snipe"); return v.Dead == 1 && v.Waiting == 0 && v.Unread == 0 })
	if s.target("snipe").Items[0].Key != other.ID {
		t.Error("the wrong one is dead")
	}
	out, err := s.p.Retry(context.Background(), "anna", store.PushRetry{Target: "snipe"})
	if err != nil || out.Items != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	if v := s.idle("snipe"); v.Dead != 0 || s.device(other.ID).Asset != "2" {
		t.Errorf("%d dead, tag %q", v.Dead, s.device(other.ID).Asset)
	}
}

// TestWhatHoldsTheRegisterLosesNothing: whatever it answers, with whatever status, the device waits and arrives.
func TestWhatHoldsTheRegisterLosesNothing(t *testing.T) {
	answer := func(status int, kind, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", kind)
			if status == http.StatusFound {
				w.Header().Set("Location", "https://sso.example/login")
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}
	}
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request) bool
		want   job.Code
	}{
		"throttled, with a sentence":     {answer(429, "application/json", `{"status":"error","messages":"Too many requests. Try again in 60 seconds.","retryAfter":60,"status_code":429}`), job.CodePushBusy},
		"throttled, with a number":       {answer(429, "application/json", `{"status":"error","messages":429,"payload":null}`), job.CodePushBusy},
		"throttled, with 200":            {answer(200, "application/json", `{"status":"error","messages":"Too many requests","payload":null}`), job.CodePushBusy},
		"throttled for eleven years":     {answer(429, "application/json", `{"status":"error","messages":"Too many requests. Try again in 367946340 seconds."}`), job.CodePushBusy},
		"a redirect to the sign-in page": {answer(302, "text/html", `<!DOCTYPE html><html></html>`), job.CodePushAnswer},
		"a page with 200":                {answer(200, "text/html", `<!DOCTYPE html><html><title>Wartung</title></html>`), job.CodePushAnswer},
		"nothing with 200":               {answer(200, "application/json", ``), job.CodePushAnswer},
		"half an answer":                 {answer(200, "application/json", `{"total":1,"rows":[{"id":1,`), job.CodePushAnswer},
		"a list of something else":       {answer(200, "application/json", `{"total":1,"rows":"none"}`), job.CodePushAnswer},
		"the token is not valid":         {answer(401, "application/json", `{"error":"Unauthenticated."}`), job.CodePushRefused},
		"the token may not do it":        {answer(403, "application/json", `{"message":"This action is unauthorized."}`), job.CodePushRefused},
		"it is broken":                   {answer(500, "text/html", `<h1>500</h1>`), job.CodePushSilent},
		"it is being maintained":         {answer(503, "text/html", `<h1>Be right back.</h1>`), job.CodePushSilent},
		"an answer without end": {func(w http.ResponseWriter, r *http.Request) bool {
			for range 9 << 10 {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					break
				}
			}
			return true
		}, job.CodePushAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := newSite(t), newStandIn(t)
			id := r.add(thing{tag: "00815", serial: "PF3ABCDE"})
			r.do(func() { r.before = c.answer })
			s.laptop("PF3ABCDE")
			s.register(r)
			s.run()
			until(t, "a failure is told", func() bool { return s.target("snipe").Fault != nil })
			v := s.target("snipe")
			wantCode(t, "the stand", v.Fault, c.want)
			if v.Dead != 0 || v.Waiting != 1 {
				t.Errorf("%d dead, %d waiting; want it to wait", v.Dead, v.Waiting)
			}
			if c.want == job.CodePushBusy {
				if d := time.Until(v.Next); d < 5*time.Second || d > 61*time.Minute {
					t.Errorf("the next attempt is in %s; want 10 s to an hour", d)
				}
			}
			r.do(func() { r.before = nil })
			_, err := s.p.Retry(context.Background(), "anna", store.PushRetry{Target: "snipe"})
			must(t, err)
			s.idle("snipe")
			if a := r.get(id); a.custom["_snipeit_uuid_3"] != testUUID {
				t.Errorf("the asset is %+v", a)
			}
		})
	}
}

// TestNeverGivenUpWhileTheRegisterIsAway: a device waits for weeks, in one item, and arrives as it is then.
func TestNeverGivenUpWhileTheRegisterIsAway(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	id := r.add(thing{tag: "00815", serial: "PF3ABCDE"})
	r.do(func() {
		r.before = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(502); return true }
	})
	d := s.laptop("PF3ABCDE")
	s.register(r)
	s.run()
	for i := range 30 {
		s.skew.Store(int64(i) * int64(24*time.Hour))
		s.deployed(d.ID, "sales", i+1)
	}
	until(t, "everything is read", func() bool { return s.target("snipe").Unread == 0 })
	if v := s.target("snipe"); v.Waiting != 1 || v.Dead != 0 {
		t.Errorf("%d waiting, %d dead; want the one device", v.Waiting, v.Dead)
	}
	s.stop()
	s.open()
	r.do(func() { r.before = nil })
	s.run()
	_, err := s.p.Retry(context.Background(), "anna", store.PushRetry{Target: "snipe"})
	must(t, err)
	s.idle("snipe")
	if a := r.get(id); a.custom["_snipeit_image_4"] != "sales@30" {
		t.Errorf("the asset is %+v", a)
	}
}

func TestAnAssetIsMadeWhereThatIsAllowed(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	r.autoTag = true
	made := s.laptop("PF3ABCDE", func(d *store.Device) { d.Asset = "00815" })
	auto := s.laptop("PF3ABCDF", func(d *store.Device) { d.Model = "Latitude 5440" })
	s.register(r, func(m *store.SnipeMap) {
		m.Create, m.Model, m.Models = true, 7, map[string]int{"Latitude 5440": 8}
		m.Columns = nil
	})
	s.run()
	s.idle("snipe")
	if n := len(r.assets); n != 2 {
		t.Fatalf("%d assets; want 2", n)
	}
	for _, a := range r.assets {
		want := map[string]int{"PF3ABCDE": 7, "PF3ABCDF": 8}[a.serial]
		if a.model != want || a.status != 2 {
			t.Errorf("asset %+v; want model %d", a, want)
		}
	}
	if s.device(made.ID).Asset != "00815" || !strings.HasPrefix(s.device(auto.ID).Asset, "AUTO-") {
		t.Errorf("tags %q and %q", s.device(made.ID).Asset, s.device(auto.ID).Asset)
	}
	// An error in the place of "there is none" makes no second asset.
	r.do(func() {
		r.calls = nil
		r.before = func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method == http.MethodGet {
				sayError(w, "Sie haben keine Berechtigung.")
			}
			return req.Method == http.MethodGet
		}
	})
	s.become(made.ID, "seen", func(*store.Device) {})
	s.dead("snipe", 1)
	if writes := r.writes(); len(writes) != 0 {
		t.Errorf("written while nothing could be read: %v", writes)
	}
}

// TestTheSerialIsOurs: an asset that has none gets it, found by its tag; a serial that a person corrected here follows.
func TestTheSerialIsOurs(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	id := r.add(thing{tag: "00815"})
	d := s.laptop("PF3ABCDE", func(d *store.Device) { d.Asset = "00815" })
	s.register(r)
	s.run()
	s.idle("snipe")
	if a := r.get(id); a.serial != "PF3ABCDE" {
		t.Fatalf("the asset is %+v", a)
	}
	serial := "5CD1234XYZ"
	_, err := s.bench.SetDevice(context.Background(), "anna", d.ID, store.Correction{Serial: &serial, Reason: "board replaced"})
	must(t, err)
	s.idle("snipe")
	if a := r.get(id); a.serial != serial {
		t.Errorf("after the correction the asset is %+v", a)
	}
}

// TestTwoTagsThatChangePlaces: each is taken by the other laptop until that one has its new one.
func TestTwoTagsThatChangePlaces(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	r.add(thing{tag: "B", serial: "PF3ABCDE"})
	r.add(thing{tag: "C", serial: "PF3ABCDF"})
	one := s.laptop("PF3ABCDE", func(d *store.Device) { d.Asset = "A" })
	two := s.laptop("PF3ABCDF", func(d *store.Device) { d.Asset = "B" })
	s.register(r)
	s.run()
	s.idle("snipe")
	if a, b := s.device(one.ID).Asset, s.device(two.ID).Asset; a != "B" || b != "C" {
		t.Errorf("tags %q and %q; want B and C", a, b)
	}
}

// TestAnAssetInTheBinIsNone, though the register answers for it by its number.
func TestAnAssetInTheBinIsNone(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	id := r.add(thing{tag: "00815", serial: "PF3ABCDE"})
	d := s.laptop("PF3ABCDE")
	s.register(r)
	s.run()
	s.idle("snipe")
	r.writes()
	r.set(id, func(a *thing) { a.deleted = true })
	s.become(d.ID, "failed", func(d *store.Device) { d.State = store.Failed })
	v := s.dead("snipe", 1)
	wantCode(t, "an asset in the bin", v.Items[0].Fault, job.CodePushAbsent)
	if writes := r.writes(); len(writes) != 0 {
		t.Errorf("written into the bin: %v", writes)
	}
}

func TestEverythingIsComparedEachDay(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	id := r.add(thing{tag: "00815", serial: "PF3ABCDE", to: 21})
	d := s.laptop("PF3ABCDE")
	s.register(r)
	s.run()
	s.idle("snipe")
	r.set(id, func(a *thing) { a.to = 22; a.custom["_snipeit_uuid_3"] = "tampered" })
	time.Sleep(100 * time.Millisecond)
	if got := s.device(d.ID).Owner; got != "Bo Berg" {
		t.Fatalf("the owner is %q before anybody looked", got)
	}
	s.skew.Store(int64(25 * time.Hour))
	until(t, "the change there is seen", func() bool { return s.device(d.ID).Owner == "Ann O'Neil" })
	s.idle("snipe")
	if a := r.get(id); a.custom["_snipeit_uuid_3"] != testUUID {
		t.Errorf("the asset is %+v", a)
	}
}

func TestStrangersAreNoMatterOfTheRegister(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	s.laptop("PF3ABCDE", func(d *store.Device) { d.State = store.New })
	s.laptop("PF3ABCDF", func(d *store.Device) { d.State = store.Quarantined })
	s.register(r)
	s.run()
	s.idle("snipe")
	if len(r.calls) != 0 || s.target("snipe").Dead != 0 {
		t.Errorf("the register was asked: %v", r.calls)
	}
}

// TestWhatIsAboutNothingAnyMoreArrivedNowhere: a device that is doubted while it waits leaves the outbox, and no time of
// success is told for it.
func TestWhatIsAboutNothingAnyMoreArrivedNowhere(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	d := s.laptop("PF3ABCDE")
	s.register(r)
	s.become(d.ID, "quarantine", func(d *store.Device) { d.State = store.Quarantined })
	if v := s.target("snipe"); v.Waiting != 1 {
		t.Fatalf("%d waiting; want the one", v.Waiting)
	}
	s.run()
	if v := s.idle("snipe"); !v.Success.IsZero() || v.Fault != nil || v.Dead != 0 || len(r.calls) != 0 {
		t.Errorf("nothing was sent, and told is a success at %s, the fault %v, %d dead", v.Success, v.Fault, v.Dead)
	}
}

func TestATestOfTheRegisterTellsWhatToChooseFrom(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	s.register(r)
	out, err := s.p.Test(context.Background(), "anna", "snipe")
	must(t, err)
	if len(out.Labels) != 5 || out.Labels[0] != (store.PushChoice{ID: 1, Name: "Label & 1", Type: "pending"}) || len(out.Columns) != 4 || out.Columns[0].Key != "_snipeit_uuid_3" || len(out.Models) != 2 ||
		!strings.Contains(out.Says, "ingot") {
		t.Errorf("%+v", out)
	}
	s.register(r, func(m *store.SnipeMap) { m.Columns[store.FieldDrives] = "_snipeit_disks_77" })
	_, err = s.p.Test(context.Background(), "anna", "snipe")
	wantCode(t, "a column that is not there", job.FaultOf(err), job.CodePushSaid)
	s.register(r, func(m *store.SnipeMap) { m.Status[store.Lost] = 77 })
	_, err = s.p.Test(context.Background(), "anna", "snipe")
	wantCode(t, "a label that is not there", job.FaultOf(err), job.CodePushSaid)
	_, err = s.p.Put(context.Background(), "anna", store.PushNew{Name: "snipe", Kind: store.PushSnipe, URL: r.URL, Plain: true, Secret: "another-token"})
	must(t, err)
	_, err = s.p.Test(context.Background(), "anna", "snipe")
	wantCode(t, "a wrong token", job.FaultOf(err), job.CodePushRefused)
}

// TestOneRegisterHasTheWord: a second one, which may know another tag and owner, is refused, and said why; webhooks are
// not. The one that is there can still be changed, and once it is removed another can be set up.
func TestOneRegisterHasTheWord(t *testing.T) {
	s, r, other := newSite(t), newStandIn(t), newStandIn(t)
	r.add(thing{tag: "00815", serial: "PF3ABCDE", to: 21})
	other.add(thing{tag: "X-1", serial: "PF3ABCDE", to: 22})
	d := s.laptop("PF3ABCDE")
	s.register(r)
	second := store.PushNew{Name: "branch", Kind: store.PushSnipe, URL: other.URL, Plain: true, Secret: snipeToken}
	_, err := s.p.Put(context.Background(), "anna", second)
	wantCode(t, "a second register", job.FaultOf(err), job.CodeBadRequest)
	if f := job.FaultOf(err); f == nil || !strings.Contains(f.Fact, "snipe is an asset register already") {
		t.Errorf("the second register: %v", err)
	}
	s.run()
	s.idle("snipe")
	if got := s.device(d.ID); got.Asset != "00815" || got.Owner != "Bo Berg" || len(other.writes()) != 0 {
		t.Errorf("tag %q, owner %q", got.Asset, got.Owner)
	}
	s.register(r, func(m *store.SnipeMap) { m.Hours = 2 })
	s.hook("itsm", other.URL, "version.*")
	must(t, s.p.Remove(context.Background(), "anna", "snipe"))
	_, err = s.p.Put(context.Background(), "anna", second)
	must(t, err)
	until(t, "the other one has the word", func() bool { got := s.device(d.ID); return got.Asset == "X-1" && got.Owner == "Ann O'Neil" })
}

// TestATokenStaysWithItsAddress: whoever changes the address must know the token.
func TestATokenStaysWithItsAddress(t *testing.T) {
	s, r := newSite(t), newStandIn(t)
	s.register(r)
	n := store.PushNew{Name: "snipe", Kind: store.PushSnipe, URL: "https://thief.example"}
	_, err := s.p.Put(context.Background(), "mallory", n)
	wantCode(t, "another address without the token", job.FaultOf(err), job.CodeBadRequest)
	n.URL, n.Plain = r.URL, true
	made, err := s.p.Put(context.Background(), "anna", n)
	must(t, err)
	b, err := json.Marshal(made)
	must(t, err)
	if strings.Contains(string(b), snipeToken) {
		t.Errorf("the token is told: %s", b)
	}
	for name, bad := range map[string]store.PushNew{
		"a state":           {Snipe: &store.SnipeMap{Status: map[store.DeviceState]int{"broken": 1}}},
		"a label":           {Snipe: &store.SnipeMap{Status: map[store.DeviceState]int{store.Ready: -1}}},
		"a field":           {Snipe: &store.SnipeMap{Columns: map[store.PushField]string{"owner": "name"}}},
		"the tag's column":  {Snipe: &store.SnipeMap{Columns: map[store.PushField]string{store.FieldUUID: "asset_tag"}}},
		"two for a column":  {Snipe: &store.SnipeMap{Columns: map[store.PushField]string{store.FieldUUID: "name", store.FieldName: "name"}}},
		"a model":           {Snipe: &store.SnipeMap{Models: map[string]int{"X": 0}}},
		"hours":             {Snipe: &store.SnipeMap{Hours: 1000}},
		"a kind":            {Kind: "glpi"},
		"another kind":      {Kind: store.PushHook},
		"a token with line": {Secret: "abcdefgh\r\nX-Evil: 1"},
		"a name":            {Name: "../x"},
	} {
		bad.URL, bad.Plain = r.URL, true
		if bad.Kind == "" {
			bad.Kind = store.PushSnipe
		}
		if bad.Name == "" {
			bad.Name = "snipe"
		}
		_, err := s.p.Put(context.Background(), "anna", bad)
		wantCode(t, name, job.FaultOf(err), job.CodeBadRequest)
	}
	must(t, s.p.Remove(context.Background(), "anna", "snipe"))
	_, err = s.p.Target(context.Background(), "snipe")
	wantCode(t, "a target that was removed", job.FaultOf(err), job.CodeNotFound)
}
