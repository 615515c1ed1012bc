package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// wantPage checks an answer: its status, and what stands on it.
func wantPage(t *testing.T, what string, p page, status int, has ...string) {
	t.Helper()
	if p.status != status {
		t.Errorf("%s: status %d; want %d\n%s", what, p.status, status, mainOf(p))
		return
	}
	for _, s := range has {
		if !strings.Contains(p.body, s) {
			t.Errorf("%s: %q does not stand on the page\n%s", what, s, mainOf(p))
		}
	}
}

// wantLed checks that a form was taken: the browser is led to another page.
func wantLed(t *testing.T, what string, p page, to string) {
	t.Helper()
	if p.status != http.StatusSeeOther || !strings.HasPrefix(p.to, to) {
		t.Errorf("%s: status %d to %q; want to be led to %s\n%s", what, p.status, p.to, to, mainOf(p))
	}
}

var tag = regexp.MustCompile(`<[^>]*>`)

// mainOf is the text of a page, for a failed test.
func mainOf(p page) string {
	_, s, ok := strings.Cut(p.body, "<main")
	if !ok {
		s = p.body
	}
	s = strings.Join(strings.Fields(tag.ReplaceAllString(s, " ")), " ")
	return s[:min(len(s), 900)]
}

func (f *floor) jobs() []store.JobView {
	f.t.Helper()
	all, err := f.s.Jobs(context.Background(), true)
	must(f.t, err)
	return all
}

func TestOfTwoPeopleOneIsFirstAndTheOtherReadsWho(t *testing.T) {
	f := newFloor(t)
	f.adopted("PF3AAAA1")
	id := f.device("PF3AAAA1").ID
	people := []*person{f.person("berta", store.Technician), f.person("carl", store.Technician)}
	var forms []url.Values
	for _, p := range people {
		forms = append(forms, p.form(p.get("/devices/"+id), "/devices/"+id+"/deploy", "image", "role:sales"))
	}
	var answers [2]page
	var wg sync.WaitGroup
	for i, p := range people {
		wg.Go(func() { answers[i] = p.post("/devices/"+id+"/deploy", forms[i]) })
	}
	wg.Wait()
	first, second := 0, 1
	if answers[0].status != http.StatusSeeOther {
		first, second = 1, 0
	}
	wantLed(t, "the first", answers[first], "/jobs/")
	wantPage(t, "the second", answers[second], http.StatusConflict, string(job.CodeBusy), "by "+people[first].name, " ago", "sales@2 as LT-F3AAAA1")
	if n := len(f.jobs()); n != 1 {
		t.Errorf("%d jobs; want 1", n)
	}
}

func TestAFormThatIsSentTwiceHasOneEffect(t *testing.T) {
	f := newFloor(t)
	f.adopted("PF3AAAA1")
	id, p := f.device("PF3AAAA1").ID, f.person("berta", store.Technician)
	form := p.form(p.get("/devices/"+id), "/devices/"+id+"/deploy", "image", "role:sales")
	one, two := p.post("/devices/"+id+"/deploy", form), p.post("/devices/"+id+"/deploy", form)
	wantLed(t, "the first press", one, "/jobs/")
	if two.to != one.to {
		t.Errorf("the second press leads to %q, status %d; want %q", two.to, two.status, one.to)
	}
	if n := len(f.jobs()); n != 1 {
		t.Errorf("%d jobs; want 1", n)
	}
}

// TestAPageThatIsOldDecidesNothing: what was on it when it was loaded is not so any more.
func TestAPageThatIsOldDecidesNothing(t *testing.T) {
	f := newFloor(t)
	f.adopted("PF3AAAA1")
	id, p := f.device("PF3AAAA1").ID, f.person("berta", store.Technician)
	old := p.form(p.get("/devices/"+id), "/devices/"+id+"/deploy", "image", "role:sales")
	owner := "Anna Berg"
	_, err := f.s.SetDevice(context.Background(), "carl", id, store.Correction{Owner: &owner})
	must(t, err)
	wantPage(t, "the old page", p.post("/devices/"+id+"/deploy", old), http.StatusConflict, string(job.CodeStale), "set by carl", "Anna Berg", " ago")
	if n := len(f.jobs()); n != 0 {
		t.Errorf("%d jobs; want none", n)
	}
	again := p.form(p.get("/devices/"+id), "/devices/"+id+"/deploy", "image", "role:sales")
	wantLed(t, "the page as it is now", p.post("/devices/"+id+"/deploy", again), "/jobs/")
}

