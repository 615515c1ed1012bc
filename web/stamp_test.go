package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

// stamps notes what an act was stamped with.
type stamps struct {
	rest
	got []store.Stamp
}

func (s *stamps) Deploy(ctx context.Context, _ string, _ store.Order) (store.JobView, error) {
	s.got = append(s.got, store.StampOf(ctx))
	return store.JobView{}, nil
}

func TestAnActCarriesItsIdAndTheViewThatItWasDecidedOn(t *testing.T) {
	b := &stamps{}
	a := &web.API{Bench: b}
	send := func(key, match string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/api/v1/deploys", strings.NewReader(`{"device":"LT-7","image":"sales"}`))
		r.Header.Set("Idempotency-Key", key)
		r.Header.Set("If-Match", match)
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r.WithContext(web.WithActor(r.Context(), web.Actor{Name: "anna", Right: store.Administrator})))
		return w
	}
	for _, c := range []struct {
		key, match string
		want       store.Stamp
	}{
		{"", "", store.Stamp{}},
		{"4f2a-77e1-order", "", store.Stamp{Request: "4f2a-77e1-order"}},
		{"4f2a-77e1-order", "17", store.Stamp{Request: "4f2a-77e1-order", Revision: 17}},
		{"", `"17"`, store.Stamp{Revision: 17}},
	} {
		b.got = nil
		if w := send(c.key, c.match); w.Code != http.StatusOK || len(b.got) != 1 || b.got[0] != c.want {
			t.Errorf("%q %q: status %d, stamps %+v; want %+v", c.key, c.match, w.Code, b.got, c.want)
		}
	}
	b.got = nil
	for _, bad := range [][2]string{{"short", ""}, {strings.Repeat("a", 65), ""}, {"a b c d e f", ""}, {"../../../etc", ""}, {"", "-1"}, {"", "*"}, {"", "99999999999999999999999"}} {
		w := send(bad[0], bad[1])
		if f := refusal(t, w); f.Code != job.CodeBadRequest || w.Code != http.StatusBadRequest {
			t.Errorf("%q %q: status %d, %v; want 400", bad[0], bad[1], w.Code, f)
		}
	}
	if len(b.got) != 0 {
		t.Error("a request that was not understood was carried out")
	}
}

func (s *stamps) Cancel(ctx context.Context, _ string, _ job.ID) (store.JobView, error) {
	s.got = append(s.got, store.StampOf(ctx))
	return store.JobView{}, nil
}

func TestAStopSaysWhetherAnybodyAgreedToAHalfWrittenDisk(t *testing.T) {
	b := &stamps{}
	a := &web.API{Bench: b}
	for path, want := range map[string]bool{"cancel": false, "cancel?untouched=1": true} {
		b.got = nil
		r := httptest.NewRequest("POST", "/api/v1/jobs/b05b05b05b05b05b/"+path, nil)
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r.WithContext(web.WithActor(r.Context(), web.Actor{Name: "anna", Right: store.Administrator})))
		if w.Code != http.StatusOK || len(b.got) != 1 || b.got[0].Untouched != want {
			t.Errorf("%s: status %d, stamps %+v; want untouched %v", path, w.Code, b.got, want)
		}
	}
}
