package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/store"
	"ingot/web"
	"ingot/web/access"
	"ingot/web/metrics"
	"ingot/web/push"
	"ingot/web/report"
)

// everything is an API with all of its sides, so that it has all of its routes.
func everything() *web.API {
	return &web.API{Bench: bench{}, Wiper: (*deploy.Service)(nil), Shelf: &library.Library{}, Exchange: &library.Library{}, Backups: copies{}, Push: push.New(push.Config{}), Reports: &report.Desk{}, Access: &access.Service{}, Health: http.NotFoundHandler(), Metrics: metrics.New(metrics.Source{}), Version: "1.2"}
}

// copies is the far side of backups.
type copies struct {
	write func(w io.Writer) error
}

func (c copies) Backup(_ context.Context, _ string, _ store.ServerBackup, begin func(int64) io.Writer) (store.ServerBackedUp, error) {
	return store.ServerBackedUp{Files: 7}, c.write(begin(10))
}

// document reads the API's document as a program does.
func document(t *testing.T, a *web.API) map[string]any {
	t.Helper()
	w := ask(a, "anna", "GET", "openapi.json", "")
	var doc map[string]any
	must(t, json.Unmarshal(w.Body.Bytes(), &doc))
	return doc
}

// dig follows keys into a document.
func dig(v any, keys ...string) any {
	for _, k := range keys {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

// TestTheDocumentNamesEveryRoute: each route of the API is in it, with its right, and nothing else is.
func TestTheDocumentNamesEveryRoute(t *testing.T) {
	a := everything()
	doc := document(t, a)
	want := map[string]string{}
	for _, r := range a.Routes() {
		if r.JSON() {
			want[r.Method+" "+r.Path] = string(r.Right)
		}
	}
	got, ids := map[string]string{}, map[string]bool{}
	for path, of := range dig(doc, "paths").(map[string]any) {
		for method, op := range of.(map[string]any) {
			name := strings.ToUpper(method) + " " + path
			got[name], _ = dig(op, "x-ingot-right").(string)
			id, _ := dig(op, "operationId").(string)
			if ids[id] || id == "" || dig(op, "summary") == "" {
				t.Errorf("%s: id %q, summary %q", name, id, dig(op, "summary"))
			}
			ids[id] = true
			if strings.HasPrefix(name, "GET") && dig(op, "requestBody") != nil {
				t.Errorf("%s has a body", name)
			}
		}
	}
	for name, right := range want {
		if got[name] != right {
			t.Errorf("%s needs %q; the document says %q. Its row belongs into openapi_table.go", name, right, got[name])
		}
	}
	for name := range got {
		if want[name] == "" {
			t.Errorf("the document has %s, and there is no such route", name)
		}
	}
	for name := range web.Described() {
		if want[name] == "" {
			t.Errorf("openapi_table.go has %s, and there is no such route", name)
		}
	}
	if dig(doc, "openapi") != "3.1.0" || dig(doc, "info", "version") != "1.2" || len(want) < 50 {
		t.Errorf("openapi %v, version %v, %d routes", dig(doc, "openapi"), dig(doc, "info", "version"), len(want))
	}
	refs(t, doc, doc)
}

// refs holds that every reference leads somewhere.
func refs(t *testing.T, doc, v any) {
	switch v := v.(type) {
	case map[string]any:
		if r, ok := v["$ref"].(string); ok && dig(doc, strings.Split(strings.TrimPrefix(r, "#/"), "/")...) == nil {
			t.Errorf("%s leads nowhere", r)
		}
		for _, inner := range v {
			refs(t, doc, inner)
		}
	case []any:
		for _, inner := range v {
			refs(t, doc, inner)
		}
	}
}

// fits holds a value against a schema of the document, strictly: what the schema does not name must not be there.
func fits(doc any, schema map[string]any, v any, at string) []string {
	if r, ok := schema["$ref"].(string); ok {
		found, _ := dig(doc, strings.Split(strings.TrimPrefix(r, "#/"), "/")...).(map[string]any)
		return fits(doc, found, v, at)
	}
	if one, ok := schema["anyOf"].([]any); ok {
		var all []string
		for _, s := range one {
			bad := fits(doc, s.(map[string]any), v, at)
			if len(bad) == 0 {
				return nil
			}
			all = append(all, bad...)
		}
		return all
	}
	wrong := func() []string { return []string{fmt.Sprintf("%s is %.60v, want %v", at, v, schema["type"])} }
	switch schema["type"] {
	case "object":
		m, ok := v.(map[string]any)
		if !ok {
			return wrong()
		}
		return fieldsFit(doc, schema, m, at)
	case "array":
		list, ok := v.([]any)
		if !ok {
			return wrong()
		}
		var bad []string
		for i, e := range list {
			bad = append(bad, fits(doc, schema["items"].(map[string]any), e, fmt.Sprintf("%s[%d]", at, i))...)
		}
		return bad
	case "string":
		s, ok := v.(string)
		if enum, has := schema["enum"].([]any); !ok || has && !slices.Contains(enum, v) {
			return wrong()
		}
		if schema["format"] == "date-time" {
			if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
				return []string{at + ": " + err.Error()}
			}
		}
	case "integer":
		if n, ok := v.(float64); !ok || n != float64(int64(n)) && n < 1<<53 {
			return wrong()
		}
	case "number":
		if _, ok := v.(float64); !ok {
			return wrong()
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			return wrong()
		}
	case "null":
		if v != nil {
			return wrong()
		}
	}
	return nil
}

func fieldsFit(doc any, schema, m map[string]any, at string) (bad []string) {
	props, _ := schema["properties"].(map[string]any)
	for k, e := range m {
		s, ok := props[k].(map[string]any)
		if !ok {
			s, ok = schema["additionalProperties"].(map[string]any)
		}
		switch {
		case ok:
			bad = append(bad, fits(doc, s, e, at+"."+k)...)
		case schema["additionalProperties"] == false:
			bad = append(bad, at+"."+k+" is not in the document")
		}
	}
	required, _ := schema["required"].([]any)
	for _, k := range required {
		if _, ok := m[k.(string)]; !ok {
			bad = append(bad, at+"."+k.(string)+" is missing")
		}
	}
	return bad
}

// answerSchema is that of an operation's success.
func answerSchema(doc map[string]any, pattern string) (schema map[string]any, lines bool) {
	method, path, _ := strings.Cut(pattern, " ")
	body := dig(doc, "paths", path, strings.ToLower(method), "responses", "200", "content")
	if s, ok := dig(body, "application/json", "schema").(map[string]any); ok {
		return s, false
	}
	s, ok := dig(body, "application/x-ndjson", "schema").(map[string]any)
	return s, ok
}

// TestTheAnswersAreAsTheDocumentSays asks the real service, shelf and database, and holds every answer against its
// schema: what a program was written against is what it gets.
func TestTheAnswersAreAsTheDocumentSays(t *testing.T) {
	a, _, db := shopAndRecords(t)
	a.Version, a.Metrics = "1.2", metrics.New(metrics.Source{})
	a.Exchange = a.Shelf.(*library.Library)
	a.Access = access.New(access.Config{DB: db, Base: func() string { return "https://ingot.example" }})
	doc := document(t, a)
	hour := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct{ pattern, path, body string }{
		{"GET /api/v1/version", "version", ""},
		{"GET /api/v1/daemon", "daemon", ""},
		{"GET /api/v1/openapi.json", "openapi.json", ""},
		{"GET /api/v1/images", "images", ""},
		{"POST /api/v1/images/{ref}/note", "images/sales@1/note", `{"note":"as delivered"}`},
		{"POST /api/v1/images/release", "images/release", `{"version":"sales@1"}`},
		{"GET /api/v1/images", "images", ""},
		{"POST /api/v1/images/cadence", "images/cadence", `{"version":"sales","days":90}`},
		{"GET /api/v1/images/{image}/history", "images/sales/history", ""},
		{"GET /api/v1/images/keeping", "images/keeping", ""},
		{"GET /api/v1/images/{ref}/content", "images/sales@1/content", ""},
		{"GET /api/v1/images/{ref}/software", "images/sales@1/software", ""},
		{"POST /api/v1/images/{ref}/look", "images/sales@1/look", ""},
		{"GET /api/v1/images/diff", "images/diff?a=sales@1&b=sales@1", ""},
		{"POST /api/v1/images/check", "images/check?read-data=1", ""},
		{"POST /api/v1/images/gc", "images/gc", `{"dry_run":true}`},
		{"POST /api/v1/roles", "roles", `{"name":"desk","image":"sales","pattern":"LT-{serial:-7}"}`},
		{"GET /api/v1/roles", "roles", ""},
		{"POST /api/v1/devices/import", "devices/import", `{"csv":"` + list64("serial,manufacturer,asset,owner,role\nABC1234,Dell,00815,B. Meyer,desk\nABC1235,Dell,00816,,desk\n") + `"}`},
		{"GET /api/v1/devices", "devices", ""},
		{"GET /api/v1/devices/{ref}", "devices/ABC1234", ""},
		{"POST /api/v1/devices/{ref}/set", "devices/ABC1234/set", `{"owner":"C. Meyer","reason":"moved"}`},
		{"POST /api/v1/deploys", "deploys", `{"device":"ABC1234","image":"sales","name":"LT-ABC1234","no_personalise":true}`},
		{"GET /api/v1/jobs", "jobs", ""},
		{"GET /api/v1/devices/{ref}", "devices/ABC1234", ""},
		{"POST /api/v1/devices/{ref}/lost", "devices/ABC1235/lost", `{"tell":"the helpdesk"}`},
		{"GET /api/v1/images/{ref}/devices", "images/sales@1/devices", ""},
		{"GET /api/v1/boots", "boots", ""},
		{"POST /api/v1/bench", "bench", `{"open_until":"` + hour + `"}`},
		{"GET /api/v1/bench", "bench", ""},
		{"POST /api/v1/auto-deploy", "auto-deploy", `{"role":"desk","until":"` + hour + `","left":3}`},
		{"GET /api/v1/auto-deploy", "auto-deploy", ""},
		{"GET /api/v1/bundles", "bundles", ""},
		{"GET /api/v1/audit", "audit", ""},
		{"GET /api/v1/audit/chain", "audit/chain", ""},
		{"GET /api/v1/image-keys", "image-keys", ""},
		{"POST /api/v1/peers/allow", "peers/allow", `{"name":"branch"}`},
		{"GET /api/v1/peers", "peers", ""},
		{"DELETE /api/v1/peers/{name}", "peers/branch", ""},
		{"GET /api/v1/me", "me", ""},
		{"POST /api/v1/operators", "operators", `{"name":"bo","right":"technician"}`},
		{"POST /api/v1/operators/{name}", "operators/bo", `{"right":"viewer"}`},
		{"GET /api/v1/operators", "operators", ""},
		{"POST /api/v1/operators/{name}/link", "operators/bo/link", ""},
		{"GET /api/v1/notices", "notices", ""},
		{"POST /api/v1/access-policy", "access-policy", `{"second_person":true}`},
		{"GET /api/v1/access-policy", "access-policy", ""},
		{"POST /api/v1/tokens", "tokens", `{"name":"monitoring","only":["metrics","openapi"]}`},
		{"GET /api/v1/tokens", "tokens", ""},
		{"DELETE /api/v1/tokens/{name}", "tokens/monitoring", ""},
	} {
		method, _, _ := strings.Cut(c.pattern, " ")
		if c.path == "deploys" {
			must(t, db.Update(told))
		}
		checkAnswer(t, doc, c.pattern, ask(a, "anna", method, c.path, c.body))
	}
	jobs := ask(a, "anna", "GET", "jobs?all=1", "")
	var all []store.JobView
	if must(t, json.Unmarshal(jobs.Body.Bytes(), &all)); len(all) != 1 {
		t.Fatalf("%d jobs", len(all))
	}
	checkAnswer(t, doc, "GET /api/v1/jobs/{id}", ask(a, "anna", "GET", "jobs/"+string(all[0].ID), ""))
	checkAnswer(t, doc, "POST /api/v1/jobs/{id}/cancel", ask(a, "anna", "POST", "jobs/"+string(all[0].ID)+"/cancel", ""))
	checkAnswer(t, doc, "GET /api/v1/jobs/{id}/watch", ask(a, "anna", "GET", "jobs/"+string(all[0].ID)+"/watch", ""))
	refused := ask(a, "anna", "GET", "devices/nobody", "")
	var v any
	must(t, json.Unmarshal(refused.Body.Bytes(), &v))
	schema := dig(doc, "components", "responses", "Refusal", "content", "application/json", "schema").(map[string]any)
	if bad := fits(doc, schema, v, "refusal"); len(bad) > 0 {
		t.Errorf("a refusal: %v", bad)
	}
}

// told lets every device have told of a drive, as its laptop does, lets one have been deployed, and a machine start.
func told(tx *store.Tx) error {
	all, err := tx.Devices()
	for _, d := range all {
		d.Drives = []job.Drive{{Path: "/dev/sda", Serial: "S" + d.Serial, Model: "SSD", Transport: "sata", SizeBytes: 1 << 30, SectorSize: 512}}
		err = errors.Join(err, tx.PutDevice(d))
	}
	d := store.Deployment{ID: "past", Device: all[0].ID, Image: job.ImageRef{Name: "sales", Number: 1}, Name: "LT-OLD", Operator: "anna", Started: tx.Now(), Finished: tx.Now()}
	return errors.Join(err, tx.PutDeployment(d), tx.AddBootEvents([]store.BootEvent{{Time: tx.Now(), MAC: "52:54:00:00:00:01", Leg: "discover", Text: "asks", Bytes: 3}}))
}

// checkAnswer holds one answer, or each line of one, against the document.
func checkAnswer(t *testing.T, doc map[string]any, pattern string, w *httptest.ResponseRecorder) {
	t.Helper()
	schema, lines := answerSchema(doc, pattern)
	if schema == nil {
		t.Errorf("%s has no schema", pattern)
		return
	}
	if w.Code != 200 {
		t.Errorf("%s: status %d, %s", pattern, w.Code, w.Body)
		return
	}
	bodies := []string{w.Body.String()}
	if lines {
		bodies = strings.Split(strings.TrimSpace(bodies[0]), "\n")
	}
	for _, b := range bodies {
		var v any
		must(t, json.Unmarshal([]byte(b), &v))
		for _, bad := range fits(doc, schema, v, pattern) {
			t.Error(bad)
		}
		if list, ok := v.([]any); ok && len(list) == 0 && pattern != "GET /api/v1/bundles" {
			t.Errorf("%s: an empty list shows nothing", pattern)
		}
		if lines && dig(v, "fault") != nil {
			t.Errorf("%s: %s", pattern, b)
		}
	}
}

func list64(text string) string {
	b, _ := json.Marshal([]byte(text))
	return strings.Trim(string(b), `"`)
}

// TestEverySchemaIsOfItsType: a value with every field set, and one with none, as JSON, fits the schema that was made of
// its type.
func TestEverySchemaIsOfItsType(t *testing.T) {
	doc := document(t, everything())
	for pattern, out := range web.Described() {
		schema, lines := answerSchema(doc, pattern)
		if schema == nil {
			continue // no JSON
		}
		for _, full := range []bool{false, true} {
			v := reflect.New(reflect.TypeOf(out)).Elem()
			if full {
				fill(v, 0)
			} else if k := v.Kind(); k == reflect.Slice || k == reflect.Map {
				continue // a handler never answers with null
			}
			if v.Kind() == reflect.Pointer && v.IsNil() {
				continue // another standard's type
			}
			b, err := json.Marshal(v.Interface())
			must(t, err)
			b = bytes.ReplaceAll(b, []byte(`"right":""`), []byte(`"right":"viewer"`)) // nobody has none
			if lines {
				b = []byte(`{"done":` + string(b) + `}`)
			}
			var got any
			must(t, json.Unmarshal(b, &got))
			for _, bad := range fits(doc, schema, got, pattern) {
				t.Error(bad)
			}
		}
	}
}

// fill sets every field of a value to something.
func fill(v reflect.Value, depth int) {
	if depth > 14 || !v.CanSet() {
		return
	}
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1e9, 5).UTC()))
		return
	case store.Right:
		v.SetString(string(store.Technician))
		return
	case json.RawMessage:
		v.SetBytes([]byte(`{"of":"another form"}`))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if strings.HasPrefix(v.Type().Elem().PkgPath(), "ingot/") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if strings.HasPrefix(v.Type().PkgPath(), "ingot/") {
				fill(v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), depth+1)
		fill(v.Index(1), depth+1)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(k, depth+1)
		fill(e, depth+1)
		v.SetMapIndex(k, e)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1.5)
	}
}

