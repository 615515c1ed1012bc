package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

// rest is every method that a test does not set; calling one ends the test.
type rest interface{ web.Bench }

// bench is the far side of the API; what a test does not set must not be called.
type bench struct {
	rest
	adopt func(operator string, a store.Adoption) (store.DeviceView, error)
	watch func(func(store.JobView) error) error
}

func (b bench) Adopt(_ context.Context, operator string, a store.Adoption) (store.DeviceView, error) {
	return b.adopt(operator, a)
}

func (b bench) Watch(_ context.Context, _ job.ID, f func(store.JobView) error) error {
	return b.watch(f)
}

// ask sends one request as an operator.
func ask(a *web.API, operator, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/api/v1/"+path, strings.NewReader(body))
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, r.WithContext(web.WithActor(r.Context(), web.Actor{Name: operator, Right: store.Administrator})))
	return w
}

func refusal(t *testing.T, w *httptest.ResponseRecorder) job.Fault {
	t.Helper()
	var r job.Refusal
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatalf("status %d, body %q: %v", w.Code, w.Body, err)
	}
	return r.Fault
}

func TestEveryActCarriesItsOperator(t *testing.T) {
	var who string
	a := &web.API{Bench: bench{adopt: func(operator string, a store.Adoption) (store.DeviceView, error) {
		who = operator
		return store.DeviceView{Device: store.Device{ID: "d", Asset: a.Asset}}, nil
	}}}
	w := ask(a, "anna", "POST", "devices/adopt", `{"code":"ABCD-EFGH","asset":"7"}`)
	if who != "anna" || w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"asset":"7"`) {
		t.Errorf("operator %q, status %d, body %s", who, w.Code, w.Body)
	}
	who = ""
	if w := ask(a, "", "POST", "devices/adopt", `{"code":"ABCD-EFGH"}`); w.Code != http.StatusForbidden || who != "" {
		t.Errorf("nobody: status %d, operator %q; want 403 before the act", w.Code, who)
	}
}

func TestABodyThatIsNotUnderstoodIsRefused(t *testing.T) {
	a := &web.API{Bench: bench{adopt: func(string, store.Adoption) (store.DeviceView, error) {
		t.Error("the act was carried out")
		return store.DeviceView{}, nil
	}}}
	for name, body := range map[string]string{
		"nothing": "", "no JSON": "x", "a list": "[]", "an unknown field": `{"cod":"x"}`, "two values": `{"code":"x"}{}`,
		"a wrong type": `{"code":7}`, "too large": `{"code":"` + strings.Repeat("x", 2<<20) + `"}`,
	} {
		w := ask(a, "anna", "POST", "devices/adopt", body)
		if f := refusal(t, w); w.Code != http.StatusBadRequest || f.Code != job.CodeBadRequest {
			t.Errorf("%s: status %d, %v", name, w.Code, f)
		}
	}
}

func TestARawErrorIsReportedAndNeverShown(t *testing.T) {
	var hidden error
	a := &web.API{Hidden: func(err error) { hidden = err }, Bench: bench{adopt: func(string, store.Adoption) (store.DeviceView, error) {
		return store.DeviceView{}, errors.New("read /var/lib/secret: input/output error")
	}}}
	w := ask(a, "anna", "POST", "devices/adopt", `{}`)
	if strings.Contains(w.Body.String(), "secret") || hidden == nil || w.Code != http.StatusInternalServerError {
		t.Errorf("status %d, body %s, reported %v", w.Code, w.Body, hidden)
	}
}

func TestALongAnswerEndsWithItsOutcomeOrItsFault(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"done":    {nil, "done"},
		"refused": {job.Faultf(job.CodeNotFound, "No job."), "fault"},
		"broken":  {errors.New("x"), "fault"},
	} {
		a := &web.API{Bench: bench{watch: func(f func(store.JobView) error) error {
			return errors.Join(f(store.JobView{Job: store.Job{ID: "j", State: job.Writing}}), c.err)
		}}}
		var keys []string
		for sc := bufio.NewScanner(ask(a, "anna", "GET", "jobs/j/watch", "").Body); sc.Scan(); {
			var line map[string]json.RawMessage
			if err := json.Unmarshal(sc.Bytes(), &line); err != nil || len(line) != 1 {
				t.Fatalf("%s: line %s: %v", name, sc.Bytes(), err)
			}
			for k := range line {
				keys = append(keys, k)
			}
		}
		if got := strings.Join(keys, " "); got != "step "+c.want {
			t.Errorf("%s: lines %q; want step %s", name, got, c.want)
		}
	}
}
