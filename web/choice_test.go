package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
)

// wantChosen checks what stands chosen in the form that goes to an address.
func wantChosen(t *testing.T, what string, p page, action string, has ...string) {
	t.Helper()
	_, form, _ := strings.Cut(p.body, `action="`+action+`"`)
	form, _, _ = strings.Cut(form, "</form>")
	for _, s := range has {
		if !strings.Contains(form, s) {
			t.Errorf("%s: the form comes back without %q\n%s", what, s, form)
		}
	}
	if strings.Contains(form, `name="saved" value="1" required checked`) || strings.Contains(form, `name="typed" required autocomplete="off" maxlength="100" value=`) {
		t.Errorf("%s: the loss is confirmed already", what)
	}
}

// TestARefusedFormComesBackAsItWasSent: who mistypes the serial presses again, and gets the image and the drive that he
// had chosen, not the first of each list.
func TestARefusedFormComesBackAsItWasSent(t *testing.T) {
	f := newFloor(t)
	two := f.laptop("PF3AAAA1")
	two.hello.Drives = append(two.hello.Drives, job.Drive{Path: "/dev/sdb", Serial: "SECOND1", WWN: "naa.5", Model: "CT500", Transport: "sata", SizeBytes: 16 << 30, SectorSize: 512, Health: job.Health{State: job.HealthGood}})
	two.boot()
	p := f.person("berta", store.Technician)
	id := f.device("PF3AAAA1").ID
	wantLed(t, "adopted", p.post("/devices/"+id+"/adopt", p.form(p.get("/devices/"+id), "/devices/"+id+"/adopt", "role", "sales")), "/devices/")
	f.update(func(tx *store.Tx) error {
		d, err := tx.Device(id)
		if err == nil {
			d.Drives[0].Holds = []string{"Windows 11"}
			err = tx.PutDevice(d)
		}
		return err
	})
	deploy := "/devices/" + id + "/deploy"
	got := p.post(deploy, p.form(p.get("/devices/"+id), deploy, "image", "image:dev@1", "drive", "SECOND1", "after", "poweroff", "trial", "1", "unnamed", "1", "asked", "1", "typed", "PF3AAAA2", "saved", "1"))
	wantPage(t, "a wrong serial", got, http.StatusConflict, string(job.CodeTyped))
	wantChosen(t, "a wrong serial", got, deploy, `<option value="image:dev@1" selected>`, `<option value="SECOND1" selected>`, `<option value="poweroff" selected>`, `name="trial" value="1" checked`, `name="unnamed" value="1" checked`)
	if n := strings.Count(got.body, `value="SECOND1" selected`); n != 1 {
		t.Errorf("the drive is chosen in %d forms; want the one that was sent", n)
	}
	gone := p.post(deploy, p.form(p.get("/devices/"+id), deploy, "image", "image:dev@7", "drive", "SECOND9", "asked", "1", "typed", "x"))
	wantChosen(t, "what is not offered any more", gone, deploy, `<option value="image:dev@7" selected>image:dev@7, not offered any more`, `<option value="SECOND9" selected>`)
	capture := "/devices/" + id + "/capture"
	got = p.post(capture, p.form(p.get("/devices/"+id), capture, "image", "no good name", "drive", "SECOND1", "after", "reset", "note", "first"))
	wantPage(t, "a bad capture", got, got.status, string(job.CodeBadRequest))
	wantChosen(t, "a bad capture", got, capture, `<option value="SECOND1" selected>`, `<option value="reset" selected>`, `value="no good name"`, `value="first"`)
	if strings.Contains(got.body, "not offered any more") {
		t.Error("the form of a deploy shows what the form of a capture sent")
	}
}

func TestARefusedConfirmationOfManyComesBackAsItWasSent(t *testing.T) {
	f := newFloor(t)
	f.deployed("PF3AAAA1")
	f.deployed("PF3AAAA2")
	p := f.person("berta", store.Technician)
	ask := p.get("/devices/act?" + url.Values{"do": {"deploy"}, "device": {f.device("PF3AAAA1").ID, f.device("PF3AAAA2").ID}}.Encode())
	for _, image := range []string{"image:sales@1", "role:sales", "own"} {
		got := p.post("/devices/act", p.form(ask, "/devices/act", "image", image, "stale", "the printer", "saved", "1", "typed", "3"))
		wantPage(t, image, got, http.StatusConflict, string(job.CodeTyped))
		wantChosen(t, image, got, "/devices/act", `<option value="`+image+`" selected>`, `value="the printer"`)
	}
	before := len(f.jobs())
	got := p.post("/devices/act", p.form(ask, "/devices/act", "saved", "1", "typed", "2"))
	wantPage(t, "no image was chosen", got, http.StatusOK, "0 done, 2 refused", string(job.CodeBadRequest))
	if n := len(f.jobs()); n != before {
		t.Errorf("%d jobs were made although no image was chosen", n-before)
	}
}

// TestManyAreAdoptedByTheCodesThatWereCompared: an agent that said hello after the page was shown has another code, and
// nobody compared that.
func TestManyAreAdoptedByTheCodesThatWereCompared(t *testing.T) {
	f := newFloor(t)
	first := f.laptop("PF3AAAA1")
	f.laptop("PF3AAAA2")
	p := f.person("berta", store.Technician)
	ids := []string{f.device("PF3AAAA1").ID, f.device("PF3AAAA2").ID}
	form := p.form(p.get("/devices/act?"+url.Values{"do": {"adopt"}, "device": ids}.Encode()), "/devices/act", "role", "sales")
	shown := first.code()
	other := &laptop{f: f, hello: first.hello}
	other.boot()
	if first.code() == shown {
		t.Fatal("the new agent has no code of its own")
	}
	got := p.post("/devices/act", form)
	wantPage(t, "the outcome", got, http.StatusOK, "2 done, 0 refused")
	f.update(func(tx *store.Tx) error {
		agents, err := tx.AgentHeads()
		for _, a := range agents {
			if (a.Key == other.key) == (a.Used != nil) {
				t.Errorf("agent %s was let in: %v; want those whose code was compared, and not the one that came later (%s)", a.Key, a.Used != nil, other.key)
			}
		}
		return err
	})
	form.Del("code-" + ids[0])
	form.Set("key", "another-press-of-the-button")
	wantPage(t, "without a code", p.post("/devices/act", form), http.StatusOK, "0 done, 2 refused", string(job.CodeNotFound))
}