// TestNoDataIsLostWithoutTheSerialTyped: a laptop in use is imaged again only by who typed its serial and said that the
// data was saved.
func TestNoDataIsLostWithoutTheSerialTyped(t *testing.T) {
	f := newFloor(t)
	f.deployed("PF3AAAA1")
	id, p := f.device("PF3AAAA1").ID, f.person("berta", store.Technician)
	shown := p.get("/devices/" + id)
	wantPage(t, "the page", shown, http.StatusOK, "Everything on its drive is destroyed", "Type the serial")
	for what, more := range map[string][]string{
		"another serial":          {"saved", "1", "typed", "PF3AAAA2"},
		"nothing typed":           {"saved", "1"},
		"the name of the image":   {"saved", "1", "typed", "sales"},
		"its name":                {"saved", "1", "typed", f.device("PF3AAAA1").Name}, // enough at a terminal, where it is typed anyway
		"the data was not saved":  {"typed", "PF3AAAA1"},
		"neither typed nor saved": {},
	} {
		got := p.post("/devices/"+id+"/deploy", p.form(shown, "/devices/"+id+"/deploy", append(more, "image", "image:sales@1")...))
		if got.status < 400 || len(f.jobs()) != 1 || !strings.Contains(got.body, string(job.CodeTyped)) && !strings.Contains(got.body, string(job.CodeUnconfirmed)) {
			t.Errorf("%s: status %d, %d jobs; want a refusal\n%s", what, got.status, len(f.jobs()), mainOf(got))
		}
		if strings.Contains(got.body, "--data-saved") || strings.Contains(got.body, "ingot capture") {
			t.Errorf("%s: the page tells what to type at a terminal", what)
		}
	}
	bare := url.Values{"image": {"image:sales@1"}} // without what the page's form asks
	if got := p.post("/devices/"+id+"/deploy", bare); got.status != http.StatusConflict || !strings.Contains(got.body, string(job.CodeUnconfirmed)) {
		t.Errorf("a form without its fields: status %d", got.status)
	}
	wantLed(t, "typed as it is", p.post("/devices/"+id+"/deploy", p.form(shown, "/devices/"+id+"/deploy", "image", "image:sales@1", "saved", "1", "typed", " pf3aaaa1 ")), "/jobs/")
}

// TestTwelveTickedRowsAreOneConfirmation that names count, serials and what is lost.
func TestTwelveTickedRowsAreOneConfirmation(t *testing.T) {
	f := newFloor(t)
	q := url.Values{"do": {"deploy"}}
	for i := range 12 {
		serial := fmt.Sprintf("PF3BBB%02d", i)
		if i < 2 {
			f.deployed(serial)
		} else {
			f.adopted(serial)
		}
		q.Add("device", f.device(serial).ID)
	}
	p := f.person("berta", store.Technician)
	ask := p.get("/devices/act?" + q.Encode())
	wantPage(t, "the confirmation", ask, http.StatusOK, "Deploy: 12 laptops", "PF3BBB00", "PF3BBB11", "2 laptops are in use", "sales@2 since")
	before := len(f.jobs())
	for what, more := range map[string][]string{"11": {"saved", "1", "typed", "11"}, "nothing": {"saved", "1"}, "not saved": {"typed", "12"}, "a serial": {"saved", "1", "typed", "PF3BBB00"}} {
		got := p.post("/devices/act", p.form(ask, "/devices/act", append(more, "image", "role:sales")...))
		wantPage(t, "typed "+what, got, http.StatusConflict, string(job.CodeTyped))
	}
	if n := len(f.jobs()); n != before {
		t.Fatalf("%d jobs were made by refused confirmations", n-before)
	}
	form := p.form(ask, "/devices/act", "image", "role:sales", "saved", "1", "typed", "12")
	wantPage(t, "done", p.post("/devices/act", form), http.StatusOK, "12 done, 0 refused")
	wantPage(t, "sent again", p.post("/devices/act", form), http.StatusOK, "12 done, 0 refused")
	if n := len(f.jobs()) - before; n != 12 {
		t.Errorf("%d jobs; want 12", n)
	}
	wantPage(t, "nothing ticked", p.get("/devices/act?do=deploy"), http.StatusBadRequest, string(job.CodeNobody))
	wantPage(t, "all of a search", p.get("/devices/act?do=owner&all=1&q=serial:PF3BBB"), http.StatusOK, "Set the owner: 12 laptops")
	wantPage(t, "nothing that can be done", p.get("/devices/act?do=format&all=1"), http.StatusBadRequest, string(job.CodeBadRequest))
}

