package e2e

import (
	"context"
	"errors"
	"fmt"
	neturl "net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"ingot/cmd/internal/browser"
	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/store"
)

// apiRefuses tries the same over HTTPS: with a technician's token, with one that only reads, and with none.
func (g *gate) apiRefuses(ctx context.Context) error {
	serial := g.laptop.Serial
	dev, err := g.d.device(ctx, serial)
	if err != nil {
		return err
	}
	reads, err := newAPIClient(ctx, g.d, "reader", store.Viewer)
	if err != nil {
		return err
	}
	stranger := &apiClient{http: reads.http}
	right := store.WipeOrder{Device: dev.ID, Confirm: serial}
	for _, try := range []struct {
		as   *apiClient
		path string
		body any
		code job.Code
	}{
		{g.api, "deploys", store.Order{Device: dev.ID, Role: "sales", DataSaved: true, Confirm: serial}, job.CodeReturned},
		{g.api, "devices/" + dev.ID + "/ready", store.Disposal{Confirm: serial}, job.CodeOwed},
		{g.api, "devices/" + dev.ID + "/dispose", store.Disposal{Confirm: serial}, job.CodeOwed},
		{g.api, "wipes", store.WipeOrder{Device: dev.ID, Confirm: dev.Name}, job.CodeWrongSerial},
		{g.api, "wipes", store.WipeOrder{Device: serial}, job.CodeWrongSerial},
		{g.api, "drives/destroyed", store.Destruction{Device: dev.ID, Drive: gateDrive, Confirm: gateDrive, Method: "shredded", Why: "dead", Place: "here", By: "K. Ott", Witness: "K.  OTT", Reference: "R-1"}, job.CodeDestruction},
		{reads, "wipes", right, job.CodePolicy},
		{reads, "devices/" + dev.ID + "/dispose", store.Disposal{Confirm: serial}, job.CodePolicy},
		{stranger, "wipes", right, job.CodeSignedOut},
	} {
		if err := try.as.refusedBy(ctx, try.path, try.body, try.code); err != nil {
			return err
		}
		g.e.Say("POST /api/v1/%s: %s", try.path, try.code)
	}
	return g.untouched(ctx)
}

// pageRefuses presses what the page offers; then sends what it does not offer, as a page that is old or forged would; and
// scans the sticker where a scan orders an image.
func (g *gate) pageRefuses(ctx context.Context) error {
	at, serial := g.at[g.laptop.Serial], g.laptop.Serial
	if err := inOrder(
		func() error { return g.tab.Open(at) },
		func() error { return g.shows(`form[action$="/deploy"], form[action$="/ready"]`, 0) },
		func() error { return g.disposes(at, serial) },
		func() error { return g.tab.Sees(string(job.CodeOwed)) },
	); err != nil {
		return err
	}
	id := strings.TrimPrefix(at, "/devices/")
	for _, try := range []struct {
		path string
		form neturl.Values
		says string
	}{
		{at + "/ready", neturl.Values{"typed": {serial}}, string(job.CodeOwed)},
		{at + "/deploy", neturl.Values{"image": {"image:sales"}, "saved": {"1"}, "typed": {serial}, "asked": {"1"}}, string(job.CodeReturned)},
		{"/deploy", neturl.Values{"device": {id}}, string(job.CodeReturned)},
		{"/devices/act", neturl.Values{"do": {"deploy"}, "device": {id}, "image": {"image:sales"}, "typed": {serial}, "saved": {"1"}}, string(job.CodeReturned)},
	} {
		text, err := g.sends(try.path, try.form)
		if err != nil || !strings.Contains(text, try.says) {
			return fmt.Errorf("the form %s %v: %w, want %s: %.2000q", try.path, try.form, err, try.says, text)
		}
		g.e.Say("page: a form to %s: %s", strings.ReplaceAll(try.path, id, "ID"), try.says)
	}
	return inOrder(
		func() error { return g.tab.Open("/scan?role=sales&start=1") },
		func() error { return g.tab.Scan(serial) },
		func() error { return g.tab.Sees("It is returned: open its page.") },
		func() error { return g.untouched(ctx) },
	)
}

