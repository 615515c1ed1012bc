package web

import (
	"net/http"
	"regexp"
	"strings"
	"sync"

	"ingot/imaging/job"
	"ingot/store"
)

// operation is what the API's document says about a route beyond its right. The schemas are made from the types.
type operation struct {
	what  string      // one line
	in    any         // a value of the body's type; nil: there is none
	out   any         // a value of the answer's type; nil: the answer is no JSON
	steps any         // of a step's type, where the answer is NDJSON that ends with out
	query []parameter // what may follow the ?
	act   bool        // takes Idempotency-Key and If-Match
	kind  string      // media type of an answer that is no JSON
}

// parameter is one value of a query.
type parameter struct{ name, what string }

// operations gathers the tables of openapi_table.go, by the pattern under which a route is registered.
func operations() map[string]operation {
	out := map[string]operation{}
	for _, part := range described {
		for pattern, op := range part {
			out[pattern] = op
		}
	}
	return out
}

func (a *API) documentRoutes(rs *routes) {
	whole := sync.OnceValue(func() map[string]any { return document(a.Version, rs.all) })
	rs.handle("GET /api/v1/openapi.json", store.Viewer, func(w http.ResponseWriter, _ *http.Request) { a.reply(w, whole(), nil) })
}

// document is the API in the form of OpenAPI 3.1.
func document(version string, all []Route) map[string]any {
	ops, s, paths := operations(), &schemas{defs: map[string]any{}}, map[string]any{}
	for _, route := range all {
		op, ok := ops[route.Method+" "+route.Path]
		if !route.JSON() || !ok {
			continue // a test holds that there is none of the API without its row
		}
		of, _ := paths[route.Path].(map[string]any)
		if of == nil {
			of = map[string]any{}
			paths[route.Path] = of
		}
		of[strings.ToLower(route.Method)] = op.document(route, s)
	}
	refusal := s.ref(job.Refusal{}, false)
	return map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{"title": "Ingot", "version": version,
			"description": "Everything that Ingot's pages and its command line do. A program shows a token: Authorization: Bearer ingot.NAME.SECRET."},
		"servers":    []any{map[string]any{"url": "/"}},
		"security":   []any{map[string]any{"token": []any{}}},
		"paths":      paths,
		"components": map[string]any{"schemas": s.defs, "securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer"}}, "responses": map[string]any{"Refusal": map[string]any{"description": "What went wrong, as a code with its fact.", "content": content("application/json", refusal)}}},
	}
}

var pathValue = regexp.MustCompile(`\{(\w+)(\.\.\.)?\}`)

// document is one operation.
func (op operation) document(route Route, s *schemas) map[string]any {
	params := []any{}
	add := func(in, name, what, kind string, required bool) {
		p := map[string]any{"in": in, "name": name, "required": required, "schema": map[string]any{"type": kind}}
		if what != "" {
			p["description"] = what
		}
		params = append(params, p)
	}
	for _, m := range pathValue.FindAllStringSubmatch(route.Path, -1) {
		add("path", m[1], pathWords[m[1]], "string", true)
	}
	for _, q := range op.query {
		add("query", q.name, q.what, "string", false)
	}
	if op.act {
		add("header", "Idempotency-Key", "An id that the sender made, 8 to 64 letters, digits, hyphens: what is sent twice is done once.", "string", false)
		add("header", "If-Match", "The device's revision as the sender saw it: when it has changed since, the act is refused.", "string", false)
	}
	out := map[string]any{"summary": op.what, "operationId": operationID(route), "x-ingot-right": string(route.Right), "parameters": params,
		"responses": map[string]any{"200": op.answer(s), "default": map[string]any{"$ref": "#/components/responses/Refusal"}}}
	if route.Person {
		out["x-ingot-person"] = true // no token opens it
	}
	if op.in != nil {
		out["requestBody"] = map[string]any{"required": true, "content": content("application/json", s.ref(op.in, true))}
	}
	return out
}

// answer is what a success looks like.
func (op operation) answer(s *schemas) map[string]any {
	switch {
	case op.steps != nil:
		line := map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{
			"step": s.ref(op.steps, false), "done": s.ref(op.out, false), "fault": s.ref(job.Fault{}, false)}}
		return map[string]any{"description": "One JSON object a line. The last one has done or fault; without it nobody knows how it ended.", "content": content("application/x-ndjson", line)}
	case op.kind != "":
		return map[string]any{"description": op.what, "content": content(op.kind, map[string]any{})}
	}
	return map[string]any{"description": op.what, "content": content("application/json", s.ref(op.out, false))}
}

func content(kind string, schema map[string]any) map[string]any {
	return map[string]any{kind: map[string]any{"schema": schema}}
}

// operationID is the route as one word: get_devices_ref.
func operationID(r Route) string {
	path := strings.TrimPrefix(r.Path, "/api/v1/")
	return strings.ToLower(r.Method) + "_" + strings.Trim(strings.NewReplacer("/", "_", "{", "", "}", "", ".", "_", "-", "_").Replace(path), "_")
}

// pathWords say what stands in the place of a path's value.
var pathWords = map[string]string{
	"ref":    "A device by id, Name, serial or shown code; a version as NAME, NAME@NUMBER or NAME@LABEL.",
	"image":  "Name of an image.",
	"id":     "Id of a job, of a deployment, of a session or of a rule.",
	"name":   "Its name.",
	"number": "Number of a notice.",
	"key":    "Fingerprint of a key.",
}