// TestOneRefusedLaptopKeepsNoOtherFromItsOrder, and the page says which and why.
func TestOneRefusedLaptopKeepsNoOtherFromItsOrder(t *testing.T) {
	f := newFloor(t)
	f.adopted("PF3AAAA1")
	f.adopted("PF3AAAA2")
	_, err := f.s.Deploy(context.Background(), "carl", store.Order{Device: "PF3AAAA1", Role: "sales"})
	must(t, err)
	p := f.person("berta", store.Technician)
	ask := p.get("/devices/act?" + url.Values{"do": {"deploy"}, "device": {f.device("PF3AAAA1").ID, f.device("PF3AAAA2").ID}}.Encode())
	wantPage(t, "the outcome", p.post("/devices/act", p.form(ask, "/devices/act", "image", "own")), http.StatusOK, "1 done, 1 refused", "by carl", string(job.CodeBusy))
}

func TestARaisedListMakesLaptopsThatWaitForOnePress(t *testing.T) {
	f := newFloor(t)
	p := f.person("berta", store.Technician)
	got := p.post("/settings/list", p.form(p.get("/settings"), "/settings/list", "lines", "serial,manufacturer,asset tag,owner,role\nPF3CCCC1,LENOVO,00815,Anna,sales\n"))
	wantPage(t, "the list", got, http.StatusOK, "1 new, 0 filled in")
	bad := p.post("/settings/list", url.Values{"lines": {"serial,manufacturer,role\nPF3CCCC2,LENOVO,nobody\n"}})
	wantPage(t, "a bad list", bad, http.StatusBadRequest, string(job.CodeListRefused), "There is no role", "nothing of the list was imported")
	wantPage(t, "nothing chosen", p.post("/settings/list", url.Values{}), http.StatusBadRequest, string(job.CodeBadRequest))
	l := f.laptop("PF3CCCC1")
	board := p.get("/")
	wantPage(t, "the board", board, http.StatusOK, "is ready for the role sales", "Start PF3CCCC1")
	form := p.form(board, "/deploy")
	wantLed(t, "one press", p.post("/deploy", form), "/?said=ordered")
	l.take()
	l.finish()
	wantPage(t, "the board afterwards", p.get("/"), http.StatusOK, "LT-F3CCCC1", ">done<")
	if d := f.device("PF3CCCC1"); d.Asset != "00815" || d.Owner != "Anna" || d.State != store.Deployed {
		t.Errorf("device %+v", d.Device)
	}
}

