package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// pushPage is what /settings/push shows.
type pushPage struct {
	Targets []pushTarget
	CSV     store.PushCSV
	Written string // of the CSV file
	Trouble []string

	Secret, SecretOf string            // a webhook's new secret; on this one answer and never again
	Tested           *store.PushTested // the outcome of a test
	Said             string

	Technician, Administrator bool     // what who looks may do
	Form                      pushForm // to enter a target, or to change one
}

// pushTarget is one target with its times as people read them.
type pushTarget struct {
	store.PushView
	Word, Icon                    string // its state, and the sign beside it
	Oldest, Next, Success, Failed string
	Rows                          []pushRow
	More                          int // items beyond those shown
}

type pushRow struct {
	store.PushItem
	Since, Next, Why string
}

// pushForm are the fields of a target as a form has them.
type pushForm struct {
	New    bool
	Kind   store.PushKind
	Name   string
	URL    string
	Plain  bool
	Events string
	Labels []pushField // one for each state
	Fields []pushField // one for each thing that a column may hold
	Create bool
	Model  string
	Models string
	Assign bool
	Hours  string
}

type pushField struct{ Field, Label, Value string }

func (a *API) pushPages(rs *routes) {
	rs.handle("GET /settings/push", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		a.pushPage(w, r, pushPage{Said: pushSaid[r.URL.Query().Get("did")]}, nil)
	})
	rs.handle("POST /settings/push/retry", store.Technician, a.pushAct(func(ctx context.Context, r *http.Request, p *pushPage) error {
		_, err := a.Push.Retry(ctx, operatorOf(r), store.PushRetry{Target: r.PostForm.Get("target"), Key: r.PostForm.Get("key")})
		return err
	}))
	rs.handle("POST /settings/push/test", store.Administrator, a.pushAct(func(ctx context.Context, r *http.Request, p *pushPage) error {
		out, err := a.Push.Test(ctx, operatorOf(r), r.PostForm.Get("target"))
		if p.Said = out.Says; err != nil {
			p.Said = ""
		}
		p.Tested = &out
		return err
	}))
	rs.personal("POST /settings/push/secret", store.Administrator, a.pushAct(func(ctx context.Context, r *http.Request, p *pushPage) error {
		out, err := a.Push.Rotate(ctx, operatorOf(r), r.PostForm.Get("target"))
		p.Secret, p.SecretOf = out.Secret, out.Name
		return err
	}))
	rs.personal("POST /settings/push/remove", store.Administrator, a.pushAct(func(ctx context.Context, r *http.Request, p *pushPage) error {
		name := r.PostForm.Get("target")
		if strings.TrimSpace(r.PostForm.Get("confirm")) != name {
			return job.Faultf(job.CodeTyped, "Type %s to remove it; what waits for it is forgotten.", name)
		}
		return a.Push.Remove(ctx, operatorOf(r), name)
	}))
	rs.personal("POST /settings/push/target", store.Administrator, a.pushAct(func(ctx context.Context, r *http.Request, p *pushPage) error {
		n, err := pushOf(r.PostForm)
		if err != nil {
			return err
		}
		out, err := a.Push.Put(ctx, operatorOf(r), n)
		p.Secret, p.SecretOf = out.Secret, out.Name
		return err
	}))
}

// pushSaid are the sentences about what was done a moment ago, by the form that did it.
var pushSaid = map[string]string{"retry": "It is being sent again.", "remove": "It is removed.", "target": "It is kept."}

// pushAct is a form of the page. What is told only once, and what went wrong, stands on the page that answers; else the
// person is led back, so that loading the page again does nothing again.
func (a *API) pushAct(do func(context.Context, *http.Request, *pushPage) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var p pushPage
		err := r.ParseForm()
		if err != nil {
			err = job.Faultf(job.CodeBadRequest, "The form cannot be read: %s.", job.Reason(err))
		} else {
			err = do(r.Context(), r, &p)
		}
		if err != nil {
			p.Said, p.Secret = "", ""
			a.pushPage(w, r, p, a.fault(err))
			return
		}
		if p.Secret == "" && p.Tested == nil {
			http.Redirect(w, r, "/settings/push?did="+path.Base(r.URL.Path), http.StatusSeeOther)
			return
		}
		a.pushPage(w, r, p, nil)
	}
}

// pushPage shows the page as everything is now.
func (a *API) pushPage(w http.ResponseWriter, r *http.Request, p pushPage, f *job.Fault) {
	s, err := a.pushStatus(r.Context())
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	who := ActorOf(r.Context())
	p.CSV, p.Written, p.Trouble = s.CSV, pushTime(s.CSV.Written), s.Trouble
	p.Technician, p.Administrator = who.Right.Covers(store.Technician), who.Right.Covers(store.Administrator)
	for _, v := range s.Targets {
		p.Targets = append(p.Targets, pushTargetOf(v))
	}
	p.Form = formOf(r, s.Targets, f != nil)
	a.show(w, r, "push", page{Title: "Asset registers and webhooks", Area: "settings", Fault: f, Data: p})
}

func pushTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2 January 2006 15:04:05")
}

// rowsShown bounds the rows of one target on the page.
const rowsShown = 50