func (g *gate) shows(css string, want int) error {
	n, err := g.tab.Count(css)
	if err != nil {
		return err
	}
	return same("what matches "+css, n, want)
}

// sends posts a form from within the page, with the session of who sits there.
func (g *gate) sends(path string, form neturl.Values) (string, error) {
	return browser.Eval[string](g.tab, fmt.Sprintf(`fetch(%s, {method: "POST", body: new URLSearchParams(%s)}).then(r => r.text())`, strconv.Quote(path), strconv.Quote(form.Encode())))
}

func (g *gate) disposes(at, serial string) error {
	return inOrder(
		func() error { return g.tab.Open(at) },
		func() error { return g.tab.Click(`#dispose > summary`) },
		func() error { return g.tab.Fill(`form[action$="/dispose"] input[name="typed"]`, serial) },
		func() error { return g.tab.Go(`form[action$="/dispose"] button`) },
	)
}

// deadLeaves takes the laptop that does not start any more out of the house, by its page and nothing else.
func (g *gate) deadLeaves(ctx context.Context) error {
	serial, at := g.dead.Serial(), g.at[g.dead.Serial()]
	if err := inOrder(
		func() error { return g.disposes(at, serial) },
		func() error { return g.tab.Sees(string(job.CodeOwed)) },
		func() error { return g.tab.Open(at) },
		func() error { return g.tab.Click(`#destroyed > summary`) },
	); err != nil {
		return err
	}
	drive := g.dead.Drive.Serial
	for _, f := range [][2]string{{"drive", drive}, {"typed", drive}, {"method", "shredded"}, {"why", "it does not start"}, {"place", "the vendor's"}, {"by", "Karl Ott"}, {"witness", "Eva Lang"}, {"reference", "R-77"}} {
		if err := g.tab.Fill(`form[action$="/destroyed"] input[name="`+f[0]+`"]`, f[1]); err != nil {
			return err
		}
	}
	if err := inOrder(
		func() error { return g.tab.Go(`form[action$="/destroyed"] button`) },
		func() error { return g.tab.Sees("The end of the drive is on record") },
		func() error { return g.tab.Open(at) },
		func() error { return g.tab.Fill(`form[action$="/dispose"] input[name="typed"]`, serial) },
		func() error { return g.tab.Go(`form[action$="/dispose"] button`) },
		func() error { return g.tab.Sees("It has left") },
		func() error { return g.tab.Open("/certificates") },
		func() error { return g.tab.Sees("D-000001") },
	); err != nil {
		return err
	}
	list, err := g.tab.Text("table")
	if err != nil {
		return err
	}
	dev, err := g.d.device(ctx, serial)
	if err != nil {
		return err
	}
	g.e.Say("%s is %s by its page alone; the list says %q", serial, dev.State, strings.Join(strings.Fields(list), " "))
	return checks(same("the dead laptop", dev.State, store.Disposed), that(strings.Contains(list, "destroyed") && !strings.Contains(list, "wiped"), "the list says %q", list), g.licences(ctx, 1))
}

const gateTyped, gatePress = `form[action$="/wipe"] input[name="typed"]`, `form[action$="/wipe"] button.danger`

// wrongSerials types what is not the serial of this laptop: its name, its drive's serial, and another laptop's.
func (g *gate) wrongSerials(ctx context.Context) error {
	for _, wrong := range []string{"LT-AB06", gateDrive, g.dead.Serial(), g.laptop.Serial + "0"} {
		if err := inOrder(
			func() error { return g.tab.Open(g.at[g.laptop.Serial]) },
			func() error { return g.tab.Fill(gateTyped, wrong) },
			func() error { return g.tab.Go(gatePress) },
			func() error { return g.tab.Sees(string(job.CodeWrongSerial)) },
		); err != nil {
			return err
		}
		g.e.Say("in the browser: %q was refused with %s", wrong, job.CodeWrongSerial)
	}
	dev, err := g.d.device(ctx, g.laptop.Serial)
	if err != nil {
		return err
	}
	jobs, err := g.d.jobsOf(ctx, dev.ID)
	if err != nil {
		return err
	}
	g.e.Say("no wipe is ordered: its one job is %s", jobs[0].What())
	return checks(same("jobs", len(jobs), 1), same("the job", jobs[0].Kind, job.Deploy), same("the device", dev.State, store.Returned))
}

