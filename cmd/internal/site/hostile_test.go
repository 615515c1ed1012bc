package site_test

import (
	"bytes"
	"context"
	csvreader "encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"ingot/cmd/internal/browser"
	"ingot/cmd/internal/hostile"
	"ingot/cmd/internal/simlaptop"
	"ingot/cmd/internal/site"
	"ingot/imaging"
	"ingot/imaging/agent"
	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/report"
)

// liar is the daemon to a laptop that says what it likes: on its way out each field is another hostile string.
type liar struct {
	agent.Daemon
	n     int
	step  int // from one field's string to the next one's
	words []string
	wait  <-chan struct{} // it stands at its first step until then
}

// every lets the siege take as many laptops as there are strings, so that each field has had each string. Without it some
// laptops bring all strings between them, each field another share.
var every = flag.Bool("every", false, "send every hostile string through every field: 5 minutes longer")

// few is how many laptops bring all strings: each has some fifty fields.
const few = 16

// word is another string for each field of each laptop.
func (l *liar) word(field int) string { return fit(l.words[(l.n+l.step*field)%len(l.words)]) }

// fit cuts a text to what the daemon takes of a laptop at all: what is longer is refused as a whole.
func fit(s string) string { return strings.ToValidUTF8(s[:min(len(s), 300)], "") }

func (l *liar) Hello(ctx context.Context, h job.Hello) (job.HelloReply, error) {
	for i, s := range []*string{&h.Build, &h.Arch, &h.Firmware, &h.Facts.Manufacturer, &h.Facts.Model, &h.Facts.ModelVersion, &h.Facts.Serial, &h.Facts.SKU, &h.Facts.BoardSerial,
		&h.Facts.ChassisSerial, &h.Facts.AssetTag, &h.Drives[0].Model, &h.Drives[0].WWN, &h.Drives[0].Health.Text, &h.Links[0].Name, &h.Links[0].Driver} {
		*s = l.word(i)
	}
	if h.Firmware = "uefi"; l.n%8 != 0 { // an image is for one processor: who names another gets no order
		h.Arch = "x64"
	}
	h.Facts.Serial = l.word(6) + fmt.Sprint("-", l.n) // each is a laptop of its own
	h.Facts.Serial = strings.ToValidUTF8(h.Facts.Serial[max(0, len(h.Facts.Serial)-300):], "")
	h.Drives = append(h.Drives, job.Drive{Path: l.word(20), Serial: l.word(21), Model: l.word(22), Transport: l.word(23), Removable: true, SizeBytes: 1 << 30, SectorSize: 512, Holds: []string{l.word(24), l.word(25)}})
	h.Warnings = []string{l.word(26), l.word(27)}
	h.Keys = &job.Keys{Certs: []job.Cert{{Name: l.word(28), SHA256: l.word(29), Subject: l.word(30)}}}
	return l.Daemon.Hello(ctx, h)
}

// State tells lies beside the first step, stands still for a while, and ends the job with another.
func (l *liar) State(ctx context.Context, id job.ID, e job.StateEvent) (job.Ack, error) {
	if _, err := l.Daemon.State(ctx, id, e); err != nil {
		return job.Ack{}, err
	}
	if _, err := l.Daemon.Progress(ctx, id, job.Progress{Phase: l.word(40), Say: l.word(41) + ": " + l.word(42), TotalBytes: 100, DoneBytes: 50, SecondsLeft: -1}); err != nil {
		return job.Ack{}, err
	}
	select {
	case <-l.wait:
	case <-ctx.Done():
		return job.Ack{}, ctx.Err()
	}
	return job.Ack{}, job.Faultf(job.CodeNoBootPath, "%s", l.word(43))
}

