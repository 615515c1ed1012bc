package web_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/wipe/cert"
	"ingot/store"
)

// cameBack is a laptop that was in use and came back. It gives its id.
func (f *floor) cameBack(serial string) string {
	f.t.Helper()
	f.deployed(serial)
	_, err := f.s.Return(context.Background(), "anna", serial, store.Return{From: "K. Berg"})
	must(f.t, err)
	return f.device(serial).ID
}

// destroyed is one whose drive was shredded and recorded. It gives the record's id.
func (f *floor) destroyed(serial string) string {
	f.t.Helper()
	id := f.cameBack(serial)
	e, err := f.s.DestroyDrive(context.Background(), "anna", store.Destruction{Device: id, Drive: f.driveOf(serial), Confirm: f.driveOf(serial), Method: "shredded", Why: "dead", Place: "Vendor", By: "Karl Ott",
		Witness: "Eva Lang", Reference: "R-1"})
	must(f.t, err)
	return e.ID
}

func (f *floor) driveOf(serial string) string {
	f.t.Helper()
	for _, d := range f.device(serial).Drives {
		if !d.Removable {
			return d.Serial
		}
	}
	f.t.Fatalf("%s has no drive", serial)
	return ""
}

// TestAWipeIsOrderedByTheSerialTyped, and until it is done nothing gives the laptop away from its page.
func TestAWipeIsOrderedByTheSerialTyped(t *testing.T) {
	f := newFloor(t)
	id := f.cameBack("PF3AAAA1")
	p := f.person("berta", store.Technician)
	shown := p.get("/devices/" + id)
	wantPage(t, "the page", shown, http.StatusOK, "destroyed for good", f.driveOf("PF3AAAA1"), "Type the serial")
	jobs := len(f.jobs())
	for what, typed := range map[string]string{"another serial": "PF3AAAA2", "its name": f.device(id).Name, "nothing": "", "the drive's serial": f.driveOf("PF3AAAA1")} {
		got := p.post("/devices/"+id+"/wipe", p.form(shown, "/devices/"+id+"/wipe", "typed", typed))
		wantPage(t, what, got, http.StatusConflict, string(job.CodeWrongSerial))
	}
	for what, act := range map[string]url.Values{"deploy": {"image": {"role:sales"}, "saved": {"1"}, "typed": {"PF3AAAA1"}, "asked": {"1"}}, "ready": {"typed": {"PF3AAAA1"}}, "dispose": {"typed": {"PF3AAAA1"}}} {
		got := p.post("/devices/"+id+"/"+what, act)
		if got.status < 400 || !strings.Contains(got.body, string(job.CodeOwed)) && !strings.Contains(got.body, string(job.CodeReturned)) {
			t.Errorf("%s: status %d\n%s", what, got.status, mainOf(got))
		}
	}
	if n := len(f.jobs()); n != jobs || f.device(id).State != store.Returned {
		t.Fatalf("%d jobs were made, the device is %s", n-jobs, f.device(id).State)
	}
	wantPage(t, "a viewer", f.person("vera", store.Viewer).post("/devices/"+id+"/wipe", url.Values{"typed": {"PF3AAAA1"}}), http.StatusForbidden, string(job.CodePolicy))
	wantLed(t, "typed as it is", p.post("/devices/"+id+"/wipe", p.form(shown, "/devices/"+id+"/wipe", "typed", " pf3aaaa1 ", "place", "the bench")), "/jobs/")
	j := f.jobs()[0]
	wantPage(t, "its job", p.get("/jobs/"+string(j.ID)), http.StatusOK, "Its drives", f.driveOf("PF3AAAA1"), "waiting")
	if j.Kind != job.Wipe || j.Operator != "berta" || j.Wipe.Order.Place != "the bench" {
		t.Errorf("job %+v", j)
	}
}