// isWipedByThePage types the right serial, watches the laptop from the page of its job, and looks at the certificate.
func (g *gate) isWipedByThePage(ctx context.Context) error {
	if err := inOrder(
		func() error { return g.tab.Open(g.at[g.laptop.Serial]) },
		func() error { return g.shot("device") },
		func() error { return g.tab.Fill(gateTyped, g.laptop.Serial) },
		func() error { return g.tab.Go(gatePress) },
		func() error { return g.tab.Sees("Its drives") },
	); err != nil {
		return err
	}
	path, err := g.tab.Path()
	if err != nil {
		return err
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(path, "/jobs/"), "?")
	g.id = job.ID(id)
	g.laptop.Drives[0].WriteLimit = 2 << 20 // so slow that a person can watch it
	if g.run, err = g.e.PowerOn(ctx, g.laptop); err != nil {
		return err
	}
	if err := g.watched(ctx); err != nil {
		return err
	}
	j, err := g.d.waitJob(ctx, g.id)
	if err != nil {
		return err
	}
	if err := checks(same("who ordered it", j.Operator, "anna"), g.isWiped(ctx, g.e, j)); err != nil {
		return err
	}
	if err := g.certified(ctx, g.e, map[string]wipe.Technique{gateDrive: wipe.Overwrite}); err != nil {
		return err
	}
	if err := inOrder(
		func() error { return g.tab.Open("/jobs/" + id) },
		func() error { return g.shot("job-done") },
		func() error { return g.tab.Go(`main a[href^="/certificates/W-"]`) },
		func() error { return g.tab.Sees("The signature holds.") },
		func() error { return g.tab.Sees(gateDrive) },
		func() error { return g.shot("certificate") },
		func() error { return g.licences(ctx, 0) },
	); err != nil {
		return err
	}
	_, err = g.d.deploy(ctx, order{g.laptop, "sales", "LT-AB06"}) // the order that was refused is taken now
	return err
}

var wiped = regexp.MustCompile(`ingot: drive \S+ (wiped|not wiped)`)

// watched holds that the page of the job tells how far each drive is and how long it takes, while the laptop is at it.
func (g *gate) watched(ctx context.Context) error {
	if _, err := g.run.Console.WaitAfter(ctx, 0, regexp.MustCompile(`ingot: drive `+gateDrive+` begun: `)); err != nil {
		return err
	}
	if err := g.tab.Wait("how far the drive is", `/WDLAB0005[^]*?wiping[^]*?[1-9][0-9]? %[^]*? left/.test(document.querySelector('[data-live-part="now"]').innerText)`); err != nil {
		return err
	}
	text, err := g.tab.Text(`[data-live-part="now"]`)
	if err != nil {
		return err
	}
	if wiped.MatchString(g.run.Console.Text()) {
		return errors.New("the wipe was over before the page told of it")
	}
	g.e.Say("its page, meanwhile: %s", strings.Join(strings.Fields(text), " "))
	return checks(g.shot("job"), g.run.Screenshot(filepath.Join(g.e.Dir, "shots", "console.png")), g.tab.Open("/"), g.shot("board"))
}

// shot keeps what the tab shows in the case's folder, on a desk and on a phone.
func (g *gate) shot(name string) error {
	for size, wide := range map[string][2]int64{"desk": {1366, 768}, "phone": {390, 844}} {
		if err := errors.Join(g.tab.Size(wide[0], wide[1]), g.tab.Shot(filepath.Join(g.e.Dir, "shots", name+"-"+size+".png"))); err != nil {
			return err
		}
	}
	return g.tab.Size(1366, 768)
}
