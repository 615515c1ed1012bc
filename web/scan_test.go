package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

// scans sends one scan as the script does.
func (p *person) scans(what string, more ...string) web.Scanned {
	p.f.t.Helper()
	v := url.Values{"what": {what}, "key": {fmt.Sprintf("scan-%d-%s", time.Now().UnixNano(), p.name)}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	r, err := http.NewRequest("POST", p.f.base+"/scan", strings.NewReader(v.Encode()))
	must(p.f.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	var out web.Scanned
	must(p.f.t, json.Unmarshal([]byte(p.do(r).body), &out))
	return out
}

// TestTwentyScansAreTwentyOrders: one label after another, nothing else is pressed.
func TestTwentyScansAreTwentyOrders(t *testing.T) {
	f := newFloor(t)
	p := f.person("berta", store.Technician)
	for i := range 20 {
		serial := fmt.Sprintf("PF3EEE%02d", i)
		f.laptop(serial)
		if got := p.scans(serial, "role", "sales", "start", "1"); got.Word != "ordered" || got.Job == "" || got.Label != "LT-F3EEE"+serial[6:] {
			t.Fatalf("scan %d: %+v", i, got)
		}
	}
	if n := len(f.jobs()); n != 20 {
		t.Errorf("%d jobs; want 20", n)
	}
	if got := p.scans("PF3EEE07", "role", "sales", "start", "1"); got.Word != "ordered" || len(f.jobs()) != 20 {
		t.Errorf("scanned again: %+v, %d jobs", got, len(f.jobs()))
	}
	if got := f.person("carl", store.Technician).scans("PF3EEE07", "start", "1"); got.Word != "at work" || !strings.Contains(got.Sentence, "berta") {
		t.Errorf("scanned by another: %+v; want who was first", got)
	}
}

// TestWhatALabelMayHold: serial, asset tag, code, name, our own QR code, and what makers and scanners add.
func TestWhatALabelMayHold(t *testing.T) {
	f := newFloor(t)
	f.deployed("PF3AAAA1")
	tag := "00815"
	_, err := f.s.SetDevice(context.Background(), "anna", "PF3AAAA1", store.Correction{Asset: &tag})
	must(t, err)
	id, p := f.device("PF3AAAA1").ID, f.person("berta", store.Technician)
	for _, what := range []string{"PF3AAAA1", " pf3aaaa1\t", "00815", "LT-F3AAAA1", "https://ingot.example/devices/" + id, "http://10.0.0.1:8080/x/devices/" + id, "SPF3AAAA1", "1S21CB001234PF3AAAA1", id} {
		if got := p.scans(what); got.Device != id || got.Word != "found" || !got.Open {
			t.Errorf("%q: %+v", what, got)
		}
	}
	for _, what := range []string{"", "   ", "PF3XXXX9", "https://evil.example/", "https://evil.example/devices/", "https://evil.example/devices/../x", strings.Repeat("9", 4000), "\x00\x1b[2J", "<script>"} {
		got := p.scans(what)
		if got.Colour != job.Red || got.Device != "" || !strings.Contains(got.Sentence, string(job.CodeScanned)) {
			t.Errorf("%q: %+v; want %s", what, got, job.CodeScanned)
		}
	}
	l := f.laptop("PF3AAAA2")
	if got := p.scans(strings.ToLower(strings.ReplaceAll(l.code(), "-", "")), "role", "sales"); got.Word != "adopted" || f.device("PF3AAAA2").Role != "sales" {
		t.Errorf("a code: %+v", got)
	}
	if got := p.post("/scan", url.Values{"what": {"00815"}}); got.to != "/devices/"+id {
		t.Errorf("without a script: led to %q", got.to)
	}
	wantPage(t, "an unknown one without a script", p.post("/scan", url.Values{"what": {"PF3XXXX9"}}), http.StatusNotFound, string(job.CodeScanned))
}

// TestAScanNeverOverwritesWhatMayBeInUse, and a serial alone adopts nobody while the bench is closed.
func TestAScanNeverOverwritesWhatMayBeInUse(t *testing.T) {
	f := newFloor(t)
	f.deployed("PF3AAAA1")
	p := f.person("berta", store.Technician)
	before := len(f.jobs())
	if got := p.scans("PF3AAAA1", "role", "sales", "start", "1"); got.Word != "in use" || len(f.jobs()) != before {
		t.Errorf("a laptop in use: %+v, %d jobs", got, len(f.jobs())-before)
	}
	l := f.laptop("PF3AAAA2")
	_, err := f.s.OpenBench(context.Background(), "anna", store.Bench{})
	must(t, err)
	if got := p.scans("PF3AAAA2", "role", "sales", "start", "1"); got.Colour != job.Yellow || f.device("PF3AAAA2").State != store.New {
		t.Errorf("on a closed bench: %+v, device %s", got, f.device("PF3AAAA2").State)
	}
	if got := p.scans(l.code(), "role", "sales", "start", "1"); got.Word != "ordered" {
		t.Errorf("its code on a closed bench: %+v", got)
	}
	_, err = f.s.Lose(context.Background(), "anna", "PF3AAAA1", store.Loss{})
	must(t, err)
	if got := p.scans("PF3AAAA1"); got.Word != "lost" || got.Colour != job.Red {
		t.Errorf("a lost one: %+v", got)
	}
}