// TestADeadLaptopLeavesByItsPageAlone: its drive's end is recorded, its list says destroyed and never wiped, and the record
// verifies on the page, and not with a byte changed.
func TestADeadLaptopLeavesByItsPageAlone(t *testing.T) {
	f := newFloor(t)
	id, p := f.cameBack("PF3AAAA1"), f.person("berta", store.Technician)
	drive := f.driveOf("PF3AAAA1")
	at := "/devices/" + id + "/destroyed"
	form := func(more ...string) url.Values {
		return p.form(p.get("/devices/"+id), at, append([]string{"drive", drive, "typed", drive, "method", "shredded", "why", "it does not start", "place", "Vendor", "by", "Karl Ott", "witness", "Eva Lang", "reference", "R-1", "dispose", "1"}, more...)...)
	}
	for what, c := range map[string]struct {
		more []string
		code job.Code
	}{
		"one person":        {[]string{"witness", "karl ott"}, job.CodeDestruction},
		"typed wrongly":     {[]string{"typed", "OTHER"}, job.CodeWrongSerial},
		"no proof":          {[]string{"reference", ""}, job.CodeDestruction},
		"a day that is not": {[]string{"day", "yesterday"}, job.CodeDestruction},
	} {
		if got := p.post(at, form(c.more...)); got.status < 400 || !strings.Contains(got.body, string(c.code)) {
			t.Errorf("%s: status %d; want %s\n%s", what, got.status, c.code, mainOf(got))
		}
	}
	wantLed(t, "recorded", p.post(at, form()), "/devices/"+id+"?said=destroyed")
	if d := f.device(id); d.State != store.Disposed {
		t.Fatalf("the device is %s", d.State)
	}
	wantPage(t, "its page", p.get("/devices/"+id), http.StatusOK, "D-000001", "destroyed")
	list := p.get("/certificates")
	wantPage(t, "the list", list, http.StatusOK, "D-000001", "destroyed", drive)
	if strings.Contains(mainOf(list), "wiped, ") {
		t.Errorf("the list calls it wiped: %s", mainOf(list))
	}
	wantPage(t, "the record", p.get("/certificates/D-000001"), http.StatusOK, "The signature holds", "Eva Lang", "shredded")
	if pdf := p.get("/api/v1/certificates/D-000001/paper"); pdf.status != 200 || !strings.HasPrefix(pdf.body, "%PDF") {
		t.Errorf("its paper: status %d, %.20q", pdf.status, pdf.body)
	}
	file := []byte(p.get("/api/v1/certificates/D-000001/file").body)
	verify := func(b []byte) page { return p.post("/certificates/verify", url.Values{"record": {string(b)}}) }
	wantPage(t, "the file", verify(file), http.StatusOK, "Record of destruction D-000001 holds", "by this server's key", "keeps the same record")
	other, err := cert.Load(filepath.Join(t.TempDir(), "other.key"))
	must(t, err)
	_, forged, err := other.Destroy(cert.Frame{Number: 1, Issued: time.Now(), Organisation: "Nobody", Device: cert.Device{ID: "x", Serial: "X"}}, cert.Drive{Serial: "Y"}, cert.Destroyed{Method: "shredded", Why: "dead", Place: "here", Time: time.Now(),
		Reference: "R", People: []cert.Person{{Name: "A", Role: cert.RoleDid}, {Name: "B", Role: cert.RoleWitnessed}}})
	must(t, err)
	strange := p.post("/certificates/verify", url.Values{"record": {string(forged)}, "key": {hex.EncodeToString(other.Public())}})
	wantPage(t, "another's key", strange, http.StatusOK, "not this server's key", cert.Fingerprint(other.Public()))
	if strings.Contains(mainOf(strange), "by this server's key") {
		t.Error("a record that somebody else signed passes for this server's")
	}
	for i := 0; i < len(file); i += 101 {
		b := bytes.Clone(file)
		b[i] ^= 1
		if got := verify(b); got.status < 400 || strings.Contains(got.body, " holds:") {
			t.Errorf("with byte %d changed it verifies: status %d", i, got.status)
		}
	}
	wantPage(t, "no file", verify(nil), http.StatusBadRequest)
	wantPage(t, "no such record", p.get("/certificates/W-000009"), http.StatusNotFound, string(job.CodeNotFound))
}

