package web_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/store"
)

// wipePolicy is what the server holds.
func (f *floor) wipePolicy() store.KeptPolicy {
	f.t.Helper()
	p, err := f.s.WipePolicy(context.Background())
	must(f.t, err)
	return p
}

// TestAnAdministratorChangesTheWipePolicyOnItsPage: a viewer reads it and changes nothing; each change is the next
// version, with who and when, whole in the audit trail; an old page and a form that is sent twice change nothing; and a
// certificate's wipe keeps the one under which it was ordered.
func TestAnAdministratorChangesTheWipePolicyOnItsPage(t *testing.T) {
	const at = "/settings/wiping"
	f := newFloor(t)
	boss, vera := f.person("boss", store.Administrator), f.person("vera", store.Viewer)
	read := vera.get(at)
	wantPage(t, "a viewer", read, http.StatusOK, "default, version 1", "the one that Ingot comes with", "SATA, magnetic", "one overwrite, every block read back")
	if strings.Contains(read.body, `method="post" action="/settings/wiping"`) || strings.Contains(read.body, `action="/settings/wiping"`) {
		t.Error("a viewer is shown the form")
	}
	for _, p := range []*person{vera, f.person("berta", store.Technician), f.person("ida", store.ImageManager)} {
		wantPage(t, p.name, p.post(at, url.Values{"version": {"1"}, "name": {"mine"}}), http.StatusForbidden, string(job.CodePolicy))
	}
	id := f.cameBack("PF3AAAA1")
	_, err := f.s.Wipe(context.Background(), "berta", store.Technician, store.WipeOrder{Device: id, Confirm: "PF3AAAA1"})
	must(t, err)

	shown := boss.get(at)
	change := wholeForm(boss, shown, "name", "IT 7", "want-sata-hdd", "purge", "depth", "wide")
	change["fallback"], change["raise"] = []string{"overwrite", "nvme-format-user", "overwrite"}, []string{"nvme-format-user"}
	wantLed(t, "the change", boss.post(at, change), at+"?said=wipe-policy")
	got := f.wipePolicy()
	if got.Name != "IT 7" || got.Version != 2 || got.By != "boss" || got.Changed.IsZero() || got.Wants(wipe.SATADisk) != wipe.Purge || got.Wants(wipe.UFS) != wipe.Clear || got.Depth != wipe.DepthWide || got.Unknown ||
		!slices.Equal(got.Fallbacks, []wipe.Technique{wipe.FormatUser, wipe.Overwrite}) || !slices.Equal(got.Raise, []wipe.Technique{wipe.FormatUser}) {
		t.Errorf("it became %+v", got)
	}
	wantLed(t, "the same form again", boss.post(at, change), at+"?said=wipe-policy")
	if v := f.wipePolicy().Version; v != 2 {
		t.Errorf("sent twice it is version %d", v)
	}
	old := wholeForm(boss, shown, "name", "mine")
	old.Set("key", "another-request-of-the-old-page")
	wantPage(t, "the old page", boss.post(at, old), http.StatusConflict, string(job.CodeStale), "IT 7, version 2, decided by boss")
	wantPage(t, "its page", vera.get(at), http.StatusOK, "IT 7, version 2", "decided by boss on ", "four blocks of each sample")
	events, err := f.s.Audit(context.Background(), "server", 10)
	must(t, err)
	if !slices.ContainsFunc(events, func(e store.Event) bool {
		return e.Operator == "boss" && e.Act == "wipe policy" && strings.Contains(e.Text, "Policy IT 7, version 2: wants nvme purge, sata-ssd purge, sata-hdd purge, emmc purge, ufs clear, unknown clear; may stand in: nvme-format-user, overwrite; claimed as purge: nvme-format-user; read back: wide.")
	}) {
		t.Errorf("the audit trail has %+v", events)
	}
	if w := f.jobs()[0].Wipe; w == nil || w.Policy.Version != 1 {
		t.Errorf("the wipe that was ordered before follows %+v", w)
	}
}

// TestAWipePolicyThatCannotBeIsRefused, and what was typed stands in the form still.
func TestAWipePolicyThatCannotBeIsRefused(t *testing.T) {
	const at = "/settings/wiping"
	f := newFloor(t)
	boss := f.person("boss", store.Administrator)
	for what, c := range map[string]struct{ field, value string }{
		"no name": {"name", " "}, "two lines": {"name", "IT\n7"}, "a long name": {"name", strings.Repeat("x", 41)}, "no such level": {"want-nvme", "destroy"}, "no such depth": {"depth", "none"},
		"no such technique": {"fallback", "prayer"}, "an overwrite called purge": {"raise", "overwrite"}, "no version": {"version", "0"}, "a version that is none": {"version", "x"},
	} {
		form := wholeForm(boss, boss.get(at))
		form.Set("want-ufs", "purge")
		form.Set(c.field, c.value)
		got := boss.post(at, form)
		wantPage(t, what, got, http.StatusBadRequest, string(job.CodeBadRequest))
		if c.field != "version" && !strings.Contains(section(got.body, `name="want-ufs"`, "</select>"), `value="purge" selected`) {
			t.Errorf("%s: what was chosen is gone from the form", what)
		}
	}
	if p := f.wipePolicy(); p.Version != 1 || p.By != "" {
		t.Errorf("it became %+v", p)
	}
}

// wholeForm is the form of the policy as a browser sends it: with what is chosen and ticked on the page.
func wholeForm(p *person, shown page, more ...string) url.Values {
	p.f.t.Helper()
	form := p.form(shown, "/settings/wiping")
	text := section(shown.body, `action="/settings/wiping"`, "</form>")
	for _, m := range chosen.FindAllStringSubmatch(text, -1) {
		form.Set(m[1], m[2])
	}
	for _, m := range tickedBox.FindAllStringSubmatch(text, -1) {
		form.Add(m[1], m[2])
	}
	form.Set("name", section(text, `name="name" maxlength="40" required value="`, `"`))
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

var (
	chosen    = regexp.MustCompile(`<select name="([^"]*)">(?:<option[^>]*>[^<]*</option>)*?<option value="([^"]*)" selected>`)
	tickedBox = regexp.MustCompile(`<input type="checkbox" name="([^"]*)" value="([^"]*)" checked>`)
)

// section is the text between two others.
func section(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}
