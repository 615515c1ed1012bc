package web_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// TestRenameCaptureAndBackupAreOrderedOnThePage, as plain forms: each makes the order that its words say.
func TestRenameCaptureAndBackupAreOrderedOnThePage(t *testing.T) {
	f := newFloor(t)
	f.deployed("PF3AAAA1")
	id, p := f.device("PF3AAAA1").ID, f.person("berta", store.Technician)
	order := func(act string, want func(store.JobView) bool, more ...string) {
		t.Helper()
		to := "/devices/" + id + "/" + act
		got := p.post(to, p.form(p.get("/devices/"+id), to, more...))
		wantLed(t, act, got, "/jobs/")
		j := f.device(id).Job
		if j == nil {
			t.Fatalf("%s made nothing", act)
		}
		if j.Operator != "berta" || !want(*j) {
			t.Errorf("%s made %+v", act, j)
		}
		_, err := f.s.Cancel(context.Background(), "anna", j.ID)
		must(t, err)
	}
	order("rename", func(j store.JobView) bool { return j.Kind == job.Rename && j.DeviceName == "DESK-12" }, "name", "DESK-12")
	order("capture", func(j store.JobView) bool {
		return j.Kind == job.Capture && j.Capture.Image == "sales" && j.Capture.Note == "with the new printer" && !j.Capture.Backup && j.After == job.Reset
	}, "image", "sales", "label", "2026-12", "note", "with the new printer", "after", "reset")
	page := p.get("/devices/" + id)
	_, rest, _ := strings.Cut(page.body, `name="backup" value="1"`) // the second form to this address
	page.body = `action="x"` + rest
	form := p.form(page, "x", "days", "30", "backup", "1")
	wantLed(t, "backup", p.post("/devices/"+id+"/capture", form), "/jobs/")
	if j := f.device(id).Job; j == nil || j.Kind != job.Capture || !j.Capture.Backup || j.Capture.Days != 30 || j.After != job.PowerOff {
		t.Errorf("a backup made %+v", j)
	}
	taken := p.post("/devices/"+id+"/rename", p.form(p.get("/devices/"+id), "/devices/"+id+"/set", "name", "DESK-13"))
	wantPage(t, "while it has a job", taken, http.StatusConflict, string(job.CodeBusy), "berta")
}

// TestWhatIsDoneWithTickedRows besides to deploy and to wipe: an owner, a return, a loss, a stop. What is refused for one
// is done for the others.
func TestWhatIsDoneWithTickedRows(t *testing.T) {
	f := newFloor(t)
	f.deployed("PF3AAAA1")
	f.deployed("PF3AAAA2")
	f.adopted("PF3AAAA3")
	one, two, three := f.device("PF3AAAA1").ID, f.device("PF3AAAA2").ID, f.device("PF3AAAA3").ID
	p := f.person("berta", store.Technician)
	do := func(act, says string, ids []string, more ...string) {
		t.Helper()
		ask := p.get("/devices/act?" + url.Values{"do": {act}, "device": ids}.Encode())
		wantPage(t, act, ask, http.StatusOK, "PF3AAAA")
		wantPage(t, act+" done", p.post("/devices/act", p.form(ask, "/devices/act", more...)), http.StatusOK, says)
	}
	do("owner", "2 done, 0 refused", []string{one, two}, "owner", "Anna Berg")
	for _, id := range []string{one, two} {
		if d := f.device(id); d.Owner != "Anna Berg" {
			t.Errorf("%s is of %q", d.Label(), d.Owner)
		}
	}
	do("owner", "1 done, 1 refused", []string{one, three}, "owner", "Bo Berg") // one has an owner, and no reason is given
	if a, b := f.device(one).Owner, f.device(three).Owner; a != "Anna Berg" || b != "Bo Berg" {
		t.Errorf("the owners are %q and %q", a, b)
	}
	_, err := f.s.Deploy(context.Background(), "carl", store.Order{Device: three, Role: "sales"})
	must(t, err)
	do("stop", "1 done, 1 refused", []string{one, three})
	if d := f.device(three); d.Job != nil || d.State != store.Ready {
		t.Errorf("%s is %s, job %+v; want its job stopped", d.Label(), d.State, d.Job)
	}
	do("return", "1 done, 1 refused", []string{one, three}, "from", "Anna Berg", "note", "a new one came")
	if d := f.device(one); d.State != store.Returned || d.Returned.From != "Anna Berg" || d.Returned.By != "berta" || d.Owner != "" {
		t.Errorf("%s is %s of %q, %+v", d.Label(), d.State, d.Owner, d.Returned)
	}
	do("lost", "1 done, 0 refused", []string{two}, "tell", "the porter")
	if d := f.device(two); d.State != store.Lost || d.Lost.Tell != "the porter" || d.Lost.By != "berta" {
		t.Errorf("%s is %s, %+v", d.Label(), d.State, d.Lost)
	}
}