// Result adds to the end what a laptop may tell besides.
func (l *liar) Result(ctx context.Context, id job.ID, r job.Result) (job.Ack, error) {
	r.Fault = &job.Fault{Code: job.CodeReadBack, Fact: l.word(44)}
	r.Found = &job.Found{Holds: []string{l.word(45), l.word(46)}, Health: job.Health{State: job.HealthState(l.word(47)), Text: l.word(48)}, Notes: []string{l.word(49), l.word(50)}}
	r.Proof.Personalised = &job.PersonalisedProof{Files: []job.WrittenFile{{Path: l.word(51), Digest: imaging.Sum(nil)}}}
	r.Proof.Commit = &job.CommitProof{BootEntry: l.word(52)}
	return l.Daemon.Result(ctx, id, r)
}

// post does something over the daemon's own socket.
func post(ctx context.Context, s *site.Site, what string, in any) (status int, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	c := http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.Data, "ingot.sock"))
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://ingot/api/v1/"+what, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// besiege fills a site with hostile strings: laptops with lies in all their fields, each with a job that fails with more
// of them; a supplier's list for each; and an image that is made of all strings.
func besiege(t *testing.T, ctx context.Context, s *site.Site, v store.Version) (release func()) {
	t.Helper()
	begun := time.Now()
	words := hostile.Strings()
	for i, w := range words { // what is no text at all does not leave the laptop: JSON has none
		words[i] = strings.ToValidUTF8(w, "\ufffd")
	}
	must(t, s.Do(ctx, []string{"role", "add", "any", "--image", "sales@1", "--names", "H-{seq:4}"}))
	n, step := few, few
	if *every {
		n, step = len(words), 17
	}
	all, err := s.Fleet(1, n, v)
	must(t, err)
	wait := make(chan struct{})
	for i, l := range all {
		l.Wire = func(d agent.Daemon) agent.Daemon { return &liar{d, i, step, words, wait} }
	}
	stop, err := s.Waiting(ctx, all)
	t.Cleanup(stop)
	must(t, err)
	t.Logf("%d laptops said Hello after %.0f s", len(all), time.Since(begun).Seconds())
	var g errgroup.Group
	g.SetLimit(8)
	for i, l := range all {
		g.Go(func() error {
			adopted, err := post(ctx, s, "devices/adopt", store.Adoption{Code: l.Code, Role: "any", Sticker: fmt.Sprintf("STICK%04d", i)})
			if err != nil || adopted != http.StatusOK {
				adopted, err = post(ctx, s, "devices/adopt", store.Adoption{Code: l.Code, Role: "any"})
			}
			if err != nil || adopted != http.StatusOK {
				return fmt.Errorf("adopt laptop %d: status %d, %w", i, adopted, err)
			}
			for _, row := range []string{fmt.Sprintf("%s,LabCo,M,A-%d,Anna,any,", csv(fmt.Sprintf("%s%d", words[i], i)), 9000+i), fmt.Sprintf("PF%05d,%s,%[2]s,%[2]s,%[2]s,%[2]s,%[2]s", i, csv(words[i]))} {
				if _, err := post(ctx, s, "devices/import", store.List{CSV: []byte("serial,manufacturer,model,asset,owner,role,note\n" + row + "\n")}); err != nil {
					return err // what it refuses is in order
				}
			}
			return nil
		})
	}
	must(t, g.Wait())
	t.Logf("adopted and listed after %.0f s", time.Since(begun).Seconds())
	devices, err := site.Ask[[]store.DeviceView](ctx, s, "devices")
	must(t, err)
	ordered := 0
	for _, d := range devices {
		if d.Live {
			status, err := post(ctx, s, "deploys", store.Order{Device: d.ID, Role: "any"})
			must(t, err)
			if status == http.StatusOK {
				ordered++
			}
		}
	}
	if ordered < n*7/8-1 {
		t.Fatalf("%d of %d laptops got an order", ordered, n)
	}
	packages := map[string]string{}
	for i, w := range words {
		line := strings.NewReplacer("\n", " ", "\r", " ").Replace(w)
		packages["p"+fmt.Sprint(i)+fit(line)] = fit(line)
	}
	_, err = s.Import(ctx, simlaptop.Golden{Software: packages, Pretty: "<script>globalThis.hacked=1</script>\u202e\"' =1+1"}, "hostile", true)
	must(t, err)
	return func() { close(wait) }
}

