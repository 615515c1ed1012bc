package push

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ingot/imaging/job"
)

// snipe speaks to one Snipe-IT.
type snipe struct {
	http  *http.Client
	base  string // https://assets.example/api/v1
	token string
	agent string
	pace  *pace
}

// apiBase is the address of the API, whether an administrator named it or the site.
func apiBase(u string) string {
	return strings.TrimSuffix(strings.TrimRight(u, "/"), "/api/v1") + "/api/v1"
}

// call sends one request, and decodes a success into out.
func (s *snipe) call(ctx context.Context, method, path string, body, out any) error {
	if err := s.pace.wait(ctx); err != nil {
		return err
	}
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, s.base+"/"+path, bytes.NewReader(b))
	if err != nil {
		return fail(hold, job.CodePushAddress, "%.100q is no URL.", s.base)
	}
	r.Header.Set("Accept", "application/json") // without it a refusal is a redirect to a page
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("User-Agent", s.agent)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	a, err := do(s.http, r, mostAnswer)
	if err != nil {
		return err
	}
	return judgeSnipe(r.URL.Host, a, out, time.Now())
}

// judgeSnipe says what an answer means, and decodes a success into out. The status alone means little: errors come with
// 200, refusals as a redirect to the sign-in page.
func judgeSnipe(host string, a answer, out any, now time.Time) error {
	var said struct {
		Status     string          `json:"status"`
		Messages   json.RawMessage `json:"messages"`
		Message    string          `json:"message"`
		Error      string          `json:"error"`
		RetryAfter float64         `json:"retryAfter"`
		StatusCode int             `json:"status_code"`
	}
	broken := json.Unmarshal(a.body, &said) != nil && !isList(a.body)
	words := messages(said.Messages)
	switch {
	case a.status == http.StatusTooManyRequests, said.StatusCode == http.StatusTooManyRequests, said.Status == "error" && throttled(words):
		f := &failure{kind: hold, fault: job.Faultf(job.CodePushBusy, "%s: %s", host, cmpWords(words, said.Message))}
		f.after = max(retryAfter(a.header, now), time.Duration(min(said.RetryAfter, mostBusy.Seconds())*float64(time.Second)), saysSeconds(words))
		f.after = min(max(f.after, leastBusy), mostBusy)
		return f
	case a.status >= 300 && a.status < 400:
		return &failure{kind: hold, fault: redirected(host, a)}
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return fail(hold, job.CodePushRefused, "%s answered %d: %s", host, a.status, cmpWords(words, said.Message, said.Error))
	case a.status >= 500:
		return fail(hold, job.CodePushSilent, "%s answered %d.", host, a.status)
	case a.status == http.StatusNotFound:
		return fail(never, job.CodePushAbsent, "%s answered 404: %s", host, cmpWords(words, said.Message))
	case broken:
		return fail(hold, job.CodePushAnswer, "%s answered %d with something that is not JSON.", host, a.status)
	case said.Status == "error":
		return fail(never, job.CodePushSaid, "%s", cmpWords(words, "It gives no reason."))
	case a.status >= 400:
		return fail(never, job.CodePushSaid, "%s answered %d: %s", host, a.status, cmpWords(words, said.Message, said.Error))
	case a.status < 200:
		return fail(hold, job.CodePushAnswer, "%s answered %d.", host, a.status)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return fail(hold, job.CodePushAnswer, "%s answered with something else than was asked for: %s.", host, job.Reason(err))
	}
	return nil
}

// How long a register that is asked too much is left alone. One version of Snipe-IT asks for eleven years.
const (
	leastBusy = 10 * time.Second
	mostBusy  = time.Hour
)

func isList(b []byte) bool {
	var list []json.RawMessage
	return json.Unmarshal(b, &list) == nil
}

// mostWords bounds what is read of an error's words, in bytes.
const mostWords = 32 << 10

// messages reads what an error says: a text, a number, a list, or a list for each field.
func messages(raw json.RawMessage) string {
	if len(raw) > mostWords {
		return ""
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return message(raw)
	}
	var out []string
	for _, n := range slices.Sorted(maps.Keys(fields)) {
		out = append(out, n+": "+message(fields[n]))
	}
	return strings.Join(out, " ")
}

// message is what is said about one field: a text, a number or a list of texts.
func message(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var number json.Number
	if json.Unmarshal(raw, &number) == nil {
		return number.String()
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return strings.Join(list, " ")
	}
	return ""
}

func throttled(words string) bool {
	return words == "429" || strings.HasPrefix(strings.ToLower(words), "too many requests")
}

var seconds = regexp.MustCompile(`\b(\d{1,9}) seconds`)

func saysSeconds(words string) time.Duration {
	if m := seconds.FindStringSubmatch(words); m != nil {
		n, _ := strconv.Atoi(m[1]) // nine digits fit
		return time.Duration(n) * time.Second
	}
	return 0
}

// cmpWords is the first text that says something, as one sentence.
func cmpWords(texts ...string) string {
	for _, t := range texts {
		if t = strings.TrimSpace(html.UnescapeString(t)); t != "" {
			return strings.TrimSuffix(t, ".") + "."
		}
	}
	return "no reason."
}

