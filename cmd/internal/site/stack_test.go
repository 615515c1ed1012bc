package site_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"ingot/cmd/internal/simlaptop"
	"ingot/cmd/internal/site"
	"ingot/imaging/job"
	"ingot/store"
)

// TestAStackOfFiftyIsScannedOverARestart: fifty laptops one after another, some twice, and the server is killed while
// they are taken. Each is ordered once, in the order of the scans, and the board of somebody else comes back by itself.
func TestAStackOfFiftyIsScannedOverARestart(t *testing.T) {
	const n = 50
	ctx, s, v, tab := pages(t, simlaptop.Golden{}, store.Technician)
	wall := person(t, s, "wall", store.Viewer)
	must(t, s.Do(ctx, []string{"role", "add", "sales", "--image", "sales", "--names", "LT-{seq:3}"}))
	all := waiting(t, s, n, v, func(l *site.Laptop) { l.Link = 1 << 10 })
	must(t, wall.Open("/"))
	must(t, wall.Wait("the live board", `document.body.dataset.live > 0 && document.querySelectorAll(".tile").length === 50`))
	must(t, tab.Open("/scan?role=sales&start=1"))
	for i, l := range all {
		must(t, tab.Scan(l.Serial()))
		if i%5 == 4 {
			must(t, tab.Scan(strings.ToLower(all[i-2].Serial()))) // the same once more
		}
		if i == 25 {
			must(t, s.Kill())
			must(t, wall.Wait("that it is not connected", `!document.querySelector("#offline").hidden`))
		}
	}
	must(t, s.Daemon.Start(ctx))
	answered(t, tab, n)
	if blue, err := tab.Count("#scans li.blue"); err != nil || blue != n {
		t.Errorf("%d of %d were ordered, %v", blue, n, err)
	}
	if rows, err := tab.Count("#scans li"); err != nil || rows != n {
		t.Errorf("%d rows, %v; want one for each laptop", rows, err)
	}
	jobs, err := site.Ask[[]store.JobView](ctx, s, "jobs?all=1")
	must(t, err)
	if len(jobs) != n {
		t.Errorf("%d orders; want %d", len(jobs), n)
	}
	for i, l := range all {
		d, err := s.Device(ctx, l.Serial())
		must(t, err)
		if want := fmt.Sprintf("LT-%03d", i+1); d.Name != want {
			t.Errorf("%s, scanned as number %d, is %s", l.Serial(), i+1, d.Name)
		}
	}
	must(t, wall.Wait("the board as it is now, by itself", `document.querySelector("#offline").hidden && document.querySelectorAll(".tile").length === 50 && [...document.querySelectorAll(".tile .name")].every(e => e.innerText.startsWith("LT-"))`))
}

var hidden = regexp.MustCompile(`name="(key|revision)" value="([^"]*)"`)

// formOn reads a page and gives what stands hidden in the form that acts on path.
func formOn(t *testing.T, c *http.Client, pages, page, path string, more ...string) url.Values {
	t.Helper()
	resp, err := c.Get(pages + page)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	_, form, ok := strings.Cut(string(text), `action="`+path+`"`)
	if !ok {
		t.Fatalf("%s has no form for %s: %s", page, path, resp.Status)
	}
	form, _, _ = strings.Cut(form, "</form>")
	out := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(form, -1) {
		out.Set(m[1], m[2])
	}
	for i := 0; i < len(more); i += 2 {
		out.Set(more[i], more[i+1])
	}
	return out
}

// answer is what came of a form.
type answer struct {
	status int
	path   string // where it led
	text   string
}

func sendForm(c *http.Client, to string, form url.Values) (a answer, err error) {
	resp, err := c.PostForm(to, form)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Request.URL.Path, string(text)}, err
}

// TestOneDeviceIsOrderedOnce over real connections: by two people at the same moment, by a form that is sent twice, and by
// a page that has grown old. There is one job, and whoever was second reads who was first and when.
func TestOneDeviceIsOrderedOnce(t *testing.T) {
	ctx, s, v := begin(t, simlaptop.Golden{})
	all, err := s.Fleet(1, 1, v)
	must(t, err)
	stop, err := s.Waiting(ctx, all)
	must(t, err)
	stop() // its order waits for it
	must(t, s.Do(ctx, []string{"device", "adopt", all[0].Code, "--name", "LT-1"}))
	d, err := s.Device(ctx, "LT-1")
	must(t, err)
	page, act := "/devices/"+d.ID, "/devices/"+d.ID+"/deploy"
	names := []string{"berta", "carl"}
	var people []*http.Client
	for _, name := range names {
		link, err := s.Link(ctx, name, store.Technician)
		must(t, err)
		c, err := site.Visitor(ctx, s.Pages, link, name)
		must(t, err)
		people = append(people, c)
	}
	old := formOn(t, people[1], s.Pages, page, act, "image", "image:sales@1") // a page that somebody leaves open
	for round := range 5 {
		forms := []url.Values{formOn(t, people[0], s.Pages, page, act, "image", "image:sales@1"), formOn(t, people[1], s.Pages, page, act, "image", "image:sales@1")}
		var got [2]answer
		var errs [2]error
		var both sync.WaitGroup
		for i := range people {
			both.Go(func() { got[i], errs[i] = sendForm(people[i], s.Pages+act, forms[i]) })
		}
		both.Wait()
		must(t, errs[0])
		must(t, errs[1])
		first := 0
		if !strings.HasPrefix(got[0].path, "/jobs/") {
			first = 1
		}
		second := got[1-first]
		if !strings.HasPrefix(got[first].path, "/jobs/") || second.status != http.StatusConflict {
			t.Fatalf("round %d: the answers are %d at %s and %d at %s", round, got[0].status, got[0].path, got[1].status, got[1].path)
		}
		for _, want := range []string{string(job.CodeBusy), names[first], " ago"} {
			if !strings.Contains(second.text, want) {
				t.Errorf("round %d: the second person does not read %q: %s", round, want, alertOf(second.text))
			}
		}
		again, err := sendForm(people[first], s.Pages+act, forms[first]) // the same form once more
		must(t, err)
		if again.path != got[first].path {
			t.Errorf("round %d: sent twice, it leads to %s and %s", round, got[first].path, again.path)
		}
		late, err := sendForm(people[1], s.Pages+act, old)
		must(t, err)
		if late.status != http.StatusConflict || !strings.Contains(late.text, names[first]) {
			t.Errorf("round %d: the old page: %d, %s", round, late.status, alertOf(late.text))
		}
		jobs, err := site.Ask[[]store.JobView](ctx, s, "jobs?all=1")
		must(t, err)
		if len(jobs) != round+1 {
			t.Fatalf("round %d: %d jobs", round, len(jobs))
		}
		must(t, s.Do(ctx, []string{"job", "cancel", strings.TrimPrefix(got[first].path, "/jobs/"), "--yes"}))
	}
	late, err := sendForm(people[1], s.Pages+act, old) // free again, and still not what the page had shown
	must(t, err)
	if late.status != http.StatusConflict || !strings.Contains(late.text, string(job.CodeStale)) || !strings.Contains(late.text, " ago") {
		t.Errorf("the old page: %d, %s", late.status, alertOf(late.text))
	}
}

// alertOf is what a page says went wrong.
func alertOf(text string) string {
	_, text, _ = strings.Cut(text, `role="alert"`)
	text, _, _ = strings.Cut(text, "</div>")
	return text
}