// TestASecondPersonAgreesOnTheJobsPage where the site wants one.
func TestASecondPersonAgreesOnTheJobsPage(t *testing.T) {
	f := newFloor(t)
	f.update(func(tx *store.Tx) error { return tx.SetAccessPolicy(store.AccessPolicy{SecondPerson: true}, "boss") })
	id := f.cameBack("PF3AAAA1")
	berta, carl := f.person("berta", store.Technician), f.person("carl", store.Technician)
	wantLed(t, "the order", berta.post("/devices/"+id+"/wipe", berta.form(berta.get("/devices/"+id), "/devices/"+id+"/wipe", "typed", "PF3AAAA1")), "/jobs/")
	at := "/jobs/" + string(f.jobs()[0].ID)
	if board := carl.get("/"); !strings.Contains(board.body, `href="`+at+`"`) || !strings.Contains(board.body, "berta ordered its wipe") {
		t.Errorf("the board does not say that it needs carl\n%s", mainOf(board))
	}
	shown := carl.get(at)
	wantPage(t, "the job", shown, http.StatusOK, "It waits for a second person", "berta ordered the wipe")
	wantPage(t, "the same person", berta.post(at+"/agree", berta.form(berta.get(at), at+"/agree", "typed", "PF3AAAA1")), http.StatusForbidden, string(job.CodeSecondPerson))
	wantPage(t, "a wrong serial", carl.post(at+"/agree", carl.form(shown, at+"/agree", "typed", "PF3AAAA2")), http.StatusConflict, string(job.CodeWrongSerial))
	wantLed(t, "another person", carl.post(at+"/agree", carl.form(shown, at+"/agree", "typed", "PF3AAAA1")), at+"?said=agreed")
	if got := carl.get(at); strings.Contains(got.body, "/agree") || !strings.Contains(got.body, "carl") {
		t.Errorf("it still asks, or does not say who agreed\n%s", mainOf(got))
	}
}

// TestALaptopWithoutASerialOfItsOwnIsNamedByItsId wherever its wipe is confirmed: two laptops told its serial, so that the
// serial leads to neither.
func TestALaptopWithoutASerialOfItsOwnIsNamedByItsId(t *testing.T) {
	f := newFloor(t)
	f.update(func(tx *store.Tx) error { return tx.SetAccessPolicy(store.AccessPolicy{SecondPerson: true}, "boss") })
	id := f.cameBack("PF3AAAA1")
	f.update(func(tx *store.Tx) error {
		d, err := tx.Device(id)
		if err != nil {
			return err
		}
		d.SerialKey = ""
		return tx.PutDevice(d)
	})
	berta, carl := f.person("berta", store.Technician), f.person("carl", store.Technician)
	at := "/devices/" + id + "/wipe"
	wantLed(t, "the order", berta.post(at, berta.form(berta.get("/devices/"+id), at, "typed", id)), "/jobs/")
	job := "/jobs/" + string(f.jobs()[0].ID)
	shown := carl.get(job)
	if asked := section(shown.body, `action="`+job+`/agree"`, "</form>"); !strings.Contains(asked, id) || strings.Contains(asked, "PF3AAAA1") {
		t.Errorf("the page asks for what it does not take: %s", asked)
	}
	wantLed(t, "agreed", carl.post(job+"/agree", carl.form(shown, job+"/agree", "typed", id)), job+"?said=agreed")
}