func csv(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// danger lists what must not be in a page, whatever a laptop is called. It looks at a page that was only parsed: nothing in
// it runs.
const danger = `globalThis.danger = doc => {
	const out = [];
	const own = u => { try { return new URL(u, location.origin).origin === location.origin } catch { return false } };
	for (const e of doc.querySelectorAll("*")) {
		const tag = e.tagName.toLowerCase();
		if (tag === "script" && !/^\/static\//.test(e.getAttribute("src") ?? "")) out.push("a script: " + e.outerHTML.slice(0, 120));
		if (["iframe", "object", "embed", "base", "style", "frame", "math", "video", "audio", "marquee", "plaintext", "xmp", "image"].includes(tag)) out.push("a " + tag);
		if (tag === "meta" && e.httpEquiv) out.push("a meta that acts");
		for (const a of e.attributes) {
			if (/^on/i.test(a.name)) out.push("a handler: " + e.outerHTML.slice(0, 120));
			if (a.name === "style") out.push("a style: " + e.outerHTML.slice(0, 120));
			if (["href", "src", "action", "formaction", "xlink:href", "data", "poster", "srcdoc"].includes(a.name) && !own(a.value)) out.push("it leads away: " + e.outerHTML.slice(0, 120));
		}
	}
	if (/[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/.test(doc.documentElement.textContent)) out.push("marks that turn the reading direction");
	if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/.test(doc.documentElement.textContent)) out.push("control characters");
	if (doc.querySelectorAll("main").length !== 1 || doc.querySelectorAll("h1").length !== 1 || !doc.querySelector("header.top nav")) out.push("the page's frame is broken");
	return out;
}`

// TestHostileStringsDoNothing sends every string of the list through every field that a laptop, a supplier's list, an image
// or a label can set, at the real daemon, and looks at every page with it: nothing runs, nothing leads away, the page's
// frame and its width stay, and what is exported is neutral.
func TestHostileStringsDoNothing(t *testing.T) {
	ctx, s, v, tab := pages(t, simlaptop.Golden{}, store.Administrator)
	release := besiege(t, ctx, s, v)
	look := func(path string) {
		t.Helper()
		for _, size := range sizes {
			must(t, tab.Size(size.w, size.h))
			must(t, tab.Open(path))
			harmless(t, tab, path)
			if wide, err := tab.Overflow(); err != nil || len(wide) > 0 {
				t.Errorf("%s at %dx%d is too wide: %q, %v", path, size.w, size.h, wide, err)
			}
		}
	}
	for _, path := range []string{"/", "/jobs", "/devices", "/devices?page=2"} {
		look(path)
	}
	must(t, tab.Shot(filepath.Join(t.ArtifactDir(), "hostile-devices.png")))
	must(t, tab.Open("/"))
	must(t, tab.Wait("the live board", `document.body.dataset.live > 0`))
	must(t, tab.Shot(filepath.Join(t.ArtifactDir(), "hostile-board.png")))
	harmless(t, tab, "the live board")
	release()
	failed(t, ctx, s)
	must(t, tab.Wait("the failures on the board", `document.querySelectorAll(".tile.red").length > 10`))
	harmless(t, tab, "the board of failures")
	for _, path := range []string{"/", "/jobs?all=1", "/devices?q=state:failed", "/images/hostile/1", "/images/hostile", "/images", "/images/sales/diff?a=1&b=1"} {
		look(path)
	}
	devices, err := site.Ask[[]store.DeviceView](ctx, s, "devices")
	must(t, err)
	var paths []string
	for _, d := range devices {
		paths = append(paths, "/devices/"+d.ID, "/devices/act?do=deploy&device="+d.ID)
	}
	jobs, err := site.Ask[[]store.JobView](ctx, s, "jobs?all=1")
	must(t, err)
	for _, j := range jobs {
		paths = append(paths, "/jobs/"+string(j.ID))
	}
	searchable := hostile.Strings()
	for _, w := range searchable {
		if utf8.ValidString(w) && len(w) < 2000 {
			paths = append(paths, "/devices?q="+escape(w), "/sign-in?next="+escape(w), "/devices/"+escape(w), "/scan?role="+escape(w), "/roles?role="+escape(w))
		}
	}
	fetched(t, tab, paths)
	for i, d := range devices {
		if i%8 == 0 {
			look("/devices/" + d.ID)
		}
	}
	exported(t, tab)
	scanned(t, tab, searchable)
	pasted(t, tab, searchable)
	for _, u := range tab.Asked() {
		if strings.Contains(u, "//"+hostile.Host) {
			t.Errorf("the browser asked %s", u)
		}
	}
}

// failed waits until every job has ended.
func failed(t *testing.T, ctx context.Context, s *site.Site) {
	t.Helper()
	for {
		jobs, err := site.Ask[[]store.JobView](ctx, s, "jobs")
		must(t, err)
		if len(jobs) == 0 {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// harmless looks at the page that is open, with its scripts running.
func harmless(t *testing.T, tab *browser.Tab, where string) {
	t.Helper()
	if hacked, err := browser.Eval[bool](tab, `"hacked" in globalThis`); err != nil || hacked {
		t.Errorf("%s: a string has run: %v, %v", where, hacked, err)
	}
	found, err := browser.Eval[[]string](tab, danger+`; danger(document)`)
	must(t, err)
	for _, f := range found[:min(len(found), 5)] {
		t.Errorf("%s: %s", where, f)
	}
	for _, odd := range tab.Odd() {
		t.Errorf("%s: %s", where, odd)
	}
}

// fetched lets the page fetch many others and look at each without running it.
func fetched(t *testing.T, tab *browser.Tab, paths []string) {
	t.Helper()
	must(t, tab.Open("/jobs"))
	_, err := browser.Eval[bool](tab, danger+`; true`)
	must(t, err)
	tried := 0
	for group := range slices.Chunk(paths, 40) {
		list, err := json.Marshal(group)
		must(t, err)
		found, err := browser.Eval[[]string](tab, `(async () => {
			const out = [];
			for (const p of `+string(list)+`) {
				const r = await fetch(p);
				if (r.status >= 500) out.push(p + ": status " + r.status);
				const kind = r.headers.get("content-type") ?? "";
				if (!kind.startsWith("text/html")) { if (!kind.startsWith("application/json")) out.push(p + ": " + kind); continue; }
				for (const d of danger(new DOMParser().parseFromString(await r.text(), "text/html"))) out.push(p.slice(0, 200) + ": " + d);
			}
			return out;
		})()`)
		must(t, err)
		for _, f := range found {
			t.Error(f)
		}
		tried += len(group)
	}
	t.Logf("%d pages were fetched and looked at", tried)
}

// exported reads everything that leaves for a spreadsheet: no cell is a formula there.
func exported(t *testing.T, tab *browser.Tab) {
	t.Helper()
	paths := []string{"/api/v1/push/devices.csv"}
	for _, k := range report.Kinds {
		if !slices.Contains(k.Asks, "device") {
			paths = append(paths, "/api/v1/reports/"+k.Name+"?format=csv")
		}
	}
	cells, held := 0, 0
	for _, p := range paths {
		text, err := browser.Eval[string](tab, `fetch(`+strconv.Quote(p)+`).then(r => r.ok ? r.text() : "status " + r.status)`)
		must(t, err)
		r := csvreader.NewReader(strings.NewReader(text))
		r.FieldsPerRecord = -1
		rows, err := r.ReadAll()
		if err != nil || strings.HasPrefix(text, "status ") {
			t.Errorf("%s: %v, %.100q", p, err, text)
			continue
		}
		for _, row := range rows {
			for _, c := range row {
				if cells++; len(c) > 1 && c[0] == '\'' && strings.ContainsRune("=+-@", rune(c[1])) {
					held++
				}
				if c != "" && strings.ContainsRune("=+-@\t\r", rune(c[0])) {
					t.Errorf("%s: a cell begins a formula: %.80q", p, c)
				}
			}
		}
	}
	if cells < 500 || held == 0 {
		t.Errorf("%d cells were exported, of which %d would have been formulas", cells, held)
	}
	t.Logf("%d cells of %d exports are neutral, %d would have been formulas", cells, len(paths), held)
}

// scanned gives every string to the scan box, as a label may hold it.
func scanned(t *testing.T, tab *browser.Tab, words []string) {
	t.Helper()
	must(t, tab.Open("/scan?start=1"))
	want, different := 0, map[string]bool{}
	for _, w := range words {
		if strings.TrimSpace(w) == "" || !utf8.ValidString(w) {
			continue
		}
		different[strings.ToLower(strings.TrimSpace(w))] = true
		text, err := json.Marshal(w)
		must(t, err)
		_, err = browser.Eval[bool](tab, `(() => { document.querySelector("#scan").value = `+string(text)+`; document.querySelector("#scanform").requestSubmit(); return true })()`)
		must(t, err)
		want++
	}
	answered(t, tab, want)
	if n, err := browser.Eval[int](tab, `document.querySelectorAll("#scans li").length`); err != nil || n < len(different)*9/10 {
		t.Errorf("%d different labels made %d lines, %v", len(different), n, err) // some are cut at their line's end by the box
	}
	harmless(t, tab, "the scan page")
	for _, size := range sizes {
		must(t, tab.Size(size.w, size.h))
		if wide, err := tab.Overflow(); err != nil || len(wide) > 0 {
			t.Errorf("the scan page at %dx%d is too wide: %q, %v", size.w, size.h, wide, err)
		}
	}
	must(t, tab.Shot(filepath.Join(t.ArtifactDir(), "hostile-scan.png")))
	t.Logf("%d labels were scanned", want)
}

// pasted gives a list of nothing but bad lines to the settings page, which shows them.
func pasted(t *testing.T, tab *browser.Tab, words []string) {
	t.Helper()
	must(t, tab.Open("/settings"))
	lines := []string{"serial,manufacturer,model,asset,owner,role,note"}
	for _, w := range words {
		if utf8.ValidString(w) && len(w) < 500 {
			lines = append(lines, csv(w)+","+csv(w)+","+csv(w)+","+csv(w)+","+csv(w)+","+csv(w)+","+csv(w))
		}
	}
	text, err := json.Marshal(strings.Join(lines, "\n"))
	must(t, err)
	_, err = browser.Eval[bool](tab, `(() => { document.querySelector("textarea[name=lines]").value = `+string(text)+`; return true })()`)
	must(t, err)
	must(t, tab.Go(`form[action$="/settings/list"] button`))
	must(t, tab.Sees("Lines that cannot be taken"))
	harmless(t, tab, "the bad lines")
	for _, size := range sizes {
		must(t, tab.Size(size.w, size.h))
		if wide, err := tab.Overflow(); err != nil || len(wide) > 0 {
			t.Errorf("the bad lines at %dx%d are too wide: %q, %v", size.w, size.h, wide, err)
		}
	}
}

// answered waits until each of many scans has its answer: each is a record that is kept, one after another.
func answered(t *testing.T, tab *browser.Tab, want int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); ; {
		open, err := browser.Eval[int](tab, `[...document.querySelectorAll("#scans li strong")].filter(e => e.parentElement.classList.contains("grey")).length`)
		must(t, err)
		if open == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d scans have no answer", open, want)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