func pushTargetOf(v store.PushView) pushTarget {
	t := pushTarget{PushView: v, Oldest: pushTime(v.Oldest), Next: pushTime(v.Next), Success: pushTime(v.Success), Failed: pushTime(v.Failed)}
	switch {
	case v.Stopped != nil:
		t.Word, t.Icon = "stopped", "■"
	case v.Fault != nil:
		t.Word, t.Icon = "does not get through", "▲"
	case v.Dead > 0:
		t.Word, t.Icon = "some could not be sent", "▲"
	case v.Waiting > 0 || v.Unread > 0:
		t.Word, t.Icon = "sending", "➤"
	default:
		t.Word, t.Icon = "all is told", "✔"
	}
	for _, i := range v.Items[:min(len(v.Items), rowsShown)] {
		row := pushRow{PushItem: i, Since: pushTime(i.Created), Next: pushTime(i.Next)}
		if i.Fault != nil {
			row.Why = wordsOf(i.Fault).String()
		}
		t.Rows = append(t.Rows, row)
	}
	t.More = v.Dead + v.Waiting - len(t.Rows)
	return t
}

// formOf fills the form: with what was sent and refused, with the target that is to be changed, or with nothing.
func formOf(r *http.Request, all []store.PushView, refused bool) pushForm {
	if refused && r.URL.Path == "/settings/push/target" {
		return sentForm(r.PostForm)
	}
	q := r.URL.Query()
	for _, v := range all {
		if v.Name == q.Get("target") {
			return viewForm(v)
		}
	}
	kind := store.PushKind(q.Get("new"))
	if kind != store.PushHook {
		kind = store.PushSnipe
	}
	f := viewForm(store.PushView{Kind: kind})
	f.New = true
	return f
}

func viewForm(v store.PushView) pushForm {
	m := v.Snipe
	if m == nil {
		m = &store.SnipeMap{}
	}
	f := pushForm{Kind: v.Kind, Name: v.Name, URL: v.URL, Plain: v.Plain, Events: strings.Join(v.Events, " "), Create: m.Create, Assign: m.Assign, Model: some(m.Model), Hours: some(m.Hours)}
	for _, s := range store.DeviceStates {
		f.Labels = append(f.Labels, pushField{Field: "label-" + string(s), Label: string(s), Value: some(m.Status[s])})
	}
	for _, x := range store.PushFields {
		f.Fields = append(f.Fields, pushField{Field: "column-" + string(x), Label: string(x), Value: m.Columns[x]})
	}
	f.Models = modelLines(m.Models)
	return f
}

func some(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// sentForm is the form as it was sent, without its secret.
func sentForm(sent url.Values) pushForm {
	f := viewForm(store.PushView{Kind: store.PushKind(sent.Get("kind"))})
	f.New, f.Name, f.URL, f.Events, f.Model, f.Models, f.Hours = sent.Get("new") != "", sent.Get("name"), sent.Get("url"), sent.Get("events"), sent.Get("model"), sent.Get("models"), sent.Get("hours")
	f.Plain, f.Create, f.Assign = sent.Has("plain"), sent.Has("create"), sent.Has("assign")
	for _, all := range [][]pushField{f.Labels, f.Fields} {
		for i := range all {
			all[i].Value = sent.Get(all[i].Field)
		}
	}
	return f
}

// pushOf reads the form of a target.
func pushOf(f url.Values) (n store.PushNew, err error) {
	n = store.PushNew{Name: strings.TrimSpace(f.Get("name")), Kind: store.PushKind(f.Get("kind")), URL: f.Get("url"), Plain: f.Has("plain"), Secret: f.Get("secret"),
		Events: strings.Fields(f.Get("events"))}
	if n.Kind != store.PushSnipe {
		return n, nil
	}
	m := &store.SnipeMap{Status: map[store.DeviceState]int{}, Columns: map[store.PushField]string{}, Create: f.Has("create"), Assign: f.Has("assign")}
	for _, s := range store.DeviceStates {
		id, err := wholeNumber(f.Get("label-"+string(s)), "A status label")
		if err != nil {
			return n, err
		}
		if id != 0 {
			m.Status[s] = id
		}
	}
	for _, x := range store.PushFields {
		if c := strings.TrimSpace(f.Get("column-" + string(x))); c != "" {
			m.Columns[x] = c
		}
	}
	if m.Model, err = wholeNumber(f.Get("model"), "A model"); err != nil {
		return n, err
	}
	if m.Hours, err = wholeNumber(f.Get("hours"), "The time in hours"); err != nil {
		return n, err
	}
	m.Models, err = modelsOf(f.Get("models"))
	n.Snipe = m
	return n, err
}

func modelLines(m map[string]int) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s = %d\n", name, m[name])
	}
	return b.String()
}

// modelsOf reads lines as "ThinkPad T14 = 7".
func modelsOf(text string) (map[string]int, error) {
	out := map[string]int{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		i := strings.LastIndexByte(line, '=')
		if i < 0 {
			return nil, job.Faultf(job.CodeBadRequest, "The model line %.60q is not as \"ThinkPad T14 = 7\".", line)
		}
		id, err := wholeNumber(line[i+1:], "A model")
		if err != nil {
			return nil, err
		}
		out[strings.TrimSpace(line[:i])] = id
	}
	return out, nil
}