// TestEveryPageOpensForWhoeverMayOpenIt, and offers nobody a form that he may not send.
func TestEveryPageOpensForWhoeverMayOpenIt(t *testing.T) {
	f := newFloor(t)
	deployed := f.deployed("PF3AAAA1")
	f.laptop("PF3AAAA2")
	failed := f.adopted("PF3AAAA3")
	for _, l := range []*laptop{failed} {
		_, err := f.s.Deploy(context.Background(), "anna", store.Order{Device: l.hello.Facts.Serial, Role: "sales"})
		must(t, err)
		l.take()
		l.reach(job.Writing)
		l.fail(job.CodeDriveWrite, "At byte 7.")
	}
	f.adopted("PF3AAAA4")
	_, err := f.s.Deploy(context.Background(), "anna", store.Order{Device: "PF3AAAA4", Role: "sales"})
	must(t, err)
	f.cameBack("PF3AAAA5")
	paths := []string{"/certificates", "/certificates/verify", "/certificates/" + f.destroyed("PF3AAAA6"), "/", "/devices", "/devices?q=state:failed", "/jobs", "/jobs?all=1", "/jobs/" + string(deployed.job.ID), "/images", "/images/sales", "/images/sales/1", "/images/dev/1", "/roles", "/settings"}
	for _, s := range []string{"PF3AAAA1", "PF3AAAA2", "PF3AAAA3", "PF3AAAA4", "PF3AAAA5", "PF3AAAA6"} {
		paths = append(paths, "/devices/"+f.device(s).ID)
	}
	inline := regexp.MustCompile(`(?i)<style|style="|<script(?:>| [^>]*[^"]>)|\son[a-z]+="|javascript:`)
	action := regexp.MustCompile(`action="([^"]+)" method="post"`)
	routes := f.api.Routes()
	for _, right := range store.Rights {
		p := f.person("olga", right)
		for _, path := range append(paths, "/scan", "/scan?role=sales&start=1") {
			got := p.get(path)
			if strings.HasPrefix(path, "/scan") && right == store.Viewer {
				wantPage(t, "scan by a viewer", got, http.StatusForbidden, string(job.CodePolicy))
				continue
			}
			wantPage(t, path+" by a "+string(right), got, http.StatusOK, "olga")
			if m := inline.FindString(got.body); m != "" {
				t.Errorf("%s has something inline: %q", path, m)
			}
			for _, m := range action.FindAllStringSubmatch(got.body, -1) {
				need, ok := rightOf(routes, m[1])
				if !ok {
					t.Errorf("%s has a form to %s, which nothing answers", path, m[1])
				} else if !right.Covers(need) {
					t.Errorf("%s shows a %s the form to %s, which needs %s", path, right, m[1], need)
				}
			}
		}
	}
}

func TestImagesAreReleasedWithdrawnAndRolledBackFromTheirPages(t *testing.T) {
	f := newFloor(t)
	p := f.person("ida", store.ImageManager)
	led := func(what, page, action string, more ...string) {
		t.Helper()
		wantLed(t, what, p.post(action, p.form(p.get(page), action, more...)), page+"?said=")
	}
	led("a note", "/images/dev/1", "/images/dev/1/note", "note", "for developers")
	led("a release", "/images/dev/1", "/images/dev/1/release")
	wantPage(t, "released", p.get("/images/dev/1"), http.StatusOK, "current: laptops receive it", "for developers")
	led("a way back", "/images/sales", "/images/sales/rollback", "to", "0", "reason", "the printer driver")
	wantPage(t, "rolled back", p.get("/images/sales"), http.StatusOK, "the printer driver", "rollback")
	again := p.post("/images/sales/rollback", p.form(p.get("/images/sales"), "/images/sales/rollback", "to", "0", "reason", "once more"))
	wantPage(t, "back a second time", again, http.StatusConflict, string(job.CodeVersionState), "by ida")
	got := p.post("/images/sales/2/withdraw", p.form(p.get("/images/sales/2"), "/images/sales/2/withdraw", "reason", "a key in it", "typed", "sales@1"))
	wantPage(t, "typed wrongly", got, http.StatusConflict, string(job.CodeTyped))
	led("withdrawn", "/images/sales/2", "/images/sales/2/withdraw", "reason", "a key in it", "typed", "sales@2")
	wantPage(t, "withdrawn", p.get("/images/sales/2"), http.StatusOK, "withdrawn", "a key in it")
	led("a cadence", "/images/sales", "/images/sales/cadence", "days", "30")
	wantPage(t, "no such version", p.get("/images/sales/9"), http.StatusNotFound, string(job.CodeNotFound))
	wantPage(t, "no such image", p.get("/images/nothing"), http.StatusNotFound, string(job.CodeNotFound))
}

