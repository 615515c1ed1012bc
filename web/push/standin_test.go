package push_test

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// standIn answers as the documented API of Snipe-IT does, with what its users report beside it: errors with status 200,
// in texts and in maps; refusals as a redirect where JSON was not asked for; texts escaped for HTML; custom fields by
// label when read, by column when written, and ignored when the model has none; a deleted asset under its number.
type standIn struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	assets  map[int]*thing
	users   []user
	labels  map[int]string   // type by id
	fields  map[int][]string // columns by model
	autoTag bool
	lie     string                                            // a call ("PATCH", "checkin", "checkout") that is answered with success and not done
	before  func(w http.ResponseWriter, r *http.Request) bool // answers instead; true when it did
	calls   []call
}

type call struct {
	method, path string
	body         map[string]any
}

type thing struct {
	id                int
	tag, serial, name string
	model, status     int
	to                int // user, 0 for nobody
	custom            map[string]string
	deleted           bool
}

type user struct {
	id                    int
	name, username, email string
}

const snipeToken = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.standin"

func newStandIn(t *testing.T) *standIn {
	s := &standIn{t: t, assets: map[int]*thing{}, labels: map[int]string{1: "pending", 2: "deployable", 3: "archived", 4: "undeployable", 5: "deployable"},
		fields: map[int][]string{7: {"_snipeit_uuid_3", "_snipeit_image_4", "_snipeit_imaged_5", "_snipeit_mac_6"}, 8: nil},
		users:  []user{{1, "Ingot", "ingot", ""}, {21, "Bo Berg", "bberg", "bo@example.org"}, {22, "Ann O'Neil", "aoneil", "ann@example.org"}, {23, "Kim Lee", "klee", ""}, {24, "Kim Lee", "klee2", ""}}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/hardware/byserial/{serial}", s.bySerial)
	mux.HandleFunc("GET /api/v1/hardware/bytag/{tag}", s.byTag)
	mux.HandleFunc("GET /api/v1/hardware/{id}", s.byID)
	mux.HandleFunc("GET /api/v1/hardware", s.search)
	mux.HandleFunc("POST /api/v1/hardware", s.create)
	mux.HandleFunc("PATCH /api/v1/hardware/{id}", s.patch)
	mux.HandleFunc("POST /api/v1/hardware/{id}/checkin", s.checkin)
	mux.HandleFunc("POST /api/v1/hardware/{id}/checkout", s.checkout)
	mux.HandleFunc("GET /api/v1/users", s.findUsers)
	mux.HandleFunc("GET /api/v1/users/me", func(w http.ResponseWriter, _ *http.Request) {
		say(w, map[string]any{"id": 1, "name": "Ingot", "username": "ingot"})
	})
	mux.HandleFunc("GET /api/v1/{what}", s.choices)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c := call{method: r.Method, path: strings.TrimPrefix(r.URL.Path, "/api/v1/")}
		if r.Method != http.MethodGet {
			if err := json.NewDecoder(r.Body).Decode(&c.body); err != nil {
				t.Errorf("%s %s: body: %v", r.Method, r.URL, err)
			}
		}
		s.calls = append(s.calls, c)
		if s.before != nil && s.before(w, r) {
			return
		}
		if r.Header.Get("Accept") != "application/json" {
			http.Redirect(w, r, "/login", http.StatusFound)
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+snipeToken {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"Unauthenticated."}`)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func say(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func sayError(w http.ResponseWriter, messages any) {
	say(w, map[string]any{"status": "error", "messages": messages, "payload": nil})
}

func saySuccess(w http.ResponseWriter, payload any) {
	say(w, map[string]any{"status": "success", "messages": "Asset updated successfully.", "payload": payload})
}

// add puts an asset there.
func (s *standIn) add(a thing) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(a)
}

func (s *standIn) put(a thing) int {
	a.id = 100 + len(s.assets)
	if a.custom == nil {
		a.custom = map[string]string{}
	}
	if a.model == 0 {
		a.model = 7
	}
	if a.status == 0 {
		a.status = 2
	}
	s.assets[a.id] = &a
	return a.id
}

func (s *standIn) get(id int) thing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.assets[id]
}

func (s *standIn) set(id int, f func(*thing)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.assets[id])
}

func (s *standIn) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// writes are the calls that change something, since the last time they were asked for.
func (s *standIn) writes() (out []call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.method != http.MethodGet {
			out = append(out, c)
		}
	}
	s.calls = nil
	return out
}

// row is an asset as the API tells it.
func (s *standIn) row(a *thing) map[string]any {
	var custom any = []any{} // PHP's empty map
	if cols := s.fields[a.model]; len(cols) > 0 {
		m := map[string]any{}
		for _, c := range cols {
			format := "ANY"
			var value any = html.EscapeString(a.custom[c])
			if c == "_snipeit_imaged_5" {
				format = "DATE"
				if value = any(nil); a.custom[c] != "" {
					value = map[string]string{"date": a.custom[c], "formatted": "20.11.2026"}
				}
			}
			if c == "_snipeit_mac_6" {
				format = "MAC"
			}
			m["Label of "+c] = map[string]any{"field": c, "value": value, "field_format": format, "element": "text"}
		}
		custom = m
	}
	var to, deleted any
	for _, u := range s.users {
		if u.id == a.to {
			to = map[string]any{"id": u.id, "username": u.username, "name": html.EscapeString(u.name), "type": "user", "employee_number": nil}
		}
	}
	if a.deleted {
		deleted = map[string]string{"datetime": "2026-01-01 00:00:00"}
	}
	return map[string]any{"id": a.id, "name": html.EscapeString(a.name), "asset_tag": html.EscapeString(a.tag), "serial": html.EscapeString(a.serial),
		"model": map[string]any{"id": a.model, "name": fmt.Sprintf("Model %d", a.model)}, "status_label": map[string]any{"id": a.status, "name": "Label", "status_type": s.labels[a.status]},
		"assigned_to": to, "deleted_at": deleted, "custom_fields": custom}
}

func (s *standIn) rows(keep func(*thing) bool) []map[string]any {
	out := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(s.assets)) {
		if a := s.assets[id]; keep(a) && !a.deleted {
			out = append(out, s.row(a))
		}
	}
	return out
}

func (s *standIn) bySerial(w http.ResponseWriter, r *http.Request) {
	rows := s.rows(func(a *thing) bool { return strings.EqualFold(a.serial, r.PathValue("serial")) })
	if len(rows) == 0 {
		sayError(w, "Das Asset existiert nicht.") // in the language of the site
		return
	}
	say(w, map[string]any{"total": len(rows), "rows": rows})
}

func (s *standIn) search(w http.ResponseWriter, r *http.Request) {
	q := strings.ToLower(r.URL.Query().Get("search"))
	rows := s.rows(func(a *thing) bool { return strings.Contains(strings.ToLower(a.serial+" "+a.tag+" "+a.name), q) })
	say(w, map[string]any{"total": len(rows), "rows": rows})
}

func (s *standIn) byTag(w http.ResponseWriter, r *http.Request) {
	rows := s.rows(func(a *thing) bool { return a.tag == r.PathValue("tag") })
	if len(rows) == 0 {
		sayError(w, "Asset not found")
		return
	}
	say(w, rows[0])
}

func (s *standIn) byID(w http.ResponseWriter, r *http.Request) {
	if a := s.named(r); a != nil {
		say(w, s.row(a)) // a deleted one too
		return
	}
	sayError(w, "Asset does not exist.")
}

func (s *standIn) named(r *http.Request) *thing {
	id, _ := strconv.Atoi(r.PathValue("id"))
	return s.assets[id]
}

// body is that of the call at hand.
func (s *standIn) body() map[string]any { return s.calls[len(s.calls)-1].body }

func (s *standIn) taken(self int, field string, value any) bool {
	for _, a := range s.assets {
		if v, ok := value.(string); ok && a.id != self && !a.deleted && (field == "asset_tag" && a.tag == v || field == "serial" && strings.EqualFold(a.serial, v)) {
			return true
		}
	}
	return false
}

func (s *standIn) create(w http.ResponseWriter, _ *http.Request) {
	b := s.body()
	model, _ := b["model_id"].(float64)
	status, _ := b["status_id"].(float64)
	tag, _ := b["asset_tag"].(string)
	serial, _ := b["serial"].(string)
	wrong := map[string][]string{}
	if _, ok := s.fields[int(model)]; !ok {
		wrong["model_id"] = []string{"The selected model id is invalid."}
	}
	if _, ok := s.labels[int(status)]; !ok {
		wrong["status_id"] = []string{"The selected status id is invalid."}
	}
	if tag == "" && s.autoTag {
		tag = fmt.Sprintf("AUTO-%d", len(s.assets))
	}
	if tag == "" || s.taken(0, "asset_tag", tag) {
		wrong["asset_tag"] = []string{"The asset tag must be unique."}
	}
	if s.taken(0, "serial", serial) {
		wrong["serial"] = []string{"The serial must be unique."}
	}
	if len(wrong) > 0 {
		sayError(w, wrong)
		return
	}
	saySuccess(w, map[string]any{"id": s.put(thing{tag: tag, serial: serial, model: int(model), status: int(status)})})
}

func (s *standIn) patch(w http.ResponseWriter, r *http.Request) {
	a, b := s.named(r), s.body()
	if a == nil {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"status":"error","messages":"Asset not found","payload":null}`)
		return
	}
	if v, ok := b["serial"]; ok && (s.taken(0, "serial", v)) { // sending the own serial again is refused too (8.3.3)
		sayError(w, map[string][]string{"serial": {"The serial must be unique."}})
		return
	}
	if v, ok := b["status_id"].(float64); ok {
		if _, known := s.labels[int(v)]; !known {
			sayError(w, map[string]any{"status_id": []string{"The selected status id is invalid."}})
			return
		}
	}
	if s.lie == "PATCH" {
		saySuccess(w, nil)
		return
	}
	for k, v := range b {
		text, _ := v.(string)
		switch {
		case k == "serial":
			a.serial = text
		case k == "name":
			a.name = text
		case k == "asset_tag":
			a.tag = text
		case k == "status_id":
			a.status = int(v.(float64))
		case slices.Contains(s.fields[a.model], k):
			a.custom[k] = text
		} // anything else is ignored, and that is a success
	}
	saySuccess(w, map[string]any{"id": a.id})
}