// TestSeveralReturnedLaptopsAreWipedByTheirNumberTyped.
func TestSeveralReturnedLaptopsAreWipedByTheirNumberTyped(t *testing.T) {
	f := newFloor(t)
	p := f.person("berta", store.Technician)
	back := []string{f.cameBack("PF3AAAA1"), f.cameBack("PF3AAAA2")}
	f.deployed("PF3AAAA3")
	ask := "/devices/act?" + url.Values{"do": {"wipe"}, "device": append(back, f.device("PF3AAAA3").ID)}.Encode()
	shown := p.get(ask)
	wantPage(t, "the confirmation", shown, http.StatusOK, "3 laptops", "destroyed for good", "PF3AAAA2")
	before := len(f.jobs())
	wantPage(t, "another number", p.post("/devices/act", p.form(shown, "/devices/act", "typed", "3")), http.StatusConflict, string(job.CodeTyped))
	if len(f.jobs()) != before {
		t.Fatal("jobs were made")
	}
	got := p.post("/devices/act", p.form(shown, "/devices/act", "typed", "2"))
	wantPage(t, "their number", got, http.StatusOK, "2 done, 1 refused", "only a device that came back is wiped")
	if n := len(f.jobs()) - before; n != 2 || f.device("PF3AAAA3").State != store.Deployed {
		t.Errorf("%d jobs", n)
	}
}

// TestThePageOfARunningWipeTellsTheTruth: each drive's way and time in people's words, and nothing that is true of an
// image alone. What a page that is open shows changes with it: no "nothing has been written yet" beside a drive that is
// being overwritten.
func TestThePageOfARunningWipeTellsTheTruth(t *testing.T) {
	f := newFloor(t)
	id, p := f.cameBack("PF3AAAA1"), f.person("berta", store.Technician)
	drive, at := f.driveOf("PF3AAAA1"), "/devices/"+id+"/wipe"
	wantLed(t, "the order", p.post(at, p.form(p.get("/devices/"+id), at, "typed", "PF3AAAA1", "place", "the bench", "then", "dispose")), "/jobs/")
	page := "/jobs/" + string(f.jobs()[0].ID)
	wantPage(t, "ordered", p.get(page), http.StatusOK, "Nothing has been written yet.", "disposed", "the bench")
	l := f.laptop("PF3AAAA1")
	l.take()
	for i, s := range []job.State{job.Claimed, job.WipeBegun} {
		_, err := f.s.State(context.Background(), l.key, l.job.ID, job.StateEvent{Seq: uint64(i + 1), State: s})
		must(t, err)
	}
	l.tell(job.Progress{Phase: "wiping", DoneBytes: 420, TotalBytes: 1000, SecondsLeft: 5400, Drives: []job.DriveProgress{{Serial: drive, Phase: "wiping", DoneBytes: 42, TotalBytes: 100, SecondsLeft: 5400, Say: "one overwrite"}}})
	running := p.get(page)
	wantPage(t, "at work", running, http.StatusOK, "42 %", "1 h 30 min left", drive, "being wiped")
	for _, lie := range []string{"Nothing has been written", "half written", "travelled", "420 B", "0.0 MB/s", "5400 s", "Fetched"} {
		if strings.Contains(mainOf(running), lie) {
			t.Errorf("the page of a running wipe says %q", lie)
		}
	}
	for part, want := range map[string]string{"now": "42 %", "drives": "being wiped", "way": "wiping"} {
		if !strings.Contains(section(running.body, `data-live-part="`+part+`"`, "</section>"), want) {
			t.Errorf("what an open page shows as %s does not change with it", part)
		}
	}
	if !strings.Contains(running.body, `data-live-part="acts"`) {
		t.Error("an open page goes on to offer what cannot be done any more")
	}
	for _, where := range []string{"/jobs", "/devices/" + id} {
		if got := mainOf(p.get(where)); !strings.Contains(got, "42 %") || strings.Contains(got, "MB/s") {
			t.Errorf("%s: %s", where, got)
		}
	}
	_, err := f.s.Result(context.Background(), l.key, l.job.ID, job.Result{Job: l.job.ID, State: job.Failed, Seconds: 3, DiskTouched: true, Fault: &job.Fault{Code: job.CodeWipeInterrupted}})
	must(t, err)
	ended := p.get(page)
	wantPage(t, "ended", ended, http.StatusOK, string(f.jobs()[0].Fault.Code))
	for _, lie := range []string{"Fetched", "Wrote", ">wiped<", "ingot "} {
		if strings.Contains(mainOf(ended), lie) {
			t.Errorf("the page of a wipe that failed says %q", lie)
		}
	}
}