// TestAQuarantineIsSettledWithBothClaimsShown: the person sees what the laptop tells and what the record says.
func TestAQuarantineIsSettledWithBothClaimsShown(t *testing.T) {
	f := newFloor(t)
	f.deployed("PF3AAAA1")
	other := &laptop{f: f, hello: f.laptop("PF3DDDD9").hello}
	other.hello.Facts.Serial, other.hello.Facts.UUID = "PF3AAAA1", uuidFor("another board")
	other.boot()
	p := f.person("berta", store.Technician)
	list := p.get("/devices?q=state:quarantined")
	id := regexp.MustCompile(`href="/devices/([a-z0-9]{12})"`).FindStringSubmatch(list.body)
	if id == nil {
		t.Fatalf("nothing is in quarantine\n%s", mainOf(list))
	}
	shown := p.get("/devices/" + id[1])
	wantPage(t, "the quarantine", shown, http.StatusOK, "Which laptop is this?", uuidFor("PF3AAAA1"), uuidFor("another board"), "LT-F3AAAA1")
	wantPage(t, "the board", p.get("/"), http.StatusOK, "Settle it", job.WordWhich)
	wantLed(t, "settled", p.post("/devices/"+id[1]+"/settle", p.form(shown, "/devices/"+id[1]+"/settle", "as", store.AsTwo)), "/devices/")
	if got := p.get("/devices?q=state:quarantined"); !strings.Contains(got.body, "No device is like that") {
		t.Errorf("still in quarantine\n%s", mainOf(got))
	}
}

func TestADeviceIsCorrectedAndKeepsItsOldEntries(t *testing.T) {
	f := newFloor(t)
	f.deployed("PF3AAAA1")
	id, p := f.device("PF3AAAA1").ID, f.person("berta", store.Technician)
	set := "/devices/" + id + "/set"
	wantLed(t, "a first tag", p.post(set, p.form(p.get("/devices/"+id), set, "serial", "PF3AAAA1", "asset", "00815", "owner", "Anna", "note", "")), "/devices/"+id)
	noWhy := p.post(set, p.form(p.get("/devices/"+id), set, "serial", "PF3AAAA1", "asset", "00999", "owner", "Anna", "note", ""))
	wantPage(t, "replaced without a reason", noWhy, http.StatusBadRequest, "say why", `value="00999"`)
	wantLed(t, "replaced", p.post(set, p.form(p.get("/devices/"+id), set, "serial", "PF3AAAA1", "asset", "00999", "owner", "Anna", "note", "", "reason", "a new sticker")), "/devices/"+id)
	wantPage(t, "what was", p.get("/devices/"+id), http.StatusOK, "00815", "00999", "a new sticker")
	f.adopted("PF3BBBB2")
	other := "/devices/" + f.device("PF3BBBB2").ID
	taken := p.post(other+"/set", p.form(p.get(other), other+"/set", "serial", "PF3BBBB2", "asset", "00999", "owner", "", "note", ""))
	wantPage(t, "a tag that is taken", taken, http.StatusConflict, string(job.CodeTaken))
	if d := f.device("PF3BBBB2"); d.Asset != "" {
		t.Errorf("the other device has the tag %q too", d.Asset)
	}
	wantPage(t, "a device that is none", p.post("/devices/nobody/set", url.Values{"asset": {"1"}}), http.StatusNotFound, string(job.CodeNotFound))
	lost := "/devices/" + id + "/lost"
	wantLed(t, "lost", p.post(lost, p.form(p.get("/devices/"+id), lost, "tell", "the porter")), "/devices/"+id)
	back := "/devices/" + id + "/return"
	wantLed(t, "found", p.post(back, p.form(p.get("/devices/"+id), back, "from", "the porter")), "/devices/"+id)
	if d := f.device(id); d.State != store.Returned || d.Owner != "" {
		t.Errorf("device is %s of %q", d.State, d.Owner)
	}
}