func (s *standIn) checkin(w http.ResponseWriter, r *http.Request) {
	a := s.named(r)
	if a.to == 0 {
		sayError(w, "That asset is already checked in.")
		return
	}
	if s.lie != "checkin" {
		a.to = 0
	}
	saySuccess(w, map[string]any{"asset_tag": a.tag})
}

func (s *standIn) checkout(w http.ResponseWriter, r *http.Request) {
	a, b := s.named(r), s.body()
	if a.to != 0 || s.labels[a.status] != "deployable" {
		say(w, map[string]any{"status": "error", "messages": "That asset is not available for checkout!", "payload": map[string]any{"asset": a.tag}})
		return
	}
	if b["checkout_to_type"] != "user" {
		sayError(w, map[string][]string{"checkout_to_type": {"The checkout to type field is required."}})
		return
	}
	id, _ := b["assigned_user"].(float64)
	if s.lie != "checkout" {
		a.to = int(id)
	}
	saySuccess(w, map[string]any{"asset": a.tag})
}

func (s *standIn) findUsers(w http.ResponseWriter, r *http.Request) {
	q := strings.ToLower(r.URL.Query().Get("search"))
	rows := []map[string]any{}
	for _, u := range s.users {
		if strings.Contains(strings.ToLower(u.name+" "+u.username+" "+u.email), q) {
			rows = append(rows, map[string]any{"id": u.id, "name": html.EscapeString(u.name), "username": u.username, "email": u.email, "employee_num": nil})
		}
	}
	say(w, map[string]any{"total": len(rows), "rows": rows})
}

func (s *standIn) choices(w http.ResponseWriter, r *http.Request) {
	rows := []map[string]any{}
	switch r.PathValue("what") {
	case "statuslabels":
		for _, id := range slices.Sorted(maps.Keys(s.labels)) {
			rows = append(rows, map[string]any{"id": id, "name": "Label &amp; " + strconv.Itoa(id), "type": s.labels[id]})
		}
	case "fields":
		for i, c := range s.fields[7] {
			rows = append(rows, map[string]any{"id": i, "name": "Label of " + c, "db_column_name": c, "format": "ANY"})
		}
	case "models":
		for _, id := range slices.Sorted(maps.Keys(s.fields)) {
			rows = append(rows, map[string]any{"id": id, "name": fmt.Sprintf("Model %d", id)})
		}
	default:
		http.NotFound(w, r)
		return
	}
	say(w, map[string]any{"total": len(rows), "rows": rows})
}