// TestAJobThatWritesIsNotStoppedByATick: that leaves a laptop that does not start, and is asked on its own page.
func TestAJobThatWritesIsNotStoppedByATick(t *testing.T) {
	f := newFloor(t)
	l := f.adopted("PF3AAAA1")
	_, err := f.s.Deploy(context.Background(), "anna", store.Order{Device: "PF3AAAA1", Role: "sales"})
	must(t, err)
	l.take()
	l.reach(job.Writing)
	p := f.person("berta", store.Technician)
	ask := p.get("/devices/act?do=stop&device=" + f.device("PF3AAAA1").ID)
	wantPage(t, "a stop", p.post("/devices/act", p.form(ask, "/devices/act")), http.StatusOK, "0 done, 1 refused")
	if j := f.device("PF3AAAA1").Job; j == nil || j.CancelBy != "" {
		t.Errorf("the job is %+v; want it left alone", j)
	}
}

// TestAVersionIsRetiredReleasedAgainAndGivenUpOnItsPage: by an image manager, and given up only by its name typed.
func TestAVersionIsRetiredReleasedAgainAndGivenUpOnItsPage(t *testing.T) {
	f := newFloor(t)
	p := f.person("ida", store.ImageManager)
	act := func(what, on, act string, more ...string) page {
		t.Helper()
		return p.post(on+"/"+act, p.form(p.get(on), on+"/"+act, more...))
	}
	is := func(number int) (v store.VersionView) {
		all, err := f.api.Shelf.Images(context.Background())
		must(t, err)
		for _, v := range all {
			if v.Image == "sales" && v.Number == number {
				return v
			}
		}
		return v
	}
	wantLed(t, "retired", act("retire", "/images/sales/1", "retire", "reason", "an old driver"), "/images/sales/1?said=retired")
	wantPage(t, "retired", p.get("/images/sales/1"), http.StatusOK, "retired", "an old driver", "Release it again")
	wantLed(t, "released again", act("release", "/images/sales/1", "release", "reason", "the new one fails"), "/images/sales/1?said=released")
	if v := is(1); v.State != store.Released {
		t.Errorf("it is %s; want released again", v.State)
	}
	wantLed(t, "retired", act("retire", "/images/sales/1", "retire"), "/images/sales/1?said=retired")
	wantPage(t, "typed wrongly", act("delete", "/images/sales/1", "delete", "reason", "room", "typed", "sales@2"), http.StatusConflict, string(job.CodeTyped))
	if is(1).Deleted {
		t.Fatal("it was given up by another one's name")
	}
	wantLed(t, "given up", act("delete", "/images/sales/1", "delete", "reason", "room", "typed", "sales@1"), "/images/sales/1?said=deleted")
	if v := is(1); !v.Deleted || v.State != store.Retired {
		t.Errorf("it is %s, given up: %v", v.State, v.Deleted)
	}
}

// TestAQuarantineIsSettledOnThePageInEachWay that makes one record of two: the same laptop, whose board was replaced, and
// a drive that has moved. While both run, nobody makes one of them.
func TestAQuarantineIsSettledOnThePageInEachWay(t *testing.T) {
	for _, as := range []string{store.AsSame, store.AsMoved} {
		f := newFloor(t)
		l := f.deployed("PF3AAAA1")
		known := f.device("PF3AAAA1").ID
		other := &laptop{f: f, hello: l.hello}
		other.hello.Facts.UUID = uuidFor("another board")
		p := f.person("berta", store.Technician)
		settled := func() page {
			other.boot()
			id := regexp.MustCompile(`href="/devices/([a-z0-9]{12})"`).FindStringSubmatch(p.get("/devices?q=state:quarantined").body)
			if id == nil {
				t.Fatal("nothing is in quarantine")
			}
			to := "/devices/" + id[1] + "/settle"
			return p.post(to, p.form(p.get("/devices/"+id[1]), to, "as", as, "with", known))
		}
		wantPage(t, as+" while both run", settled(), http.StatusBadRequest, string(job.CodeSettle), "they are two")
		f.update(func(tx *store.Tx) error { // the one of before was switched off an hour ago
			a, err := tx.Agent(l.key)
			must(t, err)
			a.Started = a.Started.Add(-time.Hour)
			return tx.PutAgent(a)
		})
		f.stop()
		f.start()
		if got := settled(); got.to != "/devices/"+known+"?said=settled" {
			t.Fatalf("%s: status %d, led to %q; want the record that was known\n%s", as, got.status, got.to, mainOf(got))
		}
		all, err := f.s.Devices(context.Background())
		must(t, err)
		if d := f.device(known); len(all) != 1 || d.State != store.Deployed || d.Holds == nil || d.Conflict != "" || d.UUID != uuidFor("another board") {
			t.Errorf("%s left %d records; it is %s, %q, UUID %s", as, len(all), d.State, d.Conflict, d.UUID)
		}
	}
}