// TestAJobThatHasWrittenIsStoppedOnlyByTheSerial: the laptop does not start afterwards.
func TestAJobThatHasWrittenIsStoppedOnlyByTheSerial(t *testing.T) {
	f := newFloor(t)
	l := f.adopted("PF3AAAA1")
	_, err := f.s.Deploy(context.Background(), "anna", store.Order{Device: "PF3AAAA1", Role: "sales"})
	must(t, err)
	l.take()
	p := f.person("berta", store.Technician)
	stop := "/jobs/" + string(l.job.ID) + "/stop"
	before := p.form(p.get("/jobs/"+string(l.job.ID)), stop)
	l.reach(job.Writing)
	wantPage(t, "a page from before the first write", p.post(stop, before), http.StatusConflict, string(job.CodeStale))
	now := p.get("/jobs/" + string(l.job.ID))
	wantPage(t, "now", now, http.StatusOK, "half written")
	wantPage(t, "a wrong serial", p.post(stop, p.form(now, stop, "typed", "PF3AAAA2")), http.StatusConflict, string(job.CodeTyped))
	wantLed(t, "the serial", p.post(stop, p.form(now, stop, "typed", "PF3AAAA1")), "/jobs/"+string(l.job.ID))
	wantPage(t, "afterwards", p.get("/jobs/"+string(l.job.ID)), http.StatusOK, "berta wishes it to stop")
}

func TestTheBenchIsOpenedAndClosed(t *testing.T) {
	f := newFloor(t)
	p := f.person("berta", store.Technician)
	wantLed(t, "closed", p.post("/bench/close", p.form(p.get("/"), "/bench/close")), "/?said=closed")
	wantPage(t, "closed", p.get("/"), http.StatusOK, "The bench is closed", "Open it for 4 hours")
	wantLed(t, "opened", p.post("/bench/open", url.Values{"hours": {"2"}, "back": {"https://evil.example/"}}), "/?said=opened")
	b, err := f.s.Bench(context.Background())
	must(t, err)
	if left := time.Until(b.OpenUntil); left < 119*time.Minute || left > 2*time.Hour || b.By != "berta" {
		t.Errorf("open for %s by %s; want 2 h by berta", left, b.By)
	}
	wantPage(t, "for ever", p.post("/bench/open", url.Values{"hours": {"9999"}}), http.StatusBadRequest, "at most 168 hours")
	wantPage(t, "no number", p.post("/bench/open", url.Values{"hours": {"four"}}), http.StatusBadRequest, "whole number")
	admin := f.person("adam", store.Administrator)
	wantLed(t, "the policy", admin.post("/settings/auto-deploy", url.Values{"role": {"sales"}, "hours": {"2"}, "count": {"3"}}), "/settings?said=auto")
	wantPage(t, "the policy is shown", p.get("/"), http.StatusOK, "get the role sales by themselves")
	wantPage(t, "a policy without end", admin.post("/settings/auto-deploy", url.Values{"role": {"sales"}, "count": {"3"}}), http.StatusBadRequest, "1 to 168 hours")
	wantLed(t, "off", admin.post("/settings/auto-deploy", url.Values{"off": {"1"}}), "/settings?said=auto-off")
}

func TestASearchThatIsWrongShowsNoDevice(t *testing.T) {
	f := newFloor(t)
	f.adopted("PF3AAAA1")
	p := f.person("vera", store.Viewer)
	got := p.get("/devices?q=stat%3Afailed")
	wantPage(t, "a search that is wrong", got, http.StatusBadRequest, string(job.CodeSearch))
	if strings.Contains(mainOf(got), "PF3AAAA1") {
		t.Error("it shows devices that nobody asked for")
	}
	wantPage(t, "a path that is none", p.get("/nothing"), http.StatusNotFound, string(job.CodeNotFound), "<h1>")
	wantLed(t, "a device by its serial", p.get("/devices/pf3aaaa1"), "/devices/"+f.device("PF3AAAA1").ID)
	if got := p.get("/?said=" + url.QueryEscape("<b>you won</b>")); strings.Contains(got.body, "you won") {
		t.Error("a link puts words on the page")
	}
}