// asset is what a Snipe-IT keeps about one thing. Its texts come escaped for HTML.
type asset struct {
	ID       int             `json:"id"`
	Name     escaped         `json:"name"`
	Tag      escaped         `json:"asset_tag"`
	Serial   escaped         `json:"serial"`
	Model    *named          `json:"model"`
	Status   *named          `json:"status_label"`
	Assigned *person         `json:"assigned_to"`
	Deleted  json.RawMessage `json:"deleted_at"`
	Custom   customs         `json:"custom_fields"`
}

type named struct {
	ID   int     `json:"id"`
	Name escaped `json:"name"`
	Type string  `json:"status_type"`
}

// person is a user, or a place or a thing that has the asset.
type person struct {
	ID       int     `json:"id"`
	Name     escaped `json:"name"`
	Username escaped `json:"username"`
	Email    escaped `json:"email"`
	Number   escaped `json:"employee_num"`
	Type     string  `json:"type"`
}

// gone reports whether the asset lies in the register's bin: it is answered by its id all the same.
func (a asset) gone() bool {
	return len(a.Deleted) > 0 && string(a.Deleted) != "null" && string(a.Deleted) != `""`
}

// escaped is a text as people wrote it. In the answer it is escaped for HTML, may be null, and a number.
type escaped string

// UnmarshalJSON implements json.Unmarshaler.
func (e *escaped) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case string:
		*e = escaped(strings.TrimSpace(html.UnescapeString(v)))
	case float64, bool:
		*e = escaped(strings.TrimSpace(string(b)))
	case map[string]any: // a date
		date, _ := v["date"].(string)
		*e = escaped(date)
	}
	return nil
}

// custom is one custom field of an asset.
type custom struct {
	Column string  `json:"field"`
	Value  escaped `json:"value"`
	Format string  `json:"field_format"`
}

// customs are an asset's custom fields by their column. The answer has them by their label, and as an empty list where
// there is none.
type customs map[string]custom

// UnmarshalJSON implements json.Unmarshaler.
func (c *customs) UnmarshalJSON(b []byte) error {
	*c = customs{}
	var byLabel map[string]custom
	if isList(b) || string(b) == "null" {
		return nil
	}
	if err := json.Unmarshal(b, &byLabel); err != nil {
		return err
	}
	for _, f := range byLabel {
		(*c)[f.Column] = f
	}
	return nil
}

// page is a list of the API.
type page[T any] struct {
	Total int `json:"total"`
	Rows  []T `json:"rows"`
}

// mostRows is the largest page that a Snipe-IT gives.
const mostRows = "500"

// bySerial lists the assets that have exactly this serial. Its comparison is not ours: it may answer with others.
func (s *snipe) bySerial(ctx context.Context, serial string) ([]asset, error) {
	var got page[asset]
	err := s.call(ctx, http.MethodGet, "hardware/byserial/"+url.PathEscape(serial), nil, &got)
	if unknownAsset(err) {
		return nil, nil
	}
	return withSerial(got.Rows, serial), err
}

// search lists the assets with this serial in another way. That nothing is found by serial comes as an error in words of
// the site's language, as any other error; here nothing is an empty list.
func (s *snipe) search(ctx context.Context, serial string) ([]asset, error) {
	var got page[asset]
	err := s.call(ctx, http.MethodGet, "hardware?limit="+mostRows+"&search="+url.QueryEscape(serial), nil, &got)
	return withSerial(got.Rows, serial), err
}

func withSerial(all []asset, serial string) []asset {
	return slices.DeleteFunc(all, func(a asset) bool {
		return a.ID == 0 || a.gone() || !strings.EqualFold(string(a.Serial), strings.TrimSpace(serial))
	})
}

// unknownAsset reports whether an error may say that an asset is not there: an error without a map of fields.
func unknownAsset(err error) bool {
	if err == nil {
		return false
	}
	f := failureOf(err)
	return f.fault.Code == job.CodePushSaid || f.fault.Code == job.CodePushAbsent
}

// byTag gives the asset with this tag; false when there is none.
func (s *snipe) byTag(ctx context.Context, tag string) (a asset, ok bool, err error) {
	err = s.call(ctx, http.MethodGet, "hardware/bytag/"+url.PathEscape(tag), nil, &a)
	if unknownAsset(err) {
		return a, false, nil
	}
	return a, a.ID != 0 && !a.gone() && strings.EqualFold(string(a.Tag), strings.TrimSpace(tag)), err
}

// byID reads an asset again.
func (s *snipe) byID(ctx context.Context, id int) (a asset, ok bool, err error) {
	err = s.call(ctx, http.MethodGet, "hardware/"+strconv.Itoa(id), nil, &a)
	if unknownAsset(err) {
		return a, false, nil
	}
	return a, a.ID == id && !a.gone(), err
}

// user finds the one person that a name means: by full name, user name, address or number.
func (s *snipe) user(ctx context.Context, name string) (person, error) {
	var got page[person]
	if err := s.call(ctx, http.MethodGet, "users?limit="+mostRows+"&search="+url.QueryEscape(name), nil, &got); err != nil {
		return person{}, err
	}
	found := slices.DeleteFunc(got.Rows, func(u person) bool {
		return !slices.ContainsFunc([]escaped{u.Name, u.Username, u.Email, u.Number}, func(e escaped) bool { return strings.EqualFold(string(e), name) })
	})
	if len(found) != 1 {
		return person{}, fail(never, job.CodePushConflict, "%d people of the register are called %q.", len(found), name)
	}
	return found[0], nil
}