// TestADriveThatIsNotInTheLaptopIsNotSaidToBeWiped, neither on its page nor where several are wiped: what is there is
// wiped, what is not has to be accounted for, and a laptop that did not come back is not counted.
func TestADriveThatIsNotInTheLaptopIsNotSaidToBeWiped(t *testing.T) {
	f := newFloor(t)
	id := f.cameBack("PF3AAAA1")
	f.update(func(tx *store.Tx) error {
		d, err := tx.Device(id)
		if err != nil {
			return err
		}
		second := d.Drives[0]
		second.Serial, second.WWN = "GONE00001", "eui.gone"
		d.Drives = append(d.Drives, second)
		if err := tx.PutDevice(d); err != nil {
			return err
		}
		d.Drives = d.Drives[:1]
		return tx.PutDevice(d)
	})
	f.deployed("PF3AAAA3")
	p := f.person("berta", store.Technician)
	form := section(p.get("/devices/"+id).body, `id="wipe"`, "</form>")
	if !strings.Contains(form, "Everything on 1 drive is destroyed for good:") || !strings.Contains(form, "GONE00001") || !strings.Contains(form, "not in it") {
		t.Errorf("the form says: %s", form)
	}
	ask := p.get("/devices/act?" + url.Values{"do": {"wipe"}, "device": {id, f.device("PF3AAAA3").ID}}.Encode())
	wantPage(t, "several", ask, http.StatusOK, "1 laptop is wiped", f.driveOf("PF3AAAA1"), "GONE00001", "not in it", "did not come back", "Type the number of laptops that are wiped to go on: <strong>1</strong>", "Wipe: 1 laptop<")
	if strings.Contains(mainOf(ask), "was saved") {
		t.Error("it asks whether the data was saved of what is to be destroyed")
	}
}

// TestEveryIconOfATemplateIsDrawn: a state is told by icon, word and colour.
func TestEveryIconOfATemplateIsDrawn(t *testing.T) {
	drawn, err := os.ReadFile("static/icons.svg")
	must(t, err)
	files, err := filepath.Glob("template/*.html")
	must(t, err)
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, m := range regexp.MustCompile(`template "icon" "([^"]*)"`).FindAllSubmatch(text, -1) {
			if found++; !bytes.Contains(drawn, []byte(`id="`+string(m[1])+`"`)) {
				t.Errorf("%s shows the icon %q, which is not drawn", file, m[1])
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d icons were found", found)
	}
}

// TestAPageOffersNoDisposalThatIsRefused: a device in the pool did not come back, and none of its drives has a record for it.
func TestAPageOffersNoDisposalThatIsRefused(t *testing.T) {
	f := newFloor(t)
	f.adopted("PF3AAAA1")
	id := f.device("PF3AAAA1").ID
	p := f.person("berta", store.Technician)
	if got := p.get("/devices/" + id); got.status != http.StatusOK || strings.Contains(got.body, "/devices/"+id+"/dispose") {
		t.Errorf("the page of a ready device: status %d, offers to dispose of it", got.status)
	}
	if got := p.post("/devices/"+id+"/dispose", url.Values{"typed": {"PF3AAAA1"}}); got.status < 400 || f.device(id).State != store.Ready {
		t.Errorf("asked all the same: status %d, device %s", got.status, f.device(id).State)
	}
	back := f.cameBack("PF3AAAA2")
	if got := p.get("/devices/" + back); !strings.Contains(got.body, "/devices/"+back+"/dispose") {
		t.Error("the page of a device that came back does not offer it")
	}
}