// TestABackupsAnswerSaysHowItEnded: whole, broken off halfway, refused before its first byte.
func TestABackupsAnswerSaysHowItEnded(t *testing.T) {
	const body = `{"passphrase":"four words or more"}`
	half := func(err error) func(io.Writer) error {
		return func(w io.Writer) error { _, e := io.WriteString(w, "some bytes"); must(t, e); return err }
	}
	a := &web.API{Bench: bench{}, Backups: copies{half(nil)}}
	w := ask(a, "anna", "POST", "backup", body)
	var line web.Line[struct{}, store.ServerBackedUp]
	must(t, json.Unmarshal([]byte(w.Result().Trailer.Get(web.BackupEnd)), &line))
	if w.Body.String() != "some bytes" || line.Done == nil || line.Done.Files != 7 || w.Header().Get(web.BackupSize) != "10" {
		t.Errorf("whole: %q, %+v, %v", w.Body, line, w.Header())
	}
	a.Backups = copies{half(job.Faultf(job.CodeFull, "No room."))}
	w, line = ask(a, "anna", "POST", "backup", body), web.Line[struct{}, store.ServerBackedUp]{}
	must(t, json.Unmarshal([]byte(w.Result().Trailer.Get(web.BackupEnd)), &line))
	if line.Done != nil || line.Fault == nil || line.Fault.Code != job.CodeFull {
		t.Errorf("broken off: %+v", line)
	}
	a.Backups = refusing{}
	if w := ask(a, "anna", "POST", "backup", body); refusal(t, w).Code != job.CodeBusy {
		t.Errorf("refused: %s", w.Body)
	}
	for _, weak := range []string{`{}`, `{"passphrase":"too short"}`, `{"passphrase":"` + strings.Repeat("x", 2000) + `"}`, `{"passphrase":7}`} {
		if w := ask(a, "anna", "POST", "backup", weak); refusal(t, w).Code != job.CodeBadRequest {
			t.Errorf("%.30s: %s", weak, w.Body)
		}
	}
}

type refusing struct{}

func (refusing) Backup(context.Context, string, store.ServerBackup, func(int64) io.Writer) (store.ServerBackedUp, error) {
	return store.ServerBackedUp{}, job.Faultf(job.CodeBusy, "Another backup is being made.")
}
