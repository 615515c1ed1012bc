package web_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// TestALinkThatWasMadeAtTheServerStandsOnTheBoard until somebody has seen it.
func TestALinkThatWasMadeAtTheServerStandsOnTheBoard(t *testing.T) {
	p := newPages(t, nil)
	anna := p.operator("anna", store.Technician)
	must(t, p.db.Update(func(tx *store.Tx) error { return tx.AddNotice("root", "root made a link.") }))
	r := anna.get("/")
	if r.StatusCode != http.StatusOK || !strings.Contains(r.body, "root made a link. It was ") || !strings.Contains(r.body, "I have seen it") {
		t.Fatalf("the board: %s %s", r.Status, r.body)
	}
	if v := p.operator("vera", store.Viewer).get("/"); !strings.Contains(v.body, "root made a link.") || strings.Contains(v.body, "I have seen it") {
		t.Error("a viewer reads it, and may not take it away")
	}
	_, rest, _ := strings.Cut(r.body, `action="/notices/`)
	number, _, _ := strings.Cut(rest, "/")
	if r := anna.post("/notices/" + number + "/seen"); r.StatusCode != http.StatusSeeOther {
		t.Fatalf("seen: %s", r.Status)
	}
	if r := anna.get("/"); strings.Contains(r.body, "root made a link.") {
		t.Error("it was seen and stands there still")
	}
}

// TestARegisterThatDoesNotAnswerStandsOnTheBoard: what waits for it is no laptop's trouble, and somebody's all the same.
func TestARegisterThatDoesNotAnswerStandsOnTheBoard(t *testing.T) {
	p := newPages(t, nil)
	anna := p.operator("anna", store.Viewer)
	must(t, p.db.Update(func(tx *store.Tx) error {
		target := store.PushTarget{Name: "itsm", Kind: store.PushHook, URL: "https://itsm.example", Secrets: []store.PushSecret{{Value: "x"}}}
		return firstErr(tx.PutPushTarget(target, "anna"), tx.StopPush("itsm", job.Faultf(job.CodePushGone, "itsm.example answered 410.")))
	}))
	if r := anna.get("/"); !strings.Contains(r.body, "itsm: stopped.") || !strings.Contains(r.body, "/settings/push") {
		t.Errorf("the board: %s %s", r.Status, r.body)
	}
}

// TestTheStreamEndsWithItsSession: who was signed out sees nothing more.
func TestTheStreamEndsWithItsSession(t *testing.T) {
	p := newPages(t, nil)
	anna := p.operator("anna", store.Viewer)
	res, err := anna.client.Get(p.url + "/live")
	must(t, err)
	defer res.Body.Close()
	lines, ended := make(chan string, 1000), make(chan bool)
	go func() { // ends with the stream
		defer close(ended)
		for sc := bufio.NewScanner(res.Body); sc.Scan(); {
			lines <- sc.Text()
		}
	}()
	for until := time.After(5 * time.Second); ; {
		select {
		case l := <-lines:
			if !strings.HasPrefix(l, "event: snapshot") {
				continue
			}
		case <-until:
			t.Fatal("nothing came within 5 s")
		}
		break
	}
	p.set("anna", store.OperatorSet{SignOut: true})
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the stream goes on 5 s after the sign-out")
	}
	if r := p.browser().get("/live"); r.StatusCode != http.StatusSeeOther {
		t.Errorf("a stranger: %s", r.Status)
	}
}
